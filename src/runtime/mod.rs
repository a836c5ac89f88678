//! ONNX Runtime, found and loaded at run time, once per process.
//!
//! In: an explicit path or the places that [`search`] lists. Out: the process's one [`Runtime`],
//! kept until the process ends: ONNX Runtime can neither be unloaded nor replaced, so a second,
//! different path is refused.

pub mod cancel;
pub mod device;
mod graph;
pub mod graphs;
pub mod networks;
pub mod platform;
mod signature;
pub mod work;

use std::path::{Path, PathBuf};
use std::sync::Mutex;

use once_cell::sync::OnceCell;

use crate::error::{Error, Result};
pub use cancel::CancelWatch;
pub use device::{Device, DeviceUsed};
pub use graphs::{AgentGraphs, CropSegmenter, ProposalGraph, VolumeSegmenter};
pub use networks::{NetworkOptions, Networks, WatchedNetworks};
pub use work::{GraphWork, Work};

/// Environment variable that holds the path of ONNX Runtime's library.
pub const ENV_DYLIB: &str = "NASOSEG_ORT_DYLIB";

/// Oldest ONNX Runtime that is accepted (1.minor).
pub const OLDEST_MINOR: u32 = 23;

/// The loaded ONNX Runtime.
#[derive(Debug)]
pub struct Runtime {
    pub(crate) environment: ort::environment::Environment,
    path: PathBuf,
    version: String,
}

static RUNTIME: OnceCell<Runtime> = OnceCell::new();
/// Serialises loading: ONNX Runtime's environment can be created only once.
static LOADING: Mutex<()> = Mutex::new(());

impl Runtime {
    /// The process's ONNX Runtime, loaded on first use. `explicit`, if given, is the only place
    /// searched.
    ///
    /// # Errors
    /// [`Error::Runtime`] if nothing usable is found (the message lists every place searched), if
    /// the library is older than 1.23 or not ONNX Runtime, or if another one is loaded already.
    pub fn get(explicit: Option<&Path>) -> Result<&'static Runtime> {
        let _guard = LOADING.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
        if let Some(runtime) = RUNTIME.get() {
            if explicit.is_some() {
                let requested = find(explicit)?;
                if requested != runtime.path {
                    return Err(wrong(format!(
                        "{}: another ONNX Runtime is loaded already ({}), and a process can use \
                         only one. Start a new process",
                        requested.display(),
                        runtime.path.display()
                    )));
                }
            }
            return Ok(runtime);
        }
        let path = find(explicit)?;
        let version = version_of(&path)?;
        let environment = ort::init_from(&path)
            .map_err(|e| caused(format!("{}: ONNX Runtime cannot be loaded", path.display()), e))?
            .with_name("nasoseg")
            .with_telemetry(false)
            .build()
            .map_err(|e| caused(format!("{}: ONNX Runtime does not start", path.display()), e))?;
        // ONNX Runtime's warnings must not reach the host's terminal; errors are returned.
        environment.set_log_level(ort::logging::LogLevel::Error);
        Ok(RUNTIME.get_or_init(|| Runtime { environment, path, version }))
    }

    /// The library's path, absolute.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The version, such as `1.32.0`.
    pub fn version(&self) -> &str {
        &self.version
    }

    /// Whether this ONNX Runtime was built with the CUDA provider, with or without a device.
    pub fn has_cuda(&self) -> bool {
        use ort::ep::ExecutionProvider;
        ort::ep::CUDA::is_available().unwrap_or(false)
    }
}

/// The places where ONNX Runtime is searched for, in order, and the library found in each.
pub fn search(explicit: Option<&Path>) -> Vec<(String, Option<PathBuf>)> {
    let named = |path: &Path| {
        let found =
            if path.is_dir() { in_folder(path) } else { path.is_file().then(|| path.to_owned()) };
        found.map(|p| canonical(&p))
    };
    if let Some(path) = explicit {
        return vec![(format!("the given path: {}", path.display()), named(path))];
    }
    if let Some(path) = std::env::var_os(ENV_DYLIB).filter(|v| !v.is_empty()).map(PathBuf::from) {
        return vec![(format!("{ENV_DYLIB}={}", path.display()), named(&path))];
    }
    let mut places = Vec::new();
    let mut folder = |what: &str, path: PathBuf| {
        let found = in_folder(&path).map(|p| canonical(&p));
        places.push((format!("{what}: {}", path.display()), found));
    };
    if let Some(beside) = platform::own_file().and_then(|p| p.parent().map(Path::to_owned)) {
        folder("beside the library", beside);
    }
    match std::env::var_os("VIRTUAL_ENV").filter(|v| !v.is_empty()).map(PathBuf::from) {
        Some(environment) => {
            let folders = platform::wheel_folders(&environment);
            if folders.is_empty() {
                places.push((
                    format!(
                        "the active virtual environment: {} (no Python there)",
                        environment.display()
                    ),
                    None,
                ));
            }
            for path in folders {
                let found = in_folder(&path).map(|p| canonical(&p));
                places.push((format!("the active virtual environment: {}", path.display()), found));
            }
        }
        None => places
            .push(("the active virtual environment: none (VIRTUAL_ENV is not set)".into(), None)),
    }
    places
}

