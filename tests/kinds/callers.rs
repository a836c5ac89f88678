//! The program and the C ABI with bundles of every kind.

use std::path::{Path, PathBuf};

use nasoseg::Sequence;
use nasoseg::formats::nifti::write_nifti;
use nasoseg::geometry::Grid;
use serde_json::{Value, json};

use crate::bundles::{KINDS, data, small_study};
use crate::common;

/// The program on the small study as NIfTI files, with a bundle of one kind.
struct Program<'a> {
    kind: &'a str,
    bundle: String,
    sequences: &'a [String],
    folder: PathBuf,
}

impl Program<'_> {
    /// Runs a command, which must succeed; returns its output folder.
    fn call(&self, command: &str, out: &str, more: &[&str]) -> PathBuf {
        let out = self.folder.join(out);
        let mut arguments = vec![command];
        arguments.extend(self.sequences.iter().map(String::as_str));
        let path = out.display().to_string();
        arguments.extend(["--bundle", &self.bundle, "--device", "cpu", "--out", &path]);
        arguments.extend(more);
        let output = common::nasoseg(&arguments);
        assert!(
            output.status.success(),
            "{} {command}: {}",
            self.kind,
            common::text(&output.stderr)
        );
        out
    }

    fn check_run(&self) {
        let kind = self.kind;
        let out = self.call("run", "run", &[]);
        let (record, detection) = (json(out.join("run.json")), json(out.join("detection.json")));
        for file in ["mask.nii.gz", "probability.nii.gz", "contours.json", "preview.png"] {
            assert!(out.join(file).metadata().unwrap().len() > 100, "{kind} {file}");
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
    }

    /// Detects, clears the box of one of three slices in the file, and segments.
    fn check_edited_segment(&self) {
        let kind = self.kind;
        let file = self.call("detect", "detect", &["--slices", "3:6"]).join("detection.json");
        let path = file.display().to_string();
        let mut edited = json(file.clone());
        assert_eq!(edited["slices"].as_array().unwrap().len(), 3);
        let segment =
            |out| json(self.call("segment", out, &["--detection", &path]).join("run.json"));
        let again = segment("again");
        assert_eq!(again["edited"], false);
        edited["slices"][1]["box"] = Value::Null;
        std::fs::write(&file, edited.to_string()).unwrap();
        let changed = segment("edited");
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
    }

    fn check_info_and_doctor(&self) {
        let kind = self.kind;
        let info = common::nasoseg(&["info", &self.bundle]);
        let words = common::text(&info.stdout);
        assert!(words.contains(&format!("\"kind\":\"{kind}\"")), "{words}");
        let doctor = common::nasoseg(&["doctor", "--bundle", &self.bundle, "--device", "cpu"]);
        let words = common::text(&doctor.stdout);
        assert!(
            doctor.status.success() && words.contains("golden case   agrees on 3 slices: "),
            "{words}"
        );
        assert_eq!(words.contains("scores within"), kind != "fixed", "{words}");
    }
}

fn json(path: PathBuf) -> Value {
    serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap()
}

/// Writes the small study as NIfTI; returns the arguments of its sequences.
fn write_sequences(folder: &Path) -> Vec<String> {
    let study = small_study();
    // NIfTI requires evenly spaced slices.
    let affine = [
        [2.2, 0.0, 0.0, -57.2],
        [0.0, 2.6, 0.0, -78.0],
        [0.0, 0.0, 5.0, 0.0],
        [0.0, 0.0, 0.0, 1.0],
    ];
    let grid = Grid::from_affine(study.reference().grid().size(), &affine).unwrap();
    Sequence::ALL
        .into_iter()
        .flat_map(|sequence| {
            let name = sequence.name().to_lowercase();
            let file = folder.join(format!("{name}.nii.gz"));
            write_nifti(&file, study.canonical(sequence), &grid, "test").unwrap();
            [format!("--{name}"), file.display().to_string()]
        })
        .collect()
}

/// `run`, `detect`, `segment` with an edited box, `info` and `doctor`, on NIfTI files.
#[test]
fn every_command_works_with_every_kind() {
    let dir = tempfile::tempdir().unwrap();
    let sequences = write_sequences(dir.path());
    for kind in KINDS {
        let bundle = data(kind).display().to_string();
        let program =
            Program { kind, bundle, sequences: &sequences, folder: dir.path().join(kind) };
        program.check_run();
        program.check_edited_segment();
        program.check_info_and_doctor();
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
