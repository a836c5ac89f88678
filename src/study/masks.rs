//! Masks that people drew on a sequence.
//!
//! In: a NIfTI, NRRD or RT Structure Set file, and the series that it was drawn on. Out: a
//! [`Mask`] in the storage order of that series. A mask is put in order, never resampled.

use std::path::Path;

use ndarray::Array3;

use crate::error::{Error, Result};
use crate::formats::read::is_dicom;
use crate::formats::rtstruct::{SliceBy, StructureSet};
use crate::formats::{ReadOptions, read};
use crate::geometry::nearness::{farthest, nearly_same, same_shape};
use crate::geometry::transfer::{Sampling, transfer};
use crate::study::Study;
use crate::volume::Volume;

/// Voxels of a mask that lie this close to those of the series are the same.
const SAME_VOXEL_MM: f64 = 0.1;

/// Values of a mask that a message lists.
const LISTED: usize = 8;

/// More different values than a mask has: a probability or an image.
const TOO_MANY_VALUES: usize = 64;

/// How a mask is read.
#[derive(Debug, Clone, Default)]
#[non_exhaustive]
pub struct MaskOptions {
    /// The value that is inside, for a file with several.
    pub label: Option<u16>,
    /// The region of a structure set, by name or number, for a file with several.
    pub roi: Option<String>,
    /// Accept a mask whose affine disagrees with its series if its array has the size and the order
    /// of the series: columns, rows, slices by increasing position.
    pub trust_array_order: bool,
}

impl MaskOptions {
    /// Takes the voxels of this value.
    #[must_use]
    pub fn with_label(mut self, label: Option<u16>) -> Self {
        self.label = label;
        self
    }

    /// Takes this region of a structure set, by name or number.
    #[must_use]
    pub fn with_roi(mut self, roi: Option<String>) -> Self {
        self.roi = roi;
        self
    }

    /// Accepts a mask whose affine disagrees with its series (see
    /// [`MaskOptions::trust_array_order`]).
    #[must_use]
    pub fn with_trust_array_order(mut self, trust: bool) -> Self {
        self.trust_array_order = trust;
        self
    }
}

/// A mask in the storage order of its series.
#[derive(Debug, Clone)]
pub struct Mask {
    /// [k, j, i]; 1 inside, 0 outside.
    pub voxels: Array3<u8>,
    /// What people should know about how the file was understood.
    pub warnings: Vec<String>,
}

impl Mask {
    /// Reads the mask in the file at `path`, drawn on `series`.
    ///
    /// # Errors
    /// - [`Error::Read`] if the file cannot be read;
    /// - [`Error::Geometry`] if it does not lie on the grid of `series`;
    /// - [`Error::Argument`] if it holds several values or regions and none is chosen, or not the
    ///   one that is;
    /// - what [`StructureSet::mask`] gives.
    pub fn read(path: &Path, series: &Volume, options: &MaskOptions) -> Result<Self> {
        if is_dicom(path)? {
            let set = StructureSet::read(path)?;
            let found = set.mask(set.roi(options.roi.as_deref())?, series, SliceBy::Image)?;
            return Ok(Mask { voxels: found.mask, warnings: found.warnings });
        }
        let region = read(&[path.to_owned()], &ReadOptions::default())?;
        let mut warnings = Vec::new();
        let voxels = in_order(&region, series, options.trust_array_order, &mut warnings)?;
        let voxels = labelled(&voxels, options.label).map_err(|e| e.within(path.display()))?;
        Ok(Mask { voxels, warnings })
    }

