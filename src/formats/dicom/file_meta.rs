//! The start of a DICOM file: its transfer syntax and file meta information.
//!
//! In: the first bytes of a file. Out: the transfer syntax of its data set.

use dicom_core::Tag;
use dicom_core::header::{HasLength, Header as _};
use dicom_dictionary_std::{tags, uids};

use super::byte_stream::ByteStream;
use super::header::{Header, NONE, Part};
use super::parser::Parser;

/// Transfer syntax of a file that begins with its data set, without preamble and meta group: it is
/// detected from the first element. An empty string stands for a meta group without preamble, which
/// names the syntax itself.
pub(crate) fn bare_syntax(head: &[u8]) -> Option<&'static str> {
    if head.starts_with(b"DICM") {
        return Some("");
    }
    let raw: [u8; 8] = head.get(..8)?.try_into().ok()?;
    let (group, element) =
        (u16::from_le_bytes([raw[0], raw[1]]), u16::from_le_bytes([raw[2], raw[3]]));
    let explicit = raw[4].is_ascii_uppercase() && raw[5].is_ascii_uppercase();
    let length = u32::from_le_bytes([raw[4], raw[5], raw[6], raw[7]]);
    match (group, element) {
        (0x0002, 0x0000..=0x0010) if explicit => Some(""),
        (0x0008, 0x0000..=0x0018) if explicit => Some(uids::EXPLICIT_VR_LITTLE_ENDIAN),
        (0x0008, 0x0000..=0x0018) if length <= 256 => Some(uids::IMPLICIT_VR_LITTLE_ENDIAN),
        _ => None,
    }
}

/// Reads the file meta information, all of group 2. Returns the transfer syntax.
pub(super) fn file_meta(stream: &mut ByteStream, header: &mut Header) -> Result<String, String> {
    let parser = Parser::new(uids::EXPLICIT_VR_LITTLE_ENDIAN)?;
    // End of the group as stated. A deflated data set may begin with any bytes, so there the next
    // element's group is no sign of the end.
    let mut end = None;
    while end.is_none_or(|end| {
        stream.position() < end || !header.top(tags::TRANSFER_SYNTAX_UID).ends_with(".99")
    }) {
        if stream.peek(2).map_err(|e| e.to_string())? != [2, 0] {
            break;
        }
        let Some(element) = parser.element(stream, false)? else { break };
        let length = u64::from(
            element
                .length()
                .get()
                .ok_or("an element of the file meta information has no length")?,
        );
        if element.tag() == Tag(2, 0) && length == 4 {
            let value = stream.read_bytes(4)?;
            end = value
                .try_into()
                .ok()
                .map(|raw| stream.position() + u64::from(u32::from_le_bytes(raw)));
        } else {
            parser.value(stream, &element, length, header, (Part::Top, NONE))?;
        }
    }
    match header.top(tags::TRANSFER_SYNTAX_UID) {
        "" => Err("its file meta information names no transfer syntax".into()),
        syntax => Ok(syntax.to_owned()),
    }
}
