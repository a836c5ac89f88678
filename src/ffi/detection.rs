//! A detection handle: a box and the agent's walk on every slice.

use std::ffi::{CString, c_char};
use std::mem::offset_of;
use std::sync::{Arc, LazyLock, RwLock};
use std::time::Instant;

use ndarray::Axis;
use once_cell::sync::OnceCell;

use crate::detect::{self, BoundingBox, DetectOptions, Detection, SliceDetection};
use crate::engine::Engine;
use crate::error::{Error, Result};
use crate::ffi::boundary::{
    Handle, borrow, c_string, call, clear, fill, guarded, path, place, quiet,
};
use crate::ffi::engine::nasoseg_engine;
use crate::ffi::error::nasoseg_error;
use crate::ffi::options::{Options, nasoseg_options};
use crate::ffi::run::{nasoseg_run, with};
use crate::ffi::study::{self, nasoseg_study};
use crate::run::Run;
use crate::status::SliceStatus;
use crate::study::{Prepared, Study};

/// What a user should know about a slice: bits of `statuses`; 0 is ok.
#[repr(C)]
#[allow(non_camel_case_types, dead_code)]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum nasoseg_slice_status {
    /// No pixel over the threshold, or no box: the detector found none, or the caller cleared it.
    NASOSEG_SLICE_NO_LESION = 1,
    /// The box touches the edge of the model's grid.
    NASOSEG_SLICE_BOX_AT_IMAGE_EDGE = 2,
    /// The mask reaches the edge of what the segmenter saw: possibly cut.
    NASOSEG_SLICE_MASK_AT_CROP_EDGE = 4,
    /// The agent did not stop within the step limit.
    NASOSEG_SLICE_STEP_LIMIT_REACHED = 8,
    /// A sequence covers less than 95 % of T1C's foreground: not segmented unless forced.
    NASOSEG_SLICE_INCOMPLETE_COVERAGE = 16,
    /// The slice spacing lies outside the range seen in training.
    NASOSEG_SLICE_SPACING_OUTSIDE_TRAINING = 32,
}

/// The bits of a list of statuses.
pub(crate) fn bits(statuses: &[SliceStatus]) -> u32 {
    use nasoseg_slice_status::*;
    statuses.iter().fold(0, |bits, status| {
        bits | match status {
            SliceStatus::Ok => 0,
            SliceStatus::NoLesion => NASOSEG_SLICE_NO_LESION as u32,
            SliceStatus::BoxAtImageEdge => NASOSEG_SLICE_BOX_AT_IMAGE_EDGE as u32,
            SliceStatus::MaskAtCropEdge => NASOSEG_SLICE_MASK_AT_CROP_EDGE as u32,
            SliceStatus::StepLimitReached => NASOSEG_SLICE_STEP_LIMIT_REACHED as u32,
            SliceStatus::IncompleteCoverage => NASOSEG_SLICE_INCOMPLETE_COVERAGE as u32,
            SliceStatus::SpacingOutsideTraining => NASOSEG_SLICE_SPACING_OUTSIDE_TRAINING as u32,
        }
    })
}

/// The words of one bit of nasoseg_slice_status, for example "no lesion"; "ok" for 0. Static. ""
/// for a number that is not a single known bit.
#[unsafe(no_mangle)]
pub extern "C" fn nasoseg_slice_status_words(status: u32) -> *const c_char {
    static WORDS: LazyLock<[(u32, CString); 7]> = LazyLock::new(|| {
        [
            SliceStatus::Ok,
            SliceStatus::NoLesion,
            SliceStatus::BoxAtImageEdge,
            SliceStatus::MaskAtCropEdge,
            SliceStatus::StepLimitReached,
            SliceStatus::IncompleteCoverage,
            SliceStatus::SpacingOutsideTraining,
        ]
        .map(|one| (bits(&[one]), CString::new(one.words()).unwrap_or_default()))
    });
    quiet(c"".as_ptr(), || {
        WORDS.iter().find(|(bit, _)| *bit == status).map(|(_, words)| words.as_ptr())
    })
}

