"""The greedy agent's trajectories and their validation figures."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch

from ..data.slice_set import SliceSet
from ..geometry import boxes as bx
from ..networks import QNetwork
from ..run.presets import Preset
from .environment import Episodes, Views
from .observation import crop_views, load_images, whole_boxes
from .reward import good_stop

Array = np.ndarray


@dataclass
class Trajectories:
    """Greedy episodes of some slices: boxes [n, T + 1, 4] (padded by repeating), steps [n], stopped
    [n].
    """

    boxes: Array
    steps: Array
    stopped: Array

    @property
    def last(self) -> Array:
        return self.boxes[:, -1]


@torch.no_grad()
def run_agent(
    net: QNetwork, data: SliceSet, slices: Array, preset: Preset, chunk: int = 64
) -> Trajectories:
    """Run the greedy agent on stored slices, in the plain view, on the network's device."""
    net.eval()
    device = next(net.parameters()).device
    grid, steps_max = data.grid, preset.max_steps
    out = Trajectories(
        np.zeros((len(slices), steps_max + 1, 4)),
        np.zeros(len(slices), int),
        np.zeros(len(slices), bool),
    )
    for start in range(0, len(slices), chunk):
        part = slices[start : start + chunk]
        n = len(part)
        images = load_images(data, part, device)
        everyone = np.arange(n)
        global_ = net.trunk.embed(
            crop_views(net, images, everyone, whole_boxes(n, grid), Views.plain(n), grid)
        )
        episodes = Episodes(data, preset, n)
        episodes.start(everyone, part, Views.plain(n))
        boxes, running = [episodes.boxes.copy()], np.ones(n, dtype=bool)
        for _ in range(steps_max):
            rows = np.flatnonzero(running)
            if len(rows):
                crops = crop_views(
                    net, images, rows, episodes.boxes[rows], Views.plain(len(rows)), grid
                )
                past = net.encode_history(torch.from_numpy(episodes.past[rows]).to(device))
                actions = np.full(n, bx.TERMINAL)
                where = torch.from_numpy(rows).to(device)
                actions[rows] = (
                    net.head(global_[where], net.trunk.embed(crops), past).argmax(1).cpu().numpy()
                )
                # Finished rows get the terminal action, which moves nothing.
                _, stopped, _ = episodes.step(actions)
                out.steps[start + rows] += 1
                out.stopped[start + rows] |= stopped[rows]
                running &= ~stopped
            boxes.append(episodes.boxes.copy())
        out.boxes[start : start + n] = np.stack(boxes, axis=1)
    return out


def validation_figures(
    net: QNetwork, data: SliceSet, slices: Array, preset: Preset
) -> dict[str, float]:
    """Recall, IoU and stops of greedy episodes on validation slices. `score` chooses the
    checkpoint.

    Recall alone is high for an untouched box, so the score is the sum of recall at the box x
    `score_context`, IoU and the share of stops that Algorithm 1 rewards, less the share of
    tumour-free slices that never stop.
    """
    t = run_agent(net, data, slices, preset)
    tumour = data.tumour[slices]
    last, target = t.last[tumour], data.target[slices][tumour]
    rewarded = t.stopped[tumour] & good_stop(last, target, preset.thresholds)
    raw = bx.recall(last, target)
    wide = bx.recall(bx.enlarge(last, preset.detector.score_context, data.grid), target)
    idle = ~t.stopped[~tumour]
    figures = {
        "recall": float(raw.mean()),
        "recall_min": float(raw.min()),
        "recall_wide": float(wide.mean()),
        "iou": float(bx.iou(last, target).mean()),
        "stopped": float(t.stopped[tumour].mean()),
        "rewarded": float(rewarded.mean()),
        "steps": float(t.steps[tumour].mean()),
        "tumour_free_stopped": float(1 - idle.mean()) if len(idle) else 1.0,
    }
    figures["score"] = (
        figures["recall_wide"]
        + figures["iou"]
        + figures["rewarded"]
        + figures["tumour_free_stopped"]
        - 1
    )
    return figures
