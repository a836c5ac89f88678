"""Compares one case's output of `nasoseg run` with the truth.

Boxes come from detection.json in millimetres and are compared in T1C's own pixel edges, independent
of the bundle's grid, fit and detector.
"""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Any, Protocol

import nibabel
import numpy as np

from ..agent.reward import good_stop
from ..data.slice_grid import mask_boxes
from ..geometry import boxes as bx
from ..geometry import metrics as m
from .nasoseg_run import Program, RunError, RunOutput
from .rows import NAN, CaseRow, SliceRow

Array = np.ndarray


class Case(Protocol):
    """One case of a data set; arrays [k, j, i] and files on T1C's grid."""

    @property
    def id(self) -> str: ...
    @property
    def split(self) -> str: ...
    @property
    def covariates(self) -> dict[str, str]: ...
    @property
    def spacing_mm(self) -> tuple[float, float, float]: ...
    def images(self) -> Array: ...
    def mask(self) -> Array: ...
    def file(self, name: str) -> Path: ...


def upward(affine: Array) -> bool:
    """Whether slices are stored from inferior to superior; `affine` is voxel (i, j, k) to RAS
    mm.
    """
    return affine[2, 2] > 0


def tumour_range(mask: Array, affine: Array) -> tuple[int, int] | None:
    """The slices from the first to the last with tumour, counted from inferior to superior: the
    range a user would give.
    """
    with_tumour = np.flatnonzero(mask.any(axis=(1, 2)))
    if not len(with_tumour):
        return None
    first, last = int(with_tumour[0]), int(with_tumour[-1])
    return (first, last + 1) if upward(affine) else (len(mask) - 1 - last, len(mask) - first)


def box_in_pixels(corners_mm: list[list[float]], affine: Array) -> Array:
    """A box's corners (LPS mm) as (x0, y0, x1, y1) in pixel edges of a file with that affine."""
    points = np.asarray(corners_mm) * [-1, -1, 1]
    indices = (np.linalg.inv(affine) @ np.c_[points, np.ones(len(points))].T)[:2] + 0.5
    return np.concatenate([indices.min(axis=1), indices.max(axis=1)])


def box_figures(
    entry: dict[str, Any], target: Array, affine: Array, detector: dict[str, Any]
) -> dict[str, Any]:
    """Compare one slice of detection.json with the tumour's box (NaN if there is no tumour).

    A detector that finds nothing on a tumour slice has recall and IoU 0. Detector kind `whole`
    finds no boxes: no figures.
    """
    if detector["kind"] == "whole":
        return {}
    out: dict[str, Any] = {}
    tumour, box = not np.isnan(target).any(), np.full(4, np.nan)
    if entry["corners_mm"]:
        box = box_in_pixels(entry["corners_mm"], affine)
        out |= {name: float(v) for name, v in zip(("x0", "y0", "x1", "y1"), box, strict=True)}
    found = not np.isnan(box).any()
    if tumour:
        out |= {
            "box_recall": float(bx.recall(box, target)) if found else 0.0,
            "box_iou": float(bx.iou(box, target)) if found else 0.0,
        }
    actions = (entry.get("trajectory") or {}).get("actions")
    if detector["kind"] == "agent" and actions is not None:
        stopped = bool(len(actions)) and actions[-1] == detector["terminal"]
        out |= {"steps": len(actions), "stopped": stopped}
        if tumour:
            out["rewarded_stop"] = stopped and found and bool(good_stop(box, target))
    return out


def slice_rows(
    case_id: str,
    guess: Array,
    truth: Array,
    affine: Array,
    detection: dict[str, Any],
    detector: dict[str, Any],
    pixel_mm: tuple[float, float],
) -> list[SliceRow]:
    """Rows of the processed slices, from inferior to superior."""
    targets, area = mask_boxes(truth), pixel_mm[0] * pixel_mm[1]
    rows = []
    for entry in detection["slices"]:
        k = entry["storage_slice"]
        figures = m.compare_masks(guess[k], truth[k], pixel_mm)
        rows.append(
            SliceRow(
                case=case_id,
                slice=entry["slice"],
                storage_slice=k,
                status=entry["status"],
                tumour=bool(truth[k].any()),
                area_mm2=(figures.tp + figures.fn) * area,
                found_mm2=(figures.tp + figures.fp) * area,
                **asdict(figures),
                **box_figures(entry, targets[k], affine, detector),
            )
        )
    return rows


def case_row(
    case: Case, rows: list[SliceRow], guess: Array, truth: Array, seconds: float
) -> CaseRow:
    """A case's figures over its whole volume."""
    c, voxel = m.counts(guess, truth), float(np.prod(case.spacing_mm))
    defined = [r for r in rows if not np.isnan(r.hd_px)]
    return CaseRow(
        case=case.id,
        slices=len(rows),
        tumour_slices=int(truth.any(axis=(1, 2)).sum()),
        seconds=seconds,
        tp=c[0],
        fp=c[1],
        fn=c[2],
        voxel_mm3=voxel,
        dice=m.dice(*c),
        precision=m.precision(*c),
        recall=m.recall(*c),
        iou=m.iou(*c),
        volume_ml=(c[0] + c[2]) * voxel / 1000,
        found_ml=(c[0] + c[1]) * voxel / 1000,
        false_positive_ml=sum(r.fp for r in rows if not r.tumour) * voxel / 1000,
        hd_px=float(np.mean([r.hd_px for r in defined])) if defined else NAN,
        hd_mm=float(np.mean([r.hd_mm for r in defined])) if defined else NAN,
        covariates=dict(case.covariates),
    )


def score_case(
    case: Case, program: Program, manifest: dict[str, Any], out: Path
) -> tuple[CaseRow, list[SliceRow]]:
    """Run one case and compare. A case that cannot be run or compared is a row with its error, and
    no slices.
    """
    try:
        truth, path = case.mask(), case.file("truth")
        affine = nibabel.load(path).affine
        asked = None
        if not manifest["negatives_trained"]:
            asked = tumour_range(truth, affine)
            if asked is None:
                raise RunError(
                    "no tumour: the bundle was trained on tumour slices only, so there is no "
                    "range to give"
                )
        run = program.run(case.file, out, asked)
        return _compare(case, run, truth, path, manifest)
    # Whatever is wrong with one case (a broken file, too) must not lose the hours that the others
    # took.
    except Exception as error:
        said = str(error) if isinstance(error, RunError) else f"{type(error).__name__}: {error}"
        return CaseRow(case=case.id, error=said, covariates=dict(case.covariates)), []


def _compare(
    case: Case, run: RunOutput, truth: Array, path: Path, manifest: dict[str, Any]
) -> tuple[CaseRow, list[SliceRow]]:
    if run.json("run.json").get("resliced"):
        raise RunError(
            "T1C was resliced, so its slices are not those of the truth. Prepare the data set "
            "with axial T1C"
        )
    guess, affine = run.mask(path)
    if guess.shape != truth.shape:
        raise RunError(
            f"found a mask of shape {guess.shape} [k, j, i], expected the truth's {truth.shape}. "
            "Prepare the data set again"
        )
    rows = slice_rows(
        case.id,
        guess,
        truth,
        affine,
        run.json("detection.json"),
        manifest["detector"],
        (case.spacing_mm[1], case.spacing_mm[2]),
    )
    return case_row(case, rows, guess, truth, run.seconds), rows
