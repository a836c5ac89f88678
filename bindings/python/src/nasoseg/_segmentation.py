"""Stage two's result: mask and probability on T1C's own grid.

In: a handle made by `nasoseg_segment`. Out: `Segmentation`. Arrays are [k, j, i], views of the
library's memory, read-only, and keep it alive. Patient coordinates are LPS, mm.
"""

from __future__ import annotations

import operator
from collections.abc import Iterator
from collections.abc import Sequence as SequenceOf
from typing import TYPE_CHECKING, Any, NamedTuple, SupportsIndex, overload

from . import _abi
from ._abi import DemoText
from ._contours import Contours
from ._demo import demo_words
from ._extras import require
from ._inputs import StrPath
from ._model import ModelInfo
from ._native import (
    Error,
    Handle,
    Owner,
    encoded,
    filled,
    given,
    lib,
    member,
    options,
    storage_slice,
    view,
)
from ._run import Cancel, ProgressCallback, run

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


class SegmentationSlice(NamedTuple):
    """One slice of a segmentation."""

    slice: int
    """Canonical number: from 0, from inferior to superior."""
    storage_slice: int | None
    """Index along the storage axis between inferior and superior. None if T1C was resliced."""
    position_mm: float
    """z (LPS, mm) of the slice's centre."""
    statuses: _abi.SliceStatus
    """Flags; 0 if there is nothing to report."""
    pixels: int
    """Pixels of the mask."""
    area_mm2: float
    """Area of the mask, mm²."""


class Segmentation(Owner, SequenceOf[SegmentationSlice]):
    """Mask and probability on T1C's own grid, in its storage order, with statistics: a sequence of
    `SegmentationSlice`, one for every slice of the detection, in canonical order. It never changes.
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
        """Volume of the mask, mm³."""
        self.edited: bool = v.edited
        """Whether a box was replaced or cleared by the caller."""
        affine = np.reshape(v.affine, (4, 4))
        self.affine: NDArray[np.float64] | None = affine if affine[3, 3] == 1.0 else None
        """[4, 4]: (i, j, k, 1) to LPS mm, for voxel centres. None for unevenly spaced slices, which
        have `origins` only.
        """
        self.axis_i: NDArray[np.float64] = np.array(v.axis_i)
        """[3]: step from voxel to voxel along i, LPS mm."""
        self.axis_j: NDArray[np.float64] = np.array(v.axis_j)
        """[3]: step along j."""

    @property
    def mask(self) -> NDArray[np.uint8]:
        """[k, j, i] uint8: 1 where the probability is at least the threshold, else 0; a view."""
        return view(self._held(), self._mask, self.shape, "uint8")

    @property
    def probability(self) -> NDArray[np.float32]:
        """[k, j, i] float32 in 0 .. 1; 0 outside what was segmented; a view."""
        return view(self._held(), self._probability, self.shape, "float32")

    @property
    def origins(self) -> NDArray[np.float64]:
        """[nk, 3] float64: centre of voxel (0, 0, k) for every k, LPS mm; a view."""
        return view(self._held(), self._origins, (self.shape[0], 3), "float64")

    @property
    def affine_ras(self) -> NDArray[np.float64] | None:
        """[4, 4]: as `affine`, but to RAS mm (NIfTI, 3D Slicer)."""
        import numpy as np

        return None if self.affine is None else np.diag([-1.0, -1.0, 1.0, 1.0]) @ self.affine

    def __len__(self) -> int:
        return int(lib.nasoseg_segmentation_slice_count(self._pointer()))

    def __iter__(self) -> Iterator[SegmentationSlice]:
        return (self[index] for index in range(len(self)))

    @overload
    def __getitem__(self, index: SupportsIndex) -> SegmentationSlice: ...
    @overload
    def __getitem__(self, index: slice) -> list[SegmentationSlice]: ...
    def __getitem__(
        self, index: SupportsIndex | slice
    ) -> SegmentationSlice | list[SegmentationSlice]:
        count = len(self)
        if isinstance(index, slice):
            return [self[at] for at in range(*index.indices(count))]
        at = operator.index(index)
        if not -count <= at < count:
            raise IndexError(
                f"slice index: found {at}, expected an index into the segmentation's {count} "
                "slices. Give one from 0, or a negative one from the end"
            )
        s = filled(
            _abi.nasoseg_segmentation_slice,
            lib.nasoseg_segmentation_get_slice,
            self._pointer(),
            at % count,
        )
        return SegmentationSlice(
            s.slice,
            storage_slice(s.storage_slice),
            s.position_mm,
            _abi.SliceStatus(s.statuses),
            s.pixels,
            s.area_mm2,
        )

    @property
    def slices(self) -> tuple[SegmentationSlice, ...]:
        """All slices at once."""
        return tuple(self)

    def contour(
        self,
        kind: _abi.ContourKind | str = "level",
        *,
        progress: ProgressCallback | None = None,
        cancel: Cancel | None = None,
    ) -> Contours:
        """Closed contours: "level" follows the probability at the threshold, between voxel
        centres; "voxel" follows the mask's voxel edges.
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

        require("SimpleITK", "to_simpleitk")
        import SimpleITK

        affine = self._uniform("SimpleITK")
        array = self.probability if probability else self.mask
        # Not every release of SimpleITK has types.
        image: Any = SimpleITK.GetImageFromArray(array)
        spacing = np.linalg.norm(affine[:3, :3], axis=0)
        image.SetSpacing(spacing.tolist())
        image.SetDirection((affine[:3, :3] / spacing).ravel().tolist())
        image.SetOrigin(affine[:3, 3].tolist())
        return image

    def to_nibabel(self, probability: bool = False) -> Any:
        """The mask (or the probability) as a NIfTI-1 image on T1C's grid, without a copy."""
        require("nibabel", "to_nibabel")
        import nibabel

        self._uniform("NIfTI")
        array = self.probability if probability else self.mask
        # Not every release of nibabel has types.
        make: Any = nibabel.Nifti1Image
        image = make(array.transpose(2, 1, 0), self.affine_ras)
        image.header.set_xyzt_units("mm")
        # At most 80 characters, of which the warning is what matters.
        image.header["descrip"] = (
            f"{demo_words(DemoText.MARK)} {self.model.intended_use}"
            if self.model.is_demo
            else self.model.intended_use
        )[:79].encode()
        return image

    def _uniform(self, what: str) -> NDArray[np.float64]:
        if self.affine is None:
            raise Error(
                _abi.Status.ERROR_UNSUPPORTED,
                f"T1C: found unevenly spaced slices, expected even spacing, which {what} requires. "
                "Use mask and origins",
            )
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
        """Writes the run record (JSON): versions, model, device, seconds, warnings, statuses, and
        the identity of the inputs.
        """
        run(
            lib.nasoseg_segmentation_write_record,
            self._pointer(),
            encoded(file, "file"),
            None,
            progress=progress,
            cancel=cancel,
        )
