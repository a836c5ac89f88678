//! One MR sequence of a patient.
//!
//! In: a file's content, or a caller's buffer. Out: voxels [k, j, i] in storage order, their
//! [`Grid`], and their source.

use std::sync::{Arc, Mutex, OnceLock};

use ndarray::parallel::prelude::*;
use ndarray::{Array3, ArrayView2, Axis};

mod percentile;
mod source;

use crate::error::{Error, Result};
use crate::geometry::VoxelView;
pub use crate::geometry::grid::SAME_PLACE_MM;
use crate::geometry::grid::{Grid, norm, sub};
pub use source::{DicomSeries, DicomSlice, Source};

/// A volume: voxels in storage order, their grid and their source.
#[derive(Debug, Clone)]
pub struct Volume {
    voxels: Array3<f32>,
    grid: Grid,
    source: Source,
    cached: Cached,
}

/// Values derived from voxels and grid, which never change. Copies of a volume share them.
#[derive(Debug, Clone, Default)]
struct Cached {
    sha256: Arc<OnceLock<String>>,
    percentiles: Arc<Mutex<Percentiles>>,
}

/// Percentiles above zero computed so far, and their values.
type Percentiles = Vec<(f64, Option<f64>)>;

impl Volume {
    /// A volume of `voxels` [k, j, i] on `grid`; messages call the input `name`.
    ///
    /// # Errors
    /// [`Error::Image`] if a voxel is NaN or infinite.
    pub fn new(voxels: Array3<f32>, grid: Grid, source: Source, name: &str) -> Result<Self> {
        if voxels.dim() != grid.shape() {
            return Err(Error::Internal(format!(
                "{name}: voxels {:?} on a grid of {:?}",
                voxels.dim(),
                grid.shape()
            )));
        }
        // A row at a time without an early exit, so that the compiler can vectorise.
        let finite = |plane: ArrayView2<'_, f32>| {
            plane.rows().into_iter().all(|row| row.iter().fold(true, |all, v| all & v.is_finite()))
        };
        // The voxel itself is searched only for the message.
        if !voxels.axis_iter(Axis(0)).into_par_iter().all(finite)
            && let Some(((k, j, i), value)) = voxels.indexed_iter().find(|(_, v)| !v.is_finite())
        {
            return Err(Error::Image(format!(
                "{name}: voxel (i {i}, j {j}, k {k}) is {value}, expected a finite number. \
                 Clean the image before use"
            )));
        }
        let voxels = if voxels.is_standard_layout() {
            voxels
        } else {
            voxels.as_standard_layout().into_owned()
        };
        Ok(Volume { voxels, grid, source, cached: Cached::default() })
    }

    /// The value of all voxels, if they are equal: such a volume may be a mask, but not an image.
    pub fn constant(&self) -> Option<f32> {
        let first = self.voxels.iter().next().copied()?;
        self.voxels.iter().all(|v| *v == first).then_some(first)
    }

    /// The volume's source, for messages.
    pub fn place(&self) -> String {
        match &self.source {
            Source::Memory => "in memory".into(),
            Source::File { path, .. } => path.display().to_string(),
            Source::Dicom(series) => format!("series {}", series.series_instance_uid),
        }
    }

    /// SHA-256 (hex) of size, geometry and voxels, which identifies the input of a result. Float32
    /// and float64, little endian, storage order. Computed once.
    pub fn sha256(&self) -> &str {
        self.cached.sha256.get_or_init(|| self.hash())
    }

    fn hash(&self) -> String {
        use sha2::{Digest, Sha256};
        let mut hasher = Sha256::new();
        for n in self.grid.size() {
            hasher.update((n as u64).to_le_bytes());
        }
        for point in [self.grid.axis_i(), self.grid.axis_j()].iter().chain(self.grid.origins()) {
            point.iter().for_each(|v| hasher.update(v.to_le_bytes()));
        }
        match self.voxels.as_slice() {
            Some(voxels) if cfg!(target_endian = "little") => {
                hasher.update(bytemuck::cast_slice::<f32, u8>(voxels))
            }
            _ => self.voxels.iter().for_each(|v| hasher.update(v.to_le_bytes())),
        }
        crate::hash::hex(&hasher.finalize())
    }

    /// Percentile of the voxels above 0, linear between order statistics; `None` if there are none.
    /// Each is computed once and cached.
    pub fn percentile_above_zero(&self, percentile: f64) -> Option<f64> {
        let cached = || self.cached.percentiles.lock().unwrap_or_else(|p| p.into_inner());
        if let Some((_, value)) = cached().iter().find(|(of, _)| *of == percentile) {
            return *value;
        }
        // Not under the lock: a thread that waits for the other parts of the count may be given
        // work that also needs a percentile.
        let value = match self.voxels.as_slice() {
            Some(voxels) => percentile::above_zero(voxels, percentile),
            None => percentile::above_zero(
                &self.voxels.iter().copied().collect::<Vec<f32>>(),
                percentile,
            ),
        };
        cached().push((percentile, value));
        value
    }

    /// The voxels with their grid and the volume's name in messages.
    pub fn view(&self) -> VoxelView<'_> {
        VoxelView { voxels: self.voxels.view(), grid: &self.grid, place: self.place() }
    }

    /// [k, j, i], storage order.
    pub fn voxels(&self) -> &Array3<f32> {
        &self.voxels
    }

    /// The grid of the voxels.
    pub fn grid(&self) -> &Grid {
        &self.grid
    }

    /// The source of the volume.
    pub fn source(&self) -> &Source {
        &self.source
    }

    /// States that this volume, a viewer's own buffer, shows the DICOM series `series`, so that
    /// results can refer to its images. The order of the slices may be reversed.
    ///
    /// # Errors
    /// [`Error::Geometry`] if sizes differ, or any slice lies more than [`SAME_PLACE_MM`] from the
    /// series' own.
    pub fn with_dicom(mut self, series: &Volume, name: &str) -> Result<Self> {
        let dicom = series.dicom().ok_or_else(|| {
            Error::Argument(format!(
                "{name}: the source is not a DICOM series, expected one. Give the series that the \
                 volume was loaded from"
            ))
        })?;
        let slices = self.grid.size()[2];
        let far = |reversed: bool| {
            if self.grid.size() != series.grid.size() {
                return f64::INFINITY;
            }
            let [ni, nj, _] = self.grid.size();
            let corners = [(0, 0), (ni - 1, 0), (0, nj - 1), (ni - 1, nj - 1)]
                .map(|(i, j)| (i as f64, j as f64));
            (0..slices).flat_map(|k| corners.map(|c| (k, c))).fold(0.0, |far: f64, (k, (i, j))| {
                let there = if reversed { slices - 1 - k } else { k };
                far.max(norm(sub(self.grid.point(i, j, k), series.grid.point(i, j, there))))
            })
        };
        let (same, reversed) = (far(false), far(true));
        if same.min(reversed) > SAME_PLACE_MM {
            let difference = if same.is_finite() {
                format!("their corners lie up to {:.3} mm apart", same.min(reversed))
            } else {
                format!("{:?} voxels against {:?}", self.grid.size(), series.grid.size())
            };
            return Err(Error::Geometry(format!(
                "{name}: the volume in memory does not lie where its DICOM series lies: \
                 {difference}, expected at most {SAME_PLACE_MM} mm. Give the series that the \
                 volume \
                 was loaded from, before any resampling or transform"
            )));
        }
        let mut dicom = dicom.clone();
        if reversed < same {
            dicom.slices.reverse();
        }
        self.source = Source::Dicom(Box::new(dicom));
        Ok(self)
    }

    /// The DICOM series behind this volume, if there is one.
    pub fn dicom(&self) -> Option<&DicomSeries> {
        match &self.source {
            Source::Dicom(series) => Some(series),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn grid() -> Grid {
        Grid::new([2, 2, 1], [1.0, 0.0, 0.0], [0.0, 1.0, 0.0], vec![[0.0; 3]]).unwrap()
    }

    #[test]
    fn nan_is_refused_by_name_and_constants_are_detected() {
        let mut voxels = Array3::from_shape_vec((1, 2, 2), vec![0.0, 1.0, 2.0, f32::NAN]).unwrap();
        let error = Volume::new(voxels.clone(), grid(), Source::Memory, "scan.nii").unwrap_err();
        assert!(error.to_string().contains("scan.nii: voxel (i 1, j 1, k 0) is NaN"), "{error}");
        voxels.fill(4.0);
        assert_eq!(
            Volume::new(voxels, grid(), Source::Memory, "scan.nii").unwrap().constant(),
            Some(4.0)
        );
    }

    #[test]
    fn cached_values_are_those_asked_for() {
        let voxels = Array3::from_shape_vec((1, 2, 2), vec![0.0, 1.0, 2.0, 4.0]).unwrap();
        let volume = Volume::new(voxels, grid(), Source::Memory, "v").unwrap();
        for _ in 0..2 {
            assert_eq!(
                [50.0, 100.0].map(|p| volume.percentile_above_zero(p)),
                [Some(2.0), Some(4.0)]
            );
        }
        // Size, axes, origin and voxels, as sha256sum hashes these bytes.
        let bytes = [2u64, 2, 1].iter().flat_map(|n| n.to_le_bytes());
        let geometry =
            [1.0f64, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0, 0.0].into_iter().flat_map(f64::to_le_bytes);
        let stored = [0.0f32, 1.0, 2.0, 4.0].into_iter().flat_map(f32::to_le_bytes);
        let bytes: Vec<u8> = bytes.chain(geometry).chain(stored).collect();
        use sha2::{Digest, Sha256};
        assert_eq!(volume.sha256(), crate::hash::hex(&Sha256::digest(bytes)));
        assert_eq!(volume.clone().sha256(), volume.sha256());
    }
}
