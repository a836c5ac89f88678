"""The generated declarations are what a C compiler makes of the header."""

import ctypes
import importlib.metadata
import re
import shutil
import subprocess

import pytest
from conftest import ROOT
from nasoseg import _abi, _native

INCLUDE = ROOT / "include"
SCALARS = {
    "_Bool": ctypes.c_bool,
    "bool": ctypes.c_bool,
    "uint8_t": ctypes.c_uint8,
    "uint32_t": ctypes.c_uint32,
    "uint64_t": ctypes.c_uint64,
    "int64_t": ctypes.c_int64,
    "size_t": ctypes.c_size_t,
    "float": ctypes.c_float,
    "double": ctypes.c_double,
}


@pytest.fixture(scope="module")
def compiler():
    found = shutil.which("gcc")
    if found is None:
        pytest.skip("gcc is not installed")
    return found


def from_c(text: str):
    """The ctypes type of a parameter or result, as GCC spells it."""
    words = re.sub(r"\bconst\b|\bstruct\b|\bextern\b", " ", text)
    name, stars = words.replace("*", " ").split(), words.count("*")
    assert len(name) == 1, text
    if name[0] == "nasoseg_progress_callback":
        return _abi.nasoseg_progress_callback
    if name[0] == "void":
        return ctypes.c_void_p if stars else None
    kind = ctypes.c_char if name[0] == "char" else SCALARS.get(name[0]) or getattr(_abi, name[0])
    for _depth in range(stars):
        kind = ctypes.c_char_p if kind is ctypes.c_char else ctypes.POINTER(kind)
    return kind


def test_a_keyword_of_the_wheel_names_the_abi():
    """The Slicer extension recognises this project's wheels by it."""
    keywords = importlib.metadata.metadata("nasoseg")["Keywords"].split(",")
    assert f"nasoseg-abi-{_abi.ABI_VERSION}" in keywords and "MRI" in keywords


def test_functions(compiler, tmp_path):
    source, listing = tmp_path / "all.c", tmp_path / "all.txt"
    source.write_text("#include <nasoseg.h>\n")
    subprocess.run(
        [compiler, f"-I{INCLUDE}", "-aux-info", listing, "-c", source, "-o", tmp_path / "all.o"],
        check=True,
    )
    found = {}
    for line in listing.read_text().splitlines():
        declaration = re.search(r"\*/ extern (.*?)(nasoseg_\w+) \((.*)\);$", line)
        if declaration:
            result, name, parameters = declaration.groups()
            parameters = [] if parameters == "void" else parameters.split(", ")
            found[name] = (from_c(result), [from_c(p) for p in parameters])
    assert len(found) > 50
    assert found == _abi.FUNCTIONS
    for name, (result, parameters) in found.items():
        function = getattr(_native.lib, name)
        assert function.restype == result and list(function.argtypes) == parameters


def test_structs_and_constants(compiler, tmp_path):
    lines = []
    for struct in _abi.STRUCTS:
        name = struct.__name__
        lines.append(f'printf("{name} %zu\\n", sizeof({name}));')
        for field, _ in struct._fields_:
            lines.append(
                f'printf("{name}.{field} %zu %zu\\n", offsetof({name}, {field}), '
                f"sizeof((({name} *)0)->{field}));"
            )
    constants = sorted(
        set(re.findall(r"\bNASOSEG_[A-Z0-9_]+(?= =)", (INCLUDE / "nasoseg.h").read_text()))
    )
    lines += [
        f'printf("{name} %d\\n", (int){name});' for name in [*constants, "NASOSEG_ABI_VERSION"]
    ]
    source = tmp_path / "layout.c"
    source.write_text(
        "#include <nasoseg.h>\n#include <stdio.h>\nint main(void) {\n"
        + "\n".join(lines)
        + "\nreturn 0;\n}\n"
    )
    subprocess.run([compiler, f"-I{INCLUDE}", source, "-o", tmp_path / "layout"], check=True)
    printed = subprocess.run(
        [tmp_path / "layout"], capture_output=True, text=True, check=True
    ).stdout
    expected = {
        key: [int(n) for n in numbers] for key, *numbers in map(str.split, printed.splitlines())
    }

    found = {"NASOSEG_ABI_VERSION": [_abi.ABI_VERSION]}
    for struct in _abi.STRUCTS:
        found[struct.__name__] = [ctypes.sizeof(struct)]
        for field, _ in struct._fields_:
            descriptor = getattr(struct, field)
            found[f"{struct.__name__}.{field}"] = [descriptor.offset, descriptor.size]
    assert {key: value for key, value in expected.items() if key in found} == found
    # Every constant of the header is a member of an enum, under a name that the header's ends with.
    members = [
        (member.name, int(member)) for kind in _abi.ENUMS for member in kind.__members__.values()
    ]
    assert len(members) == len(constants)
    for constant in constants:
        assert any(
            constant.endswith("_" + name) and [value] == expected[constant]
            for name, value in members
        ), constant


def test_handles():
    """Every handle has the function that frees it, and a handle of one type is not taken for
    another.
    """
    for handle in _abi.HANDLES:
        assert _abi.FUNCTIONS[handle.__name__ + "_free"] == (None, [ctypes.POINTER(handle)])
    with pytest.raises(ctypes.ArgumentError):
        _native.lib.nasoseg_study_free(ctypes.POINTER(_abi.nasoseg_engine)())
