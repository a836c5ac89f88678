//! Contours of real tumour masks at clinical size, if the real images
//! (docs/reference/test-data.md) exist.

mod common;

use std::path::Path;
use std::time::Instant;

use common::shared;
use nasoseg::contour::{Contour, Contours, contours_of_level, contours_of_mask, keyhole};
use nasoseg::geometry::Grid;
use ndarray::{Array2, Array3, Axis};
use nifti::{NiftiObject, NiftiVolume, ReaderOptions};

/// The mask [k, j, i] on a grid with the file's voxel sizes; its position does not matter here.
fn read_mask(path: &Path) -> (Array3<u8>, Grid) {
    let object = ReaderOptions::new().read_file(path).unwrap();
    let mm = object.header().pixdim.map(f64::from);
    let volume = object.into_volume();
    let [ni, nj, nk] = [0, 1, 2].map(|n| usize::from(volume.dim()[n]));
    // Labels of one or two bytes (little endian): the low byte is enough.
    let bytes = volume.into_raw_data();
    let width = bytes.len() / (ni * nj * nk);
    let voxels =
        Array3::from_shape_vec((nk, nj, ni), bytes.chunks_exact(width).map(|v| v[0]).collect())
            .unwrap();
    let affine = [
        [mm[1], 0.0, 0.0, -80.0],
        [0.0, mm[2], 0.0, -90.0],
        [0.0, 0.0, mm[3], -40.0],
        [0.0, 0.0, 0.0, 1.0],
    ];
    (voxels, Grid::from_affine([ni, nj, nk], &affine).unwrap())
}

/// Even-odd rule at voxel centres.
fn rasterise<'a>(rings: impl Iterator<Item = &'a [[f64; 2]]>, ni: usize, nj: usize) -> Array2<u8> {
    let mut image = Array2::zeros((nj, ni));
    for ring in rings {
        for (n, p) in ring.iter().enumerate() {
            let q = ring[(n + 1) % ring.len()];
            let from = p[1].min(q[1]).ceil().max(0.0) as usize;
            for j in (from..nj).take_while(|j| *j as f64 <= p[1].max(q[1])) {
                let y = j as f64;
                if (p[1] <= y) != (q[1] <= y) {
                    let i = p[0] + (q[0] - p[0]) * ((y - p[1]) / (q[1] - p[1]));
                    for column in (i.ceil().max(0.0) as usize)..ni {
                        image[[j, column]] ^= 1;
                    }
                }
            }
        }
    }
    image
}

fn assert_same(mask: &Array3<u8>, contours: &Contours) {
    let (nk, nj, ni) = mask.dim();
    for k in 0..nk {
        let slice = mask.index_axis(Axis(0), k);
        let rings = contours.slice(k);
        if rings.is_empty() {
            assert!(slice.iter().all(|v| *v == 0), "slice {k} has voxels and no ring");
            continue;
        }
        assert_eq!(rasterise(rings.iter().map(|c| &c.indices[..]), ni, nj), slice, "slice {k}");
        let joined: Vec<_> = contours
            .all()
            .iter()
            .enumerate()
            .filter(|(_, c)| c.slice == k && !c.hole)
            .map(|(n, c)| joined(contours, n, c))
            .collect();
        assert_eq!(
            rasterise(joined.iter().map(|r| &r[..]), ni, nj),
            slice,
            "slice {k}, holes joined"
        );
    }
}

fn joined(contours: &Contours, n: usize, outer: &Contour) -> Vec<[f64; 2]> {
    let holes: Vec<&[[f64; 2]]> = contours.holes_of(n).map(|c| &c.indices[..]).collect();
    keyhole(&outer.indices, &holes)
}

/// A probability whose level at 0.5 encloses the same voxels: the mask, smoothed without crossing
/// 0.5.
fn smoothed(mask: &Array3<u8>) -> Array3<f32> {
    let (_, nj, ni) = mask.dim();
    Array3::from_shape_fn(mask.dim(), |(k, j, i)| {
        if i == 0 || j == 0 || i + 1 == ni || j + 1 == nj {
            return f32::from(mask[[k, j, i]]);
        }
        let at = |a: usize, b: usize| f32::from(mask[[k, a, b]]);
        let mean =
            (at(j - 1, i) + at(j + 1, i) + at(j, i - 1) + at(j, i + 1) + 2.0 * at(j, i)) / 6.0;
        if mask[[k, j, i]] != 0 { mean.max(0.5) } else { mean.min(0.49) }
    })
}

#[test]
fn tumour_masks_are_reproduced_exactly_and_in_time() {
    let Some(folder) = shared("tumour_masks") else { return };
    for file in std::fs::read_dir(folder).unwrap() {
        let path = file.unwrap().path();
        let (labels, grid) = read_mask(&path);
        for label in [1, 2] {
            let mask = labels.map(|v| u8::from(*v == label));
            let start = Instant::now();
            let voxel = contours_of_mask(mask.view(), &grid).unwrap();
            let took = start.elapsed().as_secs_f64();
            let probability = smoothed(&mask);
            let start = Instant::now();
            let level = contours_of_level(probability.view(), &grid, 0.5, None).unwrap();
            let level_took = start.elapsed().as_secs_f64();
            println!(
                "{} label {label}: {:?}, {} rings, voxel {took:.3} s, level {level_took:.3} s",
                path.file_name().unwrap().display(),
                grid.size(),
                voxel.len()
            );
            assert!(took < 2.0 && level_took < 2.0);
            assert_same(&mask, &voxel);
            assert_same(&mask, &level);
            // Every voxel has the same area, so the area of the rings counts voxels.
            let [a, b] = grid.pixel_mm();
            let area: f64 = (0..grid.size()[2]).map(|k| voxel.area_mm2(k)).sum();
            let voxels: f64 = mask.iter().map(|v| f64::from(*v)).sum();
            assert!((area - voxels * a * b).abs() < 1e-6 * area.max(1.0));
        }
    }
}
