//! Voxels in the caller's memory, at any strides.

use std::marker::PhantomData;

use bytemuck::AnyBitPattern;
use ndarray::Array3;
use rayon::prelude::*;

use crate::error::{Error, Result};
use crate::ffi::arguments::elements;
use crate::ffi::volume::nasoseg_volume_view;
use crate::memory;

/// Largest number of voxels of a view, and of slices, whose origins are kept one by one: an absurd
/// size is an error rather than an allocation.
const MOST_VOXELS: usize = 1 << 31;
const MOST_SLICES: usize = 1 << 16;

/// A view as an argument; nothing of it has been read.
pub struct View<'a> {
    pointer: *const nasoseg_volume_view,
    _call: PhantomData<&'a nasoseg_volume_view>,
}

impl<'a> View<'a> {
    /// # Safety
    /// `pointer` is null, or aligned and points to an initialised `struct_size` and to as many
    /// initialised bytes, this field included. During 'a, whatever the struct's sizes, strides and
    /// element describe at `data` is readable and unchanged, and `origins` is null or holds
    /// 3 * size[2] numbers.
    pub unsafe fn from_c(pointer: &'a *const nasoseg_volume_view, _name: &'static str) -> Self {
        View { pointer: *pointer, _call: PhantomData }
    }

    /// The view, if its size is right and its extent possible.
    pub fn read(&self) -> std::result::Result<Voxels<'a>, String> {
        if self.pointer.is_null() {
            return Err("found NULL, expected a nasoseg_volume_view. Pass its address".into());
        }
        // SAFETY: not null; `from_c` requires an initialised `struct_size`, which comes first.
        let size = unsafe { self.pointer.cast::<usize>().read() };
        if size < size_of::<nasoseg_volume_view>() || size > 1 << 16 {
            return Err(format!(
                "found struct_size {size}, expected sizeof(nasoseg_volume_view), {}. Set it before \
                 the call",
                size_of::<nasoseg_volume_view>()
            ));
        }
        // SAFETY: the struct has `size` initialised bytes, as `from_c` requires, and all of a view
        // is among them.
        let view = unsafe { self.pointer.read() };
        check_extent(&view)?;
        Ok(Voxels { view, _call: PhantomData })
    }
}

/// There are voxels, not too many, and the address of each is representable.
fn check_extent(view: &nasoseg_volume_view) -> std::result::Result<(), String> {
    if view.data.is_null() {
        return Err(
            "data: found NULL, expected the address of voxel (0, 0, 0). Set data to it".into()
        );
    }
    let [ni, nj, nk] = view.size;
    let voxels = ni
        .checked_mul(nj)
        .and_then(|n| n.checked_mul(nk))
        .filter(|n| (1..=MOST_VOXELS).contains(n) && nk <= MOST_SLICES);
    let reach = view.size.iter().zip(view.stride).try_fold(0i128, |sum, (n, stride)| {
        let far = (*n as i128 - 1).checked_mul(i128::from(stride).abs())?;
        sum.checked_add(far).filter(|s| *s <= isize::MAX as i128 - 8)
    });
    if voxels.is_none() || reach.is_none() {
        return Err(format!(
            "found size {ni} x {nj} x {nk} with strides {:?}, expected sizes of at least 1, at \
             most 65536 slices, at most 2^31 voxels in total and addresses that memory can have. \
             Correct size and stride, which is in bytes",
            view.stride
        ));
    }
    Ok(())
}

/// A view of possible extent, and the memory that it describes.
pub struct Voxels<'a> {
    view: nasoseg_volume_view,
    _call: PhantomData<&'a [u8]>,
}

impl<'a> Voxels<'a> {
    pub fn view(&self) -> &nasoseg_volume_view {
        &self.view
    }

    /// x, y, z of every slice's origin, if the caller gave them.
    pub fn origins(&self) -> Result<Option<&'a [f64]>> {
        let (pointer, slices) = (self.view.origins, self.view.size[2]);
        if pointer.is_null() {
            return Ok(None);
        }
        // SAFETY: `View::from_c` requires 3 * size[2] numbers, and `check_extent` bounds size[2].
        unsafe { elements(pointer, 3 * slices, "origins") }.map(Some)
    }

    /// The voxels [k, j, i] as numbers.
    pub fn numbers(&self) -> Result<Array3<f32>> {
        match self.view.element {
            0 => self.gather(|v: u8| f32::from(v)),
            1 => self.gather(|v: i8| f32::from(v)),
            2 => self.gather(|v: u16| f32::from(v)),
            3 => self.gather(|v: i16| f32::from(v)),
            4 => self.gather(|v: u32| v as f32),
            5 => self.gather(|v: i32| v as f32),
            6 => self.gather(|v: f32| v),
            7 => self.gather(|v: f64| v as f32),
            other => Err(Error::Argument(format!(
                "found element {other}, expected a nasoseg_element, 0 to 7. Set element to one of \
                 its constants"
            ))),
        }
    }

    /// The voxels [k, j, i], read as the type that `element` stands for.
    fn gather<T: AnyBitPattern>(&self, convert: impl Fn(T) -> f32 + Sync) -> Result<Array3<f32>> {
        let [ni, nj, nk] = self.view.size;
        let stride = self.view.stride.map(|s| s as isize);
        let step = size_of::<T>() as isize;
        let base = Base(self.view.data.cast());
        // Too little memory is an error; the usual allocation would end the caller's process.
        let mut voxels: Vec<f32> = memory::reserve(nk * nj * ni).map_err(|e| {
            Error::Argument(format!(
                "{ni} x {nj} x {nk} voxels do not fit into memory: {e}. Free memory or pass a \
                 smaller volume"
            ))
        })?;
        // SAFETY: an unaligned read, and any bits are a T. The address is that of a voxel of the
        // view (`check_extent`: it is representable), which `View::from_c` requires to be readable.
        let at = |address: *const u8| convert(unsafe { address.cast::<T>().read_unaligned() });
        let room = &mut voxels.spare_capacity_mut()[..nk * nj * ni];
        room.par_chunks_exact_mut(nj * ni).enumerate().for_each(|(k, plane)| {
            let base = &base;
            for (j, row) in plane.chunks_exact_mut(ni).enumerate() {
                // Addresses rather than in-bounds pointer arithmetic: with a negative stride `data`
                // is not the beginning of the buffer.
                let start = base.0.wrapping_offset(stride[1] * j as isize + stride[2] * k as isize);
                let voxels = row.iter_mut().enumerate();
                // The usual case, with a step that the compiler knows: it then reads many voxels at
                // once.
                if stride[0] == step {
                    voxels.for_each(|(i, voxel)| {
                        _ = voxel.write(at(start.wrapping_offset(step * i as isize)))
                    });
                } else {
                    voxels.for_each(|(i, voxel)| {
                        _ = voxel.write(at(start.wrapping_offset(stride[0] * i as isize)))
                    });
                }
            }
        });
        // SAFETY: the capacity is at least this, and the loops have written every voxel.
        unsafe { voxels.set_len(nk * nj * ni) };
        Array3::from_shape_vec((nk, nj, ni), voxels).map_err(|e| Error::Internal(e.to_string()))
    }
}

/// The address of voxel (0, 0, 0), for many threads.
struct Base(*const u8);

// SAFETY: the memory behind it is only read, and unchanged during the call (`View::from_c`).
unsafe impl Sync for Base {}
