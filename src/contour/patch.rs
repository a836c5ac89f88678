//! The region of one slice as a lattice of voxels, and the rings traced around it.
//!
//! In: which voxels of a slice are inside. Out: closed rings along the cracks between inside and
//! outside voxels; holes are marked and assigned to the outer ring around them. Both kinds of
//! contour are made from these rings, so both follow the same topology rules.
//!
//! The patch is the bounding box of the region, with a border of one outside voxel. Voxel (x, y) of
//! the patch occupies the lattice corners x..x+1, y..y+1; a ring keeps the region on its left
//! (x right, y up).

use std::collections::HashMap;

/// The four directions of a step, in counter-clockwise order: turning left adds one.
pub(super) const RIGHT: u8 = 0;
pub(super) const UP: u8 = 1;
pub(super) const LEFT: u8 = 2;
pub(super) const DOWN: u8 = 3;

/// One crack of a ring: from corner (x, y) to the next corner in `direction`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Step {
    pub x: usize,
    pub y: usize,
    pub direction: u8,
}

impl Step {
    fn next_corner(self) -> (usize, usize) {
        match self.direction {
            RIGHT => (self.x + 1, self.y),
            UP => (self.x, self.y + 1),
            LEFT => (self.x - 1, self.y),
            _ => (self.x, self.y - 1),
        }
    }

    /// The voxels on both sides: (inside, outside).
    pub fn sides(self) -> ((usize, usize), (usize, usize)) {
        let Step { x, y, direction } = self;
        match direction {
            RIGHT => ((x, y), (x, y - 1)),
            UP => ((x - 1, y), (x, y)),
            LEFT => ((x - 1, y - 1), (x - 1, y)),
            _ => ((x, y - 1), (x - 1, y - 1)),
        }
    }

    /// The row that a vertical step runs along, `None` for a horizontal step.
    fn row(self) -> Option<usize> {
        match self.direction {
            UP => Some(self.y),
            DOWN => Some(self.y - 1),
            _ => None,
        }
    }
}

/// A ring of cracks.
#[derive(Debug, Clone)]
pub(super) struct TracedRing {
    pub steps: Vec<Step>,
    pub hole: bool,
    /// Index of the outer ring among the rings of the same slice; only holes have one.
    pub parent: Option<usize>,
}

/// Inside and outside voxels of one slice, cropped, with a border of outside.
#[derive(Debug)]
pub(super) struct Patch {
    /// Voxel (x, y) of the patch is voxel (left + x - 1, bottom + y - 1) of the slice.
    pub left: usize,
    pub bottom: usize,
    width: usize,
    height: usize,
    inside: Vec<bool>,
}

impl Patch {
    /// `inside(i, j)` defines the region on a slice of `ni` x `nj` voxels. `None` if it is empty.
    pub fn new(ni: usize, nj: usize, inside: impl Fn(usize, usize) -> bool) -> Option<Self> {
        let (mut left, mut right, mut bottom, mut top) = (usize::MAX, 0, usize::MAX, 0);
        for j in 0..nj {
            let Some(first) = (0..ni).find(|i| inside(*i, j)) else { continue };
            let last = (first..ni).rev().find(|i| inside(*i, j)).unwrap_or(first);
            left = left.min(first);
            right = right.max(last);
            bottom = bottom.min(j);
            top = j;
        }
        if left == usize::MAX {
            return None;
        }
        let (width, height) = (right - left + 3, top - bottom + 3);
        let mut voxels = vec![false; width * height];
        for y in 1..height - 1 {
            for x in 1..width - 1 {
                voxels[y * width + x] = inside(left + x - 1, bottom + y - 1);
            }
        }
        Some(Patch { left, bottom, width, height, inside: voxels })
    }

    pub fn inside(&self, x: usize, y: usize) -> bool {
        self.inside[y * self.width + x]
    }

    /// Index (i, j) of the centre of voxel (x, y), fractional x and y allowed.
    pub fn index(&self, x: f64, y: f64) -> [f64; 2] {
        [self.left as f64 + x - 1.0, self.bottom as f64 + y - 1.0]
    }

    /// Traces all rings around the region; every outer ring is followed by its holes.
    ///
    /// If two inside voxels touch only in the corner (x, y), `joined(x, y)` decides whether the
    /// region is connected there. Without a rule it is not, and a ring that returns to a corner is
    /// split there, so that no ring touches itself.
    pub fn trace(&self, joined: Option<&dyn Fn(usize, usize) -> bool>) -> Vec<TracedRing> {
        // Index of the ring with the vertical crack to the left of voxel (x, y).
        let mut owner = vec![u32::MAX; self.width * self.height];
        let mut rings: Vec<TracedRing> = Vec::new();
        for y in 1..self.height - 1 {
            for x in 1..self.width {
                let (before, here) = (self.inside(x - 1, y), self.inside(x, y));
                if before == here || owner[y * self.width + x] != u32::MAX {
                    continue;
                }
                let start = if here {
                    Step { x, y: y + 1, direction: DOWN }
                } else {
                    Step { x, y, direction: UP }
                };
                for steps in self.trace_rings(start, joined) {
                    // The integral of x dy is the area: negative for a hole.
                    let mut area = 0i64;
                    for step in &steps {
                        if let Some(row) = step.row() {
                            area +=
                                if step.direction == UP { step.x as i64 } else { -(step.x as i64) };
                            owner[row * self.width + step.x] = rings.len() as u32;
                        }
                    }
                    rings.push(TracedRing { steps, hole: area < 0, parent: None });
                }
            }
        }
        self.assign_parents(&mut rings, &owner);
        in_families(rings)
    }