/// A box per slice, editable, with the agent's trajectory. Reading is safe from many threads at
/// once; nasoseg_detection_set_box and nasoseg_detection_clear_box want no other call on the
/// detection at the same time.
#[allow(non_camel_case_types)]
pub struct nasoseg_detection {
    pub(crate) handle: Handle<RwLock<Detection>>,
    /// The study and engine that made it.
    pub(crate) study: Arc<Study>,
    pub(crate) engine: Arc<Engine>,
    pub(crate) seconds: f64,
    /// Per slice, as C reads it.
    flat: Vec<Flat>,
    /// What the model sees, once somebody asked for it: kept so that what was lent stays.
    prepared: OnceCell<Arc<Prepared>>,
}

/// What getters lend of one slice. It never changes.
struct Flat {
    sop_instance_uid: CString,
    actions: Vec<u32>,
    boxes: Vec<f64>,
    q: Vec<f32>,
}

/// A box on the model's grid, pixel edges: index i is the centre of pixel i and its edges are i and
/// i + 1. x runs along columns (patient right to left), y along rows (anterior to posterior).
#[repr(C)]
#[allow(non_camel_case_types)]
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct nasoseg_box {
    pub x0: f64,
    pub y0: f64,
    pub x1: f64,
    pub y1: f64,
}

/// One slice of a detection. Later versions may append fields.
#[repr(C)]
#[allow(non_camel_case_types)]
#[derive(Debug, Clone, Copy)]
pub struct nasoseg_detection_slice {
    /// sizeof(nasoseg_detection_slice) of the caller.
    pub struct_size: usize,
    /// Canonical number: 0-based, from inferior to superior.
    pub slice: usize,
    /// Index along the storage axis that runs from head to foot: k for DICOM and for any image
    /// stored axially. SIZE_MAX where T1C was resliced.
    pub storage_slice: usize,
    /// z (LPS, mm) of the slice's centre.
    pub position_mm: f64,
    /// SOP Instance UID of a DICOM slice, "" otherwise. Borrowed: valid until the detection is
    /// freed.
    pub sop_instance_uid: *const c_char,
    /// Original 1-based frame of a multi-frame image; 0 otherwise.
    pub frame: u32,
    /// Bits of nasoseg_slice_status; 0 is ok.
    pub statuses: u32,
    /// Whether the slice has a box and will be segmented.
    pub has_box: bool,
    /// Whether the caller replaced or cleared the box.
    pub edited: bool,
    /// The box, where there is one.
    pub bounding_box: nasoseg_box,
    /// The box's corners (x0, y0), (x1, y0), (x1, y1), (x0, y1) in the patient: x, y, z each, LPS
    /// mm.
    pub corners_mm: [f64; 12],
    /// The corners of the model's grid on this slice, box or not, in the same order: they tell
    /// where a point of the grid lies in the patient, and which point of the grid belongs to one of
    /// the slice.
    pub grid_corners_mm: [f64; 12],
}

/// What the model sees of one slice. Borrowed: valid until the detection is freed. Later versions
/// may append fields.
#[repr(C)]
#[allow(non_camel_case_types)]
#[derive(Debug, Clone, Copy)]
pub struct nasoseg_slice_image {
    /// sizeof(nasoseg_slice_image) of the caller.
    pub struct_size: usize,
    /// Side of the model's square grid, pixels.
    pub grid: usize,
    /// 3 * `grid` * `grid` numbers in 0 .. 1: T1, T1C and T2, scaled and fitted to the grid, rows
    /// from anterior to posterior.
    pub pixels: *const f32,
}

