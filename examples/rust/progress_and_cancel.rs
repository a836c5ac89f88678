//! Shows progress, and cancels from a second thread once the segmenter has run; then uses the same
//! engine and study again, which a cancel leaves intact. Build and run it from the repository
//! (`make demo` makes a synthetic patient in out/demo/study):
//!
//!     cargo run --release --example progress_and_cancel -- out/demo/study/T1 \
//!         out/demo/study/T1C out/demo/study/T2 models/demo

use std::cell::Cell;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::mpsc::channel;
use std::thread;

use nasoseg::{
    CancelToken, DetectOptions, Engine, EngineOptions, Error, Progress, ReadOptions, Result, Run,
    Stage, Study, StudyOptions, Volume, read,
};

fn main() -> ExitCode {
    match progress_and_cancel() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{}", error.chain());
            ExitCode::FAILURE
        }
    }
}

fn progress_and_cancel() -> Result<()> {
    let arguments: Vec<PathBuf> = std::env::args_os().skip(1).map(PathBuf::from).collect();
    let [t1, t1c, t2, bundle] = arguments.as_slice() else {
        return Err(Error::Argument("usage: progress_and_cancel T1 T1C T2 BUNDLE".into()));
    };
    let engine = Engine::open(bundle, &EngineOptions::default(), &Run::default())?;
    let volumes = [load(t1)?, load(t1c)?, load(t2)?];
    let run = Run { progress: Some(&printer()), cancel: None };
    let study = Study::new(volumes, &StudyOptions::default(), &run)?;

    // The second thread waits until the segmenter has run, then cancels. If that never happens,
    // `ran` is dropped with the closure, and the thread ends without cancelling.
    let token = CancelToken::new();
    let (ran, signal) = channel();
    let outcome = thread::scope(|scope| {
        let (ran, token) = (ran, &token);
        scope.spawn(move || signal.recv().map(|()| token.cancel()));
        let show = printer();
        let report = |p: Progress| {
            let go_on = show(p);
            if p.stage == Stage::Segment && p.done > 0 && ran.send(()).is_ok() {
                // A real program returns at once; waiting makes this one print the same each time.
                while !token.is_cancelled() {
                    thread::yield_now();
                }
            }
            go_on
        };
        segment(&engine, &study, &Run { progress: Some(&report), cancel: Some(token) })
    });
    match outcome {
        Err(Error::Cancelled) => println!("cancelled"),
        other => other?,
    }

    // A token stays set until it is reset.
    token.reset();
    segment(&engine, &study, &Run { progress: Some(&printer()), cancel: Some(&token) })
}

fn segment(engine: &Engine, study: &Study, run: &Run<'_>) -> Result<()> {
    let detection = engine.detect(study, &DetectOptions::default(), run)?;
    let segmentation = engine.segment(study, &detection, run)?;
    println!("volume: {:.1} mm3", segmentation.volume_mm3);
    Ok(())
}

/// A callback that prints progress whenever it has changed, because it is called at least once per
/// model run. Returning false would cancel, from the calling thread.
fn printer() -> impl Fn(Progress) -> bool {
    let last = Cell::new(None);
    move |p| {
        if last.replace(Some(p)) != Some(p) {
            println!("{} {}/{}", p.stage.name(), p.done, p.total);
        }
        true
    }
}

/// Reads a DICOM folder, a NIfTI file or an NRRD file.
fn load(path: &Path) -> Result<Arc<Volume>> {
    Ok(Arc::new(read(&[path.to_owned()], &ReadOptions::default())?))
}
