//! Detections as JSON: written for people and programs, read back after an edit.
//!
//! In: a [`Detection`] and its provenance, or a file's text. Out: the other. Only the `box` of each
//! slice may be edited: another box replaces the detector's, `null` marks the slice as free of
//! lesions. Statuses are recomputed from the study, never read from the file.

use std::ops::Range;

use serde::{Deserialize, Deserializer, Serialize};

use crate::bundle::Manifest;
use crate::bundle::manifest::{Agent, Detector};
use crate::detect::{BoundingBox, Detection, Proposal, Search, SliceDetection, Trajectory};
use crate::error::{Error, Result};
use crate::formats::json;
use crate::geometry::{Point, ResliceSummary};
use crate::provenance::Provenance;
use crate::runtime::DeviceUsed;
use crate::sequence::Sequence;
use crate::status::SliceStatus;
use crate::study::Study;
use crate::study::prepare::Fit;

const FORMAT: &str = "nasoseg-detection";
const VERSION: u32 = 1;
const AXES: &str = "boxes are x0, y0, x1, y1 in pixel edges of the model's square grid; x along \
                    columns, patient right to left; y along rows, anterior to posterior; slices \
                    from inferior to superior, 0-based";

#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    format: String,
    format_version: u32,
    warning: Option<String>,
    provenance: Provenance,
    device: DeviceUsed,
    /// What the numbers mean, for readers of the file.
    axes: String,
    /// Identity of T1, T1C and T2.
    sequences_sha256: Vec<String>,
    /// The axial slices that T1C was resampled to, on which the boxes lie; `None` if they lie on
    /// T1C's own slices.
    #[serde(default)]
    resliced: Option<ResliceSummary>,
    grid: usize,
    force_coverage: bool,
    actions: Vec<String>,
    slices: Vec<Slice>,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Slice {
    slice: usize,
    storage_slice: Option<usize>,
    position_mm: f64,
    sop_instance_uid: Option<String>,
    frame: Option<u32>,
    status: String,
    /// Required: a mistyped key must not pass for a cleared box.
    #[serde(rename = "box", deserialize_with = "required")]
    bounding_box: Option<BoundingBox>,
    edited: bool,
    /// The box's corners in the patient (LPS, mm), in the order (x0, y0), (x1, y0), (x1, y1),
    /// (x0, y1); for other programs, not read back.
    corners_mm: Option<[Point; 4]>,
    trajectory: Option<Trajectory>,
    /// What a detector of boxes with scores found; no key without one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    proposal: Option<Proposal>,
}

fn required<'de, D: Deserializer<'de>>(
    deserializer: D,
) -> std::result::Result<Option<BoundingBox>, D::Error> {
    Option::deserialize(deserializer)
}

/// SHA-256 of T1, T1C and T2.
fn identity(study: &Study) -> Vec<String> {
    Sequence::ALL.iter().map(|s| study.volume(*s).sha256().to_owned()).collect()
}

fn action_names(manifest: &Manifest) -> Vec<String> {
    let names = |agent: &Agent| agent.actions.iter().map(|action| action.name.clone()).collect();
    manifest.agent().map(names).unwrap_or_default()
}

/// The JSON text of a detection.
///
/// # Errors
/// [`Error::Internal`] only.
pub fn to_json(
    detection: &Detection,
    study: &Study,
    manifest: &Manifest,
    provenance: &Provenance,
    device: &DeviceUsed,
) -> Result<String> {
    let slices = detection
        .slices()
        .iter()
        .map(|s| Slice {
            slice: s.info.slice,
            storage_slice: s.info.storage_slice,
            position_mm: s.info.position_mm,
            sop_instance_uid: s.info.sop_instance_uid.clone(),
            frame: s.info.frame,
            status: SliceStatus::list(&s.statuses),
            bounding_box: s.bounding_box,
            edited: s.edited,
            corners_mm: s.bounding_box.map(|b| corners(&b, detection.fit(), study, s.info.slice)),
            trajectory: s.trajectory.clone(),
            proposal: s.proposal,
        })
        .collect();
    let file = File {
        format: FORMAT.into(),
        format_version: VERSION,
        warning: provenance.warning(),
        provenance: provenance.clone(),
        device: device.clone(),
        axes: AXES.into(),
        sequences_sha256: identity(study),
        resliced: study.resliced().map(|r| r.summary.clone()),
        grid: detection.grid(),
        force_coverage: detection.force_coverage(),
        actions: action_names(manifest),
        slices,
    };
    json::pretty(&file)
}

/// Corners (x0, y0), (x1, y0), (x1, y1), (x0, y1) of a box in the patient, LPS mm.
pub(crate) fn corners(
    bounding_box: &BoundingBox,
    fit: &Fit,
    study: &Study,
    slice: usize,
) -> [Point; 4] {
    let [x0, y0, x1, y1] = bounding_box.0;
    [(x0, y0), (x1, y0), (x1, y1), (x0, y1)].map(|(x, y)| {
        let [i, j] = fit.to_slice(x, y);
        study.grid().point(i - 0.5, j - 0.5, slice)
    })
}

/// Reads a detection back for the same study and model; `name` stands for the file in messages.
///
/// # Errors
/// [`Error::Read`] if the text is not a detection; [`Error::Argument`] if it belongs to another
/// study or model, or a box lies outside the grid.
pub fn from_json(
    text: &str,
    name: &str,
    study: &Study,
    manifest: &Manifest,
    provenance: &Provenance,
) -> Result<Detection> {
    let file: File = serde_json::from_str(text).map_err(|e| Error::Read {
        message: format!(
            "{name}: not a detection, expected a detection.json written by nasoseg, with edited \
             boxes"
        ),
        source: Some(Box::new(e)),
    })?;
    detection(file, study, manifest, provenance).map_err(|e| e.within(name))
}

