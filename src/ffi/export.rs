//! Results as files, from their handles.

use std::ffi::c_char;
use std::path::Path;

use crate::error::Result;
use crate::ffi::arguments::{Out, Ref, Text, arguments};
use crate::ffi::boundary::call;
use crate::ffi::contours::nasoseg_contours;
use crate::ffi::detection::nasoseg_detection;
use crate::ffi::error::nasoseg_error;
use crate::ffi::options::{Options, nasoseg_options};
use crate::ffi::run::{nasoseg_run, with};
use crate::ffi::segmentation::nasoseg_segmentation;
use crate::formats::nifti::write_nifti;
use crate::formats::rtstruct::{RtStructOptions, write_rtstruct};
use crate::outputs::preview::{Preview, write_preview};
use crate::outputs::record::{Record, Timing};
use crate::run::Stage;

/// Writes an RT Structure Set on the images that T1C came from: its DICOM files, or those that
/// nasoseg_study_set_dicom_source has named for a volume in memory. Without such images the call
/// fails with NASOSEG_ERROR_UNSUPPORTED. `file` is a UTF-8 path, here and below; the file appears
/// whole or not at all. Options: holes, simplify_mm, roi_name, structure_set_label. Progress:
/// export.
///
/// # Safety
/// `contours` is a live handle; `file` is a string (UTF-8, borrowed); `options` and `run` are NULL
/// or live; `error` is NULL or writable.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn nasoseg_contours_write_rtstruct(
    contours: *const nasoseg_contours,
    file: *const c_char,
    options: *const nasoseg_options,
    run: *const nasoseg_run,
    error: *mut *mut nasoseg_error,
) -> u32 {
    arguments!(contours: Ref, file: Text, options: Ref, run: Ref, error: Out);
    call(error, &[&contours], || {
        let contours: &nasoseg_contours = contours.required()?;
        let (file, options) = (file.path()?, Options::of(options));
        with(run, |run| {
            run.tick(Stage::Export, 0, 1)?;
            // The contours carry their model, its demo flag and whether boxes were edited.
            let mut rt = RtStructOptions::default()
                .with_holes(options.holes)
                .with_simplify_mm(options.simplify_mm);
            if let Some(name) = options.roi_name {
                rt = rt.with_roi_name(name);
            }
            if let Some(label) = options.structure_set_label {
                rt = rt.with_structure_set_label(label);
            }
            write_rtstruct(&file, &contours.handle.value, contours.study.reference(), &rt)?;
            run.tick(Stage::Export, 1, 1)
        })
    })
}

/// Writes the mask as NIfTI-1 (.nii.gz) on T1C's grid. Fails with NASOSEG_ERROR_UNSUPPORTED if the
/// slices are unevenly spaced, which NIfTI cannot express. Options: none. Progress: export.
///
/// # Safety
/// `segmentation` is a live handle; the rest as nasoseg_contours_write_rtstruct.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn nasoseg_segmentation_write_mask(
    segmentation: *const nasoseg_segmentation,
    file: *const c_char,
    options: *const nasoseg_options,
    run: *const nasoseg_run,
    error: *mut *mut nasoseg_error,
) -> u32 {
    let _ = options;
    arguments!(segmentation: Ref, file: Text, run: Ref, error: Out);
    write_one(segmentation, file, run, error, |source, file| {
        let (grid, s) = (source.study.reference().grid(), &source.handle.value);
        write_nifti(file, s.mask.view(), grid, &s.provenance.description_line())
    })
}

/// Writes the probability as NIfTI-1 (.nii.gz, float32) on T1C's grid; the rest as
/// nasoseg_segmentation_write_mask.
///
/// # Safety
/// As nasoseg_segmentation_write_mask.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn nasoseg_segmentation_write_probability(
    segmentation: *const nasoseg_segmentation,
    file: *const c_char,
    options: *const nasoseg_options,
    run: *const nasoseg_run,
    error: *mut *mut nasoseg_error,
) -> u32 {
    let _ = options;
    arguments!(segmentation: Ref, file: Text, run: Ref, error: Out);
    write_one(segmentation, file, run, error, |source, file| {
        let (grid, s) = (source.study.reference().grid(), &source.handle.value);
        write_nifti(file, s.probability.view(), grid, &s.provenance.description_line())
    })
}

