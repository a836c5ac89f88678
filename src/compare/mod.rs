//! Measures of what a person changed: an edited region against the automatic one.
//!
//! In: two masks on a reference's grid. Out: [`Comparison`]: overlap, distance between contours,
//! and how much contour was redrawn, slice by slice and pooled.
//!
//! All measures are of masks, so that regions of any origin are measured alike:
//! - **Dice**: twice the common volume over the sum of both.
//! - **Contour Dice** and **surface Dice** at a tolerance: the part of both contours (of both
//!   surfaces) that lies no farther than the tolerance from the other. The contour Dice measures
//!   each slice's contour within its own plane, where it was drawn; the surface Dice (Nikolov et
//!   al. 2021) measures the surface through all slices.
//! - **Hausdorff 95**: the distance that 95 % of a contour (surface) does not exceed, the larger
//!   of both directions.
//! - **Added path length** (Vaassen et al., Evaluation of measures for assessing time-saving of
//!   automatic organ-at-risk segmentation in radiotherapy, Phys Imaging Radiat Oncol 2020;13:1-6):
//!   pixels of the edited contour that are not on the automatic one, counted slice by slice,
//!   without a tolerance. In millimetres: times the pixel's size (the square root of its area). A
//!   contour's pixels are those inside with a neighbour outside, across an edge.
//!
//! Fields and keys call the automatic region `ours`.

mod slice;
mod surface;

use std::ops::Range;

use ndarray::{ArrayView2, ArrayView3, Axis, s};
use rayon::prelude::*;

use crate::error::{Error, Result};
use crate::geometry::Grid;
use crate::study::SliceInfo;
use crate::volume::Volume;
use slice::{Slice, path_mm, slice_infos};
use surface::Agreement;

/// Default tolerance, mm: contours this close count as the same. It lies within the differences
/// between experts who draw a tumour.
pub const DEFAULT_TOLERANCE_MM: f64 = 2.0;

/// How an edited region differs from the automatic one.
#[derive(Debug, Clone, serde::Serialize)]
pub struct Comparison {
    /// Contours this close (mm) count as the same in contour Dice and surface Dice.
    pub tolerance_mm: f64,
    /// All slices together.
    pub pooled: Pooled,
    /// The slices on which either region has a voxel, from inferior to superior.
    pub slices: Vec<SliceComparison>,
}

/// All slices together. `None` (null) if a measure has no value: neither region has a voxel, or the
/// distance is to nothing.
#[derive(Debug, Clone, serde::Serialize)]
pub struct Pooled {
    /// Volume of the automatic region, mm3; `None` for a single slice, which has no thickness.
    pub ours_mm3: Option<f64>,
    /// Volume of the edited region, mm3; `None` for a single slice.
    pub edited_mm3: Option<f64>,
    /// Twice the common volume over the sum of both.
    pub dice: Option<f64>,
    /// Of the contours of all slices, each within its slice.
    pub contour_dice: Option<f64>,
    /// Of the surface through all slices; `None` for a single slice.
    pub surface_dice: Option<f64>,
    /// Between the surfaces, mm.
    pub hausdorff95_mm: Option<f64>,
    /// Pixels of the edited contour that are not on the automatic one.
    pub added_path_pixels: usize,
    /// The same, mm.
    pub added_path_mm: f64,
    /// All pixels of the edited contour.
    pub edited_path_pixels: usize,
}

/// One slice.
#[derive(Debug, Clone, serde::Serialize)]
pub struct SliceComparison {
    /// How listings name the slice.
    #[serde(flatten)]
    pub info: SliceInfo,
    /// Area of the automatic region, mm2.
    pub ours_mm2: f64,
    /// Area of the edited region, mm2.
    pub edited_mm2: f64,
    /// Twice the common area over the sum of both.
    pub dice: Option<f64>,
    /// Of the contours, within the slice.
    pub contour_dice: Option<f64>,
    /// Between the contours, within the slice, mm.
    pub hausdorff95_mm: Option<f64>,
    /// Pixels of the edited contour that are not on the automatic one.
    pub added_path_pixels: usize,
    /// The same, mm.
    pub added_path_mm: f64,
    /// All pixels of the edited contour.
    pub edited_path_pixels: usize,
}

/// Twice the common size over the sum of both; `None` if both are empty.
pub fn dice(a: f64, b: f64, both: f64) -> Option<f64> {
    (a + b > 0.0).then(|| 2.0 * both / (a + b))
}

/// The Dice of two masks [k, j, i] by their voxels; not 0 is inside. `None` if both are empty.
pub fn mask_dice(a: ArrayView3<u8>, b: ArrayView3<u8>) -> Option<f64> {
    let (mut size_a, mut size_b, mut both) = (0usize, 0usize, 0usize);
    for (a, b) in a.iter().zip(b) {
        size_a += usize::from(*a != 0);
        size_b += usize::from(*b != 0);
        both += usize::from(*a != 0 && *b != 0);
    }
    dice(size_a as f64, size_b as f64, both as f64)
}

