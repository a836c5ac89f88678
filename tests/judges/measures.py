"""Compares the measures of an edited mask with other software's.

In: a folder of cases (NAME.json with the figures, NAME.ours and NAME.edited with the masks; written
by tests/compare.rs). Out: one line for each case; exit code 1 if a figure differs.

Judges: SimpleITK (Dice), SciPy (outline pixels by erosion), surface-distance (contour Dice, surface
Dice, Hausdorff 95).
"""

import json
import sys
from pathlib import Path

import numpy as np
import SimpleITK as sitk
import surface_distance
from scipy.ndimage import binary_erosion

# surface-distance cuts cells whose boundary is not a plane into other triangles: their areas differ
# slightly, and with them the measures that weigh by area.
SURFACE_DICE = 0.002


def distances(ours, edited, spacing):
    return surface_distance.compute_surface_distances(ours, edited, spacing)


def surface(ours, edited, spacing, tolerance):
    """Dice and Hausdorff 95 of the boundaries; None if one of them is missing."""
    if not ours.any() or not edited.any():
        return (0.0 if ours.any() or edited.any() else None), None
    found = distances(ours, edited, spacing)
    return (
        surface_distance.compute_surface_dice_at_tolerance(found, tolerance),
        surface_distance.compute_robust_hausdorff(found, 95),
    )


def path(mask):
    return mask & ~binary_erosion(mask)


def check(file):
    case = json.loads(file.read_text())
    ni, nj, nk = case["size"]
    x, y, z = case["spacing"]
    ours, edited = (
        np.fromfile(file.with_suffix(f".{n}"), np.uint8).reshape(nk, nj, ni) != 0
        for n in ("ours", "edited")
    )
    pooled, wrong = case["pooled"], []

    def same(what, found, expected, within=1e-9):
        if (found is None) != (expected is None) or (
            found is not None and abs(found - expected) > within
        ):
            wrong.append(f"{what}: {found}, expected {expected}")

    overlap = sitk.LabelOverlapMeasuresImageFilter()
    overlap.Execute(
        sitk.GetImageFromArray(ours.astype(np.uint8)),
        sitk.GetImageFromArray(edited.astype(np.uint8)),
    )
    same("Dice", pooled["dice"], overlap.GetDiceCoefficient())
    same("volume", pooled["edited_mm3"], edited.sum() * x * y * z, 1e-6)
    surface_dice, hausdorff = surface(ours, edited, (z, y, x), case["tolerance_mm"])
    same("surface Dice", pooled["surface_dice"], surface_dice, SURFACE_DICE)
    # The 95th percentile may fall on the next distance; the distances are the same.
    found = distances(ours, edited, (z, y, x))
    known = np.concatenate([found["distances_gt_to_pred"], found["distances_pred_to_gt"]])
    if np.abs(known - pooled["hausdorff95_mm"]).min() > 1e-9:
        wrong.append(f"Hausdorff 95 {pooled['hausdorff95_mm']} is no distance of these surfaces")
    same("Hausdorff 95", pooled["hausdorff95_mm"], hausdorff, 0.02 * hausdorff + 1e-9)

    drawn = [k for k in range(nk) if ours[k].any() or edited[k].any()]
    same("slices", len(case["slices"]), len(drawn))
    added = 0
    within, total = 0.0, 0.0
    for k, slice_ in zip(drawn, case["slices"]):
        same("slice", slice_["storage_slice"], k)
        dice, hausdorff = surface(ours[k], edited[k], (y, x), case["tolerance_mm"])
        same(f"slice {k} contour Dice", slice_["contour_dice"], dice)
        same(f"slice {k} Hausdorff 95", slice_["hausdorff95_mm"], hausdorff)
        pixels = int((path(edited[k]) & ~path(ours[k])).sum())
        same(f"slice {k} added path", slice_["added_path_pixels"], pixels)
        same(f"slice {k} outline", slice_["edited_path_pixels"], int(path(edited[k]).sum()))
        added += pixels
        lengths = lengths_of(ours[k], edited[k], (y, x))
        total += sum(a.sum() for _, a in lengths)
        within += sum(a[d <= case["tolerance_mm"]].sum() for d, a in lengths)
    same("added path", pooled["added_path_pixels"], added)
    same("added path in mm", pooled["added_path_mm"], added * np.sqrt(x * y))
    same("contour Dice", pooled["contour_dice"], within / total)
    agrees = (
        f"Dice {pooled['dice']:.3f}, surface Dice {pooled['surface_dice']:.5f} "
        f"({surface_dice:.5f}), HD95 {pooled['hausdorff95_mm']:.3f} mm"
    )
    print(f"{file.stem}: {'; '.join(wrong) or agrees}")
    return bool(wrong)


def lengths_of(ours, edited, spacing):
    """Distances and lengths of both outlines; a missing one leaves the other's length infinitely
    far.
    """
    if ours.any() and edited.any():
        found = distances(ours, edited, spacing)
        return [
            (found["distances_gt_to_pred"], found["surfel_areas_gt"]),
            (found["distances_pred_to_gt"], found["surfel_areas_pred"]),
        ]
    one = ours if ours.any() else edited
    found = distances(one, one, spacing)
    return [(np.full(len(found["surfel_areas_gt"]), np.inf), found["surfel_areas_gt"])]


def main():
    files = sorted(Path(sys.argv[1]).glob("*.json"))
    if not files:
        sys.exit("no case was found")
    failed = [check(file) for file in files]
    sys.exit(any(failed))


main()
