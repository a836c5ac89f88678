//! RT Structure Sets of other systems.
//!
//! In: a structure set file, one of its regions of interest, and the series that it was drawn on.
//! Out: the region as a mask on the series' own grid.
//!
//! A voxel belongs to the region where its centre lies inside the contours by the even-odd rule,
//! all contours of a slice taken together: holes may be keyholes, CLOSEDPLANAR_XOR rings or
//! CLOSED_PLANAR rings inside others. Contours are told their slice by the image that they name and
//! must lie on its plane; where they name none, by their plane alone. Nothing is moved to the
//! nearest slice in silence.

use std::collections::{BTreeMap, HashMap};
use std::path::{Path, PathBuf};

use dicom_core::Tag;
use dicom_core::header::HasLength;
use dicom_core::value::PrimitiveValue;
use dicom_dictionary_std::{tags, uids};
use dicom_object::InMemDicomObject;
use ndarray::Array3;

use super::mask;
use super::object::{read, text};
use crate::error::{Error, Result};
use crate::formats::dicom::decimal;
use crate::volume::Volume;

/// A structure set as it was read.
#[derive(Debug)]
pub struct StructureSet {
    path: PathBuf,
    object: InMemDicomObject,
    regions: Vec<Region>,
}

/// A region of interest of a structure set.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Region {
    /// ROI Number, as stored.
    pub number: String,
    pub name: String,
    pub description: String,
    /// Number of contours by Contour Geometric Type.
    pub contours: BTreeMap<String, usize>,
    frame_of_reference: String,
}

/// What tells a contour its slice.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum SliceBy {
    /// The image that the contour names, on whose plane it must lie; the plane alone where it names
    /// none.
    #[default]
    Image,
    /// The plane alone, whatever image the contour names: for writers that name the wrong one.
    Plane,
}

/// A region on the grid of a series.
#[derive(Debug)]
pub struct RegionMask {
    /// [k, j, i], storage order of the reference.
    pub mask: Array3<u8>,
    /// What was left out or may have been meant otherwise.
    pub warnings: Vec<String>,
}

impl StructureSet {
    /// Reads a structure set and lists its regions.
    ///
    /// # Errors
    /// [`Error::Read`] where the file cannot be read or is no RT Structure Set.
    pub fn read(path: &Path) -> Result<Self> {
        let object = read(path)?;
        let class = text(&object, tags::SOP_CLASS_UID);
        if class != uids::RT_STRUCTURE_SET_STORAGE {
            return Err(Error::read(format!(
                "{}: not an RT Structure Set (modality {}, SOP class {class}); export the structures from the planning system as RTSTRUCT",
                path.display(),
                text(&object, tags::MODALITY),
            )));
        }
        let drawn: HashMap<String, &InMemDicomObject> = items(&object, tags::ROI_CONTOUR_SEQUENCE)
            .iter()
            .map(|i| (text(i, tags::REFERENCED_ROI_NUMBER), i))
            .collect();
        let region = |item: &InMemDicomObject| {
            let number = text(item, tags::ROI_NUMBER);
            let mut contours = BTreeMap::new();
            for contour in
                drawn.get(&number).map(|i| items(i, tags::CONTOUR_SEQUENCE)).unwrap_or_default()
            {
                *contours.entry(geometric_type(contour)).or_default() += 1;
            }
            Region {
                name: text(item, tags::ROI_NAME),
                description: text(item, tags::ROI_DESCRIPTION),
                contours,
                frame_of_reference: text(item, tags::REFERENCED_FRAME_OF_REFERENCE_UID),
                number,
            }
        };
        let regions = items(&object, tags::STRUCTURE_SET_ROI_SEQUENCE).iter().map(region).collect();
        Ok(StructureSet { path: path.to_owned(), regions, object })
    }

    /// The file.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Every region, in the file's order.
    pub fn regions(&self) -> &[Region] {
        &self.regions
    }

