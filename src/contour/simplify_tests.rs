//! Tests of [`Contours::simplified`] on traced contours.

use ndarray::Array3;

use super::testing::{Random, assert_simple, unit_grid};
use super::{contours_of_level, contours_of_mask, keyhole};
use crate::geometry::Contours;
use crate::geometry::contours::nesting::containers;
use crate::geometry::contours::simplify::PlaneMm;
use crate::geometry::ring::signed_area;

/// Largest distance of a point on the edges of `ring` from the ring `other`, unit voxels.
fn distance(ring: &[[f64; 2]], other: &[[f64; 2]]) -> f64 {
    let plane = PlaneMm::new(&unit_grid(2, 2, 1));
    let mut farthest: f64 = 0.0;
    for (n, a) in ring.iter().enumerate() {
        let b = ring[(n + 1) % ring.len()];
        for step in 0..8 {
            let t = f64::from(step) / 8.0;
            let p = [a[0] + (b[0] - a[0]) * t, a[1] + (b[1] - a[1]) * t];
            let nearest =
                (0..other.len()).map(|m| plane.distance(p, other[m], other[(m + 1) % other.len()]));
            farthest = farthest.max(nearest.fold(f64::INFINITY, f64::min));
        }
    }
    farthest
}

fn check(exact: &Contours, tolerance: f64) -> Contours {
    let fewer = exact.simplified(tolerance).unwrap();
    assert_eq!(fewer.len(), exact.len());
    for (a, b) in exact.all().iter().zip(fewer.all()) {
        assert_eq!((a.slice, a.hole, a.parent), (b.slice, b.hole, b.parent));
        assert!(b.indices.len() <= a.indices.len());
        assert_eq!(signed_area(&b.indices) < 0.0, b.hole);
        assert!(
            distance(&a.indices, &b.indices) <= tolerance + 1e-9
                && distance(&b.indices, &a.indices) <= tolerance + 1e-9
        );
    }
    for (n, outer) in fewer.all().iter().enumerate().filter(|(_, c)| !c.hole) {
        let holes: Vec<&[[f64; 2]]> = fewer.holes_of(n).map(|c| &c.indices[..]).collect();
        let expected =
            signed_area(&outer.indices) + holes.iter().map(|h| signed_area(h)).sum::<f64>();
        assert!((signed_area(&keyhole(&outer.indices, &holes)) - expected).abs() < 1e-9);
    }
    for k in exact.slices() {
        assert_simple(fewer.slice(k), false);
        let rings = |c: &Contours| c.slice(k).iter().map(|c| c.indices.clone()).collect::<Vec<_>>();
        let (before, after) = (rings(exact), rings(&fewer));
        let views =
            |rings: &[Vec<[f64; 2]>]| containers(&rings.iter().map(|r| &r[..]).collect::<Vec<_>>());
        assert_eq!(views(&before), views(&after));
    }
    fewer
}

#[test]
fn a_disc_loses_most_points_within_the_tolerance() {
    let probability = Array3::from_shape_fn((1, 60, 60), |(_, j, i)| {
        (0.5 + (22.3 - (i as f64 - 29.7).hypot(j as f64 - 30.2)) / 60.0).clamp(0.0, 1.0) as f32
    });
    let exact = contours_of_level(probability.view(), &unit_grid(60, 60, 1), 0.5, None).unwrap();
    let fewer = check(&exact, 0.1);
    assert!(fewer.all()[0].indices.len() * 3 < exact.all()[0].indices.len());
    assert_eq!(fewer.tolerance_mm(), 0.1);
    assert_eq!(exact.simplified(0.0).unwrap().all(), exact.all());
    assert!(exact.simplified(f64::NAN).is_err() && exact.simplified(-1.0).is_err());
}

#[test]
fn crowded_rings_stay_apart_whatever_the_tolerance() {
    let mut random = Random(4);
    for _ in 0..60 {
        let (ni, nj) = (4 + (random.unit() * 12.0) as usize, 4 + (random.unit() * 12.0) as usize);
        let share = random.unit();
        let mask = Array3::from_shape_fn((1, nj, ni), |_| u8::from(random.unit() < share));
        let probability = Array3::from_shape_fn((1, nj, ni), |_| random.unit() as f32);
        for tolerance in [0.05, 0.4, 1.0, 3.0] {
            check(&contours_of_mask(mask.view(), &unit_grid(ni, nj, 1)).unwrap(), tolerance);
            check(
                &contours_of_level(probability.view(), &unit_grid(ni, nj, 1), 0.5, None).unwrap(),
                tolerance,
            );
        }
    }
}
