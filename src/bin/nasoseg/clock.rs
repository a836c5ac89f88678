//! Wall time of the stages.

use std::time::Instant;

use nasoseg::Result;
use nasoseg::outputs::record::Timing;

/// Wall time of the stages, in order.
#[derive(Default)]
pub struct Clock(pub Vec<Timing>);

impl Clock {
    /// Runs `work` and notes its time if it succeeds.
    pub fn time<T>(&mut self, stage: &'static str, work: impl FnOnce() -> Result<T>) -> Result<T> {
        let start = Instant::now();
        let out = work()?;
        self.0.push(Timing { stage, seconds: start.elapsed().as_secs_f64() });
        Ok(out)
    }
}
