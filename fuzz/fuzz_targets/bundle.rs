#![no_main]

#[path = "../bound.rs"]
mod bound;

use nasoseg::bundle::Manifest;

#[global_allocator]
static COUNTING: bound::Counting = bound::Counting;

libfuzzer_sys::fuzz_target!(|input: &[u8]| {
    bound::bounded(input, false, |input| {
        // A manifest that was read can be written and read again.
        if let Ok(manifest) = Manifest::parse(input, "fuzz") {
            let text = serde_json::to_string(&manifest).expect("a manifest is JSON");
            Manifest::parse(text.as_bytes(), "again").expect("its own text");
        }
        0
    });
});
