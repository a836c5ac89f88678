//! The run record: what ran on what, with which outcome.
//!
//! In: the study, engine, results and timings of a run. Out: `run.json`.

use std::path::Path;

use serde::Serialize;

use crate::detect::{Detection, Trajectory};
use crate::engine::Engine;
use crate::error::{Error, Result};
use crate::formats::json::JsonFormat;
use crate::geometry::ResliceSummary;
use crate::outputs::absolute;
use crate::provenance::Provenance;
use crate::runtime::{DeviceUsed, Work};
use crate::segment::{Segmentation, SliceSegmentation};
use crate::sequence::Sequence;
use crate::status::SliceStatus;
use crate::study::Study;
use crate::volume::{Source, Volume};

const FORMAT: JsonFormat = JsonFormat { name: "nasoseg-run", version: 1 };

/// Everything that `run.json` holds but its format.
#[derive(Debug, Serialize)]
pub struct Record {
    /// UTC, RFC 3339.
    pub finished: String,
    /// The library and the model.
    pub provenance: Provenance,
    /// The ONNX Runtime used.
    pub onnxruntime: RuntimeRecord,
    /// The device requested and the device used.
    pub device: DeviceUsed,
    /// The caller's choices.
    pub options: serde_json::Value,
    /// T1, T1C, T2.
    pub inputs: Vec<InputRecord>,
    /// The axial slices that T1C was resampled to for the model: `slices` lists these. `None` if
    /// the model saw T1C's own slices.
    pub resliced: Option<ResliceSummary>,
    /// What people should know.
    pub warnings: Vec<String>,
    /// Wall time of each stage, in order.
    pub timings: Vec<Timing>,
    /// Model runs, rows and seconds inside ONNX Runtime.
    pub model_runs: Work,
    /// Volume of the mask, mm3; `None` without a segmentation.
    pub volume_mm3: Option<f64>,
    /// Whether a person replaced or cleared a box.
    pub edited: bool,
    /// The slices of the detection, in canonical order.
    pub slices: Vec<SliceRecord>,
    /// Files written, by name.
    pub outputs: Vec<String>,
    /// Files that could not be made from this input, and why.
    pub not_written: Vec<String>,
}

/// The ONNX Runtime used.
#[derive(Debug, Serialize)]
pub struct RuntimeRecord {
    /// Its version.
    pub version: String,
    /// The shared library.
    pub path: String,
}

/// One stage's wall time.
#[derive(Debug, Clone, Serialize)]
pub struct Timing {
    /// Name of the stage.
    pub stage: &'static str,
    /// Wall time.
    pub seconds: f64,
}

/// One input sequence.
#[derive(Debug, Serialize)]
pub struct InputRecord {
    /// Which sequence.
    pub sequence: Sequence,
    /// DICOM, NIfTI-1, NRRD or memory.
    pub format: &'static str,
    /// File, or the folder of a DICOM series.
    pub path: Option<String>,
    /// Columns, rows, slices as stored.
    pub size: [usize; 3],
    /// Distances along columns and rows, mm.
    pub pixel_mm: [f64; 2],
    /// Distance between slices, mm; `None` if they are unevenly spaced.
    pub slice_spacing_mm: Option<f64>,
    /// DICOM only.
    pub study_instance_uid: Option<String>,
    /// DICOM only.
    pub series_instance_uid: Option<String>,
    /// DICOM only.
    pub frame_of_reference_uid: Option<String>,
    /// DICOM only.
    pub series_description: Option<String>,
    /// Identity of what was run ([`Volume::sha256`]).
    pub sha256: String,
}

/// One slice.
#[derive(Debug, Serialize)]
pub struct SliceRecord {
    /// Statistics and statuses.
    #[serde(flatten)]
    pub slice: SliceSegmentation,
    /// The statuses in words.
    pub status: String,
    /// Number of the agent's actions; `None` if no agent ran on the slice.
    pub steps: Option<usize>,
    /// Whether a person replaced or cleared the box.
    pub edited: bool,
    /// Share of T1C's foreground that T1 and T2 cover.
    pub coverage: [f64; 2],
}

impl InputRecord {
    /// Describes a sequence.
    pub fn new(sequence: Sequence, volume: &Volume) -> Self {
        let dicom = volume.dicom();
        let (format, path) = match volume.source() {
            Source::Memory => ("memory", None),
            Source::File { path, format, .. } => (*format, Some(absolute(path))),
            Source::Dicom(series) => ("DICOM", series.header_file.parent().map(absolute)),
        };
        InputRecord {
            sequence,
            format,
            path,
            size: volume.grid().size(),
            pixel_mm: volume.grid().pixel_mm(),
            slice_spacing_mm: volume.grid().slice_spacing_mm(),
            study_instance_uid: dicom.map(|d| d.study_instance_uid.clone()),
            series_instance_uid: dicom.map(|d| d.series_instance_uid.clone()),
            frame_of_reference_uid: dicom.and_then(|d| d.frame_of_reference_uid.clone()),
            series_description: dicom.map(|d| d.series_description.clone()),
            sha256: volume.sha256().to_owned(),
        }
    }
}

/// What people should know about a study and the engine that worked on it.
pub fn warnings(study: &Study, engine: &Engine) -> Vec<String> {
    let fallback = engine.device().fallback.iter();
    let fallback = fallback.map(|why| format!("device auto fell back to the CPU: {why}"));
    study.warnings().iter().cloned().chain(fallback).collect()
}

impl Record {
    /// The parts that every run knows; the caller fills timings, outputs and results.
    pub fn new(study: &Study, engine: &Engine, options: serde_json::Value) -> Self {
        Record {
            finished: String::new(),
            provenance: engine.provenance(),
            onnxruntime: RuntimeRecord {
                version: engine.runtime().version().into(),
                path: engine.runtime().path().display().to_string(),
            },
            device: engine.device().clone(),
            options,
            inputs: Sequence::ALL.iter().map(|s| InputRecord::new(*s, study.volume(*s))).collect(),
            resliced: study.resliced().map(|r| r.summary.clone()),
            warnings: study.warnings().to_vec(),
            timings: Vec::new(),
            model_runs: Work::default(),
            volume_mm3: None,
            edited: false,
            slices: Vec::new(),
            outputs: Vec::new(),
            not_written: Vec::new(),
        }
    }

    /// Copies the figures of a segmentation and of the detection that it was made from.
    pub fn take_segmentation(
        &mut self,
        segmentation: &Segmentation,
        study: &Study,
        detection: &Detection,
    ) {
        self.volume_mm3 = Some(segmentation.volume_mm3);
        self.edited = segmentation.edited;
        self.slices = segmentation
            .slices
            .iter()
            .zip(detection.slices())
            .map(|(s, found)| SliceRecord {
                status: SliceStatus::list(&s.statuses),
                steps: found.trajectory.as_ref().map(Trajectory::steps),
                edited: found.edited,
                coverage: study.coverage(s.info.slice),
                slice: s.clone(),
            })
            .collect();
    }

    /// Writes the record as JSON, finished now.
    ///
    /// # Errors
    /// [`Error::Write`].
    pub fn write(&mut self, path: &Path) -> Result<()> {
        self.finished = time::OffsetDateTime::now_utc()
            .format(&time::format_description::well_known::Rfc3339)
            .map_err(|e| Error::Internal(e.to_string()))?;
        FORMAT.write(path, self)
    }
}
