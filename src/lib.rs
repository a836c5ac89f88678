//! nasoseg finds and contours head-and-neck tumours in MR inside the caller's own process.
//!
//! ```text
//! T1, T1C, T2 (DICOM folder | NIfTI | NRRD | memory, each on its own grid)
//!   -> study     volumes with affines; T1 and T2 resampled onto T1C's grid; canonical slices;
//!                channels normalised; the model's square grid
//!   -> detect    one box and one trajectory per slice, by the Q-learning agent; editable
//!   -> segment   RANet inside the enlarged box: probability and mask on T1C's own grid
//!   -> contour   closed contours with holes, LPS mm, on the slice planes
//!   -> outputs   RT Structure Set, NIfTI, preview, run record
//! ```
//!
//! The same in Rust:
//!
//! ```no_run
//! use std::path::{Path, PathBuf};
//! use std::sync::Arc;
//!
//! use nasoseg::formats::rtstruct::{RtStructOptions, write_rtstruct};
//! use nasoseg::{
//!     ContourOptions, DetectOptions, Engine, EngineOptions, ReadOptions, Run, Study, StudyOptions,
//!     contour, read,
//! };
//!
//! # fn main() -> nasoseg::Result<()> {
//! let run = Run::default(); // progress and cancel
//! let engine = Engine::open(Path::new("models/demo"), &EngineOptions::default(), &run)?;
//!
//! let load = |path: &str| read(&[PathBuf::from(path)], &ReadOptions::default()).map(Arc::new);
//! let volumes = [load("patient/T1")?, load("patient/T1C")?, load("patient/T2")?];
//! let study = Study::new(volumes, &StudyOptions::default(), &run)?;
//!
//! let detection = engine.detect(&study, &DetectOptions::default(), &run)?;
//! let segmentation = engine.segment(&study, &detection, &run)?;
//! let contours = contour(&study, &segmentation, &ContourOptions::default(), &run)?;
//!
//! let options = RtStructOptions::default();
//! write_rtstruct(Path::new("rtstruct.dcm"), &contours, study.reference(), &options)?;
//! # Ok(())
//! # }
//! ```
//!
//! Each stage is a module that imports only from the modules below it. [`engine`] runs the stages;
//! [`bundle`] holds everything that a trained model depends on; [`runtime`] finds ONNX Runtime and
//! runs the graphs; [`formats`] reads and writes files; [`geometry`] knows grids and rings;
//! [`compare`] measures how far an edited structure set lies from the automatic one; [`golden`]
//! proves that an installation reproduces its model. `ffi` is the C
//! interface: its documentation is `include/nasoseg.h`.
//!
//! Patient coordinates are LPS, millimetres. Arrays are [k, j, i]. Boxes are pixel edges on the
//! model's grid: pixel n reaches from n to n + 1 and its centre is n + 0.5.
//!
//! A model whose [`Provenance`] says `demo` is a demonstration and must not be used on patients.
//! nasoseg is not a medical device.

pub mod bundle;
pub mod compare;
pub mod contour;
pub mod detect;
pub mod engine;
pub mod error;
#[doc(hidden)]
pub mod fault;
// Its documentation is include/nasoseg.h.
#[doc(hidden)]
pub mod ffi;
pub mod formats;
pub mod geometry;
pub mod golden;
mod hash;
mod memory;
pub mod outputs;
pub mod provenance;
pub mod run;
pub mod runtime;
pub mod segment;
pub mod sequence;
pub mod status;
pub mod study;
pub mod volume;

pub use bundle::Bundle;
pub use contour::{ContourKind, ContourOptions, Contours, contour};
pub use detect::{BoundingBox, DetectOptions, Detection, Proposal, Trajectory};
pub use engine::{Engine, EngineOptions};
pub use error::{Error, Result};
pub use formats::{ReadOptions, read};
pub use geometry::Grid;
pub use provenance::Provenance;
pub use run::{CancelToken, Progress, Run, Stage};
pub use runtime::{Device, Runtime};
pub use segment::Segmentation;
pub use sequence::Sequence;
pub use status::SliceStatus;
pub use study::{Study, StudyOptions};
pub use volume::Volume;
