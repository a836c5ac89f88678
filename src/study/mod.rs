//! The patient's three MR sequences.
//!
//! In: three [`Volume`]s, each on its own grid. Out: a [`Study`]: T1 and T2 aligned on T1C's
//! canonical axial grid, the slices that they cover, and slices prepared for a bundle's networks.

pub mod checks;
mod coverage;
pub mod masks;
pub mod prepare;
mod slice_info;
mod slice_range;

use std::ops::Range;
use std::sync::{Arc, Mutex};

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
use coverage::{check_coverage, covered_shares, foreground_threshold};
use prepare::Fit;
pub use slice_info::SliceInfo;
pub use slice_range::SliceRange;

/// A sequence must cover this share of T1C's foreground on a slice.
pub const LEAST_COVERAGE: f64 = 0.95;

/// How the sequences are validated and aligned.
#[derive(Debug, Clone, Default)]
#[non_exhaustive]
pub struct StudyOptions {
    /// Continue if the frames of reference differ; recorded as a warning.
    pub force_geometry: bool,
    /// Whether the model works on axial slices resampled from T1C rather than on T1C's own.
    pub reslice: Reslice,
}

impl StudyOptions {
    /// Sets whether to continue if the frames of reference differ.
    #[must_use]
    pub fn with_force_geometry(mut self, force: bool) -> Self {
        self.force_geometry = force;
        self
    }

    /// Sets whether the model works on axial slices resampled from T1C.
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
    /// The orientation of the array that receives the model's results: T1C's storage, or the axial
    /// slices themselves.
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
    /// Maps between the networks' grid and the slices.
    pub fit: Fit,
    /// The divisors of T1, T1C and T2.
    pub divisors: [f64; 3],
}

impl Study {
    /// Validates T1, T1C and T2 and aligns T1 and T2 on T1C's canonical grid.
    ///
    /// # Errors
    /// [`Error::Identity`], [`Error::Geometry`] or [`Error::Image`] if the sequences do not belong
    /// together (see [`checks`]), if a DICOM T1C was not acquired axially and is not to be
    /// resliced, or if T1 or T2 does not overlap T1C.
    pub fn new(volumes: [Arc<Volume>; 3], options: &StudyOptions, run: &Run<'_>) -> Result<Self> {
        let mut warnings = checks::validate_sequences(&volumes, options.force_geometry)?;
        let reference = &volumes[1];
        let resliced = Resliced::of(&reference.view(), options.reslice)?;
        let (orientation, grid) = match &resliced {
            Some(resliced) => (Orientation::CANONICAL, resliced.grid.clone()),
            None => canonical_reference(reference)?,
        };
        warnings.extend(tilt_warning(reference, resliced.as_ref(), options.reslice));
        if grid.size()[2] < 2 {
            return Err(Error::Image(
                "T1C has one axial slice only, expected a volume of at least two slices. Give the \
                 whole series"
                    .into(),
            ));
        }
        let foreground = foreground_threshold(reference)?;
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
            let shares = covered_shares(&resampled.covered, t1c, foreground, reached);
            warnings.extend(check_coverage(sequence, &shares)?);
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

    /// T1C on axial slices, if it was resliced.
    pub fn resliced(&self) -> Option<&Resliced> {
        self.resliced.as_ref()
    }

    /// The relation of canonical and storage order; if T1C was resliced, the canonical slices are
    /// the storage.
    pub fn orientation(&self) -> &Orientation {
        &self.orientation
    }

    /// Warnings for the user about the sequences.
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

    /// The entry of a slice in listings.
    pub fn slice_info(&self, slice: usize) -> SliceInfo {
        let storage_slice =
            self.resliced.is_none().then(|| self.orientation.storage_slice(slice, self.slices()));
        SliceInfo::new(self.reference(), slice, storage_slice, self.grid.slice_centre(slice)[2])
    }

    /// The canonical slices whose centre has z (LPS mm) in `low .. high`.
    ///
    /// # Errors
    /// [`Error::Argument`] if there is none.
    pub fn slices_between_mm(&self, low: f64, high: f64) -> Result<Range<usize>> {
        let z: Vec<f64> = (0..self.slices()).map(|k| self.slice_info(k).position_mm).collect();
        let inside: Vec<usize> = (0..z.len()).filter(|k| z[*k] >= low && z[*k] < high).collect();
        match (inside.first(), inside.last()) {
            (Some(first), Some(last)) => Ok(*first..last + 1),
            _ => Err(Error::Argument(format!(
                "no slice lies between {low} and {high} mm, expected a range within {:.1} to {:.1} \
                 mm (z, head positive), where T1C's slices lie. Choose another range",
                z[0],
                z[z.len() - 1]
            ))),
        }
    }

    /// Checks a range of canonical slices, half open; `None` stands for all.
    ///
    /// # Errors
    /// [`Error::Argument`] if the range is empty or not inside the study.
    pub fn check_slices(&self, range: Option<Range<usize>>) -> Result<Range<usize>> {
        let all = 0..self.slices();
        let range = range.unwrap_or_else(|| all.clone());
        if range.start >= range.end || range.end > all.end {
            return Err(Error::Argument(format!(
                "slice range {}:{} is empty or not inside the study, expected a range in 0:{} \
                 (half \
                 open, from inferior to superior). Choose another range",
                range.start, range.end, all.end
            )));
        }
        Ok(range)
    }

    /// The slices of `range` as a bundle's networks see them; cached until another bundle or range
    /// is requested.
    ///
    /// # Errors
    /// [`Error::Image`] if a channel cannot be scaled.
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

/// The orientation of T1C and its canonical grid.
///
/// # Errors
/// [`Error::Geometry`] if T1C is a DICOM series that was not acquired axially.
fn canonical_reference(reference: &Volume) -> Result<(Orientation, Grid)> {
    let orientation = Orientation::of(reference.grid()).map_err(|e| e.within("T1C"))?;
    if reference.dicom().is_some() && !orientation.slices_are_axial() {
        return Err(Error::Geometry(format!(
            "T1C was acquired {}, expected axial slices, on which the model works, as the RT \
             Structure Set must lie on the original planes. Give an axial T1C series, or use \
             --reslice axial: the model then sees T1C resampled to axial slices, and its result is \
             resampled onto the original ones",
            reslice::plane(reference.grid())
        )));
    }
    let grid = orientation.canonical_grid(reference.grid())?;
    Ok((orientation, grid))
}

/// The warning about T1C's tilt or reslicing, if there is one.
fn tilt_warning(reference: &Volume, resliced: Option<&Resliced>, asked: Reslice) -> Option<String> {
    let degrees = Orientation::nearest(reference.grid()).tilt_deg(reference.grid());
    match (resliced, asked) {
        (Some(resliced), _) => Some(resliced.summary.warning()),
        (None, Reslice::Axial { .. }) => Some(format!(
            "T1C's slices are axial to within {degrees:.1} degrees: nothing was resampled, \
                 although reslicing was requested"
        )),
        (None, Reslice::Never) => (degrees > reslice::TILT_WARNED_DEG).then(|| {
            format!(
                "T1C's axes lie up to {degrees:.0} degrees from the patient's, but the model was \
                 made for axial slices. Check the result with care, or use --reslice axial"
            )
        }),
    }
}