/// Compares the `edited` region with the `automatic` one, masks [k, j, i] in the storage order of
/// `reference`; not 0 is inside.
///
/// # Errors
/// [`Error::Argument`] if a mask does not lie on the reference's grid, or if the tolerance is
/// negative or not finite.
pub fn compare(
    automatic: ArrayView3<u8>,
    edited: ArrayView3<u8>,
    reference: &Volume,
    tolerance_mm: f64,
) -> Result<Comparison> {
    let grid = reference.grid();
    check(automatic, edited, grid, tolerance_mm)?;
    // Most of an image is in neither region, and beyond a mask is outside: nothing is lost.
    let [rows, columns] = drawn(&[automatic, edited]).unwrap_or([0..1, 0..1]);
    let cropped = crop(grid, &rows, &columns)?;
    let automatic = automatic.slice(s![.., rows.clone(), columns.clone()]);
    let edited = edited.slice(s![.., rows, columns]);
    let grid = &cropped;
    let slices: Vec<Slice> = slice_infos(reference)
        .into_par_iter()
        .map(|(k, info)| {
            Slice::new(
                k,
                info,
                automatic.index_axis(Axis(0), k),
                edited.index_axis(Axis(0), k),
                grid,
                tolerance_mm,
            )
        })
        .filter(|s| s.automatic + s.edited > 0)
        .collect();
    let hulls = surface::hull(automatic, grid).zip(surface::hull(edited, grid));
    let surfaces = hulls.map(|(a, b)| surface::agreement(&a, &b, tolerance_mm));
    let pooled = pool(&slices, surfaces, grid);
    Ok(Comparison {
        tolerance_mm,
        pooled,
        slices: slices.into_iter().map(|s| s.into_comparison(grid)).collect(),
    })
}

/// Checks the arguments of [`compare`].
fn check(
    automatic: ArrayView3<u8>,
    edited: ArrayView3<u8>,
    grid: &Grid,
    tolerance_mm: f64,
) -> Result<()> {
    for (what, mask) in [("automatic", &automatic), ("edited", &edited)] {
        if mask.dim() != grid.shape() {
            return Err(Error::Argument(format!(
                "the {what} mask has the shape {:?} [k, j, i], expected the reference's {:?}. \
                 Give both on the reference's own grid",
                mask.dim(),
                grid.shape()
            )));
        }
    }
    if !(tolerance_mm >= 0.0 && tolerance_mm.is_finite()) {
        return Err(Error::Argument(format!(
            "the tolerance is {tolerance_mm} mm, expected a finite number of at least 0. Pass 0 \
             to count only equal contours as the same"
        )));
    }
    Ok(())
}

/// Pools the `slices` of `grid`; `surfaces` is the agreement of the surfaces through all of them.
fn pool(slices: &[Slice], surfaces: Option<Agreement>, grid: &Grid) -> Pooled {
    let several = grid.size()[2] > 1;
    // Slices of uneven distance weigh by their thickness; one slice alone has none.
    let weight = |s: &Slice| if several { grid.voxel_mm3(s.k) } else { 1.0 };
    let total = |count: fn(&Slice) -> usize| {
        slices.iter().map(|s| count(s) as f64 * weight(s)).sum::<f64>()
    };
    let (automatic, edited) = (total(|s| s.automatic), total(|s| s.edited));
    let length = |of: fn(&Agreement) -> f64| slices.iter().map(|s| of(&s.boundary)).sum::<f64>();
    let boundary = Agreement {
        total: length(|l| l.total),
        within: length(|l| l.within),
        hausdorff95_mm: None,
    };
    let (added, path) = (slices.iter().map(|s| s.added).sum(), slices.iter().map(|s| s.path).sum());
    Pooled {
        ours_mm3: several.then_some(automatic),
        edited_mm3: several.then_some(edited),
        dice: dice(automatic, edited, total(|s| s.both)),
        contour_dice: boundary.dice(),
        surface_dice: surfaces.and_then(|s| s.dice()),
        hausdorff95_mm: surfaces.and_then(|s| s.hausdorff95_mm),
        added_path_pixels: added,
        added_path_mm: path_mm(added, grid),
        edited_path_pixels: path,
    }
}

/// Rows and columns on which any of the masks has a voxel; `None` if none has.
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
    fn a_region_without_a_counterpart_is_counted_and_two_empty_ones_have_no_value() {
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
        assert_eq!(mask_dice(mask.view(), mask.view()), Some(1.0));
        assert_eq!(mask_dice(mask.view(), empty.view()), Some(0.0));
        assert_eq!(mask_dice(empty.view(), empty.view()), None);
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
                .contains("the automatic mask has the shape (3, 9, 8)")
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
