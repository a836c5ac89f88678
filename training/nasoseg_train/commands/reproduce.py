"""`nasoseg-train reproduce`: trains, exports and evaluates every system and writes the paper's
tables.

WORK/dataset                        what `prepare` wrote (or --dataset)
WORK/runs/<system>/seed<k>/         training runs; log.txt is the output of their commands
OUT/tables.md, orderings.md, ...    the results: figures, logs and settings, no weights, no images
OUT/runs/<system>/seed<k>/          evaluation.json, config.json, the loops' CSV logs
OUT/reproduce.json                  the command, versions, the machine, seconds of every step, and
                                    training runs that failed

Each step is a command of nasoseg-train and can also be run by hand; finished steps are not
repeated.
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
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tqdm import tqdm

from ..run.files import write_text

if TYPE_CHECKING:
    from ..data.dataset import Dataset

KEPT = ("config.json", "evaluation/evaluation.json")


@dataclass
class Reproduce:
    """Fill the paper's tables: prepare, train, export and evaluate every system."""

    out: Path
    """Folder of the results; small enough to keep."""
    work: Path = Path("out/reproduce")
    """Folder of the data set and the training runs, gigabytes. An interrupted command resumes from
    it.
    """
    preset: str = "small"
    """The base of every system: small (CPU), paper (GPU), tiny (a test)."""
    dataset: Path | None = None
    """A data set that `nasoseg-train prepare` wrote; phantoms, as many as the preset says, unless
    given.
    """
    data_seed: int = 1
    """Seed of the phantoms."""
    systems: tuple[str, ...] = ()
    """Systems to run; all unless given."""
    seeds: int = 3
    """Seeds of the systems in `--repeated`."""
    repeated: tuple[str, ...] = (
        "seqseg",
        "agent_priori_04",
        "agent_priori_00",
        "ranet",
        "ranet_weighted",
    )
    """Systems that are trained once for each seed; the others are trained once."""
    config: Path | None = None
    """Settings file for every training run, as for `train --config`."""
    jobs: int = 2
    """Training runs in parallel."""
    threads: int = 1
    """Threads of each training run."""
    device: str = "auto"
    """cpu, cuda or auto, for training."""
    nasoseg: Path | None = None
    """The program nasoseg; found as by `prepare` and `evaluate` unless given."""

    def main(self) -> None:
        from ..data.dataset import Dataset

        begun = time.time()
        pairs = list(self.pairs())
        dataset = self.dataset or self.prepared()
        self.check_earlier(pairs, Dataset.open(dataset))
        failed = self.run_all(pairs, dataset)
        self.keep(pairs, dataset, failed, time.time() - begun)
        if failed:
            raise SystemExit(
                "\n".join(
                    [
                        f"{len(failed)} of {len(pairs)} runs failed; the others are in {self.out}",
                        *failed,
                    ]
                )
            )

    def pairs(self) -> Iterator[tuple[str, int]]:
        """(system, seed), the first seed of every system before the others, so that an early end
        still has every row.
        """
        from ..run.systems import SYSTEMS

        names = self.systems or tuple(SYSTEMS)
        unknown = [name for name in names if name not in SYSTEMS]
        if unknown:
            raise SystemExit(
                f"--systems: {', '.join(unknown)}: not known; expected some of {', '.join(SYSTEMS)}"
            )
        for seed in range(1, self.seeds + 1):
            # The slowest first, so that no core is idle at the end.
            for name in sorted(names, key=lambda name: "agent" not in SYSTEMS[name].stages):
                if seed == 1 or name in self.repeated:
                    yield name, seed

    def check_earlier(self, pairs: list[tuple[str, int]], data: Dataset) -> None:
        """Reject training runs in WORK that were made with other settings or another data set:
        their figures would be mixed with these.
        """
        from ..run.settings import overlaid, read_file
        from ..run.training_run import TrainingRun, difference
        from .train import settings_of

        for system, seed in pairs:
            path = self.folder(system, seed) / "config.json"
            if not path.exists():
                continue
            settings = settings_of(self.preset, system)
            if self.config:
                settings = overlaid(settings, read_file(self.config), str(self.config))
            settings = replace(settings, input=data.input(settings.input))
            wanted = TrainingRun(
                path.parent,
                system,
                self.preset,
                seed,
                None,
                {"name": data.name, "hash": data.hash},
                settings,
            ).content()
            there = {
                name: value
                for name, value in json.loads(path.read_text()).items()
                if name in wanted
            }
            if different := difference(there, wanted):
                raise SystemExit(
                    f"{path}: this training run was started with other settings: {different}. "
                    "Choose another --work, or the old settings"
                )

    def prepared(self) -> Path:
        """The phantoms' data set."""
        from ..run.settings import preset_named

        preset, folder = preset_named(self.preset), self.work / "dataset"
        counts = (preset.patients_train, preset.patients_validation, preset.patients_test)
        self.work.mkdir(parents=True, exist_ok=True)
        words = [
            "prepare",
            "--out",
            folder,
            "--phantoms",
            *counts,
            "--phantom-seed",
            self.data_seed,
            "--workers",
            self.jobs,
        ]
        try:
            timed(self.work, "prepare", self.with_program(words), self.work / "prepare.txt")
        except subprocess.CalledProcessError as error:
            raise SystemExit(
                f"prepare ended with exit code {error.returncode}; see {self.work / 'prepare.txt'}"
            ) from error
        return folder

    def run_all(self, pairs: list[tuple[str, int]], dataset: Path) -> list[str]:
        """Run all, `jobs` at a time; returns the messages of those that failed. The first one that
        needs some slices makes them for all.
        """
        failed: list[str] = []
        pool = ThreadPoolExecutor(max_workers=max(1, self.jobs))
        try:
            waiting = {pool.submit(self.run_one, *pair, dataset): pair for pair in pairs}
            for future in tqdm(as_completed(waiting), total=len(pairs), desc="runs"):
                system, seed = waiting[future]
                try:
                    future.result()
                except subprocess.CalledProcessError as error:
                    failed.append(
                        f"{system} seed {seed}: exit code {error.returncode}; see "
                        f"{self.folder(system, seed) / 'log.txt'}"
                    )
                    tqdm.write(failed[-1])
        finally:
            # Ctrl-C ends the running commands; no further one may start.
            pool.shutdown(cancel_futures=True)
        return failed

    def folder(self, system: str, seed: int) -> Path:
        return self.work / "runs" / system / f"seed{seed}"

    def run_one(self, system: str, seed: int, dataset: Path) -> None:
        """Train, export, evaluate."""
        folder = self.folder(system, seed)
        if evaluated(folder):
            return
        folder.mkdir(parents=True, exist_ok=True)
        train = [
            "train",
            "all",
            "--dataset",
            dataset,
            "--runs",
            self.work / "runs",
            "--system",
            system,
            "--preset",
            self.preset,
            "--seed",
            seed,
            "--threads",
            self.threads,
            "--device",
            self.device,
        ]
        train += ["--config", self.config] if self.config else []
        steps = {
            "train": train,
            "export": ["export", "--run", folder, "--dataset", dataset],
            "evaluate": self.with_program(
                ["evaluate", "--bundle", folder / "bundle", "--dataset", dataset, "--workers", 1]
            ),
        }
        for name, words in steps.items():
            timed(folder, name, words, folder / "log.txt", self.threads)

    def with_program(self, words: list[Any]) -> list[Any]:
        return [*words, "--nasoseg", self.nasoseg] if self.nasoseg else words

    def keep(
        self, pairs: list[tuple[str, int]], dataset: Path, failed: list[str], total: float
    ) -> None:
        """Write the tables and, of each finished training run, the files they were made from; those
        of earlier runs are removed from OUT.
        """
        from .tables import Tables

        finished = [pair for pair in pairs if evaluated(self.folder(*pair))]
        self.out.mkdir(parents=True, exist_ok=True)
        shutil.rmtree(self.out / "runs", ignore_errors=True)
        for system, seed in finished:
            run, kept = self.folder(system, seed), self.out / "runs" / system / f"seed{seed}"
            for file in [*(run / name for name in KEPT), *run.glob("*.csv")]:
                target = kept / file.relative_to(run)
                target.parent.mkdir(parents=True, exist_ok=True)
                shutil.copyfile(file, target)
        self.record(finished, dataset, failed, total)
        if finished:
            Tables(self.out / "runs", self.out).main()

    def record(
        self, finished: list[tuple[str, int]], dataset: Path, failed: list[str], total: float
    ) -> None:
        """reproduce.json. It holds nothing that identifies a patient of the data set."""
        from ..run.training_run import versions

        path = self.out / "reproduce.json"
        before = json.loads(path.read_text()) if path.exists() else {}
        data = json.loads((dataset / "dataset.json").read_text())
        fingerprint = {
            name: value for name, value in data["fingerprint"].items() if name != "channel_max_case"
        }
        counts = {
            split: sum(case["split"] == split for case in data["cases"])
            for split in ("train", "validation", "test")
        }
        seconds = {
            f"{system}/seed{seed}": seconds_of(self.folder(system, seed))
            for system, seed in finished
        }
        asked = {
            name: value
            for name, value in asdict(self).items()
            if name not in ("out", "work", "dataset", "nasoseg")
        }
        content = {
            "asked": json.loads(json.dumps(asked, default=str)),
            "failed": failed,
            "dataset": {
                "name": data["name"],
                "hash": data["hash"],
                "cases": counts,
                "fingerprint": fingerprint,
            },
            "machine": {
                "processor": processor(),
                "cores": os.cpu_count(),
                "system": platform.system(),
            },
            "python": platform.python_version(),
            "packages": versions(),
            "seconds": {"prepare": seconds_of(self.work).get("prepare"), **seconds},
            "wall_seconds": [*before.get("wall_seconds", []), round(total, 1)],
        }
        write_text(path, json.dumps(content, indent=1) + "\n")


