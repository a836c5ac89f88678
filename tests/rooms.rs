//! The rooms of src/ import downwards only.
//!
//! docs/explanation/architecture.md shows the same order. A room that is missing in either fails.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

/// From the roof to the ground. A room imports only from rooms below it; `bin` and `ffi` are two
/// faces of the library, and neither imports the other.
const FLOORS: [&str; 24] = [
    "bin",
    "ffi",
    "outputs",
    "golden",
    "engine",
    "contour",
    "segment",
    "detect",
    "compare",
    "runtime",
    "study",
    "formats",
    "bundle",
    "volume",
    "geometry",
    "provenance",
    "status",
    "sequence",
    "memory",
    "run",
    "fault",
    "hash",
    "error",
    "lib",
];

fn floor(room: &str) -> Option<usize> {
    FLOORS.iter().position(|name| *name == room)
}

fn sources(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        match path.is_dir() {
            true => sources(&path, found),
            false if path.extension().is_some_and(|e| e == "rs") => found.push(path),
            false => {}
        }
    }
}

/// The first segments of all paths that begin with the crate's name, comments left out.
fn imports(code: &str) -> BTreeSet<String> {
    let code: String = code.lines().filter(|l| !l.trim_start().starts_with("//")).collect();
    let mut names = BTreeSet::new();
    for start in ["crate::", "nasoseg::"] {
        for (at, _) in code.match_indices(start) {
            let before = code[..at].chars().next_back();
            if before.is_some_and(|c| c.is_alphanumeric() || c == '_') {
                continue;
            }
            let rest = &code[at + start.len()..];
            let word = |text: &str| -> String {
                text.trim_start().chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect()
            };
            match rest.strip_prefix('{') {
                None => _ = names.insert(word(rest)),
                Some(group) => {
                    let mut depth = 0;
                    let mut begins = true;
                    for (i, c) in group.char_indices() {
                        if c.is_whitespace() {
                            continue;
                        }
                        if begins && depth == 0 {
                            names.insert(word(&group[i..]));
                        }
                        begins = c == ',' && depth == 0;
                        match c {
                            '{' => depth += 1,
                            '}' if depth == 0 => break,
                            '}' => depth -= 1,
                            _ => {}
                        }
                    }
                }
            }
        }
    }
    names.remove("");
    names
}

/// Imports of `code`, a file of `room`, that do not run down; each as "room -> room".
fn upward(room: &str, code: &str) -> Vec<String> {
    let own = floor(room).unwrap_or_else(|| panic!("src/{room}: not in FLOORS; give it a place"));
    // The library's own files name rooms, not what lib.rs re-exports. The program is a caller.
    let wrong = |name: &String| match floor(name) {
        Some(other) => other < own || (room == "bin" && name == "ffi"),
        None => room != "bin",
    };
    imports(code)
        .iter()
        .filter(|n| *n != room && wrong(n))
        .map(|n| format!("{room} -> {n}"))
        .collect()
}

#[test]
fn no_room_imports_from_a_room_above_it() {
    let src = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut files = Vec::new();
    sources(&src, &mut files);
    assert!(files.len() > 50, "{} files under {}", files.len(), src.display());
    let mut found = Vec::new();
    for file in files {
        let inside = file.strip_prefix(&src).unwrap();
        let first = inside.components().next().unwrap().as_os_str().to_str().unwrap();
        let room = first.trim_end_matches(".rs");
        if room == "lib" {
            continue;
        }
        let code = std::fs::read_to_string(&file).unwrap();
        found.extend(
            upward(room, &code).into_iter().map(|up| format!("{}: {up}", inside.display())),
        );
    }
    assert!(found.is_empty(), "imports that run upwards:\n{}", found.join("\n"));
}

#[test]
fn an_upward_import_is_noticed_in_every_form() {
    for code in [
        "use crate::engine::Engine;",
        "use crate::{\n    error::Error,\n    engine::{Engine, EngineOptions},\n};",
        "fn f() -> crate::engine::Engine { todo!() }",
        "pub(crate) use crate::engine;",
    ] {
        assert_eq!(upward("study", code), ["study -> engine"], "{code}");
    }
    assert_eq!(upward("study", "use crate::Volume;"), ["study -> Volume"]);
    assert_eq!(upward("geometry", "use crate::read;"), ["geometry -> read"]);
    assert_eq!(upward("bin", "use nasoseg::ffi;"), ["bin -> ffi"]);
    let fine = "use crate::{error::Error, geometry::Grid};\n// crate::engine\nuse dicom::crate_x;";
    assert!(upward("study", fine).is_empty());
}

#[test]
fn the_architecture_page_shows_the_same_order() {
    let page = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/explanation/architecture.md");
    let text = std::fs::read_to_string(page).unwrap();
    let (_, table) = text.split_once("| room | what it knows |").unwrap();
    let rows = table.lines().skip(2).take_while(|line| line.starts_with('|'));
    let first = rows.map(|row| row.split('|').nth(1).unwrap());
    let rooms: Vec<&str> = first
        .flat_map(|cell| cell.split('`').skip(1).step_by(2))
        .map(|path| path.strip_prefix("src/").unwrap())
        .map(|path| path.split(['/', '.']).next().unwrap())
        .collect();
    assert_eq!(rooms, FLOORS[..FLOORS.len() - 1]);
}
