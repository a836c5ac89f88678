//! The edges of a mask's voxels.
//!
//! In: a mask on the reference grid. Out: rings along voxel edges (half-integer indices) with
//! collinear points merged; the area inside the rings is exactly the area of the voxels.
//!
//! Voxels that touch only in a corner are not connected there: each has its own ring, and the two
//! rings touch in that corner. A ring that would touch itself in a corner is split there into
//! simple rings.

use ndarray::{ArrayView3, Axis};
use rayon::prelude::*;

use super::patch::{Patch, TracedRing};
use super::{ContourKind, Contours, Ring, check_shape};
use crate::error::Result;
use crate::geometry::grid::Grid;

/// Contours along the voxel edges of `mask` ([k, j, i], storage order of `grid`; any non-zero value
/// is inside).
///
/// # Errors
/// [`Error::Argument`](crate::Error::Argument) if the mask's shape is not the grid's.
pub fn contours_of_mask(mask: ArrayView3<u8>, grid: &Grid) -> Result<Contours> {
    check_shape("mask", mask.dim(), grid)?;
    let [ni, nj, nk] = grid.size();
    let rings = (0..nk)
        .into_par_iter()
        .map(|k| {
            let slice = mask.index_axis(Axis(0), k);
            let patch = match slice.as_slice() {
                Some(voxels) => Patch::new(ni, nj, |i, j| voxels[j * ni + i] != 0),
                None => Patch::new(ni, nj, |i, j| slice[[j, i]] != 0),
            };
            let Some(patch) = patch else { return Vec::new() };
            patch.trace(None).into_iter().map(|traced| ring(&patch, traced)).collect()
        })
        .collect();
    Ok(Contours::from_rings(ContourKind::Voxel, None, 0.0, grid, rings))
}

/// The corners at which the traced ring turns.
fn ring(patch: &Patch, traced: TracedRing) -> Ring {
    let mut indices = Vec::new();
    let mut before = traced.steps.last().map(|s| s.direction);
    for step in &traced.steps {
        if before != Some(step.direction) {
            indices.push(patch.index(step.x as f64 - 0.5, step.y as f64 - 0.5));
        }
        before = Some(step.direction);
    }
    Ring { indices, hole: traced.hole, parent: traced.parent }
}

#[cfg(test)]
mod tests {
    use ndarray::{Array2, Array3, Axis, s};

    use super::*;
    use crate::contour::testing::{Random, assert_simple, rasterise, unit_grid};
    use crate::geometry::keyhole::keyhole;
    use crate::geometry::ring::signed_area;

    /// Rows of the text are j = 0, 1, ...; `#` is inside.
    fn draw(rows: &[&str]) -> Array3<u8> {
        Array3::from_shape_fn((1, rows.len(), rows[0].len()), |(_, j, i)| {
            (rows[j].as_bytes()[i] == b'#') as u8
        })
    }

    fn contours(mask: &Array3<u8>) -> Contours {
        let (nk, nj, ni) = mask.dim();
        let contours = contours_of_mask(mask.view(), &unit_grid(ni, nj, nk)).unwrap();
        check(mask, &contours);
        contours
    }

    /// Checks every guarantee of the module.
    fn check(mask: &Array3<u8>, contours: &Contours) {
        let (nk, nj, ni) = mask.dim();
        for k in 0..nk {
            let slice = mask.index_axis(Axis(0), k).to_owned();
            let rings = contours.slice(k);
            assert_eq!(rasterise(rings.iter().map(|c| &c.indices[..]), ni, nj), slice);
            assert_eq!(contours.area_mm2(k), slice.iter().map(|v| *v as f64).sum::<f64>());
            assert_simple(rings, false);
            let mut joined = Vec::new();
            for (n, ring) in contours.all().iter().enumerate().filter(|(_, c)| c.slice == k) {
                let area = signed_area(&ring.indices);
                assert_eq!(area < 0.0, ring.hole);
                assert_eq!(ring.hole, ring.parent.is_some());
                if ring.hole {
                    assert!(!contours.all()[ring.parent.unwrap()].hole);
                    continue;
                }
                let holes: Vec<&[[f64; 2]]> =
                    contours.holes_of(n).map(|c| &c.indices[..]).collect();
                let one = keyhole(&ring.indices, &holes);
                let expected = area + holes.iter().map(|h| signed_area(h)).sum::<f64>();
                assert!(
                    (signed_area(&one) - expected).abs() < 1e-9,
                    "{} {expected}",
                    signed_area(&one)
                );
                joined.push(one);
            }
            assert_eq!(rasterise(joined.iter().map(|r| &r[..]), ni, nj), slice);
        }
    }

    #[test]
    fn one_voxel_is_its_four_corners() {
        let c = contours(&draw(&["...", ".#.", "..."]));
        assert_eq!(c.len(), 1);
        let mut corners = c.all()[0].indices.clone();
        corners.sort_by(|a, b| a.partial_cmp(b).unwrap());
        assert_eq!(corners, [[0.5, 0.5], [0.5, 1.5], [1.5, 0.5], [1.5, 1.5]]);
        assert!(!c.all()[0].hole);
    }

