//! The canonical axial orientation of a grid, and back.
//!
//! In: a storage grid with any order, direction or determinant of its axes. Out: an [`Orientation`]
//! whose canonical view has rows from anterior to posterior, columns from the patient's right to
//! left and slices from inferior to superior, by permutation and flips only: no voxel is
//! interpolated, and [`Orientation::to_storage`] restores the storage order exactly.

use ndarray::{Array3, ArrayView3, ArrayViewMut3, Axis};

use crate::error::{Error, Result};
use crate::geometry::grid::{Grid, Point, SAME_PLACE_MM, add, norm, scale, sub};

const PERMUTATIONS: [[usize; 3]; 6] =
    [[0, 1, 2], [1, 0, 2], [0, 2, 1], [2, 0, 1], [1, 2, 0], [2, 1, 0]];

/// The storage axis of every canonical axis, and whether it runs backwards.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Orientation {
    /// Storage axis (0 = i, 1 = j, 2 = k) of canonical i, j, k.
    axes: [usize; 3],
    /// Whether canonical i, j, k run against the storage axis.
    flips: [bool; 3],
}

impl Orientation {
    /// The orientation of an array that is already canonical.
    pub const CANONICAL: Orientation = Orientation { axes: [0, 1, 2], flips: [false; 3] };

    /// The orientation of a storage grid. The slice axis is the storage axis nearest to head-foot.
    ///
    /// # Errors
    /// [`Error::Geometry`] if the slices are unevenly spaced and that axis is not the storage's own
    /// slice axis.
    pub fn of(grid: &Grid) -> Result<Self> {
        let nearest = Orientation::nearest(grid);
        if !nearest.slices_are_axial() && grid.affine().is_none() {
            return Err(Error::Geometry(
                "the slices are unevenly spaced and were not acquired axially, expected an axial \
                 acquisition or even spacing. Use --reslice axial, or resample the image onto an \
                 evenly spaced grid first"
                    .into(),
            ));
        }
        Ok(nearest)
    }

    /// Assigns to every patient axis the storage axis nearest to it, head-foot first.
    pub fn nearest(grid: &Grid) -> Self {
        let directions = directions(grid);
        let weight = |storage: usize, patient: usize| directions[storage][patient].abs();
        let mut best = ([0, 1, 2], f64::NEG_INFINITY);
        let slice = (0..3).fold(2, |b, s| if weight(s, 2) > weight(b, 2) + 1e-9 { s } else { b });
        for axes in PERMUTATIONS {
            let fit = weight(axes[0], 0) + weight(axes[1], 1);
            if axes[2] == slice && fit > best.1 + 1e-9 {
                best = (axes, fit);
            }
        }
        let axes = best.0;
        Orientation {
            axes,
            flips: [0, 1, 2].map(|patient| directions[axes[patient]][patient] < 0.0),
        }
    }

    /// The orientation that maps an array on `from` to `to`: [`Orientation::canonical`] of the
    /// first lies on the second. `None` if the two are not the same grid in two storage orders,
    /// within [`SAME_PLACE_MM`].
    pub fn between(from: &Grid, to: &Grid) -> Option<Self> {
        let ways = PERMUTATIONS
            .into_iter()
            .flat_map(|axes| (0..8).map(move |n| (axes, [0, 1, 2].map(|s| n >> s & 1 == 1))));
        ways.map(|(axes, flips)| Orientation { axes, flips }).find(|way| way.maps(from, to))
    }

    /// Whether this maps `from` to `to`: the corners of every slice of either lie on the other's.
    fn maps(&self, from: &Grid, to: &Grid) -> bool {
        let last = from.size().map(|n| n - 1);
        if self.axes.map(|a| from.size()[a]) != to.size() {
            return false;
        }
        let flipped = |c: usize, v: usize| if self.flips[c] { last[self.axes[c]] - v } else { v };
        let apart = |at: [usize; 3], other: [usize; 3]| {
            let point = |grid: &Grid, [i, j, k]: [usize; 3]| grid.point(i as f64, j as f64, k);
            norm(sub(point(from, at), point(to, other)))
        };
        let corners = |size: [usize; 3]| {
            let [i, j, slices] = size.map(|n| n - 1);
            (0..=slices).flat_map(move |k| [[0, 0, k], [i, 0, k], [0, j, k], [i, j, k]])
        };
        corners(to.size()).all(|at| {
            let mut there = [0; 3];
            (0..3).for_each(|c| there[self.axes[c]] = flipped(c, at[c]));
            apart(there, at) <= SAME_PLACE_MM
        }) && corners(from.size())
            .all(|at| apart(at, [0, 1, 2].map(|c| flipped(c, at[self.axes[c]]))) <= SAME_PLACE_MM)
    }

