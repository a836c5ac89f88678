//! DICOM series for the structure set tests: small ones written here, and real ones of which only
//! the headers are read; masks to draw on them.
#![allow(dead_code)]

use std::path::Path;

use dicom_core::value::PrimitiveValue;
use dicom_core::{DataElement, Tag, VR};
use dicom_dictionary_std::{tags, uids};
use dicom_object::{FileMetaTableBuilder, InMemDicomObject, OpenFileOptions};
use nasoseg::geometry::Grid;
use nasoseg::volume::{DicomSeries, DicomSlice, Source, Volume};
use ndarray::Array3;

/// A series to write.
pub struct Layout {
    pub size: [usize; 3],
    /// Along a row and along a column.
    pub spacing: [f64; 2],
    pub orientation: [&'static str; 6],
    pub positions: Vec<[String; 3]>,
    pub character_set: String,
    pub patient_name: Vec<u8>,
    pub syntax: String,
}

impl Layout {
    /// Evenly spaced, for readers that support only one spacing.
    pub fn even() -> Self {
        let position = |k: usize| {
            ["-20.125".into(), "-31.5".into(), format!("{:.3}", -30.031 + 6.125 * k as f64)]
        };
        Layout { positions: (0..6).map(position).collect(), ..Self::axial() }
    }

    pub fn axial() -> Self {
        // The last slice is farther away: planes are kept, not averaged.
        let heights = ["-30.0312456789", "-24.03125", "-18.03125", "-12.03125", "-6.03125", "3.5"];
        Layout {
            size: [52, 44, 6],
            spacing: [0.75, 0.9],
            orientation: ["1", "0", "0", "0", "1", "0"],
            positions: heights
                .iter()
                .map(|z| ["-20.125".into(), "-31.5".into(), z.to_string()])
                .collect(),
            character_set: "ISO_IR 192".into(),
            patient_name: "Müller^Jürgen".as_bytes().to_vec(),
            syntax: uids::EXPLICIT_VR_LITTLE_ENDIAN.into(),
        }
    }

