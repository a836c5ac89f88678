//! An engine handle: a model, opened and ready to run.

use std::ffi::{CString, c_char};
use std::sync::Arc;

use once_cell::sync::OnceCell;

use crate::engine::{Engine, EngineOptions};
use crate::ffi::arguments::{Ref, arguments, versioned};
use crate::ffi::boundary::{Handle, c_string, call, guarded, quiet};
use crate::ffi::error::nasoseg_error;
use crate::ffi::options::{Options, nasoseg_options};
use crate::ffi::run::{nasoseg_run, with};
use crate::runtime::Runtime;

/// A model bundle, opened on a device. Any number of threads may share an engine; it runs the model
/// once at a time unless nasoseg_options_set_concurrent_runs has set another number. Results do not
/// depend on that number.
#[allow(non_camel_case_types)]
pub struct nasoseg_engine {
    pub(crate) handle: Handle<Arc<Engine>>,
    strings: Strings,
}
guarded!(nasoseg_engine);

/// Strings that getters return views of.
struct Strings {
    model_name: CString,
    model_version: CString,
    model_hash: CString,
    intended_use: CString,
    device: CString,
    fallback: CString,
    actions: Vec<CString>,
}

impl Strings {
    fn new(engine: &Engine) -> Strings {
        let provenance = engine.provenance();
        let device = engine.device().clone();
        let agent = engine.manifest().agent();
        Strings {
            model_name: c_string(provenance.model_name),
            model_version: c_string(provenance.model_version),
            model_hash: c_string(provenance.model_hash),
            intended_use: c_string(provenance.statement),
            device: c_string(device.used),
            fallback: c_string(device.fallback.unwrap_or_default()),
            actions: agent
                .map(|a| a.actions.iter().map(|x| c_string(x.name.as_str())).collect())
                .unwrap_or_default(),
        }
    }
}

/// Opens the model bundle in the folder `bundle_dir` (UTF-8); free the engine with
/// nasoseg_engine_free. Takes about a second: the hashes of the model's files are checked and the
/// graphs are loaded, and a cancel takes effect between the two. Options: device, onnxruntime,
/// threads, concurrent_runs.
///
/// # Safety
/// `bundle_dir` is a string; `options` and `run` are NULL or live handles; `engine` points to
/// writable memory; `error` is NULL or does too.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn nasoseg_engine_new(
    bundle_dir: *const c_char,
    options: *const nasoseg_options,
    run: *const nasoseg_run,
    engine: *mut *mut nasoseg_engine,
    error: *mut *mut nasoseg_error,
) -> u32 {
    arguments!(bundle_dir: Text, options: Ref, run: Ref, engine: Out, error: Out);
    call(error, &[], || {
        let place = engine.required()?;
        let dir = bundle_dir.path()?;
        let options = Options::of(options);
        let settings = EngineOptions {
            device: options.device,
            onnxruntime: options.onnxruntime,
            threads: options.threads,
            concurrent_runs: options.concurrent_runs,
        };
        let opened = with(run, |run| Engine::open(&dir, &settings, run))?;
        let strings = Strings::new(&opened);
        place.put(nasoseg_engine { handle: Handle::new(Arc::new(opened)), strings });
        Ok(())
    })
}

/// Frees an engine. NULL is legal. ONNX Runtime itself stays loaded until the process ends.
///
/// # Safety
/// `engine` is NULL or a live handle, not used afterwards.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn nasoseg_engine_free(engine: *mut nasoseg_engine) {
    arguments!(engine: Owned);
    drop(engine);
}

/// One of an engine's strings; "" for null.
fn string(
    engine: Ref<'_, nasoseg_engine>,
    which: impl FnOnce(&Strings) -> &CString,
) -> *const c_char {
    quiet(c"".as_ptr(), || engine.optional().map(|e| which(&e.strings).as_ptr()))
}

/// The model's name. This string and those below are UTF-8 and borrowed: valid until the engine is
/// freed. "" for NULL.
///
/// # Safety
/// `engine` is NULL or a live handle.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn nasoseg_engine_model_name(engine: *const nasoseg_engine) -> *const c_char {
    arguments!(engine: Ref);
    string(engine, |t| &t.model_name)
}

/// The model's version.
///
/// # Safety
/// `engine` is NULL or a live handle.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn nasoseg_engine_model_version(
    engine: *const nasoseg_engine,
) -> *const c_char {
    arguments!(engine: Ref);
    string(engine, |t| &t.model_version)
}

/// The model's identity: SHA-256 of its manifest, 64 hexadecimal digits.
///
/// # Safety
/// `engine` is NULL or a live handle.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn nasoseg_engine_model_hash(engine: *const nasoseg_engine) -> *const c_char {
    arguments!(engine: Ref);
    string(engine, |t| &t.model_hash)
}

/// What the model may be used for. Show it beside every result.
///
/// # Safety
/// `engine` is NULL or a live handle.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn nasoseg_engine_intended_use(
    engine: *const nasoseg_engine,
) -> *const c_char {
    arguments!(engine: Ref);
    string(engine, |t| &t.intended_use)
}

