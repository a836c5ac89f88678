//! `nasoseg doctor`: what an installation finds, and whether it reproduces a bundle's golden case.

use std::path::PathBuf;

use clap::Args;
use nasoseg::bundle::manifest::Detector;
use nasoseg::golden::Golden;
use nasoseg::provenance::intended_use;
use nasoseg::runtime::search;
use nasoseg::{Engine, Result, Run, Runtime};

use crate::arguments::RuntimeArguments;

/// Diagnose the installation
///
/// Shows which ONNX Runtime was found, where, and its version. With a bundle, checks that
/// this installation reproduces the bundle's golden case.
#[derive(Debug, Args)]
#[command(verbatim_doc_comment)]
pub struct Arguments {
    /// Directory of the model bundle to check
    #[arg(long, value_name = "DIR")]
    bundle: Option<PathBuf>,
    #[command(flatten)]
    runtime: RuntimeArguments,
}

/// Runs the command.
pub fn doctor(arguments: &Arguments) -> Result<()> {
    show_runtime(&arguments.runtime)?;
    let Some(dir) = &arguments.bundle else { return Ok(()) };
    let engine = Engine::open(dir, &arguments.runtime.engine_options(), &Run::default())?;
    show_engine(&engine);
    check_golden(&engine)
}

fn show_runtime(arguments: &RuntimeArguments) -> Result<()> {
    println!("nasoseg        {}", env!("CARGO_PKG_VERSION"));
    println!(
        "platform      {} {}, {} cores",
        std::env::consts::OS,
        std::env::consts::ARCH,
        std::thread::available_parallelism().map_or(0, |n| n.get())
    );
    for (place, found) in search(arguments.onnxruntime.as_deref()) {
        let found = found.map_or("nothing".into(), |path| path.display().to_string());
        println!("looked in     {place}: {found}");
    }
    let runtime = Runtime::get(arguments.onnxruntime.as_deref())?;
    println!("ONNX Runtime  {} at {}", runtime.version(), runtime.path().display());
    let cuda = match runtime.has_cuda() {
        true => "known to this ONNX Runtime",
        false => "not in this ONNX Runtime",
    };
    println!("CUDA          {cuda}");
    Ok(())
}

fn show_engine(engine: &Engine) {
    let provenance = engine.provenance();
    println!(
        "bundle        {} {} ({})",
        provenance.model_name, provenance.model_version, provenance.model_hash
    );
    if provenance.demo {
        println!("              {}", intended_use(provenance.demo, &provenance.statement));
    }
    let device = engine.device();
    println!("device        {} (asked for {})", device.used, device.requested);
    if let Some(why) = &device.fallback {
        println!("              fell back: {why}");
    }
}

fn check_golden(engine: &Engine) -> Result<()> {
    let found = Golden::read(engine.bundle())?.check(engine.bundle(), engine.networks())?;
    let detector = match &engine.manifest().detector {
        Detector::Agent(_) => {
            format!("features within {:.1e} (relative), Q values {:.1e}, ", found.features, found.q)
        }
        Detector::Proposals(_) => {
            format!("scores within {:.1e}, boxes {:.1e} pixels, ", found.scores, found.boxes)
        }
        Detector::Whole {} | Detector::Fixed { .. } => String::new(),
    };
    println!(
        "golden case   agrees on {} slices: {detector}probabilities {:.1e}",
        found.slices, found.probability
    );
    Ok(())
}
