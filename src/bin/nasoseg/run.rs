//! `nasoseg run`: from three sequences to every output.

use std::path::PathBuf;

use clap::Args;
use nasoseg::Result;

use crate::arguments::{Contouring, Detecting, Model, Sequences};
use crate::pipeline::{self, BoxSource};

/// Detect, segment and contour the tumour
///
/// Writes detection.json, contours.json, mask.nii.gz, probability.nii.gz, preview.png,
/// run.json and, if T1C is DICOM, rtstruct.dcm.
#[derive(Debug, Args)]
#[command(verbatim_doc_comment)]
pub struct Arguments {
    #[command(flatten)]
    sequences: Sequences,
    #[command(flatten)]
    model: Model,
    #[command(flatten)]
    detecting: Detecting,
    #[command(flatten)]
    contouring: Contouring,
    /// Folder for the outputs; created if it is missing
    #[arg(long, value_name = "DIR")]
    out: PathBuf,
}

/// Runs the command.
pub fn run(arguments: Arguments) -> Result<()> {
    let Arguments { sequences, model, detecting, contouring, out } = arguments;
    pipeline::run(&sequences, &model, &BoxSource::Detector(detecting), &contouring, &out)
}
