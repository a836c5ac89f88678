//! The pixel convention, end to end: a segmenter that returns its own input crop reproduces a known
//! shape in its place, for odd sizes, non-square slices and pixels, every fit, fractional boxes and
//! any storage order.

mod common;

use std::path::Path;
use std::sync::Arc;

use nasoseg::bundle::manifest::FitKind;
use nasoseg::contour::{ContourOptions, contour};
use nasoseg::geometry::{Grid, Reslice};
use nasoseg::volume::Source;
use nasoseg::{
    BoundingBox, DetectOptions, Detection, Device, Engine, EngineOptions, Run, Segmentation, Study,
    StudyOptions, Volume,
};
use ndarray::Array3;

/// A smooth ball of 18 mm about a point off every grid, in patient mm.
const CENTRE: [f64; 3] = [5.3, -7.7, 2.0];

fn ball(p: [f64; 3]) -> f64 {
    let r = p.iter().zip(CENTRE).map(|(a, c)| (a - c).powi(2)).sum::<f64>().sqrt();
    1.0 / (1.0 + ((r - 18.0) / 2.5).exp())
}

/// A study whose T1C is the ball; T1 and T2 are filler.
fn study(grid: &Grid, reslice: Reslice) -> Study {
    let volume = |sequence: usize| {
        let voxels = Array3::from_shape_fn(grid.shape(), |(k, j, i)| match sequence {
            1 => ball(grid.point(i as f64, j as f64, k)) as f32,
            _ => ((i + j + k + sequence) % 3) as f32 / 4.0,
        });
        Arc::new(Volume::new(voxels, grid.clone(), Source::Memory, "probe").unwrap())
    };
    let mut options = StudyOptions::default();
    options.reslice = reslice;
    Study::new([volume(0), volume(1), volume(2)], &options, &Run::default()).unwrap()
}

/// An engine of the probe bundle with this fit.
fn engine(fit: &FitKind, dir: &Path) -> Engine {
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/probe");
    let mut manifest: serde_json::Value =
        serde_json::from_slice(&std::fs::read(source.join("bundle.json")).unwrap()).unwrap();
    manifest["input"]["fit"] = serde_json::to_value(fit).unwrap();
    std::fs::write(dir.join("bundle.json"), manifest.to_string()).unwrap();
    std::fs::copy(source.join("segmenter.onnx"), dir.join("segmenter.onnx")).unwrap();
    Engine::open(dir, &EngineOptions::default().with_device(Device::Cpu), &Run::default()).unwrap()
}

/// Sets a fractional box about the ball on every slice.
fn set_boxes(detection: &mut Detection, study: &Study) {
    let fit = *detection.fit();
    let locator = study.grid().locator();
    for k in 0..study.slices() {
        let [i, j, _] = locator.index(CENTRE);
        let [x, y] = fit.to_grid(i + 0.5, j + 0.5);
        let half = [0, 1].map(|a| 22.0 / fit.scale[a] / study.grid().pixel_mm()[a]);
        detection
            .set_box(
                k,
                BoundingBox([
                    x - half[0] - 0.37,
                    y - half[1] - 0.81,
                    x + half[0] + 0.23,
                    y + half[1] + 0.59,
                ]),
            )
            .unwrap();
    }
}

fn found(engine: &Engine, study: &Study) -> Segmentation {
    let mut detection = engine.detect(study, &DetectOptions::default(), &Run::default()).unwrap();
    set_boxes(&mut detection, study);
    engine.segment(study, &detection, &Run::default()).unwrap()
}

/// Centroids (voxels) of the ball as drawn and as segmented. Only voxels inside the boxes are
/// compared: the ball's tail outside them moves its centroid by less than a twentieth of a pixel.
fn centroids(grid: &Grid, found: &Segmentation) -> [[f64; 3]; 2] {
    let centroid = |weight: &dyn Fn(usize, usize, usize, f64) -> f64| {
        let (mut sum, mut all) = ([0.0; 3], 0.0);
        for ((k, j, i), p) in found.probability.indexed_iter().filter(|(_, p)| **p > 0.02) {
            let w = weight(k, j, i, f64::from(*p));
            all += w;
            sum.iter_mut().zip([i, j, k]).for_each(|(s, x)| *s += w * x as f64);
        }
        sum.map(|s| s / all)
    };
    [centroid(&|k, j, i, _| ball(grid.point(i as f64, j as f64, k))), centroid(&|_, _, _, p| p)]
}

fn grid((size, rows): &([usize; 3], [[f64; 4]; 3])) -> Grid {
    Grid::from_affine(*size, &[rows[0], rows[1], rows[2], [0.0, 0.0, 0.0, 1.0]]).unwrap()
}

