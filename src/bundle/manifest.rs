//! `bundle.json`: everything that a trained model depends on (docs/reference/bundle.md).
//!
//! In: the manifest's bytes. Out: a checked [`Manifest`]; unknown keys, unknown kinds and values
//! that make no sense are refused by name.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::bundle::Action;
use crate::error::{Error, Result};
use crate::sequence::Sequence;

/// The format version that this library reads.
pub const FORMAT_VERSION: u32 = 1;

/// No manifest is longer than this (bytes).
pub(crate) const LONGEST: usize = 256 << 10;

/// No edge of an atlas box lies farther from the slice's centre (mm).
const FARTHEST_MM: f64 = 500.0;
/// No side of an atlas box is shorter (mm).
const SHORTEST_MM: f64 = 1.0;

/// No patch of a `volume` segmenter has more voxels: its three channels take 400 MB.
const LARGEST_PATCH: usize = 1 << 25;

/// The manifest of a model bundle.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Manifest {
    pub format_version: u32,
    pub name: String,
    pub version: String,
    pub licence: String,
    pub intended_use: IntendedUse,
    /// Whether slices without tumour were in the training set. Where not, a slice range is
    /// required.
    pub negatives_trained: bool,
    /// Free form, shown and never interpreted.
    #[serde(default)]
    pub training: serde_json::Value,
    /// Free form, shown and never interpreted.
    #[serde(default)]
    pub metrics: serde_json::Value,
    pub input: Input,
    pub detector: Detector,
    pub segmenter: Segmenter,
    #[serde(default)]
    pub golden: Option<String>,
    /// SHA-256 (hex) of every other file of the bundle.
    pub files: BTreeMap<String, String>,
}

/// What the model may be used for.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct IntendedUse {
    /// A demo model never yields a clinical target; every output says so.
    pub demo: bool,
    pub statement: String,
}

/// How slices are prepared.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Input {
    pub channels: Vec<Channel>,
    /// Side of the square grid, pixels (the paper: 384).
    pub grid: usize,
    pub fit: FitKind,
    /// Slice spacings (mm) seen in training, smallest and largest.
    #[serde(default)]
    pub slice_spacing_mm: Option<[f64; 2]>,
}

/// One input channel.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Channel {
    pub sequence: Sequence,
    pub scaling: Scaling,
}

/// Scaling of a channel to [0, 1] (4.2.1).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case", deny_unknown_fields)]
pub enum Scaling {
    /// Divide by the largest value of the channel in the training set (the paper).
    DatasetMax { value: f64 },
    /// Divide by a percentile of the voxels above 0 of the sequence's own volume.
    StudyPercentile { percentile: f64 },
}

/// How a slice is laid on the square grid.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case", deny_unknown_fields)]
pub enum FitKind {
    /// The field of view is stretched onto the grid (the paper).
    Stretch,
    /// The field of view is padded to a square in mm, then scaled.
    Pad,
    /// A fixed pixel size about the slice's centre.
    Mm { pixel_mm: f64 },
}

/// How the box is found.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case", deny_unknown_fields)]
pub enum Detector {
    /// No detection: the box is the whole grid.
    Whole {},
    /// An atlas box: the same on every slice.
    Fixed {
        /// x0, y0, x1, y1 about the slice's centre, mm; x from the patient's right to left, y from
        /// anterior to posterior.
        box_mm: [f64; 4],
    },
    /// The Q-learning agent of 3.1.
    Agent(Agent),
    /// A graph that gives boxes and scores.
    Proposals(Proposals),
}

/// A detector that proposes boxes, each with a score.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Proposals {
    pub graph: String,
    /// A slice whose highest score lies below has no box.
    pub score_threshold: f64,
    /// Shortest side of a box, grid pixels.
    pub min_side: f64,
}

/// The agent's numbers (3.1, 4.2.2).
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Agent {
    pub features: Features,
    pub trunk: String,
    pub q_head: String,
    /// Length of a feature vector.
    pub feature_size: usize,
    /// Pixel edges on the grid: x0, y0, x1, y1.
    pub initial_box: [f64; 4],
    pub actions: Vec<Action>,
    /// Index of the terminal action.
    pub terminal: usize,
    /// Number of past actions in the state.
    pub history: usize,
    /// Largest number of actions, the terminal one included.
    pub max_steps: usize,
    /// Shortest side of a box, grid pixels.
    pub min_side: f64,
}

/// Where the agent's features come from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Features {
    /// The trunk runs on the crop of every box.
    Crop,
    /// One map per slice, regions pooled from it. Reserved.
    Map,
}

