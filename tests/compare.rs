//! Structure sets read back, and the measures of what was edited, against known answers and other
//! people's software.

mod common;
mod rtstruct_series;

use std::path::Path;

use common::{Trio, judge, nasoseg, shared, text};
use dicom_core::value::{PrimitiveValue, Value};
use dicom_core::{DataElement, Tag, VR};
use dicom_dictionary_std::tags;
use dicom_object::InMemDicomObject;
use nasoseg::Error;
use nasoseg::compare::compare;
use nasoseg::contour::{contours_of_level, contours_of_mask};
use nasoseg::formats::nifti::write_nifti;
use nasoseg::formats::rtstruct::{HoleMode, RtStructOptions, write_rtstruct};
use nasoseg::formats::rtstruct::{RoiMask, SliceBy, StructureSet};
use nasoseg::geometry::Grid;
use nasoseg::volume::{Source, Volume};
use ndarray::Array3;
use rtstruct_series::{Layout, mask_of, probability, read_multiframe, read_series, write_series};

fn read_back(path: &Path, reference: &Volume) -> Result<RoiMask, Error> {
    let set = StructureSet::read(path)?;
    set.mask(set.roi(None)?, reference, SliceBy::Image)
}

/// Every hole mode, along voxel edges and along the level, gives back the voxels that were drawn.
fn comes_back(reference: &Volume) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("rt.dcm");
    let probability = probability(reference.grid().shape());
    let (mask, level_mask) = (mask_of(&probability, 0.5), probability.map(|p| (*p >= 0.5) as u8));
    let voxel = contours_of_mask(mask.view(), reference.grid()).unwrap();
    let level = contours_of_level(probability.view(), reference.grid(), 0.5, None).unwrap();
    for holes in [HoleMode::Keyhole, HoleMode::Xor, HoleMode::Plain, HoleMode::Fill] {
        for (mask, contours) in [(&mask, &voxel), (&level_mask, &level)] {
            write_rtstruct(
                &path,
                contours,
                reference,
                &RtStructOptions::default().with_holes(holes),
            )
            .unwrap();
            let found = read_back(&path, reference).unwrap();
            assert!(found.warnings.is_empty(), "{:?}", found.warnings);
            let count = |m: &Array3<u8>| m.iter().filter(|v| **v != 0).count();
            if holes == HoleMode::Fill {
                assert!(
                    mask.iter().zip(&found.mask).all(|(drawn, read)| drawn <= read)
                        && count(mask) < count(&found.mask)
                );
            } else {
                assert_eq!(found.mask, *mask, "{holes:?}");
            }
        }
    }
}

#[test]
fn what_was_drawn_comes_back_to_the_voxel() {
    for layout in [Layout::even(), Layout::axial(), Layout::oblique()] {
        let folder = tempfile::tempdir().unwrap();
        comes_back(&write_series(folder.path(), &layout));
    }
    if let Some(images) = shared("dicom_mr_sagittal") {
        comes_back(&read_series(&images));
    }
    if let Some(images) = shared("dicom_mr_enhanced") {
        comes_back(&read_multiframe(&images));
    }
}

/// A series, its structure set, and the mask that it draws.
struct Drawn {
    folder: tempfile::TempDir,
    reference: Volume,
    mask: Array3<u8>,
}

impl Drawn {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let images = folder.path().join("images");
        std::fs::create_dir(&images).unwrap();
        let reference = write_series(&images, &Layout::axial());
        // Two rectangles on slice 2, one on slice 3.
        let mask = Array3::from_shape_fn(reference.grid().shape(), |(k, j, i)| {
            u8::from(match k {
                2 => (4..9).contains(&j) && ((3..8).contains(&i) || (20..22).contains(&i)),
                3 => (5..9).contains(&j) && (3..8).contains(&i),
                _ => false,
            })
        });
        let contours = contours_of_mask(mask.view(), reference.grid()).unwrap();
        write_rtstruct(
            &folder.path().join("rt.dcm"),
            &contours,
            &reference,
            &RtStructOptions::default(),
        )
        .unwrap();
        Drawn { folder, reference, mask }
    }

    /// The structure set with changes, read onto the series.
    fn changed(&self, change: impl Fn(&mut InMemDicomObject)) -> Result<RoiMask, Error> {
        read_back(&self.change(change), &self.reference)
    }

    fn change(&self, change: impl Fn(&mut InMemDicomObject)) -> std::path::PathBuf {
        let mut object = dicom_object::open_file(self.folder.path().join("rt.dcm")).unwrap();
        change(&mut object);
        let path = self.folder.path().join("changed.dcm");
        object.write_to_file(&path).unwrap();
        path
    }
}

