//! NIfTI-1.

mod header;
mod read;
#[cfg(test)]
mod tests;
mod write;

pub(crate) use read::{is_gzip, looks_like_header};
pub use read::{read_bytes, read_file};
pub use write::write_nifti;
