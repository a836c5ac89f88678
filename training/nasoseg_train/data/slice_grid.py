"""Prepares slices of a patient's volumes (paper 4.2.1; docs/reference/bundle.md, "input").

A volume is [k, j, i] with in-plane spacing (along j, along i) in mm. Prepared slices are [S, 3, G,
G] in [0, 1], channels T1, T1C, T2 on T1C's grid. `SliceGrid` converts between T1C's pixel edges and
the grid's.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ..run.presets import InputConfig

Array = np.ndarray


@dataclass(frozen=True)
class SliceGrid:
    """The affine between a slice's pixel edges and the bundle's grid: grid = source * scale +
    offset, for x and y.
    """

    scale: tuple[float, float]
    offset: tuple[float, float]
    shape: tuple[int, int]
    grid: int

    @classmethod
    def fit(
        cls, shape: tuple[int, int], spacing_mm: tuple[float, float], config: InputConfig
    ) -> SliceGrid:
        """`shape` is (rows, columns), `spacing_mm` (between rows, between columns)."""
        rows, columns = shape
        g = config.grid
        if config.fit == "stretch":
            scale = (g / columns, g / rows)
        else:
            # `pad` shows the longer side whole; `mm` gives the grid a fixed pixel size. Both are
            # centred.
            longer = max(rows * spacing_mm[0], columns * spacing_mm[1])
            pixel = config.pixel_mm if config.fit == "mm" else longer / g
            scale = (spacing_mm[1] / pixel, spacing_mm[0] / pixel)
        offset = (g / 2 - columns / 2 * scale[0], g / 2 - rows / 2 * scale[1])
        return cls(scale, offset, shape, g)

    def boxes_to_grid(self, boxes: Array) -> Array:
        """Boxes [..., 4] from T1C's pixel edges to the grid's."""
        return boxes * np.tile(self.scale, 2) + np.tile(self.offset, 2)

    def matrix(self, axis: int) -> Array:
        """Bilinear weights [G, n] of one axis (0: x, 1: y): grid pixel centres sampled in the
        slice.

        Beyond half a pixel outside the slice the weights are 0.
        """
        n = self.shape[1 - axis]
        edge = (np.arange(self.grid) + 0.5 - self.offset[axis]) / self.scale[axis]
        inside = (edge >= 0) & (edge <= n)
        index = np.clip(edge - 0.5, 0, n - 1)
        low = np.minimum(index.astype(int), n - 2)
        share = index - low
        out = np.zeros((self.grid, n), dtype=np.float32)
        rows = np.arange(self.grid)
        out[rows, low] = 1 - share
        out[rows, low + 1] += share
        out[~inside] = 0
        return out

    def sample(self, slices: Array) -> Array:
        """Slices [..., rows, columns] float32 -> [..., G, G]."""
        return np.matmul(np.matmul(self.matrix(1), slices.astype(np.float32)), self.matrix(0).T)


def channel_divisor(volume: Array, channel: int, config: InputConfig) -> float:
    """What one sequence is divided by. For `study_percentile` it equals deployment's only if
    `volume` was not resampled.
    """
    if config.scaling == "dataset_max":
        return config.dataset_max[channel]
    foreground = volume[volume > 0]
    return float(np.percentile(foreground, config.percentile)) if len(foreground) else 1.0


def scale(values: Array, divisor: float) -> Array:
    """Scale one sequence's values to float32 in [0, 1]."""
    return np.clip(values.astype(np.float32, copy=False) / np.float32(divisor), 0, 1)


def scale_volume(volume: Array, channel: int, config: InputConfig) -> Array:
    """Scale one sequence's whole volume to float32 in [0, 1]."""
    return scale(volume, channel_divisor(volume, channel, config))


def prepare_slices(
    volumes: Array,
    spacing_mm: tuple[float, float],
    config: InputConfig,
    divisors: tuple[float, ...] | None = None,
) -> tuple[Array, SliceGrid]:
    """[3, k, j, i] on T1C's grid, in-plane spacing (j, i) -> slices float32 [k, 3, G, G], and the
    affine.

    `divisors`: what the channels are divided by, if known from the sequences' own images. Slices
    are sampled first and clipped afterwards, as in the library.
    """
    grid = SliceGrid.fit(volumes.shape[2:], spacing_mm, config)
    if divisors is None:
        divisors = tuple(channel_divisor(v, c, config) for c, v in enumerate(volumes))
    return np.stack(
        [scale(grid.sample(v), d) for v, d in zip(volumes, divisors, strict=True)], axis=1
    ), grid


def mask_boxes(mask: Array) -> Array:
    """Masks [k, j, i] -> bounding boxes [k, 4] in their own pixel edges; NaN if a slice is
    empty.
    """
    out = np.full((len(mask), 4), np.nan)
    for k in np.flatnonzero(mask.any(axis=(1, 2))):
        rows, columns = np.flatnonzero(mask[k].any(axis=1)), np.flatnonzero(mask[k].any(axis=0))
        out[k] = columns[0], rows[0], columns[-1] + 1, rows[-1] + 1
    return out
