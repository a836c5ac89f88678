//! The patient's three MR sequences.
//!
//! In: DICOM, NIfTI or NRRD paths, or a caller's buffers, each sequence on its own grid. Out: [`Volume`]s, aligned on T1C's grid.

pub mod grid;
pub mod volume;
pub mod read;
pub mod dicom;
pub mod nifti;
pub mod nrrd;
mod samples;

pub use grid::{Grid, Point};
pub use read::{ReadOptions, read};
pub use volume::{DicomSeries, DicomSlice, Sequence, Source, Volume};
