"""What a result says about the model that made it."""

from __future__ import annotations

from typing import NamedTuple


class ModelInfo(NamedTuple):
    """The model that a result came from."""

    name: str
    version: str
    hash: str
    """SHA-256 of the model's manifest, 64 hexadecimal digits."""
    intended_use: str
    """Show it beside every result."""
    is_demo: bool
    """Whether this is a demonstration: none of its results may be called a target."""
