"""A picture of what was found, with matplotlib: for notebooks.

In: a detection, perhaps its contours. Out: a figure with one panel per slice: the image that the
model saw, the agent's walk, the final box, the outline; the model's statement beneath.
"""

from __future__ import annotations

import io
import math
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from . import _abi
from ._native import wrong
from ._results import words
from ._study import SequenceName, sequence_of

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from ._results import Contours, Detection

WALK, FINAL_BOX, OUTLINE = "#5aaaff", "#ffd60a", "#ff465a"
BACKGROUND, INK = "#101216", "#e1e4e8"
SAME_PLANE_MM = 0.01


def show(
    detection: Detection,
    contours: Contours | None = None,
    *,
    index: int | Iterable[int] | None = None,
    sequence: SequenceName = "t1c",
    step: int | None = None,
    columns: int = 6,
) -> Figure:
    """A figure of the agent's walk (blue, from faint to strong), the final boxes (yellow) and the
    contours (red), patient's right on the left.

    `index`: which slices of the detection, by their position in it; by default all. `sequence`:
    "t1", "t1c" or "t2". `step`: shows the walk up to this many actions only, for stepping through
    it (0 is the initial box). Needs matplotlib (`pip install nasoseg[show]`).
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    class Picture(Figure):
        """Shows itself in a notebook, whatever backend is active."""

        def _repr_png_(self) -> bytes:
            png = io.BytesIO()
            self.savefig(png, format="png", facecolor=self.get_facecolor())
            return png.getvalue()

    chosen = (
        range(len(detection))
        if index is None
        else [index]
        if isinstance(index, int)
        else list(index)
    )
    if not chosen:
        raise wrong("index: at least one slice was expected")
    columns = min(columns, len(chosen))
    rows = math.ceil(len(chosen) / columns)
    # Inches.
    width = max(2.4 * columns, 4.8)
    side, title = 0.99 * width / columns, 0.28
    notes = _notes(detection, int(width * 13))
    foot = 0.14 * (notes.count("\n") + 1) + 0.12
    height = rows * (side + title) + foot
    figure = Picture(figsize=(width, height), dpi=110, facecolor=BACKGROUND)
    FigureCanvasAgg(figure)
    axes = figure.subplots(rows, columns, squeeze=False)
    figure.subplots_adjust(
        left=0.01,
        right=0.99,
        top=1 - title / height,
        bottom=foot / height,
        wspace=0.03,
        hspace=title / side,
    )
    outlines = _outlines(detection, contours)
    for panel in axes.flat:
        panel.set_axis_off()
    for panel, at in zip(axes.flat, chosen):
        _panel(panel, detection, at, sequence_of(sequence), step)
        for outline in outlines.get(at % len(detection), []):
            panel.fill(*outline.T, fill=False, edgecolor=OUTLINE, linewidth=1.2, joinstyle="round")
    figure.text(
        0.01,
        0.05 / height,
        notes,
        color="#ff963c" if detection.model.is_demo else INK,
        fontsize=7,
        va="bottom",
    )
    return figure


def _notes(detection: Detection, width: int) -> str:
    import textwrap

    model = detection.model
    mark = "DEMO MODEL, NOT FOR CLINICAL USE. " if model.is_demo else ""
    return textwrap.fill(
        f"{mark}{model.intended_use} {model.name} {model.version}. Not a medical device.", width
    )


def _panel(
    panel: Any, detection: Detection, at: int, sequence: _abi.Sequence, step: int | None
) -> None:
    from matplotlib.patches import Rectangle

    slice_, walk, grid = detection[at], detection.trajectory(at), detection.grid
    panel.imshow(
        detection.image(at)[sequence],
        cmap="gray",
        vmin=0,
        vmax=1,
        extent=(0, grid, grid, 0),
        interpolation="bilinear",
    )

    def draw(box: Any, colour: str, **style: Any) -> None:
        x0, y0, x1, y1 = box
        panel.add_patch(
            Rectangle((x0, y0), x1 - x0, y1 - y0, fill=False, edgecolor=colour, **style)
        )

    last = len(walk.boxes) if step is None else min(max(step, 0) + 1, len(walk.boxes))
    for number, box in enumerate(walk.boxes[:last]):
        newest = step is not None and number == last - 1
        draw(box, WALK, alpha=0.25 + 0.65 * (number + 1) / last, linewidth=2.0 if newest else 0.9)
    if slice_.box is not None and (step is None or last == len(walk.boxes)):
        draw(slice_.box, FINAL_BOX, linewidth=1.5)
    title = f"{slice_.slice}: z {slice_.position_mm:.1f} mm"
    if step is not None and 0 < last - 1 <= len(walk.actions):
        title += (
            f", step {last - 1} of {len(walk.actions)}: {detection.actions[walk.actions[last - 2]]}"
        )
    elif slice_.statuses or slice_.edited:
        title += f", {words(slice_.statuses)}" if slice_.statuses else ""
        title += ", edited" if slice_.edited else ""
    panel.set_title(title, color=INK, fontsize=7, pad=3)


def _outlines(detection: Detection, contours: Contours | None) -> dict[int, list[Any]]:
    """The lines of every slice of the detection, on the model's grid."""
    import numpy as np

    if not contours:
        return {}
    corners = [slice_.grid_corners_mm for slice_ in detection]
    normals = [np.cross(c[1] - c[0], c[3] - c[0]) for c in corners]
    normals = [normal / np.linalg.norm(normal) for normal in normals]
    found: dict[int, list[Any]] = {}
    for line in contours:
        away = [
            abs(float((line.points_mm[0] - c[0]) @ normal)) for c, normal in zip(corners, normals)
        ]
        at = int(np.argmin(away))
        if away[at] < SAME_PLANE_MM:
            found.setdefault(at, []).append(detection.to_grid(at, line.points_mm))
    return found
