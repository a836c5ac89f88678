//! Segments voxels that are already in memory, as a planning system or a viewer holds them, and
//! reads mask and contours back from memory: no file but the model's is opened. The patient is a
//! drawing: a head of fat and muscle with an airway and a lesion. Build and run it from the
//! repository:
//!
//!     cargo run --release --example from_memory -- models/demo

use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;

use nasoseg::volume::Source;
use nasoseg::{
    ContourOptions, DetectOptions, Engine, EngineOptions, Error, Grid, Result, Run, Study,
    StudyOptions, Volume, contour,
};
use ndarray::Array3;

/// Voxels along i, j and k.
const SIZE: [usize; 3] = [72, 80, 6];
/// (i, j, k, 1) to LPS mm, for voxel centres.
const AFFINE: [[f64; 4]; 4] = [
    [3.0, 0.0, 0.0, -106.5],
    [0.0, 3.0, 0.0, -118.5],
    [0.0, 0.0, 6.0, -15.0],
    [0.0, 0.0, 0.0, 1.0],
];
/// Intensities of fat, muscle and lesion in T1, T1C and T2.
const TISSUES: [[f32; 3]; 3] =
    [[950.0, 350.0, 370.0], [900.0, 350.0, 680.0], [700.0, 200.0, 300.0]];

fn main() -> ExitCode {
    match from_memory() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{}", error.chain());
            ExitCode::FAILURE
        }
    }
}

fn from_memory() -> Result<()> {
    let Some(bundle) = std::env::args_os().nth(1).map(PathBuf::from) else {
        return Err(Error::Argument("usage: from_memory BUNDLE".into()));
    };

    let run = Run::default();
    let engine = Engine::open(&bundle, &EngineOptions::default(), &run)?;
    let grid = Grid::from_affine(SIZE, &AFFINE)?;
    let [t1, t1c, t2] = TISSUES.map(|tissues| {
        Volume::new(draw(&grid, tissues), grid.clone(), Source::Memory, "a drawing").map(Arc::new)
    });
    let study = Study::new([t1?, t1c?, t2?], &StudyOptions::default(), &run)?;
    let detection = engine.detect(&study, &DetectOptions::default(), &run)?;
    let segmentation = engine.segment(&study, &detection, &run)?;
    let contours = contour(&study, &segmentation, &ContourOptions::default(), &run)?;

    // The mask has T1C's storage order, [k, j, i].
    let (mut voxels, mut sum) = (0.0, [0.0; 3]);
    for ((k, j, i), value) in segmentation.mask.indexed_iter() {
        if *value == 1 {
            let point = grid.point(i as f64, j as f64, k);
            voxels += 1.0;
            sum = [0, 1, 2].map(|axis| sum[axis] + point[axis]);
        }
    }
    println!("volume: {:.1} mm3", voxels * grid.voxel_mm3(0));
    if voxels > 0.0 {
        let [x, y, z] = sum.map(|coordinate| coordinate / voxels);
        println!("centre: {x:.1} {y:.1} {z:.1} mm");
    }

    // Points are LPS mm on the slice's plane; the last one joins the first.
    for ring in contours.all() {
        let kind = if ring.hole { "hole" } else { "outer" };
        let left = ring.points.iter().fold(f64::NEG_INFINITY, |most, point| most.max(point[0]));
        println!(
            "contour on slice {}: {kind}, {:.1} mm2, leftmost point at x {left:.1} mm",
            ring.slice, ring.area_mm2
        );
    }
    Ok(())
}

/// Draws one sequence, [k, j, i].
fn draw(grid: &Grid, [fat, muscle, lesion]: [f32; 3]) -> Array3<f32> {
    let squared = |distance: f64, radius: f64| (distance / radius) * (distance / radius);
    Array3::from_shape_fn(grid.shape(), |(k, j, i)| {
        let [x, y, z] = grid.point(i as f64, j as f64, k);
        let head = squared(x, 78.0) + squared(y, 96.0);
        if head > 1.0 {
            0.0
        } else if squared(x + 4.0, 16.0) + squared(y + 8.0, 14.0) + squared(z - 6.0, 19.0) < 1.0 {
            lesion
        } else if squared(x, 14.0) + squared(y + 19.0, 9.0) < 1.0 {
            10.0
        } else if head > 0.81 {
            fat
        } else {
            muscle
        }
    })
}
