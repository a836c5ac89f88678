//! `bundle.json`: everything that a trained model depends on (docs/reference/bundle.md).
//!
//! In: the manifest's bytes. Out: a checked [`Manifest`]; unknown keys, unknown kinds and invalid
//! values are refused by name.

mod detector;
mod input;
mod segmenter;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};
pub use detector::{Agent, Detector, Features, Proposals};
pub use input::{Channel, FitKind, Input, Scaling};
pub use segmenter::{Segmenter, SegmenterKind, Window};

/// The format version that this library reads.
pub const FORMAT_VERSION: u32 = 1;

/// No manifest is longer than this (bytes).
pub(crate) const LONGEST: usize = 256 << 10;

/// The manifest of a model bundle.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Manifest {
    /// Version of the bundle's format.
    pub format_version: u32,
    /// Name of the model.
    pub name: String,
    /// Version of the model.
    pub version: String,
    /// Licence of the model.
    pub licence: String,
    /// What the model may be used for.
    pub intended_use: IntendedUse,
    /// Whether slices without tumour were in the training set. If not, a slice range is required.
    pub negatives_trained: bool,
    /// Free form, shown and never interpreted.
    #[serde(default)]
    pub training: serde_json::Value,
    /// Free form, shown and never interpreted.
    #[serde(default)]
    pub metrics: serde_json::Value,
    /// How slices are prepared.
    pub input: Input,
    /// How the box is found.
    pub detector: Detector,
    /// The network of the second stage.
    pub segmenter: Segmenter,
    /// File name of the golden case.
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
    /// Shown to people.
    pub statement: String,
}

impl Manifest {
    /// Parses and checks a manifest; `name` stands for it in messages.
    ///
    /// # Errors
    /// [`Error::Bundle`].
    pub fn parse(bytes: &[u8], name: &str) -> Result<Self> {
        // The version first: a newer format may have keys that are unknown here.
        #[derive(Deserialize)]
        struct Version {
            format_version: u32,
        }
        let wrong = |source: serde_json::Error| Error::Bundle {
            message: format!(
                "{name}: not a model bundle's manifest, expected a bundle.json of format \
                 {FORMAT_VERSION} (docs/reference/bundle.md)"
            ),
            source: Some(Box::new(source)),
        };
        if bytes.len() > LONGEST {
            return Err(Error::bundle(format!(
                "{name}: found more than {LONGEST} bytes, expected a manifest of numbers and \
                 names. Export the bundle again"
            )));
        }
        let version: Version = serde_json::from_slice(bytes).map_err(wrong)?;
        if version.format_version != FORMAT_VERSION {
            return Err(Error::bundle(format!(
                "{name}: found bundle format {}, expected format {FORMAT_VERSION}. Use a bundle or \
                 a nasoseg of the matching version",
                version.format_version
            )));
        }
        let manifest: Manifest = serde_json::from_slice(bytes).map_err(wrong)?;
        manifest
            .check()
            .map_err(|what| Error::bundle(format!("{name}: {what}. Export the bundle again")))?;
        Ok(manifest)
    }

    fn check(&self) -> Checked {
        self.input.check()?;
        self.detector.check(self.input.grid as f64, self.segmenter.context_factor)?;
        self.segmenter.check()?;
        for file in self.graphs().into_iter().chain(self.golden.as_deref()) {
            if !self.files.contains_key(file) {
                return Err(format!("{file} is used but has no SHA-256 in `files`"));
            }
        }
        Ok(())
    }

    /// The agent, if the detector is one.
    pub fn agent(&self) -> Option<&Agent> {
        match &self.detector {
            Detector::Agent(agent) => Some(agent),
            Detector::Whole {} | Detector::Fixed { .. } | Detector::Proposals(_) => None,
        }
    }

    fn graphs(&self) -> Vec<&str> {
        let mut graphs = self.detector.graphs();
        graphs.push(&self.segmenter.graph);
        graphs
    }
}

/// The outcome of a check; the text says what was found and expected.
type Checked = std::result::Result<(), String>;

/// Requires `ok`; the message shows `found` as the file has it.
fn require(ok: bool, key: &str, found: impl Serialize, expected: &str) -> Checked {
    if ok {
        return Ok(());
    }
    let found = serde_json::to_string(&found).map_err(|e| e.to_string())?;
    Err(format!("{key} is {found}, expected {expected}"))
}
