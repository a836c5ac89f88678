//! seqseg: nasopharyngeal carcinoma in MR, found and outlined in the caller's own process.
pub mod contour;
pub mod error;
pub mod export;
pub mod study;
pub use error::{Error, Result};
