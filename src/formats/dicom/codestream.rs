//! Headers of packed pixels: JPEG, JPEG-LS and JPEG 2000.
//!
//! In: the packed bytes of one frame. Out: a [`Codestream`], or what is wrong with the bytes.
//!
//! The decoders trust the codestream. Numbers in it that would cost them unbounded memory or time
//! (tiles, layers, precincts, scans) are therefore checked first; the limits lie far beyond what
//! encoders of medical images write.

use dicom_dictionary_std::uids;

/// JPEG 2000: most tiles, quality layers and resolution levels, least side of a precinct and most
/// precincts of a tile.
const MOST_TILES: u64 = 1024;
const MOST_LAYERS: u16 = 256;
const MOST_LEVELS: u8 = 32;
const LEAST_PRECINCT: u8 = 5;

/// The header of a JPEG, JPEG-LS or JPEG 2000 codestream.
#[derive(Debug, PartialEq)]
pub(super) struct Codestream {
    pub(super) columns: u32,
    pub(super) rows: u32,
    pub(super) components: u16,
    pub(super) bits: u8,
}

/// The most pixels that a byte of packed data can hold.
pub(super) fn most_pixels_per_byte(syntax: &str) -> u64 {
    match syntax {
        // Two bytes repeat a byte 128 times.
        uids::RLE_LOSSLESS => 64,
        // One bit per pixel.
        uids::JPEG_LOSSLESS | uids::JPEG_LOSSLESS_SV1 => 8,
        // Two bits per block of 64 pixels.
        uids::JPEG_BASELINE8_BIT | uids::JPEG_EXTENDED12_BIT => 256,
        // Blank slices are packed a thousandfold.
        _ => 1032,
    }
}

impl Codestream {
    /// Reads the frame header of packed pixels of this transfer syntax.
    pub(super) fn parse(packed: &[u8], syntax: &str) -> Result<Self, String> {
        let processes: &[u8] = match syntax {
            uids::JPEG_BASELINE8_BIT => &[0xc0],
            uids::JPEG_EXTENDED12_BIT => &[0xc0, 0xc1],
            uids::JPEG_LOSSLESS | uids::JPEG_LOSSLESS_SV1 => &[0xc3],
            uids::JPEGLS_LOSSLESS | uids::JPEGLS_NEAR_LOSSLESS => &[0xf7],
            uids::JPEG2000_LOSSLESS | uids::JPEG2000 => &[],
            _ => {
                return Err(format!(
                    "the pixels are packed in transfer syntax {syntax}, expected RLE, JPEG, \
                     JPEG-LS or \
                     JPEG 2000"
                ));
            }
        };
        match processes {
            [] => jpeg2000(packed),
            _ => jpeg(packed, processes),
        }
    }
}

fn word(bytes: &[u8], at: usize) -> Option<u16> {
    Some(u16::from_be_bytes([*bytes.get(at)?, *bytes.get(at + 1)?]))
}

fn long(bytes: &[u8], at: usize) -> Option<u32> {
    Some(u32::from(word(bytes, at)?) << 16 | u32::from(word(bytes, at + 2)?))
}

const NO_JPEG: &str = "found no JPEG or JPEG-LS stream, expected one in the packed pixels";
const NO_JPEG_2000: &str = "found no JPEG 2000 stream, expected one in the packed pixels";

/// JPEG and JPEG-LS: markers up to the first scan, with one frame header, of one of `processes`.
fn jpeg(packed: &[u8], processes: &[u8]) -> Result<Codestream, String> {
    let none = || NO_JPEG.to_owned();
    let cut = || "the JPEG stream ends inside its header".to_owned();
    if !packed.starts_with(&[0xff, 0xd8]) {
        return Err(none());
    }
    let mut found = None;
    let mut at = 2;
    loop {
        match (packed.get(at), packed.get(at + 1)) {
            (Some(0xff), Some(0xff)) => at += 1,
            // Start of scan: all headers come before it.
            (Some(0xff), Some(0xda)) => return found.ok_or_else(none),
            (Some(0xff), Some(marker)) => {
                let length = word(packed, at + 2).filter(|l| *l >= 2).ok_or_else(cut)? as usize;
                // Start of frame: all but DHT, JPG and DAC; and JPEG-LS.
                if matches!(marker, 0xc0..=0xc3 | 0xc5..=0xc7 | 0xc9..=0xcb | 0xcd..=0xcf | 0xf7) {
                    if !processes.contains(marker) || found.is_some() {
                        return Err(format!(
                            "the packed pixels are of JPEG process {marker:02X}, expected the \
                             transfer syntax's own"
                        ));
                    }
                    let (bits, components) =
                        packed.get(at + 4).zip(packed.get(at + 9)).ok_or_else(cut)?;
                    let (rows, columns) =
                        word(packed, at + 5).zip(word(packed, at + 7)).ok_or_else(cut)?;
                    found = Some(Codestream {
                        columns: columns.into(),
                        rows: rows.into(),
                        components: (*components).into(),
                        bits: *bits,
                    });
                }
                at += 2 + length;
            }
            _ => return Err(none()),
        }
    }
}

