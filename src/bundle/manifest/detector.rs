//! Section `detector`: how the box is found.

use serde::{Deserialize, Serialize};

use super::{Checked, require};
use crate::bundle::Action;

/// No edge of an atlas box lies farther from the slice's centre (mm).
const FARTHEST_MM: f64 = 500.0;
/// No side of an atlas box is shorter (mm).
const SHORTEST_MM: f64 = 1.0;

/// How the box is found.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case", deny_unknown_fields)]
pub enum Detector {
    /// No detection: the box is the whole grid.
    Whole {},
    /// An atlas box: the same on every slice.
    Fixed {
        /// x0, y0, x1, y1 about the slice's centre, mm; x from the patient's right to left, y from
        /// anterior to posterior.
        box_mm: [f64; 4],
    },
    /// The Q-learning agent of 3.1.
    Agent(Agent),
    /// A graph that gives boxes and scores.
    Proposals(Proposals),
}

/// A detector that proposes boxes, each with a score.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Proposals {
    /// File name of the graph.
    pub graph: String,
    /// A slice whose highest score lies below this has no box.
    pub score_threshold: f64,
    /// Shortest side of a box, grid pixels.
    pub min_side: f64,
}

/// The agent (3.1, 4.2.2).
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Agent {
    /// Where the features come from.
    pub features: Features,
    /// File name of the graph that computes features.
    pub trunk: String,
    /// File name of the graph that computes Q values.
    pub q_head: String,
    /// Length of a feature vector.
    pub feature_size: usize,
    /// Pixel edges on the grid: x0, y0, x1, y1.
    pub initial_box: [f64; 4],
    /// The action table.
    pub actions: Vec<Action>,
    /// Index of the terminal action.
    pub terminal: usize,
    /// Number of past actions in the state.
    pub history: usize,
    /// Largest number of actions, the terminal one included.
    pub max_steps: usize,
    /// Shortest side of a box, grid pixels.
    pub min_side: f64,
}

/// Where the agent's features come from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Features {
    /// The trunk runs on the crop of every box.
    Crop,
    /// Boxes are pooled from one map per slice. Reserved.
    Map,
}

impl Detector {
    /// Checks the section for a model on a grid of `grid` pixels.
    pub(super) fn check(&self, grid: f64, context_factor: f64) -> Checked {
        match self {
            Detector::Whole {} => require(
                context_factor == 1.0,
                "segmenter.context_factor",
                context_factor,
                "1 with a `whole` detector",
            ),
            Detector::Fixed { box_mm: [x0, y0, x1, y1] } => {
                let near = [x0, y0, x1, y1].iter().all(|v| v.abs() <= FARTHEST_MM);
                let ok = near && x1 - x0 >= SHORTEST_MM && y1 - y0 >= SHORTEST_MM;
                require(
                    ok,
                    "detector.box_mm",
                    [x0, y0, x1, y1],
                    &format!(
                        "x0, y0, x1, y1 within {FARTHEST_MM} mm of the slice's centre, with sides \
                         of at least {SHORTEST_MM} mm"
                    ),
                )
            }
            Detector::Agent(agent) => agent.check(grid),
            Detector::Proposals(proposals) => proposals.check(grid),
        }
    }

    /// File names of the detector's graphs.
    pub(super) fn graphs(&self) -> Vec<&str> {
        match self {
            Detector::Whole {} | Detector::Fixed { .. } => Vec::new(),
            Detector::Agent(agent) => vec![&agent.trunk, &agent.q_head],
            Detector::Proposals(proposals) => vec![&proposals.graph],
        }
    }
}

impl Proposals {
    fn check(&self, grid: f64) -> Checked {
        // Above 0, because entries that a graph does not use score 0.
        require(
            self.score_threshold > 0.0 && self.score_threshold <= 1.0,
            "detector.score_threshold",
            self.score_threshold,
            "a number above 0 and at most 1",
        )?;
        require(
            self.min_side > 0.0 && self.min_side <= grid,
            "detector.min_side",
            self.min_side,
            "a number above 0 and at most the grid",
        )
    }
}

impl Agent {
    fn check(&self, grid: f64) -> Checked {
        match self.features {
            Features::Crop => (),
            Features::Map => {
                return Err("detector.features is `map`, which is reserved, expected `crop`".into());
            }
        }
        let [x0, y0, x1, y1] = self.initial_box;
        require(
            0.0 <= x0 && x0 < x1 && x1 <= grid && 0.0 <= y0 && y0 < y1 && y1 <= grid,
            "detector.initial_box",
            self.initial_box,
            "x0, y0, x1, y1 inside the grid",
        )?;
        require(
            (2..=1024).contains(&self.actions.len()),
            "the number of detector.actions",
            self.actions.len(),
            "2 to 1024",
        )?;
        require(
            self.terminal < self.actions.len(),
            "detector.terminal",
            self.terminal,
            "the index of an action",
        )?;
        self.check_transforms()?;
        require(
            self.max_steps >= 1 && self.max_steps <= 1000,
            "detector.max_steps",
            self.max_steps,
            "1 to 1000",
        )?;
        require(self.history <= 1000, "detector.history", self.history, "at most 1000")?;
        require(
            self.feature_size >= 1 && self.feature_size <= 1 << 20,
            "detector.feature_size",
            self.feature_size,
            "1 to 1048576",
        )?;
        require(
            self.min_side > 0.0 && self.min_side <= grid,
            "detector.min_side",
            self.min_side,
            "a number above 0 and at most the grid",
        )
    }

    /// The terminal action alone leaves the box as it is.
    fn check_transforms(&self) -> Checked {
        for (index, action) in self.actions.iter().enumerate() {
            let ok = match action.transform {
                None => index == self.terminal,
                Some([a, b, c, d]) => {
                    index != self.terminal
                        && [a, b, c, d].iter().all(|v| v.is_finite())
                        && a < c
                        && b < d
                }
            };
            require(
                ok,
                &format!("the `box` of action {index}"),
                action.transform,
                "a positive width and height, or null for the terminal action alone",
            )?;
        }
        Ok(())
    }
}
