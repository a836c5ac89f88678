//! The boundary of a mask as small pieces, and how far the pieces of two masks lie apart.
//!
//! In: masks on a grid. Out: [`Surface`]: a length (within a slice) or an area (between slices) at
//! every place where inside meets outside; [`Agreement`] of two of them.
//!
//! The piece of a boundary within a cell of 2 x 2 (or 2 x 2 x 2) neighbouring voxel centres is what
//! marching squares (cubes) draws there, half-way between centres; it is counted at the middle of
//! its cell. This is how Nikolov et al. (Clinically applicable segmentation of head and neck
//! anatomy for radiotherapy, J Med Internet Res 2021;23:e26151) define the surface Dice. What lies
//! beyond the image is outside.

use ndarray::{ArrayView2, ArrayView3};
use rayon::prelude::*;
use rstar::RTree;

use crate::geometry::grid::{Grid, Point, add, cross, norm, scale, sub};

/// Pieces of a boundary: where they are (mm) and how large.
#[derive(Debug, Clone, Default)]
pub(super) struct Surface<const N: usize> {
    places: Vec<[f64; N]>,
    /// mm or mm2.
    sizes: Vec<f64>,
}

/// How well two boundaries agree.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub(super) struct Agreement {
    /// Of both boundaries together, mm or mm2.
    pub total: f64,
    /// The part of it that lies within the tolerance of the other boundary.
    pub within: f64,
    /// The distance that 95 % of a boundary does not exceed, from the one or from the other,
    /// whichever is larger; `None` if one is missing.
    pub hausdorff95_mm: Option<f64>,
}

impl Agreement {
    /// The surface Dice; `None` if there is no boundary at all.
    pub fn dice(&self) -> Option<f64> {
        (self.total > 0.0).then(|| self.within / self.total)
    }
}

/// Compares boundaries; a piece counts as agreeing up to `tolerance` (mm).
pub(super) fn agreement<const N: usize>(
    a: &Surface<N>,
    b: &Surface<N>,
    tolerance: f64,
) -> Agreement {
    // Summed as below, so that full agreement is 1 to the last bit.
    let total = a.sizes.iter().sum::<f64>() + b.sizes.iter().sum::<f64>();
    if a.places.is_empty() || b.places.is_empty() {
        return Agreement { total, ..Agreement::default() };
    }
    let (from_a, from_b) = (a.distances(b), b.distances(a));
    let within = |surface: &Surface<N>, distances: &[f64]| {
        // From 0: the sum of nothing is -0.
        distances
            .iter()
            .zip(&surface.sizes)
            .filter(|(d, _)| **d <= tolerance)
            .fold(0.0, |sum, (_, size)| sum + size)
    };
    let farthest = percentile(&from_a, &a.sizes).max(percentile(&from_b, &b.sizes));
    Agreement {
        total,
        within: within(a, &from_a) + within(b, &from_b),
        hausdorff95_mm: Some(farthest),
    }
}

/// The smallest distance that at least 95 % of the boundary does not exceed.
fn percentile(distances: &[f64], sizes: &[f64]) -> f64 {
    let mut sorted: Vec<(f64, f64)> =
        distances.iter().copied().zip(sizes.iter().copied()).collect();
    sorted.sort_by(|a, b| a.0.total_cmp(&b.0));
    let enough = 0.95 * sizes.iter().sum::<f64>();
    let mut sum = 0.0;
    for (distance, size) in &sorted {
        sum += size;
        if sum >= enough {
            return *distance;
        }
    }
    sorted.last().map_or(0.0, |(d, _)| *d)
}

impl<const N: usize> Surface<N> {
    /// From every piece to the nearest one of `other`, which has some.
    fn distances(&self, other: &Surface<N>) -> Vec<f64> {
        let tree = RTree::bulk_load(other.places.clone());
        let distance = |p: &[f64; N]| {
            let nearest = tree.nearest_neighbor(p);
            nearest.map_or(f64::INFINITY, |q| {
                p.iter().zip(q).map(|(a, b)| (a - b) * (a - b)).sum::<f64>().sqrt()
            })
        };
        self.places.par_iter().map(distance).collect()
    }
}

