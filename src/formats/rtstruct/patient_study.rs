//! Patient and study of a DICOM file, byte for byte.
//!
//! In: a DICOM file. Out: the elements that a structure set copies from its images, as the file's
//! own bytes. Text is not decoded, so that a name is kept in any character set (GB18030, ISO 2022),
//! also in sets that no decoder here supports.

use std::collections::BTreeMap;
use std::io::{BufReader, Cursor, Error as IoError, ErrorKind, Read, Result as IoResult};
use std::path::Path;

use dicom_core::{Tag, VR};
use dicom_dictionary_std::tags;

use crate::error::{Error, Result};
use crate::fault;
use crate::formats::dicom::DEEPEST;

/// The copied elements and their value representations. A flag marks those that are required; they
/// are empty if the images have none.
pub(super) const COPIED: [(Tag, VR, bool); 25] = [
    (tags::SPECIFIC_CHARACTER_SET, VR::CS, false),
    (tags::STUDY_DATE, VR::DA, true),
    (tags::STUDY_TIME, VR::TM, true),
    (tags::ACCESSION_NUMBER, VR::SH, true),
    (tags::REFERRING_PHYSICIAN_NAME, VR::PN, true),
    (tags::STUDY_DESCRIPTION, VR::LO, false),
    (tags::PATIENT_NAME, VR::PN, true),
    (tags::PATIENT_ID, VR::LO, true),
    (tags::ISSUER_OF_PATIENT_ID, VR::LO, false),
    (tags::TYPE_OF_PATIENT_ID, VR::CS, false),
    (tags::PATIENT_BIRTH_DATE, VR::DA, true),
    (tags::PATIENT_BIRTH_TIME, VR::TM, false),
    (tags::PATIENT_SEX, VR::CS, true),
    (Tag(0x0010, 0x1000), VR::LO, false), // Other Patient IDs, retired and still in use
    (tags::OTHER_PATIENT_NAMES, VR::PN, false),
    (tags::PATIENT_AGE, VR::AS, false),
    (tags::PATIENT_SIZE, VR::DS, false),
    (tags::PATIENT_WEIGHT, VR::DS, false),
    (tags::PATIENT_MOTHER_BIRTH_NAME, VR::PN, false),
    (tags::ADDITIONAL_PATIENT_HISTORY, VR::LT, false),
    (tags::PATIENT_COMMENTS, VR::LT, false),
    (tags::PATIENT_IDENTITY_REMOVED, VR::CS, false),
    (tags::DEIDENTIFICATION_METHOD, VR::LO, false),
    (tags::STUDY_INSTANCE_UID, VR::UI, true),
    (tags::STUDY_ID, VR::SH, true),
];

/// Most bytes before the study's elements end: a longer data set is not an image, or a small file
/// that inflates without end.
const LONGEST_HEADER: u64 = 1 << 30;
/// The last element that is copied.
const LAST: Tag = tags::STUDY_ID;
const LONGEST_VALUE: u32 = 65_534;
const DEFLATED: &str = "1.2.840.10008.1.2.1.99";
const IMPLICIT: &str = "1.2.840.10008.1.2";
const BIG_ENDIAN: &str = "1.2.840.10008.1.2.2";
const UNDEFINED: u32 = 0xFFFF_FFFF;

/// The copied elements that the file has, as stored (padding included).
///
/// # Errors
/// [`Error::Read`] if the file is missing, truncated before the study's elements, or not DICOM.
pub(super) fn read(path: &Path) -> Result<BTreeMap<Tag, Vec<u8>>> {
    let what = "the image's patient and study, which the structure set copies, could not be read. \
                Give the series with all of its files, unchanged and readable";
    fault::open(path)
        .and_then(|file| parse(BufReader::new(fault::counted(file))))
        .map_err(|e| Error::read_caused(path, what, e))
}

fn parse(mut reader: impl Read) -> IoResult<BTreeMap<Tag, Vec<u8>>> {
    // With or without preamble: the bytes read in search of it are read again.
    let mut start = vec![0; 132];
    reader.read_exact(&mut start)?;
    if &start[128..] == b"DICM" {
        start.clear();
    } else if &start[..4] == b"DICM" {
        start.drain(..4);
    }
    let mut reader = Cursor::new(start).chain(reader);

    let (syntax, begun) = transfer_syntax(&mut reader)?;
    let reader = Cursor::new(begun).chain(reader);
    let encoding = |explicit, big_endian| Encoding { explicit, big_endian };
    let mut reader = reader.take(LONGEST_HEADER);
    match syntax.as_deref() {
        Some(DEFLATED) => elements(
            &mut flate2::read::DeflateDecoder::new(reader).take(LONGEST_HEADER),
            encoding(true, false),
        ),
        Some(BIG_ENDIAN) => elements(&mut reader, encoding(true, true)),
        Some(IMPLICIT) => elements(&mut reader, encoding(false, false)),
        Some(_) => elements(&mut reader, encoding(true, false)),
        None => {
            // No file meta information: an explicit element has two capital letters after its tag.
            let mut first = [0; 6];
            reader.read_exact(&mut first)?;
            let explicit = first[4..].iter().all(u8::is_ascii_uppercase);
            elements(&mut Cursor::new(first).chain(reader), encoding(explicit, false))
        }
    }
}

