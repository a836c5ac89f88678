//! DICOM in all 48 layouts: the 16 whose planes are axial give the same result; the 32 others are
//! refused, or resliced if requested.

use std::path::{Path, PathBuf};

use nasoseg::formats::{ReadOptions, read};
use nasoseg::volume::Volume;
use serde_json::{Value, json};

use crate::abi::{Engine, Input, View};
use crate::layouts::{DOUBLE_OBLIQUE, Layout, OBLIQUE, STRAIGHT, Stored, others, t1c};
use crate::outcome::Outcome;

/// A series to be written by pydicom.
pub struct Series<'a> {
    pub name: String,
    pub stored: &'a Stored,
    pub patient_position: &'a str,
    /// Sign of Spacing Between Slices.
    pub sign: f64,
}

/// Whether the judges' Python is available; reports if it is not.
pub fn python() -> bool {
    let there = std::env::var_os("NASOSEG_TEST_PYTHON").is_some();
    if !there {
        eprintln!("SKIPPED: DICOM in all layouts needs NASOSEG_TEST_PYTHON (make test sets it)");
    }
    there
}

/// Writes every series to its own folder under `dir`.
pub fn write(dir: &Path, series: &[Series]) -> Vec<PathBuf> {
    let mut description = Vec::new();
    let mut folders = Vec::new();
    for (n, s) in series.iter().enumerate() {
        let (voxels, folder) = (dir.join(format!("{}.u16", s.name)), dir.join(&s.name));
        let bytes: Vec<u8> =
            s.stored.voxels.iter().flat_map(|v| (*v as u16).to_le_bytes()).collect();
        std::fs::write(&voxels, bytes).unwrap();
        description.push(json!({
            "name": s.name, "number": n + 11, "folder": folder, "voxels": voxels,
            "size": s.stored.size, "affine": s.stored.affine,
            "patient_position": s.patient_position, "sign": s.sign,
        }));
        folders.push(folder);
    }
    let file = dir.join("series.json");
    std::fs::write(&file, Value::from(description).to_string()).unwrap();
    crate::common::judge("write_layouts.py", &[file.to_str().unwrap()]);
    folders
}

pub fn series(folder: &Path) -> Volume {
    read(&[folder.to_owned()], &ReadOptions::default()).unwrap()
}

/// The input of planes_check.py for a structure set; `mask` is in the order of the volume of
/// `images`.
pub fn case(name: &str, rtstruct: &Path, images: &Path, mask: &[u8], judges: &[&str]) -> Value {
    let volume = series(images);
    let (grid, dicom) = (volume.grid(), volume.dicom().unwrap());
    let raw = rtstruct.with_extension("mask");
    std::fs::write(&raw, mask).unwrap();
    let slices: Vec<_> = dicom
        .slices
        .iter()
        .map(|s| {
            json!({
                "uid": s.sop_instance_uid, "frame": s.frame, "position": s.position,
                "orientation": s.orientation,
            })
        })
        .collect();
    json!({
        "name": name, "rtstruct": rtstruct, "images": images, "mask": raw, "size": grid.size(),
        "axis_i": grid.axis_i(), "axis_j": grid.axis_j(), "slices": slices,
        "series": dicom.series_instance_uid, "sop_class": dicom.sop_class_uid,
        "frame_of_reference": dicom.frame_of_reference_uid, "holes": "keyhole", "judges": judges,
    })
}

pub fn judge(dir: &Path, cases: Vec<Value>) {
    let file = dir.join("cases.json");
    std::fs::write(&file, Value::from(cases).to_string()).unwrap();
    crate::common::judge("planes_check.py", &[file.to_str().unwrap()]);
}

const POSITIONS: [&str; 8] = ["HFS", "HFP", "HFDR", "HFDL", "FFS", "FFP", "FFDR", "FFDL"];

#[test]
fn axial_planes_in_16_layouts() {
    axial_planes(&[DOUBLE_OBLIQUE]);
}

#[test]
#[ignore = "the other tilts: make test-orientation"]
fn axial_planes_in_every_tilt() {
    axial_planes(&[STRAIGHT, OBLIQUE]);
}

fn axial_planes(tilts: &[[f64; 3]]) {
    if !python() {
        return;
    }
    let (engine, others) = (Engine::new(), others());
    for turns in tilts.iter().copied() {
        let dir = tempfile::tempdir().unwrap();
        let patient = t1c(turns);
        let expected = engine.run(&others, &Input::View(View::of(&patient)), None).unwrap();
        let layouts: Vec<Layout> = Layout::all().into_iter().filter(Layout::is_axial).collect();
        assert_eq!(layouts.len(), 16);
        let stored: Vec<Stored> = layouts.iter().map(|l| patient.turned(l)).collect();
        let all: Vec<Series> = (0..16)
            .map(|n| Series {
                name: layouts[n].name(),
                stored: &stored[n],
                patient_position: POSITIONS[n % 8],
                // Negative if the files run against the image's normal.
                sign: if layouts[n].is_right_handed() { 1.0 } else { -1.0 },
            })
            .collect();
        let mut cases = Vec::new();
        let mut worst = (0.0f64, 0.0f64);
        for (n, folder) in write(dir.path(), &all).iter().enumerate() {
            let rtstruct = dir.path().join(format!("{}.dcm", all[n].name));
            let found =
                engine.run_and_write(&others, &Input::Path(folder), None, Some(&rtstruct)).unwrap();
            let off = expected.must_be(&found, &format!("DICOM {}", all[n].name));
            worst = (worst.0.max(off.0), worst.1.max(off.1));
            // Every in-plane order once, and both directions of the slices.
            if n % 3 == 0 {
                cases.push(case(&all[n].name, &rtstruct, folder, &found.mask, &["plastimatch"]));
            }
        }
        judge(dir.path(), cases);
        println!(
            "{turns:?} DICOM, 16 layouts: probability within {:.1e}, contours within {:.1e} mm",
            worst.0, worst.1
        );
    }
}

