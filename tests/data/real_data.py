"""Real images for tests in Python: the same rule as tests/common/data.rs.

The folder is NASOSEG_TEST_DATA or, if that is not set, ../shared/data beside the repository.
docs/reference/test-data.md lists its folders and their sources.
"""

from __future__ import annotations

import os
from pathlib import Path

DEFAULT = Path(__file__).resolve().parents[2].parent / "shared" / "data"


def root() -> Path | None:
    """The folder of all real images; None if NASOSEG_TEST_DATA is not set and the default is
    missing.

    Raises FileNotFoundError if NASOSEG_TEST_DATA names no folder.
    """
    named = os.environ.get("NASOSEG_TEST_DATA")
    if named is None:
        return DEFAULT if DEFAULT.is_dir() else None
    path = Path(named)
    if not named or not path.is_dir():
        raise FileNotFoundError(
            f"NASOSEG_TEST_DATA: {named!r} is not a folder, expected the folder of the real images "
            "that docs/reference/test-data.md lists. Correct the path, or unset the variable to "
            "skip their tests"
        )
    return path


def folder(name: str) -> Path | None:
    """A folder of the real images; None if it is missing."""
    found = root()
    return found / name if found and (found / name).is_dir() else None


def missing(name: str) -> str:
    """Why a test that needs the folder is skipped."""
    return (
        f"{root() or DEFAULT} has no folder {name} of real, public images; "
        "docs/reference/test-data.md says where to get it"
    )
