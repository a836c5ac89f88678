//! Voxels on a grid, borrowed.

use ndarray::ArrayView3;

use crate::geometry::grid::Grid;

/// Voxels in storage order and the grid they lie on.
#[derive(Debug, Clone)]
pub struct VoxelView<'a> {
    /// [k, j, i].
    pub voxels: ArrayView3<'a, f32>,
    /// The grid of the voxels.
    pub grid: &'a Grid,
    /// The name of the image in messages.
    pub place: String,
}

/// Voxels that a test owns.
#[cfg(test)]
pub(crate) struct Voxels {
    pub voxels: ndarray::Array3<f32>,
    pub grid: Grid,
}

#[cfg(test)]
impl Voxels {
    pub fn new(voxels: ndarray::Array3<f32>, grid: Grid) -> Self {
        assert_eq!(voxels.dim(), grid.shape());
        Voxels { voxels, grid }
    }

    pub fn view(&self) -> VoxelView<'_> {
        VoxelView { voxels: self.voxels.view(), grid: &self.grid, place: "in memory".into() }
    }
}
