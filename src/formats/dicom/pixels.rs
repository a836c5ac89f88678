//! The format of a file's pixels.
//!
//! In: a file whose header was read. Out: a [`Format`], which converts stored pixels to voxels.
//!
//! Order of transforms: unpack (native, RLE, JPEG, JPEG-LS, JPEG 2000) -> stored bits (High Bit,
//! Bits Stored) -> MONOCHROME1 -> sign -> slope and intercept in f64 -> f32. In MONOCHROME1 the
//! lowest value is the brightest; the stored bits are complemented, as GDCM and ITK do, so that
//! bright tissue has high values as in every other series.

use dicom_dictionary_std::tags;

use super::codestream;
use super::file::{DicomFile, Frame};
use super::header::Pixels;
use crate::error::{Error, Result};

/// How one file stores its samples.
pub(super) struct Format {
    pub(super) columns: u16,
    pub(super) rows: u16,
    pub(super) frames: u32,
    pub(super) allocated: u16,
    pub(super) stored: u16,
    pub(super) high_bit: u16,
    signed: bool,
    /// MONOCHROME1.
    inverted: bool,
    pub(super) syntax: String,
}

impl Format {
    pub(super) fn of(file: &DicomFile) -> Result<Self> {
        let damaged = |text: String| {
            Error::read(format!(
                "{}: {text}: the file is damaged. Export it again",
                file.path.display()
            ))
        };
        let small = |tag, name: &str| match file.whole(tag).and_then(|v| u16::try_from(v).ok()) {
            Some(value) => Ok(value),
            None => Err(damaged(format!("{name} is missing or not a number"))),
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
                "{columns} x {rows} pixels of {stored} bits (high bit {high_bit}) in {allocated} \
                 are \
                 impossible"
            )));
        }
        if ![8, 16, 32].contains(&allocated) {
            return Err(Error::Image(format!(
                "{}: the pixels have {allocated} bits, expected 8, 16 or 32. Convert the series",
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

    /// Bytes of one unpacked frame.
    pub(super) fn frame_size(&self) -> u64 {
        self.pixels() as u64 * (self.allocated as u64 / 8)
    }

    /// Refuses a header that promises more pixels than the file could hold, before any memory is
    /// allocated for them.
    pub(super) fn check_promised_size(&self, file: &DicomFile) -> Result<()> {
        let promised = self.frame_size() * u64::from(self.frames);
        let short = |found: u64, what: &str| {
            Err(Error::read(format!(
                "{}: found {found} bytes of {what}, expected {} x {} x {} pixels ({promised} \
                 bytes): \
                 the file is damaged or truncated. Copy or export it again",
                file.path.display(),
                self.columns,
                self.rows,
                self.frames
            )))
        };
        match &file.header.pixels {
            Pixels::None => Err(Error::read(format!(
                "{}: no pixel data (7FE0,0010): the file is damaged or truncated. Copy or export \
                 it \
                 again",
                file.path.display()
            ))),
            Pixels::Native { bytes, .. } if *bytes < promised => short(*bytes, "pixels"),
            Pixels::Packed { fragments, .. } => {
                let packed: u64 = fragments.iter().map(|length| u64::from(*length)).sum();
                let possible =
                    packed.saturating_mul(codestream::most_pixels_per_byte(&self.syntax));
                if possible < self.pixels() as u64 * u64::from(self.frames) {
                    short(packed, "packed pixels")
                } else {
                    Ok(())
                }
            }
            Pixels::Native { .. } => Ok(()),
        }
    }

    /// Number of pixels of one frame.
    pub(super) fn pixels(&self) -> usize {
        self.columns as usize * self.rows as usize
    }

    /// Converts stored pixels (bytes of one frame, little endian) to voxels. `shift` drops the bits
    /// below the stored ones.
    pub(super) fn convert(
        &self,
        bytes: &[u8],
        width: usize,
        shift: u32,
        frame: &Frame,
        out: &mut [f32],
    ) {
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
