//! Structure sets on DICOM series written here, checked by third-party validators.
//!
//! The judges are Python programs (tests/judges). They run if NASOSEG_TEST_PYTHON names an
//! interpreter with the packages of tests/judges/requirements.txt; otherwise the tests report it
//! and check what they can on their own.

mod common;
mod rtstruct_series;

use std::path::Path;
use std::process::Command;

use common::shared;
use nasoseg::Provenance;
use nasoseg::contour::{Contours, contours_of_level, contours_of_mask};
use nasoseg::formats::rtstruct::{HoleMode, RtStructOptions, write_rtstruct};
use nasoseg::volume::{Source, Volume};
use ndarray::Array3;
use rtstruct_series::{Layout, mask_of, probability, read_multiframe, read_series, write_series};
use serde_json::json;

struct Case<'a> {
    name: &'a str,
    volume: &'a Volume,
    images: &'a Path,
    contours: &'a Contours,
    mask: &'a Array3<u8>,
    options: &'a RtStructOptions,
    holes: &'a str,
}

/// Writes the structure set and has the judges check it.
fn judge(folder: &Path, case: &Case) {
    let path = folder.join(format!("{}.dcm", case.name));
    write_rtstruct(&path, case.contours, case.volume, case.options).unwrap();
    let Some(python) = std::env::var_os("NASOSEG_TEST_PYTHON") else {
        eprintln!("{}: judges skipped: NASOSEG_TEST_PYTHON is not set", case.name);
        return;
    };
    let mask = folder.join(format!("{}.mask", case.name));
    std::fs::write(&mask, case.mask.iter().copied().collect::<Vec<u8>>()).unwrap();
    let (grid, series) = (case.volume.grid(), case.volume.dicom().unwrap());
    let slices: Vec<_> = series
        .slices
        .iter()
        .map(|s| {
            json!({
                "uid": s.sop_instance_uid, "frame": s.frame, "position": s.position,
                "orientation": s.orientation,
            })
        })
        .collect();
    let provenance = case.options.provenance.as_ref().unwrap();
    let description = json!({
        "rtstruct": path, "images": case.images, "mask": mask, "header": series.header_file,
        "size": grid.size(), "axis_i": grid.axis_i(), "axis_j": grid.axis_j(), "slices": slices,
        "series": series.series_instance_uid, "sop_class": series.sop_class_uid,
        "frame_of_reference": series.frame_of_reference_uid, "holes": case.holes,
        "demo": case.options.demo, "edited": case.options.edited, "roi_name": case.options.roi_name,
        "label": case.options.structure_set_label, "model": provenance.model_name,
        "hash": provenance.model_hash,
        "version": env!("CARGO_PKG_VERSION"),
    });
    let file = folder.join(format!("{}.json", case.name));
    std::fs::write(&file, description.to_string()).unwrap();
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/judges/rtstruct_check.py");
    let output = Command::new(python).arg(script).arg(&file).output().unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    println!("{}: {}", case.name, said.trim().replace('\n', "; "));
    assert!(
        output.status.success(),
        "{}:\n{said}{}",
        case.name,
        String::from_utf8_lossy(&output.stderr)
    );
}

fn options() -> RtStructOptions {
    RtStructOptions::default().with_provenance(Provenance {
        library_version: "0".into(),
        model_name: "micro".into(),
        model_version: "1.0".into(),
        model_hash: "0123456789abcdef0123456789abcdef".into(),
        demo: false,
        statement: String::new(),
    })
}

/// If NASOSEG_TEST_KEEP is set, the files are kept for inspection.
fn folder() -> tempfile::TempDir {
    let mut folder = tempfile::tempdir().unwrap();
    folder.disable_cleanup(std::env::var_os("NASOSEG_TEST_KEEP").is_some());
    folder
}

