//! The golden case: a small input and what PyTorch made of it, so that any installation can prove
//! itself.
//!
//! In: a bundle and its opened networks. Out: the largest differences, or an error that says what
//! disagrees.

use std::io::Cursor;

use ndarray::{Array1, Array2, Array3, Array4, ArrayView3, Axis};
use ndarray_npy::{NpzReader, ReadableElement};

use crate::bundle::Bundle;
use crate::bundle::manifest::{Detector, Manifest, Proposals, SegmenterKind};
use crate::detect::agent::run_agent;
use crate::detect::proposals::run_proposals;
use crate::detect::{BoundingBox, Trajectory};
use crate::error::{Error, Result};
use crate::run::Run;
use crate::runtime::networks::Graphs;
use crate::segment::volume::{Region, Stack};
use crate::study::prepare::Fit;

/// Absolute tolerance of Q values and probabilities, relative tolerance of features.
pub const TOLERANCE: f32 = 1e-4;
/// Actions must agree wherever the two highest Q values differ by more than this.
pub const Q_MARGIN: f32 = 2.0 * TOLERANCE;
/// Proposed boxes agree within this (grid pixels), wherever the two highest scores differ by more
/// than [`Q_MARGIN`].
pub const BOX_TOLERANCE: f64 = 0.05;

/// A golden case as stored.
#[derive(Debug, Clone)]
pub struct Golden {
    /// [S, 3, H, W] in [0, 1].
    pub images: Array4<f32>,
    pub agent: Option<GoldenAgent>,
    /// The detector's boxes [S, 4], NaN where a slice has none; detectors `fixed` and `proposals`.
    pub boxes: Option<Array2<f64>>,
    /// The scores [S, K] of detector `proposals`.
    pub scores: Option<Array2<f32>>,
    /// Where the slices lie; segmenter `volume`.
    pub places: Option<GoldenPlaces>,
    /// [S, 1, C, C]; [S, 1, H, W] of segmenter `volume`.
    pub probability: Array4<f32>,
}

/// Where the slices lie.
#[derive(Debug, Clone)]
pub struct GoldenPlaces {
    /// [S], along the normal, ascending.
    pub places_mm: Array1<f64>,
    /// [2], a pixel of the grid along x and y.
    pub pixel_mm: Array1<f64>,
}

/// What the agent did.
#[derive(Debug, Clone)]
pub struct GoldenAgent {
    /// Global features [S, F].
    pub features: Array2<f32>,
    /// [S, max_steps], padded with -1.
    pub actions: Array2<i64>,
    /// [S, max_steps, A], padded with NaN.
    pub q: Array3<f32>,
    /// [S, max_steps + 1, 4].
    pub boxes: Array3<f64>,
}

/// Largest differences found.
#[derive(Debug, Clone, Copy, Default, serde::Serialize)]
pub struct Agreement {
    pub slices: usize,
    /// Relative to the largest feature.
    pub features: f32,
    pub q: f32,
    pub scores: f32,
    /// Of proposed boxes, grid pixels.
    pub boxes: f64,
    pub probability: f32,
}

