//! Boxes, masks and golden cases against the reference implementation of docs/reference/bundle.md.

use std::path::Path;

use nasoseg::golden::Golden;
use nasoseg::{Error, Run, SliceStatus};
use ndarray::{Array2, Array3};
use serde_json::{Value, json};

use crate::bundles::{KINDS, changed_bundle, data, detect, open, read, small_study, update_sum};

#[test]
fn boxes_and_masks_equal_those_of_the_reference() {
    let study = small_study();
    for kind in KINDS {
        let engine = open(&data(kind)).unwrap();
        let detection = detect(&engine, &study);
        let expected: Array2<f64> = read(&format!("{kind}.npz"), "boxes");
        for (slice, expected) in detection.slices().iter().zip(expected.rows()) {
            match slice.bounding_box {
                None => assert!(
                    expected.iter().all(|v| v.is_nan()),
                    "{kind} {}: {expected}",
                    slice.info.slice
                ),
                Some(b) => (0..4).for_each(|c| {
                    assert!(
                        (b.0[c] - expected[c]).abs() < 1e-9,
                        "{kind} {}: {b:?} {expected}",
                        slice.info.slice
                    )
                }),
            }
            assert_eq!(
                slice.statuses.contains(&SliceStatus::NoLesion),
                slice.bounding_box.is_none(),
                "{kind}"
            );
        }
        let found = engine.segment(&study, &detection, &Run::default()).unwrap();
        let expected: Array3<f32> = read(&format!("{kind}.npz"), "probability");
        let worst =
            found.probability.iter().zip(&expected).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
        println!("{kind}: probabilities differ by {worst:e}");
        assert!(worst < 1e-5, "{kind}: {worst}");
        let near = |p: f32| (p - found.threshold).abs() < 1e-5;
        assert!(
            found
                .mask
                .iter()
                .zip(&expected)
                .all(|(m, p)| near(*p) || (*m == 1) == (*p >= found.threshold)),
            "{kind}"
        );
        assert!(found.mask.iter().filter(|m| **m == 1).count() > 300, "{kind}");
        let empty = found
            .slices
            .iter()
            .zip(detection.slices())
            .all(|(s, d)| d.bounding_box.is_some() || s.pixels == 0);
        assert!(empty && found.volume_mm3 > 1000.0, "{kind}");
    }
}

#[test]
fn golden_cases_are_reproduced_and_disagreements_are_reported() {
    for kind in KINDS {
        let engine = open(&data(kind)).unwrap();
        let golden = Golden::read(engine.bundle()).unwrap();
        let check = |golden: &Golden| golden.check(engine.bundle(), engine.networks());
        let agreement = check(&golden).unwrap();
        assert!(
            agreement.slices == 3 && agreement.probability < 1e-5 && agreement.boxes < 1e-9,
            "{kind}: {agreement:?}"
        );
        let differs = |golden: Golden, words: &str| {
            let error = check(&golden).unwrap_err().to_string();
            assert!(
                error.contains("does not reproduce the golden case") && error.contains(words),
                "{kind}: {error}"
            );
        };
        let mut changed = golden.clone();
        changed.probability[[1, 0, 40, 50]] += 0.01;
        differs(changed, "probabilities differ by");
        let mut changed = golden.clone();
        changed.probability[[1, 0, 40, 50]] = f32::NAN;
        differs(changed, "probabilities differ by NaN");
        if kind != "fixed" {
            let mut changed = golden.clone();
            changed.scores.as_mut().unwrap()[[1, 1]] += 0.01;
            differs(changed, "scores differ by");
            let mut changed = golden.clone();
            changed.boxes.as_mut().unwrap()[[2, 3]] -= 1.0;
            differs(changed, "slice 2: the box");
        }
        if kind == "volume" {
            let mut changed = golden.clone();
            changed.places.as_mut().unwrap().places_mm[2] += 3.0;
            differs(changed, "probabilities differ by");
        }
    }
}

/// A golden case whose arrays do not fit the manifest is damaged, whatever the networks give.
#[test]
fn golden_cases_that_do_not_fit_are_refused() {
    let dir = tempfile::tempdir().unwrap();
    for (kind, other) in [
        ("fixed", "proposals"),
        ("proposals", "fixed"),
        ("volume", "proposals"),
        ("proposals", "volume"),
    ] {
        let edit = |manifest: &mut Value, dir: &Path| {
            std::fs::copy(data(other).join("golden/golden.npz"), dir.join("golden/golden.npz"))
                .unwrap();
            update_sum(manifest, dir, "golden/golden.npz");
        };
        let engine = open(&changed_bundle(kind, dir.path(), edit)).unwrap();
        let error = Golden::read(engine.bundle()).unwrap_err();
        assert!(
            error.to_string().contains("not a golden case (docs/reference/bundle.md)"),
            "{kind} {other}: {error}"
        );
    }
}

#[test]
fn graphs_of_another_signature_are_refused() {
    let dir = tempfile::tempdir().unwrap();
    let refused = |kind: &str, words: &[&str], edit: &dyn Fn(&mut Value, &Path)| {
        let error = open(&changed_bundle(kind, dir.path(), edit)).err().unwrap();
        assert!(matches!(error, Error::Bundle { .. }), "{error:?}");
        words
            .iter()
            .for_each(|w| assert!(error.to_string().contains(w), "{w:?} is not in: {error}"));
    };
    refused(
        "proposals",
        &[
            "segmenter.onnx: the graph's signature is",
            "and outputs boxes Float32 [1, some, 4], scores Float32 [1, some]",
        ],
        &|m, _| {
            m["detector"]["graph"] = "segmenter.onnx".into();
        },
    );
    refused("proposals", &["images Float32 [1, 3, 64, 64]"], &|m, _| {
        m["input"]["grid"] = 64.into()
    });
    let volume = "expected inputs volume Float32 [1, 3, 3, 20, 17] \
                  and outputs probability Float32 [1, 1, 3, 20, 17]";
    refused("volume", &["segmenter.onnx: the graph's signature is", volume], &|m, _| {
        m["segmenter"]["patch"] = json!([3, 20, 17])
    });
    refused("volume", &["detector.onnx: the graph's signature is", "volume Float32"], &|m, _| {
        m["segmenter"]["graph"] = "detector.onnx".into()
    });
    refused("fixed", &["boxes Float32 [any, 4]"], &|m, dir| {
        std::fs::copy(data("volume").join("segmenter.onnx"), dir.join("segmenter.onnx")).unwrap();
        update_sum(m, dir, "segmenter.onnx");
    });
}
