//! `nasoseg doctor`: what was found, where, which versions, and whether the golden case comes out.

use std::path::Path;

use nasoseg::bundle::manifest::Detector;
use nasoseg::engine::EngineOptions;
use nasoseg::golden::Golden;
use nasoseg::runtime::search;
use nasoseg::{Engine, Result, Run, Runtime};

use crate::args::RuntimeArguments;

pub fn doctor(bundle: Option<&Path>, arguments: &RuntimeArguments) -> Result<()> {
    println!("nasoseg        {}", env!("CARGO_PKG_VERSION"));
    println!(
        "platform      {} {}, {} cores",
        std::env::consts::OS,
        std::env::consts::ARCH,
        std::thread::available_parallelism().map_or(0, |n| n.get())
    );
    for (place, found) in search(arguments.onnxruntime.as_deref()) {
        println!(
            "looked in     {place}: {}",
            found.map_or("nothing".into(), |p| p.display().to_string())
        );
    }
    let runtime = Runtime::get(arguments.onnxruntime.as_deref())?;
    println!("ONNX Runtime  {} at {}", runtime.version(), runtime.path().display());
    println!(
        "CUDA          {}",
        if runtime.has_cuda() { "known to this ONNX Runtime" } else { "not in this ONNX Runtime" }
    );
    let Some(dir) = bundle else { return Ok(()) };
    let options = EngineOptions::default()
        .with_device(arguments.device)
        .with_onnxruntime(arguments.onnxruntime.clone())
        .with_threads(arguments.threads);
    let engine = Engine::open(dir, &options, &Run::default())?;
    let provenance = engine.provenance();
    println!(
        "bundle        {} {} ({})",
        provenance.model_name, provenance.model_version, provenance.model_hash
    );
    if provenance.demo {
        println!("              DEMO, NOT FOR CLINICAL USE. {}", provenance.statement);
    }
    let device = engine.device();
    println!("device        {} (asked for {})", device.used, device.requested);
    if let Some(why) = &device.fallback {
        println!("              fell back: {why}");
    }
    let agreement = Golden::read(engine.bundle())?.check(engine.bundle(), engine.networks())?;
    let detector = match &engine.manifest().detector {
        Detector::Agent(_) => format!(
            "features within {:.1e} (relative), Q values {:.1e}, ",
            agreement.features, agreement.q
        ),
        Detector::Proposals(_) => format!(
            "scores within {:.1e}, boxes {:.1e} pixels, ",
            agreement.scores, agreement.boxes
        ),
        Detector::Whole {} | Detector::Fixed { .. } => String::new(),
    };
    println!(
        "golden case   agrees on {} slices: {detector}probabilities {:.1e}",
        agreement.slices, agreement.probability
    );
    Ok(())
}
