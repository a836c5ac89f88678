"""The boxes of a detection, and the user's edits of them.

In: the document of a run (plain JSON, so that the scene can keep it) and the user's edits. Out:
boxes and the agent's trajectories, on the model's grid and in the patient; the edited detection in
the library's own format. No MRML, no Qt.
"""

import json
from collections.abc import Sequence
from typing import NamedTuple, Optional

import numpy as np
from slicer.i18n import tr as _


class Trajectory(NamedTuple):
    boxes: np.ndarray
    """[steps + 1, 4]: x0, y0, x1, y1 on the model's grid."""
    actions: list
    """[steps]: their names."""
    q: np.ndarray
    """[steps, actions]"""


class Boxes:
    """`document`: see `Session`. `edits`: {position in the detection: box or None}."""

    def __init__(self, document: dict, edits: Optional[dict] = None) -> None:
        self.document = document
        self.slices = document["detection"]["slices"]
        self.grid = float(document["detection"]["grid"])
        self.edits = {
            int(index): box for index, box in (edits or {}).items() if int(index) < len(self.slices)
        }
        self._corners = np.array(document["grid_corners_mm"], float).reshape(-1, 4, 3)

    def __len__(self) -> int:
        return len(self.slices)

    # Boxes.

    def box(self, index: int) -> Optional[list]:
        return self.edits[index] if index in self.edits else self.slices[index]["box"]

    def edited(self, index: int) -> bool:
        return index in self.edits

    def set(self, index: int, box: Sequence[float]) -> None:
        """Clips a box to the grid, at least a pixel wide."""
        x0, y0, x1, y1 = (float(edge) for edge in np.clip(box, 0, self.grid))
        x0, x1 = min(x0, self.grid - 1), max(x1, min(x0, self.grid - 1) + 1)
        y0, y1 = min(y0, self.grid - 1), max(y1, min(y0, self.grid - 1) + 1)
        self.edits[index] = [x0, y0, x1, y1]

    def clear(self, index: int) -> None:
        """Marks this slice as free of lesions."""
        self.edits[index] = None

    def restore(self, index: int) -> None:
        """Back to the agent's box."""
        self.edits.pop(index, None)

    def borrow(self, index: int) -> bool:
        """Gives a slice the box of the nearest slice that has one; False if none has."""
        for distance in range(1, len(self)):
            for other in (index - distance, index + distance):
                box = self.box(other) if 0 <= other < len(self) else None
                if box is not None:
                    self.set(index, box)
                    return True
        return False

    # Places.

    def origin(self, index: int) -> np.ndarray:
        """The grid's point (0, 0) in the patient."""
        return self._corners[index, 0]

    def axes(self, index: int) -> np.ndarray:
        """[2, 3]: steps of one pixel of the grid, along x and y."""
        corners = self._corners[index]
        return np.stack([corners[1] - corners[0], corners[3] - corners[0]]) / self.grid

    def normal(self, index: int) -> np.ndarray:
        """Unit vector, from inferior to superior."""
        x, y = self.axes(index)
        normal = np.cross(x, y)
        return normal / np.linalg.norm(normal) * (1 if normal[2] >= 0 else -1)

    def thickness(self) -> float:
        """Distance between neighbouring slices, mm."""
        if len(self) < 2:
            return 1.0
        return float(np.abs(np.diff(self._corners[:, 0] @ self.normal(0))).min())

    def to_mm(self, index: int, points) -> np.ndarray:
        """[..., 2] on the grid -> [..., 3]"""
        return self.origin(index) + np.asarray(points, float) @ self.axes(index)

    def to_grid(self, index: int, points_mm) -> np.ndarray:
        """[..., 3] -> [..., 2], projected onto the slice along its normal."""
        return (np.asarray(points_mm, float) - self.origin(index)) @ np.linalg.pinv(
            self.axes(index)
        )

    def corners_mm(self, index: int, box: Optional[Sequence[float]] = None) -> Optional[np.ndarray]:
        """[4, 3]: (x0, y0), (x1, y0), (x1, y1), (x0, y1)."""
        box = self.box(index) if box is None else box
        if box is None:
            return None
        x0, y0, x1, y1 = box
        return self.to_mm(index, [(x0, y0), (x1, y0), (x1, y1), (x0, y1)])

    def nearest(self, point_mm) -> Optional[int]:
        """The slice whose slab contains a point."""
        distances = [
            abs((np.asarray(point_mm) - self.origin(index)) @ self.normal(index))
            for index in range(len(self))
        ]
        index = int(np.argmin(distances))
        return index if distances[index] <= self.thickness() / 2 * 1.001 else None

    # The agent.

    def trajectory(self, index: int) -> Optional[Trajectory]:
        found = self.slices[index]["trajectory"]
        if not found:
            return None
        names = self.document["detection"]["actions"]
        return Trajectory(
            np.array(found["boxes"], float).reshape(-1, 4),
            [names[action] for action in found["actions"]],
            np.array(found["q"], float),
        )

    # Results and statuses.

    def segmented(self, index: int) -> Optional[dict]:
        """Statuses and size of the mask; None before Segment."""
        results = self.document.get("segmented")
        return results[index] if results else None

    def stale(self, index: int) -> bool:
        """Whether the statuses, and the mask if there is one, belong to another box than the one
        shown.
        """
        made = self.segmented(index) or self.slices[index]
        return made["box"] != self.box(index)

    def words(self, index: int) -> str:
        """The statuses of a slice, in the library's words, and whether its box was edited."""
        statuses = (self.segmented(index) or {"words": self.document["words"][index]})["words"]
        words = [_("box changed: press Segment") if self.stale(index) else statuses]
        if self.edited(index):
            words.append(_("box cleared") if self.box(index) is None else _("box edited"))
        return "; ".join(words)

    # Back to the library.

    def detection_text(self) -> str:
        """The detection with the user's boxes, as the library reads it."""
        slices = [{**one, "box": self.box(index)} for index, one in enumerate(self.slices)]
        return json.dumps({**self.document["detection"], "slices": slices})


def to_text(edits: dict) -> str:
    return json.dumps({str(index): box for index, box in edits.items()})


def from_text(text: str) -> dict:
    return {int(index): box for index, box in json.loads(text or "{}").items()}
