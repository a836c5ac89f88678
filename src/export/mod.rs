//! Files for other programs.
//!
//! In: results on the reference grid. Out: files that appear whole or not at all.

pub mod rtstruct;
mod write;

pub use rtstruct::{HoleMode, RtStructOptions, build_rtstruct, write_rtstruct};
pub use write::write_atomically;
