//! The way through the bytes of a DICOM file.
//!
//! In: a file's bytes as a stream, and how many there are. Out: a [`Header`]: the attributes that
//! nasoseg uses, as text, and where the pixels lie.
//!
//! Nothing that a file says of itself is believed before it is seen: a length must fit into what is
//! left of the file, sequences nest to [`DEEPEST`] levels, and attributes that nobody asks for are
//! passed over without being held. So memory follows the bytes that are there, not the numbers in
//! them. The walk ends with the pixel data, and, in a file without rows, with the group of the
//! image.

use std::io::{BufReader, Cursor, ErrorKind, Read, Seek, SeekFrom};

use dicom_core::dictionary::{DataDictionary, DataDictionaryEntry};
use dicom_core::header::{DataElementHeader, HasLength, Header as _, SequenceItemHeader};
use dicom_core::{Tag, VR};
use dicom_dictionary_std::{StandardDataDictionary, tags, uids};
use dicom_encoding::Endianness;
use dicom_encoding::decode::Error as DecodeError;
use dicom_encoding::text::{DefaultCharacterSetCodec, SpecificCharacterSet, TextCodec};
use dicom_encoding::transfer_syntax::{DynDecoder, TransferSyntaxIndex};
use dicom_transfer_syntax_registry::TransferSyntaxRegistry;
use flate2::read::DeflateDecoder;

/// Sequences deeper than this are refused: images and structure sets in use have four levels.
pub(crate) const DEEPEST: usize = 32;
/// More elements than this are refused: an enhanced image of ten thousand frames has a third of it.
const MOST_ELEMENTS: usize = 1 << 23;
/// No attribute that is read is longer than this many bytes.
const LONGEST_VALUE: u64 = 1024;
/// A deflated header must end within so many bytes.
const LONGEST_INFLATED: u64 = 64 << 20;
/// An offset table (8 bytes an entry) of more frames than could be told apart is refused.
const LONGEST_TABLE: u64 = 8 << 20;

/// Attributes that are held where they stand at the top, or in a functional group.
#[rustfmt::skip]
const HELD: [Tag; 44] = [
    tags::SPECIFIC_CHARACTER_SET, tags::IMAGE_TYPE, tags::SOP_CLASS_UID, tags::SOP_INSTANCE_UID, tags::ACQUISITION_TIME, tags::MODALITY,
    tags::CODE_MEANING, tags::SERIES_DESCRIPTION, tags::FRAME_TYPE, tags::PATIENT_NAME, tags::PATIENT_ID, tags::PATIENT_BIRTH_DATE,
    tags::CONTRAST_BOLUS_AGENT, tags::REPETITION_TIME, tags::ECHO_TIME, tags::ECHO_NUMBERS, tags::TRIGGER_TIME,
    tags::EFFECTIVE_ECHO_TIME, tags::DIFFUSION_B_VALUE, tags::FRAME_ACQUISITION_NUMBER, tags::STUDY_INSTANCE_UID,
    tags::SERIES_INSTANCE_UID, tags::ACQUISITION_NUMBER, tags::IMAGE_POSITION_PATIENT, tags::IMAGE_ORIENTATION_PATIENT,
    tags::FRAME_OF_REFERENCE_UID, tags::TEMPORAL_POSITION_IDENTIFIER, tags::STACK_ID, tags::TEMPORAL_POSITION_INDEX,
    tags::SAMPLES_PER_PIXEL, tags::PHOTOMETRIC_INTERPRETATION, tags::NUMBER_OF_FRAMES, tags::ROWS, tags::COLUMNS, tags::PIXEL_SPACING,
    tags::BITS_ALLOCATED, tags::BITS_STORED, tags::HIGH_BIT, tags::PIXEL_REPRESENTATION, tags::RESCALE_INTERCEPT, tags::RESCALE_SLOPE,
    tags::MEDIA_STORAGE_SOP_CLASS_UID, tags::TRANSFER_SYNTAX_UID, tags::NOMINAL_CARDIAC_TRIGGER_DELAY_TIME,
];

