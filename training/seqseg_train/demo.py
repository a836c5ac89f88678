"""Nothing in, the demo bundle and its report out: data, detector, segmenter, export, parity, threshold,
evaluation.

    python -m seqseg_train.demo --out models/demo --seed 2 --cache DIR

Every stage leaves its result and the state of its last validation in the cache folder: one that is done is skipped, one that
was cut off goes on to the same result. `detector` and `explore` do not need each other and run side by side, on half of the
threads each; `--stage` runs one stage alone.
"""

from __future__ import annotations

import json
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
import torch

from .calibration import calibrate
from .data import SliceSet, build_cache, patient_seeds
from .detector import load_detector, train_detector
from .evaluate import evaluate, write_report
from .export import BundleText, write_bundle, write_manifest
from .micro import golden_slices
from .parity import check_bundle, check_networks
from .presets import DEMO, Preset
from .segmenter import load_segmenter, train_segmenter
from .threshold import set_threshold
from .walks import run_agent

STATEMENT = (
    "Demonstration. Trained on synthetic images only, for trying the software out. Not for clinical use: its outlines are "
    "no gross tumour volume."
)
TUMOUR_FREE_PER_PATIENT = 6


@dataclass
class Demo:
    """Train, export, check and evaluate the demo bundle."""

    out: Path = Path("models/demo")
    """Folder of the bundle and its report."""
    seed: int = 1
    """Of the patients, the weights and the exploration."""
    cache: Path = Path("out/training")
    """Folder of prepared slices, checkpoints and logs; about 5 GB."""
    stage: Literal["all", "data", "detector", "explore", "agent", "export", "threshold", "report"] = "all"
    """One stage alone, or all in order."""
    workers: int = 2
    """Processes that make patients."""
    threads: int = 2
    """Threads of PyTorch."""
    test_patients: int = DEMO.patients_test
    """Unseen patients of the report."""
    version: str = "1.1.0"
    """Version of the bundle."""
    note: str = ""
    """What a reader of the manifest should know of this run beyond its preset."""

    def main(self) -> None:
        torch.set_num_threads(self.threads)
        preset, stages = DEMO, self.cache / "stages"
        train, validation = self.data(preset)
        wanted = [self.stage]
        if self.stage == "all":
            self.side_by_side("detector", "explore")
            wanted = ["agent", "export", "threshold", "report"]
        for stage in wanted:
            print(f"== {stage}", flush=True)
            if stage == "detector":
                train_detector(preset, train, validation, stages, self.seed)
            elif stage == "explore":
                train_segmenter(preset, train, validation, stages, self.seed, None, "explore")
            elif stage == "agent":
                agent, _ = load_detector(stages / "detector.pt", preset)
                first = stages / "segmenter_explore.pt"
                train_segmenter(preset, train, validation, stages, self.seed, agent, "agent", first)
            elif stage == "export":
                self.export(preset, stages, validation)
            elif stage == "threshold":
                seeds = patient_seeds("validation", self.seed, preset.patients_validation)
                print(json.dumps(set_threshold(self.out, seeds, self.cache / "whole", self.workers)))
            elif stage == "report":
                self.report(preset)

    def side_by_side(self, *stages: str) -> None:
        """Run stages in processes of their own; all must end well."""
        options = ["--out", self.out, "--seed", self.seed, "--cache", self.cache, "--threads", max(1, self.threads // len(stages))]
        command = [sys.executable, "-m", "seqseg_train.demo", *map(str, options), "--stage"]
        running = {stage: subprocess.Popen([*command, stage]) for stage in stages}
        try:
            while any(process.poll() is None for process in running.values()):
                for stage, process in running.items():
                    if process.poll():
                        raise SystemExit(f"stage {stage} ended with exit code {process.returncode}; see its message above")
                time.sleep(1)
        finally:
            for process in running.values():
                process.terminate()

    def data(self, preset: Preset) -> tuple[SliceSet, SliceSet]:
        """Training and validation slices."""
        sizes = {"train": preset.patients_train, "validation": preset.patients_validation}
        train, validation = (
            build_cache(
                self.cache / split, patient_seeds(split, self.seed, n), preset.input, TUMOUR_FREE_PER_PATIENT, self.workers
            )
            for split, n in sizes.items()
        )
        return train, validation

    def export(self, preset: Preset, stages: Path, validation: SliceSet) -> None:
        """The bundle, compared with PyTorch."""
        agent, detector_figures = load_detector(stages / "detector.pt", preset)
        detector_figures["calibration"] = calibrate(agent, validation, np.arange(len(validation)), preset)
        segmenter, segmenter_figures = load_segmenter(stages / "segmenter.pt", preset)
        walks = run_agent(agent, validation, np.arange(len(validation)), preset)
        rows = golden_slices(validation, walks.boxes, walks.stopped)
        text = BundleText(
            name="seqseg-demo",
            version=self.version,
            licence="Apache-2.0",
            demo=True,
            statement=STATEMENT,
            negatives_trained=True,
            training={
                "data": f"{preset.patients_train} synthetic patients, {preset.patients_validation} more for choosing checkpoints",
                "seed": self.seed,
                "preset": json.loads(json.dumps(preset.to_dict())),
                **({"note": self.note} if self.note else {}),
            },
            slice_spacing_mm=(4.0, 8.0),
        )
        metrics = {"validation": {"detector": detector_figures, "segmenter": segmenter_figures}}
        write_bundle(self.out, agent, segmenter, preset, np.asarray(validation.images[rows]), text, metrics)
        print(json.dumps({**check_bundle(self.out), "networks": check_networks(self.out, agent, segmenter, preset)}, indent=2))

    def report(self, preset: Preset) -> None:
        """report.json, report.md, and the main figures in the manifest."""
        seeds = patient_seeds("test", self.seed, self.test_patients)
        report = evaluate(self.out, seeds, self.cache / "test", self.workers)
        write_report(report, self.out)
        (self.cache / "rows.json").write_text(json.dumps(report["rows"]))
        content = json.loads((self.out / "bundle.json").read_text())
        content["metrics"]["test"] = {b["figure"]: b["measured"] for b in report["bars"]} | {"patients": len(seeds)}
        write_manifest(self.out, content)
        print((self.out / "report.md").read_text())


if __name__ == "__main__":
    import tyro

    tyro.cli(Demo).main()
