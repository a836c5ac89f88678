//! The work that the graphs have done: model runs, rows and seconds.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// The work of one graph since it was opened.
#[derive(Debug, Default)]
pub(super) struct Counter {
    runs: AtomicU64,
    rows: AtomicU64,
    nanoseconds: AtomicU64,
}

impl Counter {
    /// Adds one model run.
    pub(super) fn add(&self, rows: usize, took: Duration) {
        self.nanoseconds.fetch_add(took.as_nanos() as u64, Ordering::Relaxed);
        self.runs.fetch_add(1, Ordering::Relaxed);
        self.rows.fetch_add(rows as u64, Ordering::Relaxed);
    }

    pub(super) fn snapshot(&self) -> GraphWork {
        GraphWork {
            runs: self.runs.load(Ordering::Relaxed),
            rows: self.rows.load(Ordering::Relaxed),
            seconds: self.nanoseconds.load(Ordering::Relaxed) as f64 * 1e-9,
        }
    }
}

/// A snapshot of the work of one graph.
#[derive(Debug, Clone, Copy, Default, serde::Serialize)]
pub struct GraphWork {
    /// Model runs that succeeded.
    pub runs: u64,
    /// Rows of these runs: boxes, slices or patches.
    pub rows: u64,
    /// Wall time inside ONNX Runtime.
    pub seconds: f64,
}

impl GraphWork {
    /// The work done since an earlier snapshot.
    pub fn since(self, earlier: GraphWork) -> GraphWork {
        GraphWork {
            runs: self.runs - earlier.runs,
            rows: self.rows - earlier.rows,
            seconds: self.seconds - earlier.seconds,
        }
    }
}

/// A snapshot of the work of all graphs.
#[derive(Debug, Clone, Copy, Default, serde::Serialize)]
pub struct Work {
    /// The agent's trunk; a row is a box.
    pub trunk: GraphWork,
    /// The agent's Q head; a row is a slice.
    pub q_head: GraphWork,
    /// A detector that proposes boxes; a row is a slice.
    pub proposals: GraphWork,
    /// A row is a box, or a patch of a volume (each mirrored copy counts).
    pub segmenter: GraphWork,
}

impl Work {
    /// The work done since an earlier snapshot.
    pub fn since(self, earlier: Work) -> Work {
        Work {
            trunk: self.trunk.since(earlier.trunk),
            q_head: self.q_head.since(earlier.q_head),
            proposals: self.proposals.since(earlier.proposals),
            segmenter: self.segmenter.since(earlier.segmenter),
        }
    }

    /// Seconds inside ONNX Runtime.
    pub fn seconds(&self) -> f64 {
        [self.trunk, self.q_head, self.proposals, self.segmenter]
            .iter()
            .map(|graph| graph.seconds)
            .sum()
    }
}
