//! Bad input gets an exit code and one paragraph that names the input, what was expected and what
//! to do; nothing is written.

mod common;

use std::path::Path;

use common::{SIZE, Trio, nasoseg, put, text};
use dicom_core::{DataElement, PrimitiveValue, VR};
use dicom_dictionary_std::{tags, uids};
use nasoseg::formats::nifti::write_nifti;
use nasoseg::geometry::Grid;
use ndarray::Array3;

/// The run fails with `code`, its message has every one of `words`, and no result is left.
fn refused(output: &std::process::Output, out: &Path, code: i32, words: &[&str]) {
    let message = text(&output.stderr);
    assert_eq!(output.status.code(), Some(code), "{message}");
    assert!(
        message.starts_with("nasoseg: ") && message.trim_end().lines().count() == 1,
        "one paragraph: {message}"
    );
    for word in words {
        assert!(message.contains(word), "{word:?} is not in: {message}");
    }
    assert!(!message.contains("panicked"), "{message}");
    if out.is_dir() {
        assert_eq!(std::fs::read_dir(out).unwrap().count(), 0, "nothing is left behind");
    }
}

/// A DICOM trio with a change is refused.
fn dicom_refused(
    change: impl Fn(usize, usize, &mut dicom_object::InMemDicomObject),
    more: &[&str],
    code: i32,
    words: &[&str],
) {
    let trio = Trio::dicom(change);
    let out = trio.dir.path().join("out");
    refused(&trio.run("", &out, more), &out, code, words);
}

/// A NIfTI trio in which T1C (or another) is replaced is refused.
fn nifti_refused(
    name: &str,
    voxels: &Array3<f32>,
    affine: [[f64; 4]; 4],
    code: i32,
    words: &[&str],
) {
    let trio = Trio::nifti();
    let (nk, nj, ni) = voxels.dim();
    let grid = Grid::from_affine([ni, nj, nk], &affine).unwrap();
    write_nifti(&trio.dir.path().join(format!("{name}.nii.gz")), voxels.view(), &grid, "").unwrap();
    let out = trio.dir.path().join("out");
    refused(&trio.run(".nii.gz", &out, &[]), &out, code, words);
}

const AFFINE: [[f64; 4]; 4] = [
    [3.0, 0.0, 0.0, -100.0],
    [0.0, 3.0, 0.0, -100.0],
    [0.0, 0.0, 6.0, -15.0],
    [0.0, 0.0, 0.0, 1.0],
];

fn any(shape: (usize, usize, usize)) -> Array3<f32> {
    Array3::from_shape_fn(shape, |(k, j, i)| (1 + k + j + i) as f32)
}

#[test]
fn missing_sequence() {
    let output = nasoseg(&["run", "--t1", "a", "--t2", "b", "--bundle", "c", "--out", "d"]);
    assert_eq!(output.status.code(), Some(2));
    assert!(text(&output.stderr).contains("--t1c"), "{}", text(&output.stderr));
    let trio = Trio::nifti();
    std::fs::remove_file(trio.path("t2.nii.gz")).unwrap();
    let out = trio.dir.path().join("out");
    refused(&trio.run(".nii.gz", &out, &[]), &out, 3, &["T2: ", "t2.nii.gz", "cannot be read"]);
}

#[test]
fn sequences_without_overlap() {
    let mut far = AFFINE;
    far[2][3] = 900.0;
    nifti_refused("t2", &any((6, 80, 72)), far, 4, &["T2 does not overlap T1C anywhere"]);
}

#[test]
fn another_patient_is_never_forced() {
    for (tag, vr, value) in [
        (tags::PATIENT_ID, VR::LO, "T-2"),
        (tags::PATIENT_NAME, VR::PN, "OTHER^ONE"),
        (tags::PATIENT_BIRTH_DATE, VR::DA, "19710101"),
    ] {
        let other = move |sequence: usize, _: usize, o: &mut dicom_object::InMemDicomObject| {
            if sequence == 2 {
                put(o, tag, vr, value);
            }
        };
        dicom_refused(
            other,
            &["--force-geometry"],
            4,
            &["T2 belongs to another patient", value, "no option overrides"],
        );
    }
}