/// Sequences of the top whose first item is looked into.
const TOP: [Tag; 3] = [
    tags::CONTRAST_BOLUS_AGENT_SEQUENCE,
    tags::MODALITY_LUT_SEQUENCE,
    tags::SHARED_FUNCTIONAL_GROUPS_SEQUENCE,
];

/// Functional groups whose first item is looked into.
const GROUPS: [Tag; 10] = [
    tags::PLANE_POSITION_SEQUENCE,
    tags::PLANE_ORIENTATION_SEQUENCE,
    tags::PIXEL_MEASURES_SEQUENCE,
    tags::PIXEL_VALUE_TRANSFORMATION_SEQUENCE,
    tags::FRAME_CONTENT_SEQUENCE,
    tags::MR_ECHO_SEQUENCE,
    tags::MR_DIFFUSION_SEQUENCE,
    tags::MR_IMAGE_FRAME_TYPE_SEQUENCE,
    tags::MR_TIMING_AND_RELATED_PARAMETERS_SEQUENCE,
    tags::CARDIAC_SYNCHRONIZATION_SEQUENCE,
];

const ITEM_END: Tag = Tag(0xfffe, 0xe00d);
const SEQUENCE_END: Tag = Tag(0xfffe, 0xe0dd);

/// Stands for the sequence of an attribute that is in none.
pub(super) const NONE: Tag = Tag(0, 0);

/// The attributes of a file that nasoseg uses, and where its pixels lie.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Header {
    /// All values, one after the other.
    text: String,
    top: Vec<Entry>,
    shared: Vec<Entry>,
    frames: Vec<Entry>,
    /// Where each item of the per-frame functional groups begins in `frames`.
    starts: Vec<u32>,
    /// Whether there are per-frame functional groups at all.
    pub(super) per_frame: bool,
    pub(super) pixels: Pixels,
    /// Where a deflated data set begins; positions of pixels count from there, inflated.
    pub(super) deflated_at: Option<u64>,
}

/// One value of one attribute in one sequence, or in none.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Entry {
    sequence: Tag,
    tag: Tag,
    from: u32,
    to: u32,
}

/// Where an attribute may stand.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Part {
    Top,
    Shared,
    /// An item of the per-frame functional groups, 0-based.
    Frame(u32),
}

/// Where the pixels lie.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) enum Pixels {
    #[default]
    None,
    /// So many bytes from `at` on; of big endian files in words of 2 bytes, or not (OB).
    Native { at: u64, bytes: u64, words: bool },
    /// Fragments one after the other, the first one's item at `at`; their lengths. Offsets of
    /// frames, counted from `at`, may be missing.
    Packed { at: u64, offsets: Vec<u64>, fragments: Vec<u32> },
}

impl Header {
    fn entries(&self, part: Part) -> &[Entry] {
        match part {
            Part::Top => &self.top,
            Part::Shared => &self.shared,
            Part::Frame(n) => {
                let at = |n: usize| self.starts.get(n).map_or(self.frames.len(), |s| *s as usize);
                self.frames.get(at(n as usize)..at(n as usize + 1)).unwrap_or_default()
            }
        }
    }

    /// An attribute as stored but for padding, its values parted by backslashes; `None` where it is
    /// absent or empty.
    pub(super) fn value(&self, part: Part, sequence: Tag, tag: Tag) -> Option<&str> {
        let entry = self.entries(part).iter().find(|e| e.sequence == sequence && e.tag == tag)?;
        self.text.get(entry.from as usize..entry.to as usize)
    }

    /// An attribute of the top; empty where it is absent.
    pub(super) fn top(&self, tag: Tag) -> &str {
        self.value(Part::Top, NONE, tag).unwrap_or_default()
    }

    /// Number of items in the per-frame functional groups.
    pub(super) fn frame_items(&self) -> usize {
        self.starts.len()
    }

