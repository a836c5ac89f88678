//! Where a volume came from: a caller's buffer, a file, or a DICOM series.

use std::path::PathBuf;

use crate::provenance::{Demo, demo_of_description};

/// Where a volume came from.
#[derive(Debug, Clone)]
pub enum Source {
    /// A caller's buffer.
    Memory,
    /// A NIfTI-1 or NRRD file.
    File {
        path: PathBuf,
        format: &'static str,
        /// What the file says of itself (NIfTI's `descrip`); may be empty.
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

/// What a DICOM series tells beyond its voxels. Slice k of the volume is `slices[k]`.
#[derive(Debug, Clone, Default)]
pub struct DicomSeries {
    /// One per slice k, in the volume's order.
    pub slices: Vec<DicomSlice>,
    pub sop_class_uid: String,
    pub study_instance_uid: String,
    pub series_instance_uid: String,
    /// `None` where the images carry none.
    pub frame_of_reference_uid: Option<String>,
    pub patient_id: String,
    /// As stored (raw bytes decoded by the file's own character set, for messages only).
    pub patient_name: String,
    pub patient_birth_date: String,
    pub series_description: String,
    pub echo_time_ms: Option<f64>,
    pub repetition_time_ms: Option<f64>,
    /// Contrast/Bolus Agent (0018,0010), empty where absent.
    pub contrast_agent: String,
    /// The file of slice k = 0: Patient and Study modules are copied from it, byte for byte.
    pub header_file: PathBuf,
    /// What the user should know of the series (slices that are missing, allowed).
    pub warnings: Vec<String>,
}

/// One image (or one frame of a multi-frame image) of a series.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct DicomSlice {
    pub path: PathBuf,
    pub sop_instance_uid: String,
    /// Original 1-based frame number of a multi-frame image; `None` for a single-frame one.
    pub frame: Option<u32>,
    /// Image Position (Patient), LPS mm, as stored: the decimal strings of the file.
    pub position: [String; 3],
    /// Image Orientation (Patient), as stored.
    pub orientation: [String; 6],
}
