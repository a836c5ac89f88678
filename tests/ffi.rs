//! The C ABI with DICOM: loading, and a volume in memory that is given the files it came from. The
//! rest of the ABI is tested from C (tests/ctest).

mod common;

use std::ffi::{CStr, c_char, c_void};
use std::path::Path;
use std::ptr::{null, null_mut};

use common::abi::{call, each, grid, load, new_study, ok, set_volume, text, trio};
use dicom_dictionary_std::tags;
use nasoseg::ffi::*;

struct Outcome {
    volume_mm3: f64,
    /// Per canonical slice: SOP Instance UID.
    uids: Vec<String>,
    /// Status of writing the RT Structure Set, its contours' images and z.
    status: u32,
    contours: Vec<(String, f64)>,
}

/// Runs the pipeline on a study, which is freed, and writes an RT Structure Set.
fn run(engine: *const nasoseg_engine, study: *mut nasoseg_study, folder: &Path) -> Outcome {
    let (mut detection, mut segmentation, mut contours) = (null_mut(), null_mut(), null_mut());
    ok!(nasoseg_detect(engine, study, null(), null(), &mut detection));
    ok!(nasoseg_segment(engine, study, detection, null(), null(), &mut segmentation));
    ok!(nasoseg_contour(segmentation, null(), null(), &mut contours));
    // SAFETY: plain structs, for which all-zero is valid.
    let (mut view, mut slice): (nasoseg_segmentation_view, nasoseg_detection_slice) =
        unsafe { std::mem::zeroed() };
    view.struct_size = size_of::<nasoseg_segmentation_view>();
    slice.struct_size = size_of::<nasoseg_detection_slice>();
    ok!(nasoseg_segmentation_get_view(segmentation, &mut view));
    let slices = each!(nasoseg_detection_slice_count(detection));
    let uids = (0..slices)
        .map(|at| {
            ok!(nasoseg_detection_get_slice(detection, at, &mut slice));
            // SAFETY: a string of the live detection.
            unsafe { CStr::from_ptr(slice.sop_instance_uid) }.to_str().unwrap().to_owned()
        })
        .collect();
    let file = folder.join("rtstruct.dcm");
    let _ = std::fs::remove_file(&file);
    let (status, _) =
        call!(nasoseg_contours_write_rtstruct(contours, text(&file).as_ptr(), null(), null()));
    assert_eq!(file.exists(), status == 0);
    let contours_written = if status == 0 { written(&file) } else { Vec::new() };
    assert!(each!(nasoseg_contours_count(contours)) > 0);
    each!(
        nasoseg_contours_free(contours),
        nasoseg_segmentation_free(segmentation),
        nasoseg_detection_free(detection),
        nasoseg_study_free(study),
    );
    Outcome { volume_mm3: view.volume_mm3, uids, status, contours: contours_written }
}

/// Referenced image and z of every contour of an RT Structure Set.
fn written(file: &Path) -> Vec<(String, f64)> {
    let object = dicom_object::open_file(file).unwrap();
    let roi = object.element(tags::ROI_CONTOUR_SEQUENCE).unwrap().items().unwrap();
    let contours = roi[0].element(tags::CONTOUR_SEQUENCE).unwrap().items().unwrap();
    contours
        .iter()
        .map(|c| {
            let image = &c.element(tags::CONTOUR_IMAGE_SEQUENCE).unwrap().items().unwrap()[0];
            let uid = image
                .element(tags::REFERENCED_SOP_INSTANCE_UID)
                .unwrap()
                .to_str()
                .unwrap()
                .trim_end_matches('\0')
                .to_owned();
            (uid, c.element(tags::CONTOUR_DATA).unwrap().to_multi_float64().unwrap()[2])
        })
        .collect()
}