    /// Whether a sequence of the top has an item.
    pub(super) fn has_item(&self, sequence: Tag) -> bool {
        self.top.iter().any(|e| e.sequence == sequence)
    }

    fn put(&mut self, part: Part, sequence: Tag, tag: Tag, value: &str) -> Result<(), String> {
        // The first one counts: an attribute stands once in a data set.
        if self.value(part, sequence, tag).is_some() {
            return Ok(());
        }
        let from = self.text.len();
        self.text.push_str(value);
        let small = |n: usize| u32::try_from(n).map_err(|_| "the header is too long".to_owned());
        let entry = Entry { sequence, tag, from: small(from)?, to: small(self.text.len())? };
        match part {
            Part::Top => self.top.push(entry),
            Part::Shared => self.shared.push(entry),
            Part::Frame(_) => self.frames.push(entry),
        }
        Ok(())
    }
}

/// Bytes that can be read, and passed over cheaply where the source allows it.
pub(super) trait Source: Read {
    fn pass(&mut self, count: u64) -> std::io::Result<()>;
}

impl<R: Read + Seek> Source for BufReader<R> {
    fn pass(&mut self, count: u64) -> std::io::Result<()> {
        match i64::try_from(count) {
            Ok(count) => self.seek_relative(count),
            Err(_) => Err(ErrorKind::InvalidInput.into()),
        }
    }
}

impl Source for Cursor<&[u8]> {
    fn pass(&mut self, count: u64) -> std::io::Result<()> {
        self.seek(SeekFrom::Current(i64::try_from(count).map_err(|_| ErrorKind::InvalidInput)?))
            .map(|_| ())
    }
}

impl<R: Read> Source for DeflateDecoder<R> {
    fn pass(&mut self, count: u64) -> std::io::Result<()> {
        match std::io::copy(&mut self.take(count), &mut std::io::sink())? {
            n if n == count => Ok(()),
            _ => Err(ErrorKind::UnexpectedEof.into()),
        }
    }
}

/// A source with the count of what was taken from it.
struct Stream<'a> {
    source: &'a mut dyn Source,
    /// Bytes that were taken from the source to look at them, and are still to be read.
    seen: Vec<u8>,
    at: u64,
    /// Where the source ends, or where it is given up.
    end: u64,
}

impl Read for Stream<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        let read = if self.seen.is_empty() {
            self.source.read(buffer)?
        } else {
            let read = self.seen.as_slice().read(buffer)?;
            self.seen.drain(..read);
            read
        };
        self.at += read as u64;
        Ok(read)
    }
}

impl<'a> Stream<'a> {
    fn new(source: &'a mut dyn Source, end: u64) -> Self {
        Stream { source, seen: Vec::new(), at: 0, end }
    }

    /// Up to `count` bytes that stay to be read.
    fn look(&mut self, count: usize) -> std::io::Result<&[u8]> {
        if self.seen.len() < count {
            let missing = (count - self.seen.len()) as u64;
            (&mut self.source).take(missing).read_to_end(&mut self.seen)?;
        }
        Ok(&self.seen[..count.min(self.seen.len())])
    }

    fn left(&self) -> u64 {
        self.end.saturating_sub(self.at)
    }

    fn pass(&mut self, count: u64) -> Result<(), String> {
        if count > self.left() {
            return Err(truncated(self.at, count, self.left()));
        }
        let seen = (self.seen.len() as u64).min(count);
        self.seen.drain(..seen as usize);
        self.source.pass(count - seen).map_err(|e| ended(self.at, &e))?;
        self.at += count;
        Ok(())
    }

    fn take_bytes(&mut self, count: u64) -> Result<Vec<u8>, String> {
        if count > self.left() {
            return Err(truncated(self.at, count, self.left()));
        }
        let mut bytes = Vec::with_capacity(count as usize);
        let at = self.at;
        self.take(count).read_to_end(&mut bytes).map_err(|e| ended(at, &e))?;
        if (bytes.len() as u64) < count {
            Err(truncated(at, count, bytes.len() as u64))
        } else {
            Ok(bytes)
        }
    }
}