/// The agent's walk on one slice. Borrowed: valid until the detection is freed. Later versions may
/// append fields.
#[repr(C)]
#[allow(non_camel_case_types)]
#[derive(Debug, Clone, Copy)]
pub struct nasoseg_trajectory {
    /// sizeof(nasoseg_trajectory) of the caller.
    pub struct_size: usize,
    /// Actions taken, the terminal one included; 0 where no agent looked at the slice.
    pub steps: usize,
    /// Number of actions to choose from.
    pub action_count: usize,
    /// `steps` indices of actions.
    pub actions: *const u32,
    /// 4 * (`steps` + 1) numbers: x0, y0, x1, y1 of the initial box, then of the box after every
    /// action. Without an agent: the slice's box when the detection was made or read, 0 where it
    /// had none. No edit changes them.
    pub boxes: *const f64,
    /// `steps` * `action_count` Q values, step by step.
    pub q: *const f32,
    /// Whether the agent chose to stop; otherwise the step limit ended the walk.
    pub stopped: bool,
}

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
    fn into_raw(
        detection: Detection,
        study: Arc<Study>,
        engine: Arc<Engine>,
        seconds: f64,
    ) -> *mut nasoseg_detection {
        let flat = detection.slices().iter().map(Flat::new).collect();
        let handle = Handle::new(RwLock::new(detection));
        Box::into_raw(Box::new(nasoseg_detection {
            handle,
            study,
            engine,
            seconds,
            flat,
            prepared: OnceCell::new(),
        }))
    }

    pub(crate) fn read(&self) -> std::sync::RwLockReadGuard<'_, Detection> {
        self.handle.value.read().unwrap_or_else(|p| p.into_inner())
    }
}

/// Stage one (3.1 of the paper): brings the study together, where it is not yet, and finds a box on
/// every slice. Free the detection with nasoseg_detection_free. Options: slices, force_geometry,
/// force_coverage, reslice. Progress: align, prepare, detect.
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
    // SAFETY: the caller's promise.
    unsafe {
        clear(detection);
        call(error, &[guarded!(engine), guarded!(study)], || {
            let (engine, study) = (borrow(engine, "engine")?, borrow(study, "study")?);
            let out = place(detection, "detection")?;
            let options = Options::of(options);
            with(run, |run| {
                let together = study::together(study, &options, run)?;
                let start = Instant::now();
                let detect_options = DetectOptions {
                    slices: options.range(&together)?,
                    force_coverage: options.force_coverage,
                };
                let found = engine.handle.value.detect(&together, &detect_options, run)?;
                let seconds = start.elapsed().as_secs_f64();
                *out = nasoseg_detection::into_raw(
                    found,
                    together,
                    engine.handle.value.clone(),
                    seconds,
                );
                Ok(())
            })
        })
    }
}

/// Frees a detection. NULL is legal.
///
/// # Safety
/// `detection` is NULL or a live handle, not used afterwards.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn nasoseg_detection_free(detection: *mut nasoseg_detection) {
    if !detection.is_null() {
        // SAFETY: the caller's promise.
        drop(unsafe { Box::from_raw(detection) });
    }
}

/// Number of slices of a detection. 0 for NULL.
///
/// # Safety
/// `detection` is NULL or a live handle.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn nasoseg_detection_slice_count(
    detection: *const nasoseg_detection,
) -> usize {
    // SAFETY: the caller's promise.
    quiet(0, || unsafe { detection.as_ref() }.map(|d| d.flat.len()))
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
    // SAFETY: the caller's promise.
    unsafe {
        call(error, &[guarded!(detection)], || {
            let handle = borrow(detection, "detection")?;
            let flat = at(handle, index)?;
            let detection = handle.read();
            let entry = &detection.slices()[index];
            let [x0, y0, x1, y1] = entry.bounding_box.map(|b| b.0).unwrap_or_default();
            let corners = |b: BoundingBox| {
                let mut flat = [0.0; 12];
                flat.copy_from_slice(
                    detect::file::corners(&b, detection.fit(), &handle.study, entry.info.slice)
                        .as_flattened(),
                );
                flat
            };
            let grid = detection.grid() as f64;
            let size = size_of::<nasoseg_detection_slice>();
            let value = nasoseg_detection_slice {
                struct_size: size,
                slice: entry.info.slice,
                storage_slice: entry.info.storage_slice.unwrap_or(usize::MAX),
                position_mm: entry.info.position_mm,
                sop_instance_uid: flat.sop_instance_uid.as_ptr(),
                frame: entry.info.frame.unwrap_or(0),
                statuses: bits(&entry.statuses),
                has_box: entry.bounding_box.is_some(),
                edited: entry.edited,
                bounding_box: nasoseg_box { x0, y0, x1, y1 },
                corners_mm: entry.bounding_box.map(corners).unwrap_or_default(),
                grid_corners_mm: corners(BoundingBox([0.0, 0.0, grid, grid])),
            };
            fill(slice, value, offset_of!(nasoseg_detection_slice, grid_corners_mm), "slice")
        })
    }
}

