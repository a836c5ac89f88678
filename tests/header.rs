//! include/nasoseg.h is what cbindgen generates from src/ffi, with src/ffi/story.h on top.
//! NASOSEG_BLESS=1 rewrites it.

use std::path::Path;

/// The files that hold exported functions, in the order in which a caller meets them.
const SOURCES: [&str; 17] = [
    "version",
    "error",
    "options",
    "contour_options",
    "reading_options",
    "run",
    "volume",
    "study",
    "engine",
    "slice_status",
    "demo",
    "detection",
    "trajectory",
    "detection_file",
    "segmentation",
    "contours",
    "export",
];

fn generated() -> String {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut config = cbindgen::Config::from_file(root.join("cbindgen.toml")).unwrap();
    config.header =
        Some(std::fs::read_to_string(root.join("src/ffi/story.h")).unwrap().trim_end().to_owned());
    let mut builder = cbindgen::Builder::new().with_config(config);
    for name in SOURCES {
        builder = builder.with_src(root.join(format!("src/ffi/{name}.rs")));
    }
    let mut header = Vec::new();
    builder.generate().unwrap().write(&mut header);
    let text = String::from_utf8(header).unwrap();
    // The `# Safety` sections are for Rust alone: story.h states the same, once for all functions.
    let mut lines = Vec::new();
    let mut skipping = false;
    for line in text.lines() {
        let words = line.trim_start();
        if words == "// # Safety" {
            skipping = true;
            // The empty comment line before it.
            if lines.last().is_some_and(|l: &&str| l.trim() == "//") {
                lines.pop();
            }
        } else if !words.starts_with("//") {
            skipping = false;
        }
        if !skipping {
            lines.push(line);
        }
    }
    lines.join("\n").replace("[`NASOSEG_ABI_VERSION`]", "NASOSEG_ABI_VERSION") + "\n"
}

#[test]
fn the_committed_header_is_the_generated_one() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("include/nasoseg.h");
    let generated = generated();
    if std::env::var_os("NASOSEG_BLESS").is_some() {
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(&path, &generated).unwrap();
    }
    let committed = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(
        committed == generated,
        "include/nasoseg.h differs from the header generated from src/ffi. Run NASOSEG_BLESS=1 \
         cargo test --test header and commit it"
    );
}

#[test]
fn only_the_conversion_of_arguments_and_voxels_holds_unsafe_blocks() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/ffi");
    let mut with_unsafe = Vec::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let source = std::fs::read_to_string(&path).unwrap();
        let outside_tests = source.split("#[cfg(test)]").next().unwrap();
        if ["unsafe {", "unsafe impl"].iter().any(|word| outside_tests.contains(word)) {
            with_unsafe.push(path.file_name().unwrap().to_str().unwrap().to_owned());
        }
    }
    with_unsafe.sort();
    assert_eq!(with_unsafe, ["arguments.rs", "voxels.rs"]);
}

#[test]
fn every_file_with_an_exported_function_is_in_the_header() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/ffi");
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let exported = std::fs::read_to_string(&path).unwrap().contains("#[unsafe(no_mangle)]");
        let name = path.file_stem().unwrap().to_str().unwrap();
        assert!(!exported || SOURCES.contains(&name), "{name}: add it to SOURCES");
    }
}
