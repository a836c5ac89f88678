//! The golden case: a small input and what PyTorch made of it, so that any installation can prove itself.
//!
//! In: a bundle and its opened networks. Out: the largest differences, or an error that says what disagrees.

use std::io::Cursor;

use ndarray::{Array2, Array3, Array4, Axis};
use ndarray_npy::{NpzReader, ReadableElement};

use crate::bundle::Bundle;
use crate::detect::agent::run_agent;
use crate::detect::{BoundingBox, Trajectory};
use crate::error::{Error, Result};
use crate::run::Run;
use crate::runtime::networks::Graphs;

/// Absolute tolerance of Q values and probabilities, relative tolerance of features.
pub const TOLERANCE: f32 = 1e-4;
/// Actions must agree wherever the two highest Q values differ by more than this.
pub const Q_MARGIN: f32 = 2.0 * TOLERANCE;

/// A golden case as stored.
#[derive(Debug, Clone)]
pub struct Golden {
    /// [S, 3, H, W] in [0, 1].
    pub images: Array4<f32>,
    pub agent: Option<GoldenAgent>,
    /// [S, 1, C, C].
    pub probability: Array4<f32>,
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
    pub probability: f32,
}

impl Golden {
    /// Reads the bundle's golden case.
    ///
    /// # Errors
    /// [`Error::Bundle`] where it has none or it is damaged.
    pub fn read(bundle: &Bundle) -> Result<Self> {
        let file = bundle.manifest().golden.as_deref().ok_or_else(|| {
            Error::bundle(format!("{}: the bundle has no golden case to check this installation by", bundle.dir().display()))
        })?;
        let bytes = bundle.file(file)?;
        let name = bundle.dir().join(file).display().to_string();
        let damaged = |source: Box<dyn std::error::Error + Send + Sync>| Error::Bundle {
            message: format!("{name}: not a golden case (docs/bundle.md). Export the bundle again"),
            source: Some(source),
        };
        let mut npz = NpzReader::new(Cursor::new(bytes)).map_err(|e| damaged(e.into()))?;
        let images: Array4<u8> = array(&mut npz, "images").map_err(damaged)?;
        let probability: Array4<f32> = array(&mut npz, "probability").map_err(damaged)?;
        let agent = match bundle.manifest().agent() {
            None => None,
            Some(_) => Some(GoldenAgent {
                features: array(&mut npz, "features").map_err(damaged)?,
                actions: array(&mut npz, "actions").map_err(damaged)?,
                q: array(&mut npz, "q").map_err(damaged)?,
                boxes: array(&mut npz, "boxes").map_err(damaged)?,
            }),
        };
        let images = images.mapv(|v| f32::from(v) / 255.0);
        let grid = bundle.manifest().input.grid;
        let s = images.shape()[0];
        let crop = bundle.manifest().segmenter.crop;
        let fits = |golden: &GoldenAgent| {
            bundle.manifest().agent().is_some_and(|a| {
                let (steps, actions) = (a.max_steps, a.actions.len());
                golden.features.dim() == (s, a.feature_size)
                    && golden.actions.dim() == (s, steps)
                    && golden.actions.iter().all(|x| (-1..actions as i64).contains(x))
                    && golden.q.dim() == (s, steps, actions)
                    && golden.boxes.dim() == (s, steps + 1, 4)
            })
        };
        let consistent =
            s > 0 && images.dim() == (s, 3, grid, grid) && probability.dim() == (s, 1, crop, crop) && agent.as_ref().is_none_or(fits);
        if !consistent {
            return Err(damaged("the arrays' shapes do not fit one another".into()));
        }
        Ok(Golden { images, agent, probability })
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
        let mut boxes = vec![BoundingBox::whole(grid); slices];
        if let (Some(golden), Some(agent)) = (&self.agent, manifest.agent()) {
            let whole = vec![BoundingBox::whole(grid).to_f32(); slices];
            let index: Vec<i64> = (0..slices as i64).collect();
            let features = graphs.trunk(self.images.view(), &whole, &index)?;
            if features.dim() != golden.features.dim() {
                return Err(disagree(format!("features are {:?}, expected {:?}", features.dim(), golden.features.dim())));
            }
            let largest = golden.features.iter().fold(0f32, |m, v| m.max(v.abs())).max(f32::MIN_POSITIVE);
            agreement.features = largest_difference(features.iter(), golden.features.iter()) / largest;
            let trajectories = run_agent(graphs, agent, self.images.view(), &rows, &Run::default())?;
            for (s, trajectory) in trajectories.iter().enumerate() {
                agreement.q = agreement.q.max(walk(golden, s, trajectory).map_err(|e| disagree(format!("slice {s}: {e}")))?);
                let steps = golden.actions.row(s).iter().filter(|a| **a >= 0).count();
                boxes[s] = BoundingBox(std::array::from_fn(|c| golden.boxes[[s, steps, c]]));
            }
        }
        for (s, b) in boxes.iter().enumerate() {
            let enlarged = b.enlarged(manifest.segmenter.context_factor, grid);
            let probability = graphs.segmenter(self.images.view(), &[enlarged.to_f32()], &[s as i64])?;
            let expected = self.probability.index_axis(Axis(0), s);
            if probability.len() != expected.len() {
                return Err(disagree(format!("the probability has {} values, expected {}", probability.len(), expected.len())));
            }
            agreement.probability = agreement.probability.max(largest_difference(probability.iter(), expected.iter()));
        }
        for (what, found) in [("features", agreement.features), ("Q values", agreement.q), ("probabilities", agreement.probability)] {
            if found.is_nan() || found > TOLERANCE {
                return Err(disagree(format!("{what} differ by {found:e}, more than {TOLERANCE:e}")));
            }
        }
        Ok(agreement)
    }
}

