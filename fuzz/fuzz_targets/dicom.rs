#![no_main]

#[path = "../bound.rs"]
mod bound;

use std::path::Path;

use seqseg::study::dicom::read_bytes;

#[global_allocator]
static COUNTING: bound::Counting = bound::Counting;

libfuzzer_sys::fuzz_target!(|input: &[u8]| {
    bound::bounded(input, bound::is_packed(input), |input| read_bytes(input, Path::new("fuzz")).map_or(0, |v| 4 * v.voxels().len()));
});
