"""Exploration: Algorithms 2 and 3 of the paper (3.1.4).

`prior_actions` is the priori policy, which knows the target; `training_config.Schedule` has the two
probabilities of Algorithm 3 per epoch.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from ..geometry import boxes as bx
from ..run.training_config import Thresholds
from .reward import good_stop, reward

Array = np.ndarray


def _choose(allowed: Array, rng: np.random.Generator) -> Array:
    """One allowed action per row of [N, A], uniformly; -1 if a row allows none."""
    score = np.where(allowed, rng.random(allowed.shape), -1.0)
    return np.where(allowed.any(axis=1), score.argmax(axis=1), -1)


def prior_actions(
    boxes: Array,
    target: Array,
    has_tumour: Array,
    grid: float,
    min_side: float,
    rng: np.random.Generator,
    t: Thresholds = Thresholds(),
    literal: bool = False,
) -> Array:
    """Algorithm 2 for boxes [N, 4] and targets [N, 4] -> actions [N].

    Within a type the choice is uniform among the actions whose Algorithm 1 reward is positive.
    Guarded, in this order: stop if that is rewarded; a zoom with positive reward that keeps Recall
    above its threshold; a shift that brings the centres closer; any zoom with positive reward;
    stop. `literal` is the algorithm as printed: a quarter-box shift often overshoots its distance
    threshold, so it seldom reaches a rewarded stop. On a tumour-free slice it stops.
    """
    after = bx.apply_all_actions(boxes, grid, min_side)
    every = np.tile(np.arange(bx.N_ACTIONS), (len(boxes), 1))
    goal = target[:, None]
    gain = reward(boxes[:, None], after, every, goal, np.ones_like(every, dtype=bool), t) > 0
    zooms, shifts = gain & bx.IS_ZOOM, gain & bx.IS_SHIFT
    out = np.full(len(boxes), bx.TERMINAL)

    if literal:
        diagonal = np.hypot(target[:, 2] - target[:, 0], target[:, 3] - target[:, 1])
        far = bx.centre_distance(boxes, target) > t.tau_distance * diagonal
        size, true_size = boxes[:, 2:] - boxes[:, :2], target[:, 2:] - target[:, :2]
        big = (size[:, 1] > true_size[:, 1] * t.tau_h) | (size[:, 0] > true_size[:, 0] * t.tau_w)
        for rows, allowed, kind in ((far, shifts, bx.IS_SHIFT), (~far & big, zooms, bx.IS_ZOOM)):
            usable = np.where(allowed.any(axis=1, keepdims=True), allowed, kind)
            out = np.where(rows, _choose(usable, rng), out)
    else:
        keeps = bx.recall(after, goal) > t.tau_recall
        undecided = ~good_stop(boxes, target, t)
        for allowed in (zooms & keeps, shifts, zooms):
            pick = _choose(allowed, rng)
            out = np.where(undecided & (pick >= 0), pick, out)
            undecided &= pick < 0
    return np.where(has_tumour, out, bx.TERMINAL)


def prior_returns(
    boxes: Array,
    target: Array,
    has_tumour: Array,
    grid: float,
    min_side: float,
    gamma: float,
    depth: int = 8,
    t: Thresholds = Thresholds(),
) -> Array:
    """The value of every action if the guarded prior continues after it: discounted returns [N, A]
    of boxes [N, 4].

    Within a type the prior chooses the best action here, not a random one: the highest IoU among
    zooms, the nearest centre among shifts. Trajectories end after `depth` actions. No image is
    read, so this is cheap.
    """
    n, n_actions = len(boxes), bx.N_ACTIONS
    every = np.tile(np.arange(n_actions), (n, 1))
    after = bx.apply_all_actions(boxes, grid, min_side)
    out = reward(boxes[:, None], after, every, target[:, None], has_tumour[:, None], t)
    walking = (every != bx.TERMINAL).ravel()
    here, goal = after.reshape(-1, 4), np.repeat(target, n_actions, axis=0)
    tumour, value, factor = np.repeat(has_tumour, n_actions), np.zeros(n * n_actions), gamma
    rows = np.flatnonzero(walking)
    for _ in range(depth):
        b, g = here[rows], goal[rows]
        good = good_stop(b, g, t) | ~tumour[rows]
        value[rows[good]] += factor * t.terminal_reward
        rows, b, g = rows[~good], b[~good], g[~good]
        if not len(rows):
            break
        options = bx.apply_all_actions(b, grid, min_side)[:, : bx.TERMINAL]
        g = g[:, None]
        gains = bx.iou(options, g) - bx.iou(b[:, None], g)
        nearer = bx.centre_distance(b[:, None], g) - bx.centre_distance(options, g)
        keeps = bx.recall(options, g) > t.tau_recall
        zoom, shift = bx.IS_ZOOM[: bx.TERMINAL], bx.IS_SHIFT[: bx.TERMINAL]
        # Guarded zooms rank before shifts, shifts before other zooms; within a rank the gain
        # decides.
        score = np.full(gains.shape, -np.inf)
        score = np.where(zoom & (gains > 1e-9), gains, score)
        score = np.where(shift & (nearer > 1e-9), 1e4 + nearer, score)
        score = np.where(zoom & (gains > 1e-9) & keeps, 1e6 + gains, score)
        best = score.argmax(axis=1)
        stuck = ~np.isfinite(score.max(axis=1))
        value[rows] += factor * np.where(stuck, -t.terminal_reward, 1.0)
        here[rows] = options[np.arange(len(rows)), best]
        rows = rows[~stuck]
        factor *= gamma
    return out + value.reshape(n, n_actions)


def explore(
    greedy: Callable[[Array], Array],
    prior: Array,
    epsilon: float,
    priori: float,
    rng: np.random.Generator,
) -> Array:
    """Algorithm 3: with probability `priori` the prior's action [N], else with `epsilon` a random
    one, else the greedy one.

    `greedy` maps row numbers to their greedy actions and is called for those rows only.
    """
    n = len(prior)
    by_prior = rng.random(n) < priori
    by_chance = rng.random(n) < epsilon
    out = np.where(by_prior, prior, rng.integers(bx.N_ACTIONS, size=n))
    rows = np.flatnonzero(~by_prior & ~by_chance)
    if len(rows):
        out[rows] = greedy(rows)
    return out
