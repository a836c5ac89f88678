"""Prints the systems of the paper's tables with their numbers of weights.

nasoseg-train list-systems --preset small
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import nn

from ..networks.parts import parts
from ..run.presets import PRESETS, Preset
from ..run.systems import SYSTEMS, System


def weights(module: nn.Module) -> int:
    """The number of trainable weights."""
    return sum(p.numel() for p in module.parameters())


def weights_of(system: System, base: Preset) -> dict[str, int]:
    """The numbers of weights of a system's detector and segmenter; 0 if there is nothing to
    train.
    """
    # On the device meta nothing is allocated; only the shapes count.
    with torch.device("meta"):
        detector, segmenter = parts(system.preset(base))
    # Mask R-CNN's masks come from the detector's own network.
    shared = segmenter is not None and getattr(segmenter, "rcnn", None) is not None
    return {
        "detector": weights(detector) if isinstance(detector, nn.Module) else 0,
        "segmenter": 0 if shared or not isinstance(segmenter, nn.Module) else weights(segmenter),
    }


def weights_table(base: Preset) -> str:
    """A Markdown table of every system with its tables, detector, segmenter and numbers of
    weights.
    """
    lines = [
        f"| system | title | tables | detector | segmenter | weights ({base.name}): detector | "
        "segmenter |",
        "|---|---|---|---|---|---|---|",
    ]
    for system in SYSTEMS.values():
        preset, count = system.preset(base), weights_of(system, base)
        segmenter = "voxresnet" if preset.segmenter_kind == "volume" else preset.ranet.network
        tables = ", ".join(map(str, system.tables))
        lines.append(
            f"| {system.name} | {system.title} | {tables} | {preset.detector_kind} | {segmenter} |"
            f" {count['detector']:,} | {count['segmenter']:,} |"
        )
    return "\n".join(lines)


@dataclass
class ListSystems:
    """Print the systems of the paper's tables."""

    preset: str = "small"
    """The base: paper, demo, small, micro or tiny."""

    def main(self) -> None:
        print(weights_table(PRESETS[self.preset]))
