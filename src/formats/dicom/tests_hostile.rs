//! Files with false lengths and counts, which are refused early. Each is built here, byte by byte.

use std::io::Write as _;

use super::codestream::Codestream;
use super::file::open_bytes;
use super::tests::{Series, image, keep, pixels, put, put_short};
use super::*;
use dicom_core::{DataElement, PrimitiveValue, VR};
use dicom_object::{FileMetaTableBuilder, InMemDicomObject};

/// An element in explicit VR little endian that says it is `length` bytes long.
fn element(group: u16, element: u16, vr: &[u8; 2], length: u32, value: &[u8]) -> Vec<u8> {
    let mut bytes = [&group.to_le_bytes()[..], &element.to_le_bytes(), vr].concat();
    match vr {
        b"OB" | b"OW" | b"SQ" | b"UN" | b"UT" | b"UC" => {
            bytes.extend([&[0, 0][..], &length.to_le_bytes()].concat())
        }
        _ => bytes.extend((length as u16).to_le_bytes()),
    }
    bytes.extend(value);
    bytes
}

fn item(element: u16, length: u32) -> Vec<u8> {
    [&0xfffe_u16.to_le_bytes()[..], &element.to_le_bytes(), &length.to_le_bytes()].concat()
}

const OPEN: u32 = u32::MAX;

/// A file with preamble and meta group, whose data set is `data`.
fn file(syntax: &str, data: &[u8]) -> Vec<u8> {
    let mut uid = syntax.as_bytes().to_vec();
    uid.resize(uid.len().next_multiple_of(2), 0);
    let meta = element(2, 0x10, b"UI", uid.len() as u32, &uid);
    let mut bytes = vec![0; 128];
    bytes.extend(b"DICM");
    bytes.extend(element(2, 0, b"UL", 4, &(meta.len() as u32).to_le_bytes()));
    bytes.extend(meta);
    bytes.extend(data);
    bytes
}

/// The data set of an image, up to its pixel data.
fn head(edit: &dyn Fn(&mut InMemDicomObject)) -> Vec<u8> {
    let mut object = image(0);
    edit(&mut object);
    object.remove_element(tags::PIXEL_DATA);
    let mut bytes = Vec::new();
    let syntax = dicom_transfer_syntax_registry::entries::EXPLICIT_VR_LITTLE_ENDIAN.erased();
    object.write_dataset_with_ts(&mut bytes, &syntax).unwrap();
    bytes
}

const PLAIN: &str = uids::EXPLICIT_VR_LITTLE_ENDIAN;

#[track_caller]
fn refused(bytes: &[u8], reason: &str) {
    let error = read_bytes(bytes, Path::new("hostile.dcm")).map(|_| ()).expect_err(reason).chain();
    assert!(error.contains(reason) && error.contains("hostile.dcm"), "{reason}: {error}");
}

#[test]
fn lengths_beyond_the_file_are_refused() {
    let long = 0xffff_fff0;
    for lie in [
        element(8, 8, b"UT", long, b""),
        element(0x29, 0x1010, b"OB", long, b"xy"),
        element(0x29, 0x1010, b"UN", long, b"xy"),
        element(0x29, 0x1010, b"SQ", long, b"xy"),
        [element(0x29, 0x1010, b"SQ", OPEN, b""), item(0xe000, long)].concat(),
        element(8, 0x60, b"CS", 60_000, b"MR"),
        element(0x7fe0, 0x10, b"OW", long, b"xy"),
        [element(0x7fe0, 0x10, b"OB", OPEN, b""), item(0xe000, long)].concat(),
        [element(0x7fe0, 0x10, b"OB", OPEN, b""), item(0xe000, 0), item(0xe000, long)].concat(),
    ] {
        refused(&file(PLAIN, &[head(&|_| ()), lie].concat()), "are left");
    }
    // In the meta group as well.
    let mut meta = file(PLAIN, b"");
    meta.truncate(132);
    meta.extend(element(2, 1, b"OB", long, b"xy"));
    refused(&meta, "are left");
}

