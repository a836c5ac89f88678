//! The counts of one slice of two masks, and the measures that follow from them.

use ndarray::{Array2, ArrayView2};

use super::surface::{self, Agreement};
use super::{SliceComparison, dice};
use crate::geometry::grid::{Grid, dot};
use crate::geometry::orientation::Orientation;
use crate::study::SliceInfo;
use crate::volume::Volume;

/// The counts of one slice.
pub(super) struct Slice {
    pub k: usize,
    pub info: SliceInfo,
    /// Pixels inside the automatic region, inside the edited one, inside both.
    pub automatic: usize,
    pub edited: usize,
    pub both: usize,
    pub boundary: Agreement,
    /// Pixels of the edited contour, and those of them that are not on the automatic one.
    pub path: usize,
    pub added: usize,
}

impl Slice {
    pub fn new(
        k: usize,
        info: SliceInfo,
        automatic: ArrayView2<u8>,
        edited: ArrayView2<u8>,
        grid: &Grid,
        tolerance: f64,
    ) -> Self {
        let inside = |mask: &ArrayView2<u8>| mask.iter().filter(|v| **v != 0).count();
        let (old, new) = (contour_pixels(automatic), contour_pixels(edited));
        Slice {
            k,
            info,
            automatic: inside(&automatic),
            edited: inside(&edited),
            both: automatic.iter().zip(&edited).filter(|(a, b)| **a != 0 && **b != 0).count(),
            boundary: surface::agreement(
                &surface::boundary(automatic, grid),
                &surface::boundary(edited, grid),
                tolerance,
            ),
            path: new.iter().filter(|p| **p).count(),
            added: new.iter().zip(&old).filter(|(new, old)| **new && !**old).count(),
        }
    }

    pub fn into_comparison(self, grid: &Grid) -> SliceComparison {
        SliceComparison {
            info: self.info,
            ours_mm2: self.automatic as f64 * grid.pixel_mm2(),
            edited_mm2: self.edited as f64 * grid.pixel_mm2(),
            dice: dice(self.automatic as f64, self.edited as f64, self.both as f64),
            contour_dice: self.boundary.dice(),
            hausdorff95_mm: self.boundary.hausdorff95_mm,
            added_path_pixels: self.added,
            added_path_mm: path_mm(self.added, grid),
            edited_path_pixels: self.path,
        }
    }
}

/// Length in mm of a number of contour pixels.
pub(super) fn path_mm(pixels: usize, grid: &Grid) -> f64 {
    pixels as f64 * grid.pixel_mm2().sqrt()
}

/// The pixels inside that have a neighbour outside, across an edge; beyond the image is outside.
fn contour_pixels(mask: ArrayView2<u8>) -> Array2<bool> {
    let inside = |j: usize, i: usize| mask.get([j, i]).is_some_and(|v| *v != 0);
    Array2::from_shape_fn(mask.dim(), |(j, i)| {
        let around = [(j.wrapping_sub(1), i), (j + 1, i), (j, i.wrapping_sub(1)), (j, i + 1)];
        inside(j, i) && !around.into_iter().all(|(j, i)| inside(j, i))
    })
}

/// Every slice of a volume by its storage index and as listings name it: from inferior to superior
/// if slices are axial, else in storage order with their position along the normal.
pub(super) fn slice_infos(reference: &Volume) -> Vec<(usize, SliceInfo)> {
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