/// The boundary of one slice, in millimetres of its plane.
pub(super) fn boundary(mask: ArrayView2<u8>, grid: &Grid) -> Surface<2> {
    let (nj, ni) = mask.dim();
    let (a, b) = (grid.axis_i(), grid.axis_j());
    // Axes may be skewed: one coordinate along i, the other across it.
    let along = |p: Point| [0, 1, 2].map(|n| p[n] * a[n] / norm(a)).iter().sum::<f64>();
    let across = |p: Point| norm(sub(p, scale(a, along(p) / norm(a))));
    let place = |i: f64, j: f64| [i * norm(a) + j * along(b), j * across(b)];
    // Cut-off corners, and the two straight lines.
    let half = |s: Point| norm(s) / 2.0;
    let (rising, falling) = (half(sub(a, b)), half(add(a, b)));
    let length = |code: usize| match code {
        // Corners in the order (0,0) (1,0) (0,1) (1,1): the line around (0,0) or (1,1) runs along a
        // - b.
        0b0001 | 0b0111 | 0b1000 | 0b1110 => rising,
        0b0010 | 0b0100 | 0b1011 | 0b1101 => falling,
        0b0011 | 0b1100 => norm(a),
        0b0101 | 0b1010 => norm(b),
        0b1001 => 2.0 * rising,
        0b0110 => 2.0 * falling,
        _ => 0.0,
    };
    let mut surface = Surface::default();
    let Some(([left, right], [bottom, top])) =
        extent(mask.indexed_iter().filter(|(_, v)| **v != 0).map(|((j, i), _)| (i, j)))
    else {
        return surface;
    };
    // Cell (i, j) has its lower corner at voxel (i - 1, j - 1).
    let inside = |i: usize, j: usize| {
        (1..=ni).contains(&i) && (1..=nj).contains(&j) && mask[[j - 1, i - 1]] != 0
    };
    for j in bottom..=top + 1 {
        for i in left..=right + 1 {
            let code = (0..4)
                .filter(|c| inside(i + (c & 1), j + (c >> 1)))
                .fold(0, |code, c| code | 1 << c);
            let size = length(code);
            if size > 0.0 {
                surface.places.push(place(i as f64 - 0.5, j as f64 - 0.5));
                surface.sizes.push(size);
            }
        }
    }
    surface
}

/// Smallest and largest of both coordinates.
fn extent(voxels: impl Iterator<Item = (usize, usize)>) -> Option<([usize; 2], [usize; 2])> {
    voxels.fold(None, |found, (i, j)| {
        let ([l, r], [b, t]) = found.unwrap_or(([i, i], [j, j]));
        Some(([l.min(i), r.max(i)], [b.min(j), t.max(j)]))
    })
}

/// The surface through all slices; `None` for a single slice, which has no thickness.
pub(super) fn hull(mask: ArrayView3<u8>, grid: &Grid) -> Option<Surface<3>> {
    let (nk, nj, ni) = mask.dim();
    if nk < 2 {
        return None;
    }
    let faces = all_faces();
    let layer = |k: usize| {
        // Beyond the first and the last slice as far as to their neighbour.
        let origin = |k: usize| match k {
            0 => sub(scale(grid.origins()[0], 2.0), grid.origins()[1]),
            k if k > nk => sub(scale(grid.origins()[nk - 1], 2.0), grid.origins()[nk - 2]),
            k => grid.origins()[k - 1],
        };
        let (below, above) = (origin(k), origin(k + 1));
        let axes = [grid.axis_i(), grid.axis_j(), sub(above, below)];
        let inside = |i: usize, j: usize, k: usize| {
            (1..=ni).contains(&i)
                && (1..=nj).contains(&j)
                && (1..=nk).contains(&k)
                && mask[[k - 1, j - 1, i - 1]] != 0
        };
        let mut surface = Surface::default();
        let slices = [k, k + 1]
            .into_iter()
            .filter(|k| (1..=nk).contains(k))
            .map(|k| mask.index_axis(ndarray::Axis(0), k - 1));
        let set = slices.flat_map(|s| {
            s.indexed_iter().filter(|(_, v)| **v != 0).map(|((j, i), _)| (i, j)).collect::<Vec<_>>()
        });
        let Some(([left, right], [bottom, top])) = extent(set) else { return surface };
        let mut areas = [None; 256];
        let middle = scale(add(below, above), 0.5);
        for j in bottom..=top + 1 {
            for i in left..=right + 1 {
                let corner = |c: &usize| inside(i + (c & 1), j + (c >> 1 & 1), k + (c >> 2));
                let code: usize = (0..8).filter(corner).fold(0, |code, c| code | 1 << c);
                if code == 0 || code == 255 {
                    continue;
                }
                let size = *areas[code]
                    .get_or_insert_with(|| faces[code].iter().map(|p| area(p, axes)).sum());
                let (x, y) = (i as f64 - 0.5, j as f64 - 0.5);
                surface.places.push(add(middle, add(scale(axes[0], x), scale(axes[1], y))));
                surface.sizes.push(size);
            }
        }
        surface
    };
    let layers: Vec<Surface<3>> = (0..=nk).into_par_iter().map(layer).collect();
    Some(layers.into_iter().fold(Surface::default(), |mut all, layer| {
        all.places.extend(layer.places);
        all.sizes.extend(layer.sizes);
        all
    }))
}

