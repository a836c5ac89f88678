//! Progress and cancel, as C sees them.

use std::ffi::{CStr, c_char, c_void};

use crate::error::Result;
use crate::ffi::arguments::{Callback, Ref, arguments};
use crate::ffi::boundary::{call, quiet};
use crate::ffi::error::nasoseg_error;
use crate::run::{CancelToken, Progress, Run, Stage};

/// The stages of the pipeline, in order.
#[repr(C)]
#[allow(non_camel_case_types, dead_code)]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum nasoseg_stage {
    /// Reading files, or copying a volume.
    NASOSEG_STAGE_READ = 0,
    /// Aligning T1 and T2 with T1C.
    NASOSEG_STAGE_ALIGN = 1,
    /// Preparing the model's input.
    NASOSEG_STAGE_PREPARE = 2,
    /// Finding boxes.
    NASOSEG_STAGE_DETECT = 3,
    /// Segmenting in the boxes.
    NASOSEG_STAGE_SEGMENT = 4,
    /// Tracing contours.
    NASOSEG_STAGE_CONTOUR = 5,
    /// Writing files.
    NASOSEG_STAGE_EXPORT = 6,
}

/// How far a stage is: `done` of `total`, which never decreases within a stage of one call. Later
/// versions may append fields.
#[repr(C)]
#[allow(non_camel_case_types)]
#[derive(Debug, Clone, Copy)]
pub struct nasoseg_progress {
    /// Size of the struct in bytes, set by the side that allocates it.
    pub struct_size: usize,
    /// A nasoseg_stage.
    pub stage: u32,
    /// Units done: sequences, slices or files.
    pub done: usize,
    /// Units in total; 0 if there is nothing to do.
    pub total: usize,
}

/// Reports progress, on the thread that made the call and between two model runs. `progress` is
/// borrowed for the callback. Return false to cancel. A callback must not unwind (throw) into the
/// library and must not make calls on the handles of the call that reports, whose study is locked.
/// It may use cancel tokens.
#[allow(non_camel_case_types)]
pub type nasoseg_progress_callback =
    Option<unsafe extern "C" fn(progress: *const nasoseg_progress, user_data: *mut c_void) -> bool>;

/// A flag that cancels calls. Any thread, or a signal handler, may set it; it stays set until it is
/// reset. Several runs may share one.
#[allow(non_camel_case_types)]
pub struct nasoseg_cancel_token {
    token: CancelToken,
}

/// Receives the progress of long calls and cancels them. NULL means no progress and no cancel
/// in every function that takes a run.
#[allow(non_camel_case_types)]
#[derive(Default)]
pub struct nasoseg_run {
    callback: Option<Callback>,
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
    arguments!(token: Out, error: Out);
    call(error, &[], || {
        token.required()?.put(nasoseg_cancel_token { token: CancelToken::new() });
        Ok(())
    })
}

/// Frees a token. NULL is legal. A run that has it keeps the flag itself alive.
///
/// # Safety
/// `token` is NULL or a live handle, not used afterwards.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn nasoseg_cancel_token_free(token: *mut nasoseg_cancel_token) {
    arguments!(token: Owned);
    drop(token);
}

/// Cancels every call whose run has this token, within one model run. Safe from any thread and from
/// a signal handler: it sets one atomic flag. NULL is ignored.
///
/// # Safety
/// `token` is NULL or a live handle.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn nasoseg_cancel_token_cancel(token: *const nasoseg_cancel_token) {
    arguments!(token: Ref);
    // Nothing here can panic or allocate: a signal handler may be running.
    if let Some(token) = token.optional() {
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
    arguments!(token: Ref);
    token.optional().is_some_and(|t| t.token.is_cancelled())
}

/// Clears the flag, so that calls run again after a cancel. NULL is ignored.
///
/// # Safety
/// `token` is NULL or a live handle.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn nasoseg_cancel_token_reset(token: *const nasoseg_cancel_token) {
    arguments!(token: Ref);
    if let Some(token) = token.optional() {
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
    arguments!(run: Out, error: Out);
    call(error, &[], || {
        run.required()?.put(nasoseg_run::default());
        Ok(())
    })
}

/// Frees a run. NULL is legal.
///
/// # Safety
/// `run` is NULL or a live handle, not used afterwards.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn nasoseg_run_free(run: *mut nasoseg_run) {
    arguments!(run: Owned);
    drop(run);
}

/// Sets the progress callback; NULL removes it. The library passes `user_data` to it unchanged.
/// Both must stay valid for as long as calls use the run.
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
    arguments!(run: RefMut, callback[user_data]: Callback, error: Out);
    call(error, &[], || {
        run.required()?.callback = callback;
        Ok(())
    })
}

/// Sets the cancel token; NULL removes it. The run keeps the flag, so the token may be freed
/// afterwards; but then nothing can set the flag.
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
    arguments!(run: RefMut, token: Ref, error: Out);
    call(error, &[], || {
        run.required()?.token = token.optional().map(|t| t.token.clone());
        Ok(())
    })
}

/// Calls `work` with the Rust run that reports to, and is cancelled by, the C run.
pub(crate) fn with<T>(
    run: Ref<'_, nasoseg_run>,
    work: impl FnOnce(&Run<'_>) -> Result<T>,
) -> Result<T> {
    let Some(run) = run.optional() else { return work(&Run::default()) };
    let report = |p: Progress| {
        let Some(callback) = &run.callback else { return true };
        callback.report(&nasoseg_progress {
            struct_size: size_of::<nasoseg_progress>(),
            stage: stage(p.stage) as u32,
            done: p.done,
            total: p.total,
        })
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

/// A stage's name, for example "detect". Static. "" for an unknown number.
#[unsafe(no_mangle)]
pub extern "C" fn nasoseg_stage_name(stage: u32) -> *const c_char {
    const NAMES: [&CStr; 7] =
        [c"read", c"align", c"prepare", c"detect", c"segment", c"contour", c"export"];
    quiet(c"".as_ptr(), || NAMES.get(stage as usize).map(|n| n.as_ptr()))
}
