//! Reading NIfTI-1 files.
//!
//! In: the bytes of a `.nii` or `.nii.gz` file of either byte order. Out: a [`Volume`] on an LPS
//! grid.
//!
//! The grid is the sform's if its code is positive, else the qform's if its code is positive; a
//! file with neither does not give its position in the patient and is refused. Lengths must be
//! millimetres (or unstated, which means the same).

use std::io::{BufReader, Read};
use std::path::Path;

use flate2::read::MultiGzDecoder;
use nifti::NiftiHeader;

use super::header::{affine, layout, size};
use crate::error::{Error, Result};
use crate::fault;
use crate::formats::ras::ras_to_lps;
use crate::formats::{FORMATS, samples};
use crate::geometry::grid::Grid;
use crate::volume::{Source, Volume};

/// Bytes of a NIfTI-1 header.
const HEADER: usize = 348;

/// Longer header extensions are refused.
const MAX_EXTENSION: f32 = (64 << 20) as f32;

pub(crate) fn is_gzip(head: &[u8]) -> bool {
    head.starts_with(&[0x1f, 0x8b])
}

/// Whether the bytes begin like NIfTI-1, NIfTI-2 or Analyze, of either byte order: all begin with
/// their header's length.
pub(crate) fn looks_like_header(head: &[u8]) -> bool {
    header_length(head).is_some()
}

fn header_length(head: &[u8]) -> Option<i32> {
    let raw: [u8; 4] = head.get(..4)?.try_into().ok()?;
    [i32::from_le_bytes(raw), i32::from_be_bytes(raw)].into_iter().find(|n| *n == 348 || *n == 540)
}

/// Reads a `.nii` or `.nii.gz` file.
///
/// # Errors
/// [`Error::Read`] if it cannot be read or is truncated or damaged; [`Error::Image`] if it is not a
/// single volume of scalars with a position in the patient.
pub fn read_file(path: &Path) -> Result<Volume> {
    let wrong =
        |e| Error::read_caused(path, "cannot be read. Check the path and its permissions", e);
    let file = fault::open(path).map_err(wrong)?;
    let stored = file.metadata().map_err(wrong)?.len();
    read_any(BufReader::new(fault::counted(file)), stored, path)
}

/// Reads the bytes of a `.nii` or `.nii.gz` file; messages name `path`.
///
/// # Errors
/// As [`read_file`].
pub fn read_bytes(bytes: &[u8], path: &Path) -> Result<Volume> {
    read_any(bytes, bytes.len() as u64, path)
}

fn read_any<R: Read>(mut stream: R, stored: u64, path: &Path) -> Result<Volume> {
    let mut magic = [0u8; 2];
    stream.read_exact(&mut magic).map_err(|e| {
        Error::read_caused(
            path,
            "the file is too short for a NIfTI-1 header. Copy or export it again",
            e,
        )
    })?;
    let stream = magic.as_slice().chain(stream);
    if is_gzip(&magic) {
        let mut unpacked = MultiGzDecoder::new(stream);
        let volume = read_stream(&mut unpacked, stored, true, path)?;
        check_rest(&mut unpacked, path)?;
        Ok(volume)
    } else {
        read_stream(stream, stored, false, path)
    }
}

/// Reads a little beyond the voxels, so that gzip's checksum is verified, and ignores the rest.
fn check_rest<R: Read>(stream: R, path: &Path) -> Result<()> {
    std::io::copy(&mut stream.take(1 << 16), &mut std::io::sink()).map(|_| ()).map_err(|e| {
        Error::read_caused(path, "the file is damaged (gzip checksum). Copy or export it again", e)
    })
}

fn read_stream<R: Read>(mut stream: R, stored: u64, gzip: bool, path: &Path) -> Result<Volume> {
    let name = path.display();
    let mut raw = [0u8; HEADER];
    stream.read_exact(&mut raw).map_err(|e| {
        Error::read_caused(
            path,
            "no NIfTI-1 header of 348 bytes can be read: the file is truncated, damaged, or not \
             NIfTI. Copy or export it again",
            e,
        )
    })?;
    match (header_length(&raw), &raw[344..348]) {
        (Some(540), _) => {
            return Err(Error::read(format!(
                "{name}: found NIfTI-2, expected {FORMATS}. Convert it to one of these"
            )));
        }
        (Some(348), b"n+1\0") => {}
        (Some(348), _) => {
            return Err(Error::read(format!(
                "{name}: found an Analyze header or half of a .hdr/.img pair, expected {FORMATS}. \
                 Convert it to a single file of one of these"
            )));
        }
        _ => {
            return Err(Error::read(format!(
                "{name}: not NIfTI-1, expected {FORMATS}. Convert the image to one of these"
            )));
        }
    }
    let header = NiftiHeader::from_reader(raw.as_slice()).map_err(|e| {
        Error::read_caused(path, "the NIfTI-1 header is damaged. Copy or export the file again", e)
    })?;
    let (size, layout) = (size(&header, path)?, layout(&header, path)?);
    let grid = Grid::from_affine(size, &ras_to_lps(affine(&header, path)?))
        .map_err(|e| e.within(&name))?;

    let offset = header.vox_offset;
    if !(offset >= HEADER as f32 && offset <= MAX_EXTENSION && offset.fract() == 0.0) {
        return Err(Error::read(format!(
            "{name}: the header says that the voxels begin at byte {offset}, expected 352: the \
             header is damaged. Export the image again"
        )));
    }
    let promised = samples::stored_bytes(size, layout.sample, path)?;
    samples::check_stored(stored, gzip, promised + offset as u64, path)?;
    let skip = offset as u64 - HEADER as u64;
    std::io::copy(&mut (&mut stream).take(skip), &mut std::io::sink()).map_err(|e| {
        Error::read_caused(path, "the file is damaged or truncated. Copy or export it again", e)
    })?;
    let voxels = samples::read_voxels(stream, size, layout, path)?;
    let description =
        String::from_utf8_lossy(&header.descrip).trim_end_matches(['\0', ' ']).to_owned();
    Volume::new(
        voxels,
        grid,
        Source::File { path: path.to_path_buf(), format: "NIfTI-1", description },
        &name.to_string(),
    )
}
