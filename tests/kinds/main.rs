//! Bundles of every kind: the library gives what the reference implementation of
//! docs/reference/bundle.md gives (tests/data/kinds.py), a known shape keeps its place, and every
//! command, edit and status works.

#[path = "../common/mod.rs"]
mod common;

mod bundles;
mod callers;
mod detection_file;
mod reference;
mod sliding_window;
