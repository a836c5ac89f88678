//! Contours of a region, slice by slice.
//!
//! In: a probability volume and its threshold, or a mask, on the reference grid. Out: [`Contours`]:
//! simple closed rings in slice planes, each an outer ring or a hole, as continuous voxel indices
//! and as patient millimetres (LPS).
//!
//! There are two kinds ([`ContourKind`]):
//! - **Level** ([`contours_of_level`]): the probability's level at the threshold, interpolated
//!   between voxel centres.
//! - **Voxel** ([`contours_of_mask`]): the edges of the mask's voxels (half-integer indices).
//!
//! Both guarantee, whatever the input:
//! - a voxel's centre lies inside the rings (even-odd rule) if and only if the mask is set, and no
//!   ring passes through a voxel's centre;
//! - rings are simple: none crosses or touches itself, none crosses another (two may touch in a
//!   corner, Voxel only);
//! - in the index plane with i to the right and j **upwards**, outer rings run counter-clockwise
//!   and holes clockwise: the region always lies to the left (on a screen, where j grows downwards,
//!   an outer ring appears to run clockwise);
//! - a hole's parent is the outer ring around it; an island inside a hole is another outer ring.

mod level;
mod patch;
mod region;
#[cfg(test)]
mod simplify_tests;
#[cfg(test)]
mod testing;
mod voxel;

pub use level::contours_of_level;
pub use region::{RegionContours, RegionOptions};
pub use voxel::contours_of_mask;

use crate::error::{Error, Result};
pub use crate::geometry::contours::{Contour, ContourKind, Contours};
use crate::geometry::grid::Grid;
pub use crate::geometry::keyhole::keyhole;
pub(crate) use crate::geometry::ring::Ring;
use crate::run::{Run, Stage};
use crate::segment::Segmentation;
use crate::study::Study;

/// How contours are made.
#[derive(Debug, Clone, Copy, Default)]
#[non_exhaustive]
pub struct ContourOptions {
    /// What contours follow: the probability's level, or voxel edges.
    pub kind: ContourKind,
}

impl ContourOptions {
    /// Makes contours of this kind.
    #[must_use]
    pub fn with_kind(mut self, kind: ContourKind) -> Self {
        self.kind = kind;
        self
    }
}

/// Makes the contours of a segmentation: on T1C's own slices if these are axial or T1C was resliced
/// (for DICOM, at least one of the two is true), else on its canonical axial slices.
///
/// # Errors
/// [`crate::Error::Cancelled`].
pub fn contour(
    study: &Study,
    segmentation: &Segmentation,
    options: &ContourOptions,
    run: &Run<'_>,
) -> Result<Contours> {
    run.tick(Stage::Contour, 0, 1)?;
    let orientation = study.orientation();
    // The orientation of a resliced T1C is canonical, so axial: its result lies on T1C's own grid.
    let axial = orientation.slices_are_axial();
    let grid = if axial { study.reference().grid() } else { study.grid() };
    let contours = match options.kind {
        ContourKind::Level => {
            let p = segmentation.probability.view();
            contours_of_level(
                if axial { p } else { orientation.canonical(p) },
                grid,
                segmentation.threshold,
                None,
            )?
        }
        ContourKind::Voxel => {
            let m = segmentation.mask.view();
            contours_of_mask(if axial { m } else { orientation.canonical(m) }, grid)?
        }
    };
    run.tick(Stage::Contour, 1, 1)?;
    Ok(contours.of_model(segmentation.provenance.clone(), segmentation.edited))
}

/// Refuses an array that does not lie on the grid.
fn check_shape(what: &str, shape: (usize, usize, usize), grid: &Grid) -> Result<()> {
    if shape == grid.shape() {
        return Ok(());
    }
    Err(Error::Argument(format!(
        "the {what} has the shape {shape:?} [k, j, i], expected the grid's {:?}. Give the {what} \
         on the reference's own grid",
        grid.shape()
    )))
}
