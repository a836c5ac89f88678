//! The agent of 3.1, run on all slices in step.
//!
//! In: prepared slices [S, 3, G, G], the bundle's agent, its graphs. Out: one [`Trajectory`] per
//! requested slice. The active set shrinks as slices terminate; a feature depends on (slice, box)
//! alone, so the trunk runs once for each distinct pair.

use std::collections::{HashMap, HashSet};

use ndarray::{Array2, ArrayView4};

use crate::bundle::manifest::Agent;
use crate::detect::bounding_box::BoundingBox;
use crate::detect::trajectory::Trajectory;
use crate::error::{Error, Result};
use crate::run::{Run, Stage};
use crate::runtime::AgentGraphs;

/// Rows of one trunk call: more would gain 2 % on the CPU and cost memory.
pub const TRUNK_ROWS: usize = 8;

/// Features by row of `images` and bits of the float32 box that the graph receives: two
/// trajectories that differ in the last bit of a float64 share an entry.
type Cache = HashMap<(usize, [u32; 4]), Vec<f32>>;

fn key(row: usize, bounding_box: BoundingBox) -> (usize, [u32; 4]) {
    (row, bounding_box.to_f32().map(f32::to_bits))
}

/// Runs the agent on the slices `rows` of `images`. Returns the trajectories in the order of
/// `rows`.
///
/// # Errors
/// [`Error::Runtime`] if a graph fails or gives a Q value that is NaN; [`Error::Cancelled`].
pub fn run_agent(
    graphs: &dyn AgentGraphs,
    agent: &Agent,
    images: ArrayView4<'_, f32>,
    rows: &[usize],
    run: &Run<'_>,
) -> Result<Vec<Trajectory>> {
    let grid = images.shape()[3];
    let initial = BoundingBox(agent.initial_box);
    let whole = BoundingBox::whole(grid);
    let mut trajectories: Vec<Trajectory> = rows.iter().map(|_| Trajectory::new(initial)).collect();
    let mut cache = Cache::new();
    let mut finished = 0;
    run.tick(Stage::Detect, 0, rows.len())?;

    let globals: Vec<(usize, BoundingBox)> = rows.iter().map(|row| (*row, whole)).collect();
    fill(&mut cache, graphs, images, &globals, &mut || run.tick(Stage::Detect, 0, rows.len()))?;

    for _ in 0..agent.max_steps {
        let active: Vec<usize> = (0..rows.len()).filter(|at| !trajectories[*at].stopped).collect();
        if active.is_empty() {
            break;
        }
        let locals: Vec<(usize, BoundingBox)> =
            active.iter().map(|at| (rows[*at], trajectories[*at].last())).collect();
        fill(&mut cache, graphs, images, &locals, &mut || {
            run.tick(Stage::Detect, finished, rows.len())
        })?;

        let n = active.len();
        let (mut global, mut local) =
            (Array2::zeros((n, agent.feature_size)), Array2::zeros((n, agent.feature_size)));
        let mut history = Array2::zeros((n, agent.history * agent.actions.len()));
        for (at, (row, bounding_box)) in locals.iter().enumerate() {
            copy_feature(&cache, *row, whole, global.row_mut(at))?;
            copy_feature(&cache, *row, *bounding_box, local.row_mut(at))?;
            encode_history(&trajectories[active[at]].actions, agent, history.row_mut(at));
        }
        let q = graphs.q_head(global.view(), local.view(), history.view())?;
        for (at, slice) in active.into_iter().enumerate() {
            let trajectory = &mut trajectories[slice];
            act(trajectory, agent, q.row(at).to_vec(), grid)?;
            finished += usize::from(trajectory.stopped);
        }
        run.tick(Stage::Detect, finished, rows.len())?;
    }
    run.tick(Stage::Detect, rows.len(), rows.len())?;
    Ok(trajectories)
}

/// Takes the action of the highest Q value.
fn act(trajectory: &mut Trajectory, agent: &Agent, q: Vec<f32>, grid: usize) -> Result<()> {
    let action = best(&q).ok_or_else(|| Error::Runtime {
        message: format!(
            "the Q head gave {q:?}, expected numbers. The bundle's weights are damaged or the \
             device miscalculates"
        ),
        source: None,
    })?;
    let current = trajectory.last();
    let next = match agent.actions[action].transform {
        Some(transform) => current.transformed(transform).kept_inside(grid, agent.min_side),
        None => current,
    };
    trajectory.push(action, q, next, action == agent.terminal);
    Ok(())
}

/// Index of the largest value, the lowest among equals; `None` if any is NaN or there is none.
pub fn best(values: &[f32]) -> Option<usize> {
    if values.is_empty() || values.iter().any(|v| v.is_nan()) {
        return None;
    }
    Some((1..values.len()).fold(0, |best, at| if values[at] > values[best] { at } else { best }))
}

/// Encodes past actions one-hot, newest first, zero-padded: entry (t, a) at t * A + a.
pub fn encode_history(actions: &[usize], agent: &Agent, mut row: ndarray::ArrayViewMut1<'_, f32>) {
    for (t, action) in actions.iter().rev().take(agent.history).enumerate() {
        row[t * agent.actions.len() + action] = 1.0;
    }
}

/// Runs the trunk, in chunks, on the pairs that are not in the cache.
fn fill(
    cache: &mut Cache,
    graphs: &dyn AgentGraphs,
    images: ArrayView4<'_, f32>,
    pairs: &[(usize, BoundingBox)],
    tick: &mut dyn FnMut() -> Result<()>,
) -> Result<()> {
    let mut asked = HashSet::new();
    let missing: Vec<(usize, BoundingBox)> = pairs
        .iter()
        .copied()
        .filter(|(row, b)| !cache.contains_key(&key(*row, *b)) && asked.insert(key(*row, *b)))
        .collect();
    for chunk in missing.chunks(TRUNK_ROWS) {
        let boxes: Vec<[f32; 4]> = chunk.iter().map(|(_, b)| b.to_f32()).collect();
        let index: Vec<i64> = chunk.iter().map(|(row, _)| *row as i64).collect();
        let features = graphs.trunk(images, &boxes, &index)?;
        for ((row, b), feature) in chunk.iter().zip(features.rows()) {
            cache.insert(key(*row, *b), feature.to_vec());
        }
        tick()?;
    }
    Ok(())
}

fn copy_feature(
    cache: &Cache,
    row: usize,
    bounding_box: BoundingBox,
    mut out: ndarray::ArrayViewMut1<'_, f32>,
) -> Result<()> {
    let feature = cache
        .get(&key(row, bounding_box))
        .ok_or_else(|| Error::Internal("a feature is missing from the cache".into()))?;
    out.assign(&ndarray::ArrayView1::from(feature.as_slice()));
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ties_go_to_the_lowest_index_and_nan_to_none() {
        assert_eq!(best(&[1.0, 3.0, 3.0, 2.0]), Some(1));
        assert_eq!(best(&[-0.0, 0.0]), Some(0));
        assert_eq!(best(&[1.0, f32::NAN]), None);
        assert_eq!(best(&[]), None);
    }
}
