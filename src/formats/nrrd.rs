//! NRRD files.
//!
//! In: a `.nrrd` file, or a `.nhdr` header with one data file beside it; raw, gzip or text
//! encoding. Out: a [`Volume`] on an LPS grid.
//!
//! `space directions` and `space origin` are required: without them the file does not say where it
//! lies in the patient. The origin is the centre of the first voxel, as the format defines it for
//! every `centers`.

use std::collections::HashMap;
use std::fs::File;
use std::io::{BufRead, BufReader, Read};
use std::path::{Path, PathBuf};

use flate2::read::MultiGzDecoder;

use crate::error::{Error, Result};
use crate::fault::{self, Counted};
use crate::formats::nifti::mirror;
use crate::formats::samples::{self, Layout, SampleType};
use crate::geometry::grid::Grid;
use crate::volume::{Source, Volume};

/// Longer headers are refused: real ones have a few kilobytes.
const MAX_HEADER: u64 = 1 << 20;

/// More fields are refused: the format knows some forty.
const MOST_FIELDS: usize = 256;

#[derive(Debug, Clone, Copy, PartialEq)]
enum Encoding {
    Raw,
    Gzip,
    Text,
}

struct Header {
    size: [usize; 3],
    layout: Layout,
    encoding: Encoding,
    affine: [[f64; 4]; 4],
    data_file: Option<String>,
    line_skip: usize,
    /// -1: the data are the last bytes of the file.
    byte_skip: i64,
}

/// Reads a `.nrrd` or `.nhdr` file.
///
/// # Errors
/// [`Error::Read`] where it cannot be read or is truncated or damaged; [`Error::Image`] where it is
/// not one placed volume of scalars.
pub fn read_file(path: &Path) -> Result<Volume> {
    let (file, stored) = open(path)?;
    read_any(file, stored, path, true)
}

/// Reads the bytes of a `.nrrd` file; `path` stands in messages. A detached header is refused.
///
/// # Errors
/// As [`read_file`].
pub fn read_bytes(bytes: &[u8], path: &Path) -> Result<Volume> {
    read_any(bytes, bytes.len() as u64, path, false)
}

fn open(path: &Path) -> Result<(BufReader<Counted<File>>, u64)> {
    let wrong =
        |e| Error::read_caused(path, "cannot be read; check the path and its permissions", e);
    // What is no file (a pipe) may never end.
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
            "{}: its voxels are in another file, which cannot be reached here",
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
            "{}: the data file \"{name}\" is not a single file in the same folder. Save the image as one .nrrd file",
            path.display()
        )));
    }
    Ok(path.with_file_name(name))
}

