//! NRRD files of every encoding and patient space, and damaged ones.

use std::io::Write;
use std::path::Path;

use super::{read_bytes, read_file};
use crate::error::Result;
use crate::volume::Volume;

const FIELDS: [&str; 7] = [
    "type: short",
    "dimension: 3",
    "space: left-posterior-superior",
    "sizes: 2 3 2",
    "space directions: (2,0,0) (0, 3, 0) (0,0,4)",
    "endian: little",
    "space origin: (10,20,30)",
];

fn samples() -> Vec<u8> {
    (0..12i16).flat_map(|v| (v * 100 - 300).to_le_bytes()).collect()
}

/// A header with `change` applied to each line ("" drops it), and data.
fn file(encoding: &str, change: &dyn Fn(&str) -> String, data: &[u8]) -> Vec<u8> {
    let lines = FIELDS.iter().map(|l| change(l)).filter(|l| !l.is_empty());
    let text = format!(
        "NRRD0004\n# a comment\n{}\nencoding: {encoding}\nkinds: domain domain \
         domain\nkey:=value\n\n",
        lines.collect::<Vec<_>>().join("\n")
    );
    [text.as_bytes(), data].concat()
}

fn same(line: &str) -> String {
    line.to_string()
}

fn load(bytes: &[u8]) -> Result<Volume> {
    read_bytes(bytes, Path::new("scan.nrrd"))
}

fn refused(bytes: &[u8], reason: &str) {
    let error = load(bytes).expect_err(reason).chain();
    assert!(error.contains(reason) && error.contains("scan.nrrd"), "{error}");
}

#[test]
fn raw_gzip_and_text_give_the_same_volume() {
    let volume = load(&file("raw", &same, &samples())).unwrap();
    assert_eq!(volume.grid().size(), [2, 3, 2]);
    assert_eq!(volume.grid().axis_j(), [0.0, 3.0, 0.0]);
    assert_eq!(volume.grid().origins(), [[10.0, 20.0, 30.0], [10.0, 20.0, 34.0]]);
    assert_eq!(volume.voxels()[[0, 0, 1]], -200.0);
    assert_eq!(volume.voxels()[[1, 2, 1]], 800.0);
    let mut packed = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
    packed.write_all(&samples()).unwrap();
    assert_eq!(
        load(&file("gzip", &same, &packed.finish().unwrap())).unwrap().voxels(),
        volume.voxels()
    );
    let text = (0..12).map(|v| (v * 100 - 300).to_string()).collect::<Vec<_>>().join(" ");
    assert_eq!(load(&file("ascii", &same, text.as_bytes())).unwrap().voxels(), volume.voxels());
    let big: Vec<u8> = (0..12i16).flat_map(|v| (v * 100 - 300).to_be_bytes()).collect();
    assert_eq!(
        load(&file("raw", &|l| l.replace("little", "big"), &big)).unwrap().voxels(),
        volume.voxels()
    );
    let tail = [b"prefix".as_slice(), &samples()].concat();
    assert_eq!(load(&file("raw\nbyte skip: -1", &same, &tail)).unwrap().voxels(), volume.voxels());
}

#[test]
fn spaces_are_turned_to_lps() {
    for (space, signs) in [
        ("right-anterior-superior", [-1.0, -1.0, 1.0]),
        ("LAS", [1.0, -1.0, 1.0]),
        ("lps", [1.0, 1.0, 1.0]),
    ] {
        let volume =
            load(&file("raw", &|l| l.replace("left-posterior-superior", space), &samples()))
                .unwrap();
        assert_eq!(volume.grid().axis_i(), [2.0 * signs[0], 0.0, 0.0], "{space}");
        assert_eq!(volume.grid().axis_j(), [0.0, 3.0 * signs[1], 0.0], "{space}");
        assert_eq!(volume.grid().origins()[0], [10.0 * signs[0], 20.0 * signs[1], 30.0], "{space}");
    }
}

#[test]
fn what_is_not_a_placed_volume_is_refused() {
    let without = |field: &str| {
        file("raw", &|l| if l.starts_with(field) { String::new() } else { l.into() }, &samples())
    };
    refused(&without("space directions"), "no \"space directions\"");
    refused(&without("space origin"), "no \"space origin\"");
    refused(&without("space: "), "no \"space\"");
    refused(&without("endian"), "byte order");
    refused(&without("sizes"), "no \"sizes\"");
    let with = |from: &str, to: &str| file("raw", &|l| l.replace(from, to), &samples());
    refused(&with("dimension: 3", "dimension: 4"), "dimension 4");
    refused(&with("(2,0,0)", "none"), "not three vectors");
    refused(&with("short", "block"), "\"block\"");
    refused(&with("left-posterior-superior", "scanner-xyz"), "not a patient space");
    refused(&with("2 3 2", "2 3 3"), "truncated");
    refused(&with("2 3 2", "99999999 99999999 99999999"), "at most");
    refused(&with("2 3 2", "2 6 1"), "at least 2 slices");
    refused(&with("(2,0,0)", "(0,0,0)"), "degenerate");
    refused(&with("space origin", "space units: \"m\" \"m\" \"m\"\nspace origin"), "millimetres");
    refused(&file("bzip2", &same, &samples()), "\"bzip2\"");
    refused(b"NRRD0004\ntype: short\n", "no end");
}

#[test]
fn a_detached_header_reaches_a_file_beside_it_and_no_other() {
    let folder = tempfile::tempdir().unwrap();
    let header = folder.path().join("scan.nhdr");
    std::fs::write(folder.path().join("scan.raw"), samples()).unwrap();
    std::fs::write(&header, file("raw\ndata file: scan.raw", &same, &[])).unwrap();
    assert_eq!(read_file(&header).unwrap().voxels()[[1, 2, 1]], 800.0);
    for elsewhere in ["../scan.raw", "/etc/passwd", "LIST", "scan%03d.raw 1 2 1"] {
        std::fs::write(&header, file(&format!("raw\ndata file: {elsewhere}"), &same, &[])).unwrap();
        assert!(read_file(&header).unwrap_err().to_string().contains("same folder"), "{elsewhere}");
    }
}
