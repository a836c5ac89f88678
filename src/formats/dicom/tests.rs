//! Series made here file by file, and the volumes or errors that they give.

use super::*;
use dicom_core::{DataElement, PrimitiveValue, Tag, VR};
use dicom_object::{FileMetaTableBuilder, InMemDicomObject};
use tempfile::TempDir;

/// A folder with the images that a test adds.
pub(super) struct Series {
    folder: TempDir,
}

pub(super) type Edit<'a> = &'a dyn Fn(&mut InMemDicomObject);

pub(super) fn put(object: &mut InMemDicomObject, tag: Tag, vr: VR, value: &str) {
    object.put(DataElement::new(tag, vr, PrimitiveValue::from(value)));
}

pub(super) fn put_short(object: &mut InMemDicomObject, tag: Tag, value: u16) {
    object.put(DataElement::new(tag, VR::US, PrimitiveValue::from(value)));
}

/// An axial image of 3 columns and 2 rows at height `z`; its pixels are 10 z, 10 z + 1, ...
pub(super) fn image(z: i16) -> InMemDicomObject {
    let mut o = InMemDicomObject::new_empty();
    for (tag, vr, value) in [
        (tags::SOP_CLASS_UID, VR::UI, uids::MR_IMAGE_STORAGE),
        (tags::MODALITY, VR::CS, "MR"),
        (tags::PATIENT_ID, VR::LO, "P1"),
        (tags::STUDY_INSTANCE_UID, VR::UI, "1.2.1"),
        (tags::SERIES_INSTANCE_UID, VR::UI, "1.2.2"),
        (tags::SERIES_DESCRIPTION, VR::LO, "t1 tse"),
        (tags::FRAME_OF_REFERENCE_UID, VR::UI, "1.2.3"),
        (tags::ECHO_TIME, VR::DS, "12.5"),
        (tags::PHOTOMETRIC_INTERPRETATION, VR::CS, "MONOCHROME2"),
        (tags::IMAGE_ORIENTATION_PATIENT, VR::DS, "1\\0\\0\\0\\1\\0"),
        (tags::PIXEL_SPACING, VR::DS, "0.5\\0.75"),
    ] {
        put(&mut o, tag, vr, value);
    }
    put(&mut o, tags::SOP_INSTANCE_UID, VR::UI, &format!("1.2.9.{}", z + 1000));
    put(&mut o, tags::IMAGE_POSITION_PATIENT, VR::DS, &format!("-10.50\\20\\{z}"));
    for (tag, value) in [
        (tags::SAMPLES_PER_PIXEL, 1),
        (tags::ROWS, 2),
        (tags::COLUMNS, 3),
        (tags::BITS_ALLOCATED, 16),
        (tags::BITS_STORED, 12),
        (tags::HIGH_BIT, 11),
        (tags::PIXEL_REPRESENTATION, 0),
    ] {
        put_short(&mut o, tag, value);
    }
    pixels(&mut o, (0..6).map(|n| (10 * z + n) as u16));
    o
}

pub(super) fn pixels(object: &mut InMemDicomObject, values: impl Iterator<Item = u16>) {
    object.put(DataElement::new(tags::PIXEL_DATA, VR::OW, PrimitiveValue::U16(values.collect())));
}

fn remove(object: &mut InMemDicomObject, tag: Tag) {
    object.remove_element(tag);
}

pub(super) fn keep(_: &mut InMemDicomObject) {}

impl Series {
    pub(super) fn new() -> Self {
        Series { folder: tempfile::tempdir().unwrap() }
    }

    pub(super) fn with(heights: &[i16], edit: Edit) -> Self {
        let series = Series::new();
        for (n, z) in heights.iter().enumerate() {
            series.add(&format!("{n}.dcm"), *z, edit);
        }
        series
    }

    pub(super) fn add(&self, name: &str, z: i16, edit: Edit) -> PathBuf {
        self.add_as(name, z, uids::EXPLICIT_VR_LITTLE_ENDIAN, edit)
    }