/// Lends the agent's walk on slice `index`.
///
/// # Safety
/// As nasoseg_detection_get_slice.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn nasoseg_detection_get_trajectory(
    detection: *const nasoseg_detection,
    index: usize,
    trajectory: *mut nasoseg_trajectory,
    error: *mut *mut nasoseg_error,
) -> u32 {
    // SAFETY: the caller's promise.
    unsafe {
        call(error, &[guarded!(detection)], || {
            let handle = borrow(detection, "detection")?;
            let flat = at(handle, index)?;
            let stopped =
                handle.read().slices()[index].trajectory.as_ref().is_some_and(|t| t.stopped);
            let size = size_of::<nasoseg_trajectory>();
            let value = nasoseg_trajectory {
                struct_size: size,
                steps: flat.actions.len(),
                action_count: handle.engine.manifest().agent().map_or(0, |a| a.actions.len()),
                actions: flat.actions.as_ptr(),
                boxes: flat.boxes.as_ptr(),
                q: flat.q.as_ptr(),
                stopped,
            };
            fill(trajectory, value, size, "trajectory")
        })
    }
}

/// Lends slice `index` as the model sees it.
///
/// # Safety
/// As nasoseg_detection_get_slice.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn nasoseg_detection_get_image(
    detection: *const nasoseg_detection,
    index: usize,
    image: *mut nasoseg_slice_image,
    error: *mut *mut nasoseg_error,
) -> u32 {
    // SAFETY: the caller's promise.
    unsafe {
        call(error, &[guarded!(detection)], || {
            let handle = borrow(detection, "detection")?;
            at(handle, index)?;
            let (input, range) = (&handle.engine.manifest().input, handle.read().range());
            let prepared = handle
                .prepared
                .get_or_try_init(|| handle.study.prepared(input, range, &Run::default()))?;
            let plane = prepared.images.index_axis(Axis(0), index);
            let size = size_of::<nasoseg_slice_image>();
            let value = nasoseg_slice_image {
                struct_size: size,
                grid: prepared.fit.grid,
                pixels: plane.as_ptr(),
            };
            fill(image, value, size, "image")
        })
    }
}

fn at(detection: &nasoseg_detection, index: usize) -> Result<&Flat> {
    let count = detection.flat.len();
    detection.flat.get(index).ok_or_else(|| {
        Error::Argument(format!(
            "slice index {index}: the detection has {count} slices, 0 to {}",
            count - 1
        ))
    })
}

/// Replaces the box of slice `index`; segment again to see the effect. `bounding_box` lies inside 0
/// .. nasoseg_engine_grid.
///
/// # Safety
/// `detection` is a live handle that no other thread uses; `bounding_box` is valid; `error` is NULL
/// or writable.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn nasoseg_detection_set_box(
    detection: *mut nasoseg_detection,
    index: usize,
    bounding_box: *const nasoseg_box,
    error: *mut *mut nasoseg_error,
) -> u32 {
    // SAFETY: the caller's promise.
    unsafe {
        edit(detection, index, error, |d, slice| {
            let b = borrow(bounding_box, "bounding_box")?;
            d.set_box(slice, BoundingBox([b.x0, b.y0, b.x1, b.y1]))
        })
    }
}

