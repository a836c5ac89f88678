"""Prepares one patient's folder under `cases`: written to a temporary name, checked, renamed.

Its `case.json` holds the patient's entry of dataset.json without the split, and `key`, a hash of
everything that it was made from. If a folder with the same key exists, nothing is done.
"""

from __future__ import annotations

import hashlib
import json
import shutil
import tempfile
from dataclasses import asdict, dataclass, replace
from functools import cache
from pathlib import Path
from typing import Any

import nibabel
import numpy as np

from .nasoseg_prepare import Geometry, Refused, run_prepare, without_identity
from .sources import SEQUENCES, CohortError, PatientFiles, Skipped

FORMAT = 1
# A sequence that covers less of T1C's foreground than this on a tumour slice is reported;
# deployment would not segment that slice.
LEAST_COVERAGE = 0.95
# Below this agreement (Dice) the masks on two sequences hardly show the same tumour in the same
# place.
LEAST_AGREEMENT = 0.3


@dataclass(frozen=True)
class Job:
    """What a worker needs for one patient."""

    patient: PatientFiles
    cases: Path  # folder of all cases
    program: Path
    program_version: str
    geometry: Geometry
    threads: int


class Interrupted(Exception):
    """Ctrl-C reached the program."""


def prepare_case(job: Job) -> dict[str, Any] | Skipped:
    """The case's record, or why there is none."""
    try:
        return _prepare(job)
    except Refused as refused:
        return Skipped(job.patient.id, refused.reason, refused.detail)
    except KeyboardInterrupt:
        raise Interrupted from None
    except OSError as error:
        # No space or no permission: other patients would fail as well. Finished ones are kept.
        raise CohortError(
            f"{job.patient.id}: {error}. Finished patients are kept; fix this and run again"
        ) from error
    except CohortError:
        raise
    # One unexpected failure must not end a build of hours; it is reported like any other.
    except Exception as error:
        return Skipped(
            job.patient.id, "internal error", f"{type(error).__name__}: {error}. Please report this"
        )


def _prepare(job: Job) -> dict[str, Any]:
    patient, folder = job.patient, job.cases / job.patient.id
    try:
        sources = {part: file_sum(path) for part, path in patient.paths().items()}
    except OSError as error:
        raise Refused(
            "missing file" if isinstance(error, FileNotFoundError) else "unreadable file",
            str(error),
        ) from error
    key = _sum(
        {
            "format": FORMAT,
            "program": job.program_version,
            "geometry": asdict(job.geometry),
            "sources": sources,
            "choices": patient.choices,
            "phantom": [patient.seed, phantom_version()] if patient.seed is not None else None,
        }
    )
    record = _known(folder, key)
    if record is not None:
        # Split and covariates come from the list and may change without preparing the images again.
        return {**record, "covariates": {**record["own_covariates"], **patient.covariates}}

    beside = job.cases / f".{patient.id}.part"
    shutil.rmtree(beside, ignore_errors=True)
    beside.mkdir(parents=True)
    try:
        own: dict[str, str] = {}
        with tempfile.TemporaryDirectory(prefix="nasoseg-phantom-") as scratch:
            if patient.seed is not None:
                patient, own = _write_phantom(patient, Path(scratch))
            run_prepare(job.program, patient, job.geometry, beside, job.threads)
        volumes = json.loads((beside / "volumes.json").read_text())
        record = {
            "id": patient.id,
            "key": key,
            "sources": sources,
            "own_covariates": own,
            **_figures(beside, volumes),
        }
        (beside / "volumes.json").unlink()
        (beside / "case.json").write_text(json.dumps(record, indent=1) + "\n")
        if folder.exists():
            shutil.rmtree(folder)
        beside.rename(folder)
    finally:
        shutil.rmtree(beside, ignore_errors=True)
    return {**record, "covariates": {**own, **patient.covariates}}


def _known(folder: Path, key: str) -> dict[str, Any] | None:
    """The record of a complete case that was made from the same inputs, if there is one."""
    try:
        record = json.loads((folder / "case.json").read_text())
    except (OSError, ValueError):
        return None
    whole = all((folder / f"{name}.nii.gz").is_file() for name in (*SEQUENCES, "truth"))
    return record if whole and record.get("key") == key else None


