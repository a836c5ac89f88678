//! Options: one opaque object for every call, so that a later option needs no new function.

use std::ffi::c_char;
use std::ops::Range;
use std::path::PathBuf;
use std::sync::Mutex;

use crate::contour::ContourKind;
use crate::error::{Error, Result};
use crate::ffi::boundary::{Handle, borrow, call, guarded, path, place, text};
use crate::ffi::error::nasoseg_error;
use crate::formats::ReadOptions;
use crate::formats::rtstruct::HoleMode;
use crate::geometry::Reslice;
use crate::runtime::Device;
use crate::study::Study;

/// Options of any call; each call reads those that concern it. Everywhere NULL stands for the
/// defaults. An options object may be used by many threads at once; a setter changes it for the
/// calls that begin afterwards.
#[allow(non_camel_case_types)]
pub struct nasoseg_options {
    pub(crate) handle: Handle<Mutex<Options>>,
}

/// The line that contours follow.
#[repr(C)]
#[allow(non_camel_case_types, dead_code)]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum nasoseg_contour_kind {
    /// The level of the probability at the model's threshold, between voxel centres.
    NASOSEG_CONTOUR_LEVEL = 0,
    /// The edges of the mask's voxels.
    NASOSEG_CONTOUR_VOXEL = 1,
}

/// How an RT Structure Set holds holes.
#[repr(C)]
#[allow(non_camel_case_types, dead_code)]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum nasoseg_holes {
    /// One closed line that enters the hole through a cut of no width: every planning system
    /// imports it.
    NASOSEG_HOLES_KEYHOLE = 0,
    /// Geometric type CLOSEDPLANAR_XOR.
    NASOSEG_HOLES_XOR = 1,
    /// Overlapping CLOSED_PLANAR items: many readers take them as exclusive-or, some as union.
    NASOSEG_HOLES_PLAIN = 2,
    /// Holes are filled.
    NASOSEG_HOLES_FILL = 3,
}

/// What the model sees of a T1C whose own slices are not axial.
#[repr(C)]
#[allow(non_camel_case_types, dead_code)]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum nasoseg_reslice {
    /// T1C along the storage axes nearest to the patient's; a DICOM T1C that is not axial is
    /// refused.
    NASOSEG_RESLICE_NEVER = 0,
    /// Axial slices resampled from T1C, unless its own are axial to within 1 degree. The result is
    /// brought back onto T1C's own voxels.
    NASOSEG_RESLICE_AXIAL = 1,
}

#[derive(Debug, Clone, Default)]
pub(crate) struct Options {
    pub device: Device,
    pub threads: usize,
    pub concurrent_runs: usize,
    pub onnxruntime: Option<PathBuf>,
    pub slices: Option<Range<usize>>,
    pub slices_mm: Option<(f64, f64)>,
    pub force_geometry: bool,
    pub force_coverage: bool,
    pub reslice: Reslice,
    pub contour_kind: ContourKind,
    pub holes: HoleMode,
    pub simplify_mm: f64,
    pub roi_name: Option<String>,
    pub structure_set_label: Option<String>,
    pub read: ReadOptions,
}

impl Options {
    /// A copy, so that a setter in another thread does not change a call that runs.
    ///
    /// # Safety
    /// `options` is null or a live handle.
    pub unsafe fn of(options: *const nasoseg_options) -> Options {
        // SAFETY: the caller's promise.
        match unsafe { options.as_ref() } {
            None => Options::default(),
            Some(o) => o.handle.value.lock().unwrap_or_else(|p| p.into_inner()).clone(),
        }
    }

    /// The canonical slices asked for.
    pub fn range(&self, study: &Study) -> Result<Option<Range<usize>>> {
        match (&self.slices, self.slices_mm) {
            (Some(range), _) => study.check_slices(Some(range.clone())).map(Some),
            (None, Some((low, high))) => study.slices_between_mm(low, high).map(Some),
            (None, None) => Ok(None),
        }
    }
}

/// Makes an options object with the defaults; free it with nasoseg_options_free.
///
/// # Safety
/// `options` points to writable memory; `error` is NULL or does too.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn nasoseg_options_new(
    options: *mut *mut nasoseg_options,
    error: *mut *mut nasoseg_error,
) -> u32 {
    // SAFETY: the caller's promise.
    unsafe {
        call(error, &[], || {
            let out = place(options, "options")?;
            *out = Box::into_raw(Box::new(nasoseg_options { handle: Handle::default() }));
            Ok(())
        })
    }
}

