//! A cancel that does not wait for a long model run to end.
//!
//! In: the cancel token of a call. Out: ONNX Runtime's terminate flag, set for the run under way
//! within [`EVERY`] after the token. The token stays a plain flag, which a signal handler may set,
//! so that a thread has to look at it: it lives as long as the call, and only where the call has a
//! token.

use std::sync::{Arc, Condvar, Mutex, MutexGuard};
use std::time::Duration;

use ort::session::RunOptions;

use crate::run::CancelToken;

/// How often the token is looked at.
const EVERY: Duration = Duration::from_millis(10);

/// The model runs of one call, which go one after the other.
#[derive(Default)]
pub struct Watch {
    state: Mutex<State>,
    over: Condvar,
}

#[derive(Default)]
struct State {
    /// Whether somebody looks at a token.
    watched: bool,
    over: bool,
    run: Option<Arc<RunOptions>>,
    /// The token was seen set during this run.
    struck: bool,
}

impl Watch {
    /// Calls `body` with a watch over `token`. Where no thread can be had, a cancel takes effect
    /// when the run ends.
    pub fn over<T>(token: Option<&CancelToken>, body: impl FnOnce(&Watch) -> T) -> T {
        let watch = Watch::default();
        let Some(token) = token else { return body(&watch) };
        std::thread::scope(|scope| {
            let thread = std::thread::Builder::new()
                .name("nasoseg-cancel".into())
                .spawn_scoped(scope, || watch.look(token));
            watch.lock().watched = thread.is_ok();
            // Ends the thread when `body` is left, by a panic too.
            let _end = End(&watch);
            body(&watch)
        })
    }

    /// Makes one model run. Gives its outcome, and whether the token ended it: that is the token's
    /// to say, not an error code's.
    pub fn run<T>(&self, body: impl FnOnce(Option<&RunOptions>) -> T) -> (T, bool) {
        if !self.lock().watched {
            return (body(None), false);
        }
        // Fresh for every run: a terminated one stays so.
        let Ok(options) = RunOptions::new().map(Arc::new) else { return (body(None), false) };
        {
            let mut state = self.lock();
            (state.run, state.struck) = (Some(options.clone()), false);
        }
        let outcome = body(Some(&options));
        let mut state = self.lock();
        state.run = None;
        (outcome, state.struck)
    }

    fn look(&self, token: &CancelToken) {
        let mut state = self.lock();
        while !state.over {
            if token.is_cancelled()
                && let Some(run) = state.run.clone()
            {
                state.struck = run.terminate().is_ok();
            }
            state = match self.over.wait_timeout(state, EVERY) {
                Ok((state, _)) => state,
                Err(poisoned) => poisoned.into_inner().0,
            };
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
    }
}

struct End<'a>(&'a Watch);

impl Drop for End<'_> {
    fn drop(&mut self) {
        self.0.lock().over = true;
        self.0.over.notify_all();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_thread_ends_with_the_call_whatever_ends_that() {
        let token = CancelToken::new();
        assert_eq!(Watch::over(Some(&token), |_| 7), 7);
        assert_eq!(
            Watch::over(None, |watch| watch.run(|options| options.is_none())),
            (true, false)
        );
        let panic = std::panic::catch_unwind(|| Watch::over(Some(&token), |_| panic!("test")));
        assert!(panic.is_err());
    }
}
