//! The C ABI: handles, options, borrowed views; no logic of its own.
//!
//! In: C pointers, checked here. Out: status codes, error handles, and handles that own Rust
//! values. `include/nasoseg.h` is generated from this module by cbindgen; a test fails when it
//! drifts. Every fallible function goes through [`boundary::call`]: one place for null checks,
//! panics, poisoned handles and errors.

mod boundary;
mod contours;
mod detection;
mod engine;
mod error;
mod export;
mod options;
mod run;
mod segmentation;
mod study;
mod version;
mod volume;

pub use contours::*;
pub use detection::*;
pub use engine::*;
pub use error::*;
pub use export::*;
pub use options::*;
pub use run::*;
pub use segmentation::*;
pub use study::*;
pub use version::*;
pub use volume::*;
