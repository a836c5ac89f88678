//! RT Structure Set: contours that a planning system imports onto its images.
//!
//! In: [`Contours`] on the grid of a reference [`Volume`] that came from DICOM, and
//! [`RtStructOptions`]. Out: one RT Structure Set with one region of interest, which names the
//! reference's patient, study, frame of reference and images; the file appears whole or not at all.
//!
//! Patient and study are copied byte for byte, in their own character set. Points lie on the exact
//! plane of their slice, in LPS mm with three decimals. Where nothing was found, the structure set
//! holds the region without contours: planning systems show it as an empty structure, and a file
//! that says "looked, found nothing" is not mistaken for one that is missing.

use std::path::Path;

use dicom_core::value::{DataSetSequence, PrimitiveValue, Value};
use dicom_core::{DataElement, Length, Tag, VR};
use dicom_dictionary_std::{tags, uids};
use dicom_object::{FileDicomObject, FileMetaTableBuilder, InMemDicomObject};
use time::OffsetDateTime;

use super::rings::HoleMode;
use super::{header, plane, rings, text};
use crate::error::{Error, Result};
use crate::formats::write::write_atomically;
use crate::geometry::Contours;
use crate::provenance::{DEMO_NAME, DEMO_WARNING};
use crate::volume::{DicomSeries, DicomSlice, Volume};

/// Most characters of ROI name, structure set label and observation label: VR SH, and what planning
/// systems show.
pub const LONGEST_LABEL: usize = 16;

/// Most bytes of one contour's data where value representations are explicit.
const LONGEST_EXPLICIT: usize = 65_534;

/// Root of this library as a writer of DICOM files.
const IMPLEMENTATION_CLASS_UID: &str = "2.25.218604719339437215163894372640107741905";

/// Retired from the newest editions of the Standard; planning systems show it all the same.
const ROI_OBSERVATION_LABEL: Tag = Tag(0x3006, 0x0085);

/// How a structure set is named and written.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct RtStructOptions {
    /// ROI Name and ROI Observation Label, at most 16 ASCII characters.
    pub roi_name: String,
    /// Structure Set Label, at most 16 ASCII characters.
    pub structure_set_label: String,
    /// Added to the ROI Description; may be empty. Characters beyond ASCII are replaced: the file
    /// keeps the patient's character set.
    pub description: String,
    /// How holes are written.
    pub holes: HoleMode,
    /// A person changed a box or the mask: SEMIAUTOMATIC instead of AUTOMATIC.
    pub edited: bool,
    /// The model is a demonstration: named [`DEMO_NAME`], without a target type, with
    /// [`DEMO_WARNING`]. Overrides the names above.
    pub demo: bool,
    /// The contours come from a mask of unknown origin: no generation algorithm, no interpreted
    /// type and no codes are claimed.
    pub from_mask: bool,
    /// The bundle's name, version and sha256 in hexadecimal digits; its first 12 digits are
    /// written.
    pub model_name: String,
    pub model_version: String,
    pub model_hash: String,
    /// How far the line may be moved to spare points, mm; 0 writes the exact line.
    pub simplify_mm: f64,
    /// Explicit instead of implicit VR little endian; refused where a contour is too long for it.
    pub explicit_vr: bool,
    /// Series Description, at most 64 ASCII characters.
    pub series_description: String,
    /// Series Number.
    pub series_number: u32,
}

impl Default for RtStructOptions {
    fn default() -> Self {
        RtStructOptions {
            roi_name: "GTVp_SeqSeg".into(),
            structure_set_label: "nasoseg".into(),
            description: String::new(),
            holes: HoleMode::default(),
            edited: false,
            demo: false,
            from_mask: false,
            model_name: String::new(),
            model_version: String::new(),
            model_hash: String::new(),
            simplify_mm: 0.0,
            explicit_vr: false,
            series_description: "nasoseg contours".into(),
            series_number: 9001,
        }
    }
}

impl RtStructOptions {
    /// Defaults for the contours of a model.
    pub fn for_model(
        name: impl Into<String>,
        version: impl Into<String>,
        hash: impl Into<String>,
    ) -> Self {
        RtStructOptions {
            model_name: name.into(),
            model_version: version.into(),
            model_hash: hash.into(),
            ..Self::default()
        }
    }

