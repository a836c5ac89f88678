//! Memory for whole volumes.
//!
//! In: a size. Out: zeroed arrays, or reserved vectors, that the system is asked to back with large
//! pages: faulting in 32 MB page by page takes longer than the work on them. If the system refuses,
//! nothing changes.

use std::mem::MaybeUninit;

use ndarray::{Array, Dimension, ShapeBuilder};

/// Smallest size (bytes) for which large pages are requested; one has 2 MB on most machines.
const LARGE: usize = 4 << 20;

/// An array of default values (0, or `false`).
pub(crate) fn zeros<T: Clone + Default, D: Dimension>(
    shape: impl ShapeBuilder<Dim = D>,
) -> Array<T, D> {
    // Memory of this size comes from the system zeroed, with no page touched.
    let mut array = Array::from_elem(shape, T::default());
    if let Some(memory) = array.as_slice_memory_order_mut() {
        ask_large_pages(memory.as_mut_ptr().cast(), size_of_val(memory));
    }
    array
}

/// An empty vector with room for exactly `length` values.
///
/// # Errors
/// If there is not enough memory.
pub(crate) fn reserve<T>(length: usize) -> Result<Vec<T>, std::collections::TryReserveError> {
    let mut vector: Vec<T> = Vec::new();
    vector.try_reserve_exact(length)?;
    let room: &mut [MaybeUninit<T>] = vector.spare_capacity_mut();
    ask_large_pages(room.as_mut_ptr().cast(), size_of_val(room));
    Ok(vector)
}

#[cfg(target_os = "linux")]
fn ask_large_pages(start: *mut libc::c_void, bytes: usize) {
    if bytes < LARGE {
        return;
    }
    // SAFETY: a query without preconditions.
    let page = usize::try_from(unsafe { libc::sysconf(libc::_SC_PAGESIZE) }).unwrap_or(4096);
    let skip = start.align_offset(page);
    if let Some(rest) = bytes.checked_sub(skip) {
        let first = start.cast::<u8>().wrapping_add(skip).cast();
        // SAFETY: whole pages of one live allocation; the advice changes no contents. A refusal
        // changes nothing, and is no failure.
        unsafe { libc::madvise(first, rest / page * page, libc::MADV_HUGEPAGE) };
    }
}

#[cfg(not(target_os = "linux"))]
fn ask_large_pages(_: *mut libc::c_void, _: usize) {}

#[cfg(test)]
mod tests {
    use super::*;
    use ndarray::Array2;

    #[test]
    fn large_and_small_memory_is_usable() {
        for n in [0, 3, 2000] {
            let mut array: Array2<f32> = zeros((n, n));
            assert!(array.iter().all(|v| *v == 0.0));
            array.fill(1.0);
            let mut vector = reserve::<f32>(n * n).unwrap();
            assert!(vector.is_empty() && vector.capacity() >= n * n);
            vector.extend(array.iter());
            assert_eq!(vector.len(), n * n);
        }
        assert!(reserve::<f32>(usize::MAX).is_err());
    }
}
