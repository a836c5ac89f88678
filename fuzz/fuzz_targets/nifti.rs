#![no_main]

#[path = "../bound.rs"]
#[macro_use]
mod bound;

fuzz_volumes!(nasoseg::study::nifti::read_bytes);