    #[must_use]
    pub fn with_roi_name(mut self, name: impl Into<String>) -> Self {
        self.roi_name = name.into();
        self
    }

    #[must_use]
    pub fn with_structure_set_label(mut self, label: impl Into<String>) -> Self {
        self.structure_set_label = label.into();
        self
    }

    #[must_use]
    pub fn with_description(mut self, description: impl Into<String>) -> Self {
        self.description = description.into();
        self
    }

    #[must_use]
    pub fn with_holes(mut self, holes: HoleMode) -> Self {
        self.holes = holes;
        self
    }

    #[must_use]
    pub fn with_edited(mut self, edited: bool) -> Self {
        self.edited = edited;
        self
    }

    #[must_use]
    pub fn with_demo(mut self, demo: bool) -> Self {
        self.demo = demo;
        self
    }

    #[must_use]
    pub fn with_from_mask(mut self, from_mask: bool) -> Self {
        self.from_mask = from_mask;
        self
    }

    /// What the contours themselves know of their origin goes before what the caller says: a demo
    /// result cannot be made a target.
    fn of(mut self, contours: &Contours) -> Self {
        if let Some((provenance, edited)) = contours.model() {
            self.demo = provenance.demo;
            self.edited = edited;
            self.from_mask = false;
            self.model_name.clone_from(&provenance.model_name);
            self.model_version.clone_from(&provenance.model_version);
            self.model_hash.clone_from(&provenance.model_hash);
            if self.description.is_empty() {
                self.description.clone_from(&provenance.statement);
            }
        }
        self
    }

    #[must_use]
    pub fn with_simplify_mm(mut self, tolerance_mm: f64) -> Self {
        self.simplify_mm = tolerance_mm;
        self
    }

    #[must_use]
    pub fn with_explicit_vr(mut self, explicit: bool) -> Self {
        self.explicit_vr = explicit;
        self
    }

    fn check(&self) -> Result<()> {
        text::label("ROI name", &self.roi_name, LONGEST_LABEL)?;
        text::label("structure set label", &self.structure_set_label, LONGEST_LABEL)?;
        text::label("series description", &self.series_description, 64)
    }
}

