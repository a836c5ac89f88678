"""A data set that `nasoseg-train prepare` wrote: its cases, volumes and prepared slices.

dataset.json                          cases, splits, skipped ones with reasons, fingerprint
cases/<id>/{T1,T1C,T2,truth}.nii.gz   on T1C's grid, canonical axial order, aligned by the library
slices/<key>/<split>/...              prepared slices of one InputConfig, made on demand (shards of
                                      `slice_set`)
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

import nibabel
import numpy as np

from ..run.files import write_text
from ..run.presets import InputConfig
from .slice_set import SPLITS, SliceSet, build_cache

Array = np.ndarray

FORMAT = "nasoseg-dataset"
FORMAT_VERSION = 1
SEQUENCES = ("T1", "T1C", "T2")
FILES = (*SEQUENCES, "truth")


@dataclass(frozen=True)
class Case:
    """One patient of a data set."""

    id: str
    split: str
    folder: Path
    covariates: dict[str, str]
    spacing_mm: tuple[float, float, float]  # (k, j, i)
    shape: tuple[int, int, int]
    # Per sequence, from its images before alignment: percentiles of the voxels above 0, by name
    # ("99.5").
    percentiles: dict[str, dict[str, float]] = field(repr=False)
    key: str = field(repr=False)  # what the case was made from, as one hash
    record: dict[str, Any] = field(repr=False, compare=False)  # all that dataset.json says of it

    @property
    def seed(self) -> int:
        """A seed that depends on this case alone."""
        return int.from_bytes(hashlib.sha256(self.id.encode()).digest()[:6])

    def file(self, name: str) -> Path:
        """The NIfTI file of T1, T1C, T2 or truth."""
        if name not in FILES:
            raise ValueError(f"found {name!r}, expected one of {', '.join(FILES)}")
        return self.folder / f"{name}.nii.gz"

    def images(self) -> Array:
        """T1, T1C, T2 on T1C's grid: float32 [3, k, j, i]."""
        return np.stack([self._read(name).astype(np.float32, copy=False) for name in SEQUENCES])

    def mask(self) -> Array:
        """The tumour: bool [k, j, i]."""
        return self._read("truth") > 0

    def divisors(self, config: InputConfig) -> tuple[float, ...]:
        """What deployment divides the channels by: percentiles of each sequence's own images."""
        if config.scaling == "dataset_max":
            if min(config.dataset_max) <= 0:
                raise ValueError(
                    "dataset_max is not set. Dataset.input(config) fills it with the training "
                    "split's maxima"
                )
            return config.dataset_max
        name = f"{config.percentile:g}"
        tables = [self.percentiles[sequence] for sequence in SEQUENCES]
        if any(name not in table for table in tables):
            raise ValueError(
                f"{self.id}: percentile {name} was not taken, only {', '.join(tables[0])}. Run "
                f"nasoseg-train prepare again with --percentiles {name}"
            )
        return tuple(table[name] for table in tables)

    def _read(self, name: str) -> Array:
        # NIfTI arrays are [i, j, k].
        voxels = np.ascontiguousarray(
            np.asanyarray(nibabel.load(self.file(name)).dataobj).transpose(2, 1, 0)
        )
        if voxels.shape != self.shape:
            raise ValueError(
                f"{self.file(name)}: found {voxels.shape} voxels, expected {self.shape}. Run "
                "nasoseg-train prepare again"
            )
        return voxels


@dataclass(frozen=True)
class _CaseSource:
    """Cases by their index in dataset.json, as a source of patients for `data`."""

    cases: dict[int, Case]

    def __call__(self, index: int) -> Case:
        return self.cases[index]

    def identity(self, numbers: list[int]) -> list[str]:
        return [self.cases[n].key for n in numbers]


class Dataset:
    """A data set on disk."""

    def __init__(self, folder: Path, record: dict[str, Any]) -> None:
        self.folder, self.record = folder, record
        self.name: str = record["name"]
        self.hash: str = record["hash"]
        self.fingerprint: dict[str, Any] = record["fingerprint"]
        self._cases = [
            Case(
                id=c["id"],
                split=c["split"],
                folder=folder / "cases" / c["id"],
                covariates=c["covariates"],
                spacing_mm=tuple(c["spacing_mm"]),
                shape=tuple(c["shape"]),
                percentiles={
                    name: c["sequences"][name]["percentiles_above_zero"] for name in SEQUENCES
                },
                key=c["key"],
                record=c,
            )
            for c in record["cases"]
        ]

    @classmethod
    def open(cls, folder: Path) -> Dataset:
        """The data set in `folder`."""
        folder = Path(folder)
        path = folder / "dataset.json"
        if not path.is_file():
            raise FileNotFoundError(
                f"{path}: is missing. Give the --out folder of a finished nasoseg-train prepare"
            )
        record = json.loads(path.read_text())
        if (record.get("format"), record.get("format_version")) != (FORMAT, FORMAT_VERSION):
            raise ValueError(
                f"{path}: found format {record.get('format')!r} {record.get('format_version')},"
                f" expected {FORMAT} {FORMAT_VERSION}"
            )
        return cls(folder, record)

    def cases(self, split: str | None = None) -> list[Case]:
        """The cases of a split, or all, in dataset.json's order."""
        if split not in (None, *SPLITS):
            raise ValueError(f"found split {split!r}, expected one of {', '.join(SPLITS)}")
        return [case for case in self._cases if split in (None, case.split)]

    def input(self, config: InputConfig) -> InputConfig:
        """`config` with the training split's maxima if it scales by `dataset_max` and has none
        yet.
        """
        if config.scaling != "dataset_max" or min(config.dataset_max) > 0:
            return config
        if not self.fingerprint["channel_max"]:
            raise ValueError(
                f"{self.folder}: no training cases, so no channel maxima for dataset_max"
            )
        return replace(config, dataset_max=tuple(self.fingerprint["channel_max"]))

    def slices(
        self, split: str, config: InputConfig, tumour_free: int | None = None, workers: int = 2
    ) -> SliceSet:
        """Prepared slices of a split: all tumour slices and up to `tumour_free` others of each case
        (None: every slice).

        Made if they do not exist yet; `patient` is the case's index in dataset.json's list.
        """
        # Without their records, which the workers do not need.
        numbers = {
            n: replace(case, record={}) for n, case in enumerate(self._cases) if case.split == split
        }
        if not numbers:
            raise ValueError(
                f"{self.folder}: no case in split {split!r}; it has "
                f"{', '.join(sorted({c.split for c in self._cases}))}"
            )
        config = self.input(config)
        made_for = {"input": asdict(config), "tumour_free": tumour_free}
        key = hashlib.sha256(json.dumps(made_for, sort_keys=True).encode()).hexdigest()[:16]
        folder = self.folder / "slices" / key
        folder.mkdir(parents=True, exist_ok=True)
        # For people who look into the folder; the shards hold the same.
        write_text(folder / "made_for.json", json.dumps(made_for, indent=1) + "\n")
        return build_cache(
            folder / split, list(numbers), config, tumour_free, workers, _CaseSource(numbers)
        )
