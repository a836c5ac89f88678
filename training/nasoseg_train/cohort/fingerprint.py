"""Figures of the training split that training requires, and a report for people."""

from __future__ import annotations

from collections import Counter
from typing import Any

import numpy as np

from ..data.slice_set import SPLITS
from ..geometry import metrics as m
from .sources import SEQUENCES

Record = dict[str, Any]


def fingerprint(cases: list[Record]) -> Record:
    """Figures of the training cases only, so that nothing of validation or test reaches a model
    through them.
    """
    train = [c for c in cases if c["split"] == "train"]
    largest = (
        [max(train, key=lambda c: c["sequences"][name]["max"]) for name in SEQUENCES]
        if train
        else []
    )
    percentiles = sorted(
        {p for c in train for p in c["sequences"]["T1C"]["percentiles_above_zero"]}, key=float
    )
    areas = [a for c in train for a in c["tumour_area_mm2"]]
    return {
        "split": "train",
        "cases": len(train),
        # From the sequences' own images, before alignment.
        "channel_max": [
            c["sequences"][name]["max"] for name, c in zip(SEQUENCES, largest, strict=False)
        ],
        "channel_max_case": [c["id"] for c in largest],
        "intensity_percentiles_above_zero": {
            name: {
                p: _range(
                    [
                        c["sequences"][name]["percentiles_above_zero"][p]
                        for c in train
                        if p in c["sequences"][name]["percentiles_above_zero"]
                    ]
                )
                for p in percentiles
            }
            for name in SEQUENCES
        },
        "tumour": {
            "slices": len(areas),
            "slices_per_case": m.describe(np.array([len(c["tumour_slices"]) for c in train])),
            "area_mm2": m.describe(np.array(areas)),
            "area_percent_of_slice": m.describe(
                np.array([a for c in train for a in c["tumour_percent_of_slice"]])
            ),
            "volume_ml": m.describe(np.array([c["tumour_volume_ml"] for c in train])),
        },
        "slices": _range([c["shape"][0] for c in train]),
        "rows": _range([c["shape"][1] for c in train]),
        "columns": _range([c["shape"][2] for c in train]),
        "slice_spacing_mm": _range([c["spacing_mm"][0] for c in train]),
        "in_plane_spacing_mm": _range([s for c in train for s in c["spacing_mm"][1:]]),
    }


def _range(values: list[float]) -> Record:
    return (
        {"min": min(values), "median": float(np.median(values)), "max": max(values)}
        if values
        else {}
    )


def outliers(cases: list[Record]) -> list[str]:
    """Warnings for channel maxima that one case sets far above the others: `dataset_max` would
    darken all the others.
    """
    train = [c for c in cases if c["split"] == "train"]
    out = []
    for name in SEQUENCES:
        values = sorted((c["sequences"][name]["max"], c["id"]) for c in train)
        if len(values) >= 3 and values[-1][0] > 3 * (
            middle := float(np.median([v for v, _ in values]))
        ):
            out.append(
                f"{name}: the largest value, {values[-1][0]:g} of {values[-1][1]}, is "
                f"{values[-1][0] / middle:.1f} times "
                "the median case's: scaling by dataset_max would darken the others; "
                "study_percentile is not moved by it"
            )
    return out


def report(record: Record) -> str:
    """report.md: the data set described for people."""
    cases, skipped, f = record["cases"], record["skipped"], record["fingerprint"]
    found = Counter(c["split"] for c in cases)
    lines = [
        f"# {record['name']}",
        "",
        f"{len(cases)} cases, {len(skipped)} skipped. Source: {record['source']['kind']}. Split: "
        f"{record['split']['words']}. "
        f"Aligned by {record['made_by']['nasoseg']}.",
        "",
        "| split | cases | tumour slices | tumour volume, ml: median (range) |",
        "|---|---|---|---|",
    ]
    for split in SPLITS:
        own = [c for c in cases if c["split"] == split]
        volumes = [c["tumour_volume_ml"] for c in own]
        words = (
            f"{np.median(volumes):.1f} ({min(volumes):.1f} to {max(volumes):.1f})" if own else "-"
        )
        lines.append(
            f"| {split} | {found[split]} | {sum(len(c['tumour_slices']) for c in own)} | {words} |"
        )
    lines += ["", "## Skipped", ""]
    if skipped:
        counted = Counter(s["reason"] for s in skipped)
        lines += [
            ", ".join(f"{reason}: {n}" for reason, n in counted.most_common()),
            "",
            "| id | reason | detail |",
            "|---|---|---|",
        ]
        lines += [f"| {s['id']} | {s['reason']} | {_cell(s['detail'])} |" for s in skipped]
    else:
        lines.append("None.")
    lines += ["", "## Warnings", ""]
    warnings = [*record["warnings"], *(f"{c['id']}: {w}" for c in cases for w in c["warnings"])]
    lines += [f"- {w}" for w in warnings] or ["None."]
    lines += ["", "## Training split", "", *_training_lines(f), *_agreement_lines(cases)]
    return "\n".join(lines) + "\n"


def _training_lines(f: Record) -> list[str]:
    """The fingerprint as a Markdown table."""
    if not f["cases"]:
        return ["No case."]
    area, share = f["tumour"]["area_mm2"], f["tumour"]["area_percent_of_slice"]
    return [
        "| figure | value |",
        "|---|---|",
        *(
            f"| largest value of {name} | {value:g} ({one}) |"
            for name, value, one in zip(
                SEQUENCES, f["channel_max"], f["channel_max_case"], strict=True
            )
        ),
        f"| tumour slices | {f['tumour']['slices']} |",
        f"| tumour area per slice, mm2 | {area['min']:.0f} to {area['max']:.0f}, mean "
        f"{area['mean']:.0f} |",
        f"| tumour area, percent of the slice | {share['min']:.2f} to {share['max']:.2f}, "
        f"mean {share['mean']:.2f} |",
        f"| slices | {_spread(f['slices'], 0)} |",
        f"| slice spacing, mm | {_spread(f['slice_spacing_mm'])} |",
        f"| pixel, mm | {_spread(f['in_plane_spacing_mm'], 3)} |",
    ]


def _agreement_lines(cases: list[Record]) -> list[str]:
    """How masks drawn on T1 and T2 agree with the truth; nothing if there are none."""
    agreement = {
        name: [
            c["agreement"][name]["dice"] for c in cases if "dice" in c["agreement"].get(name, {})
        ]
        for name in ("T1", "T2")
    }
    refused = [
        (c["id"], name, c["agreement"][name]["refused"])
        for c in cases
        for name in ("T1", "T2")
        if "refused" in c["agreement"].get(name, {})
    ]
    if not any(agreement.values()) and not refused:
        return []
    lines = [
        "",
        "## Masks drawn on T1 and T2 against the truth on T1C",
        "",
        "Sampled by nearest neighbour on T1C, for this comparison alone.",
        "",
    ]
    lines += [
        f"- {name}: {len(v)} compared, Dice {np.mean(v):.3f} on average, {min(v):.3f} to "
        f"{max(v):.3f}"
        for name, v in agreement.items()
        if v
    ]
    lines += [f"- {one}, {name}: not compared: {why}" for one, name, why in refused]
    return lines


def _spread(of: Record, digits: int = 2) -> str:
    return f"{of['min']:.{digits}f} to {of['max']:.{digits}f}, median {of['median']:.{digits}f}"


def _cell(text: str) -> str:
    return text.replace("|", "\\|").replace("\n", " ")
