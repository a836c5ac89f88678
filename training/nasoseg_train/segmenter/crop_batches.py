"""Batches of augmented crops, and the exploring policy's boxes to cut them at (paper 3.2,
4.2.3).
"""

from __future__ import annotations

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from ..agent.environment import Episodes, Views
from ..agent.exploration import prior_actions
from ..agent.observation import CPU, load_images, load_masks, whole_boxes
from ..data.slice_set import SliceSet
from ..geometry import boxes as bx
from ..run.presets import Preset, SegmenterTraining

Array = np.ndarray


def exploring_boxes(
    data: SliceSet, slices: Array, preset: Preset, rng: np.random.Generator, chance: float = 0.2
) -> Array:
    """Boxes after every action of an exploring episode on each slice: [n, T + 1, 4], padded by
    repeating.
    """
    n = len(slices)
    episodes = Episodes(data, preset, n)
    episodes.start(np.arange(n), slices, Views.plain(n))
    boxes, running = [episodes.boxes.copy()], np.ones(n, dtype=bool)
    for _ in range(preset.max_steps):
        prior = prior_actions(
            episodes.boxes,
            episodes.target,
            episodes.tumour,
            data.grid,
            preset.min_side,
            rng,
            preset.thresholds,
        )
        actions = np.where(rng.random(n) < chance, rng.integers(bx.TERMINAL, size=n), prior)
        # On a tumour-free slice the prior stops at once; move on by chance, as the agent might.
        wander = ~episodes.tumour & (rng.random(n) < 0.8)
        actions = np.where(wander, rng.integers(bx.TERMINAL, size=n), actions)
        actions = np.where(running, actions, bx.TERMINAL)
        episodes.step(actions)
        running &= actions != bx.TERMINAL
        boxes.append(episodes.boxes.copy())
    return np.stack(boxes, axis=1)


def sample_crops(
    images: Tensor,
    boxes: Array,
    size: int,
    rng: np.random.Generator,
    c: SegmenterTraining,
    ratio: int = 2,
) -> Tensor:
    """Channels [N, K, G, G] and enlarged boxes [N, 4] -> crops [N, K, size, size], rotated, flipped
    and resized at random.

    Without rotation and resizing this is RoIAlign with `ratio` samples per pixel and side: a grid
    `ratio` times finer, averaged.
    """
    n, grid = len(boxes), images.shape[-1]
    centre, half = (boxes[:, :2] + boxes[:, 2:]) / 2, (boxes[:, 2:] - boxes[:, :2]) / 2
    angle = np.deg2rad(rng.uniform(-c.rotation_degrees, c.rotation_degrees, n))
    half = half * np.exp(rng.uniform(-c.scale, c.scale, (n, 1)))
    mirror = np.where(rng.random(n) < c.flip, -1.0, 1.0)
    # Crop coordinates in [-1, 1] -> grid pixels -> grid_sample's [-1, 1], which is pixel edges over
    # G / 2 less 1.
    cos, sin = np.cos(angle), np.sin(angle)
    theta = np.zeros((n, 2, 3))
    theta[:, 0, 0], theta[:, 0, 1] = mirror * half[:, 0] * cos, -half[:, 1] * sin
    theta[:, 1, 0], theta[:, 1, 1] = mirror * half[:, 0] * sin, half[:, 1] * cos
    theta[:, :, 2] = centre - grid / 2
    matrix = torch.from_numpy(theta / (grid / 2)).float().to(images.device)
    where = F.affine_grid(
        matrix, [n, images.shape[1], size * ratio, size * ratio], align_corners=False
    )
    return F.avg_pool2d(F.grid_sample(images, where, align_corners=False), ratio)


def jittered(boxes: Array, grid: int, preset: Preset, rng: np.random.Generator) -> Array:
    """Boxes [n, 4] moved and resized at random by up to the preset's `jitter` of their sides."""
    jitter = preset.segmenter.jitter
    sides = boxes[:, 2:] - boxes[:, :2]
    moves = rng.uniform(-jitter, jitter, (2, len(boxes), 2))
    centre = (boxes[:, :2] + boxes[:, 2:]) / 2 + moves[0] * sides
    sides = sides * np.exp(moves[1])
    return bx.clip_boxes(
        np.concatenate([centre - sides / 2, centre + sides / 2], axis=1), grid, preset.min_side
    )


def training_batch(
    data: SliceSet,
    slices: Array,
    boxes: Array,
    preset: Preset,
    rng: np.random.Generator,
    device: torch.device = CPU,
) -> tuple[Tensor, Tensor]:
    """Slices [n] and boxes [n, 4] -> crops [n, 3, C, C] and masks [n, 1, C, C], cut on the
    device.
    """
    c, grid = preset.segmenter, data.grid
    # A whole-slice box already shows everything and is not moved.
    if not (boxes == whole_boxes(1, grid)).all():
        boxes = jittered(boxes, grid, preset, rng)
    boxes = bx.enlarge(boxes, preset.ranet.context_factor, grid)
    stacked = torch.cat(
        [load_images(data, slices, device), load_masks(data, slices, device)], dim=1
    )
    crops = sample_crops(stacked, boxes, preset.ranet.crop, rng, c, preset.ranet.sampling_ratio)
    images, masks = crops[:, :3], (crops[:, 3:] >= 0.5).float()
    if c.intensity:
        gain = rng.uniform(1 - c.intensity, 1 + c.intensity, (len(boxes), 3, 1, 1)).astype(
            np.float32
        )
        images = images * torch.from_numpy(gain).to(device)
    return images.contiguous(memory_format=torch.channels_last), masks