/// T1C does not name its patient, and T1 and T2 name different ones.
#[test]
fn two_patients_beside_an_anonymous_reference() {
    let change = |sequence: usize, _: usize, o: &mut dicom_object::InMemDicomObject| match sequence
    {
        1 => [tags::PATIENT_ID, tags::PATIENT_NAME, tags::PATIENT_BIRTH_DATE].into_iter().for_each(
            |t| {
                o.remove_element(t);
            },
        ),
        2 => put(o, tags::PATIENT_ID, VR::LO, "T-2"),
        _ => (),
    };
    dicom_refused(change, &["--force-geometry"], 4, &["T2 belongs to another patient than T1"]);
}

#[test]
fn another_frame_of_reference_can_be_forced() {
    let change = |sequence: usize, _: usize, o: &mut dicom_object::InMemDicomObject| {
        if sequence == 0 {
            put(o, tags::FRAME_OF_REFERENCE_UID, VR::UI, "1.2.3");
        }
    };
    dicom_refused(
        change,
        &[],
        4,
        &["T1 has another frame of reference (1.2.3)", "--force-geometry"],
    );
    let trio = Trio::dicom(change);
    let out = trio.dir.path().join("out");
    let output = trio.run("", &out, &["--force-geometry"]);
    assert!(output.status.success(), "{}", text(&output.stderr));
    let record = std::fs::read_to_string(out.join("run.json")).unwrap();
    assert!(record.contains("forced: assumed to be aligned"));
}

#[test]
fn the_same_series_twice() {
    let trio = Trio::nifti();
    std::fs::copy(trio.path("t1c.nii.gz"), trio.path("t2.nii.gz")).unwrap();
    let out = trio.dir.path().join("out");
    refused(
        &trio.run(".nii.gz", &out, &[]),
        &out,
        4,
        &["T1C and T2 are the same series", "three different sequences"],
    );
}

#[test]
fn duplicated_and_missing_slices() {
    // Slice 2 is moved onto slice 3.
    let duplicate = |sequence: usize, slice: usize, o: &mut dicom_object::InMemDicomObject| {
        if sequence == 1 && slice == 2 {
            put(o, tags::IMAGE_POSITION_PATIENT, VR::DS, "-106.5000\\-118.5000\\3.0000");
        }
    };
    dicom_refused(duplicate, &[], 3, &["T1C: ", ".dcm"]);
    let same_uid = |sequence: usize, _: usize, o: &mut dicom_object::InMemDicomObject| {
        if sequence == 1 {
            put(o, tags::SOP_INSTANCE_UID, VR::UI, "1.2.3.4");
        }
    };
    dicom_refused(same_uid, &[], 3, &["T1C: ", "same SOP Instance UID (1.2.3.4)"]);
    let trio = Trio::dicom(|_, _, _| ());
    // The file of slice 2, by the writer's naming.
    std::fs::remove_file(Path::new(&trio.path("t1c")).join(format!("{:02}.dcm", (2 * 5 + 3) % 7)))
        .unwrap();
    let out = trio.dir.path().join("out");
    refused(&trio.run("", &out, &[]), &out, 3, &["T1C: ", "missing", "--allow-gaps"]);

    // Allowed, everything is written but what has one affine for all slices.
    let output = trio.run("", &out, &["--allow-gaps"]);
    assert!(output.status.success(), "{}", text(&output.stderr));
    assert!(
        text(&output.stderr).contains("T1C: 1 slice(s) are missing after"),
        "{}",
        text(&output.stderr)
    );
    let record: serde_json::Value =
        serde_json::from_slice(&std::fs::read(out.join("run.json")).unwrap()).unwrap();
    for (n, name) in ["mask.nii.gz", "probability.nii.gz"].into_iter().enumerate() {
        let why = record["not_written"][n].as_str().unwrap();
        assert!(
            why.starts_with(name) && why.contains("unevenly spaced") && !out.join(name).exists(),
            "{why}"
        );
    }
    assert_eq!(record["options"]["allow_gaps"], true);
    for name in ["rtstruct.dcm", "contours.json", "detection.json", "preview.png"] {
        assert!(out.join(name).exists(), "{name}");
    }
}

