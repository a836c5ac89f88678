"""`nasoseg-train evaluate`: measures a bundle on a split of a data set and writes slices.csv,
cases.csv, evaluation.json, report.md and plots.

Every case runs through the `nasoseg` program itself, so the figures are those of the deployed
software. A bundle that was trained on tumour slices only gets the range from a case's first to its
last tumour slice, as a user would give it; others get every slice.

The program gets the data set's aligned files. If a bundle scales by `study_percentile`, T1's and
T2's percentiles are then those of the aligned volumes, which differ by up to about 2.5 % from those
of the acquired sequences (phantoms); T1C's are the same.
"""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import nibabel
import numpy as np
from tqdm import tqdm

from ..evaluation import plots
from ..evaluation.case_figures import Case, score_case
from ..evaluation.nasoseg_run import Program, find_runtime
from ..evaluation.report import to_markdown
from ..evaluation.rows import CaseRow, SliceRow, write_csv
from ..evaluation.subgroups import subgroups
from ..evaluation.summary import plain, summarise
from ..run.demo_words import warning
from ..run.files import write_text
from ..run.nasoseg_program import find_program

FORMAT = 1


@dataclass
class Evaluate:
    """Run a bundle on a split of a data set and measure it."""

    bundle: Path
    """Folder of the bundle."""
    dataset: Path
    """Folder that `nasoseg-train prepare` wrote."""
    split: str = "test"
    """The split to evaluate."""
    out: Path | None = None
    """Folder for the results; `evaluation` beside the bundle unless given."""
    nasoseg: Path | None = None
    """The program; else NASOSEG_PROGRAM, else PATH, else target/release or target/debug of the
    repository.
    """
    onnxruntime: Path | None = None
    """ONNX Runtime for the program; this Python's own unless NASOSEG_ORT_DYLIB is set."""
    device: str = "cpu"
    """cpu, cuda, cuda:N or auto."""
    workers: int = 2
    """Cases that run in parallel."""
    threads: int = 1
    """Threads of each case."""
    limit: int | None = None
    """Evaluate only this many cases, from the first."""
    keep_runs: bool = False
    """Keep the program's output folder of each case, in `runs` of the output folder."""
    logs: tuple[str, ...] = ()
    """Detector logs for the convergence curve of Fig. 5, as NAME=FILE; the same name again is
    another seed.
    """

    def main(self) -> None:
        try:
            self.run()
        except (FileNotFoundError, ValueError) as error:
            raise SystemExit(f"nasoseg-train evaluate: {error}") from error

    def run(self) -> None:
        """As `main`, with exceptions."""
        from ..data.dataset import Dataset

        if self.workers < 1 or self.threads < 0 or (self.limit is not None and self.limit < 1):
            raise ValueError("--workers and --limit are at least 1, --threads at least 0")
        dataset = Dataset.open(self.dataset)
        out = self.out or self.bundle.parent / "evaluation"
        cases = dataset.cases(self.split)[: self.limit]
        if not cases:
            raise ValueError(
                f"{self.dataset}: no cases in split {self.split!r}; see dataset.json for its splits"
            )
        source = {"name": dataset.name, "hash": dataset.hash, "split": self.split}
        report = self.evaluate(cases, source, out)
        print((out / "report.md").read_text())
        if not report["cases"]["evaluated"]:
            raise SystemExit("no case has a result; their messages are above and in cases.csv")

    def evaluate(self, cases: Sequence[Case], source: dict[str, Any], out: Path) -> dict[str, Any]:
        """Run, compare and write everything; returns what evaluation.json holds."""
        manifest = json.loads((self.bundle / "bundle.json").read_text())
        program = Program(
            find_program(self.nasoseg),
            self.bundle.resolve(),
            self.device,
            self.threads,
            self.onnxruntime or find_runtime(),
        )
        logs = parse_logs(self.logs)
        out.mkdir(parents=True, exist_ok=True)
        runs = out / "runs"
        case_rows, rows = run_cases(cases, program, manifest, runs, self.workers)
        use = manifest["intended_use"]
        report: dict[str, Any] = {
            "format": FORMAT,
            "bundle": {
                "name": manifest["name"],
                "version": manifest["version"],
                "detector": manifest["detector"]["kind"],
                "segmenter": manifest["segmenter"]["kind"],
                "negatives_trained": manifest["negatives_trained"],
                "demo": use["demo"],
                "statement": use["statement"],
                "files": manifest["files"],
                "data_hash": manifest.get("training", {}).get("data_hash"),
            },
            "dataset": source,
            "program": program.version(),
            **summarise(rows, case_rows),
            "subgroups": subgroups(rows, case_rows),
            "seconds_per_case": float(
                np.mean([c.seconds for c in case_rows if not c.error] or [np.nan])
            ),
        }
        report = plain(report)
        write_csv(rows, SliceRow, out / "slices.csv")
        write_csv(case_rows, CaseRow, out / "cases.csv")
        drawn = draw(cases, case_rows, rows, runs, out / "plots", warning(use), logs)
        write_text(out / "report.md", to_markdown(report, drawn))
        # Last: tables read this file, and its existence means that all others are complete.
        write_text(out / "evaluation.json", json.dumps(report, indent=1) + "\n")
        if not self.keep_runs:
            shutil.rmtree(runs, ignore_errors=True)
        return report


