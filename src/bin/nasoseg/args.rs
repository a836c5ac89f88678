//! What can be typed.

use std::ops::Range;
use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};
use nasoseg::Device;
use nasoseg::contour::ContourKind;
use nasoseg::geometry::Reslice;

/// Finds and outlines nasopharyngeal carcinoma on T1, contrast-enhanced T1 and T2 MR. Not a medical
/// device.
#[derive(Debug, Parser)]
#[command(version, after_help = EXIT_CODES, max_term_width = 100)]
pub struct Arguments {
    #[command(subcommand)]
    pub command: Command,
}

const EXIT_CODES: &str =
    "Exit codes: 0 done; 1 internal error; 2 wrong arguments; 3 unreadable or unusable image; 4 sequences that do not \
belong together; 5 model bundle; 6 ONNX Runtime or device; 7 output; 130 cancelled.

ONNX Runtime is looked for at --onnxruntime, then NASOSEG_ORT_DYLIB, then beside the program, then in the active virtual environment's \
onnxruntime wheel.";

#[derive(Debug, Subcommand)]
pub enum Command {
    /// Detect, segment, contour and write everything
    Run {
        #[command(flatten)]
        sequences: Sequences,
        #[command(flatten)]
        model: Model,
        #[command(flatten)]
        detecting: Detecting,
        #[command(flatten)]
        outline: Outline,
        /// Folder for the outputs; made where missing
        #[arg(long)]
        out: PathBuf,
    },
    /// Stage one alone: writes detection.json, whose boxes can be edited
    Detect {
        #[command(flatten)]
        sequences: Sequences,
        #[command(flatten)]
        model: Model,
        #[command(flatten)]
        detecting: Detecting,
        /// Folder for the outputs; made where missing
        #[arg(long)]
        out: PathBuf,
    },
    /// Stage two from a (possibly edited) detection.json: writes all that run writes
    Segment {
        #[command(flatten)]
        sequences: Sequences,
        #[command(flatten)]
        model: Model,
        #[command(flatten)]
        outline: Outline,
        /// detection.json of the same study and model; `box` of a slice may be changed, or null for
        /// no lesion
        #[arg(long)]
        detection: PathBuf,
        /// Folder for the outputs; made where missing
        #[arg(long)]
        out: PathBuf,
    },
    /// Outline a mask or probability on the series it belongs to: writes contours.json and, for
    /// DICOM, rtstruct.dcm
    Contour {
        /// NIfTI or NRRD on the reference's grid, in any storage order: a mask (voxel edges) or a
        /// probability (level of --threshold)
        #[arg(long)]
        mask: PathBuf,
        /// The series that the mask lies on: folder, file, .nii.gz or .nrrd
        #[arg(long)]
        reference: PathBuf,
        /// Level of a probability; without it the file is taken as a mask of 0 and 1
        #[arg(long)]
        threshold: Option<f32>,
        /// Where the mask lies on another grid, sample it at the reference's voxel centres (a
        /// mask's nearest voxel, a probability linearly) instead of refusing it
        #[arg(long)]
        resample: bool,
        /// SeriesInstanceUID of the reference, where its folder holds several series
        #[arg(long, value_name = "UID")]
        reference_series: Option<String>,
        /// Which images of the reference, where its series holds several echoes, b-values, time
        /// points or stacks
        #[arg(long, value_name = "NAME=VALUE")]
        reference_pick: Option<String>,
        /// Take a reference in which slices are missing
        #[arg(long)]
        allow_gaps: bool,
        /// Name of the region, at most 16 characters; what a demo model made keeps its own name
        #[arg(long, default_value = "nasoseg_contour")]
        roi_name: String,
        /// Folder for the outputs; made where missing
        #[arg(long)]
        out: PathBuf,
    },
    /// How far an edited structure set lies from ours: prints a table, writes evaluation.json
    Evaluate(Evaluation),
    /// What training sees of a patient: the aligned volumes with the tumour's mask (--volumes), the
    /// scaled slices as .npz (--out), or both
    Prepare(Preparing),
    /// What a model bundle is
    Info {
        /// Bundle directory
        bundle: PathBuf,
    },
    /// What was found, where, which versions; with a bundle: whether this installation reproduces
    /// its golden case
    Doctor {
        /// Bundle directory
        #[arg(long)]
        bundle: Option<PathBuf>,
        #[command(flatten)]
        runtime: RuntimeArguments,
    },
}

