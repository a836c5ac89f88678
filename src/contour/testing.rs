//! Helpers of the contour tests: seeded random numbers, even-odd rasterisation, a check that rings
//! are simple.

use ndarray::{Array2, Axis};

use super::Contour;
use crate::geometry::grid::Grid;
use crate::geometry::raster::rings_mask;

/// xorshift64*: the same numbers everywhere.
pub(super) struct Random(pub u64);

impl Random {
    pub fn unit(&mut self) -> f64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        (self.0.wrapping_mul(0x2545_F491_4F6C_DD1D) >> 11) as f64 / (1u64 << 53) as f64
    }
}

/// One slice of unit voxels.
pub(super) fn unit_grid(ni: usize, nj: usize, nk: usize) -> Grid {
    let origins = (0..nk).map(|k| [0.0, 0.0, k as f64]).collect();
    Grid::new([ni, nj, nk], [1.0, 0.0, 0.0], [0.0, 1.0, 0.0], origins).unwrap()
}

/// Rasterises by the even-odd rule at voxel centres, on one slice.
pub(super) fn rasterise<'a>(
    rings: impl IntoIterator<Item = &'a [[f64; 2]]>,
    ni: usize,
    nj: usize,
) -> Array2<u8> {
    let mask = rings_mask(rings.into_iter().map(|ring| (0, ring)), &unit_grid(ni, nj, 1)).unwrap();
    mask.index_axis_move(Axis(0), 0)
}

fn orient(a: [f64; 2], b: [f64; 2], c: [f64; 2]) -> f64 {
    (b[0] - a[0]) * (c[1] - a[1]) - (b[1] - a[1]) * (c[0] - a[0])
}

/// Whether two segments share a point; touching ends count only with `touch`.
fn meet(a: [f64; 2], b: [f64; 2], c: [f64; 2], d: [f64; 2], touch: bool) -> bool {
    let (o1, o2, o3, o4) = (orient(a, b, c), orient(a, b, d), orient(c, d, a), orient(c, d, b));
    if o1 * o2 < 0.0 && o3 * o4 < 0.0 {
        return true;
    }
    let on = |p: [f64; 2], q: [f64; 2], r: [f64; 2]| {
        r[0] >= p[0].min(q[0])
            && r[0] <= p[0].max(q[0])
            && r[1] >= p[1].min(q[1])
            && r[1] <= p[1].max(q[1])
    };
    let touching = (o1 == 0.0 && on(a, b, c))
        || (o2 == 0.0 && on(a, b, d))
        || (o3 == 0.0 && on(c, d, a))
        || (o4 == 0.0 && on(c, d, b));
    touch && touching
}

/// Asserts that no ring meets itself, and that no ring crosses another (or touches it, with
/// `touch`). Quadratic: for small images.
pub(super) fn assert_simple(contours: &[Contour], touch: bool) {
    for (number, contour) in contours.iter().enumerate() {
        let ring = &contour.indices;
        let n = ring.len();
        assert!(n >= 3);
        for s in 0..n {
            let (a, b) = (ring[s], ring[(s + 1) % n]);
            assert_ne!(a, b);
            for t in s + 2..n {
                if (t + 1) % n == s {
                    continue;
                }
                assert!(
                    !meet(a, b, ring[t], ring[(t + 1) % n], true),
                    "ring {number} meets itself: {ring:?}"
                );
            }
            for (other, second) in contours.iter().enumerate().skip(number + 1) {
                let m = second.indices.len();
                for t in 0..m {
                    let (c, d) = (second.indices[t], second.indices[(t + 1) % m]);
                    assert!(
                        !meet(a, b, c, d, touch),
                        "rings {number} and {other} meet: {:?} {:?}",
                        contour.indices,
                        second.indices
                    );
                }
            }
        }
    }
}
