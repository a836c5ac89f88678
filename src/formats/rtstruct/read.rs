//! Reading RT Structure Sets of any system.
//!
//! In: a structure set file, one of its ROIs (regions of interest), and the series that it was
//! drawn on. Out: the ROI as a mask on the series' own grid.
//!
//! A voxel belongs to the ROI if its centre lies inside the contours by the even-odd rule, applied
//! to all contours of a slice: holes may be keyholes, CLOSEDPLANAR_XOR rings or CLOSED_PLANAR rings
//! inside others. A contour's slice is found from its referenced image, on whose plane it must lie;
//! if it references none, from its plane alone. No contour is silently moved to the nearest slice.

use std::collections::{BTreeMap, HashMap};
use std::path::{Path, PathBuf};

use dicom_dictionary_std::{tags, uids};
use dicom_object::InMemDicomObject;
use ndarray::Array3;

use super::element::{items, text};
use super::mask;
use super::object::read;
use crate::error::{Error, Result};
use crate::volume::Volume;

/// A structure set as it was read.
#[derive(Debug)]
pub struct StructureSet {
    path: PathBuf,
    object: InMemDicomObject,
    rois: Vec<Roi>,
}

/// An ROI (region of interest) of a structure set.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Roi {
    /// ROI Number, as stored.
    pub number: String,
    /// ROI Name.
    pub name: String,
    /// ROI Description.
    pub description: String,
    /// Number of contours by Contour Geometric Type.
    pub contours: BTreeMap<String, usize>,
    frame_of_reference: String,
}

/// How the slice of a contour is found.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum SliceBy {
    /// By the image that the contour references, on whose plane it must lie; by the plane alone if
    /// it references none.
    #[default]
    Image,
    /// By the plane alone, whatever image the contour references: for writers that reference the
    /// wrong one.
    Plane,
}

/// An ROI on the grid of a series.
#[derive(Debug)]
pub struct RoiMask {
    /// [k, j, i], storage order of the reference.
    pub mask: Array3<u8>,
    /// Contours that were left out or are ambiguous.
    pub warnings: Vec<String>,
}

impl StructureSet {
    /// Reads a structure set and lists its ROIs.
    ///
    /// # Errors
    /// [`Error::Read`] if the file cannot be read or is not an RT Structure Set.
    pub fn read(path: &Path) -> Result<Self> {
        let object = read(path)?;
        let class = text(&object, tags::SOP_CLASS_UID);
        if class != uids::RT_STRUCTURE_SET_STORAGE {
            return Err(Error::read(format!(
                "{}: not an RT Structure Set (modality {}, SOP class {class}). Export the \
                 structures \
                 from the planning system as RTSTRUCT",
                path.display(),
                text(&object, tags::MODALITY),
            )));
        }
        let drawn: HashMap<String, &InMemDicomObject> = items(&object, tags::ROI_CONTOUR_SEQUENCE)
            .iter()
            .map(|i| (text(i, tags::REFERENCED_ROI_NUMBER), i))
            .collect();
        let roi = |item: &InMemDicomObject| {
            let number = text(item, tags::ROI_NUMBER);
            let mut contours = BTreeMap::new();
            for contour in
                drawn.get(&number).map(|i| items(i, tags::CONTOUR_SEQUENCE)).unwrap_or_default()
            {
                *contours.entry(geometric_type(contour)).or_default() += 1;
            }
            Roi {
                name: text(item, tags::ROI_NAME),
                description: text(item, tags::ROI_DESCRIPTION),
                contours,
                frame_of_reference: text(item, tags::REFERENCED_FRAME_OF_REFERENCE_UID),
                number,
            }
        };
        let rois = items(&object, tags::STRUCTURE_SET_ROI_SEQUENCE).iter().map(roi).collect();
        Ok(StructureSet { path: path.to_owned(), rois, object })
    }

    /// The file.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// All ROIs, in the file's order.
    pub fn rois(&self) -> &[Roi] {
        &self.rois
    }

