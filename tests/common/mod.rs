//! What several tests need: the micro bundle, and a synthetic trio of sequences as NIfTI or DICOM.
#![allow(dead_code, unused_imports, unused_macros)]

pub mod abi;
pub mod data;
pub mod golden;

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use dicom_core::{DataElement, PrimitiveValue, VR};
use dicom_dictionary_std::{tags, uids};
use dicom_object::{FileMetaTableBuilder, InMemDicomObject};
use nasoseg::formats::nifti::write_nifti;
use nasoseg::geometry::Grid;
use ndarray::Array3;

pub use data::shared;

pub fn micro() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/micro")
}

/// Runs a Python judge of tests/judges, which must agree; says so if no interpreter is named by
/// NASOSEG_TEST_PYTHON.
pub fn judge(script: &str, arguments: &[&str]) {
    let Ok(python) = std::env::var("NASOSEG_TEST_PYTHON") else {
        eprintln!("SKIPPED: {script} needs NASOSEG_TEST_PYTHON (make test sets it)");
        return;
    };
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/judges").join(script);
    let output = Command::new(python).arg(path).args(arguments).output().unwrap();
    assert!(output.status.success(), "{script}: {}{}", text(&output.stdout), text(&output.stderr));
    println!("{}", text(&output.stdout));
}

/// Runs the program.
pub fn nasoseg(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_nasoseg")).args(arguments).output().unwrap()
}

pub fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// A head-like blob, another contrast per sequence, at a patient point (mm).
fn signal(sequence: usize, [x, y, z]: [f64; 3]) -> f64 {
    let r = ((x / 70.0).powi(2) + (y / 90.0).powi(2) + (z / 120.0).powi(2)).sqrt();
    if r > 1.0 {
        return 0.0;
    }
    let texture = (x / 9.0).sin() * (y / 11.0).cos() * (z / 14.0 + sequence as f64).cos();
    let lesion = (-((x - 8.0).powi(2) + (y + 10.0).powi(2)) / 250.0 - z * z / 200.0).exp();
    let weight = [-60.0, 260.0, 120.0][sequence];
    (300.0 + 40.0 * sequence as f64 + 80.0 * texture + weight * lesion).max(1.0)
}

pub struct Trio {
    pub dir: tempfile::TempDir,
    pub slices: usize,
}

/// In-plane matrix, pixel and slices of the synthetic sequences.
pub const SIZE: [usize; 3] = [72, 80, 6];
const PIXEL: f64 = 3.0;
const STEP: f64 = 6.0;

pub fn affine() -> [[f64; 4]; 4] {
    let half = |n: usize, s: f64| -(n as f64 - 1.0) / 2.0 * s;
    [
        [PIXEL, 0.0, 0.0, half(SIZE[0], PIXEL)],
        [0.0, PIXEL, 0.0, half(SIZE[1], PIXEL)],
        [0.0, 0.0, STEP, half(SIZE[2], STEP)],
        [0.0, 0.0, 0.0, 1.0],
    ]
}

pub fn voxels(sequence: usize, grid: &Grid) -> Array3<f32> {
    Array3::from_shape_fn(grid.shape(), |(k, j, i)| {
        signal(sequence, grid.point(i as f64, j as f64, k)).round() as f32
    })
}

/// A head of fat and muscle with an airway and a lesion beneath it, at a patient point (mm).
/// tests/ctest/study.h makes the same in C.
fn head(sequence: usize, [x, y, z]: [f64; 3]) -> f64 {
    let inside = |r: f64| 1.0 / (1.0 + (-8.0 * (1.0 - r)).exp());
    let head = ((x / 78.0) * (x / 78.0) + (y / 96.0) * (y / 96.0)).sqrt();
    if head > 1.0 {
        return 5.0;
    }
    let [fat, muscle, lesion] =
        [[950.0, 350.0, 370.0], [900.0, 350.0, 680.0], [700.0, 200.0, 300.0]][sequence];
    let (u, v, w) = ((x + 4.0 + 0.2 * z) / 16.0, (y + 8.0) / 14.0, (z - 6.0) / 19.0);
    let (a, b) = (x / 14.0, (y + 19.0) / 9.0);
    let mut value =
        if head > 0.9 { fat } else { muscle * (1.0 + 0.08 * ((x / 9.0).sin() * (y / 11.0).cos())) };
    value += (10.0 - value) * inside((a * a + b * b).sqrt());
    value + (lesion - value) * inside((u * u + v * v + w * w).sqrt())
}

/// The head on a grid.
pub fn head_voxels(sequence: usize, grid: &Grid) -> Array3<f32> {
    Array3::from_shape_fn(grid.shape(), |(k, j, i)| {
        head(sequence, grid.point(i as f64, j as f64, k)).round() as f32
    })
}

