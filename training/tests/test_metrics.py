"""Metrics against answers made by hand, against SimpleITK, MONAI and DeepMind's surface-distance,
and against the library's own comparison.
"""

import json
import subprocess
import warnings

import nibabel
import numpy as np
import pytest
import SimpleITK as sitk
import surface_distance
import torch
from monai.metrics import compute_hausdorff_distance, compute_surface_dice
from scipy.ndimage import gaussian_filter

from nasoseg_train.geometry import metrics as m
from nasoseg_train.phantom import write_dicom
from nasoseg_train.run.nasoseg_program import find_program

SHAPE = (20, 24)


def rectangle(rows, columns, shape=SHAPE):
    out = np.zeros(shape, dtype=bool)
    out[slice(*rows), slice(*columns)] = True
    return out


def blobs(seed, shape=(48, 56)):
    """Two ragged shapes that share much; with holes and islands."""
    rng = np.random.default_rng(seed)
    field = gaussian_filter(rng.normal(size=shape), 3)
    other = field + 0.5 * gaussian_filter(rng.normal(size=shape), 3)
    return field > 0.04, other > 0.04


PAIRS = [
    (*blobs(seed), spacing)
    for seed, spacing in enumerate([(1.0, 1.0), (0.74, 0.74), (0.5, 1.3), (2.0, 0.6), (1.1, 0.9)])
]


def test_overlap_by_hand():
    guess, truth = rectangle((4, 10), (4, 10)), rectangle((4, 8), (4, 16))
    f = m.compare_masks(guess, truth, (1, 1))
    assert (f.tp, f.fp, f.fn) == (24, 12, 24)
    assert (f.dice, f.precision, f.recall, f.iou) == (48 / 84, 24 / 36, 0.5, 24 / 60)
    assert m.conformity(f.dice) == pytest.approx(1 - (12 + 24) / 24)


def test_hausdorff_is_the_larger_direction_between_pixel_centres():
    guess, truth = rectangle((4, 9), (4, 9)), rectangle((4, 9), (4, 9))
    truth[4, 15] = True  # 7 columns from the square's last one
    assert m.hausdorff(guess, truth, (1, 1)) == m.hausdorff(truth, guess, (1, 1)) == 7
    f = m.compare_masks(guess, truth, (3.0, 0.5))
    assert f.hd_mm == 3.5
    # 24 columns and 20 rows are brought to 384: one column is 16 pixels there.
    assert f.hd_px == 7 * 16
    guess[12, 4] = True  # 4 rows below, 3 mm each
    assert m.compare_masks(guess, truth, (3.0, 0.5)).hd_mm == 12


def test_a_hole_has_a_border_too():
    solid, ring = rectangle((2, 13), (2, 13)), rectangle((2, 13), (2, 13))
    ring[5:10, 5:10] = False
    # The hole's border pixels lie next to it, at 4 and 10; the outer border at 2 and 12.
    assert m.hausdorff(solid, ring, (1, 1)) == 2
    assert np.count_nonzero(m.border(ring)) == 40 + 4 * 5


def test_hd95_leaves_out_a_twentieth_of_the_outline():
    truth = rectangle((5, 15), (2, 22))
    guess = truth.copy()
    guess[4, 10] = True  # one pixel out of an outline of about 60 mm
    f = m.compare_masks(guess, truth, (1, 1))
    assert f.hd_mm == 1 and f.hd95_mm == 0
    # The bump's outline: two corners at its foot, two at its head, each half a diagonal long; those
    # at the head are 1 mm away.
    one, other = m.outline(guess, (1, 1)), m.outline(truth, (1, 1))
    corner = np.sqrt(0.5)
    assert other.lengths_mm.sum() == pytest.approx(9 * 2 + 19 * 2 + 4 * corner)
    assert one.lengths_mm.sum() == pytest.approx(9 * 2 + 19 * 2 - 2 + 8 * corner)


def test_surface_dice_by_hand():
    truth, guess = rectangle((4, 9), (4, 9)), rectangle((4, 9), (7, 12))
    # Each outline has 4 pieces of 1 mm a side and 4 corners of half a diagonal. The truth's upper
    # and lower lines, from corner to corner (3.5, 4.5 .. 8.5), lie 3, 2, 1, 0, 0, 0 mm from the
    # guess's; its far side 3 mm, its near side 1, 2, 2, 1 mm; and the other way round.
    corner = np.sqrt(0.5)
    whole = 16 + 4 * corner
    within = {
        0.0: 2 * (2 + corner),
        1.0: 2 * (3 + corner) + 2,
        2.0: 2 * (4 + corner) + 4,
        3.0: whole,
    }
    hd95, shares = m.hausdorff95_and_surface_dice(guess, truth, (1, 1), tuple(within))
    assert shares == pytest.approx([length / whole for length in within.values()])
    assert hd95 == 3


