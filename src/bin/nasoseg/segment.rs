//! `nasoseg segment`: from the boxes of a file to every output.

use std::path::PathBuf;

use clap::Args;
use nasoseg::Result;

use crate::arguments::{Contouring, Model, Sequences};
use crate::pipeline::{self, BoxSource};

/// Segment and contour the tumour inside the boxes of a detection.json
///
/// Writes the same files as run.
#[derive(Debug, Args)]
pub struct Arguments {
    #[command(flatten)]
    sequences: Sequences,
    #[command(flatten)]
    model: Model,
    #[command(flatten)]
    contouring: Contouring,
    /// detection.json of the same study and model
    ///
    /// The box of a slice may be edited, or null if the slice holds no lesion.
    #[arg(long, value_name = "FILE")]
    detection: PathBuf,
    /// Folder for the outputs; created if it is missing
    #[arg(long, value_name = "DIR")]
    out: PathBuf,
}

/// Runs the command.
pub fn segment(arguments: Arguments) -> Result<()> {
    let Arguments { sequences, model, contouring, detection, out } = arguments;
    pipeline::run(&sequences, &model, &BoxSource::File(detection), &contouring, &out)
}
