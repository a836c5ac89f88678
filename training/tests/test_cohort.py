"""`nasoseg-train prepare`: the public set's layout with its traps, lists, bad data by name, resume,
split, fingerprint, slices.

Patients are one small phantom in variants; the program `nasoseg` is real: NASOSEG_PROGRAM, or
wherever `find_program` finds it.
"""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from dataclasses import replace
from functools import cache, lru_cache
from pathlib import Path

import nibabel
import numpy as np
import pydicom
import pytest
import tyro

from nasoseg_train import phantom as phantom_package
from nasoseg_train.cohort import case as case_module
from nasoseg_train.cohort.build import Plan, build
from nasoseg_train.cohort.case import Job, prepare_case
from nasoseg_train.cohort.fingerprint import fingerprint, outliers
from nasoseg_train.cohort.nasoseg_prepare import Geometry, reason_of, version, without_identity
from nasoseg_train.cohort.sources import (
    CohortError,
    PatientFiles,
    add_covariates,
    listed,
    phantoms,
    public_set,
)
from nasoseg_train.cohort.split import assign
from nasoseg_train.commands.prepare import Prepare
from nasoseg_train.data.dataset import Dataset
from nasoseg_train.data.slice_grid import prepare_slices
from nasoseg_train.data.slice_set import patient_seeds
from nasoseg_train.phantom import Phantom, write_dicom
from nasoseg_train.run.nasoseg_program import find_program
from nasoseg_train.run.presets import InputConfig

sitk = pytest.importorskip("SimpleITK")

REPOSITORY = Path(__file__).resolve().parents[2]
PROGRAM = find_program()
LPS_TO_RAS = np.diag([-1.0, -1.0, 1.0, 1.0])
STEP = 4  # pixels of the phantom per pixel here


@lru_cache(maxsize=1)
def whole() -> Phantom:
    return Phantom(7)


class Small:
    """The phantom's tumour slices at a quarter of the resolution; what `write_dicom` requires. A
    variant has other voxels.
    """

    def __init__(self, seed: int, shift: int = 0) -> None:
        self.seed, self.t_category = seed, whole().t_category
        first = whole().tumour_slices[0] - 3
        self.window = slice(first, first + 14)
        self.shift = shift

    def _small(self, affine):
        out = affine.copy()
        out[:3, 3] += affine[:3, 2] * self.window.start
        out[:3, :2] *= STEP
        return out

    def sequence(self, name):
        voxels, affine = sequence(name)
        part = voxels[self.window, ::STEP, ::STEP].astype(np.int32)
        return np.where(part > 0, part + self.shift, 0).astype(np.uint16), self._small(affine)

    def spacing_of(self, name):
        dk, dj, di = whole().spacing_of(name)
        return dk, dj * STEP, di * STEP

    spacing_mm = property(lambda self: self.spacing_of("T1C"))
    affine = property(lambda self: self._small(whole().affine))
    shape = property(lambda self: self.mask().shape)
    tumour_slices = property(lambda self: np.flatnonzero(self.mask().any(axis=(1, 2))).tolist())

    def mask(self):
        return whole().mask()[self.window, ::STEP, ::STEP]


@cache
def sequence(name):
    return whole().sequence(name)


def save(path, voxels, affine):
    """[k, j, i] and an affine to LPS as NIfTI."""
    image = nibabel.Nifti1Image(
        np.ascontiguousarray(voxels.transpose(2, 1, 0)), LPS_TO_RAS @ affine
    )
    path.parent.mkdir(parents=True, exist_ok=True)
    nibabel.save(image, path)


def load(path):
    return np.asanyarray(nibabel.load(path).dataobj).transpose(2, 1, 0)


def mask_on(patient, name):
    """The truth on another sequence's grid, by the nearest voxel, and its affine."""
    voxels, affine = patient.sequence(name)
    k, j, i = np.indices(voxels.shape)
    there = np.linalg.inv(patient.affine) @ affine
    points = there[:3, :3] @ np.stack([i.ravel(), j.ravel(), k.ravel()]) + there[:3, 3:]
    index = np.floor(points + 0.5).astype(int)[::-1]
    truth = patient.mask()
    inside = ((index >= 0) & (index < np.array(truth.shape)[:, None])).all(axis=0)
    out = np.zeros(voxels.size, np.uint8)
    out[inside] = truth[tuple(index[:, inside])]
    return out.reshape(voxels.shape), affine


def public_patient(folder, number, shift):
    """One patient in the public set's layout."""
    patient = Small(number, shift)
    write_dicom(patient, folder)
    for ours, theirs in (("T1", "T1WI"), ("T1C", "CE-T1WI"), ("T2", "T2WI")):
        (folder / ours).rename(folder / theirs)
    (folder / "truth.nii.gz").unlink()
    save(folder / "ROI-CE-T1.nii", patient.mask().astype(np.uint8), patient.affine)
    for name in ("T1", "T2"):
        save(folder / f"ROI-{name}.nii", *mask_on(patient, name))
    return patient