impl Golden {
    /// Reads the bundle's golden case.
    ///
    /// # Errors
    /// [`Error::Bundle`] where it has none or it is damaged.
    pub fn read(bundle: &Bundle) -> Result<Self> {
        let file = bundle.manifest().golden.as_deref().ok_or_else(|| {
            Error::bundle(format!(
                "{}: the bundle has no golden case to check this installation by",
                bundle.dir().display()
            ))
        })?;
        let bytes = bundle.file(file)?;
        let name = bundle.dir().join(file).display().to_string();
        let damaged = |source: Box<dyn std::error::Error + Send + Sync>| Error::Bundle {
            message: format!(
                "{name}: not a golden case (docs/reference/bundle.md). Export the bundle again"
            ),
            source: Some(source),
        };
        let mut npz = NpzReader::new(Cursor::new(bytes)).map_err(|e| damaged(e.into()))?;
        let images: Array4<u8> = array(&mut npz, "images").map_err(damaged)?;
        let probability: Array4<f32> = array(&mut npz, "probability").map_err(damaged)?;
        let manifest = bundle.manifest();
        let (mut agent, mut boxes, mut scores, mut places) = (None, None, None, None);
        match &manifest.detector {
            Detector::Whole {} => (),
            Detector::Fixed { .. } => boxes = Some(array(&mut npz, "boxes").map_err(damaged)?),
            Detector::Agent(_) => {
                agent = Some(GoldenAgent {
                    features: array(&mut npz, "features").map_err(damaged)?,
                    actions: array(&mut npz, "actions").map_err(damaged)?,
                    q: array(&mut npz, "q").map_err(damaged)?,
                    boxes: array(&mut npz, "boxes").map_err(damaged)?,
                })
            }
            Detector::Proposals(_) => {
                boxes = Some(array(&mut npz, "boxes").map_err(damaged)?);
                scores = Some(array(&mut npz, "scores").map_err(damaged)?);
            }
        }
        if let SegmenterKind::Volume(_) = manifest.segmenter.kind {
            places = Some(GoldenPlaces {
                places_mm: array(&mut npz, "places_mm").map_err(damaged)?,
                pixel_mm: array(&mut npz, "pixel_mm").map_err(damaged)?,
            });
        }
        let images = images.mapv(|v| f32::from(v) / 255.0);
        let golden = Golden { images, agent, boxes, scores, places, probability };
        golden.consistent(manifest).map_err(|what| damaged(what.into()))?;
        Ok(golden)
    }

