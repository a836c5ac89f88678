//! Real series compared with third-party readers: the same voxels and the same geometry, or an
//! error with its reason.
//!
//! Skipped if the real images (docs/reference/test-data.md) or the judges' Python
//! (`NASOSEG_TEST_PYTHON`) are missing.

mod common;

use std::path::{Path, PathBuf};
use std::process::Command;

use common::shared;
use nasoseg::formats::{ReadOptions, read};
use nasoseg::volume::Volume;

fn judge() -> Option<String> {
    let python = std::env::var("NASOSEG_TEST_PYTHON").ok();
    if python.is_none() {
        println!("skipped: NASOSEG_TEST_PYTHON is not set");
    }
    python
}

fn load(path: &Path) -> nasoseg::Result<Volume> {
    read(&[path.to_path_buf()], &ReadOptions::default())
}

/// Largest differences between our volume and a judge's.
struct Difference {
    /// Relative to the value if it is above 1, absolute otherwise.
    voxel: f64,
    axis_mm: f64,
    origin_mm: f64,
}

fn compare(volume: &Volume, python: &str, reader: &str, path: &Path) -> Difference {
    let out = tempfile::tempdir().unwrap();
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/judges/read_series.py");
    let run =
        Command::new(python).arg(script).arg(reader).arg(path).arg(out.path()).output().unwrap();
    assert!(
        run.status.success(),
        "{reader} on {}: {}",
        path.display(),
        String::from_utf8_lossy(&run.stderr)
    );
    let summary: serde_json::Value =
        serde_json::from_slice(&std::fs::read(out.path().join("volume.json")).unwrap()).unwrap();
    let numbers = |v: &serde_json::Value| {
        v.as_array().unwrap().iter().map(|x| x.as_f64().unwrap()).collect::<Vec<_>>()
    };
    let size: Vec<usize> = numbers(&summary["size"]).iter().map(|n| *n as usize).collect();
    let grid = volume.grid();
    assert_eq!(size, grid.size(), "{reader} on {}", path.display());

    let bytes = std::fs::read(out.path().join("volume.f64")).unwrap();
    let theirs = bytes.chunks_exact(8).map(|b| f64::from_le_bytes(b.try_into().unwrap()));
    let ours = volume.voxels().iter();
    assert_eq!(theirs.len(), ours.len());
    let voxel =
        ours.zip(theirs).map(|(a, b)| (*a as f64 - b).abs() / b.abs().max(1.0)).fold(0.0, f64::max);
    let far =
        |a: &[f64], b: &[f64]| a.iter().zip(b).map(|(x, y)| (x - y).abs()).fold(0.0, f64::max);
    let axis_mm = far(&grid.axis_i(), &numbers(&summary["axis_i"]))
        .max(far(&grid.axis_j(), &numbers(&summary["axis_j"])));
    let origins = summary["origins"].as_array().unwrap();
    let origin_mm =
        grid.origins().iter().zip(origins).map(|(a, b)| far(a, &numbers(b))).fold(0.0, f64::max);
    println!(
        "{reader:8} voxels {voxel:.1e} axes {axis_mm:.1e} mm origins {origin_mm:.1e} mm  {}",
        path.display()
    );
    Difference { voxel, axis_mm, origin_mm }
}

/// Folders that are read.
const SERIES: [&str; 14] = [
    "dicom_mr_sagittal",
    "dicom_mr_positions/hfp",
    "dicom_mr_positions/hfdl",
    "dicom_mr_enhanced",
    "dicom_mr_codecs/generic/anatomical/001",
    "dicom_mr_codecs/generic/anatomical/001_implicit",
    "dicom_mr_codecs/generic/compressed_j2k/001",
    "dicom_mr_codecs/generic/compressed_jpeg/001",
    "dicom_mr_codecs/generic/compressed_jpegls/001",
    "dicom_mr_codecs/generic/compressed_rle/001",
    "dicom_mr_codecs/hitachi/anatomical/001",
    "dicom_mr_codecs/hyperfine/anatomical/001",
    "dicom_mr_codecs/philips_enhanced/anatomical/001",
    "dicom_mr_codecs/siemens_multiframe/anatomical/001",
];