@pytest.fixture(scope="module")
def tree(tmp_path_factory):
    """The public set's layout: three patients as they should be, then the traps."""
    root = tmp_path_factory.mktemp("public")
    place = root / "data" / "MRI-Segments"
    for number in range(1, 10):
        public_patient(place / f"{number:03d}", number, 3 * number)
    mask, affine = Small(1).mask().astype(np.uint8), Small(1).affine
    # 002: the same voxels stored from head to feet and left to right, and said so.
    turned = affine @ np.array(
        [[-1, 0, 0, mask.shape[2] - 1], [0, 1, 0, 0], [0, 0, -1, mask.shape[0] - 1], [0, 0, 0, 1.0]]
    )
    save(place / "002/ROI-CE-T1.nii", mask[::-1, :, ::-1], turned)
    # 003: the drawing lies with its sequence.
    (place / "003/ROI-CE-T1.nii").rename(place / "003/CE-T1WI/ROI-CE-T1.nii")
    save(place / "004/ROI-CE-T1.nii", *mask_on(Small(4), "T2"))
    nibabel.save(
        nibabel.Nifti1Image(mask, LPS_TO_RAS @ affine), place / "005/ROI-CE-T1.nii"
    )  # [k, j, i] taken for [i, j, k]
    moved = affine.copy()
    moved[:3, 3] += [4.0, -3.0, 0.0]
    save(place / "006/ROI-CE-T1.nii", mask, moved)
    shutil.rmtree(place / "007/T2WI")
    (place / "008/ROI-CE-T1.nii").unlink()
    moved[:3, 3] += 2000.0
    save(place / "009/ROI-CE-T1.nii", mask, moved)
    (place / "notes").mkdir()
    return root


def made(tmp_path, cohort, **options):
    plan = Plan(tmp_path / "set", "a test", PROGRAM, Geometry(), workers=1)
    return build(cohort, replace(plan, **options))


@pytest.fixture(scope="module")
def public(tree, tmp_path_factory):
    return made(tmp_path_factory.mktemp("made"), public_set(tree))


def test_the_public_set_with_its_traps(public):
    assert [c.id for c in public.cases()] == ["001", "002", "003"]
    assert {s["id"]: s["reason"] for s in public.record["skipped"]} == {
        "004": "mask of another shape",
        "005": "transposed mask",
        "006": "mask's affine disagrees",
        "007": "missing sequence",
        "008": "missing mask",
        "009": "mask outside the image",
    }
    detail = {s["id"]: s["detail"] for s in public.record["skipped"]}
    assert "up to 5.000 mm" in detail["006"] and "--trust-array-order" in detail["006"]
    assert "T2WI" in detail["007"] and "14 x 80 x 80" in detail["005"].replace("  ", " ")
    for number, case in enumerate(public.cases(), 1):
        patient = Small(number, 3 * number)
        assert case.shape == patient.shape and np.allclose(case.spacing_mm, patient.spacing_mm)
        assert np.array_equal(case.mask(), patient.mask()), "in order, never resampled"
        images = case.images()
        assert images.dtype == np.float32 and np.array_equal(images[1], patient.sequence("T1C")[0])
    assert public.cases()[0].file("T1C").parent == public.folder / "cases" / "001"
    agreement = public.cases()[0].record["agreement"]
    assert 0.6 < agreement["T1"]["dice"] <= 1 and 0.6 < agreement["T2"]["dice"] <= 1


@pytest.mark.parametrize(
    "axes, flips",
    [
        ((0, 1, 2), (1, 1, 0)),
        ((0, 1, 2), (0, 0, 1)),
        ((1, 2, 0), (1, 0, 1)),
        ((2, 0, 1), (0, 1, 1)),
    ],
)
def test_one_patient_in_other_storage_orders(tmp_path, axes, flips):
    """T1C's array [i, j, k] turned: the case is the same, the mask stays in its own order."""
    patient = Small(1, 3)
    for name in ("T1", "T1C", "T2"):
        save(tmp_path / f"{name}.nii.gz", *patient.sequence(name))
    save(tmp_path / "mask.nii.gz", patient.mask().astype(np.uint8), patient.affine)
    image = nibabel.load(tmp_path / "T1C.nii.gz")
    turned = image.as_reoriented(
        np.array([[a, -1 if f else 1] for a, f in zip(axes, flips, strict=True)])
    )
    assert nibabel.aff2axcodes(turned.affine) != nibabel.aff2axcodes(image.affine)
    nibabel.save(turned, tmp_path / "T1C.nii.gz")
    files = {name: tmp_path / f"{name}.nii.gz" for name in ("T1", "T1C", "T2")}
    job = Job(
        PatientFiles("a", files, tmp_path / "mask.nii.gz"),
        tmp_path / "cases",
        PROGRAM,
        "one",
        Geometry(),
        1,
    )
    record = prepare_case(job)
    assert isinstance(record, dict), record
    assert tuple(record["shape"]) == patient.shape and np.allclose(
        record["spacing_mm"], patient.spacing_mm
    )
    assert np.array_equal(load(tmp_path / "cases/a/truth.nii.gz") > 0, patient.mask())
    assert np.array_equal(load(tmp_path / "cases/a/T1C.nii.gz"), patient.sequence("T1C")[0])


@pytest.mark.parametrize("name, channel", [("T1", 0), ("T2", 2)])
def test_sequences_are_aligned_as_simpleitk_does(public, name, channel):
    case, patient = public.cases()[0], Small(1, 3)

    def itk(voxels, affine):
        image = sitk.GetImageFromArray(voxels.astype(np.float32))
        lengths = np.linalg.norm(affine[:3, :3], axis=0)
        image.SetSpacing(lengths.tolist())
        image.SetDirection((affine[:3, :3] / lengths).ravel().tolist())
        image.SetOrigin(affine[:3, 3].tolist())
        return image

    source, target = itk(*patient.sequence(name)), itk(patient.mask(), patient.affine)
    expected = sitk.GetArrayFromImage(
        sitk.Resample(source, target, sitk.Transform(), sitk.sitkLinear, 0.0)
    )
    # Outermost voxels aside, where the two hold values differently.
    there = expected[2:-2, 4:-4, 4:-4]
    found = case.images()[channel][2:-2, 4:-4, 4:-4]
    assert (there > 0).mean() > 0.9 and np.abs(found - there)[there > 0].max() < 0.05
    affine = nibabel.load(case.file(name)).affine
    assert np.allclose(LPS_TO_RAS @ affine, patient.affine, atol=1e-3)


