//! What a person changed: an edited outline against ours.
//!
//! In: a structure set that came back from a planning system ([`StructureSet`]), or any two masks
//! on a reference's grid. Out: [`Comparison`]: overlap, distance between outlines, and how much
//! line had to be drawn anew, slice by slice and pooled.
//!
//! All measures are of masks, so that outlines of any origin are measured alike:
//! - **Dice**: twice the common volume over the sum of both.
//! - **Contour Dice** and **surface Dice** at a tolerance: the part of both outlines (of both
//!   surfaces) that lies no farther than the tolerance from the other. The contour Dice looks at
//!   each slice's outline within its own plane, where it was drawn; the surface Dice (Nikolov et
//!   al. 2021) at the surface through all slices.
//! - **Hausdorff 95**: the distance that 95 % of an outline (surface) does not exceed, the larger
//!   of both directions.
//! - **Added path length** (Vaassen et al., Evaluation of measures for assessing time-saving of
//!   automatic organ-at-risk segmentation in radiotherapy, Phys Imaging Radiat Oncol 2020;13:1-6):
//!   pixels of the edited outline that are not on ours, counted slice by slice, without a
//!   tolerance. In millimetres: times the pixel's size (the square root of its area). An outline's
//!   pixels are those inside with a neighbour outside, across an edge.

mod surface;

use std::ops::Range;

use ndarray::{Array2, ArrayView2, ArrayView3, Axis, s};
use rayon::prelude::*;

use crate::error::{Error, Result};
use crate::geometry::grid::{Grid, dot};
use crate::geometry::orientation::Orientation;
use crate::study::SliceInfo;
use crate::volume::Volume;
use surface::Agreement;

/// Outlines this close (mm) count as the same unless the caller says otherwise: within what experts
/// differ by when they draw a tumour.
pub const DEFAULT_TOLERANCE_MM: f64 = 2.0;

/// How an edited region differs from ours.
#[derive(Debug, Clone, serde::Serialize)]
pub struct Comparison {
    pub tolerance_mm: f64,
    pub pooled: Pooled,
    /// The slices on which either has a voxel.
    pub slices: Vec<SliceComparison>,
}

/// All slices together. `None` (null) where a measure has no value: neither has a voxel, or a
/// distance to nothing.
#[derive(Debug, Clone, serde::Serialize)]
pub struct Pooled {
    /// `None` where there is one slice alone, which has no thickness.
    pub ours_mm3: Option<f64>,
    pub edited_mm3: Option<f64>,
    pub dice: Option<f64>,
    /// Outlines of all slices, each within its slice.
    pub contour_dice: Option<f64>,
    /// The surface through all slices; `None` where there is one slice alone.
    pub surface_dice: Option<f64>,
    pub hausdorff95_mm: Option<f64>,
    pub added_path_pixels: usize,
    pub added_path_mm: f64,
    /// Pixels of the edited outline: what the added ones are a share of.
    pub edited_path_pixels: usize,
}

/// One slice.
#[derive(Debug, Clone, serde::Serialize)]
pub struct SliceComparison {
    #[serde(flatten)]
    pub info: SliceInfo,
    pub ours_mm2: f64,
    pub edited_mm2: f64,
    pub dice: Option<f64>,
    pub contour_dice: Option<f64>,
    /// Between the outlines, within the slice.
    pub hausdorff95_mm: Option<f64>,
    pub added_path_pixels: usize,
    pub added_path_mm: f64,
    pub edited_path_pixels: usize,
}

