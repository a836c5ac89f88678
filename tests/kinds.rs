//! Bundles of every kind: what the library makes of them is what the reference implementation of
//! docs/reference/bundle.md makes (tests/data/kinds.py), a known shape comes back where it was, and
//! every command, edit and status works for them.

mod common;

use std::cell::RefCell;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use nasoseg::bundle::manifest::{Detector, FitKind};
use nasoseg::detect::file::{from_json, to_json};
use nasoseg::formats::nifti::write_nifti;
use nasoseg::geometry::{Grid, Reslice};
use nasoseg::golden::Golden;
use nasoseg::volume::Source;
use nasoseg::{
    BoundingBox, CancelToken, DetectOptions, Detection, Device, Engine, EngineOptions, Error, Run,
    SliceStatus, Stage, Study, StudyOptions, Volume,
};
use ndarray::{Array1, Array2, Array3, Array4, Axis};
use ndarray_npy::{NpzReader, ReadableElement};
use serde_json::{Value, json};

const KINDS: [&str; 3] = ["fixed", "proposals", "volume"];

fn data(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data").join(name)
}

fn open(dir: &Path) -> nasoseg::Result<Engine> {
    Engine::open(dir, &EngineOptions::default().with_device(Device::Cpu), &Run::default())
}

fn read<T: ReadableElement, D: ndarray::Dimension>(file: &str, name: &str) -> ndarray::Array<T, D> {
    NpzReader::new(std::fs::File::open(data("kinds").join(file)).unwrap())
        .unwrap()
        .by_name(name)
        .unwrap()
}

/// Three volumes on one grid.
fn together(voxels: [Array3<f32>; 3], grid: &Grid, reslice: Reslice) -> Study {
    let volumes = voxels
        .map(|voxels| Arc::new(Volume::new(voxels, grid.clone(), Source::Memory, "made").unwrap()));
    let mut options = StudyOptions::default();
    options.reslice = reslice;
    Study::new(volumes, &options, &Run::default()).unwrap()
}

/// The small study of tests/data/kinds.py: nine slices, unevenly spaced.
fn small() -> Study {
    let volumes: Array4<i16> = read("study.npz", "volumes");
    let (spacing, places): (Array1<f64>, Array1<f64>) =
        (read("study.npz", "spacing_mm"), read("study.npz", "places_mm"));
    let (_, nk, nj, ni) = volumes.dim();
    let start = |n: usize, mm: f64| -((n - 1) as f64) / 2.0 * mm;
    let origins =
        places.iter().map(|z| [start(ni, spacing[1]), start(nj, spacing[0]), *z]).collect();
    let grid =
        Grid::new([ni, nj, nk], [spacing[1], 0.0, 0.0], [0.0, spacing[0], 0.0], origins).unwrap();
    together(
        [0, 1, 2].map(|c| volumes.index_axis(Axis(0), c).mapv(f32::from)),
        &grid,
        Reslice::Never,
    )
}

fn detect(engine: &Engine, study: &Study) -> Detection {
    engine.detect(study, &DetectOptions::default(), &Run::default()).unwrap()
}

