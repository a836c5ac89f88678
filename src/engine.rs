//! Runs the stages of a bundle: detect, then segment.
//!
//! In: a bundle directory and options; then studies. Out: detections and segmentations, with their
//! provenance. Threads may share an engine; each of its sessions runs one call at a time.

use std::path::{Path, PathBuf};

use crate::bundle::{Bundle, Manifest};
use crate::detect::{self, DetectOptions, Detection};
use crate::error::Result;
use crate::provenance::Provenance;
use crate::run::{Run, Stage};
use crate::runtime::{CancelWatch, Device, DeviceUsed, NetworkOptions, Networks, Runtime, Work};
use crate::segment::{self, Segmentation};
use crate::study::Study;

/// How an engine is opened.
#[derive(Debug, Clone, Default)]
#[non_exhaustive]
pub struct EngineOptions {
    /// Where the graphs run.
    pub device: Device,
    /// ONNX Runtime's shared library or its folder; `None` searches (see
    /// [`crate::runtime::search`]).
    pub onnxruntime: Option<PathBuf>,
    /// Threads inside one model run; 0 is all cores.
    pub threads: usize,
    /// Model runs that may execute at once; 0 means 1. Each costs a copy of the weights and its
    /// working memory.
    pub concurrent_runs: usize,
}

impl EngineOptions {
    /// Runs the graphs on `device`.
    #[must_use]
    pub fn with_device(mut self, device: Device) -> Self {
        self.device = device;
        self
    }

    /// Loads ONNX Runtime from `path`, a shared library or its folder; `None` searches.
    #[must_use]
    pub fn with_onnxruntime(mut self, path: Option<PathBuf>) -> Self {
        self.onnxruntime = path;
        self
    }

    /// Uses `threads` threads inside one model run; 0 is all cores.
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

/// A bundle, opened and ready to run.
pub struct Engine {
    bundle: Bundle,
    networks: Networks,
    runtime: &'static Runtime,
}

impl Engine {
    /// Opens the bundle in `dir`. Progress is reported to `run` after the manifest is checked and
    /// after the graphs are loaded.
    ///
    /// # Errors
    /// [`crate::Error::Bundle`], [`crate::Error::Runtime`], [`crate::Error::Device`],
    /// [`crate::Error::Cancelled`].
    pub fn open(dir: &Path, options: &EngineOptions, run: &Run<'_>) -> Result<Self> {
        run.tick(Stage::Read, 0, 2)?;
        let bundle = Bundle::open(dir)?;
        run.tick(Stage::Read, 1, 2)?;
        let runtime = Runtime::get(options.onnxruntime.as_deref())?;
        let network_options = NetworkOptions::default()
            .with_device(options.device)
            .with_threads(options.threads)
            .with_concurrent_runs(options.concurrent_runs);
        let networks = Networks::open(runtime, &bundle, &network_options)?;
        run.tick(Stage::Read, 2, 2)?;
        Ok(Engine { bundle, networks, runtime })
    }

    /// The opened bundle.
    pub fn bundle(&self) -> &Bundle {
        &self.bundle
    }

    /// The bundle's manifest.
    pub fn manifest(&self) -> &Manifest {
        self.bundle.manifest()
    }

    /// The bundle's graphs.
    pub fn networks(&self) -> &Networks {
        &self.networks
    }

    /// The ONNX Runtime that runs the graphs.
    pub fn runtime(&self) -> &'static Runtime {
        self.runtime
    }

    /// The device on which the graphs run.
    pub fn device(&self) -> &DeviceUsed {
        self.networks.device()
    }

    /// The model runs since the engine was opened: runs, rows and seconds of each graph.
    pub fn work(&self) -> Work {
        self.networks.work()
    }

    /// The provenance that every output of this engine carries.
    pub fn provenance(&self) -> Provenance {
        let manifest = self.manifest();
        Provenance {
            library_version: env!("CARGO_PKG_VERSION").into(),
            model_name: manifest.name.clone(),
            model_version: manifest.version.clone(),
            model_hash: self.bundle.hash().into(),
            demo: manifest.intended_use.demo,
            statement: manifest.intended_use.statement.clone(),
        }
    }

    /// Stage one: see [`detect::detect`].
    ///
    /// # Errors
    /// As [`detect::detect`].
    pub fn detect(
        &self,
        study: &Study,
        options: &DetectOptions,
        run: &Run<'_>,
    ) -> Result<Detection> {
        CancelWatch::over(run.cancel, |watch| {
            detect::detect(study, self.manifest(), &self.networks.watched(watch), options, run)
        })
    }

    /// Stage two: see [`segment::segment`].
    ///
    /// # Errors
    /// As [`segment::segment`].
    pub fn segment(
        &self,
        study: &Study,
        detection: &Detection,
        run: &Run<'_>,
    ) -> Result<Segmentation> {
        CancelWatch::over(run.cancel, |watch| {
            segment::segment(
                study,
                self.manifest(),
                &self.networks.watched(watch),
                detection,
                self.provenance(),
                run,
            )
        })
    }
}
