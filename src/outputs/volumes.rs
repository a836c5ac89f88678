//! A patient's folder for training: the aligned volumes with the tumour's mask.
//!
//! In: a study, and masks of the tumour: the truth on T1C, others on T1 or T2. Out: T1, T1C, T2
//! (float32, aligned, before scaling) and truth (uint8) as NIfTI on T1C's canonical grid, and
//! volumes.json, which is written last. T1's and T2's masks are sampled on T1C only to say how far
//! they agree with the truth.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use ndarray::ArrayView3;
use serde_json::{Value, json};

use crate::compare::mask_dice;
use crate::error::{Error, Result};
use crate::formats::json::JsonFormat;
use crate::formats::nifti::write_nifti;
use crate::geometry::Grid;
use crate::geometry::nearness::with_even_slices;
use crate::geometry::transfer::{Sampling, transfer};
use crate::run::{Run, Stage};
use crate::sequence::Sequence;
use crate::study::Study;
use crate::study::masks::{Mask, MaskOptions};
use crate::study::prepare::signal_percentile;
use crate::volume::{Source, Volume};

const FORMAT: JsonFormat = JsonFormat { name: "nasoseg-volumes", version: 1 };

/// Files of the folder beside the three sequences.
const TRUTH: &str = "truth.nii.gz";
const RECORD: &str = "volumes.json";

/// T1C's slices that lie this close to even distances are written as even.
const JITTER_MM: f64 = 0.5;

/// What a patient's folder holds beside the three sequences.
#[derive(Debug, Clone, Default)]
#[non_exhaustive]
pub struct VolumesOptions {
    /// Tumour mask drawn on T1C.
    pub mask: Option<PathBuf>,
    /// Tumour mask drawn on T1, on T1's grid.
    pub t1_mask: Option<PathBuf>,
    /// Tumour mask drawn on T2, on T2's grid.
    pub t2_mask: Option<PathBuf>,
    /// How the masks are read.
    pub mask_options: MaskOptions,
    /// Percentiles (0 to 100) of each sequence's voxels above 0 to list.
    pub percentiles: Vec<f64>,
}

impl VolumesOptions {
    /// Tumour mask drawn on T1C.
    #[must_use]
    pub fn with_mask(mut self, path: Option<PathBuf>) -> Self {
        self.mask = path;
        self
    }

    /// Tumour mask drawn on T1.
    #[must_use]
    pub fn with_t1_mask(mut self, path: Option<PathBuf>) -> Self {
        self.t1_mask = path;
        self
    }

    /// Tumour mask drawn on T2.
    #[must_use]
    pub fn with_t2_mask(mut self, path: Option<PathBuf>) -> Self {
        self.t2_mask = path;
        self
    }

    /// How the masks are read.
    #[must_use]
    pub fn with_mask_options(mut self, options: MaskOptions) -> Self {
        self.mask_options = options;
        self
    }

    /// Percentiles to list.
    #[must_use]
    pub fn with_percentiles(mut self, percentiles: Vec<f64>) -> Self {
        self.percentiles = percentiles;
        self
    }
}

/// Creates the folder if it is missing. Files of two patients must not mix.
///
/// # Errors
/// [`Error::Write`] if it cannot be made; [`Error::Argument`] if it holds files.
pub fn make_empty_folder(folder: &Path) -> Result<()> {
    let wrong = |e| {
        Error::write_caused(folder, "the folder cannot be made. Choose another with --volumes", e)
    };
    std::fs::create_dir_all(folder).map_err(wrong)?;
    match std::fs::read_dir(folder).map_err(wrong)?.next() {
        None => Ok(()),
        Some(_) => Err(Error::Argument(format!(
            "{}: holds files already, expected an empty or new folder. Choose another with \
             --volumes",
            folder.display()
        ))),
    }
}

