//! detection.json of every kind: round trips, edits, damage.

use nasoseg::bundle::manifest::Detector;
use nasoseg::detect::file::{from_json, to_json};
use nasoseg::{BoundingBox, Detection, Engine, Error};
use serde_json::{Value, json};

use crate::bundles::{KINDS, data, detect, open, small_study};
use crate::common;

#[test]
fn a_detection_survives_a_round_trip_with_its_edits_alone() {
    let study = small_study();
    for kind in KINDS {
        let engine = open(&data(kind)).unwrap();
        let write = |d: &Detection| {
            to_json(d, &study, engine.manifest(), &engine.provenance(), engine.device()).unwrap()
        };
        let read = |text: &str| {
            from_json(text, "edited.json", &study, engine.manifest(), &engine.provenance())
        };
        let mut detection = detect(&engine, &study);
        let same = |a: &Detection, b: &Detection| {
            for (a, b) in a.slices().iter().zip(b.slices()) {
                let of = |s: &nasoseg::detect::SliceDetection| {
                    (s.bounding_box, s.edited, s.statuses.clone(), s.proposal)
                };
                assert_eq!(of(a), of(b), "{kind} {}", a.info.slice);
            }
        };
        let back = read(&write(&detection)).unwrap();
        assert!(!back.is_edited());
        same(&detection, &back);
        detection.set_box(4, BoundingBox([30.0, 31.5, 50.0, 60.25])).unwrap();
        detection.clear_box(5).unwrap();
        detection.set_box(0, BoundingBox([1.0, 2.0, 30.0, 40.0])).unwrap();
        same(&detection, &read(&write(&detection)).unwrap());
        assert_eq!(detection.slices().iter().filter(|s| s.edited).count(), 3);
        let mut file: Value = serde_json::from_str(&write(&detection)).unwrap();
        let proposed = matches!(engine.manifest().detector, Detector::Proposals(_));
        assert_eq!(file["slices"][4].get("proposal").is_some(), proposed);
        // A proposal must be one that the detector can have made.
        file["slices"][4]["proposal"] = if proposed {
            json!({"score": 0.2, "box": [1.0, 2.0, 3.0, 4.0]})
        } else {
            json!({"score": 0.9, "box": null})
        };
        let error = read(&file.to_string()).unwrap_err();
        assert!(
            matches!(error, Error::Argument(_))
                && error
                    .to_string()
                    .contains("the proposal of slice 4 is damaged: edit only `box`"),
            "{error}"
        );
        file["slices"][4].as_object_mut().unwrap().remove("proposal");
        assert_eq!(read(&file.to_string()).is_ok(), !proposed);
    }
}

#[test]
fn a_damaged_trajectory_is_refused() {
    let study = small_study();
    let file = |engine: &Engine| -> Value {
        let detection = detect(engine, &study);
        serde_json::from_str(
            &to_json(&detection, &study, engine.manifest(), &engine.provenance(), engine.device())
                .unwrap(),
        )
        .unwrap()
    };
    let refused = |engine: &Engine, file: &Value| {
        let error = from_json(
            &file.to_string(),
            "edited.json",
            &study,
            engine.manifest(),
            &engine.provenance(),
        )
        .unwrap_err();
        assert!(
            error.to_string().contains("the trajectory of slice 4 is damaged: edit only `box`"),
            "{error}"
        );
    };
    let agent = open(&common::micro()).unwrap();
    let good = file(&agent);
    let trajectory = good["slices"][4]["trajectory"].clone();
    let far = json!([1e308, 1e308, 1.7e308, 1.7e308]);
    let changes: [&dyn Fn(&mut Value); 5] = [
        // C receives a view of steps x actions values.
        &|t| drop(t["q"][0].as_array_mut().unwrap().pop()),
        &|t| t["boxes"][0] = far.clone(),
        &|t| t["boxes"][0] = json!([0.0, 0.0, 500.0, 10.0]),
        &|t| t["actions"][0] = 11.into(),
        &|t| drop(t["boxes"].as_array_mut().unwrap().pop()),
    ];
    for change in changes {
        let mut bad = good.clone();
        change(&mut bad["slices"][4]["trajectory"]);
        refused(&agent, &bad);
    }
    // A box that far away is not accepted as the detector's own either.
    let mut bad = good.clone();
    let last = trajectory["boxes"].as_array().unwrap().len() - 1;
    bad["slices"][4]["trajectory"]["boxes"][last] = far.clone();
    bad["slices"][4]["box"] = far;
    refused(&agent, &bad);
    let fixed = open(&data("fixed")).unwrap();
    let mut bad = file(&fixed);
    bad["slices"][4]["trajectory"] = trajectory;
    refused(&fixed, &bad);
}
