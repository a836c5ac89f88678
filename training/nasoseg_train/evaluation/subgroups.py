"""Subgroups by covariate: Tables 7 and 8 and their tests (paper, section 5).

The paper's samples are slices: 235 + 169 = 51 + 353 = 404, more than its 166 test patients. So the
tables' rows and P values are per slice here too. Slices of one patient are not independent, which
makes these P values too small; each is accompanied by the test per patient (3D Dice, mean HD).
Two-tailed, alpha 0.01.

Groups of a covariate: T categories 1 and 2 against 3 and 4 (N: 0 and 1 against 2 and 3); any two
values as they are; numbers are split at their median. A covariate with one value, or with more than
two that are not numbers, is left out and named.

- Dice and HD: Mann-Whitney U.
- Categorical outcomes (missed tumour slices, rewarded stops): chi-squared without correction, or
  Fisher's exact test if an expected count is below 5.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from scipy import stats

from ..geometry import metrics as m
from .rows import CaseRow, SliceRow

Array = np.ndarray
ALPHA = 0.01
_STAGES = {"T": ({"1", "2"}, {"3", "4"}), "N": ({"0", "1"}, {"2", "3"})}


def _stage(values: set[str]) -> dict[str, str] | None:
    """Value -> group if all values are T or N categories, with or without a trailing letter
    (T2a).
    """
    for letter, (early, late) in _STAGES.items():
        found = {v: re.fullmatch(rf"{letter}([0-4])[a-d]?", v, re.IGNORECASE) for v in values}
        if all(found.values()):
            numbers = {v: match[1] for v, match in found.items() if match}
            if set(numbers.values()) <= early | late:
                names = ["+".join(letter + n for n in sorted(side)) for side in (early, late)]
                return {v: names[n in late] for v, n in numbers.items()}
    return None


def groups(values: dict[str, str]) -> tuple[dict[str, str] | None, str]:
    """Map cases with values to cases with one of two groups, or return None and the reason."""
    there = {case: v for case, v in values.items() if v != ""}
    kinds = set(there.values())
    if staged := _stage(kinds):
        out = {case: staged[v] for case, v in there.items()}
    elif len(kinds) <= 2:
        out = there
    else:
        try:
            numbers = {case: float(v) for case, v in there.items()}
        except ValueError:
            return None, f"{len(kinds)} values that are neither numbers nor two groups"
        if not all(map(math.isfinite, numbers.values())):
            return None, "a value that is no finite number"
        middle = float(np.median(list(numbers.values())))
        out = {
            case: f"up to {middle:g}" if v <= middle else f"above {middle:g}"
            for case, v in numbers.items()
        }
    if len(set(out.values())) != 2:
        return None, "all cases are in one group"
    return out, ""


def mann_whitney(a: Sequence[float], b: Sequence[float]) -> dict[str, Any]:
    """Two-tailed; missing values are left out. Exact if a group has at most 8 values and there are
    no ties, else normal.
    """
    one, other = (np.array([v for v in side if not math.isnan(v)], dtype=float) for side in (a, b))
    out: dict[str, Any] = {"test": "Mann-Whitney U", "n": [len(one), len(other)]}
    if not (len(one) and len(other)):
        return out | {"u": None, "p": None, "significant": None}
    found = stats.mannwhitneyu(one, other, alternative="two-sided")
    return out | {
        "u": float(found.statistic),
        "p": float(found.pvalue),
        "significant": bool(found.pvalue < ALPHA),
    }


def two_by_two(a: Sequence[bool], b: Sequence[bool]) -> dict[str, Any]:
    """Chi-squared or Fisher's exact test of a yes or no in two groups; two-tailed."""
    table = np.array([[sum(a), len(a) - sum(a)], [sum(b), len(b) - sum(b)]])
    out: dict[str, Any] = {"yes": [int(table[0, 0]), int(table[1, 0])], "n": [len(a), len(b)]}
    if not table.sum(axis=0).all() or not table.sum(axis=1).all():
        return out | {"test": None, "p": None, "significant": None}  # all alike: nothing to test
    if stats.contingency.expected_freq(table).min() < 5:
        test, p = "Fisher's exact", float(stats.fisher_exact(table).pvalue)
    else:
        test, p = "chi-squared", float(stats.chi2_contingency(table, correction=False).pvalue)
    return out | {"test": test, "p": p, "significant": p < ALPHA}


def _row(name: str, rows: Sequence[SliceRow], cases: int) -> dict[str, Any]:
    """One row of Table 7 or 8."""

    def mean(of: str) -> float:
        values = [getattr(r, of) for r in rows if not math.isnan(getattr(r, of))]
        return float(np.mean(values)) if values else float("nan")

    dice = mean("dice")
    cc = m.conformity(dice) if dice > 0 else None
    return {
        "group": name,
        "dice": dice,
        "precision": mean("precision"),
        "recall": mean("recall"),
        "cc": cc,
        "hd_px": mean("hd_px"),
        "hd_mm": mean("hd_mm"),
        "sample": len(rows),
        "cases": cases,
    }


def _numeric(sides: Sequence[Sequence[Any]], of: str) -> dict[str, Any]:
    return mann_whitney(*([getattr(r, of) for r in side] for side in sides))


def _flags(
    sides: Sequence[Sequence[SliceRow]], of: Callable[[SliceRow], bool | None]
) -> dict[str, Any]:
    return two_by_two(*([bool(of(r)) for r in side if of(r) is not None] for side in sides))


def subgroups(rows: Sequence[SliceRow], cases: Sequence[CaseRow]) -> list[dict[str, Any]]:
    """The table and tests of every covariate of the evaluated cases with tumour, or why it has
    none.
    """
    done = [c for c in cases if not c.error and c.tumour_slices]
    known = {c.case for c in done}
    tumour = [r for r in rows if r.tumour and r.case in known]
    out = []
    for name in sorted({n for c in done for n in c.covariates}):
        values = {c.case: c.covariates.get(name, "") for c in done}
        unknown = sum(v == "" for v in values.values())
        member, reason = groups(values)
        if member is None:
            out.append({"covariate": name, "left_out": reason, "cases_without": unknown})
            continue
        names = sorted(set(member.values()), key=lambda n: (n.startswith("above "), n))
        of_slices = [[r for r in tumour if member.get(r.case) == n] for n in names]
        of_cases = [[c for c in done if member.get(c.case) == n] for n in names]
        out.append(
            {
                "covariate": name,
                "cases_without": unknown,
                "rows": [
                    _row(n, s, len(c)) for n, s, c in zip(names, of_slices, of_cases, strict=True)
                ],
                "slices": {"dice": _numeric(of_slices, "dice"), "hd": _numeric(of_slices, "hd_px")},
                "patients": {"dice": _numeric(of_cases, "dice"), "hd": _numeric(of_cases, "hd_px")},
                "missed": _flags(of_slices, lambda r: r.tp + r.fp == 0),
                "rewarded_stops": _flags(of_slices, lambda r: r.rewarded_stop),
            }
        )
    return out
