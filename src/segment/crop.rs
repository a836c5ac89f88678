//! The probability on a slice, and between slices.
//!
//! In: the segmenter's output around its box, one [`Crop`] per slice. Out: the probability at any
//! point: bilinear between the crop's pixel centres, constant beyond its outermost centres, 0
//! outside the box; linear from slice to slice if T1C was resliced. The transforms of crop, grid
//! and slice are composed, so every probability is interpolated once in the plane, from the
//! segmenter's own pixels.

use std::ops::Range;

use ndarray::parallel::prelude::*;
use ndarray::{Array2, Array3, ArrayViewMut2, Axis};

use crate::detect::BoundingBox;
use crate::geometry::Grid;
use crate::geometry::interpolate::{Tap, Taps, mix, sample_plane};
use crate::memory;
use crate::study::prepare::Fit;

/// The segmenter's output on one canonical slice. Coordinates are pixel edges of the model's grid.
#[derive(Debug, Clone)]
pub struct Crop {
    /// Number of the canonical slice.
    pub slice: usize,
    /// [rows, columns].
    pub probability: Array2<f32>,
    /// x0, y0, x1, y1 of the area that the probability's pixels fill: pixel u is centred at
    /// x0 + (u + 0.5)(x1 - x0) / columns.
    pub extent: [f64; 4],
    /// The valid region, which is the extent or a part of it; the probability is 0 outside it.
    pub bounding_box: BoundingBox,
}

impl Crop {
    /// Continuous index of the crop's pixels at a coordinate of the grid along `axis` (0: columns,
    /// 1: rows); `None` outside the box.
    fn index(&self, axis: usize, g: f64) -> Option<f64> {
        let (inside, [low, high]) = (
            self.bounding_box.0[axis]..=self.bounding_box.0[axis + 2],
            [self.extent[axis], self.extent[axis + 2]],
        );
        inside.contains(&g).then(|| (g - low) * self.size(axis) as f64 / (high - low) - 0.5)
    }

    fn size(&self, axis: usize) -> usize {
        self.probability.shape()[1 - axis]
    }

    /// Samples the probability at a slice's pixel centres and leaves pixels outside the box
    /// unchanged. Returns the rows and columns of the slice that lie inside the box.
    pub fn sample(&self, fit: &Fit, plane: ArrayViewMut2<'_, f32>) -> [Range<usize>; 2] {
        let taps = |axis: usize, count: usize| {
            Taps::new(count, self.size(axis), |at| {
                self.index(axis, fit.to_grid(at as f64 + 0.5, at as f64 + 0.5)[axis])
            })
        };
        let rows = taps(1, plane.nrows());
        let columns = taps(0, plane.ncols());
        sample_plane(self.probability.view(), &rows, &columns, plane, |p| p);
        [rows.inside, columns.inside]
    }

    /// The probability at the continuous slice index (i, j): pixel centres.
    fn at(&self, fit: &Fit, i: f64, j: f64) -> f32 {
        let [x, y] = fit.to_grid(i + 0.5, j + 0.5);
        let (Some(u), Some(v)) = (self.index(0, x), self.index(1, y)) else { return 0.0 };
        let (across, down) = (Tap::new(u, self.size(0)), Tap::new(v, self.size(1)));
        let row = |v: usize| {
            mix(
                self.probability[[v, across.low]],
                self.probability[[v, across.high]],
                across.weight,
            )
        };
        mix(row(down.low), row(down.high), down.weight)
    }

    /// Whether one of the outermost pixels centred in the box reaches the threshold.
    pub fn reaches_border(&self, threshold: f32) -> bool {
        let centred = |axis: usize| {
            let [low, high] = [self.extent[axis], self.extent[axis + 2]];
            let pixel = (high - low) / self.size(axis) as f64;
            let inside = self.bounding_box.0[axis]..=self.bounding_box.0[axis + 2];
            let mut all = (0..self.size(axis))
                .filter(|n| inside.contains(&(low + (*n as f64 + 0.5) * pixel)));
            let first = all.next()?;
            Some((first, all.next_back().unwrap_or(first)))
        };
        let (Some((left, right)), Some((top, bottom))) = (centred(0), centred(1)) else {
            return false;
        };
        let over = |v: usize, u: usize| self.probability[[v, u]] >= threshold;
        (left..=right).any(|u| over(top, u) || over(bottom, u))
            || (top..=bottom).any(|v| over(v, left) || over(v, right))
    }
}

