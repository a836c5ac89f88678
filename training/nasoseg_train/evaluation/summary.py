"""Summarises the rows of all slices and cases: the figures of evaluation.json.

Mask figures are given in four ways, because the paper mixes the first two (its one-scale rows are
pooled, its SeqSeg rows are means of slices):

- `slices`: means over the tumour slices, the only ones that the paper uses;
- `pooled`: all pixels of the tumour slices as one image;
- `slices_either`, `pooled_all`: the same over every slice on which either mask has a pixel, so that
  false tumour counts (Dice 0);
- `patients`: 3D, over each case's whole volume, then the mean.

A tumour slice on which nothing was found has Dice, precision and recall 0 and no distance; those
are counted (`missed`, `hd_undefined`).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from ..geometry import metrics as m
from .rows import CaseRow, SliceRow

Array = np.ndarray
OVERLAP = ("dice", "precision", "recall", "iou")
DISTANCES = ("hd_mm", "hd_px", "hd95_mm", "surface_dice_1mm", "surface_dice_2mm")


def spread(values: Sequence[float]) -> dict[str, Any]:
    """`metrics.describe` of the values that exist, with their standard deviation, and the number of
    missing ones.
    """
    array = np.array(values, dtype=float)
    there = array[~np.isnan(array)]
    out = m.describe(there)
    if len(there):
        out["sd"] = float(there.std(ddof=1)) if len(there) > 1 else 0.0
    return out | {"undefined": int(np.isnan(array).sum())}


def _cc(dice: float | None) -> float | None:
    """CC of an aggregate Dice; None if there is none, or if it is 0 and CC unbounded."""
    return m.conformity(dice) if dice else None


def _means(rows: Sequence[SliceRow]) -> dict[str, Any]:
    out: dict[str, Any] = {
        name: spread([getattr(r, name) for r in rows]) for name in (*OVERLAP, *DISTANCES)
    }
    out["cc"] = _cc(out["dice"].get("mean"))
    added, path = sum(r.added_path_px for r in rows), sum(r.path_px for r in rows)
    out["added_path_mm"] = spread([r.added_path_mm for r in rows])
    out["added_path_px"] = spread([float(r.added_path_px) for r in rows])
    out["added_path_share"] = added / path if path else None  # of all true outlines
    return out


def _pooled(rows: Sequence[SliceRow]) -> dict[str, Any]:
    c = tuple(sum(getattr(r, name) for r in rows) for name in ("tp", "fp", "fn"))
    out = {
        "dice": m.dice(*c),
        "precision": m.precision(*c),
        "recall": m.recall(*c),
        "iou": m.iou(*c),
    }
    return out | {
        "cc": _cc(None if math.isnan(out["dice"]) else out["dice"]),
        "tp": c[0],
        "fp": c[1],
        "fn": c[2],
    }


def boxes(tumour: Sequence[SliceRow]) -> dict[str, Any] | None:
    """Table 1's figures of the tumour slices; None if the detector finds no boxes."""
    found = [r for r in tumour if not math.isnan(r.box_recall)]
    if not found:
        return None
    out: dict[str, Any] = {
        "recall": spread([r.box_recall for r in found]),
        "iou": spread([r.box_iou for r in found]),
        "without_box": sum(math.isnan(r.x0) for r in found),
    }
    of_agent = [r for r in found if r.steps is not None]
    if of_agent:
        steps = [r.steps for r in of_agent if r.steps is not None]
        out |= {
            "stopped": m.share(np.array([r.stopped for r in of_agent])),
            "rewarded_stops": m.share(np.array([r.rewarded_stop for r in of_agent])),
            "steps": spread([float(s) for s in steps]),
            "steps_histogram": {str(s): steps.count(s) for s in sorted(set(steps))},
        }
    return out


def _tumour_free(free: Sequence[SliceRow], cases: Sequence[CaseRow]) -> dict[str, Any]:
    of_agent = [r for r in free if r.stopped is not None]
    return {
        "slices": len(free),
        "any_pixel": m.share(np.array([r.fp > 0 for r in free])),
        "stopped": m.share(np.array([r.stopped for r in of_agent])),
        "false_positive_ml_per_patient": spread([c.false_positive_ml for c in cases]),
    }


def _by_area(tumour: Sequence[SliceRow]) -> list[dict[str, Any]]:
    """The smallest, middle and largest third of the tumour slices by area."""
    if len(tumour) < 3:
        return []
    thirds, out = m.terciles(np.array([r.area_mm2 for r in tumour])), []
    for third in range(3):
        part = [r for r, t in zip(tumour, thirds, strict=True) if t == third]
        if part:
            areas = [r.area_mm2 for r in part]
            missed = m.share(np.array([r.tp + r.fp == 0 for r in part]))
            out.append(
                {
                    "area_mm2": [min(areas), max(areas)],
                    "slices": _means(part),
                    "box": boxes(part),
                    "missed": missed,
                }
            )
    return out


def volume_agreement(cases: Sequence[CaseRow]) -> dict[str, Any]:
    """Bland and Altman: found less true volume, its mean and the limits within which 95 % of
    differences are expected.
    """
    d = np.array([c.found_ml - c.volume_ml for c in cases])
    if len(d) < 2:
        return {"count": len(d)}
    mean, sd = float(d.mean()), float(d.std(ddof=1))
    return {
        "count": len(d),
        "bias_ml": mean,
        "sd_ml": sd,
        "limits_ml": [mean - 1.96 * sd, mean + 1.96 * sd],
    }


def summarise(rows: Sequence[SliceRow], cases: Sequence[CaseRow]) -> dict[str, Any]:
    """All figures; `cases` may hold failed ones, which are counted and left out."""
    done = [c for c in cases if not c.error]
    tumour, free = [r for r in rows if r.tumour], [r for r in rows if not r.tumour]
    either = [r for r in rows if r.tp + r.fp + r.fn]
    with_tumour = [c for c in done if c.tumour_slices]
    patients = {
        name: spread([getattr(c, name) for c in with_tumour])
        for name in (*OVERLAP, "hd_px", "hd_mm")
    }
    return {
        "cases": {
            "asked": len(cases),
            "evaluated": len(done),
            "with_tumour": len(with_tumour),
            "failed": [{"case": c.case, "error": c.error} for c in cases if c.error],
        },
        "slices": {
            "evaluated": len(rows),
            "tumour": len(tumour),
            "tumour_free": len(free),
            "both_empty": len(rows) - len(either),
            "missed": sum(r.tp + r.fp == 0 for r in tumour),
            "found_without_tumour": sum(r.fp > 0 for r in free),
            "hd_undefined": sum(math.isnan(r.hd_px) for r in either),
        },
        "boxes": boxes(tumour),
        "segmentation": {
            "slices": _means(tumour),
            "pooled": _pooled(tumour),
            "slices_either": _means(either),
            "pooled_all": _pooled(rows),
            "patients": patients | {"cc": _cc(patients["dice"].get("mean"))},
        },
        "tumour_free": _tumour_free(free, done),
        "volume": volume_agreement(done),
        "by_area": _by_area(tumour),
    }


def plain(value: Any) -> Any:
    """A value for JSON: NaN and infinity become null."""
    if isinstance(value, dict):
        return {key: plain(v) for key, v in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain(v) for v in value]
    if isinstance(value, np.generic):
        value = value.item()
    return None if isinstance(value, float) and not math.isfinite(value) else value