def evaluated(run: Path) -> bool:
    """Whether a training run has finished: its evaluation is written last."""
    return (run / "evaluation" / "evaluation.json").exists()


def seconds_of(folder: Path) -> dict[str, float]:
    """Seconds of every step so far."""
    path = folder / "seconds.json"
    return json.loads(path.read_text()) if path.exists() else {}


def timed(folder: Path, name: str, words: list[Any], log: Path, threads: int | None = None) -> None:
    """Run one command of nasoseg-train in its own process; its seconds are added to those of
    earlier attempts.
    """
    environment = dict(os.environ)
    if threads:
        environment["OMP_NUM_THREADS"] = str(threads)
    begun = time.time()
    try:
        with open(log, "ab") as out:
            out.write(f"\n$ nasoseg-train {' '.join(map(str, words))}\n".encode())
            out.flush()
            subprocess.run(
                [sys.executable, "-m", "nasoseg_train.cli", *map(str, words)],
                stdout=out,
                stderr=out,
                env=environment,
                check=True,
            )
    finally:
        seconds = seconds_of(folder)
        seconds[name] = round(seconds.get(name, 0.0) + time.time() - begun, 1)
        write_text(folder / "seconds.json", json.dumps(seconds))


def processor() -> str:
    """The processor's name, as far as the system reports it."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor()
    return next(
        (line.partition(":")[2].strip() for line in lines if line.startswith("model name")),
        platform.machine(),
    )
