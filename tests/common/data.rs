//! Real images for tests: public data outside the repository (docs/reference/test-data.md).
//!
//! The folder is NASOSEG_TEST_DATA or, if that is not set, ../shared/data beside the repository. A
//! test whose data are missing is skipped, and a test run reports once what is missing; if
//! NASOSEG_TEST_DATA names no folder, the test fails.

use std::ffi::OsStr;
use std::fmt::Write as _;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::sync::Once;

/// A folder of real images, the source of its data, and the tests that need it.
pub struct Folder {
    pub name: &'static str,
    pub source: &'static str,
    pub tests: &'static str,
}

const fn folder(name: &'static str, source: &'static str, tests: &'static str) -> Folder {
    Folder { name, source, tests }
}

pub const FOLDERS: [Folder; 8] = [
    folder("mr_trio_tcga", "TCIA TCGA-LGG", "readers, run, plugins/slicer"),
    folder("dicom_mr_sagittal", "neurolabusc/dcm_qa_decubitus", "readers, rtstruct, compare"),
    folder("dicom_mr_positions", "neurolabusc/dcm_qa_decubitus", "readers"),
    folder("dicom_mr_enhanced", "neurolabusc/dcm_qa_xa30", "readers, rtstruct, compare"),
    folder("dicom_mr_codecs", "icometrix/dicom2nifti", "readers"),
    folder("mr_t1c_with_mask", "AIM-Harvard/pyradiomics", "readers"),
    folder("tumour_masks", "HNTS-MRG 2024", "readers, contour, compare"),
    folder(
        "rtstruct",
        "dicompyler-core, plastimatch (TCIA LCTSC), rt-utils, pydicom",
        "readers, compare",
    ),
];

/// The folder that holds all others: `set` is the value of NASOSEG_TEST_DATA. `None` if it is not
/// set and `default` does not exist.
///
/// # Errors
/// A message, if `set` names no folder.
pub fn root(set: Option<&OsStr>, default: &Path) -> Result<Option<PathBuf>, String> {
    match set.map(PathBuf::from) {
        Some(path) if path.is_dir() => Ok(Some(path)),
        Some(path) => Err(format!(
            "NASOSEG_TEST_DATA: {} is not a folder, expected the folder of the real images that \
             docs/reference/test-data.md lists. Correct the path, or unset the variable to skip \
             their tests",
            path.display()
        )),
        None => Ok(default.is_dir().then(|| default.to_owned())),
    }
}

/// The report of a test run: the folders that are missing below `root`, their sources and the tests
/// that need them. `None` if nothing is missing.
pub fn report(root: Option<&Path>, default: &Path) -> Option<String> {
    let missing: Vec<&Folder> =
        FOLDERS.iter().filter(|f| !root.is_some_and(|root| root.join(f.name).is_dir())).collect();
    if missing.is_empty() {
        return None;
    }
    let mut text = format!(
        "SKIPPED: tests on real, public images, as folders are missing below {}. \
         docs/reference/test-data.md says where to get them; NASOSEG_TEST_DATA names another \
         place.\n",
        root.unwrap_or(default).display()
    );
    for Folder { name, source, tests } in missing {
        let _ = writeln!(text, "  {name} (from {source}): {tests}");
    }
    Some(text)
}

/// A file or folder of the test data; `None`, reported once per test run, if it is missing.
pub fn shared(path: &str) -> Option<PathBuf> {
    let top = path.split('/').next().unwrap_or_default();
    assert!(
        FOLDERS.iter().any(|f| f.name == top),
        "{top}: not in FOLDERS of tests/common/data.rs; add it there and to \
         docs/reference/test-data.md"
    );
    let default = Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/data");
    let set = std::env::var_os("NASOSEG_TEST_DATA");
    let root = root(set.as_deref(), &default).unwrap_or_else(|message| panic!("{message}"));
    let found = root.as_ref().map(|root| root.join(path)).filter(|path| path.exists());
    static REPORTED: Once = Once::new();
    if found.is_none() {
        REPORTED.call_once(|| {
            if let Some(text) = report(root.as_deref(), &default).filter(|_| first_of_run()) {
                // Tests capture what the print macros write, but not this.
                let _ = std::io::stderr().write_all(text.as_bytes());
            }
        });
    }
    found
}

/// Whether no other test program of this run has reported yet: all have the same parent, cargo.
fn first_of_run() -> bool {
    #[cfg(unix)]
    {
        let marker = Path::new(env!("CARGO_TARGET_TMPDIR")).join("test-data-reported");
        let run = std::os::unix::process::parent_id().to_string();
        if std::fs::read_to_string(&marker).is_ok_and(|last| last == run) {
            return false;
        }
        let _ = std::fs::write(&marker, run);
    }
    true
}
