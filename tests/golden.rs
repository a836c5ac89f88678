//! One study through the Rust API: the numbers that the C and C++ tests (tests/ctest) must find too. SEQSEG_BLESS=1 rewrites them.
//!
//! In: the synthetic sequences in memory and the micro bundle. Out: lines of `key numbers...` in tests/data/golden/pipeline.txt, which C reads
//! with scanf. Numbers are compared with tolerances that allow for another machine's kernels.

mod common;

use std::fmt::Write;
use std::path::Path;
use std::sync::Arc;

use ndarray::Array3;
use seqseg::engine::{ContourOptions, contour};
use seqseg::study::{Grid, Source};
use seqseg::{DetectOptions, Device, Engine, EngineOptions, Run, Study, StudyOptions, Volume};

/// Points of a line that are kept.
const POINTS: usize = 8;

/// A head of fat and muscle with an airway and a lesion beneath it, at a patient point (mm). tests/ctest/study.h makes the same in C.
fn signal(sequence: usize, [x, y, z]: [f64; 3]) -> f64 {
    let inside = |r: f64| 1.0 / (1.0 + (-8.0 * (1.0 - r)).exp());
    let head = ((x / 78.0) * (x / 78.0) + (y / 96.0) * (y / 96.0)).sqrt();
    if head > 1.0 {
        return 5.0;
    }
    let [fat, muscle, lesion] = [[950.0, 350.0, 370.0], [900.0, 350.0, 680.0], [700.0, 200.0, 300.0]][sequence];
    let (u, v, w) = ((x + 4.0 + 0.2 * z) / 16.0, (y + 8.0) / 14.0, (z - 6.0) / 19.0);
    let (a, b) = (x / 14.0, (y + 19.0) / 9.0);
    let mut value = if head > 0.9 { fat } else { muscle * (1.0 + 0.08 * ((x / 9.0).sin() * (y / 11.0).cos())) };
    value += (10.0 - value) * inside((a * a + b * b).sqrt());
    value + (lesion - value) * inside((u * u + v * v + w * w).sqrt())
}

fn voxels(sequence: usize, grid: &Grid) -> Array3<f32> {
    Array3::from_shape_fn(grid.shape(), |(k, j, i)| signal(sequence, grid.point(i as f64, j as f64, k)).round() as f32)
}

fn pipeline() -> String {
    let grid = Grid::from_affine(common::SIZE, &common::affine()).unwrap();
    let volumes = [0, 1, 2].map(|sequence| Arc::new(Volume::new(voxels(sequence, &grid), grid.clone(), Source::Memory, "test").unwrap()));
    let study = Study::new(volumes, &StudyOptions::default(), &Run::default()).unwrap();
    let engine = Engine::open(&common::micro(), &EngineOptions::default().with_device(Device::Cpu)).unwrap();
    let detection = engine.detect(&study, &DetectOptions::default(), &Run::default()).unwrap();
    let segmentation = engine.segment(&study, &detection, &Run::default()).unwrap();
    let contours = contour(&study, &segmentation, &ContourOptions::default(), &Run::default()).unwrap();

    let mut out = String::new();
    let mut line = |text: String| writeln!(out, "{text}").unwrap();
    line(format!("slices {}", detection.slices().len()));
    for s in detection.slices() {
        let [x0, y0, x1, y1] = s.bounding_box.unwrap().0;
        line(format!("box {} {} {x0:.6} {y0:.6} {x1:.6} {y1:.6}", s.info.slice, s.trajectory.as_ref().unwrap().steps()));
    }
    line(format!("volume_mm3 {:.3}", segmentation.volume_mm3));
    for s in &segmentation.slices {
        line(format!("area {} {} {:.3}", s.info.slice, s.pixels, s.area_mm2));
    }
    line(format!("lines {}", contours.len()));
    for (at, c) in contours.all().iter().enumerate() {
        line(format!("line {at} {} {} {} {:.3}", c.slice, u8::from(c.hole), c.points.len(), c.area_mm2));
        for (number, p) in c.points.iter().take(POINTS).enumerate() {
            line(format!("point {at} {number} {:.4} {:.4} {:.4}", p[0], p[1], p[2]));
        }
    }
    out
}

/// How far a number of a line may be off: exact for counts and indices.
fn tolerance(key: &str, column: usize) -> f64 {
    match (key, column) {
        ("box", 2..) => 1e-5,
        ("volume_mm3", _) => 200.0,
        ("area", 1) | ("line", 3) => 6.0,
        ("area", 2) | ("line", 4) => 60.0,
        ("point", 2..) => 0.1,
        _ => 0.0,
    }
}

#[test]
fn the_pipeline_gives_the_golden_numbers() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/golden/pipeline.txt");
    let found = pipeline();
    if std::env::var_os("SEQSEG_BLESS").is_some() {
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(&path, &found).unwrap();
    }
    let golden = std::fs::read_to_string(&path).unwrap();
    // A study without a lesion would prove nothing of the later stages, one that fills the image as little.
    assert!((3..6).contains(&found.matches("\nline ").count()), "{found}");
    assert_eq!(found.lines().count(), golden.lines().count(), "{found}");
    for (a, b) in found.lines().zip(golden.lines()) {
        let numbers = |line: &str| line.split(' ').skip(1).map(|n| n.parse().unwrap()).collect::<Vec<f64>>();
        let key = a.split(' ').next().unwrap();
        assert_eq!(key, b.split(' ').next().unwrap());
        let (x, y) = (numbers(a), numbers(b));
        assert_eq!(x.len(), y.len(), "{a} | {b}");
        for (column, (x, y)) in x.iter().zip(&y).enumerate() {
            assert!((x - y).abs() <= tolerance(key, column), "{a} | {b}");
        }
    }
}
