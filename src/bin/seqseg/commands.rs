//! One function per sub-command.

use std::io::IsTerminal;
use std::path::{Path, PathBuf};
use std::time::Instant;

use seqseg::contour::{ContourKind, contours_of_level, contours_of_mask};
use seqseg::engine::{ContourOptions, EngineOptions, contour};
use seqseg::export::record::{Record, Timing};
use seqseg::export::{RtStructOptions, write_rtstruct};
use seqseg::study::read::{ReadOptions, read};
use seqseg::{Bundle, DetectOptions, Detection, Engine, Error, Result, Run, Status, Study, Trajectory};

use crate::args::{Arguments, Command, Contours, Model, Sequences, Slices};
use crate::outputs::{self, Results};
use crate::progress::Watch;
use crate::{doctor, inputs, npz};

/// Runs the command that was typed.
pub fn run(arguments: Arguments) -> Result<()> {
    match arguments.command {
        Command::Run { sequences, model, slices, outline, out } => whole(&sequences, &model, &From::Slices(slices), outline.contours, &out),
        Command::Segment { sequences, model, outline, detection, out } => {
            whole(&sequences, &model, &From::Detection(detection), outline.contours, &out)
        }
        Command::Detect { sequences, model, slices, out } => detect(&sequences, &model, &slices, &out),
        Command::Contour { mask, reference, threshold, roi_name, out } => outline(&mask, reference, threshold, roi_name, &out),
        Command::Prepare { sequences, bundle, slices, out } => prepare(&sequences, &bundle, &slices, &out),
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
    Slices(Slices),
    Detection(PathBuf),
}

fn open(model: &Model) -> Result<Engine> {
    let runtime = &model.runtime;
    let options =
        EngineOptions::default().with_device(runtime.device).with_onnxruntime(runtime.onnxruntime.clone()).with_threads(runtime.threads);
    Engine::open(&model.bundle, &options)
}

fn detect_options(slices: &Slices, study: &Study) -> Result<DetectOptions> {
    let mut options = DetectOptions::default();
    options.slices = inputs::range(slices, study)?;
    options.force_coverage = slices.force_coverage;
    Ok(options)
}

/// `run` and `segment`: all that follows the boxes is the same.
fn whole(sequences: &Sequences, model: &Model, from: &From, kind: Contours, out: &Path) -> Result<()> {
    outputs::folder(out)?;
    let mut clock = Clock::default();
    let watch = Watch::new()?;
    let written = watch.with(|run| {
        let engine = clock.time("load model", || open(model))?;
        let study = inputs::study(sequences, &mut clock, run)?;
        let before = engine.work();
        let detection = boxes(&study, &engine, from, &mut clock, run)?;
        let segmentation = clock.time("segment", || engine.segment(&study, &detection, run))?;
        let kind = match kind {
            Contours::Level => ContourKind::Level,
            Contours::Voxel => ContourKind::Voxel,
        };
        let lines = clock.time("contour", || contour(&study, &segmentation, &ContourOptions::default().with_kind(kind), run))?;
        let results = Results { study: &study, engine: &engine, detection: &detection, segmentation: &segmentation, contours: &lines };
        let written = clock.time("export", || outputs::all(out, &results))?;

        let options = serde_json::json!({
            "contours": kind,
            "slices": [detection.range().start, detection.range().end],
            "force_geometry": sequences.force_geometry,
            "force_coverage": matches!(from, From::Slices(s) if s.force_coverage),
            "detection": match from { From::Detection(path) => Some(path.display().to_string()), From::Slices(_) => None },
        });
        let mut record = Record::new(&study, &engine, options);
        record.model_runs = engine.work().since(before);
        record.take_segmentation(&segmentation, &study, |k| steps(&detection, k));
        record.warnings.extend(engine.device().fallback.iter().map(|why| format!("device auto fell back to the CPU: {why}")));
        record.timings = std::mem::take(&mut clock.0);
        record.outputs = written.outputs.clone();
        record.outputs.push("run.json".into());
        record.not_written = written.not_written.clone();
        record.write(&out.join("run.json"))?;
        Ok(record)
    });
    watch.finish();
    report(&written?, out);
    Ok(())
}

fn boxes(study: &Study, engine: &Engine, from: &From, clock: &mut Clock, run: &Run<'_>) -> Result<Detection> {
    match from {
        From::Slices(slices) => {
            let options = detect_options(slices, study)?;
            clock.time("detect", || engine.detect(study, &options, run))
        }
        From::Detection(path) => {
            let text = std::fs::read_to_string(path)
                .map_err(|e| Error::read_caused(path, "the detection cannot be read. Give the detection.json of a run", e))?;
            seqseg::detect::file::from_json(&text, &path.display().to_string(), study, engine.manifest(), &engine.provenance())
        }
    }
}

fn steps(detection: &Detection, slice: usize) -> Option<usize> {
    let entry = detection.slices().iter().find(|s| s.info.slice == slice)?;
    entry.trajectory.as_ref().map(Trajectory::steps)
}

/// Warnings always, a short table on a terminal.
fn report(record: &Record, out: &Path) {
    for warning in &record.warnings {
        eprintln!("seqseg: warning: {warning}");
    }
    for output in &record.not_written {
        eprintln!("seqseg: not written: {output}");
    }
    if record.provenance.demo {
        eprintln!("seqseg: DEMO MODEL, NOT FOR CLINICAL USE. {}", record.provenance.statement);
    }
    if !std::io::stdout().is_terminal() {
        return;
    }
    println!("slice      z mm  steps  area mm2  status");
    for s in &record.slices {
        let steps = s.steps.map_or("-".into(), |n| n.to_string());
        println!("{:>5}  {:>8.1}  {steps:>5}  {:>8.0}  {}", s.slice.info.slice, s.slice.info.position_mm, s.slice.area_mm2, s.status);
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

fn detect(sequences: &Sequences, model: &Model, slices: &Slices, out: &Path) -> Result<()> {
    outputs::folder(out)?;
    let mut clock = Clock::default();
    let watch = Watch::new()?;
    let outcome = watch.with(|run| {
        let engine = open(model)?;
        let study = inputs::study(sequences, &mut clock, run)?;
        let detection = engine.detect(&study, &detect_options(slices, &study)?, run)?;
        outputs::detection(out, &study, &engine, &detection)?;
        Ok((study.warnings().to_vec(), detection))
    });
    watch.finish();
    let (warnings, detection) = outcome?;
    for warning in warnings {
        eprintln!("seqseg: warning: {warning}");
    }
    if std::io::stdout().is_terminal() {
        println!("slice      z mm  steps  status");
        for s in detection.slices() {
            let steps = s.trajectory.as_ref().map_or("-".into(), |t| t.steps().to_string());
            println!("{:>5}  {:>8.1}  {steps:>5}  {}", s.info.slice, s.info.position_mm, Status::list(&s.statuses));
        }
    }
    Ok(())
}

fn outline(mask: &Path, reference: PathBuf, threshold: Option<f32>, roi_name: String, out: &Path) -> Result<()> {
    outputs::folder(out)?;
    let region = read(&[mask.to_owned()], &ReadOptions::default())?;
    let series = read(&[reference.clone()], &ReadOptions::default())?;
    let distance = region.grid().corner_distance(series.grid());
    if distance > 0.01 {
        return Err(Error::Geometry(format!(
            "{}: does not lie on the grid of {} ({}). Resample the mask onto the reference first",
            mask.display(),
            reference.display(),
            if distance.is_finite() { format!("corners differ by {distance:.3} mm") } else { "another size".into() }
        )));
    }
    let lines = match threshold {
        Some(threshold) => contours_of_level(region.voxels().view(), series.grid(), threshold, None)?,
        None => {
            if let Some(value) = region.voxels().iter().find(|v| **v != 0.0 && **v != 1.0) {
                return Err(Error::Argument(format!(
                    "{}: holds the value {value}; a mask of 0 and 1 was expected. For a probability give --threshold",
                    mask.display()
                )));
            }
            contours_of_mask(region.voxels().mapv(|v| v as u8).view(), series.grid())?
        }
    };
    outputs::contours(out, &lines, None)?;
    if series.dicom().is_some() {
        let options = RtStructOptions::default().with_roi_name(roi_name);
        write_rtstruct(&out.join("rtstruct.dcm"), &lines, &series, &options)?;
    }
    Ok(())
}

fn prepare(sequences: &Sequences, bundle: &Path, slices: &Slices, out: &Path) -> Result<()> {
    let bundle = Bundle::open(bundle)?;
    let mut clock = Clock::default();
    let watch = Watch::new()?;
    let outcome = watch.with(|run| {
        let study = inputs::study(sequences, &mut clock, run)?;
        let range = study.check_slices(inputs::range(slices, &study)?)?;
        let prepared = study.prepared(&bundle.manifest().input, range, run)?;
        npz::write(out, &prepared, &study)?;
        Ok(study.warnings().to_vec())
    });
    watch.finish();
    for warning in outcome? {
        eprintln!("seqseg: warning: {warning}");
    }
    Ok(())
}

fn info(dir: &Path) -> Result<()> {
    let bundle = Bundle::open(dir)?;
    let manifest = bundle.manifest();
    // Every file is read once: what is shown is what the sums promise.
    for file in manifest.files.keys() {
        bundle.file(file)?;
    }
    println!("{} {}  (format {}, {})", manifest.name, manifest.version, manifest.format_version, manifest.licence);
    println!("hash          {}", bundle.hash());
    println!(
        "intended use  {}{}",
        if manifest.intended_use.demo { "DEMO, NOT FOR CLINICAL USE. " } else { "" },
        manifest.intended_use.statement
    );
    println!("slices        {}", if manifest.negatives_trained { "with and without tumour" } else { "with tumour only: name the range" });
    println!("input         {}", json(&manifest.input)?);
    println!("detector      {}", json(&manifest.detector)?);
    println!("segmenter     {}", json(&manifest.segmenter)?);
    println!("training      {}", manifest.training);
    println!("metrics       {}", manifest.metrics);
    println!("files         {} (sums match)", manifest.files.keys().cloned().collect::<Vec<_>>().join(", "));
    Ok(())
}

/// A section of the manifest as one line of JSON.
fn json(section: &impl serde::Serialize) -> Result<String> {
    serde_json::to_string(section).map_err(|e| Error::Internal(e.to_string()))
}
