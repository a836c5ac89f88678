//! An engine handle: a model, opened and ready to run.

use std::ffi::{CString, c_char};
use std::sync::Arc;

use crate::engine::{Engine, EngineOptions};
use crate::ffi::boundary::{
    Handle, borrow, c_string, call, clear, fill, guarded, path, place, quiet,
};
use crate::ffi::error::nasoseg_error;
use crate::ffi::options::{Options, nasoseg_options};
use crate::ffi::run::{nasoseg_run, with};
use crate::runtime::Runtime;

/// A model bundle, opened on a device. An engine may be shared by any number of threads; its model
/// runs go one at a time unless nasoseg_options_set_concurrent_runs said otherwise, and results do
/// not depend on that.
#[allow(non_camel_case_types)]
pub struct nasoseg_engine {
    pub(crate) handle: Handle<Arc<Engine>>,
    text: Text,
}

/// Strings that getters lend.
struct Text {
    model_name: CString,
    model_version: CString,
    model_hash: CString,
    intended_use: CString,
    device: CString,
    fallback: CString,
    actions: Vec<CString>,
}

/// Opens the model bundle in `bundle_dir` (UTF-8, borrowed); free the engine with
/// nasoseg_engine_free. Takes a second or so: the model's files are checked against their sums and
/// the graphs are loaded; a cancel takes effect between the two. Options: device, onnxruntime,
/// threads, concurrent runs.
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
    // SAFETY: the caller's promise.
    unsafe {
        clear(engine);
        call(error, &[], || {
            let out = place(engine, "engine")?;
            let dir = path(bundle_dir, "bundle_dir")?;
            let options = Options::of(options);
            let settings = EngineOptions {
                device: options.device,
                onnxruntime: options.onnxruntime,
                threads: options.threads,
                concurrent_runs: options.concurrent_runs,
            };
            let opened = with(run, |run| Engine::open(&dir, &settings, run))?;
            let provenance = opened.provenance();
            let device = opened.device().clone();
            let text = Text {
                model_name: c_string(provenance.model_name),
                model_version: c_string(provenance.model_version),
                model_hash: c_string(provenance.model_hash),
                intended_use: c_string(provenance.statement),
                device: c_string(device.used),
                fallback: c_string(device.fallback.unwrap_or_default()),
                actions: opened
                    .manifest()
                    .agent()
                    .map(|a| a.actions.iter().map(|x| c_string(x.name.as_str())).collect())
                    .unwrap_or_default(),
            };
            *out = Box::into_raw(Box::new(nasoseg_engine {
                handle: Handle::new(Arc::new(opened)),
                text,
            }));
            Ok(())
        })
    }
}

/// Frees an engine. NULL is legal. ONNX Runtime itself stays loaded until the process ends.
///
/// # Safety
/// `engine` is NULL or a live handle, not used afterwards.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn nasoseg_engine_free(engine: *mut nasoseg_engine) {
    if !engine.is_null() {
        // SAFETY: the caller's promise.
        drop(unsafe { Box::from_raw(engine) });
    }
}

/// # Safety
/// `engine` is null or a live handle.
unsafe fn lend(
    engine: *const nasoseg_engine,
    which: impl FnOnce(&Text) -> &CString,
) -> *const c_char {
    // SAFETY: the caller's promise.
    quiet(c"".as_ptr(), || unsafe { engine.as_ref() }.map(|e| which(&e.text).as_ptr()))
}

/// The model's name. This and the strings below are UTF-8 and borrowed: valid until the engine is
/// freed. "" for NULL.
///
/// # Safety
/// `engine` is NULL or a live handle.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn nasoseg_engine_model_name(engine: *const nasoseg_engine) -> *const c_char {
    // SAFETY: the caller's promise.
    unsafe { lend(engine, |t| &t.model_name) }
}

/// The model's version.
///
/// # Safety
/// `engine` is NULL or a live handle.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn nasoseg_engine_model_version(
    engine: *const nasoseg_engine,
) -> *const c_char {
    // SAFETY: the caller's promise.
    unsafe { lend(engine, |t| &t.model_version) }
}

/// The model's identity: SHA-256 of its manifest, 64 hexadecimal digits.
///
/// # Safety
/// `engine` is NULL or a live handle.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn nasoseg_engine_model_hash(engine: *const nasoseg_engine) -> *const c_char {
    // SAFETY: the caller's promise.
    unsafe { lend(engine, |t| &t.model_hash) }
}

/// What the model may be used for. Show it beside every result.
///
/// # Safety
/// `engine` is NULL or a live handle.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn nasoseg_engine_intended_use(
    engine: *const nasoseg_engine,
) -> *const c_char {
    // SAFETY: the caller's promise.
    unsafe { lend(engine, |t| &t.intended_use) }
}

