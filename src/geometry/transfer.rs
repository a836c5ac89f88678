//! Transfer of a mask or probability of other origin to a reference's grid.
//!
//! In: an image on its own grid, and the reference. Out: its voxels in the reference's storage
//! order [k, j, i]: reordered if both grids are the same but for permutation and flips; sampled at
//! the reference's voxel centres if the caller allows it; refused otherwise.

use ndarray::parallel::prelude::*;
use ndarray::{Array3, ArrayView3, Axis};

use crate::error::{Error, Result};
use crate::geometry::grid::{Grid, SAME_PLACE_MM};
use crate::geometry::orientation::Orientation;
use crate::geometry::resample::resample;
use crate::geometry::view::VoxelView;

/// How an image is sampled if it lies on another grid.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sampling {
    /// Not at all: the image must lie on the reference's grid.
    Refused,
    /// By the voxel whose centre is nearest; 0 beyond half a voxel outside. For masks.
    Nearest,
    /// Trilinear; clamped up to half a voxel outside, 0 beyond. For probabilities.
    Linear,
}

/// The image on the reference's grid.
#[derive(Debug)]
pub struct Transferred {
    /// [k, j, i], storage order of the reference.
    pub voxels: Array3<f32>,
    /// Whether the voxels were sampled rather than reordered.
    pub sampled: bool,
}

/// Transfers `image` to the grid of `reference`.
///
/// # Errors
/// [`Error::Geometry`] if the grids differ and `sampling` is [`Sampling::Refused`], or if an image
/// that is not empty lies outside the reference.
pub fn transfer(
    image: &VoxelView<'_>,
    reference: &VoxelView<'_>,
    sampling: Sampling,
) -> Result<Transferred> {
    if let Some(orientation) = Orientation::between(image.grid, reference.grid) {
        let voxels = orientation.canonical(image.voxels).as_standard_layout().into_owned();
        return Ok(Transferred { voxels, sampled: false });
    }
    let voxels = match sampling {
        Sampling::Nearest => nearest(image, reference.grid),
        Sampling::Linear => resample(image, reference.grid).voxels,
        Sampling::Refused => {
            return Err(Error::Geometry(format!(
                "{}: does not lie on the grid of {} ({}). Give the series that it was drawn on, or \
                 use --resample to sample it at that grid's voxel centres",
                image.place,
                reference.place,
                difference(image.grid, reference.grid)
            )));
        }
    };
    let empty = |voxels: ArrayView3<'_, f32>| voxels.iter().all(|v| *v == 0.0);
    if empty(voxels.view()) && !empty(image.voxels) {
        return Err(Error::Geometry(format!(
            "{}: nothing of it lies on {}. Check that both are of one patient and examination, and \
             that the file's orientation is right",
            image.place, reference.place
        )));
    }
    Ok(Transferred { voxels, sampled: true })
}

/// The difference of two grids, for a message.
fn difference(image: &Grid, reference: &Grid) -> String {
    let distance = image.corner_distance(reference);
    if distance.is_finite() {
        return format!(
            "their corners lie up to {distance:.3} mm apart, expected at most {SAME_PLACE_MM} mm, \
             in any storage order"
        );
    }
    let of = |grid: &Grid| {
        let ([ni, nj, nk], [di, dj], dk) =
            (grid.size(), grid.pixel_mm(), grid.slice_spacing_mm().unwrap_or_default());
        format!("{ni} x {nj} x {nk} voxels of {di:.3} x {dj:.3} x {dk:.3} mm")
    };
    format!("{} against {}", of(image), of(reference))
}

