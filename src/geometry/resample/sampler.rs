//! Sampling a source along the rows of a target.

use std::borrow::Cow;
use std::ops::Range;

use crate::geometry::interpolate::{Tap, mix, mix_rows};
use crate::geometry::view::VoxelView;

/// How far beyond the outermost centres the source's values are clamped, in voxels, with room for
/// rounding.
pub(super) const CLAMPED: f64 = 0.5 + 1e-4;
/// How far beyond the outermost centres the source still counts as covering, in voxels: series of
/// one examination differ by that much.
pub(super) const COVERS: f64 = 0.1;
/// The smallest difference of indices that a float32 weight can represent, in voxels.
pub(super) const WEIGHT_STEP: f64 = f32::EPSILON as f64 / 2.0;

/// The source's continuous index along a row of the target: `start + step * i`.
pub(super) struct Line {
    pub(super) start: [f64; 3],
    pub(super) step: [f64; 3],
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
        // Both are whole numbers; the first may be beyond the row.
        if first < past { first as usize..past as usize } else { 0..0 }
    }

    /// Whether the index along axis `a` changes by less than a float32 weight can represent.
    fn is_constant(&self, a: usize, count: usize) -> bool {
        self.step[a].abs() * (count as f64) < WEIGHT_STEP
    }
}

/// Intermediate rows of the source for one row of the target.
pub(super) struct Scratch {
    near: Vec<f32>,
    far: Vec<f32>,
    row: Vec<f32>,
}

impl Scratch {
    pub(super) fn new(size: usize) -> Self {
        Scratch { near: vec![0.0; size], far: vec![0.0; size], row: vec![0.0; size] }
    }
}

/// A source's voxels, flat: i fastest, then j, then k.
pub(super) struct Sampler<'a> {
    data: Cow<'a, [f32]>,
    pub(super) size: [usize; 3],
    stride: [usize; 3],
}

impl<'a> Sampler<'a> {
    pub(super) fn new(source: &VoxelView<'a>) -> Self {
        let size = source.grid.size();
        let data = source
            .voxels
            .to_slice()
            .map_or_else(|| Cow::Owned(source.voxels.iter().copied().collect()), Cow::Borrowed);
        Sampler { data, size, stride: [1, size[0], size[0] * size[1]] }
    }

    /// The value at a continuous index, and whether the source covers it; the value is 0 if the
    /// index lies further than [`CLAMPED`] outside.
    pub(super) fn voxel(&self, at: [f64; 3]) -> (f32, bool) {
        let beyond =
            (0..3).map(|a| f64::max(-at[a], at[a] - (self.size[a] - 1) as f64)).fold(0.0, f64::max);
        (if beyond > CLAMPED { 0.0 } else { self.value(at) }, beyond <= COVERS)
    }

    /// Samples a row of the target and marks its covered voxels. Both must be zero before.
    pub(super) fn row(
        &self,
        line: &Line,
        row: &mut [f32],
        covered: &mut [bool],
        scratch: &mut Scratch,
    ) {
        let inside = line.within(CLAMPED, self.size, row.len());
        if inside.is_empty() {
            return;
        }
        covered[line.within(COVERS, self.size, row.len())].fill(true);
        if line.is_constant(1, row.len()) && line.is_constant(2, row.len()) {
            self.mix_source_rows(line.start[1], line.start[2], scratch);
            along_row(&scratch.row, line, inside, row);
        } else {
            for i in inside {
                row[i] =
                    self.value(std::array::from_fn(|a| line.start[a] + line.step[a] * i as f64));
            }
        }
    }

    /// Interpolates the source's row at a continuous (j, k) into `scratch.row`.
    fn mix_source_rows(&self, j: f64, k: f64, scratch: &mut Scratch) {
        let (j, k) = (Tap::new(snapped(j), self.size[1]), Tap::new(snapped(k), self.size[2]));
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

    /// The value at a continuous index, trilinear; clamped beyond the border.
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

/// An index, rounded if it is whole within rounding.
fn snapped(at: f64) -> f64 {
    let whole = at.round();
    if (at - whole).abs() < WEIGHT_STEP { whole } else { at }
}

/// Samples a source row at `line`'s i, for the voxels `inside` of the target's row.
fn along_row(source: &[f32], line: &Line, inside: Range<usize>, row: &mut [f32]) {
    let (start, step) = (snapped(line.start[0]), line.step[0]);
    let at = |i: usize| start + step * i as f64;
    let single = |i: usize, value: &mut f32| {
        let tap = Tap::new(at(i), source.len());
        *value = mix(source[tap.low], source[tap.high], tap.weight);
    };
    // Pixels of equal size share one weight, and neighbours stay neighbours.
    let in_step = (step - 1.0).abs() * (row.len() as f64) < WEIGHT_STEP;
    let inner = Line { start: [start, 0.0, 0.0], step: [step, 0.0, 0.0] }.within(
        0.0,
        [source.len(), 1, 1],
        row.len(),
    );
    let (first, past) = if in_step && !inner.is_empty() {
        (inner.start.max(inside.start), inner.end.min(inside.end))
    } else {
        (inside.end, inside.end)
    };
    row[inside.start..first].iter_mut().zip(inside.start..).for_each(|(value, i)| single(i, value));
    if first < past {
        let tap = Tap::new(at(first), source.len());
        let length = (past - first).min(source.len() - tap.high);
        let (low, high) =
            (&source[tap.low..tap.low + length], &source[tap.high..tap.high + length]);
        mix_rows(low, high, tap.weight, &mut row[first..first + length]);
        row[first + length..inside.end]
            .iter_mut()
            .zip(first + length..)
            .for_each(|(value, i)| single(i, value));
    }
}
