"""`nasoseg-train prepare`: patients in, a data set for training out (docs/training-data.md)."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from pathlib import Path

from ..cohort.build import PAPER_SHARES, Plan, build
from ..cohort.nasoseg_prepare import Geometry
from ..cohort.sources import Cohort, CohortError, add_covariates, listed, phantoms, public_set
from ..data.slice_set import SPLITS
from ..run.nasoseg_program import find_program


@dataclass
class Prepare:
    """Align every patient of a cohort as deployment does, check it, split the cohort, and write a
    data set.

    Give one of --public, --list and --phantoms. A run that was cut off is started again with the
    same words and goes on where it was. Exit codes: 0 done, patients left out are listed; 1 done,
    but --strict and some were left out; 2 stopped, the message says why; 130 interrupted.
    """

    out: Path
    """Folder of the data set; made where missing."""
    public: Path | None = None
    """Folder of the public 277-patient set as unpacked from primary_data.zip."""
    list: Path | None = None
    """CSV or JSON list of any cohort: id, t1, t1c, t2, mask; optionally split, mask_t1, mask_t2,
    t1_series, t1_pick, ... and covariates.
    """
    phantoms: tuple[int, int, int] | None = None
    """So many synthetic patients for training, validation and test."""
    phantom_seed: int = 1
    """Of the phantoms; other seeds give other patients."""
    covariates: Path | None = None
    """CSV table with a column id; its other columns are kept with the patients (T category,
    chemotherapy, ...).
    """
    split_seed: int = 1
    """Of the split, where the list names none."""
    shares: tuple[float, float, float] = PAPER_SHARES
    """Training, validation and test patients in proportion."""
    label: int | None = None
    """The mask's value that is the tumour, where masks hold several."""
    mask_roi: str | None = None
    """The region's name, where a mask is an RT Structure Set with several regions."""
    trust_array_order: bool = False
    """Take masks whose affine disagrees with their series, but whose array is as large, in the
    order x, y, slice by increasing position.
    """
    allow_gaps: bool = False
    """Take series in which slices are missing."""
    force_geometry: bool = False
    """Take sequences whose frames of reference differ as aligned."""
    percentiles: tuple[float, ...] = Geometry.percentiles
    """Percentiles of each sequence that are kept; scaling by study_percentile needs its own among
    them.
    """
    strict: bool = False
    """Exit with 1 where a patient was left out."""
    workers: int = 2
    """Patients prepared side by side; about 1 GB of memory each."""
    nasoseg: Path | None = None
    """The program nasoseg; else NASOSEG_PROGRAM, else looked for in PATH, then in the repository's
    target/release and target/debug.
    """

    def main(self) -> None:
        try:
            self.run()
        except CohortError as error:
            print(f"nasoseg-train prepare: {error}", file=sys.stderr)
            raise SystemExit(2) from error
        except KeyboardInterrupt:
            print(
                "nasoseg-train prepare: interrupted; finished patients are kept, the same command goes on",
                file=sys.stderr,
            )
            raise SystemExit(130) from None

    def run(self) -> None:
        """As `main`, with exceptions."""
        if self.workers < 1:
            raise CohortError(f"--workers {self.workers}: at least 1 was expected")
        try:
            program = find_program(self.nasoseg)
        except FileNotFoundError as error:
            raise CohortError(str(error)) from error
        kind, cohort = self.cohort()
        if self.covariates is not None:
            add_covariates(cohort, self.covariates)
        geometry = Geometry(
            self.label,
            self.mask_roi,
            self.trust_array_order,
            self.allow_gaps,
            self.force_geometry,
            tuple(sorted(set(self.percentiles))),
        )
        plan = Plan(self.out, kind, program, geometry, self.shares, self.split_seed, self.workers)
        data = build(cohort, plan)
        skipped = data.record["skipped"]
        counts = ", ".join(f"{len(data.cases(split))} {split}" for split in SPLITS)
        print(
            f"{self.out}: {len(data.cases())} cases ({counts}), {len(skipped)} skipped; see {self.out / 'report.md'}"
        )
        if skipped and self.strict:
            print(
                f"nasoseg-train prepare: {len(skipped)} left out, and --strict was given",
                file=sys.stderr,
            )
            raise SystemExit(1)

    def cohort(self) -> tuple[str, Cohort]:
        """What was asked for, in words, and its patients."""
        given = [name for name in ("public", "list", "phantoms") if getattr(self, name) is not None]
        if len(given) != 1:
            raise CohortError(
                f"one of --public, --list and --phantoms was expected, {len(given)} given"
            )
        if self.public is not None:
            return "the public 277-patient set", public_set(self.public)
        if self.list is not None:
            return "a list", listed(self.list)
        if min(self.phantoms) < 0 or max(self.phantoms) > 8_000:
            raise CohortError(f"--phantoms {self.phantoms}: numbers from 0 to 8000 were expected")
        return f"synthetic patients of seed {self.phantom_seed}", phantoms(
            self.phantom_seed, dict(zip(SPLITS, self.phantoms))
        )
