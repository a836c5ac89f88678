//! The bundle's graphs, opened, checked and run.
//!
//! In: a [`Bundle`] and a [`Device`]. Out: [`Networks`], whose runs take slices [S, 3, G, G] and
//! boxes, or patches of a volume, and give features, Q values, proposed boxes and probabilities. A
//! session runs one call at a time (a mutex each, held for one model run); more sessions, each with
//! its own copy of the weights, only where the options ask for them.

use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Mutex, MutexGuard, TryLockError};
use std::time::Instant;

use ndarray::{Array2, Array3, Array4, Array5, ArrayView2, ArrayView4, ArrayView5};
use ort::session::{RunOptions, Session, SessionInputs, SessionOutputs};
use ort::value::{TensorElementType, TensorRef, ValueType};

use crate::bundle::Bundle;
use crate::bundle::manifest::{Detector, SegmenterKind};
use crate::error::{Error, Result};
use crate::fault;
use crate::runtime::{Device, DeviceUsed, Runtime, Watch, platform};

/// The graphs as detection and segmentation see them.
pub trait Graphs {
    /// Features [N, F] of `boxes` on the slices that `index` names; images [S, 3, G, G].
    fn trunk(
        &self,
        images: ArrayView4<'_, f32>,
        boxes: &[[f32; 4]],
        index: &[i64],
    ) -> Result<Array2<f32>>;
    /// Q values [N, A] from global and local features [N, F] and history [N, h * A].
    fn q_head(
        &self,
        global: ArrayView2<'_, f32>,
        local: ArrayView2<'_, f32>,
        history: ArrayView2<'_, f32>,
    ) -> Result<Array2<f32>>;
    /// Boxes [S, K, 4] and scores [S, K] of slices [S, 3, G, G]; a graph may be made for S = 1
    /// only.
    fn proposals(&self, images: ArrayView4<'_, f32>) -> Result<(Array3<f32>, Array2<f32>)>;
    /// Probabilities [N, 1, C, C].
    fn segmenter(
        &self,
        images: ArrayView4<'_, f32>,
        boxes: &[[f32; 4]],
        index: &[i64],
    ) -> Result<Array4<f32>>;
    /// Probabilities [N, 1, D, H, W] of patches [N, 3, D, H, W]; a graph may be made for N = 1
    /// only.
    fn volume(&self, patches: ArrayView5<'_, f32>) -> Result<Array5<f32>>;
}

/// What ran, since the networks were opened.
#[derive(Debug, Default)]
struct Counter {
    runs: AtomicU64,
    rows: AtomicU64,
    nanoseconds: AtomicU64,
}

/// A snapshot of the work of one graph.
#[derive(Debug, Clone, Copy, Default, serde::Serialize)]
pub struct GraphWork {
    pub runs: u64,
    pub rows: u64,
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
    pub trunk: GraphWork,
    pub q_head: GraphWork,
    /// A detector that proposes boxes; a row is a slice.
    pub proposals: GraphWork,
    /// A row is a box, or a patch of a volume (mirrored ones too).
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

struct Graph {
    name: String,
    /// One or more, all alike.
    sessions: Vec<Mutex<Session>>,
    next: AtomicUsize,
    counter: Counter,
}

/// The opened graphs of a bundle.
pub struct Networks {
    graphs: Opened,
    device: DeviceUsed,
}

struct Opened {
    /// Trunk and Q head.
    agent: Option<(Graph, Graph)>,
    proposals: Option<Graph>,
    segmenter: Graph,
}

/// How the graphs are run.
#[derive(Debug, Clone, Default)]
#[non_exhaustive]
pub struct NetworkOptions {
    pub device: Device,
    /// Threads inside one model run; 0 lets ONNX Runtime decide (all cores).
    pub threads: usize,
    /// Model runs that may go at once; 0 and 1 are one. Each costs a copy of the weights and its
    /// working memory.
    pub concurrent_runs: usize,
}

impl Networks {
    /// Opens the bundle's graphs and checks their signatures.
    ///
    /// # Errors
    /// [`Error::Bundle`] for a damaged file or a graph of another signature, [`Error::Device`] for
    /// a named device that cannot start, [`Error::Runtime`] where ONNX Runtime refuses a graph.
    pub fn open(
        runtime: &'static Runtime,
        bundle: &Bundle,
        options: &NetworkOptions,
    ) -> Result<Self> {
        let requested = options.device.to_string();
        let used = |device: Device, fallback: Option<String>| DeviceUsed {
            requested: requested.clone(),
            used: device.to_string(),
            fallback,
        };
        let networks = match options.device {
            Device::Auto if runtime.has_cuda() => {
                match Self::open_on(runtime, bundle, options, Device::Cuda(0)) {
                    Ok(graphs) => Networks { graphs, device: used(Device::Cuda(0), None) },
                    Err(error @ Error::Device { .. }) => {
                        let graphs = Self::open_on(runtime, bundle, options, Device::Cpu)?;
                        Networks { graphs, device: used(Device::Cpu, Some(error.chain())) }
                    }
                    Err(error) => return Err(error),
                }
            }
            Device::Auto => {
                let graphs = Self::open_on(runtime, bundle, options, Device::Cpu)?;
                let reason = format!(
                    "this ONNX Runtime ({}) was built without CUDA",
                    runtime.path().display()
                );
                Networks { graphs, device: used(Device::Cpu, Some(reason)) }
            }
            device => Networks {
                graphs: Self::open_on(runtime, bundle, options, device)?,
                device: used(device, None),
            },
        };
        platform::trim_memory();
        Ok(networks)
    }

    fn open_on(
        runtime: &'static Runtime,
        bundle: &Bundle,
        options: &NetworkOptions,
        device: Device,
    ) -> Result<Opened> {
        let manifest = bundle.manifest();
        let grid = manifest.input.grid as i64;
        let open = |file: &str| Graph::open(runtime, bundle, file, options, device);
        let float = |name, shape: &[i64]| Port::new(name, TensorElementType::Float32, shape);
        let on_boxes = [
            float("images", &[ANY, 3, grid, grid]),
            float("boxes", &[ANY, 4]),
            Port::new("image_index", TensorElementType::Int64, &[ANY]),
        ];
        let (mut agent, mut proposals) = (None, None);
        match &manifest.detector {
            Detector::Whole {} | Detector::Fixed { .. } => (),
            Detector::Agent(numbers) => {
                let (f, a) = (numbers.feature_size as i64, numbers.actions.len() as i64);
                let trunk = open(&numbers.trunk)?;
                trunk.check(&on_boxes, &[float("features", &[ANY, f])])?;
                let head = open(&numbers.q_head)?;
                let history = numbers.history as i64 * a;
                head.check(
                    &[
                        float("global", &[ANY, f]),
                        float("local", &[ANY, f]),
                        float("history", &[ANY, history]),
                    ],
                    &[float("q", &[ANY, a])],
                )?;
                agent = Some((trunk, head));
            }
            Detector::Proposals(numbers) => {
                let graph = open(&numbers.graph)?;
                // One slice at a time: a graph made for one only will do.
                graph.check(
                    &[float("images", &[1, 3, grid, grid])],
                    &[float("boxes", &[1, SOME, 4]), float("scores", &[1, SOME])],
                )?;
                proposals = Some(graph);
            }
        }
        let segmenter = open(&manifest.segmenter.graph)?;
        match &manifest.segmenter.kind {
            SegmenterKind::Crop { side } => {
                let c = *side as i64;
                segmenter.check(&on_boxes, &[float("probability", &[ANY, 1, c, c])])?;
            }
            SegmenterKind::Volume(window) => {
                let [d, h, w] = window.patch.map(|side| side as i64);
                // One patch at a time, likewise.
                segmenter.check(
                    &[float("volume", &[1, 3, d, h, w])],
                    &[float("probability", &[1, 1, d, h, w])],
                )?;
            }
        }
        Ok(Opened { agent, proposals, segmenter })
    }

    /// The device really used.
    pub fn device(&self) -> &DeviceUsed {
        &self.device
    }

    /// As these networks, for one call whose runs `watch` may end.
    pub fn watched<'a>(&'a self, watch: &'a Watch) -> Watched<'a> {
        Watched { networks: self, watch }
    }

    /// The work done so far.
    pub fn work(&self) -> Work {
        let Opened { agent, proposals, segmenter } = &self.graphs;
        let (trunk, q_head) = agent.as_ref().map(|(t, q)| (t.work(), q.work())).unwrap_or_default();
        let proposals = proposals.as_ref().map(Graph::work).unwrap_or_default();
        Work { trunk, q_head, proposals, segmenter: segmenter.work() }
    }

    fn agent(&self) -> Result<&(Graph, Graph)> {
        self.graphs.agent.as_ref().ok_or_else(|| Error::Internal("this bundle has no agent".into()))
    }
}

impl Graphs for Networks {
    fn trunk(
        &self,
        images: ArrayView4<'_, f32>,
        boxes: &[[f32; 4]],
        index: &[i64],
    ) -> Result<Array2<f32>> {
        self.watched(&Watch::default()).trunk(images, boxes, index)
    }

    fn q_head(
        &self,
        global: ArrayView2<'_, f32>,
        local: ArrayView2<'_, f32>,
        history: ArrayView2<'_, f32>,
    ) -> Result<Array2<f32>> {
        self.watched(&Watch::default()).q_head(global, local, history)
    }

    fn proposals(&self, images: ArrayView4<'_, f32>) -> Result<(Array3<f32>, Array2<f32>)> {
        self.watched(&Watch::default()).proposals(images)
    }

    fn segmenter(
        &self,
        images: ArrayView4<'_, f32>,
        boxes: &[[f32; 4]],
        index: &[i64],
    ) -> Result<Array4<f32>> {
        self.watched(&Watch::default()).segmenter(images, boxes, index)
    }

    fn volume(&self, patches: ArrayView5<'_, f32>) -> Result<Array5<f32>> {
        self.watched(&Watch::default()).volume(patches)
    }
}

/// The graphs, with a watch that may end their runs ([`Error::Cancelled`]).
pub struct Watched<'a> {
    networks: &'a Networks,
    watch: &'a Watch,
}

impl Graphs for Watched<'_> {
    fn trunk(
        &self,
        images: ArrayView4<'_, f32>,
        boxes: &[[f32; 4]],
        index: &[i64],
    ) -> Result<Array2<f32>> {
        self.networks.agent()?.0.run_on_boxes(self.watch, images, boxes, index, "features")
    }

    fn q_head(
        &self,
        global: ArrayView2<'_, f32>,
        local: ArrayView2<'_, f32>,
        history: ArrayView2<'_, f32>,
    ) -> Result<Array2<f32>> {
        let graph = &self.networks.agent()?.1;
        graph.timed(self.watch, global.nrows(), |session, options| {
            let inputs = ort::inputs! {
                "global" => TensorRef::from_array_view(global)?,
                "local" => TensorRef::from_array_view(local)?,
                "history" => TensorRef::from_array_view(history)?,
            };
            array(&run(session, options, inputs)?, "q")
        })
    }

    fn proposals(&self, images: ArrayView4<'_, f32>) -> Result<(Array3<f32>, Array2<f32>)> {
        let graph = self
            .networks
            .graphs
            .proposals
            .as_ref()
            .ok_or_else(|| Error::Internal("this bundle proposes no boxes".into()))?;
        graph.timed(self.watch, images.shape()[0], |session, options| {
            let inputs = ort::inputs! { "images" => TensorRef::from_array_view(images)? };
            let outputs = run(session, options, inputs)?;
            Ok((array(&outputs, "boxes")?, array(&outputs, "scores")?))
        })
    }

    fn segmenter(
        &self,
        images: ArrayView4<'_, f32>,
        boxes: &[[f32; 4]],
        index: &[i64],
    ) -> Result<Array4<f32>> {
        self.networks.graphs.segmenter.run_on_boxes(self.watch, images, boxes, index, "probability")
    }

    fn volume(&self, patches: ArrayView5<'_, f32>) -> Result<Array5<f32>> {
        self.networks.graphs.segmenter.timed(self.watch, patches.shape()[0], |session, options| {
            let inputs = ort::inputs! { "volume" => TensorRef::from_array_view(patches)? };
            array(&run(session, options, inputs)?, "probability")
        })
    }
}

/// An output by its name.
fn array<D: ndarray::Dimension>(
    outputs: &SessionOutputs<'_>,
    name: &str,
) -> std::result::Result<ndarray::Array<f32, D>, RunError> {
    Ok(outputs[name].try_extract_array::<f32>()?.into_dimensionality::<D>()?.to_owned())
}

fn run<'o, 'i, 'v: 'i, const N: usize>(
    session: &'o mut Session,
    options: Option<&'o RunOptions>,
    inputs: impl Into<SessionInputs<'i, 'v, N>>,
) -> ort::Result<SessionOutputs<'o>> {
    match options {
        Some(options) => session.run_with_options(inputs, options),
        None => session.run(inputs),
    }
}

