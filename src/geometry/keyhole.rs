//! One ring around a region with holes.
//!
//! In: an outer ring and its holes. Out: a single ring that runs to every hole and back along the
//! same cut, for readers that do not support holes. The two sides of a cut coincide point for
//! point, so that area and even-odd fill do not change.
//!
//! Every hole is connected along a line of constant j just above its lowest point, from the hole to
//! the next ring on its left: no other ring can lie in between, so a cut crosses nothing. That ring
//! begins no higher than the hole or, at the same height, lies to its left; therefore the cuts form
//! a tree with the outer ring at its root, whatever the shapes. The line runs through the middle of
//! the widest gap between the points and voxel centres of its neighbourhood and meets none of them.

/// A ring edge: ring number and edge number (from point n to point n + 1).
type Edge = (usize, usize);

/// A cut that starts on an edge of the ring to the left and ends on the hole.
#[derive(Debug, Clone, Copy)]
struct Cut {
    from: [f64; 2],
    from_edge: usize,
    to: [f64; 2],
    to_edge: usize,
    hole: usize,
}

/// Lowest points this close to each other (index units) count as equally low.
const SAME_HEIGHT: f64 = 1e-9;

/// Joins the `holes` of an `outer` ring to it. Rings are as in [`Contours`](super::Contours):
/// simple, touching at most in corners, outer counter-clockwise and holes clockwise (i right, j
/// up), in index units.
///
/// A hole outside the outer ring is left out.
pub fn keyhole(outer: &[[f64; 2]], holes: &[&[[f64; 2]]]) -> Vec<[f64; 2]> {
    if holes.is_empty() {
        return outer.to_vec();
    }
    let rings: Vec<&[[f64; 2]]> = std::iter::once(outer).chain(holes.iter().copied()).collect();
    let rows = Rows::new(&rings);
    let extent = |ring: &[[f64; 2]]| {
        ring.iter()
            .fold((f64::INFINITY, f64::NEG_INFINITY), |(lo, hi), p| (lo.min(p[1]), hi.max(p[1])))
    };
    let extents: Vec<_> = rings.iter().map(|ring| extent(ring)).collect();

    let mut order: Vec<usize> = (1..rings.len()).filter(|n| rings[*n].len() >= 3).collect();
    order.sort_by(|a, b| extents[*a].0.total_cmp(&extents[*b].0));
    let mut cuts: Vec<Vec<Cut>> = vec![Vec::new(); rings.len()];
    let mut first = 0;
    while first < order.len() {
        // Holes that begin at one height share one line.
        let after = (first + 1..order.len())
            .find(|n| extents[order[*n]].0 - extents[order[*n - 1]].0 > SAME_HEIGHT)
            .unwrap_or(order.len());
        let group = &order[first..after];
        let bottom = extents[order[after - 1]].0;
        let mut top = order.get(after).map_or(f64::INFINITY, |n| extents[*n].0).min(bottom + 1.0);
        top = group.iter().fold(top, |top, n| top.min(extents[*n].1));
        let line = rows.free_line(bottom, top);
        let crossings = rows.crossings(&rings, line);
        for &hole in group {
            if let Some((ring, cut)) = cut(&crossings, hole, line) {
                cuts[ring].push(cut);
            }
        }
        first = after;
    }
    join(&rings, cuts)
}

/// From the hole's leftmost crossing of the line to the next crossing on its left.
fn cut(crossings: &[(f64, Edge)], hole: usize, line: f64) -> Option<(usize, Cut)> {
    let place = crossings.iter().position(|(_, (ring, _))| *ring == hole)?;
    let (to, (_, to_edge)) = crossings[place];
    let (from, (ring, from_edge)) = *crossings.get(place.checked_sub(1)?)?;
    Some((ring, Cut { from: [from, line], from_edge, to: [to, line], to_edge, hole }))
}

/// Joins the rings along the cuts: all points in order, from the outer ring into every hole and
/// back.
fn join(rings: &[&[[f64; 2]]], cuts: Vec<Vec<Cut>>) -> Vec<[f64; 2]> {
    // The ends of the cuts become points of their rings; a hole's own points begin at the end on
    // it.
    let mut ends: Vec<Vec<(usize, Node)>> = vec![Vec::new(); rings.len()];
    for (ring, cuts) in cuts.into_iter().enumerate() {
        for cut in cuts {
            ends[ring].push((
                cut.from_edge,
                Node { point: cut.from, hole: Some(cut.hole), entry: false },
            ));
            ends[cut.hole].push((cut.to_edge, Node { point: cut.to, hole: None, entry: true }));
        }
    }
    let nodes: Vec<Vec<Node>> =
        rings.iter().zip(ends).map(|(ring, ends)| with_ends(ring, ends)).collect();

    // Open rings: the node to visit next, the number of nodes left, and the start of the cut that
    // led to the ring.
    let mut stack = vec![(0, 0, nodes[0].len(), None)];
    let mut points: Vec<[f64; 2]> = Vec::with_capacity(nodes.iter().map(|n| n.len() + 2).sum());
    while let Some((ring, next, left, back)) = stack.last_mut() {
        let around = &nodes[*ring];
        if *left == 0 {
            // Back to where this ring was entered, and over the cut.
            if let Some(back) = *back {
                points.extend([around[*next].point, back]);
            }
            stack.pop();
            continue;
        }
        let node = around[*next];
        *next = (*next + 1) % around.len();
        *left -= 1;
        points.push(node.point);
        if let Some(hole) = node.hole {
            let entry = nodes[hole].iter().position(|n| n.entry).unwrap_or(0);
            stack.push((hole, entry, nodes[hole].len(), Some(node.point)));
        }
    }
    points
}

