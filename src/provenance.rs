//! Who made a result, and the mark that a demonstration model's results carry.
//!
//! This module alone says what the mark is, writes it, and recognises it in a file that comes back.
//! A mark is recognised even if a part of it was stripped: a region that was renamed but kept its
//! description, a description that was cut, or a name without a description.

/// Who made a result: carried by every output.
#[derive(Debug, Clone, PartialEq, serde::Serialize, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Provenance {
    /// Version of nasoseg.
    pub library_version: String,
    /// Name of the model's bundle.
    pub model_name: String,
    /// Version of the model's bundle.
    pub model_version: String,
    /// SHA-256 of the bundle's manifest.
    pub model_hash: String,
    /// A demo model: no result is ever called a target.
    pub demo: bool,
    /// The bundle's statement of intended use.
    pub statement: String,
}

/// The beginning of the description of every file that a demo model's result is stored in.
pub const DEMO_MARK: &str = "DEMO NOT CLINICAL";

/// The name of every region that a demo model segmented (a DICOM code string of at most 16 bytes).
pub const DEMO_NAME: &str = "DEMO_NOT_CLIN";

/// The sentence in the description of a demo model's structure set and region.
pub const DEMO_WARNING: &str =
    "DEMONSTRATION MODEL, NOT FOR CLINICAL USE: this contour is not a target volume.";

/// What people read first beside a demo model's result.
pub const DEMO_BANNER: &str = "DEMO MODEL, NOT FOR CLINICAL USE.";

/// What precedes a demo model's intended use if its bundle is described.
pub const DEMO_USE: &str = "DEMO, NOT FOR CLINICAL USE.";

/// What precedes the name of a demo model's result in a list of results.
pub const DEMO_PREFIX: &str = "DEMO, NOT CLINICAL:";

/// The words of every mark above, as [`words`] gives them. A mark that was cut still begins with
/// one of these.
const RECOGNISED: [&str; 4] = [
    "DEMO NOT CLIN",
    "DEMO NOT FOR CLIN",
    "DEMO MODEL NOT FOR CLIN",
    "DEMONSTRATION MODEL NOT FOR CLIN",
];

/// A demo model's result that was recognised when it came back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Demo {
    /// What people must read beside it.
    pub warning: String,
}

impl Demo {
    /// A result whose own words are lost, such as a region of which only the name is left.
    pub fn without_words() -> Self {
        Demo { warning: DEMO_WARNING.to_owned() }
    }
}

impl Provenance {
    /// What people must read beside a demo model's result; `None` for other models.
    pub fn warning(&self) -> Option<String> {
        self.demo.then(|| format!("{DEMO_BANNER} {}", self.statement).trim_end().to_owned())
    }

    /// One line for the description field of a file's header; a demo says so first. The caller cuts
    /// it to what the field holds (NIfTI: 79 bytes).
    pub fn description_line(&self) -> String {
        let hash = self.model_hash.get(..12).unwrap_or_default();
        match self.demo {
            true => format!("{DEMO_MARK} {hash} {}", self.statement),
            false => format!("nasoseg {} {} {hash}", self.model_name, self.model_version),
        }
    }
}

/// A bundle's statement of intended use as people read it; a demo says so first.
pub fn intended_use(demo: bool, statement: &str) -> String {
    match demo {
        true => format!("{DEMO_USE} {statement}"),
        false => statement.to_owned(),
    }
}

/// Recognises a demo model's result by a description: a NIfTI header's, or the warning in a file of
/// contours. The warning is the description itself.
pub fn demo_of_description(description: &str) -> Option<Demo> {
    is_marked(description).then(|| Demo { warning: description.trim().to_owned() })
}

/// Recognises a demo model's region by its name or its description; either is enough.
pub fn demo_of_roi(name: &str, description: &str) -> Option<Demo> {
    demo_of_description(description).or_else(|| is_marked(name).then(Demo::without_words))
}

/// Whether a text carries the mark, whatever its case and its separators.
fn is_marked(text: &str) -> bool {
    let words = words(text);
    RECOGNISED.iter().any(|mark| words.contains(mark))
}

/// The words of a text in capitals, one space apart.
fn words(text: &str) -> String {
    let words = text.split(|c: char| !c.is_alphanumeric()).filter(|word| !word.is_empty());
    words.map(str::to_uppercase).collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn provenance(demo: bool) -> Provenance {
        Provenance {
            library_version: "0.1.0".into(),
            model_name: "seqseg-demo".into(),
            model_version: "1.2.0".into(),
            model_hash: "0123456789abcdef".into(),
            demo,
            statement: "Trained on synthetic images.".into(),
        }
    }

    #[test]
    fn every_mark_is_recognised_and_nothing_else() {
        for mark in [DEMO_MARK, DEMO_NAME, DEMO_WARNING, DEMO_BANNER, DEMO_USE, DEMO_PREFIX] {
            assert_eq!(demo_of_description(mark).unwrap().warning, mark);
        }
        let demo = provenance(true);
        for text in [demo.warning().unwrap(), demo.description_line()] {
            assert!(demo_of_description(&text).is_some(), "{text}");
        }
        let other = provenance(false);
        assert_eq!(other.warning(), None);
        assert_eq!(intended_use(false, &other.statement), other.statement);
        for text in [
            other.description_line().as_str(),
            "nasoseg seqseg-demo 1.2.0 0123456789ab",
            "GTVp_SeqSeg",
            "Model seqseg-demo (0123456789ab). Contour at probability 0.5.",
            "demonstration plan, not approved",
            "",
        ] {
            assert_eq!(demo_of_description(text), None, "{text}");
        }
    }

    #[test]
    fn a_mark_that_was_stripped_in_part_is_recognised() {
        let description = format!("{DEMO_WARNING} Trained on synthetic images.");
        // Renamed, the description kept: its own words are the warning.
        let renamed = demo_of_roi("GTVp", &description).unwrap();
        assert_eq!(renamed.warning, description);
        // The description lost or replaced, the name kept.
        for (name, description) in [
            (DEMO_NAME, ""),
            ("DEMO_NOT_CLIN", "reviewed"),
            ("demo not clin 2", ""),
            ("Copy of DEMO_NOT_CLIN", "Contour along voxel edges."),
        ] {
            assert_eq!(demo_of_roi(name, description), Some(Demo::without_words()), "{name}");
        }
        // Cut to what another system's field holds, in its own case, or with a text before it.
        for description in [
            &DEMO_WARNING[..36],
            &DEMO_MARK[..13],
            &DEMO_WARNING.to_lowercase(),
            &format!("edited. {DEMO_WARNING}"),
            &format!("copy: {DEMO_MARK} 0123456789ab"),
        ] {
            assert!(demo_of_roi("GTVp", description).is_some(), "{description}");
        }
        assert_eq!(demo_of_roi("GTVp", "reviewed"), None);
    }
}
