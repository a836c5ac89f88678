//! A 3D network over the boxes of all slices at once (docs/reference/bundle.md, segmenter kind
//! `volume`).
//!
//! In: prepared slices and where they lie, the segmenter's box on every slice to be segmented, the
//! graph. Out: a [`Region`]: the probability on voxels of the model's own spacing, from which every
//! slice takes its plane. Patches are cut from the slices when their turn comes, so that only the
//! probability is held whole.

use ndarray::parallel::prelude::*;
use ndarray::{Array3, Array5, ArrayView2, ArrayView4, ArrayViewMut2, Axis, Dimension, s};

use crate::bundle::manifest::Window;
use crate::detect::BoundingBox;
use crate::error::{Error, Result};
use crate::geometry::grid::MAX_VOXELS;
use crate::geometry::interpolate::{Tap, mix, mix_rows};
use crate::memory;
use crate::run::{Run, Stage};
use crate::runtime::networks::Graphs;
use crate::segment::field::Crop;
use crate::segment::lines::{Line, between, overlap, starts, sums, weights};
use crate::segment::miscalculated;

/// Prepared slices, one over the other: where T1C is sheared, they are taken as if it were not.
pub struct Stack<'a> {
    /// [S, 3, G, G].
    pub images: ArrayView4<'a, f32>,
    /// Where the slices lie along their normal, mm, ascending.
    pub places_mm: Vec<f64>,
    /// A pixel of the grid along x and y, mm.
    pub pixel_mm: [f64; 2],
}

/// The probability around all boxes.
#[derive(Debug)]
pub struct Region {
    /// [z, y, x].
    probability: Array3<f32>,
    z: Line,
    y: Line,
    x: Line,
}

impl Region {
    /// Runs the graph over the region of `boxes`, each with its row of the stack; `None` where
    /// there is none.
    ///
    /// # Errors
    /// [`Error::Geometry`] where the region has too many voxels; [`Error::Argument`] where they do
    /// not fit into memory; [`Error::Bundle`] or [`Error::Runtime`] where the graph gives what it
    /// must not; what running gives; [`Error::Cancelled`].
    pub fn predict(
        graphs: &dyn Graphs,
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
            Line::filling(low, high, mm / stack.pixel_mm[axis])
        };
        let [along_z, along_y, along_x] = window.spacing_mm;
        let z = Line::reaching(places[0], places[places.len() - 1], along_z);
        let (y, x) = (in_plane(1, along_y), in_plane(0, along_x));
        let grid = stack.images.shape()[3];
        let within = |line: &Line| -> Vec<Option<Tap>> {
            let tap = |at: f64| (0.0..=grid as f64).contains(&at).then(|| Tap::new(at - 0.5, grid));
            (0..line.count).map(|n| tap(line.at(n))).collect()
        };
        let mut probability = empty([z.count, y.count, x.count], window)?;
        let taps = Taps {
            z: (0..z.count).map(|n| Some(between(z.at(n), places, first))).collect(),
            y: within(&y),
            x: within(&x),
        };

        let starts: [Vec<isize>; 3] =
            std::array::from_fn(|a| starts([z, y, x][a].count, window.patch[a], window.overlap));
        let weights = window.patch.map(weights);
        let mut patches = Patches::new(graphs, window, starts.iter().map(Vec::len).product(), run)?;
        for z in &starts[0] {
            for y in &starts[1] {
                for x in &starts[2] {
                    let start = [*z, *y, *x];
                    taps.cut(&stack.images, start, &mut patches.patch);
                    add(&mut probability, patches.mean()?, start, &weights);
                }
            }
        }
        let sums: [Vec<f32>; 3] =
            std::array::from_fn(|a| sums([z, y, x][a].count, &starts[a], &weights[a]));
        probability.axis_iter_mut(Axis(0)).into_par_iter().zip(&sums[0]).for_each(
            |(mut plane, z)| {
                for (mut row, y) in plane.rows_mut().into_iter().zip(&sums[1]) {
                    row.iter_mut()
                        .zip(&sums[2])
                        .for_each(|(p, x)| *p = (*p / (z * y * x)).clamp(0.0, 1.0));
                }
            },
        );
        Ok(Some(Region { probability, z, y, x }))
    }

    /// What the region says of the slice at `place_mm`; nothing outside `bounding_box`.
    pub fn crop(&self, slice: usize, place_mm: f64, bounding_box: BoundingBox) -> Crop {
        let tap = Tap::new(self.z.index(place_mm), self.z.count);
        let [low, high] = [tap.low, tap.high].map(|z| self.probability.index_axis(Axis(0), z));
        let mut probability = low.to_owned();
        probability.zip_mut_with(&high, |p, high| *p = mix(*p, *high, tap.weight));
        let ([x0, x1], [y0, y1]) = (self.x.edges(), self.y.edges());
        Crop { slice, probability, extent: [x0, y0, x1, y1], bounding_box }
    }
}

