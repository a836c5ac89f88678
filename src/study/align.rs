//! T1 and T2 brought onto T1C's grid.
//!
//! In: a source volume and a target grid, both in patient mm. Out: the source sampled at the target's voxel centres (trilinear, through the
//! affines; the outermost values held up to half a voxel beyond the outermost centres, 0 further out), and which of them it covers: a target
//! voxel is covered where it lies between the source's voxel centres, give or take a tenth of a voxel. What is held is not measured.

use ndarray::parallel::prelude::*;
use ndarray::{Array3, ArrayView3, Axis, Zip};

use crate::study::grid::{Grid, Locator};
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
    let view = source.voxels().view();
    voxels.axis_iter_mut(Axis(0)).into_par_iter().zip(covered.axis_iter_mut(Axis(0)).into_par_iter()).enumerate().for_each(
        |(k, (mut plane, mut plane_covered))| {
            let last = shape.2 - 1;
            for (j, (mut row, mut row_covered)) in plane.rows_mut().into_iter().zip(plane_covered.rows_mut()).enumerate() {
                // On an evenly spaced source the index is affine along a row: two ends are enough.
                let start = locator.index(target.point(0.0, j as f64, k));
                let end = locator.index(target.point(last as f64, j as f64, k));
                let step: [f64; 3] = std::array::from_fn(|a| (end[a] - start[a]) / last.max(1) as f64);
                Zip::indexed(&mut row).and(&mut row_covered).for_each(|i, value, covers| {
                    let at =
                        if uniform { std::array::from_fn(|a| start[a] + step[a] * i as f64) } else { exact(&locator, target, i, j, k) };
                    if let Some(sample) = trilinear(view, at) {
                        *value = sample;
                        *covers = beyond(view, at) <= COVERS;
                    }
                });
            }
        },
    );
    Resampled { voxels, covered }
}

fn exact(locator: &Locator, target: &Grid, i: usize, j: usize, k: usize) -> [f64; 3] {
    locator.index(target.point(i as f64, j as f64, k))
}

/// Largest distance of an index beyond the outermost centres, in voxels; 0 or less inside.
fn beyond(voxels: ArrayView3<'_, f32>, at: [f64; 3]) -> f64 {
    let (nk, nj, ni) = voxels.dim();
    at.iter().zip([ni, nj, nk]).fold(f64::NEG_INFINITY, |far, (x, n)| far.max(-x).max(x - (n - 1) as f64))
}

/// Value at continuous index (i, j, k); `None` more than half a voxel outside, the border's value in between.
fn trilinear(voxels: ArrayView3<'_, f32>, at: [f64; 3]) -> Option<f32> {
    if beyond(voxels, at) > HELD {
        return None;
    }
    let (nk, nj, ni) = voxels.dim();
    let mut low = [0usize; 3];
    let mut high = [0usize; 3];
    let mut t = [0f64; 3];
    for (a, n) in [ni, nj, nk].into_iter().enumerate() {
        let x = at[a].clamp(0.0, (n - 1) as f64);
        low[a] = (x as usize).min(n - 1);
        high[a] = (low[a] + 1).min(n - 1);
        t[a] = x - low[a] as f64;
    }
    let value = |i: usize, j: usize, k: usize| f64::from(voxels[[k, j, i]]);
    let along_i = |j: usize, k: usize| value(low[0], j, k) * (1.0 - t[0]) + value(high[0], j, k) * t[0];
    let along_j = |k: usize| along_i(low[1], k) * (1.0 - t[1]) + along_i(high[1], k) * t[1];
    Some((along_j(low[2]) * (1.0 - t[2]) + along_j(high[2]) * t[2]) as f32)
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
