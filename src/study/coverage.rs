//! How much of T1C's foreground a sequence covers.
//!
//! In: T1C's canonical voxels, and which of them a sequence covers. Out: the covered share of the
//! foreground, for every slice.

use ndarray::parallel::prelude::*;
use ndarray::{Array3, ArrayView2, ArrayView3, Axis};

use super::LEAST_COVERAGE;
use super::prepare::signal_percentile;
use crate::error::{Error, Result};
use crate::sequence::Sequence;
use crate::volume::Volume;

/// T1C's foreground: voxels above this share of its 99.5th percentile. Air and noise lie below.
const FOREGROUND: f64 = 0.1;

/// The value above which T1C's foreground lies.
///
/// # Errors
/// [`Error::Image`] if no voxel lies above 0.
pub(super) fn foreground_threshold(reference: &Volume) -> Result<f32> {
    let bright = signal_percentile(reference, Sequence::T1C, 99.5)?;
    Ok((FOREGROUND * bright) as f32)
}

/// For every slice, the share of T1C's `canonical` voxels above `threshold` that are covered. If a
/// slice has none, the share of the voxels that T1C `reached` (`None`: of the whole slice).
pub(super) fn covered_shares(
    covered: &Array3<bool>,
    canonical: ArrayView3<'_, f32>,
    threshold: f32,
    reached: Option<&Array3<bool>>,
) -> Vec<f64> {
    let without_foreground = |k: usize, covered: ArrayView2<'_, bool>| {
        let all = |of: ArrayView2<'_, bool>| of.iter().filter(|c| **c).count() as f64;
        match reached.map(|r| r.index_axis(Axis(0), k)).filter(|r| r.iter().any(|r| *r)) {
            Some(reached) => {
                covered.iter().zip(reached).filter(|(c, r)| **c && **r).count() as f64
                    / all(reached)
            }
            None => all(covered) / covered.len() as f64,
        }
    };
    let slices = covered
        .axis_iter(Axis(0))
        .into_par_iter()
        .zip(canonical.axis_iter(Axis(0)).into_par_iter());
    let share =
        |(k, (covered, canonical)): (usize, (ArrayView2<'_, bool>, ArrayView2<'_, f32>))| {
            let (mut foreground, mut both) = (0u64, 0u64);
            for (covered, canonical) in covered.rows().into_iter().zip(canonical.rows()) {
                let row = covered
                    .iter()
                    .zip(canonical)
                    .map(|(covered, value)| (u32::from(*value > threshold), u32::from(*covered)));
                let (f, b) = row
                    .fold((0, 0), |(f, b), (inside, covered)| (f + inside, b + (inside & covered)));
                foreground += u64::from(f);
                both += u64::from(b);
            }
            match foreground {
                0 => without_foreground(k, covered),
                _ => both as f64 / foreground as f64,
            }
        };
    slices.enumerate().map(share).collect()
}

/// The warning about slices that a sequence does not cover, by its covered share of every slice.
///
/// # Errors
/// [`Error::Geometry`] if the sequence covers no slice at all.
pub(super) fn check_coverage(sequence: Sequence, shares: &[f64]) -> Result<Option<String>> {
    if shares.iter().all(|s| *s == 0.0) {
        return Err(Error::Geometry(format!(
            "{sequence} does not overlap T1C anywhere. Check that both are of the same examination \
             and region"
        )));
    }
    let incomplete = shares.iter().filter(|s| **s < LEAST_COVERAGE).count();
    Ok((incomplete > 0).then(|| {
        format!(
            "{sequence} covers less than 95 % of T1C's foreground on {incomplete} of {} slices",
            shares.len()
        )
    }))
}
