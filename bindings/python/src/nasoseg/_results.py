"""What the stages give: boxes, masks, contours.

In: handles that the stages made. Out: `Detection`, `Segmentation`, `Contours`. Arrays are views of
the library's memory, read-only, and keep it alive. Patient coordinates are LPS, mm; arrays are [k,
j, i]; boxes are pixel edges x0, y0, x1, y1 on the model's grid.
"""

from __future__ import annotations

import ctypes
import operator
from collections.abc import Iterator, Sequence as SequenceOf
from typing import TYPE_CHECKING, Any, NamedTuple

from . import _abi
from ._inputs import StrPath
from ._native import (
    Error,
    Handle,
    Owner,
    call,
    encoded,
    filled,
    given,
    lend,
    lib,
    options,
    text,
    wrong,
)
from ._run import Cancel, ProgressCallback, run

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import ArrayLike

    from ._engine import Engine


_NO_SLICE = ctypes.c_size_t(-1).value
"""What the library says where there is no such slice."""


class ModelInfo(NamedTuple):
    """The model that a result came from."""

    name: str
    version: str
    hash: str
    """SHA-256 of the model's manifest, 64 hexadecimal digits."""
    intended_use: str
    """Show it beside every result."""
    is_demo: bool
    """A demonstration: no result of it may be called a target."""


class Box(NamedTuple):
    """Pixel edges on the model's grid: index i is the centre of pixel i, its edges are i and i + 1.
    x runs along columns (patient right to left), y along rows (anterior to posterior).
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
    """Index along the storage axis that runs from head to foot: k for DICOM and for any image
    stored axially. None where T1C was resliced.
    """
    position_mm: float
    """z (LPS, mm) of the slice's centre."""
    sop_instance_uid: str
    """Of a DICOM slice; "" otherwise."""
    frame: int
    """Original 1-based frame of a multi-frame image; 0 otherwise."""
    statuses: _abi.SliceStatus
    edited: bool
    """Whether the box was replaced or cleared by the caller."""
    box: Box | None
    """None where the slice is not to be segmented."""
    corners_mm: np.ndarray | None
    """[4, 3]: the box's corners (x0, y0), (x1, y0), (x1, y1), (x0, y1), LPS mm."""
    grid_corners_mm: np.ndarray
    """[4, 3]: the corners of the model's whole grid on this slice, in the same order."""


class Trajectory(NamedTuple):
    """The agent's walk on one slice."""

    actions: np.ndarray
    """[steps] uint32: the actions taken, the terminal one included; `Engine.actions` has their
    names.
    """
    boxes: np.ndarray
    """[steps + 1, 4] float64: x0, y0, x1, y1 of the initial box, then of the box after every
    action. [0, 4] where the agent did not look.
    """
    q: np.ndarray
    """[steps, actions] float32: the Q value of every action at every step."""
    stopped: bool
    """Whether the agent chose to stop; otherwise the step limit ended the walk."""


class SegmentationSlice(NamedTuple):
    """One slice of a segmentation."""

    slice: int
    storage_slice: int | None
    """None where T1C was resliced."""
    position_mm: float
    statuses: _abi.SliceStatus
    pixels: int
    """Pixels of the mask."""
    area_mm2: float


class ContourLine(NamedTuple):
    """One closed line on one slice; the last point joins the first and is not repeated."""

    storage_slice: int
    """Index along T1C's storage slice axis (of the canonical axial slices, where T1C's storage is
    not axial).
    """
    points_mm: np.ndarray
    """[points, 3] float64: x, y, z, LPS mm, on the slice's plane."""
    points_index: np.ndarray
    """[points, 2] float64: continuous voxel indices i, j."""
    is_hole: bool
    parent: int | None
    """For a hole: index of the outer line around it."""
    area_mm2: float
    """Inside the line; holes not subtracted."""


def _storage(number: int) -> int | None:
    return None if number == _NO_SLICE else number


def words(statuses: _abi.SliceStatus | int) -> str:
    """The statuses of a slice in words, for example "no lesion, step limit reached"; "ok" where
    there is none.
    """
    value = int(statuses)
    names = [str(flag.name).lower().replace("_", " ") for flag in _abi.SliceStatus if value & flag]
    unknown = value & ~sum(_abi.SliceStatus)
    return ", ".join(names + ([f"status {unknown}"] if unknown else [])) or "ok"