    pub(super) fn add_as(&self, name: &str, z: i16, syntax: &str, edit: Edit) -> PathBuf {
        let mut object = image(z);
        edit(&mut object);
        let path = self.folder.path().join(name);
        object
            .with_meta(FileMetaTableBuilder::new().transfer_syntax(syntax))
            .unwrap()
            .write_to_file(&path)
            .unwrap();
        path
    }

    pub(super) fn path(&self) -> &Path {
        self.folder.path()
    }

    pub(super) fn read(&self) -> Result<Volume> {
        read_folder(self.path(), &ReadOptions::default())
    }

    pub(super) fn refused(&self, reasons: &[&str]) {
        let error = self.read().expect_err(reasons[0]).chain();
        for reason in reasons {
            assert!(error.contains(reason), "{reason}: {error}");
        }
        assert!(error.contains(&self.path().display().to_string()), "{error}");
    }
}

#[test]
fn slices_are_ordered_by_position_and_origins_are_kept() {
    let series = Series::with(&[6, 0, 9, 3], &keep);
    std::fs::write(series.path().join("notes.txt"), "not an image").unwrap();
    std::fs::write(series.path().join("DICOMDIR"), "whatever").unwrap();
    std::fs::write(series.path().join(".hidden"), "whatever").unwrap();
    let volume = series.read().unwrap();
    let grid = volume.grid();
    assert_eq!(grid.size(), [3, 2, 4]);
    // Pixel Spacing is between rows (0.5), then between columns (0.75).
    assert_eq!((grid.axis_i(), grid.axis_j()), ([0.75, 0.0, 0.0], [0.0, 0.5, 0.0]));
    assert_eq!(grid.origins()[1], [-10.5, 20.0, 3.0]);
    assert_eq!(volume.voxels()[[1, 0, 0]], 30.0);
    assert_eq!(volume.voxels()[[3, 1, 2]], 95.0);
    let dicom = volume.dicom().unwrap();
    assert!(dicom.header_file.ends_with("1.dcm"));
    assert_eq!(dicom.slices[3].position, ["-10.50", "20", "9"]);
    assert_eq!(dicom.slices[3].sop_instance_uid, "1.2.9.1009");
    assert_eq!((dicom.echo_time_ms, dicom.patient_id.as_str()), (Some(12.5), "P1"));
    assert_eq!(dicom.frame_of_reference_uid.as_deref(), Some("1.2.3"));
}

#[test]
fn slices_ascend_along_row_cross_column() {
    let series = Series::with(&[0, 3, 6], &|o| {
        put(o, tags::IMAGE_ORIENTATION_PATIENT, VR::DS, "1\\0\\0\\0\\-1\\0")
    });
    assert_eq!(series.read().unwrap().grid().origins()[0][2], 6.0);
}

#[test]
fn uneven_distances_are_kept_and_gaps_are_refused() {
    let uneven = Series::with(&[0, 10, 21, 35], &keep).read().unwrap();
    assert_eq!(uneven.grid().positions(), [0.0, 10.0, 21.0, 35.0]);
    let gap = Series::with(&[0, 3, 6, 12, 15], &keep);
    gap.refused(&[
        "1 slice(s) are missing after",
        "2.dcm",
        "6.000 mm away",
        "usual distance is 3.000 mm",
    ]);
    Series::with(&[0, 3, 12], &keep).refused(&["2 slice(s) are missing after", "1.dcm"]);
}

#[test]
fn two_images_in_one_plane_are_refused() {
    let series = Series::with(&[0, 3, 6], &keep);
    series.add("other echo.dcm", 3, &|o| {
        put(o, tags::SOP_INSTANCE_UID, VR::UI, "1.2.9.7");
        put(o, tags::ECHO_TIME, VR::DS, "80");
    });
    series.refused(&[
        "1.dcm",
        "other echo.dcm",
        "same plane",
        "Echo Time 12.5 / 80",
        "several echoes",
    ]);
    let series = Series::with(&[0, 3, 6, 3], &keep);
    series.refused(&["same image", "1.2.9.1003"]);
}

