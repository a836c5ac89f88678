//! Patches of prepared slices, and the model runs on them.
//!
//! In: prepared slices and the position of every voxel between them. Out: patches, sampled when
//! their turn comes, and the probability that the graph gives on each.

use ndarray::parallel::prelude::*;
use ndarray::{Array3, Array5, ArrayView2, ArrayView4, ArrayViewMut2, Axis, Dimension, s};

use crate::bundle::manifest::Window;
use crate::error::Result;
use crate::geometry::interpolate::{Tap, mix, mix_rows};
use crate::memory;
use crate::run::{Run, Stage};
use crate::runtime::VolumeSegmenter;
use crate::segment::{out_of_range, wrong_shape};

/// Positions of a block's voxels between slices, rows and columns; `None` outside the grid.
pub(super) struct BlockTaps {
    pub(super) z: Vec<Option<Tap>>,
    pub(super) y: Vec<Option<Tap>>,
    pub(super) x: Vec<Option<Tap>>,
}

impl BlockTaps {
    /// Samples the patch [1, 3, D, H, W] at `start`, trilinear; 0 outside the block.
    pub(super) fn sample(
        &self,
        images: &ArrayView4<'_, f32>,
        start: [isize; 3],
        patch: &mut Array5<f32>,
    ) {
        let at = |taps: &[Option<Tap>], start: isize, n: usize| {
            usize::try_from(start + n as isize).ok().and_then(|n| *taps.get(n)?)
        };
        let width = patch.shape()[4];
        let columns: Vec<Option<Tap>> = (0..width).map(|n| at(&self.x, start[2], n)).collect();
        patch.index_axis_mut(Axis(0), 0).outer_iter_mut().enumerate().for_each(
            |(channel, mut volume)| {
                volume.axis_iter_mut(Axis(0)).into_par_iter().enumerate().for_each(
                    |(n, mut plane)| {
                        let Some(z) = at(&self.z, start[0], n) else { return plane.fill(0.0) };
                        let slices =
                            [z.low, z.high].map(|row| images.slice(s![row, channel, .., ..]));
                        let rows = (0..plane.nrows()).map(|n| at(&self.y, start[1], n));
                        sample_plane(slices, z.weight, rows, &columns, plane.view_mut());
                    },
                );
            },
        );
    }
}

/// Samples a plane between two slices, `weight` of the way to the second.
fn sample_plane(
    slices: [ArrayView2<'_, f32>; 2],
    weight: f32,
    rows: impl Iterator<Item = Option<Tap>>,
    columns: &[Option<Tap>],
    mut out: ArrayViewMut2<'_, f32>,
) {
    let width = slices[0].ncols();
    let (mut both, mut mixed) = ([vec![0.0; width], vec![0.0; width]], vec![0.0; width]);
    for (mut out, tap) in out.rows_mut().into_iter().zip(rows) {
        let Some(tap) = tap else {
            out.fill(0.0);
            continue;
        };
        for (slice, row) in slices.iter().zip(&mut both) {
            let [low, high] = [tap.low, tap.high].map(|j| slice.row(j));
            match (low.to_slice(), high.to_slice()) {
                (Some(low), Some(high)) => mix_rows(low, high, tap.weight, row),
                _ => row
                    .iter_mut()
                    .zip(low.iter().zip(high))
                    .for_each(|(out, (low, high))| *out = mix(*low, *high, tap.weight)),
            }
        }
        mix_rows(&both[0], &both[1], weight, &mut mixed);
        for (value, tap) in out.iter_mut().zip(columns) {
            *value = tap.map_or(0.0, |tap| mix(mixed[tap.low], mixed[tap.high], tap.weight));
        }
    }
}

/// Runs the graph on one patch after the other.
pub(super) struct PatchRunner<'a> {
    graph: &'a dyn VolumeSegmenter,
    /// The next patch, [1, 3, D, H, W].
    pub(super) patch: Array5<f32>,
    /// [D, H, W].
    mean: Array3<f32>,
    /// Number of mirrored copies; bit a of a copy's number: axis a is mirrored.
    mirrors: usize,
    done: usize,
    total: usize,
    run: &'a Run<'a>,
}

impl<'a> PatchRunner<'a> {
    pub(super) fn new(
        graph: &'a dyn VolumeSegmenter,
        window: &Window,
        patches: usize,
        run: &'a Run<'a>,
    ) -> Result<Self> {
        let [d, h, w] = window.patch;
        let mirrors = if window.mirror { 8 } else { 1 };
        let total = patches.saturating_mul(mirrors);
        run.tick(Stage::Segment, 0, total)?;
        Ok(PatchRunner {
            graph,
            patch: memory::zeros((1, 3, d, h, w)),
            mean: memory::zeros((d, h, w)),
            mirrors,
            done: 0,
            total,
            run,
        })
    }

    /// The probability [D, H, W] of the patch: the mean over its mirrored copies if the window
    /// mirrors.
    pub(super) fn mean(&mut self) -> Result<&Array3<f32>> {
        let (_, _, d, h, w) = self.patch.dim();
        self.mean.fill(0.0);
        for mirror in 0..self.mirrors {
            let mirrored = (0..3).filter(|axis| mirror >> axis & 1 == 1).map(|axis| Axis(2 + axis));
            let mut input = self.patch.view();
            mirrored.clone().for_each(|axis| input.invert_axis(axis));
            let mut output = self.graph.segment_patches(input.as_standard_layout().view())?;
            if output.dim() != (1, 1, d, h, w) {
                return Err(wrong_shape(output.raw_dim().slice(), &[1, 1, d, h, w]));
            }
            if output.iter().any(|p| !(0.0..=1.0).contains(p)) {
                return Err(out_of_range(&format!(
                    "in model run {} of {}",
                    self.done + 1,
                    self.total
                )));
            }
            mirrored.for_each(|axis| output.invert_axis(axis));
            self.mean += &output.slice(s![0, 0, .., .., ..]);
            self.done += 1;
            self.run.tick(Stage::Segment, self.done, self.total)?;
        }
        self.mean /= self.mirrors as f32;
        Ok(&self.mean)
    }
}
