"""The programs in examples/python, as a user runs them, print the lines that the examples in every
language print: tests/data/golden/examples.txt, which tests/examples.rs writes.
"""

import re
import subprocess
import sys

import nibabel
import numpy as np
import pydicom
import pytest
from conftest import MICRO, NAMES, ROOT, affine, voxels

NUMBER = re.compile(r"-?\d+\.\d+")


def expected(section: str) -> list[str]:
    text = (ROOT / "tests/data/golden/examples.txt").read_text()
    sections = re.findall(r"^\[(.+)\]\n((?:.+\n)+)", text, re.MULTILINE)
    return dict(sections)[section].splitlines()


def example(name: str, *arguments: object) -> subprocess.CompletedProcess:
    command = [sys.executable, ROOT / "examples" / "python" / f"{name}.py", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, timeout=300)


def check(section: str, name: str, *arguments: object) -> None:
    """Words must be equal; numbers with a decimal point may be off by 3 % or 0.5, for another
    machine's kernels.
    """
    run = example(name, *arguments)
    assert (run.returncode, run.stderr) == (0, "")
    found, golden = run.stdout.splitlines(), expected(section)
    assert len(golden) > 5 and len(found) == len(golden), run.stdout
    for line, wanted in zip(found, golden):
        assert NUMBER.sub("#", line) == NUMBER.sub("#", wanted)
        for a, b in zip(NUMBER.findall(line), NUMBER.findall(wanted)):
            assert float(a) == pytest.approx(float(b), rel=0.03, abs=0.5), (line, wanted)


def test_first_result_of_dicom_is_a_structure_set(series, tmp_path):
    folders = [series["folder"] / name for name in NAMES]
    check("first_result dicom", "first_result", *folders, MICRO, tmp_path / "new" / "out")
    structure_set = pydicom.dcmread(tmp_path / "new" / "out" / "rtstruct.dcm")
    assert len(structure_set.ROIContourSequence[0].ContourSequence) >= 5


def test_first_result_of_files_is_a_mask(tmp_path):
    ras = np.diag([-1.0, -1.0, 1.0, 1.0]) @ affine()
    files = [tmp_path / f"{name}.nii.gz" for name in NAMES]
    for sequence, file in enumerate(files):
        nibabel.save(nibabel.Nifti1Image(voxels(sequence).T, ras), file)
    check("first_result file", "first_result", *files, MICRO, tmp_path)
    mask = nibabel.load(tmp_path / "mask.nii.gz")
    assert mask.shape == voxels(0).T.shape and 0 < np.asarray(mask.dataobj).sum() < 1000


def test_edit_a_box(series):
    check("edit_a_box", "edit_a_box", *(series["folder"] / name for name in NAMES), MICRO)


def test_from_memory():
    check("from_memory", "from_memory", MICRO)


def test_progress_and_cancel(series):
    folders = [series["folder"] / name for name in NAMES]
    check("progress_and_cancel", "progress_and_cancel", *folders, MICRO)


def test_a_failure_is_one_message_and_exit_status_1(tmp_path):
    for name in ("first_result", "edit_a_box", "from_memory", "progress_and_cancel"):
        run = example(name)
        assert run.returncode == 1 and run.stderr.startswith(f"usage: {name}.py ")
    run = example("from_memory", tmp_path / "none")
    assert run.returncode == 1 and str(tmp_path / "none") in run.stderr
    assert len(run.stderr.splitlines()) == 1