/// Zeros for the region's probability.
fn empty([z, y, x]: [usize; 3], window: &Window) -> Result<Array3<f32>> {
    let [dz, dy, dx] = window.spacing_mm;
    let size = format!(
        "the boxes span {z} x {y} x {x} voxels of {dz} x {dy} x {dx} mm, which the segmenter works on"
    );
    let voxels = z.checked_mul(y).and_then(|n| n.checked_mul(x)).filter(|n| *n <= MAX_VOXELS / 4);
    let voxels = voxels.ok_or_else(|| {
        Error::Geometry(format!(
            "{size}; at most {} are made. Name fewer slices, or use a model of coarser voxels",
            MAX_VOXELS / 4
        ))
    })?;
    let no_memory = |e: &dyn std::fmt::Display| {
        Error::Argument(format!("{size}; they do not fit into memory: {e}. Name fewer slices"))
    };
    let mut memory = memory::reserve(voxels).map_err(|e| no_memory(&e))?;
    memory.resize(voxels, 0.0);
    Array3::from_shape_vec((z, y, x), memory).map_err(|e| Error::Internal(e.to_string()))
}

/// Adds a patch's probability to the region's.
fn add(region: &mut Array3<f32>, patch: &Array3<f32>, start: [isize; 3], weights: &[Vec<f32>; 3]) {
    let ranges: [_; 3] =
        std::array::from_fn(|a| overlap(start[a], weights[a].len(), region.shape()[a]));
    let [(z, pz), (y, py), (x, px)] = ranges;
    let mut inside = region.slice_mut(s![z, y, x]);
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

/// Where the region's voxels lie between slices, rows and columns; `None` outside the grid.
struct Taps {
    z: Vec<Option<Tap>>,
    y: Vec<Option<Tap>>,
    x: Vec<Option<Tap>>,
}

impl Taps {
    /// Samples the patch [1, 3, D, H, W] at `start`, trilinear; 0 outside the region.
    fn cut(&self, images: &ArrayView4<'_, f32>, start: [isize; 3], patch: &mut Array5<f32>) {
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
                        sample(slices, z.weight, rows, &columns, plane.view_mut());
                    },
                );
            },
        );
    }
}

/// A plane between two slices.
fn sample(
    slices: [ArrayView2<'_, f32>; 2],
    weight: f32,
    rows: impl Iterator<Item = Option<Tap>>,
    columns: &[Option<Tap>],
    mut out: ArrayViewMut2<'_, f32>,
) {
    let width = slices[0].ncols();
    let (mut lines, mut line) = ([vec![0.0; width], vec![0.0; width]], vec![0.0; width]);
    for (mut out, tap) in out.rows_mut().into_iter().zip(rows) {
        let Some(tap) = tap else {
            out.fill(0.0);
            continue;
        };
        for (slice, line) in slices.iter().zip(&mut lines) {
            let [low, high] = [tap.low, tap.high].map(|j| slice.row(j));
            match (low.to_slice(), high.to_slice()) {
                (Some(low), Some(high)) => mix_rows(low, high, tap.weight, line),
                _ => line
                    .iter_mut()
                    .zip(low.iter().zip(high))
                    .for_each(|(out, (low, high))| *out = mix(*low, *high, tap.weight)),
            }
        }
        mix_rows(&lines[0], &lines[1], weight, &mut line);
        for (value, tap) in out.iter_mut().zip(columns) {
            *value = tap.map_or(0.0, |tap| mix(line[tap.low], line[tap.high], tap.weight));
        }
    }
}

/// The graph, run on one patch after the other.
struct Patches<'a> {
    graphs: &'a dyn Graphs,
    /// [1, 3, D, H, W].
    patch: Array5<f32>,
    mean: Array3<f32>,
    /// Bit a: axis a is mirrored.
    mirrors: usize,
    done: usize,
    total: usize,
    run: &'a Run<'a>,
}