/// Whether the model is a demonstration: no result of it may be called a target. True for NULL.
///
/// # Safety
/// `engine` is NULL or a live handle.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn nasoseg_engine_is_demo(engine: *const nasoseg_engine) -> bool {
    // SAFETY: the caller's promise.
    quiet(true, || unsafe { engine.as_ref() }.map(|e| e.handle.value.provenance().demo))
}

/// The device really used: "cpu" or "cuda:N".
///
/// # Safety
/// `engine` is NULL or a live handle.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn nasoseg_engine_device(engine: *const nasoseg_engine) -> *const c_char {
    // SAFETY: the caller's promise.
    unsafe { lend(engine, |t| &t.device) }
}

/// Why device "auto" did not take CUDA; "" where it did, or was not asked to.
///
/// # Safety
/// `engine` is NULL or a live handle.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn nasoseg_engine_device_fallback(
    engine: *const nasoseg_engine,
) -> *const c_char {
    // SAFETY: the caller's promise.
    unsafe { lend(engine, |t| &t.fallback) }
}

/// Side of the model's square grid, pixels: boxes lie in 0 .. this. 0 for NULL.
///
/// # Safety
/// `engine` is NULL or a live handle.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn nasoseg_engine_grid(engine: *const nasoseg_engine) -> usize {
    // SAFETY: the caller's promise.
    quiet(0, || unsafe { engine.as_ref() }.map(|e| e.handle.value.manifest().input.grid))
}

/// Number of the agent's actions; 0 for a model without an agent, or NULL.
///
/// # Safety
/// `engine` is NULL or a live handle.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn nasoseg_engine_action_count(engine: *const nasoseg_engine) -> usize {
    // SAFETY: the caller's promise.
    quiet(0, || {
        unsafe { engine.as_ref() }?.handle.value.manifest().agent().map(|a| a.actions.len())
    })
}

/// The name of one of the agent's actions, for example "zoom width". Borrowed: valid until the
/// engine is freed. "" beyond the last, or for NULL.
///
/// # Safety
/// `engine` is NULL or a live handle.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn nasoseg_engine_action_name(
    engine: *const nasoseg_engine,
    action: usize,
) -> *const c_char {
    // SAFETY: the caller's promise.
    quiet(c"".as_ptr(), || {
        unsafe { engine.as_ref() }?.text.actions.get(action).map(|name| name.as_ptr())
    })
}

/// What an engine has run so far. Later versions may append fields.
#[repr(C)]
#[allow(non_camel_case_types)]
#[derive(Debug, Clone, Copy)]
pub struct nasoseg_work {
    /// sizeof(nasoseg_work) of the caller.
    pub struct_size: usize,
    /// Boxes that the agent's trunk saw: once for each distinct slice and box.
    pub trunk_rows: u64,
    /// Slices that the segmenter saw; of a model that works on volumes, patches.
    pub segmenter_rows: u64,
    /// Seconds inside ONNX Runtime.
    pub seconds: f64,
}

/// Tells the model runs of an engine since it was made: for measuring.
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
    // SAFETY: the caller's promise.
    unsafe {
        call(error, &[guarded!(engine)], || {
            let done = borrow(engine, "engine")?.handle.value.work();
            let size = size_of::<nasoseg_work>();
            let value = nasoseg_work {
                struct_size: size,
                trunk_rows: done.trunk.rows,
                segmenter_rows: done.segmenter.rows,
                seconds: done.seconds(),
            };
            fill(work, value, size, "work")
        })
    }
}

/// The ONNX Runtime of this process. Later versions may append fields.
#[repr(C)]
#[allow(non_camel_case_types)]
#[derive(Debug, Clone, Copy)]
pub struct nasoseg_runtime_info {
    /// sizeof(nasoseg_runtime_info) of the caller.
    pub struct_size: usize,
    /// For example "1.32.0". Static.
    pub version: *const c_char,
    /// Absolute path of the library. Static.
    pub path: *const c_char,
    /// Whether this build of ONNX Runtime knows CUDA, which says nothing of a device.
    pub has_cuda: bool,
}

/// Loads ONNX Runtime, where it is not loaded yet, and tells which it is. Option: onnxruntime.
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
    // SAFETY: the caller's promise.
    unsafe {
        call(error, &[], || {
            let runtime = Runtime::get(Options::of(options).onnxruntime.as_deref())?;
            static TEXT: once_cell::sync::OnceCell<(CString, CString)> =
                once_cell::sync::OnceCell::new();
            let (version, path) = TEXT.get_or_init(|| {
                (c_string(runtime.version()), c_string(runtime.path().display().to_string()))
            });
            let size = size_of::<nasoseg_runtime_info>();
            let value = nasoseg_runtime_info {
                struct_size: size,
                version: version.as_ptr(),
                path: path.as_ptr(),
                has_cuda: runtime.has_cuda(),
            };
            fill(info, value, size, "info")
        })
    }
}
