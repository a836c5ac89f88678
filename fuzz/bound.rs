//! The memory that a read takes, counted byte by byte and compared with the true size of its input.
//!
//! Shared by the fuzz targets and tests/hostile.rs. Memory of C and C++ code (CharLS, OpenJPEG's
//! malloc) is not counted here; the fuzzer's limit on the whole process covers it.

use std::alloc::{GlobalAlloc, Layout, System};
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::time::{Duration, Instant};

/// Bytes that any read may take, whatever its input: tables, threads, buffers.
const FLOOR: usize = 16 << 20;
/// The time allowed for this many bytes, even without optimisation on a busy machine.
const LONGEST: Duration = Duration::from_secs(5);
const LONGEST_FOR: usize = 16 << 20;
/// Most voxels of four bytes in a packed byte (see samples.rs and dicom/codestream.rs).
const UNPACKED: usize = 1032 * 4;

/// A fuzz target over a reader of whole files.
#[allow(unused_macros)]
macro_rules! fuzz_volumes {
    ($read:path) => {
        #[global_allocator]
        static COUNTING: bound::Counting = bound::Counting;

        libfuzzer_sys::fuzz_target!(init: bound::let_decoders_panic(), |input: &[u8]| {
            let voxels = |input: &[u8]| {
                let volume = $read(input, std::path::Path::new("fuzz"));
                volume.map_or(0, |v| 4 * v.voxels().len())
            };
            bound::bounded(input, bound::is_packed(input), voxels);
        });
    };
}

/// The reader catches panics in decoders of other packages, so they are not findings; an uncaught
/// panic still ends the fuzzer.
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

/// The system's allocator, counting bytes.
pub struct Counting;

// SAFETY: every call goes to the system's allocator unchanged.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        taken(layout.size());
        // SAFETY: the caller's layout, unchanged.
        unsafe { System.alloc(layout) }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        taken(layout.size());
        // SAFETY: the caller's layout, unchanged.
        unsafe { System.alloc_zeroed(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        NOW.fetch_sub(layout.size(), Relaxed);
        // SAFETY: a block that this allocator took from `System` with the same layout.
        unsafe { System.dealloc(pointer, layout) }
    }

    unsafe fn realloc(&self, pointer: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        // Both blocks may exist for a moment.
        taken(size);
        NOW.fetch_sub(layout.size(), Relaxed);
        // SAFETY: a block that this allocator took from `System` with the same layout.
        unsafe { System.realloc(pointer, layout, size) }
    }
}

fn taken(bytes: usize) {
    let now = NOW.fetch_add(bytes, Relaxed) + bytes;
    PEAK.fetch_max(now, Relaxed);
}

/// Runs `read` on `input` and panics if it takes more memory than four times the true size, or too
/// long. The true size is the larger of the input and the voxels. `read` returns the bytes of the
/// voxels, 0 for an error; `packed` inputs may be larger than they look.
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

/// Whether the file is gzip, or DICOM that states packed pixels. A manifest is neither.
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