impl Trio {
    /// t1.nii.gz, t1c.nii.gz, t2.nii.gz.
    pub fn nifti() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let grid = Grid::from_affine(SIZE, &affine()).unwrap();
        for (sequence, name) in ["t1", "t1c", "t2"].into_iter().enumerate() {
            write_nifti(
                &dir.path().join(format!("{name}.nii.gz")),
                voxels(sequence, &grid).view(),
                &grid,
                "test",
            )
            .unwrap();
        }
        Trio { dir, slices: SIZE[2] }
    }

    /// Folders t1, t1c, t2 of single-frame MR images; `change(sequence, slice, object)` may alter
    /// any of them.
    pub fn dicom(change: impl Fn(usize, usize, &mut InMemDicomObject)) -> Self {
        let dir = tempfile::tempdir().unwrap();
        for sequence in 0..3 {
            let folder = dir.path().join(["t1", "t1c", "t2"][sequence]);
            std::fs::create_dir(&folder).unwrap();
            write_series(&folder, sequence, &|slice, object| change(sequence, slice, object));
        }
        Trio { dir, slices: SIZE[2] }
    }

    pub fn path(&self, name: &str) -> String {
        self.dir.path().join(name).display().to_string()
    }

    /// The arguments of the three sequences; `suffix` is "" for DICOM folders and ".nii.gz" for
    /// NIfTI.
    pub fn arguments(&self, suffix: &str) -> Vec<String> {
        ["t1", "t1c", "t2"]
            .iter()
            .flat_map(|n| [format!("--{n}"), self.path(&format!("{n}{suffix}"))])
            .collect()
    }

    /// `nasoseg run` with the micro bundle on the CPU.
    pub fn run(&self, suffix: &str, out: &Path, more: &[&str]) -> Output {
        let mut arguments = vec!["run".to_owned()];
        arguments.extend(self.arguments(suffix));
        arguments.extend([
            "--bundle".into(),
            micro().display().to_string(),
            "--out".into(),
            out.display().to_string(),
        ]);
        arguments.extend(["--device".to_owned(), "cpu".into()]);
        arguments.extend(more.iter().map(|a| (*a).to_owned()));
        nasoseg(&arguments.iter().map(String::as_str).collect::<Vec<_>>())
    }
}

/// One series of single-frame MR images, files named against the slice order.
pub fn write_series(folder: &Path, sequence: usize, change: &dyn Fn(usize, &mut InMemDicomObject)) {
    let grid = Grid::from_affine(SIZE, &affine()).unwrap();
    let array = voxels(sequence, &grid);
    let root = "1.2.826.0.1.3680043.10.4321";
    for slice in 0..SIZE[2] {
        let position = grid.point(0.0, 0.0, slice);
        let uid = format!("{root}.{}.{}", sequence + 1, slice + 1);
        let pixels: Vec<u16> =
            array.index_axis(ndarray::Axis(0), slice).iter().map(|v| *v as u16).collect();
        let s = |tag, vr, value: &str| DataElement::new(tag, vr, PrimitiveValue::from(value));
        let u = |tag, value: u16| DataElement::new(tag, VR::US, PrimitiveValue::from(value));
        let numbers =
            |v: &[f64]| v.iter().map(|x| format!("{x:.4}")).collect::<Vec<_>>().join("\\");
        let mut object = InMemDicomObject::from_element_iter([
            s(tags::SOP_CLASS_UID, VR::UI, uids::MR_IMAGE_STORAGE),
            s(tags::SOP_INSTANCE_UID, VR::UI, &uid),
            s(tags::MODALITY, VR::CS, "MR"),
            s(tags::PATIENT_NAME, VR::PN, "TEST^PATIENT"),
            s(tags::PATIENT_ID, VR::LO, "T-1"),
            s(tags::PATIENT_BIRTH_DATE, VR::DA, "19700101"),
            s(tags::PATIENT_SEX, VR::CS, "O"),
            s(tags::STUDY_INSTANCE_UID, VR::UI, &format!("{root}.0")),
            s(tags::SERIES_INSTANCE_UID, VR::UI, &format!("{root}.{}", sequence + 1)),
            s(tags::FRAME_OF_REFERENCE_UID, VR::UI, &format!("{root}.9")),
            s(tags::SERIES_DESCRIPTION, VR::LO, ["t1", "t1c", "t2"][sequence]),
            s(tags::STUDY_DATE, VR::DA, "20260101"),
            s(tags::STUDY_TIME, VR::TM, "120000"),
            s(tags::STUDY_ID, VR::SH, "1"),
            s(tags::ECHO_TIME, VR::DS, ["11.8", "11.8", "99"][sequence]),
            s(tags::REPETITION_TIME, VR::DS, ["540", "540", "4000"][sequence]),
            s(tags::IMAGE_POSITION_PATIENT, VR::DS, &numbers(&position)),
            s(tags::IMAGE_ORIENTATION_PATIENT, VR::DS, "1\\0\\0\\0\\1\\0"),
            s(tags::PIXEL_SPACING, VR::DS, &numbers(&[PIXEL, PIXEL])),
            s(tags::SLICE_THICKNESS, VR::DS, "5"),
            s(tags::INSTANCE_NUMBER, VR::IS, &(SIZE[2] - slice).to_string()),
            s(tags::PHOTOMETRIC_INTERPRETATION, VR::CS, "MONOCHROME2"),
            u(tags::SAMPLES_PER_PIXEL, 1),
            u(tags::ROWS, SIZE[1] as u16),
            u(tags::COLUMNS, SIZE[0] as u16),
            u(tags::BITS_ALLOCATED, 16),
            u(tags::BITS_STORED, 16),
            u(tags::HIGH_BIT, 15),
            u(tags::PIXEL_REPRESENTATION, 0),
            DataElement::new(tags::PIXEL_DATA, VR::OW, PrimitiveValue::U16(pixels.into())),
        ]);
        if sequence == 1 {
            object.put(s(tags::CONTRAST_BOLUS_AGENT, VR::LO, "Gd"));
        }
        change(slice, &mut object);
        let meta = FileMetaTableBuilder::new()
            .transfer_syntax(uids::EXPLICIT_VR_LITTLE_ENDIAN)
            .media_storage_sop_class_uid(uids::MR_IMAGE_STORAGE)
            .media_storage_sop_instance_uid(uid);
        let name = format!("{:02}.dcm", (slice * 5 + 3) % 7);
        object.with_meta(meta).unwrap().write_to_file(folder.join(name)).unwrap();
    }
}

/// Replaces a text element.
pub fn put(object: &mut InMemDicomObject, tag: dicom_core::Tag, vr: VR, value: &str) {
    object.put(DataElement::new(tag, vr, PrimitiveValue::from(value)));
}
