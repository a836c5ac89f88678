//! Percentiles of a volume's signal.
//!
//! In: voxels and a percentile. Out: the percentile of those above 0, linear between order
//! statistics, exact.

use rayon::prelude::*;

/// Voxels of one part of the count; each part has its own counters.
const PART: usize = 1 << 20;

/// Percentile of the values above 0, linear between order statistics. `None` if there are
/// none.
pub(crate) fn above_zero(values: &[f32], percentile: f64) -> Option<f64> {
    // Positive floats sort like their bits. One count by the upper half of the bits finds the bin
    // of an order statistic, a second by the lower half within the bin finds its value; the next
    // order statistic is nearly always in the same bin.
    let upper = count(values, None);
    // Bits are counted less 1: 0 then falls among the negative numbers, far above infinity.
    let positive = &upper[..=(f32::INFINITY.to_bits() >> 16) as usize];
    let total: usize = positive.iter().map(|n| *n as usize).sum();
    if total == 0 {
        return None;
    }
    let mut lower: Option<(u32, Vec<u32>)> = None;
    let mut statistic = |rank: usize| {
        let (high, before) = bin(positive, rank);
        let counted = lower
            .take()
            .filter(|(of, _)| *of == high)
            .map_or_else(|| count(values, Some(high)), |(_, counts)| counts);
        let (low, _) = bin(&counted, rank - before);
        lower = Some((high, counted));
        f64::from(f32::from_bits((high << 16 | low) + 1))
    };
    let position = percentile.clamp(0.0, 100.0) / 100.0 * (total - 1) as f64;
    let below = position.floor() as usize;
    let low = statistic(below);
    let high = if below + 1 < total { statistic(below + 1) } else { low };
    Some(low + (high - low) * (position - below as f64))
}

/// Counts values by the upper 16 of their bits, or those whose upper bits are `high` by their lower
/// 16.
fn count(values: &[f32], high: Option<u32>) -> Vec<u32> {
    let part = |values: &[f32]| {
        let mut counts = vec![0u32; 1 << 16];
        let keys = values.iter().map(|v| v.to_bits().wrapping_sub(1));
        match high {
            None => keys.for_each(|key| counts[(key >> 16) as usize] += 1),
            Some(high) => keys
                .filter(|key| key >> 16 == high)
                .for_each(|key| counts[(key & 0xffff) as usize] += 1),
        }
        counts
    };
    let sum = |mut a: Vec<u32>, b: Vec<u32>| {
        a.iter_mut().zip(b).for_each(|(a, b)| *a += b);
        a
    };
    values.par_chunks(PART).map(part).reduce_with(sum).unwrap_or_else(|| vec![0; 1 << 16])
}

/// The bin that holds the value of a rank, and how many values lie in the bins before it.
fn bin(counts: &[u32], rank: usize) -> (u32, usize) {
    let mut before = 0;
    for (n, count) in counts.iter().enumerate() {
        if rank < before + *count as usize {
            return (n as u32, before);
        }
        before += *count as usize;
    }
    (counts.len() as u32 - 1, before)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn linear_between_order_statistics() {
        let values = [-1.0, 0.0, 4.0, 1.0, 3.0, 2.0, -0.0, 5.0];
        assert_eq!(above_zero(&values, 50.0), Some(3.0));
        assert!((above_zero(&values, 90.0).unwrap() - 4.6).abs() < 1e-12);
        assert_eq!(above_zero(&values, 100.0), Some(5.0));
        assert_eq!(above_zero(&values, 0.0), Some(1.0));
        assert_eq!(above_zero(&[0.0, -3.0, -0.0], 50.0), None);
        assert_eq!(above_zero(&[], 50.0), None);
        assert_eq!(above_zero(&[f32::from_bits(1), 0.0], 50.0), Some(f64::from(f32::from_bits(1))));
        assert_eq!(above_zero(&[f32::MAX], 50.0), Some(f64::from(f32::MAX)));
    }

    /// Compared with sorting: many parts, ranks in one bin and in two.
    #[test]
    fn equal_to_sorting() {
        let mut state = 1u64;
        let mut values: Vec<f32> = (0..PART * 2 + 77)
            .map(|_| {
                state = state.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
                let unit = (state >> 40) as f32 / (1 << 24) as f32;
                (unit - 0.2) * 10f32.powi((state >> 33) as i32 % 5)
            })
            .collect();
        let found: Vec<f64> = [0.1, 37.0, 50.0, 99.5, 99.99]
            .into_iter()
            .map(|p| above_zero(&values, p).unwrap())
            .collect();
        values.retain(|v| *v > 0.0);
        values.sort_by(f32::total_cmp);
        for (p, found) in [0.1, 37.0, 50.0, 99.5, 99.99].into_iter().zip(found) {
            let position: f64 = p / 100.0 * (values.len() - 1) as f64;
            let at = |n: f64| f64::from(values[n as usize]);
            let expected = at(position.floor())
                + (at(position.floor() + 1.0) - at(position.floor())) * position.fract();
            assert!((found - expected).abs() <= 1e-9 * expected, "{p}: {found} {expected}");
        }
        assert_eq!(above_zero(&[1.0, 1000.0], 50.0), Some(500.5));
    }
}
