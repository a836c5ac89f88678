//! Closed outlines of a region, slice by slice.
//!
//! In: a probability volume and its threshold, or a mask, on the reference grid. Out: [`Contours`]:
//! simple closed rings in slice planes, outer rings and holes told apart, as continuous voxel
//! indices and as patient millimetres (LPS).
//!
//! Two kinds of line ([`ContourKind`]):
//! - **Level** ([`contours_of_level`]): the line where the probability passes the threshold,
//!   interpolated between voxel centres.
//! - **Voxel** ([`contours_of_mask`]): the edges of the mask's voxels (half-integer indices).
//!
//! Both hold these promises, whatever the input:
//! - a voxel's centre lies inside the rings (even-odd rule) exactly where the mask is set, and no
//!   ring passes through a voxel's centre;
//! - rings are simple: none crosses or touches itself, none crosses another (two may touch in a
//!   corner, Voxel only);
//! - in the index plane with i to the right and j **upwards**, outer rings run counter-clockwise
//!   and holes clockwise: the region always lies to the left. (On a screen, where j grows
//!   downwards, an outer ring is seen to run clockwise.)
//! - a hole's parent is the outer ring around it; an island inside a hole is an outer ring of its
//!   own.

mod keyhole;
mod level;
mod patch;
mod simplify;
#[cfg(test)]
mod testing;
mod voxel;

pub use keyhole::keyhole;
pub use level::contours_of_level;
pub use voxel::contours_of_mask;

use crate::engine::Provenance;
use crate::error::{Error, Result};
use crate::study::grid::{Grid, Point, cross, norm};

/// What line a contour follows.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, Hash, Default, serde::Serialize, serde::Deserialize,
)]
#[serde(rename_all = "lowercase")]
pub enum ContourKind {
    /// The probability's level at the threshold, between voxel centres.
    #[default]
    Level,
    /// The edges of the mask's voxels.
    Voxel,
}

impl ContourKind {
    /// `"level"` or `"voxel"`.
    pub fn name(self) -> &'static str {
        match self {
            ContourKind::Level => "level",
            ContourKind::Voxel => "voxel",
        }
    }
}

/// One closed ring on one slice. The last point joins the first and is not repeated.
#[derive(Debug, Clone, PartialEq, serde::Serialize)]
pub struct Contour {
    /// Slice index k on the grid that the contours were drawn on ([`Contours::grid`]).
    pub slice: usize,
    /// Patient coordinates, LPS mm.
    pub points: Vec<Point>,
    /// The same points as continuous voxel indices (i, j).
    pub indices: Vec<[f64; 2]>,
    /// Bounds a hole of the region rather than the region.
    pub hole: bool,
    /// For a hole: index, in [`Contours::all`], of the outer ring around it. `None` for an outer
    /// ring.
    pub parent: Option<usize>,
    /// Area inside the ring, mm2; never negative, holes not subtracted.
    pub area_mm2: f64,
}

/// All contours of a region: ordered by slice, every outer ring followed by its holes.
#[derive(Debug, Clone)]
pub struct Contours {
    kind: ContourKind,
    threshold: Option<f32>,
    tolerance_mm: f64,
    grid: Grid,
    /// The model that made them and whether a person edited its boxes; `None` for contours of a
    /// mask of other origin.
    model: Option<(Provenance, bool)>,
    contours: Vec<Contour>,
    /// contours[starts[k]..starts[k + 1]] lie on slice k.
    starts: Vec<usize>,
}

/// A ring in the index plane; `parent` counts within its slice.
#[derive(Debug, Clone)]
pub(crate) struct Ring {
    pub indices: Vec<[f64; 2]>,
    pub hole: bool,
    pub parent: Option<usize>,
}

impl Contours {
    /// From the rings of every slice k, outer rings before their holes. Rings without area are
    /// dropped (with the holes of a dropped ring).
    pub(crate) fn from_rings(
        kind: ContourKind,
        threshold: Option<f32>,
        tolerance_mm: f64,
        grid: &Grid,
        rings: Vec<Vec<Ring>>,
    ) -> Self {
        let pixel_mm2 = norm(cross(grid.axis_i(), grid.axis_j()));
        let mut contours = Vec::with_capacity(rings.iter().map(Vec::len).sum());
        let mut starts = Vec::with_capacity(rings.len() + 1);
        for (slice, rings) in rings.into_iter().enumerate() {
            starts.push(contours.len());
            let mut place = Vec::with_capacity(rings.len());
            for ring in rings {
                let area = signed_area(&ring.indices).abs() * pixel_mm2;
                let parent = ring.parent.map(|p| place.get(p).copied().flatten());
                if ring.indices.len() < 3 || area <= 0.0 || parent == Some(None) {
                    place.push(None);
                    continue;
                }
                place.push(Some(contours.len()));
                let points = ring.indices.iter().map(|[i, j]| grid.point(*i, *j, slice)).collect();
                let (indices, hole) = (ring.indices, ring.hole);
                contours.push(Contour {
                    slice,
                    points,
                    indices,
                    hole,
                    parent: parent.flatten(),
                    area_mm2: area,
                });
            }
        }
        starts.push(contours.len());
        Contours {
            kind,
            threshold,
            tolerance_mm,
            grid: grid.clone(),
            model: None,
            contours,
            starts,
        }
    }

