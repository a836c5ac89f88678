//! Options: one opaque object for every call, so that a later option needs no new parameter. Here
//! are the object and what engines and detections read; `contour_options` and `reading_options`
//! hold the rest.

use std::ffi::c_char;
use std::ops::Range;
use std::path::PathBuf;
use std::sync::Mutex;

use crate::contour::ContourKind;
use crate::error::{Error, Result};
use crate::ffi::arguments::{Out, Ref, arguments};
use crate::ffi::boundary::{Handle, call, guarded, lock};
use crate::ffi::error::nasoseg_error;
use crate::formats::ReadOptions;
use crate::formats::rtstruct::HoleMode;
use crate::geometry::Reslice;
use crate::runtime::Device;
use crate::study::Study;

/// Options of any call; each call reads those that concern it. NULL means the defaults in
/// every function that takes options. Any number of threads may use an options object at once; a
/// setter changes it for the calls that begin afterwards.
#[allow(non_camel_case_types)]
pub struct nasoseg_options {
    pub(crate) handle: Handle<Mutex<Options>>,
}
guarded!(nasoseg_options);

/// The slices that the model processes if T1C's own are not axial.
#[repr(C)]
#[allow(non_camel_case_types, dead_code)]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum nasoseg_reslice {
    /// T1C's own, along the storage axes nearest to the patient's. A DICOM T1C that is not axial is
    /// rejected.
    NASOSEG_RESLICE_NEVER = 0,
    /// Axial slices resampled from T1C, unless its own are axial to within 1 degree. The result is
    /// mapped back to T1C's own voxels.
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
    /// A copy, so that a setter in another thread does not change a running call.
    pub fn of(options: Ref<'_, nasoseg_options>) -> Options {
        options.optional().map(|o| lock(&o.handle.value).clone()).unwrap_or_default()
    }

    /// The canonical slices requested, if any were.
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
    arguments!(options: Out, error: Out);
    call(error, &[], || {
        options.required()?.put(nasoseg_options { handle: Handle::default() });
        Ok(())
    })
}

/// Frees an options object. NULL is legal. Calls that were given it have their own copy.
///
/// # Safety
/// `options` is NULL or a live handle, not used afterwards.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn nasoseg_options_free(options: *mut nasoseg_options) {
    arguments!(options: Owned);
    drop(options);
}

/// Changes the options under their lock.
pub(super) fn set(
    options: Ref<'_, nasoseg_options>,
    error: Out<'_, nasoseg_error>,
    change: impl FnOnce(&mut Options) -> Result<()>,
) -> u32 {
    call(error, &[&options], || change(&mut lock(&options.required()?.handle.value)))
}

/// nasoseg_engine_new: the device: "cpu", "cuda", "cuda:N" or "auto" (default). An explicitly
/// requested device that fails to start is an error; "auto" falls back to the CPU and records the
/// reason (nasoseg_engine_device_fallback).
///
/// # Safety
/// `options` is a live handle, `device` a string; both are borrowed for the call.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn nasoseg_options_set_device(
    options: *mut nasoseg_options,
    device: *const c_char,
    error: *mut *mut nasoseg_error,
) -> u32 {
    arguments!(options: Ref, device: Text, error: Out);
    set(options, error, |o| {
        o.device = device.utf8()?.parse()?;
        Ok(())
    })
}

/// nasoseg_engine_new: the path of ONNX Runtime's shared library, or its folder. Default: the
/// environment variable NASOSEG_ORT_DYLIB, then beside this library, then the active virtual
/// environment's onnxruntime wheel. A process can use only one ONNX Runtime.
///
/// # Safety
/// `options` is a live handle, `path` a string; both are borrowed for the call.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn nasoseg_options_set_onnxruntime(
    options: *mut nasoseg_options,
    library_path: *const c_char,
    error: *mut *mut nasoseg_error,
) -> u32 {
    arguments!(options: Ref, library_path: Text, error: Out);
    set(options, error, |o| {
        o.onnxruntime = Some(library_path.path()?);
        Ok(())
    })
}

