"""Smooth random fields: a generator, a shape and a length scale come in, a float32 array of unit variance goes out.

A field is a cubic B-spline over random coefficients, so it costs three small matrix products instead of a filter over
the whole volume.
"""

import numpy as np


def _basis(n: int, knots: float) -> np.ndarray:
    """Cubic B-spline basis [n, m] for n samples, `knots` samples apart."""
    x = np.arange(n, dtype=np.float64) / knots
    m = int(np.floor(x[-1])) + 4
    t = np.abs(x[:, None] - (np.arange(m)[None, :] - 1.0))
    near = 2.0 / 3.0 - t**2 + t**3 / 2.0
    far = np.clip(2.0 - t, 0.0, None) ** 3 / 6.0
    return np.where(t < 1.0, near, far)


def smooth_noise(rng: np.random.Generator, shape: tuple[int, ...], knots: tuple[float, ...]) -> np.ndarray:
    """Zero mean, unit variance, correlated over about `knots` samples along each axis. float32, `shape`."""
    bases = [_basis(n, s) for n, s in zip(shape, knots)]
    field = rng.standard_normal([b.shape[1] for b in bases]).astype(np.float32)
    for axis, basis in enumerate(bases):
        # Unit variance on average: the basis functions' squares sum to less than one.
        basis = (basis / np.sqrt((basis**2).sum(axis=1).mean())).astype(np.float32)
        field = np.moveaxis(np.tensordot(basis, field, axes=(1, axis)), 0, axis)
    return np.ascontiguousarray(field)
