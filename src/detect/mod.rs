//! Stage one: a box around the tumour on every slice (3.1).
//!
//! In: a study, a bundle's networks. Out: a [`Detection`]: for each slice a box, how the detector
//! found it, and statuses. The caller may replace or clear any box before segmentation.

pub mod agent;
pub mod bounding_box;
pub mod file;
pub mod proposals;
pub mod trajectory;

use std::ops::Range;

use crate::bundle::manifest::{Detector, Manifest};
use crate::error::{Error, Result};
use crate::run::{Run, Stage};
use crate::runtime::{AgentGraphs, ProposalGraph};
use crate::status::SliceStatus;
use crate::study::prepare::Fit;
use crate::study::{SliceInfo, Study};
pub use bounding_box::BoundingBox;
pub use proposals::Proposal;
pub use trajectory::Trajectory;

/// Which slices are detected on.
#[derive(Debug, Clone, Default)]
#[non_exhaustive]
pub struct DetectOptions {
    /// Canonical slices, half open; `None` is all of them, which is refused if the bundle was
    /// trained without tumour-free slices.
    pub slices: Option<Range<usize>>,
    /// Detect and segment slices with incomplete coverage too.
    pub force_coverage: bool,
}

impl DetectOptions {
    /// Detects on these canonical slices; `None` is all of them.
    #[must_use]
    pub fn with_slices(mut self, slices: Option<Range<usize>>) -> Self {
        self.slices = slices;
        self
    }

    /// Detects on slices with incomplete coverage too.
    #[must_use]
    pub fn with_force_coverage(mut self, force: bool) -> Self {
        self.force_coverage = force;
        self
    }
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

/// One slice of a detection.
#[derive(Debug, Clone)]
pub struct SliceDetection {
    /// Which slice it is.
    pub info: SliceInfo,
    /// Statuses of detection; segmentation adds its own.
    pub statuses: Vec<SliceStatus>,
    /// Pixel edges on the model's grid; `None` if the slice is not to be segmented.
    pub bounding_box: Option<BoundingBox>,
    /// Whether the caller replaced or cleared the box.
    pub edited: bool,
    /// `None` without an agent, or if the slice was skipped.
    pub trajectory: Option<Trajectory>,
    /// `None` without a detector that proposes boxes, or if the slice was skipped.
    pub proposal: Option<Proposal>,
}

/// How a detector found its box on a slice. Empty if the slice was skipped, or if every slice gets
/// the same box.
#[derive(Debug, Clone, Default)]
struct Search {
    trajectory: Option<Trajectory>,
    proposal: Option<Proposal>,
}

impl SliceDetection {
    /// A slice with the detector's own box.
    fn new(
        study: &Study,
        manifest: &Manifest,
        fit: &Fit,
        slice: usize,
        searched: bool,
        search: Search,
    ) -> Self {
        let Search { trajectory, proposal } = search;
        let bounding_box = match &manifest.detector {
            _ if !searched => None,
            Detector::Whole {} => Some(BoundingBox::whole(fit.grid)),
            Detector::Fixed { box_mm } => {
                Some(BoundingBox::from_mm(*box_mm, fit.pixel_mm(study.grid()), fit.grid))
            }
            Detector::Agent(_) => trajectory.as_ref().map(Trajectory::last),
            Detector::Proposals(_) => proposal.and_then(|p| p.bounding_box),
        };
        let spacing = study.grid().slice_spacing_mm();
        let outside =
            |[low, high]: [f64; 2]| spacing.is_some_and(|s| s < low - 1e-3 || s > high + 1e-3);
        // The whole grid touches its own edges: no status.
        let whole = matches!(manifest.detector, Detector::Whole {});
        let statuses = [
            (
                manifest.input.slice_spacing_mm.is_some_and(outside),
                SliceStatus::SpacingOutsideTraining,
            ),
            (!study.is_covered(slice), SliceStatus::IncompleteCoverage),
            (searched && bounding_box.is_none(), SliceStatus::NoLesion),
            (trajectory.as_ref().is_some_and(|t| !t.stopped), SliceStatus::StepLimitReached),
            (
                !whole && bounding_box.is_some_and(|b| b.touches_edge(fit.grid)),
                SliceStatus::BoxAtImageEdge,
            ),
        ];
        let statuses =
            statuses.into_iter().filter_map(|(holds, status)| holds.then_some(status)).collect();
        SliceDetection {
            info: study.slice_info(slice),
            statuses,
            bounding_box,
            edited: false,
            trajectory,
            proposal,
        }
    }
}

impl Detection {
    /// The slices, in canonical order.
    pub fn slices(&self) -> &[SliceDetection] {
        &self.slices
    }

    /// The requested range of canonical slices.
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

