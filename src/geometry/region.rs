//! The volume of a region.

use ndarray::ArrayView3;

use crate::geometry::grid::Grid;

/// Volume (mm3) of the voxels [k, j, i] of `grid` that are `inside`. Slices of uneven distance
/// weigh by their thickness; a grid of one slice has no volume.
pub fn region_mm3<T>(voxels: ArrayView3<'_, T>, grid: &Grid, inside: impl Fn(&T) -> bool) -> f64 {
    let slice_mm3 = |(k, slice): (usize, ndarray::ArrayView2<'_, T>)| {
        slice.iter().filter(|v| inside(v)).count() as f64 * grid.voxel_mm3(k)
    };
    voxels.outer_iter().enumerate().map(slice_mm3).sum()
}

#[cfg(test)]
mod tests {
    use ndarray::Array3;

    use super::*;

    #[test]
    fn slices_weigh_by_their_thickness() {
        let origins = [0.0, 2.0, 12.0].map(|z| [0.0, 0.0, z]).to_vec();
        let grid = Grid::new([3, 2, 3], [0.5, 0.0, 0.0], [0.0, 2.0, 0.0], origins).unwrap();
        let voxels = Array3::from_shape_fn((3, 2, 3), |(k, j, _)| u8::from(k != 1 && j == 0));
        // Three pixels of 1 mm2 on 2 mm and on 10 mm.
        assert_eq!(region_mm3(voxels.view(), &grid, |v| *v != 0), 36.0);
        assert_eq!(region_mm3(voxels.view(), &grid, |v| *v == 0), 36.0 + 6.0 * 6.0);
    }
}
