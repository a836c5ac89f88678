//! `nasoseg info`: a bundle's manifest.

use std::path::PathBuf;

use clap::Args;
use nasoseg::formats::json;
use nasoseg::provenance::intended_use;
use nasoseg::{Bundle, Result};

/// Show the manifest of a model bundle
///
/// Every file of the bundle is read and its SHA-256 is verified.
#[derive(Debug, Args)]
pub struct Arguments {
    /// Directory of the model bundle
    bundle: PathBuf,
}

/// Runs the command.
pub fn info(arguments: &Arguments) -> Result<()> {
    let bundle = Bundle::open(&arguments.bundle)?;
    let manifest = bundle.manifest();
    // Reading a file verifies its SHA-256.
    for file in manifest.files.keys() {
        bundle.file(file)?;
    }
    let slices = match manifest.negatives_trained {
        true => "with and without tumour",
        false => "with tumour only: name the range",
    };
    let files: Vec<&str> = manifest.files.keys().map(String::as_str).collect();
    println!(
        "{} {}  (format {}, {})",
        manifest.name, manifest.version, manifest.format_version, manifest.licence
    );
    println!("hash          {}", bundle.hash());
    println!(
        "intended use  {}",
        intended_use(manifest.intended_use.demo, &manifest.intended_use.statement)
    );
    println!("slices        {slices}");
    println!("input         {}", json::line(&manifest.input)?);
    println!("detector      {}", json::line(&manifest.detector)?);
    println!("segmenter     {}", json::line(&manifest.segmenter)?);
    println!("training      {}", manifest.training);
    println!("metrics       {}", manifest.metrics);
    println!("files         {} (sums match)", files.join(", "));
    Ok(())
}
