//! The contours of a structure: closed rings on the slices of a grid, in patient millimetres.

pub(crate) mod nesting;
pub(crate) mod simplify;

use crate::geometry::grid::{Grid, Point, cross, norm};
use crate::geometry::ring::{Ring, signed_area};
use crate::provenance::Provenance;

/// What a contour follows.
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
    /// Whether the ring bounds a hole of the structure.
    pub hole: bool,
    /// For a hole: index, in [`Contours::all`], of the outer ring around it. `None` for an outer
    /// ring.
    pub parent: Option<usize>,
    /// Area inside the ring, mm2; never negative, holes not subtracted.
    pub area_mm2: f64,
}

/// All contours of a structure, ordered by slice, every outer ring followed by its holes.
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

impl Contours {
    /// The contours of the rings of every slice k, outer rings before their holes. Rings without
    /// area are dropped, with their holes.
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

    /// Stores the model that made the contours, and whether a person edited its boxes.
    #[must_use]
    pub fn of_model(mut self, provenance: Provenance, edited: bool) -> Self {
        self.model = Some((provenance, edited));
        self
    }

    /// The model that made them, and whether a person edited its boxes.
    pub fn model(&self) -> Option<(&Provenance, bool)> {
        self.model.as_ref().map(|(p, edited)| (p, *edited))
    }

    /// What contours follow: the probability's level, or voxel edges.
    pub fn kind(&self) -> ContourKind {
        self.kind
    }

    /// The probability along the contours; `None` if they were drawn around a mask.
    pub fn threshold(&self) -> Option<f32> {
        self.threshold
    }

    /// How far simplification was allowed to move the contours, mm; 0 for exact contours.
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

    /// The contours of storage slice k; empty if there are none or no such slice.
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

    /// Whether there is no ring: nothing was found.
    pub fn is_empty(&self) -> bool {
        self.contours.is_empty()
    }

    /// Number of rings.
    pub fn len(&self) -> usize {
        self.contours.len()
    }

    /// Area of the structure on slice k, holes subtracted, mm2.
    pub fn area_mm2(&self, k: usize) -> f64 {
        self.slice(k).iter().map(|c| if c.hole { -c.area_mm2 } else { c.area_mm2 }).sum()
    }
}
