//! The fragments of packed pixels.

use std::io::Read;

use dicom_core::header::SequenceItemHeader;
use dicom_encoding::transfer_syntax::DynDecoder;

use super::byte_stream::ByteStream;
use super::header::Pixels;

/// Reads the items of packed pixels: an offset table, then one item for each fragment. `offsets` is
/// the extended offset table, if the file has one.
///
/// # Errors
/// What is wrong with the items, in words.
pub(super) fn fragments<'s>(
    decoder: &DynDecoder<dyn Read + 's>,
    stream: &mut ByteStream<'s>,
    mut offsets: Vec<u64>,
) -> Result<Pixels, String> {
    let mut first = None;
    let mut fragments: Vec<u32> = Vec::new();
    loop {
        let at = stream.position();
        let item = decoder
            .decode_item_header(stream)
            .map_err(|e| format!("the packed pixels end at byte {at} ({e})"))?;
        match item {
            SequenceItemHeader::Item { len } => {
                let length = len.get().ok_or("a fragment of the packed pixels has no length")?;
                if first.is_none() {
                    let raw = stream.read_bytes(u64::from(length))?;
                    let table = raw
                        .chunks_exact(4)
                        .filter_map(|raw| raw.try_into().ok())
                        .map(u32::from_le_bytes)
                        .map(u64::from);
                    if offsets.is_empty() {
                        offsets = table.collect();
                    }
                    first = Some(stream.position());
                } else {
                    stream.skip(u64::from(length))?;
                    fragments.push(length);
                }
            }
            SequenceItemHeader::SequenceDelimiter => break,
            SequenceItemHeader::ItemDelimiter => {
                return Err("a delimiter stands among the packed pixels".into());
            }
        }
    }
    Ok(Pixels::Packed { at: first.unwrap_or(stream.position()), offsets, fragments })
}