def run_cases(
    cases: Sequence[Case], program: Program, manifest: dict[str, Any], runs: Path, workers: int
) -> tuple[list[CaseRow], list[SliceRow]]:
    """Rows of all cases, in order; a failing case is reported at once and does not stop the
    others.
    """
    case_rows: list[CaseRow] = []
    rows: list[SliceRow] = []
    # Threads, because the program does the work.
    with ThreadPoolExecutor(max_workers=workers) as pool:
        done = pool.map(lambda case: score_case(case, program, manifest, runs / case.id), cases)
        for case_row, its_rows in tqdm(done, total=len(cases), desc="evaluate", mininterval=5):
            if case_row.error:
                tqdm.write(f"{case_row.case}: {case_row.error}")
            case_rows.append(case_row)
            rows += its_rows
    return case_rows, rows


def parse_logs(given: Sequence[str]) -> dict[str, list[Path]]:
    """NAME=FILE -> files by name; unreadable ones are rejected before anything runs."""
    out: dict[str, list[Path]] = {}
    for text in given:
        name, equals, file = text.partition("=")
        if not equals or not name or not os.path.isfile(file):
            raise ValueError(f"--logs {text}: expected NAME=FILE with an existing file")
        plots.read_log(Path(file))
        out.setdefault(name, []).append(Path(file))
    return out


def draw(
    cases: Sequence[Case],
    case_rows: Sequence[CaseRow],
    rows: Sequence[SliceRow],
    runs: Path,
    folder: Path,
    demo_warning: str,
    logs: dict[str, list[Path]],
) -> list[str]:
    """Draw all plots for which there is data; returns their paths relative to the report's
    folder.
    """
    folder.mkdir(parents=True, exist_ok=True)
    made = {
        "bland_altman.png": plots.bland_altman(
            case_rows, folder / "bland_altman.png", demo_warning
        ),
        "dice_area.png": plots.dice_against_area(rows, folder / "dice_area.png", demo_warning),
        "cases.png": plots.pictures(
            chosen_pictures(cases, case_rows, rows, runs), folder / "cases.png", demo_warning
        ),
        "convergence.png": plots.convergence(logs, folder / "convergence.png", demo_warning),
    }
    for name, there in made.items():
        if not there:
            (folder / name).unlink(missing_ok=True)  # of an earlier evaluation
    return [f"{folder.name}/{name}" for name, there in made.items() if there]


def chosen_pictures(
    cases: Sequence[Case], case_rows: Sequence[CaseRow], rows: Sequence[SliceRow], runs: Path
) -> list[list[plots.Shown]]:
    """The best, the median and the worst case by 3D Dice, each with two slices: the largest tumour
    and the most wrong pixels.
    """
    ranked = sorted(
        (c for c in case_rows if not c.error and c.tumour_slices), key=lambda c: -c.dice
    )
    places = {"best": 0, "median": len(ranked) // 2, "worst": len(ranked) - 1}
    if len(ranked) < 3:
        places = {f"case {n + 1}": n for n in range(len(ranked))}
    by_id, out = {case.id: case for case in cases}, []
    for name, place in places.items():
        chosen = ranked[place]
        case, mine = by_id[chosen.case], [r for r in rows if r.case == chosen.case]
        image, truth = case.images()[1], case.mask()
        found = (
            np.asarray(nibabel.load(runs / chosen.case / "mask.nii.gz").dataobj).transpose(2, 1, 0)
            > 0
        )
        line = []
        for what, row in (
            (
                f"{name} case: {chosen.case}, 3D Dice {chosen.dice:.3f}\nlargest tumour",
                max(mine, key=lambda r: r.area_mm2),
            ),
            ("\nmost wrong pixels", max(mine, key=lambda r: r.fp + r.fn)),
        ):
            box = None if np.isnan(row.x0) else (row.x0, row.y0, row.x1, row.y1)
            title = f"{what}: slice {row.slice}, Dice {row.dice:.3f}, {row.area_mm2 / 100:.1f} cm²"
            k = row.storage_slice
            line.append(
                plots.Shown(
                    title,
                    image[k],
                    truth[k],
                    found[k],
                    (case.spacing_mm[1], case.spacing_mm[2]),
                    box,
                )
            )
        out.append(line)
    return out
