//! The program and the C ABI with bundles of every kind.

use std::path::PathBuf;

use nasoseg::formats::nifti::write_nifti;
use nasoseg::geometry::Grid;
use serde_json::{Value, json};

use crate::bundles::{KINDS, data, small_study};
use crate::common;

/// `run`, `detect`, `segment` with an edited box, `info` and `doctor`, on NIfTI files.
#[test]
fn every_command_works_with_every_kind() {
    let study = small_study();
    let dir = tempfile::tempdir().unwrap();
    // NIfTI requires evenly spaced slices.
    let [ni, nj, nk] = study.reference().grid().size();
    let grid = Grid::from_affine(
        [ni, nj, nk],
        &[
            [2.2, 0.0, 0.0, -57.2],
            [0.0, 2.6, 0.0, -78.0],
            [0.0, 0.0, 5.0, 0.0],
            [0.0, 0.0, 0.0, 1.0],
        ],
    )
    .unwrap();
    let mut sequences = Vec::new();
    for (name, sequence) in [
        ("t1", nasoseg::Sequence::T1),
        ("t1c", nasoseg::Sequence::T1C),
        ("t2", nasoseg::Sequence::T2),
    ] {
        let file = dir.path().join(format!("{name}.nii.gz"));
        write_nifti(&file, study.canonical(sequence), &grid, "test").unwrap();
        sequences.extend([format!("--{name}"), file.display().to_string()]);
    }
    let json =
        |path: PathBuf| -> Value { serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap() };
    for kind in KINDS {
        let bundle = data(kind).display().to_string();
        let call = |command: &str, out: &str, more: &[&str]| {
            let out = dir.path().join(kind).join(out);
            let mut arguments = vec![command.to_owned()];
            arguments.extend(sequences.clone());
            arguments.extend(
                ["--bundle", &bundle, "--device", "cpu", "--out", &out.display().to_string()]
                    .map(str::to_owned),
            );
            arguments.extend(more.iter().map(|a| (*a).to_owned()));
            let output = common::nasoseg(&arguments.iter().map(String::as_str).collect::<Vec<_>>());
            assert!(output.status.success(), "{kind} {command}: {}", common::text(&output.stderr));
            out
        };
        let whole = call("run", "run", &[]);
        let (record, detection) =
            (json(whole.join("run.json")), json(whole.join("detection.json")));
        for file in ["mask.nii.gz", "probability.nii.gz", "contours.json", "preview.png"] {
            assert!(whole.join(file).metadata().unwrap().len() > 100, "{kind} {file}");
        }
        let runs = |graph: &str| record["model_runs"][graph]["runs"].as_u64().unwrap();
        assert_eq!(
            (runs("trunk"), runs("q_head"), runs("proposals")),
            (0, 0, if kind == "fixed" { 0 } else { 9 }),
            "{kind}"
        );
        assert!(match kind {
            "fixed" => runs("segmenter") == 9,
            "proposals" => runs("segmenter") == 5,
            _ => runs("segmenter") >= 32 && runs("segmenter") % 8 == 0,
        });
        assert!(record["volume_mm3"].as_f64().unwrap() > 1000.0 && record["edited"] == false);
        assert!(
            record["slices"][4]["steps"].is_null() && detection["actions"] == json!([]),
            "{kind}"
        );
        let status = record["slices"][0]["status"].as_str().unwrap();
        assert_eq!(status, "no lesion", "{kind}");

        let found = call("detect", "detect", &["--slices", "3:6"]);
        let file = found.join("detection.json");
        let mut edited = json(file.clone());
        assert_eq!(edited["slices"].as_array().unwrap().len(), 3);
        let again = json(
            call("segment", "again", &["--detection", &file.display().to_string()])
                .join("run.json"),
        );
        assert_eq!(again["edited"], false);
        edited["slices"][1]["box"] = Value::Null;
        std::fs::write(&file, edited.to_string()).unwrap();
        let changed = json(
            call("segment", "edited", &["--detection", &file.display().to_string()])
                .join("run.json"),
        );
        let area = |record: &Value, at: usize| record["slices"][at]["area_mm2"].as_f64().unwrap();
        assert!(
            changed["edited"] == true
                && changed["slices"][1]["edited"] == true
                && changed["slices"][0]["edited"] == false
        );
        assert!(
            area(&again, 1) > 100.0 && area(&changed, 1) == 0.0 && area(&changed, 0) > 100.0,
            "{kind}"
        );

        let info = common::nasoseg(&["info", &bundle]);
        assert!(
            common::text(&info.stdout).contains(&format!(
                "\"kind\":\"{}\"",
                if kind == "volume" { "volume" } else { kind }
            )),
            "{kind}"
        );
        let doctor = common::nasoseg(&["doctor", "--bundle", &bundle, "--device", "cpu"]);
        let words = common::text(&doctor.stdout);
        assert!(
            doctor.status.success() && words.contains("golden case   agrees on 3 slices: "),
            "{words}"
        );
        assert_eq!(words.contains("scores within"), kind != "fixed", "{words}");
    }
}

/// Through the C ABI: without an agent there are no steps, only the detector's box.
#[test]
fn the_abi_accepts_a_detector_without_an_agent() {
    use crate::common::abi::{each, new_study, ok, set_volume, text};
    use nasoseg::ffi::*;
    use std::ptr::{null, null_mut};

    for kind in KINDS {
        let (mut engine, mut options, mut detection, mut segmentation) =
            (null_mut(), null_mut(), null_mut(), null_mut());
        ok!(nasoseg_options_new(&mut options));
        ok!(nasoseg_options_set_device(options, c"cpu".as_ptr()));
        ok!(nasoseg_engine_new(text(&data(kind)).as_ptr(), options, null(), &mut engine));
        let study = new_study();
        (0..3).for_each(|sequence| set_volume(study, sequence, 0.0, false));
        ok!(nasoseg_detect(engine, study, null(), null(), &mut detection));
        // SAFETY: plain structs, for which all-zero is valid; the pointers belong to the
        // detection.
        let (mut trajectory, mut slice): (nasoseg_trajectory, nasoseg_detection_slice) =
            unsafe { std::mem::zeroed() };
        trajectory.struct_size = size_of::<nasoseg_trajectory>();
        slice.struct_size = size_of::<nasoseg_detection_slice>();
        ok!(nasoseg_detection_get_trajectory(detection, 2, &mut trajectory));
        ok!(nasoseg_detection_get_slice(detection, 2, &mut slice));
        let b = slice.bounding_box;
        // SAFETY: as the header says, 4 * (steps + 1) numbers.
        let boxes = unsafe { std::slice::from_raw_parts(trajectory.boxes, 4) };
        assert_eq!(
            (trajectory.steps, trajectory.action_count, trajectory.stopped, boxes),
            (0, 0, false, [b.x0, b.y0, b.x1, b.y1].as_slice()),
            "{kind}"
        );
        ok!(nasoseg_detection_set_box(
            detection,
            2,
            &nasoseg_bounding_box { x0: 20.0, y0: 20.0, x1: 70.0, y1: 70.0 }
        ));
        ok!(nasoseg_detection_clear_box(detection, 3));
        ok!(nasoseg_segment(engine, study, detection, null(), null(), &mut segmentation));
        each!(
            nasoseg_segmentation_free(segmentation),
            nasoseg_detection_free(detection),
            nasoseg_study_free(study),
            nasoseg_engine_free(engine),
            nasoseg_options_free(options),
        );
    }
}
