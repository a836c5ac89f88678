//! Reading NRRD files.
//!
//! In: a `.nrrd` file, or a `.nhdr` header with one data file beside it; raw, gzip or text
//! encoding. Out: a [`Volume`] on an LPS grid.
//!
//! `space directions` and `space origin` are required, as they give the position in the patient.
//! The origin is the centre of the first voxel, as the format defines it for every `centers`.

use std::fs::File;
use std::io::{BufRead, BufReader, Read};
use std::path::{Path, PathBuf};

use flate2::read::MultiGzDecoder;
use ndarray::Array3;

use super::header::{Encoding, Header, fields, parse};
use crate::error::{Error, Result};
use crate::fault::{self, Counted};
use crate::formats::samples;
use crate::geometry::grid::Grid;
use crate::volume::{Source, Volume};

/// Reads a `.nrrd` or `.nhdr` file.
///
/// # Errors
/// [`Error::Read`] if it cannot be read or is truncated or damaged; [`Error::Image`] if it is not a
/// single volume of scalars with a position in the patient.
pub fn read_file(path: &Path) -> Result<Volume> {
    let (file, stored) = open(path)?;
    read_any(file, stored, path, true)
}

/// Reads the bytes of a `.nrrd` file; messages name `path`. A detached header is refused.
///
/// # Errors
/// As [`read_file`].
pub fn read_bytes(bytes: &[u8], path: &Path) -> Result<Volume> {
    read_any(bytes, bytes.len() as u64, path, false)
}

fn open(path: &Path) -> Result<(BufReader<Counted<File>>, u64)> {
    let wrong =
        |e| Error::read_caused(path, "cannot be read. Check the path and its permissions", e);
    // A pipe or a device may never end.
    if !std::fs::metadata(path).map_err(wrong)?.is_file() {
        return Err(wrong(std::io::ErrorKind::InvalidInput.into()));
    }
    let file = fault::open(path).map_err(wrong)?;
    let stored = file.metadata().map_err(wrong)?.len();
    Ok((BufReader::new(fault::counted(file)), stored))
}

fn read_any<R: BufRead>(mut stream: R, stored: u64, path: &Path, detached: bool) -> Result<Volume> {
    let (fields, length) = fields(&mut stream, path)?;
    let header = parse(&fields, path)?;
    match &header.data_file {
        None => read_data(stream, stored.saturating_sub(length), &header, path, path),
        Some(_) if !detached => Err(Error::read(format!(
            "{}: its voxels are in another file, which cannot be read here. Save the image as one \
             .nrrd file",
            path.display()
        ))),
        Some(name) => {
            let data = beside(path, name)?;
            let (file, stored) = open(&data)?;
            read_data(file, stored, &header, path, &data)
        }
    }
}

/// The data file: in the header's own folder, so that a header cannot point anywhere else.
fn beside(path: &Path, name: &str) -> Result<PathBuf> {
    let plain = Path::new(name).components().count() == 1
        && !name.contains(['/', '\\', '%'])
        && name != ".."
        && !name.starts_with("LIST");
    if !plain {
        return Err(Error::read(format!(
            "{}: the data file is \"{name}\", expected a single file in the same folder. Save the \
             image as one .nrrd file",
            path.display()
        )));
    }
    Ok(path.with_file_name(name))
}

/// Reads the voxels. `data` is the file that holds them, `path` the one that the caller named.
fn read_data<R: BufRead>(
    mut stream: R,
    mut stored: u64,
    header: &Header,
    path: &Path,
    data: &Path,
) -> Result<Volume> {
    let promised = samples::stored_bytes(header.size, header.layout.sample, path)?;
    let damaged = |e| {
        Error::read_caused(
            data,
            "the voxels cannot be read: the file is damaged or truncated. Copy or export it again",
            e,
        )
    };
    for _ in 0..header.line_skip {
        stored = stored
            .saturating_sub(stream.read_until(b'\n', &mut Vec::new()).map_err(damaged)? as u64);
    }
    if header.encoding == Encoding::Raw {
        // The voxels are the last bytes of the file, or begin after this many.
        let skip = if header.byte_skip < 0 {
            stored.saturating_sub(promised)
        } else {
            header.byte_skip as u64
        };
        stored = stored.saturating_sub(skip);
        std::io::copy(&mut (&mut stream).take(skip), &mut std::io::sink()).map_err(damaged)?;
    }
    let voxels = match header.encoding {
        Encoding::Raw => {
            samples::check_stored(stored, false, promised, data)?;
            samples::read_voxels(stream, header.size, header.layout, data)?
        }
        Encoding::Gzip => {
            let skip = header.byte_skip.max(0) as u64;
            samples::check_stored(stored, true, promised.saturating_add(skip), data)?;
            let mut unpacked = MultiGzDecoder::new(stream);
            // Skipped bytes are counted after unpacking (NRRD, "byte skip").
            std::io::copy(&mut (&mut unpacked).take(skip), &mut std::io::sink())
                .map_err(damaged)?;
            let voxels = samples::read_voxels(&mut unpacked, header.size, header.layout, data)?;
            // Reading a little further verifies gzip's checksum.
            std::io::copy(&mut unpacked.take(1 << 16), &mut std::io::sink()).map_err(damaged)?;
            voxels
        }
        Encoding::Text => text_voxels(stream, stored, header, data)?,
    };
    let name = path.display().to_string();
    let grid = Grid::from_affine(header.size, &header.affine).map_err(|e| e.within(&name))?;
    Volume::new(
        voxels,
        grid,
        Source::File { path: path.to_path_buf(), format: "NRRD", description: String::new() },
        &name,
    )
}

fn text_voxels<R: BufRead>(
    mut stream: R,
    stored: u64,
    header: &Header,
    data: &Path,
) -> Result<Array3<f32>> {
    let [ni, nj, nk] = header.size;
    // `stored_bytes` checked the size, so this cannot overflow.
    let count = ni * nj * nk;
    // A number takes at least a digit and a separator.
    samples::check_stored(stored.saturating_add(1), false, 2 * count as u64, data)?;
    let mut text = String::new();
    stream.read_to_string(&mut text).map_err(|e| {
        Error::read_caused(data, "the voxels are not text. Export the file again", e)
    })?;
    let mut numbers =
        text.split([' ', '\t', '\r', '\n', ',']).filter(|t| !t.is_empty()).map(str::parse::<f32>);
    let mut values = Vec::new();
    values
        .try_reserve_exact(count)
        .map_err(|e| Error::read_caused(data, "not enough memory for the voxels", e))?;
    for number in numbers.by_ref().take(count) {
        values.push(number.map_err(|e| {
            Error::read_caused(
                data,
                "the voxels are not all numbers: the file is damaged. Export it again",
                e,
            )
        })?);
    }
    let more = numbers.count();
    if values.len() < count || more > 0 {
        return Err(Error::read(format!(
            "{}: found {} numbers, expected {count}: the file is damaged. Export it again",
            data.display(),
            values.len() + more
        )));
    }
    Array3::from_shape_vec((nk, nj, ni), values)
        .map_err(|e| Error::Internal(format!("{}: {e}", data.display())))
}