/// Frees an options object. NULL is legal. Calls that took it keep their own copy.
///
/// # Safety
/// `options` is NULL or a live handle, not used afterwards.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn nasoseg_options_free(options: *mut nasoseg_options) {
    if !options.is_null() {
        // SAFETY: the caller's promise.
        drop(unsafe { Box::from_raw(options) });
    }
}

/// # Safety
/// As the functions below.
unsafe fn set(
    options: *mut nasoseg_options,
    error: *mut *mut nasoseg_error,
    change: impl FnOnce(&mut Options) -> Result<()>,
) -> u32 {
    // SAFETY: the caller's promise; a shared reference is enough, the mutex guards the rest.
    unsafe {
        call(error, &[guarded!(options)], || {
            let options = borrow(options, "options")?;
            change(&mut options.handle.value.lock().unwrap_or_else(|p| p.into_inner()))
        })
    }
}

/// nasoseg_engine_new: where the model runs: "cpu", "cuda", "cuda:N" or "auto" (default). A device
/// that is named and cannot start is an error; "auto" falls back to the CPU and says so
/// (nasoseg_engine_device_fallback).
///
/// # Safety
/// `options` is a live handle, `device` a string; both are borrowed for the call.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn nasoseg_options_set_device(
    options: *mut nasoseg_options,
    device: *const c_char,
    error: *mut *mut nasoseg_error,
) -> u32 {
    // SAFETY: the caller's promise.
    unsafe {
        set(options, error, |o| {
            o.device = text(device, "device")?.parse()?;
            Ok(())
        })
    }
}

/// nasoseg_engine_new: the path of ONNX Runtime's shared library, or its folder. Default: the
/// environment variable NASOSEG_ORT_DYLIB, then beside this library, then the active virtual
/// environment's onnxruntime wheel. A process can use one ONNX Runtime only.
///
/// # Safety
/// `options` is a live handle, `path` a string; both are borrowed for the call.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn nasoseg_options_set_onnxruntime(
    options: *mut nasoseg_options,
    library_path: *const c_char,
    error: *mut *mut nasoseg_error,
) -> u32 {
    // SAFETY: the caller's promise.
    unsafe {
        set(options, error, |o| {
            o.onnxruntime = Some(path(library_path, "library_path")?);
            Ok(())
        })
    }
}

/// nasoseg_engine_new: threads inside one model run; 0 (default) is all cores.
///
/// # Safety
/// `options` is a live handle.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn nasoseg_options_set_threads(
    options: *mut nasoseg_options,
    threads: u32,
    error: *mut *mut nasoseg_error,
) -> u32 {
    // SAFETY: the caller's promise.
    unsafe {
        set(options, error, |o| {
            if threads > 1024 {
                return Err(Error::Argument(format!(
                    "threads: {threads}; 0 (all cores) to 1024 were expected"
                )));
            }
            o.threads = threads as usize;
            Ok(())
        })
    }
}

/// nasoseg_engine_new: how many model runs of one engine may go at once, 1 (default) to 64. Every
/// further one costs another copy of the model's weights and of its working memory.
///
/// # Safety
/// `options` is a live handle.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn nasoseg_options_set_concurrent_runs(
    options: *mut nasoseg_options,
    runs: u32,
    error: *mut *mut nasoseg_error,
) -> u32 {
    // SAFETY: the caller's promise.
    unsafe {
        set(options, error, |o| {
            if !(1..=64).contains(&runs) {
                return Err(Error::Argument(format!(
                    "concurrent runs: {runs}; 1 to 64 were expected"
                )));
            }
            o.concurrent_runs = runs as usize;
            Ok(())
        })
    }
}

/// nasoseg_detect: the slices `first` up to, but not including, `end`, in canonical order (0-based,
/// from inferior to superior). Default: all, which a model trained without tumour-free slices
/// refuses.
///
/// # Safety
/// `options` is a live handle.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn nasoseg_options_set_slices(
    options: *mut nasoseg_options,
    first: usize,
    end: usize,
    error: *mut *mut nasoseg_error,
) -> u32 {
    // SAFETY: the caller's promise.
    unsafe {
        set(options, error, |o| {
            if first >= end {
                return Err(Error::Argument(format!(
                    "slices {first}:{end}: first < end was expected (half open)"
                )));
            }
            o.slices = Some(first..end);
            o.slices_mm = None;
            Ok(())
        })
    }
}

