//! Pixels of one frame.
//!
//! In: a file whose header was read, and a frame's number. Out: that frame's voxels, rescaled, in a
//! caller's slice. Only the bytes of that frame are read from the file.
//!
//! Order of transforms: unpack (native, RLE, JPEG, JPEG-LS, JPEG 2000) -> stored bits (High Bit,
//! Bits Stored) -> MONOCHROME1 -> sign -> slope and intercept in f64 -> f32. In MONOCHROME1 the
//! lowest value is the brightest; the stored bits are complemented, as GDCM and ITK do, so that
//! bright tissue has high values as in every other series.

use std::borrow::Cow;
use std::io::{Read, Seek, SeekFrom};
use std::ops::Range;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;

use dicom_core::value::{PixelFragmentSequence, PrimitiveValue};
use dicom_core::{DataElement, VR};
use dicom_dictionary_std::{tags, uids};
use dicom_encoding::transfer_syntax::TransferSyntaxIndex;
use dicom_object::{FileDicomObject, FileMetaTableBuilder, InMemDicomObject, WithMetaError};
use dicom_pixeldata::PixelDecoder;
use dicom_transfer_syntax_registry::TransferSyntaxRegistry;

use super::header::{Frame, Opened};
use super::stream::{self, Stream};
use super::walk::Pixels;
use crate::error::{Error, Result};
use crate::fault;

/// Retired, and still in use.
const BIG_ENDIAN: &str = "1.2.840.10008.1.2.2";

/// How one file stores its samples.
pub(super) struct Format {
    pub(super) columns: u16,
    pub(super) rows: u16,
    frames: u32,
    allocated: u16,
    stored: u16,
    high_bit: u16,
    signed: bool,
    /// MONOCHROME1.
    inverted: bool,
    syntax: String,
}

impl Format {
    pub(super) fn of(file: &Opened) -> Result<Self> {
        let damaged = |text: String| {
            Error::read(format!(
                "{}: {text}; the file is damaged. Export it again",
                file.path.display()
            ))
        };
        let small = |tag, name: &str| match file.whole(tag).and_then(|v| u16::try_from(v).ok()) {
            Some(value) => Ok(value),
            None => Err(damaged(format!("{name} is missing or makes no sense"))),
        };
        let (columns, rows, allocated) = (
            small(tags::COLUMNS, "Columns")?,
            small(tags::ROWS, "Rows")?,
            small(tags::BITS_ALLOCATED, "Bits Allocated")?,
        );
        let stored = file.whole(tags::BITS_STORED).map_or(allocated as u32, |v| v);
        let high_bit = file.whole(tags::HIGH_BIT).unwrap_or(stored.saturating_sub(1));
        if columns == 0
            || rows == 0
            || stored == 0
            || stored > allocated as u32
            || high_bit >= allocated as u32
            || high_bit + 1 < stored
        {
            return Err(damaged(format!(
                "{columns} x {rows} pixels of {stored} bits (high bit {high_bit}) in {allocated} make no sense"
            )));
        }
        if ![8, 16, 32].contains(&allocated) {
            return Err(Error::Image(format!(
                "{}: pixels of {allocated} bits are not read; 8, 16 or 32 were expected. Convert the series",
                file.path.display()
            )));
        }
        Ok(Format {
            columns,
            rows,
            frames: file.frame_count(),
            allocated,
            stored: stored as u16,
            high_bit: high_bit as u16,
            signed: file.whole(tags::PIXEL_REPRESENTATION) == Some(1),
            inverted: file.text(tags::PHOTOMETRIC_INTERPRETATION) == "MONOCHROME1",
            syntax: file.text(tags::TRANSFER_SYNTAX_UID).to_owned(),
        })
    }

    /// Bytes of one frame, not packed.
    fn frame_size(&self) -> u64 {
        self.pixels() as u64 * (self.allocated as u64 / 8)
    }

