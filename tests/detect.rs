//! The agent on all slices in step gives exactly the trajectories of one slice at a time, and runs
//! the trunk once per distinct (slice, box).

mod common;

use std::cell::RefCell;
use std::collections::HashSet;

use nasoseg::bundle::manifest::Agent;
use nasoseg::detect::agent::{best, encode_history, run_agent};
use nasoseg::golden::Golden;
use nasoseg::runtime::{AgentGraphs, CancelWatch, CropSegmenter};
use nasoseg::{
    BoundingBox, CancelToken, Device, Engine, EngineOptions, Error, Result, Run, Trajectory,
};
use ndarray::{Array1, Array2, Array4, ArrayView2, ArrayView4, Axis};

/// Records every row on which the trunk runs.
struct RecordingAgent<'a> {
    graphs: &'a dyn AgentGraphs,
    rows: RefCell<Vec<(i64, [u32; 4])>>,
    largest_call: RefCell<usize>,
}

impl AgentGraphs for RecordingAgent<'_> {
    fn trunk(
        &self,
        images: ArrayView4<'_, f32>,
        boxes: &[[f32; 4]],
        index: &[i64],
    ) -> Result<Array2<f32>> {
        self.rows
            .borrow_mut()
            .extend(index.iter().zip(boxes).map(|(i, b)| (*i, b.map(f32::to_bits))));
        let largest = (*self.largest_call.borrow()).max(boxes.len());
        *self.largest_call.borrow_mut() = largest;
        self.graphs.trunk(images, boxes, index)
    }

    fn q_head(
        &self,
        global: ArrayView2<'_, f32>,
        local: ArrayView2<'_, f32>,
        history: ArrayView2<'_, f32>,
    ) -> Result<Array2<f32>> {
        self.graphs.q_head(global, local, history)
    }
}

fn engine() -> Engine {
    Engine::open(
        &common::micro(),
        &EngineOptions::default().with_device(Device::Cpu),
        &Run::default(),
    )
    .unwrap()
}

/// The golden slices, mirrored, dimmed and shifted into 20 different ones.
fn slices(engine: &Engine) -> Array4<f32> {
    let golden = Golden::read(engine.bundle()).unwrap().images;
    let (n, c, h, w) = golden.dim();
    Array4::from_shape_fn((20, c, h, w), |(s, c, y, x)| {
        let x = if s % 4 >= 2 { w - 1 - x } else { x };
        let (y, x) = ((y + 3 * s) % h, (x + 5 * (s / 4)) % w);
        golden[[s % n, c, y, x]] * (1.0 - 0.02 * s as f32)
    })
}

/// The plain loop of 3.1: one slice, no cache, one row in every call.
fn plain(
    graphs: &dyn AgentGraphs,
    agent: &Agent,
    images: ArrayView4<'_, f32>,
    row: usize,
) -> (Vec<BoundingBox>, Vec<usize>, Vec<Vec<f32>>) {
    let grid = images.shape()[3];
    let feature = |b: BoundingBox| graphs.trunk(images, &[b.to_f32()], &[row as i64]).unwrap();
    let (mut boxes, mut actions, mut q) =
        (vec![BoundingBox(agent.initial_box)], Vec::new(), Vec::new());
    for _ in 0..agent.max_steps {
        let current = boxes[boxes.len() - 1];
        let mut history = Array1::zeros(agent.history * agent.actions.len());
        encode_history(&actions, agent, history.view_mut());
        let values = graphs
            .q_head(
                feature(BoundingBox::whole(grid)).view(),
                feature(current).view(),
                history.insert_axis(Axis(0)).view(),
            )
            .unwrap();
        let values = values.row(0).to_vec();
        let action = best(&values).unwrap();
        let transform = agent.actions[action].transform;
        boxes.push(
            transform.map_or(current, |t| current.transformed(t).kept_inside(grid, agent.min_side)),
        );
        actions.push(action);
        q.push(values);
        if action == agent.terminal {
            break;
        }
    }
    (boxes, actions, q)
}