/// A JPEG 2000 codestream, bare or in a JP2 file: its main header, and the headers of its tiles.
fn jpeg2000(packed: &[u8]) -> Result<Codestream, String> {
    let cut = || "the JPEG 2000 stream ends inside its header".to_owned();
    let begin = packed.windows(4).take(4096).position(|w| w == [0xff, 0x4f, 0xff, 0x51]);
    let stream = packed.get(begin.ok_or(NO_JPEG_2000)?..).unwrap_or_default();
    // SIZ: the image and its tiles on the reference grid, then the components.
    let size = |n: usize| long(stream, 8 + 4 * n).ok_or_else(cut);
    let (columns, rows) = (size(0)?.checked_sub(size(2)?), size(1)?.checked_sub(size(3)?));
    let (columns, rows) = columns
        .zip(rows)
        .filter(|(c, r)| *c > 0 && *r > 0)
        .ok_or("the JPEG 2000 stream has no pixels, expected at least one")?;
    let tiles = |far: u32, first: u32, side: u32| {
        u64::from(
            far.saturating_sub(first)
                .checked_add(side.saturating_sub(1))
                .and_then(|n| n.checked_div(side))
                .unwrap_or(0),
        )
    };
    let count =
        tiles(size(0)?, size(6)?, size(4)?).saturating_mul(tiles(size(1)?, size(7)?, size(5)?));
    if count == 0 || count > MOST_TILES {
        return Err(format!("the JPEG 2000 stream has {count} tiles, expected 1 to {MOST_TILES}"));
    }
    let components = word(stream, 40).ok_or_else(cut)?;
    let [bits, across, down] = *stream.get(42..45).and_then(|b| b.first_chunk()).ok_or_else(cut)?;
    if across != 1 || down != 1 {
        return Err("the JPEG 2000 stream is subsampled, expected a sample for every pixel".into());
    }
    markers(stream)?;
    Ok(Codestream { columns, rows, components, bits: (bits & 0x7f) + 1 })
}

/// Checks the markers of a codestream: every tile-part must lie inside it, and coding styles must
/// stay within the limits.
fn markers(stream: &[u8]) -> Result<(), String> {
    let cut = || "the JPEG 2000 stream ends too early".to_owned();
    let mut at = 2;
    let mut tile_end = None;
    loop {
        let marker = match (word(stream, at), tile_end) {
            (Some(marker), _) => marker,
            // After the last tile-part some encoders omit the end marker.
            (None, None) if at >= stream.len() => return Ok(()),
            _ => return Err(cut()),
        };
        match (marker, tile_end) {
            (0xffd9, None) => return Ok(()),
            // Start of data: to the end of the tile-part, which may be the end of the stream.
            (0xff93, Some(0)) => return Ok(()),
            (0xff93, Some(end)) => {
                at = end;
                tile_end = None;
                continue;
            }
            _ => (),
        }
        let length = word(stream, at + 2).filter(|l| *l >= 2).ok_or_else(cut)? as usize;
        let segment = stream.get(at + 4..at + 2 + length).ok_or_else(cut)?;
        match marker {
            0xff90 if tile_end.is_none() => {
                let size = long(segment, 2).ok_or_else(cut)? as usize;
                if size != 0 && (size < 14 || at + size > stream.len()) {
                    return Err(cut());
                }
                tile_end = Some(if size == 0 { 0 } else { at + size });
            }
            // COD: style, progression, layers, transform of components; then as COC.
            0xff52 => {
                let style = *segment.first().ok_or_else(cut)?;
                let layers = word(segment, 2).ok_or_else(cut)?;
                if layers == 0 || layers > MOST_LAYERS {
                    return Err(format!(
                        "the JPEG 2000 stream has {layers} quality layers, expected 1 to \
                         {MOST_LAYERS}"
                    ));
                }
                coding(style, segment.get(5..).unwrap_or_default())?;
            }
            // COC of a component: one byte names it, as there are fewer than 257.
            0xff53 => {
                coding(*segment.get(1).ok_or_else(cut)?, segment.get(2..).unwrap_or_default())?
            }
            // POC changes the progression; 32 changes are more than any encoder writes.
            0xff5f if segment.len() > 7 * 32 => {
                return Err(
                    "the JPEG 2000 stream changes its progression more than 32 times, expected at \
                     most 32"
                        .into(),
                );
            }
            _ if marker < 0xff00 => return Err("the JPEG 2000 stream is damaged".into()),
            _ => (),
        }
        at += 2 + length;
    }
}

/// Checks resolution levels, and precincts that are not of the largest size.
fn coding(style: u8, rest: &[u8]) -> Result<(), String> {
    let levels = *rest.first().ok_or("the JPEG 2000 stream ends inside its header")?;
    if levels > MOST_LEVELS {
        return Err(format!(
            "the JPEG 2000 stream has {levels} resolution levels, expected at most {MOST_LEVELS}"
        ));
    }
    let small = |side: u8| side < LEAST_PRECINCT;
    // The first is the lowest resolution, whose precincts may be small.
    if style & 1 != 0
        && rest.get(6..).unwrap_or_default().iter().any(|p| small(p & 15) || small(p >> 4))
    {
        return Err(format!(
            "the JPEG 2000 stream has precincts smaller than {0} pixels, expected at least {0}",
            1 << LEAST_PRECINCT
        ));
    }
    Ok(())
}
