//! Raw samples of NIfTI and NRRD files.
//!
//! In: a stream of samples of one type and byte order. Out: voxels [k, j, i] as f32, in storage
//! order.

use std::io::Read;
use std::path::Path;

use ndarray::Array3;

use crate::error::{Error, Result};
use crate::geometry::grid::MAX_VOXELS;

/// Deflate cannot compress by a larger factor than this.
const DEFLATE_LIMIT: u64 = 1032;

/// Type of one stored sample.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum SampleType {
    U8,
    I8,
    U16,
    I16,
    U32,
    I32,
    U64,
    I64,
    F32,
    F64,
}

impl SampleType {
    pub(crate) fn bytes(self) -> usize {
        match self {
            SampleType::U8 | SampleType::I8 => 1,
            SampleType::U16 | SampleType::I16 => 2,
            SampleType::U32 | SampleType::I32 | SampleType::F32 => 4,
            SampleType::U64 | SampleType::I64 | SampleType::F64 => 8,
        }
    }
}

/// How samples are stored and converted to voxel values: `value = sample * slope + intercept`, in
/// f64.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Layout {
    pub(crate) sample: SampleType,
    pub(crate) big_endian: bool,
    pub(crate) slope: f64,
    pub(crate) intercept: f64,
}

/// Number of bytes that `size` voxels take in the file.
///
/// # Errors
/// [`Error::Image`] if the image has fewer than two slices or more than [`MAX_VOXELS`] voxels.
pub(crate) fn stored_bytes(size: [usize; 3], sample: SampleType, path: &Path) -> Result<u64> {
    let [ni, nj, nk] = size;
    if nk < 2 || ni == 0 || nj == 0 {
        return Err(Error::Image(format!(
            "{}: the image has {ni} x {nj} x {nk} voxels, expected a volume of at least 2 slices. \
             Give the whole series",
            path.display()
        )));
    }
    match ni.checked_mul(nj).and_then(|n| n.checked_mul(nk)) {
        Some(voxels) if voxels <= MAX_VOXELS => Ok(voxels as u64 * sample.bytes() as u64),
        _ => Err(Error::Image(format!(
            "{}: the header promises {ni} x {nj} x {nk} voxels, expected at most {MAX_VOXELS}. \
             Check the file's header, or crop the image",
            path.display()
        ))),
    }
}

/// Refuses a file that cannot hold the promised bytes, before anything is allocated. `stored` is
/// the size of the file.
pub(crate) fn check_stored(stored: u64, gzip: bool, promised: u64, path: &Path) -> Result<()> {
    let possible = if gzip { stored.saturating_mul(DEFLATE_LIMIT) } else { stored };
    if possible < promised {
        return Err(truncated(path, promised, stored, gzip));
    }
    Ok(())
}

fn truncated(path: &Path, promised: u64, found: u64, gzip: bool) -> Error {
    let packed = if gzip { " (gzip)" } else { "" };
    Error::read(format!(
        "{}: the file is truncated: found {found} bytes{packed}, expected {promised} bytes of \
         voxels as the header promises. Copy or export it again",
        path.display()
    ))
}

/// Reads the voxels slice by slice, so that memory grows with the bytes that the file really holds.
pub(crate) fn read_voxels<R: Read>(
    mut stream: R,
    size: [usize; 3],
    layout: Layout,
    path: &Path,
) -> Result<Array3<f32>> {
    let [ni, nj, nk] = size;
    let promised = stored_bytes(size, layout.sample, path)?;
    let slice = ni * nj;
    let no_memory = |e: std::collections::TryReserveError| {
        Error::read_caused(path, "not enough memory for the voxels", e)
    };
    let mut voxels: Vec<f32> = Vec::new();
    let mut bytes: Vec<u8> = Vec::new();
    for k in 0..nk {
        bytes.clear();
        let expected = slice * layout.sample.bytes();
        (&mut stream).take(expected as u64).read_to_end(&mut bytes).map_err(|e| {
            Error::read_caused(
                path,
                "the voxels cannot be read: the file is damaged or truncated. Copy or export it \
                 again",
                e,
            )
        })?;
        if bytes.len() < expected {
            return Err(truncated(path, promised, (k * expected + bytes.len()) as u64, false));
        }
        voxels.try_reserve(slice).map_err(no_memory)?;
        convert(&bytes, layout, &mut voxels);
    }
    Array3::from_shape_vec((nk, nj, ni), voxels)
        .map_err(|e| Error::Internal(format!("{}: {e}", path.display())))
}

/// Appends the values of `bytes` to `voxels`.
fn convert(bytes: &[u8], layout: Layout, voxels: &mut Vec<f32>) {
    let Layout { sample, big_endian, slope, intercept } = layout;
    // Without a rescaling f32 samples pass through f64 unchanged.
    macro_rules! each {
        ($type:ty) => {{
            const N: usize = std::mem::size_of::<$type>();
            voxels.extend(bytes.chunks_exact(N).map(|chunk| {
                let mut raw = [0u8; N];
                raw.copy_from_slice(chunk);
                let value = if big_endian {
                    <$type>::from_be_bytes(raw)
                } else {
                    <$type>::from_le_bytes(raw)
                };
                (value as f64 * slope + intercept) as f32
            }));
        }};
    }
    match sample {
        SampleType::U8 => each!(u8),
        SampleType::I8 => each!(i8),
        SampleType::U16 => each!(u16),
        SampleType::I16 => each!(i16),
        SampleType::U32 => each!(u32),
        SampleType::I32 => each!(i32),
        SampleType::U64 => each!(u64),
        SampleType::I64 => each!(i64),
        SampleType::F32 => each!(f32),
        SampleType::F64 => each!(f64),
    }
}
