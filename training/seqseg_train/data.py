"""Patient seeds in, a cache of prepared slices out; a cache in, `SliceSet` out.

A cache folder holds shards of 20 patients each. A shard holds, for n slices of grid side G: `images.u8` [n, 3, G, G]
(value / 255), `masks.u8` [n, G, G] (the mask sampled bilinearly, times 255), `slices.npz` (patient, slice, tumour, target
box in the grid's pixel edges) and `cache.json` (what it was made from). More patients later add shards.
Training reads tumour slices and a share of the tumour-free ones.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from dataclasses import asdict, dataclass
from multiprocessing import get_context
from pathlib import Path
from typing import Protocol

import numpy as np
from tqdm import tqdm

from .prepare import mask_boxes, prepare
from .presets import InputConfig

Array = np.ndarray

# Patients of the three sets never meet: a set takes at most 8,000 seeds, a run seed modulo 100 says which.
SEED_RANGES = {"train": 1_000_000, "validation": 2_000_000, "test": 3_000_000}
FORMAT = 3
PATIENTS_PER_SHARD = 20


class Patient(Protocol):
    """What a phantom or any other source of patients offers."""

    shape: tuple[int, int, int]
    spacing_mm: tuple[float, float, float]

    def mask(self) -> Array: ...
    def images(self) -> Array: ...


class Stacked:
    """Arrays [n_i, ...] read as one [n, ...]; memory-mapped ones cost what is read."""

    def __init__(self, parts: list[Array]) -> None:
        self.parts = parts
        self.starts = np.cumsum([0] + [len(p) for p in parts])
        self.shape = (int(self.starts[-1]), *parts[0].shape[1:])

    def __getitem__(self, rows: Array) -> Array:
        """Rows [k] of the whole -> [k, ...]."""
        rows = np.asarray(rows)
        out = np.empty((len(rows), *self.shape[1:]), dtype=self.parts[0].dtype)
        part = np.searchsorted(self.starts, rows, side="right") - 1
        for i, row in enumerate(rows):
            out[i] = self.parts[part[i]][row - self.starts[part[i]]]
        return out


@dataclass
class SliceSet:
    """Prepared slices of many patients."""

    images: Stacked  # uint8 [n, 3, G, G]
    masks: Stacked  # uint8 [n, G, G]
    patient: Array  # int64 [n]
    slice_index: Array  # int64 [n]
    tumour: Array  # bool [n]
    target: Array  # float64 [n, 4] pixel edges of the grid; zeros where there is no tumour

    def __len__(self) -> int:
        return len(self.patient)

    @property
    def grid(self) -> int:
        return self.images.shape[-1]


def phantom_patient(seed: int) -> Patient:
    """The project's phantom."""
    from .phantom import Phantom

    return Phantom(seed)


def patient_seeds(split: str, seed: int, count: int) -> list[int]:
    """Seeds of a split's patients. Different run seeds give different patients, different splits never the same."""
    start = SEED_RANGES[split] + (seed % 100) * 8_000
    return list(range(start, start + count))


def patient_slices(
    seed: int, config: InputConfig, tumour_free: int, source: Callable[[int], Patient] = phantom_patient
) -> dict[str, Array]:
    """One patient's tumour slices and up to `tumour_free` others, spread by chance but half of them next to the tumour."""
    patient = source(seed)
    mask, images = patient.mask(), patient.images()
    _, dj, di = patient.spacing_mm
    with_tumour = mask.any(axis=(1, 2))
    rng = np.random.default_rng([seed, 17])
    inside, outside = np.flatnonzero(with_tumour), np.flatnonzero(~with_tumour)
    distance = np.abs(outside[:, None] - inside[None]).min(axis=1) if len(inside) else np.ones(len(outside))
    # The hard ones are near the tumour's ends, the easy ones everywhere else.
    weight = np.where(distance <= 2, 0.5 / max((distance <= 2).sum(), 1), 0.5 / max((distance > 2).sum(), 1))
    count = min(tumour_free, len(outside))
    chosen = rng.choice(outside, count, replace=False, p=weight / weight.sum()) if count else outside[:0]
    keep = np.sort(np.concatenate([inside, chosen]))

    prepared, grid = prepare(images, (dj, di), config)
    boxes = grid.boxes_to_grid(mask_boxes(mask[keep]))
    return {
        "images": np.rint(prepared[keep] * 255).astype(np.uint8),
        "masks": np.rint(grid.sample(mask[keep].astype(np.float32)) * 255).astype(np.uint8),
        "patient": np.full(len(keep), seed, dtype=np.int64),
        "slice_index": keep.astype(np.int64),
        "tumour": with_tumour[keep],
        "target": np.nan_to_num(boxes),
    }


