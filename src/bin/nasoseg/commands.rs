//! One function per sub-command.

use std::io::IsTerminal;
use std::path::{Path, PathBuf};
use std::time::Instant;

use nasoseg::EngineOptions;
use nasoseg::contour::{ContourKind, contours_of_level, contours_of_mask};
use nasoseg::contour::{ContourOptions, contour};
use nasoseg::formats::rtstruct::{RtStructOptions, write_rtstruct};
use nasoseg::formats::{ReadOptions, read};
use nasoseg::geometry::transfer::{Sampling, transfer};
use nasoseg::geometry::{Grid, Reslice};
use nasoseg::outputs::record::{Record, Timing};
use nasoseg::provenance::DEMO_MARK;
use nasoseg::volume::Source;
use nasoseg::{
    Bundle, DetectOptions, Detection, Engine, Error, Result, Run, SliceStatus, Study, Trajectory,
    Volume,
};

use crate::args::{Arguments, Command, Detecting, Model, Sequences};
use crate::evaluate::evaluate;
use crate::outputs::{Outputs, Results};
use crate::prepare::prepare;
use crate::progress::Watch;
use crate::{doctor, inputs};

/// Runs the command that was typed.
pub fn run(arguments: Arguments) -> Result<()> {
    match arguments.command {
        Command::Run { sequences, model, detecting, outline, out } => {
            whole(&sequences, &model, &From::Agent(detecting), outline.contours, &out)
        }
        Command::Segment { sequences, model, outline, detection, out } => {
            whole(&sequences, &model, &From::Detection(detection), outline.contours, &out)
        }
        Command::Detect { sequences, model, detecting, out } => {
            detect(&sequences, &model, &detecting, &out)
        }
        Command::Contour {
            mask,
            reference,
            reference_series,
            reference_pick,
            allow_gaps,
            threshold,
            resample,
            roi_name,
            out,
        } => {
            let region = read(&[mask], &ReadOptions::default()).map_err(|e| e.within("mask"))?;
            let options = inputs::read_options(&reference_series, &reference_pick, allow_gaps);
            let series = read(&[reference], &options).map_err(|e| e.within("reference"))?;
            let sampling = match (resample, threshold) {
                (false, _) => Sampling::Refused,
                (true, None) => Sampling::Nearest,
                (true, Some(_)) => Sampling::Linear,
            };
            outline(&region, &series, threshold, sampling, &roi_name, &out)
        }
        Command::Evaluate(arguments) => evaluate(&arguments),
        Command::Prepare(arguments) => prepare(&arguments),
        Command::Info { bundle } => info(&bundle),
        Command::Doctor { bundle, runtime } => doctor::doctor(bundle.as_deref(), &runtime),
    }
}

/// Wall time of the stages, in order.
#[derive(Default)]
pub struct Clock(Vec<Timing>);

impl Clock {
    pub fn time<T>(&mut self, stage: &'static str, work: impl FnOnce() -> Result<T>) -> Result<T> {
        let start = Instant::now();
        let out = work()?;
        self.0.push(Timing { stage, seconds: start.elapsed().as_secs_f64() });
        Ok(out)
    }
}

/// Where the boxes come from.
enum From {
    Agent(Detecting),
    Detection(PathBuf),
}

fn open(model: &Model, run: &Run<'_>) -> Result<Engine> {
    let runtime = &model.runtime;
    let options = EngineOptions::default()
        .with_device(runtime.device)
        .with_onnxruntime(runtime.onnxruntime.clone())
        .with_threads(runtime.threads);
    Engine::open(&model.bundle, &options, run)
}

fn detect_options(detecting: &Detecting, study: &Study) -> Result<DetectOptions> {
    let mut options = DetectOptions::default();
    options.slices = inputs::range(&detecting.slices, study)?;
    options.force_coverage = detecting.force_coverage;
    Ok(options)
}

/// What the user must know of a study and the engine that worked on it.
fn warnings(study: &Study, engine: &Engine) -> Vec<String> {
    let fallback = engine
        .device()
        .fallback
        .iter()
        .map(|why| format!("device auto fell back to the CPU: {why}"));
    study.warnings().iter().cloned().chain(fallback).collect()
}