def test_an_array_is_trusted_when_asked(tree, tmp_path):
    cohort = public_set(tree)
    cohort.patients = [p for p in cohort.patients if p.id in ("004", "006")]
    data = made(tmp_path, cohort, geometry=Geometry(trust_array_order=True))
    assert [c.id for c in data.cases()] == ["006"]
    assert np.array_equal(data.cases()[0].mask(), Small(6).mask())
    assert "array order was trusted" in " ".join(data.cases()[0].record["warnings"])


def test_other_layouts_are_told(tmp_path):
    with pytest.raises(CohortError, match="no such folder"):
        public_set(tmp_path / "none")
    with pytest.raises(CohortError, match="no patients"):
        public_set(tmp_path)


# ---------------------------------------------------------------------- lists

HEADER = "id,t1,t1c,t2,mask"


def write(path, text):
    path.write_text(text)
    return path


def test_lists_as_csv_and_json(tmp_path):
    for name in ("a1", "a1c", "a2", "m"):
        write(tmp_path / name, "x")
    csv = write(
        tmp_path / "list.csv",
        f"\ufeff{HEADER};split;covariate:stage;t2_pick\n".replace(",", ";")
        + "07;a1;a1c;a2;m;test;III;Echo Time=80\n",
    )
    entry = {
        "id": "07",
        "t1": "a1",
        "t1c": "a1c",
        "t2": "a2",
        "mask": "m",
        "split": "test",
        "t2_pick": "Echo Time=80",
        "covariates": {"stage": "III"},
    }
    js = write(tmp_path / "list.json", json.dumps([entry]))
    assert listed(csv).patients == listed(js).patients
    patient = listed(csv).patients[0]
    assert (
        patient.images["T1C"] == tmp_path / "a1c"
        and patient.covariates == {"stage": "III"}
        and patient.choices == {"t2_pick": "Echo Time=80"}
    )
    table = write(tmp_path / "more.csv", "id,age group,stage\n07,old,IV\n08,young,I\n")
    cohort = listed(csv)
    add_covariates(cohort, table)
    assert (
        cohort.patients[0].covariates == {"stage": "IV", "age group": "old"}
        and "08" in cohort.warnings[0]
    )


@pytest.mark.parametrize(
    "text, message",
    [
        (f"{HEADER},stage\n1,a,a,a,a,x\n", "unknown: stage.*covariate:NAME"),
        ("id,t1,t1c,t2\n1,a,a,a\n", "mask missing"),
        (f"{HEADER}\n", "lists no patient"),
        (f"{HEADER}\n1,a,a,a\n", "expected 5 fields"),
        (f"{HEADER}\n1,a,a,a,a\n1,b,b,b,b\n", "'1' occurs twice .line 2 and line 3"),
        (
            f"{HEADER},split\n1,a,a,a,a,train\n1,a,a,a,a,test\n",
            "in two splits: train .line 2. and test",
        ),
        (f"{HEADER},split\n1,a,a,a,a,train\n2,a,a,a,a,\n", "line 3: no split"),
        (
            f"{HEADER},split\n1,a,a,a,a,training\n",
            "'training', expected one of train, validation, test",
        ),
        (f"{HEADER}\n../1,a,a,a,a\n", "an id names a folder"),
        (f"{HEADER},t1\n1,a,a,a,a,a\n", "t1 occurs twice"),
    ],
)
def test_lists_that_make_no_sense_are_refused(tmp_path, text, message):
    with pytest.raises(CohortError, match=message):
        listed(write(tmp_path / "list.csv", text))


def test_json_lists_that_make_no_sense_are_refused(tmp_path):
    entry = {"id": "1", "t1": "a", "t1c": "a", "t2": "a", "mask": "a"}
    for entries, message in (
        ({"patients": []}, "a JSON list of objects"),
        ([{**entry, "age": "7"}], "unknown: age"),
        ([{**entry, "id": 1}], "id: expected text"),
        ([{**entry, "covariates": {"a": [1]}}], "covariates: expected text"),
    ):
        with pytest.raises(CohortError, match=message):
            listed(write(tmp_path / "list.json", json.dumps(entries)))
    with pytest.raises(CohortError, match="cannot be read as JSON"):
        listed(write(tmp_path / "list.json", "[{"))


# ---------------------------------------------------------------------- bad data


def nifti_patient(folder, number, shift, change=None):
    """One patient as four NIfTI files; `change(files)` spoils them."""
    patient = Small(number, shift)
    files = {name.lower(): patient.sequence(name) for name in ("T1", "T1C", "T2")}
    files["mask"] = patient.mask().astype(np.uint8), patient.affine
    if change:
        change(files)
    for name, (voxels, affine) in files.items():
        save(folder / f"{name}.nii.gz", voxels, affine)


def spoil_nan(files):
    voxels, affine = files["t2"]
    voxels = voxels.astype(np.float32)
    voxels[3, 4, 5] = np.nan
    files["t2"] = voxels, affine


def spoil_apart(files):
    voxels, affine = files["t2"]
    affine = affine.copy()
    affine[:3, 3] += 3000
    files["t2"] = voxels, affine


def spoil_one_slice(names):
    def spoil(files):
        for name in names:
            files[name] = (
                files[name][0][5:6],
                files[name][1]
                @ np.array([[1, 0, 0, 0], [0, 1, 0, 0], [0, 0, 1, 5], [0, 0, 0, 1.0]]),
            )

    return spoil


