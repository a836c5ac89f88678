//! Statuses of a slice, as bits.

use std::ffi::{CString, c_char};
use std::sync::LazyLock;

use crate::ffi::boundary::{c_string, quiet};
use crate::status::SliceStatus;

/// What a user should know about a slice: bits of `statuses`; 0 means that there is nothing.
#[repr(C)]
#[allow(non_camel_case_types, dead_code)]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum nasoseg_slice_status {
    /// No pixel reaches the threshold, or there is no box: the detector found none, or the caller
    /// cleared it.
    NASOSEG_SLICE_NO_LESION = 1,
    /// The box touches the edge of the model's grid.
    NASOSEG_SLICE_BOX_AT_IMAGE_EDGE = 2,
    /// The mask reaches the edge of the crop: it may be cut off.
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

/// The words for one bit of nasoseg_slice_status, for example "no lesion"; "ok" for 0. Static. ""
/// if `status` is not a single known bit.
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
        .map(|one| (bits(&[one]), c_string(one.words())))
    });
    quiet(c"".as_ptr(), || {
        WORDS.iter().find(|(bit, _)| *bit == status).map(|(_, words)| words.as_ptr())
    })
}