/// nasoseg_detect: the slices whose centre has z (LPS, mm) from `low` up to, but not including,
/// `high`.
///
/// # Safety
/// `options` is a live handle.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn nasoseg_options_set_slices_mm(
    options: *mut nasoseg_options,
    low: f64,
    high: f64,
    error: *mut *mut nasoseg_error,
) -> u32 {
    // SAFETY: the caller's promise.
    unsafe {
        set(options, error, |o| {
            if !(low.is_finite() && high.is_finite() && low < high) {
                return Err(Error::Argument(format!(
                    "slices from {low} to {high} mm: two numbers with low < high were expected"
                )));
            }
            o.slices_mm = Some((low, high));
            o.slices = None;
            Ok(())
        })
    }
}

/// nasoseg_detect: go on where the sequences' frames of reference differ; recorded as a warning.
/// Another patient is never forced.
///
/// # Safety
/// `options` is a live handle.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn nasoseg_options_set_force_geometry(
    options: *mut nasoseg_options,
    force: bool,
    error: *mut *mut nasoseg_error,
) -> u32 {
    // SAFETY: the caller's promise.
    unsafe {
        set(options, error, |o| {
            o.force_geometry = force;
            Ok(())
        })
    }
}

/// nasoseg_detect: take slices that T1 or T2 covers incompletely too.
///
/// # Safety
/// `options` is a live handle.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn nasoseg_options_set_force_coverage(
    options: *mut nasoseg_options,
    force: bool,
    error: *mut *mut nasoseg_error,
) -> u32 {
    // SAFETY: the caller's promise.
    unsafe {
        set(options, error, |o| {
            o.force_coverage = force;
            Ok(())
        })
    }
}

/// nasoseg_detect, nasoseg_detection_read: what the model sees of a T1C whose own slices are not
/// axial (nasoseg_reslice). `step_mm`: distance between the axial slices, 0.5 to 10 mm, or 0 for
/// the default of 3 mm. Default NASOSEG_RESLICE_NEVER. Numbers of slices, positions, boxes and
/// areas per slice are then those of the axial slices; mask, probability, volume and contours lie
/// on T1C's own. A warning of the study tells it. Another value brings the study together anew:
/// detections made before fit it no more.
///
/// # Safety
/// `options` is a live handle.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn nasoseg_options_set_reslice(
    options: *mut nasoseg_options,
    reslice: u32,
    step_mm: f64,
    error: *mut *mut nasoseg_error,
) -> u32 {
    // SAFETY: the caller's promise.
    unsafe {
        set(options, error, |o| {
            let axial = Reslice::axial((step_mm != 0.0).then_some(step_mm))?;
            o.reslice = match reslice {
                0 => Reslice::Never,
                1 => axial,
                _ => {
                    return Err(Error::Argument(format!(
                        "reslice {reslice}: NASOSEG_RESLICE_NEVER (0) or NASOSEG_RESLICE_AXIAL (1) was expected"
                    )));
                }
            };
            Ok(())
        })
    }
}

/// nasoseg_contour: the line that contours follow (nasoseg_contour_kind). Default
/// NASOSEG_CONTOUR_LEVEL.
///
/// # Safety
/// `options` is a live handle.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn nasoseg_options_set_contour_kind(
    options: *mut nasoseg_options,
    kind: u32,
    error: *mut *mut nasoseg_error,
) -> u32 {
    // SAFETY: the caller's promise.
    unsafe {
        set(options, error, |o| {
            o.contour_kind = match kind {
                0 => ContourKind::Level,
                1 => ContourKind::Voxel,
                _ => {
                    return Err(Error::Argument(format!(
                        "contour kind {kind}: NASOSEG_CONTOUR_LEVEL (0) or NASOSEG_CONTOUR_VOXEL (1) was expected"
                    )));
                }
            };
            Ok(())
        })
    }
}

