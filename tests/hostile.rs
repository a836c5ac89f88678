//! Files changed at random: every reader gives a volume or an error, in bounded memory and time.
//!
//! Input files are made here; `NASOSEG_HOSTILE_SEEDS` adds a folder (fuzz/seeds, with one folder
//! for each format), and `NASOSEG_HOSTILE_SECONDS` sets the time for each format. Random numbers
//! have a fixed seed. Inputs found by fuzzing follow below, byte by byte.

#[path = "../fuzz/bound.rs"]
mod bound;
mod common;

use std::path::Path;
use std::sync::Mutex;
use std::time::{Duration, Instant};

use nasoseg::bundle::Manifest;
use nasoseg::formats::nifti::write_nifti;
use nasoseg::formats::{dicom, nifti, nrrd};
use nasoseg::geometry::Grid;

#[global_allocator]
static COUNTING: bound::Counting = bound::Counting;

/// Memory is counted for the whole process, so only one format is tested at a time.
static ALONE: Mutex<()> = Mutex::new(());

/// xorshift64*.
struct Random(u64);

impl Random {
    fn below(&mut self, n: usize) -> usize {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        (self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 33) as usize % n.max(1)
    }
}

/// Makes one to four changes, as in damaged or forged files.
fn change(bytes: &mut Vec<u8>, other: &[u8], random: &mut Random) {
    const NUMBERS: [u32; 10] =
        [0, 1, 0x7f, 0xff, 0x7fff, 0xffff, 0x7fff_ffff, 0x8000_0000, 0xffff_fffe, 0xffff_ffff];
    for _ in 0..1 + random.below(4) {
        if bytes.is_empty() {
            return;
        }
        let at = random.below(bytes.len());
        let end = (at + 1 + random.below(64)).min(bytes.len());
        match random.below(9) {
            0 => bytes[at] ^= 1 << random.below(8),
            1 => bytes[at] = random.below(256) as u8,
            2 | 3 => {
                let number = NUMBERS[random.below(NUMBERS.len())].to_le_bytes();
                let size = [1, 2, 4][random.below(3)].min(bytes.len() - at);
                bytes[at..at + size].copy_from_slice(&number[..size]);
            }
            4 => bytes.truncate(at),
            5 => drop(bytes.drain(at..end)),
            6 => {
                let part = bytes[at..end].to_vec();
                bytes.splice(at..at, part.repeat(1 + random.below(8)));
            }
            7 => {
                let to = random.below(bytes.len());
                let part = bytes[at..end].to_vec();
                bytes.splice(to..to, part);
            }
            _ => {
                let from = random.below(other.len());
                let to = (from + 1 + random.below(128)).min(other.len());
                bytes.splice(at..end, other[from..to].iter().copied());
            }
        }
    }
}

fn shake(format: &str, mut seeds: Vec<Vec<u8>>, read: impl Fn(&[u8]) -> usize) {
    let _alone = ALONE.lock().unwrap_or_else(|p| p.into_inner());
    for (n, seed) in seeds.iter().enumerate() {
        assert!(
            bound::bounded(seed, bound::is_packed(seed), &read) > 0 && read(seed) > 0,
            "{format} seed {n} is read"
        );
    }
    if let Ok(folder) = std::env::var("NASOSEG_HOSTILE_SEEDS") {
        let mut files: Vec<_> = std::fs::read_dir(Path::new(&folder).join(format))
            .unwrap()
            .map(|f| f.unwrap().path())
            .collect();
        files.sort();
        seeds.extend(files.iter().map(|f| std::fs::read(f).unwrap()));
    }
    let seconds = std::env::var("NASOSEG_HOSTILE_SECONDS").map_or(2.0, |s| s.parse().unwrap());
    let (start, mut random) = (Instant::now(), Random(0x5eed));
    let (mut runs, mut good, mut peak) = (0u64, 0u64, 0);
    while start.elapsed() < Duration::from_secs_f64(seconds) {
        let (a, b) = (random.below(seeds.len()), random.below(seeds.len()));
        let mut bytes = seeds[a].clone();
        change(&mut bytes, &seeds[b], &mut random);
        // The input is written before it is read, so that it survives whatever ends the process.
        if let Ok(path) = std::env::var("NASOSEG_HOSTILE_KEEP") {
            std::fs::write(Path::new(&path).join(format), &bytes).unwrap();
        }
        let taken = bound::bounded(&bytes, bound::is_packed(&bytes), |input| {
            let voxels = read(input);
            good += u64::from(voxels > 0);
            voxels
        });
        peak = peak.max(taken);
        runs += 1;
    }
    println!(
        "{format}: {runs} runs in {:.1} s, {good} were read, {} seeds, at most {peak} bytes",
        start.elapsed().as_secs_f64(),
        seeds.len()
    );
}

fn voxels(volume: nasoseg::Result<nasoseg::Volume>) -> usize {
    volume.map_or(0, |v| 4 * v.voxels().len())
}

