//! The parser of DICOM headers.
//!
//! In: a file's bytes as a stream, and their number. Out: a [`Header`]: the attributes that nasoseg
//! uses, as text, and the place of the pixels.
//!
//! No length or count in the file is trusted without verification: a length must fit into the bytes
//! that are left, sequences nest to [`DEEPEST`] levels, and attributes that nasoseg does not use
//! are skipped without being kept. Memory therefore follows the bytes that exist, not the numbers
//! in them. Parsing ends with the pixel data or, in a file without rows, with the image's group.

use std::io::{ErrorKind, Read};
use std::ops::ControlFlow;

use dicom_core::dictionary::{DataDictionary, DataDictionaryEntry};
use dicom_core::header::{DataElementHeader, HasLength, Header as _, SequenceItemHeader};
use dicom_core::{Tag, VR};
use dicom_dictionary_std::{StandardDataDictionary, tags, uids};
use dicom_encoding::Endianness;
use dicom_encoding::decode::Error as DecodeError;
use dicom_encoding::text::SpecificCharacterSet;
use dicom_encoding::transfer_syntax::{DynDecoder, TransferSyntaxIndex};
use dicom_transfer_syntax_registry::TransferSyntaxRegistry;
use flate2::read::DeflateDecoder;

use super::attributes::{FUNCTIONAL_GROUPS, KEPT, TOP_SEQUENCES};
use super::byte_stream::{ByteStream, Source};
use super::file_meta::{bare_syntax, file_meta};
use super::fragments::fragments;
use super::header::{Header, NONE, Part, Pixels};
use super::value;

/// Deeper sequences are refused: images and structure sets in use have four levels.
pub(crate) const DEEPEST: usize = 32;
/// More elements are refused: an enhanced image of ten thousand frames has a third of it.
const MOST_ELEMENTS: usize = 1 << 23;
/// No attribute that is kept is longer, bytes.
const LONGEST_VALUE: u64 = 1024;
/// A deflated header must end within this many bytes.
const LONGEST_INFLATED: u64 = 64 << 20;
/// A longer offset table is refused: at 8 bytes an entry it has more frames than could be
/// distinguished.
const LONGEST_TABLE: u64 = 8 << 20;

const ITEM_END: Tag = Tag(0xfffe, 0xe00d);
const SEQUENCE_END: Tag = Tag(0xfffe, 0xe0dd);

/// Parses the header of a file of `stored` bytes.
///
/// # Errors
/// What is wrong with the file, in words.
pub(super) fn parse(source: &mut dyn Source, stored: u64) -> Result<Header, String> {
    let mut header = Header::default();
    let mut stream = ByteStream::new(source, stored);
    let head = stream.peek(132).map_err(|e| e.to_string())?;
    let preamble = head.get(128..) == Some(b"DICM".as_slice());
    let syntax = match bare_syntax(head) {
        _ if preamble => {
            stream.skip(132)?;
            file_meta(&mut stream, &mut header)?
        }
        Some("") => {
            let magic = head.starts_with(b"DICM");
            stream.skip(if magic { 4 } else { 0 })?;
            file_meta(&mut stream, &mut header)?
        }
        Some(uid) => {
            header.put(Part::Top, NONE, tags::TRANSFER_SYNTAX_UID, uid)?;
            uid.to_owned()
        }
        None => return Err("it does not begin like a DICOM file".into()),
    };
    if syntax == uids::DEFLATED_EXPLICIT_VR_LITTLE_ENDIAN {
        header.deflated_at = Some(stream.position());
        let mut inflated = DeflateDecoder::new(stream);
        let mut stream = ByteStream::new(&mut inflated, u64::MAX);
        Parser::new(&syntax)?.data_set(&mut stream, &mut header)?;
    } else {
        Parser::new(&syntax)?.data_set(&mut stream, &mut header)?;
    }
    Ok(header)
}

/// A sequence or an item that is open.
struct Level {
    item: bool,
    /// End offset, if the length is defined.
    end: Option<u64>,
    place: Place,
    /// Items of the sequence so far.
    items: u32,
    /// Implicit VR whatever the file's syntax: an UN of undefined length (PS3.5, 6.2.2).
    implicit: bool,
}

impl Level {
    /// Whether the stream stands at the level's defined end.
    ///
    /// # Errors
    /// The reason, if the stream is beyond it.
    fn has_ended(&self, at: u64) -> Result<bool, String> {
        match self.end {
            Some(end) if end < at => {
                Err(format!("an element reaches over the end of its sequence at byte {end}"))
            }
            end => Ok(end == Some(at)),
        }
    }
}

/// The place of an element in the data set, which decides whether its value is kept.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Place {
    /// The data set itself.
    Top,
    /// The shared functional groups, or one frame's.
    Group(Part),
    /// A sequence whose first item's attributes are kept.
    Leaf(Part, Tag),
    /// The sequence of the frames' functional groups.
    Frames,
    /// Any other: its values are skipped.
    Elsewhere,
}

