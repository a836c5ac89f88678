//! Memory of a sliding window over a large study: one copy of the probability beside the result,
//! and one patch.

#[path = "../fuzz/bound.rs"]
mod bound;

use std::path::Path;
use std::sync::Arc;

use nasoseg::geometry::Grid;
use nasoseg::volume::Source;
use nasoseg::{DetectOptions, Device, Engine, EngineOptions, Run, Study, StudyOptions, Volume};
use ndarray::Array3;
use serde_json::{Value, json};

#[global_allocator]
static COUNTING: bound::Counting = bound::Counting;

const MIB: usize = 1 << 20;

#[test]
fn forty_slices_of_512_pixels_are_held_once() {
    let data = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data");
    let dir = tempfile::tempdir().unwrap();
    let mut manifest: Value =
        serde_json::from_slice(&std::fs::read(data.join("volume/bundle.json")).unwrap()).unwrap();
    std::fs::copy(data.join("kinds/window.onnx"), dir.path().join("segmenter.onnx")).unwrap();
    let sum = {
        use sha2::Digest;
        sha2::Sha256::digest(std::fs::read(data.join("kinds/window.onnx")).unwrap())
    };
    manifest["files"] =
        json!({"segmenter.onnx": sum.iter().map(|b| format!("{b:02x}")).collect::<String>()});
    manifest.as_object_mut().unwrap().remove("golden");
    manifest["input"]["grid"] = 512.into();
    manifest["input"]["fit"] = json!({"kind": "stretch"});
    manifest["detector"] = json!({"kind": "whole"});
    manifest["segmenter"] = json!({
        "kind": "volume", "graph": "segmenter.onnx", "patch": [16, 128, 128],
        "spacing_mm": [4.0, 0.5, 0.5],
        "overlap": 0.25, "mirror": false,
        "threshold": 0.5, "context_factor": 1.0
    });
    std::fs::write(dir.path().join("bundle.json"), manifest.to_string()).unwrap();
    let engine = Engine::open(
        dir.path(),
        &EngineOptions::default().with_device(Device::Cpu),
        &Run::default(),
    )
    .unwrap();

    let affine = [
        [0.5, 0.0, 0.0, -128.0],
        [0.0, 0.5, 0.0, -128.0],
        [0.0, 0.0, 4.0, 0.0],
        [0.0, 0.0, 0.0, 1.0],
    ];
    let grid = Grid::from_affine([512, 512, 40], &affine).unwrap();
    let volume = |sequence: usize| {
        let voxels = Array3::from_shape_fn(grid.shape(), |(k, j, i)| {
            ((k + j / 8 + i / 8 + sequence) % 40) as f32 * 6.0
        });
        Arc::new(Volume::new(voxels, grid.clone(), Source::Memory, "made").unwrap())
    };
    let study =
        Study::new([volume(0), volume(1), volume(2)], &StudyOptions::default(), &Run::default())
            .unwrap();
    let detection = engine.detect(&study, &DetectOptions::default(), &Run::default()).unwrap();

    let voxels = 512 * 512 * 40;
    // The probability block and the probability, of four bytes a voxel, and the mask, of one.
    let expected = 2 * 4 * voxels + voxels;
    let peak = bound::bounded(&[], false, |_| {
        let found = engine.segment(&study, &detection, &Run::default()).unwrap();
        // The block's voxels are T1C's own: the result equals what the network returns.
        let t1c = study.canonical(nasoseg::Sequence::T1C);
        let worst = found
            .probability
            .iter()
            .zip(t1c)
            .map(|(p, v)| (p - v / 250.0).abs())
            .fold(0f32, f32::max);
        assert!(worst < 1e-5, "{worst}");
        expected
    });
    println!(
        "{} MiB at most, {} of them the block, the probability and the mask",
        peak / MIB,
        expected / MIB
    );
    assert!(peak < expected + 24 * MIB, "{peak}");
}
