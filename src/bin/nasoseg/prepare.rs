//! `nasoseg prepare`: what training sees of a patient.
//!
//! In: three sequences, and drawings of the tumour: the truth on T1C, others on T1 or T2. Out: with
//! a bundle the scaled slices as .npz; and a folder with T1, T1C, T2 (float32, aligned, before
//! scaling) and truth (uint8) on T1C's canonical grid, with volumes.json, which is written last.
//! Drawings are put in order, never resampled; T1's and T2's are sampled on T1C only to say how far
//! they agree with the truth.

use std::collections::BTreeMap;
use std::path::Path;

use nasoseg::formats::nifti::write_nifti;
use nasoseg::formats::read::is_dicom;
use nasoseg::formats::rtstruct::{SliceBy, StructureSet};
use nasoseg::formats::write::write_atomically;
use nasoseg::formats::{ReadOptions, read};
use nasoseg::geometry::Grid;
use nasoseg::geometry::transfer::{Sampling, transfer};
use nasoseg::volume::Source;
use nasoseg::{Bundle, Error, Result, Run, Sequence, Stage, Study, Volume};
use ndarray::Array3;
use serde_json::{Value, json};

use crate::args::{Drawings, Preparing, Slices};
use crate::commands::{Clock, warn};
use crate::inputs;
use crate::progress::Watch;
use nasoseg::outputs::prepared;

/// Files of the folder beside the three sequences.
const TRUTH: &str = "truth.nii.gz";
const RECORD: &str = "volumes.json";

/// Voxels of a mask that lie this close to the series' are the same.
const NEARLY_MM: f64 = 0.1;

/// T1C's slices that lie this close to even distances are written as even.
const JITTER_MM: f64 = 0.5;

/// Runs the command.
pub fn prepare(arguments: &Preparing) -> Result<()> {
    let Preparing { sequences, bundle, slices, out, volumes, drawings, percentiles } = arguments;
    let bundle = bundle.as_deref().map(Bundle::open).transpose()?;
    if out.is_none() && (slices.slices.is_some() || slices.slices_mm.is_some()) {
        return Err(Error::Argument("--slices and --slices-mm choose slices of --out; the volumes of --volumes are always whole".into()));
    }
    if let Some(folder) = volumes {
        make_empty(folder)?;
    }
    let watch = Watch::new()?;
    let outcome = watch.with(|run| {
        let study = inputs::study(sequences, &mut Clock::default(), run)?;
        let mut warnings = study.warnings().to_vec();
        if let Some(folder) = volumes {
            warnings.extend(write_volumes(folder, &study, drawings, percentiles, run)?);
        }
        if let (Some(out), Some(bundle)) = (out, &bundle) {
            write_slices(out, &study, bundle, slices, run)?;
        }
        Ok(warnings)
    });
    watch.finish();
    warn(&outcome?, None);
    Ok(())
}

fn write_slices(
    out: &Path,
    study: &Study,
    bundle: &Bundle,
    slices: &Slices,
    run: &Run<'_>,
) -> Result<()> {
    let range = study.check_slices(inputs::range(slices, study)?)?;
    prepared::write(out, &*study.prepared(&bundle.manifest().input, range, run)?, study)
}

/// Files of two patients must not mix.
fn make_empty(folder: &Path) -> Result<()> {
    let wrong = |e| {
        Error::write_caused(folder, "the folder cannot be made. Choose another with --volumes", e)
    };
    std::fs::create_dir_all(folder).map_err(wrong)?;
    match std::fs::read_dir(folder).map_err(wrong)?.next() {
        None => Ok(()),
        Some(_) => Err(Error::Argument(format!(
            "{}: holds files already; an empty or new folder was expected",
            folder.display()
        ))),
    }
}

