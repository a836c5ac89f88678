//! Masks and probabilities as NIfTI-1.
//!
//! In: an array [k, j, i] on T1C's storage grid. Out: a `.nii.gz` with the same geometry (sform,
//! and qform if the axes are orthogonal), written beside its target and renamed.

use std::path::Path;

use ::nifti::writer::WriterOptions;
use ::nifti::{DataElement, NiftiError, NiftiHeader};
use ndarray::ArrayView3;

use crate::error::{Error, Result};
use crate::formats::ras::ras_to_lps;
use crate::formats::write::rename_into_place;
use crate::geometry::Grid;
use crate::geometry::grid::{cross, dot, norm, scale};

/// Writes `voxels` [k, j, i] on `grid`; `description` goes into the header, cut at 79 bytes.
///
/// # Errors
/// [`Error::Unsupported`] if the slices are unevenly spaced, as NIfTI has only one affine;
/// [`Error::Write`] if `path` cannot be written.
pub fn write_nifti<T>(
    path: &Path,
    voxels: ArrayView3<'_, T>,
    grid: &Grid,
    description: &str,
) -> Result<()>
where
    T: DataElement + bytemuck::Pod,
{
    let header = header(grid, description)?;
    // The crate cannot write a view whose rows run backwards.
    let voxels = voxels.as_standard_layout();
    rename_into_place(path, ".nii.gz", |beside| {
        // The crate requires [i, j, k] and stores i fastest.
        WriterOptions::new(beside)
            .reference_header(&header)
            .write_nifti(&voxels.view().reversed_axes())
            // The crate would print the system's errors in Rust's debug form.
            .map_err(|e| match e {
                NiftiError::Io(e) => e,
                other => std::io::Error::other(other.to_string()),
            })
    })
}

/// Geometry and description of a grid.
fn header(grid: &Grid, description: &str) -> Result<NiftiHeader> {
    let lps = grid.affine().ok_or_else(|| {
        Error::Unsupported(
            "T1C's slices are unevenly spaced, expected even spacing, as NIfTI has one affine for \
             all slices. Use the RT Structure Set, or resample T1C first"
                .into(),
        )
    })?;
    let affine = ras_to_lps(lps);
    let column = |c: usize| [affine[0][c], affine[1][c], affine[2][c]];
    let row = |r: usize| affine[r].map(|v| v as f32);
    let lengths = [0, 1, 2].map(|c| norm(column(c)));
    let mut header = NiftiHeader {
        sform_code: 1,
        srow_x: row(0),
        srow_y: row(1),
        srow_z: row(2),
        // Millimetres.
        xyzt_units: 2,
        ..NiftiHeader::default()
    };
    let mut text: Vec<u8> = description.bytes().take(79).collect();
    text.resize(80, 0);
    header.descrip = text;
    header.pixdim =
        [1.0, lengths[0] as f32, lengths[1] as f32, lengths[2] as f32, 0.0, 0.0, 0.0, 0.0];
    let unit = [0, 1, 2].map(|c| scale(column(c), 1.0 / lengths[c]));
    if [(0, 1), (0, 2), (1, 2)].iter().all(|(a, b)| dot(unit[*a], unit[*b]).abs() < 1e-5) {
        let left_handed = dot(cross(unit[0], unit[1]), unit[2]) < 0.0;
        let third = if left_handed { scale(unit[2], -1.0) } else { unit[2] };
        let [_, b, c, d] = quaternion([unit[0], unit[1], third]);
        header.qform_code = 1;
        header.quatern_b = b as f32;
        header.quatern_c = c as f32;
        header.quatern_d = d as f32;
        (header.quatern_x, header.quatern_y, header.quatern_z) =
            (affine[0][3] as f32, affine[1][3] as f32, affine[2][3] as f32);
        header.pixdim[0] = if left_handed { -1.0 } else { 1.0 };
    }
    Ok(header)
}

/// Quaternion (a, b, c, d) with a >= 0 of a rotation given by its columns.
fn quaternion([x, y, z]: [[f64; 3]; 3]) -> [f64; 4] {
    // Four times each squared component; the largest is safe to divide by.
    let squares = [
        1.0 + x[0] + y[1] + z[2],
        1.0 + x[0] - y[1] - z[2],
        1.0 - x[0] + y[1] - z[2],
        1.0 - x[0] - y[1] + z[2],
    ];
    let largest = (1..4).fold(0, |best, at| if squares[at] > squares[best] { at } else { best });
    let s = 2.0 * squares[largest].max(0.0).sqrt();
    let q = match largest {
        0 => [s / 4.0, (y[2] - z[1]) / s, (z[0] - x[2]) / s, (x[1] - y[0]) / s],
        1 => [(y[2] - z[1]) / s, s / 4.0, (y[0] + x[1]) / s, (z[0] + x[2]) / s],
        2 => [(z[0] - x[2]) / s, (y[0] + x[1]) / s, s / 4.0, (z[1] + y[2]) / s],
        _ => [(x[1] - y[0]) / s, (z[0] + x[2]) / s, (z[1] + y[2]) / s, s / 4.0],
    };
    if q[0] < 0.0 { q.map(|v| -v) } else { q }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The rotation of a quaternion (NIfTI-1 standard, method 2).
    fn rotation([a, b, c, d]: [f64; 4]) -> [[f64; 3]; 3] {
        let r = [
            [a * a + b * b - c * c - d * d, 2.0 * (b * c - a * d), 2.0 * (b * d + a * c)],
            [2.0 * (b * c + a * d), a * a + c * c - b * b - d * d, 2.0 * (c * d - a * b)],
            [2.0 * (b * d - a * c), 2.0 * (c * d + a * b), a * a + d * d - b * b - c * c],
        ];
        [0, 1, 2].map(|c| [r[0][c], r[1][c], r[2][c]])
    }

    #[test]
    fn quaternions_come_back_as_their_rotation() {
        let mut seed = 1u64;
        let mut random = || {
            seed = seed.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
            (seed >> 33) as f64 / (1u64 << 31) as f64 - 0.5
        };
        let mut cases = vec![
            [1.0, 0.0, 0.0, 0.0],
            [0.0, 1.0, 0.0, 0.0],
            [0.0, 0.0, 1.0, 0.0],
            [0.0, 0.0, 0.0, 1.0],
        ];
        cases.extend((0..200).map(|_| [random(), random(), random(), random()]));
        for q in cases {
            let n = q.iter().map(|v| v * v).sum::<f64>().sqrt();
            let columns = rotation(q.map(|v| v / n));
            let back = rotation(quaternion(columns));
            for (a, b) in columns.as_flattened().iter().zip(back.as_flattened()) {
                assert!((a - b).abs() < 1e-9, "{q:?}");
            }
        }
    }
}