#[test]
fn dicom_files_changed_at_random() {
    let mut seeds =
        vec![enhanced(uids::EXPLICIT_VR_LITTLE_ENDIAN), enhanced(uids::IMPLICIT_VR_LITTLE_ENDIAN)];
    seeds.push(enhanced(uids::DEFLATED_EXPLICIT_VR_LITTLE_ENDIAN));
    seeds.push(enhanced(uids::RLE_LOSSLESS));
    shake("dicom", seeds, |input| voxels(dicom::read_bytes(input, Path::new("changed.dcm"))));
}

#[test]
fn nifti_files_changed_at_random() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("image.nii.gz");
    let grid = Grid::from_affine([5, 4, 3], &common::affine()).unwrap();
    let array = ndarray::Array3::from_shape_fn((3, 4, 5), |(k, j, i)| (k + 2 * j + 3 * i) as f32);
    write_nifti(&path, array.view(), &grid, "seed").unwrap();
    let packed = std::fs::read(&path).unwrap();
    let mut plain = Vec::new();
    std::io::Read::read_to_end(&mut flate2::read::GzDecoder::new(packed.as_slice()), &mut plain)
        .unwrap();
    shake("nifti", vec![packed, plain], |input| {
        voxels(nifti::read_bytes(input, Path::new("changed.nii")))
    });
}

#[test]
fn nrrd_files_changed_at_random() {
    let head = |encoding: &str| {
        format!(
            "NRRD0004\ntype: short\ndimension: 3\nspace: RAS\nsizes: 2 3 2\n\
             space directions: (2,0,0) (0,3,0) (0,0,4)\n\
             endian: little\nspace origin: (1,2,3)\nencoding: {encoding}\n\n"
        )
    };
    let raw: Vec<u8> = (0..12i16).flat_map(i16::to_le_bytes).collect();
    let mut gz = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
    std::io::Write::write_all(&mut gz, &raw).unwrap();
    let seeds = vec![
        [head("raw").as_bytes(), &raw].concat(),
        [head("gzip").as_bytes(), &gz.finish().unwrap()].concat(),
        [head("ascii").as_bytes(), b"0 1 2 3 4 5 6 7 8 9 10 11"].concat(),
    ];
    shake("nrrd", seeds, |input| voxels(nrrd::read_bytes(input, Path::new("changed.nrrd"))));
}

#[test]
fn manifests_changed_at_random() {
    let seeds = ["micro", "fixed", "proposals", "volume"].map(|kind| {
        std::fs::read(common::micro().with_file_name(kind).join("bundle.json")).unwrap()
    });
    shake("bundle", seeds.to_vec(), |input| {
        usize::from(Manifest::parse(input, "changed.json").is_ok())
    });
}

#[test]
fn manifests_that_are_huge_or_deep() {
    let _alone = ALONE.lock().unwrap_or_else(|p| p.into_inner());
    let micro = std::fs::read_to_string(common::micro().join("bundle.json")).unwrap();
    let with = |value: &str| {
        let mut manifest: serde_json::Value = serde_json::from_str(&micro).unwrap();
        manifest["training"] = "HERE".into();
        manifest.to_string().replace("\"HERE\"", value)
    };
    let refused = |text: &str, reason: &str| {
        bound::bounded(text.as_bytes(), false, |input| {
            let error = Manifest::parse(input, "bundle.json").unwrap_err().chain();
            assert!(error.contains(reason), "{error}");
            0
        });
    };
    refused(&with(&"[".repeat(100_000)), "not a model bundle's manifest");
    refused(&with(&("[".repeat(100_000) + &"]".repeat(100_000))), "recursion limit");
    refused(&with(&format!("[{}0]", "0,".repeat(500_000))), "more than");
    bound::bounded(with(&format!("[{}0]", "0,".repeat(100_000))).as_bytes(), false, |input| {
        Manifest::parse(input, "bundle.json").unwrap();
        0
    });
    // The same through the bundle's folder.
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(
        folder.path().join("bundle.json"),
        with(&format!("\"{}\"", "x".repeat(300_000))),
    )
    .unwrap();
    assert!(nasoseg::Bundle::open(folder.path()).unwrap_err().to_string().contains("more than"));
}

#[test]
fn gzip_that_inflates_to_more_or_less_than_the_header_says() {
    let _alone = ALONE.lock().unwrap_or_else(|p| p.into_inner());
    let grid = Grid::from_affine([5, 4, 3], &common::affine()).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("image.nii.gz");
    write_nifti(
        &path,
        ndarray::Array3::from_shape_fn((3, 4, 5), |(k, j, i)| (k + j + i) as u8).view(),
        &grid,
        "",
    )
    .unwrap();
    let mut plain = Vec::new();
    std::io::Read::read_to_end(
        &mut flate2::read::GzDecoder::new(std::fs::read(&path).unwrap().as_slice()),
        &mut plain,
    )
    .unwrap();
    let pack = |bytes: &[u8], more: usize| {
        let mut gz = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
        std::io::Write::write_all(&mut gz, bytes).unwrap();
        std::io::copy(&mut std::io::Read::take(std::io::repeat(0), more as u64), &mut gz).unwrap();
        gz.finish().unwrap()
    };
    // 64 MiB after the voxels are not read.
    let more = pack(&plain, 64 << 20);
    let taken = bound::bounded(&more, false, |input| {
        voxels(nifti::read_bytes(input, Path::new("more.nii.gz")))
    });
    assert!(taken < 4 << 20, "{taken}");
    // A header that promises 256 MiB of voxels, and a file of 1 MiB that holds half of them.
    let mut lie = plain[..352].to_vec();
    for (at, n) in [(42, 1024i16), (44, 1024), (46, 256)] {
        lie[at..at + 2].copy_from_slice(&n.to_le_bytes());
    }
    let lie = pack(&lie, 128 << 20);
    let packed = lie.len();
    bound::bounded(&lie, true, |input| {
        let error = nifti::read_bytes(input, Path::new("lie.nii.gz")).unwrap_err().to_string();
        assert!(error.contains("truncated"), "{packed}: {error}");
        0
    });
}

