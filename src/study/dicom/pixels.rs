//! Pixels of one frame.
//!
//! In: a parsed file and a frame's number. Out: that frame's voxels, rescaled, in a caller's slice.
//!
//! Order of transforms: unpack (native, RLE, JPEG, JPEG-LS, JPEG 2000) -> stored bits (High Bit, Bits Stored) -> MONOCHROME1 -> sign ->
//! slope and intercept in f64 -> f32. In MONOCHROME1 the lowest value is the brightest; the stored bits are complemented, as GDCM and
//! ITK do, so that bright tissue has high values as in every other series.

use std::borrow::Cow;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;

use dicom_core::value::{PixelFragmentSequence, PrimitiveValue};
use dicom_core::{DataElement, DicomValue, VR};
use dicom_dictionary_std::{tags, uids};
use dicom_encoding::transfer_syntax::TransferSyntaxIndex;
use dicom_object::{FileDicomObject, FileMetaTableBuilder, InMemDicomObject, WithMetaError};
use dicom_pixeldata::PixelDecoder;
use dicom_transfer_syntax_registry::TransferSyntaxRegistry;

use super::header::{Frame, Opened, whole};
use crate::error::{Error, Result};

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
        let damaged = |text: String| Error::read(format!("{}: {text}; the file is damaged. Export it again", file.path.display()));
        let small = |tag, name: &str| match whole(&file.object, tag).and_then(|v| u16::try_from(v).ok()) {
            Some(value) => Ok(value),
            None => Err(damaged(format!("{name} is missing or makes no sense"))),
        };
        let (columns, rows, allocated) =
            (small(tags::COLUMNS, "Columns")?, small(tags::ROWS, "Rows")?, small(tags::BITS_ALLOCATED, "Bits Allocated")?);
        let stored = whole(&file.object, tags::BITS_STORED).map_or(allocated as u32, |v| v);
        let high_bit = whole(&file.object, tags::HIGH_BIT).unwrap_or(stored.saturating_sub(1));
        if columns == 0 || rows == 0 || stored == 0 || stored > allocated as u32 || high_bit >= allocated as u32 || high_bit + 1 < stored {
            return Err(damaged(format!("{columns} x {rows} pixels of {stored} bits (high bit {high_bit}) in {allocated} make no sense")));
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
            signed: whole(&file.object, tags::PIXEL_REPRESENTATION) == Some(1),
            inverted: file.text(tags::PHOTOMETRIC_INTERPRETATION) == "MONOCHROME1",
            syntax: file.object.meta().transfer_syntax().trim_end_matches(['\0', ' ']).to_string(),
        })
    }

    fn pixels(&self) -> usize {
        self.columns as usize * self.rows as usize
    }

    /// Stored pixels (bytes of one frame, little endian) to voxels. `shift` drops the bits below the stored ones.
    fn convert(&self, bytes: &[u8], width: usize, shift: u32, frame: &Frame, out: &mut [f32]) {
        let (stored, signed) = (self.stored as u32, self.signed);
        for (voxel, raw) in out.iter_mut().zip(bytes.chunks_exact(width)) {
            let mut value = raw.iter().rev().fold(0u32, |v, b| v << 8 | *b as u32) >> shift;
            if self.inverted {
                value = !value;
            }
            value = value << (32 - stored) >> (32 - stored);
            let number = if signed { ((value << (32 - stored)) as i32 >> (32 - stored)) as f64 } else { value as f64 };
            *voxel = (number * frame.slope + frame.intercept) as f32;
        }
    }
}