/// Voxel and level contours in every hole mode.
fn judge_all(name: &str, volume: &Volume, images: &Path) {
    let folder = folder();
    let probability = probability(volume.grid().shape());
    let mask = mask_of(&probability, 0.5);
    let voxel = contours_of_mask(mask.view(), volume.grid()).unwrap();
    assert!(voxel.all().iter().filter(|c| c.hole).count() > 3);
    let level_mask = probability.map(|p| (*p >= 0.5) as u8);
    let level = contours_of_level(probability.view(), volume.grid(), 0.5, None).unwrap();
    for (holes, text) in [
        (HoleMode::Keyhole, "keyhole"),
        (HoleMode::Xor, "xor"),
        (HoleMode::Plain, "plain"),
        (HoleMode::Fill, "fill"),
    ] {
        let options = options()
            .with_holes(holes)
            .with_edited(holes == HoleMode::Xor)
            .with_explicit_vr(holes == HoleMode::Plain);
        for (kind, contours, mask) in [("voxel", &voxel, &mask), ("level", &level, &level_mask)] {
            let name = format!("{name}-{kind}-{text}");
            judge(
                folder.path(),
                &Case {
                    name: &name,
                    volume,
                    images,
                    contours,
                    mask,
                    options: &options,
                    holes: text,
                },
            );
        }
    }
}

#[test]
fn axial() {
    let folder = folder();
    let volume = write_series(folder.path(), &Layout::axial());
    judge_all("axial", &volume, folder.path());
}

#[test]
fn axial_and_evenly_spaced() {
    let folder = folder();
    let volume = write_series(folder.path(), &Layout::even());
    judge_all("even", &volume, folder.path());
}

#[test]
fn oblique() {
    let folder = folder();
    let volume = write_series(folder.path(), &Layout::oblique());
    judge_all("oblique", &volume, folder.path());
}

#[test]
fn sagittal_from_a_scanner() {
    let Some(images) = shared("dicom_mr_sagittal") else { return };
    judge_all("sagittal", &read_series(&images), &images);
}

#[test]
fn multiframe_from_a_scanner() {
    let Some(images) = shared("dicom_mr_enhanced") else { return };
    judge_all("multiframe", &read_multiframe(&images), &images);
}

#[test]
fn nothing_found_is_a_region_without_contours() {
    let folder = tempfile::tempdir().unwrap();
    let volume = write_series(folder.path(), &Layout::axial());
    let mask = Array3::zeros(volume.grid().shape());
    let contours = contours_of_mask(mask.view(), volume.grid()).unwrap();
    let out = tempfile::tempdir().unwrap();
    let case = Case {
        name: "empty",
        volume: &volume,
        images: folder.path(),
        contours: &contours,
        mask: &mask,
        options: &options(),
        holes: "keyhole",
    };
    judge(out.path(), &case);
}

#[test]
fn a_demonstration_is_never_a_target() {
    let folder = tempfile::tempdir().unwrap();
    let volume = write_series(folder.path(), &Layout::axial());
    let mask = mask_of(&probability(volume.grid().shape()), 0.5);
    let contours = contours_of_mask(mask.view(), volume.grid()).unwrap();
    let out = tempfile::tempdir().unwrap();
    let options = options().with_demo(true);
    let (contours, volume, images) = (&contours, &volume, folder.path());
    judge(
        out.path(),
        &Case {
            name: "demo",
            volume,
            images,
            contours,
            mask: &mask,
            options: &options,
            holes: "keyhole",
        },
    );
    let object = dicom_object::open_file(out.path().join("demo.dcm")).unwrap();
    let observations =
        object.element_by_name("RTROIObservationsSequence").unwrap().items().unwrap();
    assert_eq!(
        observations[0].element_by_name("RTROIInterpretedType").unwrap().to_str().unwrap(),
        ""
    );
    let regions = object.element_by_name("StructureSetROISequence").unwrap().items().unwrap();
    assert_eq!(regions[0].element_by_name("ROIName").unwrap().to_str().unwrap(), "DEMO_NOT_CLIN");
}

