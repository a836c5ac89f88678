//! One DICOM file: its header and the geometry of its frames.
//!
//! In: a file, with or without preamble and meta group. Out: a [`DicomFile`], and its [`Frame`]s
//! with geometry and rescaling.

use std::io::{BufReader, Cursor};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use dicom_core::Tag;
use dicom_dictionary_std::{tags, uids};

use super::header::{Header, NONE, Part};
use super::parser::parse;
use crate::error::{Error, Result};
use crate::fault;

/// A file whose header was read.
pub(super) struct DicomFile {
    pub(super) path: PathBuf,
    pub(super) header: Header,
    /// Bytes of the file.
    pub(super) stored: u64,
    /// The file itself, if it is not on disk.
    pub(super) memory: Option<Arc<[u8]>>,
}

/// One image: a whole single-frame file, or one frame of a multi-frame file.
#[derive(Debug, Clone, Default)]
pub(super) struct Frame {
    /// 0-based, in the file.
    pub(super) index: u32,
    /// Whether the file has several frames.
    pub(super) multi: bool,
    pub(super) origin: [f64; 3],
    pub(super) row: [f64; 3],
    pub(super) column: [f64; 3],
    /// Between rows, between columns, mm.
    pub(super) spacing: [f64; 2],
    pub(super) slope: f64,
    pub(super) intercept: f64,
}

/// Reads the header of a file.
pub(super) fn open(path: &Path) -> Result<DicomFile> {
    let wrong = |e| Error::read_caused(path, "cannot be read. Check its permissions", e);
    let file = fault::open(path).map_err(wrong)?;
    let stored = file.metadata().map_err(wrong)?.len();
    let header = parse(&mut BufReader::new(fault::counted(file)), stored)
        .map_err(|text| damaged(path, &text))?;
    Ok(DicomFile { path: path.to_path_buf(), header, stored, memory: None })
}

/// Reads the header of a file in memory; messages name `path`.
pub(super) fn open_bytes(bytes: &[u8], path: &Path) -> Result<DicomFile> {
    let stored = bytes.len() as u64;
    let header = parse(&mut Cursor::new(bytes), stored).map_err(|text| damaged(path, &text))?;
    Ok(DicomFile { path: path.to_path_buf(), header, stored, memory: Some(Arc::from(bytes)) })
}

fn damaged(path: &Path, text: &str) -> Error {
    Error::read(format!(
        "{}: the DICOM file is damaged or truncated: {text}. Copy or export it again",
        path.display()
    ))
}

/// The first value of an attribute as a number; `None` if it is not a finite number.
fn first_number(value: &str) -> Option<f64> {
    split(value).next()?.parse().ok().filter(|v: &f64| v.is_finite())
}

/// A decimal string, padded or not; `None` if it is not a finite number.
pub(crate) fn decimal(text: &str) -> Option<f64> {
    text.trim_matches([' ', '\0']).parse::<f64>().ok().filter(|v| v.is_finite())
}

/// The values of an attribute, without padding.
fn split(value: &str) -> impl Iterator<Item = &str> {
    value.split('\\').map(|v| v.trim_matches(|c: char| c.is_whitespace() || c == '\0'))
}

impl DicomFile {
    /// A top-level attribute; empty if it is absent.
    pub(super) fn text(&self, tag: Tag) -> &str {
        self.header.top(tag)
    }

    /// The first value of a top-level attribute, if it is a whole number.
    pub(super) fn whole(&self, tag: Tag) -> Option<u32> {
        split(self.text(tag)).next()?.parse().ok()
    }

    /// The first value of a top-level attribute, if it is a finite number.
    pub(super) fn number(&self, tag: Tag) -> Option<f64> {
        first_number(self.text(tag))
    }

    /// Whether the file holds pixels (a structure set or a report has no rows).
    pub(super) fn is_image(&self) -> bool {
        self.whole(tags::ROWS).is_some() && self.whole(tags::COLUMNS).is_some()
    }

    /// SOP class of the data set or, if absent, of the meta group.
    pub(super) fn class(&self) -> &str {
        let own = self.text(tags::SOP_CLASS_UID);
        if own.is_empty() { self.text(tags::MEDIA_STORAGE_SOP_CLASS_UID) } else { own }
    }

    fn is_mr_class(&self) -> bool {
        let classes = [
            uids::MR_IMAGE_STORAGE,
            uids::ENHANCED_MR_IMAGE_STORAGE,
            uids::LEGACY_CONVERTED_ENHANCED_MR_IMAGE_STORAGE,
        ];
        classes.contains(&self.class())
    }

