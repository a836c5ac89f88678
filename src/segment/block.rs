//! A 3D network over the boxes of all slices at once (docs/reference/bundle.md, segmenter kind
//! `volume`).
//!
//! In: prepared slices and their positions, the segmenter's box on every slice to be segmented, the
//! graph. Out: a [`ProbabilityBlock`]: the probability on voxels of the model's own spacing, from
//! which every slice takes its plane. Patches are sampled from the slices when their turn comes, so
//! only the probability is held whole.

use ndarray::parallel::prelude::*;
use ndarray::{Array3, ArrayView4, Axis, s};

use crate::bundle::manifest::Window;
use crate::detect::BoundingBox;
use crate::error::{Error, Result};
use crate::geometry::grid::MAX_VOXELS;
use crate::geometry::interpolate::{Tap, mix};
use crate::memory;
use crate::run::{Run, Stage};
use crate::runtime::VolumeSegmenter;
use crate::segment::axis::{
    VoxelAxis, overlap, patch_starts, patch_weights, slice_tap, weight_sums,
};
use crate::segment::crop::Crop;
use crate::segment::patches::{BlockTaps, PatchRunner};

/// Prepared slices, stacked along their normal; a shear of T1C is ignored.
pub struct Stack<'a> {
    /// [S, 3, G, G].
    pub images: ArrayView4<'a, f32>,
    /// Positions of the slices along their normal, mm, ascending.
    pub places_mm: Vec<f64>,
    /// Pixel size of the grid along x and y, mm.
    pub pixel_mm: [f64; 2],
}

/// The probability around all boxes.
#[derive(Debug)]
pub struct ProbabilityBlock {
    /// [z, y, x].
    probability: Array3<f32>,
    z: VoxelAxis,
    y: VoxelAxis,
    x: VoxelAxis,
}

impl ProbabilityBlock {
    /// Runs the graph over the block that encloses `boxes`, each with its row of the stack; `None`
    /// without boxes.
    ///
    /// # Errors
    /// [`Error::Geometry`] if the block has too many voxels; [`Error::Argument`] if they do not fit
    /// into memory; [`Error::Bundle`] if the graph's output has a wrong shape; [`Error::Runtime`]
    /// if a model run fails or its output is out of range; [`Error::Cancelled`].
    pub fn predict(
        graph: &dyn VolumeSegmenter,
        window: &Window,
        stack: &Stack<'_>,
        boxes: &[(usize, BoundingBox)],
        run: &Run<'_>,
    ) -> Result<Option<Self>> {
        let rows = boxes.iter().map(|(row, _)| *row);
        let (Some(first), Some(last)) = (rows.clone().min(), rows.max()) else {
            run.tick(Stage::Segment, 0, 0)?;
            return Ok(None);
        };
        let places = &stack.places_mm[first..=last];
        let ends = |axis: usize| {
            let low = boxes.iter().fold(f64::INFINITY, |low, (_, b)| low.min(b.0[axis]));
            [low, boxes.iter().fold(f64::NEG_INFINITY, |high, (_, b)| high.max(b.0[axis + 2]))]
        };
        let in_plane = |axis: usize, mm: f64| {
            let [low, high] = ends(axis);
            VoxelAxis::filling(low, high, mm / stack.pixel_mm[axis])
        };
        let [along_z, along_y, along_x] = window.spacing_mm;
        let z = VoxelAxis::enclosing(places[0], places[places.len() - 1], along_z);
        let (y, x) = (in_plane(1, along_y), in_plane(0, along_x));
        let grid = stack.images.shape()[3];
        let within = |axis: &VoxelAxis| -> Vec<Option<Tap>> {
            let tap = |at: f64| (0.0..=grid as f64).contains(&at).then(|| Tap::new(at - 0.5, grid));
            (0..axis.count).map(|n| tap(axis.at(n))).collect()
        };
        let mut probability = zeros([z.count, y.count, x.count], window)?;
        let taps = BlockTaps {
            z: (0..z.count).map(|n| Some(slice_tap(z.at(n), places, first))).collect(),
            y: within(&y),
            x: within(&x),
        };

        let starts: [Vec<isize>; 3] = std::array::from_fn(|a| {
            patch_starts([z, y, x][a].count, window.patch[a], window.overlap)
        });
        let weights = window.patch.map(patch_weights);
        let total = starts.iter().map(Vec::len).product();
        let mut runner = PatchRunner::new(graph, window, total, run)?;
        for z in &starts[0] {
            for y in &starts[1] {
                for x in &starts[2] {
                    let start = [*z, *y, *x];
                    taps.sample(&stack.images, start, &mut runner.patch);
                    add_patch(&mut probability, runner.mean()?, start, &weights);
                }
            }
        }
        let sums: [Vec<f32>; 3] =
            std::array::from_fn(|a| weight_sums([z, y, x][a].count, &starts[a], &weights[a]));
        divide(&mut probability, &sums);
        Ok(Some(ProbabilityBlock { probability, z, y, x }))
    }