#[test]
fn deep_and_broken_sequences_are_refused() {
    for vr in [b"SQ", b"UN"] {
        let level = [element(8, 0x1140, vr, OPEN, b""), item(0xe000, OPEN)].concat();
        refused(
            &file(PLAIN, &level.repeat(100_000)),
            if vr == b"SQ" { "nested more than 32 deep" } else { "" },
        );
    }
    let sequence = |inside: Vec<u8>| {
        file(PLAIN, &[head(&|_| ()), element(0x3006, 1, b"SQ", OPEN, b""), inside].concat())
    };
    refused(&sequence(item(0xe00d, 0)), "delimiter");
    refused(&sequence(item(0xe000, OPEN)), "inside a sequence");
    refused(&sequence([item(0xe000, OPEN), item(0xe0dd, 0)].concat()), "delimiter");
    refused(&sequence(element(8, 8, b"CS", 2, b"MR")), "cannot be read");
    // An element that reaches over the end of a sequence that is read.
    let shared = [
        element(0x5200, 0x9229, b"SQ", 16, b""),
        item(0xe000, 8),
        element(8, 0x60, b"CS", 2, b"MR"),
    ]
    .concat();
    refused(&file(PLAIN, &[head(&|_| ()), shared].concat()), "over the end of its sequence");
}

#[test]
fn headers_that_promise_more_pixels_than_are_there_are_refused() {
    let huge = |o: &mut InMemDicomObject| {
        put_short(o, tags::ROWS, 65_535);
        put_short(o, tags::COLUMNS, 65_535);
    };
    let native = element(0x7fe0, 0x10, b"OW", 12, &[0; 12]);
    refused(
        &file(PLAIN, &[head(&huge), native.clone()].concat()),
        "found 12 bytes of pixels, expected 65535 x 65535 x 1 pixels",
    );
    let packed = [
        element(0x7fe0, 0x10, b"OB", OPEN, b""),
        item(0xe000, 0),
        item(0xe000, 64),
        vec![0; 64],
        item(0xe0dd, 0),
    ]
    .concat();
    for syntax in [
        uids::RLE_LOSSLESS,
        uids::JPEG2000_LOSSLESS,
        uids::JPEG_LOSSLESS_SV1,
        uids::JPEGLS_LOSSLESS,
    ] {
        refused(
            &file(syntax, &[head(&huge), packed.clone()].concat()),
            "found 64 bytes of packed pixels",
        );
    }
    let frames = |o: &mut InMemDicomObject| put(o, tags::NUMBER_OF_FRAMES, VR::IS, "4000000000");
    refused(
        &file(PLAIN, &[head(&frames), native].concat()),
        "found 4000000000 images, expected at most 65536",
    );
    refused(&file(PLAIN, &head(&|_| ())), "no pixel data");
}

#[test]
fn a_deflated_bomb_is_refused() {
    let deflate = |data: &[u8]| {
        let mut packed =
            flate2::write::DeflateEncoder::new(Vec::new(), flate2::Compression::best());
        packed.write_all(data).unwrap();
        packed.finish().unwrap()
    };
    let syntax = uids::DEFLATED_EXPLICIT_VR_LITTLE_ENDIAN;
    // 80 MiB of zeros in an element before the image.
    let bomb = [element(8, 1, b"UN", 80 << 20, b""), vec![0; 80 << 20]].concat();
    let bytes = file(syntax, &deflate(&[bomb, head(&|_| ())].concat()));
    assert!(bytes.len() < 1 << 20);
    refused(&bytes, "inflates to more than");
    // Pixels that end too early.
    let short = [head(&|_| ()), element(0x7fe0, 0x10, b"OW", 12, &[0; 5])].concat();
    refused(&file(syntax, &deflate(&short)), "ends inside");
}

