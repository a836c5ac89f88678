//! What a NIfTI-1 header says of the voxels and their place.
//!
//! In: a parsed header. Out: size, sample layout and the affine into RAS mm.

use std::path::Path;

use nifti::{Endianness, NiftiHeader};

use crate::error::{Error, Result};
use crate::formats::samples::{Layout, SampleType};

/// (ni, nj, nk): three axes; further ones must have the length 1.
pub(super) fn size(header: &NiftiHeader, path: &Path) -> Result<[usize; 3]> {
    let n = header.dim[0] as usize;
    // Lengths are signed 16-bit numbers in the file.
    let valid = |dims: &&[u16]| !dims.is_empty() && dims.iter().all(|v| (1..=32767).contains(v));
    let dims = header.dim.get(1..=n).filter(valid).ok_or_else(|| {
        Error::read(format!(
            "{}: the header's dimensions {:?} make no sense: it is damaged. Export the image again",
            path.display(),
            header.dim
        ))
    })?;
    if dims.len() < 3 || dims[3..].iter().any(|d| *d != 1) {
        let shape: Vec<String> = dims.iter().map(u16::to_string).collect();
        return Err(Error::Image(format!(
            "{}: the image is {}, expected a single 3D volume. Extract the one you want",
            path.display(),
            shape.join(" x ")
        )));
    }
    Ok([dims[0] as usize, dims[1] as usize, dims[2] as usize])
}

/// The stored type, byte order and rescaling of the samples.
pub(super) fn layout(header: &NiftiHeader, path: &Path) -> Result<Layout> {
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
                "{name}: the voxels are of NIfTI type {code}{what}, expected one integer or float \
                 (32 or 64 bit) per voxel. Convert the image"
            )));
        }
    };
    if header.bitpix as usize != sample.bytes() * 8 {
        return Err(Error::read(format!(
            "{name}: the header has {} bits per voxel, expected {} for type {}: it is damaged. \
             Export the image again",
            header.bitpix,
            sample.bytes() * 8,
            header.datatype
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
                "{name}: lengths are in {unit}, expected millimetres. Convert the image's geometry"
            )));
        }
    }
    // A slope of 0 means "no rescaling" (NIfTI-1), and writers also use NaN for it.
    let (slope, intercept) = match (header.scl_slope as f64, header.scl_inter as f64) {
        (slope, _) if slope == 0.0 || !slope.is_finite() => (1.0, 0.0),
        (slope, intercept) if intercept.is_finite() => (slope, intercept),
        (slope, intercept) => {
            return Err(Error::Image(format!(
                "{name}: the header rescales voxels by {slope} and {intercept}, expected finite \
                 numbers. Export the image again"
            )));
        }
    };
    Ok(Layout { sample, big_endian: header.endianness == Endianness::Big, slope, intercept })
}

/// The affine into RAS mm.
pub(super) fn affine(header: &NiftiHeader, path: &Path) -> Result<[[f64; 4]; 4]> {
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
        "{}: neither sform nor qform is set, so the position of the image in the patient is \
         unknown. Export it with its orientation, or give the DICOM series",
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
            "{}: the qform is damaged (quaternion {b}, {c}, {d}; voxel size {spacing:?} mm). \
             Export the image again",
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
