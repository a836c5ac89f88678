//! The networks' input: scaled channels on the bundle's square grid.
//!
//! In: aligned canonical slices and the bundle's input section. Out: images [S, 3, G, G] float32 in
//! [0, 1] and the [`Fit`] between grid and slice coordinates. Coordinates are pixel edges: pixel i
//! spans i .. i + 1 and is centred at i + 0.5.

use ndarray::parallel::prelude::*;
use ndarray::{Array4, ArrayView2, Axis};

use crate::bundle::manifest::{FitKind, Scaling};
use crate::error::{Error, Result};
use crate::geometry::grid::Grid;
use crate::geometry::interpolate::{Taps, sample_plane};
use crate::memory;
use crate::sequence::Sequence;
use crate::volume::Volume;

/// Map between the bundle's grid and a slice of T1C, both in pixel-edge coordinates: slice = (grid
/// - G / 2) * scale + size / 2.
#[derive(Debug, Clone, Copy, PartialEq, serde::Serialize)]
pub struct Fit {
    /// Side of the square grid, pixels.
    pub grid: usize,
    /// Slice pixels per grid pixel along x (columns) and y (rows).
    pub scale: [f64; 2],
    /// Slice size (columns, rows).
    pub size: [usize; 2],
}

impl Fit {
    /// The fit of a slice of `slice_grid` onto a square grid of `grid` pixels.
    pub fn new(kind: &FitKind, grid: usize, slice_grid: &Grid) -> Self {
        let [ni, nj, _] = slice_grid.size();
        let [dx, dy] = slice_grid.pixel_mm();
        let g = grid as f64;
        let scale = match kind {
            FitKind::Stretch => [ni as f64 / g, nj as f64 / g],
            FitKind::Pad => {
                let side = (ni as f64 * dx).max(nj as f64 * dy);
                [side / (g * dx), side / (g * dy)]
            }
            FitKind::Mm { pixel_mm } => [pixel_mm / dx, pixel_mm / dy],
        };
        Fit { grid, scale, size: [ni, nj] }
    }

    /// Size of a pixel of the grid along x and y, mm; `slice_grid` is the grid for which the fit
    /// was made.
    pub fn pixel_mm(&self, slice_grid: &Grid) -> [f64; 2] {
        let [dx, dy] = slice_grid.pixel_mm();
        [self.scale[0] * dx, self.scale[1] * dy]
    }

    /// Slice edge coordinates (x, y) of a grid point.
    pub fn to_slice(&self, x: f64, y: f64) -> [f64; 2] {
        let half = self.grid as f64 / 2.0;
        [
            (x - half) * self.scale[0] + self.size[0] as f64 / 2.0,
            (y - half) * self.scale[1] + self.size[1] as f64 / 2.0,
        ]
    }

    /// Grid edge coordinates (x, y) of a slice point.
    pub fn to_grid(&self, x: f64, y: f64) -> [f64; 2] {
        let half = self.grid as f64 / 2.0;
        [
            (x - self.size[0] as f64 / 2.0) / self.scale[0] + half,
            (y - self.size[1] as f64 / 2.0) / self.scale[1] + half,
        ]
    }
}

/// The divisor of a channel.
///
/// # Errors
/// [`Error::Image`] if `study_percentile` finds no voxel above 0.
pub fn divisor(scaling: &Scaling, volume: &Volume, sequence: Sequence) -> Result<f64> {
    match scaling {
        Scaling::DatasetMax { value } => Ok(*value),
        Scaling::StudyPercentile { percentile } => signal_percentile(volume, sequence, *percentile),
    }
}

/// Percentile of the voxels of `sequence` above 0.
///
/// # Errors
/// [`Error::Image`] if there are none.
pub(crate) fn signal_percentile(
    volume: &Volume,
    sequence: Sequence,
    percentile: f64,
) -> Result<f64> {
    volume.percentile_above_zero(percentile).ok_or_else(|| {
        Error::Image(format!(
            "{sequence}: no voxel lies above 0, expected MR signal. Check the rescale intercept \
             or the file"
        ))
    })
}

