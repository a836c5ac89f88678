"""Stage one's result: a bounding box on every slice, editable.

In: a handle made by `nasoseg_detect` or `nasoseg_detection_read`. Out: `Detection`. Arrays are
views of the library's memory, read-only, and keep it alive. Patient coordinates are LPS, mm; boxes
are pixel edges x0, y0, x1, y1 on the model's grid.
"""

from __future__ import annotations

import ctypes
import operator
from collections.abc import Iterator
from collections.abc import Sequence as SequenceOf
from typing import TYPE_CHECKING, NamedTuple, SupportsIndex, overload

from . import _abi
from ._inputs import StrPath
from ._native import Handle, Owner, call, encoded, filled, lib, storage_slice, text, view, wrong
from ._run import Cancel, ProgressCallback, run

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import ArrayLike, NDArray

    from ._contours import Contours
    from ._engine import Engine
    from ._segmentation import Segmentation


class BoundingBox(NamedTuple):
    """Pixel edges on the model's grid: pixel n reaches from n to n + 1 and its centre is n + 0.5.
    x runs along columns (patient right to left), y along rows (anterior to posterior).

    The voxel indices of `Contour.points_index` are another convention: there index i is the centre
    of voxel i.
    """

    x0: float
    y0: float
    x1: float
    y1: float


class DetectionSlice(NamedTuple):
    """One slice of a detection."""

    slice: int
    """Canonical number: from 0, from inferior to superior."""
    storage_slice: int | None
    """Index along the storage axis between inferior and superior: k for DICOM and for any
    image stored axially. None if T1C was resliced.
    """
    position_mm: float
    """z (LPS, mm) of the slice's centre."""
    sop_instance_uid: str
    """Of a DICOM slice; "" otherwise."""
    frame: int
    """Original 1-based frame of a multi-frame image; 0 otherwise."""
    statuses: _abi.SliceStatus
    """Flags; 0 if there is nothing to report."""
    edited: bool
    """Whether the box was replaced or cleared by the caller."""
    box: BoundingBox | None
    """None if the slice is not to be segmented."""
    corners_mm: NDArray[np.float64] | None
    """[4, 3]: the box's corners (x0, y0), (x1, y0), (x1, y1), (x0, y1), LPS mm."""
    grid_corners_mm: NDArray[np.float64]
    """[4, 3]: the corners of the model's whole grid on this slice, in the same order."""


class Trajectory(NamedTuple):
    """The agent's trajectory on one slice."""

    actions: NDArray[np.uint32]
    """[steps] uint32: the actions taken, the terminal one included; `Engine.actions` has their
    names.
    """
    boxes: NDArray[np.float64]
    """[steps + 1, 4] float64: x0, y0, x1, y1 of the initial box, then of the box after every
    action. [0, 4] if no agent ran on this slice.
    """
    q: NDArray[np.float32]
    """[steps, actions] float32: the Q value of every action at every step."""
    stopped: bool
    """Whether the agent chose to stop; otherwise the step limit ended the trajectory."""


