"""Images in, in whatever form they come.

In: numpy arrays with an affine, SimpleITK or nibabel images, pydicom datasets, paths. Out: a
`Volume`, whose `view` the library reads in place, or paths that it reads itself. Packages are only
used if the caller has imported them.
"""

from __future__ import annotations

import ctypes
import os
import sys
import tempfile
from collections.abc import Sequence as SequenceOf
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Union

from . import _abi
from ._native import wrong

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

StrPath = Union[str, "os.PathLike[str]"]
# What a sequence may be given as; Any stands for SimpleITK.Image, nibabel images, pydicom.Dataset
# and lists of these.
Image = Union["Volume", StrPath, SequenceOf[StrPath], Any]
AxesName = Union[Literal["LPS", "RAS"], _abi.Axes]


class Volume:
    """Voxels in memory, and their place in the patient.

    `voxels`: 3D array of any strides and any integer or floating-point type, indexed [k, j, i]
    (`order="kji"`, as SimpleITK's and 3D Slicer's arrays) or [i, j, k] (`order="ijk"`, as
    nibabel's). `affine`: 4 x 4, (i, j, k, 1) to mm for voxel centres, whatever the order of the
    array, in the patient's axes `axes`: "LPS" (DICOM, ITK) or "RAS" (NIfTI, 3D Slicer). `origins`:
    for unevenly spaced slices: [nk, 3], the centre of voxel (0, 0, k) for every k, mm, in
    the same axes. Only the first two columns of `affine` are used then.

    Nothing is copied here: the library copies the voxels when a study takes the volume. (Types that
    it does not read, such as 64-bit integers or another byte order, are converted first.)
    """

    def __init__(
        self,
        voxels: ArrayLike,
        affine: ArrayLike,
        *,
        axes: AxesName = "LPS",
        order: Literal["kji", "ijk"] = "kji",
        origins: ArrayLike | None = None,
    ) -> None:
        import numpy as np

        if isinstance(voxels, np.ma.MaskedArray):
            raise wrong(
                "voxels: found a masked array, expected a plain one. Fill it: array.filled(0)"
            )
        array = np.asarray(voxels)
        if array.ndim != 3:
            raise wrong(
                f"voxels: found shape {array.shape}, expected a 3D array. Choose one volume of it"
            )
        if order not in ("kji", "ijk"):
            raise wrong(f'order: found {order!r}, expected "kji" or "ijk"')
        self.affine = np.asarray(affine, np.float64)
        if self.affine.shape != (4, 4):
            raise wrong(f"affine: found shape {self.affine.shape}, expected a 4 x 4 matrix")
        if not np.array_equal(self.affine[3], [0, 0, 0, 1]):
            raise wrong(
                f"affine: found the last row {self.affine[3].tolist()}, expected [0, 0, 0, 1]. "
                "Give it transposed if its last column is 0, 0, 0, 1"
            )
        self.axes = _axes(axes)
        # [i, j, k], whatever the caller's order: only the strides change.
        self.voxels = array if order == "ijk" else array.transpose(2, 1, 0)
        self.origins = None if origins is None else np.ascontiguousarray(origins, np.float64)
        if self.origins is not None and self.origins.shape != (self.voxels.shape[2], 3):
            raise wrong(
                f"origins: found shape {self.origins.shape}, expected ({self.voxels.shape[2]}, 3): "
                "one point for every k"
            )

    def view(self) -> tuple[Any, list[object]]:
        """The struct that the library reads, and the objects that must outlive the call."""
        voxels = _known_type(self.voxels)
        view = _abi.nasoseg_volume_view()
        view.struct_size = ctypes.sizeof(view)
        view.data = voxels.__array_interface__["data"][0]
        view.element = _abi.Element[voxels.dtype.name.upper()]
        view.axes = self.axes
        view.size[:] = voxels.shape
        view.stride[:] = voxels.strides
        view.affine[:] = self.affine.ravel()
        if self.origins is not None:
            view.origins = self.origins.ctypes.data_as(ctypes.POINTER(ctypes.c_double))
        return view, [voxels, self.origins]


def _axes(axes: AxesName) -> _abi.Axes:
    try:
        return axes if isinstance(axes, _abi.Axes) else _abi.Axes[axes]
    except KeyError:
        raise wrong(f'axes: found {axes!r}, expected "LPS" or "RAS"') from None


