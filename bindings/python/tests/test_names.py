"""One spelling of the name in every package, module, program and prefix of the repository.

`nasoseg` is this software. `SeqSeg` is the paper's method and the models trained by it, and appears
only where these are meant.
"""

import fnmatch
import json
import re
import shutil
import subprocess

import pytest
import tomllib
from conftest import ROOT

NAME = "nasoseg"
# 3D Slicer's modules and extensions are classes: the same letters.
SLICER = "NasoSeg"

# Where the paper's method, its system in the tables of training, or the demo model is meant.
METHOD = (
    "CHANGELOG.md",
    "CITATION.cff",
    "Cargo.toml",
    "README.md",
    "bindings/python/pyproject.toml",
    "bindings/python/tests/test_names.py",
    "bindings/python/tests/test_pipeline.py",
    "docs/*.md",
    "models/demo/*",
    "plugins/slicer/NasoSeg/NasoSeg.py",
    "plugins/slicer/Testing/test_screens.py",
    "src/provenance.rs",
    "training/README.md",
    "training/nasoseg_train/*.py",
    "training/pyproject.toml",
    "training/results/*",
    "training/tests/*.py",
)


def read(path: str) -> str:
    return (ROOT / path).read_text(encoding="utf-8")


def table(path: str) -> dict:
    return tomllib.loads(read(path))


def only(pattern: str, text: str) -> str:
    """The single match of a pattern's group."""
    (found,) = re.findall(pattern, text, flags=re.MULTILINE)
    return found


def test_the_rust_package_its_library_and_program():
    cargo = table("Cargo.toml")
    assert cargo["package"]["name"] == cargo["lib"]["name"] == NAME
    assert [program["name"] for program in cargo["bin"]] == [NAME]


def test_the_distribution_the_import_and_the_program():
    project = table("bindings/python/pyproject.toml")
    assert project["project"]["name"] == NAME
    assert project["project"]["scripts"] == {NAME: f"{NAME}.__main__:main"}
    (package,) = project["tool"]["hatch"]["build"]["targets"]["wheel"]["packages"]
    assert package == f"src/{NAME}" and (ROOT / "bindings/python" / package).is_dir()


def test_the_training_package_and_its_program():
    project = table("training/pyproject.toml")
    assert project["project"]["name"] == f"{NAME}-train"
    ((program, entry),) = project["project"]["scripts"].items()
    assert program == f"{NAME}-train" and entry.split(".")[0] == f"{NAME}_train"
    assert project["tool"]["setuptools"]["packages"]["find"]["include"] == [f"{NAME}_train*"]
    assert (ROOT / "training" / f"{NAME}_train" / "__init__.py").is_file()


def test_every_name_of_the_header():
    header = read(f"include/{NAME}.h")
    assert header.count(f"{NAME.upper()}_H") >= 2
    functions = re.findall(r"^[a-z].*?(\w+)\((?!\*)", header, flags=re.MULTILINE)
    constants = re.findall(r"^ *(\w+) = \d+,$", header, flags=re.MULTILINE)
    macros = re.findall(r"^# *define (\w+)", header, flags=re.MULTILINE)
    types = re.findall(r"^typedef (?:enum|struct) (\w+)", header, flags=re.MULTILINE)
    assert len(functions) > 50 and len(constants) > 30 and len(macros) > 1 and len(types) > 10
    assert [name for name in functions + types if not name.startswith(f"{NAME}_")] == []
    prefix = f"{NAME.upper()}_"
    assert [name for name in constants + macros if not name.startswith(prefix)] == []


def test_the_cpp_namespace_and_the_cmake_package():
    headers = sorted((ROOT / "bindings/cpp/include").rglob("*.hpp"))
    assert [file.parent.name for file in headers] == [NAME] * len(headers) and headers
    for file in headers:
        text = file.read_text(encoding="utf-8")
        if file.name == f"{NAME}.hpp":
            # It only includes the others.
            assert re.sub(r"^(//|#).*$", "", text, flags=re.MULTILINE).strip() == "", file
            continue
        outer = re.findall(r"^namespace (\w+)", text, re.MULTILINE)
        assert set(outer) <= {NAME, "detail"} and outer[0] == NAME, file
    config = read(f"bindings/cpp/cmake/{NAME}Config.cmake.in")
    targets = re.findall(r"add_library\((\S+)", config)
    assert targets and all(target.startswith(f"{NAME}::") for target in targets)


def test_the_slicer_extension_and_its_module():
    """Slicer lowercases a module's name: `slicer.modules.nasoseg`."""
    assert SLICER.lower() == NAME
    folder = f"plugins/slicer/{SLICER}"
    assert only(r"^project\((\w+)\)", read("plugins/slicer/CMakeLists.txt")) == SLICER
    assert only(r"^add_subdirectory\((\w+)\)", read("plugins/slicer/CMakeLists.txt")) == SLICER
    assert only(r"^set\(MODULE_NAME (\w+)\)", read(f"{folder}/CMakeLists.txt")) == SLICER
    source = read(f"{folder}/{SLICER}.py")
    classes = re.findall(r"^class (\w+)\((?:Scripted\w+?)(?:,.*)?\):", source, re.MULTILINE)
    assert classes == [SLICER, f"{SLICER}Widget", f"{SLICER}Test"]
    assert f"import {SLICER}Logic" in source
    catalog = json.loads(read(f"plugins/slicer/{SLICER}.json"))
    assert catalog["scm_url"].endswith(f"/Slicer{SLICER}.git")
    for file in (f"{SLICER}Lib/__init__.py", f"Resources/UI/{SLICER}.ui"):
        assert (ROOT / folder / file).is_file(), file


def test_the_distribution_that_the_slicer_extension_looks_for():
    source = read(f"plugins/slicer/{SLICER}/{SLICER}Lib/distribution.py")
    assert only(r'^NAME = "(\w+)"', source) == NAME
    abi = only(r"^#define NASOSEG_ABI_VERSION (\d+)", read(f"include/{NAME}.h"))
    assert only(r"^ABI_VERSION = (\d+)", source) == abi
    version = table("Cargo.toml")["package"]["version"]
    first, end = (
        only(r"^FIRST, END = \((\d+, \d+)\), \(\d+, \d+\)", source),
        only(r"^FIRST, END = \(\d+, \d+\), \((\d+, \d+)\)", source),
    )
    numbers = [tuple(map(int, bound.split(", "))) for bound in (first, end)]
    assert numbers[0] <= tuple(map(int, version.split(".")[:2])) < numbers[1]


def test_seqseg_is_the_papers_method_alone():
    if shutil.which("git") is None or not (ROOT / ".git").exists():
        pytest.skip("this is no git checkout, so its tracked files are unknown")
    command = ["git", "grep", "--ignore-case", "--word-regexp", "-I", "-o", "seqseg"]
    ran = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    hits = [line.rsplit(":", 1) for line in ran.stdout.splitlines()]
    assert len(hits) > 20, ran.stderr
    strangers = {
        file for file, _ in hits if not any(fnmatch.fnmatch(file, path) for path in METHOD)
    }
    assert strangers == set(), "say nasoseg there, or add the file if the method is meant"
    assert {word for _, word in hits} <= {"SeqSeg", "seqseg"}
