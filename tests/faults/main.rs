//! Fault injection (src/fault.rs): the n-th model run, read or write fails, for every n until the
//! call succeeds; then a disk that is really full. Each time the status is right, the message names
//! the failed input or output, no output exists, and the handles still give the golden numbers.
//!
//! `cargo test --features fault-injection --test faults`; `make test` runs it.

#[path = "../common/mod.rs"]
mod common;

mod full_disk;
mod install;
mod model_runs;
mod pipeline;
mod reads;
mod writes;

use nasoseg::fault::{Fault, Faults};
use nasoseg::ffi::nasoseg_status;

/// The system's message for an error code, such as that of a failed read or a full disk.
fn system(code: i32) -> String {
    std::io::Error::from_raw_os_error(code).to_string()
}

/// Makes operation 1, 2, ... of `call` fail until it succeeds. Every failure has `status` and
/// satisfies `harmless`. Returns the number of failures.
fn each(
    faults: &Faults,
    fault: Fault,
    status: nasoseg_status,
    mut call: impl FnMut() -> (u32, String),
    mut harmless: impl FnMut(&str),
) -> i64 {
    for n in 1..10_000 {
        faults.arm(fault, n);
        let (found, text) = call();
        if !faults.disarm(fault) {
            assert_eq!((found, text.as_str()), (0, ""), "{fault:?} {n}");
            println!("{fault:?}: {} operations, each failed once", n - 1);
            return n - 1;
        }
        assert_eq!(found, status as u32, "{fault:?} {n}: {text}");
        harmless(&text);
    }
    panic!("{fault:?}: no end");
}

fn contains(text: &str, words: &[&str]) {
    words.iter().for_each(|word| assert!(text.contains(word), "{word} in: {text}"));
}
