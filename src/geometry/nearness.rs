//! How far two grids lie apart that are meant to be one.
//!
//! In: grids. Out: the largest distance between voxels that stand for each other, mm.

use crate::error::Result;
use crate::geometry::grid::{Grid, Point};

/// The largest distance (mm) of a slice's corner, or of its first corner's neighbours, from what
/// `other` gives for the same indices (i, j, k). If two grids have corners and neighbours in
/// common, they have all voxels in common.
pub fn farthest(grid: &Grid, other: impl Fn(f64, f64, usize) -> Point) -> f64 {
    let [ni, nj, nk] = grid.size();
    let (i, j) = ((ni - 1) as f64, (nj - 1) as f64);
    let points = |k: usize| {
        [(0.0, 0.0), (i, 0.0), (0.0, j), (i, j), (i.min(1.0), 0.0), (0.0, j.min(1.0))]
            .map(|(i, j)| (i, j, k))
    };
    let distance = |(i, j, k): (f64, f64, usize)| {
        let (here, there) = (grid.point(i, j, k), other(i, j, k));
        here.iter().zip(there).map(|(a, b)| (a - b).powi(2)).sum::<f64>().sqrt()
    };
    (0..nk).flat_map(points).map(distance).fold(0.0, f64::max)
}

/// How far the voxels of `region` lie from those of `series` (mm) if they are the same in some
/// storage order but for at most `tolerance_mm`; `None` if they are not. Slices whose positions
/// jitter are such a case: a mask has one affine for all.
pub fn nearly_same(region: &Grid, series: &Grid, tolerance_mm: f64) -> Option<f64> {
    if !same_shape(region.size(), series.size()) {
        return None;
    }
    let (locator, last) = (region.locator(), region.size().map(|n| (n - 1) as f64));
    let apart = farthest(series, |i, j, k| {
        let at = locator.index(series.point(i, j, k));
        let [i, j, k] = std::array::from_fn(|a| at[a].round().clamp(0.0, last[a]));
        region.point(i, j, k as usize)
    });
    (apart <= tolerance_mm).then_some(apart)
}

/// Whether two sizes hold the same numbers, in any order.
pub fn same_shape(mut a: [usize; 3], mut b: [usize; 3]) -> bool {
    a.sort_unstable();
    b.sort_unstable();
    a == b
}

/// The same slices at even distances, so that one affine holds for all, and how far they were moved
/// at most (mm). `None` if the grid has one affine already, or if a slice had to be moved farther
/// than `tolerance_mm`.
///
/// # Errors
/// [`crate::Error::Image`] or [`crate::Error::Geometry`] if no grid can be made of them.
pub fn with_even_slices(grid: &Grid, tolerance_mm: f64) -> Result<Option<(Grid, f64)>> {
    let (origins, last) = (grid.origins(), grid.origins().len() - 1);
    if grid.affine().is_some() || last == 0 {
        return Ok(None);
    }
    let at = |k: usize| {
        std::array::from_fn(|a| {
            origins[0][a] + (origins[last][a] - origins[0][a]) * k as f64 / last as f64
        })
    };
    let even = Grid::new(grid.size(), grid.axis_i(), grid.axis_j(), (0..=last).map(at).collect())?;
    let apart = farthest(grid, |i, j, k| even.point(i, j, k));
    Ok((apart <= tolerance_mm).then_some((even, apart)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn grid(heights: &[f64]) -> Grid {
        let origins = heights.iter().map(|z| [0.0, 0.0, *z]).collect();
        Grid::new([6, 4, heights.len()], [1.0, 0.0, 0.0], [0.0, 2.0, 0.0], origins).unwrap()
    }

    #[test]
    fn slices_that_jitter_become_even_and_uneven_ones_stay() {
        let jittering = grid(&[0.0, 4.1, 8.0]);
        let (even, apart) = with_even_slices(&jittering, 0.5).unwrap().unwrap();
        assert!(even.affine().is_some() && (apart - 0.1).abs() < 1e-9, "{apart}");
        assert!(with_even_slices(&grid(&[0.0, 7.0, 8.0]), 0.5).unwrap().is_none());
        assert!(with_even_slices(&grid(&[0.0, 4.0, 8.0]), 0.5).unwrap().is_none());
    }

    #[test]
    fn another_storage_order_is_nearly_the_same_and_another_place_is_not() {
        let series = grid(&[0.0, 4.0, 8.04]);
        let reversed = grid(&[8.0, 4.0, 0.0]);
        let apart = nearly_same(&reversed, &series, 0.1).unwrap();
        assert!((apart - 0.04).abs() < 1e-9, "{apart}");
        assert_eq!(nearly_same(&reversed, &series, 0.01), None);
        assert_eq!(nearly_same(&grid(&[0.0, 4.0]), &series, 10.0), None);
        assert!(same_shape([3, 1, 2], [1, 2, 3]) && !same_shape([3, 1, 2], [1, 2, 2]));
    }
}
