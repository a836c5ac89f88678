"""One patient through `nasoseg prepare`.

It writes the aligned volumes and volumes.json into a folder, or fails with `Refused` and the
program's own message.
"""

from __future__ import annotations

import os
import re
import subprocess
from dataclasses import dataclass
from pathlib import Path

from .sources import CohortError, PatientFiles


class Refused(Exception):
    """`nasoseg` could not prepare a patient."""

    def __init__(self, reason: str, detail: str) -> None:
        super().__init__(detail)
        self.reason, self.detail = reason, detail


@dataclass(frozen=True)
class Geometry:
    """How `nasoseg` reads and aligns: options that are the same for all patients."""

    label: int | None = None
    mask_roi: str | None = None
    trust_array_order: bool = False
    allow_gaps: bool = False
    force_geometry: bool = False
    percentiles: tuple[float, ...] = (1.0, 5.0, 25.0, 50.0, 75.0, 95.0, 99.0, 99.5, 99.9)


def version(program: Path) -> str:
    """The program's version, which also proves that it runs and knows --volumes."""
    try:
        done = subprocess.run([program, "--version"], capture_output=True, text=True, timeout=60)
        knows = subprocess.run(
            [program, "prepare", "--help"], capture_output=True, text=True, timeout=60
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise CohortError(f"{program}: cannot be executed ({error})") from error
    if done.returncode or "--volumes" not in knows.stdout:
        raise CohortError(
            f"{program}: found a program without `prepare --volumes`, expected nasoseg with it. "
            "Build a newer nasoseg or name one with --nasoseg"
        )
    return done.stdout.strip()


# Patterns of the program's messages, and what the report calls them. The first match counts.
_REASONS = (
    ("mask: .*belongs to another patient", "mask of another patient"),
    ("belongs to another patient", "sequences of two patients"),
    ("series differ in (?:Patient|Birth)", "series of two patients"),
    ("is transposed", "transposed mask"),
    ("has another shape than the series", "mask of another shape"),
    ("affine disagrees", "mask's affine disagrees"),
    ("mask: .*nothing of it lies on", "mask outside the image"),
    ("mask: .*is empty", "empty mask"),
    ("no voxel has the label|a mask of 0 and one whole number", "labels of the mask"),
    ("does not overlap T1C", "sequences do not overlap"),
    ("frame of reference", "frames of reference differ"),
    ("are the same series", "one series twice"),
    ("expected a finite number", "NaN or infinite voxels"),
    ("one axial slice only|a volume of at least (?:2|two) slices", "one slice"),
    (r"\d+ series were found", "several series"),
    ("The series holds|pick one of these", "several images in a series"),
)
# What the exit code means if no pattern matches.
_CODES = {
    2: "mask not understood",
    3: "unreadable or unusable image",
    4: "geometry",
    7: "unevenly spaced slices",
}


def reason_of(message: str, code: int) -> str:
    """A short reason for a failure, so that reasons can be counted."""
    return next(
        (words for pattern, words in _REASONS if re.search(pattern, message)),
        _CODES.get(code, "nasoseg failed"),
    )


_QUOTED = r'"(?:[^"\\]|\\.)*"'


def without_identity(message: str) -> str:
    """The program's message as a report may keep it: without DICOM names, ids or dates, and without
    UIDs, which may contain dates.
    """
    message = re.sub(
        rf"(patient ID|patient name|birth date) {_QUOTED} against {_QUOTED}", r"\1 differs", message
    )
    # Listings of series contain descriptions, which people type in, and times.
    message = re.sub(
        r"(series were found, one was expected): .*",
        r"\1; `nasoseg prepare` on this folder lists them",
        message,
    )
    message = re.sub(
        r"(The series holds) .*",
        r"\1 several; `nasoseg prepare` on this folder lists them",
        message,
    )
    return re.sub(r"\b\d+(?:\.\d+){4,}\b", "(UID)", message)


def run_prepare(
    program: Path, patient: PatientFiles, geometry: Geometry, out: Path, threads: int
) -> None:
    """`nasoseg prepare --volumes` into the empty folder `out`."""
    command: list[str | Path] = [program, "prepare", "--volumes", out]
    for name, path in patient.images.items():
        command += [f"--{name.lower()}", path]
    for key, value in patient.choices.items():
        command += [f"--{key.replace('_', '-')}", value]
    if patient.mask:
        command += ["--mask", patient.mask]
    for name, path in patient.other_masks.items():
        command += [f"--{name.lower()}-mask", path]
    if geometry.label is not None:
        command += ["--label", str(geometry.label)]
    if geometry.mask_roi is not None:
        command += ["--mask-roi", geometry.mask_roi]
    for flag in ("trust_array_order", "allow_gaps", "force_geometry"):
        if getattr(geometry, flag):
            command.append(f"--{flag.replace('_', '-')}")
    command += ["--percentiles", *(f"{p:g}" for p in geometry.percentiles)]
    environment = {**os.environ, "RAYON_NUM_THREADS": str(threads)}
    done = subprocess.run(
        command, capture_output=True, text=True, errors="replace", env=environment
    )
    if done.returncode == 0:
        return
    message = done.stderr.strip().removeprefix("nasoseg: ")
    if done.returncode == 130:
        raise KeyboardInterrupt
    # Wrong arguments or an unwritable folder: every patient would fail, so the build stops.
    if message.startswith("error:"):
        raise CohortError(f"{patient.id}: nasoseg rejected its arguments: {message}")
    if done.returncode == 7 and "unevenly spaced" not in message:
        raise CohortError(f"{patient.id}: {message}")
    if not message or done.returncode < 0:
        message = f"nasoseg ended with {done.returncode}: {message or 'no message'}"
    raise Refused(reason_of(message, done.returncode), without_identity(message))
