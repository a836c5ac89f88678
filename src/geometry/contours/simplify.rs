//! Fewer points within a tolerance.
//!
//! In: exact contours and a tolerance in mm. Out: contours through a subset of the points, such
//! that the old and the new line lie no farther apart than the tolerance anywhere (Hausdorff
//! distance), still simple, every hole still inside its own outer ring.
//!
//! Each ring is simplified by itself (Douglas-Peucker). Where the result meets itself or a
//! neighbour, turns inside out or changes what lies inside what, the rings concerned are done again
//! with half their tolerance, at last with none: the exact rings fit together.

use std::collections::{HashMap, HashSet};

use rayon::prelude::*;

use super::{Contour, Contours};
use crate::error::{Error, Result};
use crate::geometry::grid::{Grid, dot, norm, scale, sub};
use crate::geometry::ring::{Ring, signed_area};

/// After so many halvings a ring stays exact.
const HALVINGS: i32 = 10;

impl Contours {
    /// The contours with as few points as `tolerance_mm` allows; 0 keeps every point.
    ///
    /// # Errors
    /// [`Error::Argument`] where the tolerance is negative or not finite.
    pub fn simplified(&self, tolerance_mm: f64) -> Result<Contours> {
        if !(tolerance_mm >= 0.0 && tolerance_mm.is_finite()) {
            return Err(Error::Argument(format!(
                "the tolerance of simplification is {tolerance_mm} mm, but a finite number of at least 0 was expected"
            )));
        }
        if tolerance_mm == 0.0 {
            return Ok(self.clone());
        }
        let plane = PlaneMm::new(&self.grid);
        let rings = (0..self.grid.size()[2])
            .into_par_iter()
            .map(|k| {
                let first = self.starts[k];
                let exact: Vec<&[[f64; 2]]> =
                    self.slice(k).iter().map(|c| &c.indices[..]).collect();
                let rings = simplify_slice(&exact, &plane, tolerance_mm);
                let with = |(indices, c): (Vec<[f64; 2]>, &Contour)| Ring {
                    indices,
                    hole: c.hole,
                    parent: c.parent.map(|p| p - first),
                };
                rings.into_iter().zip(self.slice(k)).map(with).collect()
            })
            .collect();
        let simple = Contours::from_rings(
            self.kind,
            self.threshold,
            self.tolerance_mm + tolerance_mm,
            &self.grid,
            rings,
        );
        Ok(Contours { model: self.model.clone(), ..simple })
    }
}

/// Index differences as millimetres in the slice's plane (axes may be skewed).
pub(crate) struct PlaneMm {
    i: f64,
    j: [f64; 2],
}

impl PlaneMm {
    pub(crate) fn new(grid: &Grid) -> Self {
        let (a, b) = (grid.axis_i(), grid.axis_j());
        let along = dot(a, b) / norm(a);
        PlaneMm { i: norm(a), j: [along, norm(sub(b, scale(a, along / norm(a))))] }
    }

    fn of(&self, from: [f64; 2], to: [f64; 2]) -> [f64; 2] {
        let (i, j) = (to[0] - from[0], to[1] - from[1]);
        [i * self.i + j * self.j[0], j * self.j[1]]
    }

    /// Distance of `p` from the segment a-b, mm.
    pub(crate) fn distance(&self, p: [f64; 2], a: [f64; 2], b: [f64; 2]) -> f64 {
        let (ab, ap) = (self.of(a, b), self.of(a, p));
        let square = ab[0] * ab[0] + ab[1] * ab[1];
        let t = if square > 0.0 {
            ((ab[0] * ap[0] + ab[1] * ap[1]) / square).clamp(0.0, 1.0)
        } else {
            0.0
        };
        (ap[0] - t * ab[0]).hypot(ap[1] - t * ab[1])
    }
}

