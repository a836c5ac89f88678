//! Holes, as the caller wants them written.
//!
//! In: the contours of a slice and a [`HoleMode`]. Out: the rings to write and their geometric
//! type.

use crate::contour::{Contour, Contours, encloses, keyhole};

/// How holes are written.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, Hash, Default, serde::Serialize, serde::Deserialize,
)]
#[serde(rename_all = "lowercase")]
pub enum HoleMode {
    /// One CLOSED_PLANAR ring that runs to each hole and back along one cut line: every system
    /// shows the hole.
    #[default]
    Keyhole,
    /// CLOSEDPLANAR_XOR rings, outer ones and holes: the Standard's own way, which not every system
    /// reads.
    Xor,
    /// Outer rings and holes as overlapping CLOSED_PLANAR rings, which many readers treat as
    /// exclusive-or and some as union.
    Plain,
    /// Outer rings alone: holes, and islands in them, are filled.
    Fill,
}

impl HoleMode {
    /// The Contour Geometric Type (3006,0042).
    pub(super) fn geometric_type(self) -> &'static str {
        match self {
            HoleMode::Xor => "CLOSEDPLANAR_XOR",
            _ => "CLOSED_PLANAR",
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
    use ndarray::Array3;

    use super::*;
    use crate::contour::contours_of_mask;
    use crate::study::grid::Grid;

    #[test]
    fn filling_drops_holes_and_the_islands_in_them() {
        let rows = ["#####..", "#...#..", "#.#.#.#", "#...#..", "#####.."];
        let mask =
            Array3::from_shape_fn((1, 5, 7), |(_, j, i)| (rows[j].as_bytes()[i] == b'#') as u8);
        let grid = Grid::new([7, 5, 1], [1.0, 0.0, 0.0], [0.0, 1.0, 0.0], vec![[0.0; 3]]).unwrap();
        let contours = contours_of_mask(mask.view(), &grid).unwrap();
        assert_eq!(rings(&contours, 0, HoleMode::Xor).len(), 4);
        assert_eq!(rings(&contours, 0, HoleMode::Keyhole).len(), 3);
        assert_eq!(rings(&contours, 0, HoleMode::Fill).len(), 2);
    }
}