fn items(object: &mut InMemDicomObject, tag: Tag, change: impl Fn(&mut Vec<InMemDicomObject>)) {
    let Value::Sequence(sequence) = object.take_element(tag).unwrap().into_value() else {
        panic!("{tag} is no sequence")
    };
    let mut items = sequence.into_items().into_vec();
    change(&mut items);
    object.put(DataElement::new(tag, VR::SQ, dicom_core::value::DataSetSequence::from(items)));
}

/// Changes the contours of the first region.
fn contours(object: &mut InMemDicomObject, change: impl Fn(&mut Vec<InMemDicomObject>)) {
    items(object, tags::ROI_CONTOUR_SEQUENCE, |regions| {
        items(&mut regions[0], tags::CONTOUR_SEQUENCE, &change)
    });
}

fn put(object: &mut InMemDicomObject, tag: Tag, vr: VR, value: &str) {
    object.put(DataElement::new(tag, vr, PrimitiveValue::from(value)));
}

fn coordinates(contour: &InMemDicomObject) -> Vec<f64> {
    contour.element(tags::CONTOUR_DATA).unwrap().to_multi_float64().unwrap()
}

fn place(contour: &mut InMemDicomObject, coordinates: &[f64]) {
    let texts: Vec<String> = coordinates.iter().map(|v| format!("{v:.3}")).collect();
    put(contour, tags::NUMBER_OF_CONTOUR_POINTS, VR::IS, &(coordinates.len() / 3).to_string());
    contour.put(DataElement::new(tags::CONTOUR_DATA, VR::DS, PrimitiveValue::Strs(texts.into())));
}

fn moved(contour: &mut InMemDicomObject, by: [f64; 3]) {
    let points: Vec<f64> =
        coordinates(contour).iter().enumerate().map(|(n, v)| v + by[n % 3]).collect();
    place(contour, &points);
}

#[test]
fn contours_without_an_image_are_told_by_their_plane() {
    let drawn = Drawn::new();
    let found = drawn.changed(|set| {
        contours(set, |c| {
            c[1].take_element(tags::CONTOUR_IMAGE_SEQUENCE).unwrap();
            moved(&mut c[1], [0.0, 0.0, 0.3]);
        });
    });
    let found = found.unwrap();
    assert_eq!(found.mask, drawn.mask);
    assert!(
        found.warnings[0].contains(
            "the slices of 1 contours were found from their planes alone: they reference no image"
        ),
        "{:?}",
        found.warnings
    );
}

#[test]
fn a_contour_off_its_plane_is_refused_with_the_distance() {
    let drawn = Drawn::new();
    let error =
        drawn.changed(|set| contours(set, |c| moved(&mut c[2], [0.0, 0.0, 1.25]))).unwrap_err();
    assert!(matches!(error, Error::Geometry(_)), "{error}");
    assert!(error.to_string().contains("contour 3 of ROI 1 \"GTVp_SeqSeg\""), "{error}");
    assert!(
        error.to_string().contains(
            "references the image of slice k 3, but lies up to 1.250 mm off its plane, \
             expected at most 0.500 mm"
        ),
        "{error}"
    );
    let error = drawn
        .changed(|set| {
            contours(set, |c| {
                moved(&mut c[2], [0.0, 0.0, 2.5]);
                c[2].take_element(tags::CONTOUR_IMAGE_SEQUENCE).unwrap();
            });
        })
        .unwrap_err();
    assert!(
        error
            .to_string()
            .contains("lies on no slice: up to 2.500 mm off the plane of the nearest, k 3"),
        "{error}"
    );
    // On the plane of another slice than the one it names: neither is silently taken.
    let error =
        drawn.changed(|set| contours(set, |c| moved(&mut c[2], [0.0, 0.0, 6.0]))).unwrap_err();
    assert!(
        error
            .to_string()
            .contains("up to 6.000 mm off its plane, on that of slice k 4 (--by-plane"),
        "{error}"
    );
    let set = StructureSet::read(&drawn.folder.path().join("changed.dcm")).unwrap();
    let found = set.mask(set.roi(None).unwrap(), &drawn.reference, SliceBy::Plane).unwrap();
    assert_eq!(
        found.mask.index_axis(ndarray::Axis(0), 4),
        drawn.mask.index_axis(ndarray::Axis(0), 3)
    );
    assert!(
        found.warnings[0]
            .contains("the slices of 3 contours were found from their planes alone: as requested"),
        "{:?}",
        found.warnings
    );
}