/// Parses data sets of one transfer syntax from streams that live for `'s`.
pub(super) struct Parser<'s> {
    decoder: DynDecoder<dyn Read + 's>,
    implicit: DynDecoder<dyn Read + 's>,
    big_endian: bool,
    explicit: bool,
}

impl<'s> Parser<'s> {
    pub(super) fn new(syntax: &str) -> Result<Self, String> {
        let unknown = || format!("its transfer syntax, {syntax}, is not known");
        let of = |uid: &str| TransferSyntaxRegistry.get(uid).filter(|s| !s.is_unsupported());
        let found = of(syntax).ok_or_else(unknown)?;
        let implicit = of(uids::IMPLICIT_VR_LITTLE_ENDIAN).and_then(|s| s.decoder());
        Ok(Parser {
            decoder: found.decoder().ok_or_else(unknown)?,
            implicit: implicit.ok_or_else(unknown)?,
            big_endian: found.endianness() == Endianness::Big,
            explicit: syntax != uids::IMPLICIT_VR_LITTLE_ENDIAN,
        })
    }

    /// The next element's header; `None` if the stream ends before it.
    pub(super) fn element(
        &self,
        stream: &mut ByteStream<'s>,
        implicit: bool,
    ) -> Result<Option<DataElementHeader>, String> {
        let at = stream.position();
        let decoder = if implicit { &self.implicit } else { &self.decoder };
        match decoder.decode_header(stream) {
            Ok((header, _)) => Ok(Some(header)),
            Err(DecodeError::ReadHeaderTag { source, .. })
                if source.kind() == ErrorKind::UnexpectedEof && stream.position() == at =>
            {
                Ok(None)
            }
            Err(e) => Err(format!("the element at byte {at} cannot be read ({e})")),
        }
    }

    fn data_set(&self, stream: &mut ByteStream<'s>, header: &mut Header) -> Result<(), String> {
        let mut open: Vec<Level> = Vec::new();
        let mut offsets: Vec<u64> = Vec::new();
        for _ in 0..MOST_ELEMENTS {
            if header.deflated_at.is_some() && stream.position() > LONGEST_INFLATED {
                return Err(format!("its header inflates to more than {LONGEST_INFLATED} bytes"));
            }
            if let Some(level) = open.last() {
                if level.has_ended(stream.position())? {
                    open.pop();
                    continue;
                }
                if !level.item {
                    self.item(stream, header, &mut open)?;
                    continue;
                }
            }
            let implicit = open.last().is_some_and(|l| l.implicit);
            let Some(element) = self.element(stream, implicit)? else {
                return if open.is_empty() {
                    Ok(())
                } else {
                    Err("it ends inside a sequence".into())
                };
            };
            if self.content(stream, header, &mut open, &mut offsets, &element)?.is_break() {
                return Ok(());
            }
        }
        Err(format!("it has more than {MOST_ELEMENTS} elements"))
    }

    /// Reads or skips what follows an element's header. Breaks at the end of the part of the data
    /// set that is parsed. `offsets` takes the extended offset table, which comes before the
    /// pixels.
    fn content(
        &self,
        stream: &mut ByteStream<'s>,
        header: &mut Header,
        open: &mut Vec<Level>,
        offsets: &mut Vec<u64>,
        element: &DataElementHeader,
    ) -> Result<ControlFlow<()>, String> {
        let place = open.last().map_or(Place::Top, |l| l.place);
        let (tag, length) = (element.tag(), element.length().get().map(u64::from));
        match (tag, length) {
            (ITEM_END, _) if open.last().is_some_and(|l| l.end.is_none()) => {
                open.pop();
            }
            // Some writers close items that were never opened.
            (ITEM_END | SEQUENCE_END, Some(0)) if open.is_empty() => (),
            (Tag(0xfffe, _), _) => return Err(misplaced_delimiter(stream)),
            (tags::PIXEL_DATA, None) if place == Place::Top => {
                header.pixels = fragments(&self.decoder, stream, std::mem::take(offsets))?;
                return Ok(ControlFlow::Break(()));
            }
            (tags::PIXEL_DATA, None) => drop(fragments(&self.decoder, stream, Vec::new())?),
            (tags::PIXEL_DATA, Some(bytes)) if place == Place::Top => {
                let words = element.vr() != VR::OB;
                header.pixels = Pixels::Native { at: stream.position(), bytes, words };
                // Skipping verifies the length, even if only reading can do so.
                stream.skip(bytes)?;
                return Ok(ControlFlow::Break(()));
            }
            (tags::EXTENDED_OFFSET_TABLE, Some(length))
                if place == Place::Top && length <= LONGEST_TABLE =>
            {
                *offsets = value::offsets(&stream.read_bytes(length)?, self.big_endian);
            }
            (_, _)
                if place == Place::Top
                    && tag.group() > 0x0028
                    && header.top(tags::ROWS).is_empty() =>
            {
                return Ok(ControlFlow::Break(()));
            }
            (_, length) if element.vr() == VR::SQ || length.is_none() => {
                self.sequence(stream, header, open, element)?
            }
            (_, Some(length)) => match place {
                Place::Top => self.value(stream, element, length, header, (Part::Top, NONE))?,
                Place::Leaf(part, sequence) => {
                    self.value(stream, element, length, header, (part, sequence))?
                }
                _ => stream.skip(length)?,
            },
            (_, None) => return Err("an element has no length".into()),
        }
        Ok(ControlFlow::Continue(()))
    }