#[test]
fn attributes_too_long_to_be_true_are_refused() {
    let long = "1\\".repeat(4000);
    let series = Series::with(&[0, 3], &|o| put(o, tags::IMAGE_POSITION_PATIENT, VR::DS, &long));
    series.refused(&["attribute (0020,0032) is 8000 bytes long"]);
    // Others are skipped, whatever they hold.
    let comment = "x".repeat(60_000);
    assert!(
        Series::with(&[0, 3], &|o| put(o, tags::IMAGE_COMMENTS, VR::LT, &comment)).read().is_ok()
    );
}

#[test]
fn what_is_odd_but_harmless_is_read() {
    let expected = Series::with(&[0, 3], &keep).read().unwrap();
    let series = Series::with(&[0, 3], &keep);
    // After the pixels anything may follow; before the image, a private sequence of implicit VR in
    // an element of unknown kind, and an element of no known value representation.
    let odd = [
        element(9, 0x1010, b"UN", OPEN, b""),
        [
            item(0xe000, OPEN),
            [&9u16.to_le_bytes()[..], &0x1011u16.to_le_bytes(), &2u32.to_le_bytes(), b"ab"]
                .concat(),
        ]
        .concat(),
        [item(0xe00d, 0), item(0xe0dd, 0)].concat(),
        [
            &9u16.to_le_bytes()[..],
            &0x1012u16.to_le_bytes(),
            b"??",
            &[0, 0],
            &2u32.to_le_bytes(),
            b"ab",
        ]
        .concat(),
    ]
    .concat();
    for name in ["0.dcm", "1.dcm"] {
        let path = series.path().join(name);
        let bytes = std::fs::read(&path).unwrap();
        let begin =
            bytes.windows(8).position(|w| w == [0x10, 0, 0x20, 0, b'L', b'O', 2, 0]).unwrap();
        std::fs::write(&path, [&bytes[..begin], &odd, &bytes[begin..], &[0xff; 7]].concat())
            .unwrap();
    }
    assert_eq!(series.read().unwrap().voxels(), expected.voxels());
}

/// The functional groups of two frames, 3 mm apart.
fn two_planes() -> Vec<u8> {
    let functional = |z: i16| {
        let position = format!("0\\0\\{z} ");
        let inside = element(0x20, 0x32, b"DS", position.len() as u32, position.as_bytes());
        let plane = element(
            0x20,
            0x9113,
            b"SQ",
            inside.len() as u32 + 8,
            &[item(0xe000, inside.len() as u32), inside].concat(),
        );
        [item(0xe000, plane.len() as u32), plane].concat()
    };
    let groups = [functional(0), functional(3)].concat();
    element(0x5200, 0x9230, b"SQ", groups.len() as u32, &groups)
}

#[test]
fn frames_in_fragments_are_found_by_either_offset_table() {
    // Two frames of two fragments each; RLE of 6 samples.
    let rle = |first: u8| {
        let mut bytes = vec![0u8; 64];
        (bytes[0], bytes[4], bytes[8]) = (2, 64, 66);
        bytes.extend([(-5i8) as u8, 0, 5]);
        bytes.extend((0..6).map(|n| first + n));
        bytes.push(0x80);
        bytes
    };
    let fragments =
        [&rle(10)[..40], &rle(10)[40..], &rle(20)[..64], &rle(20)[64..]].map(<[u8]>::to_vec);
    let at = (fragments[0].len() + fragments[1].len() + 16) as u32;
    let items: Vec<u8> =
        fragments.iter().flat_map(|f| [item(0xe000, f.len() as u32), f.clone()].concat()).collect();
    let groups = two_planes();
    let head = head(&|o| put(o, tags::NUMBER_OF_FRAMES, VR::IS, "2"));
    let table = [0u32.to_le_bytes(), at.to_le_bytes()].concat();
    let wide = [0u64.to_le_bytes(), u64::from(at).to_le_bytes()].concat();
    let extended = [
        &0x7fe0u16.to_le_bytes()[..],
        &1u16.to_le_bytes(),
        b"OV",
        &[0, 0],
        &16u32.to_le_bytes(),
        &wide,
    ]
    .concat();
    let begin = element(0x7fe0, 0x10, b"OB", OPEN, b"");
    let basic = [
        head.clone(),
        groups.clone(),
        begin.clone(),
        item(0xe000, 8),
        table,
        items.clone(),
        item(0xe0dd, 0),
    ]
    .concat();
    let extended = [
        head.clone(),
        groups.clone(),
        extended,
        begin.clone(),
        item(0xe000, 0),
        items.clone(),
        item(0xe0dd, 0),
    ]
    .concat();
    for data in [basic, extended] {
        let volume = read_bytes(&file(uids::RLE_LOSSLESS, &data), Path::new("frames.dcm")).unwrap();
        assert_eq!(volume.voxels().as_slice().unwrap()[4..8], [14.0, 15.0, 20.0, 21.0]);
    }
    let none = [head, groups, begin, item(0xe000, 0), items, item(0xe0dd, 0)].concat();
    refused(
        &file(uids::RLE_LOSSLESS, &none),
        "4 packed fragments hold 2 frames without an offset table",
    );
}

