//! The graphs of a bundle, opened, checked and run.
//!
//! In: a [`Bundle`] and a [`Device`]. Out: [`Networks`], which hold the graphs that the bundle's
//! detector and segmenter have, and [`WatchedNetworks`], which run them for one call.

use ndarray::{Array2, Array3, Array4, Array5, ArrayView2, ArrayView4, ArrayView5};
use ort::value::TensorRef;

use super::graph::{Graph, array, run_session};
use super::signature::{ANY, Port, SOME};
use super::{
    AgentGraphs, CancelWatch, CropSegmenter, Device, DeviceUsed, ProposalGraph, Runtime,
    VolumeSegmenter, Work, platform,
};
use crate::bundle::Bundle;
use crate::bundle::manifest::{Detector, Manifest, SegmenterKind};
use crate::error::{Error, Result};

/// The opened graphs of a bundle.
pub struct Networks {
    graphs: Graphs,
    device: DeviceUsed,
}

struct Graphs {
    detector: DetectorGraphs,
    segmenter: SegmenterGraph,
}

enum DetectorGraphs {
    /// Detector kinds `whole` and `fixed`.
    None,
    Agent {
        trunk: Graph,
        q_head: Graph,
    },
    Proposals(Graph),
}

enum SegmenterGraph {
    Crop(Graph),
    Volume(Graph),
}

/// How the graphs are run.
#[derive(Debug, Clone, Default)]
#[non_exhaustive]
pub struct NetworkOptions {
    /// Where the graphs run.
    pub device: Device,
    /// Threads inside one model run; 0 lets ONNX Runtime decide (all cores).
    pub threads: usize,
    /// Model runs that may execute at once; 0 means 1. Each costs a copy of the weights and its
    /// working memory.
    pub concurrent_runs: usize,
}

impl NetworkOptions {
    /// Runs the graphs on `device`.
    #[must_use]
    pub fn with_device(mut self, device: Device) -> Self {
        self.device = device;
        self
    }

    /// Uses `threads` threads inside one model run; 0 lets ONNX Runtime decide.
    #[must_use]
    pub fn with_threads(mut self, threads: usize) -> Self {
        self.threads = threads;
        self
    }

    /// Allows `runs` model runs at once, each with its own copy of the weights.
    #[must_use]
    pub fn with_concurrent_runs(mut self, runs: usize) -> Self {
        self.concurrent_runs = runs;
        self
    }
}

impl Networks {
    /// Opens the bundle's graphs and checks their signatures.
    ///
    /// # Errors
    /// [`Error::Bundle`] for a damaged file or a graph of another signature, [`Error::Device`] if a
    /// device that the options name cannot start, [`Error::Runtime`] if ONNX Runtime refuses a
    /// graph.
    pub fn open(
        runtime: &'static Runtime,
        bundle: &Bundle,
        options: &NetworkOptions,
    ) -> Result<Self> {
        let open_on = |device| Graphs::open(runtime, bundle, options, device);
        let (graphs, device, fallback) = match options.device {
            Device::Auto if runtime.has_cuda() => match open_on(Device::Cuda(0)) {
                Ok(graphs) => (graphs, Device::Cuda(0), None),
                Err(error @ Error::Device { .. }) => {
                    (open_on(Device::Cpu)?, Device::Cpu, Some(error.chain()))
                }
                Err(error) => return Err(error),
            },
            Device::Auto => {
                let path = runtime.path().display();
                let reason = format!("this ONNX Runtime ({path}) was built without CUDA");
                (open_on(Device::Cpu)?, Device::Cpu, Some(reason))
            }
            device => (open_on(device)?, device, None),
        };
        platform::trim_memory();
        let device = DeviceUsed {
            requested: options.device.to_string(),
            used: device.to_string(),
            fallback,
        };
        Ok(Networks { graphs, device })
    }

    /// The device on which the graphs run.
    pub fn device(&self) -> &DeviceUsed {
        &self.device
    }

    /// These networks for one call, whose model runs `watch` may end.
    pub fn watched<'a>(&'a self, watch: &'a CancelWatch) -> WatchedNetworks<'a> {
        WatchedNetworks { graphs: &self.graphs, watch }
    }

    /// The work done since the networks were opened.
    pub fn work(&self) -> Work {
        let mut work = Work::default();
        match &self.graphs.detector {
            DetectorGraphs::None => (),
            DetectorGraphs::Agent { trunk, q_head } => {
                (work.trunk, work.q_head) = (trunk.work(), q_head.work());
            }
            DetectorGraphs::Proposals(graph) => work.proposals = graph.work(),
        }
        work.segmenter = match &self.graphs.segmenter {
            SegmenterGraph::Crop(graph) | SegmenterGraph::Volume(graph) => graph.work(),
        };
        work
    }
}

impl Graphs {
    fn open(
        runtime: &'static Runtime,
        bundle: &Bundle,
        options: &NetworkOptions,
        device: Device,
    ) -> Result<Self> {
        let manifest = bundle.manifest();
        let open = |file: &str| Graph::open(runtime, bundle, file, options, device);
        let detector = DetectorGraphs::open(manifest, &open)?;
        let segmenter = SegmenterGraph::open(manifest, &open)?;
        Ok(Graphs { detector, segmenter })
    }
}

/// Inputs of a graph that runs on boxes of slices.
fn on_boxes(grid: i64) -> [Port; 3] {
    [
        Port::float("images", &[ANY, 3, grid, grid]),
        Port::float("boxes", &[ANY, 4]),
        Port::int64("image_index", &[ANY]),
    ]
}

