//! seqseg: nasopharyngeal carcinoma in MR, found and outlined in the caller's own process.
pub mod error;
pub mod bundle;
pub mod detect;
pub mod runtime;
pub mod study;
pub use error::{Error, Result};
