//! A study handle: three sequences, given one by one.

use std::ffi::c_char;
use std::path::PathBuf;
use std::sync::{Arc, Mutex};

use crate::error::{Error, Result};
use crate::ffi::boundary::{Handle, borrow, call, guarded, path, place, quiet, slice};
use crate::ffi::error::nasoseg_error;
use crate::ffi::options::{Options, nasoseg_options};
use crate::ffi::run::{nasoseg_run, with};
use crate::ffi::volume::{copy, nasoseg_volume_view};
use crate::formats::read;
use crate::geometry::Reslice;
use crate::run::{Run, Stage};
use crate::sequence::Sequence;
use crate::study::{Study, StudyOptions};
use crate::volume::Volume;

/// A sequence of the study.
#[repr(C)]
#[allow(non_camel_case_types, dead_code)]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum nasoseg_sequence {
    /// T1-weighted.
    NASOSEG_SEQUENCE_T1 = 0,
    /// Contrast-enhanced T1-weighted: the reference, on whose grid all results lie.
    NASOSEG_SEQUENCE_T1C = 1,
    /// T2-weighted.
    NASOSEG_SEQUENCE_T2 = 2,
}

/// The three MR sequences of one patient. Sequences are copied in; the study is brought together
/// (checked, aligned, prepared) by the first nasoseg_detect, under a lock of its own, and kept. A
/// study may be used by many threads at once; setting a sequence while another thread works on the
/// study affects later calls only.
#[allow(non_camel_case_types)]
pub struct nasoseg_study {
    pub(crate) handle: Handle<Mutex<State>>,
}

#[derive(Default)]
pub(crate) struct State {
    volumes: [Option<Arc<Volume>>; 3],
    together: Option<(Reslice, Arc<Study>)>,
    warnings: Vec<std::ffi::CString>,
}

impl State {
    /// The study, brought together where it is not, or was with another `reslice`; `as_it_is` takes
    /// it with any.
    fn together(&mut self, options: &Options, as_it_is: bool, run: &Run<'_>) -> Result<Arc<Study>> {
        if let Some((_, study)) =
            self.together.as_ref().filter(|(reslice, _)| as_it_is || *reslice == options.reslice)
        {
            return Ok(study.clone());
        }
        let volume = |sequence: Sequence| {
            self.volumes[sequence as usize].clone().ok_or_else(|| {
                Error::Argument(format!(
                    "the study has no {sequence}; set T1, T1C and T2 with nasoseg_study_set_volume or nasoseg_study_load first"
                ))
            })
        };
        let volumes = [volume(Sequence::T1)?, volume(Sequence::T1C)?, volume(Sequence::T2)?];
        let study_options =
            StudyOptions { force_geometry: options.force_geometry, reslice: options.reslice };
        let study = Arc::new(Study::new(volumes, &study_options, run)?);
        self.warnings =
            study.warnings().iter().map(|w| super::boundary::c_string(w.as_str())).collect();
        self.together = Some((options.reslice, study.clone()));
        Ok(study)
    }

    fn put(&mut self, sequence: Sequence, volume: Volume) {
        self.volumes[sequence as usize] = Some(Arc::new(volume));
        self.together = None;
        self.warnings.clear();
    }
}

/// The study behind a handle, brought together.
///
/// # Safety
/// `study` is a live handle.
pub(crate) fn together(
    study: &nasoseg_study,
    options: &Options,
    run: &Run<'_>,
) -> Result<Arc<Study>> {
    study.handle.value.lock().unwrap_or_else(|p| p.into_inner()).together(options, false, run)
}

/// As [`together`], but a study that is together stays as it is: for calls that follow a detection.
///
/// # Safety
/// `study` is a live handle.
pub(crate) fn as_it_is(
    study: &nasoseg_study,
    options: &Options,
    run: &Run<'_>,
) -> Result<Arc<Study>> {
    study.handle.value.lock().unwrap_or_else(|p| p.into_inner()).together(options, true, run)
}

fn sequence(number: u32) -> Result<Sequence> {
    Sequence::ALL.get(number as usize).copied().ok_or_else(|| {
        Error::Argument(format!(
            "sequence {number}: NASOSEG_SEQUENCE_T1 (0), T1C (1) or T2 (2) was expected"
        ))
    })
}

/// Makes an empty study; free it with nasoseg_study_free.
///
/// # Safety
/// `study` points to writable memory; `error` is NULL or does too.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn nasoseg_study_new(
    study: *mut *mut nasoseg_study,
    error: *mut *mut nasoseg_error,
) -> u32 {
    // SAFETY: the caller's promise.
    unsafe {
        call(error, &[], || {
            let out = place(study, "study")?;
            *out = Box::into_raw(Box::new(nasoseg_study { handle: Handle::default() }));
            Ok(())
        })
    }
}

/// Frees a study. NULL is legal. Detections and results made from it stay usable.
///
/// # Safety
/// `study` is NULL or a live handle, not used afterwards.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn nasoseg_study_free(study: *mut nasoseg_study) {
    if !study.is_null() {
        // SAFETY: the caller's promise.
        drop(unsafe { Box::from_raw(study) });
    }
}