    /// The ROI with the name or, failing that, the number `choice`; the only ROI for `None`.
    ///
    /// # Errors
    /// [`Error::Argument`], with the list of ROIs, if none or several fit.
    pub fn roi(&self, choice: Option<&str>) -> Result<&Roi> {
        let listing = self.rois.iter().map(ToString::to_string).collect::<Vec<_>>().join("; ");
        let refused = |what: String| {
            let listing = if listing.is_empty() { "none".into() } else { listing.clone() };
            Err(Error::Argument(format!(
                "{}: {what}. ROIs in the file: {listing}",
                self.path.display()
            )))
        };
        let Some(choice) = choice else {
            return match &self.rois[..] {
                [one] => Ok(one),
                [] => refused("the structure set has no ROI, expected one".into()),
                _ => refused(format!(
                    "the structure set has {} ROIs, expected one. Choose one by its name or number",
                    self.rois.len()
                )),
            };
        };
        let by = |key: fn(&Roi) -> &str| {
            self.rois.iter().filter(|r| key(r) == choice.trim()).collect::<Vec<_>>()
        };
        let named = by(|r| &r.name);
        match (&named[..], &by(|r| &r.number)[..]) {
            ([one], _) | ([], [one]) => Ok(one),
            ([], _) => refused(format!("no ROI has the name or number '{choice}'. Choose another")),
            _ => refused(format!(
                "{} ROIs have the name '{choice}'. Choose one by its number",
                named.len()
            )),
        }
    }

    /// Draws an ROI of this structure set on the grid of `reference`.
    ///
    /// # Errors
    /// - [`Error::Identity`] if the structure set is of another patient;
    /// - [`Error::Geometry`] if it has another frame of reference, references images that are not
    ///   the reference's, or a contour lies off the plane of its slice or of every slice;
    /// - [`Error::Unsupported`] if the ROI has contours, but no closed planar one;
    /// - [`Error::Read`] if a contour is damaged.
    pub fn mask(&self, roi: &Roi, reference: &Volume, by: SliceBy) -> Result<RoiMask> {
        self.check_reference(roi, reference)?;
        mask::draw(self, roi, reference, by)
    }

    /// Refuses another patient or another frame of reference.
    fn check_reference(&self, roi: &Roi, reference: &Volume) -> Result<()> {
        let Some(series) = reference.dicom() else { return Ok(()) };
        for (what, tag, theirs) in [
            ("patient ID", tags::PATIENT_ID, &series.patient_id),
            ("birth date", tags::PATIENT_BIRTH_DATE, &series.patient_birth_date),
        ] {
            let (ours, theirs) = (text(&self.object, tag), theirs.trim());
            if !ours.is_empty() && !theirs.is_empty() && ours != theirs {
                return Err(Error::Identity(format!(
                    "{}: belongs to another patient than the reference: {what} {ours:?} against \
                     {theirs:?}. No option overrides this. Give the structure set and the series \
                     of \
                     one patient",
                    self.path.display()
                )));
            }
        }
        match &series.frame_of_reference_uid {
            Some(frame)
                if !roi.frame_of_reference.is_empty() && *frame != roi.frame_of_reference =>
            {
                Err(Error::Geometry(format!(
                    "{}: {roi} has the frame of reference {}, expected the reference series' \
                     {frame}: their positions cannot be compared. {}",
                    self.path.display(),
                    roi.frame_of_reference,
                    self.series_advice()
                )))
            }
            _ => Ok(()),
        }
    }

    /// The advice to give the series that the structure set was drawn on, by its UID if known.
    pub(super) fn series_advice(&self) -> String {
        let mut found = Vec::new();
        for frame in items(&self.object, tags::REFERENCED_FRAME_OF_REFERENCE_SEQUENCE) {
            for study in items(frame, tags::RT_REFERENCED_STUDY_SEQUENCE) {
                found.extend(
                    items(study, tags::RT_REFERENCED_SERIES_SEQUENCE)
                        .iter()
                        .map(|s| text(s, tags::SERIES_INSTANCE_UID)),
                );
            }
        }
        match found.is_empty() {
            true => "Give the series that the structures were drawn on".into(),
            false => {
                format!("Give the series that the structures were drawn on: {}", found.join(", "))
            }
        }
    }

    /// The contour items of an ROI.
    pub(super) fn contours(&self, roi: &Roi) -> &[InMemDicomObject] {
        let drawn = items(&self.object, tags::ROI_CONTOUR_SEQUENCE);
        let own = drawn.iter().find(|i| text(i, tags::REFERENCED_ROI_NUMBER) == roi.number);
        own.map(|i| items(i, tags::CONTOUR_SEQUENCE)).unwrap_or_default()
    }
}

impl std::fmt::Display for Roi {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let contours: Vec<String> =
            self.contours.iter().map(|(kind, n)| format!("{n} {kind}")).collect();
        let contours = if contours.is_empty() { "no contour".into() } else { contours.join(", ") };
        write!(f, "ROI {} \"{}\" ({contours})", self.number, self.name)
    }
}

/// The Contour Geometric Type of a contour item.
pub(super) fn geometric_type(contour: &InMemDicomObject) -> String {
    match text(contour, tags::CONTOUR_GEOMETRIC_TYPE) {
        empty if empty.is_empty() => "without type".into(),
        kind => kind,
    }
}
