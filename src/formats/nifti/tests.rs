//! NIfTI-1 files of every sample type, and damaged ones.

use std::io::Write;
use std::path::Path;

use super::read_bytes;
use crate::error::Result;
use crate::volume::Volume;

/// Header and voxels of 2 x 3 x 2 samples, of either byte order.
struct Nifti {
    big: bool,
    bytes: Vec<u8>,
}

impl Nifti {
    fn new(big: bool, datatype: i16, bits: i16) -> Self {
        let mut file = Nifti { big, bytes: vec![0; 352] };
        file.int(0, 348);
        for (n, v) in [3, 2, 3, 2, 1, 1, 1, 1].into_iter().enumerate() {
            file.short(40 + 2 * n, v);
        }
        file.short(70, datatype);
        file.short(72, bits);
        for n in 0..8 {
            file.float(76 + 4 * n, 1.0);
        }
        file.float(108, 352.0);
        file.bytes[344..348].copy_from_slice(b"n+1\0");
        // sform: RAS; 2, 3, 4 mm; origin (-10, -20, 30).
        file.short(254, 1);
        for (row, values) in [[2.0, 0.0, 0.0, -10.0], [0.0, 3.0, 0.0, -20.0], [0.0, 0.0, 4.0, 30.0]]
            .into_iter()
            .enumerate()
        {
            for (c, v) in values.into_iter().enumerate() {
                file.float(280 + 16 * row + 4 * c, v);
            }
        }
        file
    }

    fn put(&mut self, at: usize, little: &[u8]) {
        let mut raw = little.to_vec();
        if self.big {
            raw.reverse();
        }
        self.bytes[at..at + raw.len()].copy_from_slice(&raw);
    }

    fn int(&mut self, at: usize, v: i32) {
        self.put(at, &v.to_le_bytes());
    }

    fn short(&mut self, at: usize, v: i16) {
        self.put(at, &v.to_le_bytes());
    }

    fn float(&mut self, at: usize, v: f32) {
        self.put(at, &v.to_le_bytes());
    }

    fn voxels(mut self, samples: impl Iterator<Item = Vec<u8>>) -> Vec<u8> {
        for mut raw in samples {
            if self.big {
                raw.reverse();
            }
            self.bytes.extend(raw);
        }
        self.bytes
    }

    fn shorts(self) -> Vec<u8> {
        self.voxels((0..12i16).map(|v| (v * 100 - 300).to_le_bytes().to_vec()))
    }
}

fn load(bytes: &[u8]) -> Result<Volume> {
    read_bytes(bytes, Path::new("scan.nii"))
}

fn refused(bytes: &[u8], reason: &str) {
    let error = load(bytes).expect_err(reason).chain();
    assert!(error.contains(reason) && error.contains("scan.nii"), "{error}");
}

#[test]
fn both_byte_orders_and_gzip_give_the_same_lps_volume() {
    for big in [false, true] {
        let bytes = Nifti::new(big, 4, 16).shorts();
        let volume = load(&bytes).unwrap();
        assert_eq!(volume.grid().size(), [2, 3, 2]);
        assert_eq!(volume.grid().axis_i(), [-2.0, 0.0, 0.0]);
        assert_eq!(volume.grid().axis_j(), [0.0, -3.0, 0.0]);
        assert_eq!(volume.grid().origins(), [[10.0, 20.0, 30.0], [10.0, 20.0, 34.0]]);
        // [k, j, i]: i is the fastest axis of the file.
        assert_eq!(volume.voxels()[[0, 0, 1]], -200.0);
        assert_eq!(volume.voxels()[[1, 2, 1]], 800.0);
        let mut packed = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
        packed.write_all(&bytes).unwrap();
        let packed = packed.finish().unwrap();
        assert_eq!(load(&packed).unwrap().voxels(), volume.voxels());
        refused(&packed[..packed.len() - 4], "damaged");
        let mut changed = packed.clone();
        let crc = changed.len() - 8;
        changed[crc] ^= 1;
        refused(&changed, "checksum");
    }
}

