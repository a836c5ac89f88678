"""Splits patients by seed and shares, spread over small, middle and large tumours.

Patients are assigned one by one, in an order that depends on seed and id only, each to the split
with the largest deficit in its tercile of tumour volume and overall. So shares are met as closely
as whole patients allow, even in a cohort of three. Earlier assignments are kept: adding patients
moves nobody from training to test.
"""

from __future__ import annotations

import hashlib

import numpy as np

from ..data.slice_set import SPLITS
from ..geometry.metrics import terciles


def assign(
    volumes: dict[str, float], shares: tuple[float, float, float], seed: int, kept: dict[str, str]
) -> dict[str, str]:
    """`volumes` by id (ml), `shares` of training, validation, test in any unit, `kept` splits by
    id.
    """
    ids = sorted(volumes)
    wanted = np.array(shares, dtype=float) / sum(shares)
    stratum = (
        dict(zip(ids, terciles(np.array([volumes[i] for i in ids])), strict=True)) if ids else {}
    )
    inside, overall = np.zeros((3, len(SPLITS))), np.zeros(len(SPLITS))
    out: dict[str, str] = {}

    def take(one: str, split: int) -> None:
        out[one] = SPLITS[split]
        inside[stratum[one], split] += 1
        overall[split] += 1

    for one in ids:
        if one in kept:
            take(one, SPLITS.index(kept[one]))
    for one in sorted((i for i in ids if i not in kept), key=lambda i: _draw(seed, i)):
        own = inside[stratum[one]]
        # The overall deficit counts more: a few patients must not all end in training because each
        # is the first of its tercile.
        lacking = wanted * (own.sum() + 1) - own + 3 * (wanted * (overall.sum() + 1) - overall)
        lacking[wanted == 0] = -np.inf
        take(one, int(lacking.argmax()))
    return out


def _draw(seed: int, one: str) -> bytes:
    return hashlib.sha256(f"{seed} {one}".encode()).digest()
