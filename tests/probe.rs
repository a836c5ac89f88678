//! The pixel convention, end to end: a segmenter that returns its own input crop gives a known shape back where it was, for odd sizes,
//! non-square slices and pixels, every fit, fractional boxes and any storage order.

mod common;

use std::path::Path;
use std::sync::Arc;

use ndarray::Array3;
use seqseg::bundle::manifest::FitKind;
use seqseg::study::{Grid, Source};
use seqseg::{BoundingBox, DetectOptions, Device, Engine, EngineOptions, Run, Study, StudyOptions, Volume};

/// A smooth ball of 18 mm about a point off every grid, in patient mm.
const CENTRE: [f64; 3] = [5.3, -7.7, 2.0];

fn ball(p: [f64; 3]) -> f64 {
    let r = p.iter().zip(CENTRE).map(|(a, c)| (a - c).powi(2)).sum::<f64>().sqrt();
    1.0 / (1.0 + ((r - 18.0) / 2.5).exp())
}

/// T1 and T2 are filler; T1C is the ball on a grid of its own.
fn study(grid: &Grid) -> Study {
    let volume = |sequence: usize| {
        let voxels = Array3::from_shape_fn(grid.shape(), |(k, j, i)| match sequence {
            1 => ball(grid.point(i as f64, j as f64, k)) as f32,
            _ => ((i + j + k + sequence) % 3) as f32 / 4.0,
        });
        Arc::new(Volume::new(voxels, grid.clone(), Source::Memory, "probe").unwrap())
    };
    Study::new([volume(0), volume(1), volume(2)], &StudyOptions::default(), &Run::default()).unwrap()
}

/// The bundle with another fit.
fn engine(fit: &FitKind, dir: &Path) -> Engine {
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/probe");
    let mut manifest: serde_json::Value = serde_json::from_slice(&std::fs::read(source.join("bundle.json")).unwrap()).unwrap();
    manifest["input"]["fit"] = serde_json::to_value(fit).unwrap();
    std::fs::write(dir.join("bundle.json"), manifest.to_string()).unwrap();
    std::fs::copy(source.join("segmenter.onnx"), dir.join("segmenter.onnx")).unwrap();
    Engine::open(dir, &EngineOptions::default().with_device(Device::Cpu)).unwrap()
}

#[test]
fn a_known_shape_comes_back_within_a_twentieth_of_a_pixel() {
    let dir = tempfile::tempdir().unwrap();
    // i, j, k steps of the storage: axial, flipped, sagittal storage, oblique.
    let layouts: [([usize; 3], [[f64; 4]; 3]); 4] = [
        ([101, 75, 5], [[1.3, 0.0, 0.0, -64.0], [0.0, 1.7, 0.0, -66.0], [0.0, 0.0, 5.0, -8.0]]),
        ([90, 111, 5], [[-1.5, 0.0, 0.0, 68.0], [0.0, -1.1, 0.0, 55.0], [0.0, 0.0, -5.0, 12.0]]),
        ([75, 5, 101], [[0.0, 0.0, 1.3, -64.0], [1.7, 0.0, 0.0, -66.0], [0.0, 5.0, 0.0, -8.0]]),
        ([100, 100, 5], [[1.39, -0.15, 0.3, -63.0], [0.15, 1.38, 0.5, -80.0], [-0.09, -0.13, 4.9, 9.0]]),
    ];
    for fit in [FitKind::Stretch, FitKind::Pad, FitKind::Mm { pixel_mm: 2.0 }] {
        let engine = engine(&fit, dir.path());
        for (n, (size, rows)) in layouts.iter().enumerate() {
            let grid = Grid::from_affine(*size, &[rows[0], rows[1], rows[2], [0.0, 0.0, 0.0, 1.0]]).unwrap();
            let study = study(&grid);
            let mut detection = engine.detect(&study, &DetectOptions::default(), &Run::default()).unwrap();
            let fit = *detection.fit();
            let locator = study.grid().locator();
            for k in 0..study.slices() {
                // A fractional box about the ball.
                let [i, j, _] = locator.index(CENTRE);
                let [x, y] = fit.to_grid(i + 0.5, j + 0.5);
                let half = [22.0 / fit.scale[0] / study.grid().pixel_mm()[0], 22.0 / fit.scale[1] / study.grid().pixel_mm()[1]];
                let b = BoundingBox([x - half[0] - 0.37, y - half[1] - 0.81, x + half[0] + 0.23, y + half[1] + 0.59]);
                detection.set_box(k, b).unwrap();
            }
            let found = engine.segment(&study, &detection, &Run::default()).unwrap();
            let centroid = |weight: &dyn Fn(usize, usize, usize) -> f64| {
                let (nk, nj, ni) = grid.shape();
                let (mut sum, mut all) = ([0.0; 3], 0.0);
                for k in 0..nk {
                    for j in 0..nj {
                        for i in 0..ni {
                            let w = weight(k, j, i);
                            all += w;
                            for (s, x) in sum.iter_mut().zip([i, j, k]) {
                                *s += w * x as f64;
                            }
                        }
                    }
                }
                sum.map(|s| s / all)
            };
            // Only what the boxes hold is compared: the ball has no tail there worth a twentieth of a pixel.
            let expected =
                centroid(&|k, j, i| if found.probability[[k, j, i]] > 0.02 { ball(grid.point(i as f64, j as f64, k)) } else { 0.0 });
            let got = centroid(&|k, j, i| if found.probability[[k, j, i]] > 0.02 { f64::from(found.probability[[k, j, i]]) } else { 0.0 });
            for (a, b) in expected.iter().zip(got) {
                assert!((a - b).abs() < 0.05, "{fit:?} layout {n}: {expected:?} {got:?}");
            }
            let largest = found.probability.iter().fold(0f32, |m, p| m.max(*p));
            assert!(largest > 0.9, "the ball is there");
        }
    }
}
