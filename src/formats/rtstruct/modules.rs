//! The modules and sequence items of an RT Structure Set.
//!
//! In: the series of the reference, contours, and [`RtStructOptions`]. Out: elements and items as
//! PS3.3 (C.7, C.8.8) defines them.

use std::borrow::Cow;

use dicom_core::value::PrimitiveValue;
use dicom_core::{DataElement, Tag, VR};
use dicom_dictionary_std::{tags, uids};
use dicom_object::InMemDicomObject;
use time::OffsetDateTime;

use super::element::{put, put_sequence};
use super::options::RtStructOptions;
use super::{label, patient_study};
use crate::error::{Error, Result};
use crate::geometry::Contours;
use crate::provenance::{DEMO_NAME, DEMO_WARNING};
use crate::volume::{DicomSeries, DicomSlice};

/// Retired from the newest editions of the Standard, but still shown by planning systems.
const ROI_OBSERVATION_LABEL: Tag = Tag(0x3006, 0x0085);

/// A name of the caller, or the name that every demonstration result has.
fn name<'a>(own: &'a str, options: &RtStructOptions) -> Cow<'a, str> {
    if options.is_demo() { DEMO_NAME.into() } else { own.into() }
}

/// The Series, Equipment, Frame of Reference, Structure Set, Approval and SOP Common modules, but
/// for sequences.
pub(super) fn put_general(
    set: &mut InMemDicomObject,
    sop_instance_uid: &str,
    frame_of_reference: &str,
    options: &RtStructOptions,
) {
    let now = OffsetDateTime::now_local().unwrap_or_else(|_| OffsetDateTime::now_utc());
    let (date, clock) = (
        format!("{:04}{:02}{:02}", now.year(), u8::from(now.month()), now.day()),
        format!("{:02}{:02}{:02}", now.hour(), now.minute(), now.second()),
    );
    put(set, tags::INSTANCE_CREATION_DATE, VR::DA, &date);
    put(set, tags::INSTANCE_CREATION_TIME, VR::TM, &clock);
    put(set, tags::SOP_CLASS_UID, VR::UI, uids::RT_STRUCTURE_SET_STORAGE);
    put(set, tags::SOP_INSTANCE_UID, VR::UI, sop_instance_uid);
    put(set, tags::MODALITY, VR::CS, "RTSTRUCT");
    put(set, tags::SERIES_DATE, VR::DA, &date);
    put(set, tags::SERIES_TIME, VR::TM, &clock);
    put(set, tags::SERIES_DESCRIPTION, VR::LO, &name(&options.series_description, options));
    put(set, tags::SERIES_INSTANCE_UID, VR::UI, &new_uid());
    put(set, tags::SERIES_NUMBER, VR::IS, &options.series_number.to_string());
    put(set, tags::INSTANCE_NUMBER, VR::IS, "1");
    put(set, tags::OPERATORS_NAME, VR::PN, "");
    put(set, tags::MANUFACTURER, VR::LO, "nasoseg");
    put(set, tags::MANUFACTURER_MODEL_NAME, VR::LO, "nasoseg");
    let version = concat!("nasoseg ", env!("CARGO_PKG_VERSION"));
    let [model_name, model_version, _] = options.model();
    let model = label::plain(format!("{model_name} {model_version}").trim(), 64);
    let versions: Vec<String> =
        [version, &model].into_iter().filter(|v| !v.is_empty()).map(str::to_owned).collect();
    set.put(DataElement::new(
        tags::SOFTWARE_VERSIONS,
        VR::LO,
        PrimitiveValue::Strs(versions.into_iter().collect()),
    ));
    put(set, tags::FRAME_OF_REFERENCE_UID, VR::UI, frame_of_reference);
    put(set, tags::POSITION_REFERENCE_INDICATOR, VR::LO, "");
    put(set, tags::STRUCTURE_SET_LABEL, VR::SH, &name(&options.structure_set_label, options));
    put(set, tags::STRUCTURE_SET_DATE, VR::DA, &date);
    put(set, tags::STRUCTURE_SET_TIME, VR::TM, &clock);
    if options.is_demo() {
        put(set, tags::STRUCTURE_SET_DESCRIPTION, VR::ST, DEMO_WARNING);
    }
    put(set, tags::APPROVAL_STATUS, VR::CS, "UNAPPROVED");
}

