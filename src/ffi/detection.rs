//! A detection handle: a box on every slice. Its trajectories and images are in `trajectory`, its
//! file in `detection_file`.

use std::ffi::{CString, c_char};
use std::sync::{Arc, RwLock, RwLockReadGuard};
use std::time::Instant;

use once_cell::sync::OnceCell;

use crate::detect::{self, BoundingBox, DetectOptions, Detection, SliceDetection};
use crate::engine::Engine;
use crate::error::{Error, Result};
use crate::ffi::arguments::{Out, Ref, arguments, versioned};
use crate::ffi::boundary::{Handle, c_string, call, guarded, quiet};
use crate::ffi::engine::nasoseg_engine;
use crate::ffi::error::nasoseg_error;
use crate::ffi::options::{Options, nasoseg_options};
use crate::ffi::run::{nasoseg_run, with};
use crate::ffi::slice_status::bits;
use crate::ffi::study::{self, nasoseg_study};
use crate::study::{Prepared, Study};

/// A box per slice, editable, with the agent's trajectories. Any number of threads may read a
/// detection at once; nasoseg_detection_set_box and nasoseg_detection_clear_box require exclusive
/// access during the call.
#[allow(non_camel_case_types)]
pub struct nasoseg_detection {
    pub(crate) handle: Handle<RwLock<Detection>>,
    /// The study and engine that made it.
    pub(crate) study: Arc<Study>,
    pub(crate) engine: Arc<Engine>,
    pub(crate) seconds: f64,
    /// Per slice, as C reads it.
    flat: Vec<Flat>,
    /// The model's input, once a caller has asked for it: kept, since C holds views of it.
    pub(super) prepared: OnceCell<Arc<Prepared>>,
}
guarded!(nasoseg_detection);

/// What getters return views of, for one slice. It never changes.
pub(super) struct Flat {
    sop_instance_uid: CString,
    pub actions: Vec<u32>,
    pub boxes: Vec<f64>,
    pub q: Vec<f32>,
}

/// A box in edge coordinates of the model's grid: pixel n reaches from n to n + 1 and its centre is
/// at n + 0.5. x counts columns, from patient right to left; y counts rows, from anterior to
/// posterior.
#[repr(C)]
#[allow(non_camel_case_types)]
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct nasoseg_bounding_box {
    /// Smaller x: the edge towards the patient's right.
    pub x0: f64,
    /// Smaller y: the anterior edge.
    pub y0: f64,
    /// Larger x: the edge towards the patient's left.
    pub x1: f64,
    /// Larger y: the posterior edge.
    pub y1: f64,
}

/// One slice of a detection. Later versions may append fields.
#[repr(C)]
#[allow(non_camel_case_types)]
#[derive(Debug, Clone, Copy)]
pub struct nasoseg_detection_slice {
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
    /// SOP Instance UID of a DICOM slice, "" otherwise. Borrowed: valid until the detection is
    /// freed.
    pub sop_instance_uid: *const c_char,
    /// Original 1-based frame of a multi-frame image; 0 otherwise.
    pub frame: u32,
    /// Bits of nasoseg_slice_status.
    pub statuses: u32,
    /// Whether the slice has a box and will be segmented.
    pub has_box: bool,
    /// Whether the caller replaced or cleared the box.
    pub edited: bool,
    /// The box; all 0 if `has_box` is false.
    pub bounding_box: nasoseg_bounding_box,
    /// The box's corners (x0, y0), (x1, y0), (x1, y1), (x0, y1) in the patient: x, y, z each, LPS
    /// mm; all 0 without a box.
    pub corners_mm: [f64; 12],
    /// The corners of the model's grid on this slice, in the same order, whether or not there is a
    /// box. They map points of the grid to the patient and points of the slice to the grid.
    pub grid_corners_mm: [f64; 12],
}
versioned!(nasoseg_detection_slice before grid_corners_mm);

impl Flat {
    fn new(slice: &SliceDetection) -> Self {
        let trajectory = slice.trajectory.as_ref();
        let own = || slice.bounding_box.map(|b| b.0).unwrap_or_default().to_vec();
        Flat {
            sop_instance_uid: c_string(slice.info.sop_instance_uid.as_deref().unwrap_or_default()),
            actions: trajectory
                .map(|t| t.actions.iter().map(|a| *a as u32).collect())
                .unwrap_or_default(),
            boxes: trajectory.map_or_else(own, |t| t.boxes.iter().flat_map(|b| b.0).collect()),
            q: trajectory.map(|t| t.q.concat()).unwrap_or_default(),
        }
    }
}

impl nasoseg_detection {
    pub(super) fn new(
        detection: Detection,
        study: Arc<Study>,
        engine: Arc<Engine>,
        seconds: f64,
    ) -> nasoseg_detection {
        let flat = detection.slices().iter().map(Flat::new).collect();
        let handle = Handle::new(RwLock::new(detection));
        nasoseg_detection { handle, study, engine, seconds, flat, prepared: OnceCell::new() }
    }

