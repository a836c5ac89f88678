"""A command whose extra is not installed ends in one sentence; score and phantom need no extra."""

import ast
import os
import re
import shlex
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

import nasoseg_train
from nasoseg_train.cli import COMMANDS
from nasoseg_train.run.extras import EXTRAS, install_command

PACKAGE = Path(nasoseg_train.__file__).parent
PROJECT = tomllib.loads((PACKAGE.parent / "pyproject.toml").read_text())["project"]
# As if the packages of an extra were not installed: their modules cannot be found.
BLOCKER = """
import sys
class Blocker:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in {blocked!r}:
            raise ModuleNotFoundError(f"No module named {{name!r}}", name=name)
sys.meta_path.insert(0, Blocker())
{code}
"""


def without(blocked, code, *arguments):
    """Run `code` in a process of its own in which the modules of `blocked` are missing."""
    return subprocess.run(
        [sys.executable, "-c", BLOCKER.format(blocked=sorted(blocked), code=code), *arguments],
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHONPATH": str(PACKAGE.parent)},
    )


@pytest.mark.parametrize("name", COMMANDS)
def test_a_command_names_the_missing_extra(name, tmp_path):
    code = "from nasoseg_train.cli import main; main(sys.argv[1:])"
    done = without(EXTRAS["train"], code, *name.split(), "--help")
    assert done.returncode == 1 and done.stdout == ""
    said = rf"nasoseg-train {name}: the package \S+ is missing, which comes with the extra `train`"
    assert re.match(rf"{said}: run pip install ", done.stderr)
    assert install_command("train") in done.stderr
    assert done.stderr.count("\n") == 1


def test_tensorboard_is_an_extra_of_its_own(tmp_path):
    code = "from nasoseg_train.run.logs import Log; from pathlib import Path"
    code += "; folder = Path(sys.argv[1]); Log(folder / 'a.csv', 'epoch', folder)"
    done = without(EXTRAS["tensorboard"], code, str(tmp_path))
    assert done.returncode == 1
    assert done.stderr.startswith("--tensorboard: the package tensorboardX is missing")
    assert install_command("tensorboard") in done.stderr


def test_the_advice_names_a_folder_and_no_project_of_the_index(tmp_path):
    spaced = tmp_path / "a clone's" / "training"
    spaced.mkdir(parents=True)
    (spaced / "pyproject.toml").touch()
    for folder, expected in (
        (PACKAGE.parent, PACKAGE.parent),
        (spaced, spaced),
        (tmp_path, "./training"),
    ):
        words = shlex.split(install_command("train", folder))
        requirement = next(word for word in words if word.endswith("[train]"))
        assert requirement == f"{expected}[train]"
        assert requirement.startswith(("/", "./"))  # pip takes it for a path


def test_a_module_of_no_extra_is_still_a_traceback():
    code = (
        "from nasoseg_train.run.extras import extras_named\nwith extras_named('x'): import nowhere"
    )
    done = without([], code)
    assert "Traceback" in done.stderr and "nowhere" in done.stderr


def test_score_and_phantom_need_no_extra():
    blocked = {module for modules in EXTRAS.values() for module in modules}
    for module in ("nasoseg_train.commands.score", "nasoseg_train.phantom"):
        code = "import runpy; sys.argv = ['x', '--help']"
        code += f"; runpy.run_module({module!r}, run_name='__main__')"
        done = without(blocked, code)
        assert done.returncode == 0 and "usage" in done.stdout, done.stderr


def test_every_optional_import_has_an_extra_of_the_project():
    def names(requirements):
        return {re.split(r"[=<>\[ ]", requirement)[0] for requirement in requirements}

    for extra, modules in EXTRAS.items():
        assert set(modules.values()) == names(PROJECT["optional-dependencies"][extra])
    known = {module for modules in EXTRAS.values() for module in modules}
    known |= names(PROJECT["dependencies"]) | {"nasoseg_train"} | set(sys.stdlib_module_names)
    for path in PACKAGE.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Import):
                found = {alias.name.partition(".")[0] for alias in node.names}
            elif isinstance(node, ast.ImportFrom) and not node.level:
                found = {node.module.partition(".")[0]}
            else:
                continue
            assert found <= known, f"{path}:{node.lineno}"