#[test]
fn boxes_and_masks_are_those_of_the_plain_reading() {
    let study = small();
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
fn golden_cases_come_out_and_disagreements_are_told() {
    for kind in KINDS {
        let engine = open(&data(kind)).unwrap();
        let golden = Golden::read(engine.bundle()).unwrap();
        let check = |golden: &Golden| golden.check(engine.bundle(), engine.networks());
        let agreement = check(&golden).unwrap();
        assert!(
            agreement.slices == 3 && agreement.probability < 1e-5 && agreement.boxes < 1e-9,
            "{kind}: {agreement:?}"
        );
        let told = |golden: Golden, words: &str| {
            let error = check(&golden).unwrap_err().to_string();
            assert!(
                error.contains("does not reproduce the golden case") && error.contains(words),
                "{kind}: {error}"
            );
        };
        let mut changed = golden.clone();
        changed.probability[[1, 0, 40, 50]] += 0.01;
        told(changed, "probabilities differ by");
        if kind != "fixed" {
            let mut changed = golden.clone();
            changed.scores.as_mut().unwrap()[[1, 1]] += 0.01;
            told(changed, "scores differ by");
            let mut changed = golden.clone();
            changed.boxes.as_mut().unwrap()[[2, 3]] -= 1.0;
            told(changed, "slice 2: the box");
        }
        if kind == "volume" {
            let mut changed = golden.clone();
            changed.places.as_mut().unwrap().places_mm[2] += 3.0;
            told(changed, "probabilities differ by");
        }
    }
}

/// A golden case whose arrays do not fit the manifest is damaged, whatever the networks say.
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
            sum(manifest, dir, "golden/golden.npz");
        };
        let engine = open(&changed(kind, dir.path(), edit)).unwrap();
        let read = Golden::read(engine.bundle());
        // A fixed box may stand for any, so that proposals' boxes do, where every slice has one.
        let error = read.unwrap_err();
        assert!(
            error.to_string().contains("not a golden case (docs/reference/bundle.md)"),
            "{kind} {other}: {error}"
        );
    }
}

/// A copy of a bundle with a change; the sums of files are the caller's affair.
fn changed(kind: &str, dir: &Path, edit: impl FnOnce(&mut Value, &Path)) -> PathBuf {
    let source = data(kind);
    let mut manifest: Value =
        serde_json::from_slice(&std::fs::read(source.join("bundle.json")).unwrap()).unwrap();
    std::fs::create_dir_all(dir.join("golden")).unwrap();
    for file in manifest["files"].as_object().unwrap().keys() {
        std::fs::copy(source.join(file), dir.join(file)).unwrap();
    }
    edit(&mut manifest, dir);
    std::fs::write(dir.join("bundle.json"), manifest.to_string()).unwrap();
    dir.to_owned()
}

/// Names the sum of a file that was changed.
fn sum(manifest: &mut Value, dir: &Path, file: &str) {
    use sha2::Digest;
    let sum = sha2::Sha256::digest(std::fs::read(dir.join(file)).unwrap());
    manifest["files"][file] = sum.iter().map(|b| format!("{b:02x}")).collect::<String>().into();
}