def _job(job: tuple[int, InputConfig, int, Callable[[int], Patient]]) -> dict[str, Array]:
    return patient_slices(*job)


def build_cache(
    folder: Path,
    seeds: list[int],
    config: InputConfig,
    tumour_free: int,
    workers: int = 2,
    source: Callable[[int], Patient] = phantom_patient,
) -> SliceSet:
    """Make the shards that the folder does not hold yet (same patients, same preparation), then open them all."""
    shards = []
    for start in range(0, len(seeds), PATIENTS_PER_SHARD):
        part = seeds[start : start + PATIENTS_PER_SHARD]
        shard = folder / f"{start // PATIENTS_PER_SHARD:03d}"
        made_from = {
            "format": FORMAT, "seeds": part, "input": json.loads(json.dumps(asdict(config))), "tumour_free": tumour_free,
            "source": source.__name__,
        }  # fmt: skip
        manifest = shard / "cache.json"
        if not (manifest.exists() and json.loads(manifest.read_text()) == made_from):
            shard.mkdir(parents=True, exist_ok=True)
            manifest.unlink(missing_ok=True)
            _write_shard(shard, [(seed, config, tumour_free, source) for seed in part], workers)
            manifest.write_text(json.dumps(made_from))
        shards.append(shard)
    return open_shards(shards)


def _write_shard(shard: Path, jobs: list[tuple[int, InputConfig, int, Callable[[int], Patient]]], workers: int) -> None:
    small: dict[str, list[Array]] = {key: [] for key in ("patient", "slice_index", "tumour", "target")}
    # One thread of BLAS per worker; spawn, because PyTorch's threads do not survive a fork.
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    label = f"prepare {shard.parent.name}/{shard.name}"
    with (
        open(shard / "images.u8", "wb") as images,
        open(shard / "masks.u8", "wb") as masks,
        get_context("spawn").Pool(workers) as pool,
    ):
        for one in tqdm(pool.imap(_job, jobs), total=len(jobs), desc=label, mininterval=5):
            images.write(one["images"].tobytes())
            masks.write(one["masks"].tobytes())
            for key, values in small.items():
                values.append(one[key])
    np.savez(shard / "slices.npz", **{key: np.concatenate(values) for key, values in small.items()})


def open_shards(shards: list[Path]) -> SliceSet:
    """Shard folders as one SliceSet."""
    images, masks, small = [], [], []
    for shard in shards:
        with np.load(shard / "slices.npz") as f:
            small.append({key: f[key] for key in f.files})
        n = len(small[-1]["patient"])
        side = round(((shard / "masks.u8").stat().st_size / n) ** 0.5)
        images.append(np.memmap(shard / "images.u8", dtype=np.uint8, mode="r", shape=(n, 3, side, side)))
        masks.append(np.memmap(shard / "masks.u8", dtype=np.uint8, mode="r", shape=(n, side, side)))
    joined = {key: np.concatenate([one[key] for one in small]) for key in small[0]}
    return SliceSet(images=Stacked(images), masks=Stacked(masks), **joined)
