//! An output folder: which files belong to it, and how they appear in it.
//!
//! In: the results of a command. Out: its files, made in a hidden folder beside their place and put
//! in place together at the end. A command that fails or is killed leaves an earlier run's files as
//! they were, and files of two runs are never mixed.

use std::path::{Path, PathBuf};

use crate::contour::RegionContours;
use crate::detect::{Detection, file as detection_file};
use crate::engine::Engine;
use crate::error::{Error, Result};
use crate::formats::json::write_text;
use crate::formats::nifti::write_nifti;
use crate::formats::rtstruct::{RtStructOptions, write_rtstruct};
use crate::geometry::Contours;
use crate::outputs::contours_json;
use crate::outputs::preview::{Preview, write_preview};
use crate::outputs::record::Record;
use crate::run::{Run, Stage};
use crate::segment::Segmentation;
use crate::study::Study;
use crate::volume::Volume;

/// A file of an output folder.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OutputFile {
    /// Boxes and trajectories, to be edited and read back.
    Detection,
    /// Contours in patient millimetres and voxel indices.
    Contours,
    /// The mask on T1C's grid.
    Mask,
    /// The probability on T1C's grid.
    Probability,
    /// The contours for a planning system.
    RtStruct,
    /// A picture to check a run by.
    Preview,
    /// How far an edited structure set lies from the automatic one.
    Evaluation,
    /// What ran on what, with which outcome.
    Record,
}

impl OutputFile {
    /// Every file, in the order in which they are put in place: the record appears last.
    pub const ALL: [OutputFile; 8] = [
        OutputFile::Detection,
        OutputFile::Contours,
        OutputFile::Mask,
        OutputFile::Probability,
        OutputFile::RtStruct,
        OutputFile::Preview,
        OutputFile::Evaluation,
        OutputFile::Record,
    ];

    /// The files of a run but for its record, in the order in which they are made.
    const RUN: [OutputFile; 6] = [
        OutputFile::Detection,
        OutputFile::Contours,
        OutputFile::Mask,
        OutputFile::Probability,
        OutputFile::RtStruct,
        OutputFile::Preview,
    ];

    /// Its name in the folder.
    pub fn name(self) -> &'static str {
        match self {
            OutputFile::Detection => "detection.json",
            OutputFile::Contours => "contours.json",
            OutputFile::Mask => "mask.nii.gz",
            OutputFile::Probability => "probability.nii.gz",
            OutputFile::RtStruct => "rtstruct.dcm",
            OutputFile::Preview => "preview.png",
            OutputFile::Evaluation => "evaluation.json",
            OutputFile::Record => "run.json",
        }
    }

    /// Its place in `folder`.
    pub fn within(self, folder: &Path) -> PathBuf {
        folder.join(self.name())
    }
}

impl std::fmt::Display for OutputFile {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name())
    }
}

/// The results of a run.
pub struct Results<'a> {
    /// The three sequences.
    pub study: &'a Study,
    /// The model that ran.
    pub engine: &'a Engine,
    /// The boxes.
    pub detection: &'a Detection,
    /// Probability and mask.
    pub segmentation: &'a Segmentation,
    /// The contours.
    pub contours: &'a Contours,
}

/// An output folder whose files are being made.
pub struct OutputFolder {
    folder: PathBuf,
    staged: tempfile::TempDir,
    not_written: Vec<String>,
}

impl OutputFolder {
    /// Creates the folder if it is missing and proves that it can be written, before anything is
    /// computed.
    ///
    /// # Errors
    /// [`Error::Write`] if it cannot.
    pub fn new(folder: &Path) -> Result<Self> {
        let wrong = |e: std::io::Error| {
            let what = "the output folder cannot be made or written. Choose another with --out";
            Error::write_caused(folder, what, e)
        };
        std::fs::create_dir_all(folder).map_err(wrong)?;
        let staged =
            tempfile::Builder::new().prefix(".nasoseg-").tempdir_in(folder).map_err(wrong)?;
        Ok(OutputFolder { folder: folder.to_owned(), staged, not_written: Vec::new() })
    }

