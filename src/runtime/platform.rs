//! Everything that depends on the operating system: library names, their folders in a Python wheel,
//! the path of this library, returning memory to the system.
//!
//! Linux is tested; macOS and Windows follow their documented conventions.

use std::path::{Path, PathBuf};

/// Whether a file name is ONNX Runtime's shared library: `libonnxruntime.so[.1.x.y]`,
/// `libonnxruntime[.1.x.y].dylib`, `onnxruntime.dll`.
pub fn is_onnxruntime(name: &str) -> bool {
    if cfg!(windows) {
        name.eq_ignore_ascii_case("onnxruntime.dll")
    } else if cfg!(target_os = "macos") {
        name.starts_with("libonnxruntime.") && name.ends_with("dylib")
    } else {
        name == "libonnxruntime.so" || name.starts_with("libonnxruntime.so.")
    }
}

/// The folders of a Python environment that can hold the `onnxruntime` wheel's library.
pub fn wheel_folders(environment: &Path) -> Vec<PathBuf> {
    let capi = |site: PathBuf| site.join("onnxruntime").join("capi");
    if cfg!(windows) {
        return vec![capi(environment.join("Lib").join("site-packages"))];
    }
    let mut folders = Vec::new();
    for lib in ["lib", "lib64"] {
        let Ok(entries) = std::fs::read_dir(environment.join(lib)) else { continue };
        let mut versions: Vec<PathBuf> = entries
            .flatten()
            .map(|e| e.path())
            .filter(|p| p.file_name().is_some_and(|n| n.to_string_lossy().starts_with("python3")))
            .collect();
        versions.sort();
        folders.extend(versions.into_iter().map(|v| capi(v.join("site-packages"))));
    }
    folders
}

/// The file that this code was loaded from: the shared library, or the executable if it is linked
/// in.
pub fn own_file() -> Option<PathBuf> {
    #[cfg(unix)]
    {
        use std::os::unix::ffi::OsStrExt;
        // SAFETY: a plain C struct of pointers, for which all-zero is valid.
        let mut info: libc::Dl_info = unsafe { std::mem::zeroed() };
        let address = own_file as fn() -> Option<PathBuf> as *const libc::c_void;
        // SAFETY: an address of this very module, and a struct that dladdr fills.
        let found = unsafe { libc::dladdr(address, &mut info) } != 0;
        if found && !info.dli_fname.is_null() {
            // SAFETY: the name that dladdr gives is a string that outlives the module.
            let name = unsafe { std::ffi::CStr::from_ptr(info.dli_fname) };
            let path = PathBuf::from(std::ffi::OsStr::from_bytes(name.to_bytes()));
            if path.is_absolute() {
                return Some(path);
            }
        }
    }
    std::env::current_exe().ok()
}

/// Returns memory that was freed after loading a model to the system, if the allocator keeps it.
pub fn trim_memory() {
    #[cfg(all(target_os = "linux", target_env = "gnu"))]
    // SAFETY: malloc_trim has no preconditions.
    unsafe {
        libc::malloc_trim(0);
    }
}
