//! Numbers and words as DICOM writes them.
//!
//! In: millimetres and labels. Out: decimal strings (value representation DS, at most 16
//! characters) and text that every character set has, or an error that says what is allowed.

use crate::error::{Error, Result};

/// A DS value has at most this many characters.
const LONGEST_DECIMAL: usize = 16;

/// A length with three decimals, trailing zeros dropped, -0 written as 0.
pub(super) fn millimetres(value: f64) -> Result<String> {
    let mut text = format!("{value:.3}");
    if !value.is_finite() || text.len() > LONGEST_DECIMAL {
        return Err(Error::Geometry(format!(
            "a contour point has the coordinate {value} mm, which a structure set cannot hold; check the geometry of the reference series"
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

/// A decimal string of the reference, as stored where it is a valid DS, otherwise with as many
/// digits as fit.
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

/// A label that a person chose: not empty, at most `longest` characters, ASCII without backslash
/// and control characters.
pub(super) fn label(what: &str, text: &str, longest: usize) -> Result<()> {
    let count = text.chars().count();
    if count == 0 || count > longest {
        return Err(Error::Argument(format!(
            "the {what} '{text}' has {count} characters, but a structure set holds 1 to {longest}; choose a shorter or non-empty name"
        )));
    }
    ascii(what, text)
}

/// ASCII without backslash and control characters: the same bytes in every character set that the
/// reference may use.
pub(super) fn ascii(what: &str, text: &str) -> Result<()> {
    match text.chars().find(|c| !matches!(c, ' '..='~') || *c == '\\') {
        None => Ok(()),
        Some(c) => Err(Error::Argument(format!(
            "the {what} '{text}' holds the character {c:?}, but only letters, digits and signs of ASCII other than the backslash can be \
             written beside the patient's own character set; choose another name"
        ))),
    }
}

/// Text that a bundle brought along: anything that [`ascii`] refuses becomes `?`, what is too long
/// is cut.
pub(super) fn plain(text: &str, longest: usize) -> String {
    text.chars()
        .take(longest)
        .map(|c| if matches!(c, ' '..='~') && c != '\\' { c } else { '?' })
        .collect()
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
    fn stored_decimals_are_repeated_where_they_are_legal() {
        assert_eq!(stored(" -12.50 ", -12.5).unwrap(), "-12.50");
        assert_eq!(
            stored("1.234567890123456789", 1.234_567_890_123_456_7).unwrap(),
            "1.234567890123"
        );
        assert_eq!(stored("-100.234567890123456", -100.234_567_890_123_46).unwrap().len(), 16);
        assert_eq!(stored("", 3.0).unwrap(), "3.000000000000");
        assert_eq!(stored("12;5", 12.5).unwrap(), "12.500000000000");
    }

    #[test]
    fn labels_are_short_and_ascii() {
        assert!(label("ROI name", "GTVp_SeqSeg", 16).is_ok());
        assert!(label("ROI name", "", 16).is_err());
        let error = label("ROI name", "a name that is too long", 16).unwrap_err();
        assert!(
            error.to_string().contains(
                "'a name that is too long' has 23 characters, but a structure set holds 1 to 16"
            ),
            "{error}"
        );
        assert!(label("ROI name", "a\\b", 16).is_err() && label("ROI name", "肿瘤", 16).is_err());
        assert_eq!(plain("名 v1\\", 4), "? v1");
    }
}
