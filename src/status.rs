//! The statuses that a slice can carry, with the words for them that people see.

/// What a user should know about a slice.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize,
)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum SliceStatus {
    /// Nothing to report.
    Ok,
    /// No pixel reaches the threshold, or there is no box: the detector found none, or the caller
    /// cleared it.
    NoLesion,
    /// The box touches the edge of the model's grid.
    BoxAtImageEdge,
    /// The mask reaches the edge of the segmenter's crop, which may have cut it.
    MaskAtCropEdge,
    /// The agent did not stop within the step limit.
    StepLimitReached,
    /// A sequence covers less than 95 % of T1C's foreground here: not segmented unless forced.
    IncompleteCoverage,
    /// The slice spacing lies outside the range seen in training.
    SpacingOutsideTraining,
}

impl SliceStatus {
    /// The words that people see.
    pub fn words(self) -> &'static str {
        match self {
            SliceStatus::Ok => "ok",
            SliceStatus::NoLesion => "no lesion",
            SliceStatus::BoxAtImageEdge => "box at the image edge",
            SliceStatus::MaskAtCropEdge => "mask at the crop edge (possibly cut)",
            SliceStatus::StepLimitReached => "step limit reached",
            SliceStatus::IncompleteCoverage => "incomplete coverage",
            SliceStatus::SpacingOutsideTraining => "spacing outside the training range",
        }
    }

    /// The words of several statuses, separated by commas; `ok` if there is none.
    pub fn list(statuses: &[SliceStatus]) -> String {
        if statuses.is_empty() {
            return SliceStatus::Ok.words().into();
        }
        statuses.iter().map(|s| s.words()).collect::<Vec<_>>().join(", ")
    }
}
