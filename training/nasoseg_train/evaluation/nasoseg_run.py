"""Runs one case through `nasoseg run`, as a user does."""

from __future__ import annotations

import importlib.util
import json
import os
import shutil
import subprocess
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import nibabel
import numpy as np

Array = np.ndarray


class RunError(Exception):
    """A case has no result; the message says why."""


def find_runtime() -> Path | None:
    """This Python's ONNX Runtime, unless NASOSEG_ORT_DYLIB names one: the program searches
    activated environments only.
    """
    if os.environ.get("NASOSEG_ORT_DYLIB"):
        return None
    found = importlib.util.find_spec("onnxruntime")
    return Path(found.origin).parent / "capi" if found and found.origin else None


@dataclass(frozen=True)
class Program:
    """The program and its options."""

    path: Path
    bundle: Path
    device: str = "cpu"
    threads: int = 1
    runtime: Path | None = None

    def version(self) -> str:
        """The version that the program reports."""
        done = subprocess.run([self.path, "--version"], capture_output=True, text=True, check=True)
        return done.stdout.strip()

    def run(
        self, file: Callable[[str], Path], out: Path, slices: tuple[int, int] | None
    ) -> RunOutput:
        """Run one case; `file` gives its sequences' files, `slices` a range from inferior to
        superior (None: all).
        """
        shutil.rmtree(out, ignore_errors=True)
        command = [
            self.path,
            "run",
            "--t1",
            file("T1"),
            "--t1c",
            file("T1C"),
            "--t2",
            file("T2"),
            "--bundle",
            self.bundle,
        ]
        command += ["--device", self.device, "--threads", self.threads, "--out", out]
        command += ["--slices", f"{slices[0]}:{slices[1]}"] if slices else []
        command += ["--onnxruntime", self.runtime] if self.runtime else []
        started = time.monotonic()
        done = subprocess.run(
            [str(part) for part in command], capture_output=True, text=True, errors="replace"
        )
        if done.returncode:
            said = [
                line.removeprefix("nasoseg: ") for line in done.stderr.splitlines() if line.strip()
            ]
            raise RunError(
                f"{said[-1] if said else 'no message'} (nasoseg run, exit code {done.returncode})"
            )
        return RunOutput(out, time.monotonic() - started)


@dataclass(frozen=True)
class RunOutput:
    """An output folder of `nasoseg run`, and how long the program took."""

    folder: Path
    seconds: float = float("nan")

    def json(self, name: str) -> dict[str, Any]:
        return json.loads((self.folder / name).read_text())

    def mask(self, reference: Path) -> tuple[Array, Array]:
        """(mask bool [k, j, i], voxel (i, j, k) to RAS mm); it must be on the grid of `reference`,
        the true mask.
        """
        path = self.folder / "mask.nii.gz"
        if not path.exists():
            raise RunError(
                "no mask was written: "
                f"{'; '.join(self.json('run.json')['not_written']) or 'no reason given'}"
            )
        found, wanted = nibabel.load(path), nibabel.load(reference)
        if found.shape != wanted.shape or not np.allclose(found.affine, wanted.affine, atol=0.01):
            raise RunError(
                f"{reference}: found a grid of shape {wanted.shape} [i, j, k] and affine "
                f"{wanted.affine.tolist()}, expected T1C's of shape {found.shape} and affine "
                f"{found.affine.tolist()}. Resample the true mask onto T1C's grid"
            )
        return np.asarray(found.dataobj).transpose(2, 1, 0) > 0, found.affine