def left_half(mask):
    """Whether a column lies in the left half of the tumour."""
    columns = np.flatnonzero(mask.any(axis=(0, 1)))
    return (np.arange(mask.shape[2]) < columns.mean()).astype(np.uint8)


def spoil_mask(change):
    def spoil(files):
        files["mask"] = change(files["mask"][0]), files["mask"][1]

    return spoil


BAD = {
    "nan": (spoil_nan, "NaN or infinite voxels"),
    "apart": (spoil_apart, "sequences do not overlap"),
    "thin": (spoil_one_slice(["t1c", "mask"]), "one slice"),
    "thin t1": (spoil_one_slice(["t1"]), "one slice"),
    "empty": (spoil_mask(lambda m: m * 0), "empty mask"),
    "labels": (spoil_mask(lambda m: m + m * left_half(m)), "labels of the mask"),
    "soft": (spoil_mask(lambda m: m.astype(np.float32) * 0.5), "labels of the mask"),
    "inverted": (spoil_mask(lambda m: 1 - m), "mask covers the image"),
    "no signal": (
        lambda files: files.update(t2=(files["t2"][0] * 0, files["t2"][1])),
        "unreadable or unusable image",
    ),
    "same twice": (lambda files: files.update(t2=files["t1c"]), "one series twice"),
}


def test_bad_data_is_named_and_skipped(tree, tmp_path):
    rows = [f"{HEADER},covariate:stage"]

    def row(name, **paths):
        one = {key: f"{name}/{key}.nii.gz" for key in ("t1", "t1c", "t2", "mask")} | paths
        rows.append(f"{name},{one['t1']},{one['t1c']},{one['t2']},{one['mask']},II")

    expected = {}
    for number, (name, (change, reason)) in enumerate(BAD.items()):
        nifti_patient(tmp_path / name, 20 + number, 20 + number, change)
        row(name)
        expected[name] = reason
    # The same images under two ids: the first stays, the mask may differ.
    nifti_patient(tmp_path / "good", 50, 50)
    row("good")
    nifti_patient(tmp_path / "twin", 51, 50, spoil_mask(lambda m: m * left_half(m)))
    row("twin")
    row("gone", t2="nowhere.nii.gz")
    row("blank", mask="")
    expected |= {"twin": "images of another case", "gone": "missing file", "blank": "missing mask"}
    place = tree / "data" / "MRI-Segments"
    dicom = {
        "t1": place / "001/T1WI",
        "t1c": place / "001/CE-T1WI",
        "t2": place / "001/T2WI",
        "mask": place / "001/ROI-CE-T1.nii",
    }
    # Two series in one folder; a file cut short; a folder of text; two patients' sequences.
    shutil.copytree(place / "001/T1WI", tmp_path / "two series")
    for file in (place / "001/T2WI").glob("*.dcm"):
        shutil.copy(file, tmp_path / "two series" / f"other {file.name}")
    row("several", **dicom | {"t1": "two series"})
    shutil.copytree(place / "001/T1WI", tmp_path / "cut")
    cut = next((tmp_path / "cut").glob("*.dcm"))
    cut.write_bytes(cut.read_bytes()[:1500])
    row("cut", **dicom | {"t1": "cut"})
    (tmp_path / "single").mkdir()
    shutil.copy(next((place / "001/T1WI").glob("*.dcm")), tmp_path / "single")
    row("single", **dicom | {"t1": "single"})
    (tmp_path / "text").mkdir()
    write(tmp_path / "text" / "IM1.dcm", "no image")
    row("text", **dicom | {"t1": "text"})
    row("two people", **dicom | {"t2": place / "002/T2WI"})
    expected |= {
        "several": "several series",
        "cut": "unreadable or unusable image",
        "text": "unreadable or unusable image",
        "two people": "sequences of two patients",
        "single": "one slice",
    }
    data = made(tmp_path, listed(write(tmp_path / "list.csv", "\n".join(rows) + "\n")))
    assert {s["id"]: s["reason"] for s in data.record["skipped"]} == expected
    assert [c.id for c in data.cases()] == ["good"] and data.cases()[0].covariates == {
        "stage": "II"
    }
    detail = {s["id"]: s["detail"] for s in data.record["skipped"]}
    assert (
        "(i 5, j 4, k 3) is NaN" in detail["nan"]
        and "1, 2" in detail["labels"]
        and "good" in detail["twin"]
    )
    # Nothing that DICOM says of a person is copied.
    for text in ((data.folder / name).read_text() for name in ("dataset.json", "report.md")):
        assert "PHANTOM" not in text and "20120102" not in text and "1.2.826" not in text
    report = (data.folder / "report.md").read_text()
    assert all(f"| {name} | {reason} |" in report for name, reason in expected.items())
    assert not [
        f for f in (data.folder / "cases").iterdir() if f.name != "good" and f.name != "twin"
    ], "nothing half made is left"


def test_one_label_is_chosen(tmp_path):
    nifti_patient(tmp_path / "a", 1, 1, BAD["labels"][0])
    files = {name: tmp_path / f"a/{name.lower()}.nii.gz" for name in ("T1", "T1C", "T2")}
    patient = PatientFiles("a", files, tmp_path / "a/mask.nii.gz")
    job = Job(patient, tmp_path / "cases", PROGRAM, "one", Geometry(label=2), 1)
    assert prepare_case(job)["id"] == "a"
    found = load(tmp_path / "cases/a/truth.nii.gz")
    assert np.array_equal(found > 0, load(tmp_path / "a/mask.nii.gz") == 2)
    missing = prepare_case(replace(job, geometry=Geometry(label=3)))
    assert (
        missing.reason == "labels of the mask"
        and "no voxel has the label 3; it holds 1, 2" in missing.detail
    )
    assert found.any() and (tmp_path / "cases/a/case.json").exists(), "what was there stays"