    /// Refuses an MR image whose header ends before its size: parsers mistake the end of a
    /// truncated file for the end of the data set.
    pub(super) fn check_whole(&self) -> Result<()> {
        if !self.is_image() && self.is_mr_class() {
            return Err(Error::read(format!(
                "{}: an MR image without Rows and Columns: the file is truncated or damaged. Copy \
                 or \
                 export it again",
                self.path.display()
            )));
        }
        Ok(())
    }

    /// What the file is, for messages: modality and storage class.
    pub(super) fn what(&self) -> String {
        let or =
            |text: &str| if text.is_empty() { "not given".to_owned() } else { text.to_owned() };
        format!("modality {}, SOP class {}", or(self.text(tags::MODALITY)), or(self.class()))
    }

    /// A number from the functional groups of the first frame.
    pub(super) fn nested_number(&self, sequence: Tag, tag: Tag) -> Option<f64> {
        [Part::Frame(0), Part::Shared]
            .into_iter()
            .find_map(|part| first_number(self.header.value(part, sequence, tag)?))
    }

    /// Contrast/Bolus Agent; in enhanced images the meaning of the agent's code.
    pub(super) fn contrast_agent(&self) -> &str {
        let plain = self.text(tags::CONTRAST_BOLUS_AGENT);
        let code = || {
            self.header.value(Part::Top, tags::CONTRAST_BOLUS_AGENT_SEQUENCE, tags::CODE_MEANING)
        };
        if plain.is_empty() { code().unwrap_or_default() } else { plain }
    }

    fn wrong(&self, text: impl std::fmt::Display) -> Error {
        Error::Image(format!("{}: {text}", self.path.display()))
    }

    /// Number of frames, 1 if not given.
    pub(super) fn frame_count(&self) -> u32 {
        self.whole(tags::NUMBER_OF_FRAMES).unwrap_or(1).max(1)
    }

    /// Refuses what is not a grey MR image.
    pub(super) fn check_kind(&self) -> Result<()> {
        if !self.is_image() {
            return Err(self.wrong(format!(
                "no image ({}), expected MR images. Leave this file out",
                self.what()
            )));
        }
        let modality = self.text(tags::MODALITY);
        if !(modality == "MR" || modality.is_empty() && self.is_mr_class()) {
            return Err(self.wrong(format!(
                "not an MR image ({}), expected MR. Give the MR series",
                self.what()
            )));
        }
        let (samples, photometric) = (
            self.whole(tags::SAMPLES_PER_PIXEL).unwrap_or(1),
            self.text(tags::PHOTOMETRIC_INTERPRETATION),
        );
        if samples != 1 || !["MONOCHROME1", "MONOCHROME2"].contains(&photometric) {
            return Err(self.wrong(format!(
                "a colour image ({photometric}, {samples} samples per pixel), expected a grey MR \
                 image (MONOCHROME1 or MONOCHROME2). Give the original series, not a screenshot or \
                 a fused image"
            )));
        }
        if split(self.text(tags::IMAGE_TYPE)).any(|t| t == "MOSAIC") {
            return Err(self.wrong(
                "a mosaic, one image that holds many slices as tiles, expected one image per \
                 slice. \
                 Give an anatomical series",
            ));
        }
        if self.header.has_item(tags::MODALITY_LUT_SEQUENCE) {
            return Err(self.wrong(
                "a Modality LUT rescales the stored values, expected Rescale Slope and Intercept. \
                 Export the original series",
            ));
        }
        Ok(())
    }

    /// Every frame with its geometry.
    pub(super) fn frames(&self) -> Result<Vec<Frame>> {
        let (count, placed) = (self.frame_count(), self.header.frame_items());
        match self.header.per_frame {
            true if placed == count as usize => {
                (0..count).map(|index| self.frame(index, count > 1)).collect()
            }
            true => Err(self.wrong(format!(
                "Per-Frame Functional Groups give the geometry of {placed} frames, expected \
                 {count}: the file is damaged. Export it again"
            ))),
            false if count == 1 => Ok(vec![self.frame(0, false)?]),
            false => Err(self.wrong(format!(
                "{count} frames without Per-Frame Functional Groups, which give each frame's \
                 position. Export the series as single images or Enhanced MR"
            ))),
        }
    }

    /// An attribute of a frame: from its own functional group, the shared one, or the top level of
    /// a file that has neither.
    pub(super) fn of_frame(&self, index: u32, sequence: Tag, tag: Tag, top: Tag) -> Option<&str> {
        let grouped = |part| self.header.value(part, sequence, tag);
        let value = grouped(Part::Frame(index)).or_else(|| grouped(Part::Shared));
        // The top level of a multi-frame file describes the first frame only and cannot place the
        // others.
        let placed = sequence == tags::PLANE_POSITION_SEQUENCE && self.header.per_frame;
        value.or_else(|| if placed { None } else { self.header.value(Part::Top, NONE, top) })
    }