#[test]
fn a_structure_set_of_other_images_or_another_patient_is_refused() {
    let drawn = Drawn::new();
    let error = drawn
        .changed(|set| {
            contours(set, |c| {
                items(&mut c[0], tags::CONTOUR_IMAGE_SEQUENCE, |i| {
                    put(&mut i[0], tags::REFERENCED_SOP_INSTANCE_UID, VR::UI, "1.2.3")
                });
            });
        })
        .unwrap_err();
    assert!(
        error
            .to_string()
            .contains("references image 1.2.3, which is not one of the reference series' 6"),
        "{error}"
    );
    assert!(
        error.to_string().contains(&drawn.reference.dicom().unwrap().series_instance_uid),
        "{error}"
    );
    let error = drawn.changed(|set| put(set, tags::PATIENT_ID, VR::LO, "P-002")).unwrap_err();
    assert!(
        matches!(error, Error::Identity(_))
            && error.to_string().contains("patient ID \"P-002\" against \"P-001\""),
        "{error}"
    );
    let error = drawn
        .changed(|set| {
            items(set, tags::STRUCTURE_SET_ROI_SEQUENCE, |i| {
                put(&mut i[0], tags::REFERENCED_FRAME_OF_REFERENCE_UID, VR::UI, "1.9")
            });
        })
        .unwrap_err();
    assert!(
        matches!(error, Error::Geometry(_))
            && error.to_string().contains("has the frame of reference 1.9"),
        "{error}"
    );
    let image = drawn.reference.dicom().unwrap().header_file.clone();
    let error = StructureSet::read(&image).unwrap_err();
    assert!(error.to_string().contains("not an RT Structure Set (modality MR"), "{error}");
}

#[test]
fn other_geometric_types_are_left_out_by_name_or_refused() {
    let drawn = Drawn::new();
    let typed = |set: &mut InMemDicomObject, kinds: &[(usize, &str)]| {
        contours(set, |c| {
            kinds
                .iter()
                .for_each(|(n, kind)| put(&mut c[*n], tags::CONTOUR_GEOMETRIC_TYPE, VR::CS, kind))
        });
    };
    let found = drawn.changed(|set| typed(set, &[(1, "OPEN_PLANAR"), (2, "POINT")])).unwrap();
    assert_eq!(found.mask.iter().filter(|v| **v != 0).count(), 5 * 5);
    assert!(
        found.warnings[0]
            .contains("left out, as they enclose no area of a slice: 1 OPEN_PLANAR, 1 POINT"),
        "{:?}",
        found.warnings
    );
    let error = drawn
        .changed(|set| typed(set, &[(0, "POINT"), (1, "OPEN_NONPLANAR"), (2, "POINT")]))
        .unwrap_err();
    assert!(matches!(error, Error::Unsupported(_)), "{error}");
    assert!(
        error.to_string().contains(
            "its contours are 1 OPEN_NONPLANAR, 2 POINT, expected closed planar contours"
        ),
        "{error}"
    );
}

