//! NIfTI-1.

mod read;
mod write;

pub(crate) use read::{is_gzip, looks_like_header, mirror, ras_point_to_lps, ras_to_lps};
pub use read::{read_bytes, read_file};
pub use write::write_nifti;
