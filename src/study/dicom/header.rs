//! One DICOM file: its header and where its frames lie.
//!
//! In: a file, with or without preamble and meta group. Out: an [`Opened`] file, and its [`Frame`]s with geometry and rescaling.

use std::io::{BufReader, Read};
use std::path::{Path, PathBuf};

use dicom_core::Tag;
use dicom_dictionary_std::{tags, uids};
use dicom_encoding::transfer_syntax::TransferSyntaxIndex;
use dicom_object::file::ReadPreamble;
use dicom_object::{DefaultDicomObject, FileMetaTableBuilder, InMemDicomObject, OpenFileOptions};
use dicom_transfer_syntax_registry::TransferSyntaxRegistry;

use crate::error::{Error, Result};
use crate::fault;

/// A parsed file.
pub(super) struct Opened {
    pub(super) path: PathBuf,
    pub(super) object: DefaultDicomObject,
    /// Bytes of the file.
    pub(super) stored: u64,
    /// Whether the pixel data is in `object`.
    pub(super) whole: bool,
}

/// One image: a whole single-frame file, or one frame of a multi-frame file.
#[derive(Debug, Clone, Default)]
pub(super) struct Frame {
    /// 0-based, in the file.
    pub(super) index: u32,
    /// Whether the file has several frames.
    pub(super) multi: bool,
    /// The file's own decimal strings.
    pub(super) position: [String; 3],
    pub(super) orientation: [String; 6],
    /// Their numbers.
    pub(super) origin: [f64; 3],
    pub(super) row: [f64; 3],
    pub(super) column: [f64; 3],
    /// Between rows, between columns, mm.
    pub(super) spacing: [f64; 2],
    pub(super) slope: f64,
    pub(super) intercept: f64,
    /// What tells images of one plane apart: (name, value), for messages.
    pub(super) marks: Vec<(&'static str, String)>,
}

/// Transfer syntax of a file that begins with its data set, without preamble and meta group: told by its first element.
/// An empty string stands for a meta group without preamble, which names the syntax itself.
pub(crate) fn bare_syntax(head: &[u8]) -> Option<&'static str> {
    if head.starts_with(b"DICM") {
        return Some("");
    }
    let raw: [u8; 8] = head.get(..8)?.try_into().ok()?;
    let (group, element) = (u16::from_le_bytes([raw[0], raw[1]]), u16::from_le_bytes([raw[2], raw[3]]));
    let explicit = raw[4].is_ascii_uppercase() && raw[5].is_ascii_uppercase();
    let length = u32::from_le_bytes([raw[4], raw[5], raw[6], raw[7]]);
    match (group, element) {
        (0x0002, 0x0000..=0x0010) if explicit => Some(""),
        (0x0008, 0x0000..=0x0018) if explicit => Some(uids::EXPLICIT_VR_LITTLE_ENDIAN),
        (0x0008, 0x0000..=0x0018) if length <= 256 => Some(uids::IMPLICIT_VR_LITTLE_ENDIAN),
        _ => None,
    }
}

/// Opens a file up to its pixel data, or whole.
pub(super) fn open(path: &Path, whole: bool) -> Result<Opened> {
    let wrong = |e| Error::read_caused(path, "cannot be read; check its permissions", e);
    let file = fault::open(path).map_err(wrong)?;
    let stored = file.metadata().map_err(wrong)?.len();
    parse(BufReader::new(fault::counted(file)), stored, path, whole)
}

/// Parses a file of `stored` bytes; `path` stands in messages.
pub(super) fn parse<R: Read>(mut stream: R, stored: u64, path: &Path, whole: bool) -> Result<Opened> {
    let damaged = "the DICOM file is damaged or truncated; copy or export it again";
    let mut head = Vec::new();
    (&mut stream).take(132).read_to_end(&mut head).map_err(|e| Error::read_caused(path, "cannot be read", e))?;
    let preamble = head.get(128..) == Some(b"DICM".as_slice());
    let bare = bare_syntax(&head);
    let magic: &[u8] = if !preamble && bare == Some("") && !head.starts_with(b"DICM") { b"DICM" } else { b"" };
    let stream = magic.chain(head.as_slice()).chain(stream);
    let object = match bare {
        Some(uid) if !preamble && !uid.is_empty() => bare_object(stream, uid).map_err(|e| Error::read_caused(path, damaged, e))?,
        _ => {
            let mut options = OpenFileOptions::new().read_preamble(if preamble { ReadPreamble::Always } else { ReadPreamble::Never });
            if !whole {
                options = options.read_until(tags::FLOAT_PIXEL_DATA);
            }
            options.from_reader(stream).map_err(|e| Error::read_caused(path, damaged, e))?
        }
    };
    Ok(Opened { path: path.to_path_buf(), object, stored, whole })
}