/// Decodes `frame` of `file` into `out`.
pub(super) fn decode(file: &Opened, format: &Format, frame: &Frame, out: &mut [f32]) -> Result<()> {
    let damaged = |text: String| {
        let place = if frame.multi { format!(" frame {}", frame.index + 1) } else { String::new() };
        Error::read(format!("{}{place}: {text}; the file is damaged or truncated. Copy or export it again", file.path.display()))
    };
    let (pixels, bytes) = (format.pixels(), format.allocated as usize / 8);
    let shift = (format.high_bit + 1 - format.stored) as u32;
    let element = file.object.get(tags::PIXEL_DATA).ok_or_else(|| damaged("no pixel data (7FE0,0010)".into()))?;
    match element.value() {
        DicomValue::Primitive(value) => {
            let data = value.to_bytes();
            let (size, start) = (pixels * bytes, pixels * bytes * frame.index as usize);
            let data = data.get(start..start + size).ok_or_else(|| {
                damaged(format!("{} bytes of pixels are there, {} were expected", data.len(), size * format.frames as usize))
            })?;
            format.convert(data, bytes, shift, frame, out);
        }
        DicomValue::PixelSequence(sequence) => {
            let packed = frame_bytes(sequence.fragments(), sequence.offset_table(), format, frame.index).map_err(damaged)?;
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
        DicomValue::Sequence(_) => return Err(damaged("the pixel data is a sequence of items".into())),
    }
    Ok(())
}

/// The packed bytes of one frame, put together from its fragments.
fn frame_bytes<'a>(fragments: &'a [Vec<u8>], offsets: &[u32], format: &Format, frame: u32) -> std::result::Result<Cow<'a, [u8]>, String> {
    let missing = || format!("{} packed fragments do not hold frame {} of {}", fragments.len(), frame + 1, format.frames);
    if fragments.is_empty() {
        return Err(missing());
    }
    if fragments.len() == format.frames as usize {
        return fragments.get(frame as usize).map(|f| Cow::Borrowed(f.as_slice())).ok_or_else(missing);
    }
    if format.frames == 1 {
        return Ok(Cow::Owned(fragments.concat()));
    }
    // Several fragments per frame: the Basic Offset Table tells where each frame begins, counted with the 8 bytes before a fragment.
    if offsets.len() != format.frames as usize {
        return Err(format!("{} fragments for {} frames and no offset table of as many entries", fragments.len(), format.frames));
    }
    let (begin, end) = (offsets[frame as usize] as usize, offsets.get(frame as usize + 1).map_or(usize::MAX, |o| *o as usize));
    let mut at = 0usize;
    let mut bytes = Vec::new();
    for fragment in fragments {
        if (begin..end).contains(&at) {
            bytes.extend_from_slice(fragment);
        }
        at += fragment.len() + 8;
    }
    if bytes.is_empty() { Err(missing()) } else { Ok(Cow::Owned(bytes)) }
}

/// What a JPEG, JPEG-LS or JPEG 2000 stream says about itself.
#[derive(Debug, PartialEq)]
struct Stream {
    columns: u32,
    rows: u32,
    components: u16,
    bits: u8,
}

