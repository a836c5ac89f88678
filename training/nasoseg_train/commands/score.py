"""A run of `nasoseg run` against a known truth, as a table.

In: the run's output folder and the true mask on T1C's grid (NIfTI). Out: slices, steps, Dice and
box recall per slice, Dice over the volume, seconds per stage, and the files written.

    python -m nasoseg_train.commands.score --run out/demo --truth out/demo/study/truth.nii.gz
"""

import argparse
import json
from pathlib import Path

import nibabel
import numpy as np


def dice(a: np.ndarray, b: np.ndarray) -> float | None:
    """Dice of two masks; None where both are empty."""
    total = int(a.sum()) + int(b.sum())
    return 2 * int((a & b).sum()) / total if total else None


def box_recall(corners: list, truth: np.ndarray, affine: np.ndarray, slice_index: int) -> float:
    """Share of the truth's bounding box that the detected box covers (Table 1): area(b and g) /
    area(g).

    `corners` are the box's corners, LPS mm; `truth` is [i, j] of one slice; `affine` maps (i, j, k)
    to RAS mm.
    """
    points = np.array(corners) * [-1, -1, 1]
    indices = (np.linalg.inv(affine) @ np.c_[points, np.ones(len(points))].T)[:2]
    low, high = indices.min(axis=1), indices.max(axis=1)
    i, j = np.nonzero(truth)
    g_low, g_high = np.array([i.min(), j.min()]) - 0.5, np.array([i.max(), j.max()]) + 0.5
    overlap = np.clip(np.minimum(high, g_high) - np.maximum(low, g_low), 0, None)
    return float(np.prod(overlap) / np.prod(g_high - g_low))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--run", type=Path, required=True, help="output folder of nasoseg run")
    parser.add_argument("--truth", type=Path, required=True, help="true mask on T1C's grid, NIfTI")
    arguments = parser.parse_args()

    record = json.loads((arguments.run / "run.json").read_text())
    detection = {
        s["slice"]: s for s in json.loads((arguments.run / "detection.json").read_text())["slices"]
    }
    found_image, truth_image = (
        nibabel.load(arguments.run / "mask.nii.gz"),
        nibabel.load(arguments.truth),
    )
    if found_image.shape != truth_image.shape or not np.allclose(
        found_image.affine, truth_image.affine, atol=0.01
    ):
        raise SystemExit(f"{arguments.truth}: does not lie on the grid of the run's mask")
    found, truth = np.asarray(found_image.dataobj) > 0, np.asarray(truth_image.dataobj) > 0

    if record.get("resliced"):
        raise SystemExit(
            f"{arguments.run}: T1C was resliced, so its slices are not the truth's; compare mask.nii.gz itself"
        )
    print("slice      z mm  steps   truth mm2   found mm2   Dice  box recall  status")
    for entry in record["slices"]:
        k = entry["storage_slice"]
        true_pixels = int(truth[..., k].sum())
        if true_pixels == 0 and entry["pixels"] == 0:
            continue
        pixel_mm2 = np.prod(record["inputs"][1]["pixel_mm"])
        score, recall = dice(found[..., k], truth[..., k]), None
        box = detection[entry["slice"]]
        if true_pixels and box["corners_mm"]:
            recall = box_recall(box["corners_mm"], truth[..., k], found_image.affine, k)
        steps = "-" if entry["steps"] is None else entry["steps"]
        recall_text = "-" if recall is None else f"{recall:.2f}"
        print(
            f"{entry['slice']:>5}  {entry['position_mm']:>8.1f}  {steps:>5}  {true_pixels * pixel_mm2:>10.0f}  {entry['area_mm2']:>10.0f}"
            f"  {score:>5.2f}  {recall_text:>10}  {entry['status']}"
        )
    empty = sum(
        1 for e in record["slices"] if e["pixels"] == 0 and not truth[..., e["storage_slice"]].any()
    )
    overall = dice(found, truth)
    print(f"{empty} further slices hold no tumour, and none was found there")
    print(
        f"Dice over the volume {overall:.3f}, volume {record['volume_mm3'] / 1000:.1f} cm3"
        if overall is not None
        else "both empty"
    )
    stages = ", ".join(f"{t['stage']} {t['seconds']:.2f}" for t in record["timings"])
    print(
        f"seconds: {stages}; in all {sum(t['seconds'] for t in record['timings']):.2f} on {record['device']['used']}"
    )
    print(
        f"model runs: trunk {record['model_runs']['trunk']['rows']} boxes, RANet {record['model_runs']['segmenter']['rows']} slices"
    )
    if record["provenance"]["demo"]:
        print(f"DEMO MODEL, NOT FOR CLINICAL USE. {record['provenance']['statement']}")
    print("written:")
    for name in record["outputs"]:
        print(f"  {arguments.run / name}")


if __name__ == "__main__":
    main()
