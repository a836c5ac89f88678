//! `nasoseg contour`: any mask on any series.

use std::path::{Path, PathBuf};
use std::process::Output;

use nasoseg::geometry::Grid;
use serde_json::Value;

use crate::common::{nasoseg, text};
use crate::dicom::{Series, case, judge, python, series, write};
use crate::files::{write_nifti, write_nrrd};
use crate::layouts::{Affine, DOUBLE_OBLIQUE, Layout, Stored, affine, t1c};

/// A lesion with a cavity, binary or smooth, on any grid.
fn region(size: [usize; 3], affine: Affine, smooth: bool) -> Stored {
    let grid = Grid::from_affine(size, &affine).unwrap();
    let level = |[x, y, z]: [f64; 3]| {
        let r =
            (((x - 4.0) / 31.0).powi(2) + ((y + 9.0) / 27.0).powi(2) + ((z - 2.0) / 17.0).powi(2))
                .sqrt();
        let hole = ((x - 8.0).powi(2) + (y + 7.0).powi(2) + (z - 3.0).powi(2)).sqrt() / 9.0;
        (1.3 - 0.8 * r).min(hole - 0.5).clamp(0.0, 1.0)
    };
    let voxels = ndarray::Array3::from_shape_fn(grid.shape(), |(k, j, i)| {
        let p = level(grid.point(i as f64, j as f64, k)) as f32;
        if smooth { p } else { f32::from(u8::from(p >= 0.5)) }
    });
    Stored { size, affine, voxels }
}

fn contour(mask: &Path, reference: &Path, out: &Path, more: &[&str]) -> Output {
    let [mask, reference, out] = [mask, reference, out].map(|p| p.display().to_string());
    nasoseg(
        &[&["contour", "--mask", &mask, "--reference", &reference, "--out", &out], more].concat(),
    )
}

fn succeeded(output: &Output) {
    assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
}

fn rings(out: &Path) -> Value {
    let bytes = std::fs::read(out.join("contours.json")).unwrap();
    serde_json::from_slice::<Value>(&bytes).unwrap()["contours"].clone()
}

/// One series per plane, and the mask on it in its own storage order.
struct Planes {
    dir: tempfile::TempDir,
    folders: Vec<PathBuf>,
}

const NAMES: [&str; 4] = ["axial", "coronal", "sagittal", "backwards"];

fn planes() -> Planes {
    let dir = tempfile::tempdir().unwrap();
    let usual = t1c(DOUBLE_OBLIQUE);
    let flips = [false, false, true];
    let layouts =
        [([0, 1, 2], [false; 3]), ([0, 2, 1], flips), ([1, 2, 0], flips), ([2, 1, 0], [true; 3])]
            .map(|(axes, flips)| Layout { axes, flips });
    let stored = layouts.map(|l| usual.turned(&l));
    let all: Vec<Series> = (0..4)
        .map(|n| Series {
            name: NAMES[n].into(),
            stored: &stored[n],
            patient_position: "HFS",
            sign: 1.0,
        })
        .collect();
    let folders = write(dir.path(), &all);
    Planes { dir, folders }
}

#[test]
fn a_mask_on_any_plane_in_any_order() {
    if !python() {
        return;
    }
    let Planes { dir, folders } = planes();
    let usual = t1c(DOUBLE_OBLIQUE);
    let mask = region(usual.size, usual.affine, false);
    assert!(mask.voxels.sum() > 300.0);
    let mut cases = Vec::new();
    for (folder, name) in folders.iter().zip(NAMES) {
        let volume = series(folder);
        let own = region(volume.grid().size(), volume.grid().affine().unwrap(), false);
        let mut first = None;
        for layout in Layout::all().iter().step_by(7) {
            let stored = mask.turned(layout);
            let (nifti, nrrd) = (dir.path().join("mask.nii"), dir.path().join("mask.nrrd"));
            write_nifti(&nifti, &stored, layout.flips[0]);
            write_nrrd(&nrrd, &stored, layout.flips[1]);
            for file in [&nifti, &nrrd] {
                let out = tempfile::tempdir().unwrap();
                succeeded(&contour(file, folder, out.path(), &[]));
                let rings = rings(out.path());
                match &first {
                    None => {
                        assert!(
                            rings.as_array().unwrap().iter().any(|r| r["hole"] == true),
                            "{name}"
                        );
                        let kept = dir.path().join(format!("{name}.dcm"));
                        std::fs::rename(out.path().join("rtstruct.dcm"), &kept).unwrap();
                        let voxels: Vec<u8> = own.voxels.iter().map(|v| *v as u8).collect();
                        cases.push(case(
                            name,
                            &kept,
                            folder,
                            &voxels,
                            &["plastimatch", "dciodvfy"],
                        ));
                        first = Some(rings);
                    }
                    Some(first) => assert_eq!(first, &rings, "{name} {}", layout.name()),
                }
            }
        }
    }
    judge(dir.path(), cases);
}

