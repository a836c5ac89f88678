//! How listings name a slice.

use crate::volume::Volume;

/// One slice of T1C in a listing.
#[derive(Debug, Clone, PartialEq, serde::Serialize)]
pub struct SliceInfo {
    /// Canonical number, 0-based, from inferior to superior.
    pub slice: usize,
    /// Index along the storage axis along which canonical slices are stacked, inferior to superior
    /// or the reverse: k for DICOM and for any image stored axially. `None` if T1C was
    /// resliced.
    pub storage_slice: Option<usize>,
    /// z (LPS, mm) of the slice's centre.
    pub position_mm: f64,
    /// SOP Instance UID of the slice's image.
    pub sop_instance_uid: Option<String>,
    /// Original 1-based frame of a multi-frame image.
    pub frame: Option<u32>,
}

impl SliceInfo {
    /// A slice of `reference`; its image, if any, is that of `storage_slice`.
    pub(crate) fn new(
        reference: &Volume,
        slice: usize,
        storage_slice: Option<usize>,
        position_mm: f64,
    ) -> Self {
        let image = storage_slice.and_then(|k| reference.dicom()?.slices.get(k));
        SliceInfo {
            slice,
            storage_slice,
            position_mm,
            sop_instance_uid: image.map(|i| i.sop_instance_uid.clone()),
            frame: image.and_then(|i| i.frame),
        }
    }
}
