//! The arguments of exported functions: raw pointers in, checked values out.
//!
//! An exported function begins with [`arguments!`], one line for each way in which the header
//! passes a pointer; its body is safe code. What the constructors here require is what the header
//! asks of every caller: a pointer is NULL, or points to what its type says and stays valid for the
//! call. The values borrow the arguments themselves, so none of them outlives the call.

use std::ffi::{CStr, c_char, c_void};
use std::marker::PhantomData;
use std::path::PathBuf;
use std::ptr::NonNull;
use std::sync::atomic::AtomicBool;

use crate::error::{Error, Result};
use crate::ffi::boundary::{Guarded, Poison};
use crate::ffi::run::{nasoseg_progress, nasoseg_progress_callback};
pub use crate::ffi::voxels::View;

/// Replaces arguments of an exported function by checked values of the same names:
/// `arguments!(study: Ref, paths[count]: Texts, error: Out)`. The brackets hold the argument that
/// goes with the first one, such as the length of an array.
macro_rules! arguments {
    ($($name:ident $([$with:ident])? : $kind:ident),+ $(,)?) => {
        $(
            // SAFETY: the enclosing function is exported and `unsafe`. Its caller has promised, in
            // its `Safety` section, that this argument is NULL or valid for the call, and that is
            // all that `from_c` requires.
            let $name = unsafe {
                $crate::ffi::arguments::$kind::from_c(&$name, $($with,)? stringify!($name))
            };
        )+
    };
}
pub(crate) use arguments;

/// `const T *` or `T *`, for the address alone.
pub trait Pointer {
    type Target;
    fn address(&self) -> *const Self::Target;
}

impl<T> Pointer for *const T {
    type Target = T;
    fn address(&self) -> *const T {
        *self
    }
}

impl<T> Pointer for *mut T {
    type Target = T;
    fn address(&self) -> *const T {
        *self
    }
}

/// A handle or struct that the call reads. Handles that C passes without const are shared too: what
/// changes in them lies behind a lock.
pub struct Ref<'a, T> {
    target: Option<&'a T>,
    name: &'static str,
}

impl<T> Clone for Ref<'_, T> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<T> Copy for Ref<'_, T> {}

impl<'a, T> Ref<'a, T> {
    /// # Safety
    /// `pointer` is null, or points to an aligned, initialised T that is valid for 'a and not
    /// changed in that time except behind T's own locks.
    pub unsafe fn from_c(pointer: &'a impl Pointer<Target = T>, name: &'static str) -> Ref<'a, T> {
        // SAFETY: `as_ref` gives None for null; otherwise this function's contract promises an
        // aligned, initialised T that is valid for 'a and changes only behind its own locks.
        Ref { target: unsafe { pointer.address().as_ref() }, name }
    }

    /// The target; null is an error that names the argument.
    pub fn required(self) -> Result<&'a T> {
        self.target.ok_or_else(|| null(self.name))
    }

    /// The target; nothing for null.
    pub fn optional(self) -> Option<&'a T> {
        self.target
    }
}

impl<T: Guarded> Poison for Ref<'_, T> {
    fn flag(&self) -> Option<&AtomicBool> {
        self.target.map(T::poisoned)
    }
}

/// A handle that the call changes and that no other call uses at the same time.
pub struct RefMut<'a, T> {
    target: Option<&'a mut T>,
    name: &'static str,
}

impl<'a, T> RefMut<'a, T> {
    /// # Safety
    /// `pointer` is null, or points to an aligned, initialised T that nobody else reads or writes
    /// during 'a.
    pub unsafe fn from_c(pointer: &'a *mut T, name: &'static str) -> RefMut<'a, T> {
        // SAFETY: `as_mut` gives None for null; otherwise this function's contract promises an
        // aligned, initialised T that nobody else reads or writes during 'a.
        RefMut { target: unsafe { pointer.as_mut() }, name }
    }

    /// The target; null is an error that names the argument.
    pub fn required(self) -> Result<&'a mut T> {
        self.target.ok_or_else(|| null(self.name))
    }
}

/// A handle that the caller gives back to be freed.
pub struct Owned<T> {
    _value: Option<Box<T>>,
}

impl<T> Owned<T> {
    /// # Safety
    /// `pointer` is null, or came from [`Place::put`] and is not used after this call.
    pub unsafe fn from_c(pointer: &*mut T, _name: &'static str) -> Owned<T> {
        // SAFETY: a handle comes from Box::into_raw in `Place::put`, and is given back once.
        Owned { _value: (!pointer.is_null()).then(|| unsafe { Box::from_raw(*pointer) }) }
    }
}

/// Where a new handle goes. It is set to null at once, so that it is null whenever the call fails.
pub struct Out<'a, T> {
    place: Option<Place<'a, T>>,
    name: &'static str,
}

