//! Resampling of T1 and T2 onto T1C's grid.
//!
//! In: a source volume and a target grid, both in patient mm. Out: the source sampled at the
//! target's voxel centres (trilinear, through the affines; values are clamped up to half a voxel
//! beyond the outermost centres and 0 further out), and which voxels it covers: a target voxel is
//! covered if it lies between the source's voxel centres, within a tenth of a voxel. Clamped values
//! beyond that are no measurement.

mod sampler;

use ndarray::parallel::prelude::*;
use ndarray::{Array3, Axis};

use crate::geometry::grid::{Grid, add, dot};
use crate::geometry::locator::{EvenLocator, Locator};
use crate::geometry::view::VoxelView;
use crate::memory;
use sampler::{Line, Sampler, Scratch, WEIGHT_STEP};

/// A sequence on the target's grid.
pub struct Resampled {
    /// [k, j, i] on the target grid.
    pub voxels: Array3<f32>,
    /// Whether the source covers the voxel.
    pub covered: Array3<bool>,
}

/// Samples `source` at the voxel centres of `target`.
pub fn resample(source: &VoxelView<'_>, target: &Grid) -> Resampled {
    let shape = target.shape();
    let mut voxels: Array3<f32> = memory::zeros(shape);
    let mut covered: Array3<bool> = memory::zeros(shape);
    let lines = Lines::new(source.grid, target);
    let sampler = Sampler::new(source);
    let planes = voxels
        .axis_iter_mut(Axis(0))
        .into_par_iter()
        .zip(covered.axis_iter_mut(Axis(0)).into_par_iter());
    planes.enumerate().for_each(|(k, (mut plane, mut plane_covered))| {
        let mut scratch = Scratch::new(sampler.size[0]);
        for (j, (mut row, mut row_covered)) in
            plane.rows_mut().into_iter().zip(plane_covered.rows_mut()).enumerate()
        {
            match (lines.line(j, k), row.as_slice_mut(), row_covered.as_slice_mut()) {
                (Some(line), Some(row), Some(row_covered)) => {
                    sampler.row(&line, row, row_covered, &mut scratch)
                }
                _ => {
                    for (i, (value, covers)) in row.iter_mut().zip(&mut row_covered).enumerate() {
                        let at = lines.locator.index(target.point(i as f64, j as f64, k));
                        (*value, *covers) = sampler.voxel(at);
                    }
                }
            }
        }
    });
    Resampled { voxels, covered }
}

/// The course of the target's rows in the source.
struct Lines<'a> {
    target: &'a Grid,
    locator: Locator,
    /// The target's rows stay in one plane of the source and run straight there, whatever the slice
    /// spacing.
    in_plane: bool,
    /// Set if the source is evenly spaced: only then are other rows straight.
    even: Option<EvenLocator>,
}

impl<'a> Lines<'a> {
    fn new(source: &Grid, target: &'a Grid) -> Self {
        let locator = source.locator();
        let rise_mm = dot(target.axis_i(), source.normal()).abs() * target.size()[0] as f64;
        let in_plane = rise_mm < WEIGHT_STEP * source.slice_spacing_mm().unwrap_or(1.0);
        Lines { target, locator, in_plane, even: source.even_locator() }
    }

    /// The row (j, k) of the target; `None` if it is not straight.
    fn line(&self, j: usize, k: usize) -> Option<Line> {
        let begin = self.target.point(0.0, j as f64, k);
        if self.in_plane {
            let start = self.locator.index(begin);
            let next = self.locator.index(add(begin, self.target.axis_i()));
            return Some(Line { start, step: [next[0] - start[0], next[1] - start[1], 0.0] });
        }
        let even = self.even.as_ref()?;
        Some(Line { start: even.index(begin), step: even.step(self.target.axis_i()) })
    }
}

#[cfg(test)]
mod tests {
    use super::sampler::{CLAMPED, COVERS};
    use super::*;
    use crate::geometry::view::Voxels;