/// nasoseg_engine_new: number of threads of one model run; 0 (default) means all cores.
///
/// # Safety
/// `options` is a live handle.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn nasoseg_options_set_threads(
    options: *mut nasoseg_options,
    threads: u32,
    error: *mut *mut nasoseg_error,
) -> u32 {
    arguments!(options: Ref, error: Out);
    set(options, error, |o| {
        if threads > 1024 {
            return Err(Error::Argument(format!(
                "threads: found {threads}, expected 0 (all cores) to 1024. Pass 0 for the default"
            )));
        }
        o.threads = threads as usize;
        Ok(())
    })
}

/// nasoseg_engine_new: number of model runs that one engine may execute at once, 1 (default) to 64.
/// Each further one costs another copy of the model's weights and of its working memory.
///
/// # Safety
/// `options` is a live handle.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn nasoseg_options_set_concurrent_runs(
    options: *mut nasoseg_options,
    runs: u32,
    error: *mut *mut nasoseg_error,
) -> u32 {
    arguments!(options: Ref, error: Out);
    set(options, error, |o| {
        if !(1..=64).contains(&runs) {
            return Err(Error::Argument(format!(
                "concurrent runs: found {runs}, expected 1 to 64. Pass 1 for the default"
            )));
        }
        o.concurrent_runs = runs as usize;
        Ok(())
    })
}

/// nasoseg_detect: the slices from `first` up to, but not including, `end`, in canonical order
/// (0-based, from inferior to superior). Default: all slices, which a model trained without
/// tumour-free slices rejects.
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
    arguments!(options: Ref, error: Out);
    set(options, error, |o| {
        if first >= end {
            return Err(Error::Argument(format!(
                "slices: found {first}:{end}, expected first < end (half-open). Pass the \
                 last slice plus 1 as the end"
            )));
        }
        o.slices = Some(first..end);
        o.slices_mm = None;
        Ok(())
    })
}

/// nasoseg_detect: the slices whose centre has z (LPS, mm) from `low` up to, but not including,
/// `high`. Of this and nasoseg_options_set_slices the later call counts.
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
    arguments!(options: Ref, error: Out);
    set(options, error, |o| {
        if !(low.is_finite() && high.is_finite() && low < high) {
            return Err(Error::Argument(format!(
                "slices: found {low} to {high} mm, expected two numbers with low < high. Pass the \
                 inferior end first"
            )));
        }
        o.slices_mm = Some((low, high));
        o.slices = None;
        Ok(())
    })
}

/// nasoseg_detect, nasoseg_detection_read: accept sequences whose frames of reference differ; the
/// study records a warning. Sequences of different patients are never accepted.
///
/// # Safety
/// `options` is a live handle.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn nasoseg_options_set_force_geometry(
    options: *mut nasoseg_options,
    force: bool,
    error: *mut *mut nasoseg_error,
) -> u32 {
    arguments!(options: Ref, error: Out);
    set(options, error, |o| {
        o.force_geometry = force;
        Ok(())
    })
}

/// nasoseg_detect: also process slices that T1 or T2 covers incompletely.
///
/// # Safety
/// `options` is a live handle.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn nasoseg_options_set_force_coverage(
    options: *mut nasoseg_options,
    force: bool,
    error: *mut *mut nasoseg_error,
) -> u32 {
    arguments!(options: Ref, error: Out);
    set(options, error, |o| {
        o.force_coverage = force;
        Ok(())
    })
}

/// nasoseg_detect, nasoseg_detection_read: the slices that the model processes if T1C's own are not
/// axial (nasoseg_reslice). `step_mm`: distance between the axial slices, 0.5 to 10 mm, or 0 for
/// the default of 3 mm. Default: NASOSEG_RESLICE_NEVER. If T1C was resliced, the study records a
/// warning; slice numbers, positions, boxes and areas per slice are those of the axial slices,
/// while mask, probability, volume and contours lie on T1C's own. Changing this re-aligns the study
/// and invalidates earlier detections.
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
    arguments!(options: Ref, error: Out);
    set(options, error, |o| {
        let axial = Reslice::axial((step_mm != 0.0).then_some(step_mm))?;
        o.reslice = match reslice {
            0 => Reslice::Never,
            1 => axial,
            _ => {
                return Err(Error::Argument(format!(
                    "reslice: found {reslice}, expected NASOSEG_RESLICE_NEVER (0) or \
                     NASOSEG_RESLICE_AXIAL (1). Pass one of them"
                )));
            }
        };
        Ok(())
    })
}
