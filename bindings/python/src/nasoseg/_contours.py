"""Closed contours in the patient, and the RT Structure Set made of them.

In: a handle made by `nasoseg_contour`. Out: `Contours`. Points are views of the library's memory,
read-only, and keep it alive.
"""

from __future__ import annotations

import operator
from collections.abc import Iterator
from collections.abc import Sequence as SequenceOf
from typing import TYPE_CHECKING, NamedTuple, SupportsIndex, overload

from . import _abi
from ._inputs import StrPath
from ._model import ModelInfo
from ._native import Handle, Owner, encoded, filled, given, lib, member, options, view
from ._run import Cancel, ProgressCallback, run

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


class Contour(NamedTuple):
    """One closed ring on one slice, an outer one or a hole; the last point joins the first and is
    not repeated.
    """

    storage_slice: int
    """Index along T1C's storage slice axis (of the canonical axial slices, if T1C's storage is not
    axial).
    """
    points_mm: NDArray[np.float64]
    """[points, 3] float64: x, y, z, LPS mm, on the slice's plane."""
    points_index: NDArray[np.float64]
    """[points, 2] float64: continuous voxel indices i, j of T1C. Index i is the centre of voxel i;
    the edge coordinates of a `BoundingBox`, on the model's grid, are another convention.
    """
    is_hole: bool
    parent: int | None
    """For a hole: index of the outer contour around it."""
    area_mm2: float
    """Inside the contour; holes are not subtracted."""


class Contours(Owner, SequenceOf[Contour]):
    """The contours of a segmentation: a sequence of `Contour`, ordered by storage slice, every
    outer contour followed by its holes.
    """

    def __init__(self, handle: Handle, model: ModelInfo) -> None:
        self._handle = handle
        self.model = model

    def __len__(self) -> int:
        return int(lib.nasoseg_contours_count(self._pointer()))

    def __iter__(self) -> Iterator[Contour]:
        return (self[index] for index in range(len(self)))

    @overload
    def __getitem__(self, index: SupportsIndex) -> Contour: ...
    @overload
    def __getitem__(self, index: slice) -> list[Contour]: ...
    def __getitem__(self, index: SupportsIndex | slice) -> Contour | list[Contour]:
        count = len(self)
        if isinstance(index, slice):
            return [self[at] for at in range(*index.indices(count))]
        at = operator.index(index)
        if not -count <= at < count:
            raise IndexError(
                f"contour index: found {at}, expected an index into {count} contours. "
                "Give one from 0, or a negative one from the end"
            )
        found = filled(
            _abi.nasoseg_contour_view, lib.nasoseg_contours_get, self._pointer(), at % count
        )
        held = self._held()
        return Contour(
            found.storage_slice,
            view(held, found.points_mm, (found.point_count, 3), "float64"),
            view(held, found.points_index, (found.point_count, 2), "float64"),
            found.is_hole,
            found.parent if found.is_hole else None,
            found.area_mm2,
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
        `simplify_mm`: how far a contour may be moved to save points. `roi_name` (default
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
