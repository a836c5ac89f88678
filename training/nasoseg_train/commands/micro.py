"""Trains the micro bundle of the runtime's tests: a grid of 96, a few thousand weights.

    nasoseg-train micro --out tests/data/micro

It is trained for a few minutes on few phantoms, so that its trajectories differ and its masks are
not empty; its accuracy does not matter.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import torch

from ..agent.deep_q_learning import load_agent, train_agent
from ..agent.trajectories import run_agent
from ..bundle.golden import golden_slices
from ..bundle.reference_parity import check_bundle, check_networks
from ..bundle.writer import BundleText, write_bundle
from ..data.slice_set import build_cache, patient_seeds
from ..run.presets import MICRO
from ..segmenter.crop_training import load_segmenter, train_segmenter


@dataclass
class Micro:
    """Train and export the micro bundle."""

    out: Path
    """Folder of the bundle."""
    seed: int = 1
    cache: Path | None = None
    """Folder for prepared slices and checkpoints; a temporary one unless given. Finished stages
    found there are kept, an interrupted one is resumed.
    """
    workers: int = 2
    threads: int = 2

    def main(self) -> None:
        torch.set_num_threads(self.threads)
        with TemporaryDirectory() as temporary:
            self.run(Path(self.cache or temporary))

    def run(self, cache: Path) -> None:
        preset, seed = MICRO, self.seed
        sets = {
            split: build_cache(
                cache / split, patient_seeds(split, seed, count), preset.input, 4, self.workers
            )
            for split, count in (
                ("train", preset.patients_train),
                ("validation", preset.patients_validation),
            )
        }
        train, validation, stages = sets["train"], sets["validation"], cache / "run"
        train_agent(preset, train, validation, stages, seed)
        agent, detector_figures = load_agent(stages / "detector.pt", preset)
        first = train_segmenter(preset, train, validation, stages, seed, None, "explore")
        train_segmenter(preset, train, validation, stages, seed, agent, "agent", first)
        net, segmenter_figures = load_segmenter(stages / "segmenter.pt", preset)

        trajectories = run_agent(agent, validation, np.arange(len(validation)), preset)
        rows = golden_slices(validation, trajectories.boxes, trajectories.stopped)
        text = BundleText(
            name="nasoseg-micro",
            version="0.1.0",
            licence="Apache-2.0",
            demo=True,
            statement="For tests of the runtime. Trained for minutes on synthetic images; not for "
            "clinical use.",
            negatives_trained=True,
            training={
                "data": f"{preset.patients_train} synthetic patients",
                "seed": seed,
                "preset": preset.name,
            },
            slice_spacing_mm=None,
        )
        metrics = {"validation": {"detector": detector_figures, "segmenter": segmenter_figures}}
        write_bundle(
            self.out, agent, net, preset, np.asarray(validation.images[rows]), text, metrics
        )
        print(
            json.dumps(
                {
                    **check_bundle(self.out),
                    "networks": check_networks(self.out, agent, net, preset),
                },
                indent=2,
            )
        )
