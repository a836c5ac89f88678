//! One patient in every storage layout: all 48 permutations and flips of the axes, straight,
//! oblique and double-oblique, as NIfTI, NRRD, DICOM and memory views. The result has the same
//! position in the patient.
//!
//! Everything runs through the C ABI with the micro bundle. DICOM series are written by pydicom and
//! structure sets are read by plastimatch, if NASOSEG_TEST_PYTHON names an interpreter with both.

#[path = "../common/mod.rs"]
mod common;

mod abi;
mod dicom;
mod files;
mod foreign;
mod layouts;
mod outcome;
mod reslice;
