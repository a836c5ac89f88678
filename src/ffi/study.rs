//! A study handle: three sequences, set one by one.

use std::ffi::{CString, c_char};
use std::path::PathBuf;
use std::sync::{Arc, Mutex};

use crate::error::{Error, Result};
use crate::ffi::arguments::{Ref, arguments};
use crate::ffi::boundary::{Handle, c_string, call, guarded, lock, quiet};
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
    /// Contrast-enhanced T1-weighted: the reference, whose grid all results have.
    NASOSEG_SEQUENCE_T1C = 1,
    /// T2-weighted.
    NASOSEG_SEQUENCE_T2 = 2,
}

/// The three MR sequences of one patient, copied in. The first nasoseg_detect or
/// nasoseg_detection_read validates and aligns them, under a lock, and the study keeps the result.
/// Any number of threads may use a study at once; setting a sequence while another thread works on
/// the study affects later calls only.
#[allow(non_camel_case_types)]
pub struct nasoseg_study {
    pub(crate) handle: Handle<Mutex<State>>,
}
guarded!(nasoseg_study);

#[derive(Default)]
pub(crate) struct State {
    volumes: [Option<Arc<Volume>>; 3],
    aligned: Option<(Reslice, Arc<Study>)>,
    warnings: Vec<CString>,
}

impl State {
    /// The aligned study, made now if there is none that `fits` the reslicing it was made with.
    fn aligned(
        &mut self,
        options: &Options,
        fits: impl FnOnce(Reslice) -> bool,
        run: &Run<'_>,
    ) -> Result<Arc<Study>> {
        if let Some((_, study)) = self.aligned.as_ref().filter(|(reslice, _)| fits(*reslice)) {
            return Ok(study.clone());
        }
        let volume = |sequence: Sequence| {
            self.volumes[sequence as usize].clone().ok_or_else(|| {
                Error::Argument(format!(
                    "the study has no {sequence}, expected T1, T1C and T2. Set each of them with \
                     nasoseg_study_set_volume or nasoseg_study_load first"
                ))
            })
        };
        let volumes = [volume(Sequence::T1)?, volume(Sequence::T1C)?, volume(Sequence::T2)?];
        let study_options =
            StudyOptions { force_geometry: options.force_geometry, reslice: options.reslice };
        let study = Arc::new(Study::new(volumes, &study_options, run)?);
        self.warnings = study.warnings().iter().map(|w| c_string(w.as_str())).collect();
        self.aligned = Some((options.reslice, study.clone()));
        Ok(study)
    }

    fn put(&mut self, sequence: Sequence, volume: Volume) {
        self.volumes[sequence as usize] = Some(Arc::new(volume));
        self.aligned = None;
        self.warnings.clear();
    }
}

/// The study behind a handle, aligned with the reslicing of `options`.
pub(crate) fn aligned(
    study: &nasoseg_study,
    options: &Options,
    run: &Run<'_>,
) -> Result<Arc<Study>> {
    lock(&study.handle.value).aligned(options, |reslice| reslice == options.reslice, run)
}

/// As [`aligned`], but a study that was aligned with any reslicing stays as it is: for calls that
/// follow a detection.
pub(crate) fn as_it_is(
    study: &nasoseg_study,
    options: &Options,
    run: &Run<'_>,
) -> Result<Arc<Study>> {
    lock(&study.handle.value).aligned(options, |_| true, run)
}

