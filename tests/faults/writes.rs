//! The n-th write fails.

use nasoseg::fault::{Fault, Faults};
use nasoseg::ffi::nasoseg_status::*;

use crate::common::abi;
use crate::pipeline::{OUTPUTS, Pipeline, files};
use crate::{contains, each, system};

#[test]
fn the_nth_write_fails() {
    let faults = Faults::own();
    let (trio, out) = (abi::trio(), tempfile::tempdir().unwrap());
    let pipeline = Pipeline::new(Some(&trio));
    pipeline.golden();
    for (at, name) in OUTPUTS.into_iter().enumerate() {
        // Half of them replace a file, which a failure leaves unchanged.
        if at % 2 == 0 {
            std::fs::write(out.path().join(name), b"an earlier output").unwrap();
        }
        let before = files(out.path());
        let unharmed = |text: &str| {
            contains(text, &[out.path().join(name).to_str().unwrap(), &system(libc::ENOSPC)]);
            assert_eq!(files(out.path()), before);
        };
        let writes = each(
            &faults,
            Fault::Write,
            NASOSEG_ERROR_WRITE,
            || pipeline.write(name, out.path()),
            unharmed,
        );
        // Creating it, (writing it,) flushing it to the disk, renaming it.
        assert!(writes >= if name.ends_with(".nii.gz") { 3 } else { 4 }, "{name}: {writes}");
        assert!(std::fs::metadata(out.path().join(name)).unwrap().len() > 100);
        std::fs::remove_file(out.path().join(name)).unwrap();
    }
    pipeline.golden();
}
