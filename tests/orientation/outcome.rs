//! The result of a run, and the differences of two results in the patient.

use nasoseg::geometry::{Grid, Point};

/// A result, by patient coordinates (LPS mm).
pub struct Outcome {
    pub grid: Grid,
    /// i fastest, then j, then k.
    pub mask: Vec<u8>,
    pub probability: Vec<f32>,
    pub threshold: f32,
    pub volume_mm3: f64,
    pub rings: Vec<Vec<Point>>,
    /// Storage slice of every ring.
    pub ring_slices: Vec<usize>,
    /// Corners of the box of every slice, in canonical order.
    pub boxes: Vec<[f64; 12]>,
    pub storage_slices: Vec<usize>,
    pub positions_mm: Vec<f64>,
    pub warnings: Vec<String>,
}

/// Probabilities nearer to the threshold may fall on either side, as float32 affines are rounded.
const UNDECIDED: f32 = 1e-4;

impl Outcome {
    pub fn must_be_worth_comparing(&self) {
        let set = self.mask.iter().filter(|m| **m != 0).count();
        assert!(set > 100 && self.rings.len() > 2, "{set} voxels, {} rings", self.rings.len());
    }

    /// Checks that the other result is this one in another storage order. Returns the largest
    /// differences of probabilities and of contours (mm).
    pub fn must_be(&self, other: &Outcome, name: &str) -> (f64, f64) {
        assert_eq!(self.mask.len(), other.mask.len(), "{name}");
        let locator = self.grid.locator();
        let [ni, nj, nk] = self.grid.size();
        let [mi, mj, mk] = other.grid.size();
        let (mut probability, mut different) = (0.0f64, 0);
        let mut seen = vec![false; self.mask.len()];
        for k in 0..mk {
            for j in 0..mj {
                for i in 0..mi {
                    let index = locator.index(other.grid.point(i as f64, j as f64, k));
                    let near = index.map(f64::round);
                    assert!(
                        index.iter().zip(near).all(|(a, b)| (a - b).abs() < 2e-3),
                        "{name}: voxel {i} {j} {k} lies at {index:?}"
                    );
                    let at = near.map(|v| v as usize);
                    assert!(at[0] < ni && at[1] < nj && at[2] < nk, "{name}");
                    let (here, there) = ((at[2] * nj + at[1]) * ni + at[0], (k * mj + j) * mi + i);
                    seen[here] = true;
                    probability = probability
                        .max(f64::from((self.probability[here] - other.probability[there]).abs()));
                    let decided = (self.probability[here] - self.threshold).abs() >= UNDECIDED;
                    different += usize::from(decided && self.mask[here] != other.mask[there]);
                }
            }
        }
        assert!(seen.iter().all(|s| *s), "{name}: a voxel is missing");
        assert_eq!(different, 0, "{name}: voxels differ; probabilities by up to {probability:.1e}");
        assert!(probability < 1e-3, "{name}: probabilities differ by {probability:.1e}");
        assert_eq!(self.boxes.len(), other.boxes.len(), "{name}");
        for (a, b) in self.boxes.iter().flatten().zip(other.boxes.iter().flatten()) {
            assert!((a - b).abs() < 1e-2, "{name}: a box lies elsewhere: {a} {b}");
        }
        assert_eq!(self.rings.len(), other.rings.len(), "{name}");
        let contour = apart(&self.rings, &other.rings).max(apart(&other.rings, &self.rings));
        assert!(contour < 0.01, "{name}: contours lie {contour} mm apart");
        (probability, contour)
    }
}

/// Largest distance (mm) from a point of `from` to the nearest line of `to`.
pub fn apart(from: &[Vec<Point>], to: &[Vec<Point>]) -> f64 {
    let sub = |a: Point, b: Point| [a[0] - b[0], a[1] - b[1], a[2] - b[2]];
    let dot = |a: Point, b: Point| a[0] * b[0] + a[1] * b[1] + a[2] * b[2];
    let lines: Vec<(Point, Point)> =
        to.iter().flat_map(|r| (0..r.len()).map(|n| (r[n], r[(n + 1) % r.len()]))).collect();
    let distance = |p: &Point| {
        let to_line = |(a, b): &(Point, Point)| {
            let (along, away) = (sub(*b, *a), sub(*p, *a));
            let t = (dot(along, away) / dot(along, along).max(1e-30)).clamp(0.0, 1.0);
            let d = sub(away, along.map(|v| v * t));
            dot(d, d)
        };
        lines.iter().map(to_line).fold(f64::INFINITY, f64::min).sqrt()
    };
    from.iter().flatten().map(distance).fold(0.0, f64::max)
}
