use super::*;
use ndarray::{Array4, Array5, ArrayView5};

/// A mock graph.
struct Mock<F: Fn(ArrayView5<'_, f32>) -> Array5<f32>>(F);

impl<F: Fn(ArrayView5<'_, f32>) -> Array5<f32>> VolumeSegmenter for Mock<F> {
    fn segment_patches(&self, patches: ArrayView5<'_, f32>) -> Result<Array5<f32>> {
        Ok((self.0)(patches))
    }
}

fn window(patch: [usize; 3], spacing_mm: [f64; 3]) -> Window {
    Window { patch, spacing_mm, overlap: 0.5, mirror: true }
}

fn t1c(patch: ArrayView5<'_, f32>) -> Array5<f32> {
    patch.slice(s![.., 1..2, .., .., ..]).to_owned()
}

/// A field that is linear in x, y and mm along the slices is reproduced by weighted and mirrored
/// patches.
#[test]
fn a_linear_field_is_reproduced() {
    let places = vec![0.0, 3.0, 5.0, 11.0];
    let field = |z: f64, y: f64, x: f64| (0.1 + 0.02 * z + 0.006 * y + 0.004 * x) as f32;
    let images = Array4::from_shape_fn((4, 3, 40, 40), |(k, c, y, x)| {
        if c == 1 { field(places[k], y as f64 + 0.5, x as f64 + 0.5) } else { 0.9 }
    });
    let stack = Stack { images: images.view(), places_mm: places.clone(), pixel_mm: [1.5, 0.8] };
    let boxes =
        [(1, BoundingBox([10.2, 8.0, 25.0, 20.9])), (3, BoundingBox([12.0, 7.1, 27.3, 20.0]))];
    for patch in [[2, 6, 5], [3, 40, 7], [9, 9, 64], [1, 1, 1]] {
        let block = ProbabilityBlock::predict(
            &Mock(t1c),
            &window(patch, [2.0, 1.1, 1.3]),
            &stack,
            &boxes,
            &Run::default(),
        )
        .unwrap()
        .unwrap();
        // From the first box's slice to the last's: 8 mm.
        assert_eq!(block.probability.dim(), (5, 11, 20));
        for ((k, j, i), p) in block.probability.indexed_iter() {
            let expected = field(block.z.at(k), block.y.at(j), block.x.at(i));
            assert!((p - expected).abs() < 1e-6, "{patch:?} {k} {j} {i}: {p} {expected}");
        }
        // A slice without a box of its own lies between two that have one.
        let crop = block.crop(2, places[2], boxes[0].1);
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

/// A patch holds zeros outside the block, on both sides.
#[test]
fn patches_larger_than_the_block_are_padded_with_zeros() {
    let images = Array4::from_elem((1, 3, 16, 16), 1.0f32);
    let stack = Stack { images: images.view(), places_mm: vec![7.0], pixel_mm: [1.0, 1.0] };
    let boxes = [(0, BoundingBox([4.0, 5.0, 9.0, 8.0]))];
    let graph = Mock(|patch: ArrayView5<'_, f32>| {
        assert_eq!(patch.sum(), 3.0 * 15.0);
        assert_eq!(patch[[0, 0, 1, 2, 1]], 1.0);
        assert_eq!(patch[[0, 2, 1, 4, 5]], 1.0);
        t1c(patch)
    });
    let window = Window { mirror: false, ..window([4, 8, 8], [1.0; 3]) };
    let block = ProbabilityBlock::predict(&graph, &window, &stack, &boxes, &Run::default())
        .unwrap()
        .unwrap();
    assert_eq!(block.probability.dim(), (1, 3, 5));
    assert!(block.probability.iter().all(|p| *p == 1.0));
    assert!(
        ProbabilityBlock::predict(&graph, &window, &stack, &[], &Run::default()).unwrap().is_none()
    );
}

/// Mirroring cancels the bias of a network towards one side of its patch.
#[test]
fn mirrored_patches_are_averaged() {
    let images = Array4::from_elem((2, 3, 16, 16), 0.5f32);
    let stack = Stack { images: images.view(), places_mm: vec![0.0, 1.0], pixel_mm: [1.0, 1.0] };
    let boxes =
        [(0, BoundingBox([0.0, 0.0, 16.0, 16.0])), (1, BoundingBox([0.0, 0.0, 16.0, 16.0]))];
    let runs = std::cell::Cell::new(0);
    let sided = Mock(|patch: ArrayView5<'_, f32>| {
        runs.set(runs.get() + 1);
        let mut out = t1c(patch);
        for ((_, _, z, y, x), p) in out.indexed_iter_mut() {
            *p = (0.04 * x as f64 + 0.02 * y as f64 + 0.1 * z as f64) as f32;
        }
        out
    });
    let mut window = window([2, 16, 8], [1.0; 3]);
    let block = ProbabilityBlock::predict(&sided, &window, &stack, &boxes, &Run::default())
        .unwrap()
        .unwrap();
    assert_eq!(runs.get(), 3 * 8);
    let expected = 0.04 * 3.5 + 0.02 * 7.5 + 0.1 * 0.5;
    assert!(block.probability.iter().all(|p| (p - expected).abs() < 1e-6));
    window.mirror = false;
    let block = ProbabilityBlock::predict(&sided, &window, &stack, &boxes, &Run::default())
        .unwrap()
        .unwrap();
    assert_eq!((runs.get(), block.probability[[1, 0, 0]]), (3 * 9, 0.1));
}

#[test]
fn wrong_outputs_of_a_graph_are_refused() {
    let images = Array4::from_elem((1, 3, 16, 16), 1.0f32);
    let stack = Stack { images: images.view(), places_mm: vec![0.0], pixel_mm: [1.0, 1.0] };
    let boxes = [(0, BoundingBox([0.0, 0.0, 16.0, 16.0]))];
    let of = |graph: &dyn VolumeSegmenter, spacing: f64| {
        ProbabilityBlock::predict(
            graph,
            &window([2, 8, 8], [1.0, spacing, spacing]),
            &stack,
            &boxes,
            &Run::default(),
        )
        .unwrap_err()
    };
    for wrong in [1.5, -0.1, f32::NAN] {
        let error = of(&Mock(|patch: ArrayView5<'_, f32>| t1c(patch) * wrong), 1.0);
        assert!(
            matches!(error, Error::Runtime { .. })
                && error.to_string().contains("outside 0 .. 1 in model run 1 of 72"),
            "{error}"
        );
    }
    let error = of(&Mock(|patch: ArrayView5<'_, f32>| patch.to_owned()), 1.0);
    assert!(
        matches!(error, Error::Bundle { .. }) && error.to_string().contains("[1, 3, 2, 8, 8]"),
        "{error}"
    );
    let error = of(&Mock(t1c), 1e-4);
    assert!(
        matches!(error, Error::Geometry(_)) && error.to_string().contains("160000 x 160000 voxels"),
        "{error}"
    );
}

#[test]
fn progress_counts_model_runs_and_a_cancel_ends_them() {
    let images = Array4::from_elem((1, 3, 16, 16), 1.0f32);
    let stack = Stack { images: images.view(), places_mm: vec![0.0], pixel_mm: [1.0, 1.0] };
    let boxes = [(0, BoundingBox([0.0, 0.0, 16.0, 16.0]))];
    let seen = std::cell::RefCell::new(Vec::new());
    let runs = std::cell::Cell::new(0);
    let graph = Mock(|patch: ArrayView5<'_, f32>| {
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
            ProbabilityBlock::predict(&graph, &window([1, 8, 16], [1.0; 3]), &stack, &boxes, &run);
        let last = stop.min(24);
        assert_eq!(*seen.borrow(), (0..=last).map(|n| (n, 24)).collect::<Vec<_>>());
        assert_eq!((runs.get(), outcome.is_ok()), (last, stop > 24));
    }
}
