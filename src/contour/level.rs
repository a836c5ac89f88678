//! Contours at the level of a probability.
//!
//! In: a probability on the reference grid and the threshold of the mask. Out: rings with one point
//! between every inside voxel centre and its outside neighbour, at which the linearly interpolated
//! probability equals the threshold (marching squares).
//!
//! - Inside means probability >= threshold: the mask's own rule. Beyond the image's border the
//!   probability is 0, so rings close there.
//! - A point keeps at least [`CLEARANCE_MM`] from both centres. So a centre exactly at the
//!   threshold still lies inside, and coordinates rounded to 0.001 mm leave every centre on its own
//!   side.
//! - If two inside voxels meet only in a corner (a saddle), the region is connected there if the
//!   mean of the four probabilities reaches the threshold. Two neighbouring centres have at most
//!   one point between them, so no ring touches itself or another.

use ndarray::{ArrayView2, ArrayView3, Axis};
use rayon::prelude::*;

use super::patch::{Patch, Step, TracedRing};
use super::{ContourKind, Contours, Ring, check_shape};
use crate::error::{Error, Result};
use crate::geometry::grid::Grid;

/// Smallest distance (mm) of a contour's point from a voxel's centre along an axis; a quarter of
/// the voxel if that is less.
pub const CLEARANCE_MM: f64 = 0.003;

/// Contours at the `threshold` of `probability` ([k, j, i], storage order of `grid`).
///
/// `mask`, if given, replaces the rule probability >= threshold (for a mask that was cleaned or
/// edited after thresholding): the rings then follow the mask, at the probability's level if it
/// passes the threshold between two voxels, and half-way between them otherwise.
///
/// # Errors
/// [`Error::Argument`] if a shape is not the grid's, the threshold is not above 0 and at most 1, or
/// a probability is not finite.
pub fn contours_of_level(
    probability: ArrayView3<f32>,
    grid: &Grid,
    threshold: f32,
    mask: Option<ArrayView3<u8>>,
) -> Result<Contours> {
    check_shape("probability", probability.dim(), grid)?;
    if let Some(mask) = &mask {
        check_shape("mask", mask.dim(), grid)?;
    }
    if !(threshold > 0.0 && threshold <= 1.0) {
        return Err(Error::Argument(format!(
            "found the contour threshold {threshold}, expected one above 0 and at most 1. Use the \
             bundle's own threshold"
        )));
    }
    let pixel_mm = grid.pixel_mm();
    let clearance = pixel_mm.map(|mm| (CLEARANCE_MM / mm).min(0.25));
    let rings = (0..grid.size()[2])
        .into_par_iter()
        .map(|k| {
            let slice = probability.index_axis(Axis(0), k);
            if !slice.iter().all(|v| v.is_finite())
                && let Some(((j, i), value)) = slice.indexed_iter().find(|(_, v)| !v.is_finite())
            {
                return Err(Error::Argument(format!(
                    "the probability of voxel (i {i}, j {j}, k {k}) is {value}, expected a finite \
                     number. Give a probability without NaN and infinity"
                )));
            }
            let mask = mask.as_ref().map(|m| m.index_axis(Axis(0), k));
            Ok(rings_of_slice(slice, threshold, mask, clearance))
        })
        .collect::<Result<Vec<_>>>()?;
    Ok(Contours::from_rings(ContourKind::Level, Some(threshold), 0.0, grid, rings))
}