fn find(explicit: Option<&Path>) -> Result<PathBuf> {
    let places = search(explicit);
    if let Some(path) = places.iter().find_map(|(_, found)| found.clone()) {
        return Ok(path);
    }
    let list: Vec<&str> = places.iter().map(|(place, _)| place.as_str()).collect();
    Err(wrong(format!(
        "ONNX Runtime was not found. Looked in: {}. Install it (pip install onnxruntime, \
         1.{OLDEST_MINOR} or later) in the active virtual environment, or set {ENV_DYLIB} to the \
         path of its shared library",
        list.join("; ")
    )))
}

fn in_folder(folder: &Path) -> Option<PathBuf> {
    let mut found: Vec<PathBuf> = std::fs::read_dir(folder)
        .ok()?
        .flatten()
        .filter(|e| platform::is_onnxruntime(&e.file_name().to_string_lossy()))
        .map(|e| e.path())
        .filter(|p| p.is_file())
        .collect();
    found.sort();
    found.into_iter().next()
}

fn canonical(path: &Path) -> PathBuf {
    std::fs::canonicalize(path).unwrap_or_else(|_| path.to_owned())
}

/// The version that the library reports; one below 1.23 is refused before anything else is called.
fn version_of(path: &Path) -> Result<String> {
    #[repr(C)]
    struct ApiBase {
        get_api: *const libc::c_void,
        get_version_string: Option<unsafe extern "C" fn() -> *const libc::c_char>,
    }
    let foreign = || {
        wrong(format!(
            "{}: not ONNX Runtime (it has no OrtGetApiBase). Give the path of onnxruntime's shared \
             library",
            path.display()
        ))
    };
    // SAFETY: the caller asked for this library to be loaded; its initialisers run as they would in
    // any program that links it.
    let library = unsafe { libloading::Library::new(path) }.map_err(|e| {
        caused(format!("{}: cannot be loaded as a shared library", path.display()), e)
    })?;
    let version = {
        // SAFETY: OrtGetApiBase is ONNX Runtime's documented entry; the struct's first two members
        // are fixed by its ABI.
        let entry: libloading::Symbol<'_, unsafe extern "C" fn() -> *const ApiBase> =
            unsafe { library.get(b"OrtGetApiBase\0") }.map_err(|_| foreign())?;
        // SAFETY: the entry takes nothing and may be called at any time.
        let base = unsafe { entry() };
        // SAFETY: null, or a static struct of the documented layout.
        let base = unsafe { base.as_ref() }.ok_or_else(foreign)?;
        let version_string = base.get_version_string.ok_or_else(foreign)?;
        // SAFETY: the struct's own function, which takes nothing.
        let text = unsafe { version_string() };
        if text.is_null() {
            return Err(foreign());
        }
        // SAFETY: not null; a static, NUL-terminated string.
        unsafe { std::ffi::CStr::from_ptr(text) }.to_string_lossy().into_owned()
    };
    // ONNX Runtime does not survive being unloaded.
    std::mem::forget(library);
    let mut numbers = version.split('.').map(|n| n.parse::<u32>().unwrap_or(0));
    let (major, minor) = (numbers.next().unwrap_or(0), numbers.next().unwrap_or(0));
    if (major, minor) < (1, OLDEST_MINOR) {
        return Err(wrong(format!(
            "{}: ONNX Runtime {version}, expected 1.{OLDEST_MINOR} or later. Update it",
            path.display()
        )));
    }
    Ok(version)
}

fn wrong(message: String) -> Error {
    Error::Runtime { message, source: None }
}

fn caused(message: String, source: impl std::error::Error + Send + Sync + 'static) -> Error {
    Error::Runtime { message, source: Some(Box::new(source)) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_library_that_is_not_onnx_runtime_is_refused_by_name() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("libonnxruntime.so");
        std::fs::write(&path, b"not a library").unwrap();
        let error = version_of(&path).unwrap_err();
        assert!(error.to_string().contains("libonnxruntime.so: cannot be loaded"), "{error}");
        let folder = tempfile::tempdir().unwrap();
        let error = find(Some(folder.path())).unwrap_err();
        assert!(error.to_string().contains(&folder.path().display().to_string()), "{error}");
    }
}
