//! The rule by which tests find real images (tests/common/data.rs), and its documentation.

mod common;

use std::path::Path;

use common::data::{FOLDERS, report, root};

#[test]
fn a_folder_that_is_named_must_exist() {
    let place = tempfile::tempdir().unwrap();
    let (there, missing) = (place.path(), place.path().join("missing"));
    assert_eq!(root(Some(there.as_os_str()), &missing).unwrap().as_deref(), Some(there));
    let error = root(Some(missing.as_os_str()), there).unwrap_err();
    assert!(error.starts_with("NASOSEG_TEST_DATA: ") && error.contains("missing is not a folder"));
    // An empty value is a mistake too, not a request to skip.
    assert!(root(Some("".as_ref()), there).is_err());
    let file = place.path().join("file");
    std::fs::write(&file, "").unwrap();
    assert!(root(Some(file.as_os_str()), there).is_err());
}

#[test]
fn the_default_may_be_missing() {
    let place = tempfile::tempdir().unwrap();
    assert_eq!(root(None, place.path()).unwrap().as_deref(), Some(place.path()));
    assert_eq!(root(None, &place.path().join("missing")).unwrap(), None);
}

#[test]
fn the_report_names_what_is_missing_and_nothing_else() {
    let place = tempfile::tempdir().unwrap();
    let (first, rest) = FOLDERS.split_first().unwrap();
    let text = report(None, place.path()).unwrap();
    assert!(text.contains(&place.path().display().to_string()));
    assert!(FOLDERS.iter().all(|f| text.contains(f.name) && text.contains(f.source)), "{text}");
    std::fs::create_dir(place.path().join(first.name)).unwrap();
    let text = report(Some(place.path()), Path::new("unused")).unwrap();
    assert!(!text.contains(first.name) && rest.iter().all(|f| text.contains(f.name)), "{text}");
    rest.iter().for_each(|f| std::fs::create_dir(place.path().join(f.name)).unwrap());
    assert_eq!(report(Some(place.path()), Path::new("unused")), None);
}

#[test]
fn every_folder_is_documented() {
    let page = std::fs::read_to_string(concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/docs/reference/test-data.md"
    ))
    .unwrap();
    for folder in &FOLDERS {
        let row = page.lines().find(|l| l.starts_with(&format!("| `{}`", folder.name)));
        let row = row
            .unwrap_or_else(|| panic!("docs/reference/test-data.md has no row of {}", folder.name));
        for part in folder.source.split(", ").chain(folder.tests.split(", ")) {
            assert!(
                row.contains(part),
                "docs/reference/test-data.md, {}: no {part:?}",
                folder.name
            );
        }
    }
}
