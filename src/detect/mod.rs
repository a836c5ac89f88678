//! Stage one: a box around the tumour on every slice (3.1).
//!
//! In: a study, a bundle's networks. Out: a [`Detection`]: per slice a box, the agent's trajectory and statuses. The caller may replace or
//! clear any box before segmentation.

pub mod action;
pub mod agent;
pub mod bounding_box;
pub mod file;
pub mod trajectory;

use std::ops::Range;

use crate::bundle::manifest::{Detector, Manifest};
use crate::error::{Error, Result};
use crate::run::Run;
use crate::runtime::networks::Graphs;
use crate::status::Status;
use crate::study::prepare::Fit;
use crate::study::{SliceInfo, Study};
pub use bounding_box::BoundingBox;
pub use trajectory::Trajectory;

/// Which slices, and whether to go on where the sequences do not cover them.
#[derive(Debug, Clone, Default)]
#[non_exhaustive]
pub struct DetectOptions {
    /// Canonical slices, half open; `None` is all of them, which a bundle trained without tumour-free slices refuses.
    pub slices: Option<Range<usize>>,
    /// Detect and segment slices with incomplete coverage too.
    pub force_coverage: bool,
}

/// Boxes of a range of slices.
#[derive(Debug, Clone)]
pub struct Detection {
    slices: Vec<SliceDetection>,
    range: Range<usize>,
    grid: usize,
    fit: Fit,
    force_coverage: bool,
}

/// One slice.
#[derive(Debug, Clone)]
pub struct SliceDetection {
    pub info: SliceInfo,
    /// Statuses of detection; segmentation adds its own.
    pub statuses: Vec<Status>,
    /// Pixel edges on the model's grid; `None` where the slice is not to be segmented.
    pub bounding_box: Option<BoundingBox>,
    /// Whether the caller replaced or cleared the box.
    pub edited: bool,
    /// `None` without an agent, or where the slice was not looked at.
    pub trajectory: Option<Trajectory>,
}

impl Detection {
    /// The slices, in canonical order.
    pub fn slices(&self) -> &[SliceDetection] {
        &self.slices
    }

    /// The canonical range that was asked for.
    pub fn range(&self) -> Range<usize> {
        self.range.clone()
    }

    /// Side of the model's grid, pixels.
    pub fn grid(&self) -> usize {
        self.grid
    }

    /// The map between the model's grid and T1C's canonical slices.
    pub fn fit(&self) -> &Fit {
        &self.fit
    }

    /// Whether slices with incomplete coverage were looked at too.
    pub fn force_coverage(&self) -> bool {
        self.force_coverage
    }

    /// Whether any box was replaced or cleared by the caller.
    pub fn is_edited(&self) -> bool {
        self.slices.iter().any(|s| s.edited)
    }

    /// Replaces the box of a canonical slice, pixel edges on the model's grid.
    ///
    /// # Errors
    /// [`Error::Argument`] where the slice is not part of the detection or the box does not lie inside the grid.
    pub fn set_box(&mut self, slice: usize, bounding_box: BoundingBox) -> Result<()> {
        let grid = self.grid;
        if !bounding_box.is_valid(grid) {
            return Err(Error::Argument(format!(
                "box {:?} on slice {slice}: x0 < x1 and y0 < y1 inside 0 .. {grid} were expected (pixel edges of the model's grid)",
                bounding_box.0
            )));
        }
        let entry = self.entry(slice)?;
        entry.bounding_box = Some(bounding_box);
        entry.edited = true;
        entry.statuses.retain(|s| *s == Status::SpacingOutsideTraining || *s == Status::IncompleteCoverage);
        if bounding_box.touches_edge(grid) {
            entry.statuses.push(Status::BoxAtImageEdge);
        }
        Ok(())
    }

    /// Says that a canonical slice holds no lesion: it is not segmented.
    ///
    /// # Errors
    /// [`Error::Argument`] where the slice is not part of the detection.
    pub fn clear_box(&mut self, slice: usize) -> Result<()> {
        let entry = self.entry(slice)?;
        entry.bounding_box = None;
        entry.edited = true;
        entry.statuses.retain(|s| *s == Status::SpacingOutsideTraining || *s == Status::IncompleteCoverage);
        entry.statuses.push(Status::NoLesion);
        Ok(())
    }

    fn entry(&mut self, slice: usize) -> Result<&mut SliceDetection> {
        let range = self.range.clone();
        self.slices
            .iter_mut()
            .find(|s| s.info.slice == slice)
            .ok_or_else(|| Error::Argument(format!("slice {slice} is not part of this detection ({}:{})", range.start, range.end)))
    }
}

/// Finds a box on every slice of the range.
///
/// # Errors
/// [`Error::Argument`] for a range outside the study, or none where the bundle needs one; what preparing and running give; [`Error::Cancelled`].
pub fn detect(study: &Study, manifest: &Manifest, graphs: &dyn Graphs, options: &DetectOptions, run: &Run<'_>) -> Result<Detection> {
    if options.slices.is_none() && !manifest.negatives_trained {
        return Err(Error::Argument(format!(
            "model {} was not trained with tumour-free slices: name the slices that hold the tumour (T1C has 0:{})",
            manifest.name,
            study.slices()
        )));
    }
    let range = study.check_slices(options.slices.clone())?;
    let prepared = study.prepared(&manifest.input, range.clone(), run)?;
    let grid = manifest.input.grid;

    let included: Vec<usize> = range.clone().filter(|k| options.force_coverage || study.is_covered(*k)).collect();
    let rows: Vec<usize> = included.iter().map(|k| k - range.start).collect();
    let mut trajectories = match &manifest.detector {
        Detector::Agent(agent) => {
            agent::run_agent(graphs, agent, prepared.images.view(), &rows, run)?.into_iter().map(Some).collect::<Vec<_>>()
        }
        _ => vec![None; rows.len()],
    }
    .into_iter();

    let slices = range
        .clone()
        .map(|k| {
            let looked_at = included.binary_search(&k).is_ok();
            let trajectory = if looked_at { trajectories.next().flatten() } else { None };
            let bounding_box = looked_at.then(|| trajectory.as_ref().map_or(BoundingBox::whole(grid), Trajectory::last));
            let statuses = statuses(study, manifest, k, trajectory.as_ref());
            SliceDetection { info: study.slice_info(k), statuses, bounding_box, edited: false, trajectory }
        })
        .collect();
    Ok(Detection { slices, range, grid, fit: prepared.fit, force_coverage: options.force_coverage })
}

/// What detection has to say of a slice.
fn statuses(study: &Study, manifest: &Manifest, slice: usize, trajectory: Option<&Trajectory>) -> Vec<Status> {
    let spacing = study.grid().slice_spacing_mm();
    let outside = |[low, high]: [f64; 2]| spacing.is_some_and(|s| s < low - 1e-3 || s > high + 1e-3);
    [
        (manifest.input.slice_spacing_mm.is_some_and(outside), Status::SpacingOutsideTraining),
        (!study.is_covered(slice), Status::IncompleteCoverage),
        (trajectory.is_some_and(|t| !t.stopped), Status::StepLimitReached),
        (trajectory.is_some_and(|t| t.last().touches_edge(manifest.input.grid)), Status::BoxAtImageEdge),
    ]
    .into_iter()
    .filter_map(|(holds, status)| holds.then_some(status))
    .collect()
}
