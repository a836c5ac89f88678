//! A range of slices as people write it.

use std::ops::Range;
use std::str::FromStr;

use crate::error::{Error, Result};
use crate::study::Study;

/// Slices by number or by position: `8:20`, or `-60:-10mm`.
#[derive(Debug, Clone, PartialEq)]
pub enum SliceRange {
    /// Canonical slices, half open, 0-based, from inferior to superior.
    Numbers(Range<usize>),
    /// Slices whose centre has a z (LPS, mm) in the range, half open.
    Millimetres(Range<f64>),
}

impl SliceRange {
    /// The canonical slices of `study` in the range.
    ///
    /// # Errors
    /// [`Error::Argument`] if the range is not inside the study or holds no slice.
    pub fn of(&self, study: &Study) -> Result<Range<usize>> {
        match self {
            SliceRange::Numbers(range) => study.check_slices(Some(range.clone())),
            SliceRange::Millimetres(mm) => study.slices_between_mm(mm.start, mm.end),
        }
    }
}

/// `A:B` in slice numbers, or `A:Bmm`; A < B.
impl FromStr for SliceRange {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let (ends, is_mm) = match text.trim().strip_suffix("mm") {
            Some(ends) => (ends, true),
            None => (text, false),
        };
        let range = match is_mm {
            true => bounds(ends)
                .filter(|r: &Range<f64>| r.start.is_finite() && r.end.is_finite())
                .map(SliceRange::Millimetres),
            false => bounds(ends).map(SliceRange::Numbers),
        };
        range.ok_or_else(|| {
            Error::Argument(match is_mm {
                true => format!("found {ends:?}, expected A:B in mm with A < B, such as -60:-10"),
                false => {
                    format!("found {ends:?}, expected A:B, whole numbers with A < B, such as 8:20")
                }
            })
        })
    }
}

/// The two numbers of `A:B` if A < B.
fn bounds<T: FromStr + PartialOrd>(text: &str) -> Option<Range<T>> {
    let (a, b) = text.split_once(':')?;
    let range = a.trim().parse().ok()?..b.trim().parse().ok()?;
    (range.start < range.end).then_some(range)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_and_millimetres_are_read() {
        let parse = |text: &str| text.parse::<SliceRange>();
        assert_eq!(parse("8:20").unwrap(), SliceRange::Numbers(8..20));
        assert_eq!(parse(" 8 : 20 ").unwrap(), SliceRange::Numbers(8..20));
        assert_eq!(parse("-60:-10.5mm").unwrap(), SliceRange::Millimetres(-60.0..-10.5));
        for wrong in ["5:5", "7:3", "x", "1:2:3", "-1:4", "1.5:4", "", ":", "3:"] {
            let error = parse(wrong).unwrap_err().to_string();
            assert!(error.ends_with("such as 8:20"), "{wrong}: {error}");
        }
        for wrong in ["5:5mm", "7:3mm", "xmm", "1:2:3mm", "1:infmm", "nan:3mm", "mm"] {
            let error = parse(wrong).unwrap_err().to_string();
            assert!(error.ends_with("such as -60:-10"), "{wrong}: {error}");
        }
    }
}
