//! NRRD.

mod header;
mod read;
#[cfg(test)]
mod tests;

pub use read::{read_bytes, read_file};