class Detection(Owner, SequenceOf[DetectionSlice]):
    """A box per slice, editable, with the agent's trajectories: a sequence of `DetectionSlice` in
    canonical order.

    Positions in this sequence ("index") count from 0; a slice's canonical number is
    `detection[index].slice`.
    """

    def __init__(self, handle: Handle, engine: Engine) -> None:
        self._handle = handle
        self.model = engine.model
        """The model that found the boxes."""
        self.grid = engine.grid
        """Side of the model's grid, pixels."""
        self.actions = engine.actions
        """Names of the agent's actions."""

    def __len__(self) -> int:
        return int(lib.nasoseg_detection_slice_count(self._pointer()))

    def __iter__(self) -> Iterator[DetectionSlice]:
        return (self[index] for index in range(len(self)))

    @overload
    def __getitem__(self, index: SupportsIndex) -> DetectionSlice: ...
    @overload
    def __getitem__(self, index: slice) -> list[DetectionSlice]: ...
    def __getitem__(self, index: SupportsIndex | slice) -> DetectionSlice | list[DetectionSlice]:
        if isinstance(index, slice):
            return [self[at] for at in range(*index.indices(len(self)))]
        import numpy as np

        s = filled(
            _abi.nasoseg_detection_slice,
            lib.nasoseg_detection_get_slice,
            self._pointer(),
            self._index(index),
        )
        b = s.bounding_box
        return DetectionSlice(
            s.slice,
            storage_slice(s.storage_slice),
            s.position_mm,
            text(s.sop_instance_uid),
            s.frame,
            _abi.SliceStatus(s.statuses),
            s.edited,
            BoundingBox(b.x0, b.y0, b.x1, b.y1) if s.has_box else None,
            np.reshape(s.corners_mm, (4, 3)) if s.has_box else None,
            np.reshape(s.grid_corners_mm, (4, 3)),
        )

    def _index(self, index: SupportsIndex) -> int:
        count, at = len(self), operator.index(index)
        if not -count <= at < count:
            raise IndexError(
                f"slice index: found {at}, expected an index into the detection's {count} slices. "
                "Give one from 0, or a negative one from the end"
            )
        return at % count

    def trajectory(self, index: int) -> Trajectory:
        """The agent's trajectory on a slice; arrays are views."""
        t = filled(
            _abi.nasoseg_trajectory,
            lib.nasoseg_detection_get_trajectory,
            self._pointer(),
            self._index(index),
        )
        held, steps = self._held(), t.steps
        return Trajectory(
            view(held, t.actions, (steps,), "uint32"),
            view(held, t.boxes, (steps + 1 if steps else 0, 4), "float64"),
            view(held, t.q, (steps, t.action_count), "float32"),
            t.stopped,
        )

    def image(self, index: int) -> NDArray[np.float32]:
        """[3, grid, grid] float32 in 0 .. 1: T1, T1C and T2 of a slice as the model sees them, rows
        from anterior to posterior; a view.
        """
        image = filled(
            _abi.nasoseg_slice_image,
            lib.nasoseg_detection_get_image,
            self._pointer(),
            self._index(index),
        )
        return view(self._held(), image.pixels, (3, image.grid, image.grid), "float32")

    def set_box(self, index: int, box: SequenceOf[float]) -> None:
        """Replaces the box of a slice: x0, y0, x1, y1 inside 0 .. grid. Segment again to see the
        effect.
        """
        x0, y0, x1, y1 = (float(edge) for edge in box)
        raw = _abi.nasoseg_bounding_box(x0, y0, x1, y1)
        call(lib.nasoseg_detection_set_box, self._pointer(), self._index(index), ctypes.byref(raw))

    def set_box_mm(self, index: int, points_mm: ArrayLike) -> None:
        """Replaces the box of a slice by the smallest one around points of the patient: [n, 3], LPS
        mm, n at least 2. Points beyond the model's grid are cut off at its edge.
        """
        points = self.to_grid(index, points_mm)
        if points.ndim != 2 or len(points) < 2:
            raise wrong(
                f"points_mm: found shape {(*points.shape[:-1], 3)}, expected [n, 3] with n "
                "at least 2. Give at least two points"
            )
        self.set_box(index, (*points.min(0).clip(0, self.grid), *points.max(0).clip(0, self.grid)))

    def clear_box(self, index: int) -> None:
        """Marks a slice as free of lesions: it is not segmented."""
        call(lib.nasoseg_detection_clear_box, self._pointer(), self._index(index))

    def to_mm(self, index: int, points: ArrayLike) -> NDArray[np.float64]:
        """Places points of the model's grid, [..., 2] (x, y, in edge coordinates), in the patient
        on a slice: [..., 3], LPS mm.
        """
        import numpy as np

        origin, x, y = self._axes(index)
        moved: NDArray[np.float64] = origin + np.asarray(points, np.float64) @ np.stack([x, y])
        return moved

    def to_grid(self, index: int, points_mm: ArrayLike) -> NDArray[np.float64]:
        """Projects points of the patient, [..., 3] (LPS mm), onto a slice along its normal: [...,
        2], edge coordinates of the model's grid.
        """
        import numpy as np

        origin, x, y = self._axes(index)
        away = np.asarray(points_mm, np.float64) - origin
        found: NDArray[np.float64] = away @ np.linalg.pinv(np.stack([x, y]))
        return found

    def _axes(
        self, index: int
    ) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
        """Where the grid's point (0, 0) lies, and the steps of one pixel along x and y."""
        corners = self[index].grid_corners_mm
        return (
            corners[0],
            (corners[1] - corners[0]) / self.grid,
            (corners[3] - corners[0]) / self.grid,
        )

    def write(
        self,
        file: StrPath,
        *,
        progress: ProgressCallback | None = None,
        cancel: Cancel | None = None,
    ) -> None:
        """Writes JSON that `Engine.read_detection` and `nasoseg segment` read."""
        run(
            lib.nasoseg_detection_write,
            self._pointer(),
            encoded(file, "file"),
            None,
            progress=progress,
            cancel=cancel,
        )

    def write_preview(
        self,
        segmentation: Segmentation,
        contours: Contours,
        file: StrPath,
        *,
        progress: ProgressCallback | None = None,
        cancel: Cancel | None = None,
    ) -> None:
        """Writes a PNG with the three sequences, the agent's trajectory, the final box and the
        contours of every slice.
        """
        arguments = (
            self._pointer(),
            segmentation._pointer(),
            contours._pointer(),
            encoded(file, "file"),
            None,
        )
        run(lib.nasoseg_write_preview, *arguments, progress=progress, cancel=cancel)