    /// Where `file` is made.
    fn staged(&self, file: OutputFile) -> PathBuf {
        file.within(self.staged.path())
    }

    /// The files made so far, in the order in which they are put in place.
    fn made(&self) -> Vec<OutputFile> {
        OutputFile::ALL.into_iter().filter(|file| self.staged(*file).exists()).collect()
    }

    /// Makes the file of a detection.
    ///
    /// # Errors
    /// [`Error::Write`].
    pub fn write_detection(
        &self,
        study: &Study,
        engine: &Engine,
        detection: &Detection,
    ) -> Result<()> {
        let text = detection_file::to_json(
            detection,
            study,
            engine.manifest(),
            &engine.provenance(),
            engine.device(),
        )?;
        write_text(&self.staged(OutputFile::Detection), &text)
    }

    /// Makes the files of a region of other origin: contours and, if the reference is DICOM, an RT
    /// Structure Set.
    ///
    /// # Errors
    /// As [`contours_json::write`] and [`write_rtstruct`].
    pub fn write_region(
        &self,
        region: &RegionContours,
        reference: &Volume,
        roi_name: &str,
    ) -> Result<()> {
        let warning = region.demo.as_ref().map(|demo| demo.warning.as_str());
        contours_json::write(&self.staged(OutputFile::Contours), &region.contours, warning)?;
        if reference.dicom().is_some() {
            write_rtstruct(
                &self.staged(OutputFile::RtStruct),
                &region.contours,
                reference,
                &region.rtstruct_options(roi_name),
            )?;
        }
        Ok(())
    }

    /// Makes every file of a run but its record. A file that this input does not allow is left out:
    /// the rest is still worth having, and the record says why.
    ///
    /// # Errors
    /// [`Error::Write`], [`Error::Cancelled`], or what making a file gives.
    pub fn write_results(&mut self, results: &Results<'_>, run: &Run<'_>) -> Result<()> {
        let steps = OutputFile::RUN.len();
        run.tick(Stage::Export, 0, steps)?;
        for (done, file) in OutputFile::RUN.into_iter().enumerate() {
            match self.write_result(file, results, run) {
                Err(Error::Unsupported(why)) if OPTIONAL.contains(&file) => {
                    self.not_written.push(format!("{file}: {why}"))
                }
                other => other?,
            }
            run.tick(Stage::Export, done + 1, steps)?;
        }
        Ok(())
    }

    fn write_result(&self, file: OutputFile, results: &Results<'_>, run: &Run<'_>) -> Result<()> {
        let Results { study, engine, detection, segmentation, contours } = results;
        let (path, reference) = (self.staged(file), study.reference());
        let description = || segmentation.provenance.description_line();
        match file {
            OutputFile::Detection => self.write_detection(study, engine, detection),
            OutputFile::Contours => {
                let warning = segmentation.provenance.warning();
                contours_json::write(&path, contours, warning.as_deref())
            }
            OutputFile::Mask => {
                write_nifti(&path, segmentation.mask.view(), reference.grid(), &description())
            }
            OutputFile::Probability => {
                let probability = segmentation.probability.view();
                write_nifti(&path, probability, reference.grid(), &description())
            }
            OutputFile::RtStruct if reference.dicom().is_none() => Err(Error::Unsupported(
                "T1C did not come from DICOM, so there are no images to refer to".into(),
            )),
            OutputFile::RtStruct => {
                write_rtstruct(&path, contours, reference, &RtStructOptions::default())
            }
            OutputFile::Preview => {
                let input = &engine.manifest().input;
                let preview = Preview {
                    study,
                    prepared: &*study.prepared(input, detection.range(), run)?,
                    detection,
                    segmentation,
                    contours,
                    provenance: &segmentation.provenance,
                    context_factor: engine.manifest().segmenter.context_factor,
                };
                write_preview(&path, &preview)
            }
            OutputFile::Evaluation | OutputFile::Record => {
                Err(Error::Internal(format!("{file} is no result of a run")))
            }
        }
    }

