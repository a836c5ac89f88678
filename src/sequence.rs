//! The names of the MR sequences.

/// The three sequences, in the channel order of the paper (4.2.1).
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, serde::Serialize, serde::Deserialize,
)]
pub enum Sequence {
    /// T1-weighted.
    T1,
    /// Contrast-enhanced T1-weighted: the reference, on whose grid every result lies.
    T1C,
    /// T2-weighted.
    T2,
}

impl Sequence {
    /// T1, T1C, T2.
    pub const ALL: [Sequence; 3] = [Sequence::T1, Sequence::T1C, Sequence::T2];

    /// `"T1"`, `"T1C"` or `"T2"`.
    pub fn name(self) -> &'static str {
        match self {
            Sequence::T1 => "T1",
            Sequence::T1C => "T1C",
            Sequence::T2 => "T2",
        }
    }
}

impl std::fmt::Display for Sequence {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name())
    }
}
