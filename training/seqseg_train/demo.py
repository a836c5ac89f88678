"""Nothing in, the demo bundle and its report out: the steps of `seqseg-train`, in order.

    python -m seqseg_train.demo --out ../models/demo --work DIR --seed 3

    DIR/dataset           synthetic patients (prepare)
    DIR/runs/seqseg/...   the agent, with RANet's first batches beside it, then RANet on the agent's boxes (train)
    OUT                   the bundle, its threshold chosen on the validation patients (export), report.md and report.json on patients
                          that nothing of this has seen (evaluate.py)

A run that was cut off goes on where it was with the same words.
"""

from __future__ import annotations

import json
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

from .data import patient_seeds
from .evaluate import evaluate, write_report
from .export import write_manifest
from .presets import DEMO

Words = list[str | int | Path]


@dataclass
class Demo:
    """Train, export, check and evaluate the demo bundle."""

    out: Path = Path("models/demo")
    """Folder of the bundle and its report."""
    work: Path = Path("out/demo-training")
    """Folder of the data set, the run and the unseen patients; about 8 GB."""
    seed: int = 3
    """Of the patients, the weights and the exploration."""
    version: str = "1.2.0"
    """Version of the bundle."""
    threads: int = 2
    """Threads of PyTorch; half of them each where two stages run side by side."""
    workers: int = 2
    """Processes that make patients."""
    test_patients: int = DEMO.patients_test
    """Unseen patients of the report."""
    device: str = "auto"
    """cpu, cuda or auto, for training."""

    def main(self) -> None:
        dataset, runs = self.work / "dataset", self.work / "runs"
        counts: Words = [DEMO.patients_train, DEMO.patients_validation, 0]
        wait(start(["prepare", "--out", dataset, "--phantoms", *counts, "--phantom-seed", self.seed, "--workers", self.workers]))
        common: Words = [
            "--dataset", dataset, "--runs", runs, "--preset", "demo", "--seed", self.seed, "--workers", self.workers, "--device", self.device,
        ]  # fmt: skip
        half: Words = ["--threads", max(1, self.threads // 2)]
        # The agent and RANet's first batches do not need each other.
        wait(
            start(["train", "detector", *common, *half]),
            start(["train", "segmenter", *common, *half, "--before-agent", "True"]),
        )
        wait(start(["train", "all", *common, "--threads", self.threads]))
        words: Words = [
            "export", "--run", runs / "seqseg" / f"seed{self.seed}", "--dataset", dataset, "--out", self.out, "--name", "seqseg-demo",
            "--version", self.version, "--choose-threshold", "--workers", self.workers,
        ]  # fmt: skip
        wait(start(words))
        self.report()

    def report(self) -> None:
        """report.json, report.md, and the main figures in the manifest."""
        seeds = patient_seeds("test", self.seed, self.test_patients)
        report = evaluate(self.out, seeds, self.work / "test", self.workers)
        write_report(report, self.out)
        content = json.loads((self.out / "bundle.json").read_text())
        content["metrics"]["test"] = {b["figure"]: b["measured"] for b in report["bars"]} | {"patients": len(seeds)}
        write_manifest(self.out, content)
        print((self.out / "report.md").read_text())


def start(words: Words) -> subprocess.Popen[bytes]:
    """One command of seqseg-train."""
    print("$ seqseg-train", *words, flush=True)
    return subprocess.Popen([sys.executable, "-m", "seqseg_train.cli", *map(str, words)])


def wait(*commands: subprocess.Popen[bytes]) -> None:
    """All of them end well, or none goes on."""
    try:
        while any(command.poll() is None for command in commands):
            if any(command.poll() for command in commands):
                break
            time.sleep(1)
    finally:
        for command in commands:
            command.terminate()
    for command in commands:
        if command.wait():
            raise SystemExit(f"{' '.join(map(str, command.args))}\nended with exit code {command.returncode}; see its message above")


if __name__ == "__main__":
    import tyro

    tyro.cli(Demo).main()
