//! A contours handle: closed polygons on the slice planes.

use std::sync::Arc;

use crate::contour::Contours;
use crate::contour::{ContourOptions, contour};
use crate::error::Error;
use crate::ffi::boundary::{Handle, borrow, call, clear, fill, guarded, place, quiet};
use crate::ffi::error::nasoseg_error;
use crate::ffi::options::{Options, nasoseg_options};
use crate::ffi::run::{nasoseg_run, with};
use crate::ffi::segmentation::nasoseg_segmentation;
use crate::study::Study;

/// The outlines of a segmentation. They never change: safe to read from many threads at once. They
/// carry what writing an RT Structure Set needs.
#[allow(non_camel_case_types)]
pub struct nasoseg_contours {
    pub(crate) handle: Handle<Contours>,
    pub(crate) study: Arc<Study>,
}

/// One closed line on one slice; the last point joins the first and is not repeated. Seen in the
/// plane with i to the right and j upwards, outer lines run counter-clockwise and holes clockwise.
/// Borrowed: valid until the contours are freed. Later versions may append fields.
#[repr(C)]
#[allow(non_camel_case_types)]
#[derive(Debug, Clone, Copy)]
pub struct nasoseg_contour_line {
    /// sizeof(nasoseg_contour_line) of the caller.
    pub struct_size: usize,
    /// Index along T1C's storage slice axis (of the canonical axial slices, where T1C's storage is
    /// not axial).
    pub storage_slice: usize,
    /// Number of points.
    pub point_count: usize,
    /// 3 * `point_count` numbers: x, y, z, LPS mm, on the slice's plane.
    pub points_mm: *const f64,
    /// 2 * `point_count` numbers: continuous voxel indices (i, j).
    pub points_index: *const f64,
    /// Bounds a hole of the region rather than the region.
    pub is_hole: bool,
    /// For a hole: index of the outer line around it. SIZE_MAX otherwise.
    pub parent: usize,
    /// Area inside the line, mm2; holes not subtracted.
    pub area_mm2: f64,
}

/// Outlines a segmentation. Free the contours with nasoseg_contours_free. Options: contour_kind.
/// Progress: contour.
///
/// # Safety
/// `segmentation` is a live handle; `options` and `run` are NULL or live; `contours` points to
/// writable memory; `error` is NULL or does.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn nasoseg_contour(
    segmentation: *const nasoseg_segmentation,
    options: *const nasoseg_options,
    run: *const nasoseg_run,
    contours: *mut *mut nasoseg_contours,
    error: *mut *mut nasoseg_error,
) -> u32 {
    // SAFETY: the caller's promise.
    unsafe {
        clear(contours);
        call(error, &[guarded!(segmentation)], || {
            let source = borrow(segmentation, "segmentation")?;
            let out = place(contours, "contours")?;
            let options = Options::of(options);
            with(run, |run| {
                let kind = ContourOptions { kind: options.contour_kind };
                let found = contour(&source.study, &source.handle.value, &kind, run)?;
                *out = Box::into_raw(Box::new(nasoseg_contours {
                    handle: Handle::new(found),
                    study: source.study.clone(),
                }));
                Ok(())
            })
        })
    }
}

/// Frees contours. NULL is legal.
///
/// # Safety
/// `contours` is NULL or a live handle, not used afterwards.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn nasoseg_contours_free(contours: *mut nasoseg_contours) {
    if !contours.is_null() {
        // SAFETY: the caller's promise.
        drop(unsafe { Box::from_raw(contours) });
    }
}

/// Number of lines: ordered by storage slice, every outer line followed by its holes. 0 for NULL.
///
/// # Safety
/// `contours` is NULL or a live handle.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn nasoseg_contours_count(contours: *const nasoseg_contours) -> usize {
    // SAFETY: the caller's promise.
    quiet(0, || unsafe { contours.as_ref() }.map(|c| c.handle.value.len()))
}

/// Lends line `index`, 0 to count - 1.
///
/// # Safety
/// `contours` is a live handle; `line` points to a struct whose struct_size is set; `error` is NULL
/// or writable.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn nasoseg_contours_get_line(
    contours: *const nasoseg_contours,
    index: usize,
    line: *mut nasoseg_contour_line,
    error: *mut *mut nasoseg_error,
) -> u32 {
    // SAFETY: the caller's promise.
    unsafe {
        call(error, &[guarded!(contours)], || {
            let all = borrow(contours, "contours")?.handle.value.all();
            let c = all.get(index).ok_or_else(|| {
                Error::Argument(format!("line index {index}: there are {} lines", all.len()))
            })?;
            let size = size_of::<nasoseg_contour_line>();
            let value = nasoseg_contour_line {
                struct_size: size,
                storage_slice: c.slice,
                point_count: c.points.len(),
                points_mm: c.points.as_flattened().as_ptr(),
                points_index: c.indices.as_flattened().as_ptr(),
                is_hole: c.hole,
                parent: c.parent.unwrap_or(usize::MAX),
                area_mm2: c.area_mm2,
            };
            fill(line, value, size, "line")
        })
    }
}
