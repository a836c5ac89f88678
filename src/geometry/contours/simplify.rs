//! Simplification of contours.
//!
//! In: exact contours and a tolerance in mm. Out: contours through a subset of the points. The old
//! and the new contours lie nowhere farther apart than the tolerance (Hausdorff distance), are
//! still simple, and every hole is still inside its own outer ring.
//!
//! Each ring is simplified on its own (Douglas-Peucker). If the result meets itself or a neighbour,
//! turns inside out or changes the nesting, the rings concerned are simplified again with half
//! their tolerance, and finally with none: the exact rings fit together.

use std::collections::{HashMap, HashSet};

use rayon::prelude::*;

use super::nesting::{containers, meetings};
use super::{Contour, Contours};
use crate::error::{Error, Result};
use crate::geometry::grid::{Grid, dot, norm, scale, sub};
use crate::geometry::ring::{Ring, signed_area};

/// After this many halvings of the tolerance a ring stays exact.
const HALVINGS: i32 = 10;

impl Contours {
    /// The contours with as few points as `tolerance_mm` allows; 0 keeps every point.
    ///
    /// # Errors
    /// [`Error::Argument`] if the tolerance is negative or not finite.
    pub fn simplified(&self, tolerance_mm: f64) -> Result<Contours> {
        if !(tolerance_mm >= 0.0 && tolerance_mm.is_finite()) {
            return Err(Error::Argument(format!(
                "the tolerance of simplification is {tolerance_mm} mm, expected a finite number of \
                 at least 0. Choose another"
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

/// Converts index differences to millimetres in the slice's plane (axes may be skewed).
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

/// Simplifies the rings of one slice.
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
            // Only rings that do not meet have a well-defined inside.
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

/// A point as a key.
fn bits(p: [f64; 2]) -> [u64; 2] {
    p.map(f64::to_bits)
}

/// Corners that rings share, and the points next to them: they are kept, so that rings that touch
/// still touch and do not cross.
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

/// Douglas-Peucker between the points that are always kept.
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
    // An extreme point and the one farthest from it, so that the choice does not depend on the
    // ring's first point.
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
