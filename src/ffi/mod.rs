//! The C ABI: handles, options, borrowed views; no logic of its own.
//!
//! In: C pointers. Out: status codes, error handles, and handles that own Rust values.
//! `include/nasoseg.h` is generated from this module by cbindgen; a test fails if the two differ.
//! Every exported function turns its pointers into checked values by `arguments!` and is safe code
//! from then on; `arguments` and `voxels` alone hold unsafe code. Every fallible function goes
//! through `boundary::call`: one place for panics, poisoned handles and errors.

// The comments become the C header, where size[0] is an element and no link.
#![allow(rustdoc::broken_intra_doc_links)]
#![deny(
    unsafe_op_in_unsafe_fn,
    clippy::multiple_unsafe_ops_per_block,
    clippy::undocumented_unsafe_blocks
)]

mod arguments;
mod boundary;
mod contour_options;
mod contours;
mod demo;
mod detection;
mod detection_file;
mod engine;
mod error;
mod export;
mod options;
mod reading_options;
mod run;
mod segmentation;
mod slice_status;
mod study;
mod trajectory;
mod version;
mod volume;
mod voxels;

pub use contour_options::*;
pub use contours::*;
pub use detection::*;
pub use detection_file::*;
pub use engine::*;
pub use error::*;
pub use export::*;
pub use options::*;
pub use reading_options::*;
pub use run::*;
pub use segmentation::*;
pub use slice_status::*;
pub use study::*;
pub use trajectory::*;
pub use version::*;
pub use volume::*;