#[test]
fn simplification_spares_points_and_keeps_the_rest() {
    let folder = tempfile::tempdir().unwrap();
    let volume = write_series(folder.path(), &Layout::oblique());
    let probability = probability(volume.grid().shape());
    let contours = contours_of_level(probability.view(), volume.grid(), 0.5, None).unwrap();
    let points = |options: &RtStructOptions| {
        let path = folder.path().join("simplified.dcm");
        write_rtstruct(&path, &contours, &volume, options).unwrap();
        let object = dicom_object::open_file(path).unwrap();
        let regions =
            object.element_by_name("ROIContourSequence").unwrap().items().unwrap().to_vec();
        let items =
            regions[0].element_by_name("ContourSequence").unwrap().items().unwrap().to_vec();
        items
            .iter()
            .map(|i| i.element_by_name("NumberOfContourPoints").unwrap().to_int::<usize>().unwrap())
            .sum::<usize>()
    };
    let exact = points(&options());
    assert!(points(&options().with_simplify_mm(0.1)) * 4 < exact * 3);
    assert!(
        write_rtstruct(
            &folder.path().join("x.dcm"),
            &contours,
            &volume,
            &options().with_simplify_mm(f64::NAN)
        )
        .is_err()
    );
}

/// Distance of `p` from the nearest edge of a ring, mm.
fn distance(p: [f64; 3], ring: &[[f64; 3]]) -> f64 {
    let sub = |a: [f64; 3], b: [f64; 3]| [0, 1, 2].map(|n| a[n] - b[n]);
    let dot = |a: [f64; 3], b: [f64; 3]| (0..3).map(|n| a[n] * b[n]).sum::<f64>();
    let edge = |n: usize| {
        let (a, b) = (ring[n], ring[(n + 1) % ring.len()]);
        let (along, from) = (sub(b, a), sub(p, a));
        let t = (dot(along, from) / dot(along, along)).clamp(0.0, 1.0);
        let off = sub(from, along.map(|v| v * t));
        dot(off, off).sqrt()
    };
    (0..ring.len()).map(edge).fold(f64::INFINITY, f64::min)
}

#[test]
fn a_simplified_line_stays_within_its_tolerance_in_the_patient() {
    let folder = tempfile::tempdir().unwrap();
    // Tilted, and pixels three times as long as wide.
    let volume = write_series(folder.path(), &Layout { spacing: [0.5, 1.5], ..Layout::oblique() });
    let probability = probability(volume.grid().shape());
    let level = contours_of_level(probability.view(), volume.grid(), 0.5, None).unwrap();
    let voxel = contours_of_mask(mask_of(&probability, 0.5).view(), volume.grid()).unwrap();
    for (exact, tolerance) in [(&level, 0.05), (&level, 0.4), (&voxel, 0.3), (&voxel, 1.2)] {
        let fewer = exact.simplified(tolerance).unwrap();
        let (mut farthest, mut points) = (0.0f64, 0);
        for (a, b) in exact.all().iter().zip(fewer.all()) {
            for (line, other) in [(&a.points, &b.points), (&b.points, &a.points)] {
                for (n, p) in line.iter().enumerate() {
                    let q = line[(n + 1) % line.len()];
                    let along = (0..16)
                        .map(|s| [0, 1, 2].map(|c| p[c] + (q[c] - p[c]) * f64::from(s) / 16.0));
                    farthest = along.map(|p| distance(p, other)).fold(farthest, f64::max);
                }
            }
            points += b.points.len();
        }
        println!("tolerance {tolerance} mm: {points} points, at most {farthest:.4} mm off");
        assert!(
            farthest <= tolerance + 1e-9 && farthest > tolerance / 4.0,
            "{farthest} {tolerance}"
        );
    }
}

