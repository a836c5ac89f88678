//! Handles of the C ABI, from an engine to contours, and the files that they write.

use std::cell::Cell;
use std::fmt::Write;
use std::path::Path;
use std::ptr::{null, null_mut};

use nasoseg::ffi::*;

use crate::common;
use crate::common::abi::{self, call, each, ok};
use crate::common::golden::{self, POINTS};

/// Engine, study and results; freed when dropped. The cells let a call and the check of its failure
/// share them.
pub struct Pipeline {
    pub engine: *mut nasoseg_engine,
    pub study: *mut nasoseg_study,
    pub detection: Cell<*mut nasoseg_detection>,
    pub segmentation: Cell<*mut nasoseg_segmentation>,
    contours: Cell<*mut nasoseg_contours>,
}

impl Pipeline {
    /// On the synthetic study in memory, or loaded from DICOM.
    pub fn new(dicom: Option<&common::Trio>) -> Self {
        Self::of(&common::micro(), dicom)
    }

    pub fn of(bundle: &Path, dicom: Option<&common::Trio>) -> Self {
        let mut engine = null_mut();
        ok!(nasoseg_engine_new(abi::text(bundle).as_ptr(), cpu().0, null(), &mut engine));
        let study = abi::new_study();
        for sequence in 0..3 {
            match dicom {
                Some(trio) => abi::load(study, sequence, trio),
                None => abi::set_volume(study, sequence, 0.0, false),
            }
        }
        Pipeline {
            engine,
            study,
            detection: Cell::new(null_mut()),
            segmentation: Cell::new(null_mut()),
            contours: Cell::new(null_mut()),
        }
    }

    pub fn detect(&self) -> (u32, String) {
        let mut made = null_mut();
        let outcome = call!(nasoseg_detect(self.engine, self.study, null(), null(), &mut made));
        // SAFETY: NULL or the detection of the previous call, which the cell gives up here.
        unsafe { nasoseg_detection_free(self.detection.replace(made)) };
        outcome
    }

    pub fn segment(&self) -> (u32, String) {
        let mut made = null_mut();
        let outcome = call!(nasoseg_segment(
            self.engine,
            self.study,
            self.detection.get(),
            null(),
            null(),
            &mut made
        ));
        // SAFETY: NULL or the segmentation of the previous call, which the cell gives up here.
        unsafe { nasoseg_segmentation_free(self.segmentation.replace(made)) };
        outcome
    }

    pub fn contour(&self) -> (u32, String) {
        let mut made = null_mut();
        let outcome = call!(nasoseg_contour(self.segmentation.get(), null(), null(), &mut made));
        // SAFETY: NULL or the contours of the previous call, which the cell gives up here.
        unsafe { nasoseg_contours_free(self.contours.replace(made)) };
        outcome
    }

    /// Runs every stage on the handles and compares with the golden numbers.
    pub fn golden(&self) {
        for outcome in [self.detect(), self.segment(), self.contour()] {
            assert_eq!(outcome, (0, String::new()));
        }
        golden::compare(&self.lines());
    }