/// Failures inside a run, before they are given the graph's name.
type RunError = Box<dyn std::error::Error + Send + Sync>;

impl Graph {
    fn open(
        runtime: &'static Runtime,
        bundle: &Bundle,
        file: &str,
        options: &NetworkOptions,
        device: Device,
    ) -> Result<Self> {
        let bytes = bundle.file(file)?;
        let name = bundle.dir().join(file).display().to_string();
        let refused = |e: &dyn std::fmt::Display| Error::Runtime {
            message: format!("{name}: ONNX Runtime refuses this graph: {e}"),
            source: None,
        };
        let session = || Self::session(runtime, &bytes, options.threads, device, &refused);
        let sessions = (0..options.concurrent_runs.max(1))
            .map(|_| session().map(Mutex::new))
            .collect::<Result<Vec<_>>>()?;
        Ok(Graph { name, sessions, next: AtomicUsize::new(0), counter: Counter::default() })
    }

    fn session(
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
            // A pattern is a block planned for each number of rows, beside the memory that is
            // there: a sixth more in all, no time saved.
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
                .map_err(|e| no_cuda(n, runtime, &e))?;
        }
        match (builder.commit_from_memory(bytes), device) {
            (Ok(session), _) => Ok(session),
            (Err(e), Device::Cuda(n)) => Err(no_cuda(n, runtime, &e)),
            (Err(e), _) => Err(refused(&e)),
        }
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

