//! `nasoseg prepare`: aligned volumes and slices for training.

use std::path::{Path, PathBuf};

use clap::Args;
use nasoseg::outputs::prepared;
use nasoseg::outputs::volumes::{VolumesOptions, make_empty_folder, write_volumes};
use nasoseg::study::masks::MaskOptions;
use nasoseg::{Bundle, Error, Result, Run, Study};

use crate::arguments::{Sequences, Slices};
use crate::clock::Clock;
use crate::progress_bar::ProgressBar;
use crate::{inputs, warnings};

/// Export aligned volumes and slices for training
///
/// Writes the volumes with the tumour's mask (--volumes), the scaled slices of a bundle
/// (--out), or both.
#[derive(Debug, Args)]
#[command(verbatim_doc_comment)]
pub struct Arguments {
    #[command(flatten)]
    sequences: Sequences,
    /// Bundle whose preprocessing --out uses
    #[arg(long, value_name = "DIR", requires = "out")]
    bundle: Option<PathBuf>,
    #[command(flatten)]
    slices: Slices,
    /// The .npz of scaled slices to write
    #[arg(long, value_name = "FILE", requires = "bundle", required_unless_present = "volumes")]
    out: Option<PathBuf>,
    /// New or empty folder for the volumes
    ///
    /// T1, T1C, T2 and truth are written as NIfTI on T1C's canonical axial grid, aligned and
    /// not scaled, with volumes.json.
    #[arg(verbatim_doc_comment, long, value_name = "DIR")]
    volumes: Option<PathBuf>,
    #[command(flatten)]
    masks: Masks,
    /// Percentiles of each sequence's voxels above 0 that volumes.json lists
    #[arg(
        long,
        value_name = "P",
        num_args = 1..,
        default_values_t = [1.0, 5.0, 25.0, 50.0, 75.0, 95.0, 99.0, 99.5, 99.9],
        value_parser = percentile,
        requires = "volumes"
    )]
    percentiles: Vec<f64>,
}

#[derive(Debug, Args)]
struct Masks {
    /// Tumour mask drawn on T1C: NIfTI or NRRD on its grid, or an RT Structure Set
    ///
    /// The storage order may be any. A mask is never resampled.
    #[arg(long, value_name = "FILE", requires = "volumes")]
    mask: Option<PathBuf>,
    /// Mask value of the tumour, if it holds several
    #[arg(long, value_name = "N", requires = "mask")]
    label: Option<u16>,
    /// ROI of the structure set, by name or number, if it has several
    #[arg(long, value_name = "NAME", requires = "mask")]
    mask_roi: Option<String>,
    /// Accept a mask whose affine disagrees with its series
    ///
    /// Its array must have the size and the order of the series: columns, rows, slices by
    /// increasing position.
    #[arg(verbatim_doc_comment, long, requires = "mask")]
    trust_array_order: bool,
    /// Tumour mask drawn on T1, on T1's grid
    ///
    /// volumes.json says how far it agrees with --mask.
    #[arg(long, value_name = "FILE", requires = "mask")]
    t1_mask: Option<PathBuf>,
    /// Tumour mask drawn on T2, on T2's grid; see --t1-mask
    #[arg(long, value_name = "FILE", requires = "mask")]
    t2_mask: Option<PathBuf>,
}

impl Masks {
    fn options(self, percentiles: Vec<f64>) -> VolumesOptions {
        let mask_options = MaskOptions::default()
            .with_label(self.label)
            .with_roi(self.mask_roi)
            .with_trust_array_order(self.trust_array_order);
        VolumesOptions::default()
            .with_mask(self.mask)
            .with_t1_mask(self.t1_mask)
            .with_t2_mask(self.t2_mask)
            .with_mask_options(mask_options)
            .with_percentiles(percentiles)
    }
}

fn percentile(text: &str) -> Result<f64> {
    text.parse()
        .ok()
        .filter(|p| (0.0..=100.0).contains(p))
        .ok_or_else(|| Error::Argument("expected a number from 0 to 100".into()))
}

/// Runs the command.
pub fn prepare(arguments: Arguments) -> Result<()> {
    let Arguments { sequences, bundle, slices, out, volumes, masks, percentiles } = arguments;
    let bundle = bundle.as_deref().map(Bundle::open).transpose()?;
    if out.is_none() && slices.range().is_some() {
        return Err(Error::Argument(
            "--slices and --slices-mm choose slices of --out; the volumes of --volumes are always \
             whole"
                .into(),
        ));
    }
    if let Some(folder) = &volumes {
        make_empty_folder(folder)?;
    }
    let options = masks.options(percentiles);
    let found = ProgressBar::new()?.run(|run| {
        let study = inputs::study(&sequences, &mut Clock::default(), run)?;
        let mut found = study.warnings().to_vec();
        if let Some(folder) = &volumes {
            found.extend(write_volumes(folder, &study, &options, run)?);
        }
        if let (Some(out), Some(bundle)) = (&out, &bundle) {
            write_slices(out, &study, bundle, &slices, run)?;
        }
        Ok(found)
    })?;
    warnings::print(&found, None);
    Ok(())
}

fn write_slices(
    out: &Path,
    study: &Study,
    bundle: &Bundle,
    slices: &Slices,
    run: &Run<'_>,
) -> Result<()> {
    let range = slices.range().map(|range| range.of(study)).transpose()?;
    let range = study.check_slices(range)?;
    prepared::write(out, &*study.prepared(&bundle.manifest().input, range, run)?, study)
}
