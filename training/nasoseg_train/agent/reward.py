"""The reward of an action: Algorithm 1 of the paper (3.1.3).

Tumour-free slices are not in the paper. Here the agent is rewarded for stopping there and for
nothing else: stop +3 (the terminal reward), any other action -1. Stopping at once is then the best
policy, the box stays near the middle of the head, and RANet decides that nothing is in it.
"""

from __future__ import annotations

import numpy as np

from ..geometry import boxes as bx
from ..run.training_config import Thresholds

Array = np.ndarray


def sign(x: Array) -> Array:
    """+1 above 0, else -1: no change counts as no improvement ("otherwise, it receives a negative
    reward").
    """
    # Differences of float64 box arithmetic below this are rounding, not improvement.
    return np.where(x > 1e-9, 1.0, -1.0)


def good_stop(boxes: Array, target: Array, t: Thresholds = Thresholds()) -> Array:
    """Whether the terminal action is rewarded: Recall and IoU both above their thresholds."""
    return (bx.recall(boxes, target) > t.tau_recall) & (bx.iou(boxes, target) > t.tau_iou)


def reward(
    before: Array,
    after: Array,
    actions: Array,
    target: Array,
    has_tumour: Array,
    t: Thresholds = Thresholds(),
) -> Array:
    """Algorithm 1. Boxes [..., 4], actions [...], target [..., 4] (ignored if `has_tumour` is
    false) -> [...].
    """
    rho_before, rho_after = bx.centre_distance(before, target), bx.centre_distance(after, target)
    iou_before, iou_after = bx.iou(before, target), bx.iou(after, target)
    nearer = sign(rho_before - rho_after)
    size, goal = after[..., 2:] - after[..., :2], target[..., 2:] - target[..., :2]
    blind = (iou_before == 0) & (iou_after == 0) & (size[..., 1] > goal[..., 1] * t.tau_h)
    blind &= size[..., 0] > goal[..., 0] * t.tau_w
    zoom = np.where(blind, nearer, sign(iou_after - iou_before))
    stop = np.where(good_stop(before, target, t), t.terminal_reward, -t.terminal_reward)
    is_stop = actions == bx.TERMINAL
    out = np.where(bx.IS_SHIFT[actions], nearer, np.where(is_stop, stop, zoom))
    return np.where(has_tumour, out, np.where(is_stop, t.terminal_reward, -1.0))
