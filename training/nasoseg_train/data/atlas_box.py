"""The atlas box: one box for all patients (detector kind `fixed` of docs/reference/bundle.md).

The paper's comparison with Lin 2019 (section 5) uses it.

Lin et al. cut the patch around the tumour by an atlas (Sims 2009). Heads lie alike here, so the
atlas reduces to one box in mm about the slice's centre, large enough for nearly every tumour of the
training set.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from ..geometry import boxes as bx
from ..run.presets import InputConfig
from .slice_grid import SliceGrid
from .slice_set import SliceSet

Array = np.ndarray

# The size of a voxel of the prepared slices, mm: between slices, between the grid's rows, between
# its columns.
GridMm = tuple[float, float, float]


def grid_mm(
    shape: tuple[int, int], spacing_mm: tuple[float, float, float], config: InputConfig
) -> GridMm:
    """A volume's (rows, columns) and spacing (k, j, i) in mm -> the size of a voxel of its prepared
    slices.
    """
    scale = SliceGrid.fit(shape, spacing_mm[1:], config).scale
    return spacing_mm[0], spacing_mm[1] / scale[1], spacing_mm[2] / scale[0]


@dataclass(frozen=True)
class FixedBox:
    """The same box on every slice: x0, y0, x1, y1 in mm about the slice's centre."""

    box_mm: tuple[float, float, float, float]

    def on_grid(self, voxel_mm: GridMm, grid: int) -> Array:
        """The box [4] in pixel edges of the grid, kept inside."""
        pixel = np.array([voxel_mm[2], voxel_mm[1]] * 2)
        return bx.clip_boxes(grid / 2 + np.array(self.box_mm) / pixel, grid, 0.0)


def boxes_in_mm(data: SliceSet, voxel_mm: Mapping[int, GridMm]) -> Array:
    """The target boxes of all tumour slices [n, 4], mm about the slice's centre; `voxel_mm` has
    each patient's voxel size.
    """
    rows = np.flatnonzero(data.tumour)
    pixel = np.array(
        [[voxel_mm[int(p)][2], voxel_mm[int(p)][1]] * 2 for p in data.patient[rows]]
    ).reshape(-1, 4)
    return (data.target[rows] - data.grid / 2) * pixel


def atlas_box(boxes_mm: Array, share: float, margin_mm: float) -> FixedBox:
    """The box that contains `share` of all boxes [n, 4] entirely, plus a margin.

    The same share of boxes, as large as possible, is given up at each of the four sides.
    """
    if not len(boxes_mm):
        raise ValueError("the training set has no tumour slices; an atlas box requires some")
    edges = np.sort(boxes_mm, axis=0)
    best = np.array([edges[0, 0], edges[0, 1], edges[-1, 2], edges[-1, 3]])
    for given_up in range(1, len(edges)):
        last = len(edges) - 1 - given_up
        box = np.array([edges[given_up, 0], edges[given_up, 1], edges[last, 2], edges[last, 3]])
        inside = ((boxes_mm[:, :2] >= box[:2]) & (boxes_mm[:, 2:] <= box[2:])).all(axis=1)
        if (box[2:] <= box[:2]).any() or inside.mean() < share:
            break
        best = box
    low, high = best[:2] - margin_mm, best[2:] + margin_mm
    return FixedBox((float(low[0]), float(low[1]), float(high[0]), float(high[1])))
