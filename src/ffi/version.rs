//! Versions of the library and of its ABI.

/// Version of the ABI. It grows by one when a function, field or constant is added, and to the next
/// hundred on an incompatible change.
pub const NASOSEG_ABI_VERSION: u32 = 1;

/// The library's version, for example "0.1.0". Static; never freed.
#[unsafe(no_mangle)]
pub extern "C" fn nasoseg_version() -> *const std::ffi::c_char {
    concat!(env!("CARGO_PKG_VERSION"), "\0").as_ptr().cast()
}

/// The ABI's version: [`NASOSEG_ABI_VERSION`] of the library that was loaded, which may be newer
/// than the header.
#[unsafe(no_mangle)]
pub extern "C" fn nasoseg_abi_version() -> u32 {
    NASOSEG_ABI_VERSION
}
