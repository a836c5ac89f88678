//! nasoseg: nasopharyngeal carcinoma in MR, found and outlined in the caller's own process.
//!
//! The way of the data:
//!
//! ```text
//! T1, T1C, T2 (DICOM folder | NIfTI | NRRD | memory, each on its own grid)
//!   -> study     volumes with affines; T1 and T2 on T1C's grid; canonical axial slices; channels scaled; the model's square grid
//!   -> detect    the Q-learning agent, all slices in step: one box and one trajectory per slice, editable by the caller
//!   -> segment   RANet on the enlarged box: probability and mask on T1C's own grid
//!   -> contour   closed polygons with holes, LPS mm, on the slice planes
//!   -> export    RT Structure Set, NIfTI, preview, run record
//! ```
//!
//! Each arrow is a module and nothing flows back; [`engine`] strings them together. [`compare`]
//! reads a structure set that a person edited and measures how far it lies from ours. Everything
//! that a trained model depends on is in its [`bundle`]; [`runtime`] finds ONNX Runtime and runs
//! the graphs. Patient coordinates are LPS, millimetres; arrays are [k, j, i]; boxes are pixel
//! edges on the model's grid.

pub mod bundle;
pub mod compare;
pub mod contour;
pub mod detect;
pub mod engine;
pub mod error;
#[doc(hidden)]
pub mod fault;
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