#[test]
fn regions_are_chosen_by_name_or_number_and_listed_otherwise() {
    let drawn = Drawn::new();
    let path = drawn.change(|set| {
        items(set, tags::STRUCTURE_SET_ROI_SEQUENCE, |regions| {
            for (number, name) in [("5", "BODY"), ("7", "BODY")] {
                let mut region = regions[0].clone();
                put(&mut region, tags::ROI_NUMBER, VR::IS, number);
                put(&mut region, tags::ROI_NAME, VR::LO, name);
                regions.push(region);
            }
        });
    });
    let set = StructureSet::read(&path).unwrap();
    assert_eq!(set.roi(Some("GTVp_SeqSeg")).unwrap().number, "1");
    assert_eq!(set.roi(Some("7")).unwrap().name, "BODY");
    // A region that was emptied is empty, not an error.
    assert_eq!(
        set.mask(set.roi(Some("7")).unwrap(), &drawn.reference, SliceBy::Image).unwrap().mask.sum(),
        0
    );
    for (choice, says) in [
        (None, "has 3 ROIs, expected one"),
        (Some("GTVn"), "no ROI has the name or number 'GTVn'"),
        (Some("BODY"), "2 ROIs have the name"),
    ] {
        let error = set.roi(choice).unwrap_err();
        assert!(matches!(error, Error::Argument(_)) && error.to_string().contains(says), "{error}");
        assert!(
            error
                .to_string()
                .contains("ROI 1 \"GTVp_SeqSeg\" (3 CLOSED_PLANAR); ROI 5 \"BODY\" (no contour)"),
            "{error}"
        );
    }
}

#[test]
fn overlaps_repetitions_and_what_lies_outside_are_told() {
    let drawn = Drawn::new();
    let count = |found: &RoiMask| found.mask.iter().filter(|v| **v != 0).count();
    let all = 5 * 5 + 2 * 5 + 4 * 5;
    // The same contour twice does not undo itself.
    let twice = drawn.changed(|set| contours(set, |c| c.push(c[0].clone()))).unwrap();
    assert_eq!(twice.mask, drawn.mask);
    assert!(
        twice.warnings[0].contains("contour 4 on slice k 2 repeats contour 1; counted once"),
        "{:?}",
        twice.warnings
    );
    // A copy moved by two pixels overlaps: 3 x 5 voxels are in both.
    let [width, height] = drawn.reference.grid().pixel_mm();
    let overlapping = |set: &mut InMemDicomObject| {
        contours(set, |c| {
            let mut copy = c[0].clone();
            moved(&mut copy, [2.0 * width, 0.0, 0.0]);
            c.push(copy);
        });
    };
    let found = drawn.changed(overlapping).unwrap();
    assert_eq!(count(&found), all - 25 + 2 * 10);
    assert!(
        found.warnings[0].contains("contours 1 and 4 on slice k 2 overlap")
            && found.warnings[0].contains("the 15 voxels"),
        "{:?}",
        found.warnings
    );
    // Exclusive-or is what CLOSEDPLANAR_XOR says; nothing to warn of.
    let xor = drawn.changed(|set| {
        overlapping(set);
        contours(set, |c| {
            c.iter_mut()
                .for_each(|c| put(c, tags::CONTOUR_GEOMETRIC_TYPE, VR::CS, "CLOSEDPLANAR_XOR"))
        });
    });
    assert!(xor.as_ref().unwrap().warnings.is_empty() && xor.unwrap().mask == found.mask);
    // Beyond the image: six pixels up, of which the lowest row of five is left.
    let cut = drawn
        .changed(|set| contours(set, |c| moved(&mut c[0], [0.0, -8.0 * height, 0.0])))
        .unwrap();
    assert_eq!(count(&cut), all - 25 + 5);
    assert!(cut.warnings[0].contains("1 contours reach beyond the image"), "{:?}", cut.warnings);
}

