//! The sliding window of segmenter kind `volume`: known shapes, ranges, statuses, cancels, limits.

use std::cell::RefCell;

use nasoseg::bundle::manifest::FitKind;
use nasoseg::geometry::{Grid, Reslice};
use nasoseg::{
    BoundingBox, CancelToken, DetectOptions, Detection, Error, Run, SliceStatus, Stage, Study,
};
use ndarray::{Array3, Axis};
use serde_json::{Value, json};

use crate::bundles::{
    KINDS, changed_bundle, data, detect, open, small_study, study_of, window_engine,
};

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
    study_of([voxels(0), voxels(1), voxels(2)], grid, reslice)
}

/// Centroids (i, j, k) of the ball as drawn and as segmented, and the largest probability.
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

/// Grids of every layout, each with the reslicing that its study requires.
fn ball_grids() -> Vec<(&'static str, Grid, Reslice)> {
    let of = |size, rows: [[f64; 4]; 3]| {
        Grid::from_affine(size, &[rows[0], rows[1], rows[2], [0.0, 0.0, 0.0, 1.0]]).unwrap()
    };
    // Slices that no affine describes, around the same ball.
    let uneven = [-31.0, -21.0, -14.5, -8.0, -2.0, 2.0, 6.0, 12.0, 18.5, 25.0, 35.0]
        .map(|z| [-64.0, -66.0, z])
        .to_vec();
    vec![
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
    ]
}

/// Fits, detectors and windows.
fn ball_windows() -> Vec<(FitKind, Value, Value)> {
    let whole = json!({"kind": "whole"});
    // The ball with room around it, off its centre.
    let fixed = json!({"kind": "fixed", "box_mm": [-38.4, -52.0, 51.3, 47.9]});
    vec![
        (
            FitKind::Stretch,
            whole.clone(),
            json!({
                "patch": [4, 40, 32], "spacing_mm": [2.5, 1.9, 2.1],
                "overlap": 0.5, "mirror": true}),
        ),
        (
            FitKind::Pad,
            whole.clone(),
            json!({
                "patch": [64, 128, 30], "spacing_mm": [4.0, 2.0, 2.0],
                "overlap": 0.25, "mirror": false}),
        ),
        (
            FitKind::Mm { pixel_mm: 1.6 },
            fixed.clone(),
            json!({
                "patch": [5, 24, 20], "spacing_mm": [5.0, 1.5, 1.7],
                "overlap": 0.5, "mirror": true, "context_factor": 1.1}),
        ),
        (
            FitKind::Mm { pixel_mm: 1.6 },
            fixed.clone(),
            json!({
                "patch": [1, 33, 31], "spacing_mm": [3.3, 1.1, 1.2],
                "overlap": 0.0, "mirror": false}),
        ),
    ]
}

#[test]
fn a_known_shape_keeps_its_place_through_the_sliding_window() {
    let dir = tempfile::tempdir().unwrap();
    let grids = ball_grids();
    let studies: Vec<_> = grids
        .iter()
        .map(|(name, grid, reslice)| (name, grid, ball_study(grid, *reslice)))
        .collect();
    for (fit, detector, window) in ball_windows() {
        let engine = window_engine(dir.path(), &fit, &detector, window.clone());
        for (name, grid, study) in &studies {
            let found = engine.segment(study, &detect(&engine, study), &Run::default()).unwrap();
            let ([expected, got], largest) = centroids(grid, &found.probability);
            println!("{name}, {fit:?}, {window}: {expected:.3?} {got:.3?}, largest {largest:.3}");
            assert!(largest > 0.9, "{name} {fit:?}: no ball");
            for (a, b) in expected.iter().zip(got) {
                assert!((a - b).abs() < 0.05, "{name} {fit:?} {window}: {expected:?} {got:?}");
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

/// One slice alone, a range, and slices without a box: nothing outside the requested slices.
#[test]
fn slices_outside_the_range_stay_empty() {
    let study = small_study();
    let engine = open(&data("volume")).unwrap();
    let all = engine.segment(&study, &detect(&engine, &study), &Run::default()).unwrap();
    for range in [4..5, 3..6, 0..3, 0..2] {
        let options = DetectOptions::default().with_slices(Some(range.clone()));
        let detection = engine.detect(&study, &options, &Run::default()).unwrap();
        let found = engine.segment(&study, &detection, &Run::default()).unwrap();
        let held: Vec<usize> = (0..study.slices())
            .filter(|k| found.probability.index_axis(Axis(0), *k).iter().any(|p| *p > 0.0))
            .collect();
        let expected: Vec<usize> = range.clone().filter(|k| (2..7).contains(k)).collect();
        assert_eq!(held, expected, "{range:?}");
        // The patches of fewer slices differ; the ball is the same.
        for k in held {
            let [a, b] = [&all, &found]
                .map(|s| s.mask.index_axis(Axis(0), k).iter().map(|m| f64::from(*m)).sum::<f64>());
            assert!(a > 20.0 && (a - b).abs() < 0.5 * a, "{range:?} {k}: {a} {b}");
        }
    }
    // A cleared box between two others: only its slice is empty.
    let mut detection = detect(&engine, &study);
    detection.clear_box(4).unwrap();
    let found = engine.segment(&study, &detection, &Run::default()).unwrap();
    let sums: Vec<f32> = found.probability.axis_iter(Axis(0)).map(|p| p.sum()).collect();
    assert!(sums[4] == 0.0 && sums[3] > 1.0 && sums[5] > 1.0, "{sums:?}");
    assert_eq!(found.slices[4].statuses, [SliceStatus::NoLesion]);
}

#[test]
fn statuses_report_edges() {
    let study = small_study();
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
    // An atlas box that was moved back inside.
    let dir = tempfile::tempdir().unwrap();
    let engine = open(&changed_bundle("fixed", dir.path(), |m, _| {
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
fn a_cancel_takes_effect_within_one_model_run() {
    let study = small_study();
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

/// A voxel spacing that makes the block too large is refused before any memory is reserved for it.
#[test]
fn a_block_of_too_many_voxels_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let study = small_study();
    let segmenter = json!({
                "patch": [1, 64, 64], "spacing_mm": [0.1, 0.1, 0.1],
                "overlap": 0.5, "mirror": true});
    let engine = window_engine(dir.path(), &FitKind::Stretch, &json!({"kind": "whole"}), segmenter);
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
