//! Calls of the C ABI for tests, and handles of the synthetic study.

use std::ffi::{CStr, CString, c_char};
use std::path::Path;
use std::ptr::{null, null_mut};

use dicom_core::{DataElement, PrimitiveValue, VR};
use dicom_dictionary_std::tags;
use nasoseg::ffi::*;
use nasoseg::geometry::Grid;

use super::{SIZE, Trio};

pub fn message(error: *mut nasoseg_error) -> String {
    // SAFETY: `error` is NULL or came from the call that failed.
    let message = unsafe { nasoseg_error_message(error) };
    // SAFETY: a string of the error, which is freed below.
    let text = unsafe { CStr::from_ptr(message) }.to_str().unwrap().to_owned();
    // SAFETY: not used afterwards.
    unsafe { nasoseg_error_free(error) };
    text
}

/// Calls functions of the ABI that cannot fail, such as getters and those that free; returns their
/// results.
macro_rules! each {
    ($($function:ident($($argument:expr),*)),+ $(,)?) => {
        // SAFETY: the tests pass NULL or a handle that a call returned and that is not freed yet,
        // and do not use it after a call that frees it. Pointers are to live variables.
        ($(unsafe { $function($($argument),*) }),+)
    };
}

/// Calls a function of the ABI; the error is its last argument. Returns status and message.
macro_rules! call {
    ($function:ident($($argument:expr),*)) => {{
        let mut error = std::ptr::null_mut();
        // SAFETY: the tests pass NULL or a handle that is not freed yet, and pointers to variables
        // that outlive the call; `error` is a local.
        let status = unsafe { $function($($argument,)* &mut error) };
        (status, $crate::common::abi::message(error))
    }};
}

/// As [`call`], for a call that must succeed.
macro_rules! ok {
    ($function:ident($($argument:expr),*)) => {{
        let (status, text) = $crate::common::abi::call!($function($($argument),*));
        assert_eq!((status, text.as_str()), (0, ""), stringify!($function));
    }};
}
#[allow(unused_imports, reason = "not every test uses each of them")]
pub(crate) use {call, each, ok};

pub fn text(path: &Path) -> CString {
    CString::new(path.to_str().unwrap()).unwrap()
}

pub fn grid() -> Grid {
    Grid::from_affine(SIZE, &super::affine()).unwrap()
}

/// A DICOM study with a lesion.
pub fn trio() -> Trio {
    let arrays = [0, 1, 2].map(|sequence| super::head_voxels(sequence, &grid()));
    Trio::dicom(|sequence, slice, object| {
        let plane = arrays[sequence].index_axis(ndarray::Axis(0), slice);
        let pixels: Vec<u16> = plane.iter().map(|v| *v as u16).collect();
        object.put(DataElement::new(tags::PIXEL_DATA, VR::OW, PrimitiveValue::U16(pixels.into())));
    })
}

/// The sequence's view; `shift` (mm) moves it to the patient's left, `upside_down` runs k from the
/// head to the feet.
pub fn set_volume(study: *mut nasoseg_study, sequence: usize, shift: f64, upside_down: bool) {
    let voxels = super::head_voxels(sequence, &grid());
    let a = super::affine();
    let mut view = nasoseg_volume_view {
        struct_size: size_of::<nasoseg_volume_view>(),
        data: voxels.as_ptr().cast(),
        element: nasoseg_element::NASOSEG_ELEMENT_FLOAT32 as u32,
        axes: nasoseg_axes::NASOSEG_AXES_LPS as u32,
        size: SIZE,
        stride: [4, 4 * SIZE[0] as i64, 4 * (SIZE[0] * SIZE[1]) as i64],
        affine: std::array::from_fn(|at| a[at / 4][at % 4]),
        origins: null(),
    };
    view.affine[3] += shift;
    if upside_down {
        let last = SIZE[2] - 1;
        view.data = voxels.index_axis(ndarray::Axis(0), last).as_ptr().cast();
        view.stride[2] = -view.stride[2];
        view.affine[11] += view.affine[10] * last as f64;
        view.affine[10] = -view.affine[10];
    }
    ok!(nasoseg_study_set_volume(study, sequence as u32, &view, null(), null()));
}

pub fn load(study: *mut nasoseg_study, sequence: usize, trio: &Trio) {
    let folder = text(&trio.dir.path().join(["t1", "t1c", "t2"][sequence]));
    let paths: [*const c_char; 1] = [folder.as_ptr()];
    ok!(nasoseg_study_load(study, sequence as u32, paths.as_ptr(), 1, null(), null()));
}

pub fn new_study() -> *mut nasoseg_study {
    let mut study = null_mut();
    ok!(nasoseg_study_new(&mut study));
    study
}
