"""Finds the patients of a folder, a list or a range of seeds, and names those left out.

Only lists are opened here; `nasoseg` validates the images when the patient is prepared.
"""

from __future__ import annotations

import csv
import io
import json
import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ..data.slice_set import SPLITS, patient_seeds

SEQUENCES = ("T1", "T1C", "T2")
# Columns of a list. Every other column must be marked as a covariate.
REQUIRED = ("id", "t1", "t1c", "t2", "mask")
OPTIONAL = (
    "split",
    "mask_t1",
    "mask_t2",
    "t1_series",
    "t1c_series",
    "t2_series",
    "t1_pick",
    "t1c_pick",
    "t2_pick",
)
COVARIATE = "covariate:"


class CohortError(ValueError):
    """Input that makes the whole cohort unusable; the message says what to do."""


@dataclass(frozen=True)
class PatientFiles:
    """The paths of one patient's images and masks."""

    id: str
    images: dict[str, Path]  # T1, T1C, T2: a DICOM folder, NIfTI or NRRD
    mask: Path | None  # drawn on T1C; None for a phantom
    other_masks: dict[str, Path] = field(default_factory=dict)  # drawn on T1 and T2
    split: str | None = None
    covariates: dict[str, str] = field(default_factory=dict)
    choices: dict[str, str] = field(
        default_factory=dict
    )  # t1_series, t2_pick, ...: options of `nasoseg prepare`
    seed: int | None = None  # a phantom's

    def paths(self) -> dict[str, Path]:
        """Every file and folder by its role."""
        masks = {"mask": self.mask} if self.mask else {}
        return {
            **self.images,
            **masks,
            **{f"mask {name}": path for name, path in self.other_masks.items()},
        }


@dataclass
class Skipped:
    """A patient left out: the id, a short reason and the full message."""

    id: str
    reason: str
    detail: str


@dataclass
class Cohort:
    """The patients, those already left out, and remarks."""

    patients: list[PatientFiles]
    skipped: list[Skipped] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)


def bad_id(name: str) -> str | None:
    """Why an id cannot be a folder name, or None."""
    if not name or len(name) > 100:
        return "expected 1 to 100 characters"
    if name.startswith(".") or name != name.strip() or re.search(r'[\x00-\x1f/\\:*?"<>|]', name):
        return (
            "an id names a folder: no leading dot, no spaces at its ends, none of"
            ' / \\ : * ? " < > |'
        )
    return None


# ---------------------------------------------------------------------- the public set


def public_set(root: Path) -> Cohort:
    """The 277-patient set's layout: NNN/{T1WI,T2WI,CE-T1WI}/*.dcm, ROI-T1, ROI-T2 and ROI-CE-T1
    (.nii or .nii.gz) in the patient's folder or in the sequence's.
    """
    if not root.is_dir():
        raise CohortError(f"{root}: no such folder. Give the folder unpacked from primary_data.zip")
    places = [root, root / "MRI-Segments", root / "data" / "MRI-Segments"]
    folders: list[Path] = []
    for place in places:
        folders = (
            sorted(f for f in place.glob("*") if f.is_dir() and re.fullmatch(r"\d+", f.name))
            if place.is_dir()
            else []
        )
        if folders:
            break
    if not folders:
        raise CohortError(
            f"{root}: no patients (folders 001, 002, ...) here, in MRI-Segments or in "
            "data/MRI-Segments. Give the folder unpacked from primary_data.zip; for any other "
            "layout write a list (--list)"
        )
    cohort = Cohort([])
    sequences = {
        "T1": ("T1WI", "ROI-T1"),
        "T1C": ("CE-T1WI", "ROI-CE-T1"),
        "T2": ("T2WI", "ROI-T2"),
    }
    for folder in folders:
        images = {name: folder / place for name, (place, _) in sequences.items()}
        missing = [
            str(path.name)
            for path in images.values()
            if not (path.is_dir() and any(path.iterdir()))
        ]
        if missing:
            cohort.skipped.append(
                Skipped(folder.name, "missing sequence", f"missing or empty: {', '.join(missing)}")
            )
            continue
        found = {name: _roi(folder, place, roi) for name, (place, roi) in sequences.items()}
        if not found["T1C"]:
            cohort.skipped.append(Skipped(folder.name, "missing mask", "missing: ROI-CE-T1.nii"))
            continue
        if len(found["T1C"]) > 1:
            names = ", ".join(str(p.relative_to(folder)) for p in found["T1C"])
            cohort.skipped.append(
                Skipped(
                    folder.name, "several masks", f"which one is the truth is not known: {names}"
                )
            )
            continue
        others = {}
        for name in ("T1", "T2"):
            if len(found[name]) == 1:
                others[name] = found[name][0]
            else:
                cohort.warnings.append(
                    f"{folder.name}: {sequences[name][1]}: expected one file, "
                    f"{len(found[name])} found; not compared"
                )
        cohort.patients.append(PatientFiles(folder.name, images, found["T1C"][0], others))
    return cohort


