"""`nasoseg-train check-bundle`: a bundle against its golden case, in ONNX Runtime."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from ..bundle.reference_parity import check_bundle


@dataclass
class CheckBundle:
    """Compare a bundle with its golden case."""

    bundle: Path
    """Folder of the bundle."""

    def main(self) -> None:
        for name, value in check_bundle(self.bundle).items():
            print(f"{name}: {value:.3g}")
