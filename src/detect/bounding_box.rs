//! A box on the bundle's grid.
//!
//! In and out: pixel edges (x0, y0, x1, y1) in float64, 0 .. grid; x along columns (patient right
//! to left), y along rows (anterior to posterior).

/// An axis-aligned box (x0, y0, x1, y1) in pixel edges of the grid.
#[derive(Debug, Clone, Copy, PartialEq, serde::Serialize, serde::Deserialize)]
#[serde(transparent)]
pub struct BoundingBox(pub [f64; 4]);

impl BoundingBox {
    /// The whole grid.
    pub fn whole(grid: usize) -> Self {
        BoundingBox([0.0, 0.0, grid as f64, grid as f64])
    }

    /// A box in mm about the grid's centre, kept inside; `pixel_mm` is the size of a pixel along x
    /// and y.
    pub fn from_mm(box_mm: [f64; 4], pixel_mm: [f64; 2], grid: usize) -> Self {
        let half = grid as f64 / 2.0;
        BoundingBox(std::array::from_fn(|edge| half + box_mm[edge] / pixel_mm[edge % 2]))
            .kept_inside(grid, 0.0)
    }

    /// Extent along x, pixels.
    pub fn width(&self) -> f64 {
        self.0[2] - self.0[0]
    }

    /// Extent along y, pixels.
    pub fn height(&self) -> f64 {
        self.0[3] - self.0[1]
    }

    /// Whether the edges are finite, not inverted, and inside the grid.
    pub fn is_valid(&self, grid: usize) -> bool {
        let [x0, y0, x1, y1] = self.0;
        let g = grid as f64;
        self.0.iter().all(|v| v.is_finite())
            && x0 >= 0.0
            && y0 >= 0.0
            && x1 <= g
            && y1 <= g
            && x1 > x0
            && y1 > y0
    }

    /// The affine transform of an action: new edges in units of the current box
    /// (docs/reference/bundle.md).
    pub fn transformed(&self, [a, b, c, d]: [f64; 4]) -> Self {
        let [x0, y0, _, _] = self.0;
        let (w, h) = (self.width(), self.height());
        BoundingBox([x0 + a * w, y0 + b * h, x0 + c * w, y0 + d * h])
    }

    /// Each side grown to `min_side` about its centre, capped at the grid, and translated back
    /// inside; never shrunk to fit.
    pub fn kept_inside(&self, grid: usize, min_side: f64) -> Self {
        let [x0, y0, x1, y1] = self.0;
        let (ax, bx) = inside(x0, x1, grid as f64, min_side);
        let (ay, by) = inside(y0, y1, grid as f64, min_side);
        BoundingBox([ax, ay, bx, by])
    }

    /// The segmenter's box (4.2.3): each side times `factor` about the centre, capped at the grid,
    /// translated inside.
    pub fn enlarged(&self, factor: f64, grid: usize) -> Self {
        let [x0, y0, x1, y1] = self.0;
        let (cx, cy) = ((x0 + x1) / 2.0, (y0 + y1) / 2.0);
        let (w, h) = (self.width() * factor / 2.0, self.height() * factor / 2.0);
        BoundingBox([cx - w, cy - h, cx + w, cy + h]).kept_inside(grid, 0.0)
    }

    /// Whether a side lies on the grid's edge.
    pub fn touches_edge(&self, grid: usize) -> bool {
        let g = grid as f64;
        self.0[0] <= 0.0 || self.0[1] <= 0.0 || self.0[2] >= g || self.0[3] >= g
    }

    /// The box as a graph receives it.
    pub fn to_f32(&self) -> [f32; 4] {
        self.0.map(|v| v as f32)
    }
}

fn inside(low: f64, high: f64, grid: f64, min_side: f64) -> (f64, f64) {
    let (mut low, mut high) = (low, high);
    if high - low < min_side {
        let centre = (low + high) / 2.0;
        low = centre - min_side / 2.0;
        high = centre + min_side / 2.0;
    }
    if high - low >= grid {
        return (0.0, grid);
    }
    if low < 0.0 {
        high -= low;
        low = 0.0;
    } else if high > grid {
        low -= high - grid;
        high = grid;
    }
    (low, high)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shift_out_of_the_image_translates_back_and_keeps_the_size() {
        let b = BoundingBox([10.0, 10.0, 110.0, 60.0])
            .transformed([-0.25, 0.0, 0.75, 1.0])
            .kept_inside(384, 16.0);
        assert_eq!(b.0, [0.0, 10.0, 100.0, 60.0]);
        let b = BoundingBox([300.0, 10.0, 380.0, 60.0])
            .transformed([0.25, 0.0, 1.25, 1.0])
            .kept_inside(384, 16.0);
        assert_eq!(b.0, [304.0, 10.0, 384.0, 60.0]);
    }

    #[test]
    fn a_short_side_grows_about_its_centre() {
        let b = BoundingBox([100.0, 100.0, 112.0, 130.0]).kept_inside(384, 16.0);
        assert_eq!(b.0, [98.0, 100.0, 114.0, 130.0]);
    }

    #[test]
    fn millimetres_count_from_the_centre() {
        let of = |box_mm| BoundingBox::from_mm(box_mm, [2.0, 0.5], 96).0;
        assert_eq!(of([-10.0, -6.0, 30.0, 4.0]), [43.0, 36.0, 63.0, 56.0]);
        // Pushed back inside, and capped.
        assert_eq!(of([-10.0, 10.0, 30.0, 30.0]), [43.0, 56.0, 63.0, 96.0]);
        assert_eq!(of([-10.0, -30.0, 30.0, 0.0]), [43.0, 0.0, 63.0, 60.0]);
        assert_eq!(of([-100.0, -6.0, 100.0, 4.0]), [0.0, 36.0, 96.0, 56.0]);
    }

    #[test]
    fn enlargement_is_capped_and_translated() {
        assert_eq!(
            BoundingBox([100.0, 100.0, 140.0, 120.0]).enlarged(1.5, 384).0,
            [90.0, 95.0, 150.0, 125.0]
        );
        assert_eq!(
            BoundingBox([0.0, 0.0, 300.0, 20.0]).enlarged(1.5, 384).0,
            [0.0, 0.0, 384.0, 30.0]
        );
    }
}
