//! A detector that proposes boxes, each with a score (docs/reference/bundle.md, detector kind
//! `proposals`).
//!
//! In: prepared slices, the graph. Out: one [`Proposal`] per slice: the box of the highest score,
//! if that reaches the bundle's threshold.

use ndarray::{ArrayView1, ArrayView2, ArrayView4, s};

use crate::bundle::manifest::Proposals;
use crate::detect::agent::best;
use crate::detect::bounding_box::BoundingBox;
use crate::error::{Error, Result};
use crate::run::{Run, Stage};
use crate::runtime::ProposalGraph;

/// What the detector proposes on one slice.
#[derive(Debug, Clone, Copy, PartialEq, serde::Serialize, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Proposal {
    /// The highest score.
    pub score: f32,
    /// Its box; `None` if the score lies below the bundle's threshold.
    #[serde(rename = "box")]
    pub bounding_box: Option<BoundingBox>,
}

impl Proposal {
    /// Whether a bundle's detector can have made this proposal.
    pub(crate) fn is_valid(&self, proposals: &Proposals, grid: usize) -> bool {
        let found = self.score >= proposals.score_threshold as f32;
        (0.0..=1.0).contains(&self.score)
            && self.bounding_box.is_some() == found
            && self.bounding_box.is_none_or(|bounding_box| bounding_box.is_valid(grid))
    }
}

/// Runs the detector on the slices `rows` of `images`, one at a time. Returns the proposals in the
/// order of `rows`.
///
/// # Errors
/// [`Error::Bundle`] if the graph's outputs have wrong shapes; [`Error::Runtime`] if the graph
/// fails or its outputs are out of range; [`Error::Cancelled`].
pub fn run_proposals(
    graph: &dyn ProposalGraph,
    proposals: &Proposals,
    images: ArrayView4<'_, f32>,
    rows: &[usize],
    run: &Run<'_>,
) -> Result<Vec<Proposal>> {
    let grid = images.shape()[3];
    run.tick(Stage::Detect, 0, rows.len())?;
    let mut found = Vec::with_capacity(rows.len());
    for row in rows {
        let (boxes, scores) = graph.proposals(images.slice(s![*row..*row + 1, .., .., ..]))?;
        let (k, shapes) = (scores.shape()[1], (boxes.dim(), scores.dim()));
        if k == 0 || shapes != ((1, k, 4), (1, k)) {
            return Err(Error::bundle(format!(
                "the detector gave boxes {:?} and scores {:?} for one slice, expected [1, K, 4] \
                 and [1, K] with K at least 1 (unused entries score 0). Export the bundle again",
                boxes.shape(),
                scores.shape()
            )));
        }
        found.push(choose(boxes.slice(s![0, .., ..]), scores.row(0), proposals, grid)?);
        run.tick(Stage::Detect, found.len(), rows.len())?;
    }
    Ok(found)
}

/// The box of the highest score, the first among equals, moved inside the grid.
fn choose(
    boxes: ArrayView2<'_, f32>,
    scores: ArrayView1<'_, f32>,
    proposals: &Proposals,
    grid: usize,
) -> Result<Proposal> {
    let wrong = |what: String| Error::Runtime {
        message: format!(
            "the detector gave {what}. The bundle's weights are damaged or the device \
             miscalculates"
        ),
        source: None,
    };
    if let Some(score) = scores.iter().find(|score| !(0.0..=1.0).contains(*score)) {
        return Err(wrong(format!("the score {score}, expected scores from 0 to 1")));
    }
    if let Some(entry) =
        boxes.rows().into_iter().find(|entry| entry.iter().any(|edge| !edge.is_finite()))
    {
        return Err(wrong(format!("the box {:?}, expected numbers", entry.to_vec())));
    }
    let at = best(&scores.to_vec()).ok_or_else(|| Error::Internal("scores were checked".into()))?;
    let score = scores[at];
    if score < proposals.score_threshold as f32 {
        return Ok(Proposal { score, bounding_box: None });
    }
    // The part of a box outside the slice is cut off.
    let inside = BoundingBox(std::array::from_fn(|edge| {
        f64::from(boxes[[at, edge]]).clamp(0.0, grid as f64)
    }));
    if !inside.is_valid(grid) {
        let edges = boxes.row(at).to_vec();
        return Err(wrong(format!(
            "the box {edges:?}, which has no size inside 0 .. {grid} (x0, y0, x1, y1 in pixel \
             edges of the grid)"
        )));
    }
    Ok(Proposal { score, bounding_box: Some(inside.kept_inside(grid, proposals.min_side)) })
}