/// The second stage (3.2): RANet, or another network.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(from = "SegmenterSection", into = "SegmenterSection")]
pub struct Segmenter {
    pub graph: String,
    /// How much larger than the detector's box the segmenter's is.
    pub context_factor: f64,
    pub threshold: f64,
    pub kind: SegmenterKind,
}

/// What the segmenter sees at once.
#[derive(Debug, Clone, PartialEq)]
pub enum SegmenterKind {
    /// One slice's box, `side` pixels square.
    Crop { side: usize },
    /// All boxes together, by a sliding window.
    Volume(Window),
}

/// The window of a `volume` segmenter. Three numbers are those of slices, rows and columns.
#[derive(Debug, Clone, PartialEq)]
pub struct Window {
    /// Voxels.
    pub patch: [usize; 3],
    pub spacing_mm: [f64; 3],
    /// Share of a patch that its neighbour sees too, at least.
    pub overlap: f64,
    /// Whether the probability is the mean over all mirrored patches.
    pub mirror: bool,
}

/// A segmenter as the file tells it.
#[derive(Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case", deny_unknown_fields)]
enum SegmenterSection {
    Crop {
        graph: String,
        context_factor: f64,
        crop: usize,
        threshold: f64,
    },
    Volume {
        graph: String,
        patch: [usize; 3],
        spacing_mm: [f64; 3],
        overlap: f64,
        mirror: bool,
        threshold: f64,
        context_factor: f64,
    },
}

impl From<SegmenterSection> for Segmenter {
    fn from(section: SegmenterSection) -> Self {
        match section {
            SegmenterSection::Crop { graph, context_factor, crop, threshold } => Segmenter {
                graph,
                context_factor,
                threshold,
                kind: SegmenterKind::Crop { side: crop },
            },
            SegmenterSection::Volume {
                graph,
                patch,
                spacing_mm,
                overlap,
                mirror,
                threshold,
                context_factor,
            } => {
                let window = Window { patch, spacing_mm, overlap, mirror };
                Segmenter { graph, context_factor, threshold, kind: SegmenterKind::Volume(window) }
            }
        }
    }
}

impl From<Segmenter> for SegmenterSection {
    fn from(segmenter: Segmenter) -> Self {
        let Segmenter { graph, context_factor, threshold, kind } = segmenter;
        match kind {
            SegmenterKind::Crop { side } => {
                SegmenterSection::Crop { graph, context_factor, crop: side, threshold }
            }
            SegmenterKind::Volume(Window { patch, spacing_mm, overlap, mirror }) => {
                SegmenterSection::Volume {
                    graph,
                    patch,
                    spacing_mm,
                    overlap,
                    mirror,
                    threshold,
                    context_factor,
                }
            }
        }
    }
}

impl Manifest {
    /// Parses and checks a manifest; `name` stands for it in messages.
    ///
    /// # Errors
    /// [`Error::Bundle`].
    pub fn parse(bytes: &[u8], name: &str) -> Result<Self> {
        // The version first: a newer format may have keys that this library cannot know.
        #[derive(Deserialize)]
        struct Version {
            format_version: u32,
        }
        let wrong = |source: serde_json::Error| Error::Bundle {
            message: format!(
                "{name}: not a model bundle's manifest. A bundle.json of format {FORMAT_VERSION} \
                 was expected (docs/reference/bundle.md)"
            ),
            source: Some(Box::new(source)),
        };
        if bytes.len() > LONGEST {
            return Err(Error::bundle(format!(
                "{name}: longer than {LONGEST} bytes; a manifest holds numbers and names, no data. The bundle must be exported again"
            )));
        }
        let version: Version = serde_json::from_slice(bytes).map_err(wrong)?;
        if version.format_version != FORMAT_VERSION {
            return Err(Error::bundle(format!(
                "{name}: bundle format {}, but this library reads format {FORMAT_VERSION}. Use a bundle or a nasoseg of the matching version",
                version.format_version
            )));
        }
        let manifest: Manifest = serde_json::from_slice(bytes).map_err(wrong)?;
        manifest.check().map_err(|what| {
            Error::bundle(format!("{name}: {what}. The bundle must be exported again"))
        })?;
        Ok(manifest)
    }

