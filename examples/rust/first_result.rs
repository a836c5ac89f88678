//! Segments one patient and saves the result: an RT Structure Set if T1C is DICOM, otherwise the
//! mask as NIfTI. Build and run it from the repository (`make demo` makes a synthetic patient in
//! out/demo/study):
//!
//!     cargo run --release --example first_result -- out/demo/study/T1 out/demo/study/T1C \
//!         out/demo/study/T2 models/demo out/first_result

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;

use nasoseg::formats::nifti::write_nifti;
use nasoseg::formats::rtstruct::{RtStructOptions, write_rtstruct};
use nasoseg::{
    ContourOptions, DetectOptions, Engine, EngineOptions, Error, ReadOptions, Result, Run, Study,
    StudyOptions, Volume, contour, read,
};

fn main() -> ExitCode {
    match first_result() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{}", error.chain());
            ExitCode::FAILURE
        }
    }
}

fn first_result() -> Result<()> {
    let arguments: Vec<PathBuf> = std::env::args_os().skip(1).map(PathBuf::from).collect();
    let [t1, t1c, t2, bundle, output] = arguments.as_slice() else {
        return Err(Error::Argument("usage: first_result T1 T1C T2 BUNDLE OUTPUT".into()));
    };

    // A Run carries progress and cancel; the default one does neither.
    let run = Run::default();
    let engine = Engine::open(bundle, &EngineOptions::default(), &run)?;
    if let Some(warning) = engine.provenance().warning() {
        println!("warning: {warning}");
    }

    // Each sequence may lie on a grid of its own; all results lie on T1C's.
    let study = Study::new([load(t1)?, load(t1c)?, load(t2)?], &StudyOptions::default(), &run)?;
    for warning in study.warnings() {
        println!("warning: {warning}");
    }

    let detection = engine.detect(&study, &DetectOptions::default(), &run)?;
    let segmentation = engine.segment(&study, &detection, &run)?;
    for slice in &segmentation.slices {
        println!("slice {}: {:.1} mm2", slice.info.slice, slice.area_mm2);
    }
    println!("volume: {:.1} mm3", segmentation.volume_mm3);

    std::fs::create_dir_all(output)
        .map_err(|error| Error::write_caused(output, "cannot be created", error))?;
    if study.reference().dicom().is_some() {
        let contours = contour(&study, &segmentation, &ContourOptions::default(), &run)?;
        let file = output.join("rtstruct.dcm");
        write_rtstruct(&file, &contours, study.reference(), &RtStructOptions::default())?;
        println!("saved: rtstruct.dcm");
    } else {
        let description = segmentation.provenance.description_line();
        let grid = study.reference().grid();
        write_nifti(&output.join("mask.nii.gz"), segmentation.mask.view(), grid, &description)?;
        println!("saved: mask.nii.gz");
    }
    Ok(())
}

/// Reads a DICOM folder, a NIfTI file or an NRRD file.
fn load(path: &Path) -> Result<Arc<Volume>> {
    Ok(Arc::new(read(&[path.to_owned()], &ReadOptions::default())?))
}
