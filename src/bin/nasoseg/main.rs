//! The command line: arguments in, files and a table out. All work is the library's.

mod arguments;
mod clock;
mod contour;
mod detect;
mod doctor;
mod evaluate;
mod info;
mod inputs;
mod pipeline;
mod prepare;
mod progress_bar;
mod run;
mod segment;
mod warnings;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

/// Find and contour nasopharyngeal carcinoma in MR
///
/// nasoseg detects the tumour on T1, contrast-enhanced T1 and T2, segments it, and writes
/// its contours for a planning system. It is not a medical device.
#[derive(Debug, Parser)]
#[command(verbatim_doc_comment, version, after_help = AFTER_HELP)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

const AFTER_HELP: &str = "\
Exit codes:
    0  done
    1  internal error
    2  wrong arguments
    3  unreadable or unusable image
    4  sequences that do not belong together
    5  unusable model bundle
    6  ONNX Runtime or device
    7  output that cannot be written
  130  cancelled

ONNX Runtime is searched for at --onnxruntime, at NASOSEG_ORT_DYLIB, beside the program, and in
the onnxruntime wheel of the active virtual environment.";

#[derive(Debug, Subcommand)]
enum Command {
    Run(run::Arguments),
    Detect(detect::Arguments),
    Segment(segment::Arguments),
    Contour(contour::Arguments),
    Evaluate(evaluate::Arguments),
    Prepare(prepare::Arguments),
    Info(info::Arguments),
    Doctor(doctor::Arguments),
}

fn main() -> ExitCode {
    let outcome = match Arguments::parse().command {
        Command::Run(arguments) => run::run(arguments),
        Command::Detect(arguments) => detect::detect(&arguments),
        Command::Segment(arguments) => segment::segment(arguments),
        Command::Contour(arguments) => contour::contour(&arguments),
        Command::Evaluate(arguments) => evaluate::evaluate(&arguments),
        Command::Prepare(arguments) => prepare::prepare(arguments),
        Command::Info(arguments) => info::info(&arguments),
        Command::Doctor(arguments) => doctor::doctor(&arguments),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("nasoseg: {}", error.chain());
            ExitCode::from(exit_code(&error))
        }
    }
}

/// The exit codes of `nasoseg --help`.
fn exit_code(error: &nasoseg::Error) -> u8 {
    use nasoseg::Error;
    match error {
        Error::Argument(_) => 2,
        Error::Read { .. } | Error::Image(_) => 3,
        Error::Geometry(_) | Error::Identity(_) => 4,
        Error::Bundle { .. } => 5,
        Error::Runtime { .. } | Error::Device { .. } => 6,
        Error::Write { .. } | Error::Unsupported(_) => 7,
        Error::Cancelled => 130,
        _ => 1,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_arguments_are_consistent() {
        <Arguments as clap::CommandFactory>::command().debug_assert();
    }
}