#[test]
fn damaged_contours_are_named_and_long_ones_of_unknown_vr_read() {
    let drawn = Drawn::new();
    let with = |value: &str| {
        drawn.changed(|set| contours(set, |c| put(&mut c[1], tags::CONTOUR_DATA, VR::DS, value)))
    };
    for (value, says) in [
        ("1\\2\\3\\4", "4 coordinates, expected triplets"),
        ("1\\2\\x", "something other than finite numbers"),
        ("1\\2\\3", "1 points, expected 4 by Number of Contour Points"),
    ] {
        let error = with(value).unwrap_err();
        assert!(matches!(error, Error::Read { .. }) && error.to_string().contains(says), "{error}");
        assert!(error.to_string().contains("contour 2 of ROI 1"), "{error}");
    }
    let found = drawn.changed(|set| {
        contours(set, |c| {
            let text: Vec<String> = coordinates(&c[0]).iter().map(f64::to_string).collect();
            let mut bytes = text.join("\\").into_bytes();
            bytes.resize(bytes.len().next_multiple_of(2), b' ');
            c[0].put(DataElement::new(
                tags::CONTOUR_DATA,
                VR::UN,
                PrimitiveValue::U8(bytes.into()),
            ));
            place(&mut c[1], &[0.0, 0.0, -18.031, 1.0, 0.0, -18.031]);
        });
    });
    let found = found.unwrap();
    assert_eq!(found.mask.iter().filter(|v| **v != 0).count(), 5 * 5 + 4 * 5);
    assert!(
        found.warnings[0].contains("left out: 1 contours of fewer than three points"),
        "{:?}",
        found.warnings
    );
}

/// Structure sets of other systems, one of them without file meta information.
#[test]
fn structure_sets_of_other_software_are_listed() {
    let Some(folder) = shared("rtstruct") else { return };
    for (file, regions, listed) in [
        ("dicompyler/rtss.dcm", 10, "ROI 1 \"BODY\" (141 CLOSED_PLANAR)"),
        ("plastimatch_lctsc/RT.dcm", 5, "ROI 2 \"Lung_R\" (93 CLOSED_PLANAR)"),
        ("pydicom_rtstruct.dcm", 3, "ROI 2 \"Isocenter 1\" (1 POINT)"),
        ("rt-utils_mock_rt.dcm", 1, "ROI 1 \"ROI-1\" (2 CLOSED_PLANAR)"),
    ] {
        let set = StructureSet::read(&folder.join(file)).unwrap();
        assert_eq!(set.rois().len(), regions, "{file}");
        assert!(set.rois().iter().any(|r| r.to_string() == listed), "{file}: {:?}", set.rois());
    }
}

/// At clinical size: a mask against itself, moved by one voxel.
#[test]
fn a_large_mask_moved_by_a_voxel_agrees_within_it() {
    let Some(folder) = shared("tumour_masks") else { return };
    for file in std::fs::read_dir(folder).unwrap() {
        let path = file.unwrap().path();
        let volume = nasoseg::formats::read(&[path], &Default::default()).unwrap();
        let mask = volume.voxels().mapv(|v| u8::from(v != 0.0));
        let mut moved = Array3::zeros(mask.dim());
        let columns = mask.dim().2;
        moved.slice_mut(ndarray::s![.., .., 1..]).assign(&mask.slice(ndarray::s![
            ..,
            ..,
            ..columns - 1
        ]));
        let start = std::time::Instant::now();
        let found = compare(mask.view(), moved.view(), &volume, 2.0).unwrap().pooled;
        println!("{:?}: {:.2} s, {found:?}", volume.grid().size(), start.elapsed().as_secs_f64());
        let pixel = volume.grid().pixel_mm()[0];
        assert_eq!((found.contour_dice, found.surface_dice), (Some(1.0), Some(1.0)));
        assert!(
            found.dice.unwrap() < 1.0
                && found.hausdorff95_mm.unwrap() <= pixel + 1e-6
                && found.added_path_pixels > 0
        );
    }
}

