//! How much memory a read takes: counted byte by byte, and held against what its input honestly is.
//!
//! Shared by the fuzz targets and by tests/hostile.rs. What C and C++ code takes (CharLS,
//! OpenJPEG's malloc) is not seen here; the fuzzer's limit on the whole process is for that.

use std::alloc::{GlobalAlloc, Layout, System};
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::time::{Duration, Instant};

/// What any read may take, whatever its input: tables, threads, buffers.
const FLOOR: usize = 16 << 20;
/// No read takes longer for every so many honest bytes, even without optimisation on a busy
/// machine.
const LONGEST: Duration = Duration::from_secs(5);
const LONGEST_FOR: usize = 16 << 20;
/// A packed byte stands for as many voxels of four bytes at most (see samples.rs and
/// dicom/stream.rs).
const UNPACKED: usize = 1032 * 4;

/// A fuzz target over a reader of whole files.
#[allow(unused_macros)]
macro_rules! fuzz_volumes {
    ($read:path) => {
        #[global_allocator]
        static COUNTING: bound::Counting = bound::Counting;

        libfuzzer_sys::fuzz_target!(init: bound::let_decoders_panic(), |input: &[u8]| {
            let voxels = |input: &[u8]| $read(input, std::path::Path::new("fuzz")).map_or(0, |v| 4 * v.voxels().len());
            bound::bounded(input, bound::is_packed(input), voxels);
        });
    };
}

/// A panic in a decoder of another package is caught by the reader, so that it is no finding; one
/// that nobody catches still ends the fuzzer.
#[allow(dead_code)]
pub fn let_decoders_panic() {
    std::panic::set_hook(Box::new(|info| {
        if !info.location().is_some_and(|place| place.file().contains(".cargo")) {
            eprintln!("{info}");
        }
    }));
}

static NOW: AtomicUsize = AtomicUsize::new(0);
static PEAK: AtomicUsize = AtomicUsize::new(0);

/// The system's allocator, with a count.
pub struct Counting;

// SAFETY: every call goes to the system's allocator unchanged.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        taken(layout.size());
        unsafe { System.alloc(layout) }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        taken(layout.size());
        unsafe { System.alloc_zeroed(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        NOW.fetch_sub(layout.size(), Relaxed);
        unsafe { System.dealloc(pointer, layout) }
    }

    unsafe fn realloc(&self, pointer: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        // Both may be there for a moment.
        taken(size);
        NOW.fetch_sub(layout.size(), Relaxed);
        unsafe { System.realloc(pointer, layout, size) }
    }
}

fn taken(bytes: usize) {
    let now = NOW.fetch_add(bytes, Relaxed) + bytes;
    PEAK.fetch_max(now, Relaxed);
}

/// Runs `read` on `input` and panics where it took more memory than four times the honest size, or
/// too long. `read` returns the bytes of the voxels that it gave, 0 for an error; `packed` inputs
/// may honestly be larger than they look.
pub fn bounded(input: &[u8], packed: bool, read: impl FnOnce(&[u8]) -> usize) -> usize {
    let before = NOW.load(Relaxed);
    PEAK.store(before, Relaxed);
    let start = Instant::now();
    let voxels = read(input);
    let (peak, time) = (PEAK.load(Relaxed).saturating_sub(before), start.elapsed());
    let promised = if packed && voxels == 0 { input.len() * UNPACKED } else { 0 };
    let honest = input.len().max(voxels).max(promised);
    assert!(
        peak <= 4 * honest + FLOOR,
        "{peak} bytes were taken for an input of {} ({voxels} bytes of voxels)",
        input.len()
    );
    let longest = LONGEST * (1 + (honest / LONGEST_FOR) as u32);
    assert!(time <= longest, "an input of {} bytes took {time:?}", input.len());
    peak
}

/// Whether a DICOM file says that its pixels are packed, or the file is gzip. A manifest is
/// neither.
#[allow(dead_code)]
pub fn is_packed(input: &[u8]) -> bool {
    let head = &input[..input.len().min(2048)];
    let says = |what: &[u8]| head.windows(what.len()).any(|w| w == what);
    input.starts_with(&[0x1f, 0x8b])
        || says(b"gzip")
        || says(b"gz\n")
        || says(b"1.2.840.10008.1.2.4")
        || says(b"1.2.840.10008.1.2.5")
        || says(b"1.2.840.10008.1.2.1.99")
}
