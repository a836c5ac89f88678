//! Options of reading.

use std::ffi::c_char;

use crate::ffi::arguments::arguments;
use crate::ffi::error::nasoseg_error;
use crate::ffi::options::{nasoseg_options, set};

/// nasoseg_study_load, nasoseg_study_set_dicom_source: the SeriesInstanceUID of the series to read
/// if the files hold several.
///
/// # Safety
/// `options` is a live handle, `uid` a string; both are borrowed for the call.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn nasoseg_options_set_series_uid(
    options: *mut nasoseg_options,
    uid: *const c_char,
    error: *mut *mut nasoseg_error,
) -> u32 {
    arguments!(options: Ref, uid: Text, error: Out);
    set(options, error, |o| {
        o.read.series_uid = Some(uid.utf8()?.to_owned());
        Ok(())
    })
}

/// nasoseg_study_load, nasoseg_study_set_dicom_source: the images to read if a series holds several
/// echoes, b-values, time points or stacks: "NAME=VALUE" as listed in the error message, for
/// example "Echo Time=80". Separate several with semicolons.
///
/// # Safety
/// `options` is a live handle, `pick` a string; both are borrowed for the call.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn nasoseg_options_set_pick(
    options: *mut nasoseg_options,
    pick: *const c_char,
    error: *mut *mut nasoseg_error,
) -> u32 {
    arguments!(options: Ref, pick: Text, error: Out);
    set(options, error, |o| {
        o.read.pick = Some(pick.utf8()?.to_owned());
        Ok(())
    })
}

/// nasoseg_study_load, nasoseg_study_set_dicom_source: accept a series in which slices are missing.
/// Distances between slices are kept, and a warning (nasoseg_study_warning) names the gaps.
///
/// # Safety
/// `options` is a live handle.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn nasoseg_options_set_allow_gaps(
    options: *mut nasoseg_options,
    allow: bool,
    error: *mut *mut nasoseg_error,
) -> u32 {
    arguments!(options: Ref, error: Out);
    set(options, error, |o| {
        o.read.allow_gaps = allow;
        Ok(())
    })
}
