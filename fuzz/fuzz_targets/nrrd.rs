#![no_main]

#[path = "../bound.rs"]
#[macro_use]
mod bound;

fuzz_volumes!(nasoseg::formats::nrrd::read_bytes);