impl DetectorGraphs {
    fn open(manifest: &Manifest, open: &dyn Fn(&str) -> Result<Graph>) -> Result<Self> {
        let grid = manifest.input.grid as i64;
        Ok(match &manifest.detector {
            Detector::Whole {} | Detector::Fixed { .. } => DetectorGraphs::None,
            Detector::Agent(agent) => {
                let (f, a) = (agent.feature_size as i64, agent.actions.len() as i64);
                let trunk = open(&agent.trunk)?;
                trunk.check(&on_boxes(grid), &[Port::float("features", &[ANY, f])])?;
                let q_head = open(&agent.q_head)?;
                let history = agent.history as i64 * a;
                q_head.check(
                    &[
                        Port::float("global", &[ANY, f]),
                        Port::float("local", &[ANY, f]),
                        Port::float("history", &[ANY, history]),
                    ],
                    &[Port::float("q", &[ANY, a])],
                )?;
                DetectorGraphs::Agent { trunk, q_head }
            }
            Detector::Proposals(proposals) => {
                let graph = open(&proposals.graph)?;
                // Slices run one at a time: a graph that accepts one only is enough.
                graph.check(
                    &[Port::float("images", &[1, 3, grid, grid])],
                    &[Port::float("boxes", &[1, SOME, 4]), Port::float("scores", &[1, SOME])],
                )?;
                DetectorGraphs::Proposals(graph)
            }
        })
    }
}

impl SegmenterGraph {
    fn open(manifest: &Manifest, open: &dyn Fn(&str) -> Result<Graph>) -> Result<Self> {
        let graph = open(&manifest.segmenter.graph)?;
        Ok(match &manifest.segmenter.kind {
            SegmenterKind::Crop { side } => {
                let c = *side as i64;
                let grid = manifest.input.grid as i64;
                graph.check(&on_boxes(grid), &[Port::float("probability", &[ANY, 1, c, c])])?;
                SegmenterGraph::Crop(graph)
            }
            SegmenterKind::Volume(window) => {
                let [d, h, w] = window.patch.map(|side| side as i64);
                // Patches run one at a time, like slices.
                graph.check(
                    &[Port::float("volume", &[1, 3, d, h, w])],
                    &[Port::float("probability", &[1, 1, d, h, w])],
                )?;
                SegmenterGraph::Volume(graph)
            }
        })
    }
}

/// The networks, with a watch that may end their model runs ([`Error::Cancelled`]).
///
/// Each trait works if the bundle's detector or segmenter is of its kind, and gives
/// [`Error::Internal`] otherwise.
pub struct WatchedNetworks<'a> {
    graphs: &'a Graphs,
    watch: &'a CancelWatch,
}

impl WatchedNetworks<'_> {
    fn agent(&self) -> Result<(&Graph, &Graph)> {
        match &self.graphs.detector {
            DetectorGraphs::Agent { trunk, q_head } => Ok((trunk, q_head)),
            DetectorGraphs::None | DetectorGraphs::Proposals(_) => {
                Err(Error::Internal("this bundle has no agent".into()))
            }
        }
    }
}

impl AgentGraphs for WatchedNetworks<'_> {
    fn trunk(
        &self,
        images: ArrayView4<'_, f32>,
        boxes: &[[f32; 4]],
        index: &[i64],
    ) -> Result<Array2<f32>> {
        self.agent()?.0.run_on_boxes(self.watch, images, boxes, index, "features")
    }

    fn q_head(
        &self,
        global: ArrayView2<'_, f32>,
        local: ArrayView2<'_, f32>,
        history: ArrayView2<'_, f32>,
    ) -> Result<Array2<f32>> {
        self.agent()?.1.run(self.watch, global.nrows(), |session, options| {
            let inputs = ort::inputs! {
                "global" => TensorRef::from_array_view(global)?,
                "local" => TensorRef::from_array_view(local)?,
                "history" => TensorRef::from_array_view(history)?,
            };
            array(&run_session(session, options, inputs)?, "q")
        })
    }
}

impl ProposalGraph for WatchedNetworks<'_> {
    fn proposals(&self, images: ArrayView4<'_, f32>) -> Result<(Array3<f32>, Array2<f32>)> {
        let graph = match &self.graphs.detector {
            DetectorGraphs::Proposals(graph) => graph,
            DetectorGraphs::None | DetectorGraphs::Agent { .. } => {
                return Err(Error::Internal("this bundle proposes no boxes".into()));
            }
        };
        graph.run(self.watch, images.shape()[0], |session, options| {
            let inputs = ort::inputs! { "images" => TensorRef::from_array_view(images)? };
            let outputs = run_session(session, options, inputs)?;
            Ok((array(&outputs, "boxes")?, array(&outputs, "scores")?))
        })
    }
}

impl CropSegmenter for WatchedNetworks<'_> {
    fn segment_crops(
        &self,
        images: ArrayView4<'_, f32>,
        boxes: &[[f32; 4]],
        index: &[i64],
    ) -> Result<Array4<f32>> {
        match &self.graphs.segmenter {
            SegmenterGraph::Crop(graph) => {
                graph.run_on_boxes(self.watch, images, boxes, index, "probability")
            }
            SegmenterGraph::Volume(_) => {
                Err(Error::Internal("this bundle segments volumes, not crops".into()))
            }
        }
    }
}

impl VolumeSegmenter for WatchedNetworks<'_> {
    fn segment_patches(&self, patches: ArrayView5<'_, f32>) -> Result<Array5<f32>> {
        let graph = match &self.graphs.segmenter {
            SegmenterGraph::Volume(graph) => graph,
            SegmenterGraph::Crop(_) => {
                return Err(Error::Internal("this bundle segments crops, not volumes".into()));
            }
        };
        graph.run(self.watch, patches.shape()[0], |session, options| {
            let inputs = ort::inputs! { "volume" => TensorRef::from_array_view(patches)? };
            array(&run_session(session, options, inputs)?, "probability")
        })
    }
}
