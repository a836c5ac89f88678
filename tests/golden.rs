//! One study through the Rust API: the numbers that the C and C++ tests (tests/ctest) must find
//! too. NASOSEG_BLESS=1 rewrites them.
//!
//! In: the synthetic sequences in memory and the micro bundle. Out: rows of `key numbers...` in
//! tests/data/golden/pipeline.txt, which C reads with scanf. Numbers are compared with tolerances
//! that allow for the kernels of another machine.

mod common;

use std::fmt::Write;
use std::sync::Arc;

use common::golden::{self, POINTS};
use nasoseg::contour::{ContourOptions, contour};
use nasoseg::geometry::Grid;
use nasoseg::volume::Source;
use nasoseg::{DetectOptions, Device, Engine, EngineOptions, Run, Study, StudyOptions, Volume};

fn pipeline() -> String {
    let grid = Grid::from_affine(common::SIZE, &common::affine()).unwrap();
    let volumes = [0, 1, 2].map(|sequence| {
        Arc::new(
            Volume::new(common::head_voxels(sequence, &grid), grid.clone(), Source::Memory, "test")
                .unwrap(),
        )
    });
    let study = Study::new(volumes, &StudyOptions::default(), &Run::default()).unwrap();
    let engine = Engine::open(
        &common::micro(),
        &EngineOptions::default().with_device(Device::Cpu),
        &Run::default(),
    )
    .unwrap();
    let detection = engine.detect(&study, &DetectOptions::default(), &Run::default()).unwrap();
    let segmentation = engine.segment(&study, &detection, &Run::default()).unwrap();
    let contours =
        contour(&study, &segmentation, &ContourOptions::default(), &Run::default()).unwrap();

    let mut out = String::new();
    let mut row = |text: String| writeln!(out, "{text}").unwrap();
    row(format!("slices {}", detection.slices().len()));
    for s in detection.slices() {
        let [x0, y0, x1, y1] = s.bounding_box.unwrap().0;
        row(format!(
            "box {} {} {x0:.6} {y0:.6} {x1:.6} {y1:.6}",
            s.info.slice,
            s.trajectory.as_ref().unwrap().steps()
        ));
    }
    row(format!("volume_mm3 {:.3}", segmentation.volume_mm3));
    for s in &segmentation.slices {
        row(format!("area {} {} {:.3}", s.info.slice, s.pixels, s.area_mm2));
    }
    row(format!("lines {}", contours.len()));
    for (at, c) in contours.all().iter().enumerate() {
        row(format!(
            "line {at} {} {} {} {:.3}",
            c.slice,
            u8::from(c.hole),
            c.points.len(),
            c.area_mm2
        ));
        for (number, p) in c.points.iter().take(POINTS).enumerate() {
            row(format!("point {at} {number} {:.4} {:.4} {:.4}", p[0], p[1], p[2]));
        }
    }
    out
}

#[test]
fn the_pipeline_gives_the_golden_numbers() {
    let found = pipeline();
    if std::env::var_os("NASOSEG_BLESS").is_some() {
        let path = golden::path();
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(&path, &found).unwrap();
    }
    golden::compare(&found);
}
