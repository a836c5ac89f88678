"""The figures of evaluation.json in, report.md out."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any


def number(value: float | None, digits: int = 3) -> str:
    """A figure, or a dash where there is none."""
    return "–" if value is None else f"{value:.{digits}f}"


def percent(value: float | None, digits: int = 2) -> str:
    """A share as the paper prints it."""
    return "–" if value is None else f"{value:.{digits}%}"


def p_value(p: float | None) -> str:
    """A P value as the paper prints it."""
    return "–" if p is None else ("<0.001" if p < 0.001 else f"{p:.3f}")


def table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    """Lines of a Markdown table."""
    return [f"| {' | '.join(row)} |" for row in (head, ["---"] * len(head), *rows)]


def _spread(name: str, s: dict[str, Any], digits: int = 3) -> list[str]:
    if not s.get("count"):
        return [name, "0", *["–"] * 6, str(s.get("undefined", 0))]
    d = s["deciles"]
    return [name, str(s["count"]), *(number(v, digits) for v in (s["mean"], s["min"], d[0], d[4], d[8], s["max"])), str(s["undefined"])]


SPREAD_HEAD = ["", "n", "mean", "min", "10 %", "median", "90 %", "max", "undefined"]
_FIGURES = (
    ("dice", "Dice", 3), ("precision", "precision", 3), ("recall", "recall", 3), ("iou", "IoU", 3), ("hd_px", "HD, px of 384", 2),
    ("hd_mm", "HD, mm", 2), ("hd95_mm", "HD95, mm", 2), ("surface_dice_1mm", "surface Dice at 1 mm", 3),
    ("surface_dice_2mm", "surface Dice at 2 mm", 3), ("added_path_mm", "added path length, mm", 1),
)  # fmt: skip


def subgroup_lines(group: dict[str, Any]) -> list[str]:
    """One covariate as Tables 7 and 8 print it, with its tests."""
    rows = [
        [r["group"], *(percent(r[k]) for k in ("dice", "precision", "recall", "cc")), number(r["hd_px"], 2), number(r["hd_mm"], 2),
         str(r["sample"]), str(r["cases"])]
        for r in group["rows"]
    ]  # fmt: skip
    tests = [f"{unit}: Dice P {p_value(group[unit]['dice']['p'])}, HD P {p_value(group[unit]['hd']['p'])}" for unit in ("slices", "patients")]
    for key, name in (("missed", "missed slices"), ("rewarded_stops", "rewarded stops")):
        g = group[key]
        if sum(g["n"]) and g["test"]:
            tests.append(f"{name} {g['yes'][0]}/{g['n'][0]} against {g['yes'][1]}/{g['n'][1]}: P {p_value(g['p'])} ({g['test']})")
    head = [group["covariate"], "Dice", "Precision", "Recall", "CC", "HD, px", "HD, mm", "Sample", "Cases"]
    return [*table(head, rows), "", "; ".join(tests) + ". Two-tailed, alpha 0.01; Mann-Whitney U unless another test is named.", ""]


def to_markdown(e: dict[str, Any], pictures: Sequence[str] = ()) -> str:
    """The report of one evaluation; `pictures` are paths from the report's folder."""
    b, s, c, n, free = e["bundle"], e["segmentation"], e["cases"], e["slices"], e["tumour_free"]
    lines = [f"# {b['name']} {b['version']}: what was measured", ""]
    if b["demo"]:
        lines += [
            f"**Demo model, trained on synthetic images. Not for clinical use.** {b['statement']}", "",
        ]  # fmt: skip
    lines += [
        f"Split `{e['dataset']['split']}` of data set {e['dataset']['name']}, through `{e['program']}`: {c['evaluated']} of {c['asked']} "
        f"cases, {c['with_tumour']} with tumour; {n['evaluated']} slices looked at, {n['tumour']} with tumour.",
        "" if e["bundle"]["negatives_trained"] else "\nThe bundle was trained on tumour slices alone: only the range from a case's first to its last tumour slice was looked at.\n",
        f"Both masks empty: {n['both_empty']} slices, left out of every mean. Tumour slices on which nothing was found: {n['missed']} "
        f"(Dice, precision and recall 0). Without a Hausdorff distance because one mask is empty: {n['hd_undefined']}.",
        "",
    ]  # fmt: skip
    if c["failed"]:
        lines += ["## Cases without a result", "", *(f"- {f['case']}: {f['error']}" for f in c["failed"]), ""]
    lines += ["## Segmentation", ""]
    columns = ["", "Dice", "precision", "recall", "IoU", "CC", "HD, px of 384", "HD, mm"]
    rows = []
    for key, name in (
        ("slices", "mean of tumour slices"), ("pooled", "pixels of tumour slices, pooled"), ("slices_either", "mean of slices with either mask"),
        ("pooled_all", "pixels of all slices, pooled"), ("patients", "3D, mean of cases"),
    ):  # fmt: skip
        part = s[key]
        values = [part.get(k) for k in ("dice", "precision", "recall", "iou", "cc", "hd_px", "hd_mm")]
        values = [v.get("mean") if isinstance(v, dict) else v for v in values]
        rows.append([name, *(percent(v) for v in values[:5]), *(number(v, 2) for v in values[5:])])
    lines += [*table(columns, rows), "", "Tumour slices:", ""]
    lines += [*table(SPREAD_HEAD, [_spread(label, s["slices"][key], digits) for key, label, digits in _FIGURES]), ""]
    if s["slices"]["added_path_share"] is not None:
        lines += [f"Of all true outlines {percent(s['slices']['added_path_share'], 1)} would have to be drawn anew.", ""]
    if e["boxes"]:
        x = e["boxes"]
        lines += ["## Boxes", "", "The detection box against the tumour's bounding box, on tumour slices.", ""]
        rows = [_spread("recall", x["recall"]), _spread("IoU", x["iou"])]
        if "steps" in x:
            rows.append(_spread("steps", x["steps"], 1))
        lines += [*table(SPREAD_HEAD, rows), ""]
        if "steps" in x:
            lines += [f"Stopped by itself: {percent(x['stopped'], 1)}; stops that Algorithm 1 rewards: {percent(x['rewarded_stops'], 1)} of tumour slices.", ""]
        if x["without_box"]:
            lines += [f"Tumour slices without a box: {x['without_box']} (recall and IoU 0).", ""]
    fp = free["false_positive_ml_per_patient"]
    lines += ["## Slices without tumour", "", f"{free['slices']} looked at, {percent(free['any_pixel'], 1)} of them with any pixel."]
    if fp.get("count"):
        lines += [f"False-positive volume per case: mean {fp['mean']:.2f} ml, median {fp['deciles'][4]:.2f}, largest {fp['max']:.2f}."]
    v = e["volume"]
    if v["count"] >= 2:
        low, high = v["limits_ml"]
        lines += ["", "## Volume", "", f"Found less true, per case: mean {v['bias_ml']:+.2f} ml, limits of agreement {low:+.2f} to {high:+.2f} ml."]
    if e["by_area"]:
        lines += ["", "## By tumour area", ""]
        rows = [
            [f"{t['area_mm2'][0]:.0f} to {t['area_mm2'][1]:.0f}", str(t["slices"]["dice"]["count"]), percent(t["slices"]["dice"]["mean"]),
             number(t["slices"]["hd_mm"].get("mean"), 2), percent(t["missed"], 1), number(t["box"] and t["box"]["recall"]["mean"])]
            for t in e["by_area"]
        ]  # fmt: skip
        lines += table(["area, mm²", "slices", "Dice", "HD, mm", "missed", "box recall"], rows)
    lines += ["", "## Subgroups", "", "Means of tumour slices, as the paper's Tables 7 and 8, whose samples are slices. Slices of one patient are no independent "
              "sample: read the test per patient beside.", ""]  # fmt: skip
    for group in e["subgroups"]:
        if "left_out" in group:
            lines += [f"{group['covariate']}: left out, {group['left_out']}.", ""]
        else:
            lines += subgroup_lines(group)
    if not e["subgroups"]:
        lines += ["The cases have no covariates.", ""]
    lines += [f"![{name.rsplit('/', 1)[-1].removesuffix('.png').replace('_', ' ')}]({name})" for name in pictures]
    return "\n".join(lines) + "\n"
