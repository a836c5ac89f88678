//! ONNX Runtime, found and loaded at run time, once per process.
//!
//! In: an explicit path or the places that [`search`] lists. Out: the process's one [`Runtime`],
//! kept for ever: ONNX Runtime can neither be unloaded nor replaced, so a second, different path is
//! refused.

pub mod device;
pub mod networks;
pub mod platform;
pub mod watch;

use std::path::{Path, PathBuf};
use std::sync::Mutex;

use once_cell::sync::OnceCell;

use crate::error::{Error, Result};
pub use device::{Device, DeviceUsed};
pub use networks::Networks;
pub use watch::Watch;

/// Environment variable that names ONNX Runtime's library.
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
/// Serialises loading: ONNX Runtime's environment can be made once only.
static LOADING: Mutex<()> = Mutex::new(());

impl Runtime {
    /// The process's ONNX Runtime, loaded on first use. `explicit` comes before all other places.
    ///
    /// # Errors
    /// [`Error::Runtime`] where nothing usable is found (every place looked in is named), where the
    /// library is older than 1.23 or not ONNX Runtime, or where another one is loaded already.
    pub fn get(explicit: Option<&Path>) -> Result<&'static Runtime> {
        let _guard = LOADING.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
        if let Some(runtime) = RUNTIME.get() {
            if explicit.is_some() {
                let wanted = find(explicit)?;
                if wanted != runtime.path {
                    return Err(wrong(format!(
                        "{}: another ONNX Runtime is loaded already ({}). A process can use one only: start a new process",
                        wanted.display(),
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
        // Warnings of the runtime belong in nobody's terminal; errors come back as results.
        environment.set_log_level(ort::logging::LogLevel::Error);
        Ok(RUNTIME.get_or_init(|| Runtime { environment, path, version }))
    }

    /// The library's path, absolute.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// For example `1.32.0`.
    pub fn version(&self) -> &str {
        &self.version
    }

    /// Whether this build of ONNX Runtime knows the CUDA provider (which says nothing of a device).
    pub fn has_cuda(&self) -> bool {
        use ort::ep::ExecutionProvider;
        ort::ep::CUDA::is_available().unwrap_or(false)
    }
}

/// Where ONNX Runtime is looked for, in order, and what was there.
pub fn search(explicit: Option<&Path>) -> Vec<(String, Option<PathBuf>)> {
    let named = |path: &Path| {
        let found =
            if path.is_dir() { in_folder(path) } else { path.is_file().then(|| path.to_owned()) };
        found.map(|p| canonical(&p))
    };
    if let Some(path) = explicit {
        return vec![(format!("the path given: {}", path.display()), named(path))];
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
        "ONNX Runtime was not found. Looked in: {}. Install it (pip install onnxruntime, 1.{OLDEST_MINOR} or later) in the active virtual \
         environment, or set {ENV_DYLIB} to the path of its shared library",
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

/// The version that the library tells, refused below 1.23 before anything else of it is used.
fn version_of(path: &Path) -> Result<String> {
    #[repr(C)]
    struct ApiBase {
        get_api: *const libc::c_void,
        get_version_string: Option<unsafe extern "C" fn() -> *const libc::c_char>,
    }
    let foreign = || {
        wrong(format!(
            "{}: not ONNX Runtime (no OrtGetApiBase in it). Give the path of onnxruntime's shared library",
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
            "{}: ONNX Runtime {version}; 1.{OLDEST_MINOR} or later is needed. Update it",
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
