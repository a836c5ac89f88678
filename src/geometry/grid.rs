//! The position of voxels in the patient.
//!
//! In: in-plane axes and one origin per slice. Out: maps between voxel indices and patient
//! millimetres (LPS).
//!
//! A voxel index (i, j, k) names the voxel's centre. i runs along a row (storage's fastest axis), j
//! along a column, k over slices; arrays are [k, j, i]. Every length is in millimetres, every
//! patient coordinate is LPS (x to the left, y to the back, z to the head).

use crate::error::{Error, Result};
use crate::geometry::locator::{EvenLocator, Locator};

/// Larger grids are refused: the largest clinical MR volumes have a fifth of these voxels.
pub(crate) const MAX_VOXELS: usize = 1 << 29;

/// How far (mm) a volume in memory may lie from the DICOM series that it belongs to.
pub const SAME_PLACE_MM: f64 = 0.01;

/// A point or a direction in patient space, LPS, mm.
pub type Point = [f64; 3];

/// How far (mm) a slice origin may lie from the position given by a uniform affine, for the grid to
/// count as uniform.
pub const UNIFORM_TOLERANCE_MM: f64 = 0.01;

/// The sampling grid of a volume: in-plane axes shared by all slices and an origin for every slice.
#[derive(Debug, Clone, PartialEq)]
pub struct Grid {
    size: [usize; 3],
    axis_i: Point,
    axis_j: Point,
    origins: Vec<Point>,
}

impl Grid {
    /// `size` is (ni, nj, nk). `axis_i` and `axis_j` are the steps in mm from one voxel to the next
    /// along i and j; `origins[k]` is the centre of voxel (0, 0, k).
    ///
    /// # Errors
    /// [`Error::Image`] if an axis is not finite, zero, or parallel to the other, if two slices
    /// coincide, or if the order of the slices along the normal is not monotonous.
    pub fn new(
        size: [usize; 3],
        axis_i: Point,
        axis_j: Point,
        origins: Vec<Point>,
    ) -> Result<Self> {
        let [ni, nj, nk] = size;
        if ni == 0 || nj == 0 || nk == 0 || origins.len() != nk {
            return Err(Error::Image(format!(
                "found a grid of {ni} x {nj} x {nk} voxels with {} slice origins, expected at \
                 least \
                 one voxel and an origin for every slice. Check the image's size",
                origins.len()
            )));
        }
        let finite =
            axis_i.iter().chain(&axis_j).chain(origins.iter().flatten()).all(|v| v.is_finite());
        let normal = cross(axis_i, axis_j);
        // Parallel axes span no plane.
        if !finite
            || norm(normal) <= 1e-6 * norm(axis_i) * norm(axis_j)
            || norm(axis_i) < 1e-6
            || norm(axis_j) < 1e-6
        {
            return Err(Error::Image(
                "the image's geometry is degenerate, expected finite, non-zero row and column \
                 directions that are not parallel. Check pixel spacing and orientation in the \
                 file's header"
                    .into(),
            ));
        }
        let grid = Grid { size, axis_i, axis_j, origins };
        let positions = grid.positions();
        let steps: Vec<f64> = positions.windows(2).map(|w| w[1] - w[0]).collect();
        let smallest = steps.iter().fold(f64::INFINITY, |a, s| a.min(s.abs()));
        let monotonous = steps.iter().all(|s| *s > 0.0) || steps.iter().all(|s| *s < 0.0);
        if !steps.is_empty() && (smallest < 1e-3 || !monotonous) {
            return Err(Error::Image(
                "two of the image's slices lie in one plane, or their order reverses, expected \
                 slices in order along their normal. Check the slice positions in the file's header"
                    .into(),
            ));
        }
        Ok(grid)
    }

    /// The grid of a 4 x 4 affine, row major, that maps (i, j, k, 1) to LPS mm.
    ///
    /// # Errors
    /// As [`Grid::new`].
    pub fn from_affine(size: [usize; 3], affine: &[[f64; 4]; 4]) -> Result<Self> {
        let column = |c: usize| [affine[0][c], affine[1][c], affine[2][c]];
        let (axis_k, origin) = (column(2), column(3));
        let origins = (0..size[2]).map(|k| add(origin, scale(axis_k, k as f64))).collect();
        Grid::new(size, column(0), column(1), origins)
    }

