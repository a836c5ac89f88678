"""`nasoseg-train write-probe`: the probe bundle of the runtime's tests (tests/data/probe)."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from ..bundle.probe import write_probe


@dataclass
class WriteProbe:
    """Write the probe bundle, whose segmenter returns its input crop of T1C."""

    out: Path
    """Folder of the bundle."""

    def main(self) -> None:
        write_probe(self.out)