/// A flat or bent piece of the surface in a unit cell, as the ring of its corners.
type Face = Vec<[f64; 3]>;

/// What marching cubes draws in a cell, for every set of inside corners. Bit c of the set is the
/// corner (c & 1, c >> 1 & 1, c >> 2).
///
/// On every side of the cell, each inside corner whose neighbours on the side are outside is cut
/// off by itself, so cells fit together. The lines on the sides close to rings around the faces.
fn all_faces() -> Vec<Vec<Face>> {
    (0..256).map(faces).collect()
}

fn faces(code: usize) -> Vec<Face> {
    let inside = |corner: usize| code >> corner & 1 == 1;
    // Lines on the sides, between edges; an edge is its two corners, the lower one first.
    let edge = |a: usize, b: usize| (a.min(b), a.max(b));
    let mut lines = Vec::new();
    for axis in 0..3 {
        let (u, v) = (1 << ((axis + 1) % 3), 1 << ((axis + 2) % 3));
        for side in [0, 1 << axis] {
            let around = [side, side + u, side + u + v, side + v];
            let crossed: Vec<usize> =
                (0..4).filter(|n| inside(around[*n]) != inside(around[(n + 1) % 4])).collect();
            let at = |n: usize| edge(around[n % 4], around[(n + 1) % 4]);
            match crossed[..] {
                [a, b] => lines.push((at(a), at(b))),
                [_, _, _, _] => {
                    lines.extend((0..4).filter(|n| inside(around[*n])).map(|n| (at(n + 3), at(n))))
                }
                _ => {}
            }
        }
    }
    let middle =
        |(a, b): (usize, usize)| [0, 1, 2].map(|n| ((a >> n & 1) + (b >> n & 1)) as f64 / 2.0);
    let mut faces = Vec::new();
    while let Some((start, mut end)) = lines.pop() {
        let mut face = vec![middle(start)];
        while end != start {
            face.push(middle(end));
            // Every crossed edge belongs to two sides: one line came, one goes on.
            let Some(next) = lines.iter().position(|(a, b)| *a == end || *b == end) else { break };
            let (a, b) = lines.swap_remove(next);
            end = if a == end { b } else { a };
        }
        faces.push(face);
    }
    faces
}

/// Area of a face, divided into triangles around its centre: the same in every turn of the
/// cell.
fn area(face: &[[f64; 3]], axes: [Point; 3]) -> f64 {
    let place =
        |p: &[f64; 3]| add(scale(axes[0], p[0]), add(scale(axes[1], p[1]), scale(axes[2], p[2])));
    let points: Vec<Point> = face.iter().map(place).collect();
    let centre =
        scale(points.iter().fold([0.0; 3], |sum, p| add(sum, *p)), 1.0 / points.len() as f64);
    let triangle = |n: usize| {
        norm(cross(sub(points[n], centre), sub(points[(n + 1) % points.len()], centre))) / 2.0
    };
    (0..points.len()).map(triangle).sum()
}

#[cfg(test)]
mod tests {
    use ndarray::{Array2, Array3};

    use super::*;

    fn grid(size: [usize; 3], mm: [f64; 3]) -> Grid {
        let origins = (0..size[2]).map(|k| [0.0, 0.0, k as f64 * mm[2]]).collect();
        Grid::new(size, [mm[0], 0.0, 0.0], [0.0, mm[1], 0.0], origins).unwrap()
    }

    fn close(a: f64, b: f64) {
        assert!((a - b).abs() < 1e-9, "{a} {b}");
    }