/// Scales and fits `channels[c][s]`, 2D slices [j, i] on T1C's canonical grid, to [S, 3, G, G].
pub fn images(
    channels: [Vec<ArrayView2<'_, f32>>; 3],
    divisors: [f64; 3],
    fit: &Fit,
) -> Array4<f32> {
    let slices = channels[0].len();
    let mut images: Array4<f32> = memory::zeros((slices, 3, fit.grid, fit.grid));
    let (rows, columns) = (taps(fit, 1), taps(fit, 0));
    images.axis_iter_mut(Axis(0)).into_par_iter().enumerate().for_each(|(s, mut slice)| {
        for (c, plane) in slice.axis_iter_mut(Axis(0)).enumerate() {
            let divisor = divisors[c] as f32;
            sample_plane(channels[c][s], &rows, &columns, plane, |value| {
                (value / divisor).clamp(0.0, 1.0)
            });
        }
    });
    images
}

/// The taps of the grid's pixels on an axis of the slice (0: columns, 1: rows).
fn taps(fit: &Fit, axis: usize) -> Taps {
    let size = fit.size[axis];
    Taps::new(fit.grid, size, |g| {
        let at = fit.to_slice(g as f64 + 0.5, g as f64 + 0.5)[axis] - 0.5;
        (-0.5..=size as f64 - 0.5).contains(&at).then_some(at)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use ndarray::Array2;

    fn grid(ni: usize, nj: usize, dx: f64, dy: f64) -> Grid {
        let affine =
            [[dx, 0.0, 0.0, 0.0], [0.0, dy, 0.0, 0.0], [0.0, 0.0, 5.0, 0.0], [0.0, 0.0, 0.0, 1.0]];
        Grid::from_affine([ni, nj, 2], &affine).unwrap()
    }

    #[test]
    fn fits_are_inverse_and_centred() {
        for kind in [FitKind::Stretch, FitKind::Pad, FitKind::Mm { pixel_mm: 0.74 }] {
            let fit = Fit::new(&kind, 384, &grid(301, 256, 0.9, 0.5));
            let [x, y] = fit.to_slice(17.25, 300.5);
            let back = fit.to_grid(x, y);
            assert!((back[0] - 17.25).abs() < 1e-9 && (back[1] - 300.5).abs() < 1e-9);
            assert_eq!(fit.to_slice(192.0, 192.0), [150.5, 128.0]);
        }
        // Stretch maps the field of view's edges onto the grid's.
        assert_eq!(
            Fit::new(&FitKind::Stretch, 384, &grid(301, 256, 0.9, 0.5)).to_slice(0.0, 384.0),
            [0.0, 256.0]
        );
        // Pad keeps millimetres square: one grid pixel is as long along x as along y.
        let pad = Fit::new(&FitKind::Pad, 384, &grid(301, 256, 0.9, 0.5));
        assert!((pad.scale[0] * 0.9 - pad.scale[1] * 0.5).abs() < 1e-12);
    }

    #[test]
    fn identity_fit_scales_and_clips_only() {
        let slice = Array2::from_shape_fn((4, 4), |(j, i)| (j * 4 + i) as f32);
        let fit = Fit::new(&FitKind::Mm { pixel_mm: 0.7 }, 4, &grid(4, 4, 0.7, 0.7));
        let out =
            images([vec![slice.view()], vec![slice.view()], vec![slice.view()]], [10.0; 3], &fit);
        for (a, b) in out.index_axis(Axis(0), 0).index_axis(Axis(0), 1).iter().zip(&slice) {
            assert!((a - (b / 10.0).min(1.0)).abs() < 1e-6);
        }
    }

    #[test]
    fn outside_the_slice_is_zero() {
        let slice = Array2::from_elem((4, 4), 5.0f32);
        let fit = Fit::new(&FitKind::Mm { pixel_mm: 1.0 }, 8, &grid(4, 4, 1.0, 1.0));
        let out =
            images([vec![slice.view()], vec![slice.view()], vec![slice.view()]], [5.0; 3], &fit);
        assert_eq!(out.sum(), 3.0 * 16.0);
        assert_eq!(out[[0, 0, 1, 4]], 0.0);
        assert_eq!(out[[0, 0, 2, 2]], 1.0);
    }
}
