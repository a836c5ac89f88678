//! File formats: reading beside writing.
//!
//! DICOM series, NIfTI-1 and NRRD become a [`crate::Volume`]; masks, probabilities and contours
//! become NIfTI-1 files and RT Structure Sets. Every file that is written appears whole or not at
//! all ([`write`]).

pub mod dicom;
pub mod json;
pub mod nifti;
pub mod nrrd;
pub mod read;
pub mod rtstruct;
pub(crate) mod samples;
pub mod write;

pub use read::{ReadOptions, read};
pub use write::{rename_into_place, write_atomically};
