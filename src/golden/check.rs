//! Runs the networks on the golden input and compares their outputs with the golden ones.

use ndarray::{Array4, ArrayView3, Axis};

use super::{
    BOX_TOLERANCE, Golden, GoldenAgent, GoldenAgreement, GoldenPlaces, Q_MARGIN, TOLERANCE, highest,
};
use crate::bundle::Bundle;
use crate::bundle::manifest::{
    Agent, Detector, Manifest, Proposals, Segmenter, SegmenterKind, Window,
};
use crate::detect::agent::run_agent;
use crate::detect::proposals::run_proposals;
use crate::detect::{BoundingBox, Trajectory};
use crate::error::{Error, Result};
use crate::run::Run;
use crate::runtime::{
    AgentGraphs, CancelWatch, CropSegmenter, Networks, ProposalGraph, VolumeSegmenter,
};
use crate::segment::block::{ProbabilityBlock, Stack};
use crate::study::prepare::Fit;

/// Why a comparison ended early.
enum Failure {
    /// An output differs; the text says which and how.
    Differs(String),
    /// The networks could not be run.
    Run(Error),
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        Failure::Run(error)
    }
}

type Compared<T> = std::result::Result<T, Failure>;

fn differs<T>(what: String) -> Compared<T> {
    Err(Failure::Differs(what))
}

impl Golden {
    /// Runs the networks on the golden input and compares.
    ///
    /// # Errors
    /// [`Error::Runtime`] that names the first disagreement; errors of model runs.
    pub fn check(&self, bundle: &Bundle, networks: &Networks) -> Result<GoldenAgreement> {
        let manifest = bundle.manifest();
        self.compare(manifest, networks).map_err(|failure| match failure {
            Failure::Run(error) => error,
            Failure::Differs(what) => Error::Runtime {
                message: format!(
                    "this installation does not reproduce the golden case of {}: {what}. Update \
                     ONNX Runtime or use another device",
                    manifest.name
                ),
                source: None,
            },
        })
    }

    fn compare(&self, manifest: &Manifest, networks: &Networks) -> Compared<GoldenAgreement> {
        let watch = CancelWatch::default();
        let graphs = networks.watched(&watch);
        let mut agreement = GoldenAgreement { slices: self.slices(), ..Default::default() };
        match &manifest.detector {
            Detector::Whole {} | Detector::Fixed { .. } => (),
            Detector::Agent(agent) => self.compare_agent(agent, &graphs, &mut agreement)?,
            Detector::Proposals(section) => {
                self.compare_proposals(section, &graphs, &mut agreement)?;
            }
        }
        let boxes = self.segmenter_boxes(&manifest.segmenter, manifest.input.grid);
        agreement.probability = match &manifest.segmenter.kind {
            SegmenterKind::Crop { .. } => self.compare_crops(&boxes, &graphs)?,
            SegmenterKind::Volume(window) => {
                self.compare_volume(window, manifest.input.grid, &boxes, &graphs)?
            }
        };
        for (what, found) in [
            ("features", agreement.features),
            ("Q values", agreement.q),
            ("scores", agreement.scores),
            ("probabilities", agreement.probability),
        ] {
            if found.is_nan() || found > TOLERANCE {
                return differs(format!("{what} differ by {found:e}, more than {TOLERANCE:e}"));
            }
        }
        Ok(agreement)
    }

    fn slices(&self) -> usize {
        self.images.shape()[0]
    }

    /// The golden boxes, enlarged for the segmenter, each with its slice.
    fn segmenter_boxes(&self, segmenter: &Segmenter, grid: usize) -> Vec<(usize, BoundingBox)> {
        let of = |s: usize| match (&self.agent, &self.boxes) {
            (Some(agent), _) => Some(agent.last_box(s)),
            (None, Some(_)) => self.bounding_box(s),
            (None, None) => Some(BoundingBox::whole(grid)),
        };
        (0..self.slices())
            .filter_map(|s| Some((s, of(s)?.enlarged(segmenter.context_factor, grid))))
            .collect()
    }

