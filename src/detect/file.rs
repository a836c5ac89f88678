//! Detections as JSON: written for people and programs, read back after an edit.
//!
//! In: a [`Detection`] and its provenance, or a file's text. Out: the other. Of an edited file only
//! `box` of each slice counts: another box replaces the detector's, `null` says that the slice
//! holds no lesion. Statuses are asked of the study again, never of the file.

use serde::{Deserialize, Deserializer, Serialize};

use crate::bundle::Manifest;
use crate::bundle::manifest::Detector;
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

#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    format: String,
    format_version: u32,
    warning: Option<String>,
    provenance: Provenance,
    device: DeviceUsed,
    /// What the numbers mean, for whoever opens the file.
    axes: String,
    /// Identity of T1, T1C and T2.
    sequences_sha256: Vec<String>,
    /// The axial slices that T1C was resampled to, on which the boxes lie; `None` where they lie on
    /// T1C's own.
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
    /// Must be there: a key that was mistyped is not a cleared box.
    #[serde(rename = "box", deserialize_with = "present")]
    bounding_box: Option<BoundingBox>,
    edited: bool,
    /// The box's corners in the patient (LPS, mm), in the order (x0, y0), (x1, y0), (x1, y1), (x0,
    /// y1); for other programs, not read back.
    corners_mm: Option<[Point; 4]>,
    trajectory: Option<Trajectory>,
    /// What a detector of boxes with scores found; no key where there is none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    proposal: Option<Proposal>,
}

fn present<'de, D: Deserializer<'de>>(
    deserializer: D,
) -> std::result::Result<Option<BoundingBox>, D::Error> {
    Option::deserialize(deserializer)
}

fn identity(study: &Study) -> Vec<String> {
    Sequence::ALL.iter().map(|s| study.volume(*s).sha256().to_owned()).collect()
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
        axes: "boxes are x0, y0, x1, y1 in pixel edges of the model's square grid; x along columns, patient right to left; y along rows, \
               anterior to posterior; slices from inferior to superior, 0-based"
            .into(),
        sequences_sha256: identity(study),
        resliced: study.resliced().map(|r| r.summary.clone()),
        grid: detection.grid(),
        force_coverage: detection.force_coverage(),
        actions: manifest.agent().map(|a| a.actions.iter().map(|x| x.name.clone()).collect()).unwrap_or_default(),
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
/// [`Error::Read`] for a text that is no detection; [`Error::Argument`] where it belongs to another
/// study or model, or a box lies outside the grid.
pub fn from_json(
    text: &str,
    name: &str,
    study: &Study,
    manifest: &Manifest,
    provenance: &Provenance,
) -> Result<Detection> {
    let file: File = serde_json::from_str(text).map_err(|e| Error::Read {
        message: format!("{name}: not a detection. A detection.json written by nasoseg, with edited boxes, was expected"),
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
    let wrong = |what: String| Err(Error::Argument(what));
    if file.format != FORMAT || file.format_version != VERSION {
        return wrong(format!(
            "format {} {}, but {FORMAT} {VERSION} was expected",
            file.format, file.format_version
        ));
    }
    if file.provenance.model_hash != provenance.model_hash {
        return wrong(format!(
            "made by model {} {} ({}), not by the bundle given ({} {}). Use the same bundle, or detect again",
            file.provenance.model_name,
            file.provenance.model_version,
            file.provenance.model_hash.get(..12).unwrap_or_default(),
            provenance.model_name,
            provenance.model_version
        ));
    }
    let found = identity(study);
    if let Some(at) = (0..3).find(|at| file.sequences_sha256.get(*at) != Some(&found[*at])) {
        return wrong(format!(
            "made from another {}: its voxels or geometry differ. Give the same study, or detect again",
            Sequence::ALL[at]
        ));
    }
    let here = study.resliced().map(|r| &r.summary);
    if file.resliced.as_ref() != here {
        let words = |r: Option<&ResliceSummary>| {
            r.map_or("T1C's own slices".into(), |r| {
                format!("{} axial slices {} mm apart", r.size[2], r.step_mm[2])
            })
        };
        return wrong(format!(
            "its boxes lie on {}, this study's on {}. Use --reslice as it was used then, or detect again",
            words(file.resliced.as_ref()),
            words(here)
        ));
    }
    let (Some(first), Some(last)) = (file.slices.first(), file.slices.last()) else {
        return wrong("it holds no slices".into());
    };
    let range = study.check_slices(Some(first.slice..last.slice.saturating_add(1)))?;
    if file.slices.len() != range.len()
        || file.slices.iter().zip(range.clone()).any(|(s, k)| s.slice != k)
    {
        return wrong("its slices must follow one another without a gap".into());
    }
    let grid = manifest.input.grid;
    let fit = Fit::new(&manifest.input.fit, grid, study.grid());
    let mut slices = Vec::with_capacity(file.slices.len());
    let mut edits = Vec::new();
    for slice in file.slices {
        if let Some(trajectory) = &slice.trajectory {
            let steps = trajectory.actions.len();
            // Callers of C are lent these numbers by their counts, and boxes go to the graph as
            // they are.
            let sound = manifest.agent().is_some_and(|agent| {
                let names = agent.actions.len();
                trajectory.boxes.len() == steps + 1
                    && trajectory.q.len() == steps
                    && trajectory.actions.iter().all(|a| *a < names)
                    && trajectory.q.iter().all(|row| row.len() == names)
                    && trajectory.boxes.iter().all(|b| b.is_valid(grid))
            });
            if !sound {
                return wrong(format!(
                    "the trajectory of slice {} is damaged: edit only `box`",
                    slice.slice
                ));
            }
        }
        let covered = file.force_coverage || study.is_covered(slice.slice);
        let whole = match (&manifest.detector, slice.proposal) {
            (Detector::Proposals(numbers), Some(proposal)) => {
                covered && proposal.is_valid(numbers, grid)
            }
            (Detector::Proposals(_), None) => !covered,
            (_, proposal) => proposal.is_none(),
        };
        if !whole {
            return wrong(format!(
                "the proposal of slice {} is damaged: edit only `box`",
                slice.slice
            ));
        }
        // What the detector itself would have left here; anything else is a person's.
        let looked_at = match &manifest.detector {
            Detector::Agent(_) => slice.trajectory.is_some(),
            _ => covered,
        };
        let search = Search { trajectory: slice.trajectory, proposal: slice.proposal };
        let own = SliceDetection::new(study, manifest, &fit, slice.slice, looked_at, search);
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