#[test]
fn a_known_shape_is_reproduced_within_a_twentieth_of_a_pixel() {
    let dir = tempfile::tempdir().unwrap();
    // i, j, k steps of the storage: axial, flipped, sagittal storage, oblique, few and odd pixels
    // that are twice as long as wide.
    let layouts: [([usize; 3], [[f64; 4]; 3]); 5] = [
        ([101, 75, 5], [[1.3, 0.0, 0.0, -64.0], [0.0, 1.7, 0.0, -66.0], [0.0, 0.0, 5.0, -8.0]]),
        ([90, 111, 5], [[-1.5, 0.0, 0.0, 68.0], [0.0, -1.1, 0.0, 55.0], [0.0, 0.0, -5.0, 12.0]]),
        ([75, 5, 101], [[0.0, 0.0, 1.3, -64.0], [1.7, 0.0, 0.0, -66.0], [0.0, 5.0, 0.0, -8.0]]),
        (
            [100, 100, 5],
            [[1.39, -0.15, 0.3, -63.0], [0.15, 1.38, 0.5, -80.0], [-0.09, -0.13, 4.9, 9.0]],
        ),
        ([127, 49, 5], [[1.2, 0.0, 0.0, -71.0], [0.0, 2.4, 0.0, -63.0], [0.0, 0.0, 5.0, -8.0]]),
    ];
    for fit in [FitKind::Stretch, FitKind::Pad, FitKind::Mm { pixel_mm: 2.0 }] {
        let engine = engine(&fit, dir.path());
        for (n, layout) in layouts.iter().enumerate() {
            let grid = grid(layout);
            let found = found(&engine, &study(&grid, Reslice::Never));
            let [expected, got] = centroids(&grid, &found);
            for (a, b) in expected.iter().zip(got) {
                assert!((a - b).abs() < 0.05, "{fit:?} layout {n}: {expected:?} {got:?}");
            }
            let largest = found.probability.iter().fold(0f32, |m, p| m.max(*p));
            assert!(largest > 0.9, "{fit:?} layout {n}: no ball");
        }
    }
}

/// Grids of axial, sagittal, coronal, tilted and uneven slices about the ball.
fn reslice_layouts() -> [(&'static str, Grid); 5] {
    let (s, c) = 30f64.to_radians().sin_cos();
    let of = |size, rows| grid(&(size, rows));
    // Planes that no affine describes.
    let x = |k: usize| -43.0 + 4.0 * k as f64 + [0.0, 0.4, -0.3][k % 3];
    let uneven = Grid::new(
        [101, 71, 25],
        [0.0, 0.9, 0.0],
        [0.0, 0.0, -0.9],
        (0..25).map(|k| [x(k), -53.0, 33.5]).collect(),
    )
    .unwrap();
    [
        (
            "axial, 5 mm",
            of(
                [101, 99, 13],
                [[1.0, 0.0, 0.0, -45.0], [0.0, 1.0, 0.0, -57.0], [0.0, 0.0, 5.0, -28.0]],
            ),
        ),
        (
            "sagittal, 4 mm",
            of(
                [101, 71, 25],
                [[0.0, 0.0, 4.0, -43.0], [0.9, 0.0, 0.0, -53.0], [0.0, -0.9, 0.0, 33.5]],
            ),
        ),
        (
            "coronal, 4 mm",
            of(
                [99, 71, 25],
                [[0.9, 0.0, 0.0, -39.0], [0.0, 0.0, 4.0, -56.0], [0.0, -0.9, 0.0, 33.5]],
            ),
        ),
        (
            "axial, 5 mm, tilted by 30 degrees",
            of(
                [101, 99, 13],
                [
                    [1.0, 0.0, 0.0, -45.0],
                    [0.0, c, -5.0 * s, -7.7 - 49.0 * c + 30.0 * s],
                    [0.0, s, 5.0 * c, 2.0 - 49.0 * s - 30.0 * c],
                ],
            ),
        ),
        ("sagittal, uneven", uneven),
    ]
}

/// Through axial slices and back: the shape keeps its place, and its contours on the original
/// planes move by the distances that docs/explanation/geometry.md states.
#[test]
fn a_known_shape_is_reproduced_through_axial_slices() {
    let dir = tempfile::tempdir().unwrap();
    let engine = engine(&FitKind::Mm { pixel_mm: 1.2 }, dir.path());
    for (name, grid) in reslice_layouts() {
        for step in [None, Some(2.0), Some(3.0), Some(5.0)] {
            if step.is_none() && grid.affine().is_none() {
                continue;
            }
            let study =
                study(&grid, step.map_or(Reslice::Never, |mm| Reslice::axial(Some(mm)).unwrap()));
            let resliced = study.resliced().is_some();
            assert_eq!(resliced, step.is_some() && name != "axial, 5 mm", "{name}");
            if step.is_some() != resliced {
                continue;
            }
            let found = found(&engine, &study);
            let [expected, got] = centroids(&grid, &found);
            for (a, b) in expected.iter().zip(got) {
                assert!((a - b).abs() < 0.05, "{name}, {step:?}: {expected:?} {got:?}");
            }
            // The ball reaches the threshold at its radius.
            let contours =
                contour(&study, &found, &ContourOptions::default(), &Run::default()).unwrap();
            let radius = |p: &[f64; 3]| {
                p.iter().zip(CENTRE).map(|(a, c)| (a - c).powi(2)).sum::<f64>().sqrt()
            };
            let off: Vec<f64> = contours
                .all()
                .iter()
                .flat_map(|r| &r.points)
                .map(|p| (radius(p) - 18.0).abs())
                .collect();
            let (mean, largest) = (
                off.iter().sum::<f64>() / off.len() as f64,
                off.iter().copied().fold(0.0, f64::max),
            );
            println!(
                "{name}, {step:?}: contours off by {mean:.3} mm in the mean, {largest:.3} mm at \
                 most ({} points)",
                off.len()
            );
            let (mean_allowed, most_allowed) = match step {
                None => (0.1, 0.3),
                Some(mm) if mm < 4.0 => (0.2, 0.8),
                Some(_) => (0.4, 1.5),
            };
            assert!(
                off.len() > 200 && mean < mean_allowed && largest < most_allowed,
                "{name}, {step:?}"
            );
        }
    }
}