    /// Refuses a header that promises more pixels than the file could hold, before anything is made
    /// room for.
    pub(super) fn check_promise(&self, file: &Opened) -> Result<()> {
        let promised = self.frame_size() * u64::from(self.frames);
        let short = |found: u64, what: &str| {
            Err(Error::read(format!(
                "{}: {found} bytes of {what} are there, and {} x {} x {} pixels ({promised} bytes) were expected; the file is damaged or truncated. Copy or export it again",
                file.path.display(),
                self.columns,
                self.rows,
                self.frames
            )))
        };
        match &file.header.pixels {
            Pixels::None => Err(Error::read(format!(
                "{}: no pixel data (7FE0,0010); the file is damaged or truncated. Copy or export it again",
                file.path.display()
            ))),
            Pixels::Native { bytes, .. } if *bytes < promised => short(*bytes, "pixels"),
            Pixels::Packed { fragments, .. } => {
                let packed: u64 = fragments.iter().map(|length| u64::from(*length)).sum();
                let possible = packed.saturating_mul(stream::most_pixels_a_byte(&self.syntax));
                if possible < self.pixels() as u64 * u64::from(self.frames) {
                    short(packed, "packed pixels")
                } else {
                    Ok(())
                }
            }
            Pixels::Native { .. } => Ok(()),
        }
    }

    fn pixels(&self) -> usize {
        self.columns as usize * self.rows as usize
    }

    /// Stored pixels (bytes of one frame, little endian) to voxels. `shift` drops the bits below
    /// the stored ones.
    fn convert(&self, bytes: &[u8], width: usize, shift: u32, frame: &Frame, out: &mut [f32]) {
        let (stored, signed) = (self.stored as u32, self.signed);
        for (voxel, raw) in out.iter_mut().zip(bytes.chunks_exact(width)) {
            let mut value = raw.iter().rev().fold(0u32, |v, b| v << 8 | *b as u32) >> shift;
            if self.inverted {
                value = !value;
            }
            value = value << (32 - stored) >> (32 - stored);
            let number = if signed {
                ((value << (32 - stored)) as i32 >> (32 - stored)) as f64
            } else {
                value as f64
            };
            *voxel = (number * frame.slope + frame.intercept) as f32;
        }
    }
}

/// The pixels of a deflated file, inflated; `None` for any other.
pub(super) fn inflate(file: &Opened) -> Result<Option<Vec<u8>>> {
    let (Some(begin), Pixels::Native { at, bytes, .. }) =
        (file.header.deflated_at, &file.header.pixels)
    else {
        return Ok(None);
    };
    let wrong = |e| {
        Error::read_caused(
            &file.path,
            "the file is damaged (deflated data set). Copy or export it again",
            e,
        )
    };
    let rest = read_at(file, begin..file.stored)?;
    let mut inflated = flate2::read::DeflateDecoder::new(rest.as_ref());
    std::io::copy(&mut (&mut inflated).take(*at), &mut std::io::sink()).map_err(wrong)?;
    let mut pixels = Vec::new();
    inflated.take(*bytes).read_to_end(&mut pixels).map_err(wrong)?;
    Ok(Some(pixels))
}

/// Decodes `frame` of `file` into `out`. `inflated` is what [`inflate`] gave.
pub(super) fn decode(
    file: &Opened,
    inflated: Option<&[u8]>,
    format: &Format,
    frame: &Frame,
    out: &mut [f32],
) -> Result<()> {
    let damaged = |text: String| {
        let place = if frame.multi { format!(" frame {}", frame.index + 1) } else { String::new() };
        Error::read(format!(
            "{}{place}: {text}; the file is damaged or truncated. Copy or export it again",
            file.path.display()
        ))
    };
    let (pixels, bytes) = (format.pixels(), format.allocated as usize / 8);
    let shift = (format.high_bit + 1 - format.stored) as u32;
    match &file.header.pixels {
        Pixels::None => return Err(damaged("no pixel data (7FE0,0010)".into())),
        Pixels::Native { at, words, .. } => {
            let size = format.frame_size();
            let begin = size * u64::from(frame.index);
            let mut data = match inflated {
                Some(all) => {
                    let part = usize::try_from(begin)
                        .ok()
                        .and_then(|begin| all.get(begin..begin + pixels * bytes));
                    Cow::Borrowed(part.ok_or_else(|| damaged("the pixels end too early".into()))?)
                }
                None => read_at(file, at + begin..at + begin + size)?,
            };
            if *words && format.syntax == BIG_ENDIAN {
                data.to_mut().chunks_exact_mut(2).for_each(|word| word.swap(0, 1));
            }
            format.convert(&data, bytes, shift, frame, out);
        }
        Pixels::Packed { at, offsets, fragments } => {
            let parts =
                parts(*at, offsets, fragments, format.frames, frame.index).map_err(&damaged)?;
            let packed = match parts.as_slice() {
                [one] => read_at(file, one.clone())?,
                many => {
                    let mut packed = Vec::new();
                    for part in many {
                        packed.extend_from_slice(&read_at(file, part.clone())?);
                    }
                    Cow::Owned(packed)
                }
            };
            let (data, width, shift) = match format.syntax == uids::RLE_LOSSLESS {
                true => {
                    check_rle(&packed, bytes, pixels).map_err(&damaged)?;
                    (unpack(&packed, format, bytes, &file.path, &damaged)?, bytes, shift)
                }
                false => {
                    let width = stream_width(&packed, format).map_err(&damaged)?;
                    (unpack(&packed, format, width, &file.path, &damaged)?, width, 0)
                }
            };
            format.convert(&data, width, shift, frame, out);
        }
    }
    Ok(())
}

