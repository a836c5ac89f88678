//! The n-th read fails: of a bundle, of a study, in every format.

use std::cell::Cell;
use std::ffi::c_char;
use std::path::{Path, PathBuf};
use std::ptr::{null, null_mut};

use dicom_dictionary_std::{tags, uids};
use dicom_encoding::TransferSyntaxIndex;
use nasoseg::fault::{Fault, Faults};
use nasoseg::ffi::nasoseg_status::*;
use nasoseg::ffi::*;
use nasoseg::formats::{ReadOptions, read};

use crate::common::abi::{self, call};
use crate::pipeline::{Pipeline, cpu, files};
use crate::{common, contains, each, system};

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

    // A sequence whose second reading fails stays as it was.
    let pipeline = Pipeline::new(Some(&trio));
    pipeline.golden();
    let again = || call!(nasoseg_study_load(pipeline.study, 1, paths.as_ptr(), 1, null(), null()));
    let unharmed = |text: &str| {
        contains(text, &[t1c.to_str().unwrap(), &io]);
        pipeline.golden();
    };
    assert!(each(&faults, Fault::Read, NASOSEG_ERROR_READ, again, unharmed) > 6 * 6);
    pipeline.golden();

    // A sequence in memory whose DICOM source cannot be read has none.
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

    // A detection is read back.
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

/// The synthetic T1C in every supported format: names and paths.
fn formats(folder: &Path) -> Vec<(&'static str, Vec<PathBuf>)> {
    use flate2::{Compression, write::GzEncoder};
    use std::io::Write;
    let grid = abi::grid();
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

    let header = nrrd_header();
    let nrrd = |encoding: &str, data: &[u8]| {
        [header.as_bytes(), b"encoding: ", encoding.as_bytes(), b"\n\n", data].concat()
    };
    let text = voxels.iter().map(|v| format!("{v} ")).collect::<String>();
    put("scan.raw", &bytes);

    let mut formats = dicom_formats(folder);
    formats.extend([
        ("NIfTI packed", vec![packed]),
        ("NIfTI", put("a.nii", &plain)),
        ("NRRD raw", put("raw.nrrd", &nrrd("raw", &bytes))),
        ("NRRD packed", put("packed.nrrd", &nrrd("gzip", &gzip(&bytes)))),
        ("NRRD text", put("text.nrrd", &nrrd("ascii", text.as_bytes()))),
        ("NRRD in two files", put("two.nhdr", &nrrd("raw\ndata file: scan.raw", &[]))),
    ]);
    formats
}

/// The header of the synthetic T1C as NRRD, up to its encoding.
fn nrrd_header() -> String {
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
    header
}

/// The synthetic T1C as DICOM: as a folder, as files, without meta group, deflated.
fn dicom_formats(folder: &Path) -> Vec<(&'static str, Vec<PathBuf>)> {
    let trio = abi::trio();
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
