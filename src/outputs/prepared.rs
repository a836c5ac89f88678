//! Aligned, scaled slices for training, as .npz.

use std::path::Path;

use crate::error::Result;
use crate::formats::write::rename_into_place;
use crate::study::Prepared;
use crate::study::Study;
use ndarray::{Array1, arr1};
use ndarray_npy::{NpzWriter, WriteNpzError};

/// Writes `images` [S, 3, G, G] float32 to `path`, with what maps them back to T1C: slice numbers
/// and positions, divisors, and the map between slice and grid.
///
/// # Errors
/// [`crate::Error::Write`].
pub fn write(path: &Path, prepared: &Prepared, study: &Study) -> Result<()> {
    let slices = || prepared.slices.clone();
    // -1 if T1C was resliced: there is no such slice in storage.
    let storage = |k: usize| study.slice_info(k).storage_slice.map_or(-1, |k| k as i64);
    rename_into_place(path, ".npz", |beside| {
        let mut npz = NpzWriter::new_compressed(std::fs::File::create(beside)?);
        let mut add = || -> std::result::Result<(), WriteNpzError> {
            npz.add_array("images", &prepared.images)?;
            npz.add_array("slices", &slices().map(|k| k as i64).collect::<Array1<i64>>())?;
            npz.add_array("storage_slices", &slices().map(storage).collect::<Array1<i64>>())?;
            npz.add_array(
                "position_mm",
                &slices().map(|k| study.slice_info(k).position_mm).collect::<Array1<f64>>(),
            )?;
            npz.add_array(
                "covered",
                &slices().map(|k| study.is_covered(k)).collect::<Array1<bool>>(),
            )?;
            npz.add_array("divisors", &arr1(&prepared.divisors))?;
            // slice = (grid - G / 2) * fit_scale + fit_size / 2, (x, y), pixel edges.
            npz.add_array("fit_scale", &arr1(&prepared.fit.scale))?;
            npz.add_array("fit_size", &arr1(&prepared.fit.size.map(|n| n as i64)))?;
            Ok(())
        };
        add().map_err(|e| std::io::Error::other(e.to_string()))?;
        npz.finish().map_err(|e| std::io::Error::other(e.to_string()))?;
        Ok(())
    })
}
