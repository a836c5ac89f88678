"""Slice sets in, a refusal of unfit ones or the slices of an epoch out: what every training loop
asks of its data.
"""

from __future__ import annotations

import hashlib

import numpy as np

from ..run.presets import Preset
from .slice_set import SliceSet

Array = np.ndarray


def pick_validation(data: SliceSet, count: int) -> Array:
    """At most `count` slices, evenly spaced, so that every patient is seen; some must hold tumour."""
    chosen = np.unique(np.linspace(0, len(data) - 1, min(count, len(data))).astype(int))
    if not data.tumour[chosen].any():
        raise SystemExit(
            f"none of the {len(chosen)} validation slices chosen holds tumour; raise validation_slices above {count}"
        )
    return chosen


def draw_slices(
    data: SliceSet,
    count: int,
    tumour_free_share: float,
    rng: np.random.Generator,
    part: tuple[int, int] = (0, 1),
) -> Array:
    """`count` slices in random order, the given share tumour-free, each kind as evenly as it goes.

    `part` (rank, number) draws from this process's share of the set alone.
    """
    free = round(count * tumour_free_share)
    parts = []
    for rows, n in (
        (np.flatnonzero(data.tumour), count - free),
        (np.flatnonzero(~data.tumour), free),
    ):
        rows = rows[part[0] :: part[1]]
        if n and len(rows):
            parts.append(
                np.concatenate([rng.permutation(rows) for _ in range(-(-n // len(rows)))])[:n]
            )
    return rng.permutation(np.concatenate(parts))


def check_sets(
    preset: Preset,
    train: SliceSet,
    validation: SliceSet,
    tumour_free_share: float,
    processes: int = 1,
) -> None:
    """Refuse, before the first step, data that would end a run later or teach it nothing."""
    for name, data in (("training", train), ("validation", validation)):
        if not len(data) or not data.tumour.any():
            raise SystemExit(
                f"the {name} set holds no tumour slice ({len(data)} slices); check the split and the masks of its cases"
            )
        if data.grid != preset.input.grid:
            raise SystemExit(
                f"the {name} set's slices are {data.grid} pixels wide and preset {preset.name} wants {preset.input.grid}; prepare"
                " the slices with the preset's own input settings"
            )
        boxes = data.target[data.tumour]
        sides = boxes[:, 2:] - boxes[:, :2]
        outside = ~np.isfinite(boxes).all(axis=1) | (sides <= 0).any(axis=1)
        outside |= (boxes[:, 2:] <= 0).any(axis=1) | (boxes[:, :2] >= data.grid).any(axis=1)
        if outside.any():
            row = np.flatnonzero(data.tumour)[outside.argmax()]
            raise SystemExit(
                f"the {name} set's {name_slices(data, np.array([row]))} has the target box {data.target[row].round(1).tolist()}, which"
                f" does not lie on the grid of {data.grid} pixels; leave the case out, or choose an input fit that shows it"
            )
    shared = np.intersect1d(train.patient, validation.patient)
    if len(shared):
        raise SystemExit(
            f"patient {shared[0]} is in the training and in the validation set; patients must not be shared"
        )
    if train.tumour.sum() < processes:
        raise SystemExit(
            f"{int(train.tumour.sum())} tumour slices do not feed {processes} processes"
        )
    if tumour_free_share and train.tumour.all():
        raise SystemExit(
            f"preset {preset.name} trains on tumour-free slices (tumour_free_share {tumour_free_share}) and the training set"
            " holds none; prepare them, or set tumour_free_share to 0"
        )


def name_slices(data: SliceSet, rows: Array, most: int = 16) -> str:
    """Rows of a set in words."""
    rows = np.unique(rows)
    named = [f"patient {data.patient[r]} slice {data.slice_index[r]}" for r in rows[:most]]
    return ", ".join(named) + (f" and {len(rows) - most} more" if len(rows) > most else "")


def identity(train: SliceSet, validation: SliceSet) -> str:
    """A short hash of which slices a run sees, so that it does not go on with others."""
    digest = hashlib.sha256()
    for data in (train, validation):
        for array in (data.patient, data.slice_index, data.target):
            digest.update(np.ascontiguousarray(array).tobytes())
    return digest.hexdigest()[:16]
