//! RT Structure Sets: writing contours, reading what other software wrote or a person edited.

mod header;
mod mask;
mod object;
mod plane;
mod read;
mod rings;
mod text;
mod write;

pub use crate::provenance::{DEMO_NAME, DEMO_WARNING};
pub use mask::PLANE_TOLERANCE_MM;
pub use read::{Region, RegionMask, SliceBy, StructureSet};
pub use rings::HoleMode;
pub use write::LONGEST_LABEL;
pub use write::{RtStructOptions, build_rtstruct, write_rtstruct};
