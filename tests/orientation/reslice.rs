//! `--reslice axial` on the command line: output files, messages, and reuse of a detection.

use std::path::Path;
use std::process::Output;

use nasoseg::formats::{ReadOptions, read};
use serde_json::Value;

use crate::abi::{Engine, Input};
use crate::common::{micro, nasoseg, text};
use crate::dicom::{Series, python, write};
use crate::files::{write_nifti, write_nrrd};
use crate::layouts::{DOUBLE_OBLIQUE, Layout, STRAIGHT, affine, others, t1c};

const SAGITTAL: Layout = Layout { axes: [1, 2, 0], flips: [false, true, false] };

fn json(path: &Path) -> Value {
    serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap()
}

struct Study {
    dir: tempfile::TempDir,
    t1c: String,
}

impl Study {
    /// T1 and T2 as NIfTI, T1C as sagittal DICOM.
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let stored = t1c(DOUBLE_OBLIQUE).turned(&SAGITTAL);
        let series =
            Series { name: "sagittal".into(), stored: &stored, patient_position: "HFS", sign: 1.0 };
        let t1c = write(dir.path(), &[series])[0].display().to_string();
        for (stored, name) in others().iter().zip(["t1.nii", "t2.nii"]) {
            write_nifti(&dir.path().join(name), stored, false);
        }
        Study { dir, t1c }
    }

    fn call(&self, command: &str, t1c: &str, out: &Path, more: &[&str]) -> Output {
        let [t1, t2, out, bundle] =
            [&self.dir.path().join("t1.nii"), &self.dir.path().join("t2.nii"), out, &micro()]
                .map(|p| p.display().to_string());
        let mut arguments = vec![
            command, "--t1", &t1, "--t1c", t1c, "--t2", &t2, "--bundle", &bundle, "--out", &out,
        ];
        if command != "prepare" {
            arguments.extend(["--device", "cpu"]);
        }
        nasoseg(&[&arguments, more].concat())
    }
}

fn succeeded(output: &Output) -> String {
    assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
    text(&output.stderr)
}

fn refused(output: &Output, code: i32, words: &[&str]) {
    let message = text(&output.stderr);
    assert_eq!(output.status.code(), Some(code), "{message}");
    assert!(words.iter().all(|w| message.contains(w)), "{message}");
}

#[test]
fn a_sagittal_series_through_the_program() {
    if !python() {
        return;
    }
    let study = Study::new();
    let out = study.dir.path().join("out");
    refused(
        &study.call("run", &study.t1c, &out, &[]),
        4,
        &["T1C was acquired sagittal", "--reslice axial"],
    );
    refused(
        &study.call("run", &study.t1c, &out, &["--reslice", "coronal"]),
        2,
        &["expected axial or axial:MM"],
    );
    refused(
        &study.call("run", &study.t1c, &out, &["--reslice", "axial:20"]),
        2,
        &["from 0.5 to 10 mm"],
    );

    let said = succeeded(&study.call("run", &study.t1c, &out, &["--reslice", "axial:4"]));
    assert!(
        said.contains("T1C's slices are sagittal (turned by 15 degrees)")
            && said.contains("axial slices 4 mm apart"),
        "{said}"
    );
    let (record, detection) = (json(&out.join("run.json")), json(&out.join("detection.json")));
    assert_eq!(record["not_written"], serde_json::json!([]));
    assert_eq!(record["options"]["reslice"], "axial:4");
    assert_eq!(record["resliced"]["from"], "sagittal");
    assert_eq!(record["resliced"], detection["resliced"]);
    assert!(
        record["warnings"]
            .as_array()
            .unwrap()
            .iter()
            .any(|w| w.as_str().unwrap().contains("resampled onto the original slices"))
    );
    let slices = record["slices"].as_array().unwrap();
    assert_eq!(slices.len() as u64, record["resliced"]["size"][2].as_u64().unwrap());
    assert!(slices.iter().all(|s| s["storage_slice"].is_null() && s["sop_instance_uid"].is_null()));
    assert!(slices.windows(2).all(|s| {
        (s[1]["position_mm"].as_f64().unwrap() - s[0]["position_mm"].as_f64().unwrap() - 4.0).abs()
            < 1e-9
    }));
    // Results lie on T1C's own voxels.
    let own = read(&[study.t1c.clone().into()], &ReadOptions::default()).unwrap();
    for name in ["mask.nii.gz", "probability.nii.gz"] {
        assert!(
            read(&[out.join(name)], &ReadOptions::default())
                .unwrap()
                .grid()
                .corner_distance(own.grid())
                < 1e-3,
            "{name}"
        );
    }
    assert!(out.join("rtstruct.dcm").exists() && out.join("preview.png").exists());
    assert_eq!(
        json(&out.join("contours.json"))["grid"]["size"],
        serde_json::json!(own.grid().size())
    );

    // A detection can be reused for the same slices only.
    let file = out.join("detection.json").display().to_string();
    let again = study.dir.path().join("again");
    refused(
        &study.call("segment", &study.t1c, &again, &["--detection", &file]),
        4,
        &["--reslice axial"],
    );
    let other =
        study.call("segment", &study.t1c, &again, &["--detection", &file, "--reslice", "axial:5"]);
    refused(
        &other,
        2,
        &[
            "axial slices 4 mm apart, this study's on",
            "axial slices 5 mm apart",
            "--reslice as it was used then",
        ],
    );
    succeeded(&study.call(
        "segment",
        &study.t1c,
        &again,
        &["--detection", &file, "--reslice", "axial:4"],
    ));
    for name in
        ["mask.nii.gz", "probability.nii.gz", "contours.json", "detection.json", "preview.png"]
    {
        assert_eq!(
            std::fs::read(out.join(name)).unwrap(),
            std::fs::read(again.join(name)).unwrap(),
            "{name}"
        );
    }
    // An edited box lies on an axial slice.
    let mut edited = detection.clone();
    edited["slices"].as_array_mut().unwrap().iter_mut().for_each(|s| s["box"] = Value::Null);
    let nothing = study.dir.path().join("edited.json");
    std::fs::write(&nothing, edited.to_string()).unwrap();
    let cleared = study.dir.path().join("cleared");
    succeeded(&study.call(
        "segment",
        &study.t1c,
        &cleared,
        &["--detection", &nothing.display().to_string(), "--reslice", "axial:4"],
    ));
    assert_eq!(json(&cleared.join("run.json"))["volume_mm3"], 0.0);

    let npz = study.dir.path().join("slices.npz");
    succeeded(&study.call("prepare", &study.t1c, &npz, &["--reslice", "axial:4"]));
    let mut reader = ndarray_npy::NpzReader::new(std::fs::File::open(&npz).unwrap()).unwrap();
    let storage: ndarray::Array1<i64> = reader.by_name("storage_slices").unwrap();
    assert!(storage.len() == slices.len() && storage.iter().all(|s| *s == -1));
}