    /// Reads the tumour's mask, drawn on T1C: at least one voxel.
    ///
    /// # Errors
    /// As [`Mask::read`]; [`Error::Argument`] if T1C was resliced; [`Error::Image`] if the mask is
    /// empty.
    pub fn of_tumour(path: &Path, study: &Study, options: &MaskOptions) -> Result<Self> {
        if study.resliced().is_some() {
            return Err(Error::Argument(
                "T1C was resampled to axial slices, expected its own slices: a mask is never \
                 resampled. Give an axial T1C and leave --reslice out"
                    .into(),
            ));
        }
        let mask = Mask::read(path, study.reference(), options)?;
        if mask.voxels.iter().all(|v| *v == 0) {
            return Err(Error::Image(format!(
                "{}: is empty, expected at least one voxel inside. Give the mask of the tumour",
                path.display()
            )));
        }
        Ok(mask)
    }
}

/// The voxels of a mask of 0 and 1.
///
/// # Errors
/// [`Error::Argument`] for any other value; the message does not name the file.
pub fn binary(voxels: &Array3<f32>) -> Result<Array3<u8>> {
    match voxels.iter().find(|v| **v != 0.0 && **v != 1.0) {
        None => Ok(voxels.mapv(|v| v as u8)),
        Some(value) => Err(Error::Argument(format!(
            "holds the value {value}, expected a mask of 0 and 1. Give a mask, or the level of a \
             probability"
        ))),
    }
}

/// A mask's voxels in the storage order of `series`, or how the two differ.
fn in_order(
    region: &Volume,
    series: &Volume,
    trust_array_order: bool,
    warnings: &mut Vec<String>,
) -> Result<Array3<f32>> {
    match transfer(&region.view(), &series.view(), Sampling::Refused) {
        Ok(found) => return Ok(found.voxels),
        Err(Error::Geometry(_)) => {}
        Err(other) => return Err(other),
    }
    let (place, found, expected) = (region.place(), region.grid().size(), series.grid().size());
    if let Some(apart) = nearly_same(region.grid(), series.grid(), SAME_VOXEL_MM) {
        warnings.push(format!(
            "{place}: its voxels lie up to {apart:.3} mm from the series'; taken as the same"
        ));
        return Ok(transfer(&region.view(), &series.view(), Sampling::Nearest)?.voxels);
    }
    if found == expected {
        let apart = farthest(series.grid(), |i, j, k| region.grid().point(i, j, k));
        if trust_array_order {
            warnings.push(format!(
                "{place}: its affine disagrees with the series by up to {apart:.1} mm; its array \
                 order was trusted"
            ));
            return Ok(region.voxels().clone());
        }
        // Nothing of it on the image is worse than a wrong affine, and has its own message.
        transfer(&region.view(), &series.view(), Sampling::Nearest)?;
        return Err(Error::Geometry(format!(
            "{place}: the mask's affine disagrees with the series by up to {apart:.3} mm, though \
             its array is as large. Write the mask with the series' affine, or use \
             --trust-array-order if its array has the order of the series: columns, rows, slices \
             by increasing position"
        )));
    }
    let words = |[i, j, k]: [usize; 3]| format!("{i} x {j} x {k}");
    let sizes = format!("found {} voxels, expected {}", words(found), words(expected));
    Err(Error::Geometry(if same_shape(found, expected) {
        format!(
            "{place}: the array is transposed: {sizes}, and the mask's affine names no such order. \
             Store it as columns, rows, slices, with the series' affine"
        )
    } else {
        format!(
            "{place}: the mask has another shape than the series: {sizes}. Give the mask that was \
             drawn on this series"
        )
    }))
}

