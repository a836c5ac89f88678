//! A contours handle: closed rings on the slice planes.

use std::sync::Arc;

use crate::contour::Contours;
use crate::contour::{ContourOptions, contour};
use crate::error::Error;
use crate::ffi::arguments::{arguments, versioned};
use crate::ffi::boundary::{Handle, call, guarded, quiet};
use crate::ffi::error::nasoseg_error;
use crate::ffi::options::{Options, nasoseg_options};
use crate::ffi::run::{nasoseg_run, with};
use crate::ffi::segmentation::nasoseg_segmentation;
use crate::study::Study;

/// The contours of a segmentation, with all that an RT Structure Set of them requires. They never
/// change: any number of threads may read them at once.
#[allow(non_camel_case_types)]
pub struct nasoseg_contours {
    pub(crate) handle: Handle<Contours>,
    pub(crate) study: Arc<Study>,
}
guarded!(nasoseg_contours);

/// One contour: a closed ring on one slice, outer or hole. The last point joins the first and is
/// not repeated. Seen in the plane with i to the right and j upwards, outer contours run
/// counter-clockwise and holes clockwise. Borrowed: valid until the contours are freed. Later
/// versions may append fields.
#[repr(C)]
#[allow(non_camel_case_types)]
#[derive(Debug, Clone, Copy)]
pub struct nasoseg_contour_view {
    /// Size of the struct in bytes, set by the side that allocates it.
    pub struct_size: usize,
    /// Index along T1C's storage slice axis (of the canonical axial slices, if T1C's storage is not
    /// axial).
    pub storage_slice: usize,
    /// Number of points.
    pub point_count: usize,
    /// 3 * `point_count` numbers: x, y, z, LPS mm, on the slice's plane.
    pub points_mm: *const f64,
    /// 2 * `point_count` numbers: continuous voxel indices (i, j). An integer is the centre of a
    /// voxel; the edges of voxel i are at i - 0.5 and i + 0.5.
    pub points_index: *const f64,
    /// Whether this is the boundary of a hole in the region rather than of the region.
    pub is_hole: bool,
    /// For a hole: index of the outer contour around it. SIZE_MAX otherwise.
    pub parent: usize,
    /// Area inside the contour, mm2; holes not subtracted.
    pub area_mm2: f64,
}
versioned!(nasoseg_contour_view);

/// Traces the contours of a segmentation. Free them with nasoseg_contours_free. Options:
/// contour_kind. Progress: contour.
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
    arguments!(segmentation: Ref, options: Ref, run: Ref, contours: Out, error: Out);
    call(error, &[&segmentation], || {
        let source = segmentation.required()?;
        let place = contours.required()?;
        let kind = ContourOptions { kind: Options::of(options).contour_kind };
        with(run, |run| {
            let found = contour(&source.study, &source.handle.value, &kind, run)?;
            let study = source.study.clone();
            place.put(nasoseg_contours { handle: Handle::new(found), study });
            Ok(())
        })
    })
}

/// Frees contours. NULL is legal.
///
/// # Safety
/// `contours` is NULL or a live handle, not used afterwards.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn nasoseg_contours_free(contours: *mut nasoseg_contours) {
    arguments!(contours: Owned);
    drop(contours);
}

/// Number of contours: ordered by storage slice, every outer contour followed by its holes. 0 for
/// NULL.
///
/// # Safety
/// `contours` is NULL or a live handle.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn nasoseg_contours_count(contours: *const nasoseg_contours) -> usize {
    arguments!(contours: Ref);
    quiet(0, || contours.optional().map(|c| c.handle.value.len()))
}

/// Returns a view of contour `index`, 0 to count - 1.
///
/// # Safety
/// `contours` is a live handle; `contour` points to a struct whose struct_size is set; `error` is
/// NULL or writable.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn nasoseg_contours_get(
    contours: *const nasoseg_contours,
    index: usize,
    contour: *mut nasoseg_contour_view,
    error: *mut *mut nasoseg_error,
) -> u32 {
    arguments!(contours: Ref, contour: Fill, error: Out);
    call(error, &[&contours], || {
        let all = contours.required()?.handle.value.all();
        let c = all.get(index).ok_or_else(|| {
            Error::Argument(format!(
                "contour index: found {index}, expected one below the number of contours, {}. Ask \
                 nasoseg_contours_count first",
                all.len()
            ))
        })?;
        contour.fill(nasoseg_contour_view {
            struct_size: size_of::<nasoseg_contour_view>(),
            storage_slice: c.slice,
            point_count: c.points.len(),
            points_mm: c.points.as_flattened().as_ptr(),
            points_index: c.indices.as_flattened().as_ptr(),
            is_hole: c.hole,
            parent: c.parent.unwrap_or(usize::MAX),
            area_mm2: c.area_mm2,
        })
    })
}