    /// Completes a run's record with the files of this folder, and makes its file.
    ///
    /// # Errors
    /// [`Error::Write`].
    pub fn write_record(&self, record: &mut Record) -> Result<()> {
        let record_itself = Some(OutputFile::Record);
        let files = self.made().into_iter().chain(record_itself);
        record.outputs = files.map(|file| file.name().to_owned()).collect();
        record.not_written.clone_from(&self.not_written);
        record.write(&self.staged(OutputFile::Record))
    }

    /// Puts the files in place.
    ///
    /// # Errors
    /// [`Error::Write`] if a file of an earlier run would stay beside them, or if a file cannot be
    /// put in place.
    pub fn publish(self) -> Result<()> {
        let made = self.made();
        let is_stale =
            |file: &OutputFile| !made.contains(file) && file.within(&self.folder).exists();
        if let Some(stale) = OutputFile::ALL.into_iter().find(is_stale) {
            return Err(Error::Write {
                message: format!(
                    "{}: left by an earlier run, and this one does not replace it; nothing was \
                     written. Choose an empty folder with --out",
                    stale.within(&self.folder).display()
                ),
                source: None,
            });
        }
        for file in made {
            let target = file.within(&self.folder);
            std::fs::rename(self.staged(file), &target)
                .map_err(|e| Error::write_caused(&target, "cannot be put in place", e))?;
        }
        Ok(())
    }
}

/// Reads the boxes of a detection.json, possibly edited, for the same study and model.
///
/// # Errors
/// [`Error::Read`] if the file cannot be read; as [`detection_file::from_json`].
pub fn read_detection(path: &Path, study: &Study, engine: &Engine) -> Result<Detection> {
    let text = std::fs::read_to_string(path).map_err(|e| {
        let what = "the detection cannot be read. Give the detection.json of a run";
        Error::read_caused(path, what, e)
    })?;
    let name = path.display().to_string();
    detection_file::from_json(&text, &name, study, engine.manifest(), &engine.provenance())
}

/// Files that not every input allows: NIfTI holds no unevenly spaced slices, and a structure set
/// refers to DICOM images.
const OPTIONAL: [OutputFile; 3] = [OutputFile::Mask, OutputFile::Probability, OutputFile::RtStruct];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_appear_together_and_never_beside_those_of_an_earlier_run() {
        let parent = tempfile::tempdir().unwrap();
        let out = parent.path().join("out");
        let visible = || {
            let names = std::fs::read_dir(&out).unwrap().map(|f| f.unwrap().file_name());
            let mut names: Vec<_> = names.map(|n| n.into_string().unwrap()).collect();
            names.retain(|n| !n.starts_with('.'));
            names.sort();
            names
        };
        let folder = OutputFolder::new(&out).unwrap();
        write_text(&folder.staged(OutputFile::Contours), "{}").unwrap();
        write_text(&folder.staged(OutputFile::Record), "{}").unwrap();
        assert!(visible().is_empty());
        folder.publish().unwrap();
        assert_eq!(visible(), ["contours.json", "run.json"]);
        assert_eq!(std::fs::read_dir(&out).unwrap().count(), 2, "the hidden folder is gone");

        let folder = OutputFolder::new(&out).unwrap();
        write_text(&folder.staged(OutputFile::Record), "{\"new\": 1}").unwrap();
        let error = folder.publish().unwrap_err().to_string();
        assert!(error.contains("contours.json: left by an earlier run"), "{error}");
        assert_eq!(std::fs::read_to_string(OutputFile::Record.within(&out)).unwrap(), "{}");

        // A failed command leaves nothing.
        let folder = OutputFolder::new(&out).unwrap();
        write_text(&folder.staged(OutputFile::Mask), "x").unwrap();
        drop(folder);
        assert_eq!(std::fs::read_dir(&out).unwrap().count(), 2);
    }
}