/// Compares the `edited` region with `ours`, masks [k, j, i] in the storage order of `reference`;
/// not 0 is inside.
///
/// # Errors
/// [`Error::Argument`] where a mask does not lie on the reference's grid or the tolerance is
/// negative or not finite.
pub fn compare(
    ours: ArrayView3<u8>,
    edited: ArrayView3<u8>,
    reference: &Volume,
    tolerance_mm: f64,
) -> Result<Comparison> {
    let grid = reference.grid();
    for (what, mask) in [("our", &ours), ("the edited", &edited)] {
        if mask.dim() != grid.shape() {
            return Err(Error::Argument(format!(
                "{what} mask has the shape {:?} [k, j, i], but the reference has {:?}; give both on the reference's own grid",
                mask.dim(),
                grid.shape()
            )));
        }
    }
    if !(tolerance_mm >= 0.0 && tolerance_mm.is_finite()) {
        return Err(Error::Argument(format!(
            "the tolerance is {tolerance_mm} mm, but a finite number of at least 0 was expected"
        )));
    }
    let nk = grid.size()[2];
    // Most of an image is neither; what is around both does not matter, as beyond a mask is
    // outside.
    let [rows, columns] = drawn(&[ours, edited]).unwrap_or([0..1, 0..1]);
    let cropped = crop(grid, &rows, &columns)?;
    let (ours, edited) =
        (ours.slice(s![.., rows.clone(), columns.clone()]), edited.slice(s![.., rows, columns]));
    let grid = &cropped;
    let slices: Vec<Slice> = slice_infos(reference)
        .into_par_iter()
        .map(|(k, info)| {
            Slice::new(
                k,
                info,
                ours.index_axis(Axis(0), k),
                edited.index_axis(Axis(0), k),
                grid,
                tolerance_mm,
            )
        })
        .filter(|s| s.ours + s.edited > 0)
        .collect();
    let hulls = surface::hull(ours, grid).zip(surface::hull(edited, grid));
    let surfaces = hulls.map(|(a, b)| surface::agreement(&a, &b, tolerance_mm));
    // Slices of uneven distance weigh by their thickness; one slice alone has none.
    let weight = |s: &Slice| if nk == 1 { 1.0 } else { grid.voxel_mm3(s.k) };
    let total = |count: fn(&Slice) -> usize| {
        slices.iter().map(|s| count(s) as f64 * weight(s)).sum::<f64>()
    };
    let (ours, edited, both) = (total(|s| s.ours), total(|s| s.edited), total(|s| s.both));
    let length = |of: fn(&Agreement) -> f64| slices.iter().map(|s| of(&s.lines)).sum::<f64>();
    let lines = Agreement {
        total: length(|l| l.total),
        within: length(|l| l.within),
        hausdorff95_mm: None,
    };
    let (added, path) = (slices.iter().map(|s| s.added).sum(), slices.iter().map(|s| s.path).sum());
    let pooled = Pooled {
        ours_mm3: (nk > 1).then_some(ours),
        edited_mm3: (nk > 1).then_some(edited),
        dice: (ours + edited > 0.0).then(|| 2.0 * both / (ours + edited)),
        contour_dice: lines.dice(),
        surface_dice: surfaces.and_then(|s| s.dice()),
        hausdorff95_mm: surfaces.and_then(|s| s.hausdorff95_mm),
        added_path_pixels: added,
        added_path_mm: path_mm(added, grid),
        edited_path_pixels: path,
    };
    Ok(Comparison {
        tolerance_mm,
        pooled,
        slices: slices.into_iter().map(|s| s.told(grid)).collect(),
    })
}

/// Rows and columns on which any of the masks has a voxel; `None` where none has.
fn drawn(masks: &[ArrayView3<u8>]) -> Option<[Range<usize>; 2]> {
    let planes = masks.iter().flat_map(|m| m.outer_iter()).collect::<Vec<_>>();
    let of_plane = |plane: &ArrayView2<u8>| {
        let mut found: Option<[Range<usize>; 2]> = None;
        for (j, row) in plane.outer_iter().enumerate() {
            let set = |i: &usize| row[*i] != 0;
            let Some(first) = (0..row.len()).find(set) else { continue };
            let last = (first..row.len()).rev().find(set).unwrap_or(first);
            found = Some(join(found, [j..j + 1, first..last + 1]));
        }
        found
    };
    planes.par_iter().filter_map(of_plane).reduce_with(|a, b| join(Some(a), b))
}

fn join(a: Option<[Range<usize>; 2]>, b: [Range<usize>; 2]) -> [Range<usize>; 2] {
    let Some(a) = a else { return b };
    [0, 1].map(|n| a[n].start.min(b[n].start)..a[n].end.max(b[n].end))
}

/// The grid of these rows and columns alone.
fn crop(grid: &Grid, rows: &Range<usize>, columns: &Range<usize>) -> Result<Grid> {
    let nk = grid.size()[2];
    let origins = (0..nk).map(|k| grid.point(columns.start as f64, rows.start as f64, k)).collect();
    Grid::new([columns.len(), rows.len(), nk], grid.axis_i(), grid.axis_j(), origins)
}