def _roi(folder: Path, sequence: str, name: str) -> list[Path]:
    places = [
        place / f"{name}{suffix}"
        for place in (folder, folder / sequence)
        for suffix in (".nii", ".nii.gz")
    ]
    return [path for path in places if path.is_file()]


# ---------------------------------------------------------------------- lists


def listed(path: Path) -> Cohort:
    """A CSV or JSON list of patients; paths are relative to the list's folder."""
    rows = _json_rows(path) if path.suffix.lower() == ".json" else _csv_rows(path)
    if not rows:
        raise CohortError(f"{path}: lists no patient")
    seen: dict[str, tuple[str, dict[str, str]]] = {}
    for place, row, _ in rows:
        if reason := bad_id(row["id"]):
            raise CohortError(f"{path}, {place}: id {row['id']!r}: {reason}")
        # Some file systems ignore case.
        other = seen.setdefault(row["id"].casefold(), (place, row))
        if other[1] is row:
            continue
        if other[1].get("split") != row.get("split"):
            raise CohortError(
                f"{path}: patient {row['id']!r} is in two splits: "
                f"{other[1].get('split') or 'none'} ({other[0]}) and "
                f"{row.get('split') or 'none'} ({place}). A patient belongs to one split only"
            )
        raise CohortError(
            f"{path}: id {row['id']!r} occurs twice ({other[0]} and {place}). Ids must differ by "
            "more than case"
        )
    named = [bool(row.get("split")) for _, row, _ in rows]
    if any(named) and not all(named):
        place = rows[named.index(False)][0]
        raise CohortError(
            f"{path}, {place}: no split, while others have one. Give every patient a split "
            f"({', '.join(SPLITS)}) or none"
        )
    cohort = Cohort([])
    for place, row, covariates in rows:
        if (split := row.get("split")) and split not in SPLITS:
            raise CohortError(
                f"{path}, {place}: found split {split!r}, expected one of {', '.join(SPLITS)}"
            )
        patient = _row(path.parent, row, covariates)
        if isinstance(patient, Skipped):
            cohort.skipped.append(patient)
        else:
            cohort.patients.append(patient)
    return cohort


def _row(folder: Path, row: dict[str, str], covariates: dict[str, str]) -> PatientFiles | Skipped:
    if blank := [key for key in REQUIRED if not row.get(key)]:
        reason = "missing mask" if blank == ["mask"] else "missing sequence"
        return Skipped(row["id"], reason, f"the list names no {', no '.join(blank)}")
    places = {
        key: folder / row[key]
        for key in ("t1", "t1c", "t2", "mask", "mask_t1", "mask_t2")
        if row.get(key)
    }
    if missing := [f"{key} ({row[key]})" for key, path in places.items() if not path.exists()]:
        return Skipped(row["id"], "missing file", f"no such file or folder: {', '.join(missing)}")
    return PatientFiles(
        row["id"],
        {"T1": places["t1"], "T1C": places["t1c"], "T2": places["t2"]},
        places["mask"],
        {
            name: places[key]
            for name, key in (("T1", "mask_t1"), ("T2", "mask_t2"))
            if key in places
        },
        row.get("split") or None,
        covariates,
        {key: row[key] for key in OPTIONAL if key.endswith(("_series", "_pick")) and row.get(key)},
    )


def _unknown(path: Path, place: str, keys: list[str], covariate: str) -> None:
    if unknown := sorted(set(keys) - set(REQUIRED) - set(OPTIONAL)):
        raise CohortError(
            f"{path}, {place}: unknown: {', '.join(unknown)}. Known are "
            f"{', '.join((*REQUIRED, *OPTIONAL))}; {covariate}"
        )
    if missing := [key for key in REQUIRED if key not in keys]:
        raise CohortError(
            f"{path}, {place}: {', '.join(missing)} missing, expected {', '.join(REQUIRED)}"
        )


