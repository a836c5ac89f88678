"""Finds the `nasoseg` program."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[3]
NAME = "nasoseg.exe" if os.name == "nt" else "nasoseg"


def find_program(given: Path | None = None) -> Path:
    """The program: `given`, else NASOSEG_PROGRAM, else on PATH, else the repository's own build.
    FileNotFoundError if there is none.
    """
    for name, path in (
        ("--nasoseg", given),
        ("NASOSEG_PROGRAM", os.environ.get("NASOSEG_PROGRAM")),
    ):
        if path:
            if not is_program(Path(path)):
                raise FileNotFoundError(
                    f"{name} names {path}, which is no program; expected the path of `nasoseg`"
                )
            return Path(path).resolve()
    on_path = shutil.which("nasoseg")
    for built in (
        [Path(on_path)]
        if on_path
        else [REPOSITORY / "target" / build / NAME for build in ("release", "debug")]
    ):
        if is_program(built):
            return built
    raise FileNotFoundError(
        "the program nasoseg is neither on PATH nor in target/release or target/debug. Build it "
        "(cargo build --release --bin nasoseg), or name it with --nasoseg"
    )


def is_program(path: Path) -> bool:
    return path.is_file() and os.access(path, os.X_OK)