def test_added_path_counts_what_is_to_be_drawn():
    ours, edited = rectangle((4, 9), (3, 12)), rectangle((4, 9), (3, 14))
    # The new side has 5 pixels, and the lines above and below reach it over one more each.
    f = m.compare_masks(ours, edited, (2.0, 2.0))
    assert (f.added_path_px, f.added_path_mm, f.path_px) == (7, 14.0, 2 * 11 + 2 * 3)
    assert f.hd95_mm == 4.0
    assert m.added_path(edited, edited) == (0, 28)


def test_empty_masks():
    none, some = np.zeros(SHAPE, dtype=bool), rectangle((4, 9), (4, 9))
    both = m.compare_masks(none, none, (1, 1))
    for name in (
        "dice",
        "precision",
        "recall",
        "iou",
        "hd_mm",
        "hd_px",
        "hd95_mm",
        "surface_dice_1mm",
        "surface_dice_2mm",
    ):
        assert np.isnan(getattr(both, name)), name
    assert (both.added_path_px, both.path_px) == (0, 0)
    missed, invented = m.compare_masks(none, some, (1, 1)), m.compare_masks(some, none, (1, 1))
    assert (missed.dice, missed.precision, missed.recall, missed.iou, missed.surface_dice_2mm) == (
        0,
        0,
        0,
        0,
        0,
    )
    assert (invented.dice, invented.precision, invented.iou, invented.surface_dice_1mm) == (
        0,
        0,
        0,
        0,
    ) and np.isnan(invented.recall)
    assert np.isnan([missed.hd_mm, missed.hd95_mm, invented.hd_px, invented.hd95_mm]).all()
    assert (missed.added_path_px, invented.added_path_px) == (16, 0)


def test_a_mask_at_the_images_edge_ends_there():
    whole = np.ones((5, 7), dtype=bool)
    assert np.count_nonzero(m.border(whole)) == 20
    assert m.outline(whole, (1, 1)).lengths_mm.sum() == pytest.approx(
        2 * 4 + 2 * 6 + 4 * np.sqrt(0.5)
    )
    assert m.compare_masks(whole, whole, (1, 1)).surface_dice_1mm == 1


def test_weighted_percentile():
    assert m.weighted_percentile(np.array([3.0, 1, 2]), np.array([1.0, 1, 98]), 0.95) == 2
    assert m.weighted_percentile(np.array([3.0, 1, 2]), np.array([6.0, 1, 93]), 0.95) == 3


@pytest.mark.filterwarnings("ignore::DeprecationWarning:surface_distance")
@pytest.mark.parametrize("pair", range(len(PAIRS)))
def test_against_deepminds_surface_distance(pair):
    guess, truth, spacing = PAIRS[pair]
    ours = m.compare_masks(guess, truth, spacing)
    theirs = surface_distance.compute_surface_distances(truth, guess, spacing)
    assert ours.hd95_mm == pytest.approx(
        surface_distance.compute_robust_hausdorff(theirs, 95), abs=1e-9
    )
    assert ours.surface_dice_1mm == pytest.approx(
        surface_distance.compute_surface_dice_at_tolerance(theirs, 1.0), abs=1e-9
    )
    assert ours.surface_dice_2mm == pytest.approx(
        surface_distance.compute_surface_dice_at_tolerance(theirs, 2.0), abs=1e-9
    )
    assert ours.surface_dice_1mm < ours.surface_dice_2mm


@pytest.mark.parametrize("pair", range(len(PAIRS)))
def test_against_monai(pair):
    guess, truth, spacing = PAIRS[pair]
    ours = m.compare_masks(guess, truth, spacing)
    a, b = torch.from_numpy(guess)[None, None], torch.from_numpy(truth)[None, None]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of its own next version
        far = compute_hausdorff_distance(
            a, b, include_background=True, spacing=list(spacing)
        ).item()
        pixels = compute_hausdorff_distance(
            a, b, include_background=True, spacing=[384 / 48, 384 / 56]
        ).item()
        surface = compute_surface_dice(
            a, b, [1.0], include_background=True, spacing=spacing, use_subvoxels=True
        ).item()
    assert ours.hd_mm == pytest.approx(far, rel=1e-5)
    assert ours.hd_px == pytest.approx(pixels, rel=1e-5)
    assert ours.surface_dice_1mm == pytest.approx(surface, rel=1e-5)


