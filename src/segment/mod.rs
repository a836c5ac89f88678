//! Stage two: RANet, or another network, on the enlarged boxes (3.2, 4.2.3).
//!
//! In: a study and a detection. Out: a [`Segmentation`]: probability and mask on T1C's own storage
//! grid, statistics and statuses per slice.

mod axis;
pub mod block;
pub mod crop;
mod patches;

use ndarray::{Array3, ArrayViewMut2, Axis, Dimension, s};

use crate::bundle::manifest::{Manifest, SegmenterKind};
use crate::detect::{BoundingBox, Detection, SliceDetection};
use crate::error::{Error, Result};
use crate::geometry::{Grid, region_mm3};
use crate::memory;
use crate::provenance::Provenance;
use crate::run::{Run, Stage};
use crate::runtime::{CropSegmenter, VolumeSegmenter};
use crate::segment::block::{ProbabilityBlock, Stack};
use crate::segment::crop::{Crop, resample_crops};
use crate::status::SliceStatus;
use crate::study::prepare::Fit;
use crate::study::{Prepared, SliceInfo, Study};

/// Mask and probability on T1C's grid.
#[derive(Debug, Clone)]
pub struct Segmentation {
    /// [k, j, i], T1C's storage order, in [0, 1]; 0 outside the segmented boxes.
    pub probability: Array3<f32>,
    /// [k, j, i], T1C's storage order: 1 for a probability of at least the threshold, else 0.
    pub mask: Array3<u8>,
    /// The bundle's threshold.
    pub threshold: f32,
    /// The probability on the axial slices that the model saw, [k, j, i] on the study's grid;
    /// `None` unless T1C was resliced.
    pub axial: Option<Array3<f32>>,
    /// The slices of the detection, in canonical order.
    pub slices: Vec<SliceSegmentation>,
    /// Volume of the mask, mm3.
    pub volume_mm3: f64,
    /// Whether the caller replaced or cleared a box.
    pub edited: bool,
    /// The library and the model that made it.
    pub provenance: Provenance,
}

/// One slice of a segmentation.
#[derive(Debug, Clone, serde::Serialize)]
pub struct SliceSegmentation {
    /// Which slice it is.
    #[serde(flatten)]
    pub info: SliceInfo,
    /// Statuses of detection and segmentation; empty means ok.
    pub statuses: Vec<SliceStatus>,
    /// Mask pixels of T1C, or of the axial slice if T1C was resliced.
    pub pixels: usize,
    /// Area of these pixels.
    pub area_mm2: f64,
}

/// Segments every slice of `detection` that has a box.
///
/// # Errors
/// [`Error::Argument`] if the detection belongs to another study or model; errors of preparation
/// and of model runs; [`Error::Cancelled`].
pub fn segment(
    study: &Study,
    manifest: &Manifest,
    graphs: &(impl CropSegmenter + VolumeSegmenter),
    detection: &Detection,
    provenance: Provenance,
    run: &Run<'_>,
) -> Result<Segmentation> {
    let range = study.check_slices(Some(detection.range()))?;
    if detection.grid() != manifest.input.grid {
        return Err(Error::Argument(format!(
            "the detection's boxes lie on a grid of {} pixels, expected {}. Detect with the same \
             model first",
            detection.grid(),
            manifest.input.grid
        )));
    }
    let prepared = study.prepared(&manifest.input, range.clone(), run)?;
    // In storage order (of the axial slices, if T1C was resliced).
    let reference = study.reference().grid();
    let resliced = study.resliced().map(|resliced| &resliced.grid);
    let shape = resliced.unwrap_or(reference).shape();
    let mut result = Segmentation {
        probability: memory::zeros(shape),
        mask: memory::zeros(shape),
        threshold: manifest.segmenter.threshold as f32,
        axial: None,
        slices: Vec::with_capacity(detection.slices().len()),
        volume_mm3: 0.0,
        edited: detection.is_edited(),
        provenance,
    };
    let mut segmenter = Segmenter::new(study, manifest, graphs, detection, &prepared, run)?;
    let mut crops = Vec::new();
    for slice in detection.slices() {
        let crop = slice.bounding_box.map(|b| segmenter.crop(slice.info.slice, b)).transpose()?;
        result.add_slice(study, slice, crop.as_ref(), &prepared.fit);
        if resliced.is_some() {
            crops.extend(crop);
        }
    }
    if let Some(axial) = resliced {
        result.move_onto(reference, &crops, &prepared.fit, axial);
    }
    Ok(result)
}

impl Segmentation {
    /// Adds a slice of the detection, with its crop if it has a box.
    fn add_slice(&mut self, study: &Study, slice: &SliceDetection, crop: Option<&Crop>, fit: &Fit) {
        let k = slice.info.slice;
        let mut statuses = slice.statuses.clone();
        let mut pixels = 0;
        if let Some(crop) = crop {
            let orientation = study.orientation();
            let mut probability = orientation.canonical_mut(self.probability.view_mut());
            let mut mask = orientation.canonical_mut(self.mask.view_mut());
            pixels = write_slice(
                crop,
                fit,
                self.threshold,
                probability.index_axis_mut(Axis(0), k),
                mask.index_axis_mut(Axis(0), k),
            );
            if pixels == 0 {
                statuses.push(SliceStatus::NoLesion);
            } else if crop.reaches_border(self.threshold) {
                statuses.push(SliceStatus::MaskAtCropEdge);
            }
        }
        self.volume_mm3 += pixels as f64 * study.grid().voxel_mm3(k);
        self.slices.push(SliceSegmentation {
            info: slice.info.clone(),
            statuses,
            pixels,
            area_mm2: pixels as f64 * study.grid().pixel_mm2(),
        });
    }

