//! `make install` refuses a library with fault injection.
#![cfg(unix)]

use std::path::Path;
use std::process::Command;

use crate::pipeline::files;
use crate::{common, contains};

/// This test's own program, which has the feature, takes the library's place.
#[test]
fn a_library_with_fault_injection_is_not_installed() {
    let (built, prefix) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let names = ["libnasoseg.so", "libnasoseg.a", "nasoseg"];
    for faulty in names {
        for name in names {
            let path = built.path().join(name);
            let _ = std::fs::remove_file(&path);
            match name == faulty {
                true => {
                    std::os::unix::fs::symlink(std::env::current_exe().unwrap(), &path).unwrap()
                }
                false => std::fs::write(&path, b"nothing").unwrap(),
            }
        }
        let output = Command::new(root.join("bindings/cpp/install.sh"))
            .env("BUILT", built.path())
            .env("PREFIX", prefix.path())
            .env("DESTDIR", "")
            .output()
            .unwrap();
        assert!(!output.status.success());
        contains(&common::text(&output.stderr), &[faulty, "fault-injection"]);
        assert!(files(prefix.path()).is_empty(), "{faulty}");
    }
}
