//! T1 and T2 brought onto T1C's grid.
//!
//! In: a source volume and a target grid, both in patient mm. Out: the source sampled at the target's voxel centres (trilinear, through the
//! affines; the outermost values held up to half a voxel beyond the outermost centres, 0 further out), and which of them it covers: a target
//! voxel is covered where it lies between the source's voxel centres, give or take a tenth of a voxel. What is held is not measured.

use std::borrow::Cow;

use ndarray::parallel::prelude::*;
use ndarray::{Array3, Axis};

use crate::study::grid::Grid;
use crate::study::volume::Volume;

/// How far beyond the outermost centres the source's values are held, in voxels; a little room for rounding.
const HELD: f64 = 0.5 + 1e-4;
/// How far beyond the outermost centres the source still counts as covering, in voxels: series of one examination differ by that much.
const COVERS: f64 = 0.1;

/// A sequence on the target's grid.
pub struct Resampled {
    /// [k, j, i] on the target grid.
    pub voxels: Array3<f32>,
    /// Whether the source covers the voxel.
    pub covered: Array3<bool>,
}

/// Samples `source` at the voxel centres of `target`.
pub fn resample(source: &Volume, target: &Grid) -> Resampled {
    let shape = target.shape();
    let mut voxels = Array3::zeros(shape);
    let mut covered = Array3::from_elem(shape, false);
    let locator = source.grid().locator();
    let uniform = source.grid().affine().is_some();
    let sampler = Sampler::new(source);
    voxels.axis_iter_mut(Axis(0)).into_par_iter().zip(covered.axis_iter_mut(Axis(0)).into_par_iter()).enumerate().for_each(
        |(k, (mut plane, mut plane_covered))| {
            let last = shape.2 - 1;
            for (j, (mut row, mut row_covered)) in plane.rows_mut().into_iter().zip(plane_covered.rows_mut()).enumerate() {
                // On an evenly spaced source the index is affine along a row: two ends are enough.
                let start = locator.index(target.point(0.0, j as f64, k));
                let end = locator.index(target.point(last as f64, j as f64, k));
                let step: [f64; 3] = std::array::from_fn(|a| (end[a] - start[a]) / last.max(1) as f64);
                for (i, (value, covers)) in row.iter_mut().zip(&mut row_covered).enumerate() {
                    let at = match uniform {
                        true => std::array::from_fn(|a| start[a] + step[a] * i as f64),
                        false => locator.index(target.point(i as f64, j as f64, k)),
                    };
                    if let Some((sample, beyond)) = sampler.trilinear(at) {
                        *value = sample;
                        *covers = beyond <= COVERS;
                    }
                }
            }
        },
    );
    Resampled { voxels, covered }
}

/// A source's voxels, flat: i fastest, then j, then k.
struct Sampler<'a> {
    data: Cow<'a, [f32]>,
    /// Largest index along i, j, k.
    last: [usize; 3],
    stride: [usize; 3],
}

impl<'a> Sampler<'a> {
    fn new(source: &'a Volume) -> Self {
        let [ni, nj, nk] = source.grid().size();
        let data = source.voxels().as_slice().map_or_else(|| Cow::Owned(source.voxels().iter().copied().collect()), Cow::Borrowed);
        Sampler { data, last: [ni - 1, nj - 1, nk - 1], stride: [1, ni, ni * nj] }
    }

    /// Value at continuous index (i, j, k) and how far it lies beyond the outermost centres, in voxels; `None` where that is more than half a
    /// voxel, the border's value in between.
    #[inline]
    fn trilinear(&self, at: [f64; 3]) -> Option<(f32, f64)> {
        let mut beyond = 0.0;
        let mut base = 0;
        let mut step = [0usize; 3];
        let mut t = [0f64; 3];
        for a in 0..3 {
            let last = self.last[a] as f64;
            let mut x = at[a];
            if x < 0.0 {
                beyond = f64::max(beyond, -x);
                x = 0.0;
            } else if x > last {
                beyond = f64::max(beyond, x - last);
                x = last;
            }
            let low = x as usize;
            t[a] = x - low as f64;
            base += low * self.stride[a];
            step[a] = if low < self.last[a] { self.stride[a] } else { 0 };
        }
        if beyond > HELD {
            return None;
        }
        let value = |offset: usize| f64::from(self.data[base + offset]);
        let along_i = |offset: usize| {
            let low = value(offset);
            low + (value(offset + step[0]) - low) * t[0]
        };
        let along_j = |offset: usize| {
            let low = along_i(offset);
            low + (along_i(offset + step[1]) - low) * t[1]
        };
        let low = along_j(0);
        Some(((low + (along_j(step[2]) - low) * t[2]) as f32, beyond))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::study::volume::Source;

    /// A field linear in patient coordinates is reproduced exactly by trilinear resampling, whatever the two grids.
    #[test]
    fn linear_fields_survive_any_grid() {
        let field = |p: [f64; 3]| (3.0 + 0.5 * p[0] - 0.25 * p[1] + 0.75 * p[2]) as f32;
        let c = (14f64).to_radians();
        let tilted = [
            [0.9, 0.0, 0.0, -20.0],
            [0.0, 0.8 * c.cos(), -4.0 * c.sin(), -18.0],
            [0.0, 0.8 * c.sin(), 4.0 * c.cos(), -9.0],
            [0.0, 0.0, 0.0, 1.0],
        ];
        let source_grid = Grid::from_affine([50, 48, 8], &tilted).unwrap();
        let fill = |grid: &Grid| {
            let (nk, nj, ni) = grid.shape();
            Array3::from_shape_fn((nk, nj, ni), |(k, j, i)| field(grid.point(i as f64, j as f64, k)))
        };
        let source = Volume::new(fill(&source_grid), source_grid, Source::Memory, "source").unwrap();
        let target =
            Grid::from_affine([9, 8, 3], &[[-1.1, 0.0, 0.0, 4.0], [0.0, 1.0, 0.0, -3.0], [0.0, 0.0, 3.0, 1.0], [0.0, 0.0, 0.0, 1.0]])
                .unwrap();
        let out = resample(&source, &target);
        assert!(out.covered.iter().all(|c| *c));
        let expected = fill(&target);
        for (a, b) in out.voxels.iter().zip(&expected) {
            assert!((a - b).abs() < 1e-4, "{a} {b}");
        }
    }

    #[test]
    fn values_are_held_half_a_voxel_and_cover_a_tenth() {
        let grid = Grid::from_affine([4, 4, 2], &[[1.0, 0.0, 0.0, 0.0], [0.0, 1.0, 0.0, 0.0], [0.0, 0.0, 2.0, 0.0], [0.0, 0.0, 0.0, 1.0]])
            .unwrap();
        let voxels = Array3::from_shape_fn((2, 4, 4), |(k, _, i)| (1 + k + i) as f32);
        let source = Volume::new(voxels, grid, Source::Memory, "source").unwrap();
        let at = |z: f64| {
            let affine = [[1.0, 0.0, 0.0, 0.0], [0.0, 1.0, 0.0, 0.0], [0.0, 0.0, 1.0, z], [0.0, 0.0, 0.0, 1.0]];
            let out = resample(&source, &Grid::from_affine([4, 4, 1], &affine).unwrap());
            (out.voxels[[0, 0, 0]], out.covered.iter().all(|c| *c))
        };
        assert_eq!(at(2.15), (2.0, true));
        assert_eq!(at(2.9), (2.0, false));
        assert_eq!(at(3.1), (0.0, false));
        assert_eq!(at(-0.3), (1.0, false));
    }
}
