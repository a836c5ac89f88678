//! Options of a structure set.

use super::label;
use super::rings::HoleMode;
use crate::error::Result;
use crate::geometry::Contours;
use crate::provenance::Provenance;

/// Most characters of ROI name, structure set label and observation label: VR SH, and what planning
/// systems show.
pub const LONGEST_LABEL: usize = 16;

/// How a structure set is named and written.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct RtStructOptions {
    /// ROI Name and ROI Observation Label, at most 16 ASCII characters.
    pub roi_name: String,
    /// Structure Set Label, at most 16 ASCII characters.
    pub structure_set_label: String,
    /// Added to the ROI Description; if empty, the provenance's statement is. Characters beyond
    /// ASCII are replaced, as the file keeps the patient's character set.
    pub description: String,
    /// How holes are written.
    pub holes: HoleMode,
    /// The model that made the contours; its name, its version and the first 12 digits of its hash
    /// are written. Overridden by the provenance stored in the contours.
    pub provenance: Option<Provenance>,
    /// A person changed a box or the mask: SEMIAUTOMATIC instead of AUTOMATIC. Overridden by the
    /// contours of a model.
    pub edited: bool,
    /// The contours come from a demonstration model: the file is named
    /// [`DEMO_NAME`](crate::provenance::DEMO_NAME), has no target type and carries
    /// [`DEMO_WARNING`](crate::provenance::DEMO_WARNING). Overrides the names above; implied by the
    /// provenance of a demonstration model.
    pub demo: bool,
    /// The contours come from a mask of unknown origin: no generation algorithm, no interpreted
    /// type and no codes are claimed.
    pub from_mask: bool,
    /// How far simplification may move the contours, mm; 0 writes them exactly.
    pub simplify_mm: f64,
    /// Explicit instead of implicit VR little endian; an error if a contour is too long for it.
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
            provenance: None,
            edited: false,
            demo: false,
            from_mask: false,
            simplify_mm: 0.0,
            explicit_vr: false,
            series_description: "nasoseg contours".into(),
            series_number: 9001,
        }
    }
}

impl RtStructOptions {
    /// Sets the ROI name.
    #[must_use]
    pub fn with_roi_name(mut self, name: impl Into<String>) -> Self {
        self.roi_name = name.into();
        self
    }

    /// Sets the structure set label.
    #[must_use]
    pub fn with_structure_set_label(mut self, label: impl Into<String>) -> Self {
        self.structure_set_label = label.into();
        self
    }

    /// Sets the text that is added to the ROI description.
    #[must_use]
    pub fn with_description(mut self, description: impl Into<String>) -> Self {
        self.description = description.into();
        self
    }

    /// Sets how holes are written.
    #[must_use]
    pub fn with_holes(mut self, holes: HoleMode) -> Self {
        self.holes = holes;
        self
    }

    /// Sets the model that made the contours.
    #[must_use]
    pub fn with_provenance(mut self, provenance: Provenance) -> Self {
        self.provenance = Some(provenance);
        self
    }

    /// Sets whether a person changed a box or the mask.
    #[must_use]
    pub fn with_edited(mut self, edited: bool) -> Self {
        self.edited = edited;
        self
    }

    /// Sets whether the contours come from a demonstration model.
    #[must_use]
    pub fn with_demo(mut self, demo: bool) -> Self {
        self.demo = demo;
        self
    }

    /// Sets whether the contours come from a mask of unknown origin.
    #[must_use]
    pub fn with_from_mask(mut self, from_mask: bool) -> Self {
        self.from_mask = from_mask;
        self
    }

    /// Sets how far simplification may move the contours, mm.
    #[must_use]
    pub fn with_simplify_mm(mut self, tolerance_mm: f64) -> Self {
        self.simplify_mm = tolerance_mm;
        self
    }

    /// Sets whether value representations are explicit.
    #[must_use]
    pub fn with_explicit_vr(mut self, explicit: bool) -> Self {
        self.explicit_vr = explicit;
        self
    }

    /// Sets the series description.
    #[must_use]
    pub fn with_series_description(mut self, description: impl Into<String>) -> Self {
        self.series_description = description.into();
        self
    }

    /// Sets the series number.
    #[must_use]
    pub fn with_series_number(mut self, number: u32) -> Self {
        self.series_number = number;
        self
    }

    /// The options for `contours`: provenance stored in the contours overrides the caller's, so
    /// that a demonstration result cannot be made a target.
    pub(super) fn for_contours(mut self, contours: &Contours) -> Self {
        if let Some((provenance, edited)) = contours.model() {
            self.provenance = Some(provenance.clone());
            self.demo = provenance.demo;
            self.edited = edited;
            self.from_mask = false;
        }
        if let Some(provenance) = &self.provenance
            && self.description.is_empty()
        {
            self.description.clone_from(&provenance.statement);
        }
        self
    }

    /// Whether the contours come from a demonstration model.
    pub(super) fn is_demo(&self) -> bool {
        self.demo || self.provenance.as_ref().is_some_and(|p| p.demo)
    }

    /// The model's name, version and hash; empty if no model is named.
    pub(super) fn model(&self) -> [&str; 3] {
        match &self.provenance {
            Some(p) => [&p.model_name, &p.model_version, &p.model_hash],
            None => [""; 3],
        }
    }

    /// Refuses labels that are too long, empty or not ASCII.
    pub(super) fn check(&self) -> Result<()> {
        label::check("ROI name", &self.roi_name, LONGEST_LABEL)?;
        label::check("structure set label", &self.structure_set_label, LONGEST_LABEL)?;
        label::check("series description", &self.series_description, 64)
    }
}
