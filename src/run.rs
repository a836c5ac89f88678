//! Progress and cancel, for every long call.
//!
//! In: a callback and a token that the caller may keep. Out: [`Run`], asked between two model runs,
//! so a cancel takes effect within one.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use crate::error::{Error, Result};

/// The stages of the pipeline, in order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, serde::Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Stage {
    Read,
    Align,
    Prepare,
    Detect,
    Segment,
    Contour,
    Export,
}

impl Stage {
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

/// How far a stage is: `done` of `total` (slices, or model runs), never decreasing within a stage.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Progress {
    pub stage: Stage,
    pub done: usize,
    pub total: usize,
}

/// A flag that any thread, or a signal handler, may set. It stays set until it is reset.
#[derive(Debug, Clone, Default)]
pub struct CancelToken(Arc<AtomicBool>);

impl CancelToken {
    pub fn new() -> Self {
        Self::default()
    }

    pub fn cancel(&self) {
        self.0.store(true, Ordering::Relaxed);
    }

    /// Makes the token usable again.
    pub fn reset(&self) {
        self.0.store(false, Ordering::Relaxed);
    }

    pub fn is_cancelled(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }
}

/// What a caller hands to a long call. The callback is called on the calling thread; returning
/// `false` cancels.
#[derive(Clone, Copy, Default)]
pub struct Run<'a> {
    pub progress: Option<&'a dyn Fn(Progress) -> bool>,
    pub cancel: Option<&'a CancelToken>,
}

impl Run<'_> {
    /// Reports progress and asks whether to go on.
    ///
    /// # Errors
    /// [`Error::Cancelled`].
    pub fn tick(&self, stage: Stage, done: usize, total: usize) -> Result<()> {
        let wanted = self.progress.is_none_or(|report| report(Progress { stage, done, total }));
        if !wanted || self.cancel.is_some_and(CancelToken::is_cancelled) {
            return Err(Error::Cancelled);
        }
        Ok(())
    }
}
