"""Writes bundles with random weights, for timing and for tests of the runtime.

nasoseg-train export-untrained --preset paper --out DIR
nasoseg-train export-untrained --system mask_rcnn --preset tiny --out DIR
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..bundle.graph_parity import check_golden, check_graphs
from ..bundle.reference_parity import check_bundle
from ..bundle.writer import untrained_bundle
from ..run.presets import PRESETS
from ..run.systems import SYSTEMS


@dataclass
class ExportUntrained:
    """Write a bundle of an untrained system."""

    out: Path
    """Folder of the bundle."""
    preset: str = "paper"
    """paper, demo, small, micro or tiny."""
    system: str = "seqseg"
    """A row of the paper's tables (nasoseg-train list-systems)."""
    seed: int = 1

    def main(self) -> None:
        for kind, name, known in (
            ("preset", self.preset, PRESETS),
            ("system", self.system, SYSTEMS),
        ):
            if name not in known:
                raise SystemExit(
                    f"{kind} {name!r} is not known; expected one of {', '.join(known)}"
                )
        preset = PRESETS[self.preset]
        if self.system != "seqseg":
            preset = SYSTEMS[self.system].preset(preset)
        networks = untrained_bundle(preset, self.out, self.seed)
        figures: dict[str, Any] = {"networks": check_graphs(self.out, *networks, preset)}
        figures |= (
            check_bundle(self.out)
            if preset.detector_kind == "agent"
            else check_golden(self.out, preset)
        )
        print(json.dumps(figures, indent=2))