def test_a_structure_set_is_a_mask(tree, tmp_path):
    place = tree / "data" / "MRI-Segments" / "001"
    command = [
        PROGRAM,
        "contour",
        "--mask",
        place / "ROI-CE-T1.nii",
        "--reference",
        place / "CE-T1WI",
        "--out",
        tmp_path / "drawn",
    ]
    subprocess.run(command, check=True, capture_output=True)
    images = {"T1": place / "T1WI", "T1C": place / "CE-T1WI", "T2": place / "T2WI"}
    patient = PatientFiles("a", images, tmp_path / "drawn/rtstruct.dcm")
    made_case = prepare_case(Job(patient, tmp_path / "cases", PROGRAM, "one", Geometry(), 1))
    assert isinstance(made_case, dict), made_case
    assert np.array_equal(load(tmp_path / "cases/a/truth.nii.gz") > 0, Small(1).mask())


def test_a_mask_that_is_off_by_rounding_is_taken(tree, tmp_path):
    """Positions of slices that jitter, and a mask with one affine for all, rows stored from the
    other end.
    """
    place = tree / "data" / "MRI-Segments" / "001"
    shutil.copytree(place / "CE-T1WI", tmp_path / "T1C")
    for n, file in enumerate(sorted((tmp_path / "T1C").glob("*.dcm"))):
        image = pydicom.dcmread(file)
        x, y, z = image.ImagePositionPatient
        image.ImagePositionPatient = [x, y, f"{float(z) + 0.04 * (-1) ** n:.5f}"]
        image.save_as(file)
    mask, affine = Small(1).mask().astype(np.uint8), Small(1).affine
    save(
        tmp_path / "m.nii",
        mask[:, ::-1],
        affine
        @ np.array([[1, 0, 0, 0], [0, -1, 0, mask.shape[1] - 1], [0, 0, 1, 0], [0, 0, 0, 1.0]]),
    )
    images = {"T1": place / "T1WI", "T1C": tmp_path / "T1C", "T2": place / "T2WI"}
    job = Job(
        PatientFiles("a", images, tmp_path / "m.nii"),
        tmp_path / "cases",
        PROGRAM,
        "one",
        Geometry(),
        1,
    )
    record = prepare_case(job)
    assert isinstance(record, dict), record
    assert "taken as the same" in " ".join(
        record["warnings"]
    ) and "from even distances" in " ".join(record["warnings"])
    assert np.array_equal(load(tmp_path / "cases/a/truth.nii.gz") > 0, Small(1).mask())


def test_slices_that_are_missing(tree, tmp_path):
    place = tree / "data" / "MRI-Segments" / "001"
    shutil.copytree(place, tmp_path / "gap")
    files = {
        float(pydicom.dcmread(f).ImagePositionPatient[2]): f
        for f in (tmp_path / "gap/CE-T1WI").glob("*.dcm")
    }
    files[sorted(files)[5]].unlink()
    mask, affine = np.delete(Small(1).mask(), 5, axis=0).astype(np.uint8), Small(1).affine
    save(tmp_path / "mask.nii", mask, affine)
    images = {
        "T1": tmp_path / "gap/T1WI",
        "T1C": tmp_path / "gap/CE-T1WI",
        "T2": tmp_path / "gap/T2WI",
    }
    job = Job(
        PatientFiles("gap", images, tmp_path / "mask.nii"),
        tmp_path / "cases",
        PROGRAM,
        "one",
        Geometry(),
        1,
    )
    assert "--allow-gaps" in prepare_case(job).detail
    # NIfTI has one affine for all slices: such a T1C cannot be a case.
    geometry = Geometry(allow_gaps=True, trust_array_order=True)
    assert prepare_case(replace(job, geometry=geometry)).reason == "unevenly spaced slices"
    images["T1"], images["T1C"] = images["T1C"], images["T1"]
    patient = PatientFiles("gap", images, tmp_path / "mask.nii")
    save(tmp_path / "mask.nii", *mask_on(Small(1), "T1"))
    record = prepare_case(replace(job, patient=patient, geometry=geometry))
    assert "missing" in " ".join(record["warnings"]) or "apart" in " ".join(record["warnings"]), (
        record["warnings"]
    )


def test_words_of_the_program_lose_what_names_a_person():
    message = (
        "T2 belongs to another patient than T1: "
        'patient name "ROE^RICHARD" against "DOE^JANE". All three'
    )
    assert reason_of(message, 4) == "sequences of two patients"
    assert without_identity(message).startswith(
        "T2 belongs to another patient than T1: patient name differs. All three"
    )
    message = (
        "mask: a.dcm: belongs to another patient than the reference: "
        'birth date "19\\"60" against "1961". No option'
    )
    assert (
        reason_of(message, 4) == "mask of another patient"
        and "196" not in without_identity(message)
        and "No option" in without_identity(message)
    )
    message = (
        "x: 2 series were found, one was expected: "
        "1.2.840.113619.2.55.3.20120102 (Doe neck) 30 images. Choose one"
    )
    assert (
        reason_of(message, 3) == "several series"
        and "Doe" not in without_identity(message)
        and "20120102" not in without_identity(message)
    )