#[test]
fn every_sample_type_is_read() {
    macro_rules! check {
        ($type:ty, $code:expr) => {
            for big in [false, true] {
                let file = Nifti::new(big, $code, 8 * std::mem::size_of::<$type>() as i16);
                let volume =
                    load(&file.voxels((0..12).map(|v| (v as $type).to_le_bytes().to_vec())))
                        .unwrap();
                assert!(
                    volume.voxels().iter().enumerate().all(|(n, v)| *v == n as f32),
                    "{}",
                    stringify!($type)
                );
            }
        };
    }
    check!(u8, 2);
    check!(i16, 4);
    check!(i32, 8);
    check!(f32, 16);
    check!(f64, 64);
    check!(i8, 256);
    check!(u16, 512);
    check!(u32, 768);
    check!(i64, 1024);
    check!(u64, 1280);
    refused(&Nifti::new(false, 128, 24).shorts(), "colour");
}

#[test]
fn slope_and_intercept_are_applied_and_zero_or_nan_mean_none() {
    let with = |slope, inter| {
        let mut file = Nifti::new(true, 4, 16);
        file.float(112, slope);
        file.float(116, inter);
        load(&file.shorts())
    };
    assert_eq!(with(0.5, 10.0).unwrap().voxels()[[0, 0, 0]], -140.0);
    assert_eq!(with(0.0, 10.0).unwrap().voxels()[[0, 0, 0]], -300.0);
    assert_eq!(with(f32::NAN, f32::NAN).unwrap().voxels()[[0, 0, 0]], -300.0);
    assert!(with(1.0, f32::NAN).is_err());
}

#[test]
fn sform_goes_before_qform_and_neither_is_refused() {
    let mut file = Nifti::new(false, 4, 16);
    // qform: turned by 180 degrees about z, left-handed, 5 mm slices.
    file.short(252, 1);
    file.float(264, 1.0);
    file.float(88, 5.0);
    file.float(76, -1.0);
    file.float(268, 7.0);
    assert_eq!(
        load(&Nifti { big: false, bytes: file.bytes.clone() }.shorts()).unwrap().grid().axis_i(),
        [-2.0, 0.0, 0.0]
    );
    file.short(254, 0);
    let volume = load(&Nifti { big: false, bytes: file.bytes.clone() }.shorts()).unwrap();
    assert_eq!(volume.grid().axis_i(), [1.0, 0.0, 0.0]);
    assert_eq!(volume.grid().axis_j(), [0.0, 1.0, 0.0]);
    assert_eq!(volume.grid().origins(), [[-7.0, 0.0, 0.0], [-7.0, 0.0, -5.0]]);
    file.short(252, 0);
    refused(&file.shorts(), "neither sform nor qform");
}

#[test]
fn hostile_and_foreign_headers_are_refused() {
    let edit = |change: &dyn Fn(&mut Nifti)| {
        let mut file = Nifti::new(false, 4, 16);
        change(&mut file);
        file.shorts()
    };
    let whole = Nifti::new(false, 4, 16).shorts();
    refused(&whole[..whole.len() - 1], "truncated");
    refused(&whole[..200], "348 bytes");
    refused(&edit(&|f| (1..4).for_each(|n| f.short(40 + 2 * n, 30000))), "at most");
    refused(&edit(&|f| (1..4).for_each(|n| f.short(40 + 2 * n, 800))), "truncated");
    refused(&edit(&|f| f.short(46, -2)), "no sense");
    refused(&edit(&|f| f.short(46, 1)), "at least 2 slices");
    refused(&edit(&|f| (f.short(40, 4), f.short(48, 2)).0), "2 x 3 x 2 x 2");
    assert!(load(&edit(&|f| f.short(40, 4))).is_ok());
    refused(&edit(&|f| f.float(108, f32::NAN)), "voxels begin");
    refused(&edit(&|f| f.float(108, 1e30)), "voxels begin");
    refused(&edit(&|f| f.bytes[123] = 1), "metres");
    refused(&edit(&|f| f.int(0, 540)), "NIfTI-2");
    refused(&edit(&|f| f.bytes[344..348].copy_from_slice(b"ni1\0")), ".hdr/.img");
    refused(&edit(&|f| f.float(280, f32::NAN)), "degenerate");
    let mut nan = Nifti::new(false, 16, 32);
    nan.float(112, 1.0);
    refused(
        &nan.voxels(
            (0..12).map(|v| (if v == 5 { f32::NAN } else { v as f32 }).to_le_bytes().to_vec()),
        ),
        "is NaN",
    );
}
