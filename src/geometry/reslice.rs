//! Resampling of T1C to axial slices if its own planes are not axial.
//!
//! In: T1C on any grid, and the distance of the axial slices. Out: a [`Resliced`]: an axial grid
//! around T1C, along the patient's own axes, and T1C sampled there (trilinear). The model works on
//! these slices; `segment` resamples its probability onto T1C's own voxels, so that every result
//! lies on T1C's grid.

use ndarray::Array3;
use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};
use crate::geometry::grid::{Grid, MAX_VOXELS, Point};
use crate::geometry::orientation::Orientation;
use crate::geometry::resample::{Resampled, resample};
use crate::geometry::view::VoxelView;

/// Default distance between axial slices, mm: the fine end of axial head and neck MR. A smaller
/// distance costs model runs in proportion.
pub const STEP_MM: f64 = 3.0;

/// Distances that a caller may choose, mm.
pub const STEPS_MM: std::ops::RangeInclusive<f64> = 0.5..=10.0;

/// Smallest pixel, mm: the networks see no finer detail.
const FINEST_PIXEL_MM: f64 = 0.5;

/// Slices that are axial to within this angle (degrees) are not resliced.
pub const AXIAL_WITHIN_DEG: f64 = 1.0;

/// A study warns if T1C's axes and the patient's differ by more than this angle (degrees): axial
/// series are seldom tilted more.
pub const TILT_WARNED_DEG: f64 = 15.0;

/// Whether T1C is resampled to axial slices for the model.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub enum Reslice {
    /// The model sees T1C's own slices, and nothing is interpolated.
    #[default]
    Never,
    /// Axial slices `step_mm` apart, unless T1C's own slices are axial to within
    /// [`AXIAL_WITHIN_DEG`].
    Axial {
        /// Distance between slices, mm.
        step_mm: f64,
    },
}

impl Reslice {
    /// Axial slices, `step_mm` apart; [`STEP_MM`] for `None`.
    ///
    /// # Errors
    /// [`Error::Argument`] for a step outside [`STEPS_MM`].
    pub fn axial(step_mm: Option<f64>) -> Result<Self> {
        let step_mm = step_mm.unwrap_or(STEP_MM);
        if !STEPS_MM.contains(&step_mm) {
            return Err(Error::Argument(format!(
                "axial slices {step_mm} mm apart, expected a distance from {} to {} mm. Choose \
                 another",
                STEPS_MM.start(),
                STEPS_MM.end()
            )));
        }
        Ok(Reslice::Axial { step_mm })
    }
}

/// `axial` or `axial:MM`.
impl std::str::FromStr for Reslice {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let step = match text.split_once(':') {
            None if text == "axial" => Some(None),
            Some(("axial", mm)) => mm.trim().parse().ok().map(Some),
            _ => None,
        };
        let step = step.ok_or_else(|| {
            Error::Argument(format!(
                "found {text:?}, expected axial or axial:MM. Write, for example, axial:2.5"
            ))
        })?;
        Reslice::axial(step)
    }
}

/// How T1C was resliced, as outputs record it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ResliceSummary {
    /// The plane that T1C's own slices are nearest to: axial, coronal or sagittal.
    pub from: String,
    /// Largest angle between an axis of T1C and the patient axis nearest to it, degrees.
    pub turned_deg: f64,
    /// Columns, rows and slices of the axial grid, whose axes are the patient's.
    pub size: [usize; 3],
    /// Distance between columns, rows and slices, mm.
    pub step_mm: [f64; 3],
    /// Centre of the first voxel, LPS mm.
    pub origin_mm: Point,
}

impl ResliceSummary {
    /// A warning for the user.
    pub fn warning(&self) -> String {
        format!(
            "T1C's slices are {} (turned by {:.0} degrees): the model saw T1C resampled to {} \
             axial \
             slices {} mm apart, and its result was resampled onto the original slices",
            self.from, self.turned_deg, self.size[2], self.step_mm[2]
        )
    }
}

