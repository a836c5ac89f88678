"""A 3D network's probability by a sliding window (docs/reference/bundle.md, kind `volume`).

A region is the union of the slices' boxes, sampled trilinearly at the model's spacing. The
network's output on a sliding window is averaged with Gaussian weights and sampled at the grid's
pixels. Training cuts its patches here too.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..run.presets import VolumeConfig

Array = np.ndarray
ROUNDING = 1e-6

# Patches [1, 3, D, H, W] -> probability [1, 1, D, H, W].
Network = Callable[[Array], Array]


@dataclass(frozen=True)
class Line:
    """A row of voxels: the first one's centre, the distance between two, their number."""

    first: float
    step: float
    count: int

    @classmethod
    def filling(cls, low: float, high: float, step: float) -> Line:
        """As many voxels as fill low .. high, about its centre."""
        return cls._centred(low, high, step, max(int(np.ceil((high - low) / step - ROUNDING)), 1))

    @classmethod
    def reaching(cls, low: float, high: float, step: float) -> Line:
        """As many voxels as needed to have low and high between the outer centres, about their
        middle.
        """
        return cls._centred(
            low, high, step, max(int(np.ceil((high - low) / step - ROUNDING)), 0) + 1
        )

    @classmethod
    def _centred(cls, low: float, high: float, step: float, count: int) -> Line:
        return cls((low + high) / 2 - (count - 1) / 2 * step, step, count)

    def stretched(self, factor: float) -> Line:
        """The same number of voxels about the same centre, each `factor` times as large."""
        middle = self.first + (self.count - 1) / 2 * self.step
        return Line(
            middle - (self.count - 1) / 2 * self.step * factor, self.step * factor, self.count
        )

    def at(self, n: Array) -> Array:
        return self.first + n * self.step

    def index(self, coordinate: float | Array) -> Any:
        """The continuous index of a coordinate."""
        return (coordinate - self.first) / self.step

    @property
    def edges(self) -> tuple[float, float]:
        """The outer edges of all voxels."""
        return self.first - self.step / 2, self.first + (self.count - 0.5) * self.step


@dataclass
class Stack:
    """The stacked slices of one patient."""

    images: Array  # [S, K, G, G], float32 or uint8
    places_mm: Array  # [S], along the slices' normal, ascending
    pixel_mm: tuple[float, float]  # the grid's pixel along x, y


@dataclass
class Taps:
    """Linear interpolation along one axis: two neighbours, the second one's weight, and whether the
    voxel is inside.
    """

    low: Array
    high: Array
    weight: Array
    inside: Array


def _clamped(index: Array, count: int) -> tuple[Array, Array, Array]:
    index = np.clip(index, 0, count - 1)
    low = np.minimum(index.astype(int), max(count - 2, 0))
    return low, np.minimum(low + 1, count - 1), (index - low).astype(np.float32)


def pixel_taps(line: Line, start: int, side: int, grid: int) -> Taps:
    """Voxels start .. start + side of a line in pixel edges; nothing outside the line or the
    grid.
    """
    n = np.arange(start, start + side)
    at = line.at(n)
    inside = (n >= 0) & (n < line.count) & (at >= 0) & (at <= grid)
    return Taps(*_clamped(at - 0.5, grid), inside)


def slice_taps(line: Line, start: int, side: int, places_mm: Array, first: int, last: int) -> Taps:
    """Voxels of a line in mm between slices first .. last; values are clamped beyond the outermost
    slices; nothing beyond the line.
    """
    n = np.arange(start, start + side)
    places = places_mm[first : last + 1]
    low, high, weight = _clamped(np.interp(line.at(n), places, np.arange(len(places))), len(places))
    return Taps(low + first, high + first, weight, (n >= 0) & (n < line.count))


def cut(images: Array, z: Taps, y: Taps, x: Taps) -> Array:
    """Slices [S, K, G, G] -> a patch float32 [K, D, H, W], trilinear."""
    first = min(z.low.min(), z.high.min())
    window = np.s_[y.low.min() : y.high.max() + 1, x.low.min() : x.high.max() + 1]
    part = images[first : z.high.max() + 1][(slice(None), slice(None), *window)].astype(np.float32)
    y_low, x_low = y.low - y.low.min(), x.low - x.low.min()
    y_high, x_high = y.high - y.low.min(), x.high - x.low.min()
    part = part[:, :, y_low] * (1 - y.weight)[:, None] + part[:, :, y_high] * y.weight[:, None]
    part = part[..., x_low] * (1 - x.weight) + part[..., x_high] * x.weight
    weight = z.weight[:, None, None, None]
    patch = part[z.low - first] * (1 - weight) + part[z.high - first] * weight
    patch = patch * (z.inside[:, None, None, None] & y.inside[:, None] & x.inside)
    return np.ascontiguousarray(patch.transpose(1, 0, 2, 3))


