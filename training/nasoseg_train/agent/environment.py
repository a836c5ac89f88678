"""The environment: many episodes that advance together (paper 3.1).

An episode sees its slice through a view: flipped, resized and moved, so that the same slice shows
the tumour elsewhere. The agent's boxes and the target are in the view's coordinates;
`Views.to_image` maps a box back to the stored slice, where RoIAlign reads it, and a flipped view
mirrors the crop. The plain view is the slice itself.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ..data.slice_set import SliceSet
from ..geometry import boxes as bx
from ..run.presets import Preset
from .reward import reward

Array = np.ndarray
PAST_NONE = -1


@dataclass
class Views:
    """How episodes see their slices: view = (image - G / 2) * scale + G / 2 + shift, then mirrored
    if `flip`.
    """

    flip: Array  # bool [N]
    scale: Array  # [N, 2] along x, y
    shift: Array  # [N, 2] pixels of the grid

    @classmethod
    def plain(cls, n: int) -> Views:
        return cls(np.zeros(n, dtype=bool), np.ones((n, 2)), np.zeros((n, 2)))

    @classmethod
    def random(
        cls, n: int, grid: int, shift: float, scale: float, flip: float, rng: np.random.Generator
    ) -> Views:
        """`shift` in pixels of a 384 grid, `scale` the largest relative change (half of it may
        differ between x and y).
        """
        common = (
            rng.uniform(-scale, scale, (n, 1)) * 0.75 + rng.uniform(-scale, scale, (n, 2)) * 0.25
        )
        moves = rng.uniform(-shift, shift, (n, 2)) * grid / 384
        return cls(rng.random(n) < flip, np.exp(common), moves)

    def rows(self, index: Array) -> Views:
        return Views(self.flip[index], self.scale[index], self.shift[index])

    def put(self, index: Array, other: Views) -> None:
        self.flip[index], self.scale[index], self.shift[index] = (
            other.flip,
            other.scale,
            other.shift,
        )

    def to_view(self, boxes: Array, grid: int) -> Array:
        """Boxes [N, 4] of the slice in the view's coordinates."""
        out = (boxes - grid / 2) * np.tile(self.scale, 2) + grid / 2 + np.tile(self.shift, 2)
        return np.where(
            self.flip[:, None],
            np.stack([grid - out[:, 2], out[:, 1], grid - out[:, 0], out[:, 3]], 1),
            out,
        )

    def to_image(self, boxes: Array, grid: int) -> Array:
        """The inverse of `to_view`."""
        mirrored = np.stack([grid - boxes[:, 2], boxes[:, 1], grid - boxes[:, 0], boxes[:, 3]], 1)
        out = np.where(self.flip[:, None], mirrored, boxes)
        return (out - grid / 2 - np.tile(self.shift, 2)) / np.tile(self.scale, 2) + grid / 2


class Episodes:
    """`n` episodes that advance together. Call `start` for rows that begin, `step` with one action
    per row.
    """

    def __init__(self, data: SliceSet, preset: Preset, n: int) -> None:
        self.data, self.preset, self.grid = data, preset, data.grid
        self.slices = np.zeros(n, dtype=np.int64)
        self.views = Views.plain(n)
        self.boxes = np.zeros((n, 4))
        self.target = np.zeros((n, 4))
        self.tumour = np.zeros(n, dtype=bool)
        self.past = np.full((n, preset.history), PAST_NONE, dtype=np.int64)
        self.steps = np.zeros(n, dtype=np.int64)

    def start(self, rows: Array, slices: Array, views: Views) -> None:
        """Begin episodes of the given slices in the given rows."""
        self.slices[rows] = slices
        self.views.put(rows, views)
        self.tumour[rows] = self.data.tumour[slices]
        # A slice without a target gets the whole grid instead; its rewards do not depend on it.
        target = np.where(
            self.tumour[rows, None], self.data.target[slices], [0.0, 0.0, self.grid, self.grid]
        )
        self.target[rows] = views.to_view(target, self.grid)
        self.boxes[rows] = bx.initial_box(self.grid, self.preset.initial_share)
        self.past[rows] = PAST_NONE
        self.steps[rows] = 0

    def step(self, actions: Array) -> tuple[Array, Array, Array]:
        """One action per row [N] -> (rewards [N], stopped [N], over [N]: stopped or out of
        steps).
        """
        before = self.boxes
        self.boxes = bx.apply_actions(before, actions, self.grid, self.preset.min_side)
        rewards = reward(
            before, self.boxes, actions, self.target, self.tumour, self.preset.thresholds
        )
        self.past = np.concatenate([actions[:, None], self.past[:, :-1]], axis=1)
        self.steps += 1
        stopped = actions == bx.TERMINAL
        return rewards, stopped, stopped | (self.steps >= self.preset.max_steps)
