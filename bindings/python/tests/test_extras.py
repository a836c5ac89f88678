"""A function whose optional package is missing names the extra that provides it."""

import pytest
from conftest import MICRO, python

BLOCK = """
import sys

class Missing:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in sys.argv[1].split(","):
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)

sys.meta_path.insert(0, Missing())
import nasoseg
"""


@pytest.mark.parametrize(
    ("missing", "call", "extra"),
    [
        ("highdicom", "nasoseg.to_dicom_seg(segmentation, 'T1C')", "seg"),
        ("matplotlib", "nasoseg.show(detection)", "show"),
    ],
)
def test_a_missing_extra_is_named(missing, call, extra):
    script = f"""{BLOCK}
from conftest import pipeline, volumes
engine = nasoseg.Engine(sys.argv[2], device="cpu")
detection, segmentation, contours = pipeline(engine, nasoseg.Study(*volumes()))
try:
    {call}
except ImportError as error:
    print(error.name, error, sep="|")
"""
    ran = python(script, missing, MICRO)
    assert ran.returncode == 0, ran.stderr
    name, message = ran.stdout.strip().split("|")
    assert name == missing
    function = call.removeprefix("nasoseg.").partition("(")[0]
    assert message == (
        f"{function}: the package {missing}, which comes with the extra `{extra}`, is not "
        f"installed. Run: pip install 'nasoseg[{extra}]'"
    )


def test_a_package_of_no_extra_is_named():
    script = f"""{BLOCK}
from conftest import pipeline, volumes
segmentation = pipeline(nasoseg.Engine(sys.argv[2]), nasoseg.Study(*volumes()))[1]
for convert in (segmentation.to_nibabel, segmentation.to_simpleitk):
    try:
        convert()
    except ImportError as error:
        print(error)
"""
    ran = python(script, "nibabel,SimpleITK", MICRO)
    assert ran.stdout.splitlines() == [
        "to_nibabel: the package nibabel is not installed. Run: pip install nibabel",
        "to_simpleitk: the package SimpleITK is not installed. Run: pip install SimpleITK",
    ], ran.stderr


@pytest.mark.parametrize("call", ["nasoseg.Engine(sys.argv[2])", "nasoseg.runtime_info()"])
def test_a_missing_onnx_runtime_names_the_extra(call, monkeypatch, tmp_path):
    for variable in ("NASOSEG_ORT_DYLIB", "VIRTUAL_ENV", "LD_LIBRARY_PATH", "CONDA_PREFIX"):
        monkeypatch.delenv(variable, raising=False)
    script = f"""{BLOCK}
sys.modules.pop("onnxruntime", None)
import importlib.util
found = importlib.util.find_spec
importlib.util.find_spec = lambda name, *more: None if name == "onnxruntime" else found(name, *more)
try:
    {call}
except nasoseg.Error as error:
    print(error.status.name, error, sep="|")
"""
    ran = python(script, "onnxruntime", MICRO)
    assert ran.returncode == 0, ran.stderr
    status, message = ran.stdout.strip().split("|")
    assert status == "ERROR_RUNTIME"
    assert message.endswith(
        "The package onnxruntime comes with the extra `cpu`, onnxruntime-gpu with `cuda`. "
        "Run: pip install 'nasoseg[cpu]'"
    ), message


def test_a_defect_inside_an_optional_package_is_not_hidden():
    """Only the package's own absence names the extra."""
    script = f"""{BLOCK}
from nasoseg._extras import require
try:
    require("highdicom", "to_dicom_seg", extra="seg")
except ImportError as error:
    print(error.name, "extra" in str(error))
"""
    assert python(script, "pydicom").stdout == "pydicom False\n"
