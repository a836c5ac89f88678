"""A bundle and unseen patients in, report.json and report.md out.

    python -m seqseg_train.evaluate --bundle models/demo --patients 120 --seed 1 --cache DIR

The bundle runs in ONNX Runtime through `reference`; masks are compared on T1C's own grid, boxes on the bundle's.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import numpy as np
from tqdm import tqdm

from . import boxes as bx
from . import metrics as m
from .data import patient_seeds, phantom_patient
from .prepare import mask_boxes
from .reference import Bundle, run
from .reward import Thresholds, good_stop

Array = np.ndarray
BARS = {
    "box recall, mean": (0.95, ">="), "box recall, smallest": (0.49, ">="), "box IoU, mean": (0.50, ">="),
    "rewarded stops": (0.90, ">="), "Dice per slice, mean": (0.85, ">="), "total misses": (0.01, "<"),
    "tumour-free slices with any pixel": (0.05, "<="),
}  # fmt: skip


@dataclass
class TestPatient:
    """A patient as evaluation needs it."""

    seed: int
    images: Array  # uint16 [3, k, j, i] on T1C's grid
    mask: Array  # bool [k, j, i]
    spacing_mm: Array  # (between slices, rows, columns)
    category: str


def _load(job: tuple[int, Path | None]) -> TestPatient:
    """One test patient, from the folder of patients made before where there is one."""
    seed, folder = job
    path = folder / f"{seed}.npz" if folder else None
    if path and path.exists():
        with np.load(path) as f:
            return TestPatient(seed, f["images"], f["mask"], f["spacing_mm"], str(f["category"]))
    p = phantom_patient(seed)
    made = TestPatient(
        seed, p.images().astype(np.uint16), p.mask(), np.array(p.spacing_mm), str(getattr(p, "t_category", ""))
    )
    if path:
        path.parent.mkdir(parents=True, exist_ok=True)
        partial = path.with_suffix(".part.npz")
        np.savez(partial, images=made.images, mask=made.mask, spacing_mm=made.spacing_mm, category=made.category)
        partial.replace(path)
    return made


def patients(seeds: list[int], cache: Path | None, workers: int) -> Iterator[TestPatient]:
    """Test patients in order of their seeds."""
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    with get_context("spawn").Pool(workers) as pool:
        yield from pool.imap(_load, [(seed, cache) for seed in seeds])


def slice_rows(bundle: Bundle, patient: TestPatient) -> list[dict[str, Any]]:
    """One row of figures per slice of a patient."""
    _, dj, di = patient.spacing_mm
    result = run(bundle, patient.images.astype(np.float32), (dj, di))
    d, terminal = result.detection, bundle.manifest["detector"]["terminal"]
    stopped, steps = d.stopped(terminal), d.steps
    targets = result.grid.boxes_to_grid(mask_boxes(patient.mask))
    factor = bundle.manifest["segmenter"]["context_factor"]
    wide = bx.enlarge(d.last, factor, bundle.grid)
    start = d.boxes[:, 0]
    rows = []
    for k in range(len(patient.mask)):
        tp, fp, fn = m.counts(result.mask[k], patient.mask[k])
        row = {
            "patient": patient.seed, "slice": k, "tumour": tp + fn > 0, "stopped": bool(stopped[k]),
            "steps": int(steps[k]), "tp": tp, "fp": fp, "fn": fn, "area_mm2": (tp + fn) * dj * di,
        }  # fmt: skip
        if row["tumour"]:
            g = targets[k]
            row |= {
                "recall": float(bx.recall(d.last[k], g)),
                "recall_wide": float(bx.recall(wide[k], g)),
                "iou": float(bx.iou(d.last[k], g)),
                "good_box": bool(good_stop(d.last[k], g)),
                "initial_recall": float(bx.recall(start[k], g)),
                "initial_iou": float(bx.iou(start[k], g)),
                "best_threshold": best_threshold_dice(patient.images[:, k], patient.mask[k]),
                "short_side": float(min(g[2] - g[0], g[3] - g[1])),
            }
        rows.append(row)
    return rows


def best_threshold_dice(images: Array, mask: Array) -> float:
    """The best Dice that one threshold on one sequence reaches near the tumour: how far brightness alone would go.

    Looked for within 42 % of the slice's sides about its centre and the tumour's own box, upwards and downwards.
    """
    rows, columns = mask.shape
    near = np.zeros_like(mask)
    near[int(rows * 0.29) : int(rows * 0.71), int(columns * 0.29) : int(columns * 0.71)] = True
    ys, xs = np.nonzero(mask)
    near[ys.min() : ys.max() + 1, xs.min() : xs.max() + 1] = True
    best, truth = 0.0, mask[near]
    for channel in images:
        values = channel[near]
        order = np.argsort(values, kind="stable")
        values, inside = values[order], np.cumsum(truth[order])
        total, size = inside[-1], np.arange(1, len(order) + 1)
        upward = 2 * (total - inside) / (len(order) - size + total)
        downward = 2 * inside / (size + total)
        last = np.append(values[1:] != values[:-1], True)  # a threshold cannot part equal values
        best = max(best, float(upward[last].max()), float(downward[last].max()))
    return best


def summarise(rows: list[dict[str, Any]], slice_volume_mm3: dict[int, float]) -> dict[str, Any]:
    """Figures of all slices, of the tumour-free ones, of patients, and by tercile of tumour area."""
    tumour = [r for r in rows if r["tumour"]]
    free = [r for r in rows if not r["tumour"]]
    out: dict[str, Any] = {
        "patients": len(slice_volume_mm3), "slices": len(rows), "tumour_slices": len(tumour), "tumour_free_slices": len(free),
        "box": _boxes(tumour),
        "segmentation": _masks(tumour),
        "patient_dice_3d": m.describe(_patient_dice(rows)),
    }  # fmt: skip
    per_pixel: dict[int, float] = slice_volume_mm3
    false_volume = [
        sum(r["fp"] for r in free if r["patient"] == seed) * volume / 1000 for seed, volume in per_pixel.items()
    ]
    out["tumour_free"] = {
        "any_pixel": m.share(np.array([r["fp"] > 0 for r in free])),
        "stopped": m.share(np.array([r["stopped"] for r in free])),
        "false_positive_ml_per_patient": m.describe(np.array(false_volume)),
    }
    thirds = m.terciles(np.array([r["area_mm2"] for r in tumour]))
    out["by_area"] = []
    for third in range(3):
        part = [r for r, t in zip(tumour, thirds) if t == third]
        areas = [r["area_mm2"] for r in part]
        out["by_area"].append({"area_mm2": [min(areas), max(areas)], "box": _boxes(part), "segmentation": _masks(part)})
    out["hardness"] = {
        "initial_box_recall": m.describe(np.array([r["initial_recall"] for r in tumour])),
        "initial_box_iou": m.describe(np.array([r["initial_iou"] for r in tumour])),
        "best_single_threshold_dice": m.describe(np.array([r["best_threshold"] for r in tumour])),
        "tumour_area_mm2": m.describe(np.array([r["area_mm2"] for r in tumour])),
        "shorter_side_of_target_px": m.describe(np.array([r["short_side"] for r in tumour])),
    }
    return out


def _boxes(tumour: list[dict[str, Any]]) -> dict[str, Any]:
    steps = np.array([r["steps"] for r in tumour])
    return {
        "recall": m.describe(np.array([r["recall"] for r in tumour])),
        "recall_x1.5": m.describe(np.array([r["recall_wide"] for r in tumour])),
        "iou": m.describe(np.array([r["iou"] for r in tumour])),
        "stopped": m.share(np.array([r["stopped"] for r in tumour])),
        "rewarded_stops": m.share(np.array([r["stopped"] and r["good_box"] for r in tumour])),
        "steps": {int(s): int((steps == s).sum()) for s in np.unique(steps)},
    }


def _masks(tumour: list[dict[str, Any]]) -> dict[str, Any]:
    per_slice = np.array([m.dice(r["tp"], r["fp"], r["fn"]) for r in tumour])
    tp, fp, fn = (sum(r[key] for r in tumour) for key in ("tp", "fp", "fn"))
    pooled = m.dice(tp, fp, fn)
    return {
        "dice": m.describe(per_slice),
        "total_misses": m.share(per_slice == 0),
        "dice_pooled": pooled,
        "precision_pooled": tp / max(tp + fp, 1),
        "recall_pooled": tp / max(tp + fn, 1),
        "conformity_pooled": m.conformity(pooled),
    }


def _patient_dice(rows: list[dict[str, Any]]) -> Array:
    """3D Dice of each patient that has a tumour, over all slices."""
    out = []
    for seed in sorted({r["patient"] for r in rows}):
        mine = [r for r in rows if r["patient"] == seed]
        if any(r["tumour"] for r in mine):
            out.append(m.dice(*(sum(r[key] for r in mine) for key in ("tp", "fp", "fn"))))
    return np.array(out)


def against_bars(s: dict[str, Any]) -> list[dict[str, Any]]:
    """Each bar, the measured figure and whether it is reached."""
    values = {
        "box recall, mean": s["box"]["recall"]["mean"],
        "box recall, smallest": s["box"]["recall"]["min"],
        "box IoU, mean": s["box"]["iou"]["mean"],
        "rewarded stops": s["box"]["rewarded_stops"],
        "Dice per slice, mean": s["segmentation"]["dice"]["mean"],
        "total misses": s["segmentation"]["total_misses"],
        "tumour-free slices with any pixel": s["tumour_free"]["any_pixel"],
    }
    tests = {">=": lambda a, b: a >= b, "<": lambda a, b: a < b, "<=": lambda a, b: a <= b}
    return [
        {"figure": name, "bar": f"{sign} {bar}", "measured": values[name], "reached": bool(tests[sign](values[name], bar))}
        for name, (bar, sign) in BARS.items()
    ]


def evaluate(bundle_folder: Path, seeds: list[int], cache: Path | None = None, workers: int = 2) -> dict[str, Any]:
    """The report of a bundle on patients of the given seeds."""
    bundle = Bundle(bundle_folder, threads=1)
    rows: list[dict[str, Any]] = []
    volumes: dict[int, float] = {}
    for patient in tqdm(patients(seeds, cache, workers), total=len(seeds), desc="evaluate", mininterval=5):
        rows += slice_rows(bundle, patient)
        volumes[patient.seed] = float(np.prod(patient.spacing_mm))
    summary = summarise(rows, volumes)
    worst = sorted((r for r in rows if r["tumour"]), key=lambda r: (m.dice(r["tp"], r["fp"], r["fn"]), r["recall"]))[:10]
    return {
        "bundle": {k: bundle.manifest[k] for k in ("name", "version", "files")},
        "patients": {"first_seed": seeds[0], "count": len(seeds), "kind": "synthetic, never seen in training or validation"},
        "thresholds": {"recall": Thresholds().tau_recall, "iou": Thresholds().tau_iou},
        "bars": against_bars(summary),
        "figures": summary,
        "worst_slices": [{k: r[k] for k in ("patient", "slice", "area_mm2", "recall", "iou", "steps", "stopped")} for r in worst],
        "rows": rows,
    }


def _line(name: str, d: dict[str, Any], digits: int = 3) -> str:
    values = [d["mean"], d["min"], *d["deciles"], d["max"]]
    return f"| {name} | {d['count']} | " + " | ".join(f"{v:.{digits}f}" for v in values) + " |"


def to_markdown(report: dict[str, Any]) -> str:
    """The report as plain tables."""
    f = report["figures"]
    head = "| | n | mean | min | " + " | ".join(f"{d}0 %" for d in range(1, 10)) + " | max |\n|" + "---|" * 14
    lines = [
        f"# {report['bundle']['name']} {report['bundle']['version']}: what was measured",
        "",
        f"{f['patients']} synthetic patients that training and validation never saw (seeds from "
        f"{report['patients']['first_seed']}), {f['slices']} slices, {f['tumour_slices']} with tumour. The bundle ran in "
        "ONNX Runtime. Synthetic images: none of this says how it would do on patients.",
        "",
        "| figure | bar | measured | reached |",
        "|---|---|---|---|",
        *(f"| {b['figure']} | {b['bar']} | {b['measured']:.4f} | {'yes' if b['reached'] else 'no'} |" for b in report["bars"]),
        "",
        "## Distributions",
        "",
        "Box figures are of the detection box against the tumour's bounding box; Dice is of the whole way, per slice, on "
        "T1C's grid.",
        "",
        head,
        _line("box recall", f["box"]["recall"]),
        _line("box recall, box x 1.5", f["box"]["recall_x1.5"]),
        _line("box IoU", f["box"]["iou"]),
        _line("Dice per tumour slice", f["segmentation"]["dice"]),
        _line("3D Dice per patient", f["patient_dice_3d"]),
        _line("false positives on tumour-free slices, ml per patient", f["tumour_free"]["false_positive_ml_per_patient"], 2),
        "",
        f"Stopped by itself: {f['box']['stopped']:.1%} of tumour slices, {f['tumour_free']['stopped']:.1%} of tumour-free "
        f"slices. Pooled over all pixels of tumour slices: Dice {f['segmentation']['dice_pooled']:.3f}, precision "
        f"{f['segmentation']['precision_pooled']:.3f}, recall {f['segmentation']['recall_pooled']:.3f}, CC "
        f"{f['segmentation']['conformity_pooled']:.3f}.",
        "",
        "Steps taken on tumour slices: " + ", ".join(f"{s}: {n}" for s, n in f["box"]["steps"].items()) + ".",
        "",
        "## By tumour area",
        "",
        "| area, mm2 | n | box recall | box IoU | rewarded stops | Dice | total misses |",
        "|---|---|---|---|---|---|---|",
        *(
            f"| {t['area_mm2'][0]:.0f} to {t['area_mm2'][1]:.0f} | {t['segmentation']['dice']['count']} "
            f"| {t['box']['recall']['mean']:.3f} | {t['box']['iou']['mean']:.3f} | {t['box']['rewarded_stops']:.3f} "
            f"| {t['segmentation']['dice']['mean']:.3f} | {t['segmentation']['total_misses']:.4f} |"
            for t in f["by_area"]
        ),
        "",
        "## How hard these patients are",
        "",
        "The untouched initial box against the tumour's, and the best Dice that one threshold on one sequence reaches when "
        "the truth chooses it.",
        "",
        head,
        _line("recall of the initial box", f["hardness"]["initial_box_recall"]),
        _line("IoU of the initial box", f["hardness"]["initial_box_iou"]),
        _line("best single threshold, Dice", f["hardness"]["best_single_threshold_dice"]),
        _line("tumour area, mm2", f["hardness"]["tumour_area_mm2"], 0),
        _line("shorter side of the tumour's box, px of the grid", f["hardness"]["shorter_side_of_target_px"], 1),
        "",
    ]
    return "\n".join(lines)


def write_report(report: dict[str, Any], folder: Path) -> None:
    """report.json (without the slices) and report.md."""
    folder.mkdir(parents=True, exist_ok=True)
    slim = {k: v for k, v in report.items() if k != "rows"}
    (folder / "report.json").write_text(json.dumps(slim, indent=1) + "\n")
    (folder / "report.md").write_text(to_markdown(report))


@dataclass
class Evaluate:
    """Run a bundle on unseen synthetic patients and write its report."""

    bundle: Path
    """Folder of the bundle."""
    out: Path | None = None
    """Folder of the report; the bundle's unless given."""
    patients: int = 120
    """How many test patients."""
    seed: int = 1
    """The training run's seed: test patients are those that belong to it."""
    cache: Path | None = None
    """Folder that keeps the test patients."""
    workers: int = 2
    rows: Path | None = None
    """File for the figures of every slice (JSON)."""

    def main(self) -> None:
        report = evaluate(self.bundle, patient_seeds("test", self.seed, self.patients), self.cache, self.workers)
        write_report(report, self.out or self.bundle)
        if self.rows:
            self.rows.write_text(json.dumps(report["rows"]))
        print(to_markdown(report))


if __name__ == "__main__":
    import tyro

    tyro.cli(Evaluate).main()