/// Dice, distances and path lengths by SciPy, SimpleITK and DeepMind's surface-distance.
#[test]
fn the_measures_are_those_of_other_software() {
    let folder = tempfile::tempdir().unwrap();
    let size = [44, 52, 12];
    let affine =
        [[0.9, 0.0, 0.0, 0.0], [0.0, 0.9, 0.0, 0.0], [0.0, 0.0, 2.2, 0.0], [0.0, 0.0, 0.0, 1.0]];
    for (name, pixel) in [("square", 0.9), ("tall", 1.3)] {
        let mut affine = affine;
        affine[1][1] = pixel;
        let grid = Grid::from_affine(size, &affine).unwrap();
        let p = probability(grid.shape());
        let blob = |[x, y, z]: [f64; 3], r: f64| {
            Array3::from_shape_fn(grid.shape(), |(k, j, i)| {
                let [a, b, c] = [i as f64 - x, j as f64 - y, (k as f64 - z) * 2.4];
                u8::from(
                    (a * a + b * b + c * c).sqrt()
                        + 2.0 * (i as f64 / 3.0).sin() * (j as f64 / 4.0).cos()
                        < r,
                )
            })
        };
        let thin = |k0: usize| {
            Array3::from_shape_fn(grid.shape(), |(k, j, i)| {
                u8::from(k == k0 && (j == i || j == 20))
            })
        };
        let pairs = [
            ("rings", mask_of(&p, 0.5), mask_of(&p, 0.42)),
            ("blobs", blob([20.0, 25.0, 5.5], 13.0), blob([22.0, 24.0, 5.9], 12.0)),
            ("apart", blob([12.0, 12.0, 3.0], 6.0), blob([30.0, 38.0, 8.0], 7.0)),
            ("thin", thin(4), thin(5)),
            ("edge", blob([0.0, 0.0, 0.0], 12.0), blob([3.0, 1.0, 0.5], 12.0)),
        ];
        let voxels = Array3::zeros(grid.shape());
        let reference = Volume::new(voxels, grid, Source::Memory, "test").unwrap();
        for (case, ours, edited) in pairs {
            let found = compare(ours.view(), edited.view(), &reference, 2.0).unwrap();
            let path = |what: &str| folder.path().join(format!("{name}-{case}.{what}"));
            for (what, mask) in [("ours", &ours), ("edited", &edited)] {
                std::fs::write(path(what), mask.iter().copied().collect::<Vec<u8>>()).unwrap();
            }
            let mut record = serde_json::to_value(&found).unwrap();
            record["spacing"] = serde_json::json!([0.9, pixel, 2.2]);
            record["size"] = serde_json::json!(size);
            std::fs::write(path("json"), record.to_string()).unwrap();
        }
    }
    judge("measures.py", &[&folder.path().display().to_string()]);
}

