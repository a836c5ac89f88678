//! Options of contours and of the RT Structure Set.

use std::ffi::c_char;

use crate::contour::ContourKind;
use crate::error::Error;
use crate::ffi::arguments::arguments;
use crate::ffi::error::nasoseg_error;
use crate::ffi::options::{nasoseg_options, set};
use crate::formats::rtstruct::HoleMode;

/// What contours follow: the probability's level, or voxel edges.
#[repr(C)]
#[allow(non_camel_case_types, dead_code)]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum nasoseg_contour_kind {
    /// The level set of the probability at the model's threshold, interpolated between the centres
    /// of voxels.
    NASOSEG_CONTOUR_LEVEL = 0,
    /// The edges of the mask's voxels.
    NASOSEG_CONTOUR_VOXEL = 1,
}

/// How holes are written to an RT Structure Set.
#[repr(C)]
#[allow(non_camel_case_types, dead_code)]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum nasoseg_holes {
    /// One contour that enters the hole through a cut of zero width: every planning system imports
    /// it.
    NASOSEG_HOLES_KEYHOLE = 0,
    /// Geometric type CLOSEDPLANAR_XOR.
    NASOSEG_HOLES_XOR = 1,
    /// Overlapping CLOSED_PLANAR items: many readers combine them by exclusive-or, some by union.
    NASOSEG_HOLES_PLAIN = 2,
    /// Holes are filled.
    NASOSEG_HOLES_FILL = 3,
}

/// nasoseg_contour: what contours follow (nasoseg_contour_kind). Default:
/// NASOSEG_CONTOUR_LEVEL.
///
/// # Safety
/// `options` is a live handle.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn nasoseg_options_set_contour_kind(
    options: *mut nasoseg_options,
    kind: u32,
    error: *mut *mut nasoseg_error,
) -> u32 {
    arguments!(options: Ref, error: Out);
    set(options, error, |o| {
        o.contour_kind = match kind {
            0 => ContourKind::Level,
            1 => ContourKind::Voxel,
            _ => {
                return Err(Error::Argument(format!(
                    "contour kind: found {kind}, expected NASOSEG_CONTOUR_LEVEL (0) or \
                     NASOSEG_CONTOUR_VOXEL (1). Pass one of them"
                )));
            }
        };
        Ok(())
    })
}

/// nasoseg_contours_write_rtstruct: how holes are written (nasoseg_holes). Default:
/// NASOSEG_HOLES_KEYHOLE.
///
/// # Safety
/// `options` is a live handle.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn nasoseg_options_set_holes(
    options: *mut nasoseg_options,
    holes: u32,
    error: *mut *mut nasoseg_error,
) -> u32 {
    arguments!(options: Ref, error: Out);
    set(options, error, |o| {
        o.holes = match holes {
            0 => HoleMode::Keyhole,
            1 => HoleMode::Xor,
            2 => HoleMode::Plain,
            3 => HoleMode::Fill,
            _ => {
                return Err(Error::Argument(format!(
                    "holes: found {holes}, expected a nasoseg_holes, 0 to 3. Pass one of its \
                     constants"
                )));
            }
        };
        Ok(())
    })
}

/// nasoseg_contours_write_rtstruct: how far (mm) a contour may move when points are removed; 0
/// (default) writes the exact contours.
///
/// # Safety
/// `options` is a live handle.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn nasoseg_options_set_simplify_mm(
    options: *mut nasoseg_options,
    tolerance_mm: f64,
    error: *mut *mut nasoseg_error,
) -> u32 {
    arguments!(options: Ref, error: Out);
    set(options, error, |o| {
        if !(tolerance_mm.is_finite() && tolerance_mm >= 0.0) {
            return Err(Error::Argument(format!(
                "simplification: found {tolerance_mm} mm, expected 0 or more. Pass 0 to write the \
                 exact contours"
            )));
        }
        o.simplify_mm = tolerance_mm;
        Ok(())
    })
}

/// nasoseg_contours_write_rtstruct: the ROI's name, at most 16 characters. Default: "GTVp_SeqSeg".
/// The result of a demo model is always named "DEMO_NOT_CLIN".
///
/// # Safety
/// `options` is a live handle, `name` a string; both are borrowed for the call.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn nasoseg_options_set_roi_name(
    options: *mut nasoseg_options,
    name: *const c_char,
    error: *mut *mut nasoseg_error,
) -> u32 {
    arguments!(options: Ref, name: Text, error: Out);
    set(options, error, |o| {
        o.roi_name = Some(name.utf8()?.to_owned());
        Ok(())
    })
}

/// nasoseg_contours_write_rtstruct: the structure set's label, at most 16 characters. Default:
/// "nasoseg".
///
/// # Safety
/// `options` is a live handle, `label` a string; both are borrowed for the call.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn nasoseg_options_set_structure_set_label(
    options: *mut nasoseg_options,
    label: *const c_char,
    error: *mut *mut nasoseg_error,
) -> u32 {
    arguments!(options: Ref, label: Text, error: Out);
    set(options, error, |o| {
        o.structure_set_label = Some(label.utf8()?.to_owned());
        Ok(())
    })
}