/// A part of the file.
fn read_at(file: &Opened, part: Range<u64>) -> Result<Cow<'_, [u8]>> {
    if let Some(memory) = &file.memory {
        let range = usize::try_from(part.start).ok().zip(usize::try_from(part.end).ok());
        let bytes = range.and_then(|(begin, end)| memory.get(begin..end));
        return bytes.map(Cow::Borrowed).ok_or_else(|| {
            Error::read(format!("{}: the file ends too early", file.path.display()))
        });
    }
    let wrong =
        |e| Error::read_caused(&file.path, "cannot be read; the file was changed or truncated", e);
    let length =
        usize::try_from(part.end - part.start).map_err(|e| wrong(std::io::Error::other(e)))?;
    let mut bytes = Vec::new();
    bytes.try_reserve_exact(length).map_err(|e| wrong(std::io::Error::other(e)))?;
    bytes.resize(length, 0);
    let mut disk = fault::counted(fault::open(&file.path).map_err(wrong)?);
    disk.seek(SeekFrom::Start(part.start))
        .and_then(|_| disk.read_exact(&mut bytes))
        .map_err(wrong)?;
    Ok(Cow::Owned(bytes))
}

/// Where the fragments of one frame lie. `at` is the first fragment's item.
fn parts(
    at: u64,
    offsets: &[u64],
    fragments: &[u32],
    frames: u32,
    frame: u32,
) -> std::result::Result<Vec<Range<u64>>, String> {
    let missing = || {
        format!("{} packed fragments do not hold frame {} of {frames}", fragments.len(), frame + 1)
    };
    // Where a frame has several fragments, a table tells where each begins, counted with the 8
    // bytes before a fragment.
    let wanted = match (frames, fragments.len()) {
        (_, 0) => return Err(missing()),
        (1, _) => 0..u64::MAX,
        (_, count) if count == frames as usize => u64::MAX..u64::MAX,
        (_, count) if offsets.len() != frames as usize => {
            return Err(format!(
                "{count} fragments for {frames} frames and no offset table of as many entries"
            ));
        }
        _ => offsets[frame as usize]..offsets.get(frame as usize + 1).copied().unwrap_or(u64::MAX),
    };
    let mut begin = 0;
    let mut parts = Vec::new();
    for (fragment, length) in (0u32..).zip(fragments) {
        if wanted.contains(&begin) || (wanted.start == u64::MAX && fragment == frame) {
            parts.push(at + begin + 8..at + begin + 8 + u64::from(*length));
        }
        begin += u64::from(*length) + 8;
    }
    if parts.is_empty() { Err(missing()) } else { Ok(parts) }
}

/// RLE (PS3.5 annex G): one PackBits segment per byte of a sample. The decoder trusts the header
/// and fills what is missing with zeros, so that every segment is walked first: it must unpack to
/// all pixels.
fn check_rle(packed: &[u8], width: usize, pixels: usize) -> std::result::Result<(), String> {
    let word = |n: usize| {
        packed.get(4 * n..4 * n + 4).map(|b| u32::from_le_bytes([b[0], b[1], b[2], b[3]]) as usize)
    };
    if word(0) != Some(width) {
        return Err(format!("{:?} RLE segments were found, {width} expected", word(0)));
    }
    for segment in 1..=width {
        let end = if segment < width { word(segment + 1).unwrap_or(0) } else { packed.len() };
        let begin = word(segment).filter(|b| *b >= 64).unwrap_or(usize::MAX);
        let mut data =
            packed.get(begin..end).ok_or("an RLE segment lies outside its frame")?.iter();
        let mut unpacked = 0;
        while unpacked < pixels {
            let control = *data.next().ok_or("an RLE segment ends too early")? as i8;
            // A literal run of n + 1 bytes, or one byte repeated 1 - n times; -128 is nothing.
            let (count, bytes) = match control {
                -128 => continue,
                0.. => (control as usize + 1, control as usize + 1),
                _ => (1 + control.unsigned_abs() as usize, 1),
            };
            data.nth(bytes - 1).ok_or("an RLE segment ends too early")?;
            unpacked += count;
        }
    }
    Ok(())
}

