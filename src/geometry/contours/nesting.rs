//! Relations between the rings of a slice: which enclose which, and which meet.

use std::collections::{HashMap, HashSet};

use crate::geometry::ring::encloses;

/// For every ring, the rings that enclose it.
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
            && encloses(rings[other], [x, y])
    };
    (0..rings.len()).map(|n| (0..rings.len()).filter(|other| within(n, *other)).collect()).collect()
}

/// The rings that cross or touch themselves or one another, other than in a common point.
pub(crate) fn meetings(rings: &[&[[f64; 2]]]) -> HashSet<usize> {
    // Edges by row, so that each is compared only with its neighbourhood.
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
