//! Of one slice of a detection: the agent's trajectory and the model's input.

use ndarray::Axis;

use crate::ffi::arguments::{arguments, versioned};
use crate::ffi::boundary::call;
use crate::ffi::detection::nasoseg_detection;
use crate::ffi::error::nasoseg_error;
use crate::run::Run;

/// The model's input on one slice. Borrowed: valid until the detection is freed. Later versions may
/// append fields.
#[repr(C)]
#[allow(non_camel_case_types)]
#[derive(Debug, Clone, Copy)]
pub struct nasoseg_slice_image {
    /// Size of the struct in bytes, set by the side that allocates it.
    pub struct_size: usize,
    /// Side of the model's square grid, pixels.
    pub grid: usize,
    /// 3 * `grid` * `grid` numbers in 0 .. 1: T1, T1C and T2, scaled and fitted to the grid, rows
    /// from anterior to posterior.
    pub pixels: *const f32,
}
versioned!(nasoseg_slice_image);

/// The agent's trajectory on one slice. Borrowed: valid until the detection is freed. Later
/// versions may append fields.
#[repr(C)]
#[allow(non_camel_case_types)]
#[derive(Debug, Clone, Copy)]
pub struct nasoseg_trajectory {
    /// Size of the struct in bytes, set by the side that allocates it.
    pub struct_size: usize,
    /// Actions taken, the terminal one included; 0 if no agent ran on the slice.
    pub steps: usize,
    /// Number of actions to choose from.
    pub action_count: usize,
    /// `steps` indices of actions.
    pub actions: *const u32,
    /// 4 * (`steps` + 1) numbers: x0, y0, x1, y1 of the initial box, then of the box after every
    /// action. Without an agent: the slice's box when the detection was made or read, all 0 if it
    /// had none. No edit changes them.
    pub boxes: *const f64,
    /// `steps` * `action_count` Q values, step by step.
    pub q: *const f32,
    /// Whether the agent chose to stop; otherwise the step limit ended the trajectory.
    pub stopped: bool,
}
versioned!(nasoseg_trajectory);

/// Returns a view of the agent's trajectory on slice `index`.
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
    arguments!(detection: Ref, trajectory: Fill, error: Out);
    call(error, &[&detection], || {
        let handle = detection.required()?;
        let flat = handle.at(index)?;
        let stopped = handle.read().slices()[index].trajectory.as_ref().is_some_and(|t| t.stopped);
        trajectory.fill(nasoseg_trajectory {
            struct_size: size_of::<nasoseg_trajectory>(),
            steps: flat.actions.len(),
            action_count: handle.engine.manifest().agent().map_or(0, |a| a.actions.len()),
            actions: flat.actions.as_ptr(),
            boxes: flat.boxes.as_ptr(),
            q: flat.q.as_ptr(),
            stopped,
        })
    })
}

/// Returns a view of the model's input on slice `index`. The first call for a detection prepares
/// all of its slices.
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
    arguments!(detection: Ref, image: Fill, error: Out);
    call(error, &[&detection], || {
        let handle = detection.required()?;
        handle.at(index)?;
        let (input, range) = (&handle.engine.manifest().input, handle.read().range());
        let prepared = handle
            .prepared
            .get_or_try_init(|| handle.study.prepared(input, range, &Run::default()))?;
        image.fill(nasoseg_slice_image {
            struct_size: size_of::<nasoseg_slice_image>(),
            grid: prepared.fit.grid,
            pixels: prepared.images.index_axis(Axis(0), index).as_ptr(),
        })
    })
}