#[test]
fn names_survive_in_any_character_set() {
    for (set, name) in [
        ("GB18030", &b"Wang^XiaoDong=\xcd\xf5^\xd0\xa1\xb6\xab=\x81\x5c\x81\x5c"[..]),
        ("\\ISO 2022 IR 87", &b"Yamada^Tarou=\x1b$B;3ED\x1b(B^\x1b$BB@O:\x1b(B="[..]),
        ("ISO_IR 100", &b"Buc^J\xe9r\xf4me"[..]),
    ] {
        for syntax in [
            "1.2.840.10008.1.2",
            "1.2.840.10008.1.2.1",
            "1.2.840.10008.1.2.2",
            "1.2.840.10008.1.2.1.99",
        ] {
            let folder = tempfile::tempdir().unwrap();
            let layout = Layout {
                character_set: set.into(),
                patient_name: name.to_vec(),
                syntax: syntax.into(),
                ..Layout::axial()
            };
            let volume = write_series(folder.path(), &layout);
            let mask = mask_of(&probability(volume.grid().shape()), 0.5);
            let contours = contours_of_mask(mask.view(), volume.grid()).unwrap();
            let path = folder.path().join("rt.dcm");
            write_rtstruct(&path, &contours, &volume, &options()).unwrap();
            let bytes = std::fs::read(&path).unwrap();
            let padded: Vec<u8> =
                name.iter().copied().chain(std::iter::repeat_n(b' ', name.len() % 2)).collect();
            let mut element = vec![0x10, 0, 0x10, 0];
            element.extend((padded.len() as u32).to_le_bytes());
            element.extend(&padded);
            assert!(bytes.windows(element.len()).any(|w| w == element), "{set} {syntax}");
        }
    }
}

#[test]
fn a_reference_that_cannot_carry_contours_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let volume = write_series(folder.path(), &Layout::axial());
    let contours =
        contours_of_mask(mask_of(&probability(volume.grid().shape()), 0.5).view(), volume.grid())
            .unwrap();
    let path = folder.path().join("rt.dcm");
    let mut series = volume.dicom().unwrap().clone();
    let with = |source| {
        Volume::new(volume.voxels().clone(), volume.grid().clone(), source, "test").unwrap()
    };

    let error = write_rtstruct(&path, &contours, &with(Source::Memory), &options()).unwrap_err();
    assert!(error.code() == 10 && error.to_string().contains("was not read from DICOM"), "{error}");
    series.frame_of_reference_uid = None;
    let error = write_rtstruct(
        &path,
        &contours,
        &with(Source::Dicom(Box::new(series.clone()))),
        &options(),
    )
    .unwrap_err();
    assert!(
        error.code() == 10 && error.to_string().contains("carry no Frame of Reference UID"),
        "{error}"
    );
    series = volume.dicom().unwrap().clone();
    series.study_instance_uid = "1.2.3".into();
    let error = write_rtstruct(
        &path,
        &contours,
        &with(Source::Dicom(Box::new(series.clone()))),
        &options(),
    )
    .unwrap_err();
    assert!(error.code() == 2 && error.to_string().contains("expected 1.2.3"), "{error}");
    series.header_file = folder.path().join("gone.dcm");
    let error =
        write_rtstruct(&path, &contours, &with(Source::Dicom(Box::new(series))), &options())
            .unwrap_err();
    assert!(error.code() == 2 && error.to_string().contains("gone.dcm"), "{error}");

    let error =
        write_rtstruct(&path, &contours, &volume, &options().with_roi_name("seventeen letters"))
            .unwrap_err();
    assert!(
        error.code() == 1
            && error.to_string().contains("ROI name 'seventeen letters' has 17 characters"),
        "{error}"
    );
    let small =
        nasoseg::geometry::Grid::new([3, 3, 1], [1.0, 0.0, 0.0], [0.0, 1.0, 0.0], vec![[0.0; 3]])
            .unwrap();
    let other = contours_of_mask(Array3::ones((1, 3, 3)).view(), &small).unwrap();
    let error = write_rtstruct(&path, &other, &volume, &options()).unwrap_err();
    assert!(error.code() == 1 && error.to_string().contains("is not the reference's"), "{error}");
    assert!(!path.exists());
    let error = write_rtstruct(&folder.path().join("no/rt.dcm"), &contours, &volume, &options())
        .unwrap_err();
    assert!(error.code() == 9 && error.to_string().contains("the folder must exist"), "{error}");
}