#[test]
fn what_is_no_stack_is_refused() {
    Series::with(&[0], &keep).refused(&["one image only", "at least 2 slices"]);
    Series::new().refused(&["holds no file"]);
    let mixed = |edit: Edit| {
        let series = Series::with(&[0, 3], &keep);
        series.add("odd.dcm", 6, edit);
        series
    };
    mixed(&|o| put(o, tags::IMAGE_ORIENTATION_PATIENT, VR::DS, "0\\1\\0\\0\\0\\-1"))
        .refused(&["mixed orientations", "odd.dcm"]);
    mixed(&|o| put(o, tags::PIXEL_SPACING, VR::DS, "0.5\\0.8"))
        .refused(&["pixel spacing", "odd.dcm"]);
    mixed(&|o| put_short(o, tags::ROWS, 1)).refused(&["3 x 2 and 3 x 1 pixels", "odd.dcm"]);
    mixed(&|o| put(o, tags::IMAGE_POSITION_PATIENT, VR::DS, "-10\\20\\6"))
        .refused(&["sheared", "0.500 mm", "odd.dcm"]);
    mixed(&|o| put(o, tags::IMAGE_POSITION_PATIENT, VR::DS, "-10\\NaN\\6"))
        .refused(&["not three finite numbers", "odd.dcm"]);
    mixed(&|o| remove(o, tags::IMAGE_POSITION_PATIENT)).refused(&["no Image Position", "odd.dcm"]);
    mixed(&|o| put(o, tags::IMAGE_ORIENTATION_PATIENT, VR::DS, "1\\0\\0\\0.2\\1\\0"))
        .refused(&["right angles", "odd.dcm"]);
    mixed(&|o| put(o, tags::PATIENT_ID, VR::LO, "P2"))
        .refused(&["differ in Patient ID", "odd.dcm"]);
    mixed(&|o| put(o, tags::FRAME_OF_REFERENCE_UID, VR::UI, "1.9"))
        .refused(&["differ in Frame of Reference", "odd.dcm"]);
    mixed(&|o| put(o, tags::NUMBER_OF_FRAMES, VR::IS, "3"))
        .refused(&["3 frames without", "odd.dcm"]);
}

#[test]
fn what_is_no_grey_mr_image_is_refused() {
    let all = |edit: Edit| Series::with(&[0, 3], edit);
    all(&|o| {
        put(o, tags::PHOTOMETRIC_INTERPRETATION, VR::CS, "RGB");
        put_short(o, tags::SAMPLES_PER_PIXEL, 3);
    })
    .refused(&["colour image (RGB, 3 samples"]);
    all(&|o| put(o, tags::MODALITY, VR::CS, "CT")).refused(&["not an MR image (modality CT"]);
    all(&|o| {
        put(o, tags::MODALITY, VR::CS, "RTSTRUCT");
        put(o, tags::SOP_CLASS_UID, VR::UI, uids::RT_STRUCTURE_SET_STORAGE);
        o.remove_element(tags::ROWS);
    })
    .refused(&["no image (modality RTSTRUCT"]);
    all(&|o| put(o, tags::IMAGE_TYPE, VR::CS, "ORIGINAL\\PRIMARY\\M\\MOSAIC")).refused(&["mosaic"]);
    all(&|o| put(o, tags::RESCALE_SLOPE, VR::DS, "0")).refused(&["Rescale Slope is 0"]);
    assert_eq!(all(&|o| pixels(o, [5; 6].into_iter())).read().unwrap().constant(), Some(5.0));
    all(&|o| put_short(o, tags::BITS_ALLOCATED, 12)).refused(&["pixels have 12 bits"]);
    all(&|o| put_short(o, tags::BITS_STORED, 17)).refused(&["are impossible"]);
}

#[test]
fn objects_without_an_image_are_passed_over_beside_images() {
    let series = Series::with(&[0, 3], &keep);
    series.add("structures.dcm", 0, &|o| {
        put(o, tags::MODALITY, VR::CS, "RTSTRUCT");
        put(o, tags::SERIES_INSTANCE_UID, VR::UI, "1.2.77");
        put(o, tags::SOP_CLASS_UID, VR::UI, uids::RT_STRUCTURE_SET_STORAGE);
        o.remove_element(tags::ROWS);
    });
    assert_eq!(series.read().unwrap().grid().size()[2], 2);
}