    /// Whether slices with incomplete coverage were included.
    pub fn force_coverage(&self) -> bool {
        self.force_coverage
    }

    /// Whether the caller replaced or cleared any box.
    pub fn is_edited(&self) -> bool {
        self.slices.iter().any(|s| s.edited)
    }

    /// Replaces the box of a canonical slice, pixel edges on the model's grid.
    ///
    /// # Errors
    /// [`Error::Argument`] if the slice is not part of the detection or the box does not lie inside
    /// the grid.
    pub fn set_box(&mut self, slice: usize, bounding_box: BoundingBox) -> Result<()> {
        let grid = self.grid;
        if !bounding_box.is_valid(grid) {
            return Err(Error::Argument(format!(
                "found the box {:?} on slice {slice}, expected x0 < x1 and y0 < y1 inside \
                 0 .. {grid} (pixel edges of the model's grid). Clip the box to the grid",
                bounding_box.0
            )));
        }
        let entry = self.entry(slice)?;
        entry.bounding_box = Some(bounding_box);
        entry.edited = true;
        entry.statuses.retain(|s| {
            *s == SliceStatus::SpacingOutsideTraining || *s == SliceStatus::IncompleteCoverage
        });
        if bounding_box.touches_edge(grid) {
            entry.statuses.push(SliceStatus::BoxAtImageEdge);
        }
        Ok(())
    }

    /// Marks a canonical slice as free of lesions, so that it is not segmented.
    ///
    /// # Errors
    /// [`Error::Argument`] if the slice is not part of the detection.
    pub fn clear_box(&mut self, slice: usize) -> Result<()> {
        let entry = self.entry(slice)?;
        entry.bounding_box = None;
        entry.edited = true;
        entry.statuses.retain(|s| {
            *s == SliceStatus::SpacingOutsideTraining || *s == SliceStatus::IncompleteCoverage
        });
        entry.statuses.push(SliceStatus::NoLesion);
        Ok(())
    }

    fn entry(&mut self, slice: usize) -> Result<&mut SliceDetection> {
        let range = self.range.clone();
        self.slices.iter_mut().find(|s| s.info.slice == slice).ok_or_else(|| {
            Error::Argument(format!(
                "slice {slice} is not part of this detection, expected one of {}:{}. Choose one of \
                 these, or detect more slices",
                range.start, range.end
            ))
        })
    }
}

/// Finds a box on every slice of the range.
///
/// # Errors
/// [`Error::Argument`] for a range outside the study, or none if the bundle requires one; errors of
/// preparation and of model runs; [`Error::Cancelled`].
pub fn detect(
    study: &Study,
    manifest: &Manifest,
    graphs: &(impl AgentGraphs + ProposalGraph),
    options: &DetectOptions,
    run: &Run<'_>,
) -> Result<Detection> {
    if options.slices.is_none() && !manifest.negatives_trained {
        return Err(Error::Argument(format!(
            "no slice range, but model {} was not trained with tumour-free slices. Name the slices \
             that hold the tumour (T1C has 0:{})",
            manifest.name,
            study.slices()
        )));
    }
    let range = study.check_slices(options.slices.clone())?;
    let prepared = study.prepared(&manifest.input, range.clone(), run)?;

    let included: Vec<usize> =
        range.clone().filter(|k| options.force_coverage || study.is_covered(*k)).collect();
    let rows: Vec<usize> = included.iter().map(|k| k - range.start).collect();
    let images = prepared.images.view();
    let searches: Vec<Search> = match &manifest.detector {
        Detector::Agent(agent) => {
            let search = |trajectory| Search { trajectory: Some(trajectory), ..Search::default() };
            agent::run_agent(graphs, agent, images, &rows, run)?.into_iter().map(search).collect()
        }
        Detector::Proposals(section) => {
            let search = |proposal| Search { proposal: Some(proposal), ..Search::default() };
            proposals::run_proposals(graphs, section, images, &rows, run)?
                .into_iter()
                .map(search)
                .collect()
        }
        Detector::Whole {} | Detector::Fixed { .. } => {
            run.tick(Stage::Detect, rows.len(), rows.len())?;
            vec![Search::default(); rows.len()]
        }
    };
    let mut searches = searches.into_iter();
    let slices = range
        .clone()
        .map(|k| {
            let searched = included.binary_search(&k).is_ok();
            let search =
                if searched { searches.next().unwrap_or_default() } else { Search::default() };
            SliceDetection::new(study, manifest, &prepared.fit, k, searched, search)
        })
        .collect();
    Ok(Detection {
        slices,
        range,
        grid: manifest.input.grid,
        fit: prepared.fit,
        force_coverage: options.force_coverage,
    })
}
