//! Volumes in the caller's memory.

use std::ffi::c_void;

use ndarray::Array3;
use rayon::prelude::*;

use crate::error::{Error, Result};
use crate::formats::ras::{ras_point_to_lps, ras_to_lps};
use crate::geometry::Grid;
use crate::memory;
use crate::volume::{Source, Volume};

/// Type of a voxel, in the machine's own byte order.
#[repr(C)]
#[allow(non_camel_case_types, dead_code)]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum nasoseg_element {
    NASOSEG_ELEMENT_UINT8 = 0,
    NASOSEG_ELEMENT_INT8 = 1,
    NASOSEG_ELEMENT_UINT16 = 2,
    NASOSEG_ELEMENT_INT16 = 3,
    NASOSEG_ELEMENT_UINT32 = 4,
    NASOSEG_ELEMENT_INT32 = 5,
    NASOSEG_ELEMENT_FLOAT32 = 6,
    NASOSEG_ELEMENT_FLOAT64 = 7,
}

/// The patient axes that an affine maps to.
#[repr(C)]
#[allow(non_camel_case_types, dead_code)]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum nasoseg_axes {
    /// x to the patient's left, y to the back, z to the head: DICOM, ITK, this library.
    NASOSEG_AXES_LPS = 0,
    /// x to the patient's right, y to the front, z to the head: NIfTI, 3D Slicer.
    NASOSEG_AXES_RAS = 1,
}

/// A view of a volume in the caller's memory: any strides, C or Fortran order, flipped or not. The
/// library copies the voxels and never writes to them. Set `struct_size` to
/// sizeof(nasoseg_volume_view) and the rest to 0 before filling it in.
#[repr(C)]
#[allow(non_camel_case_types)]
#[derive(Debug, Clone, Copy)]
pub struct nasoseg_volume_view {
    /// sizeof(nasoseg_volume_view) of the caller.
    pub struct_size: usize,
    /// Address of voxel (0, 0, 0).
    pub data: *const c_void,
    /// A nasoseg_element.
    pub element: u32,
    /// A nasoseg_axes: what `affine` and `origins` mean.
    pub axes: u32,
    /// Voxels along i, j and k. With DICOM i runs along a row, j along a column, k over slices.
    pub size: [usize; 3],
    /// Bytes from a voxel to the next along i, j and k; may be negative.
    pub stride: [i64; 3],
    /// Row-major 4 x 4 matrix: (i, j, k, 1) to mm, for voxel centres.
    pub affine: [f64; 16],
    /// NULL, or the centre of voxel (0, 0, k) for every k (3 * size[2] numbers, mm): for slices
    /// that are unevenly spaced. Then only the first two columns of `affine` count.
    pub origins: *const f64,
}

/// Largest number of voxels of a view, and of slices, whose origins are kept one by one: a
/// nonsensical size is an error, not memory.
const MOST_VOXELS: usize = 1 << 31;
const MOST_SLICES: usize = 1 << 16;

/// Copies a view into a volume.
///
/// # Safety
/// `view` is a valid struct of at least `struct_size` bytes whose pointers are valid for what its
/// sizes and strides say.
pub(crate) unsafe fn copy(view: *const nasoseg_volume_view, name: &str) -> Result<Volume> {
    let wrong = |what: String| Error::Argument(format!("{name}: {what}"));
    if view.is_null() {
        return Err(wrong("a nasoseg_volume_view was expected, but the pointer is NULL".into()));
    }
    // SAFETY: the caller's promise; the first field is read before the rest is believed.
    let view = unsafe {
        let size = view.cast::<usize>().read();
        if size < size_of::<nasoseg_volume_view>() || size > 1 << 16 {
            return Err(wrong(format!(
                "struct_size is {size}; set it to sizeof(nasoseg_volume_view), {}",
                size_of::<nasoseg_volume_view>()
            )));
        }
        view.read()
    };
    if view.data.is_null() {
        return Err(wrong("data is NULL".into()));
    }
    let [ni, nj, nk] = view.size;
    let voxels = ni
        .checked_mul(nj)
        .and_then(|n| n.checked_mul(nk))
        .filter(|n| (1..=MOST_VOXELS).contains(n) && nk <= MOST_SLICES);
    // The address of the last voxel along each axis must be representable.
    let reach = view.size.iter().zip(view.stride).try_fold(0i128, |sum, (n, stride)| {
        let far = (*n as i128 - 1).checked_mul(i128::from(stride).abs())?;
        sum.checked_add(far).filter(|s| *s <= isize::MAX as i128 - 8)
    });
    if voxels.is_none() || reach.is_none() {
        return Err(wrong(format!(
            "size {ni} x {nj} x {nk} with strides {:?} is not possible; sizes of at least 1, at most 65536 slices and 2^31 voxels in all were expected",
            view.stride
        )));
    }
    let ras = match view.axes {
        0 => false,
        1 => true,
        other => {
            return Err(wrong(format!(
                "axes {other}: NASOSEG_AXES_LPS (0) or NASOSEG_AXES_RAS (1) was expected"
            )));
        }
    };
    let grid = grid(&view, ras).map_err(|e| wrong(e.to_string()))?;
    let data = view.data.cast::<u8>();
    // SAFETY: strides and sizes were checked; the caller promises that they describe readable
    // memory.
    let array = unsafe {
        match view.element {
            0 => gather::<1>(data, &view, |p| f32::from(p.read())),
            1 => gather::<1>(data, &view, |p| f32::from(p.cast::<i8>().read())),
            2 => gather::<2>(data, &view, |p| f32::from(p.cast::<u16>().read_unaligned())),
            3 => gather::<2>(data, &view, |p| f32::from(p.cast::<i16>().read_unaligned())),
            4 => gather::<4>(data, &view, |p| p.cast::<u32>().read_unaligned() as f32),
            5 => gather::<4>(data, &view, |p| p.cast::<i32>().read_unaligned() as f32),
            6 => gather::<4>(data, &view, |p| p.cast::<f32>().read_unaligned()),
            7 => gather::<8>(data, &view, |p| p.cast::<f64>().read_unaligned() as f32),
            other => {
                return Err(wrong(format!(
                    "element {other}: a nasoseg_element from 0 to 7 was expected"
                )));
            }
        }
    }
    .map_err(|e| wrong(e.to_string()))?;
    Volume::new(array, grid, Source::Memory, name)
}

