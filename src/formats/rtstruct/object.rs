//! Reading a whole DICOM object that is not an image.
//!
//! In: a file, with or without preamble and meta group. Out: its data set. A file that promises
//! more bytes than it holds, inflates to too many bytes, or nests sequences too deeply is refused
//! before any object is built.

use std::io::Read;
use std::path::Path;

use dicom_dictionary_std::uids;
use dicom_encoding::transfer_syntax::{TransferSyntax, TransferSyntaxIndex};
use dicom_object::{FileMetaTable, InMemDicomObject};
use dicom_parser::DataSetReader;
use dicom_parser::dataset::DataToken;
use dicom_parser::dataset::read::{DataSetReaderOptions, ValueReadStrategy};
use dicom_transfer_syntax_registry::TransferSyntaxRegistry;

use crate::error::{Error, Result};
use crate::fault;
use crate::formats::dicom::{DEEPEST, bare_syntax};

/// Most bytes of a structure set, deflated or not: hundreds of large structures fit.
const MOST_BYTES: u64 = 512 << 20;

/// Reads the data set of a file.
///
/// # Errors
/// [`Error::Read`] if the file cannot be read, is damaged or is not DICOM.
pub(super) fn read(path: &Path) -> Result<InMemDicomObject> {
    let wrong = |e: std::io::Error| {
        Error::read_caused(path, "cannot be read. Check the path and its permissions", e)
    };
    let refused = |text: &str| Error::read(format!("{}: {text}", path.display()));
    let size = std::fs::metadata(path).map_err(wrong)?.len();
    if size > MOST_BYTES {
        return Err(refused(
            "larger than any structure set. Export the structures from the planning system as \
             RTSTRUCT",
        ));
    }
    let bytes = fault::bytes_of(path).map_err(wrong)?;
    let damaged = |text: &str| {
        refused(&format!("the DICOM file is damaged or truncated: {text}. Copy or export it again"))
    };
    let preamble = bytes.get(128..132) == Some(b"DICM".as_slice());
    let (syntax, data) = match bare_syntax(&bytes) {
        Some(uid) if !preamble && !uid.is_empty() => (uid.to_owned(), &bytes[..]),
        None if !preamble => {
            return Err(refused(
                "not a DICOM file. Export the structures from the planning system as RTSTRUCT",
            ));
        }
        _ => {
            let rest = if preamble { &bytes[128..] } else { &bytes[..] };
            // A meta group may lack the letters DICM before it.
            let magic: &[u8] = if rest.starts_with(b"DICM") { b"" } else { b"DICM" };
            let mut stream = magic.chain(rest);
            let meta =
                FileMetaTable::from_reader(&mut stream).map_err(|e| damaged(&e.to_string()))?;
            let (_, data) = stream.into_inner();
            (meta.transfer_syntax().to_owned(), data)
        }
    };
    let inflated;
    let (syntax, data) = match syntax.as_str() {
        uids::DEFLATED_EXPLICIT_VR_LITTLE_ENDIAN => {
            inflated = inflate(data).map_err(|text| damaged(&text))?;
            (uids::EXPLICIT_VR_LITTLE_ENDIAN, &inflated[..])
        }
        other => (other, data),
    };
    let Some(syntax) = TransferSyntaxRegistry.get(syntax) else {
        return Err(refused(&format!(
            "its transfer syntax {syntax} is unknown, expected Implicit or Explicit VR Little \
             Endian. Export the structures in one of these"
        )));
    };
    check(data, syntax).map_err(|text| damaged(&text))?;
    InMemDicomObject::read_dataset_with_ts(data, syntax).map_err(|e| damaged(&e.to_string()))
}

fn inflate(deflated: &[u8]) -> std::result::Result<Vec<u8>, String> {
    let mut bytes = Vec::new();
    flate2::read::DeflateDecoder::new(deflated)
        .take(MOST_BYTES + 1)
        .read_to_end(&mut bytes)
        .map_err(|e| e.to_string())?;
    if bytes.len() as u64 > MOST_BYTES {
        Err(format!("it inflates to more than {MOST_BYTES} bytes"))
    } else {
        Ok(bytes)
    }
}

/// Checks all elements without building an object: objects are built by recursion, and memory for
/// values is allocated before they are read.
fn check(data: &[u8], syntax: &TransferSyntax) -> std::result::Result<(), String> {
    let mut depth = 0usize;
    // Values are parsed later, contour by contour.
    let options = DataSetReaderOptions::default().value_read(ValueReadStrategy::Raw);
    for token in
        DataSetReader::new_with_ts_options(data, syntax, options).map_err(|e| e.to_string())?
    {
        match token.map_err(|e| e.to_string())? {
            DataToken::ElementHeader(header)
                if header.len.get().is_some_and(|n| n as usize > data.len()) =>
            {
                return Err(format!(
                    "element {} promises {} bytes, but the file has {}",
                    header.tag,
                    header.len,
                    data.len()
                ));
            }
            DataToken::SequenceStart { tag, .. } => {
                depth += 1;
                if depth > DEEPEST {
                    return Err(format!("sequence {tag} lies in more than {DEEPEST} others"));
                }
            }
            DataToken::SequenceEnd => depth = depth.saturating_sub(1),
            _ => {}
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use dicom_core::Tag;

    use super::super::element::text;
    use super::*;

    /// Implicit VR: sequences of undefined length, each in the item of the one before.
    fn nested(levels: usize) -> Vec<u8> {
        let mut bytes = vec![8, 0, 0x16, 0, 4, 0, 0, 0];
        bytes.extend(b"1.2\0");
        for _ in 0..levels {
            bytes.extend([
                0x06, 0x30, 0x10, 0, 0xff, 0xff, 0xff, 0xff, 0xfe, 0xff, 0x00, 0xe0, 0xff, 0xff,
                0xff, 0xff,
            ]);
        }
        for _ in 0..levels {
            bytes.extend([0xfe, 0xff, 0x0d, 0xe0, 0, 0, 0, 0, 0xfe, 0xff, 0xdd, 0xe0, 0, 0, 0, 0]);
        }
        bytes
    }

    fn read_bytes(bytes: &[u8]) -> Result<InMemDicomObject> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("rt.dcm");
        std::fs::write(&path, bytes).unwrap();
        read(&path)
    }

    #[test]
    fn endless_nesting_and_empty_promises_are_refused() {
        assert_eq!(text(&read_bytes(&nested(4)).unwrap(), Tag(8, 0x16)), "1.2");
        let error = read_bytes(&nested(200_000)).unwrap_err();
        assert!(error.to_string().contains("lies in more than 32 others"), "{error}");
        let mut long = nested(0);
        long.extend([0x06, 0x30, 0x50, 0, 0xf0, 0xff, 0xff, 0x7f]);
        let error = read_bytes(&long).unwrap_err();
        assert!(
            error.to_string().contains("promises 2147483632 bytes, but the file has 20"),
            "{error}"
        );
        let error = read_bytes(b"no DICOM at all").unwrap_err();
        assert!(error.to_string().contains("rt.dcm: not a DICOM file"), "{error}");
    }
}