fn detection(
    file: File,
    study: &Study,
    manifest: &Manifest,
    provenance: &Provenance,
) -> Result<Detection> {
    file.check_model(provenance)?;
    file.check_study(study)?;
    let range = file.range(study)?;
    let grid = manifest.input.grid;
    let fit = Fit::new(&manifest.input.fit, grid, study.grid());
    let mut slices = Vec::with_capacity(file.slices.len());
    let mut edits = Vec::new();
    for slice in file.slices {
        let covered = file.force_coverage || study.is_covered(slice.slice);
        slice.check(manifest, covered)?;
        // What the detector itself would have left here; any other box is a person's.
        let searched = match &manifest.detector {
            Detector::Agent(_) => slice.trajectory.is_some(),
            Detector::Whole {} | Detector::Fixed { .. } | Detector::Proposals(_) => covered,
        };
        let search = Search { trajectory: slice.trajectory, proposal: slice.proposal };
        let own = SliceDetection::new(study, manifest, &fit, slice.slice, searched, search);
        if slice.bounding_box != own.bounding_box {
            edits.push((slice.slice, slice.bounding_box));
        }
        slices.push(own);
    }
    let mut detection = Detection { slices, range, grid, fit, force_coverage: file.force_coverage };
    for (slice, bounding_box) in edits {
        match bounding_box {
            Some(b) => detection.set_box(slice, b)?,
            None => detection.clear_box(slice)?,
        }
    }
    Ok(detection)
}

fn wrong(message: String) -> Error {
    Error::Argument(message)
}

impl File {
    /// Refuses a file of another format or model.
    fn check_model(&self, provenance: &Provenance) -> Result<()> {
        if self.format != FORMAT || self.format_version != VERSION {
            return Err(wrong(format!(
                "found format {} {}, expected {FORMAT} {VERSION}. Detect again",
                self.format, self.format_version
            )));
        }
        let made_by = &self.provenance;
        if made_by.model_hash != provenance.model_hash {
            return Err(wrong(format!(
                "made by model {} {} ({}), expected the given bundle ({} {}). Use the same bundle, \
                 or detect again",
                made_by.model_name,
                made_by.model_version,
                made_by.model_hash.get(..12).unwrap_or_default(),
                provenance.model_name,
                provenance.model_version
            )));
        }
        Ok(())
    }

    /// Refuses a file of another study, or of the same study resliced differently.
    fn check_study(&self, study: &Study) -> Result<()> {
        let expected = identity(study);
        let other = |at: &usize| self.sequences_sha256.get(*at) != Some(&expected[*at]);
        if let Some(at) = (0..3).find(other) {
            return Err(wrong(format!(
                "made from another {}: its voxels or geometry differ. Give the same study, or \
                 detect again",
                Sequence::ALL[at]
            )));
        }
        let here = study.resliced().map(|r| &r.summary);
        if self.resliced.as_ref() != here {
            let words = |r: Option<&ResliceSummary>| {
                r.map_or("T1C's own slices".into(), |r| {
                    format!("{} axial slices {} mm apart", r.size[2], r.step_mm[2])
                })
            };
            return Err(wrong(format!(
                "its boxes lie on {}, this study's on {}. Use --reslice as it was used then, or \
                 detect again",
                words(self.resliced.as_ref()),
                words(here)
            )));
        }
        Ok(())
    }

    /// The canonical range of the slices, which must be complete.
    fn range(&self, study: &Study) -> Result<Range<usize>> {
        let (Some(first), Some(last)) = (self.slices.first(), self.slices.last()) else {
            return Err(wrong("it holds no slices, expected at least one. Detect again".into()));
        };
        let range = study.check_slices(Some(first.slice..last.slice.saturating_add(1)))?;
        if !self.slices.iter().map(|s| s.slice).eq(range.clone()) {
            return Err(wrong(
                "its slices have a gap or another order, expected consecutive ones: edit only `box`"
                    .into(),
            ));
        }
        Ok(range)
    }
}

impl Slice {
    /// Refuses anything but the box that differs from what the detector can have written.
    fn check(&self, manifest: &Manifest, covered: bool) -> Result<()> {
        let grid = manifest.input.grid;
        let damaged = |what: &str| {
            Err(wrong(format!("the {what} of slice {} is damaged: edit only `box`", self.slice)))
        };
        let sound = |trajectory: &Trajectory| {
            manifest.agent().is_some_and(|agent| is_sound(trajectory, agent, grid))
        };
        if !self.trajectory.as_ref().is_none_or(sound) {
            return damaged("trajectory");
        }
        let expected = match &manifest.detector {
            Detector::Proposals(section) => match self.proposal {
                Some(proposal) => covered && proposal.is_valid(section, grid),
                None => !covered,
            },
            Detector::Whole {} | Detector::Fixed { .. } | Detector::Agent(_) => {
                self.proposal.is_none()
            }
        };
        if expected { Ok(()) } else { damaged("proposal") }
    }
}

/// Whether a trajectory's arrays fit one another and the agent: C callers receive views of them by
/// their counts, and the boxes go to the graph unchecked.
fn is_sound(trajectory: &Trajectory, agent: &Agent, grid: usize) -> bool {
    let (steps, actions) = (trajectory.actions.len(), agent.actions.len());
    trajectory.boxes.len() == steps + 1
        && trajectory.q.len() == steps
        && trajectory.actions.iter().all(|a| *a < actions)
        && trajectory.q.iter().all(|row| row.len() == actions)
        && trajectory.boxes.iter().all(|b| b.is_valid(grid))
}