#[test]
fn several_series_are_listed() {
    let series = Series::with(&[0, 3], &keep);
    series.add("scout.dcm", 0, &|o| {
        put(o, tags::SERIES_INSTANCE_UID, VR::UI, "1.2.5");
        put(o, tags::SERIES_DESCRIPTION, VR::LO, "scout");
        o.remove_element(tags::IMAGE_POSITION_PATIENT);
    });
    series.refused(&[
        "2 series were found",
        "1.2.2 \"t1 tse\"",
        "2 images",
        "1.2.5 \"scout\"",
        "1 images",
    ]);
    let volume =
        read_folder(series.path(), &ReadOptions::default().with_series_uid("1.2.2")).unwrap();
    assert_eq!(volume.grid().size()[2], 2);
}

#[test]
fn damaged_files_are_named() {
    // At every length: inside the meta group, a value, a tag, and between two elements.
    let series = Series::with(&[0, 3], &keep);
    let path = series.add("cut.dcm", 6, &keep);
    let whole = std::fs::read(&path).unwrap();
    for length in 132..whole.len() {
        std::fs::write(&path, &whole[..length]).unwrap();
        series.refused(&["cut.dcm"]);
    }
    let series = Series::with(&[0, 3], &keep);
    series.add("short.dcm", 6, &|o| pixels(o, [1; 5].into_iter()));
    series.refused(&[
        "short.dcm",
        "found 10 bytes of pixels",
        "expected 3 x 2 x 1 pixels (12 bytes)",
    ]);
}

#[test]
fn missing_frame_of_reference_is_told() {
    let volume =
        Series::with(&[0, 3], &|o| remove(o, tags::FRAME_OF_REFERENCE_UID)).read().unwrap();
    assert_eq!(volume.dicom().unwrap().frame_of_reference_uid, None);
}

#[test]
fn stored_bits_sign_and_rescaling() {
    // 12 stored bits below an overlay bit; signed; 0x0fff is -1.
    let signed = Series::with(&[0, 3], &|o| {
        put_short(o, tags::PIXEL_REPRESENTATION, 1);
        put(o, tags::RESCALE_SLOPE, VR::DS, "0.5");
        put(o, tags::RESCALE_INTERCEPT, VR::DS, "10");
        pixels(o, [0x0fff, 0xf001, 0x0800, 0x07ff, 0, 2].into_iter());
    });
    let volume = signed.read().unwrap();
    assert_eq!(volume.voxels().as_slice().unwrap()[..6], [9.5, 10.5, -1014.0, 1033.5, 10.0, 11.0]);
    let high = Series::with(&[0, 3], &|o| {
        put_short(o, tags::HIGH_BIT, 15);
        pixels(o, (0..6).map(|n| n << 4 | 7));
    });
    assert_eq!(high.read().unwrap().voxels()[[0, 1, 2]], 5.0);
    // MONOCHROME1: the stored bits are complemented, then rescaled.
    let inverted = Series::with(&[0, 3], &|o| {
        put(o, tags::PHOTOMETRIC_INTERPRETATION, VR::CS, "MONOCHROME1");
        put(o, tags::RESCALE_INTERCEPT, VR::DS, "1");
    });
    assert_eq!(inverted.read().unwrap().voxels()[[1, 0, 0]], 4095.0 - 30.0 + 1.0);
    let inverted = Series::with(&[0, 3], &|o| {
        put(o, tags::PHOTOMETRIC_INTERPRETATION, VR::CS, "MONOCHROME1");
        put_short(o, tags::PIXEL_REPRESENTATION, 1);
    });
    assert_eq!(inverted.read().unwrap().voxels()[[1, 0, 0]], -31.0);
    let bytes = Series::with(&[0, 3], &|o| {
        put_short(o, tags::BITS_ALLOCATED, 8);
        put_short(o, tags::BITS_STORED, 8);
        put_short(o, tags::HIGH_BIT, 7);
        o.put(DataElement::new(
            tags::PIXEL_DATA,
            VR::OB,
            PrimitiveValue::from(vec![0u8, 1, 2, 3, 4, 255]),
        ));
    });
    assert_eq!(bytes.read().unwrap().voxels()[[0, 1, 2]], 255.0);
}