def starts(count: int, side: int, overlap: float) -> list[int]:
    """First voxels of the patches along an axis: evenly spread from end to end, or a single centred
    one if it covers the axis.
    """
    if count <= side:
        return [-((side - count) // 2)]
    room = count - side
    more = max(int(np.ceil(room / max(side * (1 - overlap), 1.0) - ROUNDING)), 1)
    return [int(np.floor(n * room / more + 0.5)) for n in range(more + 1)]


def gaussian(side: int) -> Array:
    """The weights of a patch's voxels along one axis: a Gaussian whose sigma is an eighth of the
    side.
    """
    n = np.arange(side) - (side - 1) / 2
    return np.exp(-0.5 * (n / (side / 8)) ** 2).astype(np.float32)


@dataclass
class Lines:
    """The positions of a region's voxels, z in mm, y and x in pixel edges of the grid, and its
    slices.
    """

    z: Line
    y: Line
    x: Line
    first: int
    last: int

    @classmethod
    def around(cls, config: VolumeConfig, stack: Stack, rows: Array, boxes: Array) -> Lines:
        """The region of boxes [n, 4] (already enlarged) on slices [n]."""
        first, last = int(rows.min()), int(rows.max())
        along_z, along_y, along_x = config.spacing_mm
        return cls(
            Line.reaching(stack.places_mm[first], stack.places_mm[last], along_z),
            Line.filling(boxes[:, 1].min(), boxes[:, 3].max(), along_y / stack.pixel_mm[1]),
            Line.filling(boxes[:, 0].min(), boxes[:, 2].max(), along_x / stack.pixel_mm[0]),
            first,
            last,
        )

    def patch(
        self, images: Array, stack: Stack, start: tuple[int, int, int], sides: tuple[int, int, int]
    ) -> Array:
        """The patch [K, D, H, W] of `images` that begins at voxel `start`; 0 outside the region."""
        grid = images.shape[-1]
        z = slice_taps(self.z, start[0], sides[0], stack.places_mm, self.first, self.last)
        return cut(
            images,
            z,
            pixel_taps(self.y, start[1], sides[1], grid),
            pixel_taps(self.x, start[2], sides[2], grid),
        )


def predict(
    network: Network, config: VolumeConfig, stack: Stack, rows: Array, boxes: Array
) -> Array:
    """The probability [S, G, G] at the grid's pixels: the region's inside each slice's box, 0
    elsewhere.
    """
    grid, sides = stack.images.shape[-1], config.patch
    out = np.zeros((len(stack.images), grid, grid), dtype=np.float32)
    if not len(rows):
        return out
    lines = Lines.around(config, stack, rows, boxes)
    shape = (lines.z.count, lines.y.count, lines.x.count)
    total, weight = np.zeros(shape, dtype=np.float32), np.zeros(shape, dtype=np.float32)
    gain = gaussian(sides[0])[:, None, None] * gaussian(sides[1])[:, None] * gaussian(sides[2])
    every = [starts(n, side, config.overlap) for n, side in zip(shape, sides, strict=True)]
    for start in ((a, b, c) for a in every[0] for b in every[1] for c in every[2]):
        patch = lines.patch(stack.images, stack, start, sides)[None]
        said = mirrored_mean(network, patch) if config.mirror else network(patch)[0, 0]
        region, inside = [], []
        for a, side, count in zip(start, sides, shape, strict=True):
            low, high = max(a, 0), min(a + side, count)
            region.append(slice(low, high))
            inside.append(slice(low - a, high - a))
        total[tuple(region)] += (said * gain)[tuple(inside)]
        weight[tuple(region)] += gain[tuple(inside)]
    total /= weight
    pixel = np.arange(grid) + 0.5
    for row, box in zip(rows, boxes, strict=True):
        z = _clamped(np.array([lines.z.index(stack.places_mm[row])]), shape[0])
        plane = total[z[0][0]] * (1 - z[2][0]) + total[z[1][0]] * z[2][0]
        axes = [_clamped(line.index(pixel), line.count) for line in (lines.y, lines.x)]
        (y, y1, fy), (x, x1, fx) = axes
        across = plane[:, x] * (1 - fx) + plane[:, x1] * fx
        down = across[y] * (1 - fy)[:, None] + across[y1] * fy[:, None]
        in_x, in_y = ((pixel >= box[a]) & (pixel <= box[a + 2]) for a in (0, 1))
        out[row] = down * (in_y[:, None] & in_x)
    return out


def mirrored_mean(network: Network, patch: Array) -> Array:
    """The mean over the eight mirrored patches [1, 3, D, H, W], each mirrored back."""
    total = np.zeros(patch.shape[2:], dtype=np.float32)
    for mirror in range(8):
        axes = tuple(2 + axis for axis in range(3) if mirror >> axis & 1)
        said = network(np.ascontiguousarray(np.flip(patch, axes)))
        total += np.flip(said, axes)[0, 0]
    return total / 8