fn rings_of_slice(
    probability: ArrayView2<f32>,
    threshold: f32,
    mask: Option<ArrayView2<u8>>,
    clearance: [f64; 2],
) -> Vec<Ring> {
    let (nj, ni) = probability.dim();
    let patch = match (&mask, probability.as_slice()) {
        (Some(mask), _) => Patch::new(ni, nj, |i, j| mask[[j, i]] != 0),
        (None, Some(voxels)) => Patch::new(ni, nj, |i, j| voxels[j * ni + i] >= threshold),
        (None, None) => Patch::new(ni, nj, |i, j| probability[[j, i]] >= threshold),
    };
    let Some(patch) = patch else { return Vec::new() };
    let level = f64::from(threshold);
    let value = |x: usize, y: usize| -> f64 {
        let (i, j) = ((patch.left + x).wrapping_sub(1), (patch.bottom + y).wrapping_sub(1));
        probability.get([j, i]).map_or(0.0, |p| f64::from(*p))
    };
    // Diagonals are summed first: the same sum in every flip and transposition of the image.
    let joined = |x: usize, y: usize| {
        let diagonals = (value(x, y) + value(x - 1, y - 1)) + (value(x - 1, y) + value(x, y - 1));
        diagonals / 4.0 >= level
    };
    let point = |step: &Step| {
        let (inside, outside) = step.sides();
        let (p, q) = (value(inside.0, inside.1), value(outside.0, outside.1));
        let along = if inside.1 == outside.1 { clearance[0] } else { clearance[1] };
        let t = if p >= level && q < level { (p - level) / (p - q) } else { 0.5 };
        let t = t.clamp(along, 1.0 - along);
        let mix = |a: usize, b: usize| a as f64 + (b as f64 - a as f64) * t;
        patch.index(mix(inside.0, outside.0), mix(inside.1, outside.1))
    };
    let ring = |traced: TracedRing| Ring {
        indices: traced.steps.iter().map(point).collect(),
        hole: traced.hole,
        parent: traced.parent,
    };
    patch.trace(Some(&joined)).into_iter().map(ring).collect()
}

#[cfg(test)]
mod tests {
    use ndarray::{Array2, Array3};

    use super::*;
    use crate::contour::testing::{Random, assert_simple, rasterise, unit_grid};
    use crate::geometry::keyhole::keyhole;
    use crate::geometry::ring::signed_area;

    fn contours(probability: &Array3<f32>, threshold: f32) -> Contours {
        let (_, nj, ni) = probability.dim();
        let contours =
            contours_of_level(probability.view(), &unit_grid(ni, nj, 1), threshold, None).unwrap();
        let mask: Array2<u8> = probability.index_axis(Axis(0), 0).map(|p| (*p >= threshold) as u8);
        check(&mask, &contours);
        contours
    }

    fn check(mask: &Array2<u8>, contours: &Contours) {
        let (nj, ni) = mask.dim();
        assert_eq!(rasterise(contours.all().iter().map(|c| &c.indices[..]), ni, nj), mask);
        assert_simple(contours.all(), true);
        let mut joined = Vec::new();
        for (n, ring) in contours.all().iter().enumerate() {
            assert_eq!(signed_area(&ring.indices) < 0.0, ring.hole);
            assert_eq!(ring.hole, ring.parent.is_some());
            if !ring.hole {
                let holes: Vec<&[[f64; 2]]> =
                    contours.holes_of(n).map(|c| &c.indices[..]).collect();
                let one = keyhole(&ring.indices, &holes);
                let expected =
                    signed_area(&ring.indices) + holes.iter().map(|h| signed_area(h)).sum::<f64>();
                assert!((signed_area(&one) - expected).abs() < 1e-9);
                joined.push(one);
            }
        }
        assert_eq!(rasterise(joined.iter().map(|r| &r[..]), ni, nj), mask);
    }

    #[test]
    fn a_disc_has_the_radius_of_its_level() {
        let centre = [20.3, 18.6];
        let probability = Array3::from_shape_fn((1, 40, 40), |(_, j, i)| {
            let r = (i as f64 - centre[0]).hypot(j as f64 - centre[1]);
            (0.5 + (9.25 - r) / 40.0).clamp(0.0, 1.0) as f32
        });
        let c = contours(&probability, 0.5);
        assert_eq!(c.len(), 1);
        for [i, j] in &c.all()[0].indices {
            assert!(((i - centre[0]).hypot(j - centre[1]) - 9.25).abs() < 0.02);
        }
        assert!((c.area_mm2(0) - std::f64::consts::PI * 9.25 * 9.25).abs() < 1.0);
    }

