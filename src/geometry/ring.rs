//! A closed ring in the index plane of a slice.

/// A ring in the index plane; `parent` is an index among the rings of its slice.
#[derive(Debug, Clone)]
pub(crate) struct Ring {
    pub indices: Vec<[f64; 2]>,
    pub hole: bool,
    pub parent: Option<usize>,
}

/// Area by the shoelace formula, in squared index units: positive if the ring runs
/// counter-clockwise (i right, j up).
pub(crate) fn signed_area(ring: &[[f64; 2]]) -> f64 {
    let Some(first) = ring.first() else { return 0.0 };
    // Relative to the first point, so that large indices lose no digits.
    let of = |p: [f64; 2]| [p[0] - first[0], p[1] - first[1]];
    let mut twice = 0.0;
    for (n, p) in ring.iter().enumerate() {
        let (p, q) = (of(*p), of(ring[(n + 1) % ring.len()]));
        twice += p[0] * q[1] - q[0] * p[1];
    }
    twice / 2.0
}

/// Whether `ring` runs around the point (even-odd rule).
pub(crate) fn encloses(ring: &[[f64; 2]], [x, y]: [f64; 2]) -> bool {
    let mut inside = false;
    for (n, p) in ring.iter().enumerate() {
        let q = ring[(n + 1) % ring.len()];
        if (p[1] <= y) != (q[1] <= y) && p[0] + (q[0] - p[0]) * ((y - p[1]) / (q[1] - p[1])) > x {
            inside = !inside;
        }
    }
    inside
}