/// The counts of one slice.
struct Slice {
    k: usize,
    info: SliceInfo,
    /// Pixels inside ours, inside the edited region, inside both.
    ours: usize,
    edited: usize,
    both: usize,
    lines: Agreement,
    /// Pixels of the edited outline, and those of them that are not on ours.
    path: usize,
    added: usize,
}

impl Slice {
    fn new(
        k: usize,
        info: SliceInfo,
        ours: ArrayView2<u8>,
        edited: ArrayView2<u8>,
        grid: &Grid,
        tolerance: f64,
    ) -> Self {
        let inside = |mask: &ArrayView2<u8>| mask.iter().filter(|v| **v != 0).count();
        let (old, new) = (border(ours), border(edited));
        Slice {
            k,
            info,
            ours: inside(&ours),
            edited: inside(&edited),
            both: ours.iter().zip(&edited).filter(|(a, b)| **a != 0 && **b != 0).count(),
            lines: surface::agreement(
                &surface::outline(ours, grid),
                &surface::outline(edited, grid),
                tolerance,
            ),
            path: new.iter().filter(|p| **p).count(),
            added: new.iter().zip(&old).filter(|(new, old)| **new && !**old).count(),
        }
    }

    fn told(self, grid: &Grid) -> SliceComparison {
        SliceComparison {
            info: self.info,
            ours_mm2: self.ours as f64 * grid.pixel_mm2(),
            edited_mm2: self.edited as f64 * grid.pixel_mm2(),
            dice: Some(2.0 * self.both as f64 / (self.ours + self.edited) as f64),
            contour_dice: self.lines.dice(),
            hausdorff95_mm: self.lines.hausdorff95_mm,
            added_path_pixels: self.added,
            added_path_mm: path_mm(self.added, grid),
            edited_path_pixels: self.path,
        }
    }
}

fn path_mm(pixels: usize, grid: &Grid) -> f64 {
    pixels as f64 * grid.pixel_mm2().sqrt()
}

/// The pixels inside that have a neighbour outside, across an edge; beyond the image is outside.
fn border(mask: ArrayView2<u8>) -> Array2<bool> {
    let inside = |j: usize, i: usize| mask.get([j, i]).is_some_and(|v| *v != 0);
    Array2::from_shape_fn(mask.dim(), |(j, i)| {
        let around = [(j.wrapping_sub(1), i), (j + 1, i), (j, i.wrapping_sub(1)), (j, i + 1)];
        inside(j, i) && !around.into_iter().all(|(j, i)| inside(j, i))
    })
}

/// Every slice of a volume by its storage index and as listings name it, from inferior to superior
/// where slices are axial, else in storage order with their position along the normal.
fn slice_infos(reference: &Volume) -> Vec<(usize, SliceInfo)> {
    let grid = reference.grid();
    let nk = grid.size()[2];
    let axial = Orientation::of(grid).ok().filter(Orientation::slices_are_axial);
    let info = |slice: usize| {
        let k = axial.map_or(slice, |o| o.storage_slice(slice, nk));
        let centre = grid.slice_centre(k);
        let position_mm = if axial.is_some() { centre[2] } else { dot(centre, grid.normal()) };
        (k, SliceInfo::new(reference, slice, Some(k), position_mm))
    };
    (0..nk).map(info).collect()
}

#[cfg(test)]
mod tests {
    use ndarray::Array3;

    use super::*;
    use crate::volume::Source;

    fn volume(size: [usize; 3], mm: f64, heights: &[f64]) -> Volume {
        let origins = heights.iter().map(|z| [0.0, 0.0, *z]).collect();
        let grid = Grid::new(size, [mm, 0.0, 0.0], [0.0, mm, 0.0], origins).unwrap();
        Volume::new(Array3::zeros(grid.shape()), grid, Source::Memory, "test").unwrap()
    }

    fn boxed(
        reference: &Volume,
        [i0, i1]: [usize; 2],
        [j0, j1]: [usize; 2],
        slices: &[usize],
    ) -> Array3<u8> {
        Array3::from_shape_fn(reference.grid().shape(), |(k, j, i)| {
            u8::from(slices.contains(&k) && (i0..i1).contains(&i) && (j0..j1).contains(&j))
        })
    }

