//! A disk that is really full.
#![cfg(target_os = "linux")]
// Calls of the system's C library that belong together.
#![allow(clippy::multiple_unsafe_ops_per_block)]

use std::process::Command;

use nasoseg::fault::Faults;
use nasoseg::ffi::nasoseg_status::*;

use crate::common::abi;
use crate::pipeline::{OUTPUTS, Pipeline, files};
use crate::{common, contains, system};

/// Limits the size of this process's files until dropped: every writer, in third-party code too,
/// fails as on a full disk.
struct FullDisk(libc::rlimit);

impl FullDisk {
    fn at(bytes: u64) -> Self {
        // SAFETY: SIG_IGN installs no handler that could run in a signal's context. Ignored, the
        // signal lets the write fail instead of the process.
        unsafe { libc::signal(libc::SIGXFSZ, libc::SIG_IGN) };
        // SAFETY: a plain struct, for which all-zero is valid.
        let mut before: libc::rlimit = unsafe { std::mem::zeroed() };
        // SAFETY: the call fills the struct.
        assert_eq!(unsafe { libc::getrlimit(libc::RLIMIT_FSIZE, &mut before) }, 0);
        let limit = libc::rlimit { rlim_cur: bytes, rlim_max: before.rlim_max };
        // SAFETY: the call reads the struct.
        assert_eq!(unsafe { libc::setrlimit(libc::RLIMIT_FSIZE, &limit) }, 0);
        FullDisk(before)
    }
}

impl Drop for FullDisk {
    fn drop(&mut self) {
        // SAFETY: `self.0` is a limit that `getrlimit` filled; the call only reads it.
        unsafe { libc::setrlimit(libc::RLIMIT_FSIZE, &self.0) };
    }
}

#[test]
fn the_disk_is_full() {
    let _faults = Faults::own();
    let (trio, out) = (abi::trio(), tempfile::tempdir().unwrap());
    let pipeline = Pipeline::new(Some(&trio));
    pipeline.golden();
    for name in OUTPUTS {
        assert_eq!(pipeline.write(name, out.path()), (0, String::new()));
        let size = std::fs::metadata(out.path().join(name)).unwrap().len();
        let before = files(out.path());
        // Up to the last byte. Another structure set or record may be some bytes shorter: its UIDs
        // and times are new.
        let changes = matches!(name, "rtstruct.dcm" | "run.json");
        let last = if changes { size / 20 } else { 1 };
        for space in [0, 1, size / 3, size / 2, size - last] {
            let full = FullDisk::at(space);
            let (status, text) = pipeline.write(name, out.path());
            drop(full);
            assert_eq!(
                status, NASOSEG_ERROR_WRITE as u32,
                "{name} with {space} of {size} bytes: {text}"
            );
            contains(&text, &[out.path().join(name).to_str().unwrap(), &system(libc::EFBIG)]);
            assert_eq!(files(out.path()), before, "{name} with {space} of {size} bytes");
        }
    }
    pipeline.golden();
}

/// The program exits with code 7 and leaves an empty output folder.
#[test]
fn the_disk_is_full_for_the_program() {
    use std::os::unix::process::CommandExt;
    let _faults = Faults::own();
    let (trio, out) = (abi::trio(), tempfile::tempdir().unwrap());
    let bundle = common::micro();
    for space in [0, 700, 5_000] {
        let mut command = Command::new(env!("CARGO_BIN_EXE_nasoseg"));
        command
            .arg("run")
            .args(trio.arguments(""))
            .args(["--device", "cpu", "--bundle"])
            .arg(&bundle)
            .arg("--out")
            .arg(out.path());
        let limit_files = move || {
            // SAFETY: safe between fork and exec.
            unsafe { libc::signal(libc::SIGXFSZ, libc::SIG_IGN) };
            let limit = libc::rlimit { rlim_cur: space, rlim_max: libc::RLIM_INFINITY };
            // SAFETY: safe between fork and exec; the call reads the struct.
            match unsafe { libc::setrlimit(libc::RLIMIT_FSIZE, &limit) } {
                0 => Ok(()),
                _ => Err(std::io::Error::last_os_error()),
            }
        };
        // SAFETY: the closure only makes system calls that are safe between fork and exec.
        unsafe { command.pre_exec(limit_files) };
        let output = command.output().unwrap();
        let text = common::text(&output.stderr);
        assert_eq!(output.status.code(), Some(7), "{space}: {text}");
        contains(&text, &["writing failed", &system(libc::EFBIG)]);
        assert!(files(out.path()).is_empty(), "{space}");
    }
}
