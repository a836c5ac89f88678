//! Results as files.
//!
//! In: a study and what was found on it. Out: RT Structure Set, NIfTI, preview, run record; each
//! appears whole or not at all.

pub mod nifti;
pub mod preview;
pub mod record;
pub mod rtstruct;
mod text;
mod write;

pub use rtstruct::{HoleMode, RtStructOptions, build_rtstruct, write_rtstruct};
pub use write::{rename_into_place, write_atomically};
