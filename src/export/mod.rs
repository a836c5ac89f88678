//! Results as files.
//!
//! In: a study and what was found on it. Out: RT Structure Set, NIfTI, preview, run record; each written beside its target and renamed.

pub mod nifti;
pub mod preview;
pub mod record;
mod text;
pub mod write;
