//! The source of a volume: a caller's buffer, a file, or a DICOM series.

use std::path::PathBuf;

use crate::provenance::{Demo, demo_of_description};

/// The source of a volume.
#[derive(Debug, Clone)]
pub enum Source {
    /// A caller's buffer.
    Memory,
    /// A NIfTI-1 or NRRD file.
    File {
        /// The file.
        path: PathBuf,
        /// Name of the format.
        format: &'static str,
        /// The file's own description (NIfTI's `descrip`); may be empty.
        description: String,
    },
    /// A DICOM series.
    Dicom(Box<DicomSeries>),
}

impl Source {
    /// What a file says of itself; empty for other sources.
    pub fn description(&self) -> &str {
        match self {
            Source::File { description, .. } => description,
            Source::Memory | Source::Dicom(_) => "",
        }
    }

    /// Set if the file says that a demo model made it.
    pub fn demo(&self) -> Option<Demo> {
        demo_of_description(self.description())
    }
}

/// The attributes of a DICOM series beyond its voxels. Slice k of the volume is `slices[k]`.
#[derive(Debug, Clone, Default)]
pub struct DicomSeries {
    /// One per slice k, in the volume's order.
    pub slices: Vec<DicomSlice>,
    /// SOP Class UID.
    pub sop_class_uid: String,
    /// Study Instance UID.
    pub study_instance_uid: String,
    /// Series Instance UID.
    pub series_instance_uid: String,
    /// Frame of Reference UID; `None` if the images have none.
    pub frame_of_reference_uid: Option<String>,
    /// Patient ID.
    pub patient_id: String,
    /// Patient Name, decoded by the file's own character set, for messages only.
    pub patient_name: String,
    /// Patient's Birth Date, YYYYMMDD.
    pub patient_birth_date: String,
    /// Series Description.
    pub series_description: String,
    /// Echo Time, ms.
    pub echo_time_ms: Option<f64>,
    /// Repetition Time, ms.
    pub repetition_time_ms: Option<f64>,
    /// Contrast/Bolus Agent (0018,0010), empty if absent.
    pub contrast_agent: String,
    /// The file of slice k = 0: Patient and Study modules are copied from it, byte for byte.
    pub header_file: PathBuf,
    /// Warnings for the user (missing slices that were allowed).
    pub warnings: Vec<String>,
}

/// One image (or one frame of a multi-frame image) of a series.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct DicomSlice {
    /// The file of the image.
    pub path: PathBuf,
    /// SOP Instance UID.
    pub sop_instance_uid: String,
    /// Original 1-based frame number of a multi-frame image; `None` for a single-frame one.
    pub frame: Option<u32>,
    /// Image Position (Patient), LPS mm, as stored: the decimal strings of the file.
    pub position: [String; 3],
    /// Image Orientation (Patient), as stored.
    pub orientation: [String; 6],
}