/// Two echoes in one series: listed, and one is picked.
#[test]
fn two_echoes_in_one_series() {
    let trio = Trio::dicom(|_, _, _| ());
    let second = tempfile::tempdir().unwrap();
    common::write_series(second.path(), 2, &|slice, o| {
        put(o, tags::SOP_INSTANCE_UID, VR::UI, &format!("1.2.3.{slice}"));
        put(o, tags::ECHO_TIME, VR::DS, "20");
    });
    for file in std::fs::read_dir(second.path()).unwrap().map(|f| f.unwrap()) {
        let name = format!("echo {}", file.file_name().display());
        std::fs::copy(file.path(), Path::new(&trio.path("t2")).join(name)).unwrap();
    }
    let out = trio.dir.path().join("out");
    let words = ["T2: ", "same plane", "\"Echo Time=20\" (6 images); \"Echo Time=99\" (6 images)"];
    refused(&trio.run("", &out, &[]), &out, 3, &words);
    refused(
        &trio.run("", &out, &["--t2-pick", "Echo Time=7"]),
        &out,
        2,
        &["T2: ", "expected one of", "Echo Time=20"],
    );
    let output = trio.run("", &out, &["--t2-pick", "Echo Time=99"]);
    assert!(output.status.success(), "{}", text(&output.stderr));
}

#[test]
fn mixed_orientations_and_foreign_objects() {
    let turned = |sequence: usize, slice: usize, o: &mut dicom_object::InMemDicomObject| {
        if sequence == 0 && slice == 4 {
            put(o, tags::IMAGE_ORIENTATION_PATIENT, VR::DS, "0.9998\\0.02\\0\\-0.02\\0.9998\\0");
        }
    };
    dicom_refused(turned, &[], 3, &["T1: ", "orientation"]);
    let colour = |sequence: usize, _: usize, o: &mut dicom_object::InMemDicomObject| {
        if sequence == 2 {
            o.put(DataElement::new(tags::SAMPLES_PER_PIXEL, VR::US, PrimitiveValue::from(3u16)));
            put(o, tags::PHOTOMETRIC_INTERPRETATION, VR::CS, "RGB");
        }
    };
    dicom_refused(colour, &[], 3, &["T2: ", "RGB"]);
    let no_image = |sequence: usize, _: usize, o: &mut dicom_object::InMemDicomObject| {
        if sequence == 1 {
            put(o, tags::SOP_CLASS_UID, VR::UI, uids::RT_STRUCTURE_SET_STORAGE);
            put(o, tags::MODALITY, VR::CS, "RTSTRUCT");
            o.remove_element(tags::PIXEL_DATA);
        }
    };
    dicom_refused(no_image, &[], 3, &["T1C: "]);
}

#[test]
fn sagittal_and_coronal_references() {
    for (orientation, what) in [("0\\1\\0\\0\\0\\-1", "sagittal"), ("1\\0\\0\\0\\0\\-1", "coronal")]
    {
        let turned =
            move |sequence: usize, slice: usize, o: &mut dicom_object::InMemDicomObject| {
                if sequence == 1 {
                    let step = 6.0 * slice as f64 - 15.0;
                    let position = if what == "sagittal" {
                        format!("{step}\\-110\\100")
                    } else {
                        format!("-110\\{step}\\100")
                    };
                    put(o, tags::IMAGE_ORIENTATION_PATIENT, VR::DS, orientation);
                    put(o, tags::IMAGE_POSITION_PATIENT, VR::DS, &position);
                }
            };
        dicom_refused(
            turned,
            &[],
            4,
            &[&format!("acquired {what}"), "Give an axial T1C series", "--reslice axial"],
        );
    }
}

#[test]
fn voxels_that_are_no_image() {
    let mut nan = any((6, 80, 72));
    nan[[3, 2, 1]] = f32::NAN;
    nifti_refused("t1", &nan, AFFINE, 3, &["T1: ", "t1.nii.gz", "voxel (i 1, j 2, k 3) is NaN"]);
    nan[[3, 2, 1]] = f32::INFINITY;
    nifti_refused("t1", &nan, AFFINE, 3, &["is inf"]);
    nifti_refused(
        "t1c",
        &Array3::from_elem((6, 80, 72), 7.0),
        AFFINE,
        3,
        &["T1C: ", "every voxel has the value 7"],
    );
    nifti_refused(
        "t1c",
        &any((1, 80, 72)),
        AFFINE,
        3,
        &["T1C: ", "expected a volume of at least 2 slices"],
    );
}