/// Writes one file of a segmentation as one unit of the stage export.
fn write_one(
    segmentation: Ref<'_, nasoseg_segmentation>,
    file: Text<'_>,
    run: Ref<'_, nasoseg_run>,
    error: Out<'_, nasoseg_error>,
    write: impl FnOnce(&nasoseg_segmentation, &Path) -> Result<()>,
) -> u32 {
    call(error, &[&segmentation], || {
        let source = segmentation.required()?;
        let file = file.path()?;
        with(run, |run| {
            run.tick(Stage::Export, 0, 1)?;
            write(source, &file)?;
            run.tick(Stage::Export, 1, 1)
        })
    })
}

/// Writes the preview: a PNG with the three sequences, the agent's trajectory, the final box and
/// the contours of every slice in range. The three handles belong to one study. Options: none.
/// Progress: prepare if necessary, export.
///
/// # Safety
/// `detection`, `segmentation` and `contours` are live handles of one study; the rest as
/// nasoseg_contours_write_rtstruct.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn nasoseg_write_preview(
    detection: *const nasoseg_detection,
    segmentation: *const nasoseg_segmentation,
    contours: *const nasoseg_contours,
    file: *const c_char,
    options: *const nasoseg_options,
    run: *const nasoseg_run,
    error: *mut *mut nasoseg_error,
) -> u32 {
    let _ = options;
    arguments!(detection: Ref, segmentation: Ref, contours: Ref, file: Text, run: Ref, error: Out);
    call(error, &[&detection, &segmentation, &contours], || {
        let boxes: &nasoseg_detection = detection.required()?;
        let source: &nasoseg_segmentation = segmentation.required()?;
        let contours: &nasoseg_contours = contours.required()?;
        let file = file.path()?;
        with(run, |run| {
            let detection = boxes.read();
            let input = &source.engine.manifest().input;
            // May report a stage of its own, which comes before the export.
            let prepared = source.study.prepared(input, detection.range(), run)?;
            run.tick(Stage::Export, 0, 1)?;
            let preview = Preview {
                study: &source.study,
                prepared: &prepared,
                detection: &detection,
                segmentation: &source.handle.value,
                contours: &contours.handle.value,
                provenance: &source.handle.value.provenance,
                context_factor: source.engine.manifest().segmenter.context_factor,
            };
            write_preview(&file, &preview)?;
            run.tick(Stage::Export, 1, 1)
        })
    })
}

/// Writes the run record (JSON): versions, model hash, device, seconds of detection and
/// segmentation, warnings, statuses, identity of the inputs. Options: none. Progress: export.
///
/// # Safety
/// As nasoseg_segmentation_write_mask.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn nasoseg_segmentation_write_record(
    segmentation: *const nasoseg_segmentation,
    file: *const c_char,
    options: *const nasoseg_options,
    run: *const nasoseg_run,
    error: *mut *mut nasoseg_error,
) -> u32 {
    let _ = options;
    arguments!(segmentation: Ref, file: Text, run: Ref, error: Out);
    write_one(segmentation, file, run, error, |source, file| {
        let mut record = Record::new(&source.study, &source.engine, serde_json::json!({}));
        record.take_segmentation(&source.handle.value, &source.study, &source.detection);
        let fallback = source.engine.device().fallback.iter();
        let fell_back = |why: &String| format!("device auto fell back to the CPU: {why}");
        record.warnings.extend(fallback.map(fell_back));
        record.model_runs = source.engine.work();
        record.timings = ["detect", "segment"]
            .into_iter()
            .zip(source.seconds)
            .map(|(stage, seconds)| Timing { stage, seconds })
            .collect();
        record.write(file)
    })
}