/// Writes the folder; what should be known of the drawings comes back.
fn write_volumes(
    folder: &Path,
    study: &Study,
    drawings: &Drawings,
    percentiles: &[f64],
    run: &Run<'_>,
) -> Result<Vec<String>> {
    let mut warnings = Vec::new();
    let truth = drawings
        .mask
        .as_deref()
        .map(|path| truth(path, study, drawings, &mut warnings))
        .transpose()?;
    let mut agreement = BTreeMap::new();
    for (sequence, path) in [(Sequence::T1, &drawings.t1_mask), (Sequence::T2, &drawings.t2_mask)] {
        if let (Some(path), Some(truth)) = (path, &truth) {
            agreement.insert(sequence.name(), agree(path, sequence, study, drawings, truth));
        }
    }
    let mut sequences = BTreeMap::new();
    for sequence in Sequence::ALL {
        sequences.insert(sequence.name(), figures(study.volume(sequence), sequence, percentiles)?);
    }

    let grid = even(study.grid(), &mut warnings)?;
    for (done, sequence) in Sequence::ALL.into_iter().enumerate() {
        run.tick(Stage::Export, done, 3)?;
        let path = folder.join(format!("{sequence}.nii.gz"));
        write_nifti(&path, study.canonical(sequence), &grid, sequence.name())?;
    }
    if let Some(truth) = &truth {
        write_nifti(
            &folder.join(TRUTH),
            study.orientation().canonical(truth.view()),
            &grid,
            "truth",
        )?;
    }
    let grid = study.grid();
    let ([ni, nj, nk], [di, dj]) = (grid.size(), grid.pixel_mm());
    let record = json!({
        "format": "nasoseg-volumes",
        "format_version": 1,
        "library_version": env!("CARGO_PKG_VERSION"),
        "size": [nk, nj, ni],
        "spacing_mm": [grid.slice_spacing_mm(), Some(dj), Some(di)],
        "position_mm": (0..nk).map(|k| study.slice_info(k).position_mm).collect::<Vec<_>>(),
        "coverage": (0..nk).map(|k| study.coverage(k)).collect::<Vec<_>>(),
        "resliced": study.resliced().is_some(),
        "sequences": sequences,
        "mask_voxels": truth.as_ref().map(|t| t.iter().filter(|v| **v > 0).count()),
        "agreement": agreement,
        "warnings": study.warnings().iter().chain(&warnings).collect::<Vec<_>>(),
    });
    let text = serde_json::to_string_pretty(&record).map_err(|e| Error::Internal(e.to_string()))?;
    write_atomically(&folder.join(RECORD), |f| std::io::Write::write_all(f, text.as_bytes()))?;
    Ok(warnings)
}

/// The grid as NIfTI can hold it, with one affine: slices that jitter are put at even distances. No
/// voxel changes. Slices that are really uneven stay as they are, and NIfTI is refused for them.
fn even(grid: &Grid, warnings: &mut Vec<String>) -> Result<Grid> {
    let (origins, last) = (grid.origins(), grid.origins().len() - 1);
    if grid.affine().is_some() || last == 0 {
        return Ok(grid.clone());
    }
    let at = |k: usize| {
        std::array::from_fn(|a| {
            origins[0][a] + (origins[last][a] - origins[0][a]) * k as f64 / last as f64
        })
    };
    let even = Grid::new(grid.size(), grid.axis_i(), grid.axis_j(), (0..=last).map(at).collect())?;
    let apart = farthest(grid, |i, j, k| even.point(i, j, k));
    if apart > JITTER_MM {
        return Ok(grid.clone());
    }
    warnings.push(format!("T1C's slices lie up to {apart:.3} mm from even distances; the NIfTI files hold them as even"));
    Ok(even)
}