    /// The probability on the slice at `place_mm`, valid inside `bounding_box`.
    pub fn crop(&self, slice: usize, place_mm: f64, bounding_box: BoundingBox) -> Crop {
        let tap = Tap::new(self.z.index(place_mm), self.z.count);
        let [low, high] = [tap.low, tap.high].map(|z| self.probability.index_axis(Axis(0), z));
        let mut probability = low.to_owned();
        probability.zip_mut_with(&high, |p, high| *p = mix(*p, *high, tap.weight));
        let ([x0, x1], [y0, y1]) = (self.x.edges(), self.y.edges());
        Crop { slice, probability, extent: [x0, y0, x1, y1], bounding_box }
    }
}

/// Zeros for the block's probability.
fn zeros([z, y, x]: [usize; 3], window: &Window) -> Result<Array3<f32>> {
    let [dz, dy, dx] = window.spacing_mm;
    let size = format!(
        "the boxes span {z} x {y} x {x} voxels of the segmenter, each {dz} x {dy} x {dx} mm"
    );
    let voxels = z.checked_mul(y).and_then(|n| n.checked_mul(x)).filter(|n| *n <= MAX_VOXELS / 4);
    let voxels = voxels.ok_or_else(|| {
        Error::Geometry(format!(
            "{size}, expected at most {} voxels. Name fewer slices, or use a model of coarser \
             voxels",
            MAX_VOXELS / 4
        ))
    })?;
    let no_memory = |e: &dyn std::fmt::Display| {
        Error::Argument(format!("{size}, which do not fit into memory: {e}. Name fewer slices"))
    };
    let mut memory = memory::reserve(voxels).map_err(|e| no_memory(&e))?;
    memory.resize(voxels, 0.0);
    Array3::from_shape_vec((z, y, x), memory).map_err(|e| Error::Internal(e.to_string()))
}

/// Adds a patch's weighted probability to the block's.
fn add_patch(
    block: &mut Array3<f32>,
    patch: &Array3<f32>,
    start: [isize; 3],
    weights: &[Vec<f32>; 3],
) {
    let ranges: [_; 3] =
        std::array::from_fn(|a| overlap(start[a], weights[a].len(), block.shape()[a]));
    let [(z, pz), (y, py), (x, px)] = ranges;
    let mut inside = block.slice_mut(s![z, y, x]);
    let along_x = &weights[2][px.clone()];
    for ((mut plane, patch), z) in inside
        .axis_iter_mut(Axis(0))
        .zip(patch.slice(s![pz.clone(), py.clone(), px]).outer_iter())
        .zip(&weights[0][pz])
    {
        for ((mut row, patch), y) in
            plane.rows_mut().into_iter().zip(patch.rows()).zip(&weights[1][py.clone()])
        {
            row.iter_mut().zip(patch).zip(along_x).for_each(|((sum, p), x)| *sum += z * y * x * p);
        }
    }
}

/// Divides the summed probability by the summed weights.
fn divide(block: &mut Array3<f32>, sums: &[Vec<f32>; 3]) {
    block.axis_iter_mut(Axis(0)).into_par_iter().zip(&sums[0]).for_each(|(mut plane, z)| {
        for (mut row, y) in plane.rows_mut().into_iter().zip(&sums[1]) {
            row.iter_mut().zip(&sums[2]).for_each(|(p, x)| *p = (*p / (z * y * x)).clamp(0.0, 1.0));
        }
    });
}

#[cfg(test)]
mod tests;