/// Copies a sequence from the caller's memory. `sequence` is a nasoseg_sequence; a second call
/// replaces the first. Voxels must be finite; a sequence whose voxels are all equal is refused by
/// nasoseg_detect. The view is borrowed for the call and never written to.
///
/// # Safety
/// `study` is a live handle; `view` is valid as nasoseg_volume_view says; `options` and `run` are
/// NULL or live handles.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn nasoseg_study_set_volume(
    study: *mut nasoseg_study,
    sequence: u32,
    view: *const nasoseg_volume_view,
    options: *const nasoseg_options,
    run: *const nasoseg_run,
    error: *mut *mut nasoseg_error,
) -> u32 {
    let _ = options;
    // SAFETY: the caller's promise.
    unsafe {
        call(error, &[guarded!(study)], || {
            let handle = borrow(study, "study")?;
            let sequence = self::sequence(sequence)?;
            with(run, |run| {
                run.tick(Stage::Read, 0, 1)?;
                let volume = copy(view, sequence.name())?;
                // Before it is put: a cancelled call leaves the study as it was.
                run.tick(Stage::Read, 1, 1)?;
                handle.handle.value.lock().unwrap_or_else(|p| p.into_inner()).put(sequence, volume);
                Ok(())
            })
        })
    }
}

/// Reads a sequence from files: one DICOM folder, one NIfTI-1 or NRRD file, or the `count` DICOM
/// files of one series. `paths` are UTF-8, borrowed for the call. Options: series UID, pick, allow
/// gaps.
///
/// # Safety
/// `study` is a live handle; `paths` holds `count` strings; `options` and `run` are NULL or live
/// handles.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn nasoseg_study_load(
    study: *mut nasoseg_study,
    sequence: u32,
    paths: *const *const c_char,
    count: usize,
    options: *const nasoseg_options,
    run: *const nasoseg_run,
    error: *mut *mut nasoseg_error,
) -> u32 {
    // SAFETY: the caller's promise.
    unsafe {
        call(error, &[guarded!(study)], || {
            let handle = borrow(study, "study")?;
            let sequence = self::sequence(sequence)?;
            let volume = read_files(paths, count, options, run)?;
            handle.handle.value.lock().unwrap_or_else(|p| p.into_inner()).put(sequence, volume);
            Ok(())
        })
    }
}

/// Says which DICOM files a sequence in memory came from, so that a viewer's own buffer still
/// yields an RT Structure Set on the original images. Sizes must be equal and every slice must lie
/// within 0.01 mm of the files' (the slices may run the other way); otherwise the call fails and
/// the sequence stays as it was. Options: series UID, pick, allow gaps.
///
/// # Safety
/// As nasoseg_study_load.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn nasoseg_study_set_dicom_source(
    study: *mut nasoseg_study,
    sequence: u32,
    paths: *const *const c_char,
    count: usize,
    options: *const nasoseg_options,
    run: *const nasoseg_run,
    error: *mut *mut nasoseg_error,
) -> u32 {
    // SAFETY: the caller's promise.
    unsafe {
        call(error, &[guarded!(study)], || {
            let handle = borrow(study, "study")?;
            let sequence = self::sequence(sequence)?;
            let missing = || {
                Error::Argument(format!(
                    "the study has no {sequence} yet; call nasoseg_study_set_volume first"
                ))
            };
            let current = handle.handle.value.lock().unwrap_or_else(|p| p.into_inner()).volumes
                [sequence as usize]
                .clone();
            let current = current.ok_or_else(missing)?;
            let series = read_files(paths, count, options, run)?;
            let volume = Volume::clone(&current).with_dicom(&series, sequence.name())?;
            handle.handle.value.lock().unwrap_or_else(|p| p.into_inner()).put(sequence, volume);
            Ok(())
        })
    }
}

/// # Safety
/// As [`nasoseg_study_load`].
unsafe fn read_files(
    paths: *const *const c_char,
    count: usize,
    options: *const nasoseg_options,
    run: *const nasoseg_run,
) -> Result<Volume> {
    // SAFETY: the caller's promise.
    unsafe {
        let paths = slice(paths, count, "paths")?
            .iter()
            .map(|p| path(*p, "paths"))
            .collect::<Result<Vec<PathBuf>>>()?;
        let options = Options::of(options);
        with(run, |run| {
            run.tick(Stage::Read, 0, 1)?;
            let volume = read(&paths, &options.read)?;
            run.tick(Stage::Read, 1, 1)?;
            Ok(volume)
        })
    }
}

/// Number of warnings that the user should see (sequences that look swapped, incomplete coverage,
/// forced geometry, a tilt, reslicing), known once the study was brought together by
/// nasoseg_detect. 0 for NULL.
///
/// # Safety
/// `study` is NULL or a live handle.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn nasoseg_study_warning_count(study: *const nasoseg_study) -> usize {
    // SAFETY: the caller's promise.
    quiet(0, || {
        unsafe { study.as_ref() }
            .map(|s| s.handle.value.lock().unwrap_or_else(|p| p.into_inner()).warnings.len())
    })
}

/// A warning, UTF-8. Borrowed: valid until a sequence is set or the study is freed. "" beyond the
/// last.
///
/// # Safety
/// `study` is NULL or a live handle.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn nasoseg_study_warning(
    study: *const nasoseg_study,
    index: usize,
) -> *const c_char {
    quiet(c"".as_ptr(), || {
        // SAFETY: the caller's promise.
        let study = unsafe { study.as_ref() }?;
        let state = study.handle.value.lock().unwrap_or_else(|p| p.into_inner());
        state.warnings.get(index).map(|w| w.as_ptr())
    })
}