def test_one_odd_patient_ends_no_run_but_a_full_disk_does(tree, tmp_path, monkeypatch):
    place = tree / "data" / "MRI-Segments" / "001"
    images = {"T1": place / "T1WI", "T1C": place / "CE-T1WI", "T2": place / "T2WI"}
    job = Job(
        PatientFiles("a", images, place / "ROI-CE-T1.nii"),
        tmp_path / "cases",
        PROGRAM,
        "one",
        Geometry(),
        1,
    )

    def script(text):
        path = tmp_path / "program"
        path.write_text(f"#!/bin/sh\n{text}\n")
        path.chmod(0o755)
        return replace(job, program=path)

    found = prepare_case(script("kill -9 $$"))
    assert (found.reason, found.detail) == ("nasoseg failed", "nasoseg ended with -9: no message")
    with pytest.raises(CohortError, match=r"volumes\.json"):
        prepare_case(script("exit 0"))
    with pytest.raises(CohortError, match=r"a: T1\.nii\.gz: writing failed"):
        prepare_case(script("echo 'nasoseg: T1.nii.gz: writing failed; no space' >&2; exit 7"))
    monkeypatch.setattr(case_module, "_figures", lambda *_: {}["spacing_mm"])
    assert prepare_case(job).reason == "internal error"
    assert not list((tmp_path / "cases").iterdir())


# ---------------------------------------------------------------------- resume, split, fingerprint


def times(data):
    return {c.id: {f.name: f.stat().st_mtime_ns for f in c.folder.iterdir()} for c in data.cases()}


def test_what_is_prepared_is_kept(tree, tmp_path):
    cohort = public_set(tree)
    cohort.patients = [p for p in cohort.patients if p.id in ("001", "003")]
    data = made(tmp_path, cohort)
    before = times(data)
    # Another drawing of one patient: that one alone is made again; a half-made folder of a run that
    # was killed is no obstacle.
    (tmp_path / "set/cases/.001.part").mkdir()
    mask = tmp_path / "other.nii"
    save(mask, np.roll(Small(3).mask().astype(np.uint8), 2, axis=2), Small(3).affine)
    cohort.patients[1] = replace(cohort.patients[1], mask=mask, covariates={"stage": "I"})
    again = made(tmp_path, cohort)
    assert times(again)["001"] == before["001"] and times(again)["003"] != before["003"]
    assert again.hash != data.hash and again.cases()[1].covariates == {"stage": "I"}
    assert not list((tmp_path / "set/cases").glob(".*"))
    after = times(again)
    # What was damaged is made again.
    (again.cases()[0].folder / "T2.nii.gz").unlink()
    (again.cases()[1].folder / "case.json").write_text("{")
    last = made(tmp_path, cohort)
    assert last.cases()[0].images().shape[0] == 3 and last.hash == again.hash
    assert all(
        times(last)[i]["truth.nii.gz"] != times_of["truth.nii.gz"] for i, times_of in after.items()
    )


def test_an_interrupted_run_goes_on(tmp_path):
    for number in range(8):
        nifti_patient(tmp_path / f"p{number}", number, number)
    rows = [
        ",".join([f"p{n}", *(f"p{n}/{key}.nii.gz" for key in ("t1", "t1c", "t2", "mask"))])
        for n in range(8)
    ]
    write(tmp_path / "list.csv", "\n".join([HEADER, *rows]) + "\n")
    options = [
        "--list",
        str(tmp_path / "list.csv"),
        "--out",
        str(tmp_path / "set"),
        "--nasoseg",
        str(PROGRAM),
        "--workers",
        "1",
    ]
    command = [sys.executable, "-m", "nasoseg_train.cli", "prepare", *options]
    # A shell's background job begins with SIGINT ignored, and its children inherit that.
    listening = {"preexec_fn": lambda: signal.signal(signal.SIGINT, signal.default_int_handler)}
    running = subprocess.Popen(
        command, stderr=subprocess.PIPE, text=True, start_new_session=True, **listening
    )
    while not list((tmp_path / "set").glob("cases/p*/case.json")):
        assert running.poll() is None, running.stderr.read()
        time.sleep(0.005)
    os.killpg(running.pid, signal.SIGINT)
    message = running.communicate(timeout=60)[1]
    assert (
        running.returncode == 130
        and "The same command resumes" in message
        and "Traceback" not in message
    ), message
    kept = {f: f.stat().st_mtime_ns for f in (tmp_path / "set").glob("cases/p*/case.json")}
    assert 1 <= len(kept) < 8 and not (tmp_path / "set/dataset.json").exists()
    subprocess.run(command, check=True, capture_output=True)
    assert len(Dataset.open(tmp_path / "set").cases()) == 8
    assert all(f.stat().st_mtime_ns == t for f, t in kept.items())


def test_splits_meet_their_shares_and_stay():
    rng = np.random.default_rng(0)
    volumes = {f"{n:03d}": float(v) for n, v in enumerate(rng.lognormal(3, 1, 277))}
    first = assign(volumes, (301, 129, 166), 1, {})
    assert first == assign(dict(reversed(volumes.items())), (301, 129, 166), 1, {}), (
        "the list's order plays no part"
    )
    assert first != assign(volumes, (301, 129, 166), 2, {})
    names = np.array([first[i] for i in volumes])
    values = np.array(list(volumes.values()))
    third = np.digitize(values, np.percentile(values, [100 / 3, 200 / 3]))
    for split, share in (("train", 301 / 596), ("validation", 129 / 596), ("test", 166 / 596)):
        assert abs((names == split).sum() - share * 277) <= 1
        for t in range(3):
            assert abs((names[third == t] == split).sum() - share * (third == t).sum()) <= 2
    more = {**volumes, **{f"n{n}": float(v) for n, v in enumerate(rng.lognormal(3, 1, 40))}}
    second = assign(more, (301, 129, 166), 1, first)
    assert all(second[i] == first[i] for i in first), "nobody moves when patients are added"
    assert abs(sum(s == "test" for s in second.values()) - 166 / 596 * 317) <= 1
    assert sorted(assign({"a": 1.0, "b": 2.0, "c": 3.0}, (301, 129, 166), 1, {}).values()) == [
        "test",
        "train",
        "validation",
    ]
    assert set(assign(volumes, (1, 0, 0), 1, {}).values()) == {"train"}