#[test]
fn in_step_is_bit_identical_to_one_slice_at_a_time_and_runs_the_trunk_once_per_box() {
    let engine = engine();
    let agent = engine.manifest().agent().unwrap();
    let images = slices(&engine);
    let rows: Vec<usize> = (0..images.shape()[0]).collect();
    let watch = CancelWatch::default();
    let graphs = engine.networks().watched(&watch);
    let recording = RecordingAgent {
        graphs: &graphs,
        rows: RefCell::default(),
        largest_call: RefCell::default(),
    };
    let found: Vec<Trajectory> =
        run_agent(&recording, agent, images.view(), &rows, &Run::default()).unwrap();

    let mut distinct: HashSet<(i64, [u32; 4])> = HashSet::new();
    let mut lengths = HashSet::new();
    for (row, trajectory) in rows.iter().zip(&found) {
        let (boxes, actions, q) = plain(&graphs, agent, images.view(), *row);
        assert_eq!(trajectory.actions, actions, "slice {row}");
        let bits = |b: &BoundingBox| b.0.map(f64::to_bits);
        assert_eq!(
            trajectory.boxes.iter().map(bits).collect::<Vec<_>>(),
            boxes.iter().map(bits).collect::<Vec<_>>(),
            "slice {row}"
        );
        let q_bits = |q: &[Vec<f32>]| q.iter().flatten().map(|v| v.to_bits()).collect::<Vec<_>>();
        assert_eq!(q_bits(&trajectory.q), q_bits(&q), "slice {row}");
        distinct.insert((*row as i64, BoundingBox::whole(96).to_f32().map(f32::to_bits)));
        // No features are computed of the box after the last action.
        distinct.extend(
            boxes[..boxes.len() - 1].iter().map(|b| (*row as i64, b.to_f32().map(f32::to_bits))),
        );
        lengths.insert(actions.len());
    }
    assert!(
        lengths.len() > 2,
        "the trajectories must differ in length for the active set to shrink: {lengths:?}"
    );

    let ran = recording.rows.borrow();
    assert_eq!(ran.len(), distinct.len(), "the trunk ran more than once for a (slice, box)");
    assert_eq!(ran.iter().copied().collect::<HashSet<_>>(), distinct);
    assert!(*recording.largest_call.borrow() <= 8);
}

#[test]
fn a_cancel_takes_effect_within_one_model_run_and_leaves_the_engine_usable() {
    let engine = engine();
    let agent = engine.manifest().agent().unwrap();
    let images = slices(&engine);
    let rows: Vec<usize> = (0..images.shape()[0]).collect();
    let watch = CancelWatch::default();
    let graphs = engine.networks().watched(&watch);
    let whole = run_agent(&graphs, agent, images.view(), &rows, &Run::default()).unwrap();
    let ticks = RefCell::new(0);
    let count = |_| {
        *ticks.borrow_mut() += 1;
        true
    };
    run_agent(&graphs, agent, images.view(), &rows, &Run { progress: Some(&count), cancel: None })
        .unwrap();
    for stop in [0, 1, *ticks.borrow() / 2, *ticks.borrow() - 1] {
        let seen = RefCell::new(0);
        let refuse = |_| {
            let go_on = *seen.borrow() < stop;
            *seen.borrow_mut() += 1;
            go_on
        };
        let error = run_agent(
            &graphs,
            agent,
            images.view(),
            &rows,
            &Run { progress: Some(&refuse), cancel: None },
        )
        .unwrap_err();
        assert!(matches!(error, Error::Cancelled));
        assert_eq!(*seen.borrow(), stop + 1, "nothing runs after the refusal");
    }
    let token = CancelToken::new();
    token.cancel();
    assert!(
        run_agent(
            &graphs,
            agent,
            images.view(),
            &rows,
            &Run { progress: None, cancel: Some(&token) }
        )
        .is_err()
    );
    assert_eq!(run_agent(&graphs, agent, images.view(), &rows, &Run::default()).unwrap(), whole);
}

#[test]
fn the_golden_case_is_reproduced() {
    let engine = engine();
    let agreement =
        Golden::read(engine.bundle()).unwrap().check(engine.bundle(), engine.networks()).unwrap();
    assert_eq!(agreement.slices, 2);
    let tolerance = nasoseg::golden::TOLERANCE;
    assert!(
        agreement.features <= tolerance
            && agreement.q <= tolerance
            && agreement.probability <= tolerance,
        "{agreement:?}"
    );
}

#[test]
fn a_golden_case_that_disagrees_is_reported() {
    let engine = engine();
    let mut golden = Golden::read(engine.bundle()).unwrap();
    golden.probability[[1, 0, 5, 5]] += 0.01;
    let error = golden.check(engine.bundle(), engine.networks()).unwrap_err().to_string();
    assert!(error.contains("probabilities differ by"), "{error}");
    let mut golden = Golden::read(engine.bundle()).unwrap();
    if let Some(agent) = &mut golden.agent {
        agent.q[[0, 0, 3]] += 0.01;
    }
    assert!(
        golden
            .check(engine.bundle(), engine.networks())
            .unwrap_err()
            .to_string()
            .contains("Q values")
    );
}

/// A model run of this many rows takes a second or more; a set token ends it much earlier, and the
/// session stays usable.
#[test]
fn a_cancel_interrupts_a_long_model_run() {
    const ROWS: usize = 2000;
    let engine = engine();
    let images = slices(&engine);
    let boxes = vec![BoundingBox::whole(images.shape()[3]).to_f32(); ROWS];
    let token = CancelToken::new();
    let segment = |rows: usize| {
        CancelWatch::over(Some(&token), |watch| {
            engine.networks().watched(watch).segment_crops(
                images.view(),
                &boxes[..rows],
                &vec![0; rows],
            )
        })
    };
    let before = segment(1).unwrap();
    token.cancel();
    assert!(matches!(segment(ROWS), Err(Error::Cancelled)));
    assert_eq!(engine.work().segmenter.rows, 1);
    token.reset();
    assert_eq!(segment(1).unwrap(), before);
}