    fn check(&self, inputs: &[Port], outputs: &[Port]) -> Result<()> {
        let session = self.acquire();
        let list =
            |ports: &[Port]| ports.iter().map(|p| p.to_string()).collect::<Vec<_>>().join(", ");
        let mismatch = |found: String| {
            Error::bundle(format!(
                "{}: the graph's signature is {found}, but inputs {} and outputs {} were expected \
                 (docs/reference/bundle.md). Export the bundle again",
                self.name,
                list(inputs),
                list(outputs)
            ))
        };
        let describe = || {
            let ports = |outlets: &[ort::value::Outlet]| -> String {
                outlets
                    .iter()
                    .map(|o| format!("{} {}", o.name(), o.dtype()))
                    .collect::<Vec<_>>()
                    .join(", ")
            };
            format!("inputs {}; outputs {}", ports(session.inputs()), ports(session.outputs()))
        };
        let same = session.inputs().len() == inputs.len()
            && inputs
                .iter()
                .all(|port| session.inputs().iter().any(|o| port.fits(o.name(), o.dtype())))
            && outputs
                .iter()
                .all(|port| session.outputs().iter().any(|o| port.fits(o.name(), o.dtype())));
        if same { Ok(()) } else { Err(mismatch(describe())) }
    }

    fn run_on_boxes<D: ndarray::Dimension>(
        &self,
        watch: &Watch,
        images: ArrayView4<'_, f32>,
        boxes: &[[f32; 4]],
        index: &[i64],
        output: &str,
    ) -> Result<ndarray::Array<f32, D>> {
        let rows = boxes.len();
        self.timed(watch, rows, |session, options| {
            let inputs = ort::inputs! {
                "images" => TensorRef::from_array_view(images)?,
                "boxes" => TensorRef::from_array_view(([rows, 4], boxes.as_flattened()))?,
                "image_index" => TensorRef::from_array_view(([rows], index))?,
            };
            array(&run(session, options, inputs)?, output)
        })
    }