    /// Moves the result from the axial slices of a resliced T1C onto T1C's own grid.
    fn move_onto(&mut self, reference: &Grid, crops: &[Crop], fit: &Fit, axial: &Grid) {
        let moved = resample_crops(crops, fit, axial, reference);
        self.axial = Some(std::mem::replace(&mut self.probability, moved));
        self.mask = self.probability.mapv(|p| u8::from(p >= self.threshold));
        self.volume_mm3 = region_mm3(self.mask.view(), reference, |m| *m != 0);
    }
}

/// Writes the probability and mask of one slice; returns the number of mask pixels.
fn write_slice(
    crop: &Crop,
    fit: &Fit,
    threshold: f32,
    mut probability: ArrayViewMut2<'_, f32>,
    mut mask: ArrayViewMut2<'_, u8>,
) -> usize {
    let [rows, columns] = crop.sample(fit, probability.view_mut());
    // Elsewhere the probability is 0, below any threshold.
    let inside = s![rows, columns];
    let mut pixels = 0;
    for (mask, p) in mask.slice_mut(inside).iter_mut().zip(probability.slice(inside)) {
        *mask = u8::from(*p >= threshold);
        pixels += usize::from(*mask);
    }
    pixels
}

/// Gives the crop of one slice after the other, whatever the kind of segmenter.
struct Segmenter<'a> {
    manifest: &'a Manifest,
    prepared: &'a Prepared,
    kind: Kind<'a>,
    run: &'a Run<'a>,
}

enum Kind<'a> {
    /// One model run per slice.
    Crop { graph: &'a dyn CropSegmenter, side: usize, done: usize, boxes: usize },
    /// All model runs were made when it opened; positions of the canonical slices, mm.
    Volume { block: Option<ProbabilityBlock>, places_mm: Vec<f64> },
}

impl<'a> Segmenter<'a> {
    fn new(
        study: &Study,
        manifest: &'a Manifest,
        graphs: &'a (impl CropSegmenter + VolumeSegmenter),
        detection: &Detection,
        prepared: &'a Prepared,
        run: &'a Run<'a>,
    ) -> Result<Self> {
        let start = prepared.slices.start;
        let boxes: Vec<(usize, BoundingBox)> = detection
            .slices()
            .iter()
            .filter_map(|s| Some((s.info.slice - start, enlarged(manifest, s.bounding_box?))))
            .collect();
        let kind = match &manifest.segmenter.kind {
            SegmenterKind::Crop { side } => {
                run.tick(Stage::Segment, 0, boxes.len())?;
                Kind::Crop { graph: graphs, side: *side, done: 0, boxes: boxes.len() }
            }
            SegmenterKind::Volume(window) => {
                let places_mm: Vec<f64> = places_mm(study);
                let stack = Stack {
                    images: prepared.images.view(),
                    places_mm: places_mm[prepared.slices.clone()].to_vec(),
                    pixel_mm: prepared.fit.pixel_mm(study.grid()),
                };
                Kind::Volume {
                    block: ProbabilityBlock::predict(graphs, window, &stack, &boxes, run)?,
                    places_mm,
                }
            }
        };
        Ok(Segmenter { manifest, prepared, kind, run })
    }

    /// The probability around the detector's box on the canonical slice `k`.
    fn crop(&mut self, k: usize, bounding_box: BoundingBox) -> Result<Crop> {
        let enlarged = enlarged(self.manifest, bounding_box);
        let (graph, side, done, boxes) = match &mut self.kind {
            Kind::Crop { graph, side, done, boxes } => (*graph, *side, done, *boxes),
            Kind::Volume { block: Some(block), places_mm } => {
                return Ok(block.crop(k, places_mm[k], enlarged));
            }
            Kind::Volume { block: None, .. } => {
                return Err(Error::Internal("a box without a probability block".into()));
            }
        };
        // One box at a time: on the CPU, batching RANet saves no time and costs memory.
        let row = (k - self.prepared.slices.start) as i64;
        let images = self.prepared.images.view();
        let output = graph.segment_crops(images, &[enlarged.to_f32()], &[row])?;
        if output.dim() != (1, 1, side, side) {
            return Err(wrong_shape(output.raw_dim().slice(), &[1, 1, side, side]));
        }
        if output.iter().any(|p| !(0.0..=1.0).contains(p)) {
            return Err(out_of_range(&format!("on slice {k}")));
        }
        *done += 1;
        self.run.tick(Stage::Segment, *done, boxes)?;
        let probability = output.index_axis_move(Axis(0), 0).index_axis_move(Axis(0), 0);
        Ok(Crop { slice: k, probability, extent: enlarged.0, bounding_box: enlarged })
    }
}

fn enlarged(manifest: &Manifest, bounding_box: BoundingBox) -> BoundingBox {
    bounding_box.enlarged(manifest.segmenter.context_factor, manifest.input.grid)
}

/// Distances of the canonical slices from the first along their normal, mm.
fn places_mm(study: &Study) -> Vec<f64> {
    let positions = study.grid().positions();
    positions.iter().map(|p| (p - positions[0]).abs()).collect()
}

/// The error for a value that is no probability; `place` says where it was found.
fn out_of_range(place: &str) -> Error {
    Error::Runtime {
        message: format!(
            "the segmenter gave a value outside 0 .. 1 {place}. The bundle's weights are damaged \
             or the device miscalculates"
        ),
        source: None,
    }
}

/// The error for a probability of another shape than the graph's signature promises.
fn wrong_shape(found: &[usize], expected: &[usize]) -> Error {
    Error::bundle(format!(
        "the segmenter gave a probability of {found:?}, expected {expected:?}. Export the bundle \
         again"
    ))
}
