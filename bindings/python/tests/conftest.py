"""Shared by several tests: the study of tests/golden.rs in memory and as DICOM, the micro bundle,
the golden numbers, third-party validators.

The tests run against the installed wheel: `make test-python` builds it and installs it into
bindings/python/.venv.
"""

import math
import shutil
import subprocess
import sys
from pathlib import Path

import nasoseg
import numpy as np
import pytest

ROOT = Path(__file__).parents[3]
MICRO = ROOT / "tests" / "data" / "micro"
SIZE = (72, 80, 6)
PIXEL_MM, STEP_MM = 3.0, 6.0
NAMES = ("t1", "t1c", "t2")


def affine() -> np.ndarray:
    """(i, j, k, 1) to LPS mm; the volume's centre is at 0."""
    steps = np.array([PIXEL_MM, PIXEL_MM, STEP_MM])
    matrix = np.diag([*steps, 1.0])
    matrix[:3, 3] = -(np.array(SIZE) - 1) / 2 * steps
    return matrix


def voxels(sequence: int) -> np.ndarray:
    """[k, j, i] float32: a head of fat and muscle with an airway and a lesion beneath it;
    tests/common/mod.rs makes the same.
    """
    fat, muscle, lesion = [(950, 350, 370), (900, 350, 680), (700, 200, 300)][sequence]
    first, steps = affine()[:3, 3], (PIXEL_MM, PIXEL_MM, STEP_MM)
    x, y, z = (
        f + s * np.arange(n).reshape(shape)
        for f, s, n, shape in zip(first, steps, SIZE, [(1, 1, -1), (1, -1, 1), (-1, 1, 1)])
    )

    def inside(r):
        return 1 / (1 + np.exp(-8 * (1 - r)))

    head = np.sqrt((x / 78) ** 2 + (y / 96) ** 2) + 0 * z
    value = np.where(head > 0.9, fat, muscle * (1 + 0.08 * np.sin(x / 9) * np.cos(y / 11)))
    value = value + (10 - value) * inside(np.sqrt((x / 14) ** 2 + ((y + 19) / 9) ** 2))
    blob = np.sqrt(((x + 4 + 0.2 * z) / 16) ** 2 + ((y + 8) / 14) ** 2 + ((z - 6) / 19) ** 2)
    value = value + (lesion - value) * inside(blob)
    return np.round(np.where(head > 1, 5.0, value)).astype(np.float32)


def volumes() -> list[nasoseg.Volume]:
    return [nasoseg.Volume(voxels(sequence), affine()) for sequence in range(3)]


def pipeline(engine, study, **more):
    detection = nasoseg.detect(engine, study, **more)
    segmentation = nasoseg.segment(engine, study, detection)
    return detection, segmentation, nasoseg.contour(segmentation)


TOLERANCE = {
    "box": [0, 0, 1e-5, 1e-5, 1e-5, 1e-5],
    "volume_mm3": [200],
    "area": [0, 6, 60],
    "line": [0, 0, 0, 6, 60],
    "point": [0, 0, 0.1, 0.1, 0.1],
}


def check_golden(detection, segmentation, contours) -> None:
    """The numbers of the Rust API, which C and C++ find too; tolerances as tests/golden.rs has
    them, for another machine's kernels.
    """
    found = [("slices", len(detection))]
    for index, s in enumerate(detection):
        trajectory = detection.trajectory(index)
        assert not s.edited and tuple(trajectory.boxes[-1]) == s.box
        assert (trajectory.q.argmax(1) == trajectory.actions).all()
        found.append(("box", s.slice, len(trajectory.actions), *s.box))
    found.append(("volume_mm3", segmentation.volume_mm3))
    found += [("area", s.slice, s.pixels, s.area_mm2) for s in segmentation.slices]
    found.append(("lines", len(contours)))
    for number, line in enumerate(contours):
        found.append(
            ("line", number, line.storage_slice, line.is_hole, len(line.points_mm), line.area_mm2)
        )
        found += [("point", number, at, *point) for at, point in enumerate(line.points_mm[:8])]
    golden = (ROOT / "tests/data/golden/pipeline.txt").read_text().splitlines()
    assert len(golden) > 50 and len(found) == len(golden)
    for (key, *numbers), line in zip(found, golden):
        word, *expected = line.split()
        assert key == word
        for number, value, tolerance in zip(
            numbers, map(float, expected), TOLERANCE.get(key, [0] * len(expected)), strict=True
        ):
            assert abs(number - value) <= tolerance, (key, numbers, line)