pub fn warn(warnings: &[String], demo: Option<String>) {
    for warning in warnings {
        eprintln!("nasoseg: warning: {warning}");
    }
    if let Some(demo) = demo {
        eprintln!("nasoseg: {demo}");
    }
}

/// `run` and `segment`: all that follows the boxes is the same.
fn whole(
    sequences: &Sequences,
    model: &Model,
    from: &From,
    kind: ContourKind,
    out: &Path,
) -> Result<()> {
    let watch = Watch::new()?;
    let mut outputs = Outputs::new(out)?;
    let mut clock = Clock::default();
    let finished = watch.with(|run| {
        let engine = clock.time("load model", || open(model, run))?;
        let study = inputs::study(sequences, &mut clock, run)?;
        let before = engine.work();
        let detection = boxes(&study, &engine, from, &mut clock, run)?;
        let segmentation = clock.time("segment", || engine.segment(&study, &detection, run))?;
        let lines = clock.time("contour", || contour(&study, &segmentation, &ContourOptions::default().with_kind(kind), run))?;
        let results = Results { study: &study, engine: &engine, detection: &detection, segmentation: &segmentation, contours: &lines };
        clock.time("export", || outputs.all(&results, run))?;

        let options = serde_json::json!({
            "contours": kind,
            "slices": [detection.range().start, detection.range().end],
            "force_geometry": sequences.force_geometry,
            "allow_gaps": sequences.allow_gaps,
            "pick": [&sequences.t1_pick, &sequences.t1c_pick, &sequences.t2_pick],
            "force_coverage": detection.force_coverage(),
            "reslice": match sequences.reslice { Some(Reslice::Axial { step_mm }) => Some(format!("axial:{step_mm}")), _ => None },
            "detection": match from { From::Detection(path) => Some(path.display().to_string()), From::Agent(_) => None },
        });
        let mut record = Record::new(&study, &engine, options);
        record.model_runs = engine.work().since(before);
        record.take_segmentation(&segmentation, &study, &detection);
        record.warnings = warnings(&study, &engine);
        record.timings = std::mem::take(&mut clock.0);
        record.outputs = outputs.names();
        record.outputs.push("run.json".into());
        record.not_written = outputs.not_written.clone();
        record.write(&outputs.path("run.json"))?;
        Ok(record)
    });
    watch.finish();
    let record = finished?;
    outputs.publish()?;
    report(&record, out);
    Ok(())
}

fn boxes(
    study: &Study,
    engine: &Engine,
    from: &From,
    clock: &mut Clock,
    run: &Run<'_>,
) -> Result<Detection> {
    match from {
        From::Agent(detecting) => {
            let options = detect_options(detecting, study)?;
            clock.time("detect", || engine.detect(study, &options, run))
        }
        From::Detection(path) => {
            let text = std::fs::read_to_string(path).map_err(|e| {
                Error::read_caused(
                    path,
                    "the detection cannot be read. Give the detection.json of a run",
                    e,
                )
            })?;
            nasoseg::detect::file::from_json(
                &text,
                &path.display().to_string(),
                study,
                engine.manifest(),
                &engine.provenance(),
            )
        }
    }
}

