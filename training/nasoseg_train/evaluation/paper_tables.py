"""The paper's Tables 1 to 8 with our figures beside the printed ones, as Markdown and CSV, from
RUNS/<system>/seed*/evaluation/evaluation.json.

Every printed row is followed by ours: means over the tumour slices and, since the paper's one-scale
rows are pooled over pixels, the pooled figures. Several seeds: mean ± standard deviation. Our HD is
in pixels of a 384 x 384 slice, with millimetres behind, and the number of tumour slices (mean over
seeds) that have none because nothing was found on them.
"""

from __future__ import annotations

import csv
import io
import json
import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..run import demo_words
from .paper import TABLES, PaperRow, PaperTable
from .report import number, p_value, percent, table

NOT_RUN = "not run"
_MEANS: dict[str, tuple[str, ...]] = {
    "Dice": ("dice", "mean"),
    "Precision": ("precision", "mean"),
    "Recall": ("recall", "mean"),
    "CC": ("cc",),
    "HD": ("hd_px", "mean"),
}
_POOLED: dict[str, tuple[str, ...]] = {
    "Dice": ("dice",),
    "Precision": ("precision",),
    "Recall": ("recall",),
    "CC": ("cc",),
}


@dataclass(frozen=True)
class Value:
    """A figure over seeds."""

    seeds: tuple[float, ...]

    @property
    def mean(self) -> float:
        return statistics.fmean(self.seeds)

    @property
    def sd(self) -> float | None:
        return statistics.stdev(self.seeds) if len(self.seeds) > 1 else None


@dataclass(frozen=True)
class RunFiles:
    """The files read of one training run."""

    folder: Path
    evaluation: dict[str, Any] | None
    log: Path | None  # the detector's


def read_runs(folder: Path) -> dict[str, list[RunFiles]]:
    """System -> its training runs that have an evaluation or a detector's log, by seed."""
    if not folder.is_dir():
        raise FileNotFoundError(
            f"{folder}: no such folder; expected <system>/seed<k>/evaluation/evaluation.json in it"
        )
    out: dict[str, list[RunFiles]] = {}
    for run in sorted(
        folder.glob("*/seed*"),
        key=lambda p: (p.parent.name, int(p.name[4:]) if p.name[4:].isdigit() else -1),
    ):
        path, log = run / "evaluation" / "evaluation.json", run / "detector.csv"
        evaluation = None
        if path.exists():
            try:
                evaluation = json.loads(path.read_text())
                (
                    evaluation["segmentation"]["slices"],
                    evaluation["bundle"]["demo"],
                    evaluation["dataset"]["split"],
                )
            except (ValueError, KeyError, TypeError) as error:
                raise ValueError(
                    f"{path}: not what nasoseg-train evaluate writes ({error!r}); run it again on "
                    f"{run}"
                ) from None
        if evaluation or log.exists():
            out.setdefault(run.parent.name, []).append(
                RunFiles(run, evaluation, log if log.exists() else None)
            )
    return out


def look_up(content: Any, path: Sequence[str]) -> float | None:
    """A number inside nested dictionaries; None if there is none."""
    for name in path:
        content = content.get(name) if isinstance(content, dict) else None
    return content if isinstance(content, (int, float)) else None


def over_seeds(runs: Sequence[RunFiles], path: Sequence[str]) -> Value | None:
    """One figure of every training run that has it."""
    found = [look_up(r.evaluation, path) for r in runs if r.evaluation]
    there = tuple(float(v) for v in found if v is not None)
    return Value(there) if there else None


@dataclass(frozen=True)
class Line:
    """One row of ours below a printed one."""

    source: str  # `slices`, `pooled` or `boxes`
    values: dict[str, Value | None]
    mm: Value | None = None  # HD in mm
    without_hd: Value | None = None  # slices that have none, because one mask is empty
    seeds: int = 0
    sample: Value | None = None


def subgroup(
    evaluation: dict[str, Any], covariate: str, label: str
) -> tuple[dict[str, Any], dict[str, Any]] | None:
    """(the row of a group, its covariate) in an evaluation's subgroups.

    Table 8 is the covariate whose groups are T categories, Table 7 the one that has `chemo` in its
    name.
    """
    for group in evaluation.get("subgroups", []):
        rows = {str(r["group"]): r for r in group.get("rows", [])}
        if (covariate == "chemotherapy") == (
            "chemo" in group["covariate"].lower()
        ) and label in rows:
            return rows[label], group
    return None


