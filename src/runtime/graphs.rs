//! What each stage requires of a bundle's graphs: one trait per kind of detector and segmenter.
//!
//! Images are prepared slices [S, 3, G, G]; boxes are x0, y0, x1, y1 in pixel edges of the grid.

use ndarray::{Array2, Array3, Array4, Array5, ArrayView2, ArrayView4, ArrayView5};

use crate::error::Result;

/// The graphs of the Q-learning agent (detector kind `agent`).
pub trait AgentGraphs {
    /// Features [N, F] of `boxes` on the slices whose rows `index` holds; images [S, 3, G, G].
    ///
    /// # Errors
    /// [`crate::Error::Runtime`] if the model run fails, [`crate::Error::Cancelled`].
    fn trunk(
        &self,
        images: ArrayView4<'_, f32>,
        boxes: &[[f32; 4]],
        index: &[i64],
    ) -> Result<Array2<f32>>;

    /// Q values [N, A] from global and local features [N, F] and history [N, h * A].
    ///
    /// # Errors
    /// As [`AgentGraphs::trunk`].
    fn q_head(
        &self,
        global: ArrayView2<'_, f32>,
        local: ArrayView2<'_, f32>,
        history: ArrayView2<'_, f32>,
    ) -> Result<Array2<f32>>;
}

/// The graph that proposes boxes (detector kind `proposals`).
pub trait ProposalGraph {
    /// Boxes [S, K, 4] and scores [S, K] of slices [S, 3, G, G]; a graph may accept S = 1 only.
    ///
    /// # Errors
    /// [`crate::Error::Runtime`] if the model run fails, [`crate::Error::Cancelled`].
    fn proposals(&self, images: ArrayView4<'_, f32>) -> Result<(Array3<f32>, Array2<f32>)>;
}

/// The graph that segments one box of one slice (segmenter kind `crop`).
pub trait CropSegmenter {
    /// Probabilities [N, 1, C, C] of `boxes` on the slices whose rows `index` holds.
    ///
    /// # Errors
    /// [`crate::Error::Runtime`] if the model run fails, [`crate::Error::Cancelled`].
    fn segment_crops(
        &self,
        images: ArrayView4<'_, f32>,
        boxes: &[[f32; 4]],
        index: &[i64],
    ) -> Result<Array4<f32>>;
}

/// The graph that segments patches of a volume (segmenter kind `volume`).
pub trait VolumeSegmenter {
    /// Probabilities [N, 1, D, H, W] of patches [N, 3, D, H, W]; a graph may accept N = 1 only.
    ///
    /// # Errors
    /// [`crate::Error::Runtime`] if the model run fails, [`crate::Error::Cancelled`].
    fn segment_patches(&self, patches: ArrayView5<'_, f32>) -> Result<Array5<f32>>;
}
