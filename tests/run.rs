//! `nasoseg run` and its single stages, on a synthetic trio and on a real one.

mod common;

use std::path::Path;

use common::{Trio, nasoseg, shared, text};
use dicom_core::VR;
use dicom_dictionary_std::tags;
use serde_json::Value;

fn json(path: &Path) -> Value {
    serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap()
}

fn succeeded(output: &std::process::Output) {
    assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
}

#[test]
fn a_dicom_study_gives_every_output() {
    let trio = Trio::dicom(|_, _, _| ());
    let out = trio.dir.path().join("out");
    let output = trio.run("", &out, &[]);
    succeeded(&output);
    assert!(output.stdout.is_empty(), "quiet in a pipe: {}", text(&output.stdout));
    assert!(text(&output.stderr).contains("DEMO MODEL, NOT FOR CLINICAL USE"));
    let record = json(&out.join("run.json"));
    for name in [
        "detection.json",
        "contours.json",
        "mask.nii.gz",
        "probability.nii.gz",
        "rtstruct.dcm",
        "preview.png",
        "run.json",
    ] {
        assert!(out.join(name).metadata().unwrap().len() > 100, "{name}");
        assert!(record["outputs"].as_array().unwrap().iter().any(|o| o == name), "{name}");
    }
    assert_eq!(std::fs::read_dir(&out).unwrap().count(), 7, "nothing else is left");
    assert_eq!(record["device"]["used"], "cpu");
    assert_eq!(record["provenance"]["demo"], true);
    assert_eq!(record["slices"].as_array().unwrap().len(), trio.slices);
    assert_eq!(record["inputs"][1]["series_description"], "t1c");
    // The trunk's rows: one whole-slice box and at least one local box per slice.
    assert!(record["model_runs"]["trunk"]["rows"].as_u64().unwrap() >= 2 * trio.slices as u64);
    let structure_set = dicom_object::open_file(out.join("rtstruct.dcm")).unwrap();
    assert_eq!(
        structure_set.element(tags::STRUCTURE_SET_LABEL).unwrap().to_str().unwrap(),
        "DEMO_NOT_CLIN"
    );
    let detection = json(&out.join("detection.json"));
    // File names run against the slices; listings name the right image.
    assert_eq!(detection["slices"][0]["sop_instance_uid"], "1.2.826.0.1.3680043.10.4321.2.1");
}