    fn check(&self) -> std::result::Result<(), String> {
        let sequences: Vec<Sequence> = self.input.channels.iter().map(|c| c.sequence).collect();
        require(sequences == Sequence::ALL, "input.channels must be T1, T1C, T2 in that order")?;
        for channel in &self.input.channels {
            let ok = match channel.scaling {
                Scaling::DatasetMax { value } => value.is_finite() && value > 0.0,
                Scaling::StudyPercentile { percentile } => percentile > 0.0 && percentile <= 100.0,
            };
            require(
                ok,
                "a channel's scaling must have a positive value, or a percentile in (0, 100]",
            )?;
        }
        require((8..=4096).contains(&self.input.grid), "input.grid must lie between 8 and 4096")?;
        if let FitKind::Mm { pixel_mm } = self.input.fit {
            require(
                (0.01..=100.0).contains(&pixel_mm),
                "input.fit.pixel_mm must lie between 0.01 and 100",
            )?;
        }
        let grid = self.input.grid as f64;
        match &self.detector {
            Detector::Whole {} => require(
                self.segmenter.context_factor == 1.0,
                "a `whole` detector wants segmenter.context_factor 1",
            )?,
            Detector::Fixed { box_mm: [x0, y0, x1, y1] } => {
                let near = [x0, y0, x1, y1].iter().all(|v| v.abs() <= FARTHEST_MM);
                let ok = near && x1 - x0 >= SHORTEST_MM && y1 - y0 >= SHORTEST_MM;
                let what = "detector.box_mm must be x0, y0, x1, y1 within";
                require(
                    ok,
                    &format!(
                        "{what} {FARTHEST_MM} mm of the slice's centre, with sides of at least {SHORTEST_MM} mm"
                    ),
                )?;
            }
            Detector::Proposals(proposals) => proposals.check(grid)?,
            Detector::Agent(agent) => agent.check(grid)?,
        }
        let segmenter = &self.segmenter;
        require(
            segmenter.context_factor >= 1.0 && segmenter.context_factor <= 10.0,
            "segmenter.context_factor must lie between 1 and 10",
        )?;
        match &segmenter.kind {
            SegmenterKind::Crop { side } => {
                require((8..=4096).contains(side), "segmenter.crop must lie between 8 and 4096")?
            }
            SegmenterKind::Volume(window) => window.check()?,
        }
        require(
            segmenter.threshold > 0.0 && segmenter.threshold < 1.0,
            "segmenter.threshold must lie between 0 and 1",
        )?;
        for file in self.graphs().into_iter().chain(self.golden.as_deref()) {
            require(
                self.files.contains_key(file),
                &format!("{file} is used but has no SHA-256 in `files`"),
            )?;
        }
        Ok(())
    }

    /// The agent, where the detector is one.
    pub fn agent(&self) -> Option<&Agent> {
        match &self.detector {
            Detector::Agent(agent) => Some(agent),
            _ => None,
        }
    }

    fn graphs(&self) -> Vec<&str> {
        let mut graphs = Vec::new();
        match &self.detector {
            Detector::Agent(agent) => graphs.extend([agent.trunk.as_str(), agent.q_head.as_str()]),
            Detector::Proposals(proposals) => graphs.push(proposals.graph.as_str()),
            Detector::Whole {} | Detector::Fixed { .. } => (),
        }
        graphs.push(self.segmenter.graph.as_str());
        graphs
    }
}

/// `Ok` if a value of the manifest is valid, else `what` it must be.
fn require(valid: bool, what: &str) -> std::result::Result<(), String> {
    if valid { Ok(()) } else { Err(what.to_owned()) }
}

impl Proposals {
    fn check(&self, grid: f64) -> std::result::Result<(), String> {
        // Entries that a graph does not use score 0.
        require(
            self.score_threshold > 0.0 && self.score_threshold <= 1.0,
            "detector.score_threshold must be above 0, and 1 at most",
        )?;
        require(
            self.min_side > 0.0 && self.min_side <= grid,
            "detector.min_side must lie between 0 and the grid",
        )
    }
}

impl Window {
    fn check(&self) -> std::result::Result<(), String> {
        let voxels = self.patch.iter().try_fold(1usize, |all, side| all.checked_mul(*side));
        let small = voxels.is_some_and(|all| (1..=LARGEST_PATCH).contains(&all));
        require(
            small,
            &format!(
                "segmenter.patch must be slices, rows and columns of at least 1, and {LARGEST_PATCH} voxels at most"
            ),
        )?;
        let sensible = self.spacing_mm.iter().all(|mm| (0.1..=50.0).contains(mm));
        require(sensible, "segmenter.spacing_mm must be three distances from 0.1 to 50 mm")?;
        require((0.0..=0.9).contains(&self.overlap), "segmenter.overlap must lie between 0 and 0.9")
    }
}