fn bare_object<R: Read>(stream: R, uid: &str) -> std::result::Result<DefaultDicomObject, Box<dyn std::error::Error + Send + Sync>> {
    let syntax = TransferSyntaxRegistry.get(uid).ok_or("unknown transfer syntax")?;
    let object = InMemDicomObject::read_dataset_with_ts(stream, syntax)?;
    let meta = FileMetaTableBuilder::new()
        .transfer_syntax(uid)
        .media_storage_sop_class_uid(text(&object, tags::SOP_CLASS_UID))
        .media_storage_sop_instance_uid(text(&object, tags::SOP_INSTANCE_UID))
        .build()?;
    Ok(object.with_exact_meta(meta))
}

/// The text of an element without padding; empty where it is absent or no text.
pub(super) fn text(object: &InMemDicomObject, tag: Tag) -> String {
    let value = object.get(tag).and_then(|e| e.to_str().ok());
    value.map(|s| s.trim_matches(|c: char| c.is_whitespace() || c == '\0').to_string()).unwrap_or_default()
}

/// The values of an element; empty where it is absent.
pub(super) fn texts(object: &InMemDicomObject, tag: Tag) -> Vec<String> {
    let values = object.get(tag).and_then(|e| e.to_multi_str().ok());
    values.map(|v| v.iter().map(|s| s.trim_matches(|c: char| c.is_whitespace() || c == '\0').to_string()).collect()).unwrap_or_default()
}

/// The first number of an element; `None` where it is absent, empty, or no finite number.
pub(super) fn number(object: &InMemDicomObject, tag: Tag) -> Option<f64> {
    texts(object, tag).first()?.parse().ok().filter(|v: &f64| v.is_finite())
}

/// The first whole number of an element.
pub(super) fn whole(object: &InMemDicomObject, tag: Tag) -> Option<u32> {
    texts(object, tag).first()?.parse().ok()
}

/// The first item of a sequence.
fn item(object: &InMemDicomObject, tag: Tag) -> Option<&InMemDicomObject> {
    object.get(tag)?.items()?.first()
}

impl Opened {
    pub(super) fn text(&self, tag: Tag) -> String {
        text(&self.object, tag)
    }

    /// Whether the file holds pixels at all (a structure set or a report has no rows).
    pub(super) fn is_image(&self) -> bool {
        whole(&self.object, tags::ROWS).is_some() && whole(&self.object, tags::COLUMNS).is_some()
    }

    /// SOP class, by the data set or else by the meta group.
    fn class(&self) -> String {
        let own = self.text(tags::SOP_CLASS_UID);
        match own.is_empty() {
            true => self.object.meta().media_storage_sop_class_uid().trim_end_matches(['\0', ' ']).to_string(),
            false => own,
        }
    }

    fn is_mr_class(&self) -> bool {
        let classes = [uids::MR_IMAGE_STORAGE, uids::ENHANCED_MR_IMAGE_STORAGE, uids::LEGACY_CONVERTED_ENHANCED_MR_IMAGE_STORAGE];
        classes.contains(&self.class().as_str())
    }

    /// Refuses an MR image whose header ends before its size: parsers take the end of a file for the end of the data set.
    pub(super) fn check_whole(&self) -> Result<()> {
        if !self.is_image() && self.is_mr_class() {
            return Err(Error::read(format!(
                "{}: an MR image without Rows and Columns; the file is truncated or damaged. Copy or export it again",
                self.path.display()
            )));
        }
        Ok(())
    }

    /// What the file is, for messages: modality and storage class.
    pub(super) fn what(&self) -> String {
        let or = |text: String, other: &str| if text.is_empty() { other.to_string() } else { text };
        format!("modality {}, SOP class {}", or(self.text(tags::MODALITY), "unsaid"), or(self.class(), "unsaid"))
    }

    /// A number from the functional groups of the first frame.
    pub(super) fn nested_number(&self, sequence: Tag, tag: Tag) -> Option<f64> {
        let groups = [tags::PER_FRAME_FUNCTIONAL_GROUPS_SEQUENCE, tags::SHARED_FUNCTIONAL_GROUPS_SEQUENCE];
        groups.into_iter().filter_map(|g| item(&self.object, g)).find_map(|g| number(item(g, sequence)?, tag))
    }

    /// Contrast/Bolus Agent; in enhanced images the meaning of the agent's code.
    pub(super) fn contrast_agent(&self) -> String {
        let plain = self.text(tags::CONTRAST_BOLUS_AGENT);
        match item(&self.object, tags::CONTRAST_BOLUS_AGENT_SEQUENCE) {
            Some(code) if plain.is_empty() => text(code, tags::CODE_MEANING),
            _ => plain,
        }
    }