/// Whether the model is a demonstration, no result of which may be called a target. True for NULL.
///
/// # Safety
/// `engine` is NULL or a live handle.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn nasoseg_engine_is_demo(engine: *const nasoseg_engine) -> bool {
    arguments!(engine: Ref);
    quiet(true, || engine.optional().map(|e| e.handle.value.provenance().demo))
}

/// The device in use: "cpu" or "cuda:N".
///
/// # Safety
/// `engine` is NULL or a live handle.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn nasoseg_engine_device(engine: *const nasoseg_engine) -> *const c_char {
    arguments!(engine: Ref);
    string(engine, |t| &t.device)
}

/// Why device "auto" fell back to the CPU; "" if it did not, or another device was requested.
///
/// # Safety
/// `engine` is NULL or a live handle.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn nasoseg_engine_device_fallback(
    engine: *const nasoseg_engine,
) -> *const c_char {
    arguments!(engine: Ref);
    string(engine, |t| &t.fallback)
}

/// Side of the model's square grid, pixels; the coordinates of boxes lie between 0 and this. 0 for
/// NULL.
///
/// # Safety
/// `engine` is NULL or a live handle.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn nasoseg_engine_grid(engine: *const nasoseg_engine) -> usize {
    arguments!(engine: Ref);
    quiet(0, || engine.optional().map(|e| e.handle.value.manifest().input.grid))
}

/// Number of the agent's actions; 0 for a model without an agent, or NULL.
///
/// # Safety
/// `engine` is NULL or a live handle.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn nasoseg_engine_action_count(engine: *const nasoseg_engine) -> usize {
    arguments!(engine: Ref);
    quiet(0, || engine.optional()?.handle.value.manifest().agent().map(|a| a.actions.len()))
}

/// The name of one of the agent's actions, for example "zoom width". Borrowed: valid until the
/// engine is freed. "" if there is no such action, or for NULL.
///
/// # Safety
/// `engine` is NULL or a live handle.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn nasoseg_engine_action_name(
    engine: *const nasoseg_engine,
    action: usize,
) -> *const c_char {
    arguments!(engine: Ref);
    quiet(c"".as_ptr(), || engine.optional()?.strings.actions.get(action).map(|name| name.as_ptr()))
}

/// What an engine has run so far. Later versions may append fields.
#[repr(C)]
#[allow(non_camel_case_types)]
#[derive(Debug, Clone, Copy)]
pub struct nasoseg_work {
    /// Size of the struct in bytes, set by the side that allocates it.
    pub struct_size: usize,
    /// Boxes evaluated by the agent's trunk: once for each distinct slice and box.
    pub trunk_rows: u64,
    /// Slices evaluated by the segmenter; patches, for a model that works on volumes.
    pub segmenter_rows: u64,
    /// Seconds inside ONNX Runtime.
    pub seconds: f64,
}
versioned!(nasoseg_work);

/// Returns what an engine has run since it was made, for measurements.
///
/// # Safety
/// `engine` is a live handle; `work` points to a struct whose struct_size is set; `error` is NULL
/// or writable.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn nasoseg_engine_get_work(
    engine: *const nasoseg_engine,
    work: *mut nasoseg_work,
    error: *mut *mut nasoseg_error,
) -> u32 {
    arguments!(engine: Ref, work: Fill, error: Out);
    call(error, &[&engine], || {
        let engine: &nasoseg_engine = engine.required()?;
        let done = engine.handle.value.work();
        work.fill(nasoseg_work {
            struct_size: size_of::<nasoseg_work>(),
            trunk_rows: done.trunk.rows,
            segmenter_rows: done.segmenter.rows,
            seconds: done.seconds(),
        })
    })
}

/// The ONNX Runtime of this process. Later versions may append fields.
#[repr(C)]
#[allow(non_camel_case_types)]
#[derive(Debug, Clone, Copy)]
pub struct nasoseg_runtime_info {
    /// Size of the struct in bytes, set by the side that allocates it.
    pub struct_size: usize,
    /// For example "1.32.0". Static.
    pub version: *const c_char,
    /// Absolute path of the library. Static.
    pub path: *const c_char,
    /// Whether this build of ONNX Runtime supports CUDA; whether there is a device is another
    /// question.
    pub has_cuda: bool,
}
versioned!(nasoseg_runtime_info);

/// Loads ONNX Runtime if necessary and returns its version and path. Option: onnxruntime.
///
/// # Safety
/// `options` is NULL or a live handle; `info` points to a struct whose struct_size is set; `error`
/// is NULL or writable.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn nasoseg_runtime_info_get(
    options: *const nasoseg_options,
    info: *mut nasoseg_runtime_info,
    error: *mut *mut nasoseg_error,
) -> u32 {
    static TEXT: OnceCell<(CString, CString)> = OnceCell::new();
    arguments!(options: Ref, info: Fill, error: Out);
    call(error, &[], || {
        let runtime = Runtime::get(Options::of(options).onnxruntime.as_deref())?;
        let (version, path) = TEXT.get_or_init(|| {
            (c_string(runtime.version()), c_string(runtime.path().display().to_string()))
        });
        info.fill(nasoseg_runtime_info {
            struct_size: size_of::<nasoseg_runtime_info>(),
            version: version.as_ptr(),
            path: path.as_ptr(),
            has_cuda: runtime.has_cuda(),
        })
    })
}
