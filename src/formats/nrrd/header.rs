//! The header of an NRRD file.
//!
//! In: the first lines of the file. Out: a [`Header`]: size, sample layout, encoding, the affine
//! into LPS mm, and the place of the voxels.

use std::collections::HashMap;
use std::io::{BufRead, Read};
use std::path::Path;

use crate::error::{Error, Result};
use crate::formats::ras::mirror;
use crate::formats::samples::{Layout, SampleType};

/// Longer headers are refused, bytes: real ones have a few kilobytes.
const MAX_HEADER: u64 = 1 << 20;

/// More fields are refused: the format defines about forty.
const MOST_FIELDS: usize = 256;

/// How the voxels are stored.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Encoding {
    Raw,
    Gzip,
    Text,
}

/// The header of a placed volume of scalars.
pub(super) struct Header {
    pub(super) size: [usize; 3],
    pub(super) layout: Layout,
    pub(super) encoding: Encoding,
    /// Into LPS mm.
    pub(super) affine: [[f64; 4]; 4],
    /// The file of the voxels, if it is another one.
    pub(super) data_file: Option<String>,
    pub(super) line_skip: usize,
    /// -1: the data are the last bytes of the file.
    pub(super) byte_skip: i64,
}

/// The fields of the header by lower-case name, and its length in bytes.
pub(super) fn fields<R: BufRead>(
    stream: &mut R,
    path: &Path,
) -> Result<(HashMap<String, String>, u64)> {
    let mut fields = HashMap::new();
    let mut length = 0u64;
    let mut first = true;
    loop {
        let mut line = Vec::new();
        let read =
            stream.take(MAX_HEADER - length.min(MAX_HEADER)).read_until(b'\n', &mut line).map_err(
                |e| Error::read_caused(path, "the NRRD header cannot be read. Check the file", e),
            )?;
        length += read as u64;
        let text = String::from_utf8_lossy(&line);
        let text = text.trim_end();
        if first {
            if !text.starts_with("NRRD000") {
                return Err(Error::read(format!(
                    "{}: not NRRD: the file does not begin with \"NRRD000\". Convert the image to \
                     NRRD",
                    path.display()
                )));
            }
            first = false;
            continue;
        }
        if text.is_empty() {
            // A detached header may end without an empty line.
            if read == 0 && !(fields.contains_key("data file") || fields.contains_key("datafile"))
                || length >= MAX_HEADER
            {
                return Err(Error::read(format!(
                    "{}: the NRRD header has no end: the file is truncated or damaged. Copy or \
                     export it again",
                    path.display()
                )));
            }
            return Ok((fields, length));
        }
        if text.starts_with('#') || text.contains(":=") {
            continue;
        }
        let Some((key, value)) = text.split_once(": ").or_else(|| text.split_once(':')) else {
            return Err(Error::read(format!(
                "{}: the NRRD header has the line \"{text}\", expected \"field: value\": the file \
                 is damaged. Export it again",
                path.display()
            )));
        };
        if fields.len() >= MOST_FIELDS {
            return Err(Error::read(format!(
                "{}: the NRRD header has more than {MOST_FIELDS} fields: the file is damaged. \
                 Export it again",
                path.display()
            )));
        }
        fields.insert(key.trim().to_ascii_lowercase(), value.trim().to_string());
    }
}

/// The header of the fields.
///
/// # Errors
/// [`Error::Read`] if a field is missing or damaged; [`Error::Image`] if the image is not a single
/// volume of scalars with a position in the patient.
pub(super) fn parse(fields: &HashMap<String, String>, path: &Path) -> Result<Header> {
    let name = path.display();
    let get = |keys: &[&str]| keys.iter().find_map(|k| fields.get(*k)).map(String::as_str);
    let need = |key: &str| {
        get(&[key]).ok_or_else(|| {
            Error::read(format!(
                "{name}: the NRRD header has no \"{key}\": the file is damaged. Export it again"
            ))
        })
    };
    let dimension = need("dimension")?;
    let sizes: Option<Vec<usize>> =
        need("sizes")?.split_whitespace().map(|s| s.parse().ok()).collect();
    let size: [usize; 3] = match sizes {
        Some(sizes) if dimension == "3" && sizes.len() == 3 => [sizes[0], sizes[1], sizes[2]],
        _ => {
            return Err(Error::Image(format!(
                "{name}: the image has dimension {dimension} and sizes {}, expected a single 3D \
                 volume of scalars. Extract the one you want",
                need("sizes")?
            )));
        }
    };
    let sample = sample_type(need("type")?).ok_or_else(|| {
        Error::Image(format!(
            "{name}: the voxels are of type \"{}\", expected an integer or float type. Convert the \
             image",
            fields["type"]
        ))
    })?;
    let encoding = encoding(need("encoding")?, path)?;
    let big_endian = match get(&["endian"]).map(str::to_ascii_lowercase).as_deref() {
        Some("little") => false,
        Some("big") => true,
        None if sample.bytes() == 1 || encoding == Encoding::Text => false,
        _ => {
            return Err(Error::read(format!(
                "{name}: the NRRD header does not give the byte order, expected \"endian: little\" \
                 or \"endian: big\". Save the image again"
            )));
        }
    };
    let (line_skip, byte_skip) = skips(fields, encoding, path)?;
    Ok(Header {
        size,
        layout: Layout { sample, big_endian, slope: 1.0, intercept: 0.0 },
        encoding,
        affine: affine(fields, path)?,
        data_file: get(&["data file", "datafile"]).map(str::to_string),
        line_skip,
        byte_skip,
    })
}