/// Identity, size and values of a sequence as it was read.
fn figures(volume: &Volume, sequence: Sequence, percentiles: &[f64]) -> Result<Value> {
    let mut table = BTreeMap::new();
    for p in percentiles {
        let value = volume.percentile_above_zero(*p).ok_or_else(|| {
            Error::Image(format!("{sequence}: no voxel lies above 0; MR signal was expected. Check the rescale intercept or the file"))
        })?;
        table.insert(p.to_string(), value);
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

/// The tumour on T1C, in T1C's storage order.
fn truth(
    path: &Path,
    study: &Study,
    drawings: &Drawings,
    warnings: &mut Vec<String>,
) -> Result<Array3<u8>> {
    if study.resliced().is_some() {
        return Err(Error::Argument(
            "--mask: T1C was resampled to axial slices, and a mask is never resampled. Give an axial T1C and leave --reslice out".into(),
        ));
    }
    let found = drawn(path, study.reference(), drawings, warnings).map_err(|e| e.within("mask"))?;
    if !found.iter().any(|v| *v > 0) {
        return Err(Error::Image(format!(
            "mask: {}: is empty; a mask with at least one voxel was expected",
            path.display()
        )));
    }
    Ok(found)
}

/// How far a drawing on another sequence agrees with the truth: Dice, or why it has none. No reason
/// to give up the patient.
fn agree(
    path: &Path,
    sequence: Sequence,
    study: &Study,
    drawings: &Drawings,
    truth: &Array3<u8>,
) -> Value {
    let mut warnings = Vec::new();
    let mut dice = || -> Result<f64> {
        let series = study.volume(sequence);
        let region = drawn(path, series, drawings, &mut warnings)?.mapv(f32::from);
        let region = Volume::new(region, series.grid().clone(), Source::Memory, "drawing")?;
        let there = transfer(&region.view(), &study.reference().view(), Sampling::Nearest)?.voxels;
        let (mut both, mut sum) = (0usize, 0usize);
        for (a, b) in there.iter().zip(truth) {
            let (a, b) = (*a > 0.0, *b > 0);
            both += usize::from(a && b);
            sum += usize::from(a) + usize::from(b);
        }
        Ok(2.0 * both as f64 / sum as f64)
    };
    match dice() {
        Ok(dice) => json!({"dice": dice, "warnings": warnings}),
        Err(error) => json!({"refused": error.chain()}),
    }
}

/// A drawing in the storage order of `series`: a mask on its grid, or a region of a structure set.
fn drawn(
    path: &Path,
    series: &Volume,
    drawings: &Drawings,
    warnings: &mut Vec<String>,
) -> Result<Array3<u8>> {
    if is_dicom(path)? {
        let set = StructureSet::read(path)?;
        let found = set.mask(set.roi(drawings.mask_roi.as_deref())?, series, SliceBy::Image)?;
        warnings.extend(found.warnings);
        return Ok(found.mask);
    }
    let region = read(&[path.to_owned()], &ReadOptions::default())?;
    let voxels = in_order(&region, series, drawings.trust_array_order, warnings)?;
    labelled(&voxels, drawings.label, path)
}

/// A mask's voxels in the storage order of `series`, or how the two differ.
fn in_order(
    region: &Volume,
    series: &Volume,
    trust_array: bool,
    warnings: &mut Vec<String>,
) -> Result<Array3<f32>> {
    match transfer(&region.view(), &series.view(), Sampling::Refused) {
        Ok(found) => return Ok(found.voxels),
        Err(Error::Geometry(_)) => {}
        Err(other) => return Err(other),
    }
    if let Some(apart) = nearly(region.grid(), series.grid()) {
        warnings.push(format!(
            "{}: its voxels lie up to {apart:.3} mm from the series'; taken as the same",
            region.place()
        ));
        return Ok(transfer(&region.view(), &series.view(), Sampling::Nearest)?.voxels);
    }
    let (found, expected) = (region.grid().size(), series.grid().size());
    let words = |[i, j, k]: [usize; 3]| format!("{i} x {j} x {k}");
    if found == expected {
        let apart = farthest(series.grid(), |i, j, k| region.grid().point(i, j, k));
        if trust_array {
            let place = region.place();
            warnings.push(format!("{place}: its affine disagrees with the series by up to {apart:.1} mm; its array order was trusted"));
            return Ok(region.voxels().clone());
        }
        // Nothing of it on the image is worse than a wrong affine; the library says so.
        transfer(&region.view(), &series.view(), Sampling::Nearest)?;
        return Err(Error::Geometry(format!(
            "{}: the mask's affine disagrees with the series by up to {apart:.3} mm, though its array is as large. Write the mask with the series' \
             affine, or use --trust-array-order where it runs as the series does: columns, rows, slices by increasing position",
            region.place()
        )));
    }
    if sorted(found) == sorted(expected) {
        return Err(Error::Geometry(format!(
            "{}: the array is transposed: {} voxels, where the series has {} and the mask's affine names no such order. Store it as columns, rows, \
             slices, with the series' affine",
            region.place(),
            words(found),
            words(expected)
        )));
    }
    Err(Error::Geometry(format!(
        "{}: the mask has another shape than the series: {} voxels against {}. Give the mask that was drawn on this series",
        region.place(),
        words(found),
        words(expected)
    )))
}

fn sorted(mut size: [usize; 3]) -> [usize; 3] {
    size.sort_unstable();
    size
}

/// How far the voxels of `region` lie from those of `series` where they are the same in some order
/// but for rounding; `None` where they are not. Slices whose positions jitter are such a case: a
/// mask has one affine for all.
fn nearly(region: &Grid, series: &Grid) -> Option<f64> {
    if sorted(region.size()) != sorted(series.size()) {
        return None;
    }
    let (locator, last) = (region.locator(), region.size().map(|n| (n - 1) as f64));
    let apart = farthest(series, |i, j, k| {
        let at = locator.index(series.point(i, j, k));
        let [i, j, k] = std::array::from_fn(|a| at[a].round().clamp(0.0, last[a]));
        region.point(i, j, k as usize)
    });
    (apart <= NEARLY_MM).then_some(apart)
}

/// The largest distance (mm) of a slice's corner, or of its first corner's neighbours, from what
/// `other` gives for it. Where both grids have corners and neighbours in common, they have all
/// voxels in common.
fn farthest(grid: &Grid, other: impl Fn(f64, f64, usize) -> [f64; 3]) -> f64 {
    let [ni, nj, nk] = grid.size();
    let (i, j) = ((ni - 1) as f64, (nj - 1) as f64);
    let points = |k: usize| {
        [(0.0, 0.0), (i, 0.0), (0.0, j), (i, j), (i.min(1.0), 0.0), (0.0, j.min(1.0))]
            .map(|(i, j)| (i, j, k))
    };
    let distance = |(i, j, k): (f64, f64, usize)| {
        let (here, there) = (grid.point(i, j, k), other(i, j, k));
        here.iter().zip(there).map(|(a, b)| (a - b).powi(2)).sum::<f64>().sqrt()
    };
    (0..nk).flat_map(points).map(distance).fold(0.0, f64::max)
}

/// The voxels of one label.
fn labelled(voxels: &Array3<f32>, label: Option<u16>, path: &Path) -> Result<Array3<u8>> {
    // Those that are told; a label is looked for among all voxels.
    let mut values: Vec<f32> = Vec::new();
    for value in voxels {
        if *value != 0.0 && !values.contains(value) {
            values.push(*value);
            // Far more than a mask has: a probability or an image. A few are enough to say so.
            if values.len() > 64 {
                break;
            }
        }
    }
    values.sort_by(f32::total_cmp);
    let listed = || {
        let shown: Vec<String> = values.iter().take(8).map(f32::to_string).collect();
        format!("{}{}", shown.join(", "), if values.len() > 8 { ", ..." } else { "" })
    };
    let chosen = match (label, values.as_slice()) {
        (_, []) => return Ok(Array3::zeros(voxels.dim())),
        (Some(label), _) if voxels.iter().any(|v| *v == f32::from(label)) => f32::from(label),
        (Some(label), _) => {
            return Err(Error::Argument(format!(
                "{}: no voxel has the label {label}; it holds {}",
                path.display(),
                listed()
            )));
        }
        (None, [one]) if one.fract() == 0.0 => *one,
        (None, _) => {
            return Err(Error::Argument(format!(
                "{}: holds the values {}; a mask of 0 and one whole number was expected. Choose one with --label",
                path.display(),
                listed()
            )));
        }
    };
    Ok(voxels.mapv(|v| u8::from(v == chosen)))
}
