"""Writes NIfTI files of a phantom's sequences and its true mask.

t1.nii.gz, t1c.nii.gz, t2.nii.gz   int16, each on its own grid
truth.nii.gz                       uint8 mask on T1C's grid
info.json                          T category, tumour slices, areas

NIfTI's patient axes are RAS, the phantom's are LPS: x and y change sign. NIfTI arrays are [i, j,
k].
"""

import gzip
import io
import json
from pathlib import Path

import nibabel
import numpy as np

from ..run.files import replacing, write_text
from .patient import Phantom
from .tissue import SEQUENCES

_LPS_TO_RAS = np.diag([-1.0, -1.0, 1.0, 1.0])


def _save(voxels: np.ndarray, affine: np.ndarray, path: Path) -> None:
    """voxels [k, j, i], affine voxel (i, j, k) to LPS mm."""
    image = nibabel.Nifti1Image(
        np.ascontiguousarray(voxels.transpose(2, 1, 0)), _LPS_TO_RAS @ affine
    )
    image.set_qform(_LPS_TO_RAS @ affine, code=1)
    image.set_sform(_LPS_TO_RAS @ affine, code=1)
    image.header.set_xyzt_units("mm")
    # A gzip header without time or name: the same seed gives the same bytes.
    with (
        replacing(path) as partial,
        open(partial, "wb") as file,
        gzip.GzipFile("", "wb", compresslevel=3, fileobj=file, mtime=0) as packed,
    ):
        buffer = io.BytesIO()
        image.to_file_map(
            {
                "header": nibabel.FileHolder(fileobj=buffer),
                "image": nibabel.FileHolder(fileobj=buffer),
            }
        )
        packed.write(buffer.getvalue())


def write_truth(phantom: Phantom, out_dir: Path) -> None:
    _save(phantom.mask().astype(np.uint8), phantom.affine, Path(out_dir) / "truth.nii.gz")


def write_nifti(phantom: Phantom, out_dir: Path) -> None:
    """Write four NIfTI files and info.json; `out_dir` is created if missing."""
    out_dir = Path(out_dir)
    out_dir.mkdir(parents=True, exist_ok=True)
    for name in SEQUENCES:
        voxels, affine = phantom.sequence(name)
        _save(voxels.astype(np.int16), affine, out_dir / f"{name.lower()}.nii.gz")
    write_truth(phantom, out_dir)
    slices = phantom.tumour_slices
    areas = phantom.mask().sum(axis=(1, 2))
    pixel = phantom.spacing_mm[1] * phantom.spacing_mm[2]
    info = {
        "seed": phantom.seed,
        "t_category": phantom.t_category,
        "shape": list(phantom.shape),
        "spacing_mm": list(phantom.spacing_mm),
        "tumour_slices": slices,
        "area_px": [int(areas[k]) for k in slices],
        "area_mm2": [round(float(areas[k] * pixel), 2) for k in slices],
    }
    write_text(out_dir / "info.json", json.dumps(info, indent=1) + "\n")
