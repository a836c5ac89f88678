//! Writing an RT Structure Set: contours that a planning system imports onto its images.
//!
//! In: [`Contours`] on the grid of a reference [`Volume`] that came from DICOM, and
//! [`RtStructOptions`]. Out: one RT Structure Set with one ROI, which names the reference's
//! patient, study, frame of reference and images; the file is written completely or not at all.
//!
//! Patient and study are copied byte for byte, in their own character set. Points lie on the exact
//! plane of their slice, in LPS mm with three decimals. If nothing was found, the structure set
//! holds the ROI without contours: planning systems show an empty structure, which is not mistaken
//! for a missing file.

use std::path::Path;

use dicom_core::value::PrimitiveValue;
use dicom_core::{DataElement, VR};
use dicom_dictionary_std::{tags, uids};
use dicom_object::{FileDicomObject, FileMetaTableBuilder, InMemDicomObject};

use super::element::{put, put_sequence};
use super::modules::{
    copy_patient_and_study, new_uid, observation, put_general, reference_to_slice,
    referenced_frame, roi,
};
use super::options::RtStructOptions;
use super::plane::Plane;
use super::rings::rings;
use crate::error::{Error, Result};
use crate::formats::write::write_atomically;
use crate::geometry::Contours;
use crate::volume::{DicomSeries, Volume};

/// Most bytes of one contour's data if value representations are explicit.
const LONGEST_EXPLICIT: usize = 65_534;

/// Identifies this library as the writer of a DICOM file.
const IMPLEMENTATION_CLASS_UID: &str = "2.25.218604719339437215163894372640107741905";

/// Writes the structure set of `contours` on the images of `reference` to `path`.
///
/// # Errors
/// As [`build_rtstruct`]; [`Error::Write`] if `path` cannot be written.
pub fn write_rtstruct(
    path: &Path,
    contours: &Contours,
    reference: &Volume,
    options: &RtStructOptions,
) -> Result<()> {
    let object = build_rtstruct(contours, reference, options)?;
    write_atomically(path, |writer| object.write_all(writer).map_err(Box::new))
}

/// The structure set as a DICOM object. Elements copied from the images hold raw bytes, not decoded
/// text.
///
/// # Errors
/// - [`Error::Unsupported`] if the reference is not DICOM or names no frame of reference, or a
///   contour is too long for explicit VR;
/// - [`Error::Argument`] if the contours lie on another grid or a label is too long or not ASCII;
/// - [`Error::Read`] if the reference's header file is missing or changed; [`Error::Geometry`] if
///   its slices are not the grid's.
pub fn build_rtstruct(
    contours: &Contours,
    reference: &Volume,
    options: &RtStructOptions,
) -> Result<FileDicomObject<InMemDicomObject>> {
    let options = &options.clone().for_contours(contours);
    options.check()?;
    let (series, frame_of_reference) = check_reference(contours, reference)?;
    let simplified;
    let contours = match options.simplify_mm {
        0.0 => contours,
        tolerance => {
            simplified = contours.simplified(tolerance)?;
            &simplified
        }
    };
    let sop_instance_uid = new_uid();
    let mut set = InMemDicomObject::new_empty();
    copy_patient_and_study(&mut set, series)?;
    put_general(&mut set, &sop_instance_uid, frame_of_reference, options);
    for (sequence, item) in [
        (
            tags::REFERENCED_FRAME_OF_REFERENCE_SEQUENCE,
            referenced_frame(series, frame_of_reference),
        ),
        (tags::STRUCTURE_SET_ROI_SEQUENCE, roi(contours, frame_of_reference, options)),
        (tags::ROI_CONTOUR_SEQUENCE, roi_contours(contours, reference, series, options)?),
        (tags::RTROI_OBSERVATIONS_SEQUENCE, observation(options)),
    ] {
        put_sequence(&mut set, sequence, vec![item]);
    }
    let syntax = if options.explicit_vr {
        uids::EXPLICIT_VR_LITTLE_ENDIAN
    } else {
        uids::IMPLICIT_VR_LITTLE_ENDIAN
    };
    let meta = FileMetaTableBuilder::new()
        .media_storage_sop_class_uid(uids::RT_STRUCTURE_SET_STORAGE)
        .media_storage_sop_instance_uid(&sop_instance_uid)
        .transfer_syntax(syntax)
        .implementation_class_uid(IMPLEMENTATION_CLASS_UID)
        .implementation_version_name(concat!("NASOSEG_", env!("CARGO_PKG_VERSION")));
    set.with_meta(meta)
        .map_err(|e| Error::Internal(format!("the structure set's file meta information: {e}")))
}

