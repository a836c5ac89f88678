//! The programs in examples/rust, as a user runs them: cargo builds them for `cargo test`.
//!
//! In: the synthetic study in files, and the micro bundle. Out: the lines of
//! tests/data/golden/examples.txt, which the examples in C, C++ (tests/ctest) and Python
//! (bindings/python/tests/test_examples.py) must print too. NASOSEG_BLESS=1 rewrites the file.

mod common;

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use common::{SIZE, Trio, affine, head_voxels, micro, text};
use dicom_core::{DataElement, PrimitiveValue, VR};
use dicom_dictionary_std::tags;
use nasoseg::formats::nifti::write_nifti;
use nasoseg::geometry::Grid;
use nasoseg::{ReadOptions, read};
use ndarray::Axis;

const HEADER: &str = "\
# What the examples print for the study of tests/golden.rs and the micro bundle, in every language.
# Written by `NASOSEG_BLESS=1 cargo test --test examples`. Numbers with a decimal point may be off
# by 3 % or by 0.5, whichever is more, on a machine whose kernels round differently.
";

fn expected_file() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/golden/examples.txt")
}

/// Runs the example that was built beside this test.
fn example(name: &str, arguments: &[&str]) -> Output {
    let test = std::env::current_exe().unwrap();
    let program = test.parent().and_then(Path::parent).unwrap().join("examples").join(name);
    assert!(
        program.exists(),
        "{} is missing. Run `cargo build --examples` first; `cargo test` without --test does it",
        program.display()
    );
    Command::new(program).args(arguments).output().unwrap()
}

/// What it printed; it must succeed and complain about nothing.
fn lines(name: &str, arguments: &[&str]) -> String {
    let output = example(name, arguments);
    assert!(output.status.success(), "{name}: {}", text(&output.stderr));
    assert_eq!(text(&output.stderr), "");
    text(&output.stdout)
}

/// The study as DICOM folders t1, t1c, t2 and files t1.nii.gz, t1c.nii.gz, t2.nii.gz.
fn study() -> Trio {
    let grid = Grid::from_affine(SIZE, &affine()).unwrap();
    let voxels = [0, 1, 2].map(|sequence| head_voxels(sequence, &grid));
    let trio = Trio::dicom(|sequence, slice, object| {
        let plane = voxels[sequence].index_axis(Axis(0), slice);
        let pixels: Vec<u16> = plane.iter().map(|v| *v as u16).collect();
        let value = PrimitiveValue::U16(pixels.into());
        object.put(DataElement::new(tags::PIXEL_DATA, VR::OW, value));
    });
    for (sequence, name) in ["t1", "t1c", "t2"].into_iter().enumerate() {
        let file = trio.dir.path().join(format!("{name}.nii.gz"));
        write_nifti(&file, voxels[sequence].view(), &grid, "test").unwrap();
    }
    trio
}

/// Compares words, and numbers with the tolerance that the header of the file states.
fn compare(found: &str, golden: &str) {
    assert_eq!(found.lines().count(), golden.lines().count(), "{found}");
    for (a, b) in found.lines().zip(golden.lines()) {
        let (x, y): (Vec<&str>, Vec<&str>) = (a.split(' ').collect(), b.split(' ').collect());
        assert_eq!(x.len(), y.len(), "{a} | {b}");
        for (x, y) in x.into_iter().zip(y) {
            match (x.contains('.'), x.parse::<f64>(), y.parse::<f64>()) {
                (true, Ok(n), Ok(m)) => {
                    assert!((n - m).abs() <= (0.03 * m.abs()).max(0.5), "{a} | {b}");
                }
                _ => assert_eq!(x, y, "{a} | {b}"),
            }
        }
    }
}

#[test]
fn the_examples_print_the_expected_lines() {
    let trio = study();
    let bundle = micro().display().to_string();
    let (out, nifti_out) = (trio.path("new/out"), trio.path("nifti"));
    let [t1, t1c, t2] = ["t1", "t1c", "t2"].map(|name| trio.path(name));
    let [n1, n1c, n2] = ["t1", "t1c", "t2"].map(|name| trio.path(&format!("{name}.nii.gz")));
    let from_dicom = lines("first_result", &[&t1, &t1c, &t2, &bundle, &out]);
    let from_nifti = lines("first_result", &[&n1, &n1c, &n2, &bundle, &nifti_out]);
    let found = format!(
        "{HEADER}
[first_result dicom]
{from_dicom}
[first_result file]
{from_nifti}
[edit_a_box]
{}
[from_memory]
{}
[progress_and_cancel]
{}",
        lines("edit_a_box", &[&t1, &t1c, &t2, &bundle]),
        lines("from_memory", &[&bundle]),
        lines("progress_and_cancel", &[&t1, &t1c, &t2, &bundle]),
    );
    if std::env::var_os("NASOSEG_BLESS").is_some() {
        std::fs::write(expected_file(), &found).unwrap();
    }
    compare(&found, &std::fs::read_to_string(expected_file()).unwrap());

    // What was printed is what was saved.
    let volume = |printed: &str| -> f64 {
        let line = printed.lines().find_map(|line| line.strip_prefix("volume: ")).unwrap();
        line.trim_end_matches(" mm3").parse().unwrap()
    };
    let mask = Path::new(&nifti_out).join("mask.nii.gz");
    let mask = read(&[mask], &ReadOptions::default()).unwrap();
    let voxels = f64::from(mask.voxels().sum());
    assert!((voxels * 54.0 - volume(&from_nifti)).abs() < 0.1 && voxels > 100.0, "{voxels}");
    let set = dicom_object::open_file(Path::new(&out).join("rtstruct.dcm")).unwrap();
    let region = &set.element(tags::ROI_CONTOUR_SEQUENCE).unwrap().items().unwrap()[0];
    let rings = region.element(tags::CONTOUR_SEQUENCE).unwrap().items().unwrap().len();
    let slices =
        from_dicom.lines().filter(|l| l.starts_with("slice ") && !l.ends_with(": 0.0 mm2")).count();
    assert!(slices > 2 && rings >= slices, "{rings} rings on {slices} slices");
}

#[test]
fn a_failure_is_one_message_and_exit_status_1() {
    for name in ["first_result", "edit_a_box", "from_memory", "progress_and_cancel"] {
        let output = example(name, &[]);
        assert_eq!(output.status.code(), Some(1), "{name}");
        assert!(text(&output.stderr).starts_with(&format!("usage: {name} ")), "{name}");
    }
    let output = example("from_memory", &["no/such/bundle"]);
    assert_eq!(output.status.code(), Some(1));
    let message = text(&output.stderr);
    assert!(message.contains("no/such/bundle") && message.lines().count() == 1, "{message}");
}
