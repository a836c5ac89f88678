//! Detections as JSON: written for people and programs, read back after an edit.
//!
//! In: a [`Detection`] and its provenance, or a file's text. Out: the other. Of an edited file only `box` of each slice counts: another box
//! replaces the agent's, `null` says that the slice holds no lesion.

use serde::{Deserialize, Serialize};

use crate::bundle::Manifest;
use crate::detect::{BoundingBox, Detection, SliceDetection, Trajectory};
use crate::engine::Provenance;
use crate::error::{Error, Result};
use crate::status::Status;
use crate::study::prepare::Fit;
use crate::study::{Point, SliceInfo, Study};

const FORMAT: &str = "seqseg-detection";
const VERSION: u32 = 1;

#[derive(Debug, Serialize, Deserialize)]
struct File {
    format: String,
    format_version: u32,
    provenance: Provenance,
    /// What the numbers mean, for whoever opens the file.
    axes: String,
    /// T1C's size (columns, rows, slices) in canonical order.
    reference_size: [usize; 3],
    grid: usize,
    actions: Vec<String>,
    slices: Vec<Slice>,
}

#[derive(Debug, Serialize, Deserialize)]
struct Slice {
    slice: usize,
    storage_slice: usize,
    position_mm: f64,
    sop_instance_uid: Option<String>,
    frame: Option<u32>,
    status: String,
    statuses: Vec<Status>,
    #[serde(rename = "box")]
    bounding_box: Option<BoundingBox>,
    edited: bool,
    /// The box's corners in the patient (LPS, mm), in the order (x0, y0), (x1, y0), (x1, y1), (x0, y1); for other programs, not read back.
    corners_mm: Option<[Point; 4]>,
    trajectory: Option<Trajectory>,
}

/// The JSON text of a detection.
///
/// # Errors
/// [`Error::Internal`] only.
pub fn to_json(detection: &Detection, study: &Study, manifest: &Manifest, provenance: &Provenance) -> Result<String> {
    let slices = detection
        .slices()
        .iter()
        .map(|s| Slice {
            slice: s.info.slice,
            storage_slice: s.info.storage_slice,
            position_mm: s.info.position_mm,
            sop_instance_uid: s.info.sop_instance_uid.clone(),
            frame: s.info.frame,
            status: Status::list(&s.statuses),
            statuses: s.statuses.clone(),
            bounding_box: s.bounding_box,
            edited: s.edited,
            corners_mm: s.bounding_box.map(|b| corners(&b, detection.fit(), study, s.info.slice)),
            trajectory: s.trajectory.clone(),
        })
        .collect();
    let file = File {
        format: FORMAT.into(),
        format_version: VERSION,
        provenance: provenance.clone(),
        axes: "boxes are x0, y0, x1, y1 in pixel edges of the model's square grid; x along columns, patient right to left; y along rows, \
               anterior to posterior; slices from inferior to superior, 0-based"
            .into(),
        reference_size: study.grid().size(),
        grid: detection.grid(),
        actions: manifest.agent().map(|a| a.actions.iter().map(|x| x.name.clone()).collect()).unwrap_or_default(),
        slices,
    };
    serde_json::to_string_pretty(&file).map_err(|e| Error::Internal(e.to_string()))
}

/// Corners (x0, y0), (x1, y0), (x1, y1), (x0, y1) of a box in the patient, LPS mm.
pub(crate) fn corners(bounding_box: &BoundingBox, fit: &Fit, study: &Study, slice: usize) -> [Point; 4] {
    let [x0, y0, x1, y1] = bounding_box.0;
    [(x0, y0), (x1, y0), (x1, y1), (x0, y1)].map(|(x, y)| {
        let [i, j] = fit.to_slice(x, y);
        study.grid().point(i - 0.5, j - 0.5, slice)
    })
}

/// Reads a detection back for the same study and model; `name` stands for the file in messages.
///
/// # Errors
/// [`Error::Read`] for a text that is no detection; [`Error::Argument`] where it belongs to another study or model, or a box lies outside the grid.
pub fn from_json(text: &str, name: &str, study: &Study, manifest: &Manifest, provenance: &Provenance) -> Result<Detection> {
    let file: File = serde_json::from_str(text).map_err(|e| Error::Read {
        message: format!("{name}: not a detection. A detection.json written by seqseg, with edited boxes, was expected"),
        source: Some(Box::new(e)),
    })?;
    let wrong = |what: String| Err(Error::Argument(format!("{name}: {what}")));
    if file.format != FORMAT || file.format_version != VERSION {
        return wrong(format!("format {} {}, but {FORMAT} {VERSION} was expected", file.format, file.format_version));
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
    if file.reference_size != study.grid().size() {
        return wrong(format!(
            "made for a T1C of {:?} voxels, but this one has {:?}. Give the same study",
            file.reference_size,
            study.grid().size()
        ));
    }
    let (Some(first), Some(last)) = (file.slices.first(), file.slices.last()) else { return wrong("it holds no slices".into()) };
    let range = study.check_slices(Some(first.slice..last.slice + 1))?;
    if file.slices.len() != range.len() || file.slices.iter().zip(range.clone()).any(|(s, k)| s.slice != k) {
        return wrong("its slices must follow one another without a gap".into());
    }
    let mut slices = Vec::with_capacity(file.slices.len());
    for slice in file.slices {
        let info: SliceInfo = study.slice_info(slice.slice);
        if slice.sop_instance_uid != info.sop_instance_uid {
            return wrong(format!(
                "slice {} is image {:?} there, but {:?} in the study given",
                slice.slice, slice.sop_instance_uid, info.sop_instance_uid
            ));
        }
        if let Some(trajectory) = &slice.trajectory {
            let steps = trajectory.actions.len();
            if trajectory.boxes.len() != steps + 1
                || trajectory.q.len() != steps
                || trajectory.actions.iter().any(|a| *a >= file.actions.len())
            {
                return wrong(format!("the trajectory of slice {} is damaged: edit only `box`", slice.slice));
            }
        }
        slices.push(SliceDetection {
            info,
            statuses: slice.statuses.clone(),
            bounding_box: slice.bounding_box,
            // Whether it was edited follows from the box itself: an edit may have been taken back.
            edited: false,
            trajectory: slice.trajectory.clone(),
        });
    }
    let fit = Fit::new(&manifest.input.fit, manifest.input.grid, study.grid());
    let mut detection = Detection { slices, range, grid: manifest.input.grid, fit };
    apply_edits(&mut detection)?;
    Ok(detection)
}

/// Boxes that differ from the agent's last one were edited.
fn apply_edits(detection: &mut Detection) -> Result<()> {
    for at in 0..detection.slices.len() {
        let slice = &detection.slices[at];
        let number = slice.info.slice;
        let agent = slice.trajectory.as_ref().map(Trajectory::last);
        let whole = BoundingBox::whole(detection.grid);
        match slice.bounding_box {
            Some(b) if agent.map_or(b != whole, |a| a != b) || !b.is_valid(detection.grid) => detection.set_box(number, b)?,
            None if agent.is_some() || !slice.statuses.contains(&Status::IncompleteCoverage) => detection.clear_box(number)?,
            _ => (),
        }
    }
    Ok(())
}