    /// A field linear in patient coordinates is reproduced exactly by trilinear resampling,
    /// whatever the two grids.
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
            Array3::from_shape_fn((nk, nj, ni), |(k, j, i)| {
                field(grid.point(i as f64, j as f64, k))
            })
        };
        let source = Voxels::new(fill(&source_grid), source_grid);
        let target = Grid::from_affine(
            [9, 8, 3],
            &[
                [-1.1, 0.0, 0.0, 4.0],
                [0.0, 1.0, 0.0, -3.0],
                [0.0, 0.0, 3.0, 1.0],
                [0.0, 0.0, 0.0, 1.0],
            ],
        )
        .unwrap();
        let out = resample(&source.view(), &target);
        assert!(out.covered.iter().all(|c| *c));
        let expected = fill(&target);
        for (a, b) in out.voxels.iter().zip(&expected) {
            assert!((a - b).abs() < 1e-4, "{a} {b}");
        }
    }

    #[test]
    fn values_are_clamped_for_half_a_voxel_and_cover_a_tenth() {
        let grid = Grid::from_affine(
            [4, 4, 2],
            &[
                [1.0, 0.0, 0.0, 0.0],
                [0.0, 1.0, 0.0, 0.0],
                [0.0, 0.0, 2.0, 0.0],
                [0.0, 0.0, 0.0, 1.0],
            ],
        )
        .unwrap();
        let voxels = Array3::from_shape_fn((2, 4, 4), |(k, _, i)| (1 + k + i) as f32);
        let source = Voxels::new(voxels, grid);
        let at = |z: f64| {
            let affine = [
                [1.0, 0.0, 0.0, 0.0],
                [0.0, 1.0, 0.0, 0.0],
                [0.0, 0.0, 1.0, z],
                [0.0, 0.0, 0.0, 1.0],
            ];
            let out = resample(&source.view(), &Grid::from_affine([4, 4, 1], &affine).unwrap());
            (out.voxels[[0, 0, 0]], out.covered.iter().all(|c| *c))
        };
        assert_eq!(at(2.15), (2.0, true));
        assert_eq!(at(2.9), (2.0, false));
        assert_eq!(at(3.1), (0.0, false));
        assert_eq!(at(-0.3), (1.0, false));
    }

    /// The definition: every voxel on its own, in float64.
    fn by_definition(source: &Voxels, target: &Grid) -> (Array3<f64>, Array3<f64>) {
        let size = source.grid.size();
        let (even, locator) = (source.grid.even_locator(), source.grid.locator());
        let mut beyond = Array3::zeros(target.shape());
        let values = Array3::from_shape_fn(target.shape(), |(k, j, i)| {
            let point = target.point(i as f64, j as f64, k);
            let at = even.as_ref().map_or_else(|| locator.index(point), |even| even.index(point));
            let out =
                (0..3).map(|a| f64::max(-at[a], at[a] - (size[a] - 1) as f64)).fold(0.0, f64::max);
            beyond[[k, j, i]] = out;
            if out > CLAMPED {
                return 0.0;
            }
            let mut sum = 0.0;
            for corner in 0..8usize {
                let (mut weight, mut place) = (1.0, [0; 3]);
                for a in 0..3 {
                    let x = at[a].clamp(0.0, (size[a] - 1) as f64);
                    let up = corner >> a & 1;
                    weight *= if up == 1 { x.fract() } else { 1.0 - x.fract() };
                    place[a] = (x as usize + up).min(size[a] - 1);
                }
                sum += weight * f64::from(source.voxels[[place[2], place[1], place[0]]]);
            }
            sum
        });
        (values, beyond)
    }

    fn affine(i: [f64; 3], j: [f64; 3], k: [f64; 3], origin: [f64; 3]) -> [[f64; 4]; 4] {
        let row = |r: usize| [i[r], j[r], k[r], origin[r]];
        [row(0), row(1), row(2), [0.0, 0.0, 0.0, 1.0]]
    }

    #[test]
    fn every_path_equals_the_definition() {
        let (c, s) = ((0.2f64).cos(), (0.2f64).sin());
        let target = Grid::from_affine(
            [24, 19, 7],
            &affine([1.0, 0.0, 0.0], [0.0, 1.0, 0.0], [0.0, 0.0, 4.0], [-12.0, -9.0, -11.0]),
        )
        .unwrap();
        let even = |size: [usize; 3], a: [[f64; 4]; 4]| Grid::from_affine(size, &a).unwrap();
        let uneven = |i: [f64; 3], j: [f64; 3]| {
            let origins = [-9.0, -5.5, -3.0, 2.0, 8.0].map(|z| [-10.0 + 0.1 * z, -8.0, z]).to_vec();
            Grid::new([20, 17, 5], i, j, origins).unwrap()
        };
        let (x, y, z) = ([1.0, 0.0, 0.0], [0.0, 1.0, 0.0], [0.0, 0.0, 3.5]);
        let sources = [
            ("the same grid", target.clone()),
            ("moved", even([24, 19, 7], affine(x, y, z, [-12.3, -8.9, -10.2]))),
            ("half a voxel", even([24, 19, 6], affine(x, y, z, [-11.5, -8.5, -9.0]))),
            ("smaller", even([6, 5, 3], affine(x, y, z, [-2.25, -3.0, -4.0]))),
            (
                "other pixels, turned about",
                even([30, 22, 6], affine([-0.7, 0.0, 0.0], [0.0, -0.9, 0.0], z, [9.0, 10.0, -9.0])),
            ),
            (
                "turned about x",
                even(
                    [26, 20, 6],
                    affine(x, [0.0, c, s], [0.0, -3.5 * s, 3.5 * c], [-13.0, -8.0, -9.0]),
                ),
            ),
            (
                "turned about y",
                even(
                    [26, 20, 6],
                    affine([c, 0.0, -s], y, [3.5 * s, 0.0, 3.5 * c], [-13.0, -9.0, -8.0]),
                ),
            ),
            (
                "turned about z",
                even([26, 20, 6], affine([c, s, 0.0], [-s, c, 0.0], z, [-11.0, -11.0, -9.0])),
            ),
            (
                "sagittal",
                even(
                    [17, 6, 21],
                    affine([0.0, 1.1, 0.0], [0.0, 0.0, 3.0], [1.2, 0.0, 0.0], [-11.0, -9.0, -8.0]),
                ),
            ),
            // Only its own affine, extended beyond its few slices, gives the course of a row that
            // crosses them.
            (
                "sheared, turned about y",
                even([12, 12, 3], affine([c, 0.0, -s], y, [2.0, 1.0, 2.0], [-6.0, -5.0, -3.0])),
            ),
            ("uneven", uneven(x, y)),
            ("uneven, turned about y", uneven([c, 0.0, -s], y)),
            ("a line", even([20, 1, 1], affine(x, y, z, [-10.0, 0.0, 1.0]))),
            ("a pillar", even([1, 1, 5], affine(x, y, z, [0.0, 0.0, -7.0]))),
        ];
        for (name, grid) in sources {
            let mut state = 7u32;
            let voxels = Array3::from_shape_simple_fn(grid.shape(), || {
                state = state.wrapping_mul(1664525).wrapping_add(1013904223);
                (state >> 20) as f32
            });
            let source = Voxels::new(voxels, grid);
            let out = resample(&source.view(), &target);
            let (expected, beyond) = by_definition(&source, &target);
            assert!(beyond.iter().any(|b| *b <= COVERS), "{name}: nothing to see");
            for (at, value) in out.voxels.indexed_iter() {
                if (beyond[at] - CLAMPED).abs() > 1e-9 {
                    assert!(
                        (f64::from(*value) - expected[at]).abs() < 2e-3,
                        "{name} {at:?}: {value} {}",
                        expected[at]
                    );
                }
                if (beyond[at] - COVERS).abs() > 1e-9 {
                    assert_eq!(out.covered[at], beyond[at] <= COVERS, "{name} {at:?}");
                }
            }
        }
        // On the same grid nothing is rounded.
        let same = Voxels::new(
            Array3::from_shape_fn(target.shape(), |(k, j, i)| (k * 31 + j * 7 + i) as f32 / 3.0),
            target.clone(),
        );
        assert_eq!(resample(&same.view(), &target).voxels, same.voxels);
    }
}
