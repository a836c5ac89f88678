"""Writes report.md from the figures of evaluation.json."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ..run import demo_words


def number(value: float | None, digits: int = 3) -> str:
    """A figure, or a dash if there is none."""
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
    return [
        name,
        str(s["count"]),
        *(number(v, digits) for v in (s["mean"], s["min"], d[0], d[4], d[8], s["max"])),
        str(s["undefined"]),
    ]


SPREAD_HEAD = ["", "n", "mean", "min", "10 %", "median", "90 %", "max", "undefined"]
_FIGURES = (
    ("dice", "Dice", 3),
    ("precision", "precision", 3),
    ("recall", "recall", 3),
    ("iou", "IoU", 3),
    ("hd_px", "HD, px of 384", 2),
    ("hd_mm", "HD, mm", 2),
    ("hd95_mm", "HD95, mm", 2),
    ("surface_dice_1mm", "surface Dice at 1 mm", 3),
    ("surface_dice_2mm", "surface Dice at 2 mm", 3),
    ("added_path_mm", "added path length, mm", 1),
)
_SCALES = (
    ("slices", "mean of tumour slices"),
    ("pooled", "pixels of tumour slices, pooled"),
    ("slices_either", "mean of slices with either mask"),
    ("pooled_all", "pixels of all slices, pooled"),
    ("patients", "3D, mean of cases"),
)


def _head(e: dict[str, Any], shared: str) -> list[str]:
    b, c, n, source = e["bundle"], e["cases"], e["slices"], e["dataset"]
    lines = [f"# {b['name']} {b['version']}: what was measured", ""]
    if b["demo"]:
        lines += [
            f"**{demo_words.OF_ONE}** {b['statement']}",
            "",
        ]
    lines += [
        f"Split `{source['split']}` of data set {source['name']}, through `{e['program']}`: "
        f"{c['evaluated']} of {c['asked']} "
        f"cases, {c['with_tumour']} with tumour; {n['evaluated']} slices looked at, {n['tumour']} "
        "with tumour.",
        "",
    ]
    if b.get("data_hash") != source["hash"]:
        which = (
            "another data set"
            if b.get("data_hash")
            else "data that its manifest does not name by a hash"
        )
        lines += [f"The bundle was trained on {which}; {shared}.", ""]
    elif source["split"] != "test":
        did = {"train": "was trained on", "validation": "was chosen on"}[source["split"]]
        lines += [
            f"**These are the patients that the bundle {did}: the figures are too good for "
            "others.**",
            "",
        ]
    if not b["negatives_trained"]:
        lines += [
            "The bundle was trained on tumour slices alone: looked at was the range from a case's "
            "first to its last tumour "
            "slice.",
            "",
        ]
    lines += [
        f"Both masks empty: {n['both_empty']} slices, left out of every mean. Tumour slices on "
        "which nothing was found: "
        f"{n['missed']} (Dice, precision and recall 0). No Hausdorff distance because one mask is "
        f"empty: {n['hd_undefined']}.",
        "",
    ]
    if c["failed"]:
        lines += [
            "## Cases without a result",
            "",
            *(f"- {f['case']}: {f['error']}" for f in c["failed"]),
            "",
        ]
    return lines


def _masks(s: dict[str, Any]) -> list[str]:
    rows = []
    for key, name in _SCALES:
        values = [
            s[key].get(k) for k in ("dice", "precision", "recall", "iou", "cc", "hd_px", "hd_mm")
        ]
        values = [v.get("mean") if isinstance(v, dict) else v for v in values]
        rows.append([name, *(percent(v) for v in values[:5]), *(number(v, 2) for v in values[5:])])
    lines = [
        "## Segmentation",
        "",
        *table(["", "Dice", "precision", "recall", "IoU", "CC", "HD, px of 384", "HD, mm"], rows),
    ]
    lines += ["", "Tumour slices:", ""]
    lines += [
        *table(
            SPREAD_HEAD,
            [_spread(label, s["slices"][key], digits) for key, label, digits in _FIGURES],
        ),
        "",
    ]
    if s["slices"]["added_path_share"] is not None:
        lines += [
            f"Of all true outlines {percent(s['slices']['added_path_share'], 1)} would have to be "
            "redrawn.",
            "",
        ]
    return lines


def _boxes(x: dict[str, Any]) -> list[str]:
    lines = [
        "## Boxes",
        "",
        "The detection box against the tumour's bounding box, on tumour slices.",
        "",
    ]
    rows = [_spread("recall", x["recall"]), _spread("IoU", x["iou"])]
    if "steps" in x:
        rows.append(_spread("steps", x["steps"], 1))
    lines += [*table(SPREAD_HEAD, rows), ""]
    if "steps" in x:
        lines += [
            f"Stopped by itself: {percent(x['stopped'], 1)} of tumour slices; by a stop that "
            "Algorithm 1 rewards: "
            f"{percent(x['rewarded_stops'], 1)}.",
            "",
        ]
    if x["without_box"]:
        lines += [f"Tumour slices without a box: {x['without_box']} (recall and IoU 0).", ""]
    return lines


def _others(e: dict[str, Any]) -> list[str]:
    """Slices without tumour, volumes, thirds of the tumour area."""
    free, v = e["tumour_free"], e["volume"]
    fp, some = (
        free["false_positive_ml_per_patient"],
        f"{percent(free['any_pixel'], 1)} of them with any pixel",
    )
    lines = [
        "## Slices without tumour",
        "",
        f"{free['slices']} looked at" + (f", {some}." if free["slices"] else "."),
    ]
    if free["slices"] and fp.get("count"):
        volumes = (
            f"mean {fp['mean']:.2f} ml, median {fp['deciles'][4]:.2f}, largest {fp['max']:.2f}"
        )
        lines += [f"False-positive volume per case: {volumes}."]
    if v["count"] >= 2:
        limits = f"limits of agreement {v['limits_ml'][0]:+.2f} to {v['limits_ml'][1]:+.2f} ml"
        lines += [
            "",
            "## Volume",
            "",
            f"Found less true, per case: mean {v['bias_ml']:+.2f} ml, {limits}.",
        ]
    if e["by_area"]:
        rows = []
        for t in e["by_area"]:
            low, high = t["area_mm2"]
            rows.append(
                [
                    f"{low:.0f} to {high:.0f}",
                    str(t["slices"]["dice"]["count"]),
                    percent(t["slices"]["dice"]["mean"]),
                ]
            )
            rows[-1] += [number(t["slices"]["hd_mm"].get("mean"), 2), percent(t["missed"], 1)]
            rows[-1] += [number(t["box"] and t["box"]["recall"]["mean"])]
        lines += [
            "",
            "## By tumour area",
            "",
            *table(["area, mm²", "slices", "Dice", "HD, mm", "missed", "box recall"], rows),
        ]
    return [*lines, ""]


def subgroup_lines(group: dict[str, Any]) -> list[str]:
    """One covariate as Tables 7 and 8 print it, with its tests."""
    rows = []
    for r in group["rows"]:
        shares = [percent(r[k]) for k in ("dice", "precision", "recall", "cc")]
        rows.append(
            [
                r["group"],
                *shares,
                number(r["hd_px"], 2),
                number(r["hd_mm"], 2),
                str(r["sample"]),
                str(r["cases"]),
            ]
        )
    tests = []
    for unit in ("slices", "patients"):
        tests.append(
            f"{unit}: Dice P {p_value(group[unit]['dice']['p'])}, HD P "
            f"{p_value(group[unit]['hd']['p'])}"
        )
    for key, name in (("missed", "missed slices"), ("rewarded_stops", "rewarded stops")):
        g = group[key]
        if g["test"]:
            counts = f"{g['yes'][0]}/{g['n'][0]} against {g['yes'][1]}/{g['n'][1]}"
            tests.append(f"{name} {counts}: P {p_value(g['p'])} ({g['test']})")
    head = [
        group["covariate"],
        "Dice",
        "Precision",
        "Recall",
        "CC",
        "HD, px",
        "HD, mm",
        "Sample",
        "Cases",
    ]
    rule = "Two-tailed, alpha 0.01; Mann-Whitney U unless another test is named."
    return [*table(head, rows), "", f"{'; '.join(tests)}. {rule}", ""]


def _subgroups(found: Sequence[dict[str, Any]]) -> list[str]:
    if not found:
        return ["## Subgroups", "", "The cases have no covariates.", ""]
    lines = [
        "## Subgroups",
        "",
        "Means of tumour slices, as the paper's Tables 7 and 8, whose samples are slices. Slices "
        "of one patient are no "
        "independent sample: read the test per patient beside.",
        "",
    ]
    for group in found:
        if "left_out" in group:
            lines += [f"{group['covariate']}: left out, {group['left_out']}.", ""]
        else:
            lines += subgroup_lines(group)
    return lines


def to_markdown(
    e: dict[str, Any],
    pictures: Sequence[str] = (),
    shared: str = "whether patients are in both is not known here",
) -> str:
    """The report of one evaluation; `pictures` are paths from the report's folder, `shared` says
    whether patients are shared with the other data set on which the bundle was trained.
    """
    lines = (
        _head(e, shared)
        + _masks(e["segmentation"])
        + (_boxes(e["boxes"]) if e["boxes"] else [])
        + _others(e)
        + _subgroups(e["subgroups"])
    )
    lines += [
        f"![{name.rsplit('/', 1)[-1].removesuffix('.png').replace('_', ' ')}]({name})"
        for name in pictures
    ]
    return "\n".join(lines) + "\n"
