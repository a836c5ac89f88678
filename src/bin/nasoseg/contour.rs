//! `nasoseg contour`: contours of a mask or probability of other origin.

use std::path::PathBuf;

use clap::Args;
use nasoseg::Result;
use nasoseg::contour::{RegionContours, RegionOptions};
use nasoseg::formats::{ReadOptions, read};
use nasoseg::outputs::folder::OutputFolder;

use crate::arguments::ReferenceChoice;
use crate::{inputs, warnings};

/// Contour a mask or probability on the series that it belongs to
///
/// Writes contours.json and, if the reference is DICOM, rtstruct.dcm.
#[derive(Debug, Args)]
pub struct Arguments {
    /// Mask or probability to contour: NIfTI or NRRD on the reference's grid
    ///
    /// The storage order may be any. A mask of 0 and 1 is contoured along voxel edges, a
    /// probability at the level of --threshold.
    #[arg(verbatim_doc_comment, long, value_name = "FILE")]
    mask: PathBuf,
    /// Series that the mask lies on: a DICOM folder or file, .nii, .nii.gz or .nrrd
    #[arg(long, value_name = "PATH")]
    reference: PathBuf,
    /// Level of a probability
    ///
    /// Without it, the file must be a mask of 0 and 1.
    #[arg(long, value_name = "P")]
    threshold: Option<f32>,
    /// Sample a mask that lies on another grid
    ///
    /// The mask is sampled at the reference's voxel centres: a mask's nearest voxel, a
    /// probability linearly. Without this flag, such a mask is refused.
    #[arg(verbatim_doc_comment, long)]
    resample: bool,
    #[command(flatten)]
    choice: ReferenceChoice,
    /// Name of the region, at most 16 characters
    ///
    /// The result of a demo model keeps its own name.
    #[arg(long, value_name = "NAME", default_value = "nasoseg_contour")]
    roi_name: String,
    /// Folder for the outputs; created if it is missing
    #[arg(long, value_name = "DIR")]
    out: PathBuf,
}

/// Runs the command.
pub fn contour(arguments: &Arguments) -> Result<()> {
    let Arguments { mask, reference, threshold, resample, choice, roi_name, out } = arguments;
    let region =
        read(std::slice::from_ref(mask), &ReadOptions::default()).map_err(|e| e.within("mask"))?;
    let series = inputs::reference(std::slice::from_ref(reference), choice)?;
    let folder = OutputFolder::new(out)?;
    let options = RegionOptions::default().with_threshold(*threshold).with_resample(*resample);
    let found = RegionContours::new(&region, &series, &options)?;
    folder.write_region(&found, &series, roi_name)?;
    folder.publish()?;
    warnings::print(&found.warnings, None);
    let of_series = series.dicom().map_or(&[][..], |s| &s.warnings);
    warnings::print(of_series, found.demo.as_ref().map(|demo| demo.warning.as_str()));
    Ok(())
}