/// Bytes that a JPEG, JPEG-LS or JPEG 2000 sample takes once decoded.
fn stream_width(packed: &[u8], format: &Format) -> std::result::Result<usize, String> {
    // Decoders fill a buffer of the header's size and trust the stream, so the stream is compared
    // with the header first.
    let stream = Stream::of(packed, &format.syntax)?;
    let width = if stream.bits <= 8 { 1 } else { 2 };
    let same = stream.columns == format.columns as u32
        && stream.rows == format.rows as u32
        && stream.components == 1;
    if !same || stream.bits > 16 || width * 8 > format.allocated as usize {
        return Err(format!(
            "the packed pixels are {} x {} of {} bits in {} components, and the header says {} x {} of {} bits in one",
            stream.columns,
            stream.rows,
            stream.bits,
            stream.components,
            format.columns,
            format.rows,
            format.allocated
        ));
    }
    Ok(width)
}

/// Decodes one packed frame to samples of `width` bytes, little endian.
fn unpack(
    packed: &[u8],
    format: &Format,
    width: usize,
    path: &Path,
    damaged: &impl Fn(String) -> Error,
) -> Result<Vec<u8>> {
    if TransferSyntaxRegistry.get(&format.syntax).is_none_or(|s| !s.can_decode_all()) {
        return Err(Error::Read {
            message: format!(
                "{}: pixels in transfer syntax {} are not read; uncompressed, RLE, JPEG, JPEG-LS and JPEG 2000 are. Convert the series to an uncompressed one",
                path.display(),
                format.syntax
            ),
            source: None,
        });
    }
    let frame = lone_frame(packed, format, width).map_err(|e| damaged(e.to_string()))?;
    // The decoders are other people's; a panic in one is a damaged file, not the end of the
    // caller's process.
    let decoded = catch_unwind(AssertUnwindSafe(|| {
        frame.decode_pixel_data_frame(0).map(|d| d.data().to_vec())
    }));
    let data = match decoded {
        Ok(Ok(data)) => data,
        Ok(Err(e)) => {
            return Err(Error::read_caused(
                path,
                "the packed pixels cannot be decoded; the file is damaged. Copy or export it again",
                e,
            ));
        }
        Err(_) => return Err(damaged("the packed pixels cannot be decoded".into())),
    };
    if data.len() != format.pixels() * width {
        return Err(damaged(format!(
            "the packed pixels decode to {} bytes, {} were expected",
            data.len(),
            format.pixels() * width
        )));
    }
    Ok(data)
}

/// One packed frame as an image of its own: frames in several fragments, which the decoders do not
/// all put together, look like any other.
fn lone_frame(
    packed: &[u8],
    format: &Format,
    width: usize,
) -> std::result::Result<FileDicomObject<InMemDicomObject>, WithMetaError> {
    let number = |tag, value: u16| DataElement::new(tag, VR::US, PrimitiveValue::from(value));
    let mut packed = packed.to_vec();
    if [uids::JPEGLS_LOSSLESS, uids::JPEGLS_NEAR_LOSSLESS].contains(&format.syntax.as_str()) {
        // Behind a buffer's last byte CharLS may read zeros for seconds; at an end-of-image marker
        // it stops at once.
        packed.extend([0xff, 0xd9]);
    }
    let bits = width as u16 * 8;
    let stored = format.stored.min(bits);
    let object = InMemDicomObject::from_element_iter([
        number(tags::SAMPLES_PER_PIXEL, 1),
        DataElement::new(
            tags::PHOTOMETRIC_INTERPRETATION,
            VR::CS,
            PrimitiveValue::from("MONOCHROME2"),
        ),
        number(tags::ROWS, format.rows),
        number(tags::COLUMNS, format.columns),
        number(tags::BITS_ALLOCATED, bits),
        number(tags::BITS_STORED, stored),
        number(tags::HIGH_BIT, stored - 1),
        number(tags::PIXEL_REPRESENTATION, 0),
        DataElement::new(
            tags::PIXEL_DATA,
            VR::OB,
            PixelFragmentSequence::new_fragments(vec![packed]),
        ),
    ]);
    object.with_meta(
        FileMetaTableBuilder::new()
            .transfer_syntax(&format.syntax)
            .media_storage_sop_class_uid(uids::MR_IMAGE_STORAGE)
            .media_storage_sop_instance_uid("2.25.1"),
    )
}
