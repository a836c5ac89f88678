//! Fewer points within a tolerance.
//!
//! In: exact contours and a tolerance in mm. Out: contours with a subset of the points, no part of the old line farther from the new
//! line than the tolerance, still simple, each hole still inside its outer ring.

use super::{Contours, Ring};
use crate::error::{Error, Result};

impl Contours {
    /// The contours with as few points as `tolerance_mm` allows.
    ///
    /// # Errors
    /// [`Error::Argument`] where the tolerance is negative or not finite.
    pub fn simplified(&self, tolerance_mm: f64) -> Result<Contours> {
        if !(tolerance_mm >= 0.0 && tolerance_mm.is_finite()) {
            return Err(Error::Argument(format!(
                "the tolerance of simplification is {tolerance_mm} mm, but a finite number of at least 0 was expected"
            )));
        }
        let rings = (0..self.grid.size()[2])
            .map(|k| {
                let first = self.starts[k];
                let ring = |c: &super::Contour| Ring { indices: c.indices.clone(), hole: c.hole, parent: c.parent.map(|p| p - first) };
                self.slice(k).iter().map(ring).collect()
            })
            .collect();
        Ok(Contours::from_rings(self.kind, self.threshold, tolerance_mm, &self.grid, rings))
    }
}
