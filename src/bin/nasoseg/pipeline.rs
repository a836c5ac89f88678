//! What `run` and `segment` share: all that follows the boxes.

use std::io::IsTerminal;
use std::path::{Path, PathBuf};

use nasoseg::geometry::Reslice;
use nasoseg::outputs::folder::{OutputFolder, Results, read_detection};
use nasoseg::outputs::record::{self, Record};
use nasoseg::{ContourOptions, Detection, Engine, Result, Run, Study, contour};
use serde_json::{Value, json};

use crate::arguments::{Contouring, Detecting, Model, Sequences};
use crate::clock::Clock;
use crate::progress_bar::ProgressBar;
use crate::{inputs, warnings};

/// Where the boxes come from.
pub enum BoxSource {
    /// The model's detector.
    Detector(Detecting),
    /// A file, possibly edited.
    File(PathBuf),
}

/// Runs every stage and writes every output.
pub fn run(
    sequences: &Sequences,
    model: &Model,
    source: &BoxSource,
    contouring: &Contouring,
    out: &Path,
) -> Result<()> {
    let progress = ProgressBar::new()?;
    let mut folder = OutputFolder::new(out)?;
    let record =
        progress.run(|run| stages(sequences, model, source, contouring, &mut folder, run))?;
    folder.publish()?;
    report(&record, out);
    Ok(())
}

fn stages(
    sequences: &Sequences,
    model: &Model,
    source: &BoxSource,
    contouring: &Contouring,
    folder: &mut OutputFolder,
    run: &Run<'_>,
) -> Result<Record> {
    let mut clock = Clock::default();
    let engine = clock.time("load model", || model.open(run))?;
    let study = inputs::study(sequences, &mut clock, run)?;
    let before = engine.work();
    let detection = boxes(&study, &engine, source, &mut clock, run)?;
    let segmentation = clock.time("segment", || engine.segment(&study, &detection, run))?;
    let options = ContourOptions::default().with_kind(contouring.contours);
    let contours = clock.time("contour", || contour(&study, &segmentation, &options, run))?;
    let results = Results {
        study: &study,
        engine: &engine,
        detection: &detection,
        segmentation: &segmentation,
        contours: &contours,
    };
    clock.time("export", || folder.write_results(&results, run))?;

    let options = recorded_options(sequences, source, contouring, &detection);
    let mut record = Record::new(&study, &engine, options);
    record.model_runs = engine.work().since(before);
    record.take_segmentation(&segmentation, &study, &detection);
    record.warnings = record::warnings(&study, &engine);
    record.timings = clock.0;
    folder.write_record(&mut record)?;
    Ok(record)
}

fn boxes(
    study: &Study,
    engine: &Engine,
    source: &BoxSource,
    clock: &mut Clock,
    run: &Run<'_>,
) -> Result<Detection> {
    match source {
        BoxSource::Detector(detecting) => {
            let options = detecting.options(study)?;
            clock.time("detect", || engine.detect(study, &options, run))
        }
        BoxSource::File(path) => read_detection(path, study, engine),
    }
}

/// The caller's choices as the run record lists them.
fn recorded_options(
    sequences: &Sequences,
    source: &BoxSource,
    contouring: &Contouring,
    detection: &Detection,
) -> Value {
    let reslice = match sequences.reslice {
        Some(Reslice::Axial { step_mm }) => Some(format!("axial:{step_mm}")),
        Some(Reslice::Never) | None => None,
    };
    let file = match source {
        BoxSource::File(path) => Some(path.display().to_string()),
        BoxSource::Detector(_) => None,
    };
    json!({
        "contours": contouring.contours,
        "slices": [detection.range().start, detection.range().end],
        "force_geometry": sequences.force_geometry,
        "allow_gaps": sequences.allow_gaps,
        "pick": [&sequences.t1_pick, &sequences.t1c_pick, &sequences.t2_pick],
        "force_coverage": detection.force_coverage(),
        "reslice": reslice,
        "detection": file,
    })
}

/// Prints warnings always, and a short table on a terminal.
fn report(record: &Record, out: &Path) {
    warnings::print(&record.warnings, record.provenance.warning().as_deref());
    for output in &record.not_written {
        eprintln!("nasoseg: not written: {output}");
    }
    if !std::io::stdout().is_terminal() {
        return;
    }
    println!("slice      z mm  steps  area mm2  status");
    for s in &record.slices {
        let steps = s.steps.map_or("-".into(), |n| n.to_string());
        println!(
            "{:>5}  {:>8.1}  {steps:>5}  {:>8.0}  {}",
            s.slice.info.slice, s.slice.info.position_mm, s.slice.area_mm2, s.status
        );
    }
    if let Some(volume) = record.volume_mm3 {
        println!(
            "volume {:.2} cm3 on {}; written to {}: {}",
            volume / 1000.0,
            record.device.used,
            out.display(),
            record.outputs.join(", ")
        );
    }
}