    /// Largest angle (degrees) between a canonical axis of `storage` and the patient's: left, back,
    /// head.
    pub fn tilt_deg(&self, storage: &Grid) -> f64 {
        let directions = directions(storage);
        let cosine = |patient: usize| directions[self.axes[patient]][patient].abs().min(1.0);
        (0..3).map(cosine).fold(1.0, f64::min).acos().to_degrees()
    }

    /// Whether the storage's own slices are the canonical axial slices.
    pub fn slices_are_axial(&self) -> bool {
        self.axes[2] == 2
    }

    /// The canonical grid of the storage grid from which this orientation was made.
    ///
    /// # Errors
    /// As [`Grid::new`].
    pub fn canonical_grid(&self, storage: &Grid) -> Result<Grid> {
        let size = self.axes.map(|a| storage.size()[a]);
        let last = storage.size().map(|n| n - 1);
        let step = |canonical: usize, axis: Point| {
            if self.flips[canonical] { scale(axis, -1.0) } else { axis }
        };
        let start =
            |canonical: usize| if self.flips[canonical] { last[self.axes[canonical]] } else { 0 };
        if self.axes[2] == 2 {
            let axes = [storage.axis_i(), storage.axis_j()];
            let mut at = [0usize; 2];
            at[self.axes[0]] = start(0);
            at[self.axes[1]] = start(1);
            let origin = |k: usize| storage.point(at[0] as f64, at[1] as f64, k);
            let origins =
                (0..size[2]).map(|k| origin(if self.flips[2] { last[2] - k } else { k })).collect();
            return Grid::new(
                size,
                step(0, axes[self.axes[0]]),
                step(1, axes[self.axes[1]]),
                origins,
            );
        }
        let affine = storage
            .affine()
            .ok_or_else(|| Error::Internal("uneven slices in a permuted grid".into()))?;
        let column = |c: usize| [affine[0][c], affine[1][c], affine[2][c]];
        let mut origin = column(3);
        for canonical in 0..3 {
            origin = add(origin, scale(column(self.axes[canonical]), start(canonical) as f64));
        }
        let axis_k = step(2, column(self.axes[2]));
        let origins = (0..size[2]).map(|k| add(origin, scale(axis_k, k as f64))).collect();
        Grid::new(size, step(0, column(self.axes[0])), step(1, column(self.axes[1])), origins)
    }

    /// Storage slice index of canonical slice `k`, if the storage's slices are axial.
    pub fn storage_slice(&self, k: usize, slices: usize) -> usize {
        if self.flips[2] { slices - 1 - k } else { k }
    }

    /// A canonical view [k, j, i] of a storage array [k, j, i].
    pub fn canonical<'a, T>(&self, storage: ArrayView3<'a, T>) -> ArrayView3<'a, T> {
        let mut view = storage.permuted_axes(self.permutation());
        self.flip(|axis| view.invert_axis(axis));
        view
    }

    /// A canonical array [k, j, i] in storage order, contiguous.
    pub fn to_storage<T: Clone + Default>(&self, canonical: ArrayView3<'_, T>) -> Array3<T> {
        let mut shape = [0; 3];
        for (position, storage) in self.permutation().into_iter().enumerate() {
            shape[storage] = canonical.shape()[position];
        }
        let mut out = Array3::from_elem(shape, T::default());
        self.canonical_mut(out.view_mut()).assign(&canonical);
        out
    }

    /// A mutable canonical view [k, j, i] of a storage array [k, j, i].
    pub fn canonical_mut<'a, T>(&self, storage: ArrayViewMut3<'a, T>) -> ArrayViewMut3<'a, T> {
        let mut view = storage.permuted_axes(self.permutation());
        self.flip(|axis| view.invert_axis(axis));
        view
    }

    /// The storage array axis for each canonical array axis (k, j, i).
    fn permutation(&self) -> [usize; 3] {
        [2 - self.axes[2], 2 - self.axes[1], 2 - self.axes[0]]
    }

    fn flip(&self, mut invert: impl FnMut(Axis)) {
        for (canonical, flip) in self.flips.iter().enumerate() {
            if *flip {
                invert(Axis(2 - canonical));
            }
        }
    }
}

/// Unit directions of storage axes i, j, k.
fn directions(grid: &Grid) -> [Point; 3] {
    let unit = |p: Point| scale(p, 1.0 / norm(p));
    let positions = grid.positions();
    let forward = positions.len() < 2 || positions[1] > positions[0];
    let normal = grid.normal();
    [unit(grid.axis_i()), unit(grid.axis_j()), if forward { normal } else { scale(normal, -1.0) }]
}

