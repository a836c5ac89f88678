//! NIfTI-1 files, and the one place that knows about RAS.
//!
//! In: the bytes of a `.nii` or `.nii.gz` file of either byte order. Out: a [`Volume`] on an LPS
//! grid.
//!
//! The grid is the sform's where its code is positive, else the qform's where its code is positive;
//! a file with neither says nothing about where it lies in the patient and is refused. Lengths must
//! be millimetres (or unstated, which means the same).

use std::io::{BufReader, Read};
use std::path::Path;

use flate2::read::MultiGzDecoder;
use nifti::{Endianness, NiftiHeader};

use crate::error::{Error, Result};
use crate::fault;
use crate::formats::samples::{self, Layout, SampleType};
use crate::geometry::grid::Grid;
use crate::volume::{Source, Volume};

/// Bytes of a NIfTI-1 header.
const HEADER: usize = 348;

/// Header extensions longer than this are not skipped but refused.
const MAX_EXTENSION: f32 = (64 << 20) as f32;

/// Turns an affine into RAS mm into one into LPS mm, or back: x and y change sign.
pub(crate) fn ras_to_lps(affine: [[f64; 4]; 4]) -> [[f64; 4]; 4] {
    mirror(affine, [-1.0, -1.0, 1.0])
}

/// A point in RAS mm in LPS mm, or back.
pub(crate) fn ras_point_to_lps([x, y, z]: [f64; 3]) -> [f64; 3] {
    [-x, -y, z]
}

/// Changes the sign of the patient axes whose entry is -1.
pub(crate) fn mirror(mut affine: [[f64; 4]; 4], signs: [f64; 3]) -> [[f64; 4]; 4] {
    for (row, sign) in affine.iter_mut().zip(signs) {
        for value in row.iter_mut() {
            // Adding zero turns -0 into 0.
            *value = *value * sign + 0.0;
        }
    }
    affine
}

pub(crate) fn is_gzip(head: &[u8]) -> bool {
    head.starts_with(&[0x1f, 0x8b])
}

/// Whether the bytes begin like NIfTI-1, NIfTI-2 or Analyze, of either byte order: all say their
/// header's length first.
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
/// [`Error::Read`] where it cannot be read or is truncated or damaged; [`Error::Image`] where it is
/// not one placed volume of scalars.
pub fn read_file(path: &Path) -> Result<Volume> {
    let wrong =
        |e| Error::read_caused(path, "cannot be read; check the path and its permissions", e);
    let file = fault::open(path).map_err(wrong)?;
    let stored = file.metadata().map_err(wrong)?.len();
    read_any(BufReader::new(fault::counted(file)), stored, path)
}

/// Reads the bytes of a `.nii` or `.nii.gz` file; `path` stands in messages.
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
            "the file is too short for a NIfTI-1 header; copy or export it again",
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

/// Reads a little beyond the voxels so that gzip's checksum is verified; what lies further is not
/// looked at.
fn check_rest<R: Read>(stream: R, path: &Path) -> Result<()> {
    std::io::copy(&mut stream.take(1 << 16), &mut std::io::sink()).map(|_| ()).map_err(|e| {
        Error::read_caused(path, "the file is damaged (gzip checksum); copy or export it again", e)
    })
}

