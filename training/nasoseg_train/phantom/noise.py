"""Smooth random fields: float32 arrays of unit variance, of a given shape and length scale.

A field is a cubic B-spline over random coefficients, so it costs a few weighted sums instead of a
filter over the whole volume. They are computed without BLAS, whose threads cost more than they gain
on arrays this thin.
"""

import numpy as np


def cubic_taps(n: int, step: float) -> tuple[np.ndarray, np.ndarray]:
    """First node [n] and cubic B-spline weights [n, 4] of n samples, the nodes `step` samples
    apart.
    """
    at = np.arange(n) / step
    first = np.floor(at).astype(int)
    t = np.abs((at - first)[:, None] + 1.0 - np.arange(4))
    near = 2.0 / 3.0 - t**2 + t**3 / 2.0
    return first, np.where(t < 1.0, near, np.clip(2.0 - t, 0.0, None) ** 3 / 6.0)


def linear_taps(n: int, step: float) -> tuple[np.ndarray, np.ndarray]:
    """First node [n] and linear weights [n, 2] of n samples, the nodes `step` samples apart."""
    at = np.arange(n) / step
    first = np.floor(at).astype(int)
    return first, np.stack([1.0 - (at - first), at - first], axis=1)


def expand(nodes: np.ndarray, taps: list) -> np.ndarray:
    """Sums over the nodes [z, y, x] along each axis with its taps: float32, contiguous."""
    out = nodes.astype(np.float32)
    for axis in (2, 1, 0):
        first, weights = taps[axis]
        weights = weights.astype(np.float32)
        if axis:
            side = [1, 1, 1]
            side[axis] = len(first)
            out = sum(
                np.take(out, first + q, axis) * weights[:, q].reshape(side)
                for q in range(weights.shape[1])
            )
            continue
        planes = np.empty((len(first), *out.shape[1:]), np.float32)
        for k, plane in enumerate(planes):
            np.multiply(out[first[k]], weights[k, 0], out=plane)
            for q in range(1, weights.shape[1]):
                plane += out[first[k] + q] * weights[k, q]
        out = planes
    return out


def smooth_noise(
    rng: np.random.Generator, shape: tuple[int, ...], knots: tuple[float, ...]
) -> np.ndarray:
    """Zero mean, unit variance, correlated over about `knots` samples along each of three axes.
    float32, `shape`.
    """
    taps = []
    for n, step in zip(shape, knots, strict=True):
        first, weights = cubic_taps(n, step)
        # Unit variance on average: the weights' squares sum to less than one.
        taps.append((first, weights / np.sqrt((weights**2).sum(axis=1).mean())))
    return expand(rng.standard_normal([first[-1] + 4 for first, _ in taps]), taps)
