//! A detection as a JSON file.

use std::ffi::c_char;

use crate::detect::file::{from_json, to_json};
use crate::error::Error;
use crate::ffi::arguments::arguments;
use crate::ffi::boundary::call;
use crate::ffi::detection::nasoseg_detection;
use crate::ffi::engine::nasoseg_engine;
use crate::ffi::error::nasoseg_error;
use crate::ffi::options::{Options, nasoseg_options};
use crate::ffi::run::{nasoseg_run, with};
use crate::ffi::study::{self, nasoseg_study};
use crate::run::Stage;

/// Writes the detection as JSON, which `nasoseg segment` and nasoseg_detection_read read. `file` is
/// a UTF-8 path; the file appears whole or not at all. Options: none. Progress: export.
///
/// # Safety
/// `detection` is a live handle; `file` is a string; `options` and `run` are NULL or live; `error`
/// is NULL or writable.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn nasoseg_detection_write(
    detection: *const nasoseg_detection,
    file: *const c_char,
    options: *const nasoseg_options,
    run: *const nasoseg_run,
    error: *mut *mut nasoseg_error,
) -> u32 {
    let _ = options;
    arguments!(detection: Ref, file: Text, run: Ref, error: Out);
    call(error, &[&detection], || {
        let handle = detection.required()?;
        let file = file.path()?;
        with(run, |run| {
            run.tick(Stage::Export, 0, 1)?;
            let (engine, provenance) = (&handle.engine, handle.engine.provenance());
            let (manifest, device) = (engine.manifest(), engine.device());
            let text = to_json(&handle.read(), &handle.study, manifest, &provenance, device)?;
            crate::formats::write::write_atomically(&file, |f| {
                std::io::Write::write_all(f, text.as_bytes())
            })?;
            run.tick(Stage::Export, 1, 1)
        })
    })
}

/// Reads a detection that nasoseg_detection_write wrote, edited or not, for the same study and
/// model. Free it with nasoseg_detection_free. Options: force_geometry, reslice. Progress: read,
/// align.
///
/// # Safety
/// As nasoseg_detect; `file` is a string.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn nasoseg_detection_read(
    engine: *const nasoseg_engine,
    study: *const nasoseg_study,
    file: *const c_char,
    options: *const nasoseg_options,
    run: *const nasoseg_run,
    detection: *mut *mut nasoseg_detection,
    error: *mut *mut nasoseg_error,
) -> u32 {
    arguments!(engine: Ref, study: Ref, file: Text, options: Ref, run: Ref);
    arguments!(detection: Out, error: Out);
    call(error, &[&engine, &study], || {
        let (engine, study) = (engine.required()?, study.required()?);
        let place = detection.required()?;
        let (file, options) = (file.path()?, Options::of(options));
        with(run, |run| {
            run.tick(Stage::Read, 0, 1)?;
            let text = crate::fault::text_of(&file)
                .map_err(|e| Error::read_caused(&file, "the detection cannot be read", e))?;
            run.tick(Stage::Read, 1, 1)?;
            let aligned = study::aligned(study, &options, run)?;
            let engine = engine.handle.value.clone();
            let (name, provenance) = (file.display().to_string(), engine.provenance());
            let found = from_json(&text, &name, &aligned, engine.manifest(), &provenance)?;
            place.put(nasoseg_detection::new(found, aligned, engine, 0.0));
            Ok(())
        })
    })
}