    /// Traces the ring from `start`; without a rule for saddles, splits it at the corners that it
    /// visits twice.
    fn trace_rings(
        &self,
        start: Step,
        joined: Option<&dyn Fn(usize, usize) -> bool>,
    ) -> Vec<Vec<Step>> {
        let mut found = Vec::new();
        let mut steps: Vec<Step> = Vec::new();
        // Index in `steps` after each saddle corner; stale entries are detected on lookup.
        let mut left_at: HashMap<(usize, usize), usize> = HashMap::new();
        let mut step = start;
        loop {
            let (x, y) = step.next_corner();
            let saddle = self.is_saddle(x, y);
            let next = Step { x, y, direction: self.turn(step, x, y, saddle, joined) };
            steps.push(step);
            if saddle && joined.is_none() {
                match left_at.get(&(x, y)) {
                    Some(&at) if steps.get(at).is_some_and(|s| (s.x, s.y) == (x, y)) => {
                        found.push(steps.split_off(at))
                    }
                    _ => {}
                }
                left_at.insert((x, y), steps.len());
            }
            if next == start {
                break;
            }
            step = next;
        }
        if !steps.is_empty() {
            found.push(steps);
        }
        found
    }

    fn is_saddle(&self, x: usize, y: usize) -> bool {
        let diagonal = self.inside(x, y);
        diagonal == self.inside(x - 1, y - 1)
            && diagonal != self.inside(x - 1, y)
            && diagonal != self.inside(x, y - 1)
    }

    /// The direction of the step that follows `step` at the corner (x, y).
    fn turn(
        &self,
        step: Step,
        x: usize,
        y: usize,
        saddle: bool,
        joined: Option<&dyn Fn(usize, usize) -> bool>,
    ) -> u8 {
        if saddle {
            return (step.direction + if joined.is_some_and(|rule| rule(x, y)) { 3 } else { 1 })
                % 4;
        }
        // The two voxels ahead of the step, left and right of it.
        let (ahead_left, ahead_right) = match step.direction {
            RIGHT => (self.inside(x, y), self.inside(x, y - 1)),
            UP => (self.inside(x - 1, y), self.inside(x, y)),
            LEFT => (self.inside(x - 1, y - 1), self.inside(x - 1, y)),
            _ => (self.inside(x, y - 1), self.inside(x - 1, y - 1)),
        };
        match (ahead_left, ahead_right) {
            (true, true) => (step.direction + 3) % 4,
            (true, false) => step.direction,
            _ => (step.direction + 1) % 4,
        }
    }

    /// To the left of a hole's lowest, leftmost crack lies a run of inside voxels; the ring at the
    /// run's other end is either the outer ring itself or another hole of the same region, which
    /// already has its parent.
    fn assign_parents(&self, rings: &mut [TracedRing], owner: &[u32]) {
        let first_crack = |ring: &TracedRing| {
            ring.steps
                .iter()
                .filter_map(|s| s.row().map(|row| (row, s.x)))
                .min()
                .unwrap_or_default()
        };
        let mut holes: Vec<_> = rings
            .iter()
            .enumerate()
            .filter(|(_, r)| r.hole)
            .map(|(n, r)| (first_crack(r), n))
            .collect();
        holes.sort_unstable();
        for ((row, column), hole) in holes {
            let run_start = (1..column).rev().find(|x| owner[row * self.width + x] != u32::MAX);
            let neighbour = run_start.map(|x| owner[row * self.width + x] as usize);
            rings[hole].parent =
                neighbour.and_then(|n| if rings[n].hole { rings[n].parent } else { Some(n) });
        }
    }
}

/// Every outer ring followed by its holes, parents renumbered.
fn in_families(rings: Vec<TracedRing>) -> Vec<TracedRing> {
    let mut holes_of: Vec<Vec<TracedRing>> = vec![Vec::new(); rings.len()];
    let mut outers = Vec::new();
    for (number, ring) in rings.into_iter().enumerate() {
        match ring.parent {
            Some(parent) => holes_of[parent].push(ring),
            None => outers.push((number, ring)),
        }
    }
    let mut sorted = Vec::with_capacity(holes_of.len());
    for (number, outer) in outers {
        let place = sorted.len();
        sorted.push(outer);
        sorted.extend(
            holes_of[number].drain(..).map(|hole| TracedRing { parent: Some(place), ..hole }),
        );
    }
    sorted
}
