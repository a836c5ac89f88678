"""`seqseg-train reproduce`: a preset in; a cohort, every system trained, exported and evaluated, and the paper's tables out.

    WORK/dataset                        what `prepare` wrote (or --dataset)
    WORK/runs/<system>/seed<k>/         runs, with `log.txt`: what their commands said
    OUT/tables.md, orderings.md, ...    what is kept of them: figures, logs and settings, no weights and no images
    OUT/runs/<system>/seed<k>/          evaluation.json, config.json, the loops' CSV logs
    OUT/reproduce.json                  the command, versions, the machine, seconds of every step

Each step is a command of its own, so that what is done here can be done by hand; what is finished is not done again.
"""

from __future__ import annotations

import json
import os
import platform
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from tqdm import tqdm

KEPT = ("config.json", "evaluation/evaluation.json")


@dataclass
class Reproduce:
    """Fill the paper's tables: prepare, train, export and evaluate every system."""

    out: Path
    """Folder of the results; small enough to be kept."""
    work: Path = Path("out/reproduce")
    """Folder of the data set and the runs: gigabytes. A run that was cut off goes on from here."""
    preset: str = "small"
    """The base of every system: small (CPU), paper (GPU), tiny (a test)."""
    dataset: Path | None = None
    """A data set that `seqseg-train prepare` wrote; otherwise phantoms, as many as the preset says."""
    data_seed: int = 1
    """Of the phantoms."""
    systems: tuple[str, ...] = ()
    """Which rows; all unless given."""
    seeds: int = 3
    """Seeds of the systems in `--repeated`."""
    repeated: tuple[str, ...] = ("seqseg", "agent_priori_04", "agent_priori_00", "ranet", "ranet_weighted")
    """Systems that are trained once for each seed; the others once."""
    config: Path | None = None
    """File of settings for every run, as `train --config` takes it."""
    jobs: int = 2
    """Runs side by side."""
    threads: int = 1
    """Threads of each."""
    device: str = "auto"
    """cpu, cuda or auto, for training."""
    seqseg: Path | None = None
    """The program seqseg; else looked for as `prepare` and `evaluate` do."""

    def main(self) -> None:
        begun = time.time()
        seconds: dict[str, float] = {}
        dataset = self.dataset or self.prepared(seconds)
        pairs = list(self.pairs())
        failed = self.run_all(pairs, dataset, seconds)
        self.keep(pairs, dataset, seconds, time.time() - begun)
        if failed:
            raise SystemExit("\n".join([f"{len(failed)} of {len(pairs)} runs failed; the others are in {self.out}", *failed]))

    def pairs(self) -> Iterator[tuple[str, int]]:
        """(system, seed), the first seed of every system before the others: an early end still has every row."""
        from ..systems import SYSTEMS

        names = self.systems or tuple(SYSTEMS)
        unknown = [name for name in names if name not in SYSTEMS]
        if unknown:
            raise SystemExit(f"--systems: {', '.join(unknown)}: not known; there are {', '.join(SYSTEMS)}")
        for seed in range(1, self.seeds + 1):
            # The slowest first, so that no core waits for them at the end.
            for name in sorted(names, key=lambda name: "agent" not in SYSTEMS[name].stages):
                if seed == 1 or name in self.repeated:
                    yield name, seed

    def prepared(self, seconds: dict[str, float]) -> Path:
        """The phantoms' data set."""
        from ..settings import preset_named

        preset, folder = preset_named(self.preset), self.work / "dataset"
        counts = (preset.patients_train, preset.patients_validation, preset.patients_test)
        self.work.mkdir(parents=True, exist_ok=True)
        words = ["prepare", "--out", folder, "--phantoms", *counts, "--phantom-seed", self.data_seed, "--workers", self.jobs]
        with open(self.work / "prepare.txt", "ab") as log:
            seconds["prepare"] = command(self.with_program(words), log)
        return folder

    def run_all(self, pairs: list[tuple[str, int]], dataset: Path, seconds: dict[str, float]) -> list[str]:
        """Every run, `jobs` at a time; messages of those that failed. The first runs also make the slices that all share."""
        failed: list[str] = []
        with ThreadPoolExecutor(max_workers=max(1, self.jobs)) as pool, tqdm(total=len(pairs), desc="runs") as bar:
            waiting: dict[Future[dict[str, float]], tuple[str, int]] = {}
            for pair in pairs:
                waiting[pool.submit(self.run_one, *pair, dataset)] = pair
            while waiting:
                done, _ = wait(waiting, return_when=FIRST_COMPLETED)
                for future in done:
                    system, seed = waiting.pop(future)
                    bar.update()
                    try:
                        seconds |= {f"{system}/seed{seed}/{step}": took for step, took in future.result().items()}
                    except subprocess.CalledProcessError as error:
                        failed.append(f"{system} seed {seed}: exit code {error.returncode}; see {self.folder(system, seed) / 'log.txt'}")
                        tqdm.write(failed[-1])
        return failed

    def folder(self, system: str, seed: int) -> Path:
        return self.work / "runs" / system / f"seed{seed}"

    def run_one(self, system: str, seed: int, dataset: Path) -> dict[str, float]:
        """Train, export, evaluate; seconds of each that was not there already."""
        folder = self.folder(system, seed)
        done, took = folder / "evaluation" / "evaluation.json", {}
        if done.exists():
            return took
        folder.mkdir(parents=True, exist_ok=True)
        train = [
            "train", "all", "--dataset", dataset, "--runs", self.work / "runs", "--system", system, "--preset", self.preset, "--seed", seed,
            "--threads", self.threads, "--device", self.device,
        ]  # fmt: skip
        train += ["--config", self.config] if self.config else []
        steps = {
            "train": train,
            "export": ["export", "--run", folder, "--dataset", dataset],
            "evaluate": self.with_program(["evaluate", "--bundle", folder / "bundle", "--dataset", dataset, "--workers", 1]),
        }
        with open(folder / "log.txt", "ab") as log:
            for name, words in steps.items():
                took[name] = command(words, log, self.threads)
        return took

    def with_program(self, words: list[Any]) -> list[Any]:
        return [*words, "--seqseg", self.seqseg] if self.seqseg else words

    def keep(self, pairs: list[tuple[str, int]], dataset: Path, seconds: dict[str, float], total: float) -> None:
        """The tables, and of each run what they were made from."""
        from .tables import Tables

        for system, seed in pairs:
            run, kept = self.folder(system, seed), self.out / "runs" / system / f"seed{seed}"
            for file in [*(run / name for name in KEPT), *run.glob("*.csv")]:
                if file.exists():
                    target = kept / file.relative_to(run)
                    target.parent.mkdir(parents=True, exist_ok=True)
                    shutil.copyfile(file, target)
        for file in ("dataset.json", "report.md"):
            shutil.copyfile(dataset / file, self.out / f"dataset{Path(file).suffix}")
        self.record(dataset, seconds, total)
        Tables(self.out / "runs", self.out).main()

    def record(self, dataset: Path, seconds: dict[str, float], total: float) -> None:
        """reproduce.json: earlier seconds are kept, since finished steps are not done again."""
        from ..runs import versions

        path = self.out / "reproduce.json"
        before = json.loads(path.read_text()) if path.exists() else {}
        asked = {name: value for name, value in asdict(self).items() if name not in ("out", "work", "dataset", "seqseg")}
        content = {
            "asked": json.loads(json.dumps(asked, default=str)),
            "dataset": {key: json.loads((dataset / "dataset.json").read_text())[key] for key in ("name", "hash")},
            "machine": {"processor": processor(), "cores": os.cpu_count(), "system": platform.system()},
            "python": platform.python_version(), "packages": versions(),
            "seconds": {**before.get("seconds", {}), **{name: round(took, 1) for name, took in seconds.items()}},
            "wall_seconds": [*before.get("wall_seconds", []), round(total, 1)],
        }  # fmt: skip
        path.write_text(json.dumps(content, indent=1) + "\n")


def command(words: list[Any], log: Any, threads: int | None = None) -> float:
    """One command of seqseg-train in a process of its own; its seconds."""
    environment = dict(os.environ)
    if threads:
        environment["OMP_NUM_THREADS"] = str(threads)
    log.write(f"\n$ seqseg-train {' '.join(map(str, words))}\n".encode())
    log.flush()
    begun = time.time()
    subprocess.run([sys.executable, "-m", "seqseg_train.cli", *map(str, words)], stdout=log, stderr=log, env=environment, check=True)
    return time.time() - begun


def processor() -> str:
    """The processor's name, where the system tells it."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor()
    return next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), platform.machine())