    /// (ni, nj, nk).
    pub fn size(&self) -> [usize; 3] {
        self.size
    }

    /// Shape of arrays on this grid: (nk, nj, ni).
    pub fn shape(&self) -> (usize, usize, usize) {
        (self.size[2], self.size[1], self.size[0])
    }

    /// Step along i, mm per voxel.
    pub fn axis_i(&self) -> Point {
        self.axis_i
    }

    /// Step along j, mm per voxel.
    pub fn axis_j(&self) -> Point {
        self.axis_j
    }

    /// Centre of voxel (0, 0, k) for every k.
    pub fn origins(&self) -> &[Point] {
        &self.origins
    }

    /// In-plane voxel size (along i, along j), mm.
    pub fn pixel_mm(&self) -> [f64; 2] {
        [norm(self.axis_i), norm(self.axis_j)]
    }

    /// Area of a pixel, mm2.
    pub fn pixel_mm2(&self) -> f64 {
        norm(cross(self.axis_i, self.axis_j))
    }

    /// Unit normal of the slices: axis_i x axis_j.
    pub fn normal(&self) -> Point {
        let n = cross(self.axis_i, self.axis_j);
        scale(n, 1.0 / norm(n))
    }

    /// Position of every slice along [`Grid::normal`], mm.
    pub fn positions(&self) -> Vec<f64> {
        let normal = self.normal();
        self.origins.iter().map(|o| dot(*o, normal)).collect()
    }

    /// Usual distance between neighbouring slices (the median), mm. `None` for one slice.
    pub fn slice_spacing_mm(&self) -> Option<f64> {
        let positions = self.positions();
        let mut steps: Vec<f64> = positions.windows(2).map(|w| (w[1] - w[0]).abs()).collect();
        steps.sort_by(f64::total_cmp);
        (!steps.is_empty()).then(|| steps[steps.len() / 2])
    }

    /// Mean step from slice to slice, mm; the unit normal for one slice.
    fn axis_k(&self) -> Point {
        match self.size[2] {
            1 => self.normal(),
            nk => scale(sub(self.origins[nk - 1], self.origins[0]), 1.0 / (nk - 1) as f64),
        }
    }

    /// The affine (i, j, k, 1) -> LPS mm if the slices are uniformly spaced (within
    /// [`UNIFORM_TOLERANCE_MM`]), and only then.
    pub fn affine(&self) -> Option<[[f64; 4]; 4]> {
        let (axis_k, origin) = (self.axis_k(), self.origins[0]);
        let uniform = self.origins.iter().enumerate().all(|(k, o)| {
            norm(sub(*o, add(origin, scale(axis_k, k as f64)))) <= UNIFORM_TOLERANCE_MM
        });
        let row = |r: usize| [self.axis_i[r], self.axis_j[r], axis_k[r], origin[r]];
        uniform.then(|| [row(0), row(1), row(2), [0.0, 0.0, 0.0, 1.0]])
    }

    /// Patient coordinates of (i, j) on slice k; i and j may be fractional.
    pub fn point(&self, i: f64, j: f64, k: usize) -> Point {
        add(self.origins[k], add(scale(self.axis_i, i), scale(self.axis_j, j)))
    }

    /// Volume of one voxel of slice k, mm3: pixel area times half the distance to both neighbours
    /// (the distance itself if there is only one).
    pub fn voxel_mm3(&self, k: usize) -> f64 {
        let area = self.pixel_mm2();
        let p = self.positions();
        let n = p.len();
        let thickness = match n {
            1 => 0.0,
            _ if k == 0 => (p[1] - p[0]).abs(),
            _ if k == n - 1 => (p[n - 1] - p[n - 2]).abs(),
            _ => (p[k + 1] - p[k - 1]).abs() / 2.0,
        };
        area * thickness
    }

    /// A locator that maps patient points to continuous voxel indices of this grid.
    pub fn locator(&self) -> Locator {
        Locator::new(self)
    }

    /// A locator that is affine everywhere, if the slices are uniformly spaced.
    pub fn even_locator(&self) -> Option<EvenLocator> {
        self.affine()?;
        Some(EvenLocator::new(self.origins[0], [self.axis_i, self.axis_j, self.axis_k()]))
    }

    /// Centre of slice `k`, LPS mm.
    pub fn slice_centre(&self, k: usize) -> Point {
        let [ni, nj, _] = self.size;
        self.point((ni - 1) as f64 / 2.0, (nj - 1) as f64 / 2.0, k)
    }

