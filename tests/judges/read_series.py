"""Reads an MR volume with third-party readers and writes their result.

In: a DICOM folder or file, a NIfTI or an NRRD file. Out, under OUT: `volume.json` (reader, size,
in-plane axes and one origin per slice, LPS mm) and `volume.f64` (voxels [k, j, i], little-endian
float64).

usage: read_series.py READER PATH OUT     READER: pydicom | sitk | nibabel | pynrrd
"""

import json
import sys
from pathlib import Path

import numpy as np


def numbers(values):
    return np.array([float(v) for v in values])


def group(frame, shared, name):
    """The functional group `name` of a frame, its own before the shared one."""
    for groups in (frame, shared):
        if groups is not None and name in groups:
            return groups[name].value[0]
    return None


def pydicom_frames(path):
    """(origin, row, column, spacing, pixels) of every frame, rescaled."""
    import pydicom

    ds = pydicom.dcmread(path, force=True)
    pixels = ds.pixel_array
    per_frame = ds.get("PerFrameFunctionalGroupsSequence")
    if per_frame is None:
        pixels = pixels[None]
    frames = []
    for n, image in enumerate(pixels):
        frame = per_frame[n] if per_frame else None
        shared = (
            ds.SharedFunctionalGroupsSequence[0] if "SharedFunctionalGroupsSequence" in ds else None
        )
        place = group(frame, shared, "PlanePositionSequence") or ds
        plane = group(frame, shared, "PlaneOrientationSequence") or ds
        measures = group(frame, shared, "PixelMeasuresSequence") or ds
        scale = group(frame, shared, "PixelValueTransformationSequence") or ds
        slope, intercept = (
            float(scale.get("RescaleSlope") or 1),
            float(scale.get("RescaleIntercept") or 0),
        )
        if ds.PhotometricInterpretation == "MONOCHROME1":
            # pydicom leaves it to its caller. Only unsigned series of this kind are compared.
            assert ds.PixelRepresentation == 0
            image = 2**ds.BitsStored - 1 - image.astype(np.int64)
        cosines = numbers(plane.ImageOrientationPatient)
        frames.append(
            (
                numbers(place.ImagePositionPatient),
                cosines[:3],
                cosines[3:],
                numbers(measures.PixelSpacing),
                image.astype(np.float64) * slope + intercept,
            )
        )
    return frames


def read_pydicom(path):
    files = [path] if path.is_file() else sorted(p for p in path.iterdir() if p.is_file())
    frames = [frame for file in files for frame in pydicom_frames(file)]
    normal = np.cross(frames[0][1], frames[0][2])
    frames.sort(key=lambda f: f[0] @ normal)
    _, row, column, spacing, _ = frames[0]
    return (
        np.stack([f[4] for f in frames]),
        row * spacing[1],
        column * spacing[0],
        [f[0] for f in frames],
    )


def read_sitk(path):
    import SimpleITK as sitk

    if path.is_dir():
        files = sitk.ImageSeriesReader.GetGDCMSeriesFileNames(str(path))
        image = sitk.ReadImage(files if len(files) > 1 else files[0])
    else:
        image = sitk.ReadImage(str(path))
    step = np.array(image.GetDirection()).reshape(3, 3) * np.array(image.GetSpacing())
    voxels = sitk.GetArrayFromImage(image).astype(np.float64)
    origin = np.array(image.GetOrigin())
    origins = [origin + k * step[:, 2] for k in range(voxels.shape[0])]
    if path.is_dir() and np.dot(np.cross(step[:, 0], step[:, 1]), step[:, 2]) < 0:
        # GDCM may sort against the normal: the same voxels in reverse order.
        voxels, origins = voxels[::-1], origins[::-1]
    return voxels, step[:, 0], step[:, 1], origins


def from_affine(data, affine):
    voxels = np.asarray(data, dtype=np.float64).reshape(data.shape[:3]).transpose(2, 1, 0)
    origins = [affine[:3, 3] + k * affine[:3, 2] for k in range(voxels.shape[0])]
    return voxels, affine[:3, 0], affine[:3, 1], origins


def read_nibabel(path):
    import nibabel

    image = nibabel.load(path)
    return from_affine(image.get_fdata(dtype=np.float64), np.diag([-1, -1, 1, 1]) @ image.affine)


def read_pynrrd(path):
    import nrrd

    data, header = nrrd.read(str(path))
    signs = {
        "left-posterior-superior": [1, 1, 1],
        "right-anterior-superior": [-1, -1, 1],
        "left-anterior-superior": [1, -1, 1],
    }
    affine = np.eye(4)
    affine[:3, :3] = np.array(header["space directions"]).T
    affine[:3, 3] = header["space origin"]
    return from_affine(data, np.diag(signs[header["space"].lower()] + [1]) @ affine)


READERS = {
    "pydicom": read_pydicom,
    "sitk": read_sitk,
    "nibabel": read_nibabel,
    "pynrrd": read_pynrrd,
}


def main():
    reader, path, out = sys.argv[1], Path(sys.argv[2]), Path(sys.argv[3])
    voxels, axis_i, axis_j, origins = READERS[reader](path)
    np.ascontiguousarray(voxels, dtype="<f8").tofile(out / "volume.f64")
    summary = {
        "reader": reader,
        "size": list(voxels.shape[::-1]),
        "axis_i": list(map(float, axis_i)),
        "axis_j": list(map(float, axis_j)),
        "origins": [list(map(float, o)) for o in origins],
    }
    (out / "volume.json").write_text(json.dumps(summary))


main()