fn simplify_slice(exact: &[&[[f64; 2]]], plane: &PlaneMm, tolerance: f64) -> Vec<Vec<[f64; 2]>> {
    let kept = touching_corners(exact);
    let inside = containers(exact);
    let mut halvings = vec![0; exact.len()];
    let redo = |n: usize, halvings: i32| {
        let tolerance =
            if halvings < HALVINGS { tolerance / f64::from(1 << halvings) } else { 0.0 };
        simplify_ring(exact[n], &kept, plane, tolerance)
    };
    let mut rings: Vec<_> = (0..exact.len()).map(|n| redo(n, 0)).collect();
    loop {
        let mut bad: HashSet<usize> = (0..rings.len())
            .filter(|n| signed_area(&rings[*n]) * signed_area(exact[*n]) <= 0.0)
            .collect();
        let views: Vec<&[[f64; 2]]> = rings.iter().map(|r| &r[..]).collect();
        bad.extend(meetings(&views));
        if bad.is_empty() {
            // Only rings that do not meet have a clear inside.
            for (n, (before, after)) in inside.iter().zip(containers(&views)).enumerate() {
                if *before != after {
                    bad.insert(n);
                    bad.extend(before.symmetric_difference(&after));
                }
            }
        }
        bad.retain(|n| halvings[*n] < HALVINGS);
        if bad.is_empty() {
            return rings;
        }
        for n in bad {
            halvings[n] += 1;
            rings[n] = redo(n, halvings[n]);
        }
    }
}

fn bits(p: [f64; 2]) -> [u64; 2] {
    p.map(f64::to_bits)
}

/// Corners that rings share, and the points next to them: they stay, so that rings which touch go
/// on touching and do not cross.
fn touching_corners(rings: &[&[[f64; 2]]]) -> HashSet<[u64; 2]> {
    let mut count: HashMap<[u64; 2], usize> = HashMap::new();
    for p in rings.iter().flat_map(|r| r.iter()) {
        *count.entry(bits(*p)).or_default() += 1;
    }
    let mut kept = HashSet::new();
    for ring in rings {
        for (n, p) in ring.iter().enumerate() {
            if count[&bits(*p)] > 1 {
                let around =
                    [ring[(n + ring.len() - 1) % ring.len()], *p, ring[(n + 1) % ring.len()]];
                kept.extend(around.map(bits));
            }
        }
    }
    kept
}

/// Douglas-Peucker between the points that are kept in any case.
fn simplify_ring(
    ring: &[[f64; 2]],
    kept: &HashSet<[u64; 2]>,
    plane: &PlaneMm,
    tolerance: f64,
) -> Vec<[f64; 2]> {
    if ring.len() <= 3 || tolerance <= 0.0 {
        return ring.to_vec();
    }
    let n = ring.len();
    let mut keep: Vec<bool> = ring.iter().map(|p| kept.contains(&bits(*p))).collect();
    // An extreme point and the one farthest from it: on the ring whatever its first point is.
    let length = |a: [f64; 2], b: [f64; 2]| plane.distance(b, a, a);
    let first = (0..n)
        .min_by(|a, b| ring[*a].partial_cmp(&ring[*b]).unwrap_or(std::cmp::Ordering::Equal))
        .unwrap_or(0);
    let far = (0..n)
        .max_by(|a, b| length(ring[first], ring[*a]).total_cmp(&length(ring[first], ring[*b])))
        .unwrap_or(0);
    keep[first] = true;
    keep[far] = true;
    let anchors: Vec<usize> = (0..n).filter(|p| keep[*p]).collect();
    let mut stack: Vec<(usize, usize)> = anchors.windows(2).map(|w| (w[0], w[1])).collect();
    if let (Some(from), Some(to)) = (anchors.last(), anchors.first()) {
        stack.push((*from, to + n));
    }
    while let Some((from, to)) = stack.pop() {
        let (a, b) = (ring[from % n], ring[to % n]);
        let mut worst = (0, tolerance);
        for p in from + 1..to {
            let distance = plane.distance(ring[p % n], a, b);
            if distance > worst.1 {
                worst = (p, distance);
            }
        }
        if worst.0 > 0 {
            keep[worst.0 % n] = true;
            stack.push((from, worst.0));
            stack.push((worst.0, to));
        }
    }
    ring.iter().zip(keep).filter(|(_, keep)| *keep).map(|(p, _)| *p).collect()
}