#[test]
fn an_edited_box_changes_its_own_slice_only() {
    let trio = Trio::nifti();
    let out = trio.dir.path().join("out");
    succeeded(&trio.run(".nii.gz", &out, &[]));
    let segment = |detection: &Value, out: &Path| {
        let file = trio.dir.path().join("edited.json");
        std::fs::write(&file, detection.to_string()).unwrap();
        let mut arguments = vec!["segment".to_owned()];
        arguments.extend(trio.arguments(".nii.gz"));
        arguments.extend([
            "--bundle".into(),
            common::micro().display().to_string(),
            "--device".into(),
            "cpu".into(),
        ]);
        arguments.extend([
            "--detection".into(),
            file.display().to_string(),
            "--out".into(),
            out.display().to_string(),
        ]);
        nasoseg(&arguments.iter().map(String::as_str).collect::<Vec<_>>())
    };
    let detection = json(&out.join("detection.json"));
    assert!(
        detection["warning"].as_str().unwrap().contains("NOT FOR CLINICAL USE")
            && detection["device"]["used"] == "cpu"
    );
    let same = trio.dir.path().join("same");
    succeeded(&segment(&detection, &same));
    assert_eq!(
        std::fs::read(out.join("mask.nii.gz")).unwrap(),
        std::fs::read(same.join("mask.nii.gz")).unwrap()
    );
    assert_eq!(json(&same.join("run.json"))["edited"], false);
    // Every number comes back to the last bit.
    assert_eq!(
        std::fs::read(out.join("detection.json")).unwrap(),
        std::fs::read(same.join("detection.json")).unwrap()
    );

    let mut edited = detection.clone();
    edited["slices"][2]["box"] = serde_json::json!([10.5, 20.0, 60.0, 70.25]);
    edited["slices"][3]["box"] = Value::Null;
    let changed = trio.dir.path().join("changed");
    succeeded(&segment(&edited, &changed));
    let (a, b) = (json(&out.join("run.json")), json(&changed.join("run.json")));
    assert_eq!(b["edited"], true);
    assert_eq!(b["slices"][3]["status"], "no lesion");
    assert_eq!(b["slices"][3]["pixels"], 0);
    assert_eq!(
        (&b["slices"][1]["edited"], &b["slices"][3]["edited"]),
        (&Value::Bool(false), &Value::Bool(true))
    );
    let read = |dir: &Path| {
        let volume = nifti::ReaderOptions::new().read_file(dir.join("probability.nii.gz")).unwrap();
        let array = nifti::volume::ndarray::IntoNdArray::into_ndarray::<f32>(
            nifti::NiftiObject::into_volume(volume),
        )
        .unwrap();
        array.into_dimensionality::<ndarray::Ix3>().unwrap()
    };
    let (p, q) = (read(&out), read(&changed));
    for k in 0..trio.slices {
        let same = p.index_axis(ndarray::Axis(2), k) == q.index_axis(ndarray::Axis(2), k);
        assert_eq!(same, k != 2 && k != 3, "slice {k}");
    }
    assert_eq!(q.index_axis(ndarray::Axis(2), 3).sum(), 0.0);
    assert_eq!(a["slices"][1], b["slices"][1]);

    for (pointer, value, expected) in [
        ("/slices/2/box", serde_json::json!([10.0, 20.0, 600.0, 70.0]), "inside 0 .. 96"),
        ("/provenance/model_hash", serde_json::json!("0".repeat(64)), "made by model"),
        ("/sequences_sha256/2", serde_json::json!("0".repeat(64)), "made from another T2"),
        ("/slices/5/slice", serde_json::json!(u64::MAX), "slice range"),
        ("/format", serde_json::json!("x"), "expected nasoseg-detection 1"),
    ] {
        let mut wrong = detection.clone();
        *wrong.pointer_mut(pointer).unwrap() = value;
        let output = segment(&wrong, &trio.dir.path().join("wrong"));
        assert_eq!(output.status.code(), Some(2), "{pointer}");
        let message = text(&output.stderr);
        assert!(
            message.contains(expected) && message.contains("edited.json"),
            "{pointer}: {message}"
        );
    }
    // A mistyped key is not a cleared box, and statuses are asked of the study, not of the file.
    let mut mistyped = detection.clone();
    let slice = mistyped["slices"][2].as_object_mut().unwrap();
    let b = slice.remove("box").unwrap();
    slice.insert("Box".into(), b);
    let output = segment(&mistyped, &trio.dir.path().join("wrong"));
    assert_eq!(output.status.code(), Some(3), "{}", text(&output.stderr));
}

#[test]
fn coverage_is_asked_of_the_study_again_when_a_detection_comes_back() {
    let Some(data) = shared("mr_trio_tcga") else { return };
    let dir = tempfile::tempdir().unwrap();
    let path = |name: &str| data.join(name).display().to_string();
    let (bundle, out, again) =
        (common::micro().display().to_string(), dir.path().join("out"), dir.path().join("again"));
    let (t1, t1c, t2) = (path("t1.nii.gz"), path("t1c.nii.gz"), path("t2.nii.gz"));
    let base = ["--t1", &t1, "--t1c", &t1c, "--t2", &t2, "--bundle", &bundle, "--device", "cpu"];
    let o = out.display().to_string();
    succeeded(&nasoseg(&[&["detect", "--out", &o, "--slices", "20:26"], &base[..]].concat()));
    // Whoever takes the status away in the file does not get the slice segmented.
    let file = out.join("detection.json");
    let text = std::fs::read_to_string(&file).unwrap().replace("incomplete coverage", "ok");
    std::fs::write(&file, text).unwrap();
    let (f, o) = (file.display().to_string(), again.display().to_string());
    succeeded(&nasoseg(&[&["segment", "--out", &o, "--detection", &f], &base[..]].concat()));
    let record = json(&again.join("run.json"));
    assert!(
        record["slices"]
            .as_array()
            .unwrap()
            .iter()
            .all(|s| s["status"] == "incomplete coverage" && s["pixels"] == 0)
    );
}

#[test]
fn slice_ranges_by_number_and_by_mm_agree() {
    let trio = Trio::nifti();
    let (a, b) = (trio.dir.path().join("a"), trio.dir.path().join("b"));
    succeeded(&trio.run(".nii.gz", &a, &["--slices", "2:4"]));
    // Slices lie at -15, -9, -3, 3, 9, 15 mm.
    succeeded(&trio.run(".nii.gz", &b, &["--slices-mm", "-5:4"]));
    assert_eq!(
        std::fs::read(a.join("probability.nii.gz")).unwrap(),
        std::fs::read(b.join("probability.nii.gz")).unwrap()
    );
    assert_eq!(json(&a.join("run.json"))["options"]["slices"], serde_json::json!([2, 4]));
}