/// T1C on axial slices.
#[derive(Debug)]
pub struct Resliced {
    /// The axial grid.
    pub grid: Grid,
    /// [k, j, i] on `grid`; 0 beyond T1C.
    pub voxels: Array3<f32>,
    /// Whether T1C covers the voxel.
    pub covered: Array3<bool>,
    /// How T1C was resliced.
    pub summary: ResliceSummary,
}

impl Resliced {
    /// Axial slices through `reference`, if requested and necessary.
    ///
    /// # Errors
    /// [`Error::Geometry`] if the axial grid would be too large.
    pub fn of(reference: &VoxelView<'_>, reslice: Reslice) -> Result<Option<Self>> {
        let Reslice::Axial { step_mm } = reslice else { return Ok(None) };
        let storage = reference.grid;
        let orientation = Orientation::of(storage);
        if orientation
            .as_ref()
            .is_ok_and(|o| o.slices_are_axial() && o.tilt_deg(storage) <= AXIAL_WITHIN_DEG)
        {
            return Ok(None);
        }
        let (grid, step_mm, origin_mm) = axial_grid(storage, step_mm)?;
        let turned_deg = Orientation::nearest(storage).tilt_deg(storage);
        let summary = ResliceSummary {
            from: plane(storage).into(),
            turned_deg,
            size: grid.size(),
            step_mm,
            origin_mm,
        };
        let Resampled { voxels, covered } = resample(reference, &grid);
        Ok(Some(Resliced { grid, voxels, covered, summary }))
    }
}

/// The name of the plane that a grid's slices are nearest to.
pub fn plane(grid: &Grid) -> &'static str {
    plane_across(grid.normal())
}

/// The name of the plane that slices across `normal` (of any length) are nearest to.
pub(crate) fn plane_across(normal: Point) -> &'static str {
    let n = normal.map(f64::abs);
    match (n[0] > n[1] && n[0] > n[2], n[1] > n[2]) {
        (true, _) => "sagittal",
        (false, true) => "coronal",
        _ => "axial",
    }
}

