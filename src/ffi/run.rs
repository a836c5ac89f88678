//! Progress and cancel, as C sees them.

use std::ffi::c_void;

use crate::error::Result;
use crate::ffi::boundary::{borrow, call, place, quiet};
use crate::ffi::error::nasoseg_error;
use crate::run::{CancelToken, Progress, Run, Stage};

/// The stages of the pipeline, in order.
#[repr(C)]
#[allow(non_camel_case_types, dead_code)]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum nasoseg_stage {
    NASOSEG_STAGE_READ = 0,
    NASOSEG_STAGE_ALIGN = 1,
    NASOSEG_STAGE_PREPARE = 2,
    NASOSEG_STAGE_DETECT = 3,
    NASOSEG_STAGE_SEGMENT = 4,
    NASOSEG_STAGE_CONTOUR = 5,
    NASOSEG_STAGE_EXPORT = 6,
}

/// How far a stage is. `done` of `total` never decreases within a stage of one call. Later versions
/// may append fields.
#[repr(C)]
#[allow(non_camel_case_types)]
#[derive(Debug, Clone, Copy)]
pub struct nasoseg_progress {
    /// Bytes that the library filled.
    pub struct_size: usize,
    /// A nasoseg_stage.
    pub stage: u32,
    /// Units done: sequences, slices or files.
    pub done: usize,
    /// Units in all; 0 where there is nothing to do.
    pub total: usize,
}

/// Called on the thread that made the call, between two model runs; `progress` is borrowed for the
/// call. Return false to cancel. It may not unwind (throw) into the library, and may not make calls
/// on the handles of the call that reports: the study's lock is held. Cancel tokens may be used.
#[allow(non_camel_case_types)]
pub type nasoseg_progress_callback =
    Option<unsafe extern "C" fn(progress: *const nasoseg_progress, user_data: *mut c_void) -> bool>;

/// A flag that cancels calls. Any thread, or a signal handler, may set it. It stays set until it is
/// reset.
#[allow(non_camel_case_types)]
pub struct nasoseg_cancel_token {
    token: CancelToken,
}

/// What a long call reports to and is cancelled by. Everywhere NULL stands for neither.
#[allow(non_camel_case_types)]
pub struct nasoseg_run {
    callback: nasoseg_progress_callback,
    user_data: *mut c_void,
    token: Option<CancelToken>,
}

/// Makes a cancel token; free it with nasoseg_cancel_token_free.
///
/// # Safety
/// `token` points to writable memory; `error` is NULL or does too.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn nasoseg_cancel_token_new(
    token: *mut *mut nasoseg_cancel_token,
    error: *mut *mut nasoseg_error,
) -> u32 {
    // SAFETY: the caller's promise.
    unsafe {
        call(error, &[], || {
            let out = place(token, "token")?;
            *out = Box::into_raw(Box::new(nasoseg_cancel_token { token: CancelToken::new() }));
            Ok(())
        })
    }
}

/// Frees a token. NULL is legal. A run that took it keeps the flag alive.
///
/// # Safety
/// `token` is NULL or a live handle, not used afterwards.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn nasoseg_cancel_token_free(token: *mut nasoseg_cancel_token) {
    if !token.is_null() {
        // SAFETY: the caller's promise.
        drop(unsafe { Box::from_raw(token) });
    }
}

/// Cancels every call whose run has this token, within one model run. Safe from any thread and from
/// a signal handler: it stores one atomic flag. NULL is ignored.
///
/// # Safety
/// `token` is NULL or a live handle.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn nasoseg_cancel_token_cancel(token: *const nasoseg_cancel_token) {
    // SAFETY: the caller's promise. Nothing here can panic or allocate.
    if let Some(token) = unsafe { token.as_ref() } {
        token.token.cancel();
    }
}

/// Whether the token is set. False for NULL.
///
/// # Safety
/// `token` is NULL or a live handle.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn nasoseg_cancel_token_is_cancelled(
    token: *const nasoseg_cancel_token,
) -> bool {
    // SAFETY: the caller's promise.
    unsafe { token.as_ref() }.is_some_and(|t| t.token.is_cancelled())
}

/// Makes the token usable again after a cancel. NULL is ignored.
///
/// # Safety
/// `token` is NULL or a live handle.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn nasoseg_cancel_token_reset(token: *const nasoseg_cancel_token) {
    // SAFETY: the caller's promise.
    if let Some(token) = unsafe { token.as_ref() } {
        token.token.reset();
    }
}

