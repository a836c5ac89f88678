"""Slices, masks and the agent's boxes in, a trained RANet out (paper 3.2, 4.2.3).

RANet is trained on the crop of the box after every action of the agent, enlarged by the context factor. The agent's
boxes come from two policies: the exploring one of Algorithm 3 (the prior and chance; it needs no trained agent), then
the trained agent's greedy one for the last `agent_steps`.
"""

from __future__ import annotations

import copy
import json
import time
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from . import boxes as bx
from .data import SliceSet
from .detector import draw_slices, load_images, pick_validation, run_agent
from .environment import Episodes, Views
from .exploration import prior_actions
from .losses import segmentation_loss
from .networks import QNetwork, Segmenter
from .presets import Preset, SegmenterTraining

Array = np.ndarray


def exploring_boxes(data: SliceSet, slices: Array, preset: Preset, rng: np.random.Generator, chance: float = 0.2) -> Array:
    """Boxes after every action of an exploring episode on each slice: [n, T + 1, 4], padded by repeating."""
    n = len(slices)
    episodes = Episodes(data, preset, n)
    episodes.start(np.arange(n), slices, Views.plain(n))
    boxes, running = [episodes.boxes.copy()], np.ones(n, dtype=bool)
    for _ in range(preset.max_steps):
        prior = prior_actions(episodes.boxes, episodes.target, episodes.tumour, data.grid, preset.min_side, rng)
        actions = np.where(rng.random(n) < chance, rng.integers(bx.TERMINAL, size=n), prior)
        # On a tumour-free slice the prior stops at once; walk on by chance, as the agent might.
        walk = ~episodes.tumour & (rng.random(n) < 0.8)
        actions = np.where(walk, rng.integers(bx.TERMINAL, size=n), actions)
        actions = np.where(running, actions, bx.TERMINAL)
        episodes.step(actions)
        running &= actions != bx.TERMINAL
        boxes.append(episodes.boxes.copy())
    return np.stack(boxes, axis=1)


def sample_crops(
    images: Tensor, boxes: Array, size: int, rng: np.random.Generator, c: SegmenterTraining, ratio: int = 2
) -> Tensor:
    """Channels [N, K, G, G] and enlarged boxes [N, 4] -> crops [N, K, size, size], rotated, flipped and resized at random.

    Without rotation and resizing this is RoIAlign with `ratio` samples per pixel and side: a grid `ratio` times finer,
    averaged.
    """
    n, grid = len(boxes), images.shape[-1]
    centre, half = (boxes[:, :2] + boxes[:, 2:]) / 2, (boxes[:, 2:] - boxes[:, :2]) / 2
    angle = np.deg2rad(rng.uniform(-c.rotation_degrees, c.rotation_degrees, n))
    half = half * np.exp(rng.uniform(-c.scale, c.scale, (n, 1)))
    mirror = np.where(rng.random(n) < c.flip, -1.0, 1.0)
    # Crop coordinates in [-1, 1] -> grid pixels -> grid_sample's [-1, 1], which is pixel edges over G / 2 less 1.
    cos, sin = np.cos(angle), np.sin(angle)
    theta = np.zeros((n, 2, 3))
    theta[:, 0, 0], theta[:, 0, 1] = mirror * half[:, 0] * cos, -half[:, 1] * sin
    theta[:, 1, 0], theta[:, 1, 1] = mirror * half[:, 0] * sin, half[:, 1] * cos
    theta[:, :, 2] = centre - grid / 2
    theta = torch.from_numpy(theta / (grid / 2)).float()
    where = F.affine_grid(theta, [n, images.shape[1], size * ratio, size * ratio], align_corners=False)
    return F.avg_pool2d(F.grid_sample(images, where, align_corners=False), ratio)