    fn timed<T>(
        &self,
        watch: &Watch,
        rows: usize,
        run: impl FnOnce(&mut Session, Option<&RunOptions>) -> std::result::Result<T, RunError>,
    ) -> Result<T> {
        let mut session = self.acquire();
        let start = Instant::now();
        let (out, cancelled) = watch.run(|options| {
            fault::model_run().map_err(RunError::from).and_then(|()| run(&mut session, options))
        });
        let out = out.map_err(|source| match cancelled {
            true => Error::Cancelled,
            false => Error::Runtime {
                message: format!("{}: a model run failed", self.name),
                source: Some(source),
            },
        })?;
        self.counter.nanoseconds.fetch_add(start.elapsed().as_nanos() as u64, Ordering::Relaxed);
        self.counter.runs.fetch_add(1, Ordering::Relaxed);
        self.counter.rows.fetch_add(rows as u64, Ordering::Relaxed);
        Ok(out)
    }

    fn work(&self) -> GraphWork {
        GraphWork {
            runs: self.counter.runs.load(Ordering::Relaxed),
            rows: self.counter.rows.load(Ordering::Relaxed),
            seconds: self.counter.nanoseconds.load(Ordering::Relaxed) as f64 * 1e-9,
        }
    }
}

fn no_cuda(n: u32, runtime: &Runtime, cause: &dyn std::fmt::Display) -> Error {
    Error::Device {
        message: format!(
            "device cuda:{n} cannot start with ONNX Runtime {} ({}): {cause}. Install onnxruntime-gpu with its CUDA and cuDNN libraries, or use --device cpu",
            runtime.version(),
            runtime.path().display()
        ),
        source: None,
    }
}

