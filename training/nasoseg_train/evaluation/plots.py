"""The plots of an evaluation, as PNG files. Every picture of a demo bundle shows the bundle's
warning (`run.demo_words`).
"""

from __future__ import annotations

import csv
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.layout_engine import ConstrainedLayoutEngine, TightLayoutEngine
from matplotlib.lines import Line2D
from matplotlib.patches import Patch, Rectangle

from ..run.files import replacing
from .rows import CaseRow, SliceRow
from .summary import volume_agreement

Array = np.ndarray
# Fig. 6 and 8: truth red, prediction green, both yellow.
TRUTH, FOUND, BOTH = (0.95, 0.15, 0.15), (0.1, 0.85, 0.2), (1.0, 0.9, 0.1)
COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#56b4e9", "#e69f00")
_DPI = 130


def figure(width: float, height: float) -> Figure:
    """A figure in inches, drawn without a display."""
    made = Figure(figsize=(width, height), layout="constrained")
    FigureCanvasAgg(made)
    return made


def save(made: Figure, path: Path, demo_warning: str = "") -> None:
    """Write a PNG that is complete or does not exist; a demo's warning is below the plot."""
    if demo_warning:
        # The warning has its own strip, so nothing is drawn over it.
        characters = int(made.get_figwidth() * 15)
        words, lines = demo_warning.split(), [""]
        for word in words:
            if len(lines[-1]) + len(word) > characters:
                lines.append("")
            lines[-1] += word + " "
        strip = (len(lines) * 0.16 + 0.1) / made.get_figheight()
        engine = made.get_layout_engine()
        assert isinstance(engine, ConstrainedLayoutEngine | TightLayoutEngine)
        engine.set(rect=(0, strip, 1, 1 - strip))
        made.text(
            0.01,
            0.06 / made.get_figheight(),
            "\n".join(lines),
            fontsize=8,
            color="#a00000",
            va="bottom",
        )
    with replacing(path) as partial:
        made.savefig(partial, format="png", dpi=_DPI, metadata={"Software": None})


def bland_altman(cases: Sequence[CaseRow], path: Path, demo_warning: str = "") -> bool:
    """Volumes of cases: found less true against their mean. False if there are fewer than two
    cases.
    """
    done = [c for c in cases if not c.error]
    agreement = volume_agreement(done)
    if agreement["count"] < 2:
        return False
    found, true = (np.array([getattr(c, name) for c in done]) for name in ("found_ml", "volume_ml"))
    made = figure(6.4, 4.4)
    axes = made.subplots()
    axes.axhline(0, color="0.8", linewidth=1, zorder=0)
    axes.scatter((found + true) / 2, found - true, s=22, color=COLOURS[0], alpha=0.75, linewidths=0)
    bias, (low, high) = agreement["bias_ml"], agreement["limits_ml"]
    for value, name, style in (
        (bias, "mean", "-"),
        (high, "mean + 1.96 SD", "--"),
        (low, "mean − 1.96 SD", "--"),
    ):
        axes.axhline(
            value,
            color=COLOURS[1],
            linestyle=style,
            linewidth=1.2,
            label=f"{name}: {value:+.2f} ml".replace("-", "−"),
        )
    axes.set(
        xlabel="mean of true and found volume (ml)",
        ylabel="found − true volume (ml)",
        title=f"Tumour volume, {len(done)} cases",
    )
    axes.legend(fontsize=8, loc="upper left", bbox_to_anchor=(0, -0.16), ncols=3, frameon=False)
    axes.margins(y=0.15)
    save(made, path, demo_warning)
    return True


