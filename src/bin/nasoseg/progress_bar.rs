//! A progress bar on a terminal, nothing in a pipe; Ctrl-C cancels.

use std::cell::Cell;

use indicatif::{ProgressDrawTarget, ProgressStyle};
use nasoseg::{CancelToken, Error, Progress, Result, Run, Stage};

/// The progress of one command, and its cancel by Ctrl-C.
pub struct ProgressBar {
    bar: indicatif::ProgressBar,
    stage: Cell<Option<Stage>>,
    cancel: CancelToken,
}

impl ProgressBar {
    /// A bar that catches Ctrl-C from now on.
    ///
    /// # Errors
    /// [`Error::Internal`] if Ctrl-C cannot be caught.
    pub fn new() -> Result<Self> {
        let cancel = CancelToken::new();
        let token = cancel.clone();
        ctrlc::set_handler(move || token.cancel())
            .map_err(|e| Error::Internal(format!("Ctrl-C cannot be caught: {e}")))?;
        // indicatif hides the bar if stderr is not a terminal.
        let target = ProgressDrawTarget::stderr();
        let bar = indicatif::ProgressBar::with_draw_target(Some(0), target);
        let style = ProgressStyle::with_template("{msg:<9} {bar:32} {pos}/{len} {elapsed}")
            .map_err(|e| Error::Internal(e.to_string()))?;
        bar.set_style(style);
        Ok(ProgressBar { bar, stage: Cell::new(None), cancel })
    }

    /// Runs `work` with a [`Run`] that reports here, and takes the bar away.
    ///
    /// # Errors
    /// What `work` gives.
    pub fn run<T>(&self, work: impl FnOnce(&Run<'_>) -> Result<T>) -> Result<T> {
        let report = |progress: Progress| self.show(progress);
        let outcome = work(&Run { progress: Some(&report), cancel: Some(&self.cancel) });
        self.bar.finish_and_clear();
        outcome
    }

    fn show(&self, progress: Progress) -> bool {
        if self.stage.replace(Some(progress.stage)) != Some(progress.stage) {
            self.bar.set_message(progress.stage.name());
        }
        self.bar.set_length(progress.total as u64);
        self.bar.set_position(progress.done as u64);
        true
    }
}
