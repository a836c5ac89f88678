//! The command line: arguments in, files and one table out; all work is the library's.

mod args;
mod commands;
mod doctor;
mod evaluate;
mod inputs;
mod outputs;
mod prepare;
mod progress;

use std::process::ExitCode;

use clap::Parser;

fn main() -> ExitCode {
    let arguments = args::Arguments::parse();
    match commands::run(arguments) {
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
