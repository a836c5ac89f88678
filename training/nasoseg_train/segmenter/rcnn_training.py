"""Trains Faster R-CNN and Mask R-CNN (paper 4.3.3, 5)."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from ..data.draws import check_sets, draw_slices, identity, name_slices, pick_validation
from ..data.slice_set import SliceSet
from ..geometry import boxes as bx
from ..networks import RoiCrop
from ..networks.rcnn import MASK_SIDE, RCNN, MaskSegmenter
from ..run import checkpoint, machine
from ..run.options import RunOptions
from ..run.presets import Preset
from ..run.step_loop import StepLoop
from .crop_batches import sample_crops

Array = np.ndarray


def load(data: SliceSet, slices: Array) -> Tensor:
    """Slices [n] of a set -> float32 [n, 4, G, G] in [0, 1]: T1, T1C, T2, mask."""
    stored = np.concatenate([data.images[slices], data.masks[slices][:, None]], axis=1)
    return torch.from_numpy(stored).float().div_(255.0)


def training_batch(
    data: SliceSet, slices: Array, preset: Preset, rng: np.random.Generator
) -> tuple[list[Tensor], list[dict[str, Tensor]]]:
    """Slices [n] -> whole-slice images [3, P, P] and torchvision's targets, rotated, flipped and
    resized at random.

    The target box is that of the transformed mask. Without a tumour in the transformed slice there
    is no box.
    """
    size, c, n = preset.proposals.image_size, preset.segmenter, len(slices)
    whole = np.tile([0.0, 0.0, data.grid, data.grid], (n, 1))
    crops = sample_crops(load(data, slices), whole, size, rng, c)
    images, masks = crops[:, :3], crops[:, 3] >= 0.5
    if c.intensity:
        gain = rng.uniform(1 - c.intensity, 1 + c.intensity, (n, 3, 1, 1)).astype(np.float32)
        images = images * torch.from_numpy(gain)
    targets = []
    for mask in masks:
        rows, columns = mask.any(1).nonzero().flatten(), mask.any(0).nonzero().flatten()
        if len(rows) == 0:
            empty = torch.zeros(0, size, size, dtype=torch.uint8)
            targets.append(
                {
                    "boxes": torch.zeros(0, 4),
                    "labels": torch.zeros(0, dtype=torch.int64),
                    "masks": empty,
                }
            )
            continue
        edges = torch.stack([columns[0], rows[0], columns[-1] + 1, rows[-1] + 1]).float()
        # torchvision counts pixel centres.
        box = (edges - 0.5).unsqueeze(0)
        targets.append(
            {
                "boxes": box,
                "labels": torch.ones(1, dtype=torch.int64),
                "masks": mask.to(torch.uint8).unsqueeze(0),
            }
        )
    return list(images), targets


@torch.no_grad()
def propose(net: RCNN, images: Tensor, preset: Preset) -> tuple[Array, Array]:
    """Slices [S, 3, G, G] -> the box of the highest score of each slice [S, 4], NaN below the
    threshold; all scores [S, K].
    """
    boxes, scores = (x.cpu().numpy() for x in net.eval()(images))
    return choose(boxes, scores, preset), scores


def choose(boxes: Array, scores: Array, preset: Preset) -> Array:
    """Proposals [S, K, 4] and scores [S, K] -> each slice's box [S, 4] as the runtime chooses it,
    NaN if there is none.
    """
    rows, best = np.arange(len(scores)), scores.argmax(axis=1)  # ties go to the lowest index
    grid = preset.input.grid
    inside = np.clip(boxes[rows, best].astype(np.float64), 0, grid)
    out = bx.clip_boxes(inside, grid, preset.min_side)
    out[scores[rows, best] < preset.proposals.score_threshold] = np.nan
    return out


@torch.no_grad()
def validation_figures(
    net: RCNN, data: SliceSet, slices: Array, preset: Preset, chunk: int = 8
) -> dict[str, float]:
    """Recall and IoU of tumour slices (0 if there is no box), the share of tumour-free slices
    without a box, and, with masks, Dice over the whole slice. `score` chooses the checkpoint: their
    sum.
    """
    boxes, dice = [], []
    masks, crop = MaskSegmenter(net) if net.masks else None, RoiCrop(MASK_SIDE, 2)
    net.eval()
    device = next(net.parameters()).device
    for start in range(0, len(slices), chunk):
        part = slices[start : start + chunk]
        stored = load(data, part)
        images, truth = stored[:, :3].to(device), stored[:, 3:]
        found, _ = propose(net, images, preset)
        boxes.append(found)
        if masks is None:
            continue
        rows = np.flatnonzero(~np.isnan(found[:, 0]))
        guess = np.zeros((len(part), 2))  # pixels of the grid: drawn, and rightly drawn
        if len(rows):
            where, index = torch.from_numpy(found[rows]).float(), torch.from_numpy(rows)
            drawn = (
                masks(images, where.to(device), index.to(device)).cpu() >= preset.ranet.threshold
            )
            real = crop(truth, where, index) >= 0.5
            pixel = bx.area(found[rows]) / MASK_SIDE**2
            guess[rows] = (
                np.stack([drawn.sum((1, 2, 3)).numpy(), (drawn & real).sum((1, 2, 3)).numpy()], 1)
                * pixel[:, None]
            )
        total = (truth >= 0.5).sum((1, 2, 3)).numpy()
        with_tumour = data.tumour[part]
        dice += list((2 * guess[:, 1] / np.maximum(guess[:, 0] + total, 1))[with_tumour])
    last, tumour = np.concatenate(boxes), data.tumour[slices]
    none = np.isnan(last[:, 0])
    hit = last[tumour & ~none]
    target = data.target[slices][tumour & ~none]
    count = max(int(tumour.sum()), 1)
    figures = {
        "recall": float(bx.recall(hit, target).sum() / count),
        "iou": float(bx.iou(hit, target).sum() / count),
        "without_box": float((none & tumour).sum() / count),
        "tumour_free_none": float(none[~tumour].mean()) if (~tumour).any() else 1.0,
    }
    if dice:
        figures["dice"] = float(np.mean(dice))
    figures["score"] = (
        figures["recall"] + figures["iou"] + figures["tumour_free_none"] + figures.get("dice", 0.0)
    )
    return figures


def train_proposals(
    preset: Preset,
    train: SliceSet,
    validation: SliceSet,
    out: Path,
    seed: int,
    weights: str | None = None,
    device: str = "cpu",
    options: RunOptions = RunOptions(),
) -> Path:
    """Train and keep the best checkpoint by `validation_figures`' score; returns its path,
    proposals.pt, which exists once training has finished.

    `weights` such as "IMAGENET1K_V1" starts a torchvision backbone from ImageNet; its statistics
    are then part of the graph.
    """
    c, rng = preset.proposals, np.random.default_rng([seed, 6])
    free = preset.segmenter.tumour_free_share
    check_sets(preset, train, validation, free)
    torch.manual_seed(seed)
    net = RCNN(preset, weights).to(device)
    optimiser = machine.optimiser_of((p for p in net.parameters() if p.requires_grad), c)
    chosen = pick_validation(validation, c.validation_slices)
    made_from = {
        "preset": checkpoint.plain(preset),
        "seed": seed,
        "weights": weights,
        "slices": identity(train, validation),
    }
    loop = StepLoop("proposals", out, net, optimiser, rng, made_from, options, clip=10.0)

    def lr_of(step: int) -> float:
        # A short warm-up and a late drop, as in torchvision's own recipe.
        return (
            c.lr
            * min(1.0, (step + 1) / max(c.warmup, 1))
            * (1.0 if step < c.late_after * c.steps else 0.1)
        )

    def loss_of(step: int) -> tuple[Tensor, str]:
        if len(loop.queue) < c.batch:
            loop.queue = draw_slices(train, max(1024, c.batch), free, rng)
        slices, loop.queue = np.sort(loop.queue[: c.batch]), loop.queue[c.batch :]
        images, targets = training_batch(train, slices, preset, rng)
        targets = [{key: x.to(device) for key, x in one.items()} for one in targets]
        losses = net.model([x.to(device) for x in images], targets)
        return sum(losses.values(), torch.zeros((), device=device)), name_slices(train, slices)

    return loop.run(
        c.steps,
        c.validate_every,
        lr_of,
        loss_of,
        lambda: validation_figures(net, validation, chosen, preset),
        lambda path, line: save_proposals(path, net, preset, seed, line, weights),
    )


def save_proposals(
    path: Path,
    net: RCNN,
    preset: Preset,
    seed: int,
    figures: dict[str, float],
    weights: str | None = None,
) -> None:
    """Write a checkpoint with its preset, seed, validation figures and whether it started from
    ImageNet.
    """
    checkpoint.write(
        path, {**checkpoint.best_state(net, preset, seed, figures), "imagenet": weights is not None}
    )


def load_proposals(path: Path, preset: Preset) -> tuple[RCNN, dict]:
    """Load the network of a checkpoint of this preset, and its validation figures."""
    state = checkpoint.read(path)
    net = RCNN(preset, imagenet=state["imagenet"])
    net.load_state_dict(state["net"])
    return net.eval(), state["validation"]