fn truncated(at: u64, wanted: u64, left: u64) -> String {
    format!("an element at byte {at} is {wanted} bytes long, and {left} are left")
}

fn ended(at: u64, error: &std::io::Error) -> String {
    format!("it ends inside the element at byte {at} ({error})")
}

/// Transfer syntax of a file that begins with its data set, without preamble and meta group: told
/// by its first element. An empty string stands for a meta group without preamble, which names the
/// syntax itself.
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

/// Walks through a file of `stored` bytes.
///
/// # Errors
/// What is wrong with the file, in words.
pub(super) fn walk(source: &mut dyn Source, stored: u64) -> Result<Header, String> {
    let mut header = Header::default();
    let mut stream = Stream::new(source, stored);
    let head = stream.look(132).map_err(|e| e.to_string())?;
    let preamble = head.get(128..) == Some(b"DICM".as_slice());
    let syntax = match bare_syntax(head) {
        _ if preamble => {
            stream.pass(132)?;
            meta(&mut stream, &mut header)?
        }
        Some("") => {
            let magic = head.starts_with(b"DICM");
            stream.pass(if magic { 4 } else { 0 })?;
            meta(&mut stream, &mut header)?
        }
        Some(uid) => {
            header.put(Part::Top, NONE, tags::TRANSFER_SYNTAX_UID, uid)?;
            uid.to_owned()
        }
        None => return Err("it does not begin like a DICOM file".into()),
    };
    if syntax == uids::DEFLATED_EXPLICIT_VR_LITTLE_ENDIAN {
        header.deflated_at = Some(stream.at);
        let mut inflated = DeflateDecoder::new(stream);
        let mut stream = Stream::new(&mut inflated, u64::MAX);
        Walk::new(&syntax)?.data_set(&mut stream, &mut header)?;
    } else {
        Walk::new(&syntax)?.data_set(&mut stream, &mut header)?;
    }
    Ok(header)
}

/// The file meta information: everything of group 2. Returns the transfer syntax.
fn meta(stream: &mut Stream, header: &mut Header) -> Result<String, String> {
    let walk = Walk::new(uids::EXPLICIT_VR_LITTLE_ENDIAN)?;
    // Where the group says that it ends. A deflated data set may begin with any bytes.
    let mut end = None;
    while end.is_none_or(|end| {
        stream.at < end || !header.top(tags::TRANSFER_SYNTAX_UID).ends_with(".99")
    }) {
        if stream.look(2).map_err(|e| e.to_string())? != [2, 0] {
            break;
        }
        let Some(element) = walk.element(stream, false)? else { break };
        let length = u64::from(
            element
                .length()
                .get()
                .ok_or("an element of the file meta information has no length")?,
        );
        if element.tag() == Tag(2, 0) && length == 4 {
            let value = stream.take_bytes(4)?;
            end = value.try_into().ok().map(|raw| stream.at + u64::from(u32::from_le_bytes(raw)));
        } else {
            walk.value(stream, &element, length, header, Part::Top, NONE)?;
        }
    }
    match header.top(tags::TRANSFER_SYNTAX_UID) {
        "" => Err("its file meta information names no transfer syntax".into()),
        syntax => Ok(syntax.to_owned()),
    }
}

/// A sequence or an item that is open.
struct Level {
    item: bool,
    /// Where it ends, where that is told.
    end: Option<u64>,
    place: Place,
    /// Items of the sequence so far.
    items: u32,
    /// Implicit VR whatever the file's syntax: an UN of undefined length (PS3.5, 6.2.2).
    implicit: bool,
}

/// What stands at a place is held, or not.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Place {
    /// The data set itself.
    Top,
    /// The shared functional groups, or one frame's.
    Group(Part),
    /// A sequence whose first item's attributes are held.
    Leaf(Part, Tag),
    /// The sequence of the frames' functional groups.
    Frames,
    Nowhere,
}

