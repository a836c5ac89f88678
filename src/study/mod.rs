//! The patient's three MR sequences.
//!
//! In: three [`Volume`]s, each on its own grid. Out: a [`Study`]: T1 and T2 aligned on T1C's
//! canonical axial grid, which slices they cover, and slices prepared for a bundle's networks.

pub mod checks;
pub mod masks;
pub mod prepare;
mod slice_range;

use std::ops::Range;
use std::sync::{Arc, Mutex};

use ndarray::parallel::prelude::*;
use ndarray::{Array3, Array4, ArrayView2, ArrayView3, Axis};

use crate::bundle::manifest::Input;
use crate::error::{Error, Result};
use crate::geometry::Grid;
use crate::geometry::orientation::Orientation;
use crate::geometry::resample::resample;
use crate::geometry::reslice::{self, Reslice, Resliced};
use crate::run::{Run, Stage};
use crate::sequence::Sequence;
use crate::volume::Volume;
use prepare::Fit;
pub use slice_range::SliceRange;

/// A sequence must cover this share of T1C's foreground on a slice.
pub const LEAST_COVERAGE: f64 = 0.95;

/// T1C's foreground: voxels above this share of its 99.5th percentile. Air and noise lie below.
const FOREGROUND: f64 = 0.1;

/// How the sequences are brought together.
#[derive(Debug, Clone, Default)]
#[non_exhaustive]
pub struct StudyOptions {
    /// Go on where the frames of reference differ; recorded as a warning.
    pub force_geometry: bool,
    /// Whether the model works on axial slices resampled from T1C rather than on T1C's own.
    pub reslice: Reslice,
}

impl StudyOptions {
    /// Continues if the frames of reference differ.
    #[must_use]
    pub fn with_force_geometry(mut self, force: bool) -> Self {
        self.force_geometry = force;
        self
    }

    /// Whether the model works on axial slices resampled from T1C.
    #[must_use]
    pub fn with_reslice(mut self, reslice: Reslice) -> Self {
        self.reslice = reslice;
        self
    }
}

/// Three sequences of one patient on a canonical grid: slices from inferior to superior, rows from
/// anterior to posterior, columns from the patient's right to left. It is T1C's own grid, permuted
/// and flipped, or axial slices resampled from T1C ([`reslice`]).
#[derive(Debug)]
pub struct Study {
    volumes: [Arc<Volume>; 3],
    /// How the array that the model's results are written to becomes canonical: T1C's storage, or
    /// the axial slices themselves.
    orientation: Orientation,
    resliced: Option<Resliced>,
    grid: Grid,
    /// T1 and T2 on `grid`, [k, j, i].
    aligned: [Array3<f32>; 2],
    /// Share of T1C's foreground that T1 and T2 cover, per slice.
    coverage: [Vec<f64>; 2],
    warnings: Vec<String>,
    /// The last prepared slices; the lock is held while they are made.
    prepared: Mutex<Option<(PreparedKey, Arc<Prepared>)>>,
}

/// The bundle's input section and the slice range.
type PreparedKey = (String, Range<usize>);

/// Slices as the networks see them.
#[derive(Debug)]
pub struct Prepared {
    /// [S, 3, G, G] in [0, 1].
    pub images: Array4<f32>,
    /// Canonical slice numbers of the rows of `images`.
    pub slices: Range<usize>,
    pub fit: Fit,
    /// What T1, T1C and T2 were divided by.
    pub divisors: [f64; 3],
}

/// One slice of T1C, as every listing names it.
#[derive(Debug, Clone, PartialEq, serde::Serialize)]
pub struct SliceInfo {
    /// Canonical number, 0-based, from inferior to superior.
    pub slice: usize,
    /// Index along the storage axis that runs from head to foot: k for DICOM and for any image
    /// stored axially. `None` where T1C was resliced.
    pub storage_slice: Option<usize>,
    /// z (LPS, mm) of the slice's centre.
    pub position_mm: f64,
    pub sop_instance_uid: Option<String>,
    /// Original 1-based frame of a multi-frame image.
    pub frame: Option<u32>,
}

impl SliceInfo {
    /// Names a slice of `reference`; the image, where it has one, is that of `storage_slice`.
    pub(crate) fn new(
        reference: &Volume,
        slice: usize,
        storage_slice: Option<usize>,
        position_mm: f64,
    ) -> Self {
        let image = storage_slice.and_then(|k| reference.dicom()?.slices.get(k));
        SliceInfo {
            slice,
            storage_slice,
            position_mm,
            sop_instance_uid: image.map(|i| i.sop_instance_uid.clone()),
            frame: image.and_then(|i| i.frame),
        }
    }
}