#[test]
fn slice_ranges() {
    let trio = Trio::nifti();
    let out = trio.dir.path().join("out");
    refused(
        &trio.run(".nii.gz", &out, &["--slices", "2:99"]),
        &out,
        2,
        &["slice range 2:99", "0:6"],
    );
    refused(
        &trio.run(".nii.gz", &out, &["--slices-mm", "500:600"]),
        &out,
        2,
        &["no slice lies between 500 and 600 mm", "-15.0 to 15.0"],
    );
    for wrong in ["5:5", "7:3", "x", "1:2:3", "-1:4"] {
        assert_eq!(
            trio.run(".nii.gz", &out, &["--slices", wrong]).status.code(),
            Some(2),
            "{wrong}"
        );
    }
}

#[test]
fn corrupt_truncated_unreadable() {
    let trio = Trio::nifti();
    let out = trio.dir.path().join("out");
    let path = trio.path("t1c.nii.gz");
    let whole = std::fs::read(&path).unwrap();
    std::fs::write(&path, &whole[..whole.len() / 2]).unwrap();
    refused(&trio.run(".nii.gz", &out, &[]), &out, 3, &["T1C: ", "t1c.nii.gz"]);
    std::fs::write(&path, b"this is no image at all, just some words").unwrap();
    refused(
        &trio.run(".nii.gz", &out, &[]),
        &out,
        3,
        &["T1C: ", "expected DICOM, NIfTI-1 (.nii, .nii.gz) or NRRD"],
    );

    let trio = Trio::dicom(|_, _, _| ());
    let file = Path::new(&trio.path("t2")).join("03.dcm");
    let whole = std::fs::read(&file).unwrap();
    std::fs::write(&file, &whole[..whole.len() - 1000]).unwrap();
    refused(&trio.run("", &out, &[]), &out, 3, &["T2: ", "03.dcm"]);
    let empty = trio.dir.path().join("empty");
    std::fs::create_dir(&empty).unwrap();
    let run = |t2: &str| {
        let bundle = common::micro().display().to_string();
        nasoseg(&[
            "run",
            "--t1",
            &trio.path("t1"),
            "--t1c",
            &trio.path("t1c"),
            "--t2",
            t2,
            "--bundle",
            &bundle,
            "--out",
            &out.display().to_string(),
        ])
    };
    refused(&run(&empty.display().to_string()), &out, 3, &["T2: ", "empty", "holds no file"]);
    refused(&run(&trio.path("nowhere")), &out, 3, &["T2: ", "nowhere"]);
    // A folder that cannot be entered, whoever asks: a file lies in its way.
    refused(
        &run(&file.join("folder").display().to_string()),
        &out,
        3,
        &["T2: ", "folder", "cannot be read"],
    );
    #[cfg(unix)]
    {
        std::os::unix::fs::symlink("/nowhere/at/all", Path::new(&trio.path("t1c")).join("99.dcm"))
            .unwrap();
        std::fs::write(&file, &whole).unwrap();
        refused(&run(&trio.path("t2")), &out, 3, &["T1C: ", "99.dcm"]);
    }
}

#[test]
fn bundles() {
    let trio = Trio::nifti();
    let out = trio.dir.path().join("out");
    let bundle = trio.dir.path().join("bundle");
    let run = || {
        let mut arguments = vec!["run".to_owned()];
        arguments.extend(trio.arguments(".nii.gz"));
        arguments.extend([
            "--bundle".into(),
            bundle.display().to_string(),
            "--out".into(),
            out.display().to_string(),
        ]);
        nasoseg(&arguments.iter().map(String::as_str).collect::<Vec<_>>())
    };
    let copy = || {
        let _ = std::fs::remove_dir_all(&bundle);
        std::fs::create_dir_all(bundle.join("golden")).unwrap();
        for name in
            ["bundle.json", "trunk.onnx", "q_head.onnx", "segmenter.onnx", "golden/golden.npz"]
        {
            std::fs::copy(common::micro().join(name), bundle.join(name)).unwrap();
        }
    };
    refused(&run(), &out, 5, &["bundle: no model bundle here"]);

    copy();
    let mut graph = std::fs::read(bundle.join("segmenter.onnx")).unwrap();
    let at = graph.len() / 2;
    graph[at] ^= 1;
    std::fs::write(bundle.join("segmenter.onnx"), &graph).unwrap();
    refused(&run(), &out, 5, &["segmenter.onnx: changed since the bundle was made"]);

    copy();
    std::fs::remove_file(bundle.join("trunk.onnx")).unwrap();
    refused(&run(), &out, 5, &["trunk.onnx: listed in bundle.json but cannot be read"]);

    copy();
    std::fs::write(bundle.join("bundle.json"), "{}").unwrap();
    refused(&run(), &out, 5, &["bundle.json: not a model bundle's manifest"]);

    // A graph of another signature: the Q head in the trunk's place, with the right sum.
    copy();
    let manifest = std::fs::read_to_string(bundle.join("bundle.json")).unwrap();
    let mut value: serde_json::Value = serde_json::from_str(&manifest).unwrap();
    value["files"]["trunk.onnx"] = value["files"]["q_head.onnx"].clone();
    std::fs::write(bundle.join("bundle.json"), value.to_string()).unwrap();
    std::fs::copy(bundle.join("q_head.onnx"), bundle.join("trunk.onnx")).unwrap();
    refused(
        &run(),
        &out,
        5,
        &[
            "trunk.onnx: the graph's signature is",
            "expected inputs images Float32 [any, 3, 96, 96]",
        ],
    );

    // Without tumour-free slices in training, a range must be named.
    copy();
    std::fs::write(
        bundle.join("bundle.json"),
        manifest.replace("\"negatives_trained\": true", "\"negatives_trained\": false"),
    )
    .unwrap();
    refused(&run(), &out, 2, &["was not trained with tumour-free slices", "0:6"]);
}