/// Compares one slice's walk step by step; where the margin is too small for the actions to be comparable, the rest is left out.
fn walk(golden: &GoldenAgent, s: usize, trajectory: &Trajectory) -> std::result::Result<f32, String> {
    let mut largest = 0f32;
    let expected: Vec<i64> = golden.actions.row(s).iter().copied().filter(|a| *a >= 0).collect();
    for (step, action) in expected.iter().enumerate() {
        let q: Vec<f32> = golden.q.index_axis(Axis(0), s).row(step).to_vec();
        let found = trajectory.q.get(step).ok_or_else(|| format!("the agent stopped after {step} actions, expected {}", expected.len()))?;
        if found.len() != q.len() {
            return Err(format!("{} Q values, expected {}", found.len(), q.len()));
        }
        largest = largest.max(largest_difference(found.iter(), q.iter()));
        if trajectory.actions[step] as i64 != *action {
            let mut sorted = q.clone();
            sorted.sort_by(|a, b| b.total_cmp(a));
            if sorted[0] - sorted[1] > Q_MARGIN {
                return Err(format!("action {} at step {step}, expected {action}", trajectory.actions[step]));
            }
            return Ok(largest);
        }
        let b = trajectory.boxes[step + 1].0;
        if (0..4).any(|c| (b[c] - golden.boxes[[s, step + 1, c]]).abs() > 1e-9) {
            return Err(format!("box {b:?} after step {step}, expected {:?}", golden.boxes.index_axis(Axis(0), s).row(step + 1)));
        }
    }
    Ok(largest)
}

fn largest_difference<'a>(a: impl Iterator<Item = &'a f32>, b: impl Iterator<Item = &'a f32>) -> f32 {
    a.zip(b).map(|(x, y)| (x - y).abs()).fold(0.0, |m, d| if d > m || d.is_nan() { d } else { m })
}

type Damage = Box<dyn std::error::Error + Send + Sync>;

fn array<T, D>(npz: &mut NpzReader<Cursor<Vec<u8>>>, name: &str) -> std::result::Result<ndarray::Array<T, D>, Damage>
where
    T: ReadableElement,
    D: ndarray::Dimension,
{
    npz.by_name::<ndarray::OwnedRepr<T>, D>(name).map_err(|e| format!("{name}: {e}").into())
}
