//! A segmentation handle: mask and probability on T1C's grid.

use std::sync::Arc;
use std::time::Instant;

use crate::detect::Detection;
use crate::engine::Engine;
use crate::error::{Error, Result};
use crate::ffi::arguments::{arguments, versioned};
use crate::ffi::boundary::{Handle, call, guarded, quiet};
use crate::ffi::detection::nasoseg_detection;
use crate::ffi::engine::nasoseg_engine;
use crate::ffi::error::nasoseg_error;
use crate::ffi::options::{Options, nasoseg_options};
use crate::ffi::run::{nasoseg_run, with};
use crate::ffi::slice_status::bits;
use crate::ffi::study::{self, nasoseg_study};
use crate::segment::Segmentation;
use crate::study::Study;

/// Mask and probability on T1C's own grid, with statistics and all that its files require (model,
/// hash, edited boxes, device). It never changes: any number of threads may read it at once.
#[allow(non_camel_case_types)]
pub struct nasoseg_segmentation {
    pub(crate) handle: Handle<Segmentation>,
    pub(crate) study: Arc<Study>,
    pub(crate) engine: Arc<Engine>,
    /// The boxes that it was made from.
    pub(crate) detection: Detection,
    /// Of detection and segmentation.
    pub(crate) seconds: [f64; 2],
}
guarded!(nasoseg_segmentation);

/// The arrays of a segmentation, in T1C's storage order: i fastest, then j, then k, without gaps.
/// Borrowed: valid until the segmentation is freed. Later versions may append fields.
#[repr(C)]
#[allow(non_camel_case_types)]
#[derive(Debug, Clone, Copy)]
pub struct nasoseg_segmentation_view {
    /// Size of the struct in bytes, set by the side that allocates it.
    pub struct_size: usize,
    /// Voxels along i, j and k.
    pub size: [usize; 3],
    /// size[0] * size[1] * size[2] bytes: 1 where the probability is at least the threshold, else
    /// 0.
    pub mask: *const u8,
    /// As many numbers in 0 .. 1; 0 where no slice was segmented.
    pub probability: *const f32,
    /// The model's threshold.
    pub threshold: f32,
    /// Volume of the mask, mm3.
    pub volume_mm3: f64,
    /// Row-major 4 x 4 matrix from (i, j, k, 1) to LPS mm, for voxel centres; all 0 if the slices
    /// are unevenly spaced (see `origins`).
    pub affine: [f64; 16],
    /// Centre of voxel (0, 0, k) for every k, LPS mm: 3 * size[2] numbers.
    pub origins: *const f64,
    /// Step from voxel to voxel along i, LPS mm.
    pub axis_i: [f64; 3],
    /// Step from voxel to voxel along j, LPS mm.
    pub axis_j: [f64; 3],
    /// Whether the caller replaced or cleared a box.
    pub edited: bool,
}
versioned!(nasoseg_segmentation_view);

/// One slice of a segmentation. Later versions may append fields.
#[repr(C)]
#[allow(non_camel_case_types)]
#[derive(Debug, Clone, Copy)]
pub struct nasoseg_segmentation_slice {
    /// Size of the struct in bytes, set by the side that allocates it.
    pub struct_size: usize,
    /// Canonical number: 0-based, from inferior to superior.
    pub slice: usize,
    /// Index along the storage axis along which canonical slices are stacked, inferior to superior
    /// or the reverse: k for DICOM and for any image stored axially. SIZE_MAX if T1C was
    /// resliced.
    pub storage_slice: usize,
    /// z (LPS, mm) of the slice's centre.
    pub position_mm: f64,
    /// Bits of nasoseg_slice_status, of detection and segmentation.
    pub statuses: u32,
    /// Pixels of the mask; of the axial slice, if T1C was resliced.
    pub pixels: usize,
    /// Area of the mask, mm2.
    pub area_mm2: f64,
}
versioned!(nasoseg_segmentation_slice);

impl nasoseg_segmentation {
    /// The arrays and their geometry, as the header describes them.
    fn view(&self) -> Result<nasoseg_segmentation_view> {
        let s = &self.handle.value;
        let grid = self.study.reference().grid();
        let contiguous = || Error::Internal("the result is not contiguous".into());
        let mut affine = [0.0; 16];
        if let Some(matrix) = grid.affine() {
            affine.copy_from_slice(matrix.as_flattened());
        }
        Ok(nasoseg_segmentation_view {
            struct_size: size_of::<nasoseg_segmentation_view>(),
            size: grid.size(),
            mask: s.mask.as_slice().ok_or_else(contiguous)?.as_ptr(),
            probability: s.probability.as_slice().ok_or_else(contiguous)?.as_ptr(),
            threshold: s.threshold,
            volume_mm3: s.volume_mm3,
            affine,
            origins: grid.origins().as_flattened().as_ptr(),
            axis_i: grid.axis_i(),
            axis_j: grid.axis_j(),
            edited: s.edited,
        })
    }
}

