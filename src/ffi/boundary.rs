//! What every call across the boundary shares: panics stop here, pointers are checked here, errors
//! become handles here.

use std::cell::{Cell, RefCell};
use std::ffi::{CStr, CString, c_char};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::PathBuf;
use std::sync::Once;
use std::sync::atomic::{AtomicBool, Ordering};

use crate::error::{Error, Result};
use crate::ffi::error::nasoseg_error;

/// A handle's value, and whether a call on it panicked.
#[derive(Default)]
pub struct Handle<T> {
    poisoned: AtomicBool,
    pub value: T,
}

impl<T> Handle<T> {
    pub fn new(value: T) -> Self {
        Handle { poisoned: AtomicBool::new(false), value }
    }
}

/// A handle as [`call`] sees it.
pub trait Poison {
    fn flag(&self) -> &AtomicBool;
}

impl<T> Poison for Handle<T> {
    fn flag(&self) -> &AtomicBool {
        &self.poisoned
    }
}

/// A raw pointer to a handle, as [`call`] wants it; null is left for the body to refuse by name.
macro_rules! guarded {
    ($pointer:expr) => {
        $pointer.as_ref().map(|h| &h.handle as &dyn crate::ffi::boundary::Poison)
    };
}
pub(crate) use guarded;

/// Runs `body`: refuses poisoned handles, turns errors into a handle at `error` (where it is not
/// null) and a panic into INTERNAL, after which every handle in `handles` answers POISONED.
///
/// # Safety
/// `error` is null or points to writable memory for one pointer.
pub unsafe fn call(
    error: *mut *mut nasoseg_error,
    handles: &[Option<&dyn Poison>],
    body: impl FnOnce() -> Result<()>,
) -> u32 {
    let handles: Vec<&dyn Poison> = handles.iter().flatten().copied().collect();
    if !error.is_null() {
        // SAFETY: the caller's promise.
        unsafe { *error = std::ptr::null_mut() };
    }
    let outcome = if handles.iter().any(|h| h.flag().load(Ordering::Acquire)) {
        Err(Error::Poisoned)
    } else {
        caught(body).unwrap_or_else(|panic| {
            handles.iter().for_each(|h| h.flag().store(true, Ordering::Release));
            Err(Error::Internal(panic))
        })
    };
    match outcome {
        Ok(()) => 0,
        Err(failure) => {
            let code = failure.code();
            if !error.is_null() {
                let handle = Box::new(nasoseg_error { code, message: c_string(failure.chain()) });
                // SAFETY: the caller's promise.
                unsafe { *error = Box::into_raw(handle) };
            }
            code
        }
    }
}

thread_local! {
    /// How many calls this thread is in (a callback may make one of its own), and where the last
    /// panic in one came from.
    static CALLS: Cell<usize> = const { Cell::new(0) };
    static PANICKED_AT: RefCell<Option<String>> = const { RefCell::new(None) };
}

/// Runs `body`; of a panic, what it said and where. Nothing is printed: the terminal is the host's.
fn caught<T>(body: impl FnOnce() -> T) -> std::result::Result<T, String> {
    static HOOK: Once = Once::new();
    HOOK.call_once(|| {
        let before = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |panic| {
            if CALLS.get() > 0 {
                PANICKED_AT.set(
                    panic.location().map(|place| format!(" ({}:{})", place.file(), place.line())),
                );
            } else {
                // A Rust program's own panics, where the library is linked into one.
                before(panic);
            }
        }));
    });
    CALLS.set(CALLS.get() + 1);
    let outcome = catch_unwind(AssertUnwindSafe(body));
    CALLS.set(CALLS.get() - 1);
    outcome.map_err(|panic| {
        let text = panic
            .downcast_ref::<&str>()
            .map(|s| (*s).to_owned())
            .or_else(|| panic.downcast_ref::<String>().cloned());
        text.unwrap_or_else(|| "a panic".into()) + &PANICKED_AT.take().unwrap_or_default()
    })
}

/// For getters: the value, or a fallback where a pointer is null or the body panics.
pub fn quiet<T>(fallback: T, body: impl FnOnce() -> Option<T>) -> T {
    caught(body).ok().flatten().unwrap_or(fallback)
}

/// A borrowed handle or struct.
///
/// # Safety
/// The pointer is null or valid for the call.
pub unsafe fn borrow<'a, T>(pointer: *const T, name: &str) -> Result<&'a T> {
    // SAFETY: the caller's promise; null is told apart.
    unsafe { pointer.as_ref() }.ok_or_else(|| null(name))
}

/// A place for a result.
///
/// # Safety
/// The pointer is null or valid and writable for the call.
pub unsafe fn place<'a, T>(pointer: *mut T, name: &str) -> Result<&'a mut T> {
    // SAFETY: the caller's promise; null is told apart.
    unsafe { pointer.as_mut() }.ok_or_else(|| null(name))
}

/// A result is null until a call succeeds, whatever makes it fail.
///
/// # Safety
/// The pointer is null or valid and writable for the call.
pub unsafe fn clear<T>(pointer: *mut *mut T) {
    if !pointer.is_null() {
        // SAFETY: the caller's promise.
        unsafe { *pointer = std::ptr::null_mut() };
    }
}