#[test]
fn contour_of_a_run_s_probability_is_the_run_s_own() {
    let trio = Trio::dicom(|_, _, _| ());
    let out = trio.dir.path().join("out");
    succeeded(&trio.run("", &out, &[]));
    let again = trio.dir.path().join("again");
    let probability = out.join("probability.nii.gz").display().to_string();
    let output = nasoseg(&[
        "contour",
        "--mask",
        &probability,
        "--threshold",
        "0.5",
        "--reference",
        &trio.path("t1c"),
        "--out",
        &again.display().to_string(),
    ]);
    succeeded(&output);
    assert_eq!(
        json(&out.join("contours.json"))["contours"],
        json(&again.join("contours.json"))["contours"]
    );
    // A demo model's result stays one, whatever it is called when it comes back.
    assert!(text(&output.stderr).contains("DEMO NOT CLINICAL"));
    assert!(
        json(&again.join("contours.json"))["warning"]
            .as_str()
            .unwrap()
            .starts_with("DEMO NOT CLINICAL")
    );
    let structure_set = dicom_object::open_file(again.join("rtstruct.dcm")).unwrap();
    let item = |sequence, tag| {
        let element = structure_set.element(sequence).unwrap();
        element.items().unwrap()[0].element(tag).unwrap().to_str().unwrap().trim().to_owned()
    };
    assert_eq!(item(tags::STRUCTURE_SET_ROI_SEQUENCE, tags::ROI_NAME), "DEMO_NOT_CLIN");
    assert_eq!(item(tags::RTROI_OBSERVATIONS_SEQUENCE, tags::RTROI_INTERPRETED_TYPE), "");
    let elsewhere = trio.dir.path().join("elsewhere").display().to_string();
    let output = nasoseg(&[
        "contour",
        "--mask",
        &probability,
        "--reference",
        &trio.path("t1c"),
        "--out",
        &elsewhere,
    ]);
    assert!(
        text(&output.stderr).contains("expected a mask of 0 and 1"),
        "{}",
        text(&output.stderr)
    );
}

/// A mask of other origin, stored the other way round: contoured on the same places, and nothing is
/// claimed of it.
#[test]
fn contour_of_a_foreign_mask_in_another_storage_order() {
    let trio = Trio::dicom(|_, _, _| ());
    let series = nasoseg::formats::read(&[trio.path("t1c").into()], &Default::default()).unwrap();
    let [ni, nj, nk] = common::SIZE;
    let voxels = ndarray::Array3::from_shape_fn((nk, nj, ni), |(k, j, i)| {
        u8::from(k == 2 && (20..30).contains(&j) && (40..45).contains(&i))
    });
    let mut affine = series.grid().affine().unwrap();
    let flipped =
        ndarray::Array3::from_shape_fn((nk, nj, ni), |(k, j, i)| voxels[[k, nj - 1 - j, i]]);
    for row in affine.iter_mut().take(3) {
        row[3] += row[1] * (nj - 1) as f64;
        row[1] = -row[1];
    }
    let grid = nasoseg::geometry::Grid::from_affine(common::SIZE, &affine).unwrap();
    let write = |name: &str, voxels: &ndarray::Array3<u8>, grid: &nasoseg::geometry::Grid| {
        let path = trio.dir.path().join(name);
        nasoseg::formats::nifti::write_nifti(&path, voxels.view(), grid, "drawn by hand").unwrap();
        let out = trio.dir.path().join(format!("{name}.out"));
        succeeded(&nasoseg(&[
            "contour",
            "--mask",
            &path.display().to_string(),
            "--reference",
            &trio.path("t1c"),
            "--out",
            &out.display().to_string(),
        ]));
        out
    };
    let (a, b) = (write("a.nii.gz", &voxels, series.grid()), write("b.nii.gz", &flipped, &grid));
    assert_eq!(
        json(&a.join("contours.json"))["contours"],
        json(&b.join("contours.json"))["contours"]
    );
    let structure_set = dicom_object::open_file(a.join("rtstruct.dcm")).unwrap();
    let region = structure_set.element(tags::STRUCTURE_SET_ROI_SEQUENCE).unwrap().items().unwrap()
        [0]
    .clone();
    assert_eq!(region.element(tags::ROI_GENERATION_ALGORITHM).unwrap().to_str().unwrap(), "");
    assert_eq!(region.element(tags::ROI_NAME).unwrap().to_str().unwrap().trim(), "nasoseg_contour");
    // Nothing drawn is an empty structure, not an error.
    let empty = write("empty.nii.gz", &ndarray::Array3::zeros((nk, nj, ni)), series.grid());
    assert_eq!(json(&empty.join("contours.json"))["contours"], serde_json::json!([]));
    assert!(empty.join("rtstruct.dcm").exists());
}