/// Makes a run; free it with nasoseg_run_free. A run may serve many calls, one at a time.
///
/// # Safety
/// `run` points to writable memory; `error` is NULL or does too.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn nasoseg_run_new(
    run: *mut *mut nasoseg_run,
    error: *mut *mut nasoseg_error,
) -> u32 {
    // SAFETY: the caller's promise.
    unsafe {
        call(error, &[], || {
            let new = nasoseg_run { callback: None, user_data: std::ptr::null_mut(), token: None };
            let out = place(run, "run")?;
            *out = Box::into_raw(Box::new(new));
            Ok(())
        })
    }
}

/// Frees a run. NULL is legal.
///
/// # Safety
/// `run` is NULL or a live handle, not used afterwards.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn nasoseg_run_free(run: *mut nasoseg_run) {
    if !run.is_null() {
        // SAFETY: the caller's promise.
        drop(unsafe { Box::from_raw(run) });
    }
}

/// Sets the progress callback; NULL takes it away. `user_data` is handed to it untouched.
///
/// # Safety
/// `run` is a live handle that no call is using; `callback` and `user_data` stay valid while calls
/// use the run.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn nasoseg_run_set_progress(
    run: *mut nasoseg_run,
    callback: nasoseg_progress_callback,
    user_data: *mut c_void,
    error: *mut *mut nasoseg_error,
) -> u32 {
    // SAFETY: the caller's promise.
    unsafe {
        call(error, &[], || {
            let run = place(run, "run")?;
            run.callback = callback;
            run.user_data = user_data;
            Ok(())
        })
    }
}

/// Sets the cancel token; NULL takes it away. The token may be freed afterwards, though then nobody
/// can set it.
///
/// # Safety
/// `run` is a live handle that no call is using; `token` is NULL or a live handle, borrowed for the
/// call.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn nasoseg_run_set_cancel(
    run: *mut nasoseg_run,
    token: *const nasoseg_cancel_token,
    error: *mut *mut nasoseg_error,
) -> u32 {
    // SAFETY: the caller's promise.
    unsafe {
        call(error, &[], || {
            place(run, "run")?.token = token.as_ref().map(|t| t.token.clone());
            Ok(())
        })
    }
}

/// Runs `work` with what the C run says.
///
/// # Safety
/// `run` is null or a live handle; its callback and user data are valid.
pub(crate) unsafe fn with<T>(
    run: *const nasoseg_run,
    work: impl FnOnce(&Run<'_>) -> Result<T>,
) -> Result<T> {
    // SAFETY: the caller's promise.
    let Ok(run) = (unsafe { borrow(run, "run") }) else { return work(&Run::default()) };
    let report = |p: Progress| {
        let Some(callback) = run.callback else { return true };
        let progress = nasoseg_progress {
            struct_size: size_of::<nasoseg_progress>(),
            stage: stage(p.stage) as u32,
            done: p.done,
            total: p.total,
        };
        // SAFETY: the caller's promise about callback and user data.
        unsafe { callback(&progress, run.user_data) }
    };
    work(&Run { progress: Some(&report), cancel: run.token.as_ref() })
}

fn stage(stage: Stage) -> nasoseg_stage {
    match stage {
        Stage::Read => nasoseg_stage::NASOSEG_STAGE_READ,
        Stage::Align => nasoseg_stage::NASOSEG_STAGE_ALIGN,
        Stage::Prepare => nasoseg_stage::NASOSEG_STAGE_PREPARE,
        Stage::Detect => nasoseg_stage::NASOSEG_STAGE_DETECT,
        Stage::Segment => nasoseg_stage::NASOSEG_STAGE_SEGMENT,
        Stage::Contour => nasoseg_stage::NASOSEG_STAGE_CONTOUR,
        Stage::Export => nasoseg_stage::NASOSEG_STAGE_EXPORT,
    }
}

/// A stage's name in words, for example "detect". Static. "" for a number that is no stage.
#[unsafe(no_mangle)]
pub extern "C" fn nasoseg_stage_name(stage: u32) -> *const std::ffi::c_char {
    const NAMES: [&std::ffi::CStr; 7] =
        [c"read", c"align", c"prepare", c"detect", c"segment", c"contour", c"export"];
    quiet(c"".as_ptr(), || NAMES.get(stage as usize).map(|n| n.as_ptr()))
}