/// Copies the Patient and Study modules of the images.
pub(super) fn copy_patient_and_study(
    set: &mut InMemDicomObject,
    series: &DicomSeries,
) -> Result<()> {
    let found = patient_study::read(&series.header_file)?;
    let study = found
        .get(&tags::STUDY_INSTANCE_UID)
        .map(|uid| String::from_utf8_lossy(uid).trim_end_matches(['\0', ' ']).to_owned());
    if study.as_deref() != Some(series.study_instance_uid.trim_end_matches(['\0', ' '])) {
        return Err(Error::read(format!(
            "{}: the image's study is {}, expected {}: the file has changed since the series was \
             read. Read the series again",
            series.header_file.display(),
            study.as_deref().unwrap_or("not given"),
            series.study_instance_uid
        )));
    }
    for (tag, vr, required) in patient_study::COPIED {
        match found.get(&tag) {
            // Decimal strings are ASCII; as bytes they would be written as numbers.
            Some(bytes) if vr == VR::DS => {
                put(set, tag, vr, String::from_utf8_lossy(bytes).trim_end_matches(['\0', ' ']))
            }
            Some(bytes) => {
                set.put(DataElement::new(tag, vr, PrimitiveValue::U8(bytes.as_slice().into())));
            }
            None if required => put(set, tag, vr, ""),
            None => {}
        }
    }
    Ok(())
}

/// The item of the Referenced Frame of Reference Sequence: study, series and every image.
pub(super) fn referenced_frame(series: &DicomSeries, frame_of_reference: &str) -> InMemDicomObject {
    // A multi-frame image is named once, without a frame number.
    let mut images: Vec<&str> = Vec::new();
    for slice in &series.slices {
        if slice.frame.is_none() || !images.contains(&slice.sop_instance_uid.as_str()) {
            images.push(&slice.sop_instance_uid);
        }
    }
    let images = images.into_iter().map(|uid| reference_to(&series.sop_class_uid, uid)).collect();
    let mut referenced_series = InMemDicomObject::new_empty();
    put(&mut referenced_series, tags::SERIES_INSTANCE_UID, VR::UI, &series.series_instance_uid);
    put_sequence(&mut referenced_series, tags::CONTOUR_IMAGE_SEQUENCE, images);
    // A retired SOP class, which this sequence still uses for the study.
    let mut study = reference_to("1.2.840.10008.3.1.2.3.1", &series.study_instance_uid);
    put_sequence(&mut study, tags::RT_REFERENCED_SERIES_SEQUENCE, vec![referenced_series]);
    let mut frame = InMemDicomObject::new_empty();
    put(&mut frame, tags::FRAME_OF_REFERENCE_UID, VR::UI, frame_of_reference);
    put_sequence(&mut frame, tags::RT_REFERENCED_STUDY_SEQUENCE, vec![study]);
    frame
}

