"""The golden case of a bundle (docs/reference/bundle.md): golden.npz, computed by PyTorch."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor, nn

from ..data.atlas_box import FixedBox, GridMm
from ..data.slice_set import SliceSet
from ..geometry import boxes as bx
from ..networks import QNetwork
from ..networks.rcnn import RCNN
from ..networks.voxresnet import VolumeSegmenter
from ..run.presets import Preset
from ..segmenter.rcnn_training import propose
from ..segmenter.sliding_window import Stack, predict
from ..segmenter.volume_training import network_of

Array = np.ndarray


def greedy_trajectory(net: QNetwork, x: Tensor, preset: Preset) -> dict[str, Array]:
    """The agent's trajectories on slices float32 [S, 3, G, G]."""
    s, g, steps = len(x), preset.input.grid, preset.max_steps
    index = torch.arange(s)
    whole = torch.tensor([[0.0, 0.0, g, g]]).repeat(s, 1)
    features = net.trunk(x, whole, index)
    boxes = np.zeros((s, steps + 1, 4))
    boxes[:] = bx.initial_box(g, preset.initial_share)
    actions = np.full((s, steps), -1, dtype=np.int64)
    q = np.full((s, steps, bx.N_ACTIONS), np.nan, dtype=np.float32)
    past = np.full((s, preset.history), -1, dtype=np.int64)
    running = np.ones(s, dtype=bool)
    for t in range(steps):
        rows = np.flatnonzero(running)
        if len(rows):
            local = net.trunk(x, torch.from_numpy(boxes[rows, t]).float(), index[rows])
            q[rows, t] = net.head(
                features[rows], local, net.encode_history(torch.from_numpy(past[rows]))
            ).numpy()
            actions[rows, t] = q[rows, t].argmax(1)
            boxes[rows, t + 1 :] = bx.apply_actions(
                boxes[rows, t], actions[rows, t], g, preset.min_side
            )[:, None]
            past[rows] = np.concatenate([actions[rows, t : t + 1], past[rows, :-1]], axis=1)
            running[rows] &= actions[rows, t] != bx.TERMINAL
    return {"features": features.numpy(), "actions": actions, "q": q, "boxes": boxes}


@torch.no_grad()
def golden_case(
    detector: QNetwork | RCNN | FixedBox | None,
    segmenter: nn.Module,
    images: Array,
    preset: Preset,
    voxel_mm: GridMm = (6.0, 0.74, 0.74),
) -> dict[str, Array]:
    """uint8 slices [S, 3, G, G] -> the arrays of golden.npz.

    `voxel_mm` is the voxel size of these slices, for the atlas box and a volume's segmenter.
    """
    s, g = len(images), preset.input.grid
    x = torch.from_numpy(images).float() / 255
    out: dict[str, Array] = {"images": images}
    for module in (detector, segmenter):
        if isinstance(module, nn.Module):
            module.eval()
    if isinstance(detector, QNetwork):
        out |= greedy_trajectory(detector, x, preset)
        last = out["boxes"][:, -1]
    elif isinstance(detector, RCNN):
        last, scores = propose(detector, x, preset)
        out |= {"boxes": last, "scores": scores}
    elif isinstance(detector, FixedBox):
        last = np.tile(detector.on_grid(voxel_mm, g), (s, 1))
        out["boxes"] = last
    else:
        last = np.tile([0.0, 0.0, g, g], (s, 1))
    # A slice without a box has no probability: zeros.
    rows = np.flatnonzero(~np.isnan(last).any(axis=1))
    if isinstance(segmenter, VolumeSegmenter):
        config = preset.volume
        stack = Stack(
            images.astype(np.float32) / 255, np.arange(s) * voxel_mm[0], (voxel_mm[2], voxel_mm[1])
        )
        wide = bx.enlarge(last[rows], config.context_factor, g)
        probability = predict(network_of(segmenter), config, stack, rows, wide)[:, None]
        return out | {
            "places_mm": stack.places_mm,
            "pixel_mm": np.array(stack.pixel_mm),
            "probability": probability,
        }
    probability = np.zeros((s, 1, preset.ranet.crop, preset.ranet.crop), dtype=np.float32)
    if len(rows):
        enlarged = bx.enlarge(last[rows], preset.ranet.context_factor, g)
        crops = torch.from_numpy(enlarged).float()
        probability[rows] = segmenter(x, crops, torch.from_numpy(rows)).numpy()
    return out | {"probability": probability}


def golden_slices(data: SliceSet, boxes: Array, stopped: Array, count: int = 2) -> Array:
    """Rows of `count` slices with different outcomes: tumour slices on which the agent stopped
    first, then others.
    """
    order = np.lexsort((np.arange(len(data)), ~data.tumour, ~stopped))
    seen: list[int] = []
    for row in order:
        if all(not np.allclose(boxes[row, -1], boxes[other, -1]) for other in seen):
            seen.append(int(row))
        if len(seen) == count:
            break
    return np.array(seen)