    fn wrong(&self, text: impl std::fmt::Display) -> Error {
        Error::Image(format!("{}: {text}", self.path.display()))
    }

    /// Number of frames, 1 where unsaid.
    pub(super) fn frame_count(&self) -> u32 {
        whole(&self.object, tags::NUMBER_OF_FRAMES).unwrap_or(1).max(1)
    }

    /// Refuses what is not a grey MR image.
    pub(super) fn check_kind(&self) -> Result<()> {
        if !self.is_image() {
            return Err(self.wrong(format!("no image ({}); MR images were expected. Leave this file out", self.what())));
        }
        let modality = self.text(tags::MODALITY);
        if !(modality == "MR" || modality.is_empty() && self.is_mr_class()) {
            return Err(self.wrong(format!("not an MR image ({}); seqseg reads MR only. Give the MR series", self.what())));
        }
        let (samples, photometric) =
            (whole(&self.object, tags::SAMPLES_PER_PIXEL).unwrap_or(1), self.text(tags::PHOTOMETRIC_INTERPRETATION));
        if samples != 1 || !["MONOCHROME1", "MONOCHROME2"].contains(&photometric.as_str()) {
            return Err(self.wrong(format!(
                "a colour image ({photometric}, {samples} samples per pixel); grey MR images (MONOCHROME1 or MONOCHROME2) were expected. Give the original series, not a screenshot or a fused image"
            )));
        }
        if texts(&self.object, tags::IMAGE_TYPE).iter().any(|t| t == "MOSAIC") {
            return Err(self.wrong(
                "a mosaic: one image that holds many slices as tiles; one image per slice was expected. Give an anatomical series",
            ));
        }
        if item(&self.object, tags::MODALITY_LUT_SEQUENCE).is_some() {
            return Err(self.wrong("a Modality LUT turns stored values into others, which is not supported; Rescale Slope and Intercept are. Export the original series"));
        }
        Ok(())
    }

    /// Every frame with its geometry.
    pub(super) fn frames(&self) -> Result<Vec<Frame>> {
        let shared = item(&self.object, tags::SHARED_FUNCTIONAL_GROUPS_SEQUENCE);
        let per_frame = self.object.get(tags::PER_FRAME_FUNCTIONAL_GROUPS_SEQUENCE).and_then(|e| e.items());
        let count = self.frame_count();
        match per_frame {
            Some(items) if items.len() == count as usize => {
                items.iter().zip(0..).map(|(own, index)| self.frame(index, count > 1, &Groups { own: Some(own), shared, top: &self.object })).collect()
            }
            Some(items) => Err(self.wrong(format!(
                "{count} frames, but the geometry of {} is told (Per-Frame Functional Groups); the file is damaged. Export it again",
                items.len()
            ))),
            None if count == 1 => Ok(vec![self.frame(0, false, &Groups { own: None, shared, top: &self.object })?]),
            None => Err(self.wrong(format!(
                "{count} frames without Per-Frame Functional Groups: where each frame lies is not told. Export the series as single images or Enhanced MR"
            ))),
        }
    }

    fn frame(&self, index: u32, multi: bool, groups: &Groups) -> Result<Frame> {
        let place = if multi { format!("frame {}: ", index + 1) } else { String::new() };
        let missing =
            |what: &str| self.wrong(format!("{place}{what}: where the image lies in the patient is not told. Export the original series"));
        let position: [String; 3] = groups
            .texts(tags::PLANE_POSITION_SEQUENCE, tags::IMAGE_POSITION_PATIENT)
            .try_into()
            .map_err(|_| missing("no Image Position (Patient) of three numbers"))?;
        let orientation: [String; 6] = groups
            .texts(tags::PLANE_ORIENTATION_SEQUENCE, tags::IMAGE_ORIENTATION_PATIENT)
            .try_into()
            .map_err(|_| missing("no Image Orientation (Patient) of six numbers"))?;
        let spacing: [String; 2] = groups
            .texts(tags::PIXEL_MEASURES_SEQUENCE, tags::PIXEL_SPACING)
            .try_into()
            .map_err(|_| missing("no Pixel Spacing of two numbers"))?;
        let origin = numbers(&position).ok_or_else(|| missing("Image Position (Patient) is not three finite numbers"))?;
        let cosines = numbers(&orientation).ok_or_else(|| missing("Image Orientation (Patient) is not six finite numbers"))?;
        let spacing =
            numbers(&spacing).filter(|s| s.iter().all(|v| *v > 0.0)).ok_or_else(|| missing("Pixel Spacing is not two positive numbers"))?;
        let [a, b, c, d, e, f] = cosines;
        let (row, column) = ([a, b, c], [d, e, f]);
        check_cosines(row, column).map_err(|text| self.wrong(format!("{place}{text}")))?;
        let transform = |tag, default: f64| match groups.texts(tags::PIXEL_VALUE_TRANSFORMATION_SEQUENCE, tag).first() {
            None => Ok(default),
            Some(text) if text.is_empty() => Ok(default),
            Some(text) => text
                .parse::<f64>()
                .ok()
                .filter(|v| v.is_finite())
                .ok_or_else(|| self.wrong(format!("{place}\"{text}\" is no number to rescale by"))),
        };
        let (slope, intercept) = (transform(tags::RESCALE_SLOPE, 1.0)?, transform(tags::RESCALE_INTERCEPT, 0.0)?);
        if slope == 0.0 {
            return Err(self.wrong(format!("{place}Rescale Slope is 0, which makes every voxel equal. Export the original series")));
        }
        Ok(Frame { index, multi, position, orientation, origin, row, column, spacing, slope, intercept, marks: groups.marks() })
    }
}

