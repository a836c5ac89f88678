//! Voxels and patches along one axis of a probability block (docs/reference/bundle.md, segmenter
//! kind `volume`).
//!
//! In: lengths, spacings, positions of slices. Out: the positions of voxels and the slices around
//! them, the first voxels of patches, the weights of a patch's voxels.

use std::ops::Range;

use crate::geometry::interpolate::Tap;

/// A fraction of a voxel up to this is rounding error and adds no voxel.
const ROUNDING: f64 = 1e-6;

/// Evenly spaced voxels along an axis.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct VoxelAxis {
    /// Coordinate of the first voxel's centre.
    pub(super) first: f64,
    pub(super) step: f64,
    pub(super) count: usize,
}

impl VoxelAxis {
    fn centred(low: f64, high: f64, step: f64, count: f64) -> Self {
        VoxelAxis {
            first: (low + high) / 2.0 - (count - 1.0) / 2.0 * step,
            step,
            count: count as usize,
        }
    }

    /// The fewest voxels that fill `low .. high`, about its centre.
    pub(super) fn filling(low: f64, high: f64, step: f64) -> Self {
        VoxelAxis::centred(low, high, step, ((high - low) / step - ROUNDING).ceil().max(1.0))
    }

    /// The fewest voxels whose outermost centres enclose `low` and `high`, about their middle.
    pub(super) fn enclosing(low: f64, high: f64, step: f64) -> Self {
        VoxelAxis::centred(low, high, step, ((high - low) / step - ROUNDING).ceil().max(0.0) + 1.0)
    }

    pub(super) fn at(&self, n: usize) -> f64 {
        self.first + n as f64 * self.step
    }

    /// Continuous index of a coordinate.
    pub(super) fn index(&self, coordinate: f64) -> f64 {
        (coordinate - self.first) / self.step
    }

    /// The outer edges of all voxels.
    pub(super) fn edges(&self) -> [f64; 2] {
        [self.first - self.step / 2.0, self.first + (self.count as f64 - 0.5) * self.step]
    }
}

/// The slices on both sides of `place`, as rows of the stack; `places[0]` is row `first`. A place
/// beyond the outermost slices is clamped to them.
pub(super) fn slice_tap(place: f64, places: &[f64], first: usize) -> Tap {
    let last = places.len() - 1;
    let place = place.clamp(places[0], places[last]);
    let low = places.partition_point(|p| *p <= place).saturating_sub(1).min(last.saturating_sub(1));
    let high = (low + 1).min(last);
    let weight =
        if high > low { (place - places[low]) / (places[high] - places[low]) } else { 0.0 };
    Tap { low: first + low, high: first + high, weight: weight as f32 }
}

/// First voxels of the patches along an axis of `count` voxels: evenly spread from end to end, or
/// one centred patch if it covers the axis.
pub(super) fn patch_starts(count: usize, side: usize, overlap: f64) -> Vec<isize> {
    if count <= side {
        return vec![-(((side - count) / 2) as isize)];
    }
    let room = (count - side) as f64;
    let more = (room / (side as f64 * (1.0 - overlap)).max(1.0) - ROUNDING).ceil().max(1.0);
    (0..=more as usize).map(|n| (n as f64 * room / more + 0.5).floor() as isize).collect()
}

/// Weights of a patch's voxels along one axis: a Gaussian of an eighth of the side, because a
/// network sees the least context at the ends.
pub(super) fn patch_weights(side: usize) -> Vec<f32> {
    let (centre, sigma) = ((side as f64 - 1.0) / 2.0, side as f64 / 8.0);
    (0..side).map(|n| (-0.5 * ((n as f64 - centre) / sigma).powi(2)).exp() as f32).collect()
}