impl<'a> Patches<'a> {
    fn new(
        graphs: &'a dyn Graphs,
        window: &Window,
        patches: usize,
        run: &'a Run<'a>,
    ) -> Result<Self> {
        let [d, h, w] = window.patch;
        let mirrors = if window.mirror { 8 } else { 1 };
        let total = patches.saturating_mul(mirrors);
        run.tick(Stage::Segment, 0, total)?;
        Ok(Patches {
            graphs,
            patch: memory::zeros((1, 3, d, h, w)),
            mean: memory::zeros((d, h, w)),
            mirrors,
            done: 0,
            total,
            run,
        })
    }

    /// The probability of the patch, the mean over its mirrored ones where these are asked for.
    fn mean(&mut self) -> Result<&Array3<f32>> {
        let (_, _, d, h, w) = self.patch.dim();
        self.mean.fill(0.0);
        for mirror in 0..self.mirrors {
            let mirrored = (0..3).filter(|axis| mirror >> axis & 1 == 1).map(|axis| Axis(2 + axis));
            let mut input = self.patch.view();
            mirrored.clone().for_each(|axis| input.invert_axis(axis));
            let mut output = self.graphs.volume(input.as_standard_layout().view())?;
            if output.dim() != (1, 1, d, h, w) {
                return Err(miscalculated_shape(output.raw_dim().slice(), &[1, 1, d, h, w]));
            }
            if output.iter().any(|p| !(0.0..=1.0).contains(p)) {
                return Err(miscalculated(&format!(
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

/// A segmenter whose output is of another shape than its signature promised.
pub(crate) fn miscalculated_shape(found: &[usize], expected: &[usize]) -> Error {
    Error::bundle(format!(
        "the segmenter gave a probability of {found:?}, but {expected:?} was expected. Export the bundle again"
    ))
}

#[cfg(test)]
mod tests {
    use super::*;
    use ndarray::{Array2, Array4, ArrayView4, ArrayView5};

    /// A graph of one's own.
    struct Made<F: Fn(ArrayView5<'_, f32>) -> Array5<f32>>(F);

    impl<F: Fn(ArrayView5<'_, f32>) -> Array5<f32>> Graphs for Made<F> {
        fn trunk(&self, _: ArrayView4<'_, f32>, _: &[[f32; 4]], _: &[i64]) -> Result<Array2<f32>> {
            unreachable!()
        }
        fn q_head(
            &self,
            _: ArrayView2<'_, f32>,
            _: ArrayView2<'_, f32>,
            _: ArrayView2<'_, f32>,
        ) -> Result<Array2<f32>> {
            unreachable!()
        }
        fn proposals(&self, _: ArrayView4<'_, f32>) -> Result<(Array3<f32>, Array2<f32>)> {
            unreachable!()
        }
        fn segmenter(
            &self,
            _: ArrayView4<'_, f32>,
            _: &[[f32; 4]],
            _: &[i64],
        ) -> Result<Array4<f32>> {
            unreachable!()
        }
        fn volume(&self, patches: ArrayView5<'_, f32>) -> Result<Array5<f32>> {
            Ok((self.0)(patches))
        }
    }

    fn window(patch: [usize; 3], spacing_mm: [f64; 3]) -> Window {
        Window { patch, spacing_mm, overlap: 0.5, mirror: true }
    }

    fn t1c(patch: ArrayView5<'_, f32>) -> Array5<f32> {
        patch.slice(s![.., 1..2, .., .., ..]).to_owned()
    }

    /// A field that is linear in x, y and mm along the slices comes back as it was, patch by patch,
    /// weighted and mirrored.
    #[test]
    fn a_linear_field_comes_back() {
        let places = vec![0.0, 3.0, 5.0, 11.0];
        let field = |z: f64, y: f64, x: f64| (0.1 + 0.02 * z + 0.006 * y + 0.004 * x) as f32;
        let images = Array4::from_shape_fn((4, 3, 40, 40), |(k, c, y, x)| {
            if c == 1 { field(places[k], y as f64 + 0.5, x as f64 + 0.5) } else { 0.9 }
        });
        let stack =
            Stack { images: images.view(), places_mm: places.clone(), pixel_mm: [1.5, 0.8] };
        let boxes =
            [(1, BoundingBox([10.2, 8.0, 25.0, 20.9])), (3, BoundingBox([12.0, 7.1, 27.3, 20.0]))];
        for patch in [[2, 6, 5], [3, 40, 7], [9, 9, 64], [1, 1, 1]] {
            let region = Region::predict(
                &Made(t1c),
                &window(patch, [2.0, 1.1, 1.3]),
                &stack,
                &boxes,
                &Run::default(),
            )
            .unwrap()
            .unwrap();
            // From the first box's slice to the last's: 8 mm.
            assert_eq!(region.probability.dim(), (5, 11, 20));
            for ((k, j, i), p) in region.probability.indexed_iter() {
                let expected = field(region.z.at(k), region.y.at(j), region.x.at(i));
                assert!((p - expected).abs() < 1e-6, "{patch:?} {k} {j} {i}: {p} {expected}");
            }
            // A slice without a box of its own lies between two that have one.
            let crop = region.crop(2, places[2], boxes[0].1);
            let [x0, y0, x1, y1] = crop.extent;
            for ((v, u), p) in crop.probability.indexed_iter() {
                let (x, y) = (
                    x0 + (u as f64 + 0.5) * (x1 - x0) / 20.0,
                    y0 + (v as f64 + 0.5) * (y1 - y0) / 11.0,
                );
                assert!((p - field(places[2], y, x)).abs() < 1e-6);
            }
        }
    }

    /// Beyond the region a patch holds zeros, before and after alike.
    #[test]
    fn patches_larger_than_the_region_are_padded_with_zeros() {
        let images = Array4::from_elem((1, 3, 16, 16), 1.0f32);
        let stack = Stack { images: images.view(), places_mm: vec![7.0], pixel_mm: [1.0, 1.0] };
        let boxes = [(0, BoundingBox([4.0, 5.0, 9.0, 8.0]))];
        let graph = Made(|patch: ArrayView5<'_, f32>| {
            assert_eq!(patch.sum(), 3.0 * 15.0);
            assert_eq!(patch[[0, 0, 1, 2, 1]], 1.0);
            assert_eq!(patch[[0, 2, 1, 4, 5]], 1.0);
            t1c(patch)
        });
        let window = Window { mirror: false, ..window([4, 8, 8], [1.0; 3]) };
        let region =
            Region::predict(&graph, &window, &stack, &boxes, &Run::default()).unwrap().unwrap();
        assert_eq!(region.probability.dim(), (1, 3, 5));
        assert!(region.probability.iter().all(|p| *p == 1.0));
        assert!(Region::predict(&graph, &window, &stack, &[], &Run::default()).unwrap().is_none());
    }

    /// A network that favours one side of its patch does not, once mirrored.
    #[test]
    fn mirrored_patches_are_averaged() {
        let images = Array4::from_elem((2, 3, 16, 16), 0.5f32);
        let stack =
            Stack { images: images.view(), places_mm: vec![0.0, 1.0], pixel_mm: [1.0, 1.0] };
        let boxes =
            [(0, BoundingBox([0.0, 0.0, 16.0, 16.0])), (1, BoundingBox([0.0, 0.0, 16.0, 16.0]))];
        let runs = std::cell::Cell::new(0);
        let sided = Made(|patch: ArrayView5<'_, f32>| {
            runs.set(runs.get() + 1);
            let mut out = t1c(patch);
            for ((_, _, z, y, x), p) in out.indexed_iter_mut() {
                *p = (0.04 * x as f64 + 0.02 * y as f64 + 0.1 * z as f64) as f32;
            }
            out
        });
        let mut window = window([2, 16, 8], [1.0; 3]);
        let region =
            Region::predict(&sided, &window, &stack, &boxes, &Run::default()).unwrap().unwrap();
        assert_eq!(runs.get(), 3 * 8);
        let expected = 0.04 * 3.5 + 0.02 * 7.5 + 0.1 * 0.5;
        assert!(region.probability.iter().all(|p| (p - expected).abs() < 1e-6));
        window.mirror = false;
        let region =
            Region::predict(&sided, &window, &stack, &boxes, &Run::default()).unwrap().unwrap();
        assert_eq!((runs.get(), region.probability[[1, 0, 0]]), (3 * 9, 0.1));
    }

    #[test]
    fn what_a_graph_must_not_give_is_told() {
        let images = Array4::from_elem((1, 3, 16, 16), 1.0f32);
        let stack = Stack { images: images.view(), places_mm: vec![0.0], pixel_mm: [1.0, 1.0] };
        let boxes = [(0, BoundingBox([0.0, 0.0, 16.0, 16.0]))];
        let of = |graph: &dyn Graphs, spacing: f64| {
            Region::predict(
                graph,
                &window([2, 8, 8], [1.0, spacing, spacing]),
                &stack,
                &boxes,
                &Run::default(),
            )
            .unwrap_err()
        };
        for wrong in [1.5, -0.1, f32::NAN] {
            let error = of(&Made(|patch: ArrayView5<'_, f32>| t1c(patch) * wrong), 1.0);
            assert!(
                matches!(error, Error::Runtime { .. })
                    && error.to_string().contains("outside 0 .. 1 in model run 1 of 72"),
                "{error}"
            );
        }
        let error = of(&Made(|patch: ArrayView5<'_, f32>| patch.to_owned()), 1.0);
        assert!(
            matches!(error, Error::Bundle { .. }) && error.to_string().contains("[1, 3, 2, 8, 8]"),
            "{error}"
        );
        let error = of(&Made(t1c), 1e-4);
        assert!(
            matches!(error, Error::Geometry(_))
                && error.to_string().contains("160000 x 160000 voxels"),
            "{error}"
        );
    }

    #[test]
    fn progress_goes_up_by_model_runs_and_a_refusal_ends_them() {
        let images = Array4::from_elem((1, 3, 16, 16), 1.0f32);
        let stack = Stack { images: images.view(), places_mm: vec![0.0], pixel_mm: [1.0, 1.0] };
        let boxes = [(0, BoundingBox([0.0, 0.0, 16.0, 16.0]))];
        let seen = std::cell::RefCell::new(Vec::new());
        let runs = std::cell::Cell::new(0);
        let graph = Made(|patch: ArrayView5<'_, f32>| {
            runs.set(runs.get() + 1);
            t1c(patch)
        });
        for stop in [usize::MAX, 0, 5] {
            seen.borrow_mut().clear();
            runs.set(0);
            let report = |progress: crate::run::Progress| {
                seen.borrow_mut().push((progress.done, progress.total));
                progress.done < stop
            };
            let run = Run { progress: Some(&report), cancel: None };
            let outcome =
                Region::predict(&graph, &window([1, 8, 16], [1.0; 3]), &stack, &boxes, &run);
            let last = stop.min(24);
            assert_eq!(*seen.borrow(), (0..=last).map(|n| (n, 24)).collect::<Vec<_>>());
            assert_eq!((runs.get(), outcome.is_ok()), (last, stop > 24));
        }
    }
}
