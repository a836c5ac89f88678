//! RT Structure Sets: writing contours, and reading structure sets of any system.

mod decimal;
mod element;
mod label;
mod mask;
mod modules;
mod object;
mod options;
mod patient_study;
mod plane;
mod read;
mod rings;
mod write;

pub use crate::provenance::{DEMO_NAME, DEMO_WARNING};
pub use mask::PLANE_TOLERANCE_MM;
pub use options::{LONGEST_LABEL, RtStructOptions};
pub use read::{Roi, RoiMask, SliceBy, StructureSet};
pub use rings::HoleMode;
pub use write::{build_rtstruct, write_rtstruct};
