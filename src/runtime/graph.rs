//! One graph of a bundle: its ONNX Runtime sessions, and the model runs on them.
//!
//! A session runs one call at a time (a mutex each, held for one model run); more sessions, each
//! with its own copy of the weights, are opened only if the options request them.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, MutexGuard, TryLockError};
use std::time::Instant;

use ndarray::ArrayView4;
use ort::session::{RunOptions, Session, SessionInputs, SessionOutputs};
use ort::value::TensorRef;

use super::signature::{self, Port};
use super::work::{Counter, GraphWork};
use super::{CancelWatch, Device, NetworkOptions, Runtime};
use crate::bundle::Bundle;
use crate::error::{Error, Result};
use crate::fault;

/// A graph, opened and ready to run.
pub(super) struct Graph {
    name: String,
    /// One or more, all alike.
    sessions: Vec<Mutex<Session>>,
    next: AtomicUsize,
    counter: Counter,
}

/// A failure inside a model run, before the graph's name is added.
pub(super) type RunError = Box<dyn std::error::Error + Send + Sync>;

impl Graph {
    pub(super) fn open(
        runtime: &'static Runtime,
        bundle: &Bundle,
        file: &str,
        options: &NetworkOptions,
        device: Device,
    ) -> Result<Self> {
        let bytes = bundle.file(file)?;
        let name = bundle.dir().join(file).display().to_string();
        let refused = |e: &dyn std::fmt::Display| Error::Runtime {
            message: format!(
                "{name}: ONNX Runtime refuses this graph: {e}. Export the bundle again, or update \
                 ONNX Runtime"
            ),
            source: None,
        };
        let session = || open_session(runtime, &bytes, options.threads, device, &refused);
        let sessions = (0..options.concurrent_runs.max(1))
            .map(|_| session().map(Mutex::new))
            .collect::<Result<Vec<_>>>()?;
        Ok(Graph { name, sessions, next: AtomicUsize::new(0), counter: Counter::default() })
    }

    /// Refuses a graph of another signature.
    pub(super) fn check(&self, inputs: &[Port], outputs: &[Port]) -> Result<()> {
        signature::check(&self.name, &self.acquire(), inputs, outputs)
    }

    pub(super) fn work(&self) -> GraphWork {
        self.counter.snapshot()
    }

    /// A session that no other thread uses: a free one, else the next in turn.
    fn acquire(&self) -> MutexGuard<'_, Session> {
        for session in &self.sessions {
            match session.try_lock() {
                Ok(guard) => return guard,
                Err(TryLockError::Poisoned(poisoned)) => return poisoned.into_inner(),
                Err(TryLockError::WouldBlock) => (),
            }
        }
        let turn = self.next.fetch_add(1, Ordering::Relaxed) % self.sessions.len();
        self.sessions[turn].lock().unwrap_or_else(|poisoned| poisoned.into_inner())
    }

    /// One model run on boxes of slices; the array is the output called `output`.
    pub(super) fn run_on_boxes<D: ndarray::Dimension>(
        &self,
        watch: &CancelWatch,
        images: ArrayView4<'_, f32>,
        boxes: &[[f32; 4]],
        index: &[i64],
        output: &str,
    ) -> Result<ndarray::Array<f32, D>> {
        let rows = boxes.len();
        self.run(watch, rows, |session, options| {
            let inputs = ort::inputs! {
                "images" => TensorRef::from_array_view(images)?,
                "boxes" => TensorRef::from_array_view(([rows, 4], boxes.as_flattened()))?,
                "image_index" => TensorRef::from_array_view(([rows], index))?,
            };
            array(&run_session(session, options, inputs)?, output)
        })
    }

    /// One model run of `rows` rows, counted and timed; `watch` may end it.
    ///
    /// # Errors
    /// [`Error::Runtime`], [`Error::Cancelled`].
    pub(super) fn run<T>(
        &self,
        watch: &CancelWatch,
        rows: usize,
        body: impl FnOnce(&mut Session, Option<&RunOptions>) -> std::result::Result<T, RunError>,
    ) -> Result<T> {
        let mut session = self.acquire();
        let start = Instant::now();
        let (out, cancelled) = watch.run(|options| {
            fault::model_run().map_err(RunError::from).and_then(|()| body(&mut session, options))
        });
        let out = out.map_err(|source| match cancelled {
            true => Error::Cancelled,
            false => Error::Runtime {
                message: format!("{}: a model run failed", self.name),
                source: Some(source),
            },
        })?;
        self.counter.add(rows, start.elapsed());
        Ok(out)
    }
}

fn open_session(
    runtime: &'static Runtime,
    bytes: &[u8],
    threads: usize,
    device: Device,
    refused: &dyn Fn(&dyn std::fmt::Display) -> Error,
) -> Result<Session> {
    let mut builder = Session::builder(&runtime.environment).map_err(|e| refused(&e))?;
    if threads > 0 {
        builder = builder.with_intra_threads(threads).map_err(|e| refused(&e))?;
    }
    if device == Device::Cpu {
        // A memory pattern plans a block for each number of rows, beside the arena: a sixth more
        // memory in all, and no time saved.
        builder = builder.with_memory_pattern(false).map_err(|e| refused(&e))?;
    }
    if let Device::Cuda(n) = device {
        let provider = ort::ep::CUDA::default()
            .with_device_id(n as i32)
            // Exhaustive search would cost seconds for every new number of rows.
            .with_conv_algorithm_search(ort::ep::cuda::ConvAlgorithmSearch::Heuristic)
            // TF32 would move Q values by more than the parity tolerance.
            .with_tf32(false)
            .build()
            .error_on_failure();
        builder = builder
            .with_execution_providers([provider])
            .map_err(|e| cuda_refused(n, runtime, &e))?;
    }
    match (builder.commit_from_memory(bytes), device) {
        (Ok(session), _) => Ok(session),
        (Err(e), Device::Cuda(n)) => Err(cuda_refused(n, runtime, &e)),
        (Err(e), _) => Err(refused(&e)),
    }
}

fn cuda_refused(n: u32, runtime: &Runtime, cause: &dyn std::fmt::Display) -> Error {
    Error::Device {
        message: format!(
            "device cuda:{n} cannot start with ONNX Runtime {} ({}): {cause}. Install \
             onnxruntime-gpu with its CUDA and cuDNN libraries, or use --device cpu",
            runtime.version(),
            runtime.path().display()
        ),
        source: None,
    }
}

/// An output by its name.
pub(super) fn array<D: ndarray::Dimension>(
    outputs: &SessionOutputs<'_>,
    name: &str,
) -> std::result::Result<ndarray::Array<f32, D>, RunError> {
    Ok(outputs[name].try_extract_array::<f32>()?.into_dimensionality::<D>()?.to_owned())
}

pub(super) fn run_session<'o, 'i, 'v: 'i, const N: usize>(
    session: &'o mut Session,
    options: Option<&'o RunOptions>,
    inputs: impl Into<SessionInputs<'i, 'v, N>>,
) -> ort::Result<SessionOutputs<'o>> {
    match options {
        Some(options) => session.run_with_options(inputs, options),
        None => session.run(inputs),
    }
}
