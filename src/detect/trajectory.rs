//! The agent's trajectory on one slice.

use crate::detect::bounding_box::BoundingBox;

/// Boxes, actions and Q values of one slice, in order.
#[derive(Debug, Clone, PartialEq, serde::Serialize, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Trajectory {
    /// The initial box, then the box after every action (the terminal action repeats it).
    pub boxes: Vec<BoundingBox>,
    /// Indices into the bundle's action table.
    pub actions: Vec<usize>,
    /// The Q value of every action, at every step.
    pub q: Vec<Vec<f32>>,
    /// Whether the agent chose the terminal action; otherwise the step limit ended the
    /// trajectory.
    pub stopped: bool,
}

impl Trajectory {
    pub(crate) fn new(initial: BoundingBox) -> Self {
        Trajectory { boxes: vec![initial], actions: Vec::new(), q: Vec::new(), stopped: false }
    }

    pub(crate) fn push(&mut self, action: usize, q: Vec<f32>, next: BoundingBox, terminal: bool) {
        self.actions.push(action);
        self.q.push(q);
        self.boxes.push(next);
        self.stopped = terminal;
    }

    /// The final box.
    pub fn last(&self) -> BoundingBox {
        // Never empty: `new` stores the initial box, and a parsed trajectory is checked.
        self.boxes[self.boxes.len() - 1]
    }

    /// Number of actions taken, the terminal one included.
    pub fn steps(&self) -> usize {
        self.actions.len()
    }
}
