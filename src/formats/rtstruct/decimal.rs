//! Decimal strings (value representation DS, at most 16 characters): writing and reading.
//!
//! In: millimetres, or an element. Out: decimal strings, or the numbers of the element.

use dicom_core::Tag;
use dicom_core::header::HasLength;
use dicom_core::value::PrimitiveValue;
use dicom_object::InMemDicomObject;

use crate::error::{Error, Result};
use crate::formats::dicom::decimal;

/// A DS value has at most this many characters.
const LONGEST_DECIMAL: usize = 16;

/// A length with three decimals, without trailing zeros; -0 becomes 0.
pub(super) fn millimetres(value: f64) -> Result<String> {
    let mut text = format!("{value:.3}");
    if !value.is_finite() || text.len() > LONGEST_DECIMAL {
        return Err(Error::Geometry(format!(
            "a contour point has the coordinate {value} mm, expected at most {LONGEST_DECIMAL} \
             characters with three decimals. Check the geometry of the reference series"
        )));
    }
    while text.ends_with('0') {
        text.pop();
    }
    if text.ends_with('.') {
        text.pop();
    }
    Ok(if text == "-0" { "0".into() } else { text })
}

/// A decimal string of the reference: as stored if it is a valid DS, otherwise with as many digits
/// as fit.
pub(super) fn stored(text: &str, value: f64) -> Result<String> {
    let text = text.trim_matches([' ', '\0']);
    let legal = text.chars().all(|c| c.is_ascii_digit() || "+-.eE".contains(c));
    if !text.is_empty() && text.len() <= LONGEST_DECIMAL && legal {
        return Ok(text.into());
    }
    let fitting = (0..=12)
        .rev()
        .map(|digits| format!("{value:.digits$}"))
        .find(|text| text.len() <= LONGEST_DECIMAL);
    match fitting {
        Some(text) if value.is_finite() => Ok(text),
        _ => millimetres(value),
    }
}

/// The numbers of an element of decimal strings; `None` if one is not a number. Long contour data
/// in explicit VR have an unknown VR: their bytes hold the same text.
pub(super) fn decimals(object: &InMemDicomObject, tag: Tag) -> Option<Vec<f64>> {
    let Some(element) = object.get(tag).filter(|e| !e.is_empty()) else { return Some(Vec::new()) };
    match element.value().primitive()? {
        PrimitiveValue::U8(bytes) => {
            std::str::from_utf8(bytes).ok()?.split('\\').map(decimal).collect()
        }
        _ => element.to_multi_str().ok()?.iter().map(|s| decimal(s)).collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn millimetres_have_three_decimals_at_most() {
        let of = |v: f64| millimetres(v).unwrap();
        assert_eq!(of(12.3456), "12.346");
        assert_eq!(of(-0.0004), "0");
        assert_eq!(of(100.0), "100");
        assert_eq!(of(-7.1), "-7.1");
        assert_eq!(of(-12345678901.5), "-12345678901.5");
        assert!(millimetres(f64::NAN).is_err());
        assert!(millimetres(1e15).unwrap_err().to_string().contains("1000000000000000 mm"));
    }

    #[test]
    fn stored_decimals_are_repeated_if_they_are_legal() {
        assert_eq!(stored(" -12.50 ", -12.5).unwrap(), "-12.50");
        assert_eq!(
            stored("1.234567890123456789", 1.234_567_890_123_456_7).unwrap(),
            "1.234567890123"
        );
        assert_eq!(stored("-100.234567890123456", -100.234_567_890_123_46).unwrap().len(), 16);
        assert_eq!(stored("", 3.0).unwrap(), "3.000000000000");
        assert_eq!(stored("12;5", 12.5).unwrap(), "12.500000000000");
    }
}