impl Agent {
    fn check(&self, grid: f64) -> std::result::Result<(), String> {
        require(
            self.features == Features::Crop,
            "detector.features `map` is reserved and not supported by this version",
        )?;
        let [x0, y0, x1, y1] = self.initial_box;
        require(
            0.0 <= x0 && x0 < x1 && x1 <= grid && 0.0 <= y0 && y0 < y1 && y1 <= grid,
            "detector.initial_box must lie inside the grid",
        )?;
        require(
            (2..=1024).contains(&self.actions.len()),
            "detector.actions must name at least two actions",
        )?;
        require(
            self.terminal < self.actions.len(),
            "detector.terminal must be the index of an action",
        )?;
        for (index, action) in self.actions.iter().enumerate() {
            let ok = match action.transform {
                None => index == self.terminal,
                Some([a, b, c, d]) => {
                    index != self.terminal
                        && [a, b, c, d].iter().all(|v| v.is_finite())
                        && a < c
                        && b < d
                }
            };
            require(
                ok,
                "every action but the terminal one must have a `box` with positive width and height, and the terminal one null",
            )?;
        }
        require(
            self.max_steps >= 1 && self.max_steps <= 1000,
            "detector.max_steps must lie between 1 and 1000",
        )?;
        require(self.history <= 1000, "detector.history must be at most 1000")?;
        require(
            self.feature_size >= 1 && self.feature_size <= 1 << 20,
            "detector.feature_size must be positive",
        )?;
        require(
            self.min_side > 0.0 && self.min_side <= grid,
            "detector.min_side must lie between 0 and the grid",
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn example() -> serde_json::Value {
        serde_json::json!({
            "format_version": 1, "name": "n", "version": "1", "licence": "l",
            "intended_use": {"demo": true, "statement": "s"}, "negatives_trained": true,
            "input": {
                "channels": [
                    {"sequence": "T1", "scaling": {"kind": "study_percentile", "percentile": 99.5}},
                    {"sequence": "T1C", "scaling": {"kind": "study_percentile", "percentile": 99.5}},
                    {"sequence": "T2", "scaling": {"kind": "dataset_max", "value": 100.0}}],
                "grid": 384, "fit": {"kind": "mm", "pixel_mm": 0.74}},
            "detector": {
                "kind": "agent", "features": "crop", "trunk": "t", "q_head": "q", "feature_size": 8,
                "initial_box": [100.0, 100.0, 200.0, 200.0],
                "actions": [{"name": "a", "box": [0.0, 0.0, 0.75, 0.75]}, {"name": "stop", "box": null}],
                "terminal": 1, "history": 10, "max_steps": 15, "min_side": 16.0},
            "segmenter": {"kind": "crop", "graph": "s", "context_factor": 1.5, "crop": 128, "threshold": 0.5},
            "files": {"t": "", "q": "", "s": ""}
        })
    }

    fn parse(value: &serde_json::Value) -> Result<Manifest> {
        Manifest::parse(value.to_string().as_bytes(), "bundle.json")
    }

    #[test]
    fn the_example_is_read() {
        let manifest = parse(&example()).unwrap();
        assert_eq!(manifest.agent().unwrap().actions[0].transform, Some([0.0, 0.0, 0.75, 0.75]));
        assert_eq!(manifest.input.fit, FitKind::Mm { pixel_mm: 0.74 });
    }

    fn with(pointer: &str, value: serde_json::Value) -> serde_json::Value {
        let mut manifest = example();
        *manifest.pointer_mut(pointer).unwrap() = value;
        manifest
    }

    fn volume() -> serde_json::Value {
        serde_json::json!({
            "kind": "volume", "graph": "s", "patch": [8, 64, 48], "spacing_mm": [3.0, 1.0, 1.5], "overlap": 0.5, "mirror": false,
            "threshold": 0.5, "context_factor": 1.2
        })
    }

    fn proposals() -> serde_json::Value {
        serde_json::json!({"kind": "proposals", "graph": "t", "score_threshold": 0.5, "min_side": 4.0})
    }

    #[test]
    fn other_kinds_are_read_and_written_alike() {
        let fixed = serde_json::json!({"kind": "fixed", "box_mm": [-40.0, -30.5, 20.0, 31.0]});
        for (pointer, section) in
            [("/detector", fixed), ("/detector", proposals()), ("/segmenter", volume())]
        {
            let manifest = parse(&with(pointer, section.clone())).unwrap();
            let written = serde_json::to_value(&manifest).unwrap();
            assert_eq!(*written.pointer(pointer).unwrap(), section);
            parse(&written).unwrap();
        }
        let SegmenterKind::Volume(window) =
            parse(&with("/segmenter", volume())).unwrap().segmenter.kind
        else {
            panic!("a volume")
        };
        assert_eq!(
            window,
            Window { patch: [8, 64, 48], spacing_mm: [3.0, 1.0, 1.5], overlap: 0.5, mirror: false }
        );
    }

    #[test]
    fn every_wrong_value_is_named() {
        let changed = |mut section: serde_json::Value, key: &str, value: serde_json::Value| {
            section[key] = value;
            section
        };
        let fixed = |box_mm: [f64; 4]| serde_json::json!({"kind": "fixed", "box_mm": box_mm});
        let missing = |mut section: serde_json::Value, key: &str| {
            section.as_object_mut().unwrap().remove(key);
            section
        };
        let cases: Vec<(&str, serde_json::Value, &str)> = vec![
            ("/format_version", 2.into(), "format 2"),
            ("/input/grid", 0.into(), "input.grid"),
            ("/detector/terminal", 0.into(), "terminal"),
            ("/detector/features", "map".into(), "reserved"),
            ("/detector/initial_box", serde_json::json!([0.0, 0.0, 500.0, 10.0]), "initial_box"),
            ("/detector", serde_json::json!({"kind": "whole"}), "context_factor 1"),
            ("/detector", serde_json::json!({"kind": "other"}), "other"),
            ("/detector", fixed([10.0, -30.0, 10.5, 30.0]), "box_mm"),
            ("/detector", fixed([10.0, 30.0, -10.0, -30.0]), "box_mm"),
            ("/detector", fixed([-600.0, -30.0, 10.0, 30.0]), "box_mm"),
            (
                "/detector",
                serde_json::json!({"kind": "fixed", "box_mm": [1.0, 2.0, 3.0]}),
                "length 3",
            ),
            (
                "/detector",
                serde_json::json!({"kind": "fixed", "box_mm": [0.0, 0.0, 9.0, 9.0], "graph": "t"}),
                "graph",
            ),
            ("/detector", changed(proposals(), "score_threshold", 0.0.into()), "score_threshold"),
            ("/detector", changed(proposals(), "score_threshold", 1.01.into()), "score_threshold"),
            ("/detector", changed(proposals(), "min_side", 0.0.into()), "min_side"),
            ("/detector", changed(proposals(), "min_side", 385.0.into()), "min_side"),
            ("/detector", changed(proposals(), "graph", "other".into()), "no SHA-256"),
            ("/detector", missing(proposals(), "min_side"), "min_side"),
            ("/segmenter/threshold", 1.5.into(), "threshold"),
            ("/segmenter/graph", "other".into(), "no SHA-256"),
            ("/segmenter/crop", 4.into(), "segmenter.crop"),
            ("/segmenter", changed(volume(), "patch", serde_json::json!([8, 0, 8])), "patch"),
            (
                "/segmenter",
                changed(volume(), "patch", serde_json::json!([1024, 1024, 1024])),
                "patch",
            ),
            (
                "/segmenter",
                changed(volume(), "patch", serde_json::json!([u64::MAX, 2, 1])),
                "patch",
            ),
            ("/segmenter", changed(volume(), "patch", serde_json::json!([8, 8])), "length 2"),
            (
                "/segmenter",
                changed(volume(), "spacing_mm", serde_json::json!([3.0, 0.0, 1.0])),
                "spacing_mm",
            ),
            (
                "/segmenter",
                changed(volume(), "spacing_mm", serde_json::json!([3.0, 1.0, 51.0])),
                "spacing_mm",
            ),
            ("/segmenter", changed(volume(), "overlap", 0.95.into()), "overlap"),
            ("/segmenter", changed(volume(), "overlap", (-0.1).into()), "overlap"),
            ("/segmenter", changed(volume(), "context_factor", 0.5.into()), "context_factor"),
            ("/segmenter", changed(volume(), "threshold", 0.0.into()), "threshold"),
            ("/segmenter", changed(volume(), "crop", 64.into()), "crop"),
            ("/segmenter", missing(volume(), "mirror"), "mirror"),
            ("/input/channels/0/sequence", "T2".into(), "T1, T1C, T2"),
            (
                "/intended_use",
                serde_json::json!({"demo": true, "statement": "", "extra": 1}),
                "extra",
            ),
        ];
        for (pointer, value, expected) in cases {
            let error = parse(&with(pointer, value.clone())).unwrap_err();
            assert!(error.chain().contains(expected), "{pointer} {value}: {}", error.chain());
        }
    }
}