fn read_stream<R: Read>(mut stream: R, stored: u64, gzip: bool, path: &Path) -> Result<Volume> {
    let name = path.display();
    let mut raw = [0u8; HEADER];
    stream.read_exact(&mut raw).map_err(|e| {
        Error::read_caused(path, "no NIfTI-1 header of 348 bytes can be read; the file is truncated, damaged, or not NIfTI", e)
    })?;
    match (header_length(&raw), &raw[344..348]) {
        (Some(540), _) => {
            return Err(Error::read(format!(
                "{name}: NIfTI-2 is not read; convert it to NIfTI-1 (.nii or .nii.gz), NRRD or DICOM"
            )));
        }
        (Some(348), b"n+1\0") => {}
        (Some(348), _) => {
            return Err(Error::read(format!(
                "{name}: an Analyze header or half of a .hdr/.img pair is not read; convert it to a single NIfTI-1 file (.nii or .nii.gz), NRRD or DICOM"
            )));
        }
        _ => {
            return Err(Error::read(format!(
                "{name}: not NIfTI-1; .nii, .nii.gz, NRRD and DICOM are read. Convert the image to one of these"
            )));
        }
    }
    let header = NiftiHeader::from_reader(raw.as_slice())
        .map_err(|e| Error::read_caused(path, "the NIfTI-1 header is damaged", e))?;
    let (size, layout) = (size(&header, path)?, layout(&header, path)?);
    let grid = Grid::from_affine(size, &ras_to_lps(affine(&header, path)?))
        .map_err(|e| e.within(&name))?;

    let offset = header.vox_offset;
    if !(offset >= HEADER as f32 && offset <= MAX_EXTENSION && offset.fract() == 0.0) {
        return Err(Error::read(format!(
            "{name}: the header says that the voxels begin at byte {offset}; 352 was expected. The header is damaged"
        )));
    }
    let promised = samples::stored_bytes(size, layout.sample, path)?;
    samples::check_stored(stored, gzip, promised + offset as u64, path)?;
    let skip = offset as u64 - HEADER as u64;
    std::io::copy(&mut (&mut stream).take(skip), &mut std::io::sink()).map_err(|e| {
        Error::read_caused(path, "the file is damaged or truncated; copy or export it again", e)
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

/// (ni, nj, nk): three axes, or more whose length is 1.
fn size(header: &NiftiHeader, path: &Path) -> Result<[usize; 3]> {
    let n = header.dim[0] as usize;
    // Lengths are signed 16-bit numbers in the file.
    let dims = header.dim.get(1..=n).filter(|d| !d.is_empty() && d.iter().all(|v| (1..=32767).contains(v))).ok_or_else(|| {
        Error::read(format!(
            "{}: the header's dimensions {:?} make no sense; it is damaged. Export the image again",
            path.display(),
            header.dim
        ))
    })?;
    if dims.len() < 3 || dims[3..].iter().any(|d| *d != 1) {
        let shape: Vec<String> = dims.iter().map(u16::to_string).collect();
        return Err(Error::Image(format!(
            "{}: the image is {}; one 3D volume was expected. Extract the volume you mean",
            path.display(),
            shape.join(" x ")
        )));
    }
    Ok([dims[0] as usize, dims[1] as usize, dims[2] as usize])
}

fn layout(header: &NiftiHeader, path: &Path) -> Result<Layout> {
    let name = path.display();
    let sample = match header.datatype {
        2 => SampleType::U8,
        4 => SampleType::I16,
        8 => SampleType::I32,
        16 => SampleType::F32,
        64 => SampleType::F64,
        256 => SampleType::I8,
        512 => SampleType::U16,
        768 => SampleType::U32,
        1024 => SampleType::I64,
        1280 => SampleType::U64,
        code => {
            let what = match code {
                128 | 2304 => " (colour)",
                32 | 1792 | 2048 => " (complex)",
                _ => "",
            };
            return Err(Error::Image(format!(
                "{name}: voxels of NIfTI type {code}{what} are not read; one integer or float (32 or 64 bit) per voxel was expected. Convert the image"
            )));
        }
    };
    if header.bitpix as usize != sample.bytes() * 8 {
        return Err(Error::read(format!(
            "{name}: the header is damaged: type {} has {} bits per voxel, and it says {}. Export the image again",
            header.datatype,
            sample.bytes() * 8,
            header.bitpix
        )));
    }
    match header.xyzt_units & 7 {
        0 | 2 => {}
        code => {
            let unit = match code {
                1 => "metres",
                3 => "micrometres",
                _ => "an unknown unit",
            };
            return Err(Error::Image(format!(
                "{name}: lengths are in {unit}; millimetres were expected. Convert the image's geometry"
            )));
        }
    }
    // A slope of 0 means "no rescaling" (NIfTI-1), and writers also use NaN for it.
    let (slope, intercept) = match (header.scl_slope as f64, header.scl_inter as f64) {
        (slope, _) if slope == 0.0 || !slope.is_finite() => (1.0, 0.0),
        (slope, intercept) if intercept.is_finite() => (slope, intercept),
        (slope, intercept) => {
            return Err(Error::Image(format!(
                "{name}: the header rescales voxels by {slope} and {intercept}, which is not finite. Export the image again"
            )));
        }
    };
    Ok(Layout { sample, big_endian: header.endianness == Endianness::Big, slope, intercept })
}

/// The affine into RAS mm.
fn affine(header: &NiftiHeader, path: &Path) -> Result<[[f64; 4]; 4]> {
    if header.sform_code > 0 {
        let row = |r: [f32; 4]| r.map(f64::from);
        return Ok([
            row(header.srow_x),
            row(header.srow_y),
            row(header.srow_z),
            [0.0, 0.0, 0.0, 1.0],
        ]);
    }
    if header.qform_code > 0 {
        return qform(header, path);
    }
    Err(Error::Image(format!(
        "{}: neither sform nor qform is set, so the file does not say how it lies in the patient. Export it with its orientation, or give the DICOM series",
        path.display()
    )))
}

/// Method 2 of the NIfTI-1 standard: a unit quaternion, voxel sizes, a shift, and the handedness in
/// pixdim[0].
fn qform(header: &NiftiHeader, path: &Path) -> Result<[[f64; 4]; 4]> {
    let [b, c, d] = [header.quatern_b, header.quatern_c, header.quatern_d].map(f64::from);
    let rest = 1.0 - (b * b + c * c + d * d);
    let spacing = [header.pixdim[1], header.pixdim[2], header.pixdim[3]].map(f64::from);
    if rest.is_nan() || rest < -0.01 || !spacing.iter().all(|s| s.is_finite() && *s > 0.0) {
        return Err(Error::Image(format!(
            "{}: the qform is damaged (quaternion {b}, {c}, {d}; voxel size {spacing:?} mm). Export the image again",
            path.display()
        )));
    }
    // Rounding to f32 may leave the three parts a little longer than 1: a turn by 180 degrees.
    let (a, b, c, d) = if rest < 1e-7 {
        let n = (b * b + c * c + d * d).sqrt();
        (0.0, b / n, c / n, d / n)
    } else {
        (rest.sqrt(), b, c, d)
    };
    let rotation = [
        [a * a + b * b - c * c - d * d, 2.0 * (b * c - a * d), 2.0 * (b * d + a * c)],
        [2.0 * (b * c + a * d), a * a + c * c - b * b - d * d, 2.0 * (c * d - a * b)],
        [2.0 * (b * d - a * c), 2.0 * (c * d + a * b), a * a + d * d - b * b - c * c],
    ];
    let hand = if header.pixdim[0] < 0.0 { -1.0 } else { 1.0 };
    let shift = [header.quatern_x, header.quatern_y, header.quatern_z].map(f64::from);
    let row = |r: usize| {
        [
            rotation[r][0] * spacing[0],
            rotation[r][1] * spacing[1],
            rotation[r][2] * spacing[2] * hand,
            shift[r],
        ]
    };
    Ok([row(0), row(1), row(2), [0.0, 0.0, 0.0, 1.0]])
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;

    /// Header and voxels of 2 x 3 x 2 samples, of either byte order.
    struct Nifti {
        big: bool,
        bytes: Vec<u8>,
    }

    impl Nifti {
        fn new(big: bool, datatype: i16, bits: i16) -> Self {
            let mut file = Nifti { big, bytes: vec![0; 352] };
            file.int(0, 348);
            for (n, v) in [3, 2, 3, 2, 1, 1, 1, 1].into_iter().enumerate() {
                file.short(40 + 2 * n, v);
            }
            file.short(70, datatype);
            file.short(72, bits);
            for n in 0..8 {
                file.float(76 + 4 * n, 1.0);
            }
            file.float(108, 352.0);
            file.bytes[344..348].copy_from_slice(b"n+1\0");
            // sform: RAS; 2, 3, 4 mm; origin (-10, -20, 30).
            file.short(254, 1);
            for (row, values) in
                [[2.0, 0.0, 0.0, -10.0], [0.0, 3.0, 0.0, -20.0], [0.0, 0.0, 4.0, 30.0]]
                    .into_iter()
                    .enumerate()
            {
                for (c, v) in values.into_iter().enumerate() {
                    file.float(280 + 16 * row + 4 * c, v);
                }
            }
            file
        }

        fn put(&mut self, at: usize, little: &[u8]) {
            let mut raw = little.to_vec();
            if self.big {
                raw.reverse();
            }
            self.bytes[at..at + raw.len()].copy_from_slice(&raw);
        }

        fn int(&mut self, at: usize, v: i32) {
            self.put(at, &v.to_le_bytes());
        }

        fn short(&mut self, at: usize, v: i16) {
            self.put(at, &v.to_le_bytes());
        }

        fn float(&mut self, at: usize, v: f32) {
            self.put(at, &v.to_le_bytes());
        }

        fn voxels(mut self, samples: impl Iterator<Item = Vec<u8>>) -> Vec<u8> {
            for mut raw in samples {
                if self.big {
                    raw.reverse();
                }
                self.bytes.extend(raw);
            }
            self.bytes
        }

        fn shorts(self) -> Vec<u8> {
            self.voxels((0..12i16).map(|v| (v * 100 - 300).to_le_bytes().to_vec()))
        }
    }

    fn load(bytes: &[u8]) -> Result<Volume> {
        read_bytes(bytes, Path::new("scan.nii"))
    }

    fn refused(bytes: &[u8], reason: &str) {
        let error = load(bytes).expect_err(reason).chain();
        assert!(error.contains(reason) && error.contains("scan.nii"), "{error}");
    }

    #[test]
    fn both_byte_orders_and_gzip_give_the_same_lps_volume() {
        for big in [false, true] {
            let bytes = Nifti::new(big, 4, 16).shorts();
            let volume = load(&bytes).unwrap();
            assert_eq!(volume.grid().size(), [2, 3, 2]);
            assert_eq!(volume.grid().axis_i(), [-2.0, 0.0, 0.0]);
            assert_eq!(volume.grid().axis_j(), [0.0, -3.0, 0.0]);
            assert_eq!(volume.grid().origins(), [[10.0, 20.0, 30.0], [10.0, 20.0, 34.0]]);
            // [k, j, i]: i is the fastest axis of the file.
            assert_eq!(volume.voxels()[[0, 0, 1]], -200.0);
            assert_eq!(volume.voxels()[[1, 2, 1]], 800.0);
            let mut packed =
                flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
            packed.write_all(&bytes).unwrap();
            let packed = packed.finish().unwrap();
            assert_eq!(load(&packed).unwrap().voxels(), volume.voxels());
            refused(&packed[..packed.len() - 4], "damaged");
            let mut changed = packed.clone();
            let crc = changed.len() - 8;
            changed[crc] ^= 1;
            refused(&changed, "checksum");
        }
    }

    #[test]
    fn every_sample_type_is_read() {
        macro_rules! check {
            ($type:ty, $code:expr) => {
                for big in [false, true] {
                    let file = Nifti::new(big, $code, 8 * std::mem::size_of::<$type>() as i16);
                    let volume =
                        load(&file.voxels((0..12).map(|v| (v as $type).to_le_bytes().to_vec())))
                            .unwrap();
                    assert!(
                        volume.voxels().iter().enumerate().all(|(n, v)| *v == n as f32),
                        "{}",
                        stringify!($type)
                    );
                }
            };
        }
        check!(u8, 2);
        check!(i16, 4);
        check!(i32, 8);
        check!(f32, 16);
        check!(f64, 64);
        check!(i8, 256);
        check!(u16, 512);
        check!(u32, 768);
        check!(i64, 1024);
        check!(u64, 1280);
        refused(&Nifti::new(false, 128, 24).shorts(), "colour");
    }

    #[test]
    fn slope_and_intercept_are_applied_and_zero_or_nan_mean_none() {
        let with = |slope, inter| {
            let mut file = Nifti::new(true, 4, 16);
            file.float(112, slope);
            file.float(116, inter);
            load(&file.shorts())
        };
        assert_eq!(with(0.5, 10.0).unwrap().voxels()[[0, 0, 0]], -140.0);
        assert_eq!(with(0.0, 10.0).unwrap().voxels()[[0, 0, 0]], -300.0);
        assert_eq!(with(f32::NAN, f32::NAN).unwrap().voxels()[[0, 0, 0]], -300.0);
        assert!(with(1.0, f32::NAN).is_err());
    }

    #[test]
    fn sform_goes_before_qform_and_neither_is_refused() {
        let mut file = Nifti::new(false, 4, 16);
        // qform: turned by 180 degrees about z, left-handed, 5 mm slices.
        file.short(252, 1);
        file.float(264, 1.0);
        file.float(88, 5.0);
        file.float(76, -1.0);
        file.float(268, 7.0);
        assert_eq!(
            load(&Nifti { big: false, bytes: file.bytes.clone() }.shorts())
                .unwrap()
                .grid()
                .axis_i(),
            [-2.0, 0.0, 0.0]
        );
        file.short(254, 0);
        let volume = load(&Nifti { big: false, bytes: file.bytes.clone() }.shorts()).unwrap();
        assert_eq!(volume.grid().axis_i(), [1.0, 0.0, 0.0]);
        assert_eq!(volume.grid().axis_j(), [0.0, 1.0, 0.0]);
        assert_eq!(volume.grid().origins(), [[-7.0, 0.0, 0.0], [-7.0, 0.0, -5.0]]);
        file.short(252, 0);
        refused(&file.shorts(), "neither sform nor qform");
    }

    #[test]
    fn hostile_and_foreign_headers_are_refused() {
        let edit = |change: &dyn Fn(&mut Nifti)| {
            let mut file = Nifti::new(false, 4, 16);
            change(&mut file);
            file.shorts()
        };
        let whole = Nifti::new(false, 4, 16).shorts();
        refused(&whole[..whole.len() - 1], "truncated");
        refused(&whole[..200], "348 bytes");
        refused(&edit(&|f| (1..4).for_each(|n| f.short(40 + 2 * n, 30000))), "at most");
        refused(&edit(&|f| (1..4).for_each(|n| f.short(40 + 2 * n, 800))), "truncated");
        refused(&edit(&|f| f.short(46, -2)), "no sense");
        refused(&edit(&|f| f.short(46, 1)), "at least 2 slices");
        refused(&edit(&|f| (f.short(40, 4), f.short(48, 2)).0), "2 x 3 x 2 x 2");
        assert!(load(&edit(&|f| f.short(40, 4))).is_ok());
        refused(&edit(&|f| f.float(108, f32::NAN)), "voxels begin");
        refused(&edit(&|f| f.float(108, 1e30)), "voxels begin");
        refused(&edit(&|f| f.bytes[123] = 1), "metres");
        refused(&edit(&|f| f.int(0, 540)), "NIfTI-2");
        refused(&edit(&|f| f.bytes[344..348].copy_from_slice(b"ni1\0")), ".hdr/.img");
        refused(&edit(&|f| f.float(280, f32::NAN)), "degenerate");
        let mut nan = Nifti::new(false, 16, 32);
        nan.float(112, 1.0);
        refused(
            &nan.voxels(
                (0..12).map(|v| (if v == 5 { f32::NAN } else { v as f32 }).to_le_bytes().to_vec()),
            ),
            "is NaN",
        );
    }
}