/// Ctrl-C while it runs: exit code 130, and not a file is left.
#[cfg(unix)]
#[test]
fn an_interrupt_ends_a_run_and_leaves_nothing() {
    let trio = Trio::nifti();
    let out = trio.dir.path().join("out");
    let mut arguments = vec!["run".to_owned()];
    arguments.extend(trio.arguments(".nii.gz"));
    arguments.extend([
        "--bundle".into(),
        common::micro().display().to_string(),
        "--out".into(),
        out.display().to_string(),
    ]);
    let mut child = std::process::Command::new(env!("CARGO_BIN_EXE_nasoseg"))
        .args(&arguments)
        .args(["--device", "cpu"])
        .stderr(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    // Ctrl-C is caught before the output folder is made.
    while !out.exists() {
        assert!(child.try_wait().unwrap().is_none(), "it ended before it began");
        std::thread::sleep(std::time::Duration::from_millis(1));
    }
    // SAFETY: a signal to our own child.
    unsafe { libc::kill(child.id() as libc::pid_t, libc::SIGINT) };
    let output = child.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(130), "{}", text(&output.stderr));
    assert!(text(&output.stderr).contains("nasoseg: cancelled"));
    assert_eq!(std::fs::read_dir(&out).unwrap().count(), 0);
}

#[test]
fn prepare_info_and_doctor() {
    let trio = Trio::nifti();
    let npz = trio.dir.path().join("slices.npz");
    let mut arguments = vec!["prepare".to_owned()];
    arguments.extend(trio.arguments(".nii.gz"));
    arguments.extend([
        "--bundle".into(),
        common::micro().display().to_string(),
        "--out".into(),
        npz.display().to_string(),
    ]);
    succeeded(&nasoseg(&arguments.iter().map(String::as_str).collect::<Vec<_>>()));
    let mut reader = ndarray_npy::NpzReader::new(std::fs::File::open(&npz).unwrap()).unwrap();
    let images: ndarray::Array4<f32> = reader.by_name("images").unwrap();
    assert_eq!(images.dim(), (trio.slices, 3, 96, 96));
    assert!(images.iter().all(|v| (0.0..=1.0).contains(v)) && images.iter().any(|v| *v > 0.5));

    let info = nasoseg(&["info", &common::micro().display().to_string()]);
    succeeded(&info);
    assert!(text(&info.stdout).contains("DEMO, NOT FOR CLINICAL USE"));
    let doctor =
        nasoseg(&["doctor", "--bundle", &common::micro().display().to_string(), "--device", "cpu"]);
    succeeded(&doctor);
    assert!(
        text(&doctor.stdout).contains("golden case   agrees on 2 slices"),
        "{}",
        text(&doctor.stdout)
    );
    // A folder names the library in it, on every call.
    let folder = std::env::var("VIRTUAL_ENV").map(|v| {
        let folders = nasoseg::runtime::platform::wheel_folders(Path::new(&v));
        folders[0].display().to_string()
    });
    if let Ok(folder) = folder {
        succeeded(&nasoseg(&[
            "doctor",
            "--bundle",
            &common::micro().display().to_string(),
            "--device",
            "cpu",
            "--onnxruntime",
            &folder,
        ]));
    }
}