def lines(paper_table: PaperTable, row: PaperRow, runs: Sequence[RunFiles]) -> list[Line]:
    """Our rows for one printed row; none if it was not run."""
    evaluated = [r for r in runs if r.evaluation]
    if paper_table.covariate:
        found = [
            s[0]
            for r in evaluated
            if r.evaluation and (s := subgroup(r.evaluation, paper_table.covariate, row.label))
        ]
        if not found:
            return []

        def value(name: str) -> Value | None:
            there = tuple(float(f[name]) for f in found if f[name] is not None)
            return Value(there) if there else None

        names = {
            "Dice": "dice",
            "Precision": "precision",
            "Recall": "recall",
            "CC": "cc",
            "HD": "hd_px",
        }
        return [
            Line(
                "slices",
                {c: value(n) for c, n in names.items()},
                value("hd_mm"),
                None,
                len(found),
                value("sample"),
            )
        ]
    if not evaluated:
        return []
    if paper_table.columns[0] == "Recall min":
        values = {
            c: over_seeds(evaluated, ("boxes", *c.lower().split())) for c in paper_table.columns
        }
        return [Line("boxes", values, seeds=len(evaluated))] if any(values.values()) else []
    out = []
    for source, paths in (("slices", _MEANS), ("pooled", _POOLED)):
        values = {
            c: over_seeds(evaluated, ("segmentation", source, *paths[c])) if c in paths else None
            for c in paper_table.columns
        }
        mm = (
            over_seeds(evaluated, ("segmentation", source, "hd_mm", "mean"))
            if "HD" in paths
            else None
        )
        without = (
            over_seeds(evaluated, ("segmentation", source, "hd_px", "undefined"))
            if "HD" in paths
            else None
        )
        out.append(Line(source, values, mm, without, len(evaluated)))
    return out


def _cell(column: str, value: Value | None, line: Line) -> str:
    if value is None:
        return "–"
    if column == "HD":
        spread = "" if value.sd is None else f" ± {value.sd:.2f}"
        notes = [] if line.mm is None else [f"{line.mm.mean:.2f} mm"]
        if line.without_hd and line.without_hd.mean:
            notes.append(f"no HD on {line.without_hd.mean:.0f}")
        return f"{value.mean:.2f}{spread}" + (f" ({'; '.join(notes)})" if notes else "")
    return percent(value.mean) + ("" if value.sd is None else f" ± {value.sd * 100:.2f}")


def _printed(column: str, value: float, also: dict[str, tuple[float, str]]) -> str:
    def form(v: float) -> str:
        return f"{v:g}" if column == "HD" else percent(v)

    return form(value) + (
        f" (or {form(also[column][0])}: {also[column][1]})" if column in also else ""
    )


_SOURCES = {"slices": "ours, mean of slices", "pooled": "ours, pooled", "boxes": "ours"}


def table_lines(paper_table: PaperTable, runs: dict[str, list[RunFiles]]) -> list[str]:
    """One table as Markdown."""
    sampled = bool(paper_table.covariate)
    body = []
    for row in paper_table.rows:
        printed = [
            _printed(c, v, row.also) for c, v in zip(paper_table.columns, row.printed, strict=True)
        ]
        body.append([row.label, "paper", *printed, *([str(row.sample)] if sampled else [])])
        ours = lines(paper_table, row, runs.get(row.system, []))
        if not ours:
            ran = sampled and any(r.evaluation for r in runs.get(row.system, []))
            body.append(
                [
                    row.label,
                    f"ours: {'no such cases' if ran else NOT_RUN}",
                    *["–"] * (len(printed) + sampled),
                ]
            )
        for line in ours:
            seeds = f" ({line.seeds} seeds)" if line.seeds > 1 else ""
            cells = [_cell(c, line.values.get(c), line) for c in paper_table.columns]
            body.append(
                [
                    row.label,
                    _SOURCES[line.source] + seeds,
                    *cells,
                    *([number(line.sample.mean if line.sample else None, 0)] if sampled else []),
                ]
            )
    head = [paper_table.head, "", *paper_table.columns, *(["Sample"] if sampled else [])]
    out = [
        f"## Table {paper_table.number}",
        "",
        f"{paper_table.title}.",
        "",
        *table(head, body),
        "",
    ]
    if sampled:
        out += _tests(paper_table, runs)
    return out


