"""How the reference implementation samples a segmenter's output, and the region of a `volume` one
(docs/reference/bundle.md).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ..data.slice_grid import SliceGrid

Array = np.ndarray
ROUNDING = 1e-6  # of a voxel: not another voxel


@dataclass
class Crop:
    """A segmenter's output around one slice's box. Coordinates are pixel edges of the bundle's
    grid.
    """

    probability: Array  # float32 [rows, columns]
    extent: Array  # float64 [4]: what its pixels fill
    box: Array  # float64 [4]: outside of it there is nothing

    def sample(self, grid: SliceGrid) -> Array:
        """At the centres of T1C's pixels: float32 [rows, columns]."""
        return sample_probability(self.probability, self.extent, grid, self.box)


@dataclass
class Line:
    """A row of voxels."""

    first: float  # centre of the first one
    step: float
    count: int

    @classmethod
    def filling(cls, low: float, high: float, step: float) -> Line:
        """As many voxels as fill low .. high, about its centre."""
        count = max(1, int(np.ceil((high - low) / step - ROUNDING)))
        return cls((low + high) / 2 - (count - 1) / 2 * step, step, count)

    @classmethod
    def reaching(cls, low: float, high: float, step: float) -> Line:
        """As many voxels as needed to have low and high between the outer centres."""
        count = max(0, int(np.ceil((high - low) / step - ROUNDING))) + 1
        return cls((low + high) / 2 - (count - 1) / 2 * step, step, count)

    @property
    def centres(self) -> Array:
        return self.first + np.arange(self.count) * self.step

    @property
    def edges(self) -> tuple[float, float]:
        return self.first - self.step / 2, self.first + (self.count - 0.5) * self.step


@dataclass
class Region:
    """The probability around all boxes of a study."""

    probability: Array  # float32 [z, y, x]
    z: Line
    y: Line
    x: Line

    def crop(self, place_mm: float, box: Array) -> Crop:
        """The probability of the slice at `place_mm`."""
        at = np.clip((place_mm - self.z.first) / self.z.step, 0, self.z.count - 1)
        low = int(at)
        high, share = min(low + 1, self.z.count - 1), np.float32(at - low)
        plane = self.probability[low] + (self.probability[high] - self.probability[low]) * share
        (x0, x1), (y0, y1) = self.x.edges, self.y.edges
        return Crop(plane, np.array([x0, y0, x1, y1]), box)


def starts(count: int, side: int, overlap: float) -> list[int]:
    """First voxels of the patches along an axis."""
    if count <= side:
        return [-((side - count) // 2)]
    more = max(1, int(np.ceil((count - side) / max(1.0, side * (1 - overlap)) - ROUNDING)))
    return [int(np.floor(n * (count - side) / more + 0.5)) for n in range(more + 1)]


def between(images: Array, places: Array, z: Line) -> Array:
    """Slices [S, 3, G, G] at their places -> [z, 3, G, G], linear; clamped beyond the first and
    last.
    """
    at = np.interp(z.centres, places, np.arange(len(places)))
    low = np.minimum(at.astype(int), max(len(places) - 2, 0))
    high = np.minimum(low + 1, len(places) - 1)
    share = (at - low).astype(np.float32)[:, None, None, None]
    return images[low] + (images[high] - images[low]) * share


def weights_inside(line: Line, grid: int) -> Array:
    """Bilinear weights [n, G] of an axis of the grid at a line's centres; 0 outside the grid."""
    edge = line.centres
    index = np.clip(edge - 0.5, 0, grid - 1)
    low = np.minimum(index.astype(int), grid - 2)
    out = np.zeros((line.count, grid), dtype=np.float32)
    n = np.arange(line.count)
    out[n, low] = 1 - (index - low)
    out[n, low + 1] += index - low
    out[(edge < 0) | (edge > grid)] = 0
    return out


def sample_probability(
    probability: Array, extent: Array, grid: SliceGrid, box: Array | None = None
) -> Array:
    """Probability [V, U] whose pixels fill `extent` [4], at the centres of T1C's pixels: float32
    [rows, columns].

    Bilinear, clamped to the outermost pixels; 0 outside `box` [4], which is the extent unless
    given.
    """
    box = extent if box is None else box
    axes = []
    for axis, n in ((0, grid.shape[1]), (1, grid.shape[0])):
        c = probability.shape[1 - axis]
        centre = (np.arange(n) + 0.5) * grid.scale[axis] + grid.offset[axis]
        low, high = extent[axis], extent[axis + 2]
        u = np.clip((centre - low) * c / (high - low) - 0.5, 0, c - 1)
        first = np.minimum(u.astype(int), max(c - 2, 0))
        inside = (centre >= box[axis]) & (centre <= box[axis + 2])
        axes.append((first, np.minimum(first + 1, c - 1), (u - first).astype(np.float32), inside))
    (x, x1, fx, in_x), (y, y1, fy, in_y) = axes
    top = probability[y][:, x] * (1 - fx) + probability[y][:, x1] * fx
    bottom = probability[y1][:, x] * (1 - fx) + probability[y1][:, x1] * fx
    return (top * (1 - fy)[:, None] + bottom * fy[:, None]) * (in_y[:, None] & in_x[None])
