//! The pipeline through the C ABI, from memory or from files.

use std::ffi::{CStr, CString, c_char};
use std::path::Path;
use std::ptr::{null, null_mut};

use nasoseg::ffi::*;
use nasoseg::geometry::Grid;

use crate::layouts::{Layout, Stored};
use crate::outcome::Outcome;

/// Status and message of a call that failed.
pub type Refusal = (u32, String);

/// Calls a function of the ABI; the error is its last argument.
macro_rules! call {
    ($function:ident($($argument:expr),*)) => {{
        let mut error = null_mut();
        // SAFETY: handles and pointers of this file are live for the call.
        let status = unsafe { $function($($argument,)* &mut error) };
        outcome_of(status, error)
    }};
}

fn outcome_of(status: u32, error: *mut nasoseg_error) -> Result<(), Refusal> {
    // SAFETY: the error is NULL or came from the call that returned the status.
    let message = unsafe { nasoseg_error_message(error) };
    // SAFETY: a string of the error, which is freed below.
    let message = unsafe { CStr::from_ptr(message) }.to_str().unwrap().to_owned();
    // SAFETY: not used afterwards.
    unsafe { nasoseg_error_free(error) };
    if status == 0 { Ok(()) } else { Err((status, message)) }
}

fn text(path: &Path) -> CString {
    CString::new(path.to_str().unwrap()).unwrap()
}

/// A view of voxels that somebody else holds.
pub struct View<'a> {
    view: nasoseg_volume_view,
    _voxels: std::marker::PhantomData<&'a Stored>,
}

impl<'a> View<'a> {
    pub fn of(stored: &'a Stored) -> Self {
        View::turned(stored, &Layout::USUAL, false)
    }

    /// The same buffer, seen in another order: only strides, the first voxel's address and the
    /// affine change.
    pub fn turned(stored: &'a Stored, layout: &Layout, ras: bool) -> Self {
        let strides = [1, stored.size[0], stored.size[0] * stored.size[1]];
        let mut first = 0;
        let (mut size, mut stride) = ([0; 3], [0; 3]);
        for s in 0..3 {
            let a = layout.axes[s];
            size[s] = stored.size[a];
            stride[s] = 4 * strides[a] as i64;
            if layout.flips[s] {
                stride[s] = -stride[s];
                first += strides[a] * (size[s] - 1);
            }
        }
        let mut affine = stored.turned_affine(layout);
        if ras {
            affine[..2].iter_mut().flatten().for_each(|v| *v = -*v);
        }
        let view = nasoseg_volume_view {
            struct_size: size_of::<nasoseg_volume_view>(),
            data: stored.voxels.as_slice().unwrap()[first..].as_ptr().cast(),
            element: nasoseg_element::NASOSEG_ELEMENT_FLOAT32 as u32,
            axes: if ras { nasoseg_axes::NASOSEG_AXES_RAS } else { nasoseg_axes::NASOSEG_AXES_LPS }
                as u32,
            size,
            stride,
            affine: std::array::from_fn(|at| affine[at / 4][at % 4]),
            origins: null(),
        };
        View { view, _voxels: std::marker::PhantomData }
    }
}

