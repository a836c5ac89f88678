"""The phantom: what a seed promises, the geometry of its sequences, and its files."""

import json
from functools import cache

import nibabel
import numpy as np
import pydicom
import pytest
from scipy import ndimage

from nasoseg_train.phantom import Phantom, anatomy, hardness, write_dicom, write_nifti
from nasoseg_train.phantom.__main__ import main as command
from nasoseg_train.phantom.noise import smooth_noise
from nasoseg_train.phantom.tissue import CODE, patient_tissues, signals, spin_echo

sitk = pytest.importorskip("SimpleITK")

SEED = 7


@cache
def patient(seed: int = SEED) -> Phantom:
    return Phantom(seed)


def as_itk(voxels: np.ndarray, affine: np.ndarray):
    image = sitk.GetImageFromArray(voxels.astype(np.float32))
    spacing = np.linalg.norm(affine[:3, :3], axis=0)
    image.SetSpacing(spacing.tolist())
    image.SetDirection((affine[:3, :3] / spacing).ravel().tolist())
    image.SetOrigin(affine[:3, 3].tolist())
    return image


def test_the_same_seed_gives_the_same_patient():
    again = Phantom(SEED)
    assert np.array_equal(again.images(), patient().images())
    assert np.array_equal(again.mask(), patient().mask())
    assert again.t_category == patient().t_category
    # Whatever was asked for before changes nothing.
    fresh = Phantom(SEED).sequence("T2")
    assert np.array_equal(fresh[0], patient().sequence("T2")[0])


def test_shapes_types_and_units():
    p = patient()
    assert p.shape[0] in (32, 36) and p.shape[1] == p.shape[2] and p.shape[1] in (320, 352, 384)
    assert p.spacing_mm == (6.0, 0.74, 0.74)
    images, mask = p.images(), p.mask()
    assert images.shape == (3, *p.shape) and images.dtype == np.float32
    assert mask.shape == p.shape and mask.dtype == bool
    assert (
        np.array_equal(images, np.rint(images)) and images.min() >= 0 and 500 < images.max() <= 4095
    )
    assert p.t_category in ("T1", "T2", "T3", "T4")
    assert p.tumour_slices == [k for k in range(p.shape[0]) if mask[k].any()]
    assert np.allclose(np.linalg.norm(p.affine[:3, :3], axis=0), p.spacing_mm[::-1])


def test_tumour_slices_hold_no_specks_and_follow_each_other():
    p = patient()
    slices = p.tumour_slices
    assert 3 <= len(slices) <= 18
    assert slices[-1] - slices[0] + 1 - len(slices) <= 1
    for k in slices:
        label, _ = ndimage.label(p.mask()[k])
        assert np.bincount(label.ravel())[1:].min() >= 25


def test_tumour_starts_at_the_nasopharyngeal_wall_and_is_one_piece():
    p = patient()
    grown = p._tumour
    window = p._label[grown.window]
    solid = grown.fraction > 0.5
    _, count = ndimage.label(solid, structure=np.ones((3, 3, 3)))
    assert count <= 3
    largest = max(ndimage.sum_labels(solid, *_pieces(solid)))
    assert largest > 0.98 * solid.sum()
    assert (solid & (window == CODE["mucosa"])).any(), "it touches the mucosa it came from"
    z, y, x = grown.seed_mm
    assert abs(x) < 30 and -25 < y < 25 and -25 < z < 30
    lumen = ndimage.binary_erosion(window == CODE["air"], iterations=2)
    assert not (solid & lumen).any(), "air is never entered"


def _pieces(solid):
    label, count = ndimage.label(solid, structure=np.ones((3, 3, 3)))
    return label, range(1, count + 1)


def test_without_a_tumour_there_is_none():
    p = Phantom(SEED, tumour=False)
    assert p.tumour_slices == [] and p.t_category is None and not p.mask().any()
    assert p.images().shape[0] == 3


def test_grids_differ_and_cover_the_head():
    p = patient()
    grids = {name: p.sequence(name) for name in ("T1", "T1C", "T2")}
    reference, affine = grids["T1C"]
    assert np.array_equal(affine, p.affine)
    assert np.array_equal(reference, p.images()[1].astype(np.uint16))
    foreground = reference > 0.1 * np.percentile(reference, 99)
    k, j, i = np.nonzero(foreground)
    points = affine[:3, :3] @ np.stack([i, j, k]) + affine[:3, 3:]
    for name in ("T1", "T2"):
        voxels, own = grids[name]
        assert not np.allclose(own, affine)
        index = np.linalg.solve(own[:3, :3], points - own[:3, 3:])[::-1]
        size = np.array(voxels.shape)[:, None]
        covered = ((index >= 0) & (index <= size - 1)).all(axis=0)
        share = np.bincount(k, covered, minlength=p.shape[0]) / np.maximum(
            np.bincount(k, minlength=p.shape[0]), 1
        )
        assert share[np.bincount(k, minlength=p.shape[0]) > 0].min() >= 0.95
    assert np.allclose(np.linalg.norm(grids["T2"][1][:3, :2], axis=0), 0.6)


@pytest.mark.parametrize("name, channel", [("T1", 0), ("T2", 2)])
def test_a_sequence_shows_the_patient_of_the_images(name, channel):
    p = patient()
    moved = sitk.Resample(
        as_itk(*p.sequence(name)),
        as_itk(np.zeros(p.shape), p.affine),
        sitk.Transform(),
        sitk.sitkLinear,
        0.0,
    )
    moved = sitk.GetArrayFromImage(moved)
    target = p.images()[channel]
    inner = slice(2, -2)

    def agreement(image):
        return np.corrcoef(
            image[inner, 40:-40:2, 40:-40:2].ravel(), target[inner, 40:-40:2, 40:-40:2].ravel()
        )[0, 1]

    here = agreement(moved)
    assert here > 0.95
    for axis, step in ((1, 2), (1, -2), (2, 2), (2, -2), (0, 1), (0, -1)):
        assert agreement(np.roll(moved, step, axis)) < here, "any shift makes it worse"


