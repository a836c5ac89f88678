//! Progress and cancellation of every long call.
//!
//! In: a callback and a token that the caller may keep. Out: [`Run`], which is checked between two
//! model runs, so a cancel takes effect within one.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use crate::error::{Error, Result};

/// The stages of the pipeline, in order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, serde::Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Stage {
    /// Files are read, or a bundle is opened.
    Read,
    /// T1 and T2 are resampled onto T1C's grid.
    Align,
    /// Slices are normalised and laid on the model's grid.
    Prepare,
    /// The detector finds boxes.
    Detect,
    /// The segmenter computes probabilities.
    Segment,
    /// Contours are made.
    Contour,
    /// Outputs are written.
    Export,
}

impl Stage {
    /// The stage's name in lower case.
    pub fn name(self) -> &'static str {
        match self {
            Stage::Read => "read",
            Stage::Align => "align",
            Stage::Prepare => "prepare",
            Stage::Detect => "detect",
            Stage::Segment => "segment",
            Stage::Contour => "contour",
            Stage::Export => "export",
        }
    }
}

/// Progress of a stage; `done` never decreases within a stage.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Progress {
    /// The current stage.
    pub stage: Stage,
    /// Steps done: slices, or model runs.
    pub done: usize,
    /// Steps of the stage.
    pub total: usize,
}

/// A flag that any thread, or a signal handler, may set. It stays set until it is reset.
#[derive(Debug, Clone, Default)]
pub struct CancelToken(Arc<AtomicBool>);

impl CancelToken {
    /// A token that is not set.
    pub fn new() -> Self {
        Self::default()
    }

    /// Sets the token.
    pub fn cancel(&self) {
        self.0.store(true, Ordering::Relaxed);
    }

    /// Makes the token usable again.
    pub fn reset(&self) {
        self.0.store(false, Ordering::Relaxed);
    }

    /// Whether the token is set.
    pub fn is_cancelled(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }
}

/// Reports the progress of a long call and cancels it.
#[derive(Clone, Copy, Default)]
pub struct Run<'a> {
    /// Called on the calling thread; returning `false` cancels.
    pub progress: Option<&'a dyn Fn(Progress) -> bool>,
    /// Cancels when it is set.
    pub cancel: Option<&'a CancelToken>,
}

impl Run<'_> {
    /// Reports progress and checks for a cancel.
    ///
    /// # Errors
    /// [`Error::Cancelled`].
    pub fn tick(&self, stage: Stage, done: usize, total: usize) -> Result<()> {
        let goes_on = self.progress.is_none_or(|report| report(Progress { stage, done, total }));
        if !goes_on || self.cancel.is_some_and(CancelToken::is_cancelled) {
            return Err(Error::Cancelled);
        }
        Ok(())
    }
}
