"""Trains VoxResNet on the atlas box (paper 5; Lin 2019, Chen 2018), on every slice of every
patient.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from ..data.atlas_box import FixedBox, GridMm
from ..data.draws import check_sets, identity
from ..data.slice_set import SliceSet
from ..geometry import metrics
from ..geometry.boxes import enlarge
from ..networks.voxresnet import VolumeSegmenter
from ..run import checkpoint
from ..run.options import RunOptions
from ..run.presets import Preset, VolumeConfig
from ..run.step_loop import StepLoop
from .sliding_window import Lines, Network, Stack, predict

Array = np.ndarray


class Patients:
    """The patients of a slice set as stacks of slices."""

    def __init__(self, data: SliceSet, voxel_mm: Mapping[int, GridMm]) -> None:
        self.data, self.voxel_mm = data, voxel_mm
        self.rows: list[Array] = []
        for patient in np.unique(data.patient):
            rows = np.flatnonzero(data.patient == patient)
            rows = rows[np.argsort(data.slice_index[rows])]
            if len(rows) > 1 and (np.diff(data.slice_index[rows]) != 1).any():
                raise ValueError(
                    f"patient {patient} has {len(rows)} slices with gaps; a 3D network requires "
                    "every slice"
                )
            self.rows.append(rows)

    def __len__(self) -> int:
        return len(self.rows)

    def stack(self, number: int, first: int = 0, last: int | None = None) -> tuple[Stack, Array]:
        """Slices first .. last of a patient, images and mask as four uint8 channels, and the size
        of a voxel [3].
        """
        rows = self.rows[number][first : None if last is None else last + 1]
        size = self.voxel_mm[int(self.data.patient[rows[0]])]
        both = np.concatenate([self.data.images[rows], self.data.masks[rows][:, None]], axis=1)
        return Stack(both, np.arange(len(rows)) * size[0], (size[2], size[1])), np.array(size)

    def tumour(self, number: int) -> Array:
        """Which slices of a patient show tumour."""
        return self.data.tumour[self.rows[number]]


def training_patch(
    patients: Patients, number: int, box: FixedBox, config: VolumeConfig, rng: np.random.Generator
) -> tuple[Array, Array]:
    """A random patch float32 [3, D, H, W] in [0, 1] of a patient and its mask [1, D, H, W]."""
    tumour = np.flatnonzero(patients.tumour(number))
    first, last = 0, len(patients.rows[number]) - 1
    if len(tumour) and rng.random() < 0.5:
        # A user may restrict the range of slices; slices beyond it are then missing.
        first, last = max(tumour[0] - rng.integers(4), 0), min(tumour[-1] + rng.integers(4), last)
    stack, size = patients.stack(number, int(first), int(last))
    grid = patients.data.grid
    on_grid = enlarge(box.on_grid(tuple(size), grid), config.context_factor, grid)
    lines = Lines.around(config, stack, np.array([0, last - first]), np.stack([on_grid] * 2))
    factor = np.exp(rng.uniform(-config.scale, config.scale, 2))
    lines.y, lines.x = lines.y.stretched(factor[0]), lines.x.stretched(factor[1])
    # The voxel that the patch must contain: in the tumour, or anywhere.
    counts = [line.count for line in (lines.z, lines.y, lines.x)]
    show = [rng.uniform(0, n) for n in counts]
    if len(tumour) and rng.random() < config.tumour_share:
        row = int(rng.choice(tumour))
        target = patients.data.target[patients.rows[number][row]]
        middle = ((target[:2] + target[2:]) / 2)[::-1]
        show = [
            lines.z.index(stack.places_mm[row - int(first)]),
            lines.y.index(middle[0]),
            lines.x.index(middle[1]),
        ]
    start: list[int] = []
    for n, side, at in zip(counts, config.patch, show, strict=True):
        free = int(np.clip(round(at - rng.uniform(0, side)), 0, max(n - side, 0)))
        start.append(free if n > side else -((side - n) // 2))
    patch = lines.patch(stack.images, stack, (start[0], start[1], start[2]), config.patch)
    patch = patch / np.float32(255)
    if rng.random() < config.flip:
        patch = patch[..., ::-1]
    gain = rng.uniform(1 - config.intensity, 1 + config.intensity, (3, 1, 1, 1)).astype(np.float32)
    return patch[:3] * gain, (patch[3:] >= 0.5).astype(np.float32)


def deep_loss(every: list[Tensor], masks: Tensor, auxiliary: float) -> Tensor:
    """Cross entropy of the sum of the four resolutions' logits, plus that of each one times
    `auxiliary`.
    """
    loss = F.binary_cross_entropy_with_logits(torch.stack(every).sum(0), masks)
    for logits in every:
        loss = loss + auxiliary * F.binary_cross_entropy_with_logits(logits, masks)
    return loss


def network_of(net: VolumeSegmenter) -> Network:
    """The network as the sliding window calls it."""
    device = next(net.parameters()).device

    @torch.no_grad()
    def call(patch: Array) -> Array:
        return net(torch.from_numpy(patch).to(device)).cpu().numpy()

    return call


def validation_figures(
    net: VolumeSegmenter, patients: Patients, box: FixedBox, config: VolumeConfig, count: int
) -> dict[str, float]:
    """3D Dice on the grid over every slice of at most `count` patients with a tumour; `score` is
    Dice less the share of misses.
    """
    net.eval()
    dice: list[float] = []
    grid = patients.data.grid
    chosen = np.unique(np.linspace(0, len(patients) - 1, min(count, len(patients))).astype(int))
    for number in chosen:
        stack, size = patients.stack(int(number))
        truth = stack.images[:, 3] >= 128
        if not truth.any():
            continue
        stack = Stack(stack.images[:, :3].astype(np.float32) / 255, stack.places_mm, stack.pixel_mm)
        on_grid = enlarge(box.on_grid(tuple(size), grid), config.context_factor, grid)
        rows = np.arange(len(truth))
        guess = (
            predict(network_of(net), config, stack, rows, np.stack([on_grid] * len(rows)))
            >= config.threshold
        )
        dice.append(metrics.dice(*metrics.counts(guess, truth)))
    if not dice:
        raise ValueError("no validation patient has a tumour")
    misses = float(np.mean(np.array(dice) == 0))
    return {"dice": float(np.mean(dice)), "misses": misses, "score": float(np.mean(dice)) - misses}


def train_volume(
    preset: Preset,
    train: SliceSet,
    validation: SliceSet,
    train_mm: Mapping[int, GridMm],
    validation_mm: Mapping[int, GridMm],
    box: FixedBox,
    out: Path,
    seed: int,
    device: str = "cpu",
    options: RunOptions = RunOptions(),
) -> Path:
    """Train and keep the best checkpoint by `validation_figures`' score; returns its path,
    volume.pt, which exists once training has finished.

    Both sets hold every slice of their patients; `..._mm` give each patient's voxel size
    (`atlas_box.grid_mm`).
    """
    c, rng = preset.volume, np.random.default_rng([seed, 7])
    check_sets(preset, train, validation, 0.0)
    torch.manual_seed(seed)
    net = VolumeSegmenter(c).to(device)
    optimiser = torch.optim.Adam(net.parameters(), c.lr, weight_decay=c.weight_decay)
    patients, others = Patients(train, train_mm), Patients(validation, validation_mm)
    made_from = {
        "preset": checkpoint.plain(preset),
        "seed": seed,
        "box_mm": list(box.box_mm),
        "slices": identity(train, validation),
    }
    loop = StepLoop("volume", out, net, optimiser, rng, made_from, options, clip=5.0)

    def loss_of(step: int) -> tuple[Tensor, str]:
        drawn = rng.integers(len(patients), size=c.batch)
        pairs = [training_patch(patients, int(number), box, c, rng) for number in drawn]
        images, masks = (
            torch.from_numpy(np.stack(part)).to(device) for part in zip(*pairs, strict=True)
        )
        # The auxiliary classifiers matter early and fade out.
        loss = deep_loss(net.net.every(images), masks, c.auxiliary * 1e-3 ** (step / c.steps))
        return loss, ", ".join(
            f"patient {train.patient[patients.rows[number][0]]}" for number in drawn
        )

    return loop.run(
        c.steps,
        c.validate_every,
        lambda step: float(c.lr * (0.5 + 0.5 * np.cos(np.pi * step / c.steps))),
        loss_of,
        lambda: validation_figures(net, others, box, c, c.validation_patients),
        lambda path, line: save_volume(path, net, box, preset, seed, line),
    )


def save_volume(
    path: Path,
    net: VolumeSegmenter,
    box: FixedBox,
    preset: Preset,
    seed: int,
    figures: dict[str, float],
) -> None:
    """Write a checkpoint with its atlas box, preset, seed and validation figures."""
    checkpoint.write(
        path, {**checkpoint.best_state(net, preset, seed, figures), "box_mm": list(box.box_mm)}
    )


def load_volume(path: Path, preset: Preset) -> tuple[FixedBox, VolumeSegmenter, dict]:
    """Load the atlas box and network of a checkpoint of this preset, and its validation figures."""
    state = checkpoint.read(path)
    net = VolumeSegmenter(preset.volume)
    net.load_state_dict(state["net"])
    return FixedBox(tuple(state["box_mm"])), net.eval(), state["validation"]
