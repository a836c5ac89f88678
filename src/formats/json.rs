//! JSON files: the name and version of a format, and one layout.
//!
//! A file begins with `format` and `format_version`; the fields of its body follow.

use std::io::Write;
use std::path::Path;

use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};
use crate::formats::write::write_atomically;

/// The name and version of a JSON format.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct JsonFormat {
    /// The value of `format`.
    pub name: &'static str,
    /// The value of `format_version`.
    pub version: u32,
}

/// A file: its format, and the fields of its body.
#[derive(Serialize)]
struct File<'a, T> {
    format: &'static str,
    format_version: u32,
    #[serde(flatten)]
    body: &'a T,
}

/// The fields that say which format a file has.
#[derive(Deserialize)]
struct Head {
    format: String,
    format_version: u32,
}

impl JsonFormat {
    /// Writes `body`, which serialises as a map or struct, to `path`, for people to read: one field
    /// a line.
    ///
    /// # Errors
    /// [`Error::Write`] if `path` cannot be written.
    pub fn write<T: Serialize>(self, path: &Path, body: &T) -> Result<()> {
        let file = File { format: self.name, format_version: self.version, body };
        write_text(path, &pretty(&file)?)
    }

    /// As [`JsonFormat::write`], on one line, for files of many numbers.
    ///
    /// # Errors
    /// As there.
    pub fn write_on_one_line<T: Serialize>(self, path: &Path, body: &T) -> Result<()> {
        let file = File { format: self.name, format_version: self.version, body };
        write_text(path, &line(&file)?)
    }

    /// Whether `file` is of this format and version.
    ///
    /// # Errors
    /// [`Error::Read`] if it is not; the message does not name the file.
    pub fn check(self, file: &serde_json::Value) -> Result<()> {
        let JsonFormat { name, version } = self;
        match Head::deserialize(file) {
            Ok(head) if head.format == name && head.format_version == version => Ok(()),
            Ok(head) => Err(Error::read(format!(
                "found format {} {}, expected {name} {version}",
                head.format, head.format_version
            ))),
            Err(e) => Err(Error::Read {
                message: format!("found no format, expected {name} {version}"),
                source: Some(Box::new(e)),
            }),
        }
    }
}

/// A value as JSON for people to read: one field a line.
///
/// # Errors
/// [`Error::Internal`] if the value cannot be serialised.
pub fn pretty<T: Serialize>(value: &T) -> Result<String> {
    serde_json::to_string_pretty(value).map_err(|e| Error::Internal(e.to_string()))
}

/// A value as JSON on one line.
///
/// # Errors
/// [`Error::Internal`] if the value cannot be serialised.
pub fn line<T: Serialize>(value: &T) -> Result<String> {
    serde_json::to_string(value).map_err(|e| Error::Internal(e.to_string()))
}

/// Writes a text to `path`; the file appears whole or not at all.
///
/// # Errors
/// [`Error::Write`] if `path` cannot be written.
pub fn write_text(path: &Path, text: &str) -> Result<()> {
    write_atomically(path, |file| file.write_all(text.as_bytes()))
}

/// Reads any JSON file.
///
/// # Errors
/// [`Error::Read`] if `path` cannot be read or holds no JSON.
pub fn read_json(path: &Path) -> Result<serde_json::Value> {
    let text = std::fs::read(path)
        .map_err(|e| Error::read_caused(path, "cannot be read. Check its permissions", e))?;
    serde_json::from_slice(&text)
        .map_err(|e| Error::read_caused(path, "not the JSON that nasoseg writes", e))
}

#[cfg(test)]
mod tests {
    use super::*;

    const FORMAT: JsonFormat = JsonFormat { name: "nasoseg-test", version: 2 };

    #[derive(Serialize)]
    struct Body {
        threshold: f32,
        missing: Option<u32>,
        points: Vec<[f64; 2]>,
    }

    #[test]
    fn a_file_begins_with_its_format_and_keeps_the_order_of_its_body() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.json");
        let body = Body { threshold: 0.55, missing: None, points: vec![[1.0, 2.5]] };
        FORMAT.write_on_one_line(&path, &body).unwrap();
        let text = std::fs::read_to_string(&path).unwrap();
        assert_eq!(
            text,
            "{\"format\":\"nasoseg-test\",\"format_version\":2,\"threshold\":0.55,\
             \"missing\":null,\"points\":[[1.0,2.5]]}"
        );
        FORMAT.write(&path, &body).unwrap();
        let lines = std::fs::read_to_string(&path).unwrap();
        assert!(lines.starts_with("{\n  \"format\": \"nasoseg-test\",\n"), "{lines}");
        FORMAT.check(&read_json(&path).unwrap()).unwrap();
    }

    #[test]
    fn another_format_or_none_is_refused() {
        for (file, says) in [
            (serde_json::json!({"format": "x", "format_version": 2}), "found format x 2"),
            (serde_json::json!({"format": "nasoseg-test", "format_version": 3}), "nasoseg-test 3"),
            (serde_json::json!({"format": "nasoseg-test"}), "found no format"),
            (serde_json::json!([1]), "found no format"),
        ] {
            let error = FORMAT.check(&file).unwrap_err().to_string();
            assert!(
                error.contains(says) && error.ends_with("expected nasoseg-test 2"),
                "{file}: {error}"
            );
        }
    }
}
