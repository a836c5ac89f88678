//! Faults on purpose (src/fault.rs): the n-th model run, read or write fails, for every n until the
//! call passes unharmed; then a disk that is really full. Each time the status is right, the
//! message names what failed, no output is there, and the handles still give the golden numbers.
//!
//! `cargo test --features fault-injection --test faults`; `make test` runs it.

mod common;

use std::cell::Cell;
use std::collections::BTreeSet;
use std::ffi::c_char;
use std::fmt::Write;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::ptr::{null, null_mut};

use common::abi::{self, call, each, ok};
use common::golden::{self, POINTS};
use dicom_dictionary_std::{tags, uids};
use dicom_encoding::TransferSyntaxIndex;
use nasoseg::fault::{Fault, Faults, MODEL_RUN_FAILURE};
use nasoseg::ffi::nasoseg_status::*;
use nasoseg::ffi::*;
use nasoseg::formats::{ReadOptions, read};

/// What the system says of a failed read, and of a full disk.
fn system(code: i32) -> String {
    std::io::Error::from_raw_os_error(code).to_string()
}

/// Lets operation 1, 2, ... of `call` fail until it passes unharmed. Every failure has `status` and
/// satisfies `harmless`. Gives the number of failures.
fn each(
    faults: &Faults,
    fault: Fault,
    status: nasoseg_status,
    mut call: impl FnMut() -> (u32, String),
    mut harmless: impl FnMut(&str),
) -> i64 {
    for n in 1..10_000 {
        faults.arm(fault, n);
        let (found, text) = call();
        if !faults.disarm(fault) {
            assert_eq!((found, text.as_str()), (0, ""), "{fault:?} {n}");
            println!("{fault:?}: {} operations, each failed once", n - 1);
            return n - 1;
        }
        assert_eq!(found, status as u32, "{fault:?} {n}: {text}");
        harmless(&text);
    }
    panic!("{fault:?}: no end");
}

fn contains(text: &str, words: &[&str]) {
    words.iter().for_each(|word| assert!(text.contains(word), "{word} in: {text}"));
}

/// Engine, study and results; freed when dropped. The cells let a call and the check of its failure
/// share them.
struct Pipeline {
    engine: *mut nasoseg_engine,
    study: *mut nasoseg_study,
    detection: Cell<*mut nasoseg_detection>,
    segmentation: Cell<*mut nasoseg_segmentation>,
    contours: Cell<*mut nasoseg_contours>,
}

impl Pipeline {
    /// On the synthetic study in memory, or loaded from DICOM.
    fn new(dicom: Option<&common::Trio>) -> Self {
        Self::of(&common::micro(), dicom)
    }