/// Reads data sets of one transfer syntax from streams that live for `'s`.
struct Walk<'s> {
    decoder: DynDecoder<dyn Read + 's>,
    implicit: DynDecoder<dyn Read + 's>,
    big_endian: bool,
    explicit: bool,
}

impl<'s> Walk<'s> {
    fn new(syntax: &str) -> Result<Self, String> {
        let unknown = || format!("its transfer syntax, {syntax}, is not known");
        let of = |uid: &str| TransferSyntaxRegistry.get(uid).filter(|s| !s.is_unsupported());
        let found = of(syntax).ok_or_else(unknown)?;
        let implicit = of(uids::IMPLICIT_VR_LITTLE_ENDIAN).and_then(|s| s.decoder());
        Ok(Walk {
            decoder: found.decoder().ok_or_else(unknown)?,
            implicit: implicit.ok_or_else(unknown)?,
            big_endian: found.endianness() == Endianness::Big,
            explicit: syntax != uids::IMPLICIT_VR_LITTLE_ENDIAN,
        })
    }

    /// The next element's header; `None` where the stream ends before it.
    fn element(
        &self,
        stream: &mut Stream<'s>,
        implicit: bool,
    ) -> Result<Option<DataElementHeader>, String> {
        let at = stream.at;
        let decoder = if implicit { &self.implicit } else { &self.decoder };
        match decoder.decode_header(stream) {
            Ok((header, _)) => Ok(Some(header)),
            Err(DecodeError::ReadHeaderTag { source, .. })
                if source.kind() == ErrorKind::UnexpectedEof && stream.at == at =>
            {
                Ok(None)
            }
            Err(e) => Err(format!("the element at byte {at} cannot be read ({e})")),
        }
    }

    fn data_set(&self, stream: &mut Stream<'s>, header: &mut Header) -> Result<(), String> {
        let mut open: Vec<Level> = Vec::new();
        let mut offsets: Vec<u64> = Vec::new();
        for _ in 0..MOST_ELEMENTS {
            if header.deflated_at.is_some() && stream.at > LONGEST_INFLATED {
                return Err(format!("its header inflates to more than {LONGEST_INFLATED} bytes"));
            }
            if let Some(level) = open.last() {
                match level.end {
                    Some(end) if end == stream.at => {
                        open.pop();
                        continue;
                    }
                    Some(end) if end < stream.at => {
                        return Err(format!(
                            "an element reaches over the end of its sequence at byte {end}"
                        ));
                    }
                    _ => (),
                }
                if !level.item {
                    self.item(stream, header, &mut open)?;
                    continue;
                }
            }
            let (place, implicit) =
                open.last().map_or((Place::Top, false), |l| (l.place, l.implicit));
            let Some(element) = self.element(stream, implicit)? else {
                return if open.is_empty() {
                    Ok(())
                } else {
                    Err("it ends inside a sequence".into())
                };
            };
            let (tag, length) = (element.tag(), element.length().get().map(u64::from));
            match (tag, length) {
                (ITEM_END, _) if open.last().is_some_and(|l| l.end.is_none()) => {
                    open.pop();
                }
                // Some writers close items that were never opened.
                (ITEM_END | SEQUENCE_END, Some(0)) if open.is_empty() => (),
                (Tag(0xfffe, _), _) => {
                    return Err(format!(
                        "a delimiter stands where none belongs, before byte {}",
                        stream.at
                    ));
                }
                (tags::PIXEL_DATA, None) if place == Place::Top => {
                    header.pixels = self.packed(stream, offsets)?;
                    return Ok(());
                }
                (tags::PIXEL_DATA, None) => drop(self.packed(stream, Vec::new())?),
                (tags::PIXEL_DATA, Some(bytes)) if place == Place::Top => {
                    let words = element.vr() != VR::OB;
                    header.pixels = Pixels::Native { at: stream.at, bytes, words };
                    // The length is proved, also where only reading can prove it.
                    return stream.pass(bytes);
                }
                (tags::EXTENDED_OFFSET_TABLE, Some(length))
                    if place == Place::Top && length <= LONGEST_TABLE =>
                {
                    let raw = stream.take_bytes(length)?;
                    offsets = raw
                        .chunks_exact(8)
                        .filter_map(|raw| raw.try_into().ok())
                        .map(|raw| self.u64(raw))
                        .collect();
                }
                (_, _)
                    if place == Place::Top
                        && tag.group() > 0x0028
                        && header.top(tags::ROWS).is_empty() =>
                {
                    return Ok(());
                }
                (_, length) if element.vr() == VR::SQ || length.is_none() => {
                    self.sequence(stream, header, &mut open, &element)?
                }
                (_, Some(length)) => {
                    let (part, sequence) = match place {
                        Place::Top => (Part::Top, NONE),
                        Place::Leaf(part, sequence) => (part, sequence),
                        _ => {
                            stream.pass(length)?;
                            continue;
                        }
                    };
                    self.value(stream, &element, length, header, part, sequence)?;
                }
                (_, None) => return Err("an element has no length".into()),
            }
        }
        Err(format!("it has more than {MOST_ELEMENTS} elements"))
    }