    #[test]
    fn collinear_points_are_merged_and_the_border_closes() {
        let c = contours(&Array3::ones((1, 5, 7)));
        assert_eq!(c.all()[0].indices.len(), 4);
        assert_eq!(c.all()[0].area_mm2, 35.0);
    }

    #[test]
    fn a_diagonal_touch_gives_two_rings() {
        assert_eq!(contours(&draw(&["#.", ".#"])).len(), 2);
        assert_eq!(contours(&draw(&[".#", "#."])).len(), 2);
    }

    #[test]
    fn a_ring_closed_by_a_corner_is_an_outer_ring_and_a_hole() {
        let c = contours(&draw(&["##.", "#.#", "###"]));
        assert_eq!(c.all().iter().map(|c| c.hole).collect::<Vec<_>>(), [false, true]);
    }

    #[test]
    fn a_hole_of_two_diagonal_voxels_is_two_holes() {
        let c = contours(&draw(&["####", "#.##", "##.#", "####"]));
        assert_eq!(c.all().iter().map(|c| c.hole).collect::<Vec<_>>(), [false, true, true]);
    }

    #[test]
    fn an_island_in_a_hole_is_an_outer_ring() {
        let c = contours(&draw(&[
            "#####", "#...#", "#.#.#", "#...#", "#####", ".....", "###..", "#.#..", "###..",
        ]));
        let kinds: Vec<_> = c.all().iter().map(|c| (c.hole, c.parent)).collect();
        assert_eq!(kinds.iter().filter(|k| k.0).count(), 2);
        assert_eq!(kinds.iter().filter(|k| !k.0).count(), 3);
        for contour in c.all().iter().filter(|c| c.hole) {
            assert!(c.all()[contour.parent.unwrap()].area_mm2 > contour.area_mm2);
        }
    }

    #[test]
    fn several_holes_one_behind_the_other() {
        contours(&draw(&[
            "##########",
            "#.#.#.##.#",
            "#.#.#..#.#",
            "#.###.##.#",
            "#...#.##.#",
            "##########",
        ]));
        contours(&draw(&[
            "#########",
            "#.......#",
            "#.#####.#",
            "#.#.#.#.#",
            "#.#####.#",
            "#...#...#",
            "#########",
        ]));
    }

    #[test]
    fn empty_slices_have_no_contour() {
        let mut mask = Array3::zeros((3, 4, 4));
        mask[[1, 2, 2]] = 1;
        let c = contours(&mask);
        assert_eq!(c.slices().collect::<Vec<_>>(), [1]);
        assert!(c.slice(0).is_empty() && c.slice(7).is_empty());
        assert!(contours(&Array3::zeros((2, 3, 3))).is_empty());
    }

    #[test]
    fn random_masks_are_reproduced_exactly() {
        let mut random = Random(11);
        for _ in 0..300 {
            let (ni, nj) =
                (1 + (random.unit() * 14.0) as usize, 1 + (random.unit() * 14.0) as usize);
            let share = random.unit();
            let mask = Array3::from_shape_fn((2, nj, ni), |_| (random.unit() < share) as u8);
            contours(&mask);
        }
    }

    #[test]
    fn any_memory_layout_is_accepted() {
        let mut random = Random(5);
        let mask = Array3::from_shape_fn((4, 9, 7), |_| (random.unit() < 0.5) as u8);
        let turned = mask.view().permuted_axes([2, 0, 1]);
        let c = contours_of_mask(turned, &unit_grid(9, 4, 7)).unwrap();
        check(&turned.to_owned(), &c);
        let flipped = mask.slice(s![.., ..;-1, ..;-1]);
        check(&flipped.to_owned(), &contours_of_mask(flipped, &unit_grid(7, 9, 4)).unwrap());
    }

    #[test]
    fn a_mask_of_another_shape_is_refused() {
        let error =
            contours_of_mask(Array3::zeros((1, 2, 3)).view(), &unit_grid(2, 3, 1)).unwrap_err();
        assert!(error.to_string().contains("the mask has the shape (1, 2, 3)"), "{error}");
    }

    #[test]
    fn noise_over_a_whole_slice_is_traced_in_time() {
        let mut random = Random(3);
        let mask = Array3::from_shape_fn((1, 768, 768), |_| (random.unit() < 0.6) as u8);
        let start = std::time::Instant::now();
        let c = contours_of_mask(mask.view(), &unit_grid(768, 768, 1)).unwrap();
        let outer = (0..c.len())
            .filter(|n| !c.all()[*n].hole)
            .max_by_key(|n| c.holes_of(*n).count())
            .unwrap();
        let holes: Vec<&[[f64; 2]]> = c.holes_of(outer).map(|h| &h.indices[..]).collect();
        assert!(holes.len() > 1000);
        keyhole(&c.all()[outer].indices, &holes);
        assert!(start.elapsed().as_secs_f64() < 20.0);
        let image: Array2<u8> = rasterise(c.all().iter().map(|c| &c.indices[..]), 768, 768);
        assert_eq!(image, mask.index_axis(Axis(0), 0));
    }
}
