"""Boxes, the agent's actions on them, and the overlap of two boxes.

A box is (x0, y0, x1, y1) in pixel edges of the bundle's grid: pixel n reaches from edge n to edge n
+ 1 and its centre is at n + 0.5. x runs along columns, y along rows. Everything here is float64
numpy, over the last axis of any batch shape, as in the runtime; boxes are cast to float32 once, for
the graph.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

Array = np.ndarray


@dataclass(frozen=True)
class Action:
    """One action: `box` is the new box in units of the current one, None for the terminal
    action.
    """

    name: str
    box: tuple[float, float, float, float] | None

    @property
    def kind(self) -> str:
        """`stop`, `shift` (both sides keep their length) or `zoom` (paper 3.1.1)."""
        if self.box is None:
            return "stop"
        x0, y0, x1, y1 = self.box
        return "shift" if x1 - x0 == 1.0 and y1 - y0 == 1.0 else "zoom"


# Paper 3.1.1: six zooms to 3/4, four shifts by 1/4, stop. Corner zooms keep that corner; the last
# two zooms shorten one side about the centre.
ACTIONS: tuple[Action, ...] = (
    Action("zoom top left", (0.0, 0.0, 0.75, 0.75)),
    Action("zoom top right", (0.25, 0.0, 1.0, 0.75)),
    Action("zoom bottom left", (0.0, 0.25, 0.75, 1.0)),
    Action("zoom bottom right", (0.25, 0.25, 1.0, 1.0)),
    Action("zoom width", (0.125, 0.0, 0.875, 1.0)),
    Action("zoom height", (0.0, 0.125, 1.0, 0.875)),
    Action("shift left", (-0.25, 0.0, 0.75, 1.0)),
    Action("shift right", (0.25, 0.0, 1.25, 1.0)),
    Action("shift up", (0.0, -0.25, 1.0, 0.75)),
    Action("shift down", (0.0, 0.25, 1.0, 1.25)),
    Action("stop", None),
)
TERMINAL = 10
N_ACTIONS = len(ACTIONS)
IS_ZOOM = np.array([a.kind == "zoom" for a in ACTIONS])
IS_SHIFT = np.array([a.kind == "shift" for a in ACTIONS])
# The terminal action is the identity here, so one table serves every action.
ACTION_BOXES = np.array([a.box or (0.0, 0.0, 1.0, 1.0) for a in ACTIONS])


def initial_box(grid: int, share: float = 0.42) -> Array:
    """The centred box of `share` of the grid's sides (paper 4.2.2); [4]."""
    half = grid * share / 2
    return np.array([grid / 2 - half, grid / 2 - half, grid / 2 + half, grid / 2 + half])


def clip_boxes(boxes: Array, grid: float, min_side: float) -> Array:
    """Move boxes [..., 4] back inside the grid without squashing them.

    In this order: a side shorter than `min_side` grows to it about its centre; a side longer than
    the grid becomes the grid; the box is translated back inside.
    """
    out = np.array(boxes, dtype=np.float64)
    for low, high in ((0, 2), (1, 3)):
        a, b = out[..., low].copy(), out[..., high].copy()
        centre, side = (a + b) / 2, b - a
        short = side < min_side
        a, b = np.where(short, centre - min_side / 2, a), np.where(short, centre + min_side / 2, b)
        long = b - a > grid
        a, b = np.where(long, 0.0, a), np.where(long, float(grid), b)
        below, above = a < 0, b > grid
        a, b = np.where(below, 0.0, a), np.where(below, b - a, b)
        a, b = np.where(above & ~below, a - (b - grid), a), np.where(above & ~below, float(grid), b)
        out[..., low], out[..., high] = a, b
    return out


def apply_actions(
    boxes: Array, actions: Array, grid: float, min_side: float, table: Array = ACTION_BOXES
) -> Array:
    """Boxes [N, 4] after one action each [N]; the terminal action does not change a box."""
    boxes = np.asarray(boxes, dtype=np.float64)
    t = table[actions]
    w = boxes[..., 2] - boxes[..., 0]
    h = boxes[..., 3] - boxes[..., 1]
    moved = np.stack(
        [
            boxes[..., 0] + t[..., 0] * w,
            boxes[..., 1] + t[..., 1] * h,
            boxes[..., 0] + t[..., 2] * w,
            boxes[..., 1] + t[..., 3] * h,
        ],
        axis=-1,
    )
    moved = clip_boxes(moved, grid, min_side)
    return np.where((np.asarray(actions) == TERMINAL)[..., None], boxes, moved)


def apply_all_actions(boxes: Array, grid: float, min_side: float) -> Array:
    """Boxes [N, 4] after every action: [N, A, 4]."""
    n = len(boxes)
    return apply_actions(
        np.repeat(boxes[:, None], N_ACTIONS, axis=1),
        np.tile(np.arange(N_ACTIONS), (n, 1)),
        grid,
        min_side,
    )


def enlarge(boxes: Array, factor: float, grid: float) -> Array:
    """Each side times `factor` about the centre, capped at the grid, translated inside (paper
    4.2.3).
    """
    boxes = np.asarray(boxes, dtype=np.float64)
    centre = (boxes[..., :2] + boxes[..., 2:]) / 2
    half = np.minimum((boxes[..., 2:] - boxes[..., :2]) * factor, grid) / 2
    return clip_boxes(np.concatenate([centre - half, centre + half], axis=-1), grid, 0.0)


def area(boxes: Array) -> Array:
    """Area in square pixels."""
    return (boxes[..., 2] - boxes[..., 0]) * (boxes[..., 3] - boxes[..., 1])


def intersection(a: Array, b: Array) -> Array:
    """Area that two boxes share, in square pixels."""
    w = np.minimum(a[..., 2], b[..., 2]) - np.maximum(a[..., 0], b[..., 0])
    h = np.minimum(a[..., 3], b[..., 3]) - np.maximum(a[..., 1], b[..., 1])
    return np.clip(w, 0, None) * np.clip(h, 0, None)


def iou(a: Array, b: Array) -> Array:
    """Intersection over union."""
    shared = intersection(a, b)
    return shared / (area(a) + area(b) - shared)


def recall(boxes: Array, target: Array) -> Array:
    """Share of the target that a box covers: area(b and g) / area(g) (paper, Table 1)."""
    return intersection(boxes, target) / area(target)


def centre_distance(a: Array, b: Array) -> Array:
    """Distance between two boxes' centres, in pixels: rho of Algorithm 1."""
    d = (a[..., :2] + a[..., 2:] - b[..., :2] - b[..., 2:]) / 2
    return np.hypot(d[..., 0], d[..., 1])