impl Study {
    /// Brings T1, T1C and T2 together.
    ///
    /// # Errors
    /// [`Error::Identity`], [`Error::Geometry`] or [`Error::Image`] where the sequences cannot be
    /// used together (see [`checks`]), where a DICOM T1C was not acquired axially and is not to be
    /// resliced, or where T1 or T2 does not overlap T1C.
    pub fn new(volumes: [Arc<Volume>; 3], options: &StudyOptions, run: &Run<'_>) -> Result<Self> {
        let mut warnings = checks::together(&volumes, options.force_geometry)?;
        let reference = &volumes[1];
        let resliced = Resliced::of(&reference.view(), options.reslice)?;
        let (orientation, grid) = match &resliced {
            Some(resliced) => (Orientation::CANONICAL, resliced.grid.clone()),
            None => own_axes(reference)?,
        };
        warnings.extend(turned(reference, resliced.as_ref(), options.reslice));
        let slices = grid.size()[2];
        if slices < 2 {
            return Err(Error::Image(
                "T1C has one axial slice only; a volume of at least two slices was expected".into(),
            ));
        }
        let foreground = foreground(reference)?;
        let t1c = orientation
            .canonical(resliced.as_ref().map_or(reference.voxels().view(), |r| r.voxels.view()));
        let reached = resliced.as_ref().map(|r| &r.covered);
        run.tick(Stage::Align, 0, 2)?;
        let mut aligned = Vec::with_capacity(2);
        let mut coverage = Vec::with_capacity(2);
        for (done, (sequence, volume)) in
            [(Sequence::T1, &volumes[0]), (Sequence::T2, &volumes[2])].into_iter().enumerate()
        {
            let resampled = resample(&volume.view(), &grid);
            let shares = covered(&resampled.covered, t1c, foreground, reached);
            if shares.iter().all(|s| *s == 0.0) {
                return Err(Error::Geometry(format!(
                    "{sequence} does not overlap T1C anywhere. Check that both are of the same examination and region"
                )));
            }
            let incomplete = shares.iter().filter(|s| **s < LEAST_COVERAGE).count();
            if incomplete > 0 {
                warnings.push(format!("{sequence} covers less than 95 % of T1C's foreground on {incomplete} of {slices} slices"));
            }
            aligned.push(resampled.voxels);
            coverage.push(shares);
            run.tick(Stage::Align, done + 1, 2)?;
        }
        let aligned: [Array3<f32>; 2] =
            aligned.try_into().map_err(|_| Error::Internal("two sequences were aligned".into()))?;
        let coverage: [Vec<f64>; 2] = coverage
            .try_into()
            .map_err(|_| Error::Internal("two sequences were aligned".into()))?;
        Ok(Study {
            volumes,
            orientation,
            resliced,
            grid,
            aligned,
            coverage,
            warnings,
            prepared: Mutex::new(None),
        })
    }

    /// The reference: T1C as it was read.
    pub fn reference(&self) -> &Volume {
        &self.volumes[1]
    }

    /// A sequence as it was read.
    pub fn volume(&self, sequence: Sequence) -> &Volume {
        &self.volumes[sequence as usize]
    }

    /// The canonical grid: T1C's own, or that of the axial slices it was resampled to.
    pub fn grid(&self) -> &Grid {
        &self.grid
    }

    /// Number of canonical slices.
    pub fn slices(&self) -> usize {
        self.grid.size()[2]
    }

    /// T1C on axial slices, where it was resampled to them.
    pub fn resliced(&self) -> Option<&Resliced> {
        self.resliced.as_ref()
    }

    /// How canonical and storage order relate; where T1C was resliced, the canonical slices are
    /// stored as they are.
    pub fn orientation(&self) -> &Orientation {
        &self.orientation
    }

    /// What the user should know of the sequences.
    pub fn warnings(&self) -> &[String] {
        &self.warnings
    }