    fn of(bundle: &Path, dicom: Option<&common::Trio>) -> Self {
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

    fn detect(&self) -> (u32, String) {
        let mut made = null_mut();
        let outcome = call!(nasoseg_detect(self.engine, self.study, null(), null(), &mut made));
        // SAFETY: our own handle or NULL.
        unsafe { nasoseg_detection_free(self.detection.replace(made)) };
        outcome
    }

    fn segment(&self) -> (u32, String) {
        let mut made = null_mut();
        let outcome = call!(nasoseg_segment(
            self.engine,
            self.study,
            self.detection.get(),
            null(),
            null(),
            &mut made
        ));
        // SAFETY: as above.
        unsafe { nasoseg_segmentation_free(self.segmentation.replace(made)) };
        outcome
    }

    fn contour(&self) -> (u32, String) {
        let mut made = null_mut();
        let outcome = call!(nasoseg_contour(self.segmentation.get(), null(), null(), &mut made));
        // SAFETY: as above.
        unsafe { nasoseg_contours_free(self.contours.replace(made)) };
        outcome
    }

    /// The whole way, on the handles as they are.
    fn golden(&self) {
        for outcome in [self.detect(), self.segment(), self.contour()] {
            assert_eq!(outcome, (0, String::new()));
        }
        golden::compare(&self.lines());
    }

    /// What the handles say, as tests/golden.rs writes it.
    fn lines(&self) -> String {
        // SAFETY: plain structs, for which all-zero is valid.
        let (mut slice, mut walk, mut part): (
            nasoseg_detection_slice,
            nasoseg_trajectory,
            nasoseg_segmentation_slice,
        ) = unsafe { std::mem::zeroed() };
        // SAFETY: as above.
        let (mut view, mut line): (nasoseg_segmentation_view, nasoseg_contour_view) =
            unsafe { std::mem::zeroed() };
        (slice.struct_size, walk.struct_size, part.struct_size) =
            (size_of_val(&slice), size_of_val(&walk), size_of_val(&part));
        (view.struct_size, line.struct_size) = (size_of_val(&view), size_of_val(&line));
        let (detection, segmentation, contours) =
            (self.detection.get(), self.segmentation.get(), self.contours.get());
        let (slices, lines) =
            each!(nasoseg_detection_slice_count(detection), nasoseg_contours_count(contours));
        let mut out = format!("slices {slices}\n");
        for at in 0..slices {
            ok!(nasoseg_detection_get_slice(detection, at, &mut slice));
            ok!(nasoseg_detection_get_trajectory(detection, at, &mut walk));
            let nasoseg_bounding_box { x0, y0, x1, y1 } = slice.bounding_box;
            writeln!(out, "box {at} {} {x0:.6} {y0:.6} {x1:.6} {y1:.6}", walk.steps).unwrap();
        }
        ok!(nasoseg_segmentation_get_view(segmentation, &mut view));
        writeln!(out, "volume_mm3 {:.3}", view.volume_mm3).unwrap();
        for at in 0..slices {
            ok!(nasoseg_segmentation_get_slice(segmentation, at, &mut part));
            writeln!(out, "area {at} {} {:.3}", part.pixels, part.area_mm2).unwrap();
        }
        writeln!(out, "lines {lines}").unwrap();
        for at in 0..lines {
            ok!(nasoseg_contours_get(contours, at, &mut line));
            let (hole, count) = (u8::from(line.is_hole), line.point_count);
            writeln!(out, "line {at} {} {hole} {count} {:.3}", line.storage_slice, line.area_mm2)
                .unwrap();
            // SAFETY: lent by the contours.
            let points = unsafe { std::slice::from_raw_parts(line.points_mm, 3 * count) };
            for (number, p) in points.chunks_exact(3).take(POINTS).enumerate() {
                writeln!(out, "point {at} {number} {:.4} {:.4} {:.4}", p[0], p[1], p[2]).unwrap();
            }
        }
        out
    }

    /// Every call that writes a file, by the file's name.
    fn write(&self, name: &str, folder: &Path) -> (u32, String) {
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

const OUTPUTS: [&str; 6] = [
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

/// Options with the CPU.
struct Options(*mut nasoseg_options);

fn cpu() -> Options {
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
fn files(folder: &Path) -> Vec<(String, Vec<u8>)> {
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

#[test]
fn the_nth_model_run_fails() {
    let faults = Faults::own();
    let pipeline = Pipeline::new(None);
    pipeline.golden();
    for (call, agent) in
        [(Pipeline::detect as fn(&Pipeline) -> (u32, String), true), (Pipeline::segment, false)]
    {
        let mut graphs = BTreeSet::new();
        let runs = each(
            &faults,
            Fault::ModelRun,
            NASOSEG_ERROR_RUNTIME,
            || call(&pipeline),
            |text| {
                assert!(if agent {
                    pipeline.detection.get().is_null()
                } else {
                    pipeline.segmentation.get().is_null()
                });
                contains(text, &["tests/data/micro", "a model run failed", MODEL_RUN_FAILURE]);
                graphs.extend(
                    ["trunk.onnx", "q_head.onnx", "segmenter.onnx"]
                        .into_iter()
                        .filter(|g| text.contains(g)),
                );
                pipeline.golden();
            },
        );
        match agent {
            // The trunk once for the whole slices, then trunk and head at most at every step.
            true => assert!(
                runs > 15 && graphs == BTreeSet::from(["trunk.onnx", "q_head.onnx"]),
                "{runs} {graphs:?}"
            ),
            false => assert!(
                runs == 6 && graphs == BTreeSet::from(["segmenter.onnx"]),
                "{runs} {graphs:?}"
            ),
        }
    }
}

/// A detector of boxes, and every patch of a volume, mirrored or not.
#[test]
fn the_nth_model_run_of_other_kinds_fails() {
    let faults = Faults::own();
    let pipeline = Pipeline::of(&common::micro().with_file_name("volume"), None);
    let made = || {
        for at in 0..common::SIZE[2] {
            let small = nasoseg_bounding_box { x0: 40.0, y0: 40.0, x1: 52.0, y1: 50.0 };
            ok!(nasoseg_detection_set_box(pipeline.detection.get(), at, &small));
        }
    };
    let fails = |call: fn(&Pipeline) -> (u32, String), graph: &str| {
        each(
            &faults,
            Fault::ModelRun,
            NASOSEG_ERROR_RUNTIME,
            || call(&pipeline),
            |text| contains(text, &[graph, MODEL_RUN_FAILURE]),
        )
    };
    assert_eq!(fails(Pipeline::detect, "volume/detector.onnx"), common::SIZE[2] as i64);
    made();
    assert_eq!((pipeline.segment(), pipeline.contour()), ((0, String::new()), (0, String::new())));
    let before = pipeline.lines();
    let runs = fails(Pipeline::segment, "volume/segmenter.onnx");
    assert!(runs >= 24 && runs % 8 == 0, "{runs}");
    assert_eq!(pipeline.contour(), (0, String::new()));
    assert!(before.contains("\nline ") && pipeline.lines() == before);
}

#[test]
fn the_nth_read_of_a_bundle_fails() {
    let faults = Faults::own();
    let (bundle, options) = (abi::text(&common::micro()), cpu());
    let engine = Cell::new(null_mut());
    let open = || {
        let mut made = null_mut();
        let outcome = call!(nasoseg_engine_new(bundle.as_ptr(), options.0, null(), &mut made));
        engine.set(made);
        outcome
    };
    let named = |text: &str| {
        contains(text, &["tests/data/micro", &system(libc::EIO)]);
        assert!(!text.contains("no model bundle here"), "{text}");
        assert!(engine.get().is_null());
    };
    // Four files, each opened and read to its end.
    assert!(each(&faults, Fault::Read, NASOSEG_ERROR_BUNDLE, open, named) >= 12);
    // SAFETY: our own handle.
    unsafe { nasoseg_engine_free(engine.get()) };
    Pipeline::new(None).golden();
}

#[test]
fn the_nth_read_of_a_study_fails() {
    let faults = Faults::own();
    let trio = abi::trio();
    let t1c = trio.dir.path().join("t1c");
    let (folder, io) = (abi::text(&t1c), system(libc::EIO));
    let paths: [*const c_char; 1] = [folder.as_ptr()];

    // A sequence that is read again and fails stays as it was.
    let pipeline = Pipeline::new(Some(&trio));
    pipeline.golden();
    let again = || call!(nasoseg_study_load(pipeline.study, 1, paths.as_ptr(), 1, null(), null()));
    let unharmed = |text: &str| {
        contains(text, &[t1c.to_str().unwrap(), &io]);
        pipeline.golden();
    };
    assert!(each(&faults, Fault::Read, NASOSEG_ERROR_READ, again, unharmed) > 6 * 6);
    pipeline.golden();

    // A sequence in memory whose files cannot be read has none.
    let memory = Pipeline::new(None);
    let out = tempfile::tempdir().unwrap();
    let source = || {
        call!(nasoseg_study_set_dicom_source(memory.study, 1, paths.as_ptr(), 1, null(), null()))
    };
    let mut failures = 0;
    let without = |text: &str| {
        contains(text, &[t1c.to_str().unwrap(), &io]);
        failures += 1;
        if failures % 10 == 1 {
            memory.golden();
            assert_eq!(
                memory.write("rtstruct.dcm", out.path()).0,
                NASOSEG_ERROR_UNSUPPORTED as u32
            );
        }
    };
    each(&faults, Fault::Read, NASOSEG_ERROR_READ, source, without);
    memory.golden();
    assert_eq!(memory.write("rtstruct.dcm", out.path()).0, 0);
    std::fs::remove_file(out.path().join("rtstruct.dcm")).unwrap();

    // What an RT Structure Set copies from the images.
    let write = || memory.write("rtstruct.dcm", out.path());
    let nothing = |text: &str| {
        contains(text, &[t1c.to_str().unwrap(), &io]);
        assert!(files(out.path()).is_empty());
    };
    assert!(each(&faults, Fault::Read, NASOSEG_ERROR_READ, write, nothing) >= 2);

    // A detection that comes back.
    assert_eq!(memory.write("detection.json", out.path()).0, 0);
    let file = abi::text(&out.path().join("detection.json"));
    let back = || {
        let mut made = null_mut();
        let outcome = call!(nasoseg_detection_read(
            memory.engine,
            memory.study,
            file.as_ptr(),
            null(),
            null(),
            &mut made
        ));
        assert_eq!(made.is_null(), outcome.0 != 0);
        // SAFETY: our own handle or NULL.
        unsafe { nasoseg_detection_free(made) };
        outcome
    };
    assert!(
        each(&faults, Fault::Read, NASOSEG_ERROR_READ, back, |text| contains(
            text,
            &["detection.json", &io]
        )) >= 2
    );
}

/// The synthetic T1C in every format that is read: names and paths.
fn formats(folder: &Path) -> Vec<(&'static str, Vec<PathBuf>)> {
    use flate2::{Compression, write::GzEncoder};
    use std::io::Write;
    let (grid, trio) = (abi::grid(), abi::trio());
    let voxels = common::head_voxels(1, &grid);
    let bytes: Vec<u8> = voxels.iter().flat_map(|v| (*v as u16).to_le_bytes()).collect();
    let gzip = |bytes: &[u8]| {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
        encoder.write_all(bytes).unwrap();
        encoder.finish().unwrap()
    };
    let put = |name: &str, bytes: &[u8]| {
        let path = folder.join(name);
        std::fs::write(&path, bytes).unwrap();
        vec![path]
    };

    let packed = folder.join("a.nii.gz");
    nasoseg::formats::nifti::write_nifti(&packed, voxels.view(), &grid, "test").unwrap();
    let mut plain = Vec::new();
    std::io::copy(
        &mut flate2::read::GzDecoder::new(std::fs::File::open(&packed).unwrap()),
        &mut plain,
    )
    .unwrap();

    let (affine, size) = (common::affine(), common::SIZE.map(|n| n.to_string()).join(" "));
    let mut header =
        format!("NRRD0004\ntype: uint16\ndimension: 3\nsizes: {size}\nendian: little\n");
    let vector = |column: usize| {
        format!("({},{},{})", affine[0][column], affine[1][column], affine[2][column])
    };
    header += &format!(
        "space: left-posterior-superior\nspace directions: {} {} {}\n",
        vector(0),
        vector(1),
        vector(2)
    );
    header += &format!("space origin: {}\n", vector(3));
    let nrrd = |encoding: &str, data: &[u8]| {
        [header.as_bytes(), b"encoding: ", encoding.as_bytes(), b"\n\n", data].concat()
    };
    let text = voxels.iter().map(|v| format!("{v} ")).collect::<String>();
    put("scan.raw", &bytes);

    // DICOM: as a folder, as files, without meta group, deflated.
    let dicom = folder.join("dicom");
    std::fs::rename(trio.dir.path().join("t1c"), &dicom).unwrap();
    let list: Vec<PathBuf> = files(&dicom).into_iter().map(|(name, _)| dicom.join(name)).collect();
    let (bare, deflated) = (folder.join("bare"), folder.join("deflated"));
    std::fs::create_dir(&bare).unwrap();
    std::fs::create_dir(&deflated).unwrap();
    let registry = dicom_transfer_syntax_registry::TransferSyntaxRegistry;
    for path in &list {
        let mut object = dicom_object::open_file(path).unwrap();
        let mut bytes = Vec::new();
        object
            .write_dataset_with_ts(
                &mut bytes,
                registry.get(uids::IMPLICIT_VR_LITTLE_ENDIAN).unwrap(),
            )
            .unwrap();
        std::fs::write(bare.join(path.file_name().unwrap()), &bytes).unwrap();
        object.update_meta(|meta| {
            meta.set_transfer_syntax(
                registry.get(uids::DEFLATED_EXPLICIT_VR_LITTLE_ENDIAN).unwrap(),
            )
        });
        object.write_to_file(deflated.join(path.file_name().unwrap())).unwrap();
    }
    assert!(dicom_object::open_file(&list[0]).unwrap().element(tags::PIXEL_DATA).is_ok());
    vec![
        ("DICOM folder", vec![dicom]),
        ("DICOM files", list),
        ("DICOM without meta group", vec![bare]),
        ("DICOM deflated", vec![deflated]),
        ("NIfTI packed", vec![packed]),
        ("NIfTI", put("a.nii", &plain)),
        ("NRRD raw", put("raw.nrrd", &nrrd("raw", &bytes))),
        ("NRRD packed", put("packed.nrrd", &nrrd("gzip", &gzip(&bytes)))),
        ("NRRD text", put("text.nrrd", &nrrd("ascii", text.as_bytes()))),
        ("NRRD in two files", put("two.nhdr", &nrrd("raw\ndata file: scan.raw", &[]))),
    ]
}

#[test]
fn the_nth_read_fails_in_every_format() {
    let faults = Faults::own();
    let dir = tempfile::tempdir().unwrap();
    let (folder, io) = (dir.path().to_str().unwrap().to_owned(), system(libc::EIO));
    let expected = common::head_voxels(1, &abi::grid());
    for (name, paths) in formats(dir.path()) {
        let whole = || match read(&paths, &ReadOptions::default()) {
            Ok(volume) => {
                assert_eq!(volume.voxels(), &expected, "{name}");
                (0, String::new())
            }
            Err(error) => (error.code(), error.chain()),
        };
        let reads = each(&faults, Fault::Read, NASOSEG_ERROR_READ, whole, |text| {
            contains(text, &[&folder, &io])
        });
        assert!(reads >= 4, "{name}: {reads}");
    }
}

#[test]
fn the_nth_write_fails() {
    let faults = Faults::own();
    let (trio, out) = (abi::trio(), tempfile::tempdir().unwrap());
    let pipeline = Pipeline::new(Some(&trio));
    pipeline.golden();
    for (at, name) in OUTPUTS.into_iter().enumerate() {
        // Half of them replace a file, which a failure leaves as it was.
        if at % 2 == 0 {
            std::fs::write(out.path().join(name), b"of an earlier run").unwrap();
        }
        let before = files(out.path());
        let unharmed = |text: &str| {
            contains(text, &[out.path().join(name).to_str().unwrap(), &system(libc::ENOSPC)]);
            assert_eq!(files(out.path()), before);
        };
        let writes = each(
            &faults,
            Fault::Write,
            NASOSEG_ERROR_WRITE,
            || pipeline.write(name, out.path()),
            unharmed,
        );
        // Making it, (writing it,) flushing it to the disk, renaming it.
        assert!(writes >= if name.ends_with(".nii.gz") { 3 } else { 4 }, "{name}: {writes}");
        assert!(std::fs::metadata(out.path().join(name)).unwrap().len() > 100);
        std::fs::remove_file(out.path().join(name)).unwrap();
    }
    pipeline.golden();
}

/// No file of this process may grow beyond so many bytes, until dropped: what a full disk does to
/// every writer, other people's too.
#[cfg(target_os = "linux")]
struct FullDisk(libc::rlimit);

#[cfg(target_os = "linux")]
impl FullDisk {
    fn at(bytes: u64) -> Self {
        // SAFETY: plain system calls on structs of ours; a signal that is ignored makes the write
        // fail instead of the process.
        unsafe {
            libc::signal(libc::SIGXFSZ, libc::SIG_IGN);
            let mut before = std::mem::zeroed();
            assert_eq!(libc::getrlimit(libc::RLIMIT_FSIZE, &mut before), 0);
            let limit = libc::rlimit { rlim_cur: bytes, rlim_max: before.rlim_max };
            assert_eq!(libc::setrlimit(libc::RLIMIT_FSIZE, &limit), 0);
            FullDisk(before)
        }
    }
}

#[cfg(target_os = "linux")]
impl Drop for FullDisk {
    fn drop(&mut self) {
        // SAFETY: as above.
        unsafe { libc::setrlimit(libc::RLIMIT_FSIZE, &self.0) };
    }
}

#[cfg(target_os = "linux")]
#[test]
fn the_disk_is_full() {
    let _faults = Faults::own();
    let (trio, out) = (abi::trio(), tempfile::tempdir().unwrap());
    let pipeline = Pipeline::new(Some(&trio));
    pipeline.golden();
    for name in OUTPUTS {
        assert_eq!(pipeline.write(name, out.path()), (0, String::new()));
        let size = std::fs::metadata(out.path().join(name)).unwrap().len();
        let before = files(out.path());
        // Up to the last byte; less for outputs that carry the time of day.
        for space in [0, 1, size / 3, size / 2, size - size / 20, size - 1] {
            let full = FullDisk::at(space);
            let (status, text) = pipeline.write(name, out.path());
            drop(full);
            assert_eq!(
                status, NASOSEG_ERROR_WRITE as u32,
                "{name} with {space} of {size} bytes: {text}"
            );
            contains(&text, &[out.path().join(name).to_str().unwrap(), &system(libc::EFBIG)]);
            assert_eq!(files(out.path()), before, "{name} with {space} of {size} bytes");
        }
    }
    pipeline.golden();
}

/// The program: exit code 7, an empty output folder.
#[cfg(target_os = "linux")]
#[test]
fn the_disk_is_full_for_the_program() {
    use std::os::unix::process::CommandExt;
    let _faults = Faults::own();
    let (trio, out) = (abi::trio(), tempfile::tempdir().unwrap());
    let bundle = common::micro();
    for space in [0, 700, 5_000] {
        let mut command = Command::new(env!("CARGO_BIN_EXE_nasoseg"));
        command
            .arg("run")
            .args(trio.arguments(""))
            .args(["--device", "cpu", "--bundle"])
            .arg(&bundle)
            .arg("--out")
            .arg(out.path());
        // SAFETY: both calls are safe between fork and exec.
        unsafe {
            command.pre_exec(move || {
                libc::signal(libc::SIGXFSZ, libc::SIG_IGN);
                let limit = libc::rlimit { rlim_cur: space, rlim_max: libc::RLIM_INFINITY };
                if libc::setrlimit(libc::RLIMIT_FSIZE, &limit) == 0 {
                    Ok(())
                } else {
                    Err(std::io::Error::last_os_error())
                }
            });
        }
        let output = command.output().unwrap();
        let text = common::text(&output.stderr);
        assert_eq!(output.status.code(), Some(7), "{space}: {text}");
        contains(&text, &["writing failed", &system(libc::EFBIG)]);
        assert!(files(out.path()).is_empty(), "{space}");
    }
}

/// A library with this feature is refused by `make install`; this test's own program stands for
/// one.
#[cfg(unix)]
#[test]
fn what_can_fail_on_purpose_is_not_installed() {
    let (built, prefix) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let names = ["libnasoseg.so", "libnasoseg.a", "nasoseg"];
    for faulty in names {
        for name in names {
            let path = built.path().join(name);
            let _ = std::fs::remove_file(&path);
            match name == faulty {
                true => {
                    std::os::unix::fs::symlink(std::env::current_exe().unwrap(), &path).unwrap()
                }
                false => std::fs::write(&path, b"nothing").unwrap(),
            }
        }
        let output = Command::new(root.join("bindings/cpp/install.sh"))
            .env("BUILT", built.path())
            .env("PREFIX", prefix.path())
            .env("DESTDIR", "")
            .output()
            .unwrap();
        assert!(!output.status.success());
        contains(&common::text(&output.stderr), &[faulty, "fault-injection"]);
        assert!(files(prefix.path()).is_empty(), "{faulty}");
    }
}
