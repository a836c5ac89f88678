"""Corrects two biases of a trained agent on validation slices.

The errors of a network's Q values exceed the margin between stopping and continuing: an agent that
undervalues stopping zooms until part of the tumour is outside. Two numbers, chosen on validation
slices, are added to the Q head's biases: one to the terminal action and one to the six zooms. The
head stays one fully connected layer.

The choice maximises the share of rewarded stops plus recall, each capped at its goal, and requires
an IoU of at least `IOU` if that can be reached.
"""

from __future__ import annotations

from itertools import product

import numpy as np
import torch

from ..agent.environment import Views
from ..agent.observation import crop_views, load_images, whole_boxes
from ..agent.reward import good_stop
from ..data.slice_set import SliceSet
from ..geometry import boxes as bx
from ..networks import QNetwork
from ..run.presets import Preset

Array = np.ndarray
STOP_BIASES = (0.0, 0.25, 0.5, 0.75, 1.0, 1.5, 2.0)
ZOOM_BIASES = (0.0, -0.25, -0.5, -0.75, -1.0)
IOU = 0.51


class CachedAgent:
    """Greedy trajectories on fixed slices under many biases; local features are kept by (slice,
    box).
    """

    @torch.no_grad()
    def __init__(
        self, net: QNetwork, data: SliceSet, slices: Array, preset: Preset, chunk: int = 64
    ) -> None:
        self.net, self.data, self.slices, self.preset = net.eval(), data, slices, preset
        self.kept: dict[tuple, torch.Tensor] = {}
        self.global_ = torch.cat(
            [
                self._features(
                    slices[i : i + chunk], whole_boxes(len(slices[i : i + chunk]), data.grid)
                )
                for i in range(0, len(slices), chunk)
            ]
        )

    def _features(self, slices: Array, boxes: Array) -> torch.Tensor:
        n = len(slices)
        images = load_images(self.data, slices)
        crops = crop_views(self.net, images, np.arange(n), boxes, Views.plain(n), self.data.grid)
        return self.net.trunk.embed(crops)

    @torch.no_grad()
    def trajectories(self, stop_bias: float, zoom_bias: float) -> tuple[Array, Array, Array]:
        """Final boxes [n, 4], stopped [n], steps [n]."""
        p, n = self.preset, len(self.slices)
        bias = torch.from_numpy(np.where(bx.IS_ZOOM, zoom_bias, 0.0)).float()
        bias[bx.TERMINAL] = stop_bias
        boxes = np.tile(bx.initial_box(self.data.grid, p.initial_share), (n, 1))
        past = np.full((n, p.history), -1, dtype=np.int64)
        stopped, steps = np.zeros(n, dtype=bool), np.zeros(n, dtype=int)
        for _ in range(p.max_steps):
            rows = np.flatnonzero(~stopped)
            if not len(rows):
                break
            keys = [(int(r), *boxes[r].round(6)) for r in rows]
            new = np.array([i for i, key in enumerate(keys) if key not in self.kept], dtype=int)
            for start in range(0, len(new), 64):
                part = new[start : start + 64]
                for i, f in zip(
                    part, self._features(self.slices[rows[part]], boxes[rows[part]]), strict=True
                ):
                    self.kept[keys[i]] = f
            local = torch.stack([self.kept[key] for key in keys])
            q = (
                self.net.head(
                    self.global_[rows], local, self.net.encode_history(torch.from_numpy(past[rows]))
                )
                + bias
            )
            actions = q.argmax(1).numpy()
            boxes[rows] = bx.apply_actions(boxes[rows], actions, self.data.grid, p.min_side)
            past[rows] = np.concatenate([actions[:, None], past[rows, :-1]], axis=1)
            steps[rows] += 1
            stopped[rows] = actions == bx.TERMINAL
        return boxes, stopped, steps


def calibrate(net: QNetwork, data: SliceSet, slices: Array, preset: Preset) -> dict[str, float]:
    """Choose the two biases, add them to the head in place, and return them with their validation
    figures.
    """
    agent = CachedAgent(net, data, slices, preset)
    tumour, target = data.tumour[slices], data.target[slices]
    table = []
    for stop_bias, zoom_bias in product(STOP_BIASES, ZOOM_BIASES):
        boxes, stopped, steps = agent.trajectories(stop_bias, zoom_bias)
        b, g = boxes[tumour], target[tumour]
        row = {
            "stop_bias": stop_bias,
            "zoom_bias": zoom_bias,
            "recall": float(bx.recall(b, g).mean()),
            "recall_min": float(bx.recall(b, g).min()),
            "iou": float(bx.iou(b, g).mean()),
            "stopped": float(stopped[tumour].mean()),
            "rewarded": float((stopped[tumour] & good_stop(b, g, preset.thresholds)).mean()),
            "steps": float(steps[tumour].mean()),
            "tumour_free_stopped": float(stopped[~tumour].mean()) if (~tumour).any() else 1.0,
        }
        row["score"] = (
            min(row["rewarded"], 0.9)
            + 2 * min(row["recall"], 0.95)
            - 4 * max(IOU - row["iou"], 0.0)
        )
        table.append(row)
    best = max(table, key=lambda row: row["score"])
    with torch.no_grad():
        last = net.head.layers[-1].get_parameter("bias")
        last[bx.TERMINAL] += best["stop_bias"]
        last[torch.from_numpy(bx.IS_ZOOM)] += best["zoom_bias"]
    return best