fn grid(view: &nasoseg_volume_view, ras: bool) -> Result<Grid> {
    let a = &view.affine;
    let mut affine: [[f64; 4]; 4] = std::array::from_fn(|r| std::array::from_fn(|c| a[4 * r + c]));
    if view.origins.is_null() && affine[3] != [0.0, 0.0, 0.0, 1.0] {
        return Err(Error::Argument(format!(
            "the affine's last row is {:?}; 0, 0, 0, 1 was expected (row major)",
            affine[3]
        )));
    }
    if ras {
        affine = ras_to_lps(affine);
    }
    if view.origins.is_null() {
        return Grid::from_affine(view.size, &affine);
    }
    // SAFETY: the caller's promise: three numbers for every slice.
    let origins = unsafe { std::slice::from_raw_parts(view.origins, 3 * view.size[2]) };
    let origins = origins
        .chunks_exact(3)
        .map(|p| if ras { ras_point_to_lps([p[0], p[1], p[2]]) } else { [p[0], p[1], p[2]] })
        .collect();
    let column = |c: usize| [affine[0][c], affine[1][c], affine[2][c]];
    Grid::new(view.size, column(0), column(1), origins)
}

/// Voxels [k, j, i] by `read` at every address; a voxel takes `BYTES`.
///
/// # Safety
/// Every address that sizes and strides give is readable.
unsafe fn gather<const BYTES: isize>(
    data: *const u8,
    view: &nasoseg_volume_view,
    read: impl Fn(*const u8) -> f32 + Sync,
) -> Result<Array3<f32>> {
    struct Base(*const u8);
    // SAFETY: the memory is only read.
    unsafe impl Sync for Base {}
    let base = Base(data);
    let base = &base;
    let [ni, nj, nk] = view.size;
    let stride = view.stride.map(|s| s as isize);
    // Memory that cannot be had is an error; the usual allocation would end the caller's process.
    let mut voxels: Vec<f32> = memory::reserve(nk * nj * ni).map_err(|e| {
        Error::Argument(format!("{ni} x {nj} x {nk} voxels do not fit into memory: {e}"))
    })?;
    // Addresses, not in-bounds pointer arithmetic: with a negative stride `data` is not the
    // buffer's beginning.
    voxels.spare_capacity_mut()[..nk * nj * ni].par_chunks_exact_mut(nj * ni).enumerate().for_each(
        |(k, plane)| {
            let base: &Base = base;
            for (j, row) in plane.chunks_exact_mut(ni).enumerate() {
                let start = base.0.wrapping_offset(stride[1] * j as isize + stride[2] * k as isize);
                let voxels = row.iter_mut().enumerate();
                // The usual case with a step that the compiler knows: it then reads many voxels at
                // once.
                if stride[0] == BYTES {
                    voxels.for_each(|(i, voxel)| {
                        _ = voxel.write(read(start.wrapping_offset(BYTES * i as isize)))
                    });
                } else {
                    voxels.for_each(|(i, voxel)| {
                        _ = voxel.write(read(start.wrapping_offset(stride[0] * i as isize)))
                    });
                }
            }
        },
    );
    // SAFETY: every voxel was written; the sizes are at least 1.
    unsafe { voxels.set_len(nk * nj * ni) };
    Array3::from_shape_vec((nk, nj, ni), voxels).map_err(|e| Error::Internal(e.to_string()))
}
