//! Labels and text in ASCII, which every character set holds.
//!
//! In: text of the caller or of a bundle. Out: text that can be written beside the patient's own
//! character set, or an error that says what is allowed.

use crate::error::{Error, Result};

/// Checks a label that a person chose: not empty, at most `longest` characters, ASCII without
/// backslash and control characters.
pub(super) fn check(what: &str, text: &str, longest: usize) -> Result<()> {
    let count = text.chars().count();
    if count == 0 || count > longest {
        return Err(Error::Argument(format!(
            "the {what} '{text}' has {count} characters, expected 1 to {longest}. Choose a shorter \
             or non-empty name"
        )));
    }
    ascii(what, text)
}

/// Checks that a text is ASCII without backslash and control characters, which has the same bytes
/// in every character set that the reference may use.
fn ascii(what: &str, text: &str) -> Result<()> {
    match text.chars().find(|c| !matches!(c, ' '..='~') || *c == '\\') {
        None => Ok(()),
        Some(c) => Err(Error::Argument(format!(
            "the {what} '{text}' holds the character {c:?}, expected letters, digits and signs of \
             ASCII other than the backslash, which fit the patient's own character set. Choose \
             another name"
        ))),
    }
}

/// Text of a bundle in ASCII: characters that [`check`] refuses become `?`, and the text is cut at
/// `longest` characters.
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
    fn labels_are_short_and_ascii() {
        assert!(check("ROI name", "GTVp_SeqSeg", 16).is_ok());
        assert!(check("ROI name", "", 16).is_err());
        let error = check("ROI name", "a name that is too long", 16).unwrap_err();
        assert!(
            error
                .to_string()
                .contains("'a name that is too long' has 23 characters, expected 1 to 16"),
            "{error}"
        );
        assert!(check("ROI name", "a\\b", 16).is_err() && check("ROI name", "肿瘤", 16).is_err());
        assert_eq!(plain("名 v1\\", 4), "? v1");
    }
}