use dicom_core::value::{DataSetSequence, PixelFragmentSequence, Value};
use dicom_core::{DataElement, PrimitiveValue, Tag, VR};
use dicom_dictionary_std::{tags, uids};
use dicom_object::{FileMetaTableBuilder, InMemDicomObject};

/// An enhanced image of two frames of 4 x 3 pixels.
fn enhanced(syntax: &str) -> Vec<u8> {
    let text = |tag, vr, value: &str| DataElement::new(tag, vr, PrimitiveValue::from(value));
    let group = |tag: Tag, inside: Vec<DataElement<InMemDicomObject>>| {
        DataElement::new(
            tag,
            VR::SQ,
            DataSetSequence::from(vec![InMemDicomObject::from_element_iter(inside)]),
        )
    };
    let frames: Vec<InMemDicomObject> = (0..2)
        .map(|n| {
            let plane =
                vec![text(tags::IMAGE_POSITION_PATIENT, VR::DS, &format!("0\\0\\{}", 3 * n))];
            InMemDicomObject::from_element_iter([group(tags::PLANE_POSITION_SEQUENCE, plane)])
        })
        .collect();
    let shared = vec![
        group(
            tags::PLANE_ORIENTATION_SEQUENCE,
            vec![text(tags::IMAGE_ORIENTATION_PATIENT, VR::DS, "1\\0\\0\\0\\1\\0")],
        ),
        group(tags::PIXEL_MEASURES_SEQUENCE, vec![text(tags::PIXEL_SPACING, VR::DS, "0.5\\0.75")]),
    ];
    let mut object = InMemDicomObject::from_element_iter([
        text(tags::SPECIFIC_CHARACTER_SET, VR::CS, "ISO_IR 192"),
        text(tags::SOP_CLASS_UID, VR::UI, uids::ENHANCED_MR_IMAGE_STORAGE),
        text(tags::SOP_INSTANCE_UID, VR::UI, "1.2.3"),
        text(tags::MODALITY, VR::CS, "MR"),
        text(tags::PATIENT_NAME, VR::PN, "A^B"),
        text(tags::SERIES_INSTANCE_UID, VR::UI, "1.2.2"),
        text(tags::PHOTOMETRIC_INTERPRETATION, VR::CS, "MONOCHROME2"),
        text(tags::NUMBER_OF_FRAMES, VR::IS, "2"),
        group(tags::SHARED_FUNCTIONAL_GROUPS_SEQUENCE, shared),
        DataElement::new(
            tags::PER_FRAME_FUNCTIONAL_GROUPS_SEQUENCE,
            VR::SQ,
            DataSetSequence::from(frames),
        ),
    ]);
    for (tag, value) in [
        (tags::SAMPLES_PER_PIXEL, 1u16),
        (tags::ROWS, 3),
        (tags::COLUMNS, 4),
        (tags::BITS_ALLOCATED, 16),
        (tags::BITS_STORED, 12),
        (tags::HIGH_BIT, 11),
        (tags::PIXEL_REPRESENTATION, 0),
    ] {
        object.put(DataElement::new(tag, VR::US, PrimitiveValue::from(value)));
    }
    if syntax == uids::RLE_LOSSLESS {
        let frame = |first: u8| {
            let mut bytes = vec![0u8; 64];
            (bytes[0], bytes[4], bytes[8]) = (2, 64, 66);
            bytes.extend([(-11i8) as u8, 0, 11]);
            bytes.extend((0..12).map(|n| first + n));
            bytes.push(0x80);
            bytes
        };
        let value: Value<InMemDicomObject, Vec<u8>> =
            Value::PixelSequence(PixelFragmentSequence::new_fragments(vec![frame(0), frame(100)]));
        object.put(DataElement::new(tags::PIXEL_DATA, VR::OB, value));
    } else {
        object.put(DataElement::new(
            tags::PIXEL_DATA,
            VR::OW,
            PrimitiveValue::U16((0..24).collect()),
        ));
    }
    let mut bytes = Vec::new();
    object
        .with_meta(FileMetaTableBuilder::new().transfer_syntax(syntax))
        .unwrap()
        .write_all(&mut bytes)
        .unwrap();
    bytes
}