#[derive(Debug, Args)]
pub struct Preparing {
    #[command(flatten)]
    pub sequences: Sequences,
    /// Bundle whose preprocessing --out uses
    #[arg(long, requires = "out")]
    pub bundle: Option<PathBuf>,
    #[command(flatten)]
    pub slices: Slices,
    /// The .npz of scaled slices to write
    #[arg(long, requires = "bundle", required_unless_present = "volumes")]
    pub out: Option<PathBuf>,
    /// New or empty folder for T1, T1C, T2 and truth as NIfTI on T1C's canonical axial grid, as the
    /// library aligns them and before scaling, and volumes.json
    #[arg(long, value_name = "DIR")]
    pub volumes: Option<PathBuf>,
    #[command(flatten)]
    pub drawings: Drawings,
    /// Percentiles of each sequence's voxels above 0 that volumes.json lists
    #[arg(long, value_name = "P", num_args = 1.., default_values_t = [1.0, 5.0, 25.0, 50.0, 75.0, 95.0, 99.0, 99.5, 99.9],
        value_parser = percentile, requires = "volumes")]
    pub percentiles: Vec<f64>,
}

#[derive(Debug, Args)]
pub struct Drawings {
    /// The tumour on T1C: NIfTI or NRRD on its grid in any storage order, or an RT Structure Set.
    /// Never resampled
    #[arg(long, requires = "volumes")]
    pub mask: Option<PathBuf>,
    /// The mask's value that is the tumour, where it holds several
    #[arg(long, value_name = "N", requires = "mask")]
    pub label: Option<u16>,
    /// The structure set's region, by name or number, where it has several
    #[arg(long, value_name = "NAME", requires = "mask")]
    pub mask_roi: Option<String>,
    /// Take a mask whose affine disagrees with its series, but whose array is as large, in the
    /// order of the series: columns, rows, slices by increasing position
    #[arg(long, requires = "mask")]
    pub trust_array_order: bool,
    /// The tumour as drawn on T1, on T1's grid: volumes.json says how far it agrees with --mask
    #[arg(long, requires = "mask")]
    pub t1_mask: Option<PathBuf>,
    /// The tumour as drawn on T2
    #[arg(long, requires = "mask")]
    pub t2_mask: Option<PathBuf>,
}

#[derive(Debug, Args)]
pub struct Evaluation {
    /// The structure set that came back from the planning system
    #[arg(long)]
    pub rtstruct: PathBuf,
    /// Its region, by name or number, where it has several
    #[arg(long, value_name = "NAME")]
    pub roi: Option<String>,
    /// The series that it was drawn on: folder, files, .nii.gz or .nrrd
    #[arg(long, value_name = "P", num_args = 1.., required = true)]
    pub reference: Vec<PathBuf>,
    /// SeriesInstanceUID of the reference, where its folder holds several series
    #[arg(long, value_name = "UID")]
    pub reference_series: Option<String>,
    /// Which images of the reference, where its series holds several echoes, b-values, time points
    /// or stacks
    #[arg(long, value_name = "NAME=VALUE")]
    pub reference_pick: Option<String>,
    /// Take a reference in which slices are missing
    #[arg(long)]
    pub allow_gaps: bool,
    /// What it is compared with: a run's output folder, another structure set, or a mask on the
    /// reference's grid
    #[arg(long, value_name = "P")]
    pub ours: PathBuf,
    /// The region of the other structure set
    #[arg(long, value_name = "NAME")]
    pub ours_roi: Option<String>,
    /// Tell contours their slice by their plane alone, whatever image they name
    #[arg(long)]
    pub by_plane: bool,
    /// Outlines this close (mm) count as the same in contour Dice and surface Dice
    #[arg(long, value_name = "MM", default_value_t = nasoseg::compare::DEFAULT_TOLERANCE_MM)]
    pub tolerance_mm: f64,
    /// Folder for evaluation.json; made where missing
    #[arg(long)]
    pub out: PathBuf,
}

