//! Several echoes, b-values, time points and stacks in one series; gaps; enhanced images.

use super::tests::{Series, image, keep, pixels, put, put_short};
use super::*;
use dicom_core::value::DataSetSequence;
use dicom_core::{DataElement, PrimitiveValue, Tag, VR};
use dicom_object::{FileMetaTableBuilder, InMemDicomObject};

fn pick(series: &Series, pick: &str) -> Result<Volume> {
    read_folder(series.path(), &ReadOptions::default().with_pick(pick))
}

#[test]
fn echoes_are_listed_and_one_can_be_picked() {
    let series = Series::with(&[0, 3, 6], &keep);
    for (n, z) in [0, 3, 6].into_iter().enumerate() {
        series.add(&format!("late {n}.dcm"), z, &|o| {
            put(o, tags::SOP_INSTANCE_UID, VR::UI, &format!("1.2.9.{}", 5000 + z));
            put(o, tags::ECHO_TIME, VR::DS, "80.0");
            pixels(o, (0..6).map(|n| 500 + z as u16 + n));
        });
    }
    series.refused(&[
        "same plane",
        "The series holds \"Echo Time=12.5\" (3 images); \"Echo Time=80.0\" (3 images)",
        "pick one",
    ]);
    assert_eq!(pick(&series, "Echo Time=12.5").unwrap().voxels()[[1, 0, 0]], 30.0);
    // A number is a number however it is written.
    let late = pick(&series, " echo time = 80 ;").unwrap();
    assert_eq!((late.voxels()[[1, 0, 0]], late.dicom().unwrap().echo_time_ms), (503.0, Some(80.0)));
    for (text, reason) in [
        ("Echo Time=99", "expected one of: \"Echo Time=12.5\" (3 images)"),
        ("Echo=80", "with a name of"),
        ("80", "NAME=VALUE"),
    ] {
        let error = pick(&series, text).unwrap_err();
        assert!(
            matches!(error, Error::Argument(_)) && error.to_string().contains(reason),
            "{error}"
        );
    }
}

#[test]
fn b_values_and_image_types_are_picked_together() {
    let series = Series::new();
    for (n, (b, kind)) in [("0", "M"), ("0", "P"), ("1000", "M")].into_iter().enumerate() {
        for z in [0, 3] {
            series.add(&format!("{n} {z}.dcm"), z, &|o| {
                put(o, tags::SOP_INSTANCE_UID, VR::UI, &format!("1.2.9.{n}.{z}"));
                put(o, tags::IMAGE_TYPE, VR::CS, &format!("ORIGINAL\\PRIMARY\\{kind}"));
                o.put(DataElement::new(
                    tags::DIFFUSION_B_VALUE,
                    VR::FD,
                    PrimitiveValue::from(b.parse::<f64>().unwrap()),
                ));
                pixels(o, (0..6).map(|p| (100 * n) as u16 + p));
            });
        }
    }
    series.refused(&[
        "\"b-value=0; Image Type=ORIGINAL\\PRIMARY\\P\" (2 images)",
        "\"b-value=1000; Image Type=ORIGINAL\\PRIMARY\\M\" (2 images)",
    ]);
    assert_eq!(
        pick(&series, "b-value=0; image type=original\\primary\\p").unwrap().voxels()[[0, 0, 0]],
        100.0
    );
    assert_eq!(pick(&series, "b-value=1000").unwrap().voxels()[[0, 0, 0]], 200.0);
    assert!(pick(&series, "b-value=0").unwrap_err().to_string().contains("same plane"));
    // If one folder holds several series, the listing names their echo times and b-values.
    series.add("other.dcm", 0, &|o| put(o, tags::SERIES_INSTANCE_UID, VR::UI, "1.2.5"));
    series.refused(&["6 images, Echo Time 12.5, b-value 0 / 1000", "\"t1 tse\" (modality MR"]);
}

