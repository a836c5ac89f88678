//! The voxels that a closed ring encloses.
//!
//! In: rings as continuous voxel indices of one slice. Out: voxels whose centre lies inside. A
//! centre on an edge belongs to the edge's right or upper side, so that exactly one of two rings
//! that share an edge encloses it.

use std::cmp::Ordering;

use ndarray::{Array3, ArrayViewMut2, Axis};

use crate::error::{Error, Result};
use crate::geometry::grid::Grid;

/// Voxels from..to of row j.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Span {
    pub j: usize,
    pub from: usize,
    pub to: usize,
}

/// The voxels inside one ring by the even-odd rule, row by row, clipped to the image.
pub(crate) fn spans(ring: &[[f64; 2]], ni: usize, nj: usize) -> Vec<Span> {
    // (row, first voxel to the right of the edge)
    let mut crossings: Vec<(usize, usize)> = Vec::new();
    for (n, p) in ring.iter().enumerate() {
        let q = ring[(n + 1) % ring.len()];
        let (low, high) =
            (p[1].min(q[1]).ceil().max(0.0), p[1].max(q[1]).floor().min(nj as f64 - 1.0));
        let mut j = low;
        while j <= high {
            if (p[1] <= j) != (q[1] <= j) {
                let i = p[0] + (q[0] - p[0]) * ((j - p[1]) / (q[1] - p[1]));
                crossings.push((j as usize, i.ceil().clamp(0.0, ni as f64) as usize));
            }
            j += 1.0;
        }
    }
    crossings.sort_unstable();
    // A closed ring crosses every row an even number of times.
    let pairs = crossings.chunks_exact(2).filter(|pair| pair[0].1 < pair[1].1);
    pairs.map(|pair| Span { j: pair[0].0, from: pair[0].1, to: pair[1].1 }).collect()
}

/// Toggles every voxel of the spans: rings drawn one after the other follow the even-odd rule
/// together.
pub(crate) fn toggle(spans: &[Span], slice: &mut ArrayViewMut2<u8>) {
    for span in spans {
        for i in span.from..span.to {
            slice[[span.j, i]] ^= 1;
        }
    }
}

/// Number of voxels.
pub(crate) fn count(spans: &[Span]) -> usize {
    spans.iter().map(|s| s.to - s.from).sum()
}

/// Number of voxels that two rings have in common.
pub(crate) fn common(a: &[Span], b: &[Span]) -> usize {
    let (mut n, mut m, mut sum) = (0, 0, 0);
    while let (Some(x), Some(y)) = (a.get(n), b.get(m)) {
        if x.j == y.j {
            sum += x.to.min(y.to).saturating_sub(x.from.max(y.from));
        }
        match (x.j, x.to).cmp(&(y.j, y.to)) {
            Ordering::Less => n += 1,
            _ => m += 1,
        }
    }
    sum
}

/// The mask that rings of continuous indices (i, j) enclose by the even-odd rule; each ring comes
/// with its slice k.
///
/// # Errors
/// [`Error::Argument`] if a ring lies on a slice that the grid does not have, or an index is not
/// finite.
pub fn rings_mask<'a>(
    rings: impl IntoIterator<Item = (usize, &'a [[f64; 2]])>,
    grid: &Grid,
) -> Result<Array3<u8>> {
    let [ni, nj, nk] = grid.size();
    let mut mask = Array3::zeros(grid.shape());
    for (k, ring) in rings {
        if k >= nk || !ring.iter().flatten().all(|v| v.is_finite()) {
            return Err(Error::Argument(format!(
                "found a ring on slice k {k}, expected a slice below {nk} and finite indices. Draw \
                 the contours again on this grid"
            )));
        }
        toggle(&spans(ring, ni, nj), &mut mask.index_axis_mut(Axis(0), k));
    }
    Ok(mask)
}

#[cfg(test)]
mod tests {
    use ndarray::Array2;

    use super::*;

    fn drawn(rings: &[&[[f64; 2]]]) -> Vec<String> {
        let mut image = Array2::zeros((5, 6));
        for ring in rings {
            toggle(&spans(ring, 6, 5), &mut image.view_mut());
        }
        image
            .outer_iter()
            .map(|row| row.iter().map(|v| if *v == 0 { '.' } else { '#' }).collect())
            .collect()
    }

    #[test]
    fn centres_decide() {
        assert_eq!(
            drawn(&[&[[0.5, 0.5], [3.5, 0.5], [3.5, 2.5], [0.5, 2.5]]]),
            ["......", ".###..", ".###..", "......", "......"]
        );
        // A triangle, whichever way it runs; beyond the image it is cut off.
        let triangle = [[-3.0, 4.4], [9.0, 4.4], [2.5, -1.0]];
        let reversed: Vec<[f64; 2]> = triangle.iter().rev().copied().collect();
        assert_eq!(drawn(&[&triangle]), drawn(&[&reversed]));
        assert_eq!(drawn(&[&triangle])[4], "######");
        assert_eq!(drawn(&[&triangle])[0], "..##..");
    }

    #[test]
    fn an_edge_through_centres_gives_them_to_one_side() {
        let (left, right) = (
            [[0.0, 0.0], [2.0, 0.0], [2.0, 4.0], [0.0, 4.0]],
            [[2.0, 0.0], [5.0, 0.0], [5.0, 4.0], [2.0, 4.0]],
        );
        assert_eq!(common(&spans(&left, 6, 5), &spans(&right, 6, 5)), 0);
        assert_eq!(count(&spans(&left, 6, 5)) + count(&spans(&right, 6, 5)), 5 * 4);
    }

    #[test]
    fn a_ring_in_a_ring_is_a_hole_and_a_keyhole_the_same() {
        let (outer, inner) = (
            [[0.5, 0.5], [5.5, 0.5], [5.5, 4.5], [0.5, 4.5]],
            [[1.5, 1.5], [4.5, 1.5], [4.5, 3.5], [1.5, 3.5]],
        );
        let expected = ["......", ".#####", ".#...#", ".#...#", ".#####"];
        assert_eq!(drawn(&[&outer, &inner]), expected);
        let keyhole: Vec<[f64; 2]> = [
            [0.5, 1.7],
            [1.5, 1.7],
            [1.5, 3.5],
            [4.5, 3.5],
            [4.5, 1.5],
            [1.5, 1.5],
            [1.5, 1.7],
            [0.5, 1.7],
        ]
        .into_iter()
        .chain([[0.5, 4.5], [5.5, 4.5], [5.5, 0.5], [0.5, 0.5]])
        .collect();
        assert_eq!(drawn(&[&keyhole]), expected);
        let (a, b) = (spans(&outer, 6, 5), spans(&inner, 6, 5));
        assert_eq!((count(&a), count(&b), common(&a, &b), common(&b, &a)), (20, 6, 6, 6));
    }
}