/// What training reads: volumes and mask in canonical order, whatever the mask's own; the folder is
/// one patient's alone.
#[test]
fn prepare_writes_volumes_and_mask() {
    let trio = Trio::nifti();
    let (mask, turned) = (trio.path("mask.nii.gz"), trio.path("turned.nii.gz"));
    let grid = nasoseg::formats::read(&[trio.path("t1c.nii.gz").into()], &Default::default())
        .unwrap()
        .grid()
        .clone();
    let drawn = ndarray::Array3::from_shape_fn(grid.shape(), |(k, j, i)| {
        u8::from(k > 0 && j > 20 && i > 30 && i < 50) * 3
    });
    nasoseg::formats::nifti::write_nifti(Path::new(&mask), drawn.view(), &grid, "").unwrap();
    // The same, slices stored from the other end.
    let mut origins = grid.origins().to_vec();
    origins.reverse();
    let reversed =
        nasoseg::geometry::Grid::new(grid.size(), grid.axis_i(), grid.axis_j(), origins).unwrap();
    nasoseg::formats::nifti::write_nifti(
        Path::new(&turned),
        drawn.slice(ndarray::s![..;-1, .., ..]),
        &reversed,
        "",
    )
    .unwrap();

    let prepare = |folder: &str, more: &[&str]| {
        let mut arguments = vec!["prepare".to_owned()];
        arguments.extend(trio.arguments(".nii.gz"));
        arguments.extend(["--volumes".into(), trio.path(folder)]);
        arguments.extend(more.iter().map(|a| (*a).to_owned()));
        nasoseg(&arguments.iter().map(String::as_str).collect::<Vec<_>>())
    };
    let volume =
        |path: String| nasoseg::formats::read(&[path.into()], &Default::default()).unwrap();
    succeeded(&prepare("a", &["--mask", &mask]));
    succeeded(&prepare("b", &["--mask", &turned, "--label", "3", "--t1-mask", &mask]));
    let read = |name: &str| volume(trio.path(name));
    let (t1c, truth, own) =
        (read("a/T1C.nii.gz"), read("a/truth.nii.gz"), read("t1c.nii.gz").sha256().to_owned());
    assert_eq!(
        (truth.sha256(), t1c.grid().size()),
        (read("b/truth.nii.gz").sha256(), truth.grid().size())
    );
    let inside = drawn.iter().filter(|v| **v > 0).count();
    assert_eq!(truth.voxels().iter().filter(|v| **v == 1.0).count(), inside);
    // Patient axes: columns to the left, rows to the back, slices to the head.
    assert!(
        t1c.grid().axis_i()[0] > 0.0
            && t1c.grid().axis_j()[1] > 0.0
            && t1c.grid().origins()[1][2] > t1c.grid().origins()[0][2]
    );
    // A T1C that is stored from left to right and from back to front gives the same patient.
    let flipped = read("t1c.nii.gz").voxels().slice(ndarray::s![.., ..;-1, ..;-1]).to_owned();
    let [ni, nj, _] = grid.size();
    let back = |a: [f64; 3]| a.map(|v| -v);
    let origins =
        (0..grid.size()[2]).map(|k| grid.point((ni - 1) as f64, (nj - 1) as f64, k)).collect();
    let other = nasoseg::geometry::Grid::new(
        grid.size(),
        back(grid.axis_i()),
        back(grid.axis_j()),
        origins,
    )
    .unwrap();
    nasoseg::formats::nifti::write_nifti(
        Path::new(&trio.path("t1c.nii.gz")),
        flipped.view(),
        &other,
        "",
    )
    .unwrap();
    succeeded(&prepare("turned", &["--mask", &mask]));
    for name in ["T1", "T1C", "T2", "truth"] {
        let (a, b) = (read(&format!("a/{name}.nii.gz")), read(&format!("turned/{name}.nii.gz")));
        assert!(a.voxels().iter().zip(b.voxels()).all(|(a, b)| (a - b).abs() < 1e-2), "{name}");
    }
    let record = json(Path::new(&trio.path("b/volumes.json")));
    assert_eq!(record["mask_voxels"], inside);
    assert_eq!(record["sequences"]["T1C"]["sha256"], own);
    assert!(
        record["agreement"]["T1"]["dice"].as_f64().is_some()
            || record["agreement"]["T1"]["refused"].as_str().is_some()
    );

    for (folder, more, code, told) in [
        ("a", vec![], 2, "expected an empty or new folder"),
        ("c", vec!["--slices", "0:2"], 2, "choose slices of --out"),
        ("d", vec!["--mask", &mask, "--label", "2"], 2, "no voxel has the label 2; it holds 3"),
        ("e", vec!["--mask", "nowhere.nii"], 3, "nowhere.nii"),
        ("f", vec!["--mask", &mask, "--percentiles", "101"], 2, "from 0 to 100"),
        (
            "g",
            vec!["--mask", &trio.path("t2.nii.gz")],
            2,
            "expected a mask of 0 and one whole number",
        ),
    ] {
        let output = prepare(folder, &more);
        assert!(
            output.status.code() == Some(code) && text(&output.stderr).contains(told),
            "{folder}: {}",
            text(&output.stderr)
        );
    }
}

