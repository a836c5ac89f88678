//! Contours of a mask or probability of other origin, on the series that it belongs to.
//!
//! In: a region on a grid of its own, and the reference series. Out: its contours on the
//! reference's grid, with what the region's file says of a demo model.

use crate::contour::{contours_of_level, contours_of_mask};
use crate::error::Result;
use crate::formats::rtstruct::RtStructOptions;
use crate::geometry::transfer::{Sampling, transfer};
use crate::geometry::{Contours, region_mm3};
use crate::provenance::Demo;
use crate::study::masks::binary;
use crate::volume::Volume;

/// How a region of other origin is contoured.
#[derive(Debug, Clone, Copy, Default)]
#[non_exhaustive]
pub struct RegionOptions {
    /// The level of a probability; `None` for a mask of 0 and 1, contoured along voxel edges.
    pub threshold: Option<f32>,
    /// Sample a region on another grid at the reference's voxel centres: a mask's nearest voxel, a
    /// probability linearly. Otherwise such a region is refused.
    pub resample: bool,
}

impl RegionOptions {
    /// The level of a probability.
    #[must_use]
    pub fn with_threshold(mut self, threshold: Option<f32>) -> Self {
        self.threshold = threshold;
        self
    }

    /// Samples a region on another grid.
    #[must_use]
    pub fn with_resample(mut self, resample: bool) -> Self {
        self.resample = resample;
        self
    }

    fn sampling(&self) -> Sampling {
        match (self.resample, self.threshold) {
            (false, _) => Sampling::Refused,
            (true, None) => Sampling::Nearest,
            (true, Some(_)) => Sampling::Linear,
        }
    }
}

/// The contours of a region of other origin.
#[derive(Debug, Clone)]
pub struct RegionContours {
    /// On the reference's grid.
    pub contours: Contours,
    /// What the region's file says of itself.
    pub description: String,
    /// Set if a demo model made the region.
    pub demo: Option<Demo>,
    /// What people should know, such as a change of volume by sampling.
    pub warnings: Vec<String>,
}

impl RegionContours {
    /// Contours `region` on the grid of `reference`.
    ///
    /// # Errors
    /// [`crate::Error::Geometry`] if the region lies on another grid and is not to be sampled, or
    /// misses the reference; [`crate::Error::Argument`] for a mask with other values than 0 and 1.
    pub fn new(region: &Volume, reference: &Volume, options: &RegionOptions) -> Result<Self> {
        let moved = transfer(&region.view(), &reference.view(), options.sampling())?;
        let voxels = moved.voxels;
        let mut warnings = Vec::new();
        if moved.sampled {
            let is_inside = |v: &f32| *v >= options.threshold.unwrap_or(1.0);
            warnings.push(format!(
                "{}: resampled onto {} ({}): {:.2} cm3 on its own grid, {:.2} cm3 here",
                region.place(),
                reference.place(),
                if options.threshold.is_some() { "linear" } else { "nearest voxel" },
                region_mm3(region.voxels().view(), region.grid(), is_inside) / 1000.0,
                region_mm3(voxels.view(), reference.grid(), is_inside) / 1000.0,
            ));
        }
        let contours = match options.threshold {
            Some(level) => contours_of_level(voxels.view(), reference.grid(), level, None)?,
            None => {
                let mask = binary(&voxels).map_err(|e| e.within(region.place()))?;
                contours_of_mask(mask.view(), reference.grid())?
            }
        };
        Ok(RegionContours {
            contours,
            description: region.source().description().to_owned(),
            demo: region.source().demo(),
            warnings,
        })
    }

    /// How a structure set of these contours is written: nothing is claimed of a region of unknown
    /// origin, and a demo stays one, whatever it is called.
    pub fn rtstruct_options(&self, roi_name: &str) -> RtStructOptions {
        RtStructOptions::default()
            .with_roi_name(roi_name)
            .with_description(&self.description)
            .with_demo(self.demo.is_some())
            .with_from_mask(true)
    }
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use ndarray::Array3;

    use super::*;
    use crate::geometry::Grid;
    use crate::provenance::DEMO_MARK;
    use crate::volume::Source;

    fn volume(mm: f64, description: &str, value: f32) -> Volume {
        let n = (8.0 / mm) as usize;
        let origins = (0..2).map(|k| [mm / 2.0, mm / 2.0, 4.0 * k as f64]).collect();
        let grid = Grid::new([n, n, 2], [mm, 0.0, 0.0], [0.0, mm, 0.0], origins).unwrap();
        let inside = |v: usize| (2.0..6.0).contains(&(mm * (v as f64 + 0.5)));
        let voxels = Array3::from_shape_fn(grid.shape(), |(k, j, i)| match k {
            0 if inside(j) && inside(i) => value,
            _ => 0.0,
        });
        let source = Source::File {
            path: PathBuf::from("region.nii"),
            format: "NIfTI-1",
            description: description.into(),
        };
        Volume::new(voxels, grid, source, "region").unwrap()
    }

    #[test]
    fn a_region_is_sampled_only_if_asked_and_its_volume_is_reported() {
        let (region, reference) = (volume(0.5, "", 1.0), volume(1.0, "", 1.0));
        let error = RegionContours::new(&region, &reference, &RegionOptions::default());
        assert!(error.unwrap_err().to_string().contains("--resample"));
        let options = RegionOptions::default().with_resample(true);
        let found = RegionContours::new(&region, &reference, &options).unwrap();
        assert_eq!(found.contours.area_mm2(0), 16.0);
        assert!(
            found.warnings[0].ends_with("(nearest voxel): 0.06 cm3 on its own grid, 0.06 cm3 here"),
            "{:?}",
            found.warnings
        );
        let same = RegionContours::new(&reference, &reference, &RegionOptions::default()).unwrap();
        assert!(same.warnings.is_empty() && same.demo.is_none());
    }

    #[test]
    fn a_demo_stays_one_and_a_probability_requires_its_level() {
        let region = volume(1.0, &format!("{DEMO_MARK} 0123"), 0.75);
        let error = RegionContours::new(&region, &region, &RegionOptions::default()).unwrap_err();
        assert!(
            error.to_string().starts_with("region.nii: holds the value 0.75, expected a mask"),
            "{error}"
        );
        let options = RegionOptions::default().with_threshold(Some(0.5));
        let found = RegionContours::new(&region, &region, &options).unwrap();
        assert_eq!(found.contours.threshold(), Some(0.5));
        let written = found.rtstruct_options("GTVp");
        assert!(written.demo && written.from_mask && found.demo.is_some());
    }
}