@pytest.fixture(scope="session")
def engine():
    return nasoseg.Engine(MICRO, device="cpu", threads=1)


@pytest.fixture
def study():
    return nasoseg.Study(*volumes())


@pytest.fixture(scope="session")
def results(engine):
    """Detection, segmentation, contours of the study; not to be edited."""
    return pipeline(engine, nasoseg.Study(*volumes()))


@pytest.fixture(scope="session")
def series(tmp_path_factory) -> dict[str, list]:
    """The study as pydicom datasets, in slice order, and as files in folders t1, t1c, t2 of
    `series["folder"]`, named against it.
    """
    import pydicom

    folder = tmp_path_factory.mktemp("dicom")
    root = "1.2.826.0.1.3680043.10.4321.7"
    found = {"folder": folder}
    for sequence, name in enumerate(NAMES):
        (folder / name).mkdir()
        found[name] = []
        for k, plane in enumerate(voxels(sequence)):
            d = pydicom.Dataset()
            d.SOPClassUID, d.SOPInstanceUID = (
                pydicom.uid.MRImageStorage,
                f"{root}.{sequence + 1}.{k + 1}",
            )
            d.StudyInstanceUID, d.SeriesInstanceUID, d.FrameOfReferenceUID = (
                f"{root}.0",
                f"{root}.{sequence + 1}",
                f"{root}.9",
            )
            d.Modality, d.PatientName, d.PatientID, d.PatientBirthDate, d.PatientSex = (
                "MR",
                "TEST^PATIENT",
                "T-1",
                "19700101",
                "O",
            )
            d.StudyDate, d.StudyTime, d.StudyID, d.SeriesNumber, d.InstanceNumber = (
                "20260101",
                "120000",
                "1",
                sequence + 1,
                k + 1,
            )
            d.AccessionNumber = d.ReferringPhysicianName = d.Manufacturer = (
                d.PositionReferenceIndicator
            ) = ""
            (
                d.SeriesDescription,
                d.ScanningSequence,
                d.SequenceVariant,
                d.ScanOptions,
                d.MRAcquisitionType,
            ) = name, "SE", "SK", "", "2D"
            d.ImageType, d.EchoTrainLength = ["ORIGINAL", "PRIMARY", "M"], 1
            d.EchoTime, d.RepetitionTime = [("11.8", "540"), ("11.8", "540"), ("99", "4000")][
                sequence
            ]
            if name == "t1c":
                d.ContrastBolusAgent = "Gd"
            d.ImagePositionPatient = [float(v) for v in (affine() @ [0, 0, k, 1])[:3]]
            d.ImageOrientationPatient, d.PixelSpacing, d.SliceThickness = (
                [1, 0, 0, 0, 1, 0],
                [PIXEL_MM, PIXEL_MM],
                "5",
            )
            d.SamplesPerPixel, d.PhotometricInterpretation = 1, "MONOCHROME2"
            d.Rows, d.Columns = plane.shape
            d.BitsAllocated, d.BitsStored, d.HighBit, d.PixelRepresentation = 16, 16, 15, 0
            d.PixelData = plane.astype("<u2").tobytes()
            d.file_meta = pydicom.dataset.FileMetaDataset()
            d.file_meta.TransferSyntaxUID = pydicom.uid.ExplicitVRLittleEndian
            d.save_as(folder / name / f"{9 - k}.dcm", enforce_file_format=True)
            found[name].append(d)
    return found


def program(name: str) -> str:
    """A validator beside this Python, or on the path."""
    beside = Path(sys.executable).parent / name
    found = str(beside) if beside.exists() else shutil.which(name)
    assert found, f"{name} is missing; make test-python installs it"
    return found


def dicom_errors(file: Path) -> list[str]:
    run = subprocess.run(
        [program("dciodvfy"), "-new", str(file)], capture_output=True, text=True, errors="replace"
    )
    lines = (run.stdout + run.stderr).splitlines()
    assert any(line.strip() for line in lines), "dciodvfy said nothing"
    return [line for line in lines if line.startswith("Error")]


def python(script: str, *arguments: object, **more) -> subprocess.CompletedProcess:
    """Runs a script in a fresh Python, with this folder importable."""
    environment = {**__import__("os").environ, "PYTHONPATH": str(Path(__file__).parent)}
    command = [sys.executable, "-c", script, *map(str, arguments)]
    return subprocess.run(
        command, capture_output=True, text=True, env=environment, timeout=300, **more
    )


def close(a: float, b: float) -> bool:
    return math.isclose(a, b, rel_tol=1e-9, abs_tol=1e-9)