#[test]
fn swapped_sequences_are_a_warning() {
    let trio = Trio::dicom(|sequence, _, object| {
        if sequence == 0 {
            common::put(object, tags::ECHO_TIME, VR::DS, "110");
        }
    });
    let out = trio.dir.path().join("out");
    let output = trio.run("", &out, &[]);
    succeeded(&output);
    assert!(text(&output.stderr).contains("T1 and T2 look swapped"), "{}", text(&output.stderr));
    assert!(json(&out.join("run.json"))["warnings"][0].as_str().unwrap().contains("look swapped"));
}

/// Three real sequences on different oblique grids.
#[test]
fn the_real_trio() {
    let Some(data) = shared("mr_trio_tcga") else { return };
    let dir = tempfile::tempdir().unwrap();
    let path = |name: &str| data.join(name).display().to_string();
    let (out, bundle) = (dir.path().join("out"), common::micro().display().to_string());
    let (t1, t1c, t2) = (path("t1.nii.gz"), path("t1c.nii.gz"), path("t2.nii.gz"));
    let output = nasoseg(&[
        "run",
        "--t1",
        &t1,
        "--t1c",
        &t1c,
        "--t2",
        &t2,
        "--bundle",
        &bundle,
        "--out",
        &out.display().to_string(),
        "--device",
        "cpu",
    ]);
    succeeded(&output);

    // The outputs sit on T1C's own storage grid.
    let header = |path: &Path| nifti::NiftiHeader::from_file(path).unwrap();
    let reference = header(&data.join("t1c.nii.gz"));
    for name in ["mask.nii.gz", "probability.nii.gz"] {
        let found = header(&out.join(name));
        assert_eq!(found.dim[..4], reference.dim[..4], "{name}");
        for (a, b) in [found.srow_x, found.srow_y, found.srow_z]
            .iter()
            .flatten()
            .zip([reference.srow_x, reference.srow_y, reference.srow_z].iter().flatten())
        {
            assert!((a - b).abs() <= 1e-4, "{name}: {a} {b}");
        }
        assert_eq!((found.qform_code > 0, found.sform_code > 0), (true, true));
    }
    // T2 leaves the upper slices uncovered; they are not segmented.
    let record = json(&out.join("run.json"));
    let slices = record["slices"].as_array().unwrap();
    let coverage = |k: usize| slices[k]["coverage"][1].as_f64().unwrap();
    assert!((coverage(23) - 0.35).abs() < 0.05, "{}", coverage(23));
    assert!(coverage(25) < 0.02 && coverage(10) > 0.99);
    assert_eq!(slices[25]["status"], "incomplete coverage");
    assert_eq!(slices[25]["pixels"], 0);
    assert!(record["not_written"][0].as_str().unwrap().starts_with("rtstruct.dcm"));
    let preview = std::fs::read(out.join("preview.png")).unwrap();
    assert_eq!(&preview[1..4], b"PNG");

    // T2's anatomy lines up with T1C's: SimpleITK resamples to the same slices, and the heads cover
    // each other.
    let npz = dir.path().join("slices.npz");
    let prepared = nasoseg(&[
        "prepare",
        "--t1",
        &t1,
        "--t1c",
        &t1c,
        "--t2",
        &t2,
        "--bundle",
        &bundle,
        "--out",
        &npz.display().to_string(),
    ]);
    succeeded(&prepared);
    common::judge("aligned_slices.py", &[&npz.display().to_string(), &t1, &t1c, &t2]);

    // Forced, they are looked at, and still carry the status.
    let forced = dir.path().join("forced");
    let output = nasoseg(&[
        "run",
        "--t1",
        &t1,
        "--t1c",
        &t1c,
        "--t2",
        &t2,
        "--bundle",
        &bundle,
        "--out",
        &forced.display().to_string(),
        "--device",
        "cpu",
        "--slices",
        "22:26",
        "--force-coverage",
    ]);
    succeeded(&output);
    let record = json(&forced.join("run.json"));
    assert!(record["slices"][3]["status"].as_str().unwrap().contains("incomplete coverage"));
    assert!(record["slices"][3]["steps"].as_u64().unwrap() > 0);
}
