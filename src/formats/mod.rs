//! File formats: reading beside writing.
//!
//! DICOM series, NIfTI-1 and NRRD become a [`crate::Volume`]; masks, probabilities and contours
//! become NIfTI-1 files and RT Structure Sets. A file is written completely or not at all
//! ([`mod@write`]).

pub mod dicom;
pub mod json;
pub mod nifti;
pub mod nrrd;
pub(crate) mod ras;
pub mod read;
pub mod rtstruct;
pub(crate) mod samples;
pub mod write;

pub use read::{ReadOptions, read};
pub use write::{rename_into_place, write_atomically};

/// The formats of images that are read, for messages.
pub(crate) const FORMATS: &str = "DICOM, NIfTI-1 (.nii, .nii.gz) or NRRD (.nrrd, .nhdr)";
