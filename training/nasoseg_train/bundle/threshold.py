"""Chooses a bundle's probability threshold on validation patients.

Tumour-free slices should stay free of any pixel, and Dice hardly depends on the threshold over a
wide range. So the threshold is the lowest that leaves at most the share `FREE` of the tumour-free
slices with a pixel, if that costs no more than `COST` of mean Dice; else the highest within that
cost.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
from tqdm import tqdm

from ..geometry import metrics as m
from .reference import Bundle, run
from .writer import write_manifest

Array = np.ndarray
# T1, T1C, T2 [3, k, j, i], the tumour bool [k, j, i], and the voxel's size in mm (k, j, i).
Volume = tuple[Array, Array, tuple[float, float, float]]
THRESHOLDS = np.round(np.arange(0.3, 0.96, 0.05), 2)
FREE = 0.04
COST = 0.025


def pick(dice: Array, free: Array) -> int:
    """Index of the chosen threshold, from mean Dice [T] and the share of tumour-free slices with
    any pixel [T].
    """
    affordable = dice >= dice.max() - COST
    clean = affordable & (free <= FREE)
    return int(np.flatnonzero(clean)[0] if clean.any() else np.flatnonzero(affordable)[-1])


def measure(bundle: Bundle, patients: Iterable[Volume], count: int) -> tuple[Array, Array]:
    """Mean Dice per tumour slice [T] and the share of tumour-free slices with any pixel [T], over
    `count` whole patients.
    """
    dice: list[list[float]] = []
    free: list[list[bool]] = []
    for images, mask, (_, dj, di) in tqdm(patients, total=count, desc="threshold", mininterval=5):
        probability = run(bundle, images.astype(np.float32), (dj, di)).probability
        for guess, truth in zip(probability, mask, strict=True):
            if truth.any():
                dice.append([m.dice(*m.counts(guess >= t, truth)) for t in THRESHOLDS])
            else:
                free.append([bool(guess.max() >= t) for t in THRESHOLDS])
    if not dice or not free:
        raise ValueError(
            f"{len(dice)} slices with tumour and {len(free)} without; choosing a threshold "
            "requires both kinds"
        )
    return np.mean(dice, axis=0), np.mean(free, axis=0)


def set_threshold(folder: Path, patients: Iterable[Volume], count: int) -> dict[str, Any]:
    """Measure, choose, and write the threshold into the bundle's manifest."""
    dice, free = measure(Bundle(folder, threads=1), patients, count)
    chosen = float(THRESHOLDS[pick(dice, free)])
    content = json.loads((folder / "bundle.json").read_text())
    content["segmenter"]["threshold"] = chosen
    table = {
        f"{t:.2f}": [round(float(d), 4), round(float(f), 4)]
        for t, d, f in zip(THRESHOLDS, dice, free, strict=True)
    }
    content["metrics"]["threshold"] = {
        "chosen": chosen,
        "patients": count,
        "dice_and_tumour_free_any_pixel": table,
    }
    write_manifest(folder, content)
    return content["metrics"]["threshold"]