fn numbers<const N: usize>(texts: &[String; N]) -> Option<[f64; N]> {
    let mut values = [0.0; N];
    for (value, text) in values.iter_mut().zip(texts) {
        *value = text.parse().ok().filter(|v: &f64| v.is_finite())?;
    }
    Some(values)
}

/// Direction cosines are used as written, so they must be unit vectors at right angles, but for rounding (1e-3).
fn check_cosines(row: [f64; 3], column: [f64; 3]) -> std::result::Result<(), String> {
    let dot = |a: [f64; 3], b: [f64; 3]| a[0] * b[0] + a[1] * b[1] + a[2] * b[2];
    let (rr, cc, rc) = (dot(row, row).sqrt(), dot(column, column).sqrt(), dot(row, column));
    if (rr - 1.0).abs() > 1e-3 || (cc - 1.0).abs() > 1e-3 || rc.abs() > 1e-3 {
        return Err(format!(
            "Image Orientation (Patient) {row:?} {column:?} is not two unit vectors at right angles; sheared or damaged geometry is not read. Export the original series"
        ));
    }
    Ok(())
}

/// Where a frame's attributes may stand: its own functional groups, the shared ones, or the top of a file that has neither.
struct Groups<'a> {
    own: Option<&'a InMemDicomObject>,
    shared: Option<&'a InMemDicomObject>,
    top: &'a InMemDicomObject,
}

impl Groups<'_> {
    fn texts(&self, sequence: Tag, tag: Tag) -> Vec<String> {
        for group in [self.own, self.shared].into_iter().flatten() {
            let values = item(group, sequence).map(|i| texts(i, tag)).unwrap_or_default();
            if !values.is_empty() {
                return values;
            }
        }
        // The top level of a multi-frame file speaks of the first frame only: it cannot place the others.
        let placed = sequence == tags::PLANE_POSITION_SEQUENCE && self.own.is_some();
        if placed { Vec::new() } else { texts(self.top, tag) }
    }

    /// What tells two images of one plane apart.
    fn marks(&self) -> Vec<(&'static str, String)> {
        let plain = Tag(0, 0);
        let candidates = [
            ("Echo Time", tags::MR_ECHO_SEQUENCE, tags::EFFECTIVE_ECHO_TIME, tags::ECHO_TIME),
            ("Echo Number", plain, plain, tags::ECHO_NUMBERS),
            ("Temporal Position", tags::FRAME_CONTENT_SEQUENCE, tags::TEMPORAL_POSITION_INDEX, tags::TEMPORAL_POSITION_IDENTIFIER),
            ("Trigger Time", plain, plain, tags::TRIGGER_TIME),
            ("b-value", tags::MR_DIFFUSION_SEQUENCE, tags::DIFFUSION_B_VALUE, tags::DIFFUSION_B_VALUE),
            ("Stack ID", tags::FRAME_CONTENT_SEQUENCE, tags::STACK_ID, plain),
            ("Image Type", tags::MR_IMAGE_FRAME_TYPE_SEQUENCE, tags::FRAME_TYPE, tags::IMAGE_TYPE),
            ("Acquisition Number", tags::FRAME_CONTENT_SEQUENCE, tags::FRAME_ACQUISITION_NUMBER, tags::ACQUISITION_NUMBER),
            ("Acquisition Time", plain, plain, tags::ACQUISITION_TIME),
        ];
        let value = |(name, sequence, inside, top): (&'static str, Tag, Tag, Tag)| {
            let mut values = self.texts(sequence, inside);
            if values.is_empty() {
                values = texts(self.top, top);
            }
            (name, values.join("\\"))
        };
        candidates.into_iter().map(value).filter(|(_, v)| !v.is_empty()).collect()
    }
}