#[cfg(test)]
mod tests {
    use super::*;

    /// One oblique patient stored in all 48 ways gives the same canonical grid and voxels, and
    /// returns to its storage.
    #[test]
    fn forty_eight_layouts_of_one_patient_are_one() {
        let size = [5, 4, 3];
        let affine = [
            [0.9, -0.1, 0.3, -10.0],
            [0.1, 0.8, -0.2, 20.0],
            [-0.05, 0.03, 4.0, 5.0],
            [0.0, 0.0, 0.0, 1.0],
        ];
        let reference = Grid::from_affine(size, &affine).unwrap();
        let voxels = Array3::from_shape_fn((3, 4, 5), |(k, j, i)| (100 * k + 10 * j + i) as f32);
        for axes in PERMUTATIONS {
            for flips in 0..8u32 {
                let flip = |s: usize| flips >> s & 1 == 1;
                // Storage axis s is reference axis axes[s], possibly backwards.
                let mut stored = [[0.0; 4]; 4];
                stored[3][3] = 1.0;
                for r in 0..3 {
                    stored[r][3] = affine[r][3];
                    for s in 0..3 {
                        let a = axes[s];
                        let column = affine[r][a];
                        stored[r][s] = if flip(s) { -column } else { column };
                        if flip(s) {
                            stored[r][3] += column * (size[a] - 1) as f64;
                        }
                    }
                }
                let n = axes.map(|a| size[a]);
                let array = Array3::from_shape_fn((n[2], n[1], n[0]), |(k, j, i)| {
                    let mut at = [0; 3];
                    for (s, v) in [i, j, k].into_iter().enumerate() {
                        at[axes[s]] = if flip(s) { n[s] - 1 - v } else { v };
                    }
                    voxels[[at[2], at[1], at[0]]]
                });
                let grid = Grid::from_affine(n, &stored).unwrap();
                let orientation = Orientation::of(&grid).unwrap();
                let canonical = orientation.canonical_grid(&grid).unwrap();
                assert!(canonical.corner_distance(&reference) < 1e-9, "{axes:?} {flips:03b}");
                assert_eq!(orientation.canonical(array.view()), voxels.view());
                assert_eq!(orientation.to_storage(voxels.view()), array);
                assert_eq!(
                    Orientation::between(&grid, &reference).unwrap().canonical(array.view()),
                    voxels.view()
                );
                assert_eq!(
                    Orientation::between(&reference, &grid).unwrap().canonical(voxels.view()),
                    array.view()
                );
            }
        }
    }

    #[test]
    fn grids_that_differ_by_more_than_storage_order_are_two() {
        let affine = |shift: f64| {
            [
                [0.9, 0.0, 0.0, shift],
                [0.0, 0.9, 0.0, 0.0],
                [0.0, 0.0, 4.0, 0.0],
                [0.0, 0.0, 0.0, 1.0],
            ]
        };
        let grid = Grid::from_affine([4, 4, 3], &affine(0.0)).unwrap();
        assert_eq!(
            Orientation::between(&Grid::from_affine([4, 4, 3], &affine(0.009)).unwrap(), &grid),
            Some(Orientation::CANONICAL)
        );
        assert_eq!(
            Orientation::between(&Grid::from_affine([4, 4, 3], &affine(0.011)).unwrap(), &grid),
            None
        );
        assert_eq!(
            Orientation::between(&Grid::from_affine([4, 4, 4], &affine(0.0)).unwrap(), &grid),
            None
        );
        // A slice in between at another position is detected in both grids.
        let uneven = Grid::new(
            [4, 4, 3],
            grid.axis_i(),
            grid.axis_j(),
            vec![[0.0; 3], [0.0, 0.0, 4.02], [0.0, 0.0, 8.0]],
        )
        .unwrap();
        let turned = Grid::from_affine(
            [3, 4, 4],
            &[
                [0.0, 0.9, 0.0, 0.0],
                [0.0, 0.0, 0.9, 0.0],
                [4.0, 0.0, 0.0, 0.0],
                [0.0, 0.0, 0.0, 1.0],
            ],
        )
        .unwrap();
        assert!(
            Orientation::between(&turned, &grid).is_some()
                && Orientation::between(&uneven, &uneven).is_some()
        );
        for (from, to) in
            [(&uneven, &grid), (&grid, &uneven), (&uneven, &turned), (&turned, &uneven)]
        {
            assert_eq!(Orientation::between(from, to), None);
        }
    }
}