/// A JPEG 2000 main header: 16 x 16 pixels in tiles of `tile`, then the coding style.
fn jpeg2000(tile: u32, layers: u16, levels: u8, precincts: &[u8]) -> Vec<u8> {
    let mut bytes = vec![0xff, 0x4f, 0xff, 0x51, 0, 41, 0, 0];
    for n in [16, 16, 0, 0, tile, tile, 0, 0] {
        bytes.extend(u32::to_be_bytes(n));
    }
    bytes.extend([0, 1, 11, 1, 1]);
    bytes.extend([0xff, 0x52, 0, 12 + precincts.len() as u8, u8::from(!precincts.is_empty()), 0]);
    bytes.extend(layers.to_be_bytes());
    bytes.extend([0, levels, 4, 4, 0, 1]);
    bytes.extend(precincts);
    bytes.extend([0xff, 0xd9]);
    bytes
}

#[test]
fn streams_that_would_take_memory_without_end_are_refused() {
    let of = |bytes: &[u8]| Codestream::parse(bytes, uids::JPEG2000_LOSSLESS);
    let stream = of(&jpeg2000(16, 1, 5, &[])).unwrap();
    assert_eq!((stream.columns, stream.rows, stream.components, stream.bits), (16, 16, 1, 12));
    assert!(of(&jpeg2000(16, 1, 2, &[0x11, 0x88, 0x88])).is_ok());
    let wrong = |bytes: &[u8], reason: &str| {
        let error = of(bytes).unwrap_err();
        assert!(error.contains(reason), "{error}");
    };
    wrong(&jpeg2000(0, 1, 5, &[]), "0 tiles");
    let mut many = jpeg2000(1, 1, 5, &[]);
    many[8..16].copy_from_slice(&[0, 0, 0x10, 0, 0, 0, 0x10, 0]);
    wrong(&many, "tiles");
    wrong(&jpeg2000(16, 65_535, 5, &[]), "65535 quality layers");
    wrong(&jpeg2000(16, 1, 33, &[]), "33 resolution levels");
    wrong(&jpeg2000(16, 1, 2, &[0x88, 0x88, 0x18]), "precincts smaller");
    wrong(&jpeg2000(16, 1, 5, &[])[..60], "ends");
    wrong(b"\xff\xd8\xff\xd9", "no JPEG");
    // A tile-part that reaches beyond the stream.
    let mut cut = jpeg2000(16, 1, 5, &[]);
    cut.truncate(cut.len() - 2);
    cut.extend([0xff, 0x90, 0, 10, 0, 0, 0, 1, 0, 0, 0, 1, 0xff, 0x93, 1, 2]);
    wrong(&cut, "ends too early");

    let frame = |marker: u8| {
        [&[0xff, 0xd8, 0xff, marker, 0, 11, 12, 0, 2, 0, 3, 1, 1, 0x11, 0][..], &[0xff, 0xda, 0, 2]]
            .concat()
    };
    let stream = Codestream::parse(&frame(0xc3), uids::JPEG_LOSSLESS_SV1).unwrap();
    assert_eq!((stream.columns, stream.rows, stream.components, stream.bits), (3, 2, 1, 12));
    // Progressive JPEG, of which a few bytes can cost a scan of the image.
    assert!(
        Codestream::parse(&frame(0xc2), uids::JPEG_EXTENDED12_BIT)
            .unwrap_err()
            .contains("process C2")
    );
    assert!(
        Codestream::parse(&frame(0xc0), uids::JPEG_LOSSLESS).is_err()
            && Codestream::parse(&frame(0xf7), uids::JPEGLS_LOSSLESS).is_ok()
    );
}