def read_table(path: Path) -> tuple[list[str], list[dict[str, str]]]:
    """Header and rows of a CSV file (UTF-8; separated by commas, semicolons or tabs)."""
    try:
        text = path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise CohortError(
            f"{path}: cannot be read as UTF-8 text ({error}). Give a CSV file"
        ) from error
    first = text.split("\n", 1)[0]
    mark = next((m for m in (",", ";", "\t") if m in first), ",")
    reader = csv.DictReader(io.StringIO(text), delimiter=mark, strict=True)
    header = [name.strip() for name in reader.fieldnames or []]
    if twice := sorted({name for name in header if header.count(name) > 1}):
        raise CohortError(f"{path}: column {', '.join(twice)} occurs twice")
    reader.fieldnames = header
    rows = []
    try:
        for row in reader:
            if row.get(None) or None in row.values():
                raise CohortError(
                    f"{path}, line {reader.line_num}: expected {len(header)} fields, as the "
                    "header has"
                )
            rows.append(
                {key: value.strip() for key, value in row.items()} | {"": f"line {reader.line_num}"}
            )
    except csv.Error as error:
        raise CohortError(f"{path}, line {reader.line_num}: {error}") from error
    return header, rows


def _csv_rows(path: Path) -> list[tuple[str, dict[str, str], dict[str, str]]]:
    header, rows = read_table(path)
    covariates = [name for name in header if name.startswith(COVARIATE)]
    _unknown(
        path,
        "header",
        [n for n in header if n not in covariates],
        f"a covariate's column is named '{COVARIATE}NAME'",
    )
    out = []
    for row in rows:
        of = {name.removeprefix(COVARIATE): row[name] for name in covariates if row[name]}
        out.append((row[""], {key: row[key] for key in header if key not in covariates}, of))
    return out


def _json_rows(path: Path) -> list[tuple[str, dict[str, str], dict[str, str]]]:
    try:
        entries: Any = json.loads(path.read_text(encoding="utf-8-sig"))
    except (OSError, ValueError) as error:
        raise CohortError(f"{path}: cannot be read as JSON ({error})") from error
    if not isinstance(entries, list) or not all(isinstance(e, dict) for e in entries):
        raise CohortError(f"{path}: expected a JSON list of objects, one per patient")
    out = []
    for n, entry in enumerate(entries):
        place = f"entry {n + 1}"
        covariates = entry.pop("covariates", {})
        _unknown(path, place, list(entry), 'put other values under "covariates"')
        wrong = [key for key, value in entry.items() if not isinstance(value, str)]
        if not isinstance(covariates, dict) or any(
            isinstance(v, (dict, list)) for v in covariates.values()
        ):
            wrong.append("covariates")
        if wrong:
            raise CohortError(
                f"{path}, {place}: {', '.join(wrong)}: expected text (covariates: an object of "
                "plain values)"
            )
        out.append(
            (
                place,
                entry,
                {key: str(value) for key, value in covariates.items() if value is not None},
            )
        )
    return out


def add_covariates(cohort: Cohort, path: Path) -> None:
    """Add the columns of a table with a column `id` to the patients' covariates."""
    header, rows = read_table(path)
    if "id" not in header:
        raise CohortError(f"{path}: no column id; its values must be the patients' ids")
    table: dict[str, dict[str, str]] = {}
    for row in rows:
        if row["id"] in table:
            raise CohortError(f"{path}, {row['']}: id {row['id']!r} occurs twice")
        table[row["id"]] = {key: row[key] for key in header if key != "id" and row[key]}
    for n, patient in enumerate(cohort.patients):
        if patient.id not in table:
            cohort.warnings.append(f"{patient.id}: no covariates in {path.name}")
            continue
        cohort.patients[n] = PatientFiles(
            **{**patient.__dict__, "covariates": {**patient.covariates, **table[patient.id]}}
        )
    known = {p.id for p in cohort.patients} | {s.id for s in cohort.skipped}
    if strangers := sorted(set(table) - known):
        cohort.warnings.append(
            f"{path.name}: ids that are not in the cohort: {', '.join(strangers)}"
        )


# ---------------------------------------------------------------------- phantoms


def phantoms(seed: int, counts: dict[str, int]) -> Cohort:
    """Phantoms of a seed, `counts` of each split; the splits' seeds are in the ranges of
    `slice_set.SEED_RANGES`.
    """
    patients = []
    for split in SPLITS:
        for one in patient_seeds(split, seed, counts.get(split, 0)):
            patients.append(PatientFiles(f"phantom{one}", {}, None, split=split, seed=one))
    if not patients:
        raise CohortError(
            "no phantoms requested. At least one of --phantoms' three numbers must be above 0"
        )
    return Cohort(patients)
