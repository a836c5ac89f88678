"""The figures of one slice and of one case, and their CSV files.

A value that does not exist is NaN (float) or None (text, flags); in CSV both are an empty cell.
Reading returns what was written.
"""

from __future__ import annotations

import csv
import math
from dataclasses import MISSING, asdict, dataclass, field, fields, is_dataclass
from pathlib import Path
from typing import Any, get_type_hints

from ..geometry.metrics import NAN, MaskFigures
from ..run.files import replacing

_COVARIATE = "covariate: "


@dataclass(frozen=True)
class SliceRow(MaskFigures):
    """One slice of a case, on T1C's own grid: the figures of its two masks, and of its box. Box
    figures are NaN if there is no tumour or the detector finds no boxes.
    """

    case: str
    slice: int  # from inferior to superior
    storage_slice: int  # k of T1C's file
    status: str
    tumour: bool
    area_mm2: float  # of the truth
    found_mm2: float
    # The detection box (pixel edges of T1C) against the tumour's bounding box.
    x0: float = NAN
    y0: float = NAN
    x1: float = NAN
    y1: float = NAN
    box_recall: float = NAN
    box_iou: float = NAN
    steps: int | None = None  # of the agent, the stop included
    stopped: bool | None = None  # by itself
    rewarded_stop: bool | None = None  # Algorithm 1 would reward it; only if there is tumour


@dataclass
class CaseRow:
    """One case; `error` says why it has no figures."""

    case: str
    slices: int = 0  # looked at
    tumour_slices: int = 0
    seconds: float = NAN  # of the program
    tp: int = 0
    fp: int = 0
    fn: int = 0
    voxel_mm3: float = NAN
    # Over the whole volume.
    dice: float = NAN
    precision: float = NAN
    recall: float = NAN
    iou: float = NAN
    volume_ml: float = NAN
    found_ml: float = NAN
    false_positive_ml: float = NAN  # on slices without tumour
    hd_px: float = NAN  # mean of the slices that have one
    hd_mm: float = NAN
    error: str = ""
    covariates: dict[str, str] = field(default_factory=dict)


def _text(value: Any) -> str:
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return ""
    return (
        repr(float(value)) if isinstance(value, float) else str(value)
    )  # a NumPy float is a float, but has another repr


def _value(text: str, kind: Any) -> Any:
    if kind is float:
        return float(text) if text else NAN
    if kind is str:
        return text
    if text == "":
        return None
    if kind in (bool, bool | None):
        return {"True": True, "False": False}[text]
    return int(text)


def columns(kind: type) -> list[str]:
    """The columns of a kind of row: required ones, inherited figures, the rest. Covariates are
    separate columns.
    """
    inherited = [f.name for base in kind.__bases__ if is_dataclass(base) for f in fields(base)]
    own = [f for f in fields(kind) if f.name not in (*inherited, "covariates")]
    required = [f.name for f in own if f.default is MISSING]
    return required + inherited + [f.name for f in own if f.default is not MISSING]


def write_csv(rows: list[Any], kind: type, path: Path) -> None:
    """Write rows of one of the two kinds; covariates become separate columns. The file is complete
    or does not exist.
    """
    plain = columns(kind)
    covariates = sorted({name for row in rows for name in getattr(row, "covariates", {})})
    with replacing(path) as partial, open(partial, "w", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(plain + [_COVARIATE + name for name in covariates])
        for row in rows:
            content = asdict(row)
            extra = content.pop("covariates", {})
            writer.writerow(
                [_text(content[name]) for name in plain]
                + [extra.get(name, "") for name in covariates]
            )


def read_csv(path: Path, kind: type) -> list[Any]:
    """Read rows that `write_csv` wrote; other columns are rejected."""
    types = get_type_hints(kind)
    rows = []
    with open(path, newline="") as file:
        reader = csv.DictReader(file)
        wanted = set(columns(kind))
        found = {name for name in reader.fieldnames or [] if not name.startswith(_COVARIATE)}
        if found != wanted:
            odd = ", ".join(sorted(found ^ wanted))
            raise ValueError(
                f"{path}: not the columns of a {kind.__name__}: {odd}. Write it again with "
                "nasoseg-train evaluate"
            )
        for line in reader:
            content = {
                name: _value(text, types[name]) for name, text in line.items() if name in wanted
            }
            if "covariates" in types:
                extra = {
                    name: text
                    for name, text in line.items()
                    if name.startswith(_COVARIATE) and text != ""
                }
                content["covariates"] = {
                    name.removeprefix(_COVARIATE): text for name, text in extra.items()
                }
            rows.append(kind(**content))
    return rows