/// A size that must be dynamic in a graph.
const ANY: i64 = -1;
/// A size that is the graph's own affair, above 0.
const SOME: i64 = -2;

/// A named tensor of a graph's signature.
#[derive(Clone)]
struct Port {
    name: &'static str,
    element: TensorElementType,
    shape: Vec<i64>,
}

impl Port {
    fn new(name: &'static str, element: TensorElementType, shape: &[i64]) -> Self {
        Port { name, element, shape: shape.to_vec() }
    }

    /// A size that is expected may be left open in the graph.
    fn fits(&self, name: &str, dtype: &ValueType) -> bool {
        let ValueType::Tensor { ty, shape, .. } = dtype else { return false };
        name == self.name
            && *ty == self.element
            && shape.len() == self.shape.len()
            && shape.iter().zip(&self.shape).all(|(found, expected)| match *expected {
                ANY => *found == -1,
                SOME => *found != 0,
                expected => *found == -1 || *found == expected,
            })
    }
}

impl std::fmt::Display for Port {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let sizes = self.shape.iter().map(|n| match *n {
            ANY => "any".into(),
            SOME => "some".into(),
            n => n.to_string(),
        });
        let sizes: Vec<String> = sizes.collect();
        write!(f, "{} {:?} [{}]", self.name, self.element, sizes.join(", "))
    }
}
