"""Compares prepared slices with SimpleITK's.

In: the .npz of `nasoseg prepare` and the three sequences it was made from. Out: exit status 0 if
every channel agrees with SimpleITK's own resampling (onto T1C's grid, then onto the model's square
grid) and T2's head covers T1C's.
"""

import sys

import numpy as np
import SimpleITK as sitk


def main(npz, *paths):
    prepared = np.load(npz)
    images, slices = prepared["images"], prepared["slices"]
    grid = images.shape[-1]
    volumes = [sitk.DICOMOrient(sitk.ReadImage(p, sitk.sitkFloat64), "LPS") for p in paths]
    reference = volumes[1]
    size, spacing = np.array(reference.GetSize()), np.array(reference.GetSpacing())
    scale = prepared["fit_scale"]
    assert list(prepared["fit_size"]) == list(size[:2])
    square = sitk.Image(grid, grid, int(size[2]), sitk.sitkFloat64)
    square.SetDirection(reference.GetDirection())
    square.SetSpacing([spacing[0] * scale[0], spacing[1] * scale[1], spacing[2]])
    # Both grids have the same centre.
    centre = reference.TransformContinuousIndexToPhysicalPoint(
        [(size[0] - 1) / 2, (size[1] - 1) / 2, 0.0]
    )
    square.SetOrigin([0.0, 0.0, 0.0])
    offset = square.TransformContinuousIndexToPhysicalPoint([(grid - 1) / 2, (grid - 1) / 2, 0.0])
    square.SetOrigin((np.array(centre) - np.array(offset)).tolist())

    for channel, volume in enumerate(volumes):
        on_reference = sitk.Resample(volume, reference, sitk.Transform(), sitk.sitkLinear, 0.0)
        expected = sitk.GetArrayFromImage(
            sitk.Resample(on_reference, square, sitk.Transform(), sitk.sitkLinear, 0.0)
        )[slices]
        expected = np.clip(expected / prepared["divisors"][channel], 0, 1)
        # The conventions differ at the field's edge (values clamped for half a voxel, or cut off),
        # so only voxels inside both are compared.
        inside = np.zeros_like(expected, dtype=bool)
        inside[1:-1] = True
        difference = np.abs(images[:, channel] - expected)
        share = float(np.mean(difference[inside] > 1e-4))
        print(f"channel {channel}: {share:.2e} of the voxels differ by more than 1e-4")
        assert share < 5e-3, f"channel {channel}: {share}"

    for k in (4, 9, 12, 16):
        a, b = images[k, 1] > 0.1, images[k, 2] > 0.1
        dice = 2 * np.sum(a & b) / (a.sum() + b.sum())
        print(f"slice {k}: the heads of T1C and T2 agree with Dice {dice:.3f}")
        assert dice > 0.85, f"slice {k}: {dice}"


if __name__ == "__main__":
    main(*sys.argv[1:])