#[test]
fn transfer_syntaxes_without_packing_agree() {
    let plain = Series::with(&[0, 3], &keep).read().unwrap();
    let big_endian = "1.2.840.10008.1.2.2";
    for syntax in
        [uids::IMPLICIT_VR_LITTLE_ENDIAN, big_endian, uids::DEFLATED_EXPLICIT_VR_LITTLE_ENDIAN]
    {
        let series = Series::new();
        series.add_as("a.dcm", 0, syntax, &keep);
        series.add_as("b.dcm", 3, syntax, &keep);
        assert_eq!(series.read().unwrap().voxels(), plain.voxels(), "{syntax}");
    }
}

#[test]
fn files_without_preamble_or_meta_group_are_read() {
    let series = Series::with(&[0, 3, 6], &keep);
    let expected = series.read().unwrap();
    // Without the preamble; without preamble and "DICM"; without the meta group, explicit.
    for (name, cut) in [("0.dcm", 128), ("1.dcm", 132)] {
        let path = series.path().join(name);
        let bytes = std::fs::read(&path).unwrap();
        std::fs::write(&path, &bytes[cut..]).unwrap();
    }
    let path = series.path().join("2.dcm");
    let mut bytes = Vec::new();
    let syntax = dicom_transfer_syntax_registry::entries::IMPLICIT_VR_LITTLE_ENDIAN.erased();
    image(6).write_dataset_with_ts(&mut bytes, &syntax).unwrap();
    std::fs::write(&path, &bytes).unwrap();
    assert_eq!(series.read().unwrap().voxels(), expected.voxels());
}

#[test]
fn packed_frames_are_put_together_from_fragments() {
    // RLE of 6 samples: high bytes 0, then low bytes 0..6 literally.
    let rle = |first: u8| {
        let mut bytes = vec![0u8; 64];
        bytes[0] = 2;
        bytes[4] = 64;
        bytes[8] = 66;
        bytes.extend([(-5i8) as u8, 0, 5]);
        bytes.extend((0..6).map(|n| first + n));
        bytes.push(0x80);
        bytes
    };
    let pack = |o: &mut InMemDicomObject, bytes: Vec<u8>| {
        use dicom_core::value::{PixelFragmentSequence, Value};
        let value: Value<InMemDicomObject, Vec<u8>> =
            Value::PixelSequence(PixelFragmentSequence::new_fragments(vec![bytes]));
        o.put(DataElement::new(tags::PIXEL_DATA, VR::OB, value));
    };
    let series = Series::new();
    for z in [0, 3] {
        series.add_as(&format!("{z}.dcm"), z, uids::RLE_LOSSLESS, &|o| pack(o, rle(10 * z as u8)));
    }
    assert_eq!(
        series.read().unwrap().voxels(),
        Series::with(&[0, 3], &keep).read().unwrap().voxels()
    );
    for (name, change) in [("segments", 0usize), ("offset", 4), ("literal", 66)] {
        // 120 segments; a segment at byte 120; a literal of 4 samples where 6 follow.
        series.add_as("3.dcm", 3, uids::RLE_LOSSLESS, &|o| {
            let mut bytes = rle(30);
            bytes[change] = if change == 66 { 3 } else { 120 };
            pack(o, bytes);
        });
        let error = series.read().expect_err(name).to_string();
        assert!(error.contains("3.dcm") && error.contains("RLE"), "{name}: {error}");
    }
    series.add_as("3.dcm", 3, uids::JPEG_LOSSLESS_SV1, &|o| pack(o, vec![1, 2, 3, 4]));
    series.refused(&["3.dcm", "no JPEG"]);
}