/// Reads the file meta information. Also returns the bytes read that already belong to the data
/// set.
fn transfer_syntax(reader: &mut impl Read) -> IoResult<(Option<String>, Vec<u8>)> {
    let encoding = Encoding { explicit: true, big_endian: false };
    let mut syntax = None;
    // Bytes of the group still to come, if the group gives its length.
    let mut left: Option<u64> = None;
    while left != Some(0) {
        let mut tag = [0; 4];
        reader.read_exact(&mut tag)?;
        if u16::from_le_bytes([tag[0], tag[1]]) != 2 {
            return Ok((syntax, tag.to_vec()));
        }
        let element = u16::from_le_bytes([tag[2], tag[3]]);
        let (vr, length) = encoding.rest_of_header(reader, Tag(2, element))?;
        if length > LONGEST_VALUE {
            return Err(invalid("an element of the file meta information is too long"));
        }
        let value = bytes(reader, length)?;
        if let Some(left) = &mut left {
            let header = if vr == *b"OB" { 12 } else { 8 };
            *left = left.saturating_sub(header + u64::from(length));
        }
        match (element, &value[..]) {
            (0x0000, [a, b, c, d]) => left = Some(u64::from(u32::from_le_bytes([*a, *b, *c, *d]))),
            (0x0010, text) => {
                syntax =
                    Some(String::from_utf8_lossy(text).trim_end_matches(['\0', ' ']).to_owned())
            }
            _ => {}
        }
    }
    Ok((syntax, Vec::new()))
}

fn elements(reader: &mut dyn Read, encoding: Encoding) -> IoResult<BTreeMap<Tag, Vec<u8>>> {
    let mut found = BTreeMap::new();
    loop {
        let tag = match encoding.tag(reader) {
            Ok(tag) if tag <= LAST => tag,
            Ok(_) => return Ok(found),
            Err(e) if e.kind() == ErrorKind::UnexpectedEof && !found.is_empty() => {
                return Ok(found);
            }
            Err(e) => return Err(e),
        };
        let (_, length) = encoding.rest_of_header(reader, tag)?;
        let copied = length <= LONGEST_VALUE && COPIED.iter().any(|(t, _, _)| *t == tag);
        match length {
            UNDEFINED => encoding.skip_sequence(reader, 0)?,
            _ if copied => {
                found.insert(tag, bytes(reader, length)?);
            }
            _ => skip(reader, length)?,
        }
        if tag == LAST {
            return Ok(found);
        }
    }
}

#[derive(Debug, Clone, Copy)]
struct Encoding {
    explicit: bool,
    big_endian: bool,
}

impl Encoding {
    fn u16(self, reader: &mut (impl Read + ?Sized)) -> IoResult<u16> {
        let mut b = [0; 2];
        reader.read_exact(&mut b)?;
        Ok(if self.big_endian { u16::from_be_bytes(b) } else { u16::from_le_bytes(b) })
    }

    fn u32(self, reader: &mut (impl Read + ?Sized)) -> IoResult<u32> {
        let mut b = [0; 4];
        reader.read_exact(&mut b)?;
        Ok(if self.big_endian { u32::from_be_bytes(b) } else { u32::from_le_bytes(b) })
    }

    fn tag(self, reader: &mut (impl Read + ?Sized)) -> IoResult<Tag> {
        Ok(Tag(self.u16(reader)?, self.u16(reader)?))
    }

    /// Value representation (zeros if implicit) and length of the value.
    fn rest_of_header(
        self,
        reader: &mut (impl Read + ?Sized),
        tag: Tag,
    ) -> IoResult<([u8; 2], u32)> {
        // Items and delimiters have no value representation in any syntax.
        if !self.explicit || tag.0 == 0xFFFE {
            return Ok(([0; 2], self.u32(reader)?));
        }
        let mut vr = [0; 2];
        reader.read_exact(&mut vr)?;
        match &vr {
            b"OB" | b"OW" | b"OF" | b"OD" | b"OL" | b"OV" | b"SQ" | b"SV" | b"UC" | b"UN"
            | b"UR" | b"UT" | b"UV" => {
                self.u16(reader)?;
                Ok((vr, self.u32(reader)?))
            }
            _ if vr.iter().all(u8::is_ascii_uppercase) => Ok((vr, u32::from(self.u16(reader)?))),
            _ => Err(invalid("an element has no value representation")),
        }
    }