/// The value of the voxel whose centre is nearest.
fn nearest(image: &VoxelView<'_>, target: &Grid) -> Array3<f32> {
    let mut out = Array3::zeros(target.shape());
    let locator = image.grid.locator();
    let size = image.grid.size();
    let voxels = image.voxels;
    out.axis_iter_mut(Axis(0)).into_par_iter().enumerate().for_each(|(k, mut plane)| {
        for ((j, i), value) in plane.indexed_iter_mut() {
            let at = locator.index(target.point(i as f64, j as f64, k)).map(|x| (x + 0.5).floor());
            if at.iter().zip(size).all(|(x, n)| *x >= 0.0 && *x < n as f64) {
                *value = voxels[[at[2] as usize, at[1] as usize, at[0] as usize]];
            }
        }
    });
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::geometry::view::Voxels;

    fn volume(grid: Grid, fill: impl Fn([f64; 3]) -> f32) -> Voxels {
        let voxels = Array3::from_shape_fn(grid.shape(), |(k, j, i)| {
            fill(grid.point(i as f64, j as f64, k))
        });
        Voxels::new(voxels, grid)
    }

    fn sagittal() -> Grid {
        let affine = [
            [0.0, 0.0, 4.0, -8.0],
            [0.9, 0.0, 0.0, -9.0],
            [0.0, -0.8, 0.0, 7.2],
            [0.0, 0.0, 0.0, 1.0],
        ];
        Grid::from_affine([21, 19, 5], &affine).unwrap()
    }

    #[test]
    fn another_storage_order_is_the_same_grid() {
        let field = |p: [f64; 3]| (p[0] + 3.0 * p[1] + 7.0 * p[2]) as f32;
        // Axial storage of the same voxels, rows from left to right.
        let affine = [
            [-4.0, 0.0, 0.0, 8.0],
            [0.0, 0.9, 0.0, -9.0],
            [0.0, 0.0, 0.8, -7.2],
            [0.0, 0.0, 0.0, 1.0],
        ];
        let axial = volume(Grid::from_affine([5, 21, 19], &affine).unwrap(), field);
        let reference = volume(sagittal(), field);
        let found = transfer(&axial.view(), &reference.view(), Sampling::Refused).unwrap();
        assert!(!found.sampled && found.voxels.is_standard_layout());
        for (a, b) in found.voxels.iter().zip(reference.voxels) {
            assert!((a - b).abs() < 1e-4);
        }
    }

    #[test]
    fn another_grid_is_refused_or_sampled() {
        let inside = |p: [f64; 3]| {
            f32::from(u8::from(p[0].abs() <= 4.0 && p[1].abs() <= 5.0 && p[2].abs() <= 4.0))
        };
        let affine = [
            [1.0, 0.0, 0.0, -9.5],
            [0.0, 1.0, 0.0, -9.5],
            [0.0, 0.0, 2.0, -9.0],
            [0.0, 0.0, 0.0, 1.0],
        ];
        let image = volume(Grid::from_affine([20, 20, 10], &affine).unwrap(), inside);
        let reference = volume(sagittal(), |_| 0.0);
        let error =
            transfer(&image.view(), &reference.view(), Sampling::Refused).unwrap_err().to_string();
        assert!(
            error.contains(
                "20 x 20 x 10 voxels of 1.000 x 1.000 x 2.000 mm against 21 x 19 x 5 voxels"
            ) && error.contains("--resample"),
            "{error}"
        );
        let found = transfer(&image.view(), &reference.view(), Sampling::Nearest).unwrap();
        assert!(found.sampled);
        for ((k, j, i), v) in found.voxels.indexed_iter() {
            let [x, y, z] = reference.grid.point(i as f64, j as f64, k);
            // The box of whole voxels: centres at -3.5 .. 3.5, -4.5 .. 4.5, -3 .. 3.
            let expected = x.abs() < 4.0 + 1e-9 && y.abs() < 5.0 && z.abs() < 4.0 - 1e-9;
            if (x.abs() - 4.0).abs() > 1e-6
                && (z.abs() - 4.0).abs() > 1e-6
                && (y.abs() - 5.0).abs() > 1e-6
            {
                assert_eq!(*v, f32::from(u8::from(expected)), "{x} {y} {z}");
            }
        }
        let elsewhere = volume(
            Grid::from_affine(
                [20, 20, 10],
                &affine
                    .map(|r| [r[0], r[1], r[2], r[3] + 400.0 * f64::from(u8::from(r[0] == 1.0))]),
            )
            .unwrap(),
            |_| 1.0,
        );
        assert!(
            transfer(&elsewhere.view(), &reference.view(), Sampling::Nearest)
                .unwrap_err()
                .to_string()
                .contains("nothing of it lies on")
        );
    }
}
