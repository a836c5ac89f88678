//! Linear interpolation between samples.
//!
//! In: samples in a row, or in a plane, and continuous indices (whole numbers are the samples'
//! centres). Out: values in float32, within a few float32 roundings of the exact result, and exact
//! if the index is whole.

use std::ops::Range;

use ndarray::{ArrayView1, ArrayView2, ArrayViewMut2};

/// Two neighbouring samples and the weight of the upper one.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Tap {
    pub low: usize,
    pub high: usize,
    pub weight: f32,
}

impl Tap {
    /// The tap at continuous index `at` of `size` samples; indices are clamped beyond the ends.
    #[inline]
    pub fn new(at: f64, size: usize) -> Self {
        let at = at.max(0.0).min((size - 1) as f64);
        let low = at as u32 as usize;
        Tap { low, high: low + usize::from(low + 1 < size), weight: (at - low as f64) as f32 }
    }
}

/// Interpolates from `low` to `high` by `weight`.
#[inline]
pub(crate) fn mix(low: f32, high: f32, weight: f32) -> f32 {
    low + (high - low) * weight
}

/// Interpolates two rows of the length of `out` into `out`.
#[inline]
pub(crate) fn mix_rows(low: &[f32], high: &[f32], weight: f32, out: &mut [f32]) {
    if weight == 0.0 {
        out.copy_from_slice(low);
        return;
    }
    for ((out, low), high) in out.iter_mut().zip(low).zip(high) {
        *out = mix(*low, *high, weight);
    }
}

/// The taps of a contiguous range of output samples along one axis; the others have none.
#[derive(Debug, Clone)]
pub(crate) struct Taps {
    /// Output samples that have a tap.
    pub inside: Range<usize>,
    taps: Vec<Tap>,
}

impl Taps {
    /// `index` gives the continuous index among `size` samples for each of `count` outputs, and
    /// `None` outside; the outputs inside must be contiguous.
    pub fn new(count: usize, size: usize, index: impl Fn(usize) -> Option<f64>) -> Self {
        let inside = |n: &usize| index(*n).is_some();
        let first = (0..count).find(inside).unwrap_or(count);
        let taps: Vec<Tap> =
            (first..count).map_while(&index).map(|at| Tap::new(at, size)).collect();
        Taps { inside: first..first + taps.len(), taps }
    }
}

/// Samples a plane [row, column], bilinear, and writes `finish` of every value to `out`; outputs
/// without taps are left unchanged.
pub(crate) fn sample_plane(
    source: ArrayView2<'_, f32>,
    rows: &Taps,
    columns: &Taps,
    mut out: ArrayViewMut2<'_, f32>,
    finish: impl Fn(f32) -> f32,
) {
    let width = source.ncols();
    let (mut copies, mut line) = ([vec![0.0; width], vec![0.0; width]], vec![0.0; width]);
    for (j, tap) in rows.inside.clone().zip(&rows.taps) {
        let [low, high] = &mut copies;
        let (low, high) =
            (contiguous(source.row(tap.low), low), contiguous(source.row(tap.high), high));
        mix_rows(low, high, tap.weight, &mut line);
        let mut row = out.row_mut(j);
        for (value, tap) in row.iter_mut().skip(columns.inside.start).zip(&columns.taps) {
            *value = finish(mix(line[tap.low], line[tap.high], tap.weight));
        }
    }
}

/// The row itself if it is contiguous in memory, else a copy in `place`.
fn contiguous<'a>(row: ArrayView1<'a, f32>, place: &'a mut [f32]) -> &'a [f32] {
    match row.to_slice() {
        Some(slice) => slice,
        None => {
            place.iter_mut().zip(row).for_each(|(copy, value)| *copy = *value);
            place
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ndarray::{Array2, s};

    #[test]
    fn taps_are_clamped_at_the_ends() {
        let tap = |at: f64, size: usize| {
            let t = Tap::new(at, size);
            (t.low, t.high, t.weight)
        };
        assert_eq!(tap(1.25, 4), (1, 2, 0.25));
        assert_eq!(tap(3.0, 4), (3, 3, 0.0));
        assert_eq!(tap(-0.5, 4), (0, 1, 0.0));
        assert_eq!(tap(9.0, 4), (3, 3, 0.0));
        assert_eq!(tap(0.4, 1), (0, 0, 0.0));
    }

    #[test]
    fn a_plane_is_sampled_alike_in_every_layout() {
        let field = |x: f64, y: f64| (2.0 * x - 3.0 * y + 1.0) as f32;
        let plane = Array2::from_shape_fn((7, 9), |(j, i)| field(i as f64, j as f64));
        let at =
            |n: usize| if (2..10).contains(&n) { Some((n - 2) as f64 * 0.75 + 0.1) } else { None };
        let (rows, columns) = (Taps::new(12, 7, at), Taps::new(11, 9, at));
        assert_eq!((rows.inside.clone(), columns.inside.clone()), (2..10, 2..10));
        let mut expected = Array2::from_elem((12, 11), -1.0);
        sample_plane(plane.view(), &rows, &columns, expected.view_mut(), |v| 0.5 * v);
        for ((j, i), value) in expected.indexed_iter() {
            match (at(j), at(i)) {
                (Some(y), Some(x)) => assert!((value - 0.5 * field(x, y)).abs() < 1e-5),
                _ => assert_eq!(*value, -1.0),
            }
        }
        let turned = plane.slice(s![.., ..;-1]).as_standard_layout().into_owned();
        let mut out = Array2::from_elem((11, 12), -1.0);
        sample_plane(
            turned.slice(s![.., ..;-1]),
            &rows,
            &columns,
            out.view_mut().reversed_axes(),
            |v| 0.5 * v,
        );
        assert_eq!(out.t(), expected);
    }
}