/// A point of a ring; `hole` is the hole that a cut leads to from here, `entry` marks where the cut
/// to this ring ends.
#[derive(Debug, Clone, Copy)]
struct Node {
    point: [f64; 2],
    hole: Option<usize>,
    entry: bool,
}

/// The ring's points, with the ends of cuts in order on their edges.
fn with_ends(ring: &[[f64; 2]], mut ends: Vec<(usize, Node)>) -> Vec<Node> {
    ends.sort_by(|(edge, a), (other, b)| {
        let upwards = ring[(edge + 1) % ring.len()][1] > ring[*edge][1];
        let along = a.point[1].total_cmp(&b.point[1]);
        edge.cmp(other).then(if upwards { along } else { along.reverse() })
    });
    let mut nodes = Vec::with_capacity(ring.len() + ends.len());
    let mut ends = ends.into_iter().peekable();
    for (edge, point) in ring.iter().enumerate() {
        nodes.push(Node { point: *point, hole: None, entry: false });
        while let Some((_, node)) = ends.next_if(|(e, _)| *e == edge) {
            nodes.push(node);
        }
    }
    nodes
}

/// Edges and points by the whole number below their j: a line meets the edges of only one bucket.
struct Rows {
    lowest: i64,
    edges: Vec<Vec<Edge>>,
    heights: Vec<Vec<f64>>,
}

impl Rows {
    fn new(rings: &[&[[f64; 2]]]) -> Self {
        let floor = |j: f64| j.floor() as i64;
        let all = || rings.iter().flat_map(|r| r.iter());
        let lowest = all().map(|p| floor(p[1])).min().unwrap_or(0);
        let highest = all().map(|p| floor(p[1])).max().unwrap_or(0);
        let count = (highest - lowest + 1) as usize;
        let mut rows =
            Rows { lowest, edges: vec![Vec::new(); count], heights: vec![Vec::new(); count] };
        for (number, ring) in rings.iter().enumerate() {
            for (edge, p) in ring.iter().enumerate() {
                let q = ring[(edge + 1) % ring.len()];
                let (lo, hi) = (floor(p[1].min(q[1])), floor(p[1].max(q[1])));
                for row in lo..=hi {
                    rows.edges[(row - lowest) as usize].push((number, edge));
                }
                rows.heights[(floor(p[1]) - lowest) as usize].push(p[1]);
            }
        }
        rows
    }

    /// The middle of the widest gap in (bottom, top) between points and the rows of voxel centres.
    fn free_line(&self, bottom: f64, top: f64) -> f64 {
        let mut heights = vec![bottom, top];
        for row in (bottom.floor() as i64 - self.lowest).max(0)..=(top.floor() as i64 - self.lowest)
        {
            if let Some(row) = self.heights.get(row as usize) {
                heights.extend(row.iter().filter(|h| **h > bottom && **h < top));
            }
            let centres = (row + self.lowest) as f64;
            if centres > bottom && centres < top {
                heights.push(centres);
            }
        }
        heights.sort_by(f64::total_cmp);
        let mut widest = (0.0, (bottom + top) / 2.0);
        for pair in heights.windows(2) {
            let gap = pair[1] - pair[0];
            if gap > widest.0 + 1e-12 {
                widest = (gap, (pair[0] + pair[1]) / 2.0);
            }
        }
        widest.1
    }

    /// The crossings of the rings with the line, from left to right.
    fn crossings(&self, rings: &[&[[f64; 2]]], line: f64) -> Vec<(f64, Edge)> {
        let mut crossings = Vec::new();
        let row = line.floor() as i64 - self.lowest;
        for &(ring, edge) in
            usize::try_from(row).ok().and_then(|r| self.edges.get(r)).into_iter().flatten()
        {
            let points = rings[ring];
            let (p, q) = (points[edge], points[(edge + 1) % points.len()]);
            if (p[1] <= line) != (q[1] <= line) {
                crossings
                    .push((p[0] + (q[0] - p[0]) * ((line - p[1]) / (q[1] - p[1])), (ring, edge)));
            }
        }
        crossings.sort_by(|a, b| a.0.total_cmp(&b.0));
        crossings
    }
}