    /// Largest distance (mm) between the corners of two grids of the same size; infinite if the
    /// sizes differ.
    pub fn corner_distance(&self, other: &Grid) -> f64 {
        if self.size != other.size {
            return f64::INFINITY;
        }
        let [ni, nj, nk] = self.size;
        let mut largest: f64 = 0.0;
        for k in [0, nk - 1] {
            for (i, j) in [(0, 0), (ni - 1, 0), (0, nj - 1), (ni - 1, nj - 1)] {
                let (i, j) = (i as f64, j as f64);
                largest = largest.max(norm(sub(self.point(i, j, k), other.point(i, j, k))));
            }
        }
        largest
    }
}

pub(crate) fn add(a: Point, b: Point) -> Point {
    [a[0] + b[0], a[1] + b[1], a[2] + b[2]]
}

pub(crate) fn sub(a: Point, b: Point) -> Point {
    [a[0] - b[0], a[1] - b[1], a[2] - b[2]]
}

pub(crate) fn scale(a: Point, s: f64) -> Point {
    [a[0] * s, a[1] * s, a[2] * s]
}

pub(crate) fn dot(a: Point, b: Point) -> f64 {
    a[0] * b[0] + a[1] * b[1] + a[2] * b[2]
}

pub(crate) fn cross(a: Point, b: Point) -> Point {
    [a[1] * b[2] - a[2] * b[1], a[2] * b[0] - a[0] * b[2], a[0] * b[1] - a[1] * b[0]]
}

pub(crate) fn norm(a: Point) -> f64 {
    dot(a, a).sqrt()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn oblique() -> Grid {
        let origins = vec![[0.0, 0.0, 0.0], [0.3, -0.2, 5.0], [0.6, -0.4, 10.0], [0.9, -0.6, 16.0]];
        Grid::new([7, 5, 4], [0.9, 0.1, 0.0], [-0.1, 0.8, 0.05], origins).unwrap()
    }

    #[test]
    fn locator_inverts_point_on_non_uniform_slices() {
        let grid = oblique();
        let locator = grid.locator();
        for k in 0..4 {
            for (i, j) in [(0.0, 0.0), (6.0, 4.0), (2.5, 1.25)] {
                let [a, b, c] = locator.index(grid.point(i, j, k));
                assert!(
                    (a - i).abs() < 1e-9 && (b - j).abs() < 1e-9 && (c - k as f64).abs() < 1e-9
                );
            }
        }
    }

    #[test]
    fn descending_slices_locate_too() {
        let affine = [
            [-1.0, 0.0, 0.0, 3.0],
            [0.0, 1.0, 0.0, -4.0],
            [0.0, 0.0, 2.5, 7.0],
            [0.0, 0.0, 0.0, 1.0],
        ];
        let grid = Grid::from_affine([4, 4, 3], &affine).unwrap();
        assert!(grid.positions()[1] < grid.positions()[0]);
        let [i, j, k] = grid.locator().index([1.0, -2.0, 10.75]);
        assert!((i - 2.0).abs() < 1e-12 && (j - 2.0).abs() < 1e-12 && (k - 1.5).abs() < 1e-12);
        assert_eq!(grid.affine().unwrap(), affine);
    }

    #[test]
    fn a_gap_has_no_affine() {
        assert!(oblique().affine().is_none());
        assert_eq!(oblique().slice_spacing_mm().map(|s| s.round()), Some(5.0));
    }

    #[test]
    fn degenerate_geometry_is_refused() {
        assert!(Grid::new([2, 2, 1], [1.0, 0.0, 0.0], [2.0, 0.0, 0.0], vec![[0.0; 3]]).is_err());
        assert!(Grid::new([2, 2, 2], [1.0, 0.0, 0.0], [0.0, 1.0, 0.0], vec![[0.0; 3]; 2]).is_err());
        let back = vec![[0.0, 0.0, 0.0], [0.0, 0.0, 2.0], [0.0, 0.0, 1.0]];
        assert!(Grid::new([2, 2, 3], [1.0, 0.0, 0.0], [0.0, 1.0, 0.0], back).is_err());
        assert!(
            Grid::new([2, 2, 1], [f64::NAN, 0.0, 0.0], [0.0, 1.0, 0.0], vec![[0.0; 3]]).is_err()
        );
    }
}