/// RLE (PS3.5 annex G): one PackBits segment per byte of a sample. The decoder trusts the header and fills what is missing with zeros, so
/// that every segment is walked first: it must unpack to all pixels.
fn check_rle(packed: &[u8], width: usize, pixels: usize) -> std::result::Result<(), String> {
    let word = |n: usize| packed.get(4 * n..4 * n + 4).map(|b| u32::from_le_bytes([b[0], b[1], b[2], b[3]]) as usize);
    if word(0) != Some(width) {
        return Err(format!("{:?} RLE segments were found, {width} expected", word(0)));
    }
    for segment in 1..=width {
        let end = if segment < width { word(segment + 1).unwrap_or(0) } else { packed.len() };
        let begin = word(segment).filter(|b| *b >= 64).unwrap_or(usize::MAX);
        let mut data = packed.get(begin..end).ok_or("an RLE segment lies outside its frame")?.iter();
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
    // Decoders fill a buffer of the header's size and trust the stream, so the stream is compared with the header first.
    let stream = sniff(packed).ok_or("no JPEG, JPEG-LS or JPEG 2000 stream was found in the packed pixels")?;
    let width = if stream.bits <= 8 { 1 } else { 2 };
    let same = stream.columns == format.columns as u32 && stream.rows == format.rows as u32 && stream.components == 1;
    if !same || stream.bits > 16 || width * 8 > format.allocated as usize {
        return Err(format!(
            "the packed pixels are {} x {} of {} bits in {} components, and the header says {} x {} of {} bits in one",
            stream.columns, stream.rows, stream.bits, stream.components, format.columns, format.rows, format.allocated
        ));
    }
    Ok(width)
}

/// Decodes one packed frame to samples of `width` bytes, little endian.
fn unpack(packed: &[u8], format: &Format, width: usize, path: &Path, damaged: &impl Fn(String) -> Error) -> Result<Vec<u8>> {
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
    // The decoders are other people's; a panic in one is a damaged file, not the end of the caller's process.
    let decoded = catch_unwind(AssertUnwindSafe(|| frame.decode_pixel_data_frame(0).map(|d| d.data().to_vec())));
    let data = match decoded {
        Ok(Ok(data)) => data,
        Ok(Err(e)) => {
            return Err(Error::read_caused(path, "the packed pixels cannot be decoded; the file is damaged. Copy or export it again", e));
        }
        Err(_) => return Err(damaged("the packed pixels cannot be decoded".into())),
    };
    if data.len() != format.pixels() * width {
        return Err(damaged(format!("the packed pixels decode to {} bytes, {} were expected", data.len(), format.pixels() * width)));
    }
    Ok(data)
}

/// One packed frame as an image of its own: frames in several fragments, which the decoders do not all put together, look like any other.
fn lone_frame(packed: &[u8], format: &Format, width: usize) -> std::result::Result<FileDicomObject<InMemDicomObject>, WithMetaError> {
    let number = |tag, value: u16| DataElement::new(tag, VR::US, PrimitiveValue::from(value));
    let bits = width as u16 * 8;
    let stored = format.stored.min(bits);
    let object = InMemDicomObject::from_element_iter([
        number(tags::SAMPLES_PER_PIXEL, 1),
        DataElement::new(tags::PHOTOMETRIC_INTERPRETATION, VR::CS, PrimitiveValue::from("MONOCHROME2")),
        number(tags::ROWS, format.rows),
        number(tags::COLUMNS, format.columns),
        number(tags::BITS_ALLOCATED, bits),
        number(tags::BITS_STORED, stored),
        number(tags::HIGH_BIT, stored - 1),
        number(tags::PIXEL_REPRESENTATION, 0),
        DataElement::new(tags::PIXEL_DATA, VR::OB, PixelFragmentSequence::new_fragments(vec![packed.to_vec()])),
    ]);
    object.with_meta(
        FileMetaTableBuilder::new()
            .transfer_syntax(&format.syntax)
            .media_storage_sop_class_uid(uids::MR_IMAGE_STORAGE)
            .media_storage_sop_instance_uid("2.25.1"),
    )
}

/// Reads the frame header of a packed stream.
fn sniff(packed: &[u8]) -> Option<Stream> {
    let word = |at: usize| Some(u16::from_be_bytes([*packed.get(at)?, *packed.get(at + 1)?]));
    let long = |at: usize| Some(u32::from(word(at)?) << 16 | u32::from(word(at + 2)?));
    if packed.starts_with(&[0xff, 0xd8]) {
        let mut at = 2;
        loop {
            if *packed.get(at)? != 0xff {
                return None;
            }
            match *packed.get(at + 1)? {
                0xff => at += 1,
                // Start of frame: JPEG (but for DHT, JPG, DAC) and JPEG-LS.
                0xc0..=0xc3 | 0xc5..=0xc7 | 0xc9..=0xcb | 0xcd..=0xcf | 0xf7 => {
                    let (bits, components) = (*packed.get(at + 4)?, *packed.get(at + 9)?);
                    return Some(Stream { columns: word(at + 7)?.into(), rows: word(at + 5)?.into(), components: components.into(), bits });
                }
                _ => at += 2 + word(at + 2)? as usize,
            }
        }
    }
    // A JPEG 2000 codestream, bare or in a JP2 file: SOC, SIZ.
    let at = packed.windows(4).take(4096).position(|w| w == [0xff, 0x4f, 0xff, 0x51])? + 4;
    let (columns, rows) = (long(at + 4)?.checked_sub(long(at + 12)?)?, long(at + 8)?.checked_sub(long(at + 16)?)?);
    let (components, bits) = (word(at + 36)?, (*packed.get(at + 38)? & 0x7f) + 1);
    let subsampled = *packed.get(at + 39)? != 1 || *packed.get(at + 40)? != 1;
    (!subsampled).then_some(Stream { columns, rows, components, bits })
}
