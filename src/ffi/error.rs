//! Status codes and error handles.

use std::ffi::{CString, c_char};

use crate::ffi::arguments::arguments;
use crate::ffi::boundary::quiet;

/// Status codes. Numbers are stable and never reused; treat an unknown one as a failure.
#[repr(C)]
#[allow(non_camel_case_types, dead_code)]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum nasoseg_status {
    /// Success.
    NASOSEG_OK = 0,
    /// An argument or option is invalid, or calls were made in the wrong order.
    NASOSEG_ERROR_ARGUMENT = 1,
    /// A file cannot be read.
    NASOSEG_ERROR_READ = 2,
    /// The image is not one that nasoseg can use.
    NASOSEG_ERROR_IMAGE = 3,
    /// The sequences do not fit together in space.
    NASOSEG_ERROR_GEOMETRY = 4,
    /// The sequences are of different patients.
    NASOSEG_ERROR_IDENTITY = 5,
    /// The model bundle is missing, damaged or of another format.
    NASOSEG_ERROR_BUNDLE = 6,
    /// ONNX Runtime cannot be found, loaded or run.
    NASOSEG_ERROR_RUNTIME = 7,
    /// The requested device cannot be used.
    NASOSEG_ERROR_DEVICE = 8,
    /// An output cannot be written.
    NASOSEG_ERROR_WRITE = 9,
    /// This output cannot be made from this input.
    NASOSEG_ERROR_UNSUPPORTED = 10,
    /// The caller cancelled; every handle stays usable.
    NASOSEG_CANCELLED = 11,
    /// A defect of nasoseg itself.
    NASOSEG_ERROR_INTERNAL = 12,
    /// An earlier call on this handle failed with NASOSEG_ERROR_INTERNAL; free it.
    NASOSEG_ERROR_POISONED = 13,
}

/// Why a call failed: a status code and one paragraph that names the input, what was found, what
/// was expected and what to do. Any thread may read and free it; free it with nasoseg_error_free.
#[allow(non_camel_case_types)]
pub struct nasoseg_error {
    pub(crate) code: u32,
    pub(crate) message: CString,
}

/// The status code of an error: the one that the call returned. NASOSEG_OK for NULL.
///
/// # Safety
/// `error` is NULL or a live error handle.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn nasoseg_error_code(error: *const nasoseg_error) -> u32 {
    arguments!(error: Ref);
    quiet(0, || error.optional().map(|e| e.code))
}

/// The message with its whole chain of causes, UTF-8, one paragraph. Borrowed: valid until the
/// error is freed. "" for NULL.
///
/// # Safety
/// `error` is NULL or a live error handle.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn nasoseg_error_message(error: *const nasoseg_error) -> *const c_char {
    arguments!(error: Ref);
    quiet(c"".as_ptr(), || error.optional().map(|e| e.message.as_ptr()))
}

/// Frees an error. NULL is legal.
///
/// # Safety
/// `error` is NULL or a live error handle, not used afterwards.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn nasoseg_error_free(error: *mut nasoseg_error) {
    arguments!(error: Owned);
    drop(error);
}

#[cfg(test)]
mod tests {
    use super::nasoseg_status::*;
    use crate::error::Error;

    #[test]
    fn the_codes_of_c_are_the_codes_of_rust() {
        let text = String::new;
        let none = || None;
        for (error, code) in [
            (Error::Argument(text()), NASOSEG_ERROR_ARGUMENT),
            (Error::Read { message: text(), source: none() }, NASOSEG_ERROR_READ),
            (Error::Image(text()), NASOSEG_ERROR_IMAGE),
            (Error::Geometry(text()), NASOSEG_ERROR_GEOMETRY),
            (Error::Identity(text()), NASOSEG_ERROR_IDENTITY),
            (Error::Bundle { message: text(), source: none() }, NASOSEG_ERROR_BUNDLE),
            (Error::Runtime { message: text(), source: none() }, NASOSEG_ERROR_RUNTIME),
            (Error::Device { message: text(), source: none() }, NASOSEG_ERROR_DEVICE),
            (Error::Write { message: text(), source: none() }, NASOSEG_ERROR_WRITE),
            (Error::Unsupported(text()), NASOSEG_ERROR_UNSUPPORTED),
            (Error::Cancelled, NASOSEG_CANCELLED),
            (Error::Internal(text()), NASOSEG_ERROR_INTERNAL),
            (Error::Poisoned, NASOSEG_ERROR_POISONED),
        ] {
            assert_eq!(error.code(), code as u32);
        }
    }
}