def training_batch(data: SliceSet, slices: Array, boxes: Array, preset: Preset, rng: np.random.Generator) -> tuple[Tensor, Tensor]:
    """Slices [n] and the agent's boxes [n, 4] -> crops [n, 3, C, C] and masks [n, 1, C, C]."""
    c, grid = preset.segmenter, data.grid
    sides = boxes[:, 2:] - boxes[:, :2]
    jitter = rng.uniform(-c.jitter, c.jitter, (2, len(boxes), 2))
    centre = (boxes[:, :2] + boxes[:, 2:]) / 2 + jitter[0] * sides
    sides = sides * np.exp(jitter[1])
    boxes = bx.clip_boxes(np.concatenate([centre - sides / 2, centre + sides / 2], axis=1), grid, preset.min_side)
    boxes = bx.enlarge(boxes, preset.ranet.context_factor, grid)
    masks = torch.from_numpy(np.ascontiguousarray(data.masks[slices])).float().div_(255.0)
    stacked = torch.cat([load_images(data, slices), masks.unsqueeze(1)], dim=1)
    crops = sample_crops(stacked, boxes, preset.ranet.crop, rng, c, preset.ranet.sampling_ratio)
    images, masks = crops[:, :3], (crops[:, 3:] >= 0.5).float()
    if c.intensity:
        gain = rng.uniform(1 - c.intensity, 1 + c.intensity, (len(boxes), 3, 1, 1)).astype(np.float32)
        images = images * torch.from_numpy(gain)
    return images.contiguous(memory_format=torch.channels_last), masks


@torch.no_grad()
def validation_figures(
    net: Segmenter, data: SliceSet, slices: Array, boxes: Array, preset: Preset, chunk: int = 16
) -> dict[str, float]:
    """Dice on the crop's grid for fixed boxes [n, 4] and the share of tumour-free slices with any pixel.

    A tumour slice whose crop holds no tumour counts as Dice 0. `score` chooses the checkpoint: mean Dice less the
    share of misses and half the share of tumour-free slices with any pixel.
    """
    net.eval()
    grid = data.grid
    wide = torch.from_numpy(bx.enlarge(boxes, preset.ranet.context_factor, grid)).float()
    dice, any_pixel = [], []
    for start in range(0, len(slices), chunk):
        part = slices[start : start + chunk]
        index, here = torch.arange(len(part)), wide[start : start + chunk]
        probability = net(load_images(data, part), here, index)[:, 0].numpy() >= preset.ranet.threshold
        masks = torch.from_numpy(np.ascontiguousarray(data.masks[part])).float().unsqueeze(1)
        truth = net.crop(masks, here, index)[:, 0].numpy() >= 127.5
        for guess, true, tumour in zip(probability, truth, data.tumour[part]):
            if tumour:
                dice.append(2 * (guess & true).sum() / max(guess.sum() + true.sum(), 1))
            else:
                any_pixel.append(guess.any())
    figures = {
        "dice": float(np.mean(dice)),
        "misses": float(np.mean(np.array(dice) == 0)),
        "tumour_free_any": float(np.mean(any_pixel)) if any_pixel else 0.0,
    }
    figures["score"] = figures["dice"] - figures["misses"] - figures["tumour_free_any"] / 2
    return figures


