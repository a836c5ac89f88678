"""A picture of a result, with matplotlib: for notebooks.

In: a detection, optionally its contours. Out: a figure with one panel per slice: the image that the
model saw, the agent's trajectory, the final box, the contours; the model's statement beneath.
"""

from __future__ import annotations

import io
import math
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from . import _abi
from ._abi import DemoText
from ._demo import demo_words
from ._extras import require
from ._native import wrong
from ._study import SequenceName, sequence_of

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from ._contours import Contours
    from ._detection import Detection

TRAJECTORY, FINAL_BOX, CONTOUR = "#5aaaff", "#ffd60a", "#ff465a"
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
    """A figure of the agent's trajectory (blue, from faint to strong), the final boxes (yellow) and
    the contours (red); the patient's right is on the left.

    `index`: which slices of the detection, by their position in it; by default all. `sequence`:
    "t1", "t1c" or "t2". `step`: shows only this many actions of the trajectory, for stepping
    through it (0 is the initial box). Requires the extra `show` (matplotlib).
    """
    require("matplotlib", "show", extra="show")
    chosen = (
        range(len(detection))
        if index is None
        else [index]
        if isinstance(index, int)
        else list(index)
    )
    if not chosen:
        raise wrong("index: found no slice, expected at least one")
    columns = min(columns, len(chosen))
    rows = math.ceil(len(chosen) / columns)
    figure, axes = _figure(rows, columns, detection)
    rings = _contours(detection, contours)
    for panel in axes.flat:
        panel.set_axis_off()
    for panel, at in zip(axes.flat, chosen):
        _panel(panel, detection, at, sequence_of(sequence), step)
        for ring in rings.get(at % len(detection), []):
            panel.fill(*ring.T, fill=False, edgecolor=CONTOUR, linewidth=1.2, joinstyle="round")
    return figure


def _figure(rows: int, columns: int, detection: Detection) -> tuple[Figure, Any]:
    """An empty figure with the model's statement beneath, and its [rows, columns] panels."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    class Picture(Figure):
        """Displays itself in a notebook, with any backend."""

        def _repr_png_(self) -> bytes:
            png = io.BytesIO()
            self.savefig(png, format="png", facecolor=self.get_facecolor())
            return png.getvalue()

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
    figure.text(
        0.01,
        0.05 / height,
        notes,
        color="#ff963c" if detection.model.is_demo else INK,
        fontsize=7,
        va="bottom",
    )
    return figure, axes


def _notes(detection: Detection, width: int) -> str:
    import textwrap

    model = detection.model
    mark = f"{demo_words(DemoText.BANNER)} " if model.is_demo else ""
    return textwrap.fill(
        f"{mark}{model.intended_use} {model.name} {model.version}. Not a medical device.", width
    )


def _panel(
    panel: Any, detection: Detection, at: int, sequence: _abi.Sequence, step: int | None
) -> None:
    from matplotlib.patches import Rectangle

    slice_, trajectory, grid = detection[at], detection.trajectory(at), detection.grid
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

    last = len(trajectory.boxes) if step is None else min(max(step, 0) + 1, len(trajectory.boxes))
    for number, box in enumerate(trajectory.boxes[:last]):
        newest = step is not None and number == last - 1
        draw(
            box,
            TRAJECTORY,
            alpha=0.25 + 0.65 * (number + 1) / last,
            linewidth=2.0 if newest else 0.9,
        )
    if slice_.box is not None and (step is None or last == len(trajectory.boxes)):
        draw(slice_.box, FINAL_BOX, linewidth=1.5)
    title = f"{slice_.slice}: z {slice_.position_mm:.1f} mm"
    if step is not None and 0 < last - 1 <= len(trajectory.actions):
        action = detection.actions[trajectory.actions[last - 2]]
        title += f", step {last - 1} of {len(trajectory.actions)}: {action}"
    elif slice_.statuses or slice_.edited:
        title += f", {slice_.statuses.words}" if slice_.statuses else ""
        title += ", edited" if slice_.edited else ""
    panel.set_title(title, color=INK, fontsize=7, pad=3)


def _contours(detection: Detection, contours: Contours | None) -> dict[int, list[Any]]:
    """The contours on every slice of the detection, in edge coordinates of the model's grid."""
    import numpy as np

    if not contours:
        return {}
    corners = [slice_.grid_corners_mm for slice_ in detection]
    normals = [np.cross(c[1] - c[0], c[3] - c[0]) for c in corners]
    normals = [normal / np.linalg.norm(normal) for normal in normals]
    found: dict[int, list[Any]] = {}
    for ring in contours:
        away = [
            abs(float((ring.points_mm[0] - c[0]) @ normal)) for c, normal in zip(corners, normals)
        ]
        at = int(np.argmin(away))
        if away[at] < SAME_PLANE_MM:
            found.setdefault(at, []).append(detection.to_grid(at, ring.points_mm))
    return found