    /// Tilted by 17 degrees about x and 8 about z.
    pub fn oblique() -> Self {
        let orientation = ["0.990268", "0.139173", "0", "-0.133092", "0.946998", "0.292372"];
        let [a, b, c, d, e, f] = orientation.map(|v| v.parse::<f64>().unwrap());
        let normal = [b * f - c * e, c * d - a * f, a * e - b * d];
        let position = |k: usize| {
            [0, 1, 2].map(|n| format!("{:.6}", [-40.1, 12.7, 5.3][n] + normal[n] * 5.5 * k as f64))
        };
        Layout {
            orientation,
            positions: (0..6).map(position).collect(),
            size: [49, 57, 6],
            spacing: [0.6836, 0.6836],
            ..Self::axial()
        }
    }
}

fn numbers<const N: usize>(texts: &[String; N]) -> [f64; N] {
    std::array::from_fn(|n| texts[n].trim().parse().unwrap())
}

fn volume(series: DicomSeries, columns: usize, rows: usize, spacing: [f64; 2]) -> Volume {
    let [a, b, c, d, e, f] = numbers(&series.slices[0].orientation);
    let origins: Vec<_> = series.slices.iter().map(|s| numbers(&s.position)).collect();
    let size = [columns, rows, origins.len()];
    let grid = Grid::new(
        size,
        [a, b, c].map(|v| v * spacing[0]),
        [d, e, f].map(|v| v * spacing[1]),
        origins,
    )
    .unwrap();
    let voxels = Array3::from_shape_fn(grid.shape(), |(k, j, i)| (k + j + i) as f32);
    Volume::new(voxels, grid, Source::Dicom(Box::new(series)), "series").unwrap()
}

/// Writes the images (in another order than their position) and returns their volume.
pub fn write_series(folder: &Path, layout: &Layout) -> Volume {
    let study = "1.2.826.0.1.3680043.10.1234.1";
    let (series_uid, frame) = (format!("{study}.2"), format!("{study}.3"));
    let mut series = DicomSeries {
        sop_class_uid: uids::MR_IMAGE_STORAGE.into(),
        study_instance_uid: study.into(),
        series_instance_uid: series_uid.clone(),
        frame_of_reference_uid: Some(frame.clone()),
        patient_id: "P-001".into(),
        ..DicomSeries::default()
    };
    let [columns, rows, count] = layout.size;
    for k in 0..count {
        let number = count - k;
        let uid = format!("{series_uid}.{number}");
        let path = folder.join(format!("im{number:03}.dcm"));
        let mut image = InMemDicomObject::new_empty();
        let mut text = |tag: Tag, vr: VR, value: &str| {
            image.put(DataElement::new(tag, vr, PrimitiveValue::from(value)));
        };
        text(tags::SOP_CLASS_UID, VR::UI, uids::MR_IMAGE_STORAGE);
        text(tags::SOP_INSTANCE_UID, VR::UI, &uid);
        text(tags::IMAGE_TYPE, VR::CS, "ORIGINAL\\PRIMARY\\OTHER");
        text(tags::STUDY_DATE, VR::DA, "20240229");
        text(tags::STUDY_TIME, VR::TM, "101112.5");
        text(tags::ACCESSION_NUMBER, VR::SH, "ACC7");
        text(tags::MODALITY, VR::CS, "MR");
        text(tags::REFERRING_PHYSICIAN_NAME, VR::PN, "Ref^Doc");
        text(tags::STUDY_DESCRIPTION, VR::LO, "Neck MR");
        text(tags::PATIENT_ID, VR::LO, "P-001");
        text(tags::PATIENT_BIRTH_DATE, VR::DA, "19600102");
        text(tags::PATIENT_SEX, VR::CS, "M");
        text(tags::PATIENT_AGE, VR::AS, "064Y");
        text(tags::PATIENT_SIZE, VR::DS, "1.82");
        text(tags::PATIENT_WEIGHT, VR::DS, "81.5");
        text(tags::SLICE_THICKNESS, VR::DS, "5");
        text(tags::PATIENT_POSITION, VR::CS, "HFS");
        text(tags::STUDY_INSTANCE_UID, VR::UI, study);
        text(tags::SERIES_INSTANCE_UID, VR::UI, &series_uid);
        text(tags::STUDY_ID, VR::SH, "ST1");
        text(tags::SERIES_NUMBER, VR::IS, "4");
        text(tags::INSTANCE_NUMBER, VR::IS, &number.to_string());
        text(tags::IMAGE_POSITION_PATIENT, VR::DS, &layout.positions[k].join("\\"));
        text(tags::IMAGE_ORIENTATION_PATIENT, VR::DS, &layout.orientation.join("\\"));
        text(tags::FRAME_OF_REFERENCE_UID, VR::UI, &frame);
        text(tags::PHOTOMETRIC_INTERPRETATION, VR::CS, "MONOCHROME2");
        text(tags::PIXEL_SPACING, VR::DS, &format!("{}\\{}", layout.spacing[1], layout.spacing[0]));
        for (tag, value) in [
            (tags::SAMPLES_PER_PIXEL, 1),
            (tags::ROWS, rows as u16),
            (tags::COLUMNS, columns as u16),
            (tags::BITS_ALLOCATED, 16),
            (tags::BITS_STORED, 12),
            (tags::HIGH_BIT, 11),
            (tags::PIXEL_REPRESENTATION, 0),
        ] {
            image.put(DataElement::new(tag, VR::US, PrimitiveValue::from(value)));
        }
        let mut raw = |tag: Tag, vr: VR, bytes: &[u8]| {
            image.put(DataElement::new(tag, vr, PrimitiveValue::U8(bytes.into())));
        };
        let padded: Vec<u8> = layout
            .patient_name
            .iter()
            .copied()
            .chain(std::iter::repeat_n(b' ', layout.patient_name.len() % 2))
            .collect();
        raw(tags::PATIENT_NAME, VR::PN, &padded);
        let mut set = layout.character_set.clone().into_bytes();
        set.resize(set.len().next_multiple_of(2), b' ');
        raw(tags::SPECIFIC_CHARACTER_SET, VR::CS, &set);
        // Nested sequences before the copied elements, of undefined length.
        let mut inner = InMemDicomObject::new_empty();
        inner.put(DataElement::new(
            tags::REFERENCED_SOP_INSTANCE_UID,
            VR::UI,
            PrimitiveValue::from("1.2.3.4"),
        ));
        let inner = dicom_core::value::DataSetSequence::from(vec![inner]);
        let mut outer = InMemDicomObject::new_empty();
        outer.put(DataElement::new(tags::PURPOSE_OF_REFERENCE_CODE_SEQUENCE, VR::SQ, inner));
        let outer = dicom_core::value::DataSetSequence::from(vec![outer]);
        image.put(DataElement::new(tags::REFERENCED_STUDY_SEQUENCE, VR::SQ, outer));
        let pixels: Vec<u16> = (0..columns * rows).map(|n| (n % 997) as u16).collect();
        image.put(DataElement::new(tags::PIXEL_DATA, VR::OW, PrimitiveValue::U16(pixels.into())));
        let meta = FileMetaTableBuilder::new()
            .transfer_syntax(&layout.syntax)
            .media_storage_sop_class_uid(uids::MR_IMAGE_STORAGE)
            .media_storage_sop_instance_uid(&uid);
        image.with_meta(meta).unwrap().write_to_file(&path).unwrap();
        series.slices.push(DicomSlice {
            path: path.clone(),
            sop_instance_uid: uid,
            frame: None,
            position: layout.positions[k].clone(),
            orientation: layout.orientation.map(String::from),
        });
        series.header_file = path;
    }
    volume(series, columns, rows, layout.spacing)
}

fn texts<const N: usize>(object: &InMemDicomObject, tag: Tag) -> [String; N] {
    let values = object.element(tag).unwrap().to_multi_str().unwrap().to_vec();
    values.iter().map(|v| v.trim().to_owned()).collect::<Vec<_>>().try_into().unwrap()
}

fn one(object: &InMemDicomObject, tag: Tag) -> String {
    object.element(tag).unwrap().to_str().unwrap().trim_end_matches(['\0', ' ']).to_owned()
}

fn described(object: &InMemDicomObject, path: &Path) -> DicomSeries {
    DicomSeries {
        sop_class_uid: one(object, tags::SOP_CLASS_UID),
        study_instance_uid: one(object, tags::STUDY_INSTANCE_UID),
        series_instance_uid: one(object, tags::SERIES_INSTANCE_UID),
        frame_of_reference_uid: Some(one(object, tags::FRAME_OF_REFERENCE_UID)),
        patient_id: one(object, tags::PATIENT_ID),
        header_file: path.to_owned(),
        ..DicomSeries::default()
    }
}

fn files(folder: &Path) -> Vec<std::path::PathBuf> {
    let mut files: Vec<_> = std::fs::read_dir(folder).unwrap().map(|e| e.unwrap().path()).collect();
    files.sort();
    files
}

fn along_normal(slice: &DicomSlice) -> f64 {
    let [a, b, c, d, e, f] = numbers(&slice.orientation);
    let [x, y, z] = numbers(&slice.position);
    x * (b * f - c * e) + y * (c * d - a * f) + z * (a * e - b * d)
}

fn image_size(object: &InMemDicomObject) -> (usize, usize) {
    let number = |tag| object.element(tag).unwrap().to_int::<usize>().unwrap();
    (number(tags::COLUMNS), number(tags::ROWS))
}

/// A real single-frame series: headers are read, voxels are invented.
pub fn read_series(folder: &Path) -> Volume {
    let mut found = None;
    let mut slices = Vec::new();
    for path in files(folder) {
        let object = OpenFileOptions::new().read_until(tags::PIXEL_DATA).open_file(&path).unwrap();
        slices.push(DicomSlice {
            path: path.clone(),
            sop_instance_uid: one(&object, tags::SOP_INSTANCE_UID),
            frame: None,
            position: texts(&object, tags::IMAGE_POSITION_PATIENT),
            orientation: texts(&object, tags::IMAGE_ORIENTATION_PATIENT),
        });
        let spacing: [String; 2] = texts(&object, tags::PIXEL_SPACING);
        found.get_or_insert_with(|| {
            (described(&object, &path), image_size(&object), numbers(&spacing))
        });
    }
    slices.sort_by(|a, b| along_normal(a).total_cmp(&along_normal(b)));
    let (series, (columns, rows), [down, across]) = found.unwrap();
    volume(DicomSeries { slices, ..series }, columns, rows, [across, down])
}

/// A real multi-frame file: the header is read, frames are sorted by position, voxels are invented.
pub fn read_multiframe(folder: &Path) -> Volume {
    let path = &files(folder)[0];
    let object = OpenFileOptions::new().read_until(tags::PIXEL_DATA).open_file(path).unwrap();
    let group = |frame: usize, tag: Tag| {
        let item = |sequence: Tag, n: usize| {
            object.element(sequence).ok().and_then(|e| e.items()?.get(n).cloned())
        };
        let own = item(tags::PER_FRAME_FUNCTIONAL_GROUPS_SEQUENCE, frame)
            .and_then(|i| i.element(tag).ok().and_then(|e| e.items()?.first().cloned()));
        own.or_else(|| {
            item(tags::SHARED_FUNCTIONAL_GROUPS_SEQUENCE, 0)
                .and_then(|i| i.element(tag).ok().and_then(|e| e.items()?.first().cloned()))
        })
        .unwrap()
    };
    let count = object.element(tags::NUMBER_OF_FRAMES).unwrap().to_int::<usize>().unwrap();
    let mut slices: Vec<DicomSlice> = (0..count)
        .map(|frame| DicomSlice {
            path: path.clone(),
            sop_instance_uid: one(&object, tags::SOP_INSTANCE_UID),
            frame: Some(frame as u32 + 1),
            position: texts(
                &group(frame, tags::PLANE_POSITION_SEQUENCE),
                tags::IMAGE_POSITION_PATIENT,
            ),
            orientation: texts(
                &group(frame, tags::PLANE_ORIENTATION_SEQUENCE),
                tags::IMAGE_ORIENTATION_PATIENT,
            ),
        })
        .collect();
    slices.sort_by(|a, b| along_normal(a).total_cmp(&along_normal(b)));
    // One stack: the first frame of every position.
    slices.dedup_by(|a, b| (along_normal(a) - along_normal(b)).abs() < 1e-3);
    let [down, across] =
        numbers(&texts(&group(0, tags::PIXEL_MEASURES_SEQUENCE), tags::PIXEL_SPACING));
    let (columns, rows) = image_size(&object);
    volume(DicomSeries { slices, ..described(&object, path) }, columns, rows, [across, down])
}

/// Blobs with holes and islands, corner touches and single voxels on eight slices at most; slice 0
/// and the last stay empty.
pub fn probability(shape: (usize, usize, usize)) -> Array3<f32> {
    let (nk, nj, ni) = shape;
    let drawn = (nk / 2).max(5) - 4..nk / 2 + 4;
    let centre = [ni as f64 * 0.47, nj as f64 * 0.55];
    Array3::from_shape_fn(shape, |(k, j, i)| {
        if k == 0 || k + 1 == nk || !drawn.contains(&k) {
            return 0.0;
        }
        let (x, y) = ((i as f64 - centre[0]) / ni as f64, (j as f64 - centre[1]) / nj as f64);
        let r = x.hypot(y);
        let rings = 0.5 + 0.5 * ((24.0 + k as f64) * r + 2.0 * (3.0 * y.atan2(x)).sin()).cos();
        let fade = (1.2 - 2.4 * r).clamp(0.0, 1.0);
        // Small holes, one voxel and more.
        let bites = if (i * 7 + j * 13 + k * 5) % 41 < 2 { 0.9 } else { 0.0 };
        (rings * fade * (1.0 - bites)) as f32
    })
}

pub fn mask_of(probability: &Array3<f32>, threshold: f32) -> Array3<u8> {
    let mut mask = probability.map(|p| (*p >= threshold) as u8);
    let (nk, nj, ni) = mask.dim();
    if nk > 2 && nj > 6 && ni > 6 {
        // One voxel in the image's corner and two that touch in a corner.
        mask[[1, 0, 0]] = 1;
        mask[[1, nj - 1, ni - 1]] = 1;
        mask[[1, nj - 2, ni - 2]] = 1;
        mask[[1, nj - 1, ni - 2]] = 0;
        mask[[1, nj - 2, ni - 1]] = 0;
    }
    mask
}
