//! The attributes that the parser keeps.

use dicom_core::Tag;
use dicom_dictionary_std::tags;

/// Attributes that are kept at the top level of the data set and in functional groups.
pub(super) const KEPT: [Tag; 44] = [
    tags::MEDIA_STORAGE_SOP_CLASS_UID,
    tags::TRANSFER_SYNTAX_UID,
    tags::SPECIFIC_CHARACTER_SET,
    tags::IMAGE_TYPE,
    tags::SOP_CLASS_UID,
    tags::SOP_INSTANCE_UID,
    tags::ACQUISITION_TIME,
    tags::MODALITY,
    tags::CODE_MEANING,
    tags::SERIES_DESCRIPTION,
    tags::FRAME_TYPE,
    tags::PATIENT_NAME,
    tags::PATIENT_ID,
    tags::PATIENT_BIRTH_DATE,
    tags::CONTRAST_BOLUS_AGENT,
    tags::REPETITION_TIME,
    tags::ECHO_TIME,
    tags::ECHO_NUMBERS,
    tags::TRIGGER_TIME,
    tags::EFFECTIVE_ECHO_TIME,
    tags::DIFFUSION_B_VALUE,
    tags::FRAME_ACQUISITION_NUMBER,
    tags::STUDY_INSTANCE_UID,
    tags::SERIES_INSTANCE_UID,
    tags::ACQUISITION_NUMBER,
    tags::IMAGE_POSITION_PATIENT,
    tags::IMAGE_ORIENTATION_PATIENT,
    tags::FRAME_OF_REFERENCE_UID,
    tags::TEMPORAL_POSITION_IDENTIFIER,
    tags::STACK_ID,
    tags::TEMPORAL_POSITION_INDEX,
    tags::NOMINAL_CARDIAC_TRIGGER_DELAY_TIME,
    tags::SAMPLES_PER_PIXEL,
    tags::PHOTOMETRIC_INTERPRETATION,
    tags::NUMBER_OF_FRAMES,
    tags::ROWS,
    tags::COLUMNS,
    tags::PIXEL_SPACING,
    tags::BITS_ALLOCATED,
    tags::BITS_STORED,
    tags::HIGH_BIT,
    tags::PIXEL_REPRESENTATION,
    tags::RESCALE_INTERCEPT,
    tags::RESCALE_SLOPE,
];

/// Top-level sequences whose first item is read.
pub(super) const TOP_SEQUENCES: [Tag; 3] = [
    tags::CONTRAST_BOLUS_AGENT_SEQUENCE,
    tags::MODALITY_LUT_SEQUENCE,
    tags::SHARED_FUNCTIONAL_GROUPS_SEQUENCE,
];

/// Functional groups whose first item is read.
pub(super) const FUNCTIONAL_GROUPS: [Tag; 10] = [
    tags::PLANE_POSITION_SEQUENCE,
    tags::PLANE_ORIENTATION_SEQUENCE,
    tags::PIXEL_MEASURES_SEQUENCE,
    tags::PIXEL_VALUE_TRANSFORMATION_SEQUENCE,
    tags::FRAME_CONTENT_SEQUENCE,
    tags::MR_ECHO_SEQUENCE,
    tags::MR_DIFFUSION_SEQUENCE,
    tags::MR_IMAGE_FRAME_TYPE_SEQUENCE,
    tags::MR_TIMING_AND_RELATED_PARAMETERS_SEQUENCE,
    tags::CARDIAC_SYNCHRONIZATION_SEQUENCE,
];
