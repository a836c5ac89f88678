"""Builds the folder of a data set: prepares the cases in parallel, finds duplicates, splits, and
writes dataset.json and report.md last.

A finished case is kept, so an interrupted build resumes where it stopped.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import signal
from collections.abc import Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass
from importlib.metadata import PackageNotFoundError, version
from multiprocessing import get_context
from pathlib import Path
from typing import Any

from tqdm import tqdm

from ..data.dataset import FORMAT, FORMAT_VERSION, Dataset
from ..data.slice_set import SPLITS
from ..run.files import write_text
from ..run.lock import locked
from . import nasoseg_prepare as nasoseg
from .case import Interrupted, Job, prepare_case
from .fingerprint import fingerprint, outliers, report
from .sources import SEQUENCES, Cohort, CohortError, Skipped
from .split import assign

# The paper's patients: training, validation, test.
PAPER_SHARES = (301.0, 129.0, 166.0)


@dataclass(frozen=True)
class Plan:
    """Everything about a data set except its patients."""

    out: Path
    kind: str  # what the cohort came from, for people
    program: Path
    geometry: nasoseg.Geometry
    shares: tuple[float, float, float] = PAPER_SHARES
    seed: int = 1
    workers: int = 2


def build(cohort: Cohort, plan: Plan) -> Dataset:
    """Prepares every patient and writes the data set."""
    program_version = nasoseg.version(plan.program)
    if len(plan.shares) != len(SPLITS) or min(plan.shares) < 0 or not sum(plan.shares) > 0:
        raise CohortError(
            f"found shares {plan.shares}, expected three numbers, none below 0 and at least one "
            "above 0"
        )
    cases = plan.out / "cases"
    try:
        cases.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise CohortError(
            f"{plan.out}: cannot be created ({error}). Choose another folder with --out"
        ) from error
    with _alone(plan.out):
        for half_made in cases.glob(".*.part"):
            shutil.rmtree(half_made)
        before = _before(plan.out)
        threads = max(1, (os.cpu_count() or 1) // plan.workers)
        jobs = [
            Job(p, cases, plan.program, program_version, plan.geometry, threads)
            for p in cohort.patients
        ]
        outcomes = _all(jobs, plan.workers)
        records = [o for o in outcomes if isinstance(o, dict)]
        skipped = [*cohort.skipped, *(o for o in outcomes if isinstance(o, Skipped))]
        records, twins = _without_twins(records)
        skipped += twins
        split = _split(records, cohort, plan, before)
        record = _record(records, skipped, cohort, plan, program_version, split)
        write_text(plan.out / "report.md", report(record))
        write_text(plan.out / "dataset.json", json.dumps(record, indent=1) + "\n")
    return Dataset.open(plan.out)


@contextmanager
def _alone(folder: Path) -> Iterator[None]:
    """Hold the folder: two builds in it would mix their unfinished cases."""
    with ExitStack() as stack:
        try:
            stack.enter_context(locked(folder, wait=False))
        except BlockingIOError as error:
            raise CohortError(
                f"{folder}: another nasoseg-train prepare is running here. Wait for it or choose "
                "another folder"
            ) from error
        yield


def _before(folder: Path) -> dict[str, Any]:
    """dataset.json of an earlier build, or nothing."""
    path = folder / "dataset.json"
    try:
        record = json.loads(path.read_text()) if path.is_file() else {}
    except ValueError:
        return {}
    return (
        record
        if record.get("format") == FORMAT and record.get("format_version") == FORMAT_VERSION
        else {}
    )


def _ignore_interrupt() -> None:
    # The parent handles Ctrl-C; the program that a worker waits for receives it as well.
    signal.signal(signal.SIGINT, signal.SIG_IGN)


def _all(jobs: list[Job], workers: int) -> list[dict[str, Any] | Skipped]:
    """Every job's outcome, in the jobs' order."""
    outcomes: list[dict[str, Any] | Skipped | None] = [None] * len(jobs)
    bar = tqdm(total=len(jobs), desc="prepare", unit="patient", mininterval=1)
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    pool = ProcessPoolExecutor(
        min(workers, max(1, len(jobs))), get_context("spawn"), _ignore_interrupt
    )
    try:
        waiting: dict[Future[Any], int] = {
            pool.submit(prepare_case, job): n for n, job in enumerate(jobs)
        }
        while waiting:
            done, _ = wait(waiting, return_when=FIRST_COMPLETED)
            for future in done:
                n = waiting.pop(future)
                outcome = outcomes[n] = future.result()
                if isinstance(outcome, Skipped):
                    tqdm.write(f"{outcome.id}: skipped: {outcome.reason}: {outcome.detail}")
                bar.update()
    except Interrupted:
        raise KeyboardInterrupt from None
    except BrokenProcessPool as error:
        raise CohortError(
            "a worker was killed (out of memory?); finished patients are kept. Run again with "
            "fewer --workers to resume"
        ) from error
    finally:
        bar.close()
        pool.shutdown(cancel_futures=True)
    return [o for o in outcomes if o is not None]


def _without_twins(records: list[dict[str, Any]]) -> tuple[list[dict[str, Any]], list[Skipped]]:
    """Leave out cases whose images an earlier case has: in two splits they would test a model on
    its training data.
    """
    seen: dict[str, tuple[str, str]] = {}
    kept, twins = [], []
    for record in records:
        sums = {name: record["sequences"][name]["sha256"] for name in SEQUENCES}
        if twin := next(((name, *seen[s]) for name, s in sums.items() if s in seen), None):
            name, other, as_name = twin
            what = name if name == as_name else f"{name} (as {as_name})"
            twins.append(
                Skipped(
                    record["id"],
                    "images of another case",
                    f"its {what} has the same voxels and geometry as that of {other}",
                )
            )
            continue
        seen |= {s: (record["id"], name) for name, s in sums.items()}
        kept.append(record)
    return kept, twins


def _split(
    records: list[dict[str, Any]], cohort: Cohort, plan: Plan, before: dict[str, Any]
) -> dict[str, Any]:
    """Assign every record its split; returns how it was decided."""
    named = {p.id: p.split for p in cohort.patients}
    if records and all(named[r["id"]] for r in records):
        for record in records:
            record["split"] = named[record["id"]]
        phantoms = all(p.seed is not None for p in cohort.patients)
        return {
            "by": "phantom" if phantoms else "list",
            "words": "by ranges of seeds" if phantoms else "as the list names it",
        }
    how = {"by": "seed", "seed": plan.seed, "shares": list(plan.shares)}
    known = before.get("split", {})
    kept = (
        {c["id"]: c["split"] for c in before.get("cases", [])}
        if {k: known.get(k) for k in how} == how
        else {}
    )
    split = assign({r["id"]: r["tumour_volume_ml"] for r in records}, plan.shares, plan.seed, kept)
    for record in records:
        record["split"] = split[record["id"]]
    shares = ":".join(f"{s:g}" for s in plan.shares)
    return {**how, "words": f"{shares} by seed {plan.seed} and terciles of tumour volume"}


def _record(
    records: list[dict[str, Any]],
    skipped: list[Skipped],
    cohort: Cohort,
    plan: Plan,
    program_version: str,
    split: dict[str, Any],
) -> dict[str, Any]:
    """dataset.json."""
    left = sorted(f.name for f in (plan.out / "cases").iterdir() if not f.name.startswith("."))
    left = [
        name for name in left if name not in {r["id"] for r in records} | {s.id for s in skipped}
    ]
    warnings = [*cohort.warnings, *outliers(records)]
    if left:
        warnings.append(
            f"cases/ holds folders of an earlier cohort, which are in no split: {', '.join(left)}"
        )
    for record in records:
        record.pop("own_covariates")
    known = [[r["id"], r["split"], r["key"], r["covariates"]] for r in records]
    try:
        own = version("nasoseg-train")
    except PackageNotFoundError:
        own = "not installed"
    return {
        "format": FORMAT,
        "format_version": FORMAT_VERSION,
        "name": plan.out.resolve().name,
        # Cases, what they were made from, splits and covariates: an equal hash means the same data
        # set.
        "hash": hashlib.sha256(json.dumps(known, sort_keys=True).encode()).hexdigest(),
        "made_by": {"nasoseg": program_version, "nasoseg-train": own},
        "source": {"kind": plan.kind, "patients": len(cohort.patients) + len(cohort.skipped)},
        "geometry": asdict(plan.geometry),
        "split": split,
        "cases": records,
        "skipped": [asdict(s) for s in skipped],
        "warnings": warnings,
        "fingerprint": fingerprint(records),
    }
