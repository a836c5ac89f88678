//! The C ABI: handles, options, borrowed views; no logic of its own.
//!
//! In: C pointers, checked here. Out: status codes, error handles, and handles that own Rust values. `include/seqseg.h` is generated from
//! this module by cbindgen; a test fails when it drifts. Every fallible function goes through [`boundary::call`]: one place for null checks,
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
pub use volume::*;

/// Version of the ABI: it grows when a function or a field is added, and its hundreds when something changes incompatibly.
pub const SEQSEG_ABI_VERSION: u32 = 1;

/// The library's version, for example "0.1.0". Static; never freed.
#[unsafe(no_mangle)]
pub extern "C" fn seqseg_version() -> *const std::ffi::c_char {
    concat!(env!("CARGO_PKG_VERSION"), "\0").as_ptr().cast()
}

/// The ABI's version ([`SEQSEG_ABI_VERSION`] of the library that was loaded, which may be newer than the header).
#[unsafe(no_mangle)]
pub extern "C" fn seqseg_abi_version() -> u32 {
    SEQSEG_ABI_VERSION
}
