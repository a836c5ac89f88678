//! The files of a run.

use std::path::{Path, PathBuf};

use seqseg::contour::Contours;
use seqseg::export::nifti::write_nifti;
use seqseg::export::preview::{Preview, write_preview};
use seqseg::export::write_atomically;
use seqseg::export::{RtStructOptions, write_rtstruct};
use seqseg::{Detection, Engine, Error, Result, Segmentation, Study};

/// What was found, about to be written.
pub struct Results<'a> {
    pub study: &'a Study,
    pub engine: &'a Engine,
    pub detection: &'a Detection,
    pub segmentation: &'a Segmentation,
    pub contours: &'a Contours,
}

/// Names of the files written, and what could not be made and why.
#[derive(Default)]
pub struct Written {
    pub outputs: Vec<String>,
    pub not_written: Vec<String>,
}

/// Makes the output folder and proves that it can be written, before anything is computed.
pub fn folder(out: &Path) -> Result<()> {
    let wrong = |e: std::io::Error| Error::Write {
        message: format!("{}: the output folder cannot be made or written. Choose another with --out", out.display()),
        source: Some(Box::new(e)),
    };
    std::fs::create_dir_all(out).map_err(wrong)?;
    tempfile::Builder::new().prefix(".seqseg-").tempfile_in(out).map_err(wrong)?;
    Ok(())
}

pub fn detection(out: &Path, study: &Study, engine: &Engine, detection: &Detection) -> Result<String> {
    let text = seqseg::detect::file::to_json(detection, study, engine.manifest(), &engine.provenance())?;
    put(&out.join("detection.json"), &text)
}

pub fn contours(out: &Path, contours: &Contours, demo: Option<&str>) -> Result<String> {
    let text = serde_json::to_string(&serde_json::json!({
        "format": "seqseg-contours",
        "format_version": 1,
        "axes": "points are LPS mm; indices are continuous (i, j) of the reference's storage grid; slice is its k; rings are closed",
        "warning": demo,
        "kind": contours.kind(),
        "threshold": contours.threshold(),
        "contours": contours.all(),
    }))
    .map_err(|e| Error::Internal(e.to_string()))?;
    put(&out.join("contours.json"), &text)
}

fn put(path: &Path, text: &str) -> Result<String> {
    write_atomically(path, |f| std::io::Write::write_all(f, text.as_bytes()))?;
    Ok(name(path))
}

fn name(path: &Path) -> String {
    path.file_name().unwrap_or_default().to_string_lossy().into_owned()
}

/// Writes everything but the run record.
pub fn all(out: &Path, results: &Results<'_>) -> Result<Written> {
    let Results { study, engine, detection: boxes, segmentation, contours: lines } = results;
    let provenance = engine.provenance();
    let mut written = Written::default();
    written.outputs.push(detection(out, study, engine, boxes)?);
    written.outputs.push(contours(out, lines, provenance.demo.then_some(provenance.statement.as_str()))?);

    let description = provenance.short();
    let grid = study.reference().grid();
    let mut optional = |path: PathBuf, outcome: Result<()>| -> Result<()> {
        match outcome {
            Ok(()) => written.outputs.push(name(&path)),
            // The input does not allow this output: the rest is still worth having, and the record says why.
            Err(Error::Unsupported(why)) => {
                stale(&path, &why)?;
                written.not_written.push(format!("{}: {why}", name(&path)));
            }
            Err(error) => return Err(error),
        }
        Ok(())
    };
    let path = out.join("mask.nii.gz");
    let outcome = write_nifti(&path, segmentation.mask.view(), grid, &description);
    optional(path, outcome)?;
    let path = out.join("probability.nii.gz");
    let outcome = write_nifti(&path, segmentation.probability.view(), grid, &description);
    optional(path, outcome)?;
    let path = out.join("rtstruct.dcm");
    let outcome = match study.reference().dicom() {
        Some(_) => write_rtstruct(&path, lines, study.reference(), &rtstruct_options(results)),
        None => Err(Error::Unsupported("T1C did not come from DICOM, so there are no images to refer to".into())),
    };
    optional(path, outcome)?;

    let prepared = study.prepared(&engine.manifest().input, boxes.range(), &Default::default())?;
    let preview = Preview {
        study,
        prepared: &prepared,
        detection: boxes,
        segmentation,
        contours: lines,
        provenance: &provenance,
        context_factor: engine.manifest().context_factor(),
    };
    let path = out.join("preview.png");
    write_preview(&path, &preview)?;
    written.outputs.push(name(&path));
    Ok(written)
}

/// A file of an earlier run must not be taken for a result of this one.
fn stale(path: &Path, why: &str) -> Result<()> {
    if !path.exists() {
        return Ok(());
    }
    Err(Error::Write {
        message: format!(
            "{}: left by an earlier run, and this run cannot replace it ({why}). Choose an empty folder with --out",
            path.display()
        ),
        source: None,
    })
}

fn rtstruct_options(results: &Results<'_>) -> RtStructOptions {
    let provenance = results.engine.provenance();
    RtStructOptions::for_model(provenance.model_name, provenance.model_version, provenance.model_hash)
        .with_description(provenance.statement)
        .with_edited(results.segmentation.edited)
        .with_demo(provenance.demo)
}
