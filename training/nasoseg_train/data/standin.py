"""Crude patients, ellipses in noise, for tests that cannot wait for the phantom.

They have the phantom's shape, spacing_mm, mask() and images(). No reported figure comes from them.
"""

from __future__ import annotations

import numpy as np

Array = np.ndarray


class StandIn:
    """A head of 12 slices with one bright ellipse in the middle of some of them."""

    def __init__(self, seed: int, side: int = 128, pixel_mm: float = 2.2) -> None:
        self.rng = np.random.default_rng(seed)
        self.shape = (12, side, side)
        self.spacing_mm = (6.0, pixel_mm, pixel_mm)
        r = self.rng
        self.head = side / 2 + r.normal(0, side * 0.02, 2)
        self.centre = self.head + np.array([r.normal(0, side * 0.05), r.normal(0, side * 0.06)])
        self.radius = r.uniform(0.05, 0.11, 2) * side
        self.first = int(r.integers(2, 5))
        self.last = self.first + int(r.integers(3, 6))
        self.tumour_slices = list(range(self.first, self.last))

    def _inside(self, centre: Array, radius: Array) -> Array:
        y, x = np.mgrid[: self.shape[1], : self.shape[2]]
        return ((x - centre[0]) / radius[0]) ** 2 + ((y - centre[1]) / radius[1]) ** 2 <= 1

    def mask(self) -> Array:
        out = np.zeros(self.shape, dtype=bool)
        for k in self.tumour_slices:
            t = (k - (self.first + self.last - 1) / 2) / (self.last - self.first)
            out[k] = self._inside(self.centre, self.radius * (1 - abs(t)))
        return out

    def images(self) -> Array:
        side = self.shape[1]
        head = self._inside(self.head, np.array([0.34, 0.42]) * side)
        cavity = self._inside(self.head - np.array([0, side * 0.22]), np.array([0.08, 0.1]) * side)
        spine = self._inside(self.head + np.array([0, side * 0.2]), np.array([0.07, 0.07]) * side)
        base = head * 300.0 - cavity * 250.0 + spine * 150.0
        mask = self.mask()
        out = np.stack([base + mask * gain for gain in (60.0, 260.0, 200.0)])
        return np.clip(out + self.rng.normal(0, 20, out.shape), 0, None).astype(np.float32)


def standin_patient(seed: int) -> StandIn:
    """The stand-in as a source of patients."""
    return StandIn(seed)
