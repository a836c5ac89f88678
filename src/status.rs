//! The statuses that a slice can carry, in words that people see.

/// What a user should know about a slice.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize,
)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Status {
    /// Nothing to report.
    Ok,
    /// No pixel over the threshold, or no box: the detector found none, or the caller cleared it.
    NoLesion,
    /// The box touches the edge of the model's grid.
    BoxAtImageEdge,
    /// The mask reaches the edge of the segmenter's crop: possibly cut.
    MaskAtCropEdge,
    /// The agent did not stop within the step limit.
    StepLimitReached,
    /// A sequence covers less than 95 % of T1C's foreground here: not segmented unless forced.
    IncompleteCoverage,
    /// The slice spacing lies outside the range seen in training.
    SpacingOutsideTraining,
}

impl Status {
    pub fn words(self) -> &'static str {
        match self {
            Status::Ok => "ok",
            Status::NoLesion => "no lesion",
            Status::BoxAtImageEdge => "box at the image edge",
            Status::MaskAtCropEdge => "mask at the crop edge (possibly cut)",
            Status::StepLimitReached => "step limit reached",
            Status::IncompleteCoverage => "incomplete coverage",
            Status::SpacingOutsideTraining => "spacing outside the training range",
        }
    }

    /// The words of several statuses; `ok` where there is none.
    pub fn list(statuses: &[Status]) -> String {
        if statuses.is_empty() {
            return Status::Ok.words().into();
        }
        statuses.iter().map(|s| s.words()).collect::<Vec<_>>().join(", ")
    }
}