#[test]
fn a_volume_in_memory_gets_the_uids_of_the_files_it_came_from() {
    let trio = trio();
    let folder = trio.dir.path();
    let (mut engine, mut options) = (null_mut(), null_mut());
    ok!(nasoseg_options_new(&mut options));
    ok!(nasoseg_options_set_device(options, c"cpu".as_ptr()));
    ok!(nasoseg_engine_new(text(&common::micro()).as_ptr(), options, null(), &mut engine));

    let study = new_study();
    (0..3).for_each(|sequence| load(study, sequence, &trio));
    let files = run(engine, study, folder);
    assert_eq!(files.status, 0);
    assert!(!files.contours.is_empty() && files.volume_mm3 > 1000.0);
    // Every contour lies on the image that it names.
    for (uid, z) in &files.contours {
        let slice: usize = uid.rsplit('.').next().unwrap().parse().unwrap();
        assert_eq!(grid().point(0.0, 0.0, slice - 1)[2], *z, "{uid}");
    }

    let t1c = text(&folder.join("t1c"));
    let paths: [*const c_char; 1] = [t1c.as_ptr()];
    let source = |study: *mut nasoseg_study| {
        call!(nasoseg_study_set_dicom_source(study, 1, paths.as_ptr(), 1, null(), null()))
    };
    for upside_down in [false, true] {
        let study = new_study();
        (0..3).for_each(|sequence| set_volume(study, sequence, 0.0, upside_down));
        let plain = run(engine, study, folder);
        assert_eq!(plain.status, nasoseg_status::NASOSEG_ERROR_UNSUPPORTED as u32);
        assert!(plain.uids.iter().all(String::is_empty));

        let study = new_study();
        (0..3).for_each(|sequence| set_volume(study, sequence, 0.0, upside_down));
        assert_eq!(source(study), (0, String::new()));
        let memory = run(engine, study, folder);
        assert_eq!(memory.status, 0);
        assert_eq!(memory.uids, files.uids);
        assert_eq!(memory.volume_mm3, files.volume_mm3);
        let sorted = |o: &Outcome| {
            let mut all: Vec<String> = o.contours.iter().map(|c| format!("{c:?}")).collect();
            all.sort();
            all
        };
        assert_eq!(sorted(&memory), sorted(&files));
    }

    // Within a hundredth of a millimetre it is the same place; beyond, the call fails and the
    // volume stays without files.
    let study = new_study();
    (0..3).for_each(|sequence| {
        set_volume(study, sequence, if sequence == 1 { 0.008 } else { 0.0 }, false)
    });
    assert_eq!(source(study).0, 0);
    assert_eq!(run(engine, study, folder).status, 0);
    let study = new_study();
    (0..3).for_each(|sequence| {
        set_volume(study, sequence, if sequence == 1 { 0.02 } else { 0.0 }, false)
    });
    let (status, text) = source(study);
    assert_eq!(status, nasoseg_status::NASOSEG_ERROR_GEOMETRY as u32);
    assert!(text.contains("0.020 mm"), "{text}");
    assert_eq!(run(engine, study, folder).status, nasoseg_status::NASOSEG_ERROR_UNSUPPORTED as u32);

    each!(nasoseg_options_free(options), nasoseg_engine_free(engine),);
}

/// Progress that cancels at a tick: `user_data` counts down to it.
extern "C" fn stop(_progress: *const nasoseg_progress, user_data: *mut c_void) -> bool {
    // SAFETY: the test's own number, which nothing else uses during the call.
    let left = unsafe { &mut *user_data.cast::<u32>() };
    *left -= 1;
    *left > 0
}

#[test]
fn a_cancel_stops_what_reads_and_writes_dicom() {
    const CANCELLED: u32 = nasoseg_status::NASOSEG_CANCELLED as u32;
    let trio = trio();
    let (folder, mut engine, mut options, mut cancel) =
        (trio.dir.path(), null_mut(), null_mut(), null_mut());
    ok!(nasoseg_options_new(&mut options));
    ok!(nasoseg_options_set_device(options, c"cpu".as_ptr()));
    ok!(nasoseg_engine_new(text(&common::micro()).as_ptr(), options, null(), &mut engine));
    ok!(nasoseg_run_new(&mut cancel));
    let mut left = 0u32;
    let counter: *mut u32 = &mut left;
    ok!(nasoseg_run_set_progress(cancel, Some(stop), counter.cast()));
    // SAFETY: `left` is read and written through this pointer only.
    let arm = |ticks: u32| unsafe { counter.write(ticks) };
    let t1c = text(&folder.join("t1c"));
    let paths: [*const c_char; 1] = [t1c.as_ptr()];

    // Both ticks of reading; the study is as it was.
    let study = new_study();
    for ticks in [1, 2] {
        arm(ticks);
        assert_eq!(
            call!(nasoseg_study_load(study, 1, paths.as_ptr(), 1, null(), cancel)).0,
            CANCELLED
        );
        let (status, _) =
            call!(nasoseg_study_set_dicom_source(study, 1, paths.as_ptr(), 1, null(), null()));
        assert_eq!(status, nasoseg_status::NASOSEG_ERROR_ARGUMENT as u32, "nothing was loaded");
    }
    (0..3).for_each(|sequence| set_volume(study, sequence, 0.0, false));
    for ticks in [1, 2] {
        arm(ticks);
        assert_eq!(
            call!(nasoseg_study_set_dicom_source(study, 1, paths.as_ptr(), 1, null(), cancel)).0,
            CANCELLED
        );
    }
    arm(3);
    ok!(nasoseg_study_set_dicom_source(study, 1, paths.as_ptr(), 1, null(), cancel));

    let (mut detection, mut segmentation, mut contours) = (null_mut(), null_mut(), null_mut());
    ok!(nasoseg_detect(engine, study, null(), null(), &mut detection));
    ok!(nasoseg_segment(engine, study, detection, null(), null(), &mut segmentation));
    ok!(nasoseg_contour(segmentation, null(), null(), &mut contours));
    let file = folder.join("rtstruct.dcm");
    arm(1);
    assert_eq!(
        call!(nasoseg_contours_write_rtstruct(contours, text(&file).as_ptr(), null(), cancel)).0,
        CANCELLED
    );
    assert!(!file.exists());
    arm(3);
    ok!(nasoseg_contours_write_rtstruct(contours, text(&file).as_ptr(), null(), cancel));
    assert!(!written(&file).is_empty());
    each!(
        nasoseg_contours_free(contours),
        nasoseg_segmentation_free(segmentation),
        nasoseg_detection_free(detection),
        nasoseg_study_free(study),
        nasoseg_run_free(cancel),
        nasoseg_options_free(options),
        nasoseg_engine_free(engine),
    );
}
