//! One patient stored in every way: all 48 permutations and flips of the axes, straight, oblique
//! and double-oblique, as NIfTI, NRRD, DICOM and memory views. The result lies in the same place of
//! the patient.
//!
//! Everything runs through the C ABI with the micro bundle. DICOM series are written by pydicom and
//! structure sets are read back by plastimatch, where NASOSEG_TEST_PYTHON names an interpreter that
//! has them.

#[path = "../common/mod.rs"]
mod common;

mod abi;
mod dicom;
mod files;
mod foreign;
mod layouts;
mod outcome;
mod reslice;