class Detection(Owner, SequenceOf[DetectionSlice]):
    """A box per slice, editable, with the agent's walks: a sequence of `DetectionSlice` in
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
        return lib.nasoseg_detection_slice_count(self._pointer())

    def __iter__(self) -> Iterator[DetectionSlice]:
        return (self[index] for index in range(len(self)))

    def __getitem__(self, index: Any) -> Any:
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
            _storage(s.storage_slice),
            s.position_mm,
            text(s.sop_instance_uid),
            s.frame,
            _abi.SliceStatus(s.statuses),
            s.edited,
            Box(b.x0, b.y0, b.x1, b.y1) if s.has_box else None,
            np.reshape(s.corners_mm, (4, 3)) if s.has_box else None,
            np.reshape(s.grid_corners_mm, (4, 3)),
        )

    def _index(self, index: int) -> int:
        count, at = len(self), operator.index(index)
        if not -count <= at < count:
            raise IndexError(f"slice index {index}: the detection has {count} slices")
        return at % count

    def trajectory(self, index: int) -> Trajectory:
        """The agent's walk on a slice; arrays are views."""
        t = filled(
            _abi.nasoseg_trajectory,
            lib.nasoseg_detection_get_trajectory,
            self._pointer(),
            self._index(index),
        )
        held, steps = self._held(), t.steps
        return Trajectory(
            lend(held, t.actions, (steps,), "uint32"),
            lend(held, t.boxes, (steps + 1 if steps else 0, 4), "float64"),
            lend(held, t.q, (steps, t.action_count), "float32"),
            t.stopped,
        )

    def image(self, index: int) -> np.ndarray:
        """[3, grid, grid] float32 in 0 .. 1: T1, T1C and T2 of a slice as the model sees them, rows
        from anterior to posterior; a view.
        """
        image = filled(
            _abi.nasoseg_slice_image,
            lib.nasoseg_detection_get_image,
            self._pointer(),
            self._index(index),
        )
        return lend(self._held(), image.pixels, (3, image.grid, image.grid), "float32")

    def set_box(self, index: int, box: SequenceOf[float]) -> None:
        """Replaces the box of a slice: x0, y0, x1, y1 inside 0 .. grid. Segment again to see the
        effect.
        """
        x0, y0, x1, y1 = (float(edge) for edge in box)
        raw = _abi.nasoseg_box(x0, y0, x1, y1)
        call(lib.nasoseg_detection_set_box, self._pointer(), self._index(index), ctypes.byref(raw))

    def set_box_mm(self, index: int, points_mm: ArrayLike) -> None:
        """Replaces the box of a slice by the smallest one around points of the patient: [n, 3], LPS
        mm, n at least 2. Points beyond the model's grid are cut off at its edge.
        """
        points = self.to_grid(index, points_mm)
        if points.ndim != 2 or len(points) < 2:
            raise wrong(
                f"points_mm: at least two points, [n, 3], were expected, not shape {(*points.shape[:-1], 3)}"
            )
        self.set_box(index, (*points.min(0).clip(0, self.grid), *points.max(0).clip(0, self.grid)))

    def clear_box(self, index: int) -> None:
        """Says that a slice holds no lesion: it is not segmented."""
        call(lib.nasoseg_detection_clear_box, self._pointer(), self._index(index))

    def to_mm(self, index: int, points: ArrayLike) -> np.ndarray:
        """Where points of the model's grid, [..., 2] (x, y, pixel edges), lie in the patient on a
        slice: [..., 3], LPS mm.
        """
        import numpy as np

        origin, x, y = self._axes(index)
        return origin + np.asarray(points, np.float64) @ np.stack([x, y])

    def to_grid(self, index: int, points_mm: ArrayLike) -> np.ndarray:
        """Which points of the model's grid, [..., 2], are nearest to points of the patient, [...,
        3] (LPS mm): these are moved to the slice's plane along its normal.
        """
        import numpy as np

        origin, x, y = self._axes(index)
        return (np.asarray(points_mm, np.float64) - origin) @ np.linalg.pinv(np.stack([x, y]))

    def _axes(self, index: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
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
        """Writes JSON that `Engine.read_detection` and `nasoseg segment` take back."""
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
        """Writes a PNG with the three sequences, the agent's walk, the final box and the contour of
        every slice.
        """
        arguments = (
            self._pointer(),
            segmentation._pointer(),
            contours._pointer(),
            encoded(file, "file"),
            None,
        )
        run(lib.nasoseg_write_preview, *arguments, progress=progress, cancel=cancel)


class Segmentation(Owner):
    """Mask and probability on T1C's own grid, in its storage order, with statistics. It never
    changes.
    """

    def __init__(self, handle: Handle, model: ModelInfo) -> None:
        import numpy as np

        self._handle = handle
        self.model = model
        """The model that made it."""
        v = filled(
            _abi.nasoseg_segmentation_view, lib.nasoseg_segmentation_get_view, handle.pointer
        )
        ni, nj, nk = v.size
        self._mask, self._probability, self._origins = v.mask, v.probability, v.origins
        self.shape: tuple[int, int, int] = (nk, nj, ni)
        """(nk, nj, ni): of `mask` and `probability`."""
        self.threshold: float = v.threshold
        """The probability from which a voxel belongs to the mask."""
        self.volume_mm3: float = v.volume_mm3
        self.edited: bool = v.edited
        """Whether a box was replaced or cleared by the caller."""
        affine = np.reshape(v.affine, (4, 4))
        self.affine: np.ndarray | None = affine if affine[3, 3] == 1.0 else None
        """[4, 4]: (i, j, k, 1) to LPS mm, for voxel centres. None for unevenly spaced slices, which
        have `origins` only.
        """
        self.axis_i: np.ndarray = np.array(v.axis_i)
        """[3]: step from voxel to voxel along i, LPS mm."""
        self.axis_j: np.ndarray = np.array(v.axis_j)
        """[3]: step along j."""

    @property
    def mask(self) -> np.ndarray:
        """[k, j, i] uint8: 1 where the probability is at least the threshold, else 0; a view."""
        return lend(self._held(), self._mask, self.shape, "uint8")

    @property
    def probability(self) -> np.ndarray:
        """[k, j, i] float32 in 0 .. 1; 0 where nothing was looked at; a view."""
        return lend(self._held(), self._probability, self.shape, "float32")

    @property
    def origins(self) -> np.ndarray:
        """[nk, 3] float64: centre of voxel (0, 0, k) for every k, LPS mm; a view."""
        return lend(self._held(), self._origins, (self.shape[0], 3), "float64")

    @property
    def affine_ras(self) -> np.ndarray | None:
        """[4, 4]: as `affine`, but to RAS mm (NIfTI, 3D Slicer)."""
        import numpy as np

        return None if self.affine is None else np.diag([-1.0, -1.0, 1.0, 1.0]) @ self.affine

    @property
    def slices(self) -> tuple[SegmentationSlice, ...]:
        """The slices of the detection, in canonical order."""
        pointer, function = self._pointer(), lib.nasoseg_segmentation_get_slice
        count = lib.nasoseg_segmentation_slice_count(pointer)
        found = [
            filled(_abi.nasoseg_segmentation_slice, function, pointer, index)
            for index in range(count)
        ]
        kind = _abi.SliceStatus
        return tuple(
            SegmentationSlice(
                s.slice,
                _storage(s.storage_slice),
                s.position_mm,
                kind(s.statuses),
                s.pixels,
                s.area_mm2,
            )
            for s in found
        )

    def contour(
        self,
        kind: _abi.ContourKind | str = "level",
        *,
        progress: ProgressCallback | None = None,
        cancel: Cancel | None = None,
    ) -> Contours:
        """Outlines: "level" follows the probability at the threshold, between voxel centres;
        "voxel" follows the mask's voxel edges.
        """
        chosen = options(contour_kind=member(_abi.ContourKind, kind, "kind"))
        arguments = (self._pointer(), given(chosen))
        keep = self._held().keep
        handle = run(
            lib.nasoseg_contour,
            *arguments,
            result=_abi.nasoseg_contours,
            keep=keep,
            progress=progress,
            cancel=cancel,
        )
        return Contours(handle, self.model)

    def to_simpleitk(self, probability: bool = False) -> Any:
        """The mask (or the probability) as a SimpleITK image on T1C's grid."""
        import numpy as np
        import SimpleITK

        affine = self._uniform("SimpleITK")
        image = SimpleITK.GetImageFromArray(self.probability if probability else self.mask)
        spacing = np.linalg.norm(affine[:3, :3], axis=0)
        image.SetSpacing(spacing.tolist())
        image.SetDirection((affine[:3, :3] / spacing).ravel().tolist())
        image.SetOrigin(affine[:3, 3].tolist())
        return image

    def to_nibabel(self, probability: bool = False) -> Any:
        """The mask (or the probability) as a NIfTI-1 image on T1C's grid, without a copy."""
        import nibabel

        self._uniform("NIfTI")
        array = self.probability if probability else self.mask
        image = nibabel.Nifti1Image(array.transpose(2, 1, 0), self.affine_ras)
        image.header.set_xyzt_units("mm")
        # At most 80 characters, of which the warning is what matters.
        image.header["descrip"] = (
            ("DEMO, NOT FOR CLINICAL USE. " if self.model.is_demo else "") + self.model.intended_use
        )[:79].encode()
        return image

    def _uniform(self, what: str) -> np.ndarray:
        if self.affine is None:
            message = f"T1C's slices are unevenly spaced, which {what} cannot hold in one image; use mask and origins"
            raise Error(_abi.Status.ERROR_UNSUPPORTED, message)
        return self.affine

    def write_mask(
        self,
        file: StrPath,
        *,
        progress: ProgressCallback | None = None,
        cancel: Cancel | None = None,
    ) -> None:
        """Writes the mask as NIfTI-1 (.nii.gz)."""
        run(
            lib.nasoseg_segmentation_write_mask,
            self._pointer(),
            encoded(file, "file"),
            None,
            progress=progress,
            cancel=cancel,
        )

    def write_probability(
        self,
        file: StrPath,
        *,
        progress: ProgressCallback | None = None,
        cancel: Cancel | None = None,
    ) -> None:
        """Writes the probability as NIfTI-1 (.nii.gz, float32)."""
        run(
            lib.nasoseg_segmentation_write_probability,
            self._pointer(),
            encoded(file, "file"),
            None,
            progress=progress,
            cancel=cancel,
        )

    def write_record(
        self,
        file: StrPath,
        *,
        progress: ProgressCallback | None = None,
        cancel: Cancel | None = None,
    ) -> None:
        """Writes the run record (JSON): versions, model, device, seconds, warnings, statuses,
        identity of the inputs.
        """
        run(
            lib.nasoseg_segmentation_write_record,
            self._pointer(),
            encoded(file, "file"),
            None,
            progress=progress,
            cancel=cancel,
        )


class Contours(Owner, SequenceOf[ContourLine]):
    """The outlines of a segmentation: a sequence of `ContourLine`, ordered by storage slice, every
    outer line followed by its holes.
    """

    def __init__(self, handle: Handle, model: ModelInfo) -> None:
        self._handle = handle
        self.model = model

    def __len__(self) -> int:
        return lib.nasoseg_contours_count(self._pointer())

    def __iter__(self) -> Iterator[ContourLine]:
        return (self[index] for index in range(len(self)))

    def __getitem__(self, index: Any) -> Any:
        count = len(self)
        if isinstance(index, slice):
            return [self[at] for at in range(*index.indices(count))]
        at = operator.index(index)
        if not -count <= at < count:
            raise IndexError(f"line {index}: there are {count}")
        line, held = (
            filled(
                _abi.nasoseg_contour_line,
                lib.nasoseg_contours_get_line,
                self._pointer(),
                at % count,
            ),
            self._held(),
        )
        return ContourLine(
            line.storage_slice,
            lend(held, line.points_mm, (line.point_count, 3), "float64"),
            lend(held, line.points_index, (line.point_count, 2), "float64"),
            line.is_hole,
            line.parent if line.is_hole else None,
            line.area_mm2,
        )

    def write_rtstruct(
        self,
        file: StrPath,
        *,
        holes: _abi.Holes | str = "keyhole",
        simplify_mm: float = 0.0,
        roi_name: str | None = None,
        structure_set_label: str | None = None,
        progress: ProgressCallback | None = None,
        cancel: Cancel | None = None,
    ) -> None:
        """Writes an RT Structure Set on the DICOM images that T1C came from; whole, or not at all.

        `holes`: "keyhole" (every planning system imports it), "xor", "plain" or "fill".
        `simplify_mm`: how far the line may be moved to spare points. `roi_name` (default
        GTVp_SeqSeg) and `structure_set_label` (default nasoseg): at most 16 characters; a demo
        model's result is always called DEMO_NOT_CLIN.
        """
        chosen = options(
            holes=member(_abi.Holes, holes, "holes"),
            simplify_mm=float(simplify_mm),
            roi_name=roi_name,
            structure_set_label=structure_set_label,
        )
        arguments = (self._pointer(), encoded(file, "file"), given(chosen))
        run(lib.nasoseg_contours_write_rtstruct, *arguments, progress=progress, cancel=cancel)


def member(kind: Any, value: Any, what: str) -> int:
    """A member of an enumeration by itself or by its name in lower case."""
    if isinstance(value, kind):
        return value
    found = kind.__members__.get(value.upper()) if isinstance(value, str) else None
    if found is None:
        raise wrong(
            f"{what}: {' or '.join(repr(name.lower()) for name in kind.__members__)} was expected, not {value!r}"
        )
    return found