#[test]
fn a_jpeg_ls_stream_without_an_end_is_refused_at_once() {
    // 16 x 12 pixels of 12 bits, near-lossless; found by fuzzing: its last byte is no longer a
    // marker, and the bits before it are zeros.
    let stream: [u8; 74] = [
        0xff, 0xd8, 0xff, 0xf7, 0x00, 0x0b, 0x0c, 0x00, 0x0c, 0x00, 0x10, 0x01, 0x01, 0x11, 0x00,
        0xff, 0xda, 0x00, 0x08, 0x01, 0x01, 0x00, 0x02, 0x00, 0x00, 0x56, 0x30, 0x39, 0x98, 0xb2,
        0x4e, 0xaa, 0x52, 0x94, 0x45, 0x44, 0x4c, 0xd2, 0x49, 0xd4, 0x44, 0xc9, 0x6a, 0x55, 0xd2,
        0xa5, 0x55, 0x55, 0x49, 0x65, 0x56, 0x95, 0x6a, 0xe5, 0x4b, 0xfa, 0x84, 0xf3, 0xff, 0x7f,
        0xff, 0x7e, 0x9f, 0xff, 0x7f, 0xff, 0x79, 0x7f, 0xff, 0x7f, 0xff, 0x40, 0x88, 0xd9,
    ];
    let size = |o: &mut InMemDicomObject| {
        put_short(o, tags::ROWS, 12);
        put_short(o, tags::COLUMNS, 16);
        put(o, tags::NUMBER_OF_FRAMES, VR::IS, "2");
    };
    let frames = [item(0xe000, 74), stream.to_vec()].concat().repeat(2);
    let packed =
        [element(0x7fe0, 0x10, b"OB", OPEN, b""), item(0xe000, 0), frames, item(0xe0dd, 0)]
            .concat();
    let start = std::time::Instant::now();
    refused(
        &file(uids::JPEGLS_NEAR_LOSSLESS, &[head(&size), two_planes(), packed].concat()),
        "cannot be decoded",
    );
    assert!(start.elapsed().as_secs_f64() < 1.0, "{:?}", start.elapsed());
}

#[test]
fn every_prefix_and_every_changed_byte_ends_in_an_error_or_a_volume() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("image.dcm");
    let mut object = image(0);
    object.put(DataElement::new(tags::SLICE_THICKNESS, VR::DS, PrimitiveValue::from("3")));
    pixels(&mut object, 0..6);
    object
        .with_meta(FileMetaTableBuilder::new().transfer_syntax(PLAIN))
        .unwrap()
        .write_to_file(&path)
        .unwrap();
    let whole = std::fs::read(path).unwrap();
    for length in 0..whole.len() {
        let _ = open_bytes(&whole[..length], Path::new("cut.dcm"));
    }
    for at in 128..whole.len() {
        for value in [0, 0x7f, 0xff] {
            let mut bytes = whole.clone();
            bytes[at] = value;
            let _ = read_bytes(&bytes, Path::new("changed.dcm"));
        }
    }
}