def dice_against_area(rows: Sequence[SliceRow], path: Path, demo_warning: str = "") -> bool:
    """Dice of tumour slices against the tumour's area, with the median of bins of equal size."""
    tumour = [r for r in rows if r.tumour]
    if not tumour:
        return False
    area, dice = np.array([r.area_mm2 for r in tumour]) / 100, np.array([r.dice for r in tumour])
    made = figure(6.4, 4.2)
    axes = made.subplots()
    axes.scatter(
        area,
        dice,
        s=14,
        color=COLOURS[0],
        alpha=0.45,
        linewidths=0,
        label=f"{len(tumour)} tumour slices",
    )
    bins = min(10, len(tumour) // 8)
    if bins >= 2:
        parts = np.array_split(np.argsort(area), bins)
        medians = [[np.median(values[p]) for p in parts] for values in (area, dice)]
        axes.plot(
            *medians,
            "o-",
            color=COLOURS[1],
            markersize=4,
            linewidth=1.4,
            label=f"median of {bins} bins of equally many slices",
        )
    axes.set_xscale("log")
    low, high = area.min() / 1.3, area.max() * 1.3
    axes.set_xlim(low, high)
    # Plain numbers, few enough to be legible.
    ticks = [t * 10.0**e for e in range(-3, 4) for t in (1, 2, 5) if low <= t * 10.0**e <= high]
    axes.set_xticks(ticks, [f"{t:g}" for t in ticks])
    axes.minorticks_off()
    axes.set(
        xlabel="true area in the slice (cm²)",
        ylabel="Dice",
        ylim=(-0.03, 1.03),
        title="Dice against tumour area",
    )
    axes.grid(alpha=0.25)
    axes.legend(fontsize=8, loc="lower right")
    save(made, path, demo_warning)
    return True


@dataclass(frozen=True)
class Shown:
    """One slice to show."""

    title: str
    image: Array  # T1C [rows, columns]
    truth: Array  # bool
    found: Array  # bool
    spacing_mm: tuple[float, float]  # between rows, between columns
    box: tuple[float, float, float, float] | None  # pixel edges


def overlay(image: Array, truth: Array, found: Array, opacity: float = 0.55) -> Array:
    """A grey image with the masks in the paper's colours: float [rows, columns, 3]."""
    top = np.percentile(image[image > 0], 99.5) if (image > 0).any() else 1.0
    out = np.repeat(np.clip(image / top, 0, 1)[..., None].astype(float), 3, axis=2)
    for where, colour in ((truth & ~found, TRUTH), (found & ~truth, FOUND), (truth & found, BOTH)):
        out[where] = (1 - opacity) * out[where] + opacity * np.array(colour)
    return out


def pictures(shown: Sequence[Sequence[Shown]], path: Path, demo_warning: str = "") -> bool:
    """One line per case. Each of its slices is shown as T1C with the detection box, then with
    truth, prediction and their overlap.
    """
    if not shown:
        return False
    across = max(map(len, shown))
    made = figure(5.6 * across, 3.05 * len(shown) + 0.5)
    axes = made.subplots(len(shown), 2 * across, squeeze=False)
    for line, case in zip(axes, shown, strict=True):
        for place in line[2 * len(case) :]:
            place.set_visible(False)
        for n, one in enumerate(case):
            nothing = np.zeros_like(one.truth)
            _show(line[2 * n], one, nothing, nothing)
            _show(line[2 * n + 1], one, one.truth, one.found)
            line[2 * n].set_title(one.title, fontsize=8.5, loc="left")
    key: list[Patch | Line2D] = [
        Patch(color=colour, label=label)
        for colour, label in ((TRUTH, "truth alone"), (FOUND, "prediction alone"), (BOTH, "both"))
    ]
    if any(one.box for case in shown for one in case):
        key.append(Line2D([], [], color="0.45", linestyle="--", linewidth=1, label="detection box"))
    made.legend(handles=key, loc="outside upper center", ncols=4, fontsize=9, frameon=False)
    save(made, path, demo_warning)
    return True


def _show(place: Axes, one: Shown, truth: Array, found: Array) -> None:
    """One slice around the tumour: a square of the patient that holds both masks and the box."""
    ys, xs = np.nonzero(one.truth | one.found)
    rows, columns = one.image.shape
    dy, dx = one.spacing_mm
    y0, y1, x0, x1 = (
        (ys.min(), ys.max() + 1, xs.min(), xs.max() + 1) if len(ys) else (0, rows, 0, columns)
    )
    if one.box:
        x0, y0, x1, y1 = (
            min(x0, one.box[0]),
            min(y0, one.box[1]),
            max(x1, one.box[2]),
            max(y1, one.box[3]),
        )
    side = max((y1 - y0) * dy, (x1 - x0) * dx, 60) * 1.25  # mm; no closer than this
    cy, cx = (y0 + y1) / 2 * dy, (x0 + x1) / 2 * dx
    place.imshow(
        overlay(one.image, truth, found),
        extent=(0, columns * dx, rows * dy, 0),
        interpolation="nearest",
    )
    place.set(
        xlim=(cx - side / 2, cx + side / 2),
        ylim=(cy + side / 2, cy - side / 2),
        xticks=[],
        yticks=[],
        facecolor="black",
    )
    if one.box:
        size = ((one.box[2] - one.box[0]) * dx, (one.box[3] - one.box[1]) * dy)
        place.add_patch(
            Rectangle(
                (one.box[0] * dx, one.box[1] * dy),
                *size,
                fill=False,
                edgecolor="white",
                linewidth=1,
                linestyle="--",
            )
        )
    left, low = cx - side * 0.46, cy + side * 0.46
    place.plot([left, left + 20], [low, low], color="black", linewidth=5, solid_capstyle="butt")
    place.plot(
        [left + 0.3, left + 19.7], [low, low], color="white", linewidth=2.5, solid_capstyle="butt"
    )
    place.text(
        left,
        low - side * 0.02,
        "20 mm",
        color="white",
        fontsize=7,
        va="bottom",
        bbox={"color": "black", "alpha": 0.55, "pad": 1},
    )


def read_log(path: Path) -> dict[str, Array]:
    """The columns of a detector's log (CSV with a header); missing values are NaN."""
    with open(path, newline="") as file:
        lines: list[Mapping[str, object]] = list(csv.DictReader(file))
    for name in ("epoch", "loss"):
        if not lines or name not in lines[0]:
            raise ValueError(f"{path}: expected a training log with the columns epoch and loss")

    def number(value: object) -> float:
        return float("nan") if value in (None, "") else float(str(value))

    names = {name for line in lines for name in line}
    out = {}
    for name in names:
        try:
            out[name] = np.array([number(line.get(name)) for line in lines])
        except ValueError:
            continue  # a column of text
    return out


def convergence(logs: Mapping[str, Sequence[Path]], path: Path, demo_warning: str = "") -> bool:
    """Fig. 5: the loss of every epoch, one colour per system, thin lines per seed and a thick one
    for their mean.

    Beside it recall on validation slices, if the logs hold it.
    """
    read = {name: [read_log(one) for one in paths] for name, paths in logs.items() if paths}
    if not read:
        return False
    panels = [("loss", "mean loss of the epoch")]
    if any(
        "recall" in log and not np.isnan(log["recall"]).all()
        for many in read.values()
        for log in many
    ):
        panels.append(("recall", "box recall on validation slices"))
    made = figure(5.2 * len(panels), 4.0)
    for axes, (column, label) in zip(
        made.subplots(1, len(panels), squeeze=False)[0], panels, strict=True
    ):
        for colour, (name, many) in zip(
            COLOURS * math.ceil(len(read) / len(COLOURS)), read.items(), strict=False
        ):
            values: dict[float, list[float]] = {}
            for log in many:
                if column not in log:
                    continue
                there = ~np.isnan(log[column])
                if len(many) > 1:
                    axes.plot(
                        log["epoch"][there] + 1,
                        log[column][there],
                        color=colour,
                        alpha=0.3,
                        linewidth=0.8,
                    )
                for epoch, value in zip(log["epoch"][there] + 1, log[column][there], strict=True):
                    values.setdefault(epoch, []).append(value)
            epochs = sorted(values)
            seeds = f" ({len(many)} seeds)" if len(many) > 1 else ""
            axes.plot(
                epochs,
                [np.mean(values[e]) for e in epochs],
                color=colour,
                linewidth=1.8,
                label=name + seeds,
                marker="." if len(epochs) < 30 else None,
            )
        axes.set(xlabel="epoch", ylabel=label)
        axes.grid(alpha=0.25)
        axes.legend(fontsize=8)
    save(made, path, demo_warning)
    return True
