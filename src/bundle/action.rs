//! One of the agent's actions (3.1.1): an affine transform of the box, or the terminal action.

use serde::{Deserialize, Serialize};

/// An entry of the bundle's action table.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Action {
    /// Shown to people.
    pub name: String,
    /// New edges (x0, y0, x1, y1) in units of the current box; `None` for the terminal action.
    #[serde(rename = "box")]
    pub transform: Option<[f64; 4]>,
}
