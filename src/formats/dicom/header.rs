//! The attributes of one DICOM file that nasoseg uses, and the place of its pixels.
//!
//! In: values, in the order in which the parser finds them. Out: their text by attribute, sequence
//! and frame.

use dicom_core::Tag;

/// Stands for the sequence of an attribute that is in no sequence.
pub(super) const NONE: Tag = Tag(0, 0);

/// The attributes of a file that nasoseg uses, and the place of its pixels.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Header {
    /// All values, one after the other.
    text: String,
    top: Vec<Entry>,
    shared: Vec<Entry>,
    frames: Vec<Entry>,
    /// For each item of the per-frame functional groups, its first entry in `frames`.
    starts: Vec<u32>,
    /// Whether the file has per-frame functional groups.
    pub(super) per_frame: bool,
    pub(super) pixels: Pixels,
    /// First byte of a deflated data set; positions of its pixels count from there, inflated.
    pub(super) deflated_at: Option<u64>,
}

/// One value of one attribute in one sequence, or in none.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Entry {
    sequence: Tag,
    tag: Tag,
    from: u32,
    to: u32,
}

/// The part of the data set that holds an attribute.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Part {
    Top,
    /// The shared functional groups.
    Shared,
    /// An item of the per-frame functional groups, 0-based.
    Frame(u32),
}

/// The place of the pixels in the file.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) enum Pixels {
    #[default]
    None,
    /// `bytes` bytes from `at` on; `words`: a big endian file stores them in words of 2 bytes (any
    /// VR but OB).
    Native { at: u64, bytes: u64, words: bool },
    /// Fragments one after the other: `at` is the item of the first one, `fragments` are their
    /// lengths. The offsets of the frames count from `at` and may be missing.
    Packed { at: u64, offsets: Vec<u64>, fragments: Vec<u32> },
}

impl Header {
    fn entries(&self, part: Part) -> &[Entry] {
        match part {
            Part::Top => &self.top,
            Part::Shared => &self.shared,
            Part::Frame(n) => {
                let at = |n: usize| self.starts.get(n).map_or(self.frames.len(), |s| *s as usize);
                self.frames.get(at(n as usize)..at(n as usize + 1)).unwrap_or_default()
            }
        }
    }

    /// An attribute as stored, without padding, its values separated by backslashes; `None` if it
    /// is absent or empty.
    pub(super) fn value(&self, part: Part, sequence: Tag, tag: Tag) -> Option<&str> {
        let entry = self.entries(part).iter().find(|e| e.sequence == sequence && e.tag == tag)?;
        self.text.get(entry.from as usize..entry.to as usize)
    }

    /// A top-level attribute; empty if it is absent.
    pub(super) fn top(&self, tag: Tag) -> &str {
        self.value(Part::Top, NONE, tag).unwrap_or_default()
    }

    /// Number of items in the per-frame functional groups.
    pub(super) fn frame_items(&self) -> usize {
        self.starts.len()
    }

    /// Whether a top-level sequence has an item.
    pub(super) fn has_item(&self, sequence: Tag) -> bool {
        self.top.iter().any(|e| e.sequence == sequence)
    }

    /// Begins the next item of the per-frame functional groups.
    ///
    /// # Errors
    /// The reason, if the header is too long.
    pub(super) fn begin_frame(&mut self) -> Result<(), String> {
        self.starts.push(u32::try_from(self.frames.len()).map_err(|_| too_long())?);
        Ok(())
    }

    /// Keeps a value; a repeated attribute is ignored, as it may stand only once in a data set.
    ///
    /// # Errors
    /// The reason, if the header is too long.
    pub(super) fn put(
        &mut self,
        part: Part,
        sequence: Tag,
        tag: Tag,
        value: &str,
    ) -> Result<(), String> {
        if self.value(part, sequence, tag).is_some() {
            return Ok(());
        }
        let from = self.text.len();
        self.text.push_str(value);
        let small = |n: usize| u32::try_from(n).map_err(|_| too_long());
        let entry = Entry { sequence, tag, from: small(from)?, to: small(self.text.len())? };
        match part {
            Part::Top => self.top.push(entry),
            Part::Shared => self.shared.push(entry),
            Part::Frame(_) => self.frames.push(entry),
        }
        Ok(())
    }
}

fn too_long() -> String {
    "the header is too long".into()
}