/// The smallest grid along the patient's axes that holds every voxel centre of `storage`, centred
/// on it, with square pixels as small as the smallest step of `storage`. Also returns its steps and
/// the centre of its first voxel.
fn axial_grid(storage: &Grid, step_mm: f64) -> Result<(Grid, [f64; 3], Point)> {
    let [ni, nj, nk] = storage.size();
    let (mut low, mut high) = ([f64::INFINITY; 3], [f64::NEG_INFINITY; 3]);
    for k in 0..nk {
        for (i, j) in [(0, 0), (ni - 1, 0), (0, nj - 1), (ni - 1, nj - 1)] {
            for (axis, v) in storage.point(i as f64, j as f64, k).into_iter().enumerate() {
                low[axis] = low[axis].min(v);
                high[axis] = high[axis].max(v);
            }
        }
    }
    let [along_i, along_j] = storage.pixel_mm();
    let pixel = along_i
        .min(along_j)
        .min(storage.slice_spacing_mm().unwrap_or(f64::INFINITY))
        .max(FINEST_PIXEL_MM);
    let step = [pixel, pixel, step_mm];
    // A thousandth of a step counts as rounding, not as another slice: one patient gives one grid,
    // however the file stores it.
    let size: [usize; 3] =
        std::array::from_fn(|a| ((high[a] - low[a]) / step[a] - 1e-3).ceil().max(1.0) as usize + 1);
    if size.iter().try_fold(1usize, |n, m| n.checked_mul(*m)).is_none_or(|n| n > MAX_VOXELS / 4) {
        return Err(Error::Geometry(format!(
            "axial slices {step_mm} mm apart would take {} x {} x {} voxels, expected at most {}. \
             Crop T1C, or choose a larger distance",
            size[0],
            size[1],
            size[2],
            MAX_VOXELS / 4
        )));
    }
    let first: Point =
        std::array::from_fn(|a| (low[a] + high[a] - (size[a] - 1) as f64 * step[a]) / 2.0);
    let origins =
        (0..size[2]).map(|k| [first[0], first[1], first[2] + k as f64 * step_mm]).collect();
    Ok((Grid::new(size, [pixel, 0.0, 0.0], [0.0, pixel, 0.0], origins)?, step, first))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::geometry::grid::{norm, sub};
    use crate::geometry::view::Voxels;

    #[test]
    fn the_axial_grid_holds_every_voxel_and_no_slice_more() {
        // Sagittal, 0.9 x 0.8 mm in the plane, 4 mm apart, tilted.
        let affine = [
            [0.05, 0.02, 4.0, -30.0],
            [0.9, 0.0, -0.2, -40.0],
            [0.0, -0.8, 0.1, 50.0],
            [0.0, 0.0, 0.0, 1.0],
        ];
        let storage = Grid::from_affine([61, 71, 9], &affine).unwrap();
        let (grid, step, first) = axial_grid(&storage, 3.0).unwrap();
        assert!(step == [step[0], step[0], 3.0] && (step[0] - storage.pixel_mm()[1]).abs() < 1e-12);
        let locator = grid.locator();
        let mut far = [0.0f64; 3];
        for k in 0..9 {
            for (i, j) in [(0.0, 0.0), (60.0, 0.0), (0.0, 70.0), (60.0, 70.0)] {
                let at = locator.index(storage.point(i, j, k));
                for (a, x) in at.into_iter().enumerate() {
                    let beyond = (-x).max(x - (grid.size()[a] - 1) as f64);
                    assert!(beyond < 1e-3, "axis {a}: {x} of {}", grid.size()[a]);
                    far[a] = far[a].max(1.0 + beyond);
                }
            }
        }
        // Nearer to the border than half a step on both sides, or there would be a slice more than
        // needed.
        assert!(far.iter().all(|b| *b > 0.5), "{far:?}");
        assert!(norm(sub(grid.point(0.0, 0.0, 0), first)) < 1e-9);
        assert_eq!(plane(&storage), "sagittal");
    }

    #[test]
    fn slices_that_are_axial_stay_as_they_are() {
        let volume = |degrees: f64| {
            let (s, c) = degrees.to_radians().sin_cos();
            let affine = [
                [1.0, 0.0, 0.0, 0.0],
                [0.0, c, -4.0 * s, 0.0],
                [0.0, s, 4.0 * c, 0.0],
                [0.0, 0.0, 0.0, 1.0],
            ];
            let grid = Grid::from_affine([5, 6, 4], &affine).unwrap();
            Voxels::new(Array3::from_shape_fn((4, 6, 5), |(k, j, i)| (k + j + i) as f32), grid)
        };
        let of = |degrees: f64| {
            Resliced::of(&volume(degrees).view(), Reslice::axial(None).unwrap()).unwrap()
        };
        assert!(of(0.0).is_none() && of(0.9).is_none());
        let tilted = of(12.0).unwrap();
        assert!((tilted.summary.turned_deg - 12.0).abs() < 1e-9);
        assert_eq!(
            (tilted.summary.from.as_str(), tilted.summary.step_mm),
            ("axial", [1.0, 1.0, 3.0])
        );
        assert!(Resliced::of(&volume(40.0).view(), Reslice::Never).unwrap().is_none());
    }

    #[test]
    fn text_forms_are_parsed() {
        assert_eq!("axial".parse::<Reslice>().unwrap(), Reslice::Axial { step_mm: STEP_MM });
        assert_eq!("axial:2.5".parse::<Reslice>().unwrap(), Reslice::Axial { step_mm: 2.5 });
        for wrong in
            ["coronal", "axial:", "axial:x", "axial:0.4", "axial:11", "axial:NaN", "axial:inf", ""]
        {
            assert!(wrong.parse::<Reslice>().is_err(), "{wrong}");
        }
    }
}
