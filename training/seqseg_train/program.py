"""Where the `seqseg` program is."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[2]
NAME = "seqseg.exe" if os.name == "nt" else "seqseg"


def find_program(given: Path | None = None) -> Path:
    """The program: as given, else SEQSEG_PROGRAM, else on PATH, else the repository's own build. FileNotFoundError otherwise."""
    for name, path in (("--seqseg", given), ("SEQSEG_PROGRAM", os.environ.get("SEQSEG_PROGRAM"))):
        if path:
            if not is_program(Path(path)):
                raise FileNotFoundError(f"{name} names {path}, which is no program; the path of `seqseg` was expected")
            return Path(path).resolve()
    on_path = shutil.which("seqseg")
    for built in [Path(on_path)] if on_path else [REPOSITORY / "target" / build / NAME for build in ("release", "debug")]:
        if is_program(built):
            return built
    raise FileNotFoundError(
        "the program seqseg is neither on PATH nor in target/release or target/debug. Build it (cargo build --release --bin seqseg), "
        "or name it with --seqseg"
    )


def is_program(path: Path) -> bool:
    return path.is_file() and os.access(path, os.X_OK)
