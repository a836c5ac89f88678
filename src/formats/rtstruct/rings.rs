//! Holes, in the form that the caller chose.
//!
//! In: the contours of a slice and a [`HoleMode`]. Out: the rings to write and their geometric
//! type.

use super::element::{CLOSED_PLANAR, CLOSED_PLANAR_XOR};
use crate::geometry::keyhole::keyhole;
use crate::geometry::ring::encloses;
use crate::geometry::{Contour, Contours};

/// How holes are written.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, Hash, Default, serde::Serialize, serde::Deserialize,
)]
#[serde(rename_all = "lowercase")]
pub enum HoleMode {
    /// One CLOSED_PLANAR ring that runs to each hole and back along one cut: every system shows the
    /// hole.
    #[default]
    Keyhole,
    /// CLOSEDPLANAR_XOR rings, outer rings and holes: the Standard's way, which not every system
    /// reads.
    Xor,
    /// Outer rings and holes as overlapping CLOSED_PLANAR rings, which many readers combine by
    /// exclusive-or and some by union.
    Plain,
    /// Outer rings only: holes, and islands in them, are filled.
    Fill,
}

impl HoleMode {
    /// The Contour Geometric Type (3006,0042).
    pub(super) fn geometric_type(self) -> &'static str {
        match self {
            HoleMode::Xor => CLOSED_PLANAR_XOR,
            _ => CLOSED_PLANAR,
        }
    }
}

/// The rings to write for slice `k`, as continuous indices.
pub(super) fn rings(contours: &Contours, k: usize, mode: HoleMode) -> Vec<Vec<[f64; 2]>> {
    let slice = contours.slice(k);
    match mode {
        HoleMode::Xor | HoleMode::Plain => slice.iter().map(|c| c.indices.clone()).collect(),
        HoleMode::Fill => {
            let outers: Vec<&Contour> = slice.iter().filter(|c| !c.hole).collect();
            let has_holes = outers.len() < slice.len();
            // The middle of an edge lies on no other ring, so the even-odd rule has a clear answer
            // there.
            let middle = |c: &Contour| [0, 1].map(|n| (c.indices[0][n] + c.indices[1][n]) / 2.0);
            let island = |c: &Contour| {
                has_holes
                    && outers
                        .iter()
                        .any(|o| o.area_mm2 > c.area_mm2 && encloses(&o.indices, middle(c)))
            };
            outers.iter().filter(|c| !island(c)).map(|c| c.indices.clone()).collect()
        }
        HoleMode::Keyhole => {
            let mut joined: Vec<Vec<[f64; 2]>> = Vec::new();
            let mut family: Vec<&[[f64; 2]]> = Vec::new();
            // An outer ring is followed by its holes.
            for contour in slice {
                if !contour.hole
                    && let Some((outer, holes)) = family.split_first()
                {
                    joined.push(keyhole(outer, holes));
                    family.clear();
                }
                family.push(&contour.indices);
            }
            if let Some((outer, holes)) = family.split_first() {
                joined.push(keyhole(outer, holes));
            }
            joined
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::geometry::ContourKind;
    use crate::geometry::grid::Grid;
    use crate::geometry::ring::Ring;

    /// A rectangle of index coordinates, counter-clockwise as an outer ring, clockwise as a hole.
    fn rectangle([x0, x1]: [f64; 2], [y0, y1]: [f64; 2], parent: Option<usize>) -> Ring {
        let mut indices = vec![[x0, y0], [x1, y0], [x1, y1], [x0, y1]];
        if parent.is_some() {
            indices.reverse();
        }
        Ring { indices, hole: parent.is_some(), parent }
    }

    #[test]
    fn filling_drops_holes_and_the_islands_in_them() {
        let grid = Grid::new([7, 5, 1], [1.0, 0.0, 0.0], [0.0, 1.0, 0.0], vec![[0.0; 3]]).unwrap();
        let outer = rectangle([-0.5, 4.5], [-0.5, 4.5], None);
        let hole = rectangle([0.5, 3.5], [0.5, 3.5], Some(0));
        let island = rectangle([1.5, 2.5], [1.5, 2.5], None);
        let apart = rectangle([5.5, 6.5], [1.5, 2.5], None);
        let drawn = vec![vec![outer, hole, island, apart]];
        let contours = Contours::from_rings(ContourKind::Voxel, None, 0.0, &grid, drawn);
        assert_eq!(rings(&contours, 0, HoleMode::Xor).len(), 4);
        assert_eq!(rings(&contours, 0, HoleMode::Keyhole).len(), 3);
        assert_eq!(rings(&contours, 0, HoleMode::Fill).len(), 2);
    }
}
