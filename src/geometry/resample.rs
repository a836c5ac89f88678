//! T1 and T2 brought onto T1C's grid.
//!
//! In: a source volume and a target grid, both in patient mm. Out: the source sampled at the
//! target's voxel centres (trilinear, through the affines; the outermost values held up to half a
//! voxel beyond the outermost centres, 0 further out), and which of them it covers: a target voxel
//! is covered where it lies between the source's voxel centres, give or take a tenth of a voxel.
//! What is held is not measured.

use std::borrow::Cow;
use std::ops::Range;

use ndarray::parallel::prelude::*;
use ndarray::{Array3, Axis};

use crate::geometry::grid::{EvenLocator, Grid, Locator, add, dot};
use crate::geometry::interpolate::{Tap, mix, mix_rows};
use crate::geometry::view::VoxelView;
use crate::memory;

/// How far beyond the outermost centres the source's values are held, in voxels; a little room for
/// rounding.
const HELD: f64 = 0.5 + 1e-4;
/// How far beyond the outermost centres the source still counts as covering, in voxels: series of
/// one examination differ by that much.
const COVERS: f64 = 0.1;
/// The smallest difference of indices that a float32 weight can tell, in voxels.
const WEIGHT_STEP: f64 = f32::EPSILON as f64 / 2.0;

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

/// The source's continuous index along a row of the target: `start + step * i`.
struct Line {
    start: [f64; 3],
    step: [f64; 3],
}

impl Line {
    /// The voxels i of `0 .. count` whose index lies at most `margin` beyond the outermost centres.
    fn within(&self, margin: f64, size: [usize; 3], count: usize) -> Range<usize> {
        let (mut first, mut past) = (0.0f64, count as f64);
        for (a, size) in size.into_iter().enumerate() {
            let (low, high) = (-margin - self.start[a], (size - 1) as f64 + margin - self.start[a]);
            if self.is_constant(a, count) {
                if low > 0.0 || high < 0.0 {
                    return 0..0;
                }
                continue;
            }
            let (x, y) = (low / self.step[a], high / self.step[a]);
            first = first.max(x.min(y).ceil());
            past = past.min(x.max(y).floor() + 1.0);
        }
        // Both are whole numbers; the first may lie beyond the row.
        if first < past { first as usize..past as usize } else { 0..0 }
    }

    /// Whether the index along axis `a` changes by less than a float32 weight can tell.
    fn is_constant(&self, a: usize, count: usize) -> bool {
        self.step[a].abs() * (count as f64) < WEIGHT_STEP
    }
}

/// Where the target's rows run in the source.
struct Lines<'a> {
    target: &'a Grid,
    locator: Locator,
    /// Rows that stay in one plane of the source run straight there, whatever the distances between
    /// its slices.
    in_plane: bool,
    /// Other rows are straight only in an evenly spaced source.
    even: Option<EvenLocator>,
}

impl<'a> Lines<'a> {
    fn new(source: &Grid, target: &'a Grid) -> Self {
        let locator = source.locator();
        let rise_mm = dot(target.axis_i(), source.normal()).abs() * target.size()[0] as f64;
        let in_plane = rise_mm < WEIGHT_STEP * source.slice_spacing_mm().unwrap_or(1.0);
        Lines { target, locator, in_plane, even: source.even_locator() }
    }

    /// The row (j, k) of the target; `None` where it is not straight.
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

/// Rows of the source on their way into one row of the target.
struct Scratch {
    near: Vec<f32>,
    far: Vec<f32>,
    row: Vec<f32>,
}

impl Scratch {
    fn new(size: usize) -> Self {
        Scratch { near: vec![0.0; size], far: vec![0.0; size], row: vec![0.0; size] }
    }
}

/// A source's voxels, flat: i fastest, then j, then k.
struct Sampler<'a> {
    data: Cow<'a, [f32]>,
    size: [usize; 3],
    stride: [usize; 3],
}

impl<'a> Sampler<'a> {
    fn new(source: &VoxelView<'a>) -> Self {
        let size = source.grid.size();
        let data = source
            .voxels
            .to_slice()
            .map_or_else(|| Cow::Owned(source.voxels.iter().copied().collect()), Cow::Borrowed);
        Sampler { data, size, stride: [1, size[0], size[0] * size[1]] }
    }

    /// The value at a continuous index, and whether the source covers it; 0 where it lies further
    /// than [`HELD`] outside.
    fn voxel(&self, at: [f64; 3]) -> (f32, bool) {
        let beyond =
            (0..3).map(|a| f64::max(-at[a], at[a] - (self.size[a] - 1) as f64)).fold(0.0, f64::max);
        (if beyond > HELD { 0.0 } else { self.value(at) }, beyond <= COVERS)
    }