/// The voxels of one label; the messages do not name the file.
fn labelled(voxels: &Array3<f32>, label: Option<u16>) -> Result<Array3<u8>> {
    // Only values for the message and for the choice; a label is searched in all voxels.
    let mut values: Vec<f32> = Vec::new();
    for value in voxels {
        if *value != 0.0 && !values.contains(value) {
            values.push(*value);
            if values.len() > TOO_MANY_VALUES {
                break;
            }
        }
    }
    values.sort_by(f32::total_cmp);
    let listed = || {
        let shown: Vec<String> = values.iter().take(LISTED).map(f32::to_string).collect();
        format!("{}{}", shown.join(", "), if values.len() > LISTED { ", ..." } else { "" })
    };
    let chosen = match (label, values.as_slice()) {
        (_, []) => return Ok(Array3::zeros(voxels.dim())),
        (Some(label), _) if voxels.iter().any(|v| *v == f32::from(label)) => f32::from(label),
        (Some(label), _) => {
            return Err(Error::Argument(format!(
                "no voxel has the label {label}; it holds {}. Choose one of these with --label",
                listed()
            )));
        }
        (None, [one]) if one.fract() == 0.0 => *one,
        (None, _) => {
            return Err(Error::Argument(format!(
                "holds the values {}, expected a mask of 0 and one whole number. Choose one with \
                 --label",
                listed()
            )));
        }
    };
    Ok(voxels.mapv(|v| u8::from(v == chosen)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::geometry::Grid;
    use crate::volume::Source;

    fn volume(size: [usize; 3], origin: [f64; 3]) -> Volume {
        let [ni, nj, nk] = size;
        let origins = (0..nk).map(|k| [origin[0], origin[1], origin[2] + 3.0 * k as f64]).collect();
        let grid = Grid::new(size, [1.0, 0.0, 0.0], [0.0, 1.0, 0.0], origins).unwrap();
        let voxels = Array3::from_shape_fn((nk, nj, ni), |(k, j, i)| f32::from(k + j + i == 0));
        Volume::new(voxels, grid, Source::Memory, "mask").unwrap()
    }

    #[test]
    fn a_mask_off_its_series_is_refused_by_the_way_in_which_it_is_off() {
        let series = volume([4, 5, 6], [0.0; 3]);
        for (mask, says) in [
            (volume([4, 5, 6], [0.5, 0.0, 0.0]), "affine disagrees with the series by up to 0.500"),
            (volume([5, 4, 6], [0.0; 3]), "is transposed: found 5 x 4 x 6 voxels, expected 4 x 5"),
            (volume([4, 5, 7], [0.0; 3]), "has another shape than the series: found 4 x 5 x 7"),
            (volume([4, 5, 6], [90.0, 0.0, 0.0]), "nothing of it lies on"),
        ] {
            let error = in_order(&mask, &series, false, &mut Vec::new()).unwrap_err().to_string();
            assert!(error.contains(says), "{error}");
        }
        let mut warnings = Vec::new();
        let near = volume([4, 5, 6], [0.05, 0.0, 0.0]);
        assert_eq!(in_order(&near, &series, false, &mut warnings).unwrap(), *near.voxels());
        let off = volume([4, 5, 6], [0.5, 0.0, 0.0]);
        assert_eq!(in_order(&off, &series, true, &mut warnings).unwrap(), *off.voxels());
        assert!(
            warnings[0].contains("0.050 mm") && warnings[1].contains("order was trusted"),
            "{warnings:?}"
        );
    }

    #[test]
    fn one_label_is_chosen_and_several_are_listed() {
        let voxels = Array3::from_shape_fn((2, 3, 4), |(k, j, i)| (k * 12 + j * 4 + i) as f32);
        let error = labelled(&voxels, None).unwrap_err().to_string();
        assert!(error.starts_with("holds the values 1, 2, 3, 4, 5, 6, 7, 8, ..., exp"), "{error}");
        assert_eq!(labelled(&voxels, Some(23)).unwrap().sum(), 1);
        assert!(labelled(&voxels, Some(24)).unwrap_err().to_string().contains("the label 24; it"));
        assert_eq!(labelled(&voxels.mapv(|v| 7.0 * v.min(1.0)), None).unwrap().sum(), 23);
        assert!(labelled(&voxels.mapv(|v| 0.5 * v.min(1.0)), None).is_err());
        assert_eq!(labelled(&Array3::zeros((1, 2, 3)), Some(3)).unwrap().sum(), 0);
        assert_eq!(binary(&voxels.mapv(|v| v.min(1.0))).unwrap().sum(), 23);
        assert!(binary(&voxels).unwrap_err().to_string().starts_with("holds the value 2"));
    }
}