/// Warnings always, a short table on a terminal.
fn report(record: &Record, out: &Path) {
    warn(&record.warnings, record.provenance.warning());
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

fn detect(sequences: &Sequences, model: &Model, detecting: &Detecting, out: &Path) -> Result<()> {
    let watch = Watch::new()?;
    let outputs = Outputs::new(out)?;
    let outcome = watch.with(|run| {
        let engine = open(model, run)?;
        let study = inputs::study(sequences, &mut Clock::default(), run)?;
        let detection = engine.detect(&study, &detect_options(detecting, &study)?, run)?;
        outputs.detection(&study, &engine, &detection)?;
        Ok((warnings(&study, &engine), engine.provenance().warning(), detection))
    });
    watch.finish();
    let (warnings, demo, detection) = outcome?;
    outputs.publish()?;
    warn(&warnings, demo);
    if std::io::stdout().is_terminal() {
        println!("slice      z mm  steps  status");
        for s in detection.slices() {
            let steps =
                s.trajectory.as_ref().map(Trajectory::steps).map_or("-".into(), |n| n.to_string());
            println!(
                "{:>5}  {:>8.1}  {steps:>5}  {}",
                s.info.slice,
                s.info.position_mm,
                SliceStatus::list(&s.statuses)
            );
        }
    }
    Ok(())
}

/// Volume of what lies inside.
fn cm3(voxels: &ndarray::Array3<f32>, grid: &Grid, inside: impl Fn(&f32) -> bool) -> f64 {
    let of = |(k, plane): (usize, ndarray::ArrayView2<'_, f32>)| {
        plane.iter().filter(|v| inside(v)).count() as f64 * grid.voxel_mm3(k)
    };
    voxels.outer_iter().enumerate().map(of).sum::<f64>() / 1000.0
}

fn outline(
    region: &Volume,
    series: &Volume,
    threshold: Option<f32>,
    sampling: Sampling,
    roi_name: &str,
    out: &Path,
) -> Result<()> {
    let outputs = Outputs::new(out)?;
    let moved = transfer(&region.view(), &series.view(), sampling)?;
    let inside = |v: &f32| *v >= threshold.unwrap_or(1.0);
    let resampled = moved.sampled.then(|| {
        let (before, after) = (
            cm3(region.voxels(), region.grid(), inside),
            cm3(&moved.voxels, series.grid(), inside),
        );
        format!(
            "{}: resampled onto {} ({}): {before:.2} cm3 on its own grid, {after:.2} cm3 here",
            region.place(),
            series.place(),
            if threshold.is_some() { "linear" } else { "nearest voxel" }
        )
    });
    let voxels = moved.voxels;
    let lines = match threshold {
        Some(threshold) => contours_of_level(voxels.view(), series.grid(), threshold, None)?,
        None => {
            if let Some(value) = voxels.iter().find(|v| **v != 0.0 && **v != 1.0) {
                return Err(Error::Argument(format!(
                    "{}: holds the value {value}; a mask of 0 and 1 was expected. For a probability give --threshold",
                    region.place()
                )));
            }
            contours_of_mask(voxels.mapv(|v| v as u8).view(), series.grid())?
        }
    };
    // What a demo model made says so in its description, and stays a demo whatever it is called
    // here.
    let description = match region.source() {
        Source::File { description, .. } => description.as_str(),
        _ => "",
    };
    let demo = description.starts_with(DEMO_MARK);
    let warning = demo.then(|| description.to_owned());
    outputs.contours(&lines, warning.clone())?;
    if series.dicom().is_some() {
        let options = RtStructOptions::default()
            .with_roi_name(roi_name)
            .with_description(description)
            .with_demo(demo)
            .with_from_mask(true);
        write_rtstruct(&outputs.path("rtstruct.dcm"), &lines, series, &options)?;
    }
    outputs.publish()?;
    warn(resampled.as_slice(), None);
    warn(series.dicom().map_or(&[], |s| &s.warnings), warning);
    Ok(())
}

fn info(dir: &Path) -> Result<()> {
    let bundle = Bundle::open(dir)?;
    let manifest = bundle.manifest();
    // Every file is read once: what is shown is what the sums promise.
    for file in manifest.files.keys() {
        bundle.file(file)?;
    }
    let demo = if manifest.intended_use.demo { "DEMO, NOT FOR CLINICAL USE. " } else { "" };
    println!(
        "{} {}  (format {}, {})",
        manifest.name, manifest.version, manifest.format_version, manifest.licence
    );
    println!("hash          {}", bundle.hash());
    println!("intended use  {demo}{}", manifest.intended_use.statement);
    println!(
        "slices        {}",
        if manifest.negatives_trained {
            "with and without tumour"
        } else {
            "with tumour only: name the range"
        }
    );
    println!("input         {}", json(&manifest.input)?);
    println!("detector      {}", json(&manifest.detector)?);
    println!("segmenter     {}", json(&manifest.segmenter)?);
    println!("training      {}", manifest.training);
    println!("metrics       {}", manifest.metrics);
    println!(
        "files         {} (sums match)",
        manifest.files.keys().cloned().collect::<Vec<_>>().join(", ")
    );
    Ok(())
}

/// A section of the manifest as one line of JSON.
fn json(section: &impl serde::Serialize) -> Result<String> {
    serde_json::to_string(section).map_err(|e| Error::Internal(e.to_string()))
}