@pytest.mark.parametrize("pair", range(len(PAIRS)))
def test_against_simpleitk(pair):
    guess, truth, spacing = PAIRS[pair]
    ours = m.compare_masks(guess, truth, spacing)

    def image(mask):
        out = sitk.GetImageFromArray(mask.astype(np.uint8))
        out.SetSpacing(spacing[::-1])
        return out

    overlap = sitk.LabelOverlapMeasuresImageFilter()
    overlap.Execute(image(guess), image(truth))
    assert ours.dice == pytest.approx(overlap.GetDiceCoefficient())
    assert ours.iou == pytest.approx(overlap.GetJaccardCoefficient())
    assert 1 - ours.recall == pytest.approx(overlap.GetFalseNegativeError())
    # Its contour filter, not ours, finds the borders; beyond the image is outside, so it is given a
    # margin.
    contours = [
        sitk.BinaryContour(sitk.ConstantPad(image(x), (1, 1), (1, 1), 0), fullyConnected=False)
        for x in (guess, truth)
    ]
    distance = sitk.HausdorffDistanceImageFilter()
    distance.Execute(*contours)
    assert ours.hd_mm == pytest.approx(distance.GetHausdorffDistance(), rel=1e-6)
    borders = [sitk.GetArrayFromImage(c)[1:-1, 1:-1] > 0 for c in contours]
    assert (
        ours.path_px == borders[1].sum() and ours.added_path_px == (borders[1] & ~borders[0]).sum()
    )


class Series:
    """What `write_dicom` asks of a patient: three slices of nothing."""

    seed, spacing = 7, (5.0, 0.8, 1.1)
    affine = np.array([[1.1, 0, 0, -30], [0, 0.8, 0, -20], [0, 0, 5.0, 10], [0, 0, 0, 1.0]])

    def __init__(self, mask):
        self._mask = mask

    def sequence(self, name):
        return np.random.default_rng(0).integers(1, 500, self._mask.shape).astype(
            np.uint16
        ), self.affine

    def spacing_of(self, name):
        return self.spacing

    def mask(self):
        return self._mask


def test_against_nasoseg_evaluate(tmp_path):
    """The truth as a structure set (`nasoseg contour`), then `nasoseg evaluate`: its figures of
    every slice are ours.
    """
    pairs = [blobs(seed, (48, 56)) for seed in (11, 12, 13)]
    guess, truth = (np.stack(x) for x in zip(*pairs, strict=True))
    write_dicom(Series(truth), tmp_path)
    flip = np.diag([-1.0, -1.0, 1.0, 1.0])
    for name, mask in (("guess", guess), ("true", truth)):
        nibabel.save(
            nibabel.Nifti1Image(mask.astype(np.uint8).transpose(2, 1, 0), flip @ Series.affine),
            tmp_path / f"{name}.nii.gz",
        )

    def nasoseg(*arguments):
        done = subprocess.run(
            [find_program(), *map(str, arguments)], capture_output=True, text=True
        )
        assert done.returncode == 0, done.stderr

    t1c = tmp_path / "T1C"
    nasoseg(
        "contour",
        "--mask",
        tmp_path / "true.nii.gz",
        "--reference",
        t1c,
        "--out",
        tmp_path / "contour",
    )
    for tolerance in (1, 2):
        nasoseg(
            "evaluate",
            "--rtstruct",
            tmp_path / "contour/rtstruct.dcm",
            "--reference",
            t1c,
            "--ours",
            tmp_path / "guess.nii.gz",
            "--tolerance-mm",
            tolerance,
            "--out",
            tmp_path / f"t{tolerance}",
        )
        record = json.loads((tmp_path / f"t{tolerance}" / "evaluation.json").read_text())
        slices = (record.get("comparison") or record)["slices"]
        assert len(slices) == 3
        for theirs in slices:
            k = theirs["storage_slice"]
            ours = m.compare_masks(guess[k], truth[k], Series.spacing[1:])
            assert theirs["dice"] == pytest.approx(ours.dice)
            assert theirs["hausdorff95_mm"] == pytest.approx(ours.hd95_mm, rel=1e-6)
            assert theirs["contour_dice"] == pytest.approx(
                ours.surface_dice_1mm if tolerance == 1 else ours.surface_dice_2mm, rel=1e-6
            )
            assert (theirs["added_path_pixels"], theirs["edited_path_pixels"]) == (
                ours.added_path_px,
                ours.path_px,
            )
            assert theirs["added_path_mm"] == pytest.approx(ours.added_path_mm, rel=1e-6)
