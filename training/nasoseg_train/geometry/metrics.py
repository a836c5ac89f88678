"""Overlap and distance measures between two masks of a slice, and statistics over many slices.

Overlap is counted in pixels. Distances are taken within a slice, between one of two kinds of
points:

- *Border pixels* are the pixels inside that have a neighbour outside across an edge (four
  neighbours; beyond the image is outside). The point is the pixel's centre. Hausdorff distance and
  added path length use these.
- *Outline elements* are what marching squares draws half-way between pixel centres, one piece per
  cell of 2 x 2 neighbouring centres. The point is the cell's middle, the weight is the piece's
  length in mm. HD95 and surface Dice use these, as Nikolov et al. (J Med Internet Res
  2021;23:e26151) define them and as `nasoseg evaluate` measures an edited contour
  (`hausdorff95_mm`, `contour_dice`), so a model and a person's edit are reported in the same
  figures.

If both masks are empty there is no value (NaN); the caller leaves it out and counts it. If one is
empty, Dice and surface Dice are 0 and distances are NaN.

SciPy does the work (erosion, k-d trees). MONAI also measures Hausdorff distances and surface Dice,
but its percentile counts border pixels alike whatever their length, and it requires PyTorch; the
tests compare with it instead.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.ndimage import binary_erosion
from scipy.spatial import cKDTree

Array = np.ndarray
NAN = float("nan")
# Distances in pixels are on the grid that the paper resizes its slices to (4.2.1).
PAPER_GRID = 384
TOLERANCES_MM = (1.0, 2.0)
_CROSS = np.array([[0, 1, 0], [1, 1, 1], [0, 1, 0]], dtype=bool)


def counts(guess: Array, truth: Array) -> tuple[int, int, int]:
    """(true positives, false positives, false negatives) in pixels."""
    shared = int(np.count_nonzero(guess & truth))
    return shared, int(np.count_nonzero(guess)) - shared, int(np.count_nonzero(truth)) - shared


def dice(tp: float, fp: float, fn: float) -> float:
    """2 TP / (2 TP + FP + FN); NaN if both masks are empty."""
    total = 2 * tp + fp + fn
    return 2 * tp / total if total else NAN


def precision(tp: float, fp: float, fn: float) -> float:
    """TP / (TP + FP). If nothing was found: 0 if there was something to find (as Dice), else
    NaN.
    """
    return tp / (tp + fp) if tp + fp else (0.0 if fn else NAN)


def recall(tp: float, fp: float, fn: float) -> float:
    """TP / (TP + FN); NaN if there was nothing to find."""
    return tp / (tp + fn) if tp + fn else NAN


def iou(tp: float, fp: float, fn: float) -> float:
    """TP / (TP + FP + FN); NaN if both masks are empty."""
    total = tp + fp + fn
    return tp / total if total else NAN


def conformity(dice_value: float) -> float:
    """CC = 1 - (FP + FN) / TP = (3 Dice - 2) / Dice, from an aggregate Dice."""
    return (3 * dice_value - 2) / dice_value if dice_value else float("-inf")


def border(mask: Array) -> Array:
    """The border pixels of a mask [rows, columns]."""
    return mask & ~binary_erosion(mask, _CROSS, border_value=0)


@dataclass(frozen=True)
class Outline:
    """Outline elements of one mask."""

    places_mm: Array  # [n, 2], (y, x) from the centre of pixel (0, 0)
    lengths_mm: Array  # [n]


def outline(mask: Array, spacing_mm: tuple[float, float]) -> Outline:
    """The outline of a mask [rows, columns]; spacing between rows and between columns."""
    dy, dx = spacing_mm
    around = np.pad(mask, 1).astype(np.uint8)
    code = around[:-1, :-1] | around[:-1, 1:] << 1 | around[1:, :-1] << 2 | around[1:, 1:] << 3
    corner = np.hypot(dy, dx) / 2
    lengths = np.zeros(16)
    # Bits are the corners (0, 0), (0, 1), (1, 0), (1, 1) of (row, column).
    lengths[[0b0001, 0b0010, 0b0100, 0b1000, 0b0111, 0b1011, 0b1101, 0b1110]] = (
        corner  # one corner alone is in, or out
    )
    lengths[[0b0011, 0b1100]] = dx
    lengths[[0b0101, 0b1010]] = dy
    lengths[[0b0110, 0b1001]] = 2 * corner  # opposite corners: two pieces
    rows, columns = np.nonzero(lengths[code])
    return Outline(
        np.stack([(rows - 0.5) * dy, (columns - 0.5) * dx], axis=1), lengths[code[rows, columns]]
    )


def _nearest(a: Array, b: Array) -> tuple[Array, Array]:
    """Distance of every point of a [n, 2] to the nearest of b [m, 2], and of every point of b to
    the nearest of a.
    """
    return cKDTree(b).query(a)[0], cKDTree(a).query(b)[0]


def hausdorff(a: Array, b: Array, spacing: tuple[float, float]) -> float:
    """The larger of the two directed Hausdorff distances between border pixels of two masks; NaN if
    one is empty.
    """
    if not (a.any() and b.any()):
        return NAN
    points = [np.argwhere(border(mask)) * np.asarray(spacing) for mask in (a, b)]
    return float(max(distances.max() for distances in _nearest(*points)))


def weighted_percentile(values: Array, weights: Array, share: float) -> float:
    """The smallest value that at least `share` of the weight does not exceed."""
    order = np.argsort(values, kind="stable")
    reached = np.cumsum(weights[order])
    return float(values[order][min(np.searchsorted(reached, share * reached[-1]), len(values) - 1)])


def hausdorff95_and_surface_dice(
    a: Array,
    b: Array,
    spacing_mm: tuple[float, float],
    tolerances_mm: tuple[float, ...] = TOLERANCES_MM,
) -> tuple[float, tuple[float, ...]]:
    """The larger of the two directed 95th percentiles (mm), and the share of both outlines within
    each tolerance.
    """
    one, other = outline(a, spacing_mm), outline(b, spacing_mm)
    if not len(one.lengths_mm) or not len(other.lengths_mm):
        both = len(one.lengths_mm) == len(other.lengths_mm)
        return NAN, tuple(NAN if both else 0.0 for _ in tolerances_mm)
    there, back = _nearest(one.places_mm, other.places_mm)
    farthest = max(
        weighted_percentile(there, one.lengths_mm, 0.95),
        weighted_percentile(back, other.lengths_mm, 0.95),
    )
    total = one.lengths_mm.sum() + other.lengths_mm.sum()
    within = [
        one.lengths_mm[there <= t].sum() + other.lengths_mm[back <= t].sum() for t in tolerances_mm
    ]
    return farthest, tuple(float(w / total) for w in within)


def added_path(guess: Array, truth: Array) -> tuple[int, int]:
    """(pixels of the true outline that are not on the guess's, pixels of the true outline): what
    has to be redrawn.

    Vaassen et al., Phys Imaging Radiat Oncol 2020;13:1-6, without a tolerance. In mm: times the
    square root of a pixel's area.
    """
    wanted = border(truth)
    return int(np.count_nonzero(wanted & ~border(guess))), int(np.count_nonzero(wanted))


@dataclass(frozen=True)
class MaskFigures:
    """The comparison of one slice's two masks; NaN if a measure has no value."""

    tp: int
    fp: int
    fn: int
    dice: float
    precision: float
    recall: float
    iou: float
    hd_mm: float
    hd_px: float  # of the slice stretched to PAPER_GRID x PAPER_GRID, as the paper resizes it
    hd95_mm: float
    surface_dice_1mm: float
    surface_dice_2mm: float
    added_path_px: int
    added_path_mm: float
    path_px: int  # of the true outline


def compare_masks(guess: Array, truth: Array, spacing_mm: tuple[float, float]) -> MaskFigures:
    """All figures of a slice's masks [rows, columns], bool; spacing between rows and between
    columns.
    """
    c = counts(guess, truth)
    rows, columns = truth.shape
    union = guess | truth
    # The measures below need only the rectangle that holds both masks.
    ys, xs = np.flatnonzero(union.any(axis=1)), np.flatnonzero(union.any(axis=0))
    part = np.s_[ys[0] : ys[-1] + 1, xs[0] : xs[-1] + 1] if len(ys) else np.s_[:0, :0]
    a, b = guess[part], truth[part]
    hd95, surface = hausdorff95_and_surface_dice(a, b, spacing_mm, TOLERANCES_MM)
    added, path = added_path(a, b)
    return MaskFigures(
        *c,
        dice(*c),
        precision(*c),
        recall(*c),
        iou(*c),
        hausdorff(a, b, spacing_mm),
        hausdorff(a, b, (PAPER_GRID / rows, PAPER_GRID / columns)),
        hd95,
        surface[0],
        surface[1],
        added,
        added * float(np.sqrt(spacing_mm[0] * spacing_mm[1])),
        path,
    )


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
    return float(flags.mean()) if len(flags) else NAN


def terciles(values: Array) -> Array:
    """0, 1 or 2 for the smallest, middle and largest third of the values."""
    low, high = np.percentile(values, [100 / 3, 200 / 3])
    return np.digitize(values, [low, high])
