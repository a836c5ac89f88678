//! evaluation.json: how far an edited structure set lies from the automatic result.
//!
//! In: a structure set, an output folder or a mask, and the series that they were drawn on. Out: a
//! [`Drawing`] of each on that series' grid, and the file with their comparison.

use std::path::Path;

use ndarray::Array3;
use serde::Serialize;
use serde_json::Value;

use crate::compare::Comparison;
use crate::error::{Error, Result};
use crate::formats::json::{JsonFormat, read_json};
use crate::formats::read::is_dicom;
use crate::formats::rtstruct::{SliceBy, StructureSet};
use crate::formats::{ReadOptions, read};
use crate::geometry::transfer::{Sampling, transfer};
use crate::outputs::absolute;
use crate::outputs::contours_json::ContoursFile;
use crate::outputs::folder::OutputFile;
use crate::provenance::{Demo, demo_of_roi};
use crate::study::masks::binary;
use crate::volume::Volume;

const FORMAT: JsonFormat = JsonFormat { name: "nasoseg-evaluation", version: 1 };

/// A region on a reference's grid, and what people should know about it.
#[derive(Debug, Clone)]
pub struct Drawing {
    /// File and region.
    pub name: String,
    /// [k, j, i] in the storage order of the reference; 1 inside, 0 outside.
    pub mask: Array3<u8>,
    /// What people should know about how the file was understood.
    pub warnings: Vec<String>,
    /// Set if a demo model made it.
    pub demo: Option<Demo>,
}

impl Drawing {
    /// A region of the structure set at `path`; `choice` is its name or number, needed if there are
    /// several.
    ///
    /// # Errors
    /// What [`StructureSet::read`], [`StructureSet::roi`] and [`StructureSet::mask`] give.
    pub fn of_structure_set(
        path: &Path,
        choice: Option<&str>,
        reference: &Volume,
        by: SliceBy,
    ) -> Result<Self> {
        let set = StructureSet::read(path)?;
        let region = set.roi(choice)?;
        let drawn = set.mask(region, reference, by)?;
        Ok(Drawing {
            name: format!("{}, {region}", absolute(path)),
            mask: drawn.mask,
            warnings: drawn.warnings,
            demo: demo_of_roi(&region.name, &region.description),
        })
    }

    /// The automatic region at `path`: an output folder, a structure set, or a mask on the
    /// reference's grid.
    ///
    /// # Errors
    /// As [`Drawing::of_structure_set`]; [`Error::Geometry`] if it lies on another grid;
    /// [`Error::Argument`] if a folder holds no result or a file no mask; [`Error::Read`].
    pub fn of_result(
        path: &Path,
        choice: Option<&str>,
        reference: &Volume,
        by: SliceBy,
    ) -> Result<Self> {
        if path.is_dir() {
            return Self::of_folder(path, reference);
        }
        match is_dicom(path)? {
            true => Self::of_structure_set(path, choice, reference, by),
            false => Self::of_mask(path, reference),
        }
    }

    fn of_mask(path: &Path, reference: &Volume) -> Result<Self> {
        let region = read(&[path.to_owned()], &ReadOptions::default())?;
        let voxels = transfer(&region.view(), &reference.view(), Sampling::Refused)?.voxels;
        let mask = binary(&voxels).map_err(|e| e.within(path.display()))?;
        let demo = region.source().demo();
        Ok(Drawing { name: absolute(path), mask, warnings: Vec::new(), demo })
    }

    fn of_contours(path: &Path, reference: &Volume) -> Result<Self> {
        let file = ContoursFile::read(path)?;
        let mask = file.mask(reference).map_err(|e| e.within(path.display()))?;
        let demo = file.warning.map(|warning| Demo { warning });
        Ok(Drawing { name: absolute(path), mask, warnings: Vec::new(), demo })
    }

    /// The mask of an output folder, or its contours if there is no mask (unevenly spaced slices).
    fn of_folder(folder: &Path, reference: &Volume) -> Result<Self> {
        let (mask, contours) =
            (OutputFile::Mask.within(folder), OutputFile::Contours.within(folder));
        let mut drawing = match (mask.exists(), contours.exists()) {
            (true, _) => Self::of_mask(&mask, reference)?,
            (false, true) => Self::of_contours(&contours, reference)?,
            (false, false) => {
                return Err(Error::Argument(format!(
                    "{}: holds neither {} nor {}, expected the output folder of nasoseg run, \
                     segment or contour",
                    folder.display(),
                    OutputFile::Mask,
                    OutputFile::Contours
                )));
            }
        };
        let record = OutputFile::Record.within(folder);
        if record.exists() {
            let record = read_json(&record)?;
            let t1c = record.pointer("/inputs/1/sha256").and_then(Value::as_str);
            if t1c.is_some_and(|sha| sha != reference.sha256()) {
                drawing.warnings.push(format!(
                    "{}: {} was made from a T1C with other voxels than the reference, on the same \
                     grid",
                    folder.display(),
                    OutputFile::Record
                ));
            }
            let is_demo = record.pointer("/provenance/demo") == Some(&Value::Bool(true));
            if is_demo && drawing.demo.is_none() {
                drawing.demo = Some(Demo::without_words());
            }
        }
        Ok(drawing)
    }
}

/// The file but for its format.
#[derive(Serialize)]
struct File<'a> {
    warning: Option<&'a str>,
    library_version: &'static str,
    edited: &'a str,
    ours: &'a str,
    reference: String,
    warnings: Vec<&'a String>,
    #[serde(flatten)]
    comparison: &'a Comparison,
}

/// An edited region against the automatic one.
#[derive(Debug)]
pub struct Evaluation<'a> {
    /// What came back from the planning system.
    pub edited: &'a Drawing,
    /// What nasoseg made.
    pub automatic: &'a Drawing,
    /// The series that both lie on.
    pub reference: &'a Volume,
    /// How far they differ.
    pub comparison: &'a Comparison,
}

impl Evaluation<'_> {
    /// What people must read beside the figures of a demo model.
    pub fn demo(&self) -> Option<&str> {
        let demo = self.automatic.demo.as_ref().or(self.edited.demo.as_ref());
        demo.map(|demo| demo.warning.as_str())
    }

    /// What people should know about how the files were understood.
    pub fn warnings(&self) -> Vec<&String> {
        self.edited.warnings.iter().chain(&self.automatic.warnings).collect()
    }

    /// Writes the file into `folder`, which is created if it is missing.
    ///
    /// # Errors
    /// [`Error::Write`] if the folder or the file cannot be written.
    pub fn write(&self, folder: &Path) -> Result<()> {
        std::fs::create_dir_all(folder).map_err(|e| {
            let what = "the output folder cannot be made. Choose another with --out";
            Error::write_caused(folder, what, e)
        })?;
        let file = File {
            warning: self.demo(),
            library_version: env!("CARGO_PKG_VERSION"),
            edited: &self.edited.name,
            ours: &self.automatic.name,
            reference: self.reference.place(),
            warnings: self.warnings(),
            comparison: self.comparison,
        };
        FORMAT.write(&OutputFile::Evaluation.within(folder), &file)
    }
}