/// Says that slice `index` holds no lesion: it is not segmented.
///
/// # Safety
/// `detection` is a live handle that no other thread uses; `error` is NULL or writable.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn nasoseg_detection_clear_box(
    detection: *mut nasoseg_detection,
    index: usize,
    error: *mut *mut nasoseg_error,
) -> u32 {
    // SAFETY: the caller's promise.
    unsafe { edit(detection, index, error, Detection::clear_box) }
}

/// # Safety
/// As the functions above.
unsafe fn edit(
    detection: *mut nasoseg_detection,
    index: usize,
    error: *mut *mut nasoseg_error,
    change: impl FnOnce(&mut Detection, usize) -> Result<()>,
) -> u32 {
    // SAFETY: the caller's promise.
    unsafe {
        call(error, &[guarded!(detection)], || {
            let handle = borrow(detection, "detection")?;
            at(handle, index)?;
            let mut detection = handle.handle.value.write().unwrap_or_else(|p| p.into_inner());
            let slice = detection.slices()[index].info.slice;
            change(&mut detection, slice)
        })
    }
}

/// Writes the detection as JSON (UTF-8 path), the form that `nasoseg segment` and
/// nasoseg_detection_read take back.
///
/// # Safety
/// `detection` is a live handle; `file` is a string; `options` and `run` are NULL or live; `error`
/// is NULL or writable.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn nasoseg_detection_write(
    detection: *const nasoseg_detection,
    file: *const c_char,
    options: *const nasoseg_options,
    run: *const nasoseg_run,
    error: *mut *mut nasoseg_error,
) -> u32 {
    let _ = options;
    // SAFETY: the caller's promise.
    unsafe {
        call(error, &[guarded!(detection)], || {
            let handle = borrow(detection, "detection")?;
            let file = path(file, "file")?;
            with(run, |run| {
                run.tick(crate::run::Stage::Export, 0, 1)?;
                let json = detect::file::to_json;
                let (engine, provenance) = (&handle.engine, handle.engine.provenance());
                let text = json(
                    &handle.read(),
                    &handle.study,
                    engine.manifest(),
                    &provenance,
                    engine.device(),
                )?;
                crate::formats::write::write_atomically(&file, |f| {
                    std::io::Write::write_all(f, text.as_bytes())
                })?;
                run.tick(crate::run::Stage::Export, 1, 1)
            })
        })
    }
}

/// Reads a (possibly edited) detection back, for the same study and model; free it with
/// nasoseg_detection_free. Options: force_geometry, reslice. Progress: read, align.
///
/// # Safety
/// As nasoseg_detect; `file` is a string.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn nasoseg_detection_read(
    engine: *const nasoseg_engine,
    study: *const nasoseg_study,
    file: *const c_char,
    options: *const nasoseg_options,
    run: *const nasoseg_run,
    detection: *mut *mut nasoseg_detection,
    error: *mut *mut nasoseg_error,
) -> u32 {
    // SAFETY: the caller's promise.
    unsafe {
        clear(detection);
        call(error, &[guarded!(engine), guarded!(study)], || {
            let (engine, study) = (borrow(engine, "engine")?, borrow(study, "study")?);
            let out = place(detection, "detection")?;
            let (file, options) = (path(file, "file")?, Options::of(options));
            with(run, |run| {
                run.tick(crate::run::Stage::Read, 0, 1)?;
                let text = crate::fault::text_of(&file)
                    .map_err(|e| Error::read_caused(&file, "the detection cannot be read", e))?;
                run.tick(crate::run::Stage::Read, 1, 1)?;
                let together = study::together(study, &options, run)?;
                let engine = engine.handle.value.clone();
                let name = file.display().to_string();
                let found = detect::file::from_json(
                    &text,
                    &name,
                    &together,
                    engine.manifest(),
                    &engine.provenance(),
                )?;
                *out = nasoseg_detection::into_raw(found, together, engine, 0.0);
                Ok(())
            })
        })
    }
}