def test_dicom_holds_voxels_and_geometry(tmp_path):
    p = patient()
    write_dicom(p, tmp_path)
    uids, frames, studies = set(), set(), set()
    for name in ("T1", "T1C", "T2"):
        voxels, affine = p.sequence(name)
        files = sorted((tmp_path / name).glob("*.dcm"))
        images = [pydicom.dcmread(f) for f in files]
        assert len(images) == len(voxels)
        first = images[0]
        cosines = np.array(first.ImageOrientationPatient, float).reshape(2, 3)
        normal = np.cross(*cosines)
        heights = [float(np.array(d.ImagePositionPatient, float) @ normal) for d in images]
        assert heights != sorted(heights), "file names are in no order"
        images = [images[n] for n in np.argsort(heights)]
        assert np.array_equal(np.stack([d.pixel_array for d in images]), voxels)
        read = np.eye(4)
        read[:3, 0] = cosines[0] * float(images[0].PixelSpacing[1])
        read[:3, 1] = cosines[1] * float(images[0].PixelSpacing[0])
        positions = np.array([d.ImagePositionPatient for d in images], float)
        read[:3, 2] = (positions[-1] - positions[0]) / (len(images) - 1)
        read[:3, 3] = positions[0]
        assert np.allclose(read, affine, atol=1e-5)
        assert (
            first.Modality == "MR"
            and first.ScanningSequence == "SE"
            and str(first.PatientName) == f"PHANTOM^{SEED}"
        )
        assert (float(first.RepetitionTime), float(first.EchoTime)) == (
            (4000.0, 99.0) if name == "T2" else (540.0, 11.8)
        )
        assert ("ContrastBolusAgent" in first) == (name == "T1C")
        uids |= {d.SOPInstanceUID for d in images}
        frames |= {d.FrameOfReferenceUID for d in images}
        studies |= {d.StudyInstanceUID for d in images}
    assert len(uids) == sum(len(p.sequence(n)[0]) for n in ("T1", "T1C", "T2"))
    assert len(frames) == len(studies) == 1
    assert (tmp_path / "truth.nii.gz").is_file()


def test_nifti_holds_voxels_truth_and_figures(tmp_path):
    p = patient()
    write_nifti(p, tmp_path)
    for name in ("T1", "T1C", "T2"):
        voxels, affine = p.sequence(name)
        image = nibabel.load(tmp_path / f"{name.lower()}.nii.gz")
        assert np.array_equal(np.asarray(image.dataobj).transpose(2, 1, 0), voxels)
        assert np.allclose(np.diag([-1, -1, 1, 1]) @ image.affine, affine, atol=1e-4)
    truth = nibabel.load(tmp_path / "truth.nii.gz")
    assert np.array_equal(np.asarray(truth.dataobj).transpose(2, 1, 0) > 0, p.mask())
    info = json.loads((tmp_path / "info.json").read_text())
    assert info["tumour_slices"] == p.tumour_slices and info["t_category"] == p.t_category
    assert info["area_px"] == [int(p.mask()[k].sum()) for k in p.tumour_slices]


def test_command_line(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(
        "nasoseg_train.phantom.__main__.Phantom", lambda seed, tumour: patient(seed)
    )
    monkeypatch.setattr(
        "sys.argv", ["phantom", "--seed", "7", "--out", str(tmp_path / "p"), "--format", "nifti"]
    )
    command()
    assert "seed 7" in capsys.readouterr().out
    assert (tmp_path / "p" / "info.json").is_file()


def test_hardness_of_a_few_patients():
    m = hardness.measure(range(60, 62))
    assert 0.2 < m["area"].mean() < 3.0
    assert m["best"].mean(axis=0).max() <= 0.60
    assert m["recall"].min() >= 0.0 and m["recall"].max() <= 1.0


def test_threshold_oracle_and_recall_by_hand():
    mask = np.zeros((384, 384), bool)
    mask[100:120, 150:170] = True
    assert hardness.best_threshold_dice(np.where(mask, 5.0, 1.0), mask) == pytest.approx(
        18 / 29
    )  # rows above the box are out of reach
    inner = np.zeros_like(mask)
    inner[180:200, 150:170] = True
    assert hardness.best_threshold_dice(np.where(inner, 1.0, 5.0), inner) == 1.0
    assert hardness.best_threshold_dice(np.full((384, 384), 2.0), inner) < 0.05
    assert hardness.recall_of_initial_box(inner) == 1.0
    assert hardness.recall_of_initial_box(mask) == pytest.approx((120 - 111.36) / 20)


def test_tumour_signal_lies_between_muscle_and_mucosa():
    for seed in range(40):
        tissues = patient_tissues(np.random.default_rng(seed))
        table = signals(tissues)
        muscle, tumour, mucosa = (table[CODE[n]] for n in ("muscle", "tumour", "mucosa"))
        assert muscle[1] < tumour[1] < mucosa[1] and muscle[2] < tumour[2] < mucosa[2]


def test_spin_echo_and_noise():
    assert spin_echo(1000.0, 80.0, 1.0, 1e9, 0.0) == pytest.approx(1.0)
    field = smooth_noise(np.random.default_rng(0), (40, 90, 90), (3, 4, 4))
    assert (
        field.dtype == np.float32
        and abs(field.mean()) < 0.1
        and field.std() == pytest.approx(1.0, abs=0.1)
    )
    assert anatomy.plane_of(anatomy.ORIGIN_MM[0]) == 0
