//! The golden case: a small input and PyTorch's outputs for it, by which an installation proves
//! that it reproduces its model.
//!
//! In: a bundle and its opened networks. Out: the largest differences, or an error that names the
//! first disagreement.

mod check;

use std::io::Cursor;

use ndarray::{Array1, Array2, Array3, Array4};
use ndarray_npy::{NpzReader, ReadableElement};

use crate::bundle::Bundle;
use crate::bundle::manifest::{Agent, Detector, Manifest, SegmenterKind};
use crate::detect::BoundingBox;
use crate::error::{Error, Result};

/// Absolute tolerance of Q values and probabilities, relative tolerance of features.
pub const TOLERANCE: f32 = 1e-4;
/// Actions must agree if the two highest Q values differ by more than this.
pub const Q_MARGIN: f32 = 2.0 * TOLERANCE;
/// Proposed boxes must agree within this (grid pixels) if the two highest scores differ by more
/// than [`Q_MARGIN`].
pub const BOX_TOLERANCE: f64 = 0.05;

/// A golden case as stored.
#[derive(Debug, Clone)]
pub struct Golden {
    /// [S, 3, H, W] in [0, 1].
    pub images: Array4<f32>,
    /// The agent's outputs; detector `agent`.
    pub agent: Option<GoldenAgent>,
    /// The detector's boxes [S, 4], NaN for a slice without one; detectors `fixed` and `proposals`.
    pub boxes: Option<Array2<f64>>,
    /// The scores [S, K] of detector `proposals`.
    pub scores: Option<Array2<f32>>,
    /// Positions of the slices; segmenter `volume`.
    pub places: Option<GoldenPlaces>,
    /// [S, 1, C, C]; [S, 1, H, W] of segmenter `volume`.
    pub probability: Array4<f32>,
}

/// Positions of the slices.
#[derive(Debug, Clone)]
pub struct GoldenPlaces {
    /// `[S]`, along the normal, ascending.
    pub places_mm: Array1<f64>,
    /// `[2]`, pixel size of the grid along x and y.
    pub pixel_mm: Array1<f64>,
}

/// The agent's outputs.
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

/// The largest differences found.
#[derive(Debug, Clone, Copy, Default, serde::Serialize)]
pub struct GoldenAgreement {
    /// Slices compared.
    pub slices: usize,
    /// Relative to the largest feature.
    pub features: f32,
    /// Of the agent's Q values.
    pub q: f32,
    /// Of the proposals' scores.
    pub scores: f32,
    /// Of proposed boxes, grid pixels.
    pub boxes: f64,
    /// Of the segmenter's probabilities.
    pub probability: f32,
}

impl Golden {
    /// Reads the bundle's golden case.
    ///
    /// # Errors
    /// [`Error::Bundle`] if it has none or it is damaged.
    pub fn read(bundle: &Bundle) -> Result<Self> {
        let file = bundle.manifest().golden.as_deref().ok_or_else(|| {
            Error::bundle(format!(
                "{}: the bundle has no golden case to check this installation by. Export it again \
                 with one",
                bundle.dir().display()
            ))
        })?;
        let bytes = bundle.file(file)?;
        let manifest = bundle.manifest();
        let golden = Golden::parse(bytes, manifest)
            .and_then(|golden| golden.check_consistent(manifest).map(|()| golden));
        golden.map_err(|source| Error::Bundle {
            message: format!(
                "{}: not a golden case (docs/reference/bundle.md). Export the bundle again",
                bundle.dir().join(file).display()
            ),
            source: Some(source),
        })
    }

    fn parse(bytes: Vec<u8>, manifest: &Manifest) -> std::result::Result<Self, Damage> {
        let mut npz = NpzReader::new(Cursor::new(bytes))?;
        let images: Array4<u8> = array(&mut npz, "images")?;
        let probability: Array4<f32> = array(&mut npz, "probability")?;
        let (mut agent, mut boxes, mut scores) = (None, None, None);
        match &manifest.detector {
            Detector::Whole {} => (),
            Detector::Fixed { .. } => boxes = Some(array(&mut npz, "boxes")?),
            Detector::Agent(_) => {
                agent = Some(GoldenAgent {
                    features: array(&mut npz, "features")?,
                    actions: array(&mut npz, "actions")?,
                    q: array(&mut npz, "q")?,
                    boxes: array(&mut npz, "boxes")?,
                })
            }
            Detector::Proposals(_) => {
                boxes = Some(array(&mut npz, "boxes")?);
                scores = Some(array(&mut npz, "scores")?);
            }
        }
        let places = match &manifest.segmenter.kind {
            SegmenterKind::Crop { .. } => None,
            SegmenterKind::Volume(_) => Some(GoldenPlaces {
                places_mm: array(&mut npz, "places_mm")?,
                pixel_mm: array(&mut npz, "pixel_mm")?,
            }),
        };
        let images = images.mapv(|v| f32::from(v) / 255.0);
        Ok(Golden { images, agent, boxes, scores, places, probability })
    }