/// The item of the Structure Set ROI Sequence.
pub(super) fn roi(
    contours: &Contours,
    frame_of_reference: &str,
    options: &RtStructOptions,
) -> InMemDicomObject {
    let [model_name, _, hash] = options.model();
    let hash: String = hash.chars().take(12).collect();
    let model = match (model_name.is_empty(), hash.is_empty()) {
        (true, true) => String::new(),
        (_, true) => format!("Model {model_name}."),
        _ => format!("Model {model_name} ({hash})."),
    };
    let line = match contours.threshold() {
        Some(threshold) => format!("Contour at probability {threshold}."),
        None => "Contour along voxel edges.".into(),
    };
    let nothing = if contours.is_empty() { "Nothing was found: no contour." } else { "" };
    let parts = [
        if options.is_demo() { DEMO_WARNING } else { "" },
        &options.description,
        &model,
        &line,
        nothing,
    ];
    let description: Vec<&str> = parts.into_iter().filter(|part| !part.is_empty()).collect();

    let mut roi = InMemDicomObject::new_empty();
    put(&mut roi, tags::ROI_NUMBER, VR::IS, "1");
    put(&mut roi, tags::REFERENCED_FRAME_OF_REFERENCE_UID, VR::UI, frame_of_reference);
    put(&mut roi, tags::ROI_NAME, VR::LO, &name(&options.roi_name, options));
    put(&mut roi, tags::ROI_DESCRIPTION, VR::ST, &label::plain(&description.join(" "), 1024));
    let algorithm = match (options.from_mask, options.edited) {
        (true, _) => "",
        (false, true) => "SEMIAUTOMATIC",
        (false, false) => "AUTOMATIC",
    };
    put(&mut roi, tags::ROI_GENERATION_ALGORITHM, VR::CS, algorithm);
    roi
}

/// The item of the RT ROI Observations Sequence.
pub(super) fn observation(options: &RtStructOptions) -> InMemDicomObject {
    let mut observation = InMemDicomObject::new_empty();
    put(&mut observation, tags::OBSERVATION_NUMBER, VR::IS, "1");
    put(&mut observation, tags::REFERENCED_ROI_NUMBER, VR::IS, "1");
    put(&mut observation, ROI_OBSERVATION_LABEL, VR::SH, &name(&options.roi_name, options));
    let target = !options.is_demo() && !options.from_mask;
    put(&mut observation, tags::RTROI_INTERPRETED_TYPE, VR::CS, if target { "GTV" } else { "" });
    put(&mut observation, tags::ROI_INTERPRETER, VR::PN, "");
    if target {
        put_sequence(
            &mut observation,
            tags::ANATOMIC_REGION_SEQUENCE,
            vec![code("360955006", "Nasopharynx")],
        );
        put_sequence(
            &mut observation,
            tags::SEGMENTED_PROPERTY_CATEGORY_CODE_SEQUENCE,
            vec![code("49755003", "Morphologically Abnormal Structure")],
        );
        put_sequence(
            &mut observation,
            tags::RTROI_IDENTIFICATION_CODE_SEQUENCE,
            vec![code("86049000", "Neoplasm, Primary")],
        );
    }
    observation
}

/// A code of SNOMED CT.
fn code(value: &str, meaning: &str) -> InMemDicomObject {
    let mut code = InMemDicomObject::new_empty();
    put(&mut code, tags::CODE_VALUE, VR::SH, value);
    put(&mut code, tags::CODING_SCHEME_DESIGNATOR, VR::SH, "SCT");
    put(&mut code, tags::CODE_MEANING, VR::LO, meaning);
    code
}

/// The reference to the image that a contour lies on; for a multi-frame image, with the original
/// frame number.
pub(super) fn reference_to_slice(series: &DicomSeries, slice: &DicomSlice) -> InMemDicomObject {
    let mut image = reference_to(&series.sop_class_uid, &slice.sop_instance_uid);
    if let Some(frame) = slice.frame {
        put(&mut image, tags::REFERENCED_FRAME_NUMBER, VR::IS, &frame.to_string());
    }
    image
}

/// A reference to a SOP instance.
fn reference_to(sop_class_uid: &str, sop_instance_uid: &str) -> InMemDicomObject {
    let mut item = InMemDicomObject::new_empty();
    put(&mut item, tags::REFERENCED_SOP_CLASS_UID, VR::UI, sop_class_uid);
    put(&mut item, tags::REFERENCED_SOP_INSTANCE_UID, VR::UI, sop_instance_uid);
    item
}

/// A new UID under the root that anyone may use (PS3.5, B.2).
pub(super) fn new_uid() -> String {
    format!("2.25.{}", uuid::Uuid::new_v4().as_u128())
}