    /// A sequence on the canonical grid, [k, j, i].
    pub fn canonical(&self, sequence: Sequence) -> ArrayView3<'_, f32> {
        match sequence {
            Sequence::T1 => self.aligned[0].view(),
            Sequence::T1C => match &self.resliced {
                Some(resliced) => resliced.voxels.view(),
                None => self.orientation.canonical(self.volumes[1].voxels().view()),
            },
            Sequence::T2 => self.aligned[1].view(),
        }
    }

    /// Share of T1C's foreground on `slice` that T1 and T2 cover.
    pub fn coverage(&self, slice: usize) -> [f64; 2] {
        [self.coverage[0][slice], self.coverage[1][slice]]
    }

    /// Whether both cover at least 95 %.
    pub fn is_covered(&self, slice: usize) -> bool {
        self.coverage(slice).iter().all(|c| *c >= LEAST_COVERAGE)
    }

    /// How listings name a slice.
    pub fn slice_info(&self, slice: usize) -> SliceInfo {
        let storage_slice =
            self.resliced.is_none().then(|| self.orientation.storage_slice(slice, self.slices()));
        SliceInfo::new(self.reference(), slice, storage_slice, self.grid.slice_centre(slice)[2])
    }

    /// The canonical slices whose centre has z (LPS mm) in `low .. high`.
    ///
    /// # Errors
    /// [`Error::Argument`] where there is none.
    pub fn slices_between_mm(&self, low: f64, high: f64) -> Result<Range<usize>> {
        let z: Vec<f64> = (0..self.slices()).map(|k| self.slice_info(k).position_mm).collect();
        let inside: Vec<usize> = (0..z.len()).filter(|k| z[*k] >= low && z[*k] < high).collect();
        match (inside.first(), inside.last()) {
            (Some(first), Some(last)) => Ok(*first..last + 1),
            _ => Err(Error::Argument(format!(
                "no slice lies between {low} and {high} mm; T1C's slices lie from {:.1} to {:.1} mm (z, head positive)",
                z[0],
                z[z.len() - 1]
            ))),
        }
    }

    /// Checks a range of canonical slices, half open; `None` is all of them.
    ///
    /// # Errors
    /// [`Error::Argument`].
    pub fn check_slices(&self, range: Option<Range<usize>>) -> Result<Range<usize>> {
        let all = 0..self.slices();
        let range = range.unwrap_or_else(|| all.clone());
        if range.start >= range.end || range.end > all.end {
            return Err(Error::Argument(format!(
                "slice range {}:{} is not inside the study; T1C has {} slices: 0:{} (half open, from inferior to superior)",
                range.start, range.end, all.end, all.end
            )));
        }
        Ok(range)
    }

    /// The slices of `range` as a bundle's networks see them; made once and kept until another
    /// bundle or range asks.
    ///
    /// # Errors
    /// [`Error::Image`] where a channel cannot be scaled.
    pub fn prepared(
        &self,
        input: &Input,
        range: Range<usize>,
        run: &Run<'_>,
    ) -> Result<Arc<Prepared>> {
        let key = (
            serde_json::to_string(input).map_err(|e| Error::Internal(e.to_string()))?,
            range.clone(),
        );
        let mut cache = self.prepared.lock().unwrap_or_else(|p| p.into_inner());
        if let Some((_, prepared)) = cache.as_ref().filter(|(k, _)| *k == key) {
            return Ok(prepared.clone());
        }
        run.tick(Stage::Prepare, 0, 1)?;
        let fit = Fit::new(&input.fit, input.grid, &self.grid);
        let mut divisors = [1.0; 3];
        for (divisor, channel) in divisors.iter_mut().zip(&input.channels) {
            *divisor = prepare::divisor(
                &channel.scaling,
                self.volume(channel.sequence),
                channel.sequence,
            )?;
        }
        let views = Sequence::ALL.map(|sequence| self.canonical(sequence));
        let planes = |c: usize| -> Vec<ArrayView2<'_, f32>> {
            range.clone().map(|k| views[c].index_axis(Axis(0), k)).collect()
        };
        let images = prepare::images([planes(0), planes(1), planes(2)], divisors, &fit);
        let prepared = Arc::new(Prepared { images, slices: range, fit, divisors });
        *cache = Some((key, prepared.clone()));
        run.tick(Stage::Prepare, 1, 1)?;
        Ok(prepared)
    }
}

/// The canonical grid of T1C's own axes.
fn own_axes(reference: &Volume) -> Result<(Orientation, Grid)> {
    let orientation = Orientation::of(reference.grid()).map_err(|e| e.within("T1C"))?;
    if reference.dicom().is_some() && !orientation.slices_are_axial() {
        return Err(Error::Geometry(format!(
            "T1C was acquired {}; the model works on axial slices, and the RT Structure Set must lie on the original planes. Give an axial T1C \
             series, or use --reslice axial: the model then sees T1C resampled to axial slices, and its result is brought back onto the \
             original ones",
            reslice::plane(reference.grid())
        )));
    }
    let grid = orientation.canonical_grid(reference.grid())?;
    Ok((orientation, grid))
}

/// What the user should know of how T1C lies.
fn turned(reference: &Volume, resliced: Option<&Resliced>, asked: Reslice) -> Option<String> {
    let degrees = Orientation::nearest(reference.grid()).turned_deg(reference.grid());
    match (resliced, asked) {
        (Some(resliced), _) => Some(resliced.summary.words()),
        (None, Reslice::Axial { .. }) => {
            Some(format!("T1C's slices are axial to within {degrees:.1} degrees: nothing was resampled, although reslicing was asked for"))
        }
        (None, Reslice::Never) => (degrees > reslice::TILT_WARNED_DEG).then(|| {
            format!(
                "T1C's axes lie up to {degrees:.0} degrees from the patient's; the model was made for axial slices. Look at the result with \
                 care, or use --reslice axial"
            )
        }),
    }
}

/// T1C's foreground lies above this value.
fn foreground(reference: &Volume) -> Result<f32> {
    let bright = reference.percentile_above_zero(99.5).ok_or_else(|| {
        Error::Image("T1C: no voxel lies above 0; MR signal was expected. Check the rescale intercept or the file".into())
    })?;
    Ok((FOREGROUND * bright) as f32)
}

/// Per slice: share of T1C's `canonical` voxels above `threshold` that are covered; where none is,
/// of what T1C `reached` there (`None`: the whole slice).
fn covered(
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
