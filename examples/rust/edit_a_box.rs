//! Corrects what the detector found: prints the box of every slice, moves the box in the middle of
//! the lesion, clears the lowest box of the lesion, segments again and prints the areas before and
//! after. Build and run it from the repository (`make demo` makes a synthetic
//! patient in out/demo/study):
//!
//!     cargo run --release --example edit_a_box -- out/demo/study/T1 out/demo/study/T1C \
//!         out/demo/study/T2 models/demo

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;

use nasoseg::segment::SliceSegmentation;
use nasoseg::{
    BoundingBox, DetectOptions, Engine, EngineOptions, Error, ReadOptions, Result, Run, Study,
    StudyOptions, Volume, read,
};

fn main() -> ExitCode {
    match edit_a_box() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{}", error.chain());
            ExitCode::FAILURE
        }
    }
}

fn edit_a_box() -> Result<()> {
    let arguments: Vec<PathBuf> = std::env::args_os().skip(1).map(PathBuf::from).collect();
    let [t1, t1c, t2, bundle] = arguments.as_slice() else {
        return Err(Error::Argument("usage: edit_a_box T1 T1C T2 BUNDLE".into()));
    };

    let run = Run::default();
    let engine = Engine::open(bundle, &EngineOptions::default(), &run)?;
    let study = Study::new([load(t1)?, load(t1c)?, load(t2)?], &StudyOptions::default(), &run)?;
    let mut detection = engine.detect(&study, &DetectOptions::default(), &run)?;
    for slice in detection.slices() {
        match slice.bounding_box {
            Some(BoundingBox([x0, y0, x1, y1])) => {
                println!("slice {}: box {x0:.1} {y0:.1} {x1:.1} {y1:.1}", slice.info.slice);
            }
            None => println!("slice {}: no box", slice.info.slice),
        }
    }
    let before = engine.segment(&study, &detection, &run)?;

    let inside = |slice: &SliceSegmentation| slice.pixels > 0;
    let lowest = before.slices.iter().position(inside);
    let highest = before.slices.iter().rposition(inside);
    if let (Some(lowest), Some(highest)) = (lowest, highest) {
        // Boxes are pixel edges on the model's square grid, 0 to detection.grid(). This one moves
        // to the right by half of its width, or as far as the grid goes.
        let middle = &detection.slices()[(lowest + highest) / 2];
        let slice = middle.info.slice;
        if let Some(BoundingBox([x0, y0, x1, y1])) = middle.bounding_box {
            let shift = ((x1 - x0) / 2.0).min(detection.grid() as f64 - x1);
            detection.set_box(slice, BoundingBox([x0 + shift, y0, x1 + shift, y1]))?;
            println!("slice {slice}: box moved by {shift:.1} pixels");
        }
        let slice = detection.slices()[lowest].info.slice;
        detection.clear_box(slice)?;
        println!("slice {slice}: box cleared");
    }

    let after = engine.segment(&study, &detection, &run)?;
    for (old, new) in before.slices.iter().zip(&after.slices) {
        println!(
            "slice {}: {:.1} mm2 before, {:.1} mm2 after",
            old.info.slice, old.area_mm2, new.area_mm2
        );
    }
    println!("edited: {}", if after.edited { "yes" } else { "no" });
    Ok(())
}

/// Reads a DICOM folder, a NIfTI file or an NRRD file.
fn load(path: &Path) -> Result<Arc<Volume>> {
    Ok(Arc::new(read(&[path.to_owned()], &ReadOptions::default())?))
}