#[derive(Debug, Args)]
pub struct Sequences {
    /// T1-weighted: DICOM folder, DICOM file, .nii, .nii.gz or .nrrd
    #[arg(long, value_name = "P", num_args = 1.., required = true)]
    pub t1: Vec<PathBuf>,
    /// Contrast-enhanced T1-weighted: the reference, on whose grid all results lie
    #[arg(long, value_name = "P", num_args = 1.., required = true)]
    pub t1c: Vec<PathBuf>,
    /// T2-weighted
    #[arg(long, value_name = "P", num_args = 1.., required = true)]
    pub t2: Vec<PathBuf>,
    /// SeriesInstanceUID of T1, where its folder holds several series
    #[arg(long, value_name = "UID")]
    pub t1_series: Option<String>,
    /// SeriesInstanceUID of T1C
    #[arg(long, value_name = "UID")]
    pub t1c_series: Option<String>,
    /// SeriesInstanceUID of T2
    #[arg(long, value_name = "UID")]
    pub t2_series: Option<String>,
    /// Which images of T1, where its series holds several echoes, b-values, time points or stacks:
    /// NAME=VALUE as the refusal lists them, for example "Echo Time=80"; several parted by
    /// semicolons
    #[arg(long, value_name = "NAME=VALUE")]
    pub t1_pick: Option<String>,
    /// Which images of T1C
    #[arg(long, value_name = "NAME=VALUE")]
    pub t1c_pick: Option<String>,
    /// Which images of T2
    #[arg(long, value_name = "NAME=VALUE")]
    pub t2_pick: Option<String>,
    /// Take series in which slices are missing; their distances are kept, and a warning says where
    #[arg(long)]
    pub allow_gaps: bool,
    /// Go on where the sequences' frames of reference differ; recorded
    #[arg(long)]
    pub force_geometry: bool,
    /// axial or axial:MM: where T1C's slices are not axial, let the model see T1C resampled to
    /// axial slices (3 mm apart, or MM), and bring the result back onto T1C's own; recorded
    #[arg(long, value_name = "PLANE", value_parser = reslice)]
    pub reslice: Option<Reslice>,
}

#[derive(Debug, Args)]
pub struct RuntimeArguments {
    /// cpu, cuda, cuda:N or auto
    #[arg(long, default_value = "auto", value_parser = device)]
    pub device: Device,
    /// ONNX Runtime's shared library, or its folder
    #[arg(long, value_name = "P")]
    pub onnxruntime: Option<PathBuf>,
    /// Threads inside one model run; 0 is all cores
    #[arg(long, default_value_t = 0)]
    pub threads: usize,
}

#[derive(Debug, Args)]
pub struct Model {
    /// Model bundle directory
    #[arg(long)]
    pub bundle: PathBuf,
    #[command(flatten)]
    pub runtime: RuntimeArguments,
}

#[derive(Debug, Args)]
pub struct Slices {
    /// Slices A to B - 1, 0-based, from inferior to superior
    #[arg(long, value_name = "A:B", value_parser = range, conflicts_with = "slices_mm")]
    pub slices: Option<Range<usize>>,
    /// Slices whose centre lies from A up to B mm (z, head positive)
    #[arg(long, value_name = "A:B", value_parser = range_mm, allow_hyphen_values = true)]
    pub slices_mm: Option<Range<f64>>,
}

#[derive(Debug, Args)]
pub struct Detecting {
    #[command(flatten)]
    pub slices: Slices,
    /// Take slices that T1 or T2 covers incompletely too
    #[arg(long)]
    pub force_coverage: bool,
}

#[derive(Debug, Args)]
pub struct Outline {
    /// level: the probability at the threshold, between voxel centres; voxel: the mask's voxel
    /// edges
    #[arg(long, default_value = "level", value_parser = contour_kind)]
    pub contours: ContourKind,
}

fn contour_kind(text: &str) -> Result<ContourKind, String> {
    [ContourKind::Level, ContourKind::Voxel]
        .into_iter()
        .find(|k| k.name() == text)
        .ok_or_else(|| "level or voxel was expected".into())
}

fn device(text: &str) -> Result<Device, String> {
    text.parse().map_err(|e: nasoseg::Error| e.to_string())
}

fn percentile(text: &str) -> Result<f64, String> {
    text.parse()
        .ok()
        .filter(|p| (0.0..=100.0).contains(p))
        .ok_or_else(|| "a number from 0 to 100 was expected".into())
}

fn reslice(text: &str) -> Result<Reslice, String> {
    text.parse().map_err(|e: nasoseg::Error| e.to_string())
}

fn range(text: &str) -> Result<Range<usize>, String> {
    let parsed = text
        .split_once(':')
        .and_then(|(a, b)| Some(a.trim().parse().ok()?..b.trim().parse().ok()?));
    parsed
        .filter(|r| r.start < r.end)
        .ok_or_else(|| "A:B with whole numbers and A < B was expected, for example 8:20".into())
}

fn range_mm(text: &str) -> Result<Range<f64>, String> {
    let parsed = text
        .split_once(':')
        .and_then(|(a, b)| Some(a.trim().parse().ok()?..b.trim().parse().ok()?));
    let finite =
        parsed.filter(|r: &Range<f64>| r.start < r.end && r.start.is_finite() && r.end.is_finite());
    finite.ok_or_else(|| "A:B in mm with A < B was expected, for example -60:-10".into())
}
