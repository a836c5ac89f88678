//! Canonical axial orientation of a grid, and the way back.
//!
//! In: a storage grid with any order, direction or determinant of its axes. Out: an [`Orientation`] whose canonical view has rows from
//! anterior to posterior, columns from the patient's right to left and slices from inferior to superior, as a pure permutation and flip: no
//! voxel is interpolated, and [`Orientation::to_storage`] puts results back exactly.

use ndarray::{Array3, ArrayView3, ArrayViewMut3, Axis};

use crate::error::{Error, Result};
use crate::study::grid::{Grid, Point, add, norm, scale};

/// Which storage axis plays which canonical part, and whether it runs backwards.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Orientation {
    /// Storage axis (0 = i, 1 = j, 2 = k) of canonical i, j, k.
    axes: [usize; 3],
    /// Whether canonical i, j, k run against the storage axis.
    flips: [bool; 3],
}

impl Orientation {
    /// The orientation of a storage grid. The slice axis is the storage axis nearest to head-foot.
    ///
    /// # Errors
    /// [`Error::Geometry`] where that axis is not the storage's own slice axis although only that one may have uneven spacing.
    pub fn of(grid: &Grid) -> Result<Self> {
        let directions = directions(grid);
        let weight = |storage: usize, patient: usize| directions[storage][patient].abs();
        let mut best = ([0, 1, 2], f64::NEG_INFINITY);
        let slice = (0..3).fold(2, |b, s| if weight(s, 2) > weight(b, 2) + 1e-9 { s } else { b });
        for axes in [[0, 1, 2], [1, 0, 2], [0, 2, 1], [2, 0, 1], [1, 2, 0], [2, 1, 0]] {
            let fit = weight(axes[0], 0) + weight(axes[1], 1);
            if axes[2] == slice && fit > best.1 + 1e-9 {
                best = (axes, fit);
            }
        }
        let axes = best.0;
        if axes[2] != 2 && grid.affine().is_none() {
            return Err(Error::Geometry(
                "the slices are unevenly spaced and were not acquired axially; an axial acquisition or even spacing was expected. \
                 Resample the image onto an evenly spaced grid first"
                    .into(),
            ));
        }
        let flips = [0, 1, 2].map(|patient| directions[axes[patient]][patient] < 0.0);
        Ok(Orientation { axes, flips })
    }

    /// Whether the storage's own slices are the canonical axial slices.
    pub fn slices_are_axial(&self) -> bool {
        self.axes[2] == 2
    }

    /// The canonical grid of the storage grid this orientation was made from.
    ///
    /// # Errors
    /// As [`Grid::new`].
    pub fn canonical_grid(&self, storage: &Grid) -> Result<Grid> {
        let size = self.axes.map(|a| storage.size()[a]);
        let last = storage.size().map(|n| n - 1);
        let step = |canonical: usize, axis: Point| if self.flips[canonical] { scale(axis, -1.0) } else { axis };
        let start = |canonical: usize| if self.flips[canonical] { last[self.axes[canonical]] } else { 0 };
        if self.axes[2] == 2 {
            let axes = [storage.axis_i(), storage.axis_j()];
            let mut at = [0usize; 2];
            at[self.axes[0]] = start(0);
            at[self.axes[1]] = start(1);
            let origin = |k: usize| storage.point(at[0] as f64, at[1] as f64, k);
            let origins = (0..size[2]).map(|k| origin(if self.flips[2] { last[2] - k } else { k })).collect();
            return Grid::new(size, step(0, axes[self.axes[0]]), step(1, axes[self.axes[1]]), origins);
        }
        let affine = storage.affine().ok_or_else(|| Error::Internal("uneven slices in a permuted grid".into()))?;
        let column = |c: usize| [affine[0][c], affine[1][c], affine[2][c]];
        let mut origin = column(3);
        for canonical in 0..3 {
            origin = add(origin, scale(column(self.axes[canonical]), start(canonical) as f64));
        }
        let axis_k = step(2, column(self.axes[2]));
        let origins = (0..size[2]).map(|k| add(origin, scale(axis_k, k as f64))).collect();
        Grid::new(size, step(0, column(self.axes[0])), step(1, column(self.axes[1])), origins)
    }

    /// Storage slice index of canonical slice `k`, where the storage's slices are axial.
    pub fn storage_slice(&self, k: usize, slices: usize) -> usize {
        if self.flips[2] { slices - 1 - k } else { k }
    }

    /// A canonical view [k, j, i] of a storage array [k, j, i].
    pub fn canonical<'a, T>(&self, storage: ArrayView3<'a, T>) -> ArrayView3<'a, T> {
        let mut view = storage.permuted_axes(self.permutation());
        self.flip(|axis| view.invert_axis(axis));
        view
    }

    /// A canonical array [k, j, i] brought to storage order, contiguous.
    pub fn to_storage<T: Clone + Default>(&self, canonical: ArrayView3<'_, T>) -> Array3<T> {
        let mut shape = [0; 3];
        for (position, storage) in self.permutation().into_iter().enumerate() {
            shape[storage] = canonical.shape()[position];
        }
        let mut out = Array3::from_elem(shape, T::default());
        self.canonical_mut(out.view_mut()).assign(&canonical);
        out
    }

    /// A canonical view [k, j, i] of a storage array [k, j, i], to write to.
    pub fn canonical_mut<'a, T>(&self, storage: ArrayViewMut3<'a, T>) -> ArrayViewMut3<'a, T> {
        let mut view = storage.permuted_axes(self.permutation());
        self.flip(|axis| view.invert_axis(axis));
        view
    }

    /// For canonical array positions (k, j, i): the storage array position.
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

    const PERMUTATIONS: [[usize; 3]; 6] = [[0, 1, 2], [1, 0, 2], [0, 2, 1], [2, 0, 1], [1, 2, 0], [2, 1, 0]];

    /// One oblique patient stored in all 48 ways gives the same canonical grid and voxels, and returns to its storage.
    #[test]
    fn forty_eight_layouts_of_one_patient_are_one() {
        let size = [5, 4, 3];
        let affine = [[0.9, -0.1, 0.3, -10.0], [0.1, 0.8, -0.2, 20.0], [-0.05, 0.03, 4.0, 5.0], [0.0, 0.0, 0.0, 1.0]];
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
            }
        }
    }
}
