"""Masks and boxes in, figures out: overlap measures, and what describes many of them.

Both masks empty: excluded and counted by the caller. One empty: Dice 0.
"""

from __future__ import annotations

from typing import Any

import numpy as np

Array = np.ndarray


def counts(guess: Array, truth: Array) -> tuple[int, int, int]:
    """(true positives, false positives, false negatives) in pixels."""
    shared = int(np.count_nonzero(guess & truth))
    return shared, int(np.count_nonzero(guess)) - shared, int(np.count_nonzero(truth)) - shared


def dice(tp: float, fp: float, fn: float) -> float:
    """2 TP / (2 TP + FP + FN); NaN where both masks are empty."""
    total = 2 * tp + fp + fn
    return 2 * tp / total if total else float("nan")


def conformity(dice_value: float) -> float:
    """CC = 1 - (FP + FN) / TP = (3 Dice - 2) / Dice, from an aggregate Dice."""
    return (3 * dice_value - 2) / dice_value if dice_value else float("-inf")


def describe(values: Array) -> dict[str, Any]:
    """Count, mean, smallest, deciles and largest of some values."""
    values = np.asarray(values, dtype=float)
    if not len(values):
        return {"count": 0}
    deciles = np.percentile(values, np.arange(10, 100, 10))
    return {
        "count": len(values),
        "mean": float(values.mean()),
        "min": float(values.min()),
        "deciles": [float(v) for v in deciles],
        "max": float(values.max()),
    }


def share(flags: Array) -> float:
    """Share of true flags; NaN of none."""
    flags = np.asarray(flags, dtype=bool)
    return float(flags.mean()) if len(flags) else float("nan")


def terciles(values: Array) -> Array:
    """0, 1 or 2 for the smallest, middle and largest third of the values."""
    low, high = np.percentile(values, [100 / 3, 200 / 3])
    return np.digitize(values, [low, high])
