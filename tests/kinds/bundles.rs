//! The bundles of tests/data, changed copies of them, and the small study.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use nasoseg::bundle::manifest::FitKind;
use nasoseg::geometry::{Grid, Reslice};
use nasoseg::volume::Source;
use nasoseg::{
    DetectOptions, Detection, Device, Engine, EngineOptions, Run, Study, StudyOptions, Volume,
};
use ndarray::{Array1, Array3, Array4, Axis};
use ndarray_npy::{NpzReader, ReadableElement};
use serde_json::{Value, json};

pub const KINDS: [&str; 3] = ["fixed", "proposals", "volume"];

pub fn data(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data").join(name)
}

pub fn open(dir: &Path) -> nasoseg::Result<Engine> {
    Engine::open(dir, &EngineOptions::default().with_device(Device::Cpu), &Run::default())
}

pub fn read<T: ReadableElement, D: ndarray::Dimension>(
    file: &str,
    name: &str,
) -> ndarray::Array<T, D> {
    NpzReader::new(std::fs::File::open(data("kinds").join(file)).unwrap())
        .unwrap()
        .by_name(name)
        .unwrap()
}

/// A study of three volumes on one grid.
pub fn study_of(voxels: [Array3<f32>; 3], grid: &Grid, reslice: Reslice) -> Study {
    let volumes = voxels
        .map(|voxels| Arc::new(Volume::new(voxels, grid.clone(), Source::Memory, "made").unwrap()));
    let mut options = StudyOptions::default();
    options.reslice = reslice;
    Study::new(volumes, &options, &Run::default()).unwrap()
}

/// The small study of tests/data/kinds.py: nine slices, unevenly spaced.
pub fn small_study() -> Study {
    let volumes: Array4<i16> = read("study.npz", "volumes");
    let (spacing, places): (Array1<f64>, Array1<f64>) =
        (read("study.npz", "spacing_mm"), read("study.npz", "places_mm"));
    let (_, nk, nj, ni) = volumes.dim();
    let start = |n: usize, mm: f64| -((n - 1) as f64) / 2.0 * mm;
    let origins =
        places.iter().map(|z| [start(ni, spacing[1]), start(nj, spacing[0]), *z]).collect();
    let grid =
        Grid::new([ni, nj, nk], [spacing[1], 0.0, 0.0], [0.0, spacing[0], 0.0], origins).unwrap();
    study_of(
        [0, 1, 2].map(|c| volumes.index_axis(Axis(0), c).mapv(f32::from)),
        &grid,
        Reslice::Never,
    )
}

pub fn detect(engine: &Engine, study: &Study) -> Detection {
    engine.detect(study, &DetectOptions::default(), &Run::default()).unwrap()
}

/// A copy of a bundle with a change; the caller updates the sums of changed files.
pub fn changed_bundle(kind: &str, dir: &Path, edit: impl FnOnce(&mut Value, &Path)) -> PathBuf {
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

/// Updates the sum of a changed file in the manifest.
pub fn update_sum(manifest: &mut Value, dir: &Path, file: &str) {
    use sha2::Digest;
    let sum = sha2::Sha256::digest(std::fs::read(dir.join(file)).unwrap());
    manifest["files"][file] = sum.iter().map(|b| format!("{b:02x}")).collect::<String>().into();
}

/// An engine whose volume network returns T1C, with any fit, detector and window.
pub fn window_engine(dir: &Path, fit: &FitKind, detector: &Value, segmenter: Value) -> Engine {
    let edit = |manifest: &mut Value, dir: &Path| {
        std::fs::copy(data("kinds").join("window.onnx"), dir.join("segmenter.onnx")).unwrap();
        update_sum(manifest, dir, "segmenter.onnx");
        manifest["input"]["fit"] = serde_json::to_value(fit).unwrap();
        manifest["input"]["channels"]
            .as_array_mut()
            .unwrap()
            .iter_mut()
            .for_each(|c| c["scaling"]["value"] = 1.0.into());
        manifest["detector"] = detector.clone();
        manifest["segmenter"] = json!({
            "kind": "volume", "graph": "segmenter.onnx", "threshold": 0.5, "context_factor": 1.0});
        manifest["segmenter"]
            .as_object_mut()
            .unwrap()
            .extend(segmenter.as_object().unwrap().clone());
    };
    open(&changed_bundle("volume", dir, edit)).unwrap()
}