/// (pointer, 0) is an empty slice whatever the pointer.
///
/// # Safety
/// Unless `count` is 0 the pointer is null or valid for `count` elements during the call.
pub unsafe fn slice<'a, T>(pointer: *const T, count: usize, name: &str) -> Result<&'a [T]> {
    if count == 0 {
        return Ok(&[]);
    }
    if pointer.is_null() {
        return Err(null(name));
    }
    let fits = count.checked_mul(size_of::<T>()).is_some_and(|bytes| bytes <= isize::MAX as usize);
    if !fits || !pointer.is_aligned() {
        return Err(Error::Argument(format!(
            "{name}: {count} elements at {pointer:p} are no array"
        )));
    }
    // SAFETY: the caller's promise; null, size and alignment are checked.
    Ok(unsafe { std::slice::from_raw_parts(pointer, count) })
}

/// A UTF-8 string.
///
/// # Safety
/// The pointer is null or a NUL-terminated string, valid for the call.
pub unsafe fn text<'a>(pointer: *const c_char, name: &str) -> Result<&'a str> {
    if pointer.is_null() {
        return Err(null(name));
    }
    // SAFETY: the caller's promise.
    unsafe { CStr::from_ptr(pointer) }
        .to_str()
        .map_err(|_| Error::Argument(format!("{name}: UTF-8 was expected")))
}

/// A UTF-8 path.
///
/// # Safety
/// As [`text`].
pub unsafe fn path(pointer: *const c_char, name: &str) -> Result<PathBuf> {
    // SAFETY: the caller's promise.
    let text = unsafe { text(pointer, name) }?;
    if text.is_empty() {
        return Err(Error::Argument(format!(
            "{name}: a path was expected, but the string is empty"
        )));
    }
    Ok(PathBuf::from(text))
}

fn null(name: &str) -> Error {
    Error::Argument(format!("{name}: a pointer was expected, but it is NULL"))
}

/// A string for C: inner NULs, which C cannot see past, become spaces.
pub fn c_string(text: impl Into<String>) -> CString {
    let text = text.into().replace('\0', " ");
    CString::new(text).unwrap_or_default()
}

/// Copies the part of `value` that the caller's struct has room for. Both begin with `struct_size`;
/// `known` is the smallest size ever published.
///
/// # Safety
/// `out` is null or points to a struct whose first field, `struct_size`, tells how many bytes may
/// be written; T is a plain C struct whose first field is a `usize` too.
pub unsafe fn fill<T: Copy>(out: *mut T, value: T, known: usize, name: &str) -> Result<()> {
    if out.is_null() {
        return Err(null(name));
    }
    // SAFETY: the caller's promise; the first field is read as the caller's own size.
    let size = unsafe { out.cast::<usize>().read() };
    if size < known || size > 1 << 16 {
        return Err(Error::Argument(format!(
            "{name}: struct_size is {size}; set it to sizeof the struct before the call"
        )));
    }
    let bytes = size.min(size_of::<T>());
    // SAFETY: `bytes` fits both structs; struct_size itself is left as the caller set it.
    unsafe {
        let skip = size_of::<usize>();
        std::ptr::copy_nonoverlapping(
            (&raw const value).cast::<u8>().add(skip),
            out.cast::<u8>().add(skip),
            bytes - skip,
        );
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_panic_becomes_internal_and_poisons_the_handle() {
        let (good, bad) = (Handle::new(()), Handle::new(()));
        let mut error = std::ptr::null_mut();
        // SAFETY: `error` is writable; the errors come from `call`.
        unsafe {
            let code = call(&mut error, &[None, Some(&bad)], || panic!("test"));
            assert_eq!(code, Error::Internal(String::new()).code());
            let message = (*error).message.to_str().unwrap();
            assert!(message.contains("test") && message.contains("boundary.rs:"), "{message}");
            drop(Box::from_raw(error));
            let code = call(&mut error, &[Some(&good), Some(&bad)], || panic!("never called"));
            assert_eq!(code, Error::Poisoned.code());
            drop(Box::from_raw(error));
            assert_eq!(call(&mut error, &[Some(&good), None], || Ok(())), 0);
            assert!(error.is_null());
        }
    }

    #[test]
    fn a_struct_is_filled_as_far_as_the_caller_knows_it() {
        #[repr(C)]
        #[derive(Clone, Copy)]
        struct Now {
            struct_size: usize,
            first: u64,
            second: u64,
        }
        let first = 2 * size_of::<usize>();
        let value = Now { struct_size: size_of::<Now>(), first: 1, second: 2 };
        let filled = |struct_size: usize, known: usize| {
            let mut out = Now { struct_size, first: 77, second: 77 };
            // SAFETY: `out` is a whole struct.
            unsafe { fill(&mut out, value, known, "out") }
                .map(|()| (out.struct_size, out.first, out.second))
        };
        // A program that was built before `second` was appended.
        assert_eq!(filled(first, first).unwrap(), (first, 1, 77));
        assert_eq!(filled(size_of::<Now>(), first).unwrap(), (size_of::<Now>(), 1, 2));
        assert_eq!(filled(size_of::<Now>() + 8, first).unwrap(), (size_of::<Now>() + 8, 1, 2));
        assert!(filled(first - 1, first).is_err());
        assert!(filled(0, first).is_err());
    }
}
