//! From patient points to voxel indices.
//!
//! In: a grid and points in LPS mm. Out: continuous voxel indices (i, j, k).

use crate::geometry::grid::{Grid, Point, add, cross, dot, scale, sub};

/// Maps patient points to continuous indices of a grid with any slice spacing.
#[derive(Debug, Clone)]
pub struct Locator {
    inverse: [[f64; 2]; 2],
    axis_i: Point,
    axis_j: Point,
    normal: Point,
    origins: Vec<Point>,
    /// Along the normal, ascending or descending.
    positions: Vec<f64>,
    ascending: bool,
    step: f64,
}

impl Locator {
    pub(super) fn new(grid: &Grid) -> Self {
        let (a, b) = (grid.axis_i(), grid.axis_j());
        // In-plane coordinates by the normal equations, as axes may be skewed.
        let (aa, ab, bb) = (dot(a, a), dot(a, b), dot(b, b));
        let det = aa * bb - ab * ab;
        let positions = grid.positions();
        let step = grid.slice_spacing_mm().unwrap_or(1.0);
        Locator {
            inverse: [[bb / det, -ab / det], [-ab / det, aa / det]],
            axis_i: a,
            axis_j: b,
            normal: grid.normal(),
            origins: grid.origins().to_vec(),
            ascending: positions.len() < 2 || positions[1] > positions[0],
            positions,
            step,
        }
    }

    /// Continuous (i, j, k) of a patient point. k is extrapolated by the usual spacing beyond the
    /// first and last slice.
    pub fn index(&self, point: Point) -> [f64; 3] {
        let k = self.slice(dot(point, self.normal));
        let below = (k.floor().max(0.0) as usize).min(self.origins.len() - 1);
        let above = (below + 1).min(self.origins.len() - 1);
        let t = (k - below as f64).clamp(0.0, 1.0);
        let origin = add(scale(self.origins[below], 1.0 - t), scale(self.origins[above], t));
        let d = sub(point, origin);
        let (u, v) = (dot(d, self.axis_i), dot(d, self.axis_j));
        [
            self.inverse[0][0] * u + self.inverse[0][1] * v,
            self.inverse[1][0] * u + self.inverse[1][1] * v,
            k,
        ]
    }

    /// Continuous k of a position along the normal.
    fn slice(&self, position: f64) -> f64 {
        let p = &self.positions;
        let n = p.len();
        let sign = if self.ascending { 1.0 } else { -1.0 };
        let q = sign * position;
        if q <= sign * p[0] {
            return (q - sign * p[0]) / self.step;
        }
        if q >= sign * p[n - 1] {
            return (n - 1) as f64 + (q - sign * p[n - 1]) / self.step;
        }
        let above = p.partition_point(|x| sign * x <= q);
        let (lo, hi) = (sign * p[above - 1], sign * p[above]);
        (above - 1) as f64 + (q - lo) / (hi - lo)
    }
}

/// Maps patient points to continuous indices of an evenly spaced grid by the inverse of its affine,
/// also beyond its ends.
#[derive(Debug, Clone)]
pub struct EvenLocator {
    origin: Point,
    rows: [Point; 3],
}

impl EvenLocator {
    /// For voxel (0, 0, 0) at `origin` and the steps between voxels along i, j and k, mm.
    pub(super) fn new(origin: Point, [a, b, c]: [Point; 3]) -> Self {
        let volume = dot(a, cross(b, c));
        let rows = [cross(b, c), cross(c, a), cross(a, b)].map(|row| scale(row, 1.0 / volume));
        EvenLocator { origin, rows }
    }

    /// Continuous (i, j, k) of a patient point.
    pub fn index(&self, point: Point) -> [f64; 3] {
        self.step(sub(point, self.origin))
    }

    /// The change of (i, j, k) along `direction`, mm.
    pub fn step(&self, direction: Point) -> [f64; 3] {
        self.rows.map(|row| dot(row, direction))
    }
}