    #[test]
    fn the_boundary_of_a_rectangle_has_its_length() {
        let grid = grid([9, 7, 1], [2.0, 3.0, 1.0]);
        // 5 x 4 pixels: sides between the centres' half-way lines, less the four corners, which are
        // cut off.
        let mask = Array2::from_shape_fn((7, 9), |(j, i)| {
            u8::from((2..7).contains(&i) && (1..5).contains(&j))
        });
        let boundary = boundary(mask.view(), &grid);
        let diagonal = (1.0f64 + 2.25).sqrt();
        close(boundary.sizes.iter().sum(), 2.0 * (4.0 * 2.0 + 3.0 * 3.0) + 4.0 * diagonal);
        assert_eq!(boundary.places.len(), 2 * (4 + 3) + 4);
        // At the image's edge as anywhere.
        let corner = Array2::from_shape_fn((7, 9), |(j, i)| u8::from(i < 5 && j < 4));
        close(
            super::boundary(corner.view(), &grid).sizes.iter().sum(),
            boundary.sizes.iter().sum(),
        );
    }

    #[test]
    fn the_surface_of_a_box_has_its_area() {
        let grid = grid([8, 8, 8], [1.0, 2.0, 3.0]);
        let mask = Array3::from_shape_fn((8, 8, 8), |(k, j, i)| {
            u8::from((1..6).contains(&i) && (2..6).contains(&j) && (3..6).contains(&k))
        });
        let hull = hull(mask.view(), &grid).unwrap();
        let (x, y, z) = (4.0, 3.0 * 2.0, 2.0 * 3.0);
        let faces = 2.0 * (x * y + y * z + x * z);
        // Edges are cut at 45 degrees of the cell, corners by one triangle.
        let edges = 4.0
            * (x * (1.0f64 + 2.25).sqrt()
                + y * (0.25f64 + 2.25).sqrt()
                + z * (0.25f64 + 1.0).sqrt());
        let triangle = 0.5 * norm(cross([-0.5, 1.0, 0.0], [-0.5, 0.0, 1.5]));
        close(hull.sizes.iter().sum(), faces + edges + 8.0 * triangle);
        assert!(
            super::hull(Array3::<u8>::ones((1, 3, 3)).view(), &self::grid([3, 3, 1], [1.0; 3]))
                .is_none()
        );
    }

    #[test]
    fn every_cell_closes_its_faces_and_looks_alike_from_all_sides() {
        let axes = [[1.0, 0.0, 0.0], [0.0, 1.0, 0.0], [0.0, 0.0, 1.0]];
        let sum = |code: usize| faces(code).iter().map(|p| area(p, axes)).sum::<f64>();
        for code in 1..255usize {
            let crossed =
                (0..8usize).flat_map(|c| [1, 2, 4].map(|bit| (c, c | bit))).filter(|(a, b)| a != b);
            let crossed = crossed.filter(|(a, b)| code >> a & 1 != code >> b & 1).count();
            assert_eq!(faces(code).iter().map(Vec::len).sum::<usize>(), crossed, "{code:08b}");
            assert!(faces(code).iter().all(|p| p.len() >= 3));
            // Turned about one axis, and mirrored.
            let turn = |c: usize| (c & 1) << 1 | (c >> 1 & 1 ^ 1) | (c & 4);
            let moved = |f: &dyn Fn(usize) -> usize| {
                (0..8).filter(|c| code >> c & 1 == 1).fold(0, |m, c| m | 1 << f(c))
            };
            close(sum(code), sum(moved(&turn)));
            close(sum(code), sum(moved(&|c| c ^ 4)));
            close(sum(code), sum(moved(&|c| (c << 1 | c >> 2) & 7)));
        }
    }

    #[test]
    fn a_shift_is_its_own_distance() {
        let grid = grid([30, 30, 1], [1.5, 1.5, 1.0]);
        let square = |from: usize| {
            Array2::from_shape_fn((30, 30), |(j, i)| {
                u8::from((from..from + 10).contains(&i) && (5..15).contains(&j))
            })
        };
        let (a, b) = (boundary(square(5).view(), &grid), boundary(square(7).view(), &grid));
        let same = agreement(&a, &a, 0.0);
        assert_eq!((same.dice(), same.hausdorff95_mm), (Some(1.0), Some(0.0)));
        let moved = agreement(&a, &b, 3.0);
        assert_eq!((moved.dice(), moved.hausdorff95_mm), (Some(1.0), Some(3.0)));
        // At 1 mm, what lies on the same line above and below agrees; both upright sides (9 cells
        // each), the two corners and the first whole cell beside each of them do not.
        let part = agreement(&a, &b, 1.0);
        close(part.total - part.within, 2.0 * (18.0 * 1.5 + 2.0 * 0.5f64.sqrt() * 1.5 + 2.0 * 1.5));
        assert_eq!(agreement(&a, &Surface::default(), 1.0).dice(), Some(0.0));
        assert_eq!(agreement(&Surface::<2>::default(), &Surface::default(), 1.0).dice(), None);
    }
}
