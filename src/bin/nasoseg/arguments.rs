//! Arguments that several commands share.

use std::path::PathBuf;

use clap::Args;
use nasoseg::contour::ContourKind;
use nasoseg::engine::EngineOptions;
use nasoseg::geometry::Reslice;
use nasoseg::study::SliceRange;
use nasoseg::{DetectOptions, Device, Engine, Error, Result, Run, Study};

/// The three sequences.
#[derive(Debug, Args)]
pub struct Sequences {
    /// T1-weighted series: a DICOM folder, DICOM files, .nii, .nii.gz or .nrrd
    #[arg(long, value_name = "PATH", num_args = 1.., required = true)]
    pub t1: Vec<PathBuf>,
    /// Contrast-enhanced T1-weighted series
    ///
    /// This is the reference: all results lie on its grid.
    #[arg(long, value_name = "PATH", num_args = 1.., required = true)]
    pub t1c: Vec<PathBuf>,
    /// T2-weighted series
    #[arg(long, value_name = "PATH", num_args = 1.., required = true)]
    pub t2: Vec<PathBuf>,
    /// SeriesInstanceUID of T1, if its folder holds several series
    #[arg(long, value_name = "UID")]
    pub t1_series: Option<String>,
    /// SeriesInstanceUID of T1C, if its folder holds several series
    #[arg(long, value_name = "UID")]
    pub t1c_series: Option<String>,
    /// SeriesInstanceUID of T2, if its folder holds several series
    #[arg(long, value_name = "UID")]
    pub t2_series: Option<String>,
    /// Images of T1 to read, if its series holds several of a plane
    ///
    /// A series may hold several echoes, b-values, time points or stacks. Give NAME=VALUE as
    /// the error message lists them, for example "Echo Time=80"; separate several with
    /// semicolons.
    #[arg(verbatim_doc_comment, long, value_name = "NAME=VALUE")]
    pub t1_pick: Option<String>,
    /// Images of T1C to read; see --t1-pick
    #[arg(long, value_name = "NAME=VALUE")]
    pub t1c_pick: Option<String>,
    /// Images of T2 to read; see --t1-pick
    #[arg(long, value_name = "NAME=VALUE")]
    pub t2_pick: Option<String>,
    /// Accept series in which slices are missing
    ///
    /// The remaining slices keep their positions, and a warning names the gaps.
    #[arg(long)]
    pub allow_gaps: bool,
    /// Continue if the frames of reference of the sequences differ
    ///
    /// The sequences are taken to be aligned. The choice is recorded.
    #[arg(long)]
    pub force_geometry: bool,
    /// Resample a T1C that is not axial: axial or axial:MM
    ///
    /// The model then sees axial slices, 3 mm apart or MM, and its result is brought back onto
    /// T1C's own slices. The choice is recorded.
    #[arg(verbatim_doc_comment, long, value_name = "PLANE", value_parser = reslice)]
    pub reslice: Option<Reslice>,
}

/// Where and how models run.
#[derive(Debug, Args)]
pub struct RuntimeArguments {
    /// Device that models run on: cpu, cuda, cuda:N or auto
    #[arg(long, default_value = "auto", value_parser = device)]
    pub device: Device,
    /// ONNX Runtime's shared library, or its folder
    #[arg(long, value_name = "PATH")]
    pub onnxruntime: Option<PathBuf>,
    /// Threads of one model run; 0 is one per core
    #[arg(long, value_name = "N", default_value_t = 0)]
    pub threads: usize,
}

impl RuntimeArguments {
    /// The same as options of an engine.
    pub fn engine_options(&self) -> EngineOptions {
        EngineOptions::default()
            .with_device(self.device)
            .with_onnxruntime(self.onnxruntime.clone())
            .with_threads(self.threads)
    }
}

/// A model, and where it runs.
#[derive(Debug, Args)]
pub struct Model {
    /// Directory of the model bundle
    #[arg(long, value_name = "DIR")]
    pub bundle: PathBuf,
    #[command(flatten)]
    pub runtime: RuntimeArguments,
}

impl Model {
    /// Opens the model.
    pub fn open(&self, run: &Run<'_>) -> Result<Engine> {
        Engine::open(&self.bundle, &self.runtime.engine_options(), run)
    }
}

/// A range of slices.
#[derive(Debug, Args)]
pub struct Slices {
    /// Slices A to B - 1
    ///
    /// Slices are numbered from 0, from inferior to superior.
    #[arg(long, value_name = "A:B", value_parser = numbers, conflicts_with = "slices_mm")]
    pub slices: Option<SliceRange>,
    /// Slices whose centre lies from A up to B mm
    ///
    /// Positions are z in patient coordinates: z increases towards the head.
    #[arg(long, value_name = "A:B", value_parser = millimetres, allow_hyphen_values = true)]
    pub slices_mm: Option<SliceRange>,
}

impl Slices {
    /// The range, if one was given.
    pub fn range(&self) -> Option<&SliceRange> {
        self.slices.as_ref().or(self.slices_mm.as_ref())
    }
}

/// What stage one works on.
#[derive(Debug, Args)]
pub struct Detecting {
    #[command(flatten)]
    pub slices: Slices,
    /// Process slices that T1 or T2 covers incompletely too
    #[arg(long)]
    pub force_coverage: bool,
}

impl Detecting {
    /// The same as options of the library, for `study`.
    pub fn options(&self, study: &Study) -> Result<DetectOptions> {
        let slices = self.slices.range().map(|range| range.of(study)).transpose()?;
        Ok(DetectOptions::default().with_slices(slices).with_force_coverage(self.force_coverage))
    }
}

/// How a segmentation is contoured.
#[derive(Debug, Args)]
pub struct Contouring {
    /// What contours follow: the probability's level, or voxel edges
    ///
    /// level: the probability's level at the model's threshold, between voxel centres. voxel:
    /// the edges of the mask's voxels.
    #[arg(
        verbatim_doc_comment,
        long,
        value_name = "KIND",
        default_value = "level",
        value_parser = contour_kind
    )]
    pub contours: ContourKind,
}

/// A series that a mask or structure set lies on.
#[derive(Debug, Args)]
pub struct ReferenceChoice {
    /// SeriesInstanceUID of the reference, if its folder holds several series
    #[arg(long, value_name = "UID")]
    pub reference_series: Option<String>,
    /// Images of the reference to read, if its series holds several of a plane
    ///
    /// A series may hold several echoes, b-values, time points or stacks. Give NAME=VALUE as
    /// the error message lists them; separate several with semicolons.
    #[arg(verbatim_doc_comment, long, value_name = "NAME=VALUE")]
    pub reference_pick: Option<String>,
    /// Accept a reference in which slices are missing
    #[arg(long)]
    pub allow_gaps: bool,
}

fn contour_kind(text: &str) -> Result<ContourKind> {
    [ContourKind::Level, ContourKind::Voxel]
        .into_iter()
        .find(|kind| kind.name() == text)
        .ok_or_else(|| Error::Argument("expected level or voxel".into()))
}

fn device(text: &str) -> Result<Device> {
    text.parse()
}

fn reslice(text: &str) -> Result<Reslice> {
    text.parse()
}

fn numbers(text: &str) -> Result<SliceRange> {
    match text.parse()? {
        numbers @ SliceRange::Numbers(_) => Ok(numbers),
        SliceRange::Millimetres(_) => {
            Err(Error::Argument("found a range in mm, expected slice numbers".into()))
        }
    }
}

fn millimetres(text: &str) -> Result<SliceRange> {
    format!("{text}mm").parse()
}
