//! Status codes and error handles.

use std::ffi::{CString, c_char};

use crate::ffi::boundary::quiet;

/// Status codes. Numbers are stable and never reused; treat an unknown one as a failure.
#[repr(C)]
#[allow(non_camel_case_types, dead_code)]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum seqseg_status {
    /// Done.
    SEQSEG_OK = 0,
    /// An argument or option makes no sense, or calls came in the wrong order.
    SEQSEG_ERROR_ARGUMENT = 1,
    /// A file cannot be read.
    SEQSEG_ERROR_READ = 2,
    /// The image is not one that seqseg can use.
    SEQSEG_ERROR_IMAGE = 3,
    /// The sequences do not fit together in space.
    SEQSEG_ERROR_GEOMETRY = 4,
    /// The sequences are of different patients.
    SEQSEG_ERROR_IDENTITY = 5,
    /// The model bundle is missing, damaged or of another format.
    SEQSEG_ERROR_BUNDLE = 6,
    /// ONNX Runtime cannot be found, loaded or run.
    SEQSEG_ERROR_RUNTIME = 7,
    /// The device that was named cannot be used.
    SEQSEG_ERROR_DEVICE = 8,
    /// An output cannot be written.
    SEQSEG_ERROR_WRITE = 9,
    /// This output cannot be made from this input.
    SEQSEG_ERROR_UNSUPPORTED = 10,
    /// The caller cancelled; every handle stays usable.
    SEQSEG_CANCELLED = 11,
    /// A defect of seqseg itself.
    SEQSEG_ERROR_INTERNAL = 12,
    /// An earlier call on this handle failed with SEQSEG_ERROR_INTERNAL; free it.
    SEQSEG_ERROR_POISONED = 13,
}

/// What went wrong: a status code and one paragraph that names the input, what was expected and what to do.
/// It belongs to no thread; free it with seqseg_error_free.
#[allow(non_camel_case_types)]
pub struct seqseg_error {
    pub(crate) code: u32,
    pub(crate) message: CString,
}

/// The status code of an error, the same that the call returned; SEQSEG_OK for NULL.
///
/// # Safety
/// `error` is NULL or a live error handle.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn seqseg_error_code(error: *const seqseg_error) -> u32 {
    // SAFETY: the caller's promise.
    quiet(0, || unsafe { error.as_ref() }.map(|e| e.code))
}

/// The message with its whole chain of causes, UTF-8, one paragraph. Borrowed: valid until the error is freed. "" for NULL.
///
/// # Safety
/// `error` is NULL or a live error handle.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn seqseg_error_message(error: *const seqseg_error) -> *const c_char {
    // SAFETY: the caller's promise.
    quiet(c"".as_ptr(), || unsafe { error.as_ref() }.map(|e| e.message.as_ptr()))
}

/// Frees an error. NULL is legal.
///
/// # Safety
/// `error` is NULL or a live error handle, not used afterwards.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn seqseg_error_free(error: *mut seqseg_error) {
    if !error.is_null() {
        // SAFETY: the caller's promise; it came from Box::into_raw.
        drop(unsafe { Box::from_raw(error) });
    }
}

#[cfg(test)]
mod tests {
    use super::seqseg_status::*;
    use crate::Error;

    #[test]
    fn the_codes_of_c_are_the_codes_of_rust() {
        let text = String::new;
        let none = || None;
        for (error, code) in [
            (Error::Argument(text()), SEQSEG_ERROR_ARGUMENT),
            (Error::Read { message: text(), source: none() }, SEQSEG_ERROR_READ),
            (Error::Image(text()), SEQSEG_ERROR_IMAGE),
            (Error::Geometry(text()), SEQSEG_ERROR_GEOMETRY),
            (Error::Identity(text()), SEQSEG_ERROR_IDENTITY),
            (Error::Bundle { message: text(), source: none() }, SEQSEG_ERROR_BUNDLE),
            (Error::Runtime { message: text(), source: none() }, SEQSEG_ERROR_RUNTIME),
            (Error::Device { message: text(), source: none() }, SEQSEG_ERROR_DEVICE),
            (Error::Write { message: text(), source: none() }, SEQSEG_ERROR_WRITE),
            (Error::Unsupported(text()), SEQSEG_ERROR_UNSUPPORTED),
            (Error::Cancelled, SEQSEG_CANCELLED),
            (Error::Internal(text()), SEQSEG_ERROR_INTERNAL),
            (Error::Poisoned, SEQSEG_ERROR_POISONED),
        ] {
            assert_eq!(error.code(), code as u32);
        }
    }
}
