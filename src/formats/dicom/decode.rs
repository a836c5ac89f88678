//! Voxels of one frame.
//!
//! In: a file, the format of its samples, and a frame. Out: that frame's voxels, rescaled, in a
//! caller's slice. Only the bytes of that frame are read from the file.

use std::borrow::Cow;
use std::io::{Read, Seek, SeekFrom};
use std::ops::Range;

use dicom_dictionary_std::uids;

use super::file::{DicomFile, Frame};
use super::header::Pixels;
use super::packed;
use super::pixels::Format;
use crate::error::{Error, Result};
use crate::fault;

/// Retired, and still in use.
const BIG_ENDIAN: &str = "1.2.840.10008.1.2.2";

/// The inflated pixels of a deflated file; `None` for any other file.
pub(super) fn inflate(file: &DicomFile) -> Result<Option<Vec<u8>>> {
    let (Some(begin), Pixels::Native { at, bytes, .. }) =
        (file.header.deflated_at, &file.header.pixels)
    else {
        return Ok(None);
    };
    let wrong = |e| {
        Error::read_caused(
            &file.path,
            "the deflated data set is damaged. Copy or export the file again",
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

/// Decodes `frame` of `file` into `out`. `inflated` is the result of [`inflate`].
pub(super) fn decode(
    file: &DicomFile,
    inflated: Option<&[u8]>,
    format: &Format,
    frame: &Frame,
    out: &mut [f32],
) -> Result<()> {
    let damaged = |text: String| {
        let place = if frame.multi { format!(" frame {}", frame.index + 1) } else { String::new() };
        Error::read(format!(
            "{}{place}: {text}: the file is damaged or truncated. Copy or export it again",
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
            let packed = read_parts(file, &parts)?;
            let (data, width, shift) = match format.syntax == uids::RLE_LOSSLESS {
                true => {
                    packed::check_rle(&packed, bytes, pixels).map_err(&damaged)?;
                    (packed::unpack(&packed, format, bytes, &file.path, &damaged)?, bytes, shift)
                }
                false => {
                    let width = packed::sample_width(&packed, format).map_err(&damaged)?;
                    (packed::unpack(&packed, format, width, &file.path, &damaged)?, width, 0)
                }
            };
            format.convert(&data, width, shift, frame, out);
        }
    }
    Ok(())
}

/// Reads parts of the file, one after the other.
fn read_parts<'a>(file: &'a DicomFile, parts: &[Range<u64>]) -> Result<Cow<'a, [u8]>> {
    match parts {
        [one] => read_at(file, one.clone()),
        many => {
            let mut bytes = Vec::new();
            for part in many {
                bytes.extend_from_slice(&read_at(file, part.clone())?);
            }
            Ok(Cow::Owned(bytes))
        }
    }
}

/// Reads a part of the file.
fn read_at(file: &DicomFile, part: Range<u64>) -> Result<Cow<'_, [u8]>> {
    if let Some(memory) = &file.memory {
        let range = usize::try_from(part.start).ok().zip(usize::try_from(part.end).ok());
        let bytes = range.and_then(|(begin, end)| memory.get(begin..end));
        return bytes.map(Cow::Borrowed).ok_or_else(|| {
            Error::read(format!(
                "{}: the file ends too early. Copy or export it again",
                file.path.display()
            ))
        });
    }
    let wrong = |e| {
        Error::read_caused(
            &file.path,
            "cannot be read: the file was changed or truncated. Read the series again",
            e,
        )
    };
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

/// The byte ranges of one frame's fragments. `at` is the first fragment's item.
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
    // If frames have several fragments, a table holds the first byte of each frame, counting the 8
    // bytes before every fragment.
    let wanted = match (frames, fragments.len()) {
        (_, 0) => return Err(missing()),
        (1, _) => 0..u64::MAX,
        (_, count) if count == frames as usize => u64::MAX..u64::MAX,
        (_, count) if offsets.len() != frames as usize => {
            return Err(format!(
                "{count} packed fragments hold {frames} frames without an offset table of {frames} \
                 entries"
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