    #[test]
    fn a_centre_at_the_threshold_is_inside_and_clear_of_the_contour() {
        let mut probability = Array3::zeros((1, 3, 3));
        probability[[0, 1, 1]] = 0.5;
        let c = contours(&probability, 0.5);
        let nearest = c.all()[0]
            .indices
            .iter()
            .map(|p| (p[0] - 1.0).hypot(p[1] - 1.0))
            .fold(f64::INFINITY, f64::min);
        assert!((nearest - CLEARANCE_MM).abs() < 1e-12);
    }

    #[test]
    fn the_whole_image_closes_outside_its_border() {
        let c = contours(&Array3::ones((1, 3, 4)), 0.5);
        assert_eq!(c.len(), 1);
        assert!(
            c.all()[0].indices.iter().any(|p| p[0] == -0.5)
                && c.all()[0].indices.iter().any(|p| p[0] == 3.5)
        );
    }

    #[test]
    fn saddles_are_connected_by_their_mean() {
        let saddle =
            |other: f32| Array3::from_shape_vec((1, 2, 2), vec![0.9, other, other, 0.9]).unwrap();
        assert_eq!(contours(&saddle(0.3), 0.5).len(), 1);
        assert_eq!(contours(&saddle(0.05), 0.5).len(), 2);
    }

    #[test]
    fn random_probabilities_are_reproduced_exactly() {
        let mut random = Random(77);
        for _ in 0..300 {
            let (ni, nj) =
                (1 + (random.unit() * 13.0) as usize, 1 + (random.unit() * 13.0) as usize);
            let levels = 1.0 + (random.unit() * 20.0).floor();
            // Few levels give many centres exactly at the threshold.
            let probability = Array3::from_shape_fn((1, nj, ni), |_| {
                ((random.unit() * levels).round() / levels) as f32
            });
            contours(&probability, (1.0 / levels) as f32);
        }
    }

    #[test]
    fn smooth_fields_with_holes_and_islands_are_reproduced() {
        let mut random = Random(8);
        for _ in 0..20 {
            let waves: Vec<[f64; 4]> = (0..6)
                .map(|_| {
                    [random.unit() - 0.5, random.unit() - 0.5, 6.3 * random.unit(), random.unit()]
                })
                .collect();
            let probability = Array3::from_shape_fn((1, 48, 56), |(_, j, i)| {
                let wave = |w: &[f64; 4]| {
                    w[3] * (w[0] * 1.5 * i as f64 + w[1] * 1.5 * j as f64 + w[2]).sin()
                };
                (1.0 / (1.0 + (-2.0 * waves.iter().map(wave).sum::<f64>()).exp())) as f32
            });
            contours(&probability, 0.45);
        }
    }

    #[test]
    fn an_edited_mask_overrides_the_threshold() {
        let mut random = Random(21);
        for _ in 0..50 {
            let probability = Array3::from_shape_fn((1, 9, 8), |_| random.unit() as f32);
            let mask = Array3::from_shape_fn((1, 9, 8), |_| (random.unit() < 0.5) as u8);
            let c =
                contours_of_level(probability.view(), &unit_grid(8, 9, 1), 0.5, Some(mask.view()))
                    .unwrap();
            check(&mask.index_axis(Axis(0), 0).to_owned(), &c);
        }
    }

    #[test]
    fn invalid_thresholds_and_probabilities_are_refused() {
        let grid = unit_grid(2, 2, 1);
        let mut probability = Array3::zeros((1, 2, 2));
        for threshold in [0.0, -1.0, 1.5, f32::NAN] {
            let error = contours_of_level(probability.view(), &grid, threshold, None).unwrap_err();
            assert!(error.to_string().contains("expected one above 0 and at most 1"), "{error}");
        }
        probability[[0, 1, 0]] = f32::NAN;
        let error = contours_of_level(probability.view(), &grid, 0.5, None).unwrap_err();
        assert!(error.to_string().contains("voxel (i 0, j 1, k 0) is NaN"), "{error}");
    }
}