    /// The decimal strings of a frame's attribute, as stored.
    pub(super) fn strings<const N: usize>(
        &self,
        index: u32,
        sequence: Tag,
        tag: Tag,
    ) -> [String; N] {
        values(self.of_frame(index, sequence, tag, tag).unwrap_or_default())
            .unwrap_or([""; N])
            .map(str::to_owned)
    }

    fn frame(&self, index: u32, multi: bool) -> Result<Frame> {
        let place = if multi { format!("frame {}: ", index + 1) } else { String::new() };
        let wrong = |found: &str| {
            self.wrong(format!(
                "{place}found {found}, expected the position of the image in the patient. Export \
                 the original series"
            ))
        };
        let texts = |sequence, tag| self.of_frame(index, sequence, tag, tag).unwrap_or_default();
        let position: [&str; 3] =
            values(texts(tags::PLANE_POSITION_SEQUENCE, tags::IMAGE_POSITION_PATIENT))
                .ok_or_else(|| wrong("no Image Position (Patient) of three numbers"))?;
        let orientation: [&str; 6] =
            values(texts(tags::PLANE_ORIENTATION_SEQUENCE, tags::IMAGE_ORIENTATION_PATIENT))
                .ok_or_else(|| wrong("no Image Orientation (Patient) of six numbers"))?;
        let spacing: [&str; 2] = values(texts(tags::PIXEL_MEASURES_SEQUENCE, tags::PIXEL_SPACING))
            .ok_or_else(|| wrong("no Pixel Spacing of two numbers"))?;
        let origin = numbers(position)
            .ok_or_else(|| wrong("an Image Position (Patient) that is not three finite numbers"))?;
        let cosines = numbers(orientation).ok_or_else(|| {
            wrong("an Image Orientation (Patient) that is not six finite numbers")
        })?;
        let spacing = numbers(spacing)
            .filter(|s| s.iter().all(|v| *v > 0.0))
            .ok_or_else(|| wrong("a Pixel Spacing that is not two positive numbers"))?;
        let [a, b, c, d, e, f] = cosines;
        let (row, column) = ([a, b, c], [d, e, f]);
        check_cosines(row, column).map_err(|text| self.wrong(format!("{place}{text}")))?;
        let [slope, intercept] = self.rescaling(index, &place)?;
        Ok(Frame { index, multi, origin, row, column, spacing, slope, intercept })
    }

    /// Slope and intercept of a frame; 1 and 0 if it has none.
    fn rescaling(&self, index: u32, place: &str) -> Result<[f64; 2]> {
        let sequence = tags::PIXEL_VALUE_TRANSFORMATION_SEQUENCE;
        let number = |tag, default: f64| match self.of_frame(index, sequence, tag, tag) {
            None | Some("") => Ok(default),
            Some(text) => text.parse::<f64>().ok().filter(|v| v.is_finite()).ok_or_else(|| {
                self.wrong(format!(
                    "{place}the rescaling is \"{text}\", expected a number. Export the original \
                     series"
                ))
            }),
        };
        let (slope, intercept) =
            (number(tags::RESCALE_SLOPE, 1.0)?, number(tags::RESCALE_INTERCEPT, 0.0)?);
        if slope == 0.0 {
            return Err(self.wrong(format!(
                "{place}Rescale Slope is 0, which makes every voxel equal. Export the original \
                 series"
            )));
        }
        Ok([slope, intercept])
    }
}

/// The values of an attribute, if there are `N`.
fn values<const N: usize>(text: &str) -> Option<[&str; N]> {
    let mut all = split(text);
    let mut values = [""; N];
    for value in &mut values {
        *value = all.next()?;
    }
    all.next().is_none().then_some(values)
}

fn numbers<const N: usize>(texts: [&str; N]) -> Option<[f64; N]> {
    let mut values = [0.0; N];
    for (value, text) in values.iter_mut().zip(texts) {
        *value = text.parse().ok().filter(|v: &f64| v.is_finite())?;
    }
    Some(values)
}

/// Direction cosines are used as written, so they must be unit vectors at right angles within
/// rounding (1e-3).
fn check_cosines(row: [f64; 3], column: [f64; 3]) -> std::result::Result<(), String> {
    let dot = |a: [f64; 3], b: [f64; 3]| a[0] * b[0] + a[1] * b[1] + a[2] * b[2];
    let (rr, cc, rc) = (dot(row, row).sqrt(), dot(column, column).sqrt(), dot(row, column));
    if (rr - 1.0).abs() > 1e-3 || (cc - 1.0).abs() > 1e-3 || rc.abs() > 1e-3 {
        return Err(format!(
            "Image Orientation (Patient) is {row:?} {column:?}, expected two unit vectors at right \
             angles: the geometry is sheared or damaged. Export the original series"
        ));
    }
    Ok(())
}