/// nasoseg_contours_write_rtstruct: how holes are written (nasoseg_holes). Default
/// NASOSEG_HOLES_KEYHOLE.
///
/// # Safety
/// `options` is a live handle.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn nasoseg_options_set_holes(
    options: *mut nasoseg_options,
    holes: u32,
    error: *mut *mut nasoseg_error,
) -> u32 {
    // SAFETY: the caller's promise.
    unsafe {
        set(options, error, |o| {
            o.holes = match holes {
                0 => HoleMode::Keyhole,
                1 => HoleMode::Xor,
                2 => HoleMode::Plain,
                3 => HoleMode::Fill,
                _ => {
                    return Err(Error::Argument(format!(
                        "holes {holes}: a nasoseg_holes from 0 to 3 was expected"
                    )));
                }
            };
            Ok(())
        })
    }
}

/// nasoseg_contours_write_rtstruct: how far (mm) the line may be moved to spare points; 0 (default)
/// writes the exact line.
///
/// # Safety
/// `options` is a live handle.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn nasoseg_options_set_simplify_mm(
    options: *mut nasoseg_options,
    tolerance_mm: f64,
    error: *mut *mut nasoseg_error,
) -> u32 {
    // SAFETY: the caller's promise.
    unsafe {
        set(options, error, |o| {
            if !(tolerance_mm.is_finite() && tolerance_mm >= 0.0) {
                return Err(Error::Argument(format!(
                    "simplification by {tolerance_mm} mm: 0 or more was expected"
                )));
            }
            o.simplify_mm = tolerance_mm;
            Ok(())
        })
    }
}

/// nasoseg_contours_write_rtstruct: the ROI's name, at most 16 characters. Default "GTVp_SeqSeg"; a
/// demo model's result is always called "DEMO_NOT_CLIN".
///
/// # Safety
/// `options` is a live handle, `name` a string; both are borrowed for the call.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn nasoseg_options_set_roi_name(
    options: *mut nasoseg_options,
    name: *const c_char,
    error: *mut *mut nasoseg_error,
) -> u32 {
    // SAFETY: the caller's promise.
    unsafe {
        set(options, error, |o| {
            o.roi_name = Some(text(name, "name")?.to_owned());
            Ok(())
        })
    }
}

/// nasoseg_contours_write_rtstruct: the structure set's label, at most 16 characters. Default
/// "nasoseg".
///
/// # Safety
/// `options` is a live handle, `label` a string; both are borrowed for the call.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn nasoseg_options_set_structure_set_label(
    options: *mut nasoseg_options,
    label: *const c_char,
    error: *mut *mut nasoseg_error,
) -> u32 {
    // SAFETY: the caller's promise.
    unsafe {
        set(options, error, |o| {
            o.structure_set_label = Some(text(label, "label")?.to_owned());
            Ok(())
        })
    }
}

/// nasoseg_study_load, nasoseg_study_set_dicom_source: which series to take where the files hold
/// several (SeriesInstanceUID).
///
/// # Safety
/// `options` is a live handle, `uid` a string; both are borrowed for the call.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn nasoseg_options_set_series_uid(
    options: *mut nasoseg_options,
    uid: *const c_char,
    error: *mut *mut nasoseg_error,
) -> u32 {
    // SAFETY: the caller's promise.
    unsafe {
        set(options, error, |o| {
            o.read.series_uid = Some(text(uid, "uid")?.to_owned());
            Ok(())
        })
    }
}

/// nasoseg_study_load, nasoseg_study_set_dicom_source: which images to take where a series holds
/// several echoes, b-values, time points or stacks: "NAME=VALUE" as the refusal lists them, several
/// parted by semicolons ("Echo Time=80").
///
/// # Safety
/// `options` is a live handle, `pick` a string; both are borrowed for the call.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn nasoseg_options_set_pick(
    options: *mut nasoseg_options,
    pick: *const c_char,
    error: *mut *mut nasoseg_error,
) -> u32 {
    // SAFETY: the caller's promise.
    unsafe {
        set(options, error, |o| {
            o.read.pick = Some(text(pick, "pick")?.to_owned());
            Ok(())
        })
    }
}

/// nasoseg_study_load, nasoseg_study_set_dicom_source: take a series in which slices are missing.
/// Their distances are kept, and a warning (nasoseg_study_warning) says where.
///
/// # Safety
/// `options` is a live handle.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn nasoseg_options_set_allow_gaps(
    options: *mut nasoseg_options,
    allow: bool,
    error: *mut *mut nasoseg_error,
) -> u32 {
    // SAFETY: the caller's promise.
    unsafe {
        set(options, error, |o| {
            o.read.allow_gaps = allow;
            Ok(())
        })
    }
}
