//! Results as files, from their handles.

use std::ffi::c_char;

use crate::ffi::boundary::{borrow, call, guarded, path};
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

/// Writes an RT Structure Set on the images that T1C came from: DICOM files, or a volume in memory
/// with nasoseg_study_set_dicom_source; NASOSEG_ERROR_UNSUPPORTED otherwise. The file appears whole
/// or not at all. Options: holes, simplify_mm, roi_name, structure_set_label.
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
    // SAFETY: the caller's promise.
    unsafe {
        call(error, &[guarded!(contours)], || {
            let contours = borrow(contours, "contours")?;
            let (file, options) = (path(file, "file")?, Options::of(options));
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
}

/// Writes the mask as NIfTI-1 (.nii.gz) on T1C's grid. NASOSEG_ERROR_UNSUPPORTED for unevenly
/// spaced slices, which NIfTI cannot hold.
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
    // SAFETY: the caller's promise.
    unsafe { write_volume(segmentation, file, run, error, true) }
}

/// Writes the probability as NIfTI-1 (.nii.gz, float32) on T1C's grid.
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
    // SAFETY: the caller's promise.
    unsafe { write_volume(segmentation, file, run, error, false) }
}

/// # Safety
/// As the functions above.
unsafe fn write_volume(
    segmentation: *const nasoseg_segmentation,
    file: *const c_char,
    run: *const nasoseg_run,
    error: *mut *mut nasoseg_error,
    mask: bool,
) -> u32 {
    // SAFETY: the caller's promise.
    unsafe {
        call(error, &[guarded!(segmentation)], || {
            let source = borrow(segmentation, "segmentation")?;
            let file = path(file, "file")?;
            with(run, |run| {
                run.tick(Stage::Export, 0, 1)?;
                let (grid, description) = (
                    source.study.reference().grid(),
                    source.handle.value.provenance.description_line(),
                );
                let s = &source.handle.value;
                match mask {
                    true => write_nifti(&file, s.mask.view(), grid, &description)?,
                    false => write_nifti(&file, s.probability.view(), grid, &description)?,
                }
                run.tick(Stage::Export, 1, 1)
            })
        })
    }
}

/// Writes the preview: a PNG with the three sequences, the agent's walk, the final box and the
/// contour of every slice in range.
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
    // SAFETY: the caller's promise.
    unsafe {
        call(error, &[guarded!(detection), guarded!(segmentation), guarded!(contours)], || {
            let (boxes, source, lines) = (
                borrow(detection, "detection")?,
                borrow(segmentation, "segmentation")?,
                borrow(contours, "contours")?,
            );
            let file = path(file, "file")?;
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
                    contours: &lines.handle.value,
                    provenance: &source.handle.value.provenance,
                    context_factor: source.engine.manifest().segmenter.context_factor,
                };
                write_preview(&file, &preview)?;
                run.tick(Stage::Export, 1, 1)
            })
        })
    }
}

/// Writes the run record: versions, model hash, device, seconds of detection and segmentation,
/// warnings, statuses, identity of the inputs (JSON).
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
    // SAFETY: the caller's promise.
    unsafe {
        call(error, &[guarded!(segmentation)], || {
            let source = borrow(segmentation, "segmentation")?;
            let file = path(file, "file")?;
            with(run, |run| {
                run.tick(Stage::Export, 0, 1)?;
                let mut record = Record::new(&source.study, &source.engine, serde_json::json!({}));
                record.take_segmentation(&source.handle.value, &source.study, &source.detection);
                record.warnings.extend(
                    source
                        .engine
                        .device()
                        .fallback
                        .iter()
                        .map(|why| format!("device auto fell back to the CPU: {why}")),
                );
                record.model_runs = source.engine.work();
                record.timings = ["detect", "segment"]
                    .into_iter()
                    .zip(source.seconds)
                    .map(|(stage, seconds)| Timing { stage, seconds })
                    .collect();
                record.write(&file)?;
                run.tick(Stage::Export, 1, 1)
            })
        })
    }
}
