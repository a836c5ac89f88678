//! Section `segmenter`: the network of the second stage.

use serde::{Deserialize, Serialize};

use super::{Checked, require};

/// No patch of a `volume` segmenter has more voxels: its three channels take 400 MB.
const LARGEST_PATCH: usize = 1 << 25;

/// The second stage (3.2): RANet, or another network.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(from = "SegmenterSection", into = "SegmenterSection")]
pub struct Segmenter {
    /// File name of the graph.
    pub graph: String,
    /// The segmenter's box is the detector's box, enlarged by this factor.
    pub context_factor: f64,
    /// The mask is 1 for a probability of at least this.
    pub threshold: f64,
    /// What the graph accepts.
    pub kind: SegmenterKind,
}

/// What the segmenter processes at once.
#[derive(Debug, Clone, PartialEq)]
pub enum SegmenterKind {
    /// The box of one slice.
    Crop {
        /// Side of the graph's square input, pixels.
        side: usize,
    },
    /// The boxes of all slices together, by a sliding window.
    Volume(Window),
}

/// The window of a `volume` segmenter. Arrays of three are in the order slices, rows, columns.
#[derive(Debug, Clone, PartialEq)]
pub struct Window {
    /// Size of a patch, voxels.
    pub patch: [usize; 3],
    /// Voxel size of a patch.
    pub spacing_mm: [f64; 3],
    /// Fraction of a patch that its neighbour covers too, at least.
    pub overlap: f64,
    /// Whether the probability is the mean over all mirrored copies of a patch.
    pub mirror: bool,
}

/// The section as it is written in the file.
#[derive(Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case", deny_unknown_fields)]
enum SegmenterSection {
    Crop {
        graph: String,
        context_factor: f64,
        crop: usize,
        threshold: f64,
    },
    Volume {
        graph: String,
        patch: [usize; 3],
        spacing_mm: [f64; 3],
        overlap: f64,
        mirror: bool,
        threshold: f64,
        context_factor: f64,
    },
}

impl From<SegmenterSection> for Segmenter {
    fn from(section: SegmenterSection) -> Self {
        match section {
            SegmenterSection::Crop { graph, context_factor, crop, threshold } => Segmenter {
                graph,
                context_factor,
                threshold,
                kind: SegmenterKind::Crop { side: crop },
            },
            SegmenterSection::Volume {
                graph,
                patch,
                spacing_mm,
                overlap,
                mirror,
                threshold,
                context_factor,
            } => {
                let window = Window { patch, spacing_mm, overlap, mirror };
                Segmenter { graph, context_factor, threshold, kind: SegmenterKind::Volume(window) }
            }
        }
    }
}

impl From<Segmenter> for SegmenterSection {
    fn from(segmenter: Segmenter) -> Self {
        let Segmenter { graph, context_factor, threshold, kind } = segmenter;
        match kind {
            SegmenterKind::Crop { side } => {
                SegmenterSection::Crop { graph, context_factor, crop: side, threshold }
            }
            SegmenterKind::Volume(Window { patch, spacing_mm, overlap, mirror }) => {
                SegmenterSection::Volume {
                    graph,
                    patch,
                    spacing_mm,
                    overlap,
                    mirror,
                    threshold,
                    context_factor,
                }
            }
        }
    }
}

impl Segmenter {
    pub(super) fn check(&self) -> Checked {
        require(
            self.context_factor >= 1.0 && self.context_factor <= 10.0,
            "segmenter.context_factor",
            self.context_factor,
            "1 to 10",
        )?;
        match &self.kind {
            SegmenterKind::Crop { side } => {
                require((8..=4096).contains(side), "segmenter.crop", side, "8 to 4096")?
            }
            SegmenterKind::Volume(window) => window.check()?,
        }
        require(
            self.threshold > 0.0 && self.threshold < 1.0,
            "segmenter.threshold",
            self.threshold,
            "a number above 0 and below 1",
        )
    }
}

impl Window {
    fn check(&self) -> Checked {
        let voxels = self.patch.iter().try_fold(1usize, |all, side| all.checked_mul(*side));
        let small = voxels.is_some_and(|all| (1..=LARGEST_PATCH).contains(&all));
        require(
            small,
            "segmenter.patch",
            self.patch,
            &format!(
                "slices, rows and columns of at least 1 each, and at most {LARGEST_PATCH} voxels"
            ),
        )?;
        let sensible = self.spacing_mm.iter().all(|mm| (0.1..=50.0).contains(mm));
        let spacing_mm = self.spacing_mm;
        require(sensible, "segmenter.spacing_mm", spacing_mm, "three distances from 0.1 to 50")?;
        require((0.0..=0.9).contains(&self.overlap), "segmenter.overlap", self.overlap, "0 to 0.9")
    }
}
