//! Grids, orientation, resampling, and closed rings on slices.
//!
//! Patient axes are LPS, millimetres. Arrays are [k, j, i]; the voxel index (i, j, k) maps to the
//! voxel's centre.

pub mod contours;
pub mod grid;
pub(crate) mod interpolate;
pub mod keyhole;
pub mod locator;
pub mod nearness;
pub mod orientation;
pub mod raster;
mod region;
pub mod resample;
pub mod reslice;
pub(crate) mod ring;
pub mod transfer;
mod view;

pub use contours::{Contour, ContourKind, Contours};
pub use grid::{Grid, Point};
pub use locator::{EvenLocator, Locator};
pub use orientation::Orientation;
pub use region::region_mm3;
pub use reslice::{Reslice, ResliceSummary, Resliced};
pub use view::VoxelView;