    #[test]
    fn nothing_edited_is_full_agreement() {
        let reference = volume([20, 20, 4], 0.5, &[0.0, 4.0, 8.0, 12.0]);
        let mask = boxed(&reference, [3, 12], [4, 9], &[1, 2]);
        let same = compare(mask.view(), mask.view(), &reference, 0.0).unwrap();
        let p = &same.pooled;
        assert_eq!(
            (p.dice, p.contour_dice, p.surface_dice, p.hausdorff95_mm),
            (Some(1.0), Some(1.0), Some(1.0), Some(0.0))
        );
        assert_eq!(
            (p.added_path_pixels, p.added_path_mm, p.edited_path_pixels),
            (0, 0.0, 2 * (2 * 9 + 2 * 3))
        );
        assert_eq!((p.ours_mm3, p.edited_mm3), (Some(90.0 * 0.25 * 4.0), Some(90.0 * 0.25 * 4.0)));
        assert_eq!(same.slices.iter().map(|s| s.info.slice).collect::<Vec<_>>(), [1, 2]);
    }

    #[test]
    fn a_moved_side_is_the_path_that_was_added() {
        let reference = volume([20, 20, 2], 2.0, &[0.0, 5.0]);
        let ours = boxed(&reference, [3, 12], [4, 9], &[0]);
        let edited = boxed(&reference, [3, 14], [4, 9], &[0]);
        let found = compare(ours.view(), edited.view(), &reference, 2.0).unwrap();
        let slice = &found.slices[0];
        // The new side has 5 pixels, and the lines above and below reach it over one more each.
        assert_eq!(
            (slice.added_path_pixels, slice.added_path_mm, slice.edited_path_pixels),
            (5 + 2, 14.0, 2 * 11 + 2 * 3)
        );
        assert_eq!(slice.dice, Some(2.0 * 45.0 / 100.0));
        assert_eq!((slice.ours_mm2, slice.edited_mm2), (180.0, 220.0));
        assert_eq!(slice.hausdorff95_mm, Some(4.0));
    }

    #[test]
    fn what_one_has_alone_is_told_and_nothing_is_no_agreement() {
        let reference = volume([9, 9, 3], 1.0, &[0.0, 3.0, 6.0]);
        let (empty, mask) = (Array3::zeros((3, 9, 9)), boxed(&reference, [2, 5], [2, 5], &[2]));
        let removed = compare(mask.view(), empty.view(), &reference, 2.0).unwrap();
        let p = &removed.pooled;
        assert_eq!(
            (p.dice, p.contour_dice, p.surface_dice, p.hausdorff95_mm),
            (Some(0.0), Some(0.0), Some(0.0), None)
        );
        assert_eq!((p.added_path_pixels, removed.slices.len()), (0, 1));
        let drawn = compare(empty.view(), mask.view(), &reference, 2.0).unwrap();
        assert_eq!((drawn.pooled.added_path_pixels, drawn.pooled.edited_path_pixels), (8, 8));
        let none = compare(empty.view(), empty.view(), &reference, 2.0).unwrap();
        assert!(
            none.pooled.dice.is_none()
                && none.pooled.surface_dice.is_none()
                && none.slices.is_empty()
        );
        let small = Array3::zeros((3, 9, 8));
        assert!(
            compare(small.view(), mask.view(), &reference, 2.0)
                .unwrap_err()
                .to_string()
                .contains("our mask has the shape (3, 9, 8)")
        );
        assert!(compare(mask.view(), mask.view(), &reference, -1.0).is_err());
    }

    #[test]
    fn thick_slices_weigh_more_and_one_slice_has_no_volume() {
        let reference = volume([9, 9, 3], 1.0, &[0.0, 2.0, 12.0]);
        let ours = boxed(&reference, [2, 6], [2, 6], &[0, 2]);
        let edited = boxed(&reference, [2, 6], [2, 6], &[2]);
        // 2 mm of slice 0 against 10 mm of slice 2.
        assert_eq!(
            compare(ours.view(), edited.view(), &reference, 2.0).unwrap().pooled.dice,
            Some(20.0 / 22.0)
        );
        let reference = volume([9, 9, 1], 1.0, &[0.0]);
        let (a, b) =
            (boxed(&reference, [2, 6], [2, 6], &[0]), boxed(&reference, [2, 6], [2, 4], &[0]));
        let p = compare(a.view(), b.view(), &reference, 2.0).unwrap().pooled;
        assert!(p.ours_mm3.is_none() && p.surface_dice.is_none() && p.contour_dice.is_some());
        assert_eq!(p.dice, Some(2.0 * 8.0 / 24.0));
    }
}