impl<'a, T> Out<'a, T> {
    /// # Safety
    /// `pointer` is null, or aligned and writable during 'a; it need not be initialised.
    pub unsafe fn from_c(pointer: &'a *mut *mut T, name: &'static str) -> Out<'a, T> {
        let place = NonNull::new(*pointer).map(|to| {
            // SAFETY: `NonNull::new` has ruled out null, and this function's contract promises a
            // pointer that is aligned and writable.
            unsafe { to.write(std::ptr::null_mut()) };
            Place { to, _call: PhantomData }
        });
        Out { place, name }
    }

    /// The place; null is an error that names the argument.
    pub fn required(self) -> Result<Place<'a, T>> {
        self.place.ok_or_else(|| null(self.name))
    }

    /// The place; nothing for null.
    pub fn optional(self) -> Option<Place<'a, T>> {
        self.place
    }
}

/// A place in the caller's memory for one handle.
pub struct Place<'a, T> {
    to: NonNull<*mut T>,
    _call: PhantomData<&'a mut *mut T>,
}

impl<T> Place<'_, T> {
    /// Hands `value` to the caller, who frees it by the function that takes an [`Owned`].
    pub fn put(self, value: T) {
        let handle = Box::into_raw(Box::new(value));
        // SAFETY: only `Out::from_c` makes a place, and it requires one that is writable for 'a.
        unsafe { self.to.write(handle) };
    }
}

/// A string.
#[derive(Clone, Copy)]
pub struct Text<'a> {
    text: Option<&'a CStr>,
    name: &'static str,
}

impl<'a> Text<'a> {
    /// # Safety
    /// `pointer` is null, or a NUL-terminated string that is valid and unchanged during 'a.
    pub unsafe fn from_c(pointer: &'a *const c_char, name: &'static str) -> Text<'a> {
        // SAFETY: null is ruled out first; otherwise this function's contract promises a string
        // that ends in NUL and is valid and unchanged during 'a.
        let text = (!pointer.is_null()).then(|| unsafe { CStr::from_ptr(*pointer) });
        Text { text, name }
    }

    /// The text; bytes that are not UTF-8 are replaced, and null is empty.
    pub fn lossy(self) -> String {
        self.text.map(|text| text.to_string_lossy().into_owned()).unwrap_or_default()
    }

    pub fn utf8(self) -> Result<&'a str> {
        let text = self.text.ok_or_else(|| null(self.name))?;
        text.to_str().map_err(|_| {
            Error::Argument(format!(
                "{}: the string is not UTF-8. Convert it to UTF-8 before the call",
                self.name
            ))
        })
    }

    pub fn path(self) -> Result<PathBuf> {
        match self.utf8()? {
            "" => Err(Error::Argument(format!(
                "{}: found an empty string, expected a path",
                self.name
            ))),
            path => Ok(PathBuf::from(path)),
        }
    }
}

/// An array of strings and its length.
pub struct Texts<'a> {
    pointer: *const *const c_char,
    count: usize,
    name: &'static str,
    _call: PhantomData<&'a CStr>,
}

impl<'a> Texts<'a> {
    /// # Safety
    /// Unless `count` is 0, `pointer` is null or valid for `count` pointers during 'a, each of them
    /// null or a NUL-terminated string that is valid and unchanged during 'a.
    pub unsafe fn from_c(
        pointer: &'a *const *const c_char,
        count: usize,
        name: &'static str,
    ) -> Texts<'a> {
        Texts { pointer: *pointer, count, name, _call: PhantomData }
    }

    pub fn paths(self) -> Result<Vec<PathBuf>> {
        // SAFETY: `from_c` requires an array of `count` pointers.
        let pointers: &[*const c_char] = unsafe { elements(self.pointer, self.count, self.name) }?;
        pointers
            .iter()
            // SAFETY: `from_c` requires that each of them is null or a string.
            .map(|pointer| unsafe { Text::from_c(pointer, self.name) }.path())
            .collect()
    }
}

/// An array. (pointer, 0) is empty whatever the pointer.
///
/// # Safety
/// Unless `count` is 0, `pointer` is null or valid for `count` initialised elements during 'a.
pub unsafe fn elements<'a, T>(pointer: *const T, count: usize, name: &str) -> Result<&'a [T]> {
    if count == 0 {
        return Ok(&[]);
    }
    if pointer.is_null() {
        return Err(null(name));
    }
    let fits = count.checked_mul(size_of::<T>()).is_some_and(|bytes| bytes <= isize::MAX as usize);
    if !fits || !pointer.is_aligned() {
        return Err(Error::Argument(format!(
            "{name}: {count} elements at {pointer:p} are no array. Pass an aligned pointer and the \
             number of its elements"
        )));
    }
    // SAFETY: the checks above rule out null, a wrong alignment and an impossible size; this
    // function's contract promises `count` initialised elements that are valid during 'a.
    Ok(unsafe { std::slice::from_raw_parts(pointer, count) })
}

/// A plain C struct that begins with `struct_size` and may grow at its end.
///
/// # Safety
/// The type is `repr(C)` and its first field is a `usize`.
pub unsafe trait Versioned: Copy {
    /// The smallest size ever published.
    const FIRST_SIZE: usize;
}