    fn sequence(
        &self,
        stream: &mut ByteStream<'s>,
        header: &mut Header,
        open: &mut Vec<Level>,
        element: &DataElementHeader,
    ) -> Result<(), String> {
        let tag = element.tag();
        let above = open.last().map_or(Place::Top, |l| l.place);
        let place = match above {
            Place::Top if tag == tags::PER_FRAME_FUNCTIONAL_GROUPS_SEQUENCE => Place::Frames,
            Place::Top if tag == tags::SHARED_FUNCTIONAL_GROUPS_SEQUENCE => {
                Place::Group(Part::Shared)
            }
            Place::Top if TOP_SEQUENCES.contains(&tag) => Place::Leaf(Part::Top, tag),
            Place::Group(part) if FUNCTIONAL_GROUPS.contains(&tag) => Place::Leaf(part, tag),
            _ => Place::Elsewhere,
        };
        header.per_frame |= place == Place::Frames;
        let length = element.length().get().map(u64::from);
        stream.check(length.unwrap_or(0))?;
        match length {
            Some(length) if place == Place::Elsewhere => return stream.skip(length),
            _ if open.len() >= 2 * DEEPEST => {
                return Err(format!("its sequences are nested more than {DEEPEST} deep"));
            }
            length => {
                let implicit = open.last().is_some_and(|l| l.implicit)
                    || self.explicit && element.vr() == VR::UN;
                open.push(Level {
                    item: false,
                    end: length.map(|l| stream.position() + l),
                    place,
                    items: 0,
                    implicit,
                });
            }
        }
        Ok(())
    }

    /// Opens the next item of the innermost sequence, or closes the sequence.
    fn item(
        &self,
        stream: &mut ByteStream<'s>,
        header: &mut Header,
        open: &mut Vec<Level>,
    ) -> Result<(), String> {
        let at = stream.position();
        let Some(level) = open.last_mut() else {
            return Err("an item stands outside a sequence".into());
        };
        let decoder = if level.implicit { &self.implicit } else { &self.decoder };
        match decoder
            .decode_item_header(stream)
            .map_err(|e| format!("the item at byte {at} cannot be read ({e})"))?
        {
            SequenceItemHeader::Item { len } => {
                let length = len.get().map(u64::from);
                stream.check(length.unwrap_or(0))?;
                let place = match level.place {
                    Place::Frames => {
                        header.begin_frame()?;
                        Place::Group(Part::Frame(level.items))
                    }
                    // Only the first item of any other sequence describes the image.
                    place if level.items == 0 => place,
                    _ => Place::Elsewhere,
                };
                if let Place::Leaf(Part::Top, sequence) = place {
                    header.put(Part::Top, sequence, NONE, "")?;
                }
                level.items += 1;
                let implicit = level.implicit;
                if place == Place::Elsewhere
                    && let Some(length) = length
                {
                    return stream.skip(length);
                }
                open.push(Level {
                    item: true,
                    end: length.map(|l| stream.position() + l),
                    place,
                    items: 0,
                    implicit,
                });
                Ok(())
            }
            SequenceItemHeader::SequenceDelimiter if level.end.is_none() => {
                open.pop();
                Ok(())
            }
            _ => Err(misplaced_delimiter(stream)),
        }
    }

    /// Reads a value that is kept for `(part, sequence)`; skips any other.
    pub(super) fn value(
        &self,
        stream: &mut ByteStream<'s>,
        element: &DataElementHeader,
        length: u64,
        header: &mut Header,
        (part, sequence): (Part, Tag),
    ) -> Result<(), String> {
        let tag = element.tag();
        if length == 0 || !KEPT.contains(&tag) {
            return stream.skip(length);
        }
        stream.check(length)?;
        if length > LONGEST_VALUE {
            return Err(format!(
                "attribute {tag} is {length} bytes long, expected at most {LONGEST_VALUE}"
            ));
        }
        let raw = stream.read_bytes(length)?;
        let known = match element.vr() {
            VR::UN => StandardDataDictionary.by_tag(tag).map_or(VR::UN, |e| e.vr().relaxed()),
            vr => vr,
        };
        let charset = header
            .top(tags::SPECIFIC_CHARACTER_SET)
            .split('\\')
            .next()
            .and_then(SpecificCharacterSet::from_code);
        let text = value::text(&raw, known, charset, self.big_endian)?;
        header.put(part, sequence, tag, text.trim_matches(|c: char| c.is_whitespace() || c == '\0'))
    }
}

fn misplaced_delimiter(stream: &ByteStream) -> String {
    format!("a delimiter stands where none belongs, before byte {}", stream.position())
}