/// The probability [k, j, i] at the voxel centres of `target`, from crops on the evenly spaced
/// slices of `axial`; a slice without a crop counts as 0.
pub fn resample_crops(crops: &[Crop], fit: &Fit, axial: &Grid, target: &Grid) -> Array3<f32> {
    let mut by_slice: Vec<Option<&Crop>> = vec![None; axial.size()[2]];
    for crop in crops {
        if let Some(place) = by_slice.get_mut(crop.slice) {
            *place = Some(crop);
        }
    }
    let mut out: Array3<f32> = memory::zeros(target.shape());
    let locator = axial.locator();
    let (last, top) = (target.size()[0] - 1, axial.size()[2] - 1);
    out.axis_iter_mut(Axis(0)).into_par_iter().enumerate().for_each(|(k, mut plane)| {
        for (j, mut row) in plane.rows_mut().into_iter().enumerate() {
            // The index is affine along a row: two ends are enough.
            let [start, end] =
                [0, last].map(|i| locator.index(target.point(i as f64, j as f64, k)));
            for (i, value) in row.iter_mut().enumerate() {
                let [x, y, z] = std::array::from_fn(|a| {
                    start[a] + (end[a] - start[a]) * (i as f64 / last.max(1) as f64)
                });
                // Rounding may place a voxel beyond the outermost slices.
                let z = z.clamp(0.0, top as f64);
                let below = z as usize;
                let t = z - below as f64;
                let of = |slice: usize| by_slice[slice].map_or(0.0, |crop| crop.at(fit, x, y));
                let above = if t > 0.0 { of(below + 1) } else { 0.0 };
                *value = mix(of(below), above, t as f32);
            }
        }
    });
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bundle::manifest::FitKind;

    /// A disc drawn on a crop's own grid has its centroid within 0.05 pixel on the slice, for odd
    /// sizes, non-square slices, anisotropic pixels and fractional boxes.
    #[test]
    fn a_disc_keeps_its_centroid() {
        for (ni, nj, dx, dy) in [(301, 256, 0.9, 0.5), (384, 384, 0.74, 0.74), (255, 511, 0.8, 0.8)]
        {
            let affine = [
                [dx, 0.0, 0.0, 0.0],
                [0.0, dy, 0.0, 0.0],
                [0.0, 0.0, 5.0, 0.0],
                [0.0, 0.0, 0.0, 1.0],
            ];
            let grid = Grid::from_affine([ni, nj, 2], &affine).unwrap();
            for kind in [FitKind::Stretch, FitKind::Pad, FitKind::Mm { pixel_mm: 0.74 }] {
                let fit = Fit::new(&kind, 384, &grid);
                let bounding_box = BoundingBox([120.3, 140.7, 231.9, 229.2]);
                let [x0, y0, x1, y1] = bounding_box.0;
                let (cx, cy) = (177.77, 183.31);
                let c = 128;
                let probability = Array2::from_shape_fn((c, c), |(v, u)| {
                    let x = x0 + (u as f64 + 0.5) * (x1 - x0) / c as f64;
                    let y = y0 + (v as f64 + 0.5) * (y1 - y0) / c as f64;
                    let r = ((x - cx).powi(2) + (y - cy).powi(2)).sqrt();
                    // A smooth edge, one grid pixel wide or more, so that the centroid is well
                    // defined on any sampling.
                    (1.0 / (1.0 + ((r - 25.0) / 1.5).exp())) as f32
                });
                let mut plane = Array2::zeros((nj, ni));
                Crop { slice: 0, probability, extent: bounding_box.0, bounding_box }
                    .sample(&fit, plane.view_mut());
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
        let grid = Grid::from_affine(
            [32, 32, 2],
            &[
                [1.0, 0.0, 0.0, 0.0],
                [0.0, 1.0, 0.0, 0.0],
                [0.0, 0.0, 5.0, 0.0],
                [0.0, 0.0, 0.0, 1.0],
            ],
        )
        .unwrap();
        let fit = Fit::new(&FitKind::Mm { pixel_mm: 1.0 }, 32, &grid);
        let mut plane = Array2::zeros((32, 32));
        let bounding_box = BoundingBox([8.0, 4.0, 24.0, 12.0]);
        let mut crop = Crop {
            slice: 0,
            probability: Array2::from_elem((8, 8), 1.0f32),
            extent: bounding_box.0,
            bounding_box,
        };
        crop.sample(&fit, plane.view_mut());
        assert_eq!(plane.sum(), 16.0 * 8.0);
        assert_eq!(
            (plane[[4, 8]], plane[[3, 8]], plane[[11, 23]], plane[[11, 24]]),
            (1.0, 0.0, 1.0, 0.0)
        );
        // If the pixels reach farther than the box, the box limits them.
        crop.extent = [0.0, 0.0, 32.0, 32.0];
        plane.fill(0.0);
        crop.sample(&fit, plane.view_mut());
        assert_eq!(plane.sum(), 16.0 * 8.0);
    }

    #[test]
    fn the_border_is_the_border_of_the_box() {
        let mut crop = Crop {
            slice: 0,
            probability: Array2::zeros((8, 10)),
            extent: [10.0, 20.0, 30.0, 36.0],
            bounding_box: BoundingBox([10.0, 20.0, 30.0, 36.0]),
        };
        assert!(!crop.reaches_border(0.5));
        crop.probability[[3, 4]] = 0.5;
        assert!(!crop.reaches_border(0.5));
        // Pixel (3, 4) is centred at x 19, y 27: the outermost of a box that begins just before it.
        for (bounding_box, reached) in [
            ([18.9, 20.0, 30.0, 36.0], true),
            ([19.1, 20.0, 30.0, 36.0], false),
            ([16.9, 20.0, 30.0, 36.0], false),
            ([10.0, 20.0, 19.0, 36.0], true),
            ([10.0, 26.5, 30.0, 36.0], true),
            ([10.0, 20.0, 30.0, 28.9], true),
            ([10.0, 20.0, 30.0, 29.0], false),
            ([19.2, 27.2, 19.4, 27.4], false),
        ] {
            crop.bounding_box = BoundingBox(bounding_box);
            assert_eq!(crop.reaches_border(0.5), reached, "{bounding_box:?}");
        }
    }

    /// On a slice's own voxel centres the probability between slices is the slice's own; half-way
    /// between two it is their mean, and beyond the last box it falls to 0 at the next slice.
    #[test]
    fn the_probability_is_linear_between_slices() {
        let affine = |dz: f64, z: f64| {
            [[1.0, 0.0, 0.0, 0.0], [0.0, 1.0, 0.0, 0.0], [0.0, 0.0, dz, z], [0.0, 0.0, 0.0, 1.0]]
        };
        let axial = Grid::from_affine([20, 20, 5], &affine(3.0, 0.0)).unwrap();
        let fit = Fit::new(&FitKind::Mm { pixel_mm: 0.5 }, 48, &axial);
        let crop = |slice: usize, base: f32| {
            let probability =
                Array2::from_shape_fn((8, 8), |(v, u)| base + (v * 8 + u) as f32 / 200.0);
            let bounding_box = BoundingBox([10.3, 9.0, 30.0, 33.7]);
            Crop { slice, probability, extent: bounding_box.0, bounding_box }
        };
        let crops = [crop(2, 0.1), crop(3, 0.5)];
        let planes: Vec<Array2<f32>> = crops
            .iter()
            .map(|c| {
                let mut plane = Array2::zeros((20, 20));
                c.sample(&fit, plane.view_mut());
                plane
            })
            .collect();
        let target = Grid::from_affine([20, 20, 9], &affine(1.5, 0.0)).unwrap();
        let found = resample_crops(&crops, &fit, &axial, &target);
        for ((k, j, i), p) in found.indexed_iter() {
            let [a, b] = [&planes[0], &planes[1]].map(|plane| plane[[j, i]]);
            let expected = [0.0, 0.0, 0.0, a / 2.0, a, (a + b) / 2.0, b, b / 2.0, 0.0][k];
            assert!((p - expected).abs() < 1e-6, "{k} {j} {i}: {p} {expected}");
        }
        assert!(found.iter().any(|p| *p > 0.5));
        // The same places in a sagittal storage order.
        let rows = [
            [0.0, 0.0, 1.0, 0.0],
            [1.0, 0.0, 0.0, 0.0],
            [0.0, 1.5, 0.0, 0.0],
            [0.0, 0.0, 0.0, 1.0],
        ];
        let sagittal =
            resample_crops(&crops, &fit, &axial, &Grid::from_affine([20, 9, 20], &rows).unwrap());
        for ((x, z, y), p) in sagittal.indexed_iter() {
            assert!((p - found[[z, y, x]]).abs() < 1e-6);
        }
    }
}