#[test]
fn a_localizer_of_three_planes_is_divided_by_plane() {
    let series = Series::new();
    for (n, orientation) in
        ["1\\0\\0\\0\\1\\0", "1\\0\\0\\0\\0\\-1", "0\\1\\0\\0\\0\\-1"].into_iter().enumerate()
    {
        for z in [0i16, 5] {
            series.add(&format!("{n} {z}.dcm"), z, &|o| {
                put(o, tags::SOP_INSTANCE_UID, VR::UI, &format!("1.2.9.{n}.{z}"));
                put(o, tags::IMAGE_ORIENTATION_PATIENT, VR::DS, orientation);
                put(o, tags::IMAGE_POSITION_PATIENT, VR::DS, &format!("{z}\\{z}\\{z}"));
                if n == 0 {
                    put(o, tags::IMAGE_POSITION_PATIENT, VR::DS, &format!("0\\0\\{z}"));
                }
            });
        }
    }
    series.refused(&[
        "mixed orientations",
        "\"Plane=axial\" (2 images); \"Plane=coronal\" (2 images); \"Plane=sagittal\" (2 images)",
    ]);
    assert_eq!(pick(&series, "Plane=axial").unwrap().grid().positions(), [0.0, 5.0]);
}

#[test]
fn duplicates_that_no_mark_distinguishes_are_refused() {
    let series = Series::with(&[0, 3, 6], &keep);
    series.add("copy.dcm", 3, &|o| put(o, tags::SOP_INSTANCE_UID, VR::UI, "1.2.9.7"));
    series.refused(&["1.dcm", "copy.dcm", "one image per plane", "Leave duplicates out"]);
}

#[test]
fn gaps_are_allowed_where_they_are_known() {
    let gap = Series::with(&[0, 3, 6, 12, 15], &keep);
    gap.refused(&["1 slice(s) are missing", "--allow-gaps"]);
    let volume = read_folder(gap.path(), &ReadOptions::default().with_allow_gaps(true)).unwrap();
    assert_eq!(volume.grid().positions(), [0.0, 3.0, 6.0, 12.0, 15.0]);
    assert!(volume.grid().affine().is_none());
    let warnings = &volume.dicom().unwrap().warnings;
    assert!(
        warnings.len() == 1
            && warnings[0].contains("missing after")
            && warnings[0].ends_with("allowed"),
        "{warnings:?}"
    );
    assert!(Series::with(&[0, 3, 7], &keep).read().unwrap().dicom().unwrap().warnings.is_empty());
}

#[test]
fn odd_uids_are_kept_as_they_are() {
    let long = format!("2.25.{}", "9".repeat(59));
    let series = Series::new();
    for (z, uid) in [(0, long.as_str()), (3, "1.2.0.0.3"), (6, "0.0")] {
        series.add(&format!("{z}.dcm"), z, &|o| {
            put(o, tags::SOP_INSTANCE_UID, VR::UI, uid);
            put(o, tags::SERIES_INSTANCE_UID, VR::UI, "1.2.840.0.1");
        });
    }
    let volume = series.read().unwrap();
    let slices: Vec<&str> =
        volume.dicom().unwrap().slices.iter().map(|s| s.sop_instance_uid.as_str()).collect();
    assert_eq!(slices, [long.as_str(), "1.2.0.0.3", "0.0"]);
    assert_eq!(volume.dicom().unwrap().series_instance_uid, "1.2.840.0.1");
}

/// An enhanced image; one frame for each (stack, time, z), with its own geometry, rescaled by its
/// own slope.
fn enhanced(frames: &[(&str, u32, f64)]) -> InMemDicomObject {
    let item = |elements: Vec<DataElement<InMemDicomObject>>| {
        InMemDicomObject::from_element_iter(elements)
    };
    let text = |tag, vr, value: &str| DataElement::new(tag, vr, PrimitiveValue::from(value));
    let group = |tag: Tag, inside: Vec<DataElement<InMemDicomObject>>| {
        DataElement::new(tag, VR::SQ, DataSetSequence::from(vec![item(inside)]))
    };
    let own = frames.iter().map(|(stack, time, z)| {
        let position = format!("-10.5\\20\\{z}");
        item(vec![
            group(
                tags::PLANE_POSITION_SEQUENCE,
                vec![text(tags::IMAGE_POSITION_PATIENT, VR::DS, &position)],
            ),
            group(
                tags::FRAME_CONTENT_SEQUENCE,
                vec![
                    text(tags::STACK_ID, VR::SH, stack),
                    DataElement::new(
                        tags::TEMPORAL_POSITION_INDEX,
                        VR::UL,
                        PrimitiveValue::from(*time),
                    ),
                ],
            ),
            group(
                tags::PIXEL_VALUE_TRANSFORMATION_SEQUENCE,
                vec![text(tags::RESCALE_SLOPE, VR::DS, &format!("{}", time * 2))],
            ),
        ])
    });
    let mut o = image(0);
    let own: Vec<InMemDicomObject> = own.collect();
    for tag in [tags::IMAGE_POSITION_PATIENT, tags::IMAGE_ORIENTATION_PATIENT, tags::PIXEL_SPACING]
    {
        o.remove_element(tag);
    }
    put(&mut o, tags::SOP_CLASS_UID, VR::UI, uids::ENHANCED_MR_IMAGE_STORAGE);
    put(&mut o, tags::NUMBER_OF_FRAMES, VR::IS, &frames.len().to_string());
    o.put(group(
        tags::SHARED_FUNCTIONAL_GROUPS_SEQUENCE,
        vec![
            group(
                tags::PLANE_ORIENTATION_SEQUENCE,
                vec![text(tags::IMAGE_ORIENTATION_PATIENT, VR::DS, "1\\0\\0\\0\\1\\0")],
            ),
            group(
                tags::PIXEL_MEASURES_SEQUENCE,
                vec![text(tags::PIXEL_SPACING, VR::DS, "0.5\\0.75")],
            ),
        ],
    ));
    o.put(DataElement::new(
        tags::PER_FRAME_FUNCTIONAL_GROUPS_SEQUENCE,
        VR::SQ,
        DataSetSequence::from(own),
    ));
    pixels(&mut o, (0..6 * frames.len()).map(|n| n as u16));
    o
}

