//! Points on the exact plane of a slice.
//!
//! In: a slice's own position and orientation strings and the grid's in-plane axes. Out: contour
//! points as decimal strings, LPS mm. The plane is the slice's own, never one computed from an
//! averaged spacing; if it is axis-aligned, the plane's coordinate repeats the slice's own decimal
//! string.

use super::decimal::{millimetres, stored};
use crate::error::{Error, Result};
use crate::formats::dicom::decimal;
use crate::geometry::grid::{Grid, Point, add, cross, dot, norm, scale, sub};
use crate::volume::DicomSlice;

/// How far the slice's own geometry may lie from the grid's, mm; beyond it they belong to different
/// images.
const SAME_PLACE_MM: f64 = 0.05;

/// Smaller differences over the whole image do not show in three decimals.
const INVISIBLE_MM: f64 = 0.000_5;

/// The plane of a slice.
#[derive(Debug)]
pub(super) struct Plane {
    position: Point,
    axis_i: Point,
    axis_j: Point,
    /// For each coordinate, the slice's own string if all points of the plane share it.
    constant: [Option<String>; 3],
}

impl Plane {
    /// The plane of storage slice `k`.
    ///
    /// # Errors
    /// [`Error::Geometry`] if the strings are not numbers or do not describe the grid's slice.
    pub fn new(slice: &DicomSlice, grid: &Grid, k: usize) -> Result<Self> {
        let wrong = |what: &str| {
            Error::Geometry(format!(
                "{}: {what} of slice k {k} (Image Position (Patient) {}, Image Orientation \
                 (Patient) {}) is not the geometry that the volume was read with. Read the series \
                 again from its files",
                slice.path.display(),
                slice.position.join("\\"),
                slice.orientation.join("\\"),
            ))
        };
        let position: Vec<f64> = slice.position.iter().filter_map(|s| decimal(s)).collect();
        let orientation: Vec<f64> = slice.orientation.iter().filter_map(|s| decimal(s)).collect();
        let (&[x, y, z], &[a, b, c, d, e, f]) = (&position[..], &orientation[..]) else {
            return Err(wrong("a coordinate"));
        };
        let position = [x, y, z];
        let normal = cross([a, b, c], [d, e, f]);
        if norm(sub(position, grid.origins()[k])) > SAME_PLACE_MM || norm(normal) < 1e-3 {
            return Err(wrong("the position"));
        }
        let normal = scale(normal, 1.0 / norm(normal));
        let [ni, nj, _] = grid.size();
        // All slices share the grid's axes; rounded strings may tilt a slice's own plane.
        let into_plane = |axis: Point, count: usize| {
            let off = dot(axis, normal);
            if off.abs() * count as f64 > SAME_PLACE_MM {
                Err(wrong("the orientation"))
            } else {
                Ok(sub(axis, scale(normal, off)))
            }
        };
        let axis_i = into_plane(grid.axis_i(), ni)?;
        let axis_j = into_plane(grid.axis_j(), nj)?;
        let mut constant = [None, None, None];
        for n in 0..3 {
            if axis_i[n].abs() * (ni + 1) as f64 + axis_j[n].abs() * (nj + 1) as f64 <= INVISIBLE_MM
            {
                constant[n] = Some(stored(&slice.position[n], position[n])?);
            }
        }
        Ok(Plane { position, axis_i, axis_j, constant })
    }

    /// The point at the continuous index (i, j).
    pub fn point(&self, [i, j]: [f64; 2]) -> Result<[String; 3]> {
        let point = add(self.position, add(scale(self.axis_i, i), scale(self.axis_j, j)));
        let coordinate = |n: usize| match &self.constant[n] {
            Some(text) => Ok(text.clone()),
            None => millimetres(point[n]),
        };
        Ok([coordinate(0)?, coordinate(1)?, coordinate(2)?])
    }

