//! What every call across the boundary shares: panics stop here, poisoned handles are refused here,
//! errors become handles here.

use std::cell::{Cell, RefCell};
use std::ffi::CString;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, Once};

use crate::error::{Error, Result};
use crate::ffi::arguments::Out;
use crate::ffi::error::nasoseg_error;

/// A handle's value, and whether a call on it panicked.
#[derive(Default)]
pub struct Handle<T> {
    pub(super) poisoned: AtomicBool,
    pub value: T,
}

impl<T> Handle<T> {
    pub fn new(value: T) -> Self {
        Handle { poisoned: AtomicBool::new(false), value }
    }
}

/// A type of handle that remembers a panic.
pub trait Guarded {
    fn poisoned(&self) -> &AtomicBool;
}

/// Declares a struct with a field `handle: Handle<_>` to be [`Guarded`].
macro_rules! guarded {
    ($type:ident) => {
        impl $crate::ffi::boundary::Guarded for $type {
            fn poisoned(&self) -> &std::sync::atomic::AtomicBool {
                &self.handle.poisoned
            }
        }
    };
}
pub(crate) use guarded;

/// A handle as an argument of [`call`]; a null one has no flag.
pub trait Poison {
    fn flag(&self) -> Option<&AtomicBool>;
}

/// Runs `body`: refuses poisoned handles, turns an error into a handle at `error` (if that is not
/// null) and a panic into INTERNAL, after which calls on each of `handles` fail with POISONED.
pub fn call(
    error: Out<'_, nasoseg_error>,
    handles: &[&dyn Poison],
    body: impl FnOnce() -> Result<()>,
) -> u32 {
    let flags = || handles.iter().filter_map(|handle| handle.flag());
    let outcome = if flags().any(|flag| flag.load(Ordering::Acquire)) {
        Err(Error::Poisoned)
    } else {
        caught(body).unwrap_or_else(|panic| {
            flags().for_each(|flag| flag.store(true, Ordering::Release));
            Err(Error::Internal(panic))
        })
    };
    match outcome {
        Ok(()) => 0,
        Err(failure) => {
            let code = failure.code();
            if let Some(place) = error.optional() {
                place.put(nasoseg_error { code, message: c_string(failure.chain()) });
            }
            code
        }
    }
}

thread_local! {
    /// How many calls this thread is in (a callback may make one of its own), and where the last
    /// panic in one of them occurred.
    static CALLS: Cell<usize> = const { Cell::new(0) };
    static PANICKED_AT: RefCell<Option<String>> = const { RefCell::new(None) };
}

/// Runs `body`; a panic gives its message and place. Nothing is printed: the terminal belongs to
/// the host.
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
                // A panic of the Rust program that this library is linked into.
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

/// For getters: the value, or `fallback` if a pointer is null or the body panics.
pub fn quiet<T>(fallback: T, body: impl FnOnce() -> Option<T>) -> T {
    caught(body).ok().flatten().unwrap_or(fallback)
}

/// Locks a handle's value. A panic while it was locked has poisoned the handle itself.
pub fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
}

/// A string for C: inner NULs, at which C would end it, become spaces.
pub fn c_string(text: impl Into<String>) -> CString {
    let text = text.into().replace('\0', " ");
    CString::new(text).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ffi::arguments::{Owned, Ref};

    struct Guard {
        handle: Handle<()>,
    }
    guarded!(Guard);

    /// A call on handles that may be null; gives its code and message.
    fn call_on(
        handles: [*const Guard; 2],
        body: impl FnOnce() -> Result<()>,
    ) -> (u32, Option<String>) {
        let mut error = std::ptr::null_mut();
        let place: *mut *mut nasoseg_error = &mut error;
        // SAFETY: null, or a handle of the test that outlives the call.
        let [first, second] = [0, 1].map(|at| unsafe { Ref::from_c(&handles[at], "handle") });
        // SAFETY: `error` is a local, written through `place` alone during the call.
        let code = call(unsafe { Out::from_c(&place, "error") }, &[&first, &second], body);
        // SAFETY: null, or the error that the call has made.
        let message = unsafe { error.as_ref() }.map(|e| e.message.to_str().unwrap().to_owned());
        // SAFETY: the same, not used afterwards.
        drop(unsafe { Owned::from_c(&error, "error") });
        (code, message)
    }

    #[test]
    fn a_panic_becomes_internal_and_poisons_the_handle() {
        let [good, bad] = [(); 2].map(|()| Guard { handle: Handle::default() });
        let none = std::ptr::null();
        let (code, message) = call_on([none, &bad], || panic!("test"));
        assert_eq!(code, Error::Internal(String::new()).code());
        let message = message.unwrap();
        assert!(message.contains("test") && message.contains("boundary.rs:"), "{message}");
        let (code, message) = call_on([&good, &bad], || panic!("never called"));
        assert_eq!(code, Error::Poisoned.code());
        assert!(message.is_some());
        assert_eq!(call_on([&good, none], || Ok(())), (0, None));
    }
}
