//! The files of a command: made in a hidden folder beside their place, put there together at the
//! end. A command that fails or is killed leaves an earlier run's files as they were, and files of
//! two runs are never mixed.

use std::path::{Path, PathBuf};

use nasoseg::contour::Contours;
use nasoseg::formats::nifti::write_nifti;
use nasoseg::formats::rtstruct::{RtStructOptions, write_rtstruct};
use nasoseg::formats::write::write_atomically;
use nasoseg::outputs::preview::{Preview, write_preview};
use nasoseg::{Detection, Engine, Error, Result, Run, Segmentation, Stage, Study};

/// Every file that nasoseg writes into an output folder; run.json appears last.
const NAMES: [&str; 8] = [
    "detection.json",
    "contours.json",
    "mask.nii.gz",
    "probability.nii.gz",
    "rtstruct.dcm",
    "preview.png",
    "evaluation.json",
    "run.json",
];

/// What was found, about to be written.
pub struct Results<'a> {
    pub study: &'a Study,
    pub engine: &'a Engine,
    pub detection: &'a Detection,
    pub segmentation: &'a Segmentation,
    pub contours: &'a Contours,
}

/// An output folder in the making.
pub struct Outputs {
    out: PathBuf,
    staged: tempfile::TempDir,
    /// What could not be made from this input, and why.
    pub not_written: Vec<String>,
}

impl Outputs {
    /// Makes the output folder and proves that it can be written, before anything is computed.
    pub fn new(out: &Path) -> Result<Self> {
        let wrong = |e: std::io::Error| Error::Write {
            message: format!(
                "{}: the output folder cannot be made or written. Choose another with --out",
                out.display()
            ),
            source: Some(Box::new(e)),
        };
        std::fs::create_dir_all(out).map_err(wrong)?;
        let staged = tempfile::Builder::new().prefix(".nasoseg-").tempdir_in(out).map_err(wrong)?;
        Ok(Outputs { out: out.to_owned(), staged, not_written: Vec::new() })
    }

    /// Where a file is made.
    pub fn path(&self, name: &str) -> PathBuf {
        self.staged.path().join(name)
    }

    /// The files made so far, in the order in which they are put in place.
    pub fn names(&self) -> Vec<String> {
        NAMES.iter().filter(|n| self.path(n).exists()).map(|n| (*n).to_owned()).collect()
    }

    /// Puts the files in place.
    pub fn publish(self) -> Result<()> {
        let names = self.names();
        if let Some(stale) =
            NAMES.iter().find(|n| !names.iter().any(|m| m == *n) && self.out.join(n).exists())
        {
            return Err(Error::Write {
                message: format!(
                    "{}: left by an earlier run, and this one does not replace it. Choose an empty folder with --out; nothing was written",
                    self.out.join(stale).display()
                ),
                source: None,
            });
        }
        for name in names {
            let target = self.out.join(&name);
            std::fs::rename(self.path(&name), &target)
                .map_err(|e| Error::write_caused(&target, "cannot be put in place", e))?;
        }
        Ok(())
    }

    /// An output that the input may not allow: the rest is still worth having, and the record says
    /// why.
    fn optional(&mut self, name: &str, outcome: Result<()>) -> Result<()> {
        match outcome {
            Err(Error::Unsupported(why)) => self.not_written.push(format!("{name}: {why}")),
            other => other?,
        }
        Ok(())
    }

    fn text(&self, name: &str, text: &str) -> Result<()> {
        write_atomically(&self.path(name), |f| std::io::Write::write_all(f, text.as_bytes()))
    }

    pub fn detection(&self, study: &Study, engine: &Engine, detection: &Detection) -> Result<()> {
        let text = nasoseg::detect::file::to_json(
            detection,
            study,
            engine.manifest(),
            &engine.provenance(),
            engine.device(),
        )?;
        self.text("detection.json", &text)
    }

    /// `warning` is what people must read beside the contours.
    pub fn contours(&self, contours: &Contours, warning: Option<String>) -> Result<()> {
        let grid = contours.grid();
        let text = serde_json::to_string(&serde_json::json!({
            "format": "nasoseg-contours",
            "format_version": 1,
            "warning": warning,
            "provenance": contours.model().map(|(provenance, _)| provenance),
            "axes": "points are LPS mm; indices are continuous (i, j) of slice k of the grid below; rings are closed",
            "grid": {"size": grid.size(), "axis_i_mm": grid.axis_i(), "axis_j_mm": grid.axis_j(), "origins_mm": grid.origins()},
            "kind": contours.kind(),
            "threshold": contours.threshold(),
            "contours": contours.all(),
        }))
        .map_err(|e| Error::Internal(e.to_string()))?;
        self.text("contours.json", &text)
    }

    /// Everything of a run but its record.
    pub fn all(&mut self, results: &Results<'_>, run: &Run<'_>) -> Result<()> {
        let Results { study, engine, detection, segmentation, contours } = results;
        let mut done = 0;
        let mut step = || {
            done += 1;
            run.tick(Stage::Export, done, 6)
        };
        run.tick(Stage::Export, 0, 6)?;
        self.detection(study, engine, detection)?;
        step()?;
        self.contours(contours, segmentation.provenance.warning())?;
        step()?;
        let (grid, description) =
            (study.reference().grid(), segmentation.provenance.description_line());
        let outcome =
            write_nifti(&self.path("mask.nii.gz"), segmentation.mask.view(), grid, &description);
        self.optional("mask.nii.gz", outcome)?;
        step()?;
        let outcome = write_nifti(
            &self.path("probability.nii.gz"),
            segmentation.probability.view(),
            grid,
            &description,
        );
        self.optional("probability.nii.gz", outcome)?;
        step()?;
        let outcome = match study.reference().dicom() {
            Some(_) => write_rtstruct(
                &self.path("rtstruct.dcm"),
                contours,
                study.reference(),
                &RtStructOptions::default(),
            ),
            None => Err(Error::Unsupported(
                "T1C did not come from DICOM, so there are no images to refer to".into(),
            )),
        };
        self.optional("rtstruct.dcm", outcome)?;
        step()?;
        let preview = Preview {
            study,
            prepared: &*study.prepared(&engine.manifest().input, detection.range(), run)?,
            detection,
            segmentation,
            contours,
            provenance: &segmentation.provenance,
            context_factor: engine.manifest().segmenter.context_factor,
        };
        write_preview(&self.path("preview.png"), &preview)?;
        step()
    }
}
