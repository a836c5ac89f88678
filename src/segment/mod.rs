//! Stage two: RANet inside the enlarged box (3.2, 4.2.3).
//!
//! In: a study and a detection. Out: a [`Segmentation`]: probability and mask on T1C's own storage grid, statistics and statuses per slice.

pub mod field;

use ndarray::{Array2, Array3, ArrayView2, Axis, s};

use crate::bundle::manifest::Manifest;
use crate::detect::Detection;
use crate::engine::Provenance;
use crate::error::{Error, Result};
use crate::memory;
use crate::run::{Run, Stage};
use crate::runtime::networks::Graphs;
use crate::segment::field::{Crop, sample};
use crate::status::Status;
use crate::study::{SliceInfo, Study};

/// Mask and probability on T1C's grid.
#[derive(Debug, Clone)]
pub struct Segmentation {
    /// [k, j, i], T1C's storage order, in [0, 1]; 0 where nothing was looked at.
    pub probability: Array3<f32>,
    /// [k, j, i], T1C's storage order: 1 where the probability is at least the threshold.
    pub mask: Array3<u8>,
    /// The bundle's threshold.
    pub threshold: f32,
    /// Where T1C was resliced: the probability on the axial slices that the model saw, [k, j, i] on the study's grid.
    pub axial: Option<Array3<f32>>,
    /// The slices of the detection, in canonical order.
    pub slices: Vec<SliceSegmentation>,
    /// Volume of the mask, mm3.
    pub volume_mm3: f64,
    /// Whether a person replaced or cleared a box.
    pub edited: bool,
    /// Who made it.
    pub provenance: Provenance,
}

/// One slice of a segmentation.
#[derive(Debug, Clone, serde::Serialize)]
pub struct SliceSegmentation {
    #[serde(flatten)]
    pub info: SliceInfo,
    /// Statuses of detection and segmentation; empty is ok.
    pub statuses: Vec<Status>,
    /// Mask pixels of T1C; of the axial slice, where T1C was resliced.
    pub pixels: usize,
    pub area_mm2: f64,
}

/// Segments every slice of `detection` that has a box.
///
/// # Errors
/// [`Error::Argument`] where the detection is not of this study; what preparing and running give; [`Error::Cancelled`].
pub fn segment(
    study: &Study,
    manifest: &Manifest,
    graphs: &dyn Graphs,
    detection: &Detection,
    provenance: Provenance,
    run: &Run<'_>,
) -> Result<Segmentation> {
    let range = study.check_slices(Some(detection.range()))?;
    if detection.grid() != manifest.input.grid {
        return Err(Error::Argument(format!(
            "the detection's boxes lie on a grid of {} pixels, the model's is {}: detect with the same model first",
            detection.grid(),
            manifest.input.grid
        )));
    }
    let prepared = study.prepared(&manifest.input, range.clone(), run)?;
    let threshold = manifest.segmenter.threshold as f32;
    // Both in storage order (the axial slices' own, where T1C was resliced); slices are written through canonical views of them.
    let reference = study.reference().grid();
    let resliced = study.resliced().map(|resliced| &resliced.grid);
    let mut crops = Vec::new();
    let mut probability: Array3<f32> = memory::zeros(resliced.unwrap_or(reference).shape());
    let mut mask: Array3<u8> = memory::zeros(probability.dim());
    let pixel_mm2 = study.grid().pixel_mm2();
    let boxes = detection.slices().iter().filter(|s| s.bounding_box.is_some()).count();
    let mut slices = Vec::with_capacity(detection.slices().len());
    let mut volume_mm3 = 0.0;
    let mut done = 0;
    run.tick(Stage::Segment, 0, boxes)?;
    for slice in detection.slices() {
        let k = slice.info.slice;
        let mut statuses = slice.statuses.clone();
        let mut pixels = 0;
        if let Some(bounding_box) = slice.bounding_box {
            let enlarged = bounding_box.enlarged(manifest.segmenter.context_factor, detection.grid());
            // One row at a time: RANet gains nothing from batching on the CPU and pays in memory.
            let output = graphs.segmenter(prepared.images.view(), &[enlarged.to_f32()], &[(k - range.start) as i64])?;
            let output: Array2<f32> = output.index_axis_move(Axis(0), 0).index_axis_move(Axis(0), 0);
            if output.iter().any(|p| !(0.0..=1.0).contains(p)) {
                return Err(Error::Runtime {
                    message: format!(
                        "the segmenter gave a value outside 0 .. 1 on slice {k}. The bundle's weights are damaged or the device miscalculates"
                    ),
                    source: None,
                });
            }
            let orientation = study.orientation();
            let (mut volume, mut inside) = (orientation.canonical_mut(probability.view_mut()), orientation.canonical_mut(mask.view_mut()));
            let mut plane = volume.index_axis_mut(Axis(0), k);
            let [rows, columns] = sample(output.view(), &enlarged, &prepared.fit, plane.view_mut());
            // Elsewhere the probability is 0, below any threshold.
            let block = s![rows, columns];
            for (inside, p) in inside.index_axis_mut(Axis(0), k).slice_mut(block).iter_mut().zip(plane.slice(block)) {
                *inside = u8::from(*p >= threshold);
                pixels += usize::from(*inside);
            }
            if pixels == 0 {
                statuses.push(Status::NoLesion);
            } else if reaches_border(output.view(), threshold) {
                statuses.push(Status::MaskAtCropEdge);
            }
            if resliced.is_some() {
                crops.push(Crop { slice: k, probability: output, bounding_box: enlarged });
            }
            done += 1;
            run.tick(Stage::Segment, done, boxes)?;
        }
        volume_mm3 += pixels as f64 * study.grid().voxel_mm3(k);
        slices.push(SliceSegmentation { info: slice.info.clone(), statuses, pixels, area_mm2: pixels as f64 * pixel_mm2 });
    }
    let mut axial = None;
    if let Some(grid) = resliced {
        axial = Some(std::mem::replace(&mut probability, field::onto(&crops, &prepared.fit, grid, reference)));
        mask = probability.mapv(|p| u8::from(p >= threshold));
        let pixels = |k: usize| mask.index_axis(Axis(0), k).iter().filter(|m| **m != 0).count() as f64;
        volume_mm3 = (0..reference.size()[2]).map(|k| pixels(k) * reference.voxel_mm3(k)).sum();
    }
    Ok(Segmentation { probability, mask, threshold, axial, slices, volume_mm3, edited: detection.is_edited(), provenance })
}

/// Whether the outermost crop pixels are over the threshold.
fn reaches_border(crop: ArrayView2<'_, f32>, threshold: f32) -> bool {
    let (rows, columns) = crop.dim();
    let over = |v: usize, u: usize| crop[[v, u]] >= threshold;
    (0..columns).any(|u| over(0, u) || over(rows - 1, u)) || (0..rows).any(|v| over(v, 0) || over(v, columns - 1))
}