fn stored(object: InMemDicomObject, syntax: &str) -> Vec<u8> {
    let mut bytes = Vec::new();
    object
        .with_meta(FileMetaTableBuilder::new().transfer_syntax(syntax))
        .unwrap()
        .write_all(&mut bytes)
        .unwrap();
    bytes
}

#[test]
fn frames_of_an_enhanced_image_are_ordered_by_their_own_geometry() {
    let bytes = stored(
        enhanced(&[("1", 1, 6.5), ("1", 1, 0.0), ("1", 1, 3.0)]),
        uids::EXPLICIT_VR_LITTLE_ENDIAN,
    );
    let volume = read_bytes(&bytes, Path::new("enhanced.dcm")).unwrap();
    assert_eq!(volume.grid().positions(), [0.0, 3.0, 6.5]);
    assert_eq!(volume.voxels()[[0, 0, 1]], 14.0);
    let slices = &volume.dicom().unwrap().slices;
    assert_eq!(
        (slices[0].frame, slices[0].position[2].as_str(), slices[2].frame),
        (Some(2), "0", Some(1))
    );
    assert_eq!(slices[1].orientation[4], "1");
}

#[test]
fn stacks_and_time_points_of_an_enhanced_image_are_listed_and_picked() {
    let frames: Vec<(&str, u32, f64)> = ["A", "B"]
        .iter()
        .flat_map(|s| [1, 2].map(|t| (*s, t)))
        .flat_map(|(s, t)| [0.0, 3.0].map(|z| (s, t, z)))
        .collect();
    let bytes = stored(enhanced(&frames), uids::IMPLICIT_VR_LITTLE_ENDIAN);
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("enhanced.dcm");
    std::fs::write(&path, &bytes).unwrap();
    let read = |options: &ReadOptions| read_files(std::slice::from_ref(&path), options);
    let error = read(&ReadOptions::default()).unwrap_err().to_string();
    let listed = "\"Stack ID=A; Temporal Position=1\" (2 images); \
                  \"Stack ID=A; Temporal Position=2\" (2 images)";
    assert!(error.contains(listed), "{error}");
    let volume =
        read(&ReadOptions::default().with_pick("Stack ID=B; Temporal Position=2")).unwrap();
    assert_eq!(
        volume.dicom().unwrap().slices.iter().map(|s| s.frame).collect::<Vec<_>>(),
        [Some(7), Some(8)]
    );
    // Frame 7 begins at pixel 36; its slope is 4.
    assert_eq!(volume.voxels()[[0, 0, 0]], 144.0);
    let wrong = enhanced(&frames);
    let mut short = wrong.clone();
    put(&mut short, tags::NUMBER_OF_FRAMES, VR::IS, "3");
    let error = read_bytes(&stored(short, uids::EXPLICIT_VR_LITTLE_ENDIAN), Path::new("short.dcm"))
        .unwrap_err()
        .to_string();
    assert!(error.contains("the geometry of 8 frames, expected 3"), "{error}");
    let mut one_bit = wrong;
    put_short(&mut one_bit, tags::BITS_ALLOCATED, 1);
    assert!(
        read_bytes(&stored(one_bit, uids::EXPLICIT_VR_LITTLE_ENDIAN), Path::new("bits.dcm"))
            .is_err()
    );
}
