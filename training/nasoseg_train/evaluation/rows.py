"""One slice's and one case's figures, and their CSV files.

A value that does not exist is NaN (float) or None (text, flags); in CSV both are an empty cell.
What is read back equals what was written.
"""

from __future__ import annotations

import csv
import math
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any, get_type_hints

NAN = float("nan")
_COVARIATE = "covariate: "


@dataclass
class SliceRow:
    """One slice of a case, on T1C's own grid. Box figures are NaN where there is no tumour or the
    detector finds no boxes.
    """

    case: str
    slice: int  # from inferior to superior
    storage_slice: int  # k of T1C's file
    status: str
    tumour: bool
    area_mm2: float  # of the truth
    found_mm2: float
    # Figures of the two masks: metrics.MaskFigures.
    tp: int
    fp: int
    fn: int
    dice: float
    precision: float
    recall: float
    iou: float
    hd_mm: float
    hd_px: float
    hd95_mm: float
    surface_dice_1mm: float
    surface_dice_2mm: float
    added_path_px: int
    added_path_mm: float
    path_px: int
    # The detection box (pixel edges of T1C) against the tumour's bounding box.
    x0: float = NAN
    y0: float = NAN
    x1: float = NAN
    y1: float = NAN
    box_recall: float = NAN
    box_iou: float = NAN
    steps: int | None = None  # of the agent, the stop included
    stopped: bool | None = None  # by itself
    rewarded_stop: bool | None = None  # Algorithm 1 would reward it; only where there is tumour


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
    )  # NumPy's own float is one, and has another repr


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


def write_csv(rows: list[Any], kind: type, path: Path) -> None:
    """Rows of one of the two kinds; covariates become columns of their own. Appears whole or not at
    all.
    """
    plain = [f.name for f in fields(kind) if f.name != "covariates"]
    covariates = sorted({name for row in rows for name in getattr(row, "covariates", {})})
    partial = path.with_name(path.name + ".part")
    with open(partial, "w", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(plain + [_COVARIATE + name for name in covariates])
        for row in rows:
            content = asdict(row)
            extra = content.pop("covariates", {})
            writer.writerow(
                [_text(content[name]) for name in plain]
                + [extra.get(name, "") for name in covariates]
            )
    partial.replace(path)


def read_csv(path: Path, kind: type) -> list[Any]:
    """Rows that `write_csv` wrote; other columns are refused."""
    types = get_type_hints(kind)
    rows = []
    with open(path, newline="") as file:
        reader = csv.DictReader(file)
        wanted = {f.name for f in fields(kind)} - {"covariates"}
        found = {name for name in reader.fieldnames or [] if not name.startswith(_COVARIATE)}
        if found != wanted:
            odd = ", ".join(sorted(found ^ wanted))
            raise ValueError(
                f"{path}: not the columns of a {kind.__name__}: {odd}; write it anew with nasoseg-train evaluate"
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