/// The whole way: a run, its structure set edited, the evaluation against the run, against itself,
/// and against a mask.
#[test]
fn an_edited_run_is_evaluated() {
    let grid = Grid::from_affine(common::SIZE, &common::affine()).unwrap();
    let heads = [0, 1, 2].map(|sequence| common::head_voxels(sequence, &grid));
    let trio = Trio::dicom(|sequence, slice, object| {
        let pixels: Vec<u16> =
            heads[sequence].index_axis(ndarray::Axis(0), slice).iter().map(|v| *v as u16).collect();
        object.put(DataElement::new(tags::PIXEL_DATA, VR::OW, PrimitiveValue::U16(pixels.into())));
    });
    let out = trio.dir.path().join("out");
    let run = trio.run("", &out, &[]);
    assert!(run.status.success(), "{}", text(&run.stderr));
    let path = |p: &Path| p.display().to_string();
    let evaluate = |edited: &Path, ours: &Path, into: &str, more: &[&str]| {
        let into = trio.dir.path().join(into);
        let (edited, ours, reference, into_text) =
            (path(edited), path(ours), trio.path("t1c"), path(&into));
        let mut arguments = vec![
            "evaluate",
            "--rtstruct",
            &edited,
            "--reference",
            &reference,
            "--ours",
            &ours,
            "--out",
            &into_text,
        ];
        arguments.extend(more);
        (nasoseg(&arguments), into.join("evaluation.json"))
    };
    let json = |path: &Path| -> serde_json::Value {
        serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap()
    };
    let rtstruct = out.join("rtstruct.dcm");

    let (output, file) = evaluate(&rtstruct, &out, "same", &[]);
    assert!(output.status.success(), "{}", text(&output.stderr));
    let same = json(&file);
    assert_eq!(
        (&same["pooled"]["dice"], &same["pooled"]["added_path_pixels"]),
        (&serde_json::json!(1.0), &serde_json::json!(0))
    );
    assert!(
        text(&output.stdout).contains("surface Dice  1.000 (at 2 mm, in space)"),
        "{}",
        text(&output.stdout)
    );
    assert!(
        text(&output.stderr).contains("DEMO NOT CLINICAL")
            && same["warning"].as_str().unwrap().starts_with("DEMO NOT CLINICAL")
    );
    let volume = json(&out.join("run.json"))["volume_mm3"].as_f64().unwrap();
    assert!(
        volume > 0.0
            && (same["pooled"]["edited_mm3"].as_f64().unwrap() - volume).abs() < 1e-6 * volume
    );

    // The physician moves every contour by one pixel (3 mm).
    let mut object = dicom_object::open_file(&rtstruct).unwrap();
    contours(&mut object, |c| c.iter_mut().for_each(|c| moved(c, [3.0, 0.0, 0.0])));
    let edited = trio.dir.path().join("edited.dcm");
    object.write_to_file(&edited).unwrap();
    let (output, file) = evaluate(&edited, &out, "edited", &["--tolerance-mm", "3.01"]);
    assert!(output.status.success(), "{}", text(&output.stderr));
    let found = json(&file);
    assert!(
        found["pooled"]["dice"].as_f64().unwrap() < 1.0
            && found["pooled"]["added_path_pixels"].as_u64().unwrap() > 0
    );
    assert_eq!(found["pooled"]["surface_dice"], 1.0);
    assert_eq!(
        found["slices"][0]["sop_instance_uid"].as_str().unwrap().rsplit_once('.').unwrap().0,
        "1.2.826.0.1.3680043.10.4321.2"
    );

    // Against another structure set, against the mask alone, and against the contours if there
    // is no mask.
    let (_, file) = evaluate(&edited, &rtstruct, "set", &["--tolerance-mm", "3.01"]);
    assert_eq!(json(&file)["pooled"], found["pooled"]);
    let (_, file) =
        evaluate(&edited, &out.join("mask.nii.gz"), "mask", &["--tolerance-mm", "3.01"]);
    assert_eq!(json(&file)["pooled"], found["pooled"]);

    // Against a mask without a mark, the structure set's own mark counts: its name or its
    // description is enough.
    let read = nasoseg::formats::read(&[out.join("mask.nii.gz")], &Default::default()).unwrap();
    let (voxels, unmarked) = (read.voxels().mapv(|v| v as u8), trio.dir.path().join("own.nii.gz"));
    write_nifti(&unmarked, voxels.view(), read.grid(), "drawn by hand").unwrap();
    for (name, description, is_demo) in [
        ("GTVp", None, true),
        ("DEMO_NOT_CLIN", Some("reviewed"), true),
        ("GTVp", Some("reviewed"), false),
    ] {
        let mut object = dicom_object::open_file(&edited).unwrap();
        items(&mut object, tags::STRUCTURE_SET_ROI_SEQUENCE, |rois| {
            put(&mut rois[0], tags::ROI_NAME, VR::LO, name);
            if let Some(description) = description {
                put(&mut rois[0], tags::ROI_DESCRIPTION, VR::ST, description);
            }
        });
        let renamed = trio.dir.path().join("renamed.dcm");
        object.write_to_file(&renamed).unwrap();
        let (output, file) = evaluate(&renamed, &unmarked, "renamed", &[]);
        assert!(output.status.success(), "{}", text(&output.stderr));
        let warning = &json(&file)["warning"];
        let says = warning.as_str().is_some_and(|w| w.contains("NOT FOR CLINICAL USE"));
        assert_eq!((says, warning.is_null()), (is_demo, !is_demo), "{name} {description:?}");
    }

    std::fs::remove_file(out.join("mask.nii.gz")).unwrap();
    let (output, file) = evaluate(&edited, &out, "contours", &["--tolerance-mm", "3.01"]);
    assert!(output.status.success(), "{}", text(&output.stderr));
    assert_eq!(json(&file)["pooled"], found["pooled"]);

    let (output, file) = evaluate(&edited, &out, "wrong", &["--roi", "GTVn"]);
    assert_eq!(output.status.code(), Some(2));
    assert!(
        text(&output.stderr).contains("ROIs in the file: ROI 1 \"DEMO_NOT_CLIN\"")
            && !file.exists(),
        "{}",
        text(&output.stderr)
    );
    let (output, _) = evaluate(&edited, trio.dir.path(), "wrong", &[]);
    assert!(
        text(&output.stderr).contains("holds neither mask.nii.gz nor contours.json"),
        "{}",
        text(&output.stderr)
    );
}