    /// A row of the target, and which of its voxels are covered. Both come in as zeros.
    fn row(&self, line: &Line, row: &mut [f32], covered: &mut [bool], scratch: &mut Scratch) {
        let held = line.within(HELD, self.size, row.len());
        if held.is_empty() {
            return;
        }
        covered[line.within(COVERS, self.size, row.len())].fill(true);
        if line.is_constant(1, row.len()) && line.is_constant(2, row.len()) {
            self.mix_source_rows(line.start[1], line.start[2], scratch);
            along_row(&scratch.row, line, held, row);
        } else {
            for i in held {
                row[i] =
                    self.value(std::array::from_fn(|a| line.start[a] + line.step[a] * i as f64));
            }
        }
    }

    /// The source's row at a continuous (j, k), into `scratch.row`.
    fn mix_source_rows(&self, j: f64, k: f64, scratch: &mut Scratch) {
        let (j, k) = (Tap::new(settled(j), self.size[1]), Tap::new(settled(k), self.size[2]));
        let source = |j: usize, k: usize| {
            let start = j * self.stride[1] + k * self.stride[2];
            &self.data[start..start + self.size[0]]
        };
        if k.weight == 0.0 {
            mix_rows(source(j.low, k.low), source(j.high, k.low), j.weight, &mut scratch.row);
        } else if j.weight == 0.0 {
            mix_rows(source(j.low, k.low), source(j.low, k.high), k.weight, &mut scratch.row);
        } else {
            mix_rows(source(j.low, k.low), source(j.high, k.low), j.weight, &mut scratch.near);
            mix_rows(source(j.low, k.high), source(j.high, k.high), j.weight, &mut scratch.far);
            mix_rows(&scratch.near, &scratch.far, k.weight, &mut scratch.row);
        }
    }

    /// The value at a continuous index, trilinear; the border's value beyond it.
    #[inline]
    fn value(&self, at: [f64; 3]) -> f32 {
        let tap: [Tap; 3] = std::array::from_fn(|a| Tap::new(at[a], self.size[a]));
        let corner =
            &self.data[tap[0].low + tap[1].low * self.stride[1] + tap[2].low * self.stride[2]..];
        let up: [usize; 3] = std::array::from_fn(|a| (tap[a].high - tap[a].low) * self.stride[a]);
        let along_i = |offset: usize| mix(corner[offset], corner[offset + up[0]], tap[0].weight);
        let along_j = |offset: usize| mix(along_i(offset), along_i(offset + up[1]), tap[1].weight);
        mix(along_j(0), along_j(up[2]), tap[2].weight)
    }
}

/// An index that is whole but for rounding, made whole.
fn settled(at: f64) -> f64 {
    let whole = at.round();
    if (at - whole).abs() < WEIGHT_STEP { whole } else { at }
}

/// Samples a source row at `line`'s i, for the voxels `held` of the target's row.
fn along_row(source: &[f32], line: &Line, held: Range<usize>, row: &mut [f32]) {
    let (start, step) = (settled(line.start[0]), line.step[0]);
    let at = |i: usize| start + step * i as f64;
    let single = |i: usize, value: &mut f32| {
        let tap = Tap::new(at(i), source.len());
        *value = mix(source[tap.low], source[tap.high], tap.weight);
    };
    // Equal pixels run in step: one weight for all, and neighbours stay neighbours.
    let in_step = (step - 1.0).abs() * (row.len() as f64) < WEIGHT_STEP;
    let inner = Line { start: [start, 0.0, 0.0], step: [step, 0.0, 0.0] }.within(
        0.0,
        [source.len(), 1, 1],
        row.len(),
    );
    let (first, past) = if in_step && !inner.is_empty() {
        (inner.start.max(held.start), inner.end.min(held.end))
    } else {
        (held.end, held.end)
    };
    row[held.start..first].iter_mut().zip(held.start..).for_each(|(value, i)| single(i, value));
    if first < past {
        let tap = Tap::new(at(first), source.len());
        let length = (past - first).min(source.len() - tap.high);
        let (low, high) =
            (&source[tap.low..tap.low + length], &source[tap.high..tap.high + length]);
        mix_rows(low, high, tap.weight, &mut row[first..first + length]);
        row[first + length..held.end]
            .iter_mut()
            .zip(first + length..)
            .for_each(|(value, i)| single(i, value));
    }
}

#[cfg(test)]
mod tests {
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
    fn values_are_held_half_a_voxel_and_cover_a_tenth() {
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

    /// The same by the definition: every voxel on its own, in float64.
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
            if out > HELD {
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
    fn every_way_through_gives_what_the_definition_gives() {
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
            // Only its own affine, carried on beyond its few slices, says where a row that crosses
            // them runs.
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
                if (beyond[at] - HELD).abs() > 1e-9 {
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
