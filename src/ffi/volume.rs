//! Volumes in the caller's memory.

use std::ffi::c_void;

use crate::error::{Error, Result};
use crate::ffi::voxels::{View, Voxels};
use crate::formats::ras::{ras_point_to_lps, ras_to_lps};
use crate::geometry::Grid;
use crate::volume::{Source, Volume};

/// Type of a voxel, in the machine's byte order.
#[repr(C)]
#[allow(non_camel_case_types, dead_code)]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum nasoseg_element {
    /// uint8_t.
    NASOSEG_ELEMENT_UINT8 = 0,
    /// int8_t.
    NASOSEG_ELEMENT_INT8 = 1,
    /// uint16_t.
    NASOSEG_ELEMENT_UINT16 = 2,
    /// int16_t.
    NASOSEG_ELEMENT_INT16 = 3,
    /// uint32_t.
    NASOSEG_ELEMENT_UINT32 = 4,
    /// int32_t.
    NASOSEG_ELEMENT_INT32 = 5,
    /// float.
    NASOSEG_ELEMENT_FLOAT32 = 6,
    /// double.
    NASOSEG_ELEMENT_FLOAT64 = 7,
}

/// The patient axes that an affine maps to.
#[repr(C)]
#[allow(non_camel_case_types, dead_code)]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum nasoseg_axes {
    /// x to the patient's left, y to the back, z to the head: DICOM, ITK and this library.
    NASOSEG_AXES_LPS = 0,
    /// x to the patient's right, y to the front, z to the head: NIfTI and 3D Slicer.
    NASOSEG_AXES_RAS = 1,
}

/// A view of a volume in the caller's memory: any strides, C or Fortran order, flipped or not. The
/// library copies the voxels and never writes to them. Zero the struct and set `struct_size` to
/// sizeof(nasoseg_volume_view) before filling it in.
#[repr(C)]
#[allow(non_camel_case_types)]
#[derive(Debug, Clone, Copy)]
pub struct nasoseg_volume_view {
    /// Size of the struct in bytes, set by the side that allocates it.
    pub struct_size: usize,
    /// Address of voxel (0, 0, 0).
    pub data: *const c_void,
    /// A nasoseg_element.
    pub element: u32,
    /// A nasoseg_axes: the patient axes of `affine` and `origins`.
    pub axes: u32,
    /// Voxels along i, j and k. In DICOM i runs along a row, j along a column and k over slices.
    pub size: [usize; 3],
    /// Bytes from one voxel to the next along i, j and k; may be negative.
    pub stride: [i64; 3],
    /// Row-major 4 x 4 matrix from (i, j, k, 1) to mm, for voxel centres.
    pub affine: [f64; 16],
    /// NULL, or, for unevenly spaced slices, the centre of voxel (0, 0, k) for every k: 3 * size[2]
    /// numbers, mm. Then only the first two columns of `affine` are used.
    pub origins: *const f64,
}

/// Copies a view into a volume.
pub(crate) fn copy(view: &View<'_>, name: &str) -> Result<Volume> {
    let wrong = |what: String| Error::Argument(format!("{name}: {what}"));
    let voxels = view.read().map_err(wrong)?;
    let view = voxels.view();
    let ras = match view.axes {
        0 => false,
        1 => true,
        other => {
            return Err(wrong(format!(
                "found axes {other}, expected NASOSEG_AXES_LPS (0) or NASOSEG_AXES_RAS (1). Set \
                 axes to one of them"
            )));
        }
    };
    let grid = grid(&voxels, ras).map_err(|e| wrong(e.to_string()))?;
    let array = voxels.numbers().map_err(|e| wrong(e.to_string()))?;
    Volume::new(array, grid, Source::Memory, name)
}

fn grid(voxels: &Voxels<'_>, ras: bool) -> Result<Grid> {
    let view = voxels.view();
    let a = &view.affine;
    let mut affine: [[f64; 4]; 4] = std::array::from_fn(|r| std::array::from_fn(|c| a[4 * r + c]));
    let origins = voxels.origins()?;
    if origins.is_none() && affine[3] != [0.0, 0.0, 0.0, 1.0] {
        return Err(Error::Argument(format!(
            "the affine's last row: found {:?}, expected 0, 0, 0, 1 (row-major). Transpose a \
             column-major matrix",
            affine[3]
        )));
    }
    if ras {
        affine = ras_to_lps(affine);
    }
    let Some(origins) = origins else {
        return Grid::from_affine(view.size, &affine);
    };
    let origins = origins
        .chunks_exact(3)
        .map(|p| if ras { ras_point_to_lps([p[0], p[1], p[2]]) } else { [p[0], p[1], p[2]] })
        .collect();
    let column = |c: usize| [affine[0][c], affine[1][c], affine[2][c]];
    Grid::new(view.size, column(0), column(1), origins)
}
