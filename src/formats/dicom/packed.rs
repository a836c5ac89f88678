//! Packed pixels: RLE, JPEG, JPEG-LS, JPEG 2000.
//!
//! In: the packed bytes of one frame. Out: its samples, little endian. What the bytes say of
//! themselves is compared with the header before a decoder sees them.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;

use dicom_core::value::{PixelFragmentSequence, PrimitiveValue};
use dicom_core::{DataElement, VR};
use dicom_dictionary_std::{tags, uids};
use dicom_encoding::transfer_syntax::TransferSyntaxIndex;
use dicom_object::{FileDicomObject, FileMetaTableBuilder, InMemDicomObject, WithMetaError};
use dicom_pixeldata::PixelDecoder;
use dicom_transfer_syntax_registry::TransferSyntaxRegistry;

use super::codestream::Codestream;
use super::pixels::Format;
use crate::error::{Error, Result};

/// Verifies an RLE frame (PS3.5 annex G): one PackBits segment per byte of a sample, and each must
/// unpack to all pixels. The decoder trusts the header and fills what is missing with zeros.
pub(super) fn check_rle(
    packed: &[u8],
    width: usize,
    pixels: usize,
) -> std::result::Result<(), String> {
    let word = |n: usize| {
        packed.get(4 * n..4 * n + 4).map(|b| u32::from_le_bytes([b[0], b[1], b[2], b[3]]) as usize)
    };
    if word(0) != Some(width) {
        return Err(format!("found {:?} RLE segments, expected {width}", word(0)));
    }
    for segment in 1..=width {
        let end = if segment < width { word(segment + 1).unwrap_or(0) } else { packed.len() };
        let begin = word(segment).filter(|b| *b >= 64).unwrap_or(usize::MAX);
        let mut data =
            packed.get(begin..end).ok_or("an RLE segment lies outside its frame")?.iter();
        let mut unpacked = 0;
        while unpacked < pixels {
            let control = *data.next().ok_or("an RLE segment ends too early")? as i8;
            // A literal run of n + 1 bytes, or one byte repeated 1 - n times; -128 does nothing.
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

/// Bytes of one decoded JPEG, JPEG-LS or JPEG 2000 sample.
pub(super) fn sample_width(packed: &[u8], format: &Format) -> std::result::Result<usize, String> {
    // Decoders fill a buffer of the header's size but trust the codestream, so the two are compared
    // first.
    let stream = Codestream::parse(packed, &format.syntax)?;
    let width = if stream.bits <= 8 { 1 } else { 2 };
    let same = stream.columns == format.columns as u32
        && stream.rows == format.rows as u32
        && stream.components == 1;
    if !same || stream.bits > 16 || width * 8 > format.allocated as usize {
        return Err(format!(
            "the packed pixels are {} x {} of {} bits in {} components, expected {} x {} of {} \
             bits in one as the header says",
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
pub(super) fn unpack(
    packed: &[u8],
    format: &Format,
    width: usize,
    path: &Path,
    damaged: &impl Fn(String) -> Error,
) -> Result<Vec<u8>> {
    if TransferSyntaxRegistry.get(&format.syntax).is_none_or(|s| !s.can_decode_all()) {
        return Err(Error::Read {
            message: format!(
                "{}: the pixels are in transfer syntax {}, expected uncompressed, RLE, JPEG, \
                 JPEG-LS \
                 or JPEG 2000. Convert the series to an uncompressed one",
                path.display(),
                format.syntax
            ),
            source: None,
        });
    }
    let frame = lone_frame(packed, format, width).map_err(|e| damaged(e.to_string()))?;
    // The decoders are third-party code: a panic in one means a damaged file and must not end the
    // caller's process.
    let decoded = catch_unwind(AssertUnwindSafe(|| {
        frame.decode_pixel_data_frame(0).map(|d| d.data().to_vec())
    }));
    let data = match decoded {
        Ok(Ok(data)) => data,
        Ok(Err(e)) => {
            return Err(Error::read_caused(
                path,
                "the packed pixels cannot be decoded: the file is damaged. Copy or export it again",
                e,
            ));
        }
        Err(_) => return Err(damaged("the packed pixels cannot be decoded".into())),
    };
    if data.len() != format.pixels() * width {
        return Err(damaged(format!(
            "the packed pixels decode to {} bytes, expected {}",
            data.len(),
            format.pixels() * width
        )));
    }
    Ok(data)
}

/// One packed frame as an image of its own, so that decoders that do not join several fragments can
/// read it too.
fn lone_frame(
    packed: &[u8],
    format: &Format,
    width: usize,
) -> std::result::Result<FileDicomObject<InMemDicomObject>, WithMetaError> {
    let number = |tag, value: u16| DataElement::new(tag, VR::US, PrimitiveValue::from(value));
    let mut packed = packed.to_vec();
    if [uids::JPEGLS_LOSSLESS, uids::JPEGLS_NEAR_LOSSLESS].contains(&format.syntax.as_str()) {
        // Beyond a buffer's last byte CharLS may read zeros for seconds; it stops at an
        // end-of-image marker.
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
