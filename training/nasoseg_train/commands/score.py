"""Prints how well the output folder of `nasoseg run` matches a known true mask.

Slices, steps, Dice and box recall of each slice, Dice over the volume, seconds of each stage, and
the files written. It requires nothing beyond the package's own dependencies.

    python -m nasoseg_train.commands.score --run out/demo --truth out/demo/study/truth.nii.gz
"""

from __future__ import annotations

import argparse
import math
from pathlib import Path
from typing import Any

import nibabel
import numpy as np

from ..data.slice_grid import mask_boxes
from ..evaluation.case_figures import box_in_pixels
from ..evaluation.nasoseg_run import RunError, RunOutput
from ..geometry import boxes as bx
from ..geometry import metrics as m
from ..run.demo_words import warning

Array = np.ndarray


def slice_line(
    entry: dict[str, Any],
    box: dict[str, Any],
    found: Array,
    truth: Array,
    affine: Array,
    area: float,
) -> str | None:
    """One slice's line; None if neither mask [rows, columns] has a pixel. `entry` and `box` are the
    slice in run.json and detection.json, `area` is a pixel's in mm2.
    """
    score = m.dice(*m.counts(found, truth))
    if math.isnan(score):
        return None
    true_mm2, steps, recall = truth.sum() * area, entry["steps"], "-"
    if truth.any() and box["corners_mm"]:
        found_box, true_box = box_in_pixels(box["corners_mm"], affine), mask_boxes(truth[None])[0]
        recall = f"{float(bx.recall(found_box, true_box)):.2f}"
    return (
        f"{entry['slice']:>5}  {entry['position_mm']:>8.1f}  {'-' if steps is None else steps:>5}"
        f"  {true_mm2:>10.0f}  {entry['area_mm2']:>10.0f}  {score:>5.2f}  {recall:>10}"
        f"  {entry['status']}"
    )


def print_score(run: RunOutput, truth_path: Path) -> None:
    """All lines of one output folder."""
    record = run.json("run.json")
    detection = {s["slice"]: s for s in run.json("detection.json")["slices"]}
    if record.get("resliced"):
        raise SystemExit(
            f"{run.folder}: T1C was resliced, so its slices are not those of the true mask. Compare"
            " mask.nii.gz itself"
        )
    try:
        found, affine = run.mask(truth_path)
    except RunError as error:
        raise SystemExit(str(error)) from error
    truth = np.asarray(nibabel.load(truth_path).dataobj).transpose(2, 1, 0) > 0
    area = float(np.prod(record["inputs"][1]["pixel_mm"]))

    print("slice      z mm  steps   truth mm2   found mm2   Dice  box recall  status")
    empty = 0
    for entry in record["slices"]:
        k = entry["storage_slice"]
        line = slice_line(entry, detection[entry["slice"]], found[k], truth[k], affine, area)
        if line is None:
            empty += 1
        else:
            print(line)
    print(f"{empty} further slices hold no tumour, and none was found there")
    overall = m.dice(*m.counts(found, truth))
    print(
        "both empty"
        if math.isnan(overall)
        else f"Dice over the volume {overall:.3f}, volume {record['volume_mm3'] / 1000:.1f} cm3"
    )
    stages = ", ".join(f"{t['stage']} {t['seconds']:.2f}" for t in record["timings"])
    total = sum(t["seconds"] for t in record["timings"])
    print(f"seconds: {stages}; total {total:.2f} on {record['device']['used']}")
    runs = record["model_runs"]
    print(
        f"model runs: trunk {runs['trunk']['rows']} boxes, RANet {runs['segmenter']['rows']} slices"
    )
    if said := warning(record["provenance"]):
        print(said)
    print("written:")
    for name in record["outputs"]:
        print(f"  {run.folder / name}")


def main() -> None:
    """Entry point."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--run", type=Path, required=True, help="output folder of nasoseg run")
    parser.add_argument("--truth", type=Path, required=True, help="true mask on T1C's grid, NIfTI")
    arguments = parser.parse_args()
    print_score(RunOutput(arguments.run), arguments.truth)


if __name__ == "__main__":
    main()
