//! Values of attributes as text.
//!
//! In: the bytes of a value, its value representation, character set and byte order. Out: text;
//! several values are separated by backslashes.

use dicom_core::VR;
use dicom_encoding::text::{DefaultCharacterSetCodec, SpecificCharacterSet, TextCodec};

/// A value as text.
///
/// # Errors
/// The reason, if the bytes are not text of the character set.
pub(super) fn text(
    raw: &[u8],
    vr: VR,
    charset: Option<SpecificCharacterSet>,
    big_endian: bool,
) -> Result<String, String> {
    macro_rules! numbers {
        ($type:ty) => {{
            const N: usize = size_of::<$type>();
            let number = |raw: &[u8]| -> Option<$type> {
                let raw: [u8; N] = raw.try_into().ok()?;
                Some(if big_endian {
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

/// The 64-bit numbers of an extended offset table; an incomplete last one is dropped.
pub(super) fn offsets(raw: &[u8], big_endian: bool) -> Vec<u64> {
    raw.chunks_exact(8)
        .filter_map(|raw| raw.try_into().ok())
        .map(|raw| if big_endian { u64::from_be_bytes(raw) } else { u64::from_le_bytes(raw) })
        .collect()
}