def _known_type(voxels: NDArray[Any]) -> NDArray[Any]:
    """Voxels of a type that the library reads, converted if necessary."""
    import numpy as np

    kind = voxels.dtype
    if not (
        np.issubdtype(kind, np.integer) or np.issubdtype(kind, np.floating) or kind == np.bool_
    ):
        raise wrong(f"voxels: found {kind}, expected integers or floating-point numbers")
    wanted = kind.newbyteorder("=")
    if kind == np.bool_:
        wanted = np.dtype(np.uint8)
    elif kind == np.float16:
        wanted = np.dtype(np.float32)
    elif wanted.name.upper() not in _abi.Element.__members__:
        wanted = np.dtype(np.float64)
    return voxels.astype(wanted, copy=False)


def _instance(image: object, module: str, name: str) -> bool:
    """Whether an image is an instance of a class of a package that may not be installed."""
    found: Any = sys.modules.get(module)
    for part in name.split("."):
        found = getattr(found, part, None)
    return found is not None and isinstance(image, found)


def volume_of(image: object) -> Volume | None:
    """A volume in memory; None if the library is to read the image from files."""
    if isinstance(image, Volume):
        return image
    if _instance(image, "SimpleITK", "Image"):
        return _from_simpleitk(image)
    if _instance(image, "nibabel", "spatialimages.SpatialImage"):
        return _from_nibabel(image)
    return None


def _from_simpleitk(image: Any) -> Volume:
    import numpy as np
    import SimpleITK

    if image.GetDimension() != 3 or image.GetNumberOfComponentsPerPixel() != 1:
        raise wrong(
            f"SimpleITK image: found {image.GetDimension()}D of {image.GetPixelIDTypeAsString()}, "
            "expected a scalar 3D image"
        )
    affine = np.eye(4)
    affine[:3, :3] = np.reshape(image.GetDirection(), (3, 3)) * image.GetSpacing()
    affine[:3, 3] = image.GetOrigin()
    return Volume(SimpleITK.GetArrayViewFromImage(image), affine)


def _from_nibabel(image: Any) -> Volume:
    import numpy as np

    if image.affine is None:
        raise wrong(
            "nibabel image: found no affine, expected one that places it in the patient. Set it"
        )
    unit = (
        image.header.get_xyzt_units()[0] if hasattr(image.header, "get_xyzt_units") else "unknown"
    )
    if unit not in ("mm", "unknown"):
        raise wrong(f"nibabel image: found the unit {unit}, expected mm. Convert the affine to mm")
    return Volume(np.asanyarray(image.dataobj), image.affine, axes="RAS", order="ijk")


class Files:
    """Paths that the library reads, and the temporary folder that holds them, if there is one."""

    def __init__(
        self, paths: list[StrPath], folder: tempfile.TemporaryDirectory[str] | None = None
    ) -> None:
        self.paths = paths
        self.folder = folder


def files_of(source: object, what: str) -> Files:
    """Paths, or the files of pydicom datasets.

    Datasets are written to a temporary folder and read by the library, so that a single reader
    decides on order, rescaling and identity. The folder lives as long as the results that were made
    from it: an RT Structure Set copies the patient from there.
    """
    items = (
        [source]
        if isinstance(source, (str, os.PathLike)) or _instance(source, "pydicom", "Dataset")
        else source
    )
    if isinstance(items, (bytes, bytearray)) or not isinstance(items, SequenceOf) or not items:
        raise TypeError(
            f"{what}: found {type(source).__name__}, expected a path, paths of DICOM files, "
            "pydicom datasets, a SimpleITK or nibabel image, or nasoseg.Volume(array, affine)"
        )
    if all(isinstance(item, (str, os.PathLike)) for item in items):
        return Files(list(items))
    if not all(_instance(item, "pydicom", "Dataset") for item in items):
        raise TypeError(
            f"{what}: found a list of other or mixed types, expected only paths or only pydicom "
            "datasets"
        )
    folder = tempfile.TemporaryDirectory(prefix="nasoseg-")
    for number, dataset in enumerate(items):
        path = Path(folder.name) / f"{number:06}.dcm"
        try:
            dataset.save_as(path, enforce_file_format=True)
        except (ValueError, AttributeError) as error:
            raise wrong(
                f"{what}: dataset {number} cannot be written as a DICOM file: {error}"
            ) from error
    return Files([folder.name], folder)
