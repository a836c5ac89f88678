"""Prepared slices of many patients, cached on disk in shards.

A patient is a number that a source turns into images and a mask: a phantom's seed, or a case's
index in a data set (`dataset`). A cache folder holds shards of 20 patients each. A shard holds, for
n slices of grid side G: `images.u8` [n, 3, G, G] (value / 255), `masks.u8` [n, G, G] (the mask
sampled bilinearly, times 255), `slices.npz` (patient, slice, tumour, target box in the grid's pixel
edges) and `cache.json` (what it was made from). More patients add shards. A shard is written to a
temporary name and renamed, so an interruption loses one at most. Training reads tumour slices and a
share of the tumour-free ones.
"""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable, Sequence
from concurrent.futures import Executor, ProcessPoolExecutor
from contextlib import ExitStack
from dataclasses import asdict, dataclass
from multiprocessing import get_context
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from tqdm import tqdm

from ..run.lock import locked
from ..run.presets import InputConfig
from .slice_grid import mask_boxes, prepare_slices

Array = np.ndarray

# The three sets share no patient: a set takes at most 8,000 seeds, chosen by the training seed
# modulo 100.
SEED_RANGES = {"train": 1_000_000, "validation": 2_000_000, "test": 3_000_000}
SPLITS = tuple(SEED_RANGES)
FORMAT = 3
PATIENTS_PER_SHARD = 20


class Patient(Protocol):
    """What a phantom or another source offers of a patient.

    Optional: `seed`, by which its tumour-free slices are drawn (else its number), and
    `divisors(config)`, what its channels are divided by (else taken from the images).
    """

    @property
    def shape(self) -> tuple[int, int, int]: ...
    @property
    def spacing_mm(self) -> tuple[float, float, float]: ...
    def mask(self) -> Array: ...
    def images(self) -> Array: ...


class Stacked:
    """Arrays [n_i, ...] read as one [n, ...]; only the rows read are loaded from memory-mapped
    parts.
    """

    def __init__(self, parts: Sequence[Array]) -> None:
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
    from ..phantom import Phantom

    return Phantom(seed)


def patient_seeds(split: str, seed: int, count: int) -> list[int]:
    """Seeds of a split's patients. Different training seeds give different patients; splits never
    share one.
    """
    start = SEED_RANGES[split] + (seed % 100) * 8_000
    return list(range(start, start + count))


def patient_slices(
    number: int,
    config: InputConfig,
    tumour_free: int | None,
    source: Callable[[int], Patient] = phantom_patient,
) -> dict[str, Array]:
    """One patient's tumour slices and up to `tumour_free` others (None: all), drawn at random, half
    of them next to the tumour.
    """
    patient = source(number)
    mask, images = patient.mask(), patient.images()
    _, dj, di = patient.spacing_mm
    with_tumour = np.asarray(mask.any(axis=(1, 2)))
    inside, outside = np.flatnonzero(with_tumour), np.flatnonzero(~with_tumour)
    if tumour_free is None:
        chosen = outside
    else:
        chosen = _draw(
            inside,
            outside,
            tumour_free,
            np.random.default_rng([getattr(patient, "seed", number), 17]),
        )
    keep = np.sort(np.concatenate([inside, chosen]))

    divisors = patient.divisors(config) if hasattr(patient, "divisors") else None
    prepared, grid = prepare_slices(images, (dj, di), config, divisors)
    boxes = grid.boxes_to_grid(mask_boxes(mask[keep]))
    return {
        "images": np.rint(prepared[keep] * 255).astype(np.uint8),
        "masks": np.rint(grid.sample(mask[keep].astype(np.float32)) * 255).astype(np.uint8),
        "patient": np.full(len(keep), number, dtype=np.int64),
        "slice_index": keep.astype(np.int64),
        "tumour": with_tumour[keep],
        "target": np.nan_to_num(boxes),
    }


def _draw(inside: Array, outside: Array, count: int, rng: np.random.Generator) -> Array:
    """Draw tumour-free slices. The hard ones are near the tumour's ends, the easy ones everywhere
    else.
    """
    distance = (
        np.abs(outside[:, None] - inside[None]).min(axis=1)
        if len(inside)
        else np.ones(len(outside))
    )
    weight = np.where(
        distance <= 2, 0.5 / max((distance <= 2).sum(), 1), 0.5 / max((distance > 2).sum(), 1)
    )
    count = min(count, len(outside))
    return (
        rng.choice(outside, count, replace=False, p=weight / weight.sum()) if count else outside[:0]
    )