    /// A ring as contour data, without points that rounding made equal to their neighbour. `None`
    /// if fewer than three are left.
    pub fn contour_data(&self, ring: &[[f64; 2]]) -> Result<Option<Vec<String>>> {
        let mut points = Vec::with_capacity(ring.len());
        for index in ring {
            points.push(self.point(*index)?);
        }
        points.dedup();
        while points.len() > 1 && points.first() == points.last() {
            points.pop();
        }
        // Some readers drop a last point that has the x and y of the first one, whatever its z.
        let alike = |a: &[String; 3], b: &[String; 3]| a[..2] == b[..2];
        if let Some(start) = (0..points.len())
            .find(|n| !alike(&points[*n], &points[(n + points.len() - 1) % points.len()]))
        {
            points.rotate_left(start);
        }
        let mut distinct = points.clone();
        distinct.sort_unstable();
        distinct.dedup();
        Ok((distinct.len() >= 3).then(|| points.into_iter().flatten().collect()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn slice(position: [&str; 3], orientation: [&str; 6]) -> DicomSlice {
        DicomSlice {
            position: position.map(String::from),
            orientation: orientation.map(String::from),
            ..DicomSlice::default()
        }
    }

    #[test]
    fn an_axis_aligned_plane_repeats_its_own_string() {
        let grid =
            Grid::new([4, 4, 1], [0.0, 0.7, 0.0], [0.0, 0.0, -0.7], vec![[-12.3456789, 1.0, 2.0]])
                .unwrap();
        let plane = Plane::new(
            &slice(["-12.3456789", "1.0", "2"], ["0", "1", "0", "0", "0", "-1"]),
            &grid,
            0,
        )
        .unwrap();
        assert_eq!(plane.point([0.5, 1.5]).unwrap(), ["-12.3456789", "1.35", "0.95"]);
        // Less tilt than three decimals show: still the plane's own string.
        let grid = Grid::new(
            [4, 4, 1],
            [1e-10, 0.7, 0.0],
            [0.0, 0.0, -0.7],
            vec![[-12.3456789, 1.0, 2.0]],
        )
        .unwrap();
        let plane = Plane::new(
            &slice(["-12.3456789", "1.0", "2"], ["1.42e-10", "1", "0", "0", "0", "-1"]),
            &grid,
            0,
        )
        .unwrap();
        assert_eq!(plane.point([3.0, 0.0]).unwrap()[0], "-12.3456789");
    }

    #[test]
    fn an_oblique_point_lies_on_its_own_plane() {
        let (c, s) = (0.3f64.cos(), 0.3f64.sin());
        let grid =
            Grid::new([9, 9, 1], [0.9 * c, 0.9 * s, 0.0], [0.0, 0.0, 0.8], vec![[5.0, 6.0, 7.0]])
                .unwrap();
        let texts = [c, s, 0.0, 0.0, 0.0, 1.0].map(|v| format!("{v:.6}"));
        let strings = DicomSlice {
            position: ["5", "6", "7"].map(String::from),
            orientation: texts,
            ..DicomSlice::default()
        };
        let plane = Plane::new(&strings, &grid, 0).unwrap();
        let p = plane.point([8.0, 3.5]).unwrap().map(|t| t.parse::<f64>().unwrap());
        let off = dot(sub(p, [5.0, 6.0, 7.0]), [s, -c, 0.0]);
        assert!(off.abs() < 0.001, "{off}");
    }

    #[test]
    fn another_images_geometry_is_refused() {
        let grid = Grid::new([4, 4, 1], [1.0, 0.0, 0.0], [0.0, 1.0, 0.0], vec![[0.0; 3]]).unwrap();
        let moved = Plane::new(&slice(["0", "0", "1"], ["1", "0", "0", "0", "1", "0"]), &grid, 0)
            .unwrap_err();
        assert!(
            moved
                .to_string()
                .contains("the position of slice k 0 (Image Position (Patient) 0\\0\\1"),
            "{moved}"
        );
        assert!(
            Plane::new(&slice(["0", "0", "0"], ["1", "0", "0", "0", "0", "1"]), &grid, 0).is_err()
        );
        assert!(
            Plane::new(&slice(["0", "", "0"], ["1", "0", "0", "0", "1", "0"]), &grid, 0).is_err()
        );
    }

    #[test]
    fn points_that_rounding_made_equal_are_dropped() {
        let grid = Grid::new([4, 4, 1], [1.0, 0.0, 0.0], [0.0, 1.0, 0.0], vec![[0.0; 3]]).unwrap();
        let plane =
            Plane::new(&slice(["0", "0", "0"], ["1", "0", "0", "0", "1", "0"]), &grid, 0).unwrap();
        let data = plane
            .contour_data(&[[0.0, 0.0], [1.0, 0.0], [1.0, 0.0001], [1.0, 1.0], [0.0001, 0.0]])
            .unwrap()
            .unwrap();
        assert_eq!(data, ["0", "0", "0", "1", "0", "0", "1", "1", "0"]);
        assert!(plane.contour_data(&[[0.0, 0.0], [1.0, 0.0], [1.0, 0.0001]]).unwrap().is_none());
        let sagittal =
            Grid::new([4, 4, 1], [0.0, 1.0, 0.0], [0.0, 0.0, -1.0], vec![[0.0; 3]]).unwrap();
        let plane =
            Plane::new(&slice(["0", "0", "0"], ["0", "1", "0", "0", "0", "-1"]), &sagittal, 0)
                .unwrap();
        let data =
            plane.contour_data(&[[0.0, 0.0], [1.0, 0.0], [1.0, 1.0], [0.0, 1.0]]).unwrap().unwrap();
        assert_ne!(data[..2], data[9..11], "the closing edge does not run along z");
    }
}