/// The fields of the header by lower-case name, and its length in bytes.
fn fields<R: BufRead>(stream: &mut R, path: &Path) -> Result<(HashMap<String, String>, u64)> {
    let mut fields = HashMap::new();
    let mut length = 0u64;
    let mut first = true;
    loop {
        let mut line = Vec::new();
        let read = stream
            .take(MAX_HEADER - length.min(MAX_HEADER))
            .read_until(b'\n', &mut line)
            .map_err(|e| Error::read_caused(path, "the NRRD header cannot be read", e))?;
        length += read as u64;
        let text = String::from_utf8_lossy(&line);
        let text = text.trim_end();
        if first {
            if !text.starts_with("NRRD000") {
                return Err(Error::read(format!(
                    "{}: not NRRD: the file does not begin with \"NRRD000\"",
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
                    "{}: the NRRD header has no end; the file is truncated or damaged",
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
                "{}: the NRRD header has a line that is no field: \"{text}\". The file is damaged",
                path.display()
            )));
        };
        if fields.len() >= MOST_FIELDS {
            return Err(Error::read(format!(
                "{}: the NRRD header has more than {MOST_FIELDS} fields; the file is damaged",
                path.display()
            )));
        }
        fields.insert(key.trim().to_ascii_lowercase(), value.trim().to_string());
    }
}

fn parse(fields: &HashMap<String, String>, path: &Path) -> Result<Header> {
    let name = path.display();
    let get = |keys: &[&str]| keys.iter().find_map(|k| fields.get(*k)).map(String::as_str);
    let need = |key: &str| {
        get(&[key]).ok_or_else(|| {
            Error::read(format!("{name}: the NRRD header has no \"{key}\"; the file is damaged"))
        })
    };
    let dimension = need("dimension")?;
    let sizes: Option<Vec<usize>> =
        need("sizes")?.split_whitespace().map(|s| s.parse().ok()).collect();
    let size: [usize; 3] = match sizes {
        Some(sizes) if dimension == "3" && sizes.len() == 3 => [sizes[0], sizes[1], sizes[2]],
        _ => {
            return Err(Error::Image(format!(
                "{name}: the image has dimension {dimension} and sizes {}; one 3D volume of scalars was expected. Extract the volume you mean",
                need("sizes")?
            )));
        }
    };
    let sample = sample_type(need("type")?).ok_or_else(|| {
        Error::Image(format!(
            "{name}: voxels of type \"{}\" are not read; an integer or float type was expected",
            fields["type"]
        ))
    })?;
    let encoding = match need("encoding")?.to_ascii_lowercase().as_str() {
        "raw" => Encoding::Raw,
        "gzip" | "gz" => Encoding::Gzip,
        "ascii" | "text" | "txt" => Encoding::Text,
        other => {
            return Err(Error::read(format!(
                "{name}: NRRD encoding \"{other}\" is not read; save the image with encoding raw, gzip or ascii"
            )));
        }
    };
    let big_endian = match get(&["endian"]).map(str::to_ascii_lowercase).as_deref() {
        Some("little") => false,
        Some("big") => true,
        None if sample.bytes() == 1 || encoding == Encoding::Text => false,
        _ => {
            return Err(Error::read(format!(
                "{name}: the NRRD header does not say its byte order (\"endian: little\" or \"big\")"
            )));
        }
    };
    let integer = |keys: &[&str]| match get(keys) {
        None => Ok(0),
        Some(text) => text
            .parse::<i64>()
            .map_err(|_| Error::read(format!("{name}: \"{}: {text}\" is not a number", keys[0]))),
    };
    let (line_skip, byte_skip) =
        (integer(&["line skip", "lineskip"])?, integer(&["byte skip", "byteskip"])?);
    if !(0..=100_000).contains(&line_skip)
        || byte_skip < -1
        || (byte_skip == -1 && encoding != Encoding::Raw)
    {
        return Err(Error::read(format!(
            "{name}: line skip {line_skip} and byte skip {byte_skip} make no sense here; save the image as one .nrrd file"
        )));
    }
    Ok(Header {
        size,
        layout: Layout { sample, big_endian, slope: 1.0, intercept: 0.0 },
        encoding,
        affine: affine(fields, path)?,
        data_file: get(&["data file", "datafile"]).map(str::to_string),
        line_skip: line_skip as usize,
        byte_skip,
    })
}

/// The format's own list of type names.
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
            "{name}: {what}, so the file does not say how it lies in the patient. Save it with space, space directions and space origin"
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
                "the NRRD space \"{other}\" is not a patient space (LPS, RAS and LAS are)"
            )));
        }
    };
    if let Some(units) = fields.get("space units")
        && units.split('"').map(str::trim).any(|u| !u.is_empty() && u != "mm")
    {
        return Err(Error::Image(format!(
            "{name}: lengths are in {units}; millimetres were expected. Convert the image's geometry"
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

/// "(a,b,c) (d,e,f)": vectors of three numbers; `None` where anything else stands there.
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

/// `data` is the file that holds the voxels, `path` the one that the caller named.
fn read_data<R: BufRead>(
    mut stream: R,
    mut stored: u64,
    header: &Header,
    path: &Path,
    data: &Path,
) -> Result<Volume> {
    let promised = samples::stored_bytes(header.size, header.layout.sample, path)?;
    let damaged = |e| {
        Error::read_caused(data, "the voxels cannot be read; the file is damaged or truncated", e)
    };
    for _ in 0..header.line_skip {
        stored = stored
            .saturating_sub(stream.read_until(b'\n', &mut Vec::new()).map_err(damaged)? as u64);
    }
    if header.encoding == Encoding::Raw {
        // The data are the last bytes of the file, or begin after so many.
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
            // A little further, so that gzip's checksum is verified.
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
) -> Result<ndarray::Array3<f32>> {
    let [ni, nj, nk] = header.size;
    // Asked already, so it cannot overflow.
    let count = ni * nj * nk;
    // A number takes a digit and a separator at least.
    samples::check_stored(stored.saturating_add(1), false, 2 * count as u64, data)?;
    let mut text = String::new();
    stream
        .read_to_string(&mut text)
        .map_err(|e| Error::read_caused(data, "the voxels are not text", e))?;
    let mut numbers =
        text.split([' ', '\t', '\r', '\n', ',']).filter(|t| !t.is_empty()).map(str::parse::<f32>);
    let mut values = Vec::new();
    values
        .try_reserve_exact(count)
        .map_err(|e| Error::read_caused(data, "not enough memory for the voxels", e))?;
    for number in numbers.by_ref().take(count) {
        values.push(number.map_err(|e| {
            Error::read_caused(data, "the voxels are not all numbers; the file is damaged", e)
        })?);
    }
    let more = numbers.count();
    if values.len() < count || more > 0 {
        return Err(Error::read(format!(
            "{}: {} numbers were found, {count} expected; the file is damaged",
            data.display(),
            values.len() + more
        )));
    }
    ndarray::Array3::from_shape_vec((nk, nj, ni), values)
        .map_err(|e| Error::Internal(format!("{}: {e}", data.display())))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;

    const FIELDS: [&str; 7] = [
        "type: short",
        "dimension: 3",
        "space: left-posterior-superior",
        "sizes: 2 3 2",
        "space directions: (2,0,0) (0, 3, 0) (0,0,4)",
        "endian: little",
        "space origin: (10,20,30)",
    ];

    fn samples() -> Vec<u8> {
        (0..12i16).flat_map(|v| (v * 100 - 300).to_le_bytes()).collect()
    }

    /// A header with `change` applied to each line ("" drops it), and data.
    fn file(encoding: &str, change: &dyn Fn(&str) -> String, data: &[u8]) -> Vec<u8> {
        let lines = FIELDS.iter().map(|l| change(l)).filter(|l| !l.is_empty());
        let text = format!(
            "NRRD0004\n# a comment\n{}\nencoding: {encoding}\nkinds: domain domain domain\nkey:=value\n\n",
            lines.collect::<Vec<_>>().join("\n")
        );
        [text.as_bytes(), data].concat()
    }

    fn same(line: &str) -> String {
        line.to_string()
    }

    fn load(bytes: &[u8]) -> Result<Volume> {
        read_bytes(bytes, Path::new("scan.nrrd"))
    }

    fn refused(bytes: &[u8], reason: &str) {
        let error = load(bytes).expect_err(reason).chain();
        assert!(error.contains(reason) && error.contains("scan.nrrd"), "{error}");
    }

    #[test]
    fn raw_gzip_and_text_give_the_same_volume() {
        let volume = load(&file("raw", &same, &samples())).unwrap();
        assert_eq!(volume.grid().size(), [2, 3, 2]);
        assert_eq!(volume.grid().axis_j(), [0.0, 3.0, 0.0]);
        assert_eq!(volume.grid().origins(), [[10.0, 20.0, 30.0], [10.0, 20.0, 34.0]]);
        assert_eq!(volume.voxels()[[0, 0, 1]], -200.0);
        assert_eq!(volume.voxels()[[1, 2, 1]], 800.0);
        let mut packed = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
        packed.write_all(&samples()).unwrap();
        assert_eq!(
            load(&file("gzip", &same, &packed.finish().unwrap())).unwrap().voxels(),
            volume.voxels()
        );
        let text = (0..12).map(|v| (v * 100 - 300).to_string()).collect::<Vec<_>>().join(" ");
        assert_eq!(load(&file("ascii", &same, text.as_bytes())).unwrap().voxels(), volume.voxels());
        let big: Vec<u8> = (0..12i16).flat_map(|v| (v * 100 - 300).to_be_bytes()).collect();
        assert_eq!(
            load(&file("raw", &|l| l.replace("little", "big"), &big)).unwrap().voxels(),
            volume.voxels()
        );
        let tail = [b"prefix".as_slice(), &samples()].concat();
        assert_eq!(
            load(&file("raw\nbyte skip: -1", &same, &tail)).unwrap().voxels(),
            volume.voxels()
        );
    }

    #[test]
    fn spaces_are_turned_to_lps() {
        for (space, signs) in [
            ("right-anterior-superior", [-1.0, -1.0, 1.0]),
            ("LAS", [1.0, -1.0, 1.0]),
            ("lps", [1.0, 1.0, 1.0]),
        ] {
            let volume =
                load(&file("raw", &|l| l.replace("left-posterior-superior", space), &samples()))
                    .unwrap();
            assert_eq!(volume.grid().axis_i(), [2.0 * signs[0], 0.0, 0.0], "{space}");
            assert_eq!(volume.grid().axis_j(), [0.0, 3.0 * signs[1], 0.0], "{space}");
            assert_eq!(
                volume.grid().origins()[0],
                [10.0 * signs[0], 20.0 * signs[1], 30.0],
                "{space}"
            );
        }
    }

    #[test]
    fn what_is_not_a_placed_volume_is_refused() {
        let without = |field: &str| {
            file(
                "raw",
                &|l| if l.starts_with(field) { String::new() } else { l.into() },
                &samples(),
            )
        };
        refused(&without("space directions"), "no \"space directions\"");
        refused(&without("space origin"), "no \"space origin\"");
        refused(&without("space: "), "no \"space\"");
        refused(&without("endian"), "byte order");
        refused(&without("sizes"), "no \"sizes\"");
        let with = |from: &str, to: &str| file("raw", &|l| l.replace(from, to), &samples());
        refused(&with("dimension: 3", "dimension: 4"), "dimension 4");
        refused(&with("(2,0,0)", "none"), "not three vectors");
        refused(&with("short", "block"), "\"block\"");
        refused(&with("left-posterior-superior", "scanner-xyz"), "not a patient space");
        refused(&with("2 3 2", "2 3 3"), "truncated");
        refused(&with("2 3 2", "99999999 99999999 99999999"), "at most");
        refused(&with("2 3 2", "2 6 1"), "at least 2 slices");
        refused(&with("(2,0,0)", "(0,0,0)"), "degenerate");
        refused(
            &with("space origin", "space units: \"m\" \"m\" \"m\"\nspace origin"),
            "millimetres",
        );
        refused(&file("bzip2", &same, &samples()), "\"bzip2\"");
        refused(b"NRRD0004\ntype: short\n", "no end");
    }

    #[test]
    fn a_detached_header_reaches_a_file_beside_it_and_no_other() {
        let folder = tempfile::tempdir().unwrap();
        let header = folder.path().join("scan.nhdr");
        std::fs::write(folder.path().join("scan.raw"), samples()).unwrap();
        std::fs::write(&header, file("raw\ndata file: scan.raw", &same, &[])).unwrap();
        assert_eq!(read_file(&header).unwrap().voxels()[[1, 2, 1]], 800.0);
        for elsewhere in ["../scan.raw", "/etc/passwd", "LIST", "scan%03d.raw 1 2 1"] {
            std::fs::write(&header, file(&format!("raw\ndata file: {elsewhere}"), &same, &[]))
                .unwrap();
            assert!(
                read_file(&header).unwrap_err().to_string().contains("same folder"),
                "{elsewhere}"
            );
        }
    }
}