#[test]
fn dicom_series_equal_pydicom_and_simpleitk() {
    let Some(python) = judge() else { return };
    for folder in SERIES {
        let Some(path) = shared(folder) else { continue };
        let volume = load(&path).unwrap_or_else(|e| panic!("{}", e.chain()));
        let d = compare(&volume, &python, "pydicom", &path);
        assert!(d.voxel <= 1e-6 && d.axis_mm <= 1e-9 && d.origin_mm <= 1e-9, "{folder}");
        // SimpleITK makes the cosines orthonormal and averages the slice distance: rounded headers
        // differ by that much.
        let d = compare(&volume, &python, "sitk", &path);
        assert!(d.voxel <= 1e-6 && d.axis_mm <= 1e-5 && d.origin_mm <= 2e-3, "{folder}");
    }
}

#[test]
fn the_same_series_stored_in_other_ways_equals_pydicom_and_simpleitk() {
    let (Some(python), Some(source)) = (judge(), shared("dicom_mr_positions/hfp")) else { return };
    let out = tempfile::tempdir().unwrap();
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/judges/recode.py");
    let run = Command::new(&python).arg(script).arg(&source).arg(out.path()).output().unwrap();
    assert!(run.status.success(), "{}", String::from_utf8_lossy(&run.stderr));
    let mut ways: Vec<PathBuf> =
        std::fs::read_dir(out.path()).unwrap().map(|e| e.unwrap().path()).collect();
    ways.sort();
    assert!(ways.len() > 10);
    for path in ways {
        let volume = load(&path).unwrap_or_else(|e| panic!("{}", e.chain()));
        for reader in ["pydicom", "sitk"] {
            let d = compare(&volume, &python, reader, &path);
            assert!(
                d.voxel == 0.0 && d.axis_mm <= 1e-9 && d.origin_mm <= 1e-9,
                "{reader} on {}",
                path.display()
            );
        }
    }
}

#[test]
fn what_dcmtk_and_gdcm_store_equals_the_original() {
    let Some(python) = judge() else { return };
    for (folder, slices) in [("dicom_mr_positions/hfp", 4), ("dicom_mr_enhanced", 96)] {
        let Some(source) = shared(folder) else { return };
        let original = load(&source).unwrap();
        let out = tempfile::tempdir().unwrap();
        let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/judges/recode_tools.py");
        let run = Command::new(&python).arg(script).arg(&source).arg(out.path()).output().unwrap();
        assert!(run.status.success(), "{}", String::from_utf8_lossy(&run.stderr));
        print!("{}", String::from_utf8_lossy(&run.stdout));
        for path in std::fs::read_dir(out.path()).unwrap().map(|e| e.unwrap().path()) {
            let volume = load(&path).unwrap_or_else(|e| panic!("{}", e.chain()));
            let name = path.file_name().unwrap().to_str().unwrap().to_owned();
            // GDCM writes the frames of a multi-frame image at equal distances, their mean.
            let places = |v: &Volume| {
                [v.grid().axis_i(), v.grid().axis_j()]
                    .into_iter()
                    .chain(v.grid().origins().to_vec())
                    .flatten()
                    .collect()
            };
            let (found, expected): (Vec<f64>, Vec<f64>) = (places(&volume), places(&original));
            let off_mm =
                found.iter().zip(&expected).map(|(a, b)| (a - b).abs()).fold(0.0, f64::max);
            assert!(
                off_mm <= if name.starts_with("gdcm") { 1e-3 } else { 0.0 },
                "{name}: {off_mm} mm"
            );
            let near = if name.contains("near_") { 3.0 } else { 0.0 };
            let far = volume
                .voxels()
                .iter()
                .zip(original.voxels())
                .map(|(a, b)| (a - b).abs())
                .fold(0.0, f32::max);
            assert!(far <= near && volume.grid().size()[2] == slices, "{name}: {far}");
        }
    }
}

