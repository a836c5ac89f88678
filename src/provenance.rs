//! Who made a result, and the mark that a demonstration model's results carry.
//!
//! This module alone says what the mark is and recognises it in a file that comes back.

/// Who made a result: carried by every output.
#[derive(Debug, Clone, PartialEq, serde::Serialize, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Provenance {
    /// Version of nasoseg.
    pub library_version: String,
    pub model_name: String,
    pub model_version: String,
    /// SHA-256 of the bundle's manifest.
    pub model_hash: String,
    /// A demo model: no result is ever called a target.
    pub demo: bool,
    /// The bundle's statement of intended use.
    pub statement: String,
}

/// How the description of everything that a demo model made begins, so that it is still known for
/// one when it comes back.
pub const DEMO_MARK: &str = "DEMO NOT CLINICAL";

/// The name that everything made by a demonstration model carries.
pub const DEMO_NAME: &str = "DEMO_NOT_CLIN";

/// What a demonstration model's structure set says.
pub const DEMO_WARNING: &str =
    "DEMONSTRATION MODEL, NOT FOR CLINICAL USE: this outline is not a target volume.";

impl Provenance {
    /// What people must read beside a demo model's result; `None` for other models.
    pub fn warning(&self) -> Option<String> {
        self.demo.then(|| {
            format!("DEMO MODEL, NOT FOR CLINICAL USE. {}", self.statement).trim_end().to_owned()
        })
    }

    /// One line of at most 79 bytes for file headers; a demo says so first.
    pub fn short(&self) -> String {
        let hash = self.model_hash.get(..12).unwrap_or_default();
        match self.demo {
            true => format!("{DEMO_MARK} {hash} {}", self.statement),
            false => format!("nasoseg {} {} {hash}", self.model_name, self.model_version),
        }
    }
}
