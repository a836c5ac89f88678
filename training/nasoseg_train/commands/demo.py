"""`nasoseg-train demo`: makes the demo bundle and its report by the commands of `nasoseg-train`.

    nasoseg-train demo --out ../models/demo --work DIR --seed 3

    DIR/dataset           synthetic patients for training and validation (prepare)
    DIR/runs/seqseg/...   the agent and, in parallel, RANet's first batches; then RANet on the
                          agent's boxes (train)
    OUT                   the bundle; its threshold is chosen on the validation patients (export)
    DIR/unseen            new patients (prepare), on which `evaluate` measures the bundle
    OUT/report.md         what it measured, against the goals below; report.json is its
                          evaluation.json

The same command resumes after an interruption.
"""

from __future__ import annotations

import json
import shlex
import shutil
import signal
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

from ..bundle.writer import write_manifest
from ..evaluation.report import to_markdown
from ..evaluation.rows import SliceRow, read_csv
from ..run.files import write_text
from ..run.settings import preset_named

Words = list[str | int | Path]


@dataclass
class Demo:
    """Train, export, check and evaluate the demo bundle."""

    out: Path = Path("models/demo")
    """Folder of the bundle and its report."""
    work: Path = Path("out/demo-training")
    """Folder of the data sets and the training run; about 20 GB."""
    seed: int = 3
    """Seed of the patients, the weights and the exploration."""
    preset: str = "demo"
    """Settings and numbers of patients; tiny runs the commands in minutes, as a test."""
    version: str = "1.2.0"
    """Version of the bundle."""
    threads: int = 2
    """Threads of PyTorch; two stages that run in parallel get half each."""
    workers: int = 2
    """Patients prepared, and cases evaluated, in parallel."""
    device: str = "auto"
    """cpu, cuda or auto, for training."""
    nasoseg: Path | None = None
    """The program nasoseg; found as by `nasoseg-train prepare` unless given."""

    def main(self) -> None:
        dataset, runs, preset = self.work / "dataset", self.work / "runs", preset_named(self.preset)
        self.prepare(dataset, preset.patients_train, preset.patients_validation, 0)
        common: Words = [
            "--dataset",
            dataset,
            "--runs",
            runs,
            "--preset",
            self.preset,
            "--seed",
            self.seed,
            "--workers",
            self.workers,
            "--device",
            self.device,
        ]
        half: Words = ["--threads", max(1, self.threads // 2)]
        # The agent and RANet's first batches are independent.
        wait(
            start(["train", "detector", *common, *half]),
            start(["train", "segmenter", *common, *half, "--before-agent", "True"]),
        )
        wait(start(["train", "all", *common, "--threads", self.threads]))
        words: Words = [
            "export",
            "--run",
            runs / "seqseg" / f"seed{self.seed}",
            "--dataset",
            dataset,
            "--out",
            self.out,
            "--name",
            "seqseg-demo",
            "--version",
            self.version,
            "--choose-threshold",
            "--workers",
            self.workers,
        ]
        wait(start(words))
        unseen, found = self.work / "unseen", self.work / "evaluation"
        self.prepare(unseen, 0, 0, preset.patients_test)
        wait(
            start(
                self.with_program(
                    [
                        "evaluate",
                        "--bundle",
                        self.out,
                        "--dataset",
                        unseen,
                        "--out",
                        found,
                        "--workers",
                        self.workers,
                    ]
                )
            )
        )
        report(found, self.out)

    def prepare(self, folder: Path, *counts: int) -> None:
        words: Words = [
            "prepare",
            "--out",
            folder,
            "--phantoms",
            *counts,
            "--phantom-seed",
            self.seed,
            "--workers",
            self.workers,
        ]
        wait(start(self.with_program(words)))

    def with_program(self, words: Words) -> Words:
        return [*words, "--nasoseg", self.nasoseg] if self.nasoseg else words


def goals(evaluation: dict[str, Any], rows: list[SliceRow]) -> list[tuple[str, str, float, bool]]:
    """The demo model's goals: figure, goal, measured value, whether it is reached."""
    box, missed = evaluation["boxes"], [row.tp == 0 for row in rows if row.tumour]
    measured = {
        "box recall, mean": (">=", 0.95, box["recall"]["mean"]),
        "box recall, smallest": (">=", 0.49, box["recall"]["min"]),
        "box IoU, mean": (">=", 0.5, box["iou"]["mean"]),
        "rewarded stops": (">=", 0.9, box["rewarded_stops"]),
        "Dice per tumour slice, mean": (
            ">=",
            0.85,
            evaluation["segmentation"]["slices"]["dice"]["mean"],
        ),
        "tumour slices missed altogether": ("<", 0.01, sum(missed) / len(missed)),
        "tumour-free slices with any pixel": ("<=", 0.05, evaluation["tumour_free"]["any_pixel"]),
    }
    reached = {">=": lambda a, b: a >= b, "<=": lambda a, b: a <= b, "<": lambda a, b: a < b}
    return [
        (name, f"{sign} {bar:g}", value, reached[sign](value, bar))
        for name, (sign, bar, value) in measured.items()
    ]


def report(found: Path, out: Path) -> None:
    """Write report.md, report.json and the manifest's main figures of the bundle in `out` from its
    evaluation.
    """
    evaluation = json.loads((found / "evaluation.json").read_text())
    table = goals(evaluation, read_csv(found / "slices.csv", SliceRow))
    shared = "none of its patients is in this one, whose seeds are from a range of their own"
    head, _, body = to_markdown(evaluation, shared=shared).partition("\n## ")
    lines = ["| figure | goal | measured | reached |", "|---|---|---|---|"]
    lines += [
        f"| {name} | {goal} | {value:.4f} | {'yes' if reached else 'no'} |"
        for name, goal, value, reached in table
    ]
    write_text(out / "report.md", "\n".join([head, "## Goals", "", *lines, "", f"## {body}"]))
    shutil.copyfile(found / "evaluation.json", out / "report.json")
    content = json.loads((out / "bundle.json").read_text())
    content["metrics"]["test"] = {name: value for name, _, value, _ in table} | {
        "patients": evaluation["cases"]["evaluated"]
    }
    write_manifest(out, content)
    print("\n".join(lines))


def start(words: Words) -> subprocess.Popen[bytes]:
    """Start one command of nasoseg-train."""
    print("$ nasoseg-train", *words, flush=True)
    return subprocess.Popen([sys.executable, "-m", "nasoseg_train.cli", *map(str, words)])


def wait(*commands: subprocess.Popen[bytes]) -> None:
    """Wait for all commands; if one fails, end the others."""
    # Ending this process also ends its commands.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    failed: subprocess.Popen[bytes] | None = None
    try:
        while failed is None and any(command.poll() is None for command in commands):
            time.sleep(0.5)
            failed = next((command for command in commands if command.poll()), None)
    finally:
        for command in commands:
            command.terminate()
            command.wait()
    if failed := failed or next((command for command in commands if command.returncode), None):
        raise SystemExit(
            f"{shlex.join(map(str, cast(list[str], failed.args)))}\nended with exit code"
            f" {failed.returncode}; see its message above"
        )