/// T1C.
pub enum Input<'a> {
    View(View<'a>),
    Path(&'a Path),
}

/// The micro bundle on the CPU.
pub struct Engine(*mut nasoseg_engine);

impl Drop for Engine {
    fn drop(&mut self) {
        // SAFETY: a live handle.
        unsafe { nasoseg_engine_free(self.0) }
    }
}

impl Engine {
    pub fn new() -> Self {
        let (mut engine, mut options) = (null_mut(), null_mut());
        call!(nasoseg_options_new(&mut options)).unwrap();
        call!(nasoseg_options_set_device(options, c"cpu".as_ptr())).unwrap();
        // The networks are too small to share.
        call!(nasoseg_options_set_threads(options, 1)).unwrap();
        call!(nasoseg_engine_new(
            text(&crate::common::micro()).as_ptr(),
            options,
            null(),
            &mut engine
        ))
        .unwrap();
        // SAFETY: a live handle.
        unsafe { nasoseg_options_free(options) };
        Engine(engine)
    }

    /// T1 and T2 from memory, T1C as given; `reslice` is the distance of axial slices.
    pub fn run(
        &self,
        others: &[Stored; 2],
        t1c: &Input,
        reslice: Option<f64>,
    ) -> Result<Outcome, Refusal> {
        self.run_and_write(others, t1c, reslice, None)
    }

    /// As `run`, and writes an RT Structure Set.
    pub fn run_and_write(
        &self,
        others: &[Stored; 2],
        t1c: &Input,
        reslice: Option<f64>,
        rtstruct: Option<&Path>,
    ) -> Result<Outcome, Refusal> {
        let (mut study, mut options) = (null_mut(), null_mut());
        call!(nasoseg_study_new(&mut study))?;
        call!(nasoseg_options_new(&mut options))?;
        if let Some(step) = reslice {
            call!(nasoseg_options_set_reslice(
                options,
                nasoseg_reslice::NASOSEG_RESLICE_AXIAL as u32,
                step
            ))?;
        }
        for (sequence, stored) in [(0, &others[0]), (2, &others[1])] {
            call!(nasoseg_study_set_volume(
                study,
                sequence,
                &View::of(stored).view,
                null(),
                null()
            ))?;
        }
        match t1c {
            Input::View(view) => {
                call!(nasoseg_study_set_volume(study, 1, &view.view, null(), null()))?
            }
            Input::Path(path) => {
                let path = text(path);
                let paths: [*const c_char; 1] = [path.as_ptr()];
                call!(nasoseg_study_load(study, 1, paths.as_ptr(), 1, null(), null()))?;
            }
        }
        let outcome = self.results(study, options, rtstruct);
        // SAFETY: a live handle, not used afterwards.
        unsafe { nasoseg_options_free(options) };
        // SAFETY: likewise.
        unsafe { nasoseg_study_free(study) };
        outcome
    }

    fn results(
        &self,
        study: *const nasoseg_study,
        options: *const nasoseg_options,
        rtstruct: Option<&Path>,
    ) -> Result<Outcome, Refusal> {
        let (mut detection, mut segmentation, mut contours) = (null_mut(), null_mut(), null_mut());
        call!(nasoseg_detect(self.0, study, options, null(), &mut detection))?;
        call!(nasoseg_segment(self.0, study, detection, null(), null(), &mut segmentation))?;
        call!(nasoseg_contour(segmentation, null(), null(), &mut contours))?;
        if let Some(path) = rtstruct {
            call!(nasoseg_contours_write_rtstruct(contours, text(path).as_ptr(), null(), null()))?;
        }
        // SAFETY: plain structs, for which all-zero is valid.
        let (mut view, mut slice, mut contour): (
            nasoseg_segmentation_view,
            nasoseg_detection_slice,
            nasoseg_contour_view,
        ) = unsafe { std::mem::zeroed() };
        view.struct_size = size_of::<nasoseg_segmentation_view>();
        slice.struct_size = size_of::<nasoseg_detection_slice>();
        contour.struct_size = size_of::<nasoseg_contour_view>();
        call!(nasoseg_segmentation_get_view(segmentation, &mut view))?;
        let voxels = view.size.iter().product();
        let origins = copied(view.origins.cast::<[f64; 3]>(), view.size[2]);
        let mut outcome = Outcome {
            grid: Grid::new(view.size, view.axis_i, view.axis_j, origins).unwrap(),
            mask: copied(view.mask, voxels),
            probability: copied(view.probability, voxels),
            threshold: view.threshold,
            volume_mm3: view.volume_mm3,
            rings: Vec::new(),
            ring_slices: Vec::new(),
            boxes: Vec::new(),
            storage_slices: Vec::new(),
            positions_mm: Vec::new(),
            warnings: Vec::new(),
        };
        // SAFETY: a live handle.
        for at in 0..unsafe { nasoseg_detection_slice_count(detection) } {
            call!(nasoseg_detection_get_slice(detection, at, &mut slice))?;
            outcome.boxes.push(slice.corners_mm);
            outcome.storage_slices.push(slice.storage_slice);
            outcome.positions_mm.push(slice.position_mm);
        }
        // SAFETY: a live handle.
        for at in 0..unsafe { nasoseg_contours_count(contours) } {
            call!(nasoseg_contours_get(contours, at, &mut contour))?;
            outcome.rings.push(copied(contour.points_mm.cast::<[f64; 3]>(), contour.point_count));
            outcome.ring_slices.push(contour.storage_slice);
        }
        // SAFETY: a live handle.
        for at in 0..unsafe { nasoseg_study_warning_count(study) } {
            // SAFETY: a live handle.
            let warning = unsafe { nasoseg_study_warning(study, at) };
            // SAFETY: a string of the study, which is live.
            let warning = unsafe { CStr::from_ptr(warning) };
            outcome.warnings.push(warning.to_str().unwrap().to_owned());
        }
        // SAFETY: a live handle, not used afterwards.
        unsafe { nasoseg_contours_free(contours) };
        // SAFETY: likewise.
        unsafe { nasoseg_segmentation_free(segmentation) };
        // SAFETY: likewise.
        unsafe { nasoseg_detection_free(detection) };
        Ok(outcome)
    }
}

/// A copy of an array that a getter has returned a view of.
fn copied<T: Copy>(data: *const T, count: usize) -> Vec<T> {
    // SAFETY: the array of a live handle, with that many elements.
    unsafe { std::slice::from_raw_parts(data, count) }.to_vec()
}