/// The series that the structure set refers to and its frame of reference, after checking that the
/// contours lie on its grid.
fn check_reference<'a>(
    contours: &Contours,
    reference: &'a Volume,
) -> Result<(&'a DicomSeries, &'a str)> {
    let Some(series) = reference.dicom() else {
        return Err(Error::Unsupported(
            "the reference was not read from DICOM, but an RT Structure Set names the DICOM images \
             that it belongs to. Give the reference sequence as its DICOM series, or write the \
             mask as NIfTI instead"
                .into(),
        ));
    };
    let Some(frame_of_reference) =
        series.frame_of_reference_uid.as_deref().filter(|uid| !uid.is_empty())
    else {
        return Err(Error::Unsupported(format!(
            "series {}: its images carry no Frame of Reference UID (0020,0052), which planning \
             systems require to place contours. Export the series again from the scanner or \
             archive with its frame of reference, or write the mask as NIfTI instead",
            series.series_instance_uid
        )));
    };
    let grid = reference.grid();
    if series.slices.len() != grid.size()[2] {
        return Err(Error::Internal(format!(
            "a series of {} slices on a grid of {}",
            series.slices.len(),
            grid.size()[2]
        )));
    }
    if contours.grid().corner_distance(grid) > 0.01 {
        return Err(Error::Argument(format!(
            "the contours were drawn on a grid of {:?} voxels that is not the reference's (of \
             {:?}, or at another place). Draw them on the reference's own grid",
            contours.grid().size(),
            grid.size()
        )));
    }
    Ok((series, frame_of_reference))
}

/// The item of the ROI Contour Sequence; it has no Contour Sequence if there are no contours.
fn roi_contours(
    contours: &Contours,
    reference: &Volume,
    series: &DicomSeries,
    options: &RtStructOptions,
) -> Result<InMemDicomObject> {
    let mut items = Vec::new();
    for k in contours.slices() {
        let slice = &series.slices[k];
        let plane = Plane::new(slice, reference.grid(), k)?;
        for ring in rings(contours, k, options.holes) {
            let Some(data) = plane.contour_data(&ring)? else { continue };
            let bytes: usize = data.iter().map(|text| text.len() + 1).sum();
            if options.explicit_vr && bytes > LONGEST_EXPLICIT {
                return Err(Error::Unsupported(format!(
                    "a contour of slice k {k} takes {bytes} bytes, expected at most \
                     {LONGEST_EXPLICIT} in explicit VR. Write implicit VR, or allow simplification \
                     by some hundredths of a millimetre"
                )));
            }
            let mut item = InMemDicomObject::new_empty();
            let image = reference_to_slice(series, slice);
            put_sequence(&mut item, tags::CONTOUR_IMAGE_SEQUENCE, vec![image]);
            put(&mut item, tags::CONTOUR_GEOMETRIC_TYPE, VR::CS, options.holes.geometric_type());
            put(&mut item, tags::NUMBER_OF_CONTOUR_POINTS, VR::IS, &(data.len() / 3).to_string());
            put(&mut item, tags::CONTOUR_NUMBER, VR::IS, &(items.len() + 1).to_string());
            item.put(DataElement::new(
                tags::CONTOUR_DATA,
                VR::DS,
                PrimitiveValue::Strs(data.into()),
            ));
            items.push(item);
        }
    }
    let mut roi = InMemDicomObject::new_empty();
    let colour = if options.is_demo() { "255\\165\\0" } else { "255\\0\\0" };
    put(&mut roi, tags::ROI_DISPLAY_COLOR, VR::IS, colour);
    put(&mut roi, tags::REFERENCED_ROI_NUMBER, VR::IS, "1");
    if !items.is_empty() {
        put_sequence(&mut roi, tags::CONTOUR_SEQUENCE, items);
    }
    Ok(roi)
}