    /// The region that is meant: by its name, or else by its number; the only one where nothing is
    /// said.
    ///
    /// # Errors
    /// [`Error::Argument`], with the list of regions, where none or several fit.
    pub fn region(&self, choice: Option<&str>) -> Result<&Region> {
        let listing = self.regions.iter().map(ToString::to_string).collect::<Vec<_>>().join("; ");
        let refused = |what: String| {
            let listing = if listing.is_empty() { "none".into() } else { listing.clone() };
            Err(Error::Argument(format!(
                "{}: {what}. Regions in the file: {listing}",
                self.path.display()
            )))
        };
        let Some(choice) = choice else {
            return match &self.regions[..] {
                [one] => Ok(one),
                [] => refused("the structure set has no region; one was expected".into()),
                _ => refused(format!(
                    "the structure set has {} regions; choose one by its name or number",
                    self.regions.len()
                )),
            };
        };
        let by = |key: fn(&Region) -> &str| {
            self.regions.iter().filter(|r| key(r) == choice.trim()).collect::<Vec<_>>()
        };
        let named = by(|r| &r.name);
        match (&named[..], &by(|r| &r.number)[..]) {
            ([one], _) | ([], [one]) => Ok(one),
            ([], _) => {
                refused(format!("no region has the name or number '{choice}'; choose another"))
            }
            _ => refused(format!(
                "{} regions have the name '{choice}'; choose one by its number",
                named.len()
            )),
        }
    }

    /// Draws a region of this structure set on the grid of `reference`.
    ///
    /// # Errors
    /// - [`Error::Identity`] where the structure set is of another patient;
    /// - [`Error::Geometry`] where it has another frame of reference, names images that are not the
    ///   reference's, or a contour lies off the plane of its slice or of every slice;
    /// - [`Error::Unsupported`] where the region has no closed planar contour but others;
    /// - [`Error::Read`] where a contour is damaged.
    pub fn mask(&self, region: &Region, reference: &Volume, by: SliceBy) -> Result<RegionMask> {
        self.belongs(region, reference)?;
        mask::draw(self, region, reference, by)
    }

    /// The same patient, the same frame of reference.
    fn belongs(&self, region: &Region, reference: &Volume) -> Result<()> {
        let Some(series) = reference.dicom() else { return Ok(()) };
        for (what, tag, theirs) in [
            ("patient ID", tags::PATIENT_ID, &series.patient_id),
            ("birth date", tags::PATIENT_BIRTH_DATE, &series.patient_birth_date),
        ] {
            let (ours, theirs) = (text(&self.object, tag), theirs.trim());
            if !ours.is_empty() && !theirs.is_empty() && ours != theirs {
                return Err(Error::Identity(format!(
                    "{}: belongs to another patient than the reference: {what} {ours:?} against {theirs:?}. No option overrides this; give the \
                     structure set and the series of one patient",
                    self.path.display()
                )));
            }
        }
        match &series.frame_of_reference_uid {
            Some(frame)
                if !region.frame_of_reference.is_empty() && *frame != region.frame_of_reference =>
            {
                Err(Error::Geometry(format!(
                    "{}: {region} has the frame of reference {}, but the reference series has {frame}, so their positions cannot be compared. {}",
                    self.path.display(),
                    region.frame_of_reference,
                    self.own_series()
                )))
            }
            _ => Ok(()),
        }
    }

    /// The series that the structure set says it was drawn on.
    pub(super) fn own_series(&self) -> String {
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

    pub(super) fn contours(&self, region: &Region) -> &[InMemDicomObject] {
        let drawn = items(&self.object, tags::ROI_CONTOUR_SEQUENCE);
        let own = drawn.iter().find(|i| text(i, tags::REFERENCED_ROI_NUMBER) == region.number);
        own.map(|i| items(i, tags::CONTOUR_SEQUENCE)).unwrap_or_default()
    }
}

impl std::fmt::Display for Region {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let contours: Vec<String> =
            self.contours.iter().map(|(kind, n)| format!("{n} {kind}")).collect();
        let contours = if contours.is_empty() { "no contour".into() } else { contours.join(", ") };
        write!(f, "ROI {} \"{}\" ({contours})", self.number, self.name)
    }
}

pub(super) fn items(object: &InMemDicomObject, tag: Tag) -> &[InMemDicomObject] {
    object.get(tag).and_then(|e| e.items()).unwrap_or_default()
}

pub(super) fn geometric_type(contour: &InMemDicomObject) -> String {
    match text(contour, tags::CONTOUR_GEOMETRIC_TYPE) {
        empty if empty.is_empty() => "without type".into(),
        kind => kind,
    }
}

/// Decimal strings as numbers; `None` where one is none. Long contour data in explicit VR are of
/// unknown VR: bytes that hold the same text.
pub(super) fn decimals(object: &InMemDicomObject, tag: Tag) -> Option<Vec<f64>> {
    let Some(element) = object.get(tag).filter(|e| !e.is_empty()) else { return Some(Vec::new()) };
    match element.value().primitive()? {
        PrimitiveValue::U8(bytes) => {
            std::str::from_utf8(bytes).ok()?.split('\\').map(decimal).collect()
        }
        _ => element.to_multi_str().ok()?.iter().map(|s| decimal(s)).collect(),
    }
}