    /// Compares the features of whole slices, then every step of the trajectories.
    fn compare_agent(
        &self,
        agent: &Agent,
        graphs: &dyn AgentGraphs,
        agreement: &mut GoldenAgreement,
    ) -> Compared<()> {
        let Some(golden) = &self.agent else { return Err(missing("agent")) };
        let rows: Vec<usize> = (0..self.slices()).collect();
        let index: Vec<i64> = rows.iter().map(|row| *row as i64).collect();
        let whole = vec![BoundingBox::whole(self.images.shape()[3]).to_f32(); rows.len()];
        let features = graphs.trunk(self.images.view(), &whole, &index)?;
        if features.dim() != golden.features.dim() {
            return differs(format!(
                "features are {:?}, expected {:?}",
                features.dim(),
                golden.features.dim()
            ));
        }
        let largest =
            golden.features.iter().fold(0f32, |m, v| m.max(v.abs())).max(f32::MIN_POSITIVE);
        agreement.features = largest_difference(features.iter(), golden.features.iter()) / largest;
        let found = run_agent(graphs, agent, self.images.view(), &rows, &Run::default())?;
        for (s, trajectory) in found.iter().enumerate() {
            let q = compare_trajectory(golden, s, trajectory)
                .map_err(|what| Failure::Differs(format!("slice {s}: {what}")))?;
            agreement.q = larger(agreement.q, q);
        }
        Ok(())
    }

    /// Compares the highest scores and their boxes.
    fn compare_proposals(
        &self,
        section: &Proposals,
        graph: &dyn ProposalGraph,
        agreement: &mut GoldenAgreement,
    ) -> Compared<()> {
        let Some(scores) = &self.scores else { return Err(missing("proposals")) };
        let rows: Vec<usize> = (0..scores.nrows()).collect();
        let found = run_proposals(graph, section, self.images.view(), &rows, &Run::default())?;
        for (s, found) in found.iter().enumerate() {
            let [first, second] = highest(scores, s);
            agreement.scores = larger(agreement.scores, (found.score - first).abs());
            let near_threshold =
                (f64::from(first) - section.score_threshold).abs() <= f64::from(TOLERANCE);
            if near_threshold || first - second <= Q_MARGIN {
                continue;
            }
            let expected = self.bounding_box(s);
            let distance = match (expected, found.bounding_box) {
                (Some(a), Some(b)) => {
                    (0..4).fold(0f64, |largest, edge| largest.max((a.0[edge] - b.0[edge]).abs()))
                }
                (None, None) => 0.0,
                (Some(_), None) | (None, Some(_)) => f64::INFINITY,
            };
            if distance > BOX_TOLERANCE {
                return differs(format!(
                    "slice {s}: the box {:?}, expected {expected:?}",
                    found.bounding_box
                ));
            }
            agreement.boxes = agreement.boxes.max(distance);
        }
        Ok(())
    }

    /// The largest difference of the probabilities of crops.
    fn compare_crops(
        &self,
        boxes: &[(usize, BoundingBox)],
        graph: &dyn CropSegmenter,
    ) -> Compared<f32> {
        let mut largest = 0f32;
        for (s, b) in boxes {
            let found = graph.segment_crops(self.images.view(), &[b.to_f32()], &[*s as i64])?;
            let Some(row) = found.outer_iter().next() else {
                return differs(format!("no probability on slice {s}"));
            };
            largest = larger(largest, self.probability_difference(*s, row)?);
        }
        Ok(largest)
    }

    /// The largest difference of the probabilities of a volume, on the grid's own pixels.
    fn compare_volume(
        &self,
        window: &Window,
        grid: usize,
        boxes: &[(usize, BoundingBox)],
        graph: &dyn VolumeSegmenter,
    ) -> Compared<f32> {
        let Some(GoldenPlaces { places_mm, pixel_mm }) = &self.places else {
            return Err(missing("volume"));
        };
        let places_mm = places_mm.to_vec();
        let stack = Stack {
            images: self.images.view(),
            places_mm: places_mm.clone(),
            pixel_mm: [pixel_mm[0], pixel_mm[1]],
        };
        let block = ProbabilityBlock::predict(graph, window, &stack, boxes, &Run::default())?;
        // The grid's own pixels take the place of the slice's.
        let fit = Fit { grid, scale: [1.0; 2], size: [grid; 2] };
        let mut found: Array4<f32> = Array4::zeros((self.slices(), 1, grid, grid));
        if let Some(block) = block {
            for (s, b) in boxes {
                let mut slice = found.index_axis_mut(Axis(0), *s);
                block.crop(*s, places_mm[*s], *b).sample(&fit, slice.index_axis_mut(Axis(0), 0));
            }
        }
        found.outer_iter().enumerate().try_fold(0f32, |largest, (s, found)| {
            Ok(larger(largest, self.probability_difference(s, found)?))
        })
    }

