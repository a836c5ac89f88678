"""Segments voxels that are already in memory, as a planning system or a viewer holds them, and
reads mask and contours back from memory: no file but the model's is opened. The patient is a
drawing: a head of fat and muscle with an airway and a lesion. Install the package with ONNX Runtime
(`make wheel` in the repository, then `pip install "$(ls dist/*.whl)[cpu]"`) and run it:

    python from_memory.py models/demo
"""

import sys

import nasoseg
import numpy as np

# Voxels along k, j and i, the order of the arrays.
SHAPE = (6, 80, 72)
# (i, j, k, 1) to LPS mm, for voxel centres.
AFFINE = np.array([[3, 0, 0, -106.5], [0, 3, 0, -118.5], [0, 0, 6, -15], [0, 0, 0, 1]])


def points() -> np.ndarray:
    """[3, k, j, i]: x, y and z of every voxel, LPS mm."""
    k, j, i = np.indices(SHAPE)
    return np.einsum("rc,ckji->rkji", AFFINE[:3], np.stack([i, j, k, np.ones(SHAPE)]))


def draw(fat: float, muscle: float, lesion: float) -> np.ndarray:
    """[k, j, i] float32: one sequence from the intensities of its tissues."""
    x, y, z = points()
    head = (x / 78) ** 2 + (y / 96) ** 2
    voxels = np.where(head > 0.81, fat, muscle)
    voxels[(x / 14) ** 2 + ((y + 19) / 9) ** 2 < 1] = 10
    voxels[((x + 4) / 16) ** 2 + ((y + 8) / 14) ** 2 + ((z - 6) / 19) ** 2 < 1] = lesion
    voxels[head > 1] = 0
    return voxels.astype(np.float32)


def from_memory(bundle: str) -> None:
    engine = nasoseg.Engine(bundle)
    # The study keeps copies: the arrays may change afterwards.
    study = nasoseg.Study(
        nasoseg.Volume(draw(950, 350, 370), AFFINE),
        nasoseg.Volume(draw(900, 350, 680), AFFINE),
        nasoseg.Volume(draw(700, 200, 300), AFFINE),
    )
    segmentation = nasoseg.segment(engine, study, nasoseg.detect(engine, study))

    # Read-only views of the library's memory, which they keep alive.
    inside = segmentation.mask == 1
    print(f"volume: {inside.sum() * 3 * 3 * 6:.1f} mm3")
    if inside.any():
        x, y, z = points()[:, inside].mean(axis=1)
        print(f"centre: {x:.1f} {y:.1f} {z:.1f} mm")
    for ring in nasoseg.contour(segmentation):
        kind = "hole" if ring.is_hole else "outer"
        print(
            f"contour on slice {ring.storage_slice}: {kind}, {ring.area_mm2:.1f} mm2, "
            f"leftmost point at x {ring.points_mm[:, 0].max():.1f} mm"
        )


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit("usage: from_memory.py BUNDLE")
    try:
        from_memory(sys.argv[1])
    except nasoseg.Error as error:
        sys.exit(str(error))