/// For every ring, the rings that lie around it.
pub(crate) fn containers(rings: &[&[[f64; 2]]]) -> Vec<HashSet<usize>> {
    let boxes: Vec<[f64; 4]> = rings
        .iter()
        .map(|r| {
            r.iter().fold(
                [f64::INFINITY, f64::INFINITY, f64::NEG_INFINITY, f64::NEG_INFINITY],
                |b, p| [b[0].min(p[0]), b[1].min(p[1]), b[2].max(p[0]), b[3].max(p[1])],
            )
        })
        .collect();
    let within = |n: usize, other: usize| {
        let ring = rings[n];
        // The middle of an edge lies on no other ring.
        let (Some(a), Some(b)) = (ring.first(), ring.get(1)) else { return false };
        let [x, y] = [(a[0] + b[0]) / 2.0, (a[1] + b[1]) / 2.0];
        let [left, bottom, right, top] = boxes[other];
        n != other
            && x > left
            && x < right
            && y > bottom
            && y < top
            && crate::geometry::ring::encloses(rings[other], [x, y])
    };
    (0..rings.len()).map(|n| (0..rings.len()).filter(|other| within(n, *other)).collect()).collect()
}

/// The rings that cross or touch themselves or one another, other than in a point that both have.
fn meetings(rings: &[&[[f64; 2]]]) -> HashSet<usize> {
    // Edges by row, so that each is compared with its neighbourhood alone.
    let mut rows: HashMap<i64, Vec<(f64, f64, usize, usize)>> = HashMap::new();
    for (number, ring) in rings.iter().enumerate() {
        for (edge, p) in ring.iter().enumerate() {
            let q = ring[(edge + 1) % ring.len()];
            for row in p[1].min(q[1]).floor() as i64..=p[1].max(q[1]).floor() as i64 {
                rows.entry(row).or_default().push((p[0].min(q[0]), p[0].max(q[0]), number, edge));
            }
        }
    }
    let mut found = HashSet::new();
    for edges in rows.values_mut() {
        edges.sort_by(|a, b| a.0.total_cmp(&b.0));
        for (place, &(_, right, ring, edge)) in edges.iter().enumerate() {
            for &(_, _, other, second) in edges[place + 1..].iter().take_while(|e| e.0 <= right) {
                if (!found.contains(&ring) || !found.contains(&other))
                    && meet(rings[ring], edge, rings[other], second)
                {
                    found.extend([ring, other]);
                }
            }
        }
    }
    found
}

/// Whether two edges share a point that is not an end of both.
fn meet(ring: &[[f64; 2]], edge: usize, other: &[[f64; 2]], second: usize) -> bool {
    let (a, b) = (ring[edge], ring[(edge + 1) % ring.len()]);
    let (c, d) = (other[second], other[(second + 1) % other.len()]);
    let side = |a: [f64; 2], b: [f64; 2], p: [f64; 2]| {
        (b[0] - a[0]) * (p[1] - a[1]) - (b[1] - a[1]) * (p[0] - a[0])
    };
    let (s1, s2, s3, s4) = (side(a, b, c), side(a, b, d), side(c, d, a), side(c, d, b));
    if s1 * s2 < 0.0 && s3 * s4 < 0.0 {
        return true;
    }
    // An end that lies on the other edge, but not on its ends.
    let on = |s: f64, p: [f64; 2], a: [f64; 2], b: [f64; 2]| {
        let between = |n: usize| p[n] >= a[n].min(b[n]) && p[n] <= a[n].max(b[n]);
        s == 0.0 && p != a && p != b && between(0) && between(1)
    };
    // The same edge twice has only common ends.
    let twice = (a == d && b == c)
        || (a == c && b == d && (ring.as_ptr() != other.as_ptr() || edge != second));
    twice || on(s1, c, a, b) || on(s2, d, a, b) || on(s3, a, c, d) || on(s4, b, c, d)
}