    fn probability_difference(&self, s: usize, found: ArrayView3<'_, f32>) -> Compared<f32> {
        let expected = self.probability.index_axis(Axis(0), s);
        if found.dim() != expected.dim() {
            return differs(format!(
                "the probability is {:?}, expected {:?}",
                found.dim(),
                expected.dim()
            ));
        }
        Ok(largest_difference(found.iter(), expected.iter()))
    }
}

/// [`Golden::read`] reads every array that the manifest's kinds require.
fn missing(kind: &str) -> Failure {
    Failure::Run(Error::Internal(format!("a golden case without the arrays of `{kind}`")))
}

impl GoldenAgent {
    /// The box after the last action on slice `s`.
    fn last_box(&self, s: usize) -> BoundingBox {
        let steps = self.actions.row(s).iter().filter(|a| **a >= 0).count();
        BoundingBox(std::array::from_fn(|c| self.boxes[[s, steps, c]]))
    }
}

/// Compares one slice's trajectory step by step, up to a step whose margin is too small for actions
/// to be comparable. Returns the largest difference of the Q values.
fn compare_trajectory(
    golden: &GoldenAgent,
    s: usize,
    trajectory: &Trajectory,
) -> std::result::Result<f32, String> {
    let mut largest = 0f32;
    let expected: Vec<i64> = golden.actions.row(s).iter().copied().filter(|a| *a >= 0).collect();
    for (step, action) in expected.iter().enumerate() {
        let q: Vec<f32> = golden.q.index_axis(Axis(0), s).row(step).to_vec();
        let found = trajectory.q.get(step).ok_or_else(|| {
            format!("the agent stopped after {step} actions, expected {}", expected.len())
        })?;
        if found.len() != q.len() {
            return Err(format!("{} Q values, expected {}", found.len(), q.len()));
        }
        largest = larger(largest, largest_difference(found.iter(), q.iter()));
        if trajectory.actions[step] as i64 != *action {
            let mut sorted = q.clone();
            sorted.sort_by(|a, b| b.total_cmp(a));
            if sorted[0] - sorted[1] > Q_MARGIN {
                return Err(format!(
                    "action {} at step {step}, expected {action}",
                    trajectory.actions[step]
                ));
            }
            return Ok(largest);
        }
        let b = trajectory.boxes[step + 1].0;
        if (0..4).any(|c| (b[c] - golden.boxes[[s, step + 1, c]]).abs() > 1e-9) {
            return Err(format!(
                "box {b:?} after step {step}, expected {:?}",
                golden.boxes.index_axis(Axis(0), s).row(step + 1)
            ));
        }
    }
    Ok(largest)
}

fn largest_difference<'a>(
    a: impl Iterator<Item = &'a f32>,
    b: impl Iterator<Item = &'a f32>,
) -> f32 {
    a.zip(b).map(|(x, y)| (x - y).abs()).fold(0.0, larger)
}

/// The larger of two differences; NaN, which [`f32::max`] would drop, is larger than any number.
fn larger(a: f32, b: f32) -> f32 {
    if b > a || b.is_nan() { b } else { a }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_nan_is_the_largest_difference_wherever_it_occurs() {
        for at in 0..3 {
            let mut found = [0.0, 2.0, 1.0];
            found[at] = f32::NAN;
            assert!(largest_difference(found.iter(), [0.0; 3].iter()).is_nan());
            assert!([0.5, f32::NAN, 0.7].into_iter().fold(0.0, larger).is_nan());
        }
        assert_eq!(largest_difference([0.0, 2.0, 1.0].iter(), [0.0; 3].iter()), 2.0);
    }
}