    /// Whether the arrays fit one another and the manifest.
    fn consistent(&self, manifest: &Manifest) -> std::result::Result<(), &'static str> {
        let grid = manifest.input.grid;
        let s = self.images.shape()[0];
        let agent = |golden: &GoldenAgent| {
            manifest.agent().is_some_and(|a| {
                let (steps, actions) = (a.max_steps, a.actions.len());
                golden.features.dim() == (s, a.feature_size)
                    && golden.actions.dim() == (s, steps)
                    && golden.actions.iter().all(|x| (-1..actions as i64).contains(x))
                    && golden.q.dim() == (s, steps, actions)
                    && golden.boxes.dim() == (s, steps + 1, 4)
            })
        };
        let side = match manifest.segmenter.kind {
            SegmenterKind::Crop { side } => side,
            SegmenterKind::Volume(_) => grid,
        };
        let shapes = s > 0
            && self.images.dim() == (s, 3, grid, grid)
            && self.probability.dim() == (s, 1, side, side)
            && self.agent.as_ref().is_none_or(agent)
            && self.boxes.as_ref().is_none_or(|boxes| boxes.dim() == (s, 4))
            && self.scores.as_ref().is_none_or(|scores| scores.nrows() == s && scores.ncols() > 0)
            && self.places.as_ref().is_none_or(|p| p.places_mm.len() == s && p.pixel_mm.len() == 2);
        if !shapes {
            return Err("the arrays' shapes do not fit one another");
        }
        for row in 0..if self.boxes.is_some() { s } else { 0 } {
            let bounding_box = self.bounding_box(row);
            let expected = match (&manifest.detector, &self.scores) {
                (Detector::Proposals(numbers), Some(scores)) => {
                    highest(scores, row)[0] >= numbers.score_threshold as f32
                }
                _ => true,
            };
            if bounding_box.is_some() != expected || bounding_box.is_some_and(|b| !b.is_valid(grid))
            {
                return Err(
                    "a box lies outside the grid, or is there where the scores say otherwise",
                );
            }
        }
        let apart = |p: &GoldenPlaces| {
            let (places, pixel) = (p.places_mm.as_slice().unwrap_or_default(), &p.pixel_mm);
            places.iter().chain(pixel).all(|v| v.is_finite())
                && places.windows(2).all(|w| w[0] < w[1])
                && pixel.iter().all(|v| *v > 0.0)
        };
        if !self.places.as_ref().is_none_or(apart) {
            return Err("places_mm must go up and pixel_mm be positive");
        }
        Ok(())
    }

    /// The box that `fixed` and `proposals` have on a slice.
    fn bounding_box(&self, row: usize) -> Option<BoundingBox> {
        let boxes = self.boxes.as_ref()?.row(row);
        (!boxes.iter().any(|edge| edge.is_nan()))
            .then(|| BoundingBox(std::array::from_fn(|c| boxes[c])))
    }

    /// Runs the networks on the golden input and compares.
    ///
    /// # Errors
    /// [`Error::Runtime`] that names the first disagreement; whatever running gives.
    pub fn check(&self, bundle: &Bundle, graphs: &dyn Graphs) -> Result<Agreement> {
        let manifest = bundle.manifest();
        let grid = manifest.input.grid;
        let slices = self.images.shape()[0];
        let rows: Vec<usize> = (0..slices).collect();
        let disagree = |what: String| Error::Runtime {
            message: format!(
                "this installation does not reproduce the golden case of {}: {what}. Update ONNX Runtime or use another device",
                manifest.name
            ),
            source: None,
        };
        let mut agreement = Agreement { slices, ..Default::default() };
        let mut boxes: Vec<Option<BoundingBox>> = match self.boxes {
            Some(_) => rows.iter().map(|row| self.bounding_box(*row)).collect(),
            None => vec![Some(BoundingBox::whole(grid)); slices],
        };
        if let (Some(golden), Some(agent)) = (&self.agent, manifest.agent()) {
            let whole = vec![BoundingBox::whole(grid).to_f32(); slices];
            let index: Vec<i64> = (0..slices as i64).collect();
            let features = graphs.trunk(self.images.view(), &whole, &index)?;
            if features.dim() != golden.features.dim() {
                return Err(disagree(format!(
                    "features are {:?}, expected {:?}",
                    features.dim(),
                    golden.features.dim()
                )));
            }
            let largest =
                golden.features.iter().fold(0f32, |m, v| m.max(v.abs())).max(f32::MIN_POSITIVE);
            agreement.features =
                largest_difference(features.iter(), golden.features.iter()) / largest;
            let trajectories =
                run_agent(graphs, agent, self.images.view(), &rows, &Run::default())?;
            for (s, trajectory) in trajectories.iter().enumerate() {
                agreement.q = agreement.q.max(
                    walk(golden, s, trajectory).map_err(|e| disagree(format!("slice {s}: {e}")))?,
                );
                let steps = golden.actions.row(s).iter().filter(|a| **a >= 0).count();
                boxes[s] = Some(BoundingBox(std::array::from_fn(|c| golden.boxes[[s, steps, c]])));
            }
        }
        if let (Detector::Proposals(numbers), Some(scores)) = (&manifest.detector, &self.scores) {
            (agreement.scores, agreement.boxes) =
                self.proposed(numbers, scores, graphs).map_err(|e| match e {
                    Different::In(what) => disagree(what),
                    Different::Failed(error) => error,
                })?;
        }
        let enlarged: Vec<(usize, BoundingBox)> = boxes
            .iter()
            .enumerate()
            .filter_map(|(s, b)| {
                Some((s, b.as_ref()?.enlarged(manifest.segmenter.context_factor, grid)))
            })
            .collect();
        let mut compare = |s: usize, found: ArrayView3<'_, f32>| {
            let expected = self.probability.index_axis(Axis(0), s);
            if found.dim() != expected.dim() {
                return Err(disagree(format!(
                    "the probability is {:?}, expected {:?}",
                    found.dim(),
                    expected.dim()
                )));
            }
            agreement.probability =
                agreement.probability.max(largest_difference(found.iter(), expected.iter()));
            Ok(())
        };
        match (&manifest.segmenter.kind, &self.places) {
            (SegmenterKind::Volume(window), Some(GoldenPlaces { places_mm, pixel_mm })) => {
                let (places_mm, pixel_mm) = (places_mm.to_vec(), [pixel_mm[0], pixel_mm[1]]);
                let stack =
                    Stack { images: self.images.view(), places_mm: places_mm.clone(), pixel_mm };
                let region = Region::predict(graphs, window, &stack, &enlarged, &Run::default())?;
                // The grid's own pixels stand for the slice's.
                let fit = Fit { grid, scale: [1.0; 2], size: [grid; 2] };
                let mut found: Array4<f32> = Array4::zeros((slices, 1, grid, grid));
                for (region, (s, b)) in
                    region.iter().flat_map(|r| enlarged.iter().map(move |at| (r, at)))
                {
                    region
                        .crop(*s, places_mm[*s], *b)
                        .sample(&fit, found.index_axis_mut(Axis(0), *s).index_axis_mut(Axis(0), 0));
                }
                for (s, found) in found.outer_iter().enumerate() {
                    compare(s, found)?;
                }
            }
            _ => {
                for (s, b) in &enlarged {
                    let probability =
                        graphs.segmenter(self.images.view(), &[b.to_f32()], &[*s as i64])?;
                    let row = probability
                        .outer_iter()
                        .next()
                        .ok_or_else(|| disagree(format!("no probability on slice {s}")))?;
                    compare(*s, row)?;
                }
            }
        }
        for (what, found) in [
            ("features", agreement.features),
            ("Q values", agreement.q),
            ("scores", agreement.scores),
            ("probabilities", agreement.probability),
        ] {
            if found.is_nan() || found > TOLERANCE {
                return Err(disagree(format!(
                    "{what} differ by {found:e}, more than {TOLERANCE:e}"
                )));
            }
        }
        Ok(agreement)
    }

    /// How far the highest scores and their boxes differ.
    fn proposed(
        &self,
        numbers: &Proposals,
        scores: &Array2<f32>,
        graphs: &dyn Graphs,
    ) -> std::result::Result<(f32, f64), Different> {
        let rows: Vec<usize> = (0..scores.nrows()).collect();
        let found = run_proposals(graphs, numbers, self.images.view(), &rows, &Run::default())
            .map_err(Different::Failed)?;
        let (mut score, mut apart) = (0f32, 0f64);
        for (s, found) in found.iter().enumerate() {
            let [first, second] = highest(scores, s);
            score = score.max((found.score - first).abs());
            let near_threshold =
                (f64::from(first) - numbers.score_threshold).abs() <= f64::from(TOLERANCE);
            if near_threshold || first - second <= Q_MARGIN {
                continue;
            }
            let away = match (self.bounding_box(s), found.bounding_box) {
                (Some(a), Some(b)) => {
                    (0..4).fold(0f64, |away, edge| away.max((a.0[edge] - b.0[edge]).abs()))
                }
                (None, None) => 0.0,
                _ => f64::INFINITY,
            };
            if away > BOX_TOLERANCE {
                let expected = self.bounding_box(s);
                return Err(Different::In(format!(
                    "slice {s}: the box {:?}, expected {expected:?}",
                    found.bounding_box
                )));
            }
            apart = apart.max(away);
        }
        Ok((score, apart))
    }
}

/// Why a comparison ended.
enum Different {
    In(String),
    Failed(Error),
}

/// The two highest scores of a slice; the second of one is below any.
fn highest(scores: &Array2<f32>, row: usize) -> [f32; 2] {
    scores.row(row).iter().fold([f32::NEG_INFINITY; 2], |[first, second], score| match *score {
        score if score > first => [score, first],
        score => [first, second.max(score)],
    })
}

/// Compares one slice's walk step by step; where the margin is too small for the actions to be
/// comparable, the rest is left out.
fn walk(
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
        largest = largest.max(largest_difference(found.iter(), q.iter()));
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
    a.zip(b).map(|(x, y)| (x - y).abs()).fold(0.0, |m, d| if d > m || d.is_nan() { d } else { m })
}

type Damage = Box<dyn std::error::Error + Send + Sync>;

fn array<T, D>(
    npz: &mut NpzReader<Cursor<Vec<u8>>>,
    name: &str,
) -> std::result::Result<ndarray::Array<T, D>, Damage>
where
    T: ReadableElement,
    D: ndarray::Dimension,
{
    npz.by_name::<ndarray::OwnedRepr<T>, D>(name).map_err(|e| format!("{name}: {e}").into())
}