/// NIfTI and NRRD use the nearest axis; on request they are resliced like DICOM, with the same
/// result.
#[test]
fn files_are_resliced_like_dicom_when_asked() {
    let (engine, others, dir) = (Engine::new(), others(), tempfile::tempdir().unwrap());
    let usual = t1c(DOUBLE_OBLIQUE);
    let (nifti, nrrd) = (dir.path().join("t1c.nii"), dir.path().join("t1c.nrrd"));
    let mut expected = None;
    for layout in [SAGITTAL, Layout { axes: [2, 1, 0], flips: [true, false, true] }] {
        let stored = usual.turned(&layout);
        write_nifti(&nifti, &stored, false);
        write_nrrd(&nrrd, &stored, true);
        for path in [&nifti, &nrrd] {
            let found = engine.run(&others, &Input::Path(path), Some(3.0)).unwrap();
            assert!(found.storage_slices.iter().all(|s| *s == usize::MAX));
            match &expected {
                None => expected = Some(found),
                Some(expected) => _ = expected.must_be(&found, "resliced"),
            }
        }
    }
    let expected = expected.unwrap();
    expected.must_be_worth_comparing();
    // Both find the same lesion: the nearest axes on tilted slices 6 mm apart, reslicing on
    // straight ones 3 mm apart.
    let nearest = engine.run(&others, &Input::Path(&nifti), None).unwrap();
    assert!(
        (nearest.volume_mm3 / expected.volume_mm3 - 1.0).abs() < 0.35,
        "{} {}",
        nearest.volume_mm3,
        expected.volume_mm3
    );
    if python() {
        let stored = usual.turned(&SAGITTAL);
        let series =
            Series { name: "sagittal".into(), stored: &stored, patient_position: "HFS", sign: 1.0 };
        let folder = &write(dir.path(), &[series])[0];
        let found = engine.run(&others, &Input::Path(folder), Some(3.0)).unwrap();
        expected.must_be(&found, "DICOM");
    }
}

/// Axial slices are never resampled, and a large tilt is reported.
#[test]
fn what_is_said_of_a_tilt() {
    let (engine, others, dir) = (Engine::new(), others(), tempfile::tempdir().unwrap());
    let path = dir.path().join("t1c.nii");
    let usual = t1c(STRAIGHT);
    let at = |degrees: f64| {
        let mut stored = usual.clone();
        stored.affine = affine(usual.size, [3.5, 3.3, 6.0], [degrees, 0.0, 0.0], [0.4, -3.1, 3.7]);
        stored
    };
    let run = |degrees: f64, reslice: Option<f64>| {
        write_nifti(&path, &at(degrees), false);
        engine.run(&others, &Input::Path(&path), reslice).unwrap()
    };
    assert!(run(14.0, None).warnings.iter().all(|w| !w.contains("degrees")));
    let told = run(23.0, None).warnings;
    assert!(
        told[0].contains("up to 23 degrees") && told[0].contains("--reslice axial"),
        "{told:?}"
    );
    let (plain, asked) = (run(0.5, None), run(0.5, Some(3.0)));
    assert!(
        asked.warnings[0].contains("axial to within 0.5 degrees: nothing was resampled"),
        "{:?}",
        asked.warnings
    );
    assert!(plain.probability == asked.probability && plain.rings == asked.rings);
}
