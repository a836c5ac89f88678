//! A cancel that does not wait for a long model run to end.
//!
//! In: the cancel token of a call. Out: ONNX Runtime's terminate flag, set for the current model
//! run within `INTERVAL` of the cancel. The token stays a plain flag that a signal handler may
//! set, so a thread polls it; the thread lives as long as the call, and only if the call has a
//! token.

use std::sync::{Arc, Condvar, Mutex, MutexGuard};
use std::time::Duration;

use ort::session::RunOptions;

use crate::run::CancelToken;

/// How often the token is polled.
const INTERVAL: Duration = Duration::from_millis(10);

/// Watches the model runs of one call, which follow one another. The default watches no token.
#[derive(Default)]
pub struct CancelWatch {
    state: Mutex<State>,
    ended: Condvar,
}

#[derive(Default)]
struct State {
    /// Whether a thread polls a token.
    polled: bool,
    ended: bool,
    run: Option<Arc<RunOptions>>,
    /// Whether the token ended this model run.
    terminated: bool,
}

impl CancelWatch {
    /// Calls `body` while `token` is watched. If no thread can be started, a cancel takes effect
    /// when the model run ends.
    pub fn over<T>(token: Option<&CancelToken>, body: impl FnOnce(&CancelWatch) -> T) -> T {
        let watch = CancelWatch::default();
        let Some(token) = token else { return body(&watch) };
        std::thread::scope(|scope| {
            let thread = std::thread::Builder::new()
                .name("nasoseg-cancel".into())
                .spawn_scoped(scope, || watch.poll(token));
            watch.lock().polled = thread.is_ok();
            // Ends the thread when `body` returns or panics.
            let _guard = EndOnDrop(&watch);
            body(&watch)
        })
    }

    /// Makes one model run. Returns its outcome, and whether the token ended it: ONNX Runtime's
    /// error codes do not distinguish that.
    pub fn run<T>(&self, body: impl FnOnce(Option<&RunOptions>) -> T) -> (T, bool) {
        if !self.lock().polled {
            return (body(None), false);
        }
        // New for every run: once terminated, options stay terminated.
        let Ok(options) = RunOptions::new().map(Arc::new) else { return (body(None), false) };
        {
            let mut state = self.lock();
            (state.run, state.terminated) = (Some(options.clone()), false);
        }
        let outcome = body(Some(&options));
        let mut state = self.lock();
        state.run = None;
        (outcome, state.terminated)
    }

    fn poll(&self, token: &CancelToken) {
        let mut state = self.lock();
        while !state.ended {
            if token.is_cancelled()
                && let Some(run) = state.run.clone()
            {
                state.terminated = run.terminate().is_ok();
            }
            state = match self.ended.wait_timeout(state, INTERVAL) {
                Ok((state, _)) => state,
                Err(poisoned) => poisoned.into_inner().0,
            };
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
    }
}

struct EndOnDrop<'a>(&'a CancelWatch);

impl Drop for EndOnDrop<'_> {
    fn drop(&mut self) {
        self.0.lock().ended = true;
        self.0.ended.notify_all();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_thread_ends_when_the_call_returns_or_panics() {
        let token = CancelToken::new();
        assert_eq!(CancelWatch::over(Some(&token), |_| 7), 7);
        assert_eq!(
            CancelWatch::over(None, |watch| watch.run(|options| options.is_none())),
            (true, false)
        );
        let panic =
            std::panic::catch_unwind(|| CancelWatch::over(Some(&token), |_| panic!("test")));
        assert!(panic.is_err());
    }
}
