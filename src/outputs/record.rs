//! The run record: what ran on what, with which outcome.
//!
//! In: the study, engine, results and timings of a run. Out: `run.json`.

use std::path::Path;

use serde::Serialize;

use crate::detect::{Detection, Trajectory};
use crate::engine::Engine;
use crate::error::{Error, Result};
use crate::formats::write::write_atomically;
use crate::geometry::ResliceSummary;
use crate::provenance::Provenance;
use crate::runtime::DeviceUsed;
use crate::runtime::networks::Work;
use crate::segment::{Segmentation, SliceSegmentation};
use crate::sequence::Sequence;
use crate::status::SliceStatus;
use crate::study::Study;
use crate::volume::{Source, Volume};

/// Everything that `run.json` holds.
#[derive(Debug, Serialize)]
pub struct Record {
    pub format: &'static str,
    pub format_version: u32,
    /// UTC, RFC 3339.
    pub finished: String,
    pub provenance: Provenance,
    pub onnxruntime: RuntimeRecord,
    pub device: DeviceUsed,
    pub options: serde_json::Value,
    pub inputs: Vec<InputRecord>,
    /// The axial slices that T1C was resampled to for the model: `slices` lists these. `None` where
    /// the model saw T1C's own slices.
    pub resliced: Option<ResliceSummary>,
    pub warnings: Vec<String>,
    /// Wall time of each stage, in order.
    pub timings: Vec<Timing>,
    /// Model runs, rows and seconds inside ONNX Runtime.
    pub model_runs: Work,
    pub volume_mm3: Option<f64>,
    pub edited: bool,
    pub slices: Vec<SliceRecord>,
    /// Files written, by name.
    pub outputs: Vec<String>,
    /// Outputs that could not be made from this input, and why.
    pub not_written: Vec<String>,
}

/// The ONNX Runtime used.
#[derive(Debug, Serialize)]
pub struct RuntimeRecord {
    pub version: String,
    pub path: String,
}

/// One stage's wall time.
#[derive(Debug, Clone, Serialize)]
pub struct Timing {
    pub stage: &'static str,
    pub seconds: f64,
}

/// One input sequence.
#[derive(Debug, Serialize)]
pub struct InputRecord {
    pub sequence: Sequence,
    pub format: &'static str,
    /// File, or the folder of a DICOM series.
    pub path: Option<String>,
    /// Columns, rows, slices as stored.
    pub size: [usize; 3],
    pub pixel_mm: [f64; 2],
    pub slice_spacing_mm: Option<f64>,
    pub study_instance_uid: Option<String>,
    pub series_instance_uid: Option<String>,
    pub frame_of_reference_uid: Option<String>,
    pub series_description: Option<String>,
    /// Identity of what was run ([`Volume::sha256`]).
    pub sha256: String,
}

/// One slice, with its words.
#[derive(Debug, Serialize)]
pub struct SliceRecord {
    #[serde(flatten)]
    pub slice: SliceSegmentation,
    pub status: String,
    /// The agent's actions; `None` where it did not look.
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

/// A record must mean something elsewhere too.
fn absolute(path: &Path) -> String {
    std::path::absolute(path).unwrap_or_else(|_| path.to_owned()).display().to_string()
}

impl Record {
    /// The parts that every run knows; the caller fills timings, outputs and results.
    pub fn new(study: &Study, engine: &Engine, options: serde_json::Value) -> Self {
        Record {
            format: "nasoseg-run",
            format_version: 1,
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

    /// Takes over the figures of a segmentation and of the detection that it was made from.
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

    /// Writes the record as JSON.
    ///
    /// # Errors
    /// [`Error::Write`].
    pub fn write(&mut self, path: &Path) -> Result<()> {
        self.finished = time::OffsetDateTime::now_utc()
            .format(&time::format_description::well_known::Rfc3339)
            .map_err(|e| Error::Internal(e.to_string()))?;
        let text =
            serde_json::to_string_pretty(self).map_err(|e| Error::Internal(e.to_string()))?;
        write_atomically(path, |f| std::io::Write::write_all(f, text.as_bytes()))
    }
}