def test_earlier_splits_are_kept_and_twins_left_out(public, tree, tmp_path):
    splits = {c.id: c.split for c in public.cases()}
    assert (
        sorted(splits.values()) == ["test", "train", "validation"]
        and public.record["split"]["by"] == "seed"
    )
    # The list's own split counts where it names one.
    cohort = public_set(tree)
    cohort.patients = [replace(p, split="test") for p in cohort.patients if p.id in ("001", "002")]
    data = made(tmp_path, cohort)
    assert {c.split for c in data.cases()} == {"test"} and data.record["split"]["by"] == "list"
    assert data.fingerprint["cases"] == 0 and "No case." in (data.folder / "report.md").read_text()
    with pytest.raises(ValueError, match="no training cases"):
        data.input(InputConfig(scaling="dataset_max"))


def test_fingerprint_is_of_the_training_split_alone(public):
    train = public.cases("train")
    f = public.fingerprint
    assert len(train) == 1 and f["cases"] == 1
    patient = Small(int(train[0].id), 3 * int(train[0].id))
    assert f["channel_max"] == [
        float(patient.sequence(name)[0].max()) for name in ("T1", "T1C", "T2")
    ]
    assert f["channel_max_case"] == [train[0].id] * 3
    areas = patient.mask().sum(axis=(1, 2))
    areas = areas[areas > 0] * np.prod(patient.spacing_mm[1:])
    assert f["tumour"]["slices"] == len(areas) and f["tumour"]["area_mm2"]["mean"] == pytest.approx(
        areas.mean(), rel=1e-4
    )
    assert f["tumour"]["volume_ml"]["mean"] == pytest.approx(
        areas.sum() * patient.spacing_mm[0] / 1000, rel=1e-4
    )
    assert f["tumour"]["area_percent_of_slice"]["max"] == pytest.approx(
        100 * areas.max() / np.prod(np.array(patient.shape[1:]) * patient.spacing_mm[1:]), rel=1e-3
    )
    assert f["slice_spacing_mm"]["median"] == pytest.approx(6.0) and f["in_plane_spacing_mm"][
        "max"
    ] == pytest.approx(0.74 * STEP)
    voxels = patient.sequence("T2")[0]
    found = f["intensity_percentiles_above_zero"]["T2"]["99.5"]["median"]
    assert found == pytest.approx(np.percentile(voxels[voxels > 0], 99.5), rel=1e-6)
    # Whoever is not trained on plays no part.
    others = [dict(c.record) for c in public.cases()]
    for c in others:
        if c["split"] != "train":
            c["sequences"] = {name: {**s, "max": 1e9} for name, s in c["sequences"].items()}
    assert fingerprint(others) == f and outliers(others) == []
    bright = [{**others[0], "split": "train", "id": str(n)} for n in range(4)]
    bright[3] = {
        **bright[3],
        "sequences": {name: {**s, "max": 1e6} for name, s in others[0]["sequences"].items()},
    }
    assert len(outliers(bright)) == 3 and "of 3," in outliers(bright)[0]


# ---------------------------------------------------------------------- slices

MICRO = REPOSITORY / "tests" / "data" / "micro"


def test_training_sees_what_deployment_sees(public, tree, tmp_path):
    """`nasoseg prepare --out` on the DICOM files against slice_grid.py on the case, each sequence
    on its own grid.
    """
    place = tree / "data" / "MRI-Segments" / "001"
    manifest = json.loads((MICRO / "bundle.json").read_text())
    paths = ["--t1", place / "T1WI", "--t1c", place / "CE-T1WI", "--t2", place / "T2WI"]
    case = public.cases()[0]
    maxima = {"T1": 900.0, "T1C": 1500.0, "T2": 2100.0}
    for fit in ({"kind": "mm", "pixel_mm": 2.96}, {"kind": "stretch"}, {"kind": "pad"}):
        for scaling in ("study_percentile", "dataset_max"):
            bundle = tmp_path / f"{fit['kind']} {scaling}"
            shutil.copytree(MICRO, bundle)
            for channel in manifest["input"]["channels"]:
                channel["scaling"] = {"kind": scaling} | (
                    {"percentile": 99.5}
                    if scaling == "study_percentile"
                    else {"value": maxima[channel["sequence"]]}
                )
            manifest["input"]["fit"] = fit
            (bundle / "bundle.json").write_text(json.dumps(manifest))
            out = tmp_path / "slices.npz"
            subprocess.run(
                [PROGRAM, "prepare", *paths, "--bundle", bundle, "--out", out],
                check=True,
                capture_output=True,
            )
            with np.load(out) as f:
                deployed, divisors = f["images"], f["divisors"]
            config = InputConfig(
                grid=manifest["input"]["grid"],
                fit=fit["kind"],
                pixel_mm=fit.get("pixel_mm", 0.0),
                scaling=scaling,
                dataset_max=tuple(maxima.values()),
            )
            trained, _ = prepare_slices(
                case.images(), case.spacing_mm[1:], config, case.divisors(config)
            )
            assert trained.shape == deployed.shape and np.abs(trained - deployed).max() <= 1e-5, (
                fit,
                scaling,
            )
            assert np.allclose(divisors, case.divisors(config), rtol=1e-7) and deployed.max() > 0.9