#[test]
fn a_mask_on_another_grid_is_refused_or_resampled() {
    if !python() {
        return;
    }
    let Planes { dir, folders } = planes();
    // A grid half a millimetre aside is another grid, as is one with other voxels.
    let usual = t1c(DOUBLE_OBLIQUE);
    let mut aside = usual.affine;
    aside[0][3] += 0.5;
    let size = [90, 84, 31];
    let fine = affine(size, [1.5, 1.6, 2.0], [0.0; 3], [3.0, -9.0, 3.0]);
    let path = |name: &str| dir.path().join(name);
    write_nifti(&path("aside.nii"), &region(usual.size, aside, false), false);
    write_nifti(&path("fine.nii"), &region(size, fine, false), false);
    write_nifti(&path("smooth.nii"), &region(size, fine, true), false);
    let mut elsewhere = region(size, fine, false);
    elsewhere.affine[2][3] += 500.0;
    write_nifti(&path("elsewhere.nii"), &elsewhere, false);
    let out = path("out");
    let refused = |file: &str, folder: &Path, more: &[&str], words: &[&str]| {
        let output = contour(&path(file), folder, &out, more);
        let message = text(&output.stderr);
        assert_eq!(output.status.code(), Some(4), "{message}");
        assert!(words.iter().all(|w| message.contains(w)), "{message}");
        assert!(!out.join("rtstruct.dcm").exists());
    };
    refused(
        "aside.nii",
        &folders[0],
        &[],
        &["aside.nii: does not lie on the grid of series", "0.500 mm apart", "--resample"],
    );
    refused(
        "fine.nii",
        &folders[2],
        &[],
        &["90 x 84 x 31 voxels of 1.500 x 1.600 x 2.000 mm against 66 x 7 x 61 voxels"],
    );
    refused("elsewhere.nii", &folders[0], &["--resample"], &["nothing of it lies on series"]);

    let mut cases = Vec::new();
    for (folder, name) in folders.iter().zip(NAMES) {
        let volume = series(folder);
        let grid = volume.grid();
        for (file, more) in [
            ("fine.nii", &["--resample"][..]),
            ("smooth.nii", &["--resample", "--threshold", "0.5"][..]),
        ] {
            let out = tempfile::tempdir().unwrap();
            let output = contour(&path(file), folder, out.path(), more);
            succeeded(&output);
            assert!(
                text(&output.stderr).contains("cm3 on its own grid"),
                "{}",
                text(&output.stderr)
            );
            // The mask by a direct look-up in the file.
            let stored = region(size, fine, file == "smooth.nii");
            let mask: Vec<u8> = by_hand(&stored, grid, file == "smooth.nii");
            let kept = path(&format!("{name}-{file}.dcm"));
            std::fs::rename(out.path().join("rtstruct.dcm"), &kept).unwrap();
            cases.push(case(&format!("{name} {file}"), &kept, folder, &mask, &["plastimatch"]));
        }
    }
    judge(dir.path(), cases);
}

/// Nearest voxel, or trilinear at 0.5, at the voxel centres of `grid`. `stored` is straight and
/// holds the whole lesion.
fn by_hand(stored: &Stored, grid: &Grid, linear: bool) -> Vec<u8> {
    let a = stored.affine;
    let value = |at: [f64; 3]| {
        let inside = at.iter().zip(stored.size).all(|(v, n)| *v >= 0.0 && *v <= (n - 1) as f64);
        if inside {
            f64::from(stored.voxels[[at[2] as usize, at[1] as usize, at[0] as usize]])
        } else {
            0.0
        }
    };
    let (nk, nj, ni) = grid.shape();
    let mut out = Vec::new();
    for k in 0..nk {
        for j in 0..nj {
            for i in 0..ni {
                let p = grid.point(i as f64, j as f64, k);
                let at: [f64; 3] = std::array::from_fn(|n| (p[n] - a[n][3]) / a[n][n]);
                let v = match linear {
                    false => value(at.map(|v| (v + 0.5).floor())),
                    true => (0..8)
                        .map(|corner| {
                            let up = [0, 1, 2].map(|n| f64::from(corner >> n & 1));
                            let weight: f64 = (0..3)
                                .map(|n| {
                                    if up[n] > 0.0 {
                                        at[n] - at[n].floor()
                                    } else {
                                        1.0 - (at[n] - at[n].floor())
                                    }
                                })
                                .product();
                            weight * value(std::array::from_fn(|n| at[n].floor() + up[n]))
                        })
                        .sum(),
                };
                out.push(u8::from(if linear { v >= 0.5 } else { v != 0.0 }));
            }
        }
    }
    out
}