def _tests(paper_table: PaperTable, runs: dict[str, list[RunFiles]]) -> list[str]:
    """Our P values, seed by seed."""
    words = []
    for run in runs.get("seqseg", []):
        found = subgroup(run.evaluation or {}, paper_table.covariate, paper_table.rows[0].label)
        if found:
            s, p = found[1]["slices"], found[1]["patients"]
            words.append(
                f"{run.folder.name}: per slice Dice {p_value(s['dice']['p'])}, HD "
                f"{p_value(s['hd']['p'])}; "
                f"per patient Dice {p_value(p['dice']['p'])}, HD {p_value(p['hd']['p'])}"
            )
    return [f"Our P values (Mann-Whitney U, two-tailed). {'. '.join(words)}.", ""] if words else []


def demo_lines(runs: dict[str, list[RunFiles]]) -> list[str]:
    """The notice above the figures of demo models."""
    if any(r.evaluation["bundle"]["demo"] for many in runs.values() for r in many if r.evaluation):
        return [
            f"**{demo_words.OF_MANY}**",
            "",
        ]
    return []


def heading(runs: dict[str, list[RunFiles]]) -> list[str]:
    """Which cases the figures come from, and what can be compared."""
    evaluations = [r.evaluation for many in runs.values() for r in many if r.evaluation]
    sets = sorted(
        {
            f"{e['dataset'].get('name', '?')}, split {e['dataset']['split']}, "
            f"{e['cases']['evaluated']} cases"
            for e in evaluations
        }
    )
    identities = {
        (
            e["dataset"].get("hash"),
            e["dataset"]["split"],
            e["cases"]["asked"],
            tuple(sorted(f["case"] for f in e["cases"]["failed"])),
        )
        for e in evaluations
    }
    out = ["# The paper's tables", "", *demo_lines(runs)]
    if sets:
        out += [
            f"Ours: {'; '.join(sets)}. The paper's: its own 166 test patients. Only the order of "
            "rows can be compared.",
            "",
        ]
    if len(identities) > 1:
        out += [
            "**These runs were not evaluated on the same cases; their rows cannot be compared.**",
            "",
        ]
    failed = {
        f"{r.folder.parent.name}/{r.folder.name}": len(r.evaluation["cases"]["failed"])
        for many in runs.values()
        for r in many
        if r.evaluation and r.evaluation["cases"]["failed"]
    }
    if failed:
        out += [
            "Cases without a result: "
            + ", ".join(f"{name} {n}" for name, n in failed.items())
            + ".",
            "",
        ]
    return out


def to_csv(runs: dict[str, list[RunFiles]]) -> str:
    """Every cell as a line. Shares are fractions; our HD is in pixels, `HD mm` in mm."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["table", "row", "system", "source", "column", "mean", "sd", "seeds"])

    def write(row: tuple[Any, ...], column: str, v: Value | None) -> None:
        if v is not None:
            writer.writerow(
                [*row, column, repr(v.mean), "" if v.sd is None else repr(v.sd), len(v.seeds)]
            )

    for t in TABLES:
        for r in t.rows:
            for column, printed in zip(t.columns, r.printed, strict=True):
                writer.writerow(
                    [t.number, r.label, r.system, "paper", column, repr(printed), "", ""]
                )
                if column in r.also:
                    writer.writerow(
                        [
                            t.number,
                            r.label,
                            r.system,
                            f"paper, {r.also[column][1]}",
                            column,
                            repr(r.also[column][0]),
                            "",
                            "",
                        ]
                    )
            ours = lines(t, r, runs.get(r.system, []))
            if not ours:
                writer.writerow([t.number, r.label, r.system, NOT_RUN, "", "", "", ""])
            for line in ours:
                for column in t.columns:
                    write(
                        (t.number, r.label, r.system, line.source), column, line.values.get(column)
                    )
                write((t.number, r.label, r.system, line.source), "HD mm", line.mm)
                write(
                    (t.number, r.label, r.system, line.source), "slices without HD", line.without_hd
                )
    return text.getvalue()


def to_markdown(runs: dict[str, list[RunFiles]]) -> str:
    """All tables."""
    out = heading(runs)
    for t in TABLES:
        out += table_lines(t, runs)
    return "\n".join(out)
