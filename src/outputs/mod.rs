//! What people look at afterwards: the files of an output folder.
//!
//! In: results of the stages, and files that come back. Out: files of an output folder
//! ([`folder`]): contours ([`contours_json`]), the preview, the run record, the evaluation of an
//! edited structure set; and what training reads ([`prepared`], [`volumes`]).

pub mod contours_json;
pub mod evaluation;
pub mod folder;
pub mod prepared;
pub mod preview;
pub mod record;
pub mod volumes;

use std::path::Path;

/// A path that still means something when its record is read elsewhere.
fn absolute(path: &Path) -> String {
    std::path::absolute(path).unwrap_or_else(|_| path.to_owned()).display().to_string()
}