#[test]
fn graphs_of_another_signature_are_refused() {
    let dir = tempfile::tempdir().unwrap();
    let refused = |kind: &str, words: &[&str], edit: &dyn Fn(&mut Value, &Path)| {
        let error = open(&changed(kind, dir.path(), edit)).err().unwrap();
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
    let volume = "expected inputs volume Float32 [1, 3, 3, 20, 17] and outputs probability Float32 [1, 1, 3, 20, 17]";
    refused("volume", &["segmenter.onnx: the graph's signature is", volume], &|m, _| {
        m["segmenter"]["patch"] = json!([3, 20, 17])
    });
    refused("volume", &["detector.onnx: the graph's signature is", "volume Float32"], &|m, _| {
        m["segmenter"]["graph"] = "detector.onnx".into()
    });
    refused("fixed", &["boxes Float32 [any, 4]"], &|m, dir| {
        std::fs::copy(data("volume").join("segmenter.onnx"), dir.join("segmenter.onnx")).unwrap();
        sum(m, dir, "segmenter.onnx");
    });
}

/// A bundle whose volume network returns T1C: any fit, detector and window.
fn window(dir: &Path, fit: &FitKind, detector: &Value, segmenter: Value) -> Engine {
    let edit = |manifest: &mut Value, dir: &Path| {
        std::fs::copy(data("kinds").join("window.onnx"), dir.join("segmenter.onnx")).unwrap();
        sum(manifest, dir, "segmenter.onnx");
        manifest["input"]["fit"] = serde_json::to_value(fit).unwrap();
        manifest["input"]["channels"]
            .as_array_mut()
            .unwrap()
            .iter_mut()
            .for_each(|c| c["scaling"]["value"] = 1.0.into());
        manifest["detector"] = detector.clone();
        manifest["segmenter"] = json!({"kind": "volume", "graph": "segmenter.onnx", "threshold": 0.5, "context_factor": 1.0});
        manifest["segmenter"]
            .as_object_mut()
            .unwrap()
            .extend(segmenter.as_object().unwrap().clone());
    };
    open(&changed("volume", dir, edit)).unwrap()
}

/// A smooth ball of 18 mm about a point off every grid, in patient mm.
const CENTRE: [f64; 3] = [5.3, -7.7, 2.0];

fn ball(p: [f64; 3]) -> f64 {
    let r = p.iter().zip(CENTRE).map(|(a, c)| (a - c).powi(2)).sum::<f64>().sqrt();
    1.0 / (1.0 + ((r - 18.0) / 2.5).exp())
}

fn ball_study(grid: &Grid, reslice: Reslice) -> Study {
    let voxels = |sequence: usize| {
        Array3::from_shape_fn(grid.shape(), |(k, j, i)| match sequence {
            1 => ball(grid.point(i as f64, j as f64, k)) as f32,
            _ => ((i + j + k + sequence) % 3) as f32 / 4.0,
        })
    };
    together([voxels(0), voxels(1), voxels(2)], grid, reslice)
}

/// Centroids (i, j, k) of the ball as drawn and as it came back, and the largest probability.
fn centroids(grid: &Grid, probability: &Array3<f32>) -> ([[f64; 3]; 2], f32) {
    let centroid = |weight: &dyn Fn(usize, usize, usize, f64) -> f64| {
        let (mut sum, mut all) = ([0.0; 3], 0.0);
        for ((k, j, i), p) in probability.indexed_iter().filter(|(_, p)| **p > 0.02) {
            let w = weight(k, j, i, f64::from(*p));
            all += w;
            sum.iter_mut().zip([i, j, k]).for_each(|(s, x)| *s += w * x as f64);
        }
        sum.map(|s| s / all)
    };
    let both = [
        centroid(&|k, j, i, _| ball(grid.point(i as f64, j as f64, k))),
        centroid(&|_, _, _, p| p),
    ];
    (both, probability.iter().fold(0f32, |m, p| m.max(*p)))
}

#[test]
fn a_known_shape_comes_back_through_the_sliding_window() {
    let dir = tempfile::tempdir().unwrap();
    let of = |size, rows: [[f64; 4]; 3]| {
        Grid::from_affine(size, &[rows[0], rows[1], rows[2], [0.0, 0.0, 0.0, 1.0]]).unwrap()
    };
    // Slices that no affine describes, about the ball alike.
    let uneven = [-31.0, -21.0, -14.5, -8.0, -2.0, 2.0, 6.0, 12.0, 18.5, 25.0, 35.0]
        .map(|z| [-64.0, -66.0, z])
        .to_vec();
    let grids = [
        (
            "odd",
            of(
                [101, 75, 13],
                [[1.3, 0.0, 0.0, -64.0], [0.0, 1.7, 0.0, -66.0], [0.0, 0.0, 5.0, -28.0]],
            ),
            Reslice::Never,
        ),
        (
            "flipped",
            of(
                [90, 111, 13],
                [[-1.5, 0.0, 0.0, 68.0], [0.0, -1.1, 0.0, 55.0], [0.0, 0.0, -5.0, 32.0]],
            ),
            Reslice::Never,
        ),
        (
            "sagittal storage",
            of(
                [75, 13, 101],
                [[0.0, 0.0, 1.3, -64.0], [1.7, 0.0, 0.0, -66.0], [0.0, 5.0, 0.0, -28.0]],
            ),
            Reslice::Never,
        ),
        (
            "oblique",
            of(
                [100, 100, 13],
                [[1.39, -0.15, 0.3, -63.0], [0.15, 1.38, 0.5, -80.0], [-0.09, -0.13, 4.9, -12.0]],
            ),
            Reslice::Never,
        ),
        (
            "few rows",
            of(
                [127, 49, 13],
                [[1.2, 0.0, 0.0, -71.0], [0.0, 2.4, 0.0, -63.0], [0.0, 0.0, 5.0, -28.0]],
            ),
            Reslice::Never,
        ),
        (
            "uneven",
            Grid::new([101, 75, 11], [1.3, 0.0, 0.0], [0.0, 1.7, 0.0], uneven).unwrap(),
            Reslice::Never,
        ),
        (
            "sagittal, resliced",
            of(
                [101, 71, 25],
                [[0.0, 0.0, 4.0, -43.0], [0.9, 0.0, 0.0, -53.0], [0.0, -0.9, 0.0, 33.5]],
            ),
            Reslice::axial(Some(3.0)).unwrap(),
        ),
    ];
    let whole = json!({"kind": "whole"});
    // The ball with room around it, off its centre.
    let fixed = json!({"kind": "fixed", "box_mm": [-38.4, -52.0, 51.3, 47.9]});
    let windows = [
        (
            FitKind::Stretch,
            &whole,
            json!({"patch": [4, 40, 32], "spacing_mm": [2.5, 1.9, 2.1], "overlap": 0.5, "mirror": true}),
        ),
        (
            FitKind::Pad,
            &whole,
            json!({"patch": [64, 128, 30], "spacing_mm": [4.0, 2.0, 2.0], "overlap": 0.25, "mirror": false}),
        ),
        (
            FitKind::Mm { pixel_mm: 1.6 },
            &fixed,
            json!({"patch": [5, 24, 20], "spacing_mm": [5.0, 1.5, 1.7], "overlap": 0.5, "mirror": true, "context_factor": 1.1}),
        ),
        (
            FitKind::Mm { pixel_mm: 1.6 },
            &fixed,
            json!({"patch": [1, 33, 31], "spacing_mm": [3.3, 1.1, 1.2], "overlap": 0.0, "mirror": false}),
        ),
    ];
    let studies: Vec<_> = grids
        .iter()
        .map(|(name, grid, reslice)| (name, grid, ball_study(grid, *reslice)))
        .collect();
    for (fit, detector, window_of) in windows {
        let engine = window(dir.path(), &fit, detector, window_of.clone());
        for (name, grid, study) in &studies {
            let found = engine.segment(study, &detect(&engine, study), &Run::default()).unwrap();
            let ([expected, got], largest) = centroids(grid, &found.probability);
            println!(
                "{name}, {fit:?}, {window_of}: {expected:.3?} {got:.3?}, largest {largest:.3}"
            );
            assert!(largest > 0.9, "{name} {fit:?}: the ball is there");
            for (a, b) in expected.iter().zip(got) {
                assert!((a - b).abs() < 0.05, "{name} {fit:?} {window_of}: {expected:?} {got:?}");
            }
        }
        let work = engine.work();
        assert!(
            work.segmenter.runs > studies.len() as u64
                && work.segmenter.runs == work.segmenter.rows
                && work.proposals.runs == 0
        );
    }
}

/// One slice alone, a range, and slices without a box: nothing outside of what was asked for.
#[test]
fn slices_outside_the_range_stay_empty() {
    let study = small();
    let engine = open(&data("volume")).unwrap();
    let all = engine.segment(&study, &detect(&engine, &study), &Run::default()).unwrap();
    for range in [4..5, 3..6, 0..3, 0..2] {
        let mut options = DetectOptions::default();
        options.slices = Some(range.clone());
        let detection = engine.detect(&study, &options, &Run::default()).unwrap();
        let found = engine.segment(&study, &detection, &Run::default()).unwrap();
        let held: Vec<usize> = (0..study.slices())
            .filter(|k| found.probability.index_axis(Axis(0), *k).iter().any(|p| *p > 0.0))
            .collect();
        let expected: Vec<usize> = range.clone().filter(|k| (2..7).contains(k)).collect();
        assert_eq!(held, expected, "{range:?}");
        // The patch of fewer slices is another; the ball is the same.
        for k in held {
            let [a, b] = [&all, &found]
                .map(|s| s.mask.index_axis(Axis(0), k).iter().map(|m| f64::from(*m)).sum::<f64>());
            assert!(a > 20.0 && (a - b).abs() < 0.5 * a, "{range:?} {k}: {a} {b}");
        }
    }
    // A cleared box between two: its slice is empty, its neighbours have their boxes still.
    let mut detection = detect(&engine, &study);
    detection.clear_box(4).unwrap();
    let found = engine.segment(&study, &detection, &Run::default()).unwrap();
    let sums: Vec<f32> = found.probability.axis_iter(Axis(0)).map(|p| p.sum()).collect();
    assert!(sums[4] == 0.0 && sums[3] > 1.0 && sums[5] > 1.0, "{sums:?}");
    assert_eq!(found.slices[4].statuses, [SliceStatus::NoLesion]);
}

#[test]
fn statuses_tell_of_edges() {
    let study = small();
    for kind in KINDS {
        let engine = open(&data(kind)).unwrap();
        let mut detection = detect(&engine, &study);
        let own = detection.slices()[4].bounding_box.unwrap().0;
        assert!(
            detection.slices().iter().all(|s| !s.statuses.contains(&SliceStatus::BoxAtImageEdge))
        );
        let of = |detection: &Detection| {
            engine.segment(&study, detection, &Run::default()).unwrap().slices[4].statuses.clone()
        };
        assert_eq!(of(&detection), [], "{kind}");
        // Half of the ball.
        detection
            .set_box(4, BoundingBox([own[0], own[1], (own[0] + own[2]) / 2.0 - 5.0, own[3]]))
            .unwrap();
        assert_eq!(of(&detection), [SliceStatus::MaskAtCropEdge], "{kind}");
        detection.set_box(4, BoundingBox([0.0, 0.0, 8.0, 8.0])).unwrap();
        assert_eq!(of(&detection), [SliceStatus::BoxAtImageEdge, SliceStatus::NoLesion], "{kind}");
    }
    // An atlas box that had to be pushed back inside.
    let dir = tempfile::tempdir().unwrap();
    let engine = open(&changed("fixed", dir.path(), |m, _| {
        m["detector"]["box_mm"] = json!([60.0, -20.0, 120.0, 20.0])
    }))
    .unwrap();
    for slice in detect(&engine, &study).slices() {
        assert_eq!(
            (slice.bounding_box, slice.statuses.as_slice()),
            (Some(BoundingBox([66.0, 38.0, 96.0, 58.0])), [SliceStatus::BoxAtImageEdge].as_slice())
        );
    }
}

#[test]
fn a_detection_reads_back_as_it_was_with_its_edits_and_no_others() {
    let study = small();
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
        // Whatever the detector said is its own.
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
fn a_damaged_walk_is_refused() {
    let study = small();
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
    let walk = good["slices"][4]["trajectory"].clone();
    let far = json!([1e308, 1e308, 1.7e308, 1.7e308]);
    let changes: [&dyn Fn(&mut Value); 5] = [
        // C is lent steps x actions of them.
        &|w| drop(w["q"][0].as_array_mut().unwrap().pop()),
        &|w| w["boxes"][0] = far.clone(),
        &|w| w["boxes"][0] = json!([0.0, 0.0, 500.0, 10.0]),
        &|w| w["actions"][0] = 11.into(),
        &|w| drop(w["boxes"].as_array_mut().unwrap().pop()),
    ];
    for change in changes {
        let mut bad = good.clone();
        change(&mut bad["slices"][4]["trajectory"]);
        refused(&agent, &bad);
    }
    // A box so far away is not taken for the detector's own either.
    let mut bad = good.clone();
    let last = walk["boxes"].as_array().unwrap().len() - 1;
    bad["slices"][4]["trajectory"]["boxes"][last] = far.clone();
    bad["slices"][4]["box"] = far;
    refused(&agent, &bad);
    let fixed = open(&data("fixed")).unwrap();
    let mut bad = file(&fixed);
    bad["slices"][4]["trajectory"] = walk;
    refused(&fixed, &bad);
}

#[test]
fn a_cancel_takes_effect_within_one_model_run() {
    let study = small();
    let engine = open(&data("volume")).unwrap();
    let detection = detect(&engine, &study);
    let whole = engine.segment(&study, &detection, &Run::default()).unwrap();
    for (stage, call) in [(Stage::Detect, false), (Stage::Segment, true)] {
        let seen = RefCell::new(Vec::new());
        let token = CancelToken::new();
        let stop = RefCell::new(usize::MAX);
        let report = |p: nasoseg::Progress| {
            if p.stage == stage {
                seen.borrow_mut().push((p.done, p.total));
                if p.done == *stop.borrow() {
                    token.cancel();
                }
            }
            true
        };
        let run = Run { progress: Some(&report), cancel: Some(&token) };
        let again = || match call {
            false => engine.detect(&study, &DetectOptions::default(), &run).map(|_| ()),
            true => engine.segment(&study, &detection, &run).map(|_| ()),
        };
        again().unwrap();
        let total = seen.borrow()[0].1;
        // Nine slices; eight mirrored runs of every patch.
        assert!(if call { total % 8 == 0 && total >= 64 } else { total == 9 }, "{total}");
        assert_eq!(*seen.borrow(), (0..=total).map(|n| (n, total)).collect::<Vec<_>>());
        for at in [0, 1, total / 2, total] {
            seen.borrow_mut().clear();
            stop.replace(at);
            token.reset();
            let before = engine.work();
            assert!(matches!(again(), Err(Error::Cancelled)), "{stage:?} {at}");
            let work = engine.work().since(before);
            let runs = if call { work.segmenter.runs } else { work.proposals.runs };
            assert_eq!((runs as usize, seen.borrow().len()), (at, at + 1), "{stage:?}");
        }
    }
    assert_eq!(
        engine.segment(&study, &detection, &Run::default()).unwrap().probability,
        whole.probability
    );
}

/// A voxel spacing that makes the region larger than anything is refused before anything is taken
/// for it.
#[test]
fn a_region_without_end_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let study = small();
    let segmenter = json!({"patch": [1, 64, 64], "spacing_mm": [0.1, 0.1, 0.1], "overlap": 0.5, "mirror": true});
    let engine = window(dir.path(), &FitKind::Stretch, &json!({"kind": "whole"}), segmenter);
    let error = engine.segment(&study, &detect(&engine, &study), &Run::default()).unwrap_err();
    assert!(matches!(error, Error::Geometry(_)), "{error:?}");
    for words in [
        "the boxes span 411 x 1586 x 1166 voxels of the segmenter, each 0.1 x 0.1 x 0.1 mm",
        "expected at most 134217728 voxels",
        "fewer slices",
    ] {
        assert!(error.to_string().contains(words), "{error}");
    }
}

/// `run`, `detect`, `segment` with an edited box, `info` and `doctor`, on NIfTI files.
#[test]
fn every_command_works_with_every_kind() {
    let study = small();
    let dir = tempfile::tempdir().unwrap();
    // NIfTI wants even slices.
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

/// Through the C ABI: no agent, so no steps, and the box that the detector gave.
#[test]
fn the_abi_knows_a_detector_without_an_agent() {
    use common::abi::{each, new_study, ok, set_volume, text};
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
        // SAFETY: plain structs, for which all-zero is valid; the pointers are lent by the
        // detection.
        let (mut walk, mut slice): (nasoseg_trajectory, nasoseg_detection_slice) =
            unsafe { std::mem::zeroed() };
        walk.struct_size = size_of::<nasoseg_trajectory>();
        slice.struct_size = size_of::<nasoseg_detection_slice>();
        ok!(nasoseg_detection_get_trajectory(detection, 2, &mut walk));
        ok!(nasoseg_detection_get_slice(detection, 2, &mut slice));
        let b = slice.bounding_box;
        // SAFETY: as the header says, 4 * (steps + 1) numbers.
        let boxes = unsafe { std::slice::from_raw_parts(walk.boxes, 4) };
        assert_eq!(
            (walk.steps, walk.action_count, walk.stopped, boxes),
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