def train_segmenter(
    preset: Preset,
    train: SliceSet,
    validation: SliceSet,
    out: Path,
    seed: int,
    agent: QNetwork | None,
    stage: str,
    start: Path | None = None,
    weights: str | None = None,
) -> Path:
    """One stage: `explore` (no agent, `steps` - `agent_steps` batches) or `agent` (`agent_steps`).

    `start` is the checkpoint to go on from: the other stage's, or this one's if it was cut off.
    """
    c, rng = preset.segmenter, np.random.default_rng([seed, 3 if stage == "explore" else 4])
    torch.manual_seed(seed)
    net = Segmenter(preset.ranet, weights)
    done = 0
    if start is not None:
        state = torch.load(start, weights_only=True)
        net.load_state_dict(state["net"])
        done = state["validation"]["step"]
    net = net.to(memory_format=torch.channels_last)
    average = copy.deepcopy(net).eval().requires_grad_(False)
    optimiser = torch.optim.Adam(net.parameters(), c.lr, weight_decay=c.weight_decay)
    out.mkdir(parents=True, exist_ok=True)
    best_path, log, best = out / f"segmenter_{stage}.pt", out / f"segmenter_{stage}.jsonl", -np.inf
    log.write_text("")

    chosen = pick_validation(validation, c.validation_slices)
    if agent is None:
        validation_boxes = exploring_boxes(validation, chosen, preset, np.random.default_rng([seed, 5]), 0.0)[:, -1]
        walks = None
    else:
        validation_boxes = run_agent(agent, validation, chosen, preset).last
        walks = run_agent(agent, train, np.arange(len(train)), preset).boxes
    first = done if stage == "explore" else max(done, c.steps - c.agent_steps)
    last = c.steps - c.agent_steps if stage == "explore" else c.steps
    losses: list[float] = []
    begun = time.time()

    queue = np.zeros(0, dtype=np.int64)
    for step in range(first, last):
        lr = c.lr if step < c.late_after * c.steps else c.lr_late
        # The first batches run warm: Adam's steps on a fresh network are too long otherwise.
        lr *= min(1.0, (step - first + 1) / 100)
        for group in optimiser.param_groups:
            group["lr"] = lr
        if len(queue) < c.batch:
            queue = draw_slices(train, max(1024, c.batch), c.tumour_free_share, rng)
        slices, queue = np.sort(queue[: c.batch]), queue[c.batch :]
        path = exploring_boxes(train, slices, preset, rng) if walks is None else walks[slices]
        # Half of the crops are of the box where the agent stopped, the rest of any box on its way.
        moment = np.where(rng.random(len(slices)) < 0.5, preset.max_steps, rng.integers(0, preset.max_steps + 1, len(slices)))
        images, masks = training_batch(train, slices, path[np.arange(len(slices)), moment], preset, rng)
        net.train()
        loss = segmentation_loss(net.net(images), masks, c.loss, c.border_k, c.border_weight)
        optimiser.zero_grad(set_to_none=True)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(net.parameters(), 5.0)
        optimiser.step()
        losses.append(float(loss.detach()))
        decay = min(c.ema, 1 - 1 / (1 + (step - first + 1) / 10)) if c.ema else 0.0
        for kept, now in zip(average.state_dict().values(), net.state_dict().values()):
            if kept.dtype.is_floating_point:
                kept.lerp_(now, 1 - decay)
            else:
                kept.copy_(now)

        if (step + 1) % c.validate_every == 0 or step == last - 1:
            line: dict[str, float] = {
                "step": step + 1, "lr": lr, "loss": float(np.mean(losses)), "seconds": round(time.time() - begun, 1),
            }  # fmt: skip
            losses.clear()
            line |= validation_figures(average, validation, chosen, validation_boxes, preset)
            if line["score"] > best:
                best = line["score"]
                save_segmenter(best_path, average, preset, seed, line)
            with log.open("a") as f:
                f.write(json.dumps(line) + "\n")
            print(" ".join(f"{k}={v:.4g}" for k, v in line.items()), flush=True)
    return best_path


def save_segmenter(path: Path, net: Segmenter, preset: Preset, seed: int, figures: dict[str, float]) -> None:
    """A checkpoint holds its preset, seed and validation figures."""
    partial = path.with_suffix(".part")
    torch.save({"net": net.state_dict(), "preset": preset.to_dict(), "seed": seed, "validation": figures}, partial)
    partial.replace(path)


def load_segmenter(path: Path, preset: Preset) -> tuple[Segmenter, dict]:
    """The network of a checkpoint whose RANet is the preset's, and its validation figures."""
    state = torch.load(path, weights_only=True)
    net = Segmenter(preset.ranet)
    net.load_state_dict(state["net"])
    return net.eval(), state["validation"]