def _figures(folder: Path, volumes: dict[str, Any]) -> dict[str, Any]:
    """The figures that dataset.json keeps of volumes.json and of the true mask."""
    for name, figures in volumes["sequences"].items():
        if figures["size"][0] < 2:
            raise Refused(
                "one slice",
                f"{name} has one slice, expected a volume of at least two",
            )
    mask = np.asanyarray(nibabel.load(folder / "truth.nii.gz").dataobj).transpose(2, 1, 0) > 0
    if mask.mean() > 0.5:
        raise Refused(
            "mask covers the image",
            f"the mask covers {100 * mask.mean():.0f} % of T1C; tumour and background seem to be "
            "swapped",
        )
    dk, dj, di = volumes["spacing_mm"]
    areas = mask.sum(axis=(1, 2))
    slices = np.flatnonzero(areas)
    warnings = list(volumes["warnings"])
    coverage = np.array(volumes["coverage"])
    for column, name in ((0, "T1"), (1, "T2")):
        if thin := [int(k) for k in slices if coverage[k, column] < LEAST_COVERAGE]:
            warnings.append(
                f"{name} covers less than 95 % of T1C's foreground on tumour slices "
                f"{', '.join(map(str, thin))}"
            )
    for name, found in volumes["agreement"].items():
        if found.get("dice", 1.0) < LEAST_AGREEMENT:
            warnings.append(
                f"{name}'s own mask agrees with the truth to Dice {found['dice']:.2f} only: check "
                "whether one is misplaced or rotated"
            )
    return {
        "shape": volumes["size"],
        "spacing_mm": volumes["spacing_mm"],
        "tumour_slices": slices.tolist(),
        "tumour_area_mm2": [round(float(areas[k] * dj * di), 3) for k in slices],
        "tumour_volume_ml": round(float(areas.sum() * dk * dj * di / 1000), 4),
        "tumour_percent_of_slice": [round(float(100 * areas[k] / mask[k].size), 4) for k in slices],
        "sequences": volumes["sequences"],
        "agreement": {
            name: {**found, "refused": without_identity(found["refused"])}
            if "refused" in found
            else found
            for name, found in volumes["agreement"].items()
        },
        "warnings": [without_identity(w) for w in warnings],
    }


def _write_phantom(patient: PatientFiles, scratch: Path) -> tuple[PatientFiles, dict[str, str]]:
    """Write the phantom's sequences as files, each on its own grid, so that it is aligned like a
    patient.
    """
    from ..phantom import Phantom, write_nifti

    assert patient.seed is not None
    phantom = Phantom(patient.seed)
    write_nifti(phantom, scratch)
    files = {name: scratch / f"{name.lower()}.nii.gz" for name in SEQUENCES}
    covariates = {"t_category": phantom.t_category} if phantom.t_category else {}
    return replace(patient, images=files, mask=scratch / "truth.nii.gz"), covariates


@cache
def phantom_version() -> str:
    """A hash of the phantom's source code: a changed phantom makes other patients from the same
    seeds.
    """
    folder = Path(__file__).resolve().parent.parent / "phantom"
    return _sum([path.read_text() for path in sorted(folder.glob("*.py"))])


def file_sum(path: Path) -> dict[str, Any]:
    """SHA-256 of a file, or of a folder's files whatever their names and order; and how many they
    are.
    """
    files = sorted(f for f in path.rglob("*") if f.is_file()) if path.is_dir() else [path]
    if not files:
        raise FileNotFoundError(f"{path}: the folder is empty")
    sums = []
    for file in files:
        with open(file, "rb") as stream:
            sums.append(hashlib.file_digest(stream, "sha256").hexdigest())
    return {"files": len(files), "sha256": _sum(sorted(sums)) if path.is_dir() else sums[0]}


def _sum(what: Any) -> str:
    return hashlib.sha256(json.dumps(what, sort_keys=True).encode()).hexdigest()