    /// Checks that the arrays fit one another and the manifest.
    fn check_consistent(&self, manifest: &Manifest) -> std::result::Result<(), Damage> {
        let grid = manifest.input.grid;
        let s = self.images.shape()[0];
        let side = match &manifest.segmenter.kind {
            SegmenterKind::Crop { side } => *side,
            SegmenterKind::Volume(_) => grid,
        };
        let fits = |golden: &GoldenAgent| manifest.agent().is_some_and(|a| golden.fits(a, s));
        let shapes = s > 0
            && self.images.dim() == (s, 3, grid, grid)
            && self.probability.dim() == (s, 1, side, side)
            && self.agent.as_ref().is_none_or(fits)
            && self.boxes.as_ref().is_none_or(|boxes| boxes.dim() == (s, 4))
            && self.scores.as_ref().is_none_or(|scores| scores.nrows() == s && scores.ncols() > 0)
            && self.places.as_ref().is_none_or(|p| p.places_mm.len() == s && p.pixel_mm.len() == 2);
        if !shapes {
            return Err("the arrays' shapes do not fit one another".into());
        }
        self.check_boxes(manifest)?;
        if !self.places.as_ref().is_none_or(GoldenPlaces::are_valid) {
            return Err("places_mm must increase and pixel_mm be positive".into());
        }
        Ok(())
    }

    /// Checks that boxes lie inside the grid, and exist exactly on the slices that must have one.
    fn check_boxes(&self, manifest: &Manifest) -> std::result::Result<(), Damage> {
        let grid = manifest.input.grid;
        let rows = self.boxes.as_ref().map_or(0, Array2::nrows);
        for row in 0..rows {
            let bounding_box = self.bounding_box(row);
            let expected = match (&manifest.detector, &self.scores) {
                (Detector::Proposals(section), Some(scores)) => {
                    highest(scores, row)[0] >= section.score_threshold as f32
                }
                (Detector::Proposals(_), None)
                | (Detector::Whole {} | Detector::Fixed { .. } | Detector::Agent(_), _) => true,
            };
            if bounding_box.is_some() != expected || bounding_box.is_some_and(|b| !b.is_valid(grid))
            {
                return Err("a box lies outside the grid, or contradicts its slice's scores".into());
            }
        }
        Ok(())
    }

    /// The box of detectors `fixed` and `proposals` on a slice.
    fn bounding_box(&self, row: usize) -> Option<BoundingBox> {
        let boxes = self.boxes.as_ref()?.row(row);
        (!boxes.iter().any(|edge| edge.is_nan()))
            .then(|| BoundingBox(std::array::from_fn(|c| boxes[c])))
    }
}

impl GoldenAgent {
    /// Whether the arrays of `slices` slices have the agent's shapes.
    fn fits(&self, agent: &Agent, slices: usize) -> bool {
        let (steps, actions) = (agent.max_steps, agent.actions.len());
        self.features.dim() == (slices, agent.feature_size)
            && self.actions.dim() == (slices, steps)
            && self.actions.iter().all(|x| (-1..actions as i64).contains(x))
            && self.q.dim() == (slices, steps, actions)
            && self.boxes.dim() == (slices, steps + 1, 4)
    }
}

impl GoldenPlaces {
    fn are_valid(&self) -> bool {
        let (places, pixel) = (self.places_mm.as_slice().unwrap_or_default(), &self.pixel_mm);
        places.iter().chain(pixel).all(|v| v.is_finite())
            && places.windows(2).all(|w| w[0] < w[1])
            && pixel.iter().all(|v| *v > 0.0)
    }
}

/// The two highest scores of a slice; the second is minus infinity if there is only one.
fn highest(scores: &Array2<f32>, row: usize) -> [f32; 2] {
    scores.row(row).iter().fold([f32::NEG_INFINITY; 2], |[first, second], score| match *score {
        score if score > first => [score, first],
        score => [first, second.max(score)],
    })
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
