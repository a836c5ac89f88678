"""`nasoseg-train prepare`: builds a data set for training (docs/reference/training-data.md)."""

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

    Give one of --public, --list and --phantoms. The same command resumes after an interruption.
    Exit codes: 0 done, patients left out are listed; 1 done, but --strict was given and some were
    left out; 2 stopped, the message says why; 130 interrupted.
    """

    out: Path
    """Folder of the data set; created if missing."""
    public: Path | None = None
    """Folder of the public 277-patient set as unpacked from primary_data.zip."""
    list: Path | None = None
    """CSV or JSON list of any cohort: id, t1, t1c, t2, mask; optionally split, mask_t1, mask_t2,
    t1_series, t1_pick, ... and covariates.
    """
    phantoms: tuple[int, int, int] | None = None
    """Numbers of synthetic patients for training, validation and test."""
    phantom_seed: int = 1
    """Seed of the phantoms; other seeds give other patients."""
    covariates: Path | None = None
    """CSV table with a column id; its other columns are kept with the patients (T category,
    chemotherapy, ...).
    """
    split_seed: int = 1
    """Seed of the split, if the list has none."""
    shares: tuple[float, float, float] = PAPER_SHARES
    """Training, validation and test patients in proportion."""
    label: int | None = None
    """The mask value of the tumour, if masks hold several."""
    mask_roi: str | None = None
    """The region's name, if a mask is an RT Structure Set with several regions."""
    trust_array_order: bool = False
    """Accept masks whose affine disagrees with their series but whose array has the same size, in
    the order x, y, slice by increasing position.
    """
    allow_gaps: bool = False
    """Accept series in which slices are missing."""
    force_geometry: bool = False
    """Treat sequences whose frames of reference differ as aligned."""
    percentiles: tuple[float, ...] = Geometry.percentiles
    """Percentiles of each sequence that are kept; scaling by study_percentile requires its
    percentile among them.
    """
    strict: bool = False
    """Exit with 1 if a patient was left out."""
    workers: int = 2
    """Patients prepared in parallel; about 1 GB of memory each."""
    nasoseg: Path | None = None
    """The program nasoseg; else NASOSEG_PROGRAM, else from PATH, then from the repository's
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
                "nasoseg-train prepare: interrupted; finished patients are kept. The same command "
                "resumes",
                file=sys.stderr,
            )
            raise SystemExit(130) from None

    def run(self) -> None:
        """As `main`, with exceptions."""
        if self.workers < 1:
            raise CohortError(f"--workers {self.workers}: expected at least 1")
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
            f"{self.out}: {len(data.cases())} cases ({counts}), {len(skipped)} skipped; see "
            f"{self.out / 'report.md'}"
        )
        if skipped and self.strict:
            print(
                f"nasoseg-train prepare: {len(skipped)} left out, and --strict was given",
                file=sys.stderr,
            )
            raise SystemExit(1)

    def cohort(self) -> tuple[str, Cohort]:
        """A description of the requested cohort, and its patients."""
        given = [name for name in ("public", "list", "phantoms") if getattr(self, name) is not None]
        if len(given) != 1:
            raise CohortError(
                f"found {len(given)} of --public, --list and --phantoms, expected one"
            )
        if self.public is not None:
            return "the public 277-patient set", public_set(self.public)
        if self.list is not None:
            return "a list", listed(self.list)
        assert self.phantoms is not None  # one of the three is given
        if min(self.phantoms) < 0 or max(self.phantoms) > 8_000:
            raise CohortError(f"--phantoms {self.phantoms}: expected numbers from 0 to 8000")
        return f"synthetic patients of seed {self.phantom_seed}", phantoms(
            self.phantom_seed, dict(zip(SPLITS, self.phantoms, strict=True))
        )