/// Image Orientation (Patient) is in patient coordinates in every patient position: the word alone
/// changes no bit.
#[test]
fn the_patient_s_position_changes_nothing() {
    if !python() {
        return;
    }
    let (engine, others, dir) = (Engine::new(), others(), tempfile::tempdir().unwrap());
    let stored = t1c(OBLIQUE);
    let all: Vec<Series> = POSITIONS
        .iter()
        .map(|p| Series { name: (*p).into(), stored: &stored, patient_position: p, sign: 1.0 })
        .collect();
    let mut first: Option<Outcome> = None;
    let mut cases = Vec::new();
    for (folder, position) in write(dir.path(), &all).iter().zip(POSITIONS) {
        let rtstruct = dir.path().join(format!("{position}.dcm"));
        let found =
            engine.run_and_write(&others, &Input::Path(folder), None, Some(&rtstruct)).unwrap();
        cases.push(case(position, &rtstruct, folder, &found.mask, &["plastimatch"]));
        match &first {
            None => first = Some(found),
            Some(first) => {
                assert_eq!(first.grid, found.grid, "{position}");
                assert!(
                    first.probability == found.probability && first.mask == found.mask,
                    "{position}"
                );
                assert!(first.rings == found.rings && first.boxes == found.boxes, "{position}");
            }
        }
    }
    judge(dir.path(), cases);
}

#[test]
fn other_planes_in_32_layouts() {
    // Resliced, a fourth of them; each in-plane order of both planes is among them.
    other_planes(&[DOUBLE_OBLIQUE], 5);
}

#[test]
#[ignore = "every layout and tilt resliced: make test-orientation"]
fn other_planes_in_every_tilt() {
    other_planes(&[STRAIGHT, OBLIQUE, DOUBLE_OBLIQUE], 1);
}

fn other_planes(tilts: &[[f64; 3]], resliced: usize) {
    if !python() {
        return;
    }
    let (engine, others) = (Engine::new(), others());
    for turns in tilts.iter().copied() {
        let dir = tempfile::tempdir().unwrap();
        let patient = t1c(turns);
        let layouts: Vec<Layout> = Layout::all().into_iter().filter(|l| !l.is_axial()).collect();
        assert_eq!(layouts.len(), 32);
        let stored: Vec<Stored> = layouts.iter().map(|l| patient.turned(l)).collect();
        let all: Vec<Series> = (0..32)
            .map(|n| Series {
                name: layouts[n].name(),
                stored: &stored[n],
                patient_position: POSITIONS[n % 8],
                sign: 1.0,
            })
            .collect();
        // One result for sagittal planes and one for coronal ones: contours lie on the original
        // planes.
        let mut expected: [Option<Outcome>; 2] = [None, None];
        let mut cases = Vec::new();
        let mut worst = (0.0f64, 0.0f64);
        for (n, folder) in write(dir.path(), &all).iter().enumerate() {
            let (name, input) = (&all[n].name, Input::Path(folder));
            let plane = layouts[n].axes[2];
            let (status, message) = engine.run(&others, &input, None).err().unwrap();
            assert_eq!(status, 4, "{name}");
            let word = ["sagittal", "coronal"][plane];
            assert!(
                message.contains(word) && message.contains("--reslice axial"),
                "{name}: {message}"
            );

            if n % resliced != 0 {
                continue;
            }
            let rtstruct = dir.path().join(format!("{name}.dcm"));
            let found = engine.run_and_write(&others, &input, Some(4.0), Some(&rtstruct)).unwrap();
            assert!(
                found.warnings.iter().any(|w| w.contains("resampled to") && w.contains(word)),
                "{:?}",
                found.warnings
            );
            assert!(found.storage_slices.iter().all(|s| *s == usize::MAX));
            assert!(found.positions_mm.windows(2).all(|z| (z[1] - z[0] - 4.0).abs() < 1e-9));
            for (ring, slice) in found.rings.iter().zip(&found.ring_slices) {
                let locator = found.grid.locator();
                assert!(
                    ring.iter().all(|p| (locator.index(*p)[2] - *slice as f64).abs() < 1e-6),
                    "{name}: off its plane"
                );
            }
            if n % 5 == 0 {
                cases.push(case(name, &rtstruct, folder, &found.mask, &["plastimatch"]));
            }
            match &expected[plane] {
                None => {
                    found.must_be_worth_comparing();
                    expected[plane] = Some(found);
                }
                Some(expected) => {
                    let off = expected.must_be(&found, &format!("DICOM {name}"));
                    worst = (worst.0.max(off.0), worst.1.max(off.1));
                }
            }
        }
        judge(dir.path(), cases);
        println!(
            "{turns:?} DICOM, 32 layouts, resliced: probability within {:.1e}, contours within \
             {:.1e} mm",
            worst.0, worst.1
        );
        let [sagittal, coronal] = expected.map(Option::unwrap);
        // The mask does not depend on how its planes were stored.
        assert!(
            (sagittal.volume_mm3 / coronal.volume_mm3 - 1.0).abs() < 1e-3,
            "{} {}",
            sagittal.volume_mm3,
            coronal.volume_mm3
        );
    }
}
