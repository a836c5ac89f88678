//! `nasoseg detect`: the boxes alone.

use std::io::IsTerminal;
use std::path::PathBuf;

use clap::Args;
use nasoseg::outputs::folder::OutputFolder;
use nasoseg::outputs::record;
use nasoseg::{Detection, Result, SliceStatus, Trajectory};

use crate::arguments::{Detecting, Model, Sequences};
use crate::clock::Clock;
use crate::progress_bar::ProgressBar;
use crate::{inputs, warnings};

/// Detect the tumour's box on every slice
///
/// Writes detection.json, whose boxes can be edited before segment reads them.
#[derive(Debug, Args)]
pub struct Arguments {
    #[command(flatten)]
    sequences: Sequences,
    #[command(flatten)]
    model: Model,
    #[command(flatten)]
    detecting: Detecting,
    /// Folder for the outputs; created if it is missing
    #[arg(long, value_name = "DIR")]
    out: PathBuf,
}

/// Runs the command.
pub fn detect(arguments: &Arguments) -> Result<()> {
    let Arguments { sequences, model, detecting, out } = arguments;
    let progress = ProgressBar::new()?;
    let folder = OutputFolder::new(out)?;
    let (found, demo, detection) = progress.run(|run| {
        let engine = model.open(run)?;
        let study = inputs::study(sequences, &mut Clock::default(), run)?;
        let detection = engine.detect(&study, &detecting.options(&study)?, run)?;
        folder.write_detection(&study, &engine, &detection)?;
        Ok((record::warnings(&study, &engine), engine.provenance().warning(), detection))
    })?;
    folder.publish()?;
    warnings::print(&found, demo.as_deref());
    if std::io::stdout().is_terminal() {
        print_table(&detection);
    }
    Ok(())
}

fn print_table(detection: &Detection) {
    println!("slice      z mm  steps  status");
    for s in detection.slices() {
        let steps = s.trajectory.as_ref().map(Trajectory::steps);
        println!(
            "{:>5}  {:>8.1}  {:>5}  {}",
            s.info.slice,
            s.info.position_mm,
            steps.map_or("-".into(), |n| n.to_string()),
            SliceStatus::list(&s.statuses)
        );
    }
}