    pub(crate) fn read(&self) -> RwLockReadGuard<'_, Detection> {
        self.handle.value.read().unwrap_or_else(|poisoned| poisoned.into_inner())
    }

    /// Slice `index` as C reads it.
    pub(super) fn at(&self, index: usize) -> Result<&Flat> {
        self.flat.get(index).ok_or_else(|| {
            Error::Argument(format!(
                "slice index: found {index}, expected one below the detection's number of slices, \
                 {}. Ask nasoseg_detection_slice_count first",
                self.flat.len()
            ))
        })
    }

    /// Slice `index`, whose geometry and box the header calls nasoseg_detection_slice.
    fn slice(&self, index: usize) -> Result<nasoseg_detection_slice> {
        let flat = self.at(index)?;
        let detection = self.read();
        let entry = &detection.slices()[index];
        let [x0, y0, x1, y1] = entry.bounding_box.map(|b| b.0).unwrap_or_default();
        let corners = |b: BoundingBox| {
            let mut flat = [0.0; 12];
            flat.copy_from_slice(
                detect::file::corners(&b, detection.fit(), &self.study, entry.info.slice)
                    .as_flattened(),
            );
            flat
        };
        let grid = detection.grid() as f64;
        Ok(nasoseg_detection_slice {
            struct_size: size_of::<nasoseg_detection_slice>(),
            slice: entry.info.slice,
            storage_slice: entry.info.storage_slice.unwrap_or(usize::MAX),
            position_mm: entry.info.position_mm,
            sop_instance_uid: flat.sop_instance_uid.as_ptr(),
            frame: entry.info.frame.unwrap_or(0),
            statuses: bits(&entry.statuses),
            has_box: entry.bounding_box.is_some(),
            edited: entry.edited,
            bounding_box: nasoseg_bounding_box { x0, y0, x1, y1 },
            corners_mm: entry.bounding_box.map(corners).unwrap_or_default(),
            grid_corners_mm: corners(BoundingBox([0.0, 0.0, grid, grid])),
        })
    }
}

/// Stage one (section 3.1 of the paper): aligns and prepares the study if necessary, and finds a
/// box on every slice. Free the detection with nasoseg_detection_free. Options: slices,
/// force_geometry, force_coverage, reslice. Progress: align, prepare, detect.
///
/// # Safety
/// `engine` and `study` are live handles; `options` and `run` are NULL or live; `detection` points
/// to writable memory; `error` is NULL or does.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn nasoseg_detect(
    engine: *const nasoseg_engine,
    study: *const nasoseg_study,
    options: *const nasoseg_options,
    run: *const nasoseg_run,
    detection: *mut *mut nasoseg_detection,
    error: *mut *mut nasoseg_error,
) -> u32 {
    arguments!(engine: Ref, study: Ref, options: Ref, run: Ref, detection: Out, error: Out);
    call(error, &[&engine, &study], || {
        let (engine, study) = (engine.required()?, study.required()?);
        let place = detection.required()?;
        let options = Options::of(options);
        with(run, |run| {
            let aligned = study::aligned(study, &options, run)?;
            let start = Instant::now();
            let detect_options = DetectOptions {
                slices: options.range(&aligned)?,
                force_coverage: options.force_coverage,
            };
            let engine = engine.handle.value.clone();
            let found = engine.detect(&aligned, &detect_options, run)?;
            let seconds = start.elapsed().as_secs_f64();
            place.put(nasoseg_detection::new(found, aligned, engine, seconds));
            Ok(())
        })
    })
}

/// Frees a detection. NULL is legal.
///
/// # Safety
/// `detection` is NULL or a live handle, not used afterwards.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn nasoseg_detection_free(detection: *mut nasoseg_detection) {
    arguments!(detection: Owned);
    drop(detection);
}

/// Number of slices of a detection. 0 for NULL.
///
/// # Safety
/// `detection` is NULL or a live handle.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn nasoseg_detection_slice_count(
    detection: *const nasoseg_detection,
) -> usize {
    arguments!(detection: Ref);
    quiet(0, || detection.optional().map(|d| d.flat.len()))
}

/// Describes slice `index`, 0 to count - 1, in canonical order.
///
/// # Safety
/// `detection` is a live handle; `slice` points to a struct whose struct_size is set; `error` is
/// NULL or writable.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn nasoseg_detection_get_slice(
    detection: *const nasoseg_detection,
    index: usize,
    slice: *mut nasoseg_detection_slice,
    error: *mut *mut nasoseg_error,
) -> u32 {
    arguments!(detection: Ref, slice: Fill, error: Out);
    call(error, &[&detection], || slice.fill(detection.required()?.slice(index)?))
}

/// Replaces the box of slice `index`. `bounding_box` is copied and lies within 0 ..
/// nasoseg_engine_grid. Segment again to see the effect.
///
/// # Safety
/// `detection` is a live handle that no other thread uses; `bounding_box` is valid; `error` is NULL
/// or writable.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn nasoseg_detection_set_box(
    detection: *mut nasoseg_detection,
    index: usize,
    bounding_box: *const nasoseg_bounding_box,
    error: *mut *mut nasoseg_error,
) -> u32 {
    arguments!(detection: Ref, bounding_box: Ref, error: Out);
    edit(detection, index, error, |d, slice| {
        let b: &nasoseg_bounding_box = bounding_box.required()?;
        d.set_box(slice, BoundingBox([b.x0, b.y0, b.x1, b.y1]))
    })
}

/// Removes the box of slice `index`: the slice holds no lesion and is not segmented.
///
/// # Safety
/// `detection` is a live handle that no other thread uses; `error` is NULL or writable.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn nasoseg_detection_clear_box(
    detection: *mut nasoseg_detection,
    index: usize,
    error: *mut *mut nasoseg_error,
) -> u32 {
    arguments!(detection: Ref, error: Out);
    edit(detection, index, error, Detection::clear_box)
}

fn edit(
    detection: Ref<'_, nasoseg_detection>,
    index: usize,
    error: Out<'_, nasoseg_error>,
    change: impl FnOnce(&mut Detection, usize) -> Result<()>,
) -> u32 {
    call(error, &[&detection], || {
        let handle = detection.required()?;
        handle.at(index)?;
        let lock = &handle.handle.value;
        let mut detection = lock.write().unwrap_or_else(|poisoned| poisoned.into_inner());
        let slice = detection.slices()[index].info.slice;
        change(&mut detection, slice)
    })
}