    /// The results in the format of tests/golden.rs.
    pub fn lines(&self) -> String {
        // SAFETY: plain structs, for which all-zero is valid.
        let (mut slice, mut trajectory, mut part): (
            nasoseg_detection_slice,
            nasoseg_trajectory,
            nasoseg_segmentation_slice,
        ) = unsafe { std::mem::zeroed() };
        // SAFETY: as above.
        let (mut view, mut contour): (nasoseg_segmentation_view, nasoseg_contour_view) =
            unsafe { std::mem::zeroed() };
        (slice.struct_size, trajectory.struct_size, part.struct_size) =
            (size_of_val(&slice), size_of_val(&trajectory), size_of_val(&part));
        (view.struct_size, contour.struct_size) = (size_of_val(&view), size_of_val(&contour));
        let (detection, segmentation, contours) =
            (self.detection.get(), self.segmentation.get(), self.contours.get());
        let (slices, count) =
            each!(nasoseg_detection_slice_count(detection), nasoseg_contours_count(contours));
        let mut out = format!("slices {slices}\n");
        for at in 0..slices {
            ok!(nasoseg_detection_get_slice(detection, at, &mut slice));
            ok!(nasoseg_detection_get_trajectory(detection, at, &mut trajectory));
            let nasoseg_bounding_box { x0, y0, x1, y1 } = slice.bounding_box;
            writeln!(out, "box {at} {} {x0:.6} {y0:.6} {x1:.6} {y1:.6}", trajectory.steps).unwrap();
        }
        ok!(nasoseg_segmentation_get_view(segmentation, &mut view));
        writeln!(out, "volume_mm3 {:.3}", view.volume_mm3).unwrap();
        for at in 0..slices {
            ok!(nasoseg_segmentation_get_slice(segmentation, at, &mut part));
            writeln!(out, "area {at} {} {:.3}", part.pixels, part.area_mm2).unwrap();
        }
        writeln!(out, "lines {count}").unwrap();
        for at in 0..count {
            ok!(nasoseg_contours_get(contours, at, &mut contour));
            let (hole, points) = (u8::from(contour.is_hole), contour.point_count);
            writeln!(
                out,
                "line {at} {} {hole} {points} {:.3}",
                contour.storage_slice, contour.area_mm2
            )
            .unwrap();
            // SAFETY: the view of live contours.
            let points = unsafe { std::slice::from_raw_parts(contour.points_mm, 3 * points) };
            for (number, p) in points.chunks_exact(3).take(POINTS).enumerate() {
                writeln!(out, "point {at} {number} {:.4} {:.4} {:.4}", p[0], p[1], p[2]).unwrap();
            }
        }
        out
    }

    /// Calls the function that writes the file of this name.
    pub fn write(&self, name: &str, folder: &Path) -> (u32, String) {
        let path = abi::text(&folder.join(name));
        let (file, detection, segmentation, contours) =
            (path.as_ptr(), self.detection.get(), self.segmentation.get(), self.contours.get());
        match name {
            "detection.json" => call!(nasoseg_detection_write(detection, file, null(), null())),
            "mask.nii.gz" => {
                call!(nasoseg_segmentation_write_mask(segmentation, file, null(), null()))
            }
            "probability.nii.gz" => {
                call!(nasoseg_segmentation_write_probability(segmentation, file, null(), null()))
            }
            "preview.png" => call!(nasoseg_write_preview(
                detection,
                segmentation,
                contours,
                file,
                null(),
                null()
            )),
            "run.json" => {
                call!(nasoseg_segmentation_write_record(segmentation, file, null(), null()))
            }
            "rtstruct.dcm" => {
                call!(nasoseg_contours_write_rtstruct(contours, file, null(), null()))
            }
            _ => panic!("{name}"),
        }
    }
}

pub const OUTPUTS: [&str; 6] = [
    "detection.json",
    "mask.nii.gz",
    "probability.nii.gz",
    "preview.png",
    "run.json",
    "rtstruct.dcm",
];

impl Drop for Pipeline {
    fn drop(&mut self) {
        each!(
            nasoseg_contours_free(self.contours.get()),
            nasoseg_segmentation_free(self.segmentation.get()),
            nasoseg_detection_free(self.detection.get()),
            nasoseg_study_free(self.study),
            nasoseg_engine_free(self.engine),
        );
    }
}

/// Options for the CPU.
pub struct Options(pub *mut nasoseg_options);

pub fn cpu() -> Options {
    let mut options = null_mut();
    ok!(nasoseg_options_new(&mut options));
    ok!(nasoseg_options_set_device(options, c"cpu".as_ptr()));
    Options(options)
}

impl Drop for Options {
    fn drop(&mut self) {
        // SAFETY: our own handle.
        unsafe { nasoseg_options_free(self.0) };
    }
}

/// The files of a folder, hidden ones too, with their bytes.
pub fn files(folder: &Path) -> Vec<(String, Vec<u8>)> {
    let mut files: Vec<_> = std::fs::read_dir(folder)
        .unwrap()
        .map(|e| e.unwrap().path())
        .map(|p| {
            (
                p.file_name().unwrap().to_str().unwrap().to_owned(),
                std::fs::read(&p).unwrap_or_default(),
            )
        })
        .collect();
    files.sort();
    files
}