/// Stage two (section 3.2 of the paper): segments every slice of the detection that has a box. Free
/// the segmentation with nasoseg_segmentation_free. The study and engine must be those that made
/// the detection; otherwise, or if a sequence was set since, the call fails with
/// NASOSEG_ERROR_ARGUMENT. Options: none. Progress: prepare, segment.
///
/// # Safety
/// `engine`, `study` and `detection` are live handles; `options` and `run` are NULL or live;
/// `segmentation` points to writable memory; `error` is NULL or does.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn nasoseg_segment(
    engine: *const nasoseg_engine,
    study: *const nasoseg_study,
    detection: *const nasoseg_detection,
    options: *const nasoseg_options,
    run: *const nasoseg_run,
    segmentation: *mut *mut nasoseg_segmentation,
    error: *mut *mut nasoseg_error,
) -> u32 {
    arguments!(engine: Ref, study: Ref, detection: Ref, options: Ref, run: Ref);
    arguments!(segmentation: Out, error: Out);
    call(error, &[&engine, &study, &detection], || {
        let engine: &nasoseg_engine = engine.required()?;
        let (study, detection) = (study.required()?, detection.required()?);
        let place = segmentation.required()?;
        let options = Options::of(options);
        with(run, |run| {
            let aligned = study::as_it_is(study, &options, run)?;
            let engine = engine.handle.value.clone();
            if !Arc::ptr_eq(&aligned, &detection.study) || !Arc::ptr_eq(&engine, &detection.engine)
            {
                return Err(Error::Argument(
                    "the detection was made from another study or engine, or a sequence was set \
                     since. Detect again, then segment"
                        .into(),
                ));
            }
            let start = Instant::now();
            let boxes = detection.read().clone();
            let found = engine.segment(&aligned, &boxes, run)?;
            place.put(nasoseg_segmentation {
                handle: Handle::new(found),
                study: aligned,
                engine,
                detection: boxes,
                seconds: [detection.seconds, start.elapsed().as_secs_f64()],
            });
            Ok(())
        })
    })
}

/// Frees a segmentation. NULL is legal. Contours made from it stay usable.
///
/// # Safety
/// `segmentation` is NULL or a live handle, not used afterwards.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn nasoseg_segmentation_free(segmentation: *mut nasoseg_segmentation) {
    arguments!(segmentation: Owned);
    drop(segmentation);
}

/// Returns a view of the arrays of a segmentation.
///
/// # Safety
/// `segmentation` is a live handle; `view` points to a struct whose struct_size is set; `error` is
/// NULL or writable.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn nasoseg_segmentation_get_view(
    segmentation: *const nasoseg_segmentation,
    view: *mut nasoseg_segmentation_view,
    error: *mut *mut nasoseg_error,
) -> u32 {
    arguments!(segmentation: Ref, view: Fill, error: Out);
    call(error, &[&segmentation], || view.fill(segmentation.required()?.view()?))
}

/// Number of slices of a segmentation. 0 for NULL.
///
/// # Safety
/// `segmentation` is NULL or a live handle.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn nasoseg_segmentation_slice_count(
    segmentation: *const nasoseg_segmentation,
) -> usize {
    arguments!(segmentation: Ref);
    quiet(0, || segmentation.optional().map(|s| s.handle.value.slices.len()))
}

/// Describes slice `index`, 0 to count - 1, in canonical order.
///
/// # Safety
/// `segmentation` is a live handle; `slice` points to a struct whose struct_size is set; `error` is
/// NULL or writable.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn nasoseg_segmentation_get_slice(
    segmentation: *const nasoseg_segmentation,
    index: usize,
    slice: *mut nasoseg_segmentation_slice,
    error: *mut *mut nasoseg_error,
) -> u32 {
    arguments!(segmentation: Ref, slice: Fill, error: Out);
    call(error, &[&segmentation], || {
        let slices = &segmentation.required()?.handle.value.slices;
        let entry = slices.get(index).ok_or_else(|| {
            Error::Argument(format!(
                "slice index: found {index}, expected one below the segmentation's number of \
                 slices, {}. Ask nasoseg_segmentation_slice_count first",
                slices.len()
            ))
        })?;
        slice.fill(nasoseg_segmentation_slice {
            struct_size: size_of::<nasoseg_segmentation_slice>(),
            slice: entry.info.slice,
            storage_slice: entry.info.storage_slice.unwrap_or(usize::MAX),
            position_mm: entry.info.position_mm,
            statuses: bits(&entry.statuses),
            pixels: entry.pixels,
            area_mm2: entry.area_mm2,
        })
    })
}