    /// Says that a model made these, with or without edited boxes.
    #[must_use]
    pub fn of_model(mut self, provenance: Provenance, edited: bool) -> Self {
        self.model = Some((provenance, edited));
        self
    }

    /// The model that made them, and whether a person edited its boxes.
    pub fn model(&self) -> Option<(&Provenance, bool)> {
        self.model.as_ref().map(|(p, edited)| (p, *edited))
    }

    /// What line the contours follow.
    pub fn kind(&self) -> ContourKind {
        self.kind
    }

    /// The probability at the line; `None` where the contours were drawn around a mask.
    pub fn threshold(&self) -> Option<f32> {
        self.threshold
    }

    /// How far simplification was allowed to move the line, mm; 0 for the exact line.
    pub fn tolerance_mm(&self) -> f64 {
        self.tolerance_mm
    }

    /// The grid that the contours were drawn on.
    pub fn grid(&self) -> &Grid {
        &self.grid
    }

    /// Every contour, by slice; an outer ring comes before its holes.
    pub fn all(&self) -> &[Contour] {
        &self.contours
    }

    /// The contours of storage slice k; empty where there are none or no such slice.
    pub fn slice(&self, k: usize) -> &[Contour] {
        match (self.starts.get(k), self.starts.get(k + 1)) {
            (Some(from), Some(to)) => &self.contours[*from..*to],
            _ => &[],
        }
    }

    /// Storage indices of the slices that have a contour, ascending.
    pub fn slices(&self) -> impl Iterator<Item = usize> + '_ {
        (0..self.starts.len() - 1).filter(|k| self.starts[*k] < self.starts[k + 1])
    }

    /// The holes of the outer ring at `outer` (an index into [`Contours::all`]).
    pub fn holes_of(&self, outer: usize) -> impl Iterator<Item = &Contour> + '_ {
        let rest = self.contours.get(outer + 1..).unwrap_or_default();
        rest.iter().take_while(|c| c.hole).filter(move |c| c.parent == Some(outer))
    }

    /// No ring at all: nothing was found.
    pub fn is_empty(&self) -> bool {
        self.contours.is_empty()
    }

    /// Number of rings.
    pub fn len(&self) -> usize {
        self.contours.len()
    }

    /// Area of the region on slice k, holes subtracted, mm2.
    pub fn area_mm2(&self, k: usize) -> f64 {
        self.slice(k).iter().map(|c| if c.hole { -c.area_mm2 } else { c.area_mm2 }).sum()
    }
}

/// Area by the shoelace formula, in squared index units: positive where the ring runs
/// counter-clockwise (i right, j up).
pub(crate) fn signed_area(ring: &[[f64; 2]]) -> f64 {
    let Some(first) = ring.first() else { return 0.0 };
    // Relative to the first point, so that large indices cost no digits.
    let of = |p: [f64; 2]| [p[0] - first[0], p[1] - first[1]];
    let mut twice = 0.0;
    for (n, p) in ring.iter().enumerate() {
        let (p, q) = (of(*p), of(ring[(n + 1) % ring.len()]));
        twice += p[0] * q[1] - q[0] * p[1];
    }
    twice / 2.0
}

/// Whether `ring` runs around the point (even-odd rule).
pub(crate) fn encloses(ring: &[[f64; 2]], [x, y]: [f64; 2]) -> bool {
    let mut inside = false;
    for (n, p) in ring.iter().enumerate() {
        let q = ring[(n + 1) % ring.len()];
        if (p[1] <= y) != (q[1] <= y) && p[0] + (q[0] - p[0]) * ((y - p[1]) / (q[1] - p[1])) > x {
            inside = !inside;
        }
    }
    inside
}

/// Refuses an array that does not lie on the grid.
fn check_shape(what: &str, shape: (usize, usize, usize), grid: &Grid) -> Result<()> {
    if shape == grid.shape() {
        return Ok(());
    }
    Err(Error::Argument(format!(
        "the {what} has the shape {shape:?} [k, j, i], but the grid it should lie on has {:?}; give the {what} on the reference's own grid",
        grid.shape()
    )))
}