/// Summed weights of all patches along one axis: patches lie on a grid, so the weight of a voxel is
/// the product over the axes.
pub(super) fn weight_sums(count: usize, starts: &[isize], weights: &[f32]) -> Vec<f32> {
    let mut sums = vec![0.0; count];
    for start in starts {
        let (outer, inner) = overlap(*start, weights.len(), count);
        sums[outer].iter_mut().zip(&weights[inner]).for_each(|(sum, w)| *sum += w);
    }
    sums
}

/// The voxels that a patch shares with the block: as a range of the block, and of the patch.
pub(super) fn overlap(start: isize, side: usize, count: usize) -> (Range<usize>, Range<usize>) {
    let low = start.max(0) as usize;
    let high = (start + side as isize).clamp(0, count as isize) as usize;
    let shift = |n: usize| (n as isize - start) as usize;
    (low..high, shift(low)..shift(high))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn axes_fill_and_enclose() {
        assert_eq!(
            VoxelAxis::filling(2.0, 8.0, 2.0),
            VoxelAxis { first: 3.0, step: 2.0, count: 3 }
        );
        assert_eq!(
            VoxelAxis::filling(2.0, 8.5, 2.0),
            VoxelAxis { first: 2.25, step: 2.0, count: 4 }
        );
        assert_eq!(
            VoxelAxis::filling(2.0, 2.5, 2.0),
            VoxelAxis { first: 2.25, step: 2.0, count: 1 }
        );
        // 384 pixels of 0.74 mm are 384 voxels of 0.74 mm.
        assert_eq!(VoxelAxis::filling(0.0, 384.0, 0.74 / (0.5 * (0.74 / 0.5))).count, 384);
        assert_eq!(
            VoxelAxis::enclosing(10.0, 22.0, 3.0),
            VoxelAxis { first: 10.0, step: 3.0, count: 5 }
        );
        assert_eq!(
            VoxelAxis::enclosing(10.0, 23.0, 3.0),
            VoxelAxis { first: 9.0, step: 3.0, count: 6 }
        );
        assert_eq!(
            VoxelAxis::enclosing(10.0, 10.0, 3.0),
            VoxelAxis { first: 10.0, step: 3.0, count: 1 }
        );
        assert_eq!(VoxelAxis::filling(2.0, 8.5, 2.0).edges(), [1.25, 9.25]);
    }

    #[test]
    fn patches_reach_from_end_to_end() {
        assert_eq!(patch_starts(10, 4, 0.5), [0, 2, 4, 6]);
        assert_eq!(patch_starts(11, 4, 0.5), [0, 2, 4, 5, 7]);
        assert_eq!(patch_starts(11, 4, 0.0), [0, 4, 7]);
        assert_eq!(patch_starts(4, 4, 0.9), [0]);
        assert_eq!(patch_starts(3, 8, 0.5), [-2]);
        assert_eq!(patch_starts(5, 1, 0.9), [0, 1, 2, 3, 4]);
        for (count, side, share) in [(97, 32, 0.5), (100, 7, 0.33), (33, 32, 0.9)] {
            let found = patch_starts(count, side, share);
            assert_eq!((found[0], found[found.len() - 1]), (0, (count - side) as isize));
            let widest = (side as f64 * (1.0 - share)).max(1.0).ceil() as isize;
            assert!(found.windows(2).all(|w| w[1] > w[0] && w[1] - w[0] <= widest), "{found:?}");
        }
    }

    #[test]
    fn slices_are_found_by_their_position() {
        let places = [0.0, 4.0, 10.0];
        let of = |place: f64| {
            let tap = slice_tap(place, &places, 5);
            (tap.low, tap.high, tap.weight)
        };
        assert_eq!(of(-1.0), (5, 6, 0.0));
        assert_eq!(of(1.0), (5, 6, 0.25));
        assert_eq!(of(4.0), (6, 7, 0.0));
        assert_eq!(of(7.0), (6, 7, 0.5));
        assert_eq!(of(11.0), (6, 7, 1.0));
        assert_eq!(slice_tap(3.0, &[3.0], 2), Tap { low: 2, high: 2, weight: 0.0 });
    }
}