    fn sequence(
        &self,
        stream: &mut Stream<'s>,
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
            Place::Top if TOP.contains(&tag) => Place::Leaf(Part::Top, tag),
            Place::Group(part) if GROUPS.contains(&tag) => Place::Leaf(part, tag),
            _ => Place::Nowhere,
        };
        header.per_frame |= place == Place::Frames;
        match element.length().get().map(u64::from) {
            Some(length) if length > stream.left() => {
                return Err(truncated(stream.at, length, stream.left()));
            }
            Some(length) if place == Place::Nowhere => return stream.pass(length),
            _ if open.len() >= 2 * DEEPEST => {
                return Err(format!("its sequences are nested more than {DEEPEST} deep"));
            }
            length => {
                let implicit = open.last().is_some_and(|l| l.implicit)
                    || self.explicit && element.vr() == VR::UN;
                open.push(Level {
                    item: false,
                    end: length.map(|l| stream.at + l),
                    place,
                    items: 0,
                    implicit,
                });
            }
        }
        Ok(())
    }

    /// The next item of the innermost sequence, or its end.
    fn item(
        &self,
        stream: &mut Stream<'s>,
        header: &mut Header,
        open: &mut Vec<Level>,
    ) -> Result<(), String> {
        let at = stream.at;
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
                if length.is_some_and(|l| l > stream.left()) {
                    return Err(truncated(stream.at, length.unwrap_or(0), stream.left()));
                }
                let place = match level.place {
                    Place::Frames => {
                        header.starts.push(
                            u32::try_from(header.frames.len())
                                .map_err(|_| "the header is too long")?,
                        );
                        Place::Group(Part::Frame(level.items))
                    }
                    // Only the first item of any other sequence says something of the image.
                    place if level.items == 0 => place,
                    _ => Place::Nowhere,
                };
                if let Place::Leaf(Part::Top, sequence) = place {
                    header.put(Part::Top, sequence, NONE, "")?;
                }
                level.items += 1;
                let implicit = level.implicit;
                if place == Place::Nowhere
                    && let Some(length) = length
                {
                    return stream.pass(length);
                }
                open.push(Level {
                    item: true,
                    end: length.map(|l| stream.at + l),
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
            _ => Err(format!("a delimiter stands where none belongs, before byte {}", stream.at)),
        }
    }

    /// Reads a value that is held, passes over any other.
    fn value(
        &self,
        stream: &mut Stream<'s>,
        element: &DataElementHeader,
        length: u64,
        header: &mut Header,
        part: Part,
        sequence: Tag,
    ) -> Result<(), String> {
        let tag = element.tag();
        if length == 0 || !HELD.contains(&tag) {
            return stream.pass(length);
        }
        if length > stream.left() {
            return Err(truncated(stream.at, length, stream.left()));
        }
        if length > LONGEST_VALUE {
            return Err(format!(
                "attribute {tag} is {length} bytes long; {LONGEST_VALUE} at most were expected"
            ));
        }
        let raw = stream.take_bytes(length)?;
        let known = match element.vr() {
            VR::UN => StandardDataDictionary.by_tag(tag).map_or(VR::UN, |e| e.vr().relaxed()),
            vr => vr,
        };
        let charset = header
            .top(tags::SPECIFIC_CHARACTER_SET)
            .split('\\')
            .next()
            .and_then(SpecificCharacterSet::from_code);
        let text = self.text(&raw, known, charset)?;
        header.put(part, sequence, tag, text.trim_matches(|c: char| c.is_whitespace() || c == '\0'))
    }

    /// A value as text; several values are parted by backslashes.
    fn text(
        &self,
        raw: &[u8],
        vr: VR,
        charset: Option<SpecificCharacterSet>,
    ) -> Result<String, String> {
        macro_rules! numbers {
            ($type:ty) => {{
                const N: usize = size_of::<$type>();
                let number = |raw: &[u8]| -> Option<$type> {
                    let raw: [u8; N] = raw.try_into().ok()?;
                    Some(if self.big_endian {
                        <$type>::from_be_bytes(raw)
                    } else {
                        <$type>::from_le_bytes(raw)
                    })
                };
                let texts: Vec<String> =
                    raw.chunks_exact(N).filter_map(number).map(|n| n.to_string()).collect();
                Ok(texts.join("\\"))
            }};
        }
        match vr {
            VR::US => numbers!(u16),
            VR::SS => numbers!(i16),
            VR::UL => numbers!(u32),
            VR::SL => numbers!(i32),
            VR::FL => numbers!(f32),
            VR::FD => numbers!(f64),
            VR::PN | VR::LO | VR::SH | VR::UC | VR::LT | VR::ST | VR::UT => match charset {
                Some(charset) => charset.decode(raw),
                None => DefaultCharacterSetCodec.decode(raw),
            }
            .map_err(|e| e.to_string()),
            _ => DefaultCharacterSetCodec.decode(raw).map_err(|e| e.to_string()),
        }
    }

    fn u64(&self, raw: [u8; 8]) -> u64 {
        if self.big_endian { u64::from_be_bytes(raw) } else { u64::from_le_bytes(raw) }
    }

    /// Fragments of packed pixels: an offset table, then one item for each.
    fn packed(&self, stream: &mut Stream<'s>, mut offsets: Vec<u64>) -> Result<Pixels, String> {
        let mut first = None;
        let mut fragments: Vec<u32> = Vec::new();
        loop {
            let at = stream.at;
            let item = self
                .decoder
                .decode_item_header(stream)
                .map_err(|e| format!("the packed pixels end at byte {at} ({e})"))?;
            match item {
                SequenceItemHeader::Item { len } => {
                    let length =
                        len.get().ok_or("a fragment of the packed pixels has no length")?;
                    if first.is_none() {
                        let raw = stream.take_bytes(u64::from(length))?;
                        let table = raw
                            .chunks_exact(4)
                            .filter_map(|raw| raw.try_into().ok())
                            .map(u32::from_le_bytes)
                            .map(u64::from);
                        if offsets.is_empty() {
                            offsets = table.collect();
                        }
                        first = Some(stream.at);
                    } else {
                        stream.pass(u64::from(length))?;
                        fragments.push(length);
                    }
                }
                SequenceItemHeader::SequenceDelimiter => break,
                SequenceItemHeader::ItemDelimiter => {
                    return Err("a delimiter stands among the packed pixels".into());
                }
            }
        }
        Ok(Pixels::Packed { at: first.unwrap_or(stream.at), offsets, fragments })
    }
}