fn sequence(number: u32) -> Result<Sequence> {
    Sequence::ALL.get(number as usize).copied().ok_or_else(|| {
        Error::Argument(format!(
            "sequence: found {number}, expected NASOSEG_SEQUENCE_T1 (0), NASOSEG_SEQUENCE_T1C (1) \
             or NASOSEG_SEQUENCE_T2 (2). Pass one of them"
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
    arguments!(study: Out, error: Out);
    call(error, &[], || {
        study.required()?.put(nasoseg_study { handle: Handle::default() });
        Ok(())
    })
}

/// Frees a study. NULL is legal. Detections and results made from it stay usable.
///
/// # Safety
/// `study` is NULL or a live handle, not used afterwards.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn nasoseg_study_free(study: *mut nasoseg_study) {
    arguments!(study: Owned);
    drop(study);
}

/// Copies a sequence from the caller's memory. `sequence` is a nasoseg_sequence; a second call
/// replaces the first. The view is borrowed for the call and never written to. Voxels must be
/// finite; if all are equal, nasoseg_detect rejects the sequence. Options: none. Progress: read.
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
    arguments!(study: Ref, view: View, run: Ref, error: Out);
    call(error, &[&study], || {
        let handle: &nasoseg_study = study.required()?;
        let sequence = self::sequence(sequence)?;
        with(run, |run| {
            run.tick(Stage::Read, 0, 1)?;
            let volume = copy(&view, sequence.name())?;
            // Before the study changes: a cancelled call leaves it as it was.
            run.tick(Stage::Read, 1, 1)?;
            lock(&handle.handle.value).put(sequence, volume);
            Ok(())
        })
    })
}

/// Reads a sequence from files: one DICOM folder, one NIfTI-1 or NRRD file, or the `count` DICOM
/// files of one series. `paths` are UTF-8 and borrowed for the call. Options: series_uid, pick,
/// allow_gaps. Progress: read.
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
    arguments!(study: Ref, paths[count]: Texts, options: Ref, run: Ref, error: Out);
    call(error, &[&study], || {
        let handle: &nasoseg_study = study.required()?;
        let sequence = self::sequence(sequence)?;
        let volume = read_files(paths.paths()?, options, run)?;
        lock(&handle.handle.value).put(sequence, volume);
        Ok(())
    })
}

/// Names the DICOM files that a sequence in memory came from, so that a viewer's own buffer still
/// yields an RT Structure Set on the original images. The sizes must be equal and every slice must
/// lie within 0.01 mm of the files' (the slices may run the other way); otherwise the call fails
/// and the sequence stays as it was. Options: series_uid, pick, allow_gaps. Progress: read.
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
    arguments!(study: Ref, paths[count]: Texts, options: Ref, run: Ref, error: Out);
    call(error, &[&study], || {
        let handle: &nasoseg_study = study.required()?;
        let sequence = self::sequence(sequence)?;
        let current = lock(&handle.handle.value).volumes[sequence as usize].clone();
        let current = current.ok_or_else(|| {
            Error::Argument(format!(
                "the study has no {sequence} yet. Call nasoseg_study_set_volume first"
            ))
        })?;
        let series = read_files(paths.paths()?, options, run)?;
        let volume = Volume::clone(&current).with_dicom(&series, sequence.name())?;
        lock(&handle.handle.value).put(sequence, volume);
        Ok(())
    })
}

/// Reads one volume from files as one unit of the stage read.
fn read_files(
    paths: Vec<PathBuf>,
    options: Ref<'_, nasoseg_options>,
    run: Ref<'_, nasoseg_run>,
) -> Result<Volume> {
    let options = Options::of(options);
    with(run, |run| {
        run.tick(Stage::Read, 0, 1)?;
        let volume = read(&paths, &options.read)?;
        run.tick(Stage::Read, 1, 1)?;
        Ok(volume)
    })
}

/// Number of warnings for the user (sequences that look swapped, incomplete coverage, forced
/// geometry, a tilt, reslicing). They are known once nasoseg_detect has aligned the study. 0 for
/// NULL.
///
/// # Safety
/// `study` is NULL or a live handle.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn nasoseg_study_warning_count(study: *const nasoseg_study) -> usize {
    arguments!(study: Ref);
    quiet(0, || {
        let study: &nasoseg_study = study.optional()?;
        Some(lock(&study.handle.value).warnings.len())
    })
}

/// A warning, UTF-8. Borrowed: valid until a sequence is set, the study is re-aligned or it is
/// freed. "" if there is no such warning.
///
/// # Safety
/// `study` is NULL or a live handle.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn nasoseg_study_warning(
    study: *const nasoseg_study,
    index: usize,
) -> *const c_char {
    arguments!(study: Ref);
    quiet(c"".as_ptr(), || {
        let study: &nasoseg_study = study.optional()?;
        lock(&study.handle.value).warnings.get(index).map(|w| w.as_ptr())
    })
}