Job = tuple[int, InputConfig, "int | None", Callable[[int], Patient]]


def _job(job: Job) -> dict[str, Array]:
    return patient_slices(*job)


def build_cache(
    folder: Path,
    seeds: list[int],
    config: InputConfig,
    tumour_free: int | None,
    workers: int = 2,
    source: Callable[[int], Patient] = phantom_patient,
) -> SliceSet:
    """Make the shards that are missing (same patients, same preparation), then open all.

    `source` is a function, identified by its name, or an object whose `identity(numbers)` says what
    the patients are made of.
    """
    shards = []
    folder.mkdir(parents=True, exist_ok=True)
    with ExitStack() as stack:
        # Another process that needs the same shards waits; what a killed process left can be
        # removed.
        stack.enter_context(locked(folder, wait=True))
        for left in folder.glob(".[0-9]*"):
            shutil.rmtree(left)
        pool: Executor | None = None
        for start in range(0, len(seeds), PATIENTS_PER_SHARD):
            part = seeds[start : start + PATIENTS_PER_SHARD]
            shard = folder / f"{start // PATIENTS_PER_SHARD:03d}"
            identity = source.identity(part) if hasattr(source, "identity") else source.__name__
            made_from = {
                "format": FORMAT,
                "seeds": part,
                "input": json.loads(json.dumps(asdict(config))),
                "tumour_free": tumour_free,
                "source": identity,
            }
            shards.append(shard)
            if _made_from(shard) == made_from:
                continue
            if pool is None and workers > 1:
                # One BLAS thread per worker; spawn, because PyTorch's threads do not survive a
                # fork.
                os.environ.setdefault("OMP_NUM_THREADS", "1")
                pool = stack.enter_context(ProcessPoolExecutor(workers, get_context("spawn")))
            _write_shard(
                shard, [(seed, config, tumour_free, source) for seed in part], made_from, pool
            )
    return open_shards(shards)


def _made_from(shard: Path) -> Any:
    manifest = shard / "cache.json"
    return json.loads(manifest.read_text()) if manifest.exists() else None


def _write_shard(
    shard: Path, jobs: list[Job], made_from: dict[str, Any], pool: Executor | None
) -> None:
    """Write one shard, under a temporary name until it is complete."""
    beside = shard.with_name(f".{shard.name}")
    beside.mkdir(parents=True)
    small: dict[str, list[Array]] = {
        key: [] for key in ("patient", "slice_index", "tumour", "target")
    }
    label = f"prepare {shard.parent.name}/{shard.name}"
    try:
        with open(beside / "images.u8", "wb") as images, open(beside / "masks.u8", "wb") as masks:
            made = pool.map(_job, jobs) if pool else map(_job, jobs)
            for one in tqdm(made, total=len(jobs), desc=label, mininterval=5):
                images.write(one["images"].tobytes())
                masks.write(one["masks"].tobytes())
                for key, values in small.items():
                    values.append(one[key])
        joined: dict[str, Any] = {key: np.concatenate(values) for key, values in small.items()}
        np.savez(beside / "slices.npz", **joined)
        (beside / "cache.json").write_text(json.dumps(made_from))
        if shard.exists():
            shutil.rmtree(shard)
        beside.rename(shard)
    finally:
        shutil.rmtree(beside, ignore_errors=True)


def open_shards(shards: list[Path]) -> SliceSet:
    """Shard folders as one SliceSet."""
    if not shards:
        raise ValueError("found no patients, expected at least one")
    images, masks, small = [], [], []
    for shard in shards:
        with np.load(shard / "slices.npz") as f:
            small.append({key: f[key] for key in f.files})
        n = len(small[-1]["patient"])
        side = round(((shard / "masks.u8").stat().st_size / n) ** 0.5)
        images.append(
            np.memmap(shard / "images.u8", dtype=np.uint8, mode="r", shape=(n, 3, side, side))
        )
        masks.append(np.memmap(shard / "masks.u8", dtype=np.uint8, mode="r", shape=(n, side, side)))
    joined = {key: np.concatenate([one[key] for one in small]) for key in small[0]}
    return SliceSet(images=Stacked(images), masks=Stacked(masks), **joined)
