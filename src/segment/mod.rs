//! Stage two: RANet inside the enlarged box (3.2, 4.2.3).
//!
//! In: a study and a detection. Out: a [`Segmentation`]: probability and mask on T1C's own storage grid, statistics and statuses per slice.

use std::ops::Range;

use ndarray::{Array2, Array3, ArrayView2, ArrayViewMut2, Axis, s};

use crate::bundle::manifest::Manifest;
use crate::detect::{BoundingBox, Detection};
use crate::engine::Provenance;
use crate::error::{Error, Result};
use crate::memory;
use crate::run::{Run, Stage};
use crate::runtime::networks::Graphs;
use crate::status::Status;
use crate::study::interpolate::{Taps, sample_plane};
use crate::study::prepare::Fit;
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
    /// Mask pixels of T1C.
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
    // Both in storage order; slices are written through canonical views of them.
    let mut probability: Array3<f32> = memory::zeros(study.reference().grid().shape());
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
            done += 1;
            run.tick(Stage::Segment, done, boxes)?;
        }
        volume_mm3 += pixels as f64 * study.grid().voxel_mm3(k);
        slices.push(SliceSegmentation { info: slice.info.clone(), statuses, pixels, area_mm2: pixels as f64 * pixel_mm2 });
    }
    Ok(Segmentation { probability, mask, threshold, slices, volume_mm3, edited: detection.is_edited(), provenance })
}

/// Samples the crop's probability at a slice's pixel centres: grid and crop transforms composed, one bilinear interpolation, the crop's border
/// pixels held up to the box's edge; what lies outside is left as it is. Crop pixel u of C is centred at x0 + (u + 0.5)(x1 - x0) / C. Gives
/// the rows and columns of the slice that lie inside.
pub fn sample(crop: ArrayView2<'_, f32>, bounding_box: &BoundingBox, fit: &Fit, plane: ArrayViewMut2<'_, f32>) -> [Range<usize>; 2] {
    let [x0, y0, x1, y1] = bounding_box.0;
    let taps = |axis: usize, low: f64, high: f64, count: usize, size: usize| {
        Taps::new(count, size, |at| {
            let g = fit.to_grid(at as f64 + 0.5, at as f64 + 0.5)[axis];
            (low..=high).contains(&g).then(|| (g - low) * size as f64 / (high - low) - 0.5)
        })
    };
    let rows = taps(1, y0, y1, plane.nrows(), crop.nrows());
    let columns = taps(0, x0, x1, plane.ncols(), crop.ncols());
    sample_plane(crop, &rows, &columns, plane, |p| p);
    [rows.inside, columns.inside]
}

/// Whether the outermost crop pixels are over the threshold.
fn reaches_border(crop: ArrayView2<'_, f32>, threshold: f32) -> bool {
    let (rows, columns) = crop.dim();
    let over = |v: usize, u: usize| crop[[v, u]] >= threshold;
    (0..columns).any(|u| over(0, u) || over(rows - 1, u)) || (0..rows).any(|v| over(v, 0) || over(v, columns - 1))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bundle::manifest::FitKind;
    use crate::study::grid::Grid;

    /// A disc drawn on a crop's own grid comes back on the slice with its centroid within 0.05 pixel, for odd sizes, non-square slices,
    /// anisotropic pixels and fractional boxes.
    #[test]
    fn a_disc_comes_back_where_it_was() {
        for (ni, nj, dx, dy) in [(301, 256, 0.9, 0.5), (384, 384, 0.74, 0.74), (255, 511, 0.8, 0.8)] {
            let affine = [[dx, 0.0, 0.0, 0.0], [0.0, dy, 0.0, 0.0], [0.0, 0.0, 5.0, 0.0], [0.0, 0.0, 0.0, 1.0]];
            let grid = Grid::from_affine([ni, nj, 2], &affine).unwrap();
            for kind in [FitKind::Stretch, FitKind::Pad, FitKind::Mm { pixel_mm: 0.74 }] {
                let fit = Fit::new(&kind, 384, &grid);
                let bounding_box = BoundingBox([120.3, 140.7, 231.9, 229.2]);
                let [x0, y0, x1, y1] = bounding_box.0;
                let (cx, cy) = (177.77, 183.31);
                let c = 128;
                let crop = Array2::from_shape_fn((c, c), |(v, u)| {
                    let x = x0 + (u as f64 + 0.5) * (x1 - x0) / c as f64;
                    let y = y0 + (v as f64 + 0.5) * (y1 - y0) / c as f64;
                    let r = ((x - cx).powi(2) + (y - cy).powi(2)).sqrt();
                    // A smooth edge, one grid pixel wide or more, so that the centroid is well defined on any sampling.
                    (1.0 / (1.0 + ((r - 25.0) / 1.5).exp())) as f32
                });
                let mut plane = Array2::zeros((nj, ni));
                sample(crop.view(), &bounding_box, &fit, plane.view_mut());
                let (mut sx, mut sy, mut s) = (0.0, 0.0, 0.0);
                for ((j, i), p) in plane.indexed_iter() {
                    s += f64::from(*p);
                    sx += f64::from(*p) * (i as f64 + 0.5);
                    sy += f64::from(*p) * (j as f64 + 0.5);
                }
                let expected = fit.to_slice(cx, cy);
                assert!(
                    (sx / s - expected[0]).abs() < 0.05 && (sy / s - expected[1]).abs() < 0.05,
                    "{kind:?} {ni}x{nj}: {} {}",
                    sx / s,
                    sy / s
                );
            }
        }
    }

    #[test]
    fn outside_the_box_is_zero() {
        let grid =
            Grid::from_affine([32, 32, 2], &[[1.0, 0.0, 0.0, 0.0], [0.0, 1.0, 0.0, 0.0], [0.0, 0.0, 5.0, 0.0], [0.0, 0.0, 0.0, 1.0]])
                .unwrap();
        let fit = Fit::new(&FitKind::Mm { pixel_mm: 1.0 }, 32, &grid);
        let mut plane = Array2::zeros((32, 32));
        sample(Array2::from_elem((8, 8), 1.0f32).view(), &BoundingBox([8.0, 4.0, 24.0, 12.0]), &fit, plane.view_mut());
        assert_eq!(plane.sum(), 16.0 * 8.0);
        assert_eq!((plane[[4, 8]], plane[[3, 8]], plane[[11, 23]], plane[[11, 24]]), (1.0, 0.0, 1.0, 0.0));
    }
}