#[test]
fn dicom_slices_carry_their_own_headers() {
    let Some(path) = shared("dicom_mr_codecs/siemens_multiframe/anatomical/001") else { return };
    let volume = load(&path).unwrap();
    let series = volume.dicom().unwrap();
    assert_eq!(series.slices.len(), 8);
    assert_eq!(series.slices[1].frame, Some(2));
    assert_eq!(series.slices[1].position, ["-117.054", "-101.65", "-99.6781"]);
    assert_eq!(series.slices[1].orientation[2], "0.0405505");
    assert_eq!(series.frame_of_reference_uid, None);
    assert_eq!(series.echo_time_ms, Some(2.46));

    let Some(path) = shared("dicom_mr_sagittal") else { return };
    let volume = load(&path).unwrap();
    let series = volume.dicom().unwrap();
    // Row x column is (-1, 0, 0): slices go from the left to the right.
    assert_eq!(series.slices[0].position, ["81.599998474121", "-130", "130"]);
    assert!(series.slices[0].path.file_name().unwrap().to_str().unwrap().starts_with("0035_"));
    assert_eq!(series.header_file, series.slices[0].path);
    assert!(series.frame_of_reference_uid.is_some());
    assert_eq!(series.slices[0].frame, None);
}

#[test]
fn a_list_of_files_equals_its_folder_in_any_order() {
    let Some(path) = shared("dicom_mr_positions/hfp") else { return };
    let mut files: Vec<PathBuf> =
        std::fs::read_dir(&path).unwrap().map(|e| e.unwrap().path()).collect();
    files.sort();
    files.rotate_left(2);
    let (a, b) = (load(&path).unwrap(), read(&files, &ReadOptions::default()).unwrap());
    assert_eq!(a.grid(), b.grid());
    assert_eq!(a.voxels(), b.voxels());
    assert_eq!(a.dicom().unwrap().slices, b.dicom().unwrap().slices);
}

#[test]
fn bytes_of_a_multi_frame_file_equal_the_file() {
    let Some(path) =
        shared("dicom_mr_codecs/philips_enhanced/anatomical/001/IM-0001-0170-0001.dcm")
    else {
        return;
    };
    let bytes = std::fs::read(&path).unwrap();
    let volume = nasoseg::formats::dicom::read_bytes(&bytes, &path).unwrap();
    assert_eq!(volume.voxels(), load(&path).unwrap().voxels());
    for length in [bytes.len() - 1, bytes.len() / 2, 3000, 200] {
        let error = nasoseg::formats::dicom::read_bytes(&bytes[..length], &path).unwrap_err();
        assert!(error.to_string().contains("IM-0001-0170-0001.dcm"), "{error}");
    }
}

#[test]
fn every_codec_gives_the_same_voxels() {
    let folder = |codec: &str| shared(&format!("dicom_mr_codecs/generic/compressed_{codec}/001"));
    let Some(rle) = folder("rle").map(|p| load(&p).unwrap()) else { return };
    for codec in ["j2k", "jpeg", "jpegls"] {
        let Some(path) = folder(codec) else { return };
        let other = load(&path).unwrap();
        assert!(other.voxels() == rle.voxels() && other.grid() == rle.grid(), "{codec}");
    }
}

#[test]
fn two_series_are_listed_and_one_can_be_chosen() {
    let generic = "dicom_mr_codecs/generic/anatomical";
    let (Some(a), Some(b)) =
        (shared(&format!("{generic}/001")), shared(&format!("{generic}/001_implicit")))
    else {
        return;
    };
    let files: Vec<PathBuf> = [&a, &b]
        .iter()
        .flat_map(|f| std::fs::read_dir(f).unwrap().map(|e| e.unwrap().path()))
        .collect();
    let error = read(&files, &ReadOptions::default()).unwrap_err().to_string();
    let uid = load(&b).unwrap().dicom().unwrap().series_instance_uid.clone();
    for part in ["2 series were found", "4 images", &uid, "series UID"] {
        assert!(error.contains(part), "{error}");
    }
    let chosen = read(&files, &ReadOptions::default().with_series_uid(&uid)).unwrap();
    assert_eq!(chosen.voxels(), load(&b).unwrap().voxels());
    let error =
        read(&files, &ReadOptions::default().with_series_uid("1.2.3")).unwrap_err().to_string();
    assert!(error.contains("no series has the UID 1.2.3") && error.contains(&uid), "{error}");
}

