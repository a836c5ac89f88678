"""Imports between the rooms of the package run down only."""

import ast
from pathlib import Path

import nasoseg_train

PACKAGE = Path(nasoseg_train.__file__).parent
# From the highest to the lowest. A module of a room imports from its own room and from lower ones.
ROOMS = (
    "cli",
    "commands",
    "evaluation",
    "bundle",
    "segmenter",
    "agent",
    "networks",
    "cohort",
    "data",
    "phantom",
    "run",
    "geometry",
)


def imported_rooms(path):
    """(line, room) of every import of the package in a file, also of those inside functions."""
    here = ["nasoseg_train", *path.relative_to(PACKAGE).parent.parts]
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom):
            base = here[: len(here) - node.level + 1] if node.level else []
            base = [*base, *(node.module.split(".") if node.module else [])]
            names = [[*base, alias.name] for alias in node.names]
        elif isinstance(node, ast.Import):
            names = [alias.name.split(".") for alias in node.names]
        else:
            continue
        for name in names:
            if name[0] == "nasoseg_train" and len(name) > 1:
                yield node.lineno, name[1]


def test_every_module_is_in_a_room_that_says_what_it_holds():
    found = {path.stem for path in PACKAGE.iterdir() if path.suffix == ".py" or path.is_dir()}
    assert found - {"__init__", "__pycache__"} == set(ROOMS)
    for room in ROOMS[1:]:
        assert ast.get_docstring(ast.parse((PACKAGE / room / "__init__.py").read_text())), room


def test_imports_run_from_a_higher_room_to_a_lower_one():
    up = []
    for path in sorted(PACKAGE.rglob("*.py")):
        own = path.relative_to(PACKAGE).with_suffix("").parts[0]
        for line, room in imported_rooms(path):
            if own in ROOMS and ROOMS.index(room) < ROOMS.index(own):
                up.append(f"{path.relative_to(PACKAGE)}:{line} imports from {room}")
    assert not up, "\n".join(up)
