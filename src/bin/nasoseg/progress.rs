//! A progress bar on a terminal, nothing in a pipe; Ctrl-C cancels within one model run.

use std::cell::Cell;

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use nasoseg::{CancelToken, Error, Progress, Result, Run, Stage};

/// Progress and cancel of one command.
pub struct Watch {
    bar: ProgressBar,
    stage: Cell<Option<Stage>>,
    cancel: CancelToken,
}

impl Watch {
    /// # Errors
    /// [`Error::Internal`] where Ctrl-C cannot be caught.
    pub fn new() -> Result<Self> {
        let cancel = CancelToken::new();
        let token = cancel.clone();
        ctrlc::set_handler(move || token.cancel())
            .map_err(|e| Error::Internal(format!("Ctrl-C cannot be caught: {e}")))?;
        // indicatif hides the bar by itself where stderr is no terminal.
        let bar = ProgressBar::with_draw_target(Some(0), ProgressDrawTarget::stderr());
        let style = ProgressStyle::with_template("{msg:<9} {bar:32} {pos}/{len} {elapsed}")
            .map_err(|e| Error::Internal(e.to_string()))?;
        bar.set_style(style);
        Ok(Watch { bar, stage: Cell::new(None), cancel })
    }

    fn show(&self, progress: Progress) -> bool {
        if self.stage.replace(Some(progress.stage)) != Some(progress.stage) {
            self.bar.set_message(progress.stage.name());
        }
        self.bar.set_length(progress.total as u64);
        self.bar.set_position(progress.done as u64);
        true
    }

    /// Runs `work` with a [`Run`] that reports here.
    ///
    /// # Errors
    /// Whatever `work` gives.
    pub fn with<T>(&self, work: impl FnOnce(&Run<'_>) -> Result<T>) -> Result<T> {
        let report = |progress: Progress| self.show(progress);
        work(&Run { progress: Some(&report), cancel: Some(&self.cancel) })
    }

    /// Takes the bar away before anything is printed.
    pub fn finish(&self) {
        self.bar.finish_and_clear();
    }
}