#[test]
fn devices_and_runtimes() {
    let trio = Trio::nifti();
    let out = trio.dir.path().join("out");
    let run = |more: &[&str]| {
        let mut arguments = vec!["run".to_owned()];
        arguments.extend(trio.arguments(".nii.gz"));
        arguments.extend([
            "--bundle".into(),
            common::micro().display().to_string(),
            "--out".into(),
            out.display().to_string(),
        ]);
        arguments.extend(more.iter().map(|a| (*a).to_owned()));
        nasoseg(&arguments.iter().map(String::as_str).collect::<Vec<_>>())
    };
    // The CPU wheel has no CUDA provider; a machine with a device would run.
    let output = run(&["--device", "cuda:7"]);
    refused(&output, &out, 6, &["device cuda:7 cannot start", "--device cpu"]);
    assert_eq!(run(&["--device", "tpu"]).status.code(), Some(2));
    refused(
        &run(&["--onnxruntime", "/nowhere/libonnxruntime.so"]),
        &out,
        6,
        &["ONNX Runtime was not found", "/nowhere/libonnxruntime.so"],
    );
    let foreign = trio.dir.path().join("libonnxruntime.so");
    std::fs::write(&foreign, b"not a library").unwrap();
    refused(
        &run(&["--onnxruntime", &foreign.display().to_string()]),
        &out,
        6,
        &["libonnxruntime.so: cannot be loaded"],
    );
}

#[test]
fn output_folder_not_writable() {
    let trio = Trio::nifti();
    let file = trio.dir.path().join("a_file");
    std::fs::write(&file, b"x").unwrap();
    let output = trio.run(".nii.gz", &file.join("out"), &[]);
    refused(
        &output,
        &file,
        7,
        &["a_file/out: the output folder cannot be made or written", "--out"],
    );
}

#[test]
fn a_result_of_an_earlier_run_is_not_left_to_be_taken_for_this_one_s() {
    let (dicom, nifti) = (Trio::dicom(|_, _, _| ()), Trio::nifti());
    let out = dicom.dir.path().join("out");
    assert!(dicom.run("", &out, &[]).status.success());
    let output = nifti.run(".nii.gz", &out, &[]);
    assert_eq!(output.status.code(), Some(7));
    assert!(
        text(&output.stderr).contains("rtstruct.dcm: left by an earlier run"),
        "{}",
        text(&output.stderr)
    );
}

#[test]
fn masks_off_the_reference_s_grid() {
    let trio = Trio::dicom(|_, _, _| ());
    let out = trio.dir.path().join("out");
    let mask = trio.dir.path().join("mask.nii.gz");
    let [ni, nj, nk] = SIZE;
    let mut voxels = Array3::<u8>::zeros((nk, nj, ni));
    voxels[[2, 30, 30]] = 1;
    write_nifti(&mask, voxels.view(), &Grid::from_affine(SIZE, &AFFINE).unwrap(), "").unwrap();
    let output = nasoseg(&[
        "contour",
        "--mask",
        &mask.display().to_string(),
        "--reference",
        &trio.path("t1c"),
        "--out",
        &out.display().to_string(),
    ]);
    refused(&output, &out, 4, &["does not lie on the grid", "corners lie up to", "--resample"]);
}