#[test]
fn what_is_not_one_mr_stack_is_refused() {
    for (path, reasons) in [
        (
            "dicom_mr_codecs/failing/sliceorientation/001",
            &["mixed orientations", "IM-0001-0001-0001.dcm"][..],
        ),
        (
            "dicom_mr_codecs/generic/anatomical",
            &["none of the folder's 1 files is DICOM", "2 subfolders"],
        ),
        (
            "dicom_mr_codecs/hitachi/anatomical/001/001.dcm",
            &["one image only", "at least 2 slices"],
        ),
        ("rtstruct/plastimatch_lctsc", &["not an MR image", "CT01.dcm"]),
        ("rtstruct/dicompyler/ct.0.dcm", &["not an MR image", "CT"]),
        ("rtstruct/pydicom_rtstruct.dcm", &["no image", "RTSTRUCT"]),
        ("mr_trio_tcga", &["none of the folder's 3 files is DICOM"]),
        ("tumour_masks/nothing.nii", &["cannot be read"]),
    ] {
        let (top, rest) = path.split_once('/').unwrap_or((path, ""));
        let Some(folder) = shared(top) else { continue };
        let full = if rest.is_empty() { folder } else { folder.join(rest) };
        let error = load(&full).expect_err(path).chain();
        println!("{error}");
        for reason in reasons {
            assert!(error.contains(reason), "{path}: {error}");
        }
        assert!(error.contains(path), "{path}: {error}");
    }
}

#[test]
fn nifti_and_nrrd_equal_nibabel_and_pynrrd() {
    let Some(python) = judge() else { return };
    for (file, readers) in [
        ("mr_trio_tcga/t1.nii.gz", ["nibabel", "sitk"]),
        ("mr_trio_tcga/t1c.nii.gz", ["nibabel", "sitk"]),
        ("mr_trio_tcga/t2.nii.gz", ["nibabel", "sitk"]),
        ("mr_t1c_with_mask/brain1_image.nrrd", ["pynrrd", "sitk"]),
        ("mr_t1c_with_mask/brain2_image.nrrd", ["pynrrd", "sitk"]),
        ("mr_t1c_with_mask/brain1_label.nrrd", ["pynrrd", "sitk"]),
        ("mr_t1c_with_mask/brain2_label.nrrd", ["pynrrd", "sitk"]),
        ("tumour_masks/2_preRT_mask.nii.gz", ["nibabel", "sitk"]),
        ("tumour_masks/95_midRT_mask.nii.gz", ["nibabel", "sitk"]),
        ("dicom_mr_codecs/generic/anatomical/001_ground_truth.nii.gz", ["nibabel", "sitk"]),
    ] {
        let Some(path) = shared(file) else { continue };
        let volume = load(&path).unwrap_or_else(|e| panic!("{}", e.chain()));
        for reader in readers {
            let d = compare(&volume, &python, reader, &path);
            // ITK stores directions as unit vectors: f32 headers differ by their rounding.
            let tolerance = if reader == "sitk" { 1e-4 } else { 1e-6 };
            assert!(
                d.voxel <= 1e-6 && d.axis_mm <= tolerance && d.origin_mm <= tolerance,
                "{file}"
            );
        }
    }
}

#[test]
fn a_dicom_series_lies_where_its_nifti_does() {
    let (Some(folder), Some(nifti)) = (
        shared("dicom_mr_codecs/generic/anatomical/001"),
        shared("dicom_mr_codecs/generic/anatomical/001_ground_truth.nii.gz"),
    ) else {
        return;
    };
    let (a, b) = (load(&folder).unwrap(), load(&nifti).unwrap());
    let locator = b.grid().locator();
    for (index, value) in a.voxels().indexed_iter().step_by(97) {
        let (k, j, i) = index;
        let [x, y, z] =
            locator.index(a.grid().point(i as f64, j as f64, k)).map(|v| v.round() as usize);
        assert_eq!(b.voxels()[[z, y, x]], *value, "{index:?}");
    }
}
