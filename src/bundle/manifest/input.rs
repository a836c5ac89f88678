//! Section `input`: how slices are prepared.

use serde::{Deserialize, Serialize};

use super::{Checked, require};
use crate::sequence::Sequence;

/// How slices are prepared.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Input {
    /// T1, T1C and T2, in the order of the graphs' input.
    pub channels: Vec<Channel>,
    /// Side of the square grid, pixels (the paper: 384).
    pub grid: usize,
    /// How a slice is laid on that grid.
    pub fit: FitKind,
    /// Slice spacings (mm) seen in training, smallest and largest.
    #[serde(default)]
    pub slice_spacing_mm: Option<[f64; 2]>,
}

/// One input channel.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Channel {
    /// The MR sequence of the channel.
    pub sequence: Sequence,
    /// How its values are scaled.
    pub scaling: Scaling,
}

/// Scaling of a channel to [0, 1] (4.2.1).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case", deny_unknown_fields)]
pub enum Scaling {
    /// Divide by the largest value of the channel in the training set (the paper).
    DatasetMax {
        /// That value.
        value: f64,
    },
    /// Divide by a percentile of the voxels above 0 of the sequence's own volume.
    StudyPercentile {
        /// In (0, 100].
        percentile: f64,
    },
}

/// How a slice is laid on the square grid.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case", deny_unknown_fields)]
pub enum FitKind {
    /// The field of view is stretched onto the grid (the paper).
    Stretch,
    /// The field of view is padded to a square in mm, then scaled.
    Pad,
    /// A fixed pixel size, about the slice's centre.
    Mm {
        /// Side of a pixel of the grid.
        pixel_mm: f64,
    },
}

impl Input {
    pub(super) fn check(&self) -> Checked {
        let sequences: Vec<Sequence> = self.channels.iter().map(|c| c.sequence).collect();
        require(
            sequences == Sequence::ALL,
            "input.channels",
            &sequences,
            "T1, T1C, T2 in that order",
        )?;
        for channel in &self.channels {
            let ok = match channel.scaling {
                Scaling::DatasetMax { value } => value.is_finite() && value > 0.0,
                Scaling::StudyPercentile { percentile } => percentile > 0.0 && percentile <= 100.0,
            };
            require(
                ok,
                &format!("the scaling of channel {}", channel.sequence),
                &channel.scaling,
                "a positive value, or a percentile in (0, 100]",
            )?;
        }
        require((8..=4096).contains(&self.grid), "input.grid", self.grid, "8 to 4096")?;
        match self.fit {
            FitKind::Stretch | FitKind::Pad => Ok(()),
            FitKind::Mm { pixel_mm } => require(
                (0.01..=100.0).contains(&pixel_mm),
                "input.fit.pixel_mm",
                pixel_mm,
                "0.01 to 100",
            ),
        }
    }
}