/// Writes the files into an empty `folder`; returns warnings about the masks and the grid.
///
/// # Errors
/// What [`Mask::of_tumour`] gives; [`Error::Unsupported`] if T1C's slices are unevenly spaced;
/// [`Error::Image`] if a sequence has no voxel above 0; [`Error::Write`]; [`Error::Cancelled`].
pub fn write_volumes(
    folder: &Path,
    study: &Study,
    options: &VolumesOptions,
    run: &Run<'_>,
) -> Result<Vec<String>> {
    let mut warnings = Vec::new();
    let truth = match &options.mask {
        None => None,
        Some(path) => {
            let mask = Mask::of_tumour(path, study, &options.mask_options);
            let mask = mask.map_err(|e| e.within("mask"))?;
            warnings.extend(mask.warnings);
            Some(mask.voxels)
        }
    };
    let agreement = truth.as_ref().map(|truth| agreements(study, options, truth.view()));
    let mut sequences = BTreeMap::new();
    for sequence in Sequence::ALL {
        let found = figures(study.volume(sequence), sequence, &options.percentiles)?;
        sequences.insert(sequence.name(), found);
    }
    let grid = even_grid(study.grid(), &mut warnings)?;
    for (done, sequence) in Sequence::ALL.into_iter().enumerate() {
        run.tick(Stage::Export, done, Sequence::ALL.len())?;
        let path = folder.join(format!("{sequence}.nii.gz"));
        write_nifti(&path, study.canonical(sequence), &grid, sequence.name())?;
    }
    if let Some(truth) = &truth {
        let canonical = study.orientation().canonical(truth.view());
        write_nifti(&folder.join(TRUTH), canonical, &grid, "truth")?;
    }
    let grid = study.grid();
    let ([ni, nj, nk], [di, dj]) = (grid.size(), grid.pixel_mm());
    let record = json!({
        "library_version": env!("CARGO_PKG_VERSION"),
        "size": [nk, nj, ni],
        "spacing_mm": [grid.slice_spacing_mm(), Some(dj), Some(di)],
        "position_mm": (0..nk).map(|k| study.slice_info(k).position_mm).collect::<Vec<_>>(),
        "coverage": (0..nk).map(|k| study.coverage(k)).collect::<Vec<_>>(),
        "resliced": study.resliced().is_some(),
        "sequences": sequences,
        "mask_voxels": truth.as_ref().map(|t| t.iter().filter(|v| **v > 0).count()),
        "agreement": agreement.unwrap_or_default(),
        "warnings": study.warnings().iter().chain(&warnings).collect::<Vec<_>>(),
    });
    FORMAT.write(&folder.join(RECORD), &record)?;
    Ok(warnings)
}

/// The grid that NIfTI can hold by its one affine: slices that jitter are written at even
/// distances, and no voxel changes. NIfTI is refused for slices that are really uneven.
fn even_grid(grid: &Grid, warnings: &mut Vec<String>) -> Result<Grid> {
    let Some((even, apart)) = with_even_slices(grid, JITTER_MM)? else {
        return Ok(grid.clone());
    };
    warnings.push(format!(
        "T1C's slices lie up to {apart:.3} mm from even distances; the NIfTI files hold them as \
         even"
    ));
    Ok(even)
}

/// Identity, size and values of a sequence as it was read.
fn figures(volume: &Volume, sequence: Sequence, percentiles: &[f64]) -> Result<Value> {
    let mut table = BTreeMap::new();
    for p in percentiles {
        table.insert(p.to_string(), signal_percentile(volume, sequence, *p)?);
    }
    let largest = volume.voxels().iter().fold(f32::NEG_INFINITY, |a, b| a.max(*b));
    let ([ni, nj, nk], [di, dj]) = (volume.grid().size(), volume.grid().pixel_mm());
    Ok(json!({
        "sha256": volume.sha256(),
        "size": [nk, nj, ni],
        "spacing_mm": [volume.grid().slice_spacing_mm(), Some(dj), Some(di)],
        "max": largest,
        "percentiles_above_zero": table,
    }))
}

/// How far the masks drawn on T1 and T2 agree with the truth, by the sequence's name.
fn agreements(
    study: &Study,
    options: &VolumesOptions,
    truth: ArrayView3<'_, u8>,
) -> BTreeMap<&'static str, Value> {
    let masks = [(Sequence::T1, &options.t1_mask), (Sequence::T2, &options.t2_mask)];
    let found = |(sequence, path): (Sequence, &Option<PathBuf>)| {
        let found = agree(path.as_ref()?, sequence, study, &options.mask_options, truth);
        Some((sequence.name(), found))
    };
    masks.into_iter().filter_map(found).collect()
}

/// How far a mask drawn on another sequence agrees with the truth: its Dice, or why it has none,
/// which is no reason to give up the patient.
fn agree(
    path: &Path,
    sequence: Sequence,
    study: &Study,
    options: &MaskOptions,
    truth: ArrayView3<'_, u8>,
) -> Value {
    let dice = || -> Result<Value> {
        let series = study.volume(sequence);
        let mask = Mask::read(path, series, options)?;
        let region = mask.voxels.mapv(f32::from);
        let region = Volume::new(region, series.grid().clone(), Source::Memory, "mask")?;
        let there = transfer(&region.view(), &study.reference().view(), Sampling::Nearest)?.voxels;
        let dice = mask_dice(there.mapv(|v| u8::from(v > 0.0)).view(), truth);
        Ok(json!({"dice": dice, "warnings": mask.warnings}))
    };
    dice().unwrap_or_else(|error| json!({"refused": error.chain()}))
}