fn encoding(text: &str, path: &Path) -> Result<Encoding> {
    match text.to_ascii_lowercase().as_str() {
        "raw" => Ok(Encoding::Raw),
        "gzip" | "gz" => Ok(Encoding::Gzip),
        "ascii" | "text" | "txt" => Ok(Encoding::Text),
        other => Err(Error::read(format!(
            "{}: the NRRD encoding is \"{other}\", expected raw, gzip or ascii. Save the image \
             with \
             one of these",
            path.display()
        ))),
    }
}

/// Lines and bytes to skip before the voxels; -1 bytes: the voxels are the last bytes of the file.
fn skips(
    fields: &HashMap<String, String>,
    encoding: Encoding,
    path: &Path,
) -> Result<(usize, i64)> {
    let name = path.display();
    let integer = |keys: [&str; 2]| match keys.iter().find_map(|k| fields.get(*k)) {
        None => Ok(0),
        Some(text) => text.parse::<i64>().map_err(|_| {
            Error::read(format!(
                "{name}: found \"{}: {text}\", expected a number. Save the image again",
                keys[0]
            ))
        }),
    };
    let (lines, bytes) = (integer(["line skip", "lineskip"])?, integer(["byte skip", "byteskip"])?);
    if !(0..=100_000).contains(&lines) || bytes < -1 || (bytes == -1 && encoding != Encoding::Raw) {
        return Err(Error::read(format!(
            "{name}: line skip {lines} and byte skip {bytes} are not valid here. Save the image as \
             one .nrrd file"
        )));
    }
    Ok((lines as usize, bytes))
}

/// The sample type of a name; the format defines several names for each.
fn sample_type(name: &str) -> Option<SampleType> {
    Some(match name.to_ascii_lowercase().as_str() {
        "signed char" | "int8" | "int8_t" => SampleType::I8,
        "uchar" | "unsigned char" | "uint8" | "uint8_t" => SampleType::U8,
        "short" | "short int" | "signed short" | "signed short int" | "int16" | "int16_t" => {
            SampleType::I16
        }
        "ushort" | "unsigned short" | "unsigned short int" | "uint16" | "uint16_t" => {
            SampleType::U16
        }
        "int" | "signed int" | "int32" | "int32_t" => SampleType::I32,
        "uint" | "unsigned int" | "uint32" | "uint32_t" => SampleType::U32,
        "longlong"
        | "long long"
        | "long long int"
        | "signed long long"
        | "signed long long int"
        | "int64"
        | "int64_t" => SampleType::I64,
        "ulonglong" | "unsigned long long" | "unsigned long long int" | "uint64" | "uint64_t" => {
            SampleType::U64
        }
        "float" => SampleType::F32,
        "double" => SampleType::F64,
        _ => return None,
    })
}

/// The affine into LPS mm.
fn affine(fields: &HashMap<String, String>, path: &Path) -> Result<[[f64; 4]; 4]> {
    let name = path.display();
    let unplaced = |what: String| {
        Error::Image(format!(
            "{name}: {what}, so the position of the image in the patient is unknown. Save it with \
             space, space directions and space origin"
        ))
    };
    let space =
        fields.get("space").ok_or_else(|| unplaced("the NRRD header has no \"space\"".into()))?;
    let signs = match space.to_ascii_lowercase().as_str() {
        "left-posterior-superior" | "lps" => [1.0, 1.0, 1.0],
        "right-anterior-superior" | "ras" => [-1.0, -1.0, 1.0],
        "left-anterior-superior" | "las" => [1.0, -1.0, 1.0],
        other => {
            return Err(unplaced(format!(
                "the NRRD space \"{other}\" is not a patient space (LPS, RAS or LAS)"
            )));
        }
    };
    if let Some(units) = fields.get("space units")
        && units.split('"').map(str::trim).any(|u| !u.is_empty() && u != "mm")
    {
        return Err(Error::Image(format!(
            "{name}: lengths are in {units}, expected millimetres. Convert the image's geometry"
        )));
    }
    let text = fields
        .get("space directions")
        .ok_or_else(|| unplaced("the NRRD header has no \"space directions\"".into()))?;
    let directions = vectors(text)
        .filter(|v| v.len() == 3)
        .ok_or_else(|| unplaced(format!("\"space directions: {text}\" are not three vectors")))?;
    let text = fields
        .get("space origin")
        .ok_or_else(|| unplaced("the NRRD header has no \"space origin\"".into()))?;
    let origin = vectors(text)
        .filter(|v| v.len() == 1)
        .ok_or_else(|| unplaced(format!("\"space origin: {text}\" is not a vector")))?[0];
    let row = |r: usize| [directions[0][r], directions[1][r], directions[2][r], origin[r]];
    Ok(mirror([row(0), row(1), row(2), [0.0, 0.0, 0.0, 1.0]], signs))
}

/// Parses vectors of three numbers, as in "(a,b,c) (d,e,f)"; `None` if the text is anything else.
fn vectors(text: &str) -> Option<Vec<[f64; 3]>> {
    let mut rest = text.trim();
    let mut vectors = Vec::new();
    while !rest.is_empty() {
        let (inside, after) = rest.strip_prefix('(')?.split_once(')')?;
        let numbers: Option<Vec<f64>> = inside.split(',').map(|n| n.trim().parse().ok()).collect();
        vectors.push(numbers?.try_into().ok()?);
        rest = after.trim_start();
    }
    Some(vectors)
}
