//! The words that mark a demo model's results, for bindings that write formats of their own.

use std::ffi::{CString, c_char};
use std::sync::LazyLock;

use crate::ffi::arguments::arguments;
use crate::ffi::boundary::{c_string, quiet};
use crate::provenance;

/// Words that mark a demo model's results.
#[repr(C)]
#[allow(non_camel_case_types, dead_code)]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum nasoseg_demo_text {
    /// The name of a demo model's structure, in place of a target's: at most 16 ASCII characters.
    NASOSEG_DEMO_NAME = 0,
    /// The beginning of the description field of a file's header.
    NASOSEG_DEMO_MARK = 1,
    /// A sentence for the description of a structure or of a structure set.
    NASOSEG_DEMO_WARNING = 2,
    /// What people read first beside a result; the model's intended use follows.
    NASOSEG_DEMO_BANNER = 3,
    /// What precedes the intended use if a model is described.
    NASOSEG_DEMO_USE = 4,
    /// What precedes the name of a result in a list.
    NASOSEG_DEMO_PREFIX = 5,
}

/// A text of nasoseg_demo_text. Write them beside every result of a model for which
/// nasoseg_engine_is_demo says true, in every format, so that the result is recognised when it
/// comes back. Static. "" if `which` is unknown.
#[unsafe(no_mangle)]
pub extern "C" fn nasoseg_demo_words(which: u32) -> *const c_char {
    static WORDS: LazyLock<[CString; 6]> = LazyLock::new(|| {
        [
            provenance::DEMO_NAME,
            provenance::DEMO_MARK,
            provenance::DEMO_WARNING,
            provenance::DEMO_BANNER,
            provenance::DEMO_USE,
            provenance::DEMO_PREFIX,
        ]
        .map(c_string)
    });
    quiet(c"".as_ptr(), || WORDS.get(usize::try_from(which).ok()?).map(|words| words.as_ptr()))
}

/// Whether a structure or a file says that a demo model made it, by its name or its description;
/// either is enough, and either may be NULL. A part of the mark is recognised, too, in any case and
/// with any separators.
///
/// # Safety
/// `name` and `description` are NULL or NUL-terminated, valid for the call.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn nasoseg_is_demo(name: *const c_char, description: *const c_char) -> bool {
    arguments!(name: Text, description: Text);
    quiet(false, || Some(provenance::demo_of_roi(&name.lossy(), &description.lossy()).is_some()))
}