#[cfg(test)]
mod tests {
    use super::*;
    use ndarray::{arr1, arr2};

    fn proposals() -> Proposals {
        Proposals { graph: String::new(), score_threshold: 0.5, min_side: 4.0 }
    }

    fn of(boxes: &[[f32; 4]], scores: &[f32]) -> Result<Proposal> {
        choose(arr2(boxes).view(), arr1(scores).view(), &proposals(), 32)
    }

    #[test]
    fn the_highest_score_wins_and_the_first_among_equals() {
        let boxes = [[0.0, 0.0, 8.0, 8.0], [4.0, 5.0, 20.0, 21.5], [1.0, 1.0, 9.0, 9.0], [0.0; 4]];
        assert_eq!(
            of(&boxes, &[0.6, 0.8, 0.8, 0.0]).unwrap(),
            Proposal { score: 0.8, bounding_box: Some(BoundingBox([4.0, 5.0, 20.0, 21.5])) }
        );
        assert_eq!(
            of(&boxes, &[0.5, 0.1, 0.0, 0.0]).unwrap().bounding_box,
            Some(BoundingBox([0.0, 0.0, 8.0, 8.0]))
        );
        assert_eq!(
            of(&boxes, &[0.4, 0.1, 0.49, 0.0]).unwrap(),
            Proposal { score: 0.49, bounding_box: None }
        );
        // A box that is not used need not have a size.
        assert_eq!(of(&[[0.0; 4]], &[0.0]).unwrap(), Proposal { score: 0.0, bounding_box: None });
    }

    #[test]
    fn boxes_are_cut_at_the_edge_and_kept_large_enough() {
        assert_eq!(
            of(&[[-5.0, 3.0, 12.0, 40.0]], &[1.0]).unwrap().bounding_box,
            Some(BoundingBox([0.0, 3.0, 12.0, 32.0]))
        );
        assert_eq!(
            of(&[[31.0, 10.0, 40.0, 11.0]], &[1.0]).unwrap().bounding_box,
            Some(BoundingBox([28.0, 8.5, 32.0, 12.5]))
        );
    }

    #[test]
    fn outputs_out_of_range_are_refused() {
        let good = [2.0, 2.0, 8.0, 8.0];
        for (boxes, scores, expected) in [
            ([good, [f32::NAN, 0.0, 1.0, 1.0]], [0.9, 0.0], "expected numbers"),
            ([good, [f32::INFINITY, 0.0, 1.0, 1.0]], [0.9, 0.0], "expected numbers"),
            ([good, good], [f32::NAN, 0.9], "the score NaN"),
            ([good, good], [0.9, 1.5], "the score 1.5"),
            ([good, good], [0.9, -0.5], "the score -0.5"),
            ([[8.0, 2.0, 8.0, 8.0], good], [0.9, 0.6], "has no size inside 0 .. 32"),
            ([[8.0, 9.0, 12.0, 8.0], good], [0.9, 0.6], "has no size inside 0 .. 32"),
            ([[40.0, 2.0, 50.0, 8.0], good], [0.9, 0.6], "has no size inside 0 .. 32"),
        ] {
            let error = of(&boxes, &scores).unwrap_err();
            assert!(
                matches!(error, Error::Runtime { .. }) && error.to_string().contains(expected),
                "{boxes:?} {scores:?}: {error}"
            );
        }
    }

    #[test]
    fn a_proposal_that_was_changed_is_not_valid() {
        let of = |score: f32, bounding_box: Option<[f64; 4]>| {
            Proposal { score, bounding_box: bounding_box.map(BoundingBox) }
                .is_valid(&proposals(), 32)
        };
        assert!(of(0.5, Some([0.0, 0.0, 32.0, 32.0])) && of(0.4, None));
        assert!(
            !of(0.5, None)
                && !of(0.4, Some([0.0, 0.0, 8.0, 8.0]))
                && !of(0.9, Some([0.0, 0.0, 33.0, 8.0]))
        );
        assert!(!of(1.1, Some([0.0, 0.0, 8.0, 8.0])) && !of(f32::NAN, None));
    }
}