def test_slices_are_made_once_and_again_where_the_case_changed(public):
    config = InputConfig(grid=32, pixel_mm=8.0)
    case = public.cases("train")[0]
    whole_set = public.slices("train", config, workers=1)
    assert len(whole_set) == case.shape[0] and whole_set.grid == 32
    assert set(whole_set.patient) == {
        public.cases().index(case)
    } and whole_set.slice_index.tolist() == list(range(case.shape[0]))
    assert np.array_equal(whole_set.tumour, case.mask().any(axis=(1, 2)))
    prepared, _ = prepare_slices(case.images(), case.spacing_mm[1:], config, case.divisors(config))
    assert np.array_equal(whole_set.images[np.arange(len(whole_set))], np.rint(prepared * 255))
    few = public.slices("train", config, tumour_free=2, workers=1)
    assert len(few) == case.mask().any(axis=(1, 2)).sum() + 2
    shards = sorted((public.folder / "slices").glob("*/train/000/images.u8"))
    assert len(shards) == 2
    before = [s.stat().st_mtime_ns for s in shards]
    public.slices("train", config, workers=1)
    assert [s.stat().st_mtime_ns for s in shards] == before
    changed = Dataset.open(public.folder)
    changed._cases = [replace(c, key="other") for c in changed._cases]
    changed.slices("train", config, workers=1)
    assert sum(s.stat().st_mtime_ns != t for s, t in zip(shards, before, strict=True)) == 1
    assert not list((public.folder / "slices").glob("*/.*"))
    top = public.slices(
        "train", InputConfig(grid=32, pixel_mm=8.0, scaling="dataset_max"), 0, workers=1
    )
    assert len(top) == len(few) - 2, "the fingerprint's maxima are filled in"
    with pytest.raises(ValueError, match=r"percentile 98 was not taken.*--percentiles 98"):
        public.slices("train", replace(config, percentile=98.0), workers=1)
    with pytest.raises(ValueError, match="no case in split 'tset'"):
        public.slices("tset", config)


# ---------------------------------------------------------------------- phantoms and the command


def test_phantoms_are_patients_like_others(tmp_path, monkeypatch):
    cohort = phantoms(3, {"train": 2, "test": 1})
    assert [(p.split, p.seed) for p in cohort.patients] == [
        *(("train", s) for s in patient_seeds("train", 3, 2)),
        ("test", patient_seeds("test", 3, 1)[0]),
    ]
    monkeypatch.setattr(phantom_package, "Phantom", Small)
    job = Job(cohort.patients[0], tmp_path, PROGRAM, "one", Geometry(), 1)
    record = prepare_case(job)
    assert (
        record["covariates"] == {"t_category": whole().t_category}
        and record["tumour_slices"] == Small(0).tumour_slices
    )
    folder = tmp_path / cohort.patients[0].id
    assert np.array_equal(load(folder / "truth.nii.gz") > 0, Small(0).mask())
    before = (folder / "case.json").stat().st_mtime_ns
    assert prepare_case(job)["covariates"] == record["covariates"]
    assert (folder / "case.json").stat().st_mtime_ns == before
    # Another phantom is another patient.
    monkeypatch.setattr(case_module, "phantom_version", lambda: "next")
    prepare_case(job)
    assert (folder / "case.json").stat().st_mtime_ns != before


def command(*words):
    return tyro.cli(Prepare, args=[str(w) for w in words])


def test_the_command(tree, tmp_path, monkeypatch, capsys):
    with pytest.raises(SystemExit):
        command("--out", tmp_path, "--publik", tree)
    for words, message in (
        (["--public", tree, "--list", "x"], "of --public, --list and --phantoms, expected one"),
        ([], "of --public, --list and --phantoms, expected one"),
        (["--public", tree, "--nasoseg", tmp_path / "none"], "expected the path of `nasoseg`"),
        (["--public", tree, "--nasoseg", sys.executable], "without `prepare --volumes`"),
        (["--phantoms", 0, 0, 0, "--nasoseg", PROGRAM], "no phantoms requested"),
        (["--public", tree, "--workers", 0, "--nasoseg", PROGRAM], "at least 1"),
    ):
        with pytest.raises(SystemExit) as end:
            command("--out", tmp_path / "set", *words).main()
        assert end.value.code == 2 and message in capsys.readouterr().err
    assert not (tmp_path / "set").exists(), "nothing is written where nothing was understood"
    only = tmp_path / "part/data/MRI-Segments"
    for name in ("001", "004"):
        shutil.copytree(tree / "data/MRI-Segments" / name, only / name)
    table = write(tmp_path / "clinic.csv", "id,T,chemotherapy\n001,T3,yes\n004,T1,no\n")
    words = [
        "--out",
        tmp_path / "set",
        "--public",
        tmp_path / "part",
        "--covariates",
        table,
        "--nasoseg",
        PROGRAM,
        "--workers",
        1,
        "--strict",
    ]
    with pytest.raises(SystemExit) as end:
        command(*words).main()
    shown = capsys.readouterr()
    assert (
        end.value.code == 1
        and "1 cases (1 train, 0 validation, 0 test), 1 skipped" in shown.out
        and "--strict" in shown.err
    )
    assert Dataset.open(tmp_path / "set").cases()[0].covariates == {
        "T": "T3",
        "chemotherapy": "yes",
    }


def test_another_program_is_refused(tmp_path):
    assert version(PROGRAM).startswith("nasoseg ")
    other = tmp_path / "nasoseg"
    other.write_text("#!/bin/sh\necho nasoseg 0.0.1\n")
    other.chmod(0o755)
    with pytest.raises(CohortError, match="prepare --volumes"):
        version(other)
    with pytest.raises(CohortError, match="--nasoseg names"):
        Prepare(out=tmp_path / "set", phantoms=(1, 0, 0), nasoseg=tmp_path / "none").run()