/// Declares a struct of the header to be [`Versioned`]; a field names the first one that the first
/// published version did not have.
macro_rules! versioned {
    ($struct:ident) => {
        $crate::ffi::arguments::versioned!($struct, size_of::<$struct>());
    };
    ($struct:ident before $field:ident) => {
        $crate::ffi::arguments::versioned!($struct, std::mem::offset_of!($struct, $field));
    };
    ($struct:ident, $first_size:expr) => {
        const _: fn(&$struct) -> &usize = |value| &value.struct_size;
        const _: () = assert!(std::mem::offset_of!($struct, struct_size) == 0);
        // SAFETY: the two lines above check that `struct_size` is a `usize` and comes first. The
        // header shows the fields of `repr(C)` structs only.
        unsafe impl $crate::ffi::arguments::Versioned for $struct {
            const FIRST_SIZE: usize = $first_size;
        }
    };
}
pub(crate) use versioned;

/// A struct of the caller's that the call fills.
pub struct Fill<'a, T> {
    to: Option<NonNull<T>>,
    name: &'static str,
    _call: PhantomData<&'a mut T>,
}

impl<'a, T: Versioned> Fill<'a, T> {
    /// # Safety
    /// `pointer` is null, or aligned and points to an initialised `struct_size` and to as many
    /// bytes, this field included, that are writable during 'a.
    pub unsafe fn from_c(pointer: &'a *mut T, name: &'static str) -> Fill<'a, T> {
        Fill { to: NonNull::new(*pointer), name, _call: PhantomData }
    }

    /// Copies the part of `value` that the caller's struct has room for; `struct_size` itself stays
    /// as the caller set it.
    pub fn fill(self, value: T) -> Result<()> {
        let to = self.to.ok_or_else(|| null(self.name))?;
        // SAFETY: `from_c` requires an initialised `struct_size`, which comes first (`Versioned`).
        let size = unsafe { to.cast::<usize>().read() };
        if size < T::FIRST_SIZE || size > 1 << 16 {
            return Err(Error::Argument(format!(
                "{}: found struct_size {size}, expected {} or more. Set it to sizeof the struct \
                 before the call",
                self.name,
                T::FIRST_SIZE
            )));
        }
        let (skip, end) = (size_of::<usize>(), size.min(size_of::<T>()));
        let from = (&raw const value).cast::<u8>().wrapping_add(skip);
        let to = to.as_ptr().cast::<u8>().wrapping_add(skip);
        // SAFETY: bytes `skip` to `end` lie within `value`, which is a T, and within the caller's
        // struct, which has `size` writable bytes as `from_c` requires. `value` is a local.
        unsafe { std::ptr::copy_nonoverlapping(from, to, end - skip) };
        Ok(())
    }
}

/// A progress callback with the pointer that goes with it.
pub struct Callback {
    function: unsafe extern "C" fn(*const nasoseg_progress, *mut c_void) -> bool,
    user_data: *mut c_void,
}

impl Callback {
    /// # Safety
    /// `function` may be called with `user_data` for as long as calls report to this callback, and
    /// does not unwind.
    pub unsafe fn from_c(
        function: &nasoseg_progress_callback,
        user_data: *mut c_void,
        _name: &'static str,
    ) -> Option<Callback> {
        function.map(|function| Callback { function, user_data })
    }

    /// False to cancel.
    pub fn report(&self, progress: &nasoseg_progress) -> bool {
        // SAFETY: `from_c` requires a function that may be called with this pointer; `progress` is
        // valid for the call.
        unsafe { (self.function)(progress, self.user_data) }
    }
}

fn null(name: &str) -> Error {
    Error::Argument(format!("{name}: found NULL, expected a pointer"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_struct_is_filled_as_far_as_the_caller_knows_it() {
        #[repr(C)]
        #[derive(Clone, Copy)]
        struct Now {
            struct_size: usize,
            first: u64,
            second: u64,
        }
        versioned!(Now before second);
        let first = 2 * size_of::<usize>();
        let value = Now { struct_size: size_of::<Now>(), first: 1, second: 2 };
        let filled = |struct_size: usize| {
            let mut out = Now { struct_size, first: 77, second: 77 };
            let pointer: *mut Now = &mut out;
            // SAFETY: `out` is a whole struct.
            let fill = unsafe { Fill::from_c(&pointer, "out") };
            fill.fill(value).map(|()| (out.struct_size, out.first, out.second))
        };
        // A program that was built before `second` was appended.
        assert_eq!(filled(first).unwrap(), (first, 1, 77));
        assert_eq!(filled(size_of::<Now>()).unwrap(), (size_of::<Now>(), 1, 2));
        assert_eq!(filled(size_of::<Now>() + 8).unwrap(), (size_of::<Now>() + 8, 1, 2));
        assert!(filled(first - 1).is_err());
        assert!(filled(0).is_err());
    }
}
