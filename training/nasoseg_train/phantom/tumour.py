"""The tumour of a T category in an Anatomy: its fraction of every voxel, and its necrosis.

A front starts at the nasopharyngeal wall and travels through the head with a speed that the tissue
gives it; the tumour is what the front reached when its volume is that of the category. Air is never
entered.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy import ndimage

from .anatomy import ORIGIN_MM, STEP_MM, Anatomy
from .noise import smooth_noise
from .tissue import CODE, NAMES

# The front travels on a coarser grid inside a box about the nasopharynx, head mm: (z, y, x) from,
# to.
_LOW_MM = np.array([-66.0, -46.0, -54.0])
_HIGH_MM = np.array([57.0, 54.0, 54.0])
_STRIDE = (1, 2, 2)  # of the anatomy's grid

CATEGORIES = ("T1", "T2", "T3", "T4")
_CHANCE = (0.20, 0.25, 0.33, 0.22)
_VOLUME_ML = {"T1": (4.0, 9.0), "T2": (16.0, 35.0), "T3": (30.0, 66.0), "T4": (52.0, 102.0)}

# The least tumour in its first and last plane; without it a fifth of all slices, not a tenth, hold
# less than 0.25 %.
_END_MM2 = 120.0

# Millimetres that the front travels while it travels one in mucosa.
_SPEED = {
    "mucosa": 1.0,
    "fat": 0.62,
    "muscle": 0.55,
    "gland": 0.25,
    "node": 0.5,
    "tongue": 0.25,
    "skin": 0.05,
    "turbinate": 0.45,
    "cortex": 0.12,
    "marrow": 0.22,
    "cartilage": 0.2,
    "disc": 0.05,
    "cells": 0.1,
    "fluid": 0.3,
    "vein": 0.2,
    "artery": 0.12,
    "csf": 0.06,
    "grey": 0.04,
    "white": 0.04,
}
# By category: how easily it leaves the mucosa, enters bone, enters the skull.
_SOFT = {"T1": 0.22, "T2": 0.8, "T3": 1.0, "T4": 1.0}
_BONE = {"T1": 0.25, "T2": 0.4, "T3": 2.2, "T4": 2.6}
_BRAIN = {"T1": 0.2, "T2": 0.2, "T3": 0.5, "T4": 2.5}
# How far the front prefers the planes along the wall to those above and below.
_ALONG_Z = {"T1": 0.62, "T2": 0.68, "T3": 0.8, "T4": 0.9}


@dataclass
class Tumour:
    """`fraction`, `necrosis` float32 on the anatomy's grid inside `window` (three slices);
    `seed_mm` (z, y, x).
    """

    category: str
    window: tuple
    fraction: np.ndarray
    necrosis: np.ndarray
    seed_mm: tuple


def draw_category(rng: np.random.Generator) -> str:
    return CATEGORIES[int(rng.choice(4, p=_CHANCE))]


def _window() -> tuple:
    low = np.round((_LOW_MM - ORIGIN_MM) / STEP_MM).astype(int)
    high = np.round((_HIGH_MM - ORIGIN_MM) / STEP_MM).astype(int)
    return tuple(slice(a, b + 1) for a, b in zip(low, high, strict=True))


def grow(rng: np.random.Generator, anatomy: Anatomy, category: str, side: float) -> Tumour:
    window = _window()
    air = anatomy.signal[3][window]
    label = anatomy.label[window]
    coarse = label[:: _STRIDE[0], :: _STRIDE[1], :: _STRIDE[2]]
    step = STEP_MM * _STRIDE

    speed = np.zeros(len(NAMES), np.float32)
    for name, value in _SPEED.items():
        if name in ("cortex", "marrow", "cells"):
            value *= _BONE[category]
        if name in ("csf", "grey", "white"):
            value *= _BRAIN[category]
        if name in ("fat", "muscle", "gland"):
            value *= _SOFT[category]
        speed[CODE[name]] = value
    speed = speed[coarse]
    # Uneven growth: some directions are easy, and the front frays.
    speed *= np.exp(
        0.55 * smooth_noise(rng, coarse.shape, (6, 10, 10))
        + 0.35 * smooth_noise(rng, coarse.shape, (2.5, 3, 3))
    )
    z = _LOW_MM[0] + step[0] * np.arange(coarse.shape[0])
    # Above the skull base and below the soft palate a front is held back, or every tumour would run
    # along the pharynx.
    speed *= np.interp(z, [-60, -30, -14, 12, 30, 50], [0.15, 0.4, 1.0, 1.0, 0.6, 0.25])[
        :, None, None
    ].astype(np.float32)

    start = _start(rng, coarse, step, side)
    arrival = _front(speed, start, step, _ALONG_Z[category])
    fine = _refine(arrival, label.shape)
    fine += rng.normal(0.0, 1e-4)
    low, high = _VOLUME_ML[category]
    wanted = rng.uniform(low, high) * 1000.0 / float(np.prod(STEP_MM))
    solid = air < 0.5
    reach = np.partition(fine[solid], int(wanted))[int(wanted)]
    # The border is as sharp as an anatomical one: the front's slowness turns time into millimetres.
    gradient = np.sqrt(sum(g * g for g in np.gradient(fine, *STEP_MM)[1:])) + np.float32(0.3)
    fraction = np.clip((reach - fine) / gradient / np.float32(1.3) + np.float32(0.5), 0.0, 1.0)
    fraction *= 1.0 - np.clip(air * 2.0 - 0.4, 0.0, 1.0)
    fraction = _blunt(_joined(fraction))
    return Tumour(
        category,
        window,
        fraction,
        _necrosis(rng, fine, reach, fraction, category),
        tuple(_LOW_MM + step * start),
    )


def _start(rng: np.random.Generator, coarse: Any, step: Any, side: float) -> np.ndarray:
    """A mucosal voxel at the wall: the fossa of Rosenmueller on `side`, or the roof and posterior
    wall.
    """
    if rng.random() < 0.75:
        aim = np.array([rng.normal(1.0, 3.0), rng.normal(3.0, 2.0), side * rng.normal(14.0, 2.0)])
    else:
        aim = np.array([rng.normal(8.0, 3.0), rng.normal(6.0, 2.0), rng.normal(0.0, 4.0)])
    mucosa = np.argwhere(coarse == CODE["mucosa"])
    distance = (((_LOW_MM + mucosa * step) - aim) ** 2).sum(axis=1)
    return mucosa[int(distance.argmin())]


def _front(speed: np.ndarray, start: np.ndarray, step: Any, along_z: float) -> np.ndarray:
    """Arrival time from `start` by relaxing the 26 neighbours until nothing changes; infinite where
    speed is 0.
    """
    slow = np.where(speed > 0.0, 1.0 / np.maximum(speed, 1e-3), np.inf).astype(np.float32)
    slow = np.pad(slow, 1, constant_values=np.inf)
    time = np.full(slow.shape, np.inf, np.float32)
    time[tuple(start + 1)] = 0.0
    inner = (slice(1, -1),) * 3
    moves = []
    for dz in (-1, 0, 1):
        for dy in (-1, 0, 1):
            for dx in (-1, 0, 1):
                if dz or dy or dx:
                    length = np.sqrt(
                        (dz * step[0] / along_z) ** 2 + (dy * step[1]) ** 2 + (dx * step[2]) ** 2
                    )
                    window = tuple(
                        slice(1 + d, n - 1 + d)
                        for d, n in zip((dz, dy, dx), slow.shape, strict=True)
                    )
                    cost = (slow[inner] + slow[window]) * np.float32(length / 2.0)
                    moves.append((window, cost))
    for _ in range(200):
        before = time[inner].copy()
        for window, cost in moves:
            np.minimum(time[inner], time[window] + cost, out=time[inner])
        if np.array_equal(before, time[inner]):
            break
    return time[inner]


def _refine(arrival: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    """Arrival on the anatomy's own grid; unreachable voxels take a little more than their reachable
    neighbours.
    """
    finite = np.isfinite(arrival)
    top = float(arrival[finite].max())
    index = ndimage.distance_transform_edt(~finite, return_distances=False, return_indices=True)
    filled = np.minimum(arrival[tuple(index)], top)
    filled = ndimage.gaussian_filter(filled, (0.35, 0.7, 0.7))
    for axis in (1, 2):
        filled = _double(filled, axis, shape[axis])
    return np.ascontiguousarray(filled)


def _double(array: np.ndarray, axis: int, length: int) -> np.ndarray:
    """Linear interpolation onto twice as many samples."""
    array = np.moveaxis(array, axis, 0)
    out = np.empty((length, *array.shape[1:]), np.float32)
    out[::2] = array
    out[1::2] = (
        0.5 * (array[: len(out[1::2])] + array[1 : len(out[1::2]) + 1])
        if len(array) > len(out[1::2])
        else array[: len(out[1::2])]
    )
    return np.moveaxis(out, 0, axis)


def _joined(fraction: np.ndarray) -> np.ndarray:
    """The largest connected piece, its small holes filled: islands across a lumen are not one
    tumour.
    """
    label, count = ndimage.label(fraction > 0.5, structure=np.ones((3, 3, 3)))
    if count > 1:
        sizes = np.bincount(label.ravel())
        sizes[0] = 0
        keep = ndimage.binary_dilation(label == sizes.argmax(), iterations=2)
        fraction = np.where(keep, fraction, 0.0)
    return fraction.astype(np.float32)


def _blunt(fraction: np.ndarray) -> np.ndarray:
    """Without the planes at both ends that hold less than `_END_MM2` of tumour: a front does not
    taper to nothing.
    """
    area = fraction.sum(axis=(1, 2)) * float(STEP_MM[1] * STEP_MM[2])
    solid = np.nonzero(area >= _END_MM2)[0]
    if len(solid):
        fraction[: solid[0]] = 0.0
        fraction[solid[-1] + 1 :] = 0.0
    return fraction


def _necrosis(
    rng: np.random.Generator, fine: Any, reach: Any, fraction: np.ndarray, category: str
) -> np.ndarray:
    """Fluid-like spots deep inside some bulky tumours."""
    chance = {"T1": 0.0, "T2": 0.05, "T3": 0.2, "T4": 0.35}[category]
    if rng.random() >= chance:
        return np.zeros_like(fraction)
    deep = np.clip((0.62 * reach - fine) / (0.1 * reach), 0.0, 1.0)
    spots = smooth_noise(rng, fraction.shape, (4, 9, 9))
    return (deep * fraction * np.clip((spots - 0.7) * 3.0, 0.0, 1.0)).astype(np.float32)