    /// Skips a sequence of undefined length, from the end of its header to the end of its
    /// delimiter.
    fn skip_sequence(self, reader: &mut dyn Read, depth: usize) -> IoResult<()> {
        if depth > DEEPEST {
            return Err(invalid("sequences are nested too deeply"));
        }
        loop {
            let tag = self.tag(reader)?;
            let length = self.u32(reader)?;
            match (tag, length) {
                (Tag(0xFFFE, 0xE0DD), _) => return Ok(()),
                (Tag(0xFFFE, 0xE000), UNDEFINED) => self.skip_item(reader, depth)?,
                (Tag(0xFFFE, 0xE000), length) => skip(reader, length)?,
                _ => return Err(invalid("a sequence holds something other than items")),
            }
        }
    }

    fn skip_item(self, reader: &mut dyn Read, depth: usize) -> IoResult<()> {
        loop {
            let tag = self.tag(reader)?;
            let (_, length) = self.rest_of_header(reader, tag)?;
            match (tag, length) {
                (Tag(0xFFFE, 0xE00D), _) => return Ok(()),
                (_, UNDEFINED) => self.skip_sequence(reader, depth + 1)?,
                (_, length) => skip(reader, length)?,
            }
        }
    }
}

fn bytes(reader: &mut (impl Read + ?Sized), length: u32) -> IoResult<Vec<u8>> {
    let mut value = vec![0; length as usize];
    reader.read_exact(&mut value)?;
    Ok(value)
}

fn skip(reader: &mut dyn Read, length: u32) -> IoResult<()> {
    let skipped = std::io::copy(&mut reader.take(u64::from(length)), &mut std::io::sink())?;
    if skipped < u64::from(length) { Err(ErrorKind::UnexpectedEof.into()) } else { Ok(()) }
}

fn invalid(what: &str) -> IoError {
    IoError::new(ErrorKind::InvalidData, what)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// An element in implicit VR little endian.
    fn implicit(group: u16, element: u16, value: &[u8]) -> Vec<u8> {
        let mut bytes = [group.to_le_bytes(), element.to_le_bytes()].concat();
        bytes.extend((value.len() as u32).to_le_bytes());
        bytes.extend(value);
        bytes
    }

    fn undefined(group: u16, element: u16) -> Vec<u8> {
        [&group.to_le_bytes()[..], &element.to_le_bytes(), &UNDEFINED.to_le_bytes()].concat()
    }

    fn sample(nesting: usize) -> Vec<u8> {
        let mut bytes = implicit(0x0008, 0x0005, b"GB18030 ");
        for _ in 0..nesting {
            bytes.extend([undefined(0x0008, 0x1110), undefined(0xFFFE, 0xE000)].concat());
            bytes.extend(implicit(0x0010, 0x0010, b"not this"));
        }
        for _ in 0..nesting {
            bytes.extend([implicit(0xFFFE, 0xE00D, b""), implicit(0xFFFE, 0xE0DD, b"")].concat());
        }
        bytes.extend(implicit(0x0010, 0x0010, b"\xcd\xf5^ "));
        bytes.extend(implicit(0x0019, 0x0010, &[7; 200]));
        bytes.extend(implicit(0x0020, 0x000D, b"1.2.3\0"));
        bytes.extend(implicit(0x7FE0, 0x0010, &[1, 2]));
        bytes
    }

    #[test]
    fn a_file_without_preamble_or_meta_information_is_read() {
        for start in [&b""[..], b"DICM"] {
            let found = parse(&[start, &sample(5)].concat()[..]).unwrap();
            assert_eq!(found[&tags::PATIENT_NAME], b"\xcd\xf5^ ");
            assert_eq!(found[&tags::STUDY_INSTANCE_UID], b"1.2.3\0");
            assert_eq!(found.len(), 3);
        }
    }

    #[test]
    fn hostile_files_end_in_an_error() {
        let error = parse(&sample(1000)[..]).unwrap_err();
        assert_eq!(error.to_string(), "sequences are nested too deeply");
        let whole = sample(2);
        for length in 0..whole.len() - 12 {
            // Never a panic; the result is an error, or the elements that were cut off are missing.
            let _ = parse(&whole[..length]);
        }
        assert!(parse(&[b'A'; 400][..]).is_ok_and(|found| found.is_empty()));
        let error = read(Path::new("/no/such/image.dcm")).unwrap_err();
        assert!(
            error.to_string().starts_with(
                "/no/such/image.dcm: the image's patient and study, which the structure"
            ),
            "{error}"
        );
    }
}
