"""What every training loop needs of its slice sets: checks before training, and the slices of an
epoch.
"""

from __future__ import annotations

import hashlib

import numpy as np

from ..run.presets import Preset
from .slice_set import SliceSet

Array = np.ndarray


def pick_validation(data: SliceSet, count: int) -> Array:
    """At most `count` evenly spaced slices, so that all patients are represented; some must hold
    tumour.
    """
    chosen = np.unique(np.linspace(0, len(data) - 1, min(count, len(data))).astype(int))
    if not data.tumour[chosen].any():
        raise SystemExit(
            f"none of the {len(chosen)} validation slices chosen holds tumour. Raise "
            f"validation_slices above {count}"
        )
    return chosen


def draw_slices(
    data: SliceSet,
    count: int,
    tumour_free_share: float,
    rng: np.random.Generator,
    part: tuple[int, int] = (0, 1),
) -> Array:
    """`count` slices in random order, the given share tumour-free, each slice as often as the
    others of its kind, up to one.

    `part` (rank, number) draws only from this process's share of the set.
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
    """Reject, before the first step, data that would end training later or teach nothing."""
    for name, data in (("training", train), ("validation", validation)):
        if not len(data) or not data.tumour.any():
            raise SystemExit(
                f"the {name} set holds no tumour slice ({len(data)} slices). Check the split and "
                "the masks of its cases"
            )
        if data.grid != preset.input.grid:
            raise SystemExit(
                f"the {name} set's slices are {data.grid} pixels wide, preset {preset.name} "
                f"requires {preset.input.grid}. Prepare the slices with the preset's own input "
                "settings"
            )
        boxes = data.target[data.tumour]
        sides = boxes[:, 2:] - boxes[:, :2]
        outside = ~np.isfinite(boxes).all(axis=1) | (sides <= 0).any(axis=1)
        outside |= (boxes[:, 2:] <= 0).any(axis=1) | (boxes[:, :2] >= data.grid).any(axis=1)
        if outside.any():
            row = np.flatnonzero(data.tumour)[outside.argmax()]
            raise SystemExit(
                f"the {name} set's {name_slices(data, np.array([row]))} has the target box "
                f"{data.target[row].round(1).tolist()}, which is not on the grid of {data.grid} "
                "pixels. Leave the case out, or choose an input fit that shows it"
            )
    shared = np.intersect1d(train.patient, validation.patient)
    if len(shared):
        raise SystemExit(
            f"patient {shared[0]} is in the training and in the validation set. Patients must not "
            "be shared"
        )
    if train.tumour.sum() < processes:
        raise SystemExit(
            f"found {int(train.tumour.sum())} tumour slices, expected at least one for each of "
            f"{processes} processes"
        )
    if tumour_free_share and train.tumour.all():
        raise SystemExit(
            f"preset {preset.name} trains on tumour-free slices (tumour_free_share "
            f"{tumour_free_share}) and the training set holds none. Prepare them, or set "
            "tumour_free_share to 0"
        )


def name_slices(data: SliceSet, rows: Array, most: int = 16) -> str:
    """Rows of a set, for messages."""
    rows = np.unique(rows)
    named = [f"patient {data.patient[r]} slice {data.slice_index[r]}" for r in rows[:most]]
    return ", ".join(named) + (f" and {len(rows) - most} more" if len(rows) > most else "")


def identity(train: SliceSet, validation: SliceSet) -> str:
    """A short hash of the slices that training uses, so that it is not resumed with others."""
    digest = hashlib.sha256()
    for data in (train, validation):
        for array in (data.patient, data.slice_index, data.target):
            digest.update(np.ascontiguousarray(array).tobytes())
    return digest.hexdigest()[:16]