/// Writes the structure set of `contours` on the images of `reference` to `path`.
///
/// # Errors
/// As [`build_rtstruct`]; [`Error::Write`] where `path` cannot be written.
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
/// - [`Error::Unsupported`] where the reference is not DICOM or names no frame of reference, or a
///   contour is too long for explicit VR;
/// - [`Error::Argument`] where the contours lie on another grid or a label is too long or not
///   ASCII;
/// - [`Error::Read`] where the reference's header file has gone or changed; [`Error::Geometry`]
///   where its slices are not the grid's.
pub fn build_rtstruct(
    contours: &Contours,
    reference: &Volume,
    options: &RtStructOptions,
) -> Result<FileDicomObject<InMemDicomObject>> {
    let options = &options.clone().of(contours);
    options.check()?;
    let Some(series) = reference.dicom() else {
        return Err(Error::Unsupported(
            "an RT Structure Set names the DICOM images that it belongs to, but the reference was not read from DICOM; give the reference \
             sequence as its DICOM series, or write the mask as NIfTI instead"
                .into(),
        ));
    };
    let Some(frame_of_reference) =
        series.frame_of_reference_uid.as_deref().filter(|uid| !uid.is_empty())
    else {
        return Err(Error::Unsupported(format!(
            "series {}: its images carry no Frame of Reference UID (0020,0052), without which a planning system cannot place contours; export \
             the series again from the scanner or archive with its frame of reference, or write the mask as NIfTI instead",
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
            "the contours were drawn on a grid of {:?} voxels that is not the reference's ({:?}, or at another place); draw them on the reference's own grid",
            contours.grid().size(),
            grid.size()
        )));
    }
    let simplified;
    let contours = match options.simplify_mm {
        0.0 => contours,
        tolerance => {
            simplified = contours.simplified(tolerance)?;
            &simplified
        }
    };

    let name = |own: &str| if options.demo { DEMO_NAME.to_owned() } else { own.to_owned() };
    let now = OffsetDateTime::now_local().unwrap_or_else(|_| OffsetDateTime::now_utc());
    let (date, clock) = (
        format!("{:04}{:02}{:02}", now.year(), u8::from(now.month()), now.day()),
        format!("{:02}{:02}{:02}", now.hour(), now.minute(), now.second()),
    );
    let sop_instance_uid = new_uid();
    let version = concat!("nasoseg ", env!("CARGO_PKG_VERSION"));
    let model = text::plain(format!("{} {}", options.model_name, options.model_version).trim(), 64);

    let mut set = InMemDicomObject::new_empty();
    copy_header(&mut set, series)?;
    put(&mut set, tags::INSTANCE_CREATION_DATE, VR::DA, &date);
    put(&mut set, tags::INSTANCE_CREATION_TIME, VR::TM, &clock);
    put(&mut set, tags::SOP_CLASS_UID, VR::UI, uids::RT_STRUCTURE_SET_STORAGE);
    put(&mut set, tags::SOP_INSTANCE_UID, VR::UI, &sop_instance_uid);
    put(&mut set, tags::MODALITY, VR::CS, "RTSTRUCT");
    put(&mut set, tags::SERIES_DATE, VR::DA, &date);
    put(&mut set, tags::SERIES_TIME, VR::TM, &clock);
    put(&mut set, tags::SERIES_DESCRIPTION, VR::LO, &name(&options.series_description));
    put(&mut set, tags::SERIES_INSTANCE_UID, VR::UI, &new_uid());
    put(&mut set, tags::SERIES_NUMBER, VR::IS, &options.series_number.to_string());
    put(&mut set, tags::INSTANCE_NUMBER, VR::IS, "1");
    put(&mut set, tags::OPERATORS_NAME, VR::PN, "");
    put(&mut set, tags::MANUFACTURER, VR::LO, "nasoseg");
    put(&mut set, tags::MANUFACTURER_MODEL_NAME, VR::LO, "nasoseg");
    let versions: Vec<String> =
        [version, &model].into_iter().filter(|v| !v.is_empty()).map(str::to_owned).collect();
    set.put(DataElement::new(
        tags::SOFTWARE_VERSIONS,
        VR::LO,
        PrimitiveValue::Strs(versions.into_iter().collect()),
    ));
    put(&mut set, tags::FRAME_OF_REFERENCE_UID, VR::UI, frame_of_reference);
    put(&mut set, tags::POSITION_REFERENCE_INDICATOR, VR::LO, "");
    put(&mut set, tags::STRUCTURE_SET_LABEL, VR::SH, &name(&options.structure_set_label));
    put(&mut set, tags::STRUCTURE_SET_DATE, VR::DA, &date);
    put(&mut set, tags::STRUCTURE_SET_TIME, VR::TM, &clock);
    if options.demo {
        put(&mut set, tags::STRUCTURE_SET_DESCRIPTION, VR::ST, DEMO_WARNING);
    }
    put(&mut set, tags::APPROVAL_STATUS, VR::CS, "UNAPPROVED");
    sequence(
        &mut set,
        tags::REFERENCED_FRAME_OF_REFERENCE_SEQUENCE,
        vec![referenced_frame(series, frame_of_reference)],
    );
    sequence(
        &mut set,
        tags::STRUCTURE_SET_ROI_SEQUENCE,
        vec![region(contours, frame_of_reference, &name(&options.roi_name), options)],
    );
    sequence(
        &mut set,
        tags::ROI_CONTOUR_SEQUENCE,
        vec![region_contours(contours, reference, series, options)?],
    );
    sequence(
        &mut set,
        tags::RTROI_OBSERVATIONS_SEQUENCE,
        vec![observation(&name(&options.roi_name), options)],
    );

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

/// The Patient and Study modules of the images.
fn copy_header(set: &mut InMemDicomObject, series: &DicomSeries) -> Result<()> {
    let found = header::read(&series.header_file)?;
    let study = found
        .get(&tags::STUDY_INSTANCE_UID)
        .map(|uid| String::from_utf8_lossy(uid).trim_end_matches(['\0', ' ']).to_owned());
    if study.as_deref() != Some(series.study_instance_uid.trim_end_matches(['\0', ' '])) {
        return Err(Error::read(format!(
            "{}: the image's study is {}, but {} was expected: the file has changed since the series was read. Read the series again",
            series.header_file.display(),
            study.as_deref().unwrap_or("not named"),
            series.study_instance_uid
        )));
    }
    for (tag, vr, required) in header::COPIED {
        match found.get(&tag) {
            // Decimal strings are ASCII; as bytes they would be taken for numbers.
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

/// Referenced Frame of Reference: the study, the series, every image.
fn referenced_frame(series: &DicomSeries, frame_of_reference: &str) -> InMemDicomObject {
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
    sequence(&mut referenced_series, tags::CONTOUR_IMAGE_SEQUENCE, images);
    // Retired as a class of its own, but still what a study is referenced by here.
    let mut study = reference_to("1.2.840.10008.3.1.2.3.1", &series.study_instance_uid);
    sequence(&mut study, tags::RT_REFERENCED_SERIES_SEQUENCE, vec![referenced_series]);
    let mut frame = InMemDicomObject::new_empty();
    put(&mut frame, tags::FRAME_OF_REFERENCE_UID, VR::UI, frame_of_reference);
    sequence(&mut frame, tags::RT_REFERENCED_STUDY_SEQUENCE, vec![study]);
    frame
}

/// The item of the Structure Set ROI Sequence.
fn region(
    contours: &Contours,
    frame_of_reference: &str,
    name: &str,
    options: &RtStructOptions,
) -> InMemDicomObject {
    let hash: String = options.model_hash.chars().take(12).collect();
    let model = match (options.model_name.is_empty(), hash.is_empty()) {
        (true, true) => String::new(),
        (_, true) => format!("Model {}.", options.model_name),
        _ => format!("Model {} ({hash}).", options.model_name),
    };
    let line = match contours.threshold() {
        Some(threshold) => format!("Contour at probability {threshold}."),
        None => "Contour along voxel edges.".into(),
    };
    let nothing = if contours.is_empty() { "Nothing was found: no contour." } else { "" };
    let parts = [
        if options.demo { DEMO_WARNING } else { "" },
        &options.description,
        &model,
        &line,
        nothing,
    ];
    let description: Vec<&str> = parts.into_iter().filter(|part| !part.is_empty()).collect();

    let mut region = InMemDicomObject::new_empty();
    put(&mut region, tags::ROI_NUMBER, VR::IS, "1");
    put(&mut region, tags::REFERENCED_FRAME_OF_REFERENCE_UID, VR::UI, frame_of_reference);
    put(&mut region, tags::ROI_NAME, VR::LO, name);
    put(&mut region, tags::ROI_DESCRIPTION, VR::ST, &text::plain(&description.join(" "), 1024));
    let algorithm = match (options.from_mask, options.edited) {
        (true, _) => "",
        (false, true) => "SEMIAUTOMATIC",
        (false, false) => "AUTOMATIC",
    };
    put(&mut region, tags::ROI_GENERATION_ALGORITHM, VR::CS, algorithm);
    region
}

/// The item of the ROI Contour Sequence; without Contour Sequence where there is nothing to draw.
fn region_contours(
    contours: &Contours,
    reference: &Volume,
    series: &DicomSeries,
    options: &RtStructOptions,
) -> Result<InMemDicomObject> {
    let mut items = Vec::new();
    for k in contours.slices() {
        let slice = &series.slices[k];
        let plane = plane::Plane::new(slice, reference.grid(), k)?;
        for ring in rings::rings(contours, k, options.holes) {
            let Some(data) = plane.contour_data(&ring)? else { continue };
            let bytes: usize = data.iter().map(|text| text.len() + 1).sum();
            if options.explicit_vr && bytes > LONGEST_EXPLICIT {
                return Err(Error::Unsupported(format!(
                    "the contour of slice k {k} takes {bytes} bytes, but explicit VR holds at most {LONGEST_EXPLICIT}; write implicit VR, or \
                     allow simplification by some hundredths of a millimetre"
                )));
            }
            let mut item = InMemDicomObject::new_empty();
            sequence(&mut item, tags::CONTOUR_IMAGE_SEQUENCE, vec![image_of(series, slice)]);
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
    let mut region = InMemDicomObject::new_empty();
    let colour = if options.demo { "255\\165\\0" } else { "255\\0\\0" };
    put(&mut region, tags::ROI_DISPLAY_COLOR, VR::IS, colour);
    put(&mut region, tags::REFERENCED_ROI_NUMBER, VR::IS, "1");
    if !items.is_empty() {
        sequence(&mut region, tags::CONTOUR_SEQUENCE, items);
    }
    Ok(region)
}

/// The item of the RT ROI Observations Sequence.
fn observation(name: &str, options: &RtStructOptions) -> InMemDicomObject {
    let mut observation = InMemDicomObject::new_empty();
    put(&mut observation, tags::OBSERVATION_NUMBER, VR::IS, "1");
    put(&mut observation, tags::REFERENCED_ROI_NUMBER, VR::IS, "1");
    put(&mut observation, ROI_OBSERVATION_LABEL, VR::SH, name);
    let target = !options.demo && !options.from_mask;
    put(&mut observation, tags::RTROI_INTERPRETED_TYPE, VR::CS, if target { "GTV" } else { "" });
    put(&mut observation, tags::ROI_INTERPRETER, VR::PN, "");
    if target {
        sequence(
            &mut observation,
            tags::ANATOMIC_REGION_SEQUENCE,
            vec![code("360955006", "Nasopharynx")],
        );
        sequence(
            &mut observation,
            tags::SEGMENTED_PROPERTY_CATEGORY_CODE_SEQUENCE,
            vec![code("49755003", "Morphologically Abnormal Structure")],
        );
        sequence(
            &mut observation,
            tags::RTROI_IDENTIFICATION_CODE_SEQUENCE,
            vec![code("86049000", "Neoplasm, Primary")],
        );
    }
    observation
}

/// A SNOMED CT code.
fn code(value: &str, meaning: &str) -> InMemDicomObject {
    let mut code = InMemDicomObject::new_empty();
    put(&mut code, tags::CODE_VALUE, VR::SH, value);
    put(&mut code, tags::CODING_SCHEME_DESIGNATOR, VR::SH, "SCT");
    put(&mut code, tags::CODE_MEANING, VR::LO, meaning);
    code
}

/// The image that a contour lies on: for a multi-frame image, with the original frame number.
fn image_of(series: &DicomSeries, slice: &DicomSlice) -> InMemDicomObject {
    let mut image = reference_to(&series.sop_class_uid, &slice.sop_instance_uid);
    if let Some(frame) = slice.frame {
        put(&mut image, tags::REFERENCED_FRAME_NUMBER, VR::IS, &frame.to_string());
    }
    image
}

fn reference_to(sop_class_uid: &str, sop_instance_uid: &str) -> InMemDicomObject {
    let mut item = InMemDicomObject::new_empty();
    put(&mut item, tags::REFERENCED_SOP_CLASS_UID, VR::UI, sop_class_uid);
    put(&mut item, tags::REFERENCED_SOP_INSTANCE_UID, VR::UI, sop_instance_uid);
    item
}

fn put(object: &mut InMemDicomObject, tag: Tag, vr: VR, text: &str) {
    let value = if text.is_empty() { PrimitiveValue::Empty } else { PrimitiveValue::from(text) };
    object.put(DataElement::new(tag, vr, value));
}

fn sequence(object: &mut InMemDicomObject, tag: Tag, items: Vec<InMemDicomObject>) {
    let sequence = DataSetSequence::new(items, Length::UNDEFINED);
    object.put(DataElement::new(tag, VR::SQ, Value::Sequence(sequence)));
}

fn new_uid() -> String {
    format!("2.25.{}", uuid::Uuid::new_v4().as_u128())
}
