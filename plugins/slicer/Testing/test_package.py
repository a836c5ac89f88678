"""Which installed package the extension accepts: real importlib.metadata on real folders, each case
in a process of its own whose Python finds nothing else.
"""

import json
import subprocess
import sys
import zipfile
from pathlib import Path
from types import SimpleNamespace

import packaging
import pytest

MODULE = Path(__file__).parents[1] / "NasoSeg"

# Stands in for Slicer's two ways to install; what pip would do is done by a function on `site`.
DRIVER = """
import json, subprocess, sys, types
from pathlib import Path

site, module, code = sys.argv[1:]
sys.path[:0] = [site, module]
slicer = types.ModuleType("slicer")
slicer.util = types.SimpleNamespace(mainWindow=lambda: None)
qt = types.ModuleType("qt")
chosen = ["a b/nasoseg-0.1.0-py3-none-any.whl"]
qt.QFileDialog = types.SimpleNamespace(
    getOpenFileName=lambda parent, title, *_arguments: titles.append(title) or chosen[0]
)
titles = []
i18n = types.ModuleType("slicer.i18n")
i18n.tr = lambda text: text
sys.modules |= {"slicer": slicer, "slicer.i18n": i18n, "qt": qt}
from NasoSegLib import distribution, package
from NasoSegLib.errors import UserError

asked = []

def slicer_512(action):
    def pip_ensure(requirements, requester=None):
        asked.extend(f"{one.name}{sorted(one.extras)}{one.url}" for one in requirements)
        action()
    sys.modules["slicer.packaging"] = types.SimpleNamespace(pip_ensure=pip_ensure)

def older_slicer(agreed, action):
    slicer.util.confirmOkCancelDisplay = lambda *_arguments: asked.append("asked") or agreed
    slicer.util.pip_install = lambda requirements: asked.extend(requirements) or action()

def moves(source):
    def action():
        for one in Path(source).iterdir():
            one.rename(Path(site) / one.name)
    return action

def declines():
    raise RuntimeError("User declined package installation")

def fails():
    raise subprocess.CalledProcessError(1, "pip")

def run(folder=""):
    try:
        package.ensure(folder, "cpu")
        return Path(package.load(folder, "").module.__file__).parent.name
    except UserError as error:
        return str(error)

said = []
exec(code)
print(json.dumps([said, asked]))
"""


def make(
    folder,
    version="0.1.0",
    abi=1,
    library=None,
    summary="Nasopharyngeal carcinoma in MR",
    keyword=True,
):
    """A distribution as pip unpacks it, of our shape: its library is only a file."""
    package, info = folder / "nasoseg", folder / f"nasoseg-{version}.dist-info"
    (package / "_native").mkdir(parents=True)
    info.mkdir()
    (package / "_native" / "libnasoseg.so").write_bytes(b"")
    (package / "_abi.py").write_text(f"ABI_VERSION = {abi}\n")
    (package / "__init__.py").write_text(
        f"from pathlib import Path\n__version__ = {version!r}\nabi_version = {library or abi}\n"
        "def runtime_info(): pass\ndef demo_bundle(): return Path(__file__).parent / 'demo'\n"
    )
    describe(folder, version, summary, f"MRI,nasoseg-abi-{abi}" if keyword else "nasoseg-abi")
    return folder


def make_wheel(folder, **settings):
    """A wheel's file of the same shape, in a folder whose name has a space."""
    built = make(folder / "built", **settings)
    file = folder / "a b" / "nasoseg-0.1.0-py3-none-any.whl"
    file.parent.mkdir()
    with zipfile.ZipFile(file, "w") as archive:
        for one in built.rglob("*"):
            archive.write(one, one.relative_to(built))
    return file


def describe(folder, version, summary, keywords="MRI"):
    info = folder / f"nasoseg-{version}.dist-info"
    info.mkdir(exist_ok=True)
    (info / "METADATA").write_text(
        f"Metadata-Version: 2.1\nName: nasoseg\nVersion: {version}\nSummary: {summary}\n"
        f"Keywords: {keywords}\n"
    )
    files = [path for path in folder.rglob("*") if path.is_file() and "nasoseg" in path.parts[-2]]
    files += [path for path in folder.glob("nasoseg/*/*") if path.is_file()]
    names = {path.relative_to(folder).as_posix() for path in files}
    names |= {f"{info.name}/RECORD", "nasoseg/__pycache__/__init__.cpython-311.pyc"}
    (info / "RECORD").write_text("".join(f"{name},,\n" for name in sorted(names)))


def make_stranger(folder, version="2.4.0"):
    (folder / "nasoseg").mkdir(parents=True)
    code = (
        f"import os\nos.environ['STRANGER'] = 'ran'\nopen({str(folder / 'ran')!r}, 'w').close()\n"
    )
    (folder / "nasoseg" / "__init__.py").write_text(code)
    describe(folder, version, "Nasal segments of plants")
    return folder


@pytest.fixture
def slicer_python(tmp_path):
    """A site folder with ONNX Runtime, and a way to run code in a Python that sees only it."""
    site = tmp_path / "site"
    (site / "onnxruntime" / "capi").mkdir(parents=True)
    (site / "onnxruntime" / "__init__.py").write_text("")
    wheel = make_wheel(tmp_path)
    (site / "packaging").symlink_to(Path(packaging.__file__).parent)

    def run(code):
        command = [sys.executable, "-I", "-S", "-B", "-c", DRIVER, str(site), str(MODULE), code]
        ran = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path)
        assert ran.returncode == 0, ran.stderr
        return SimpleNamespace(**dict(zip(("said", "asked"), json.loads(ran.stdout))))

    return SimpleNamespace(site=site, run=run, more=tmp_path, wheel=wheel)


ENSURE = "said.append(run())"
EXPECTED = "expected nasoseg >=0.1,<0.2 with ABI 1. "
WHEEL = 'slicer.util.pip_install("WHEEL[cpu]")'


def test_ours_is_taken_without_a_question(slicer_python):
    make(slicer_python.site)
    found = slicer_python.run(f"slicer_512(fails); {ENSURE}; {ENSURE}")
    assert found.said == ["nasoseg", "nasoseg"] and found.asked == []


def test_nothing_installed_asks_once_and_takes_what_was_installed(slicer_python):
    make(slicer_python.more / "index")
    found = slicer_python.run(f"slicer_512(moves('index')); {ENSURE}; {ENSURE}")
    assert found.said == ["nasoseg", "nasoseg"]
    assert found.asked == [f"nasoseg['cpu']{slicer_python.wheel.as_uri()}"]
    assert found.asked[0].endswith("/a%20b/nasoseg-0.1.0-py3-none-any.whl")


def test_an_older_slicer_asks_and_installs(slicer_python):
    make(slicer_python.more / "index")
    found = slicer_python.run(f"older_slicer(True, moves('index')); {ENSURE}")
    assert found.said == ["nasoseg"] and found.asked == ["asked", f"{slicer_python.wheel}[cpu]"]


@pytest.mark.parametrize("way", ["slicer_512(declines)", "older_slicer(False, fails)"])
def test_a_user_who_declines_is_shown_that(slicer_python, way):
    (said,) = slicer_python.run(f"{way}; {ENSURE}").said
    assert said.startswith(
        "The Python package nasoseg is not installed in Slicer, and you declined to install "
        f"{slicer_python.wheel}, so nothing was run. "
    )
    assert "connection and try again" not in said and WHEEL in said


@pytest.mark.parametrize("way", ["slicer_512(fails)", "older_slicer(True, fails)"])
def test_pips_failure_is_named(slicer_python, way):
    (said,) = slicer_python.run(f"{way}; {ENSURE}").said
    wheel = slicer_python.wheel
    assert f"pip could not install {wheel}: Command 'pip' returned non-zero" in said
    assert WHEEL in said


def test_no_wheel_chosen_installs_nothing(slicer_python):
    found = slicer_python.run(f"chosen[0] = ''; slicer_512(fails); {ENSURE}; said.extend(titles)")
    said, title = found.said
    assert said.startswith(
        f"The Python package nasoseg is not installed in Slicer; {EXPECTED}No wheel was chosen, so "
        "nothing was installed. "
    )
    assert WHEEL in said and "choose its file" in said and "Offline folder" in said
    assert title == "The Python package nasoseg is not installed in Slicer. Choose nasoseg's wheel"
    assert found.asked == []


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        (
            {"keyword": False, "summary": "Nose"},
            "another project's package of the same name, nasoseg 0.1.0 (",
        ),
        ({"version": "0.3.0"}, "nasoseg 0.3.0, which is too new"),
        (None, "a file that cannot be read ("),
    ],
)
def test_a_file_that_is_not_our_wheel_never_reaches_pip(slicer_python, settings, words):
    other = slicer_python.more / "other"
    if settings is None:
        file = other / "nasoseg-0.1.0.whl"
        other.mkdir()
        file.write_bytes(b"no archive")
    else:
        file = make_wheel(other, **settings)
    found = slicer_python.run(f"chosen[0] = {str(file)!r}; slicer_512(fails); {ENSURE}")
    (said,) = found.said
    assert said.startswith(f"{file}: found {words}") and EXPECTED in said
    assert found.asked == []


def test_a_source_archive_never_reaches_pip(slicer_python):
    file = slicer_python.wheel.rename(slicer_python.more / "nasoseg-0.1.0.zip")
    found = slicer_python.run(f"chosen[0] = {str(file)!r}; slicer_512(fails); {ENSURE}")
    assert found.said[0].startswith(f"{file}: found a file that is not a wheel; {EXPECTED}")
    assert found.asked == []


def test_an_installation_that_changes_nothing_is_noticed(slicer_python):
    (said,) = slicer_python.run(f"slicer_512(lambda: None); {ENSURE}").said
    assert said.startswith("The Python package nasoseg is not installed in Slicer; pip did not")


def test_a_stranger_is_named_and_never_run(slicer_python):
    make_stranger(slicer_python.site)
    found = slicer_python.run(f"slicer_512(fails); {ENSURE}")
    (said,) = found.said
    assert said.startswith(
        f"{slicer_python.site / 'nasoseg'}: found another project's package of the same name, "
        f'nasoseg 2.4.0 ("Nasal segments of plants"); {EXPECTED}'
    )
    assert 'slicer.util.pip_uninstall("nasoseg")' in said
    assert found.asked == [] and not (slicer_python.site / "ran").exists()


def test_a_stranger_with_our_files_name_is_named_and_never_run(slicer_python):
    make(slicer_python.site, keyword=False, summary="Nasal segments of plants")
    found = slicer_python.run(f"slicer_512(fails); {ENSURE}; said.append('nasoseg' in sys.modules)")
    said, imported = found.said
    assert (
        f"{slicer_python.site / 'nasoseg'}: found another project's package of the same name, "
        'nasoseg 0.1.0 ("Nasal segments of plants"); '
    ) in said
    assert found.asked == [] and imported is False


def test_a_stranger_that_pip_installs_is_named_and_never_run(slicer_python):
    folder = make_stranger(slicer_python.more / "index", version="0.1.3")
    found = slicer_python.run(f"slicer_512(moves('index')); {ENSURE}")
    (said,) = found.said
    assert said.startswith(f"pip has installed {slicer_python.wheel}. ")
    assert 'nasoseg 0.1.3 ("Nasal segments of plants")' in said
    assert len(found.asked) == 1 and not (folder / "ran").exists()


def test_a_module_without_a_distribution_is_named(slicer_python):
    file = slicer_python.site / "nasoseg.py"
    file.write_text("print('ran')")
    (said,) = slicer_python.run(f"slicer_512(fails); {ENSURE}").said
    assert said.startswith(
        f"{file}: found a module nasoseg that no installed distribution nasoseg owns; {EXPECTED}"
    )
    assert "Remove or rename this file" in said


@pytest.mark.parametrize("kind", ["editable", "RECORD"])
def test_an_installation_without_a_list_of_files_is_named(slicer_python, kind):
    """Its files may be the user's own sources, so nobody is advised to remove them."""
    make(slicer_python.site)
    info = slicer_python.site / "nasoseg-0.1.0.dist-info"
    package = slicer_python.site / "nasoseg"
    code = ""
    if kind == "editable":
        sources = slicer_python.more / "sources"
        sources.mkdir()
        package = package.rename(sources / "nasoseg")
        (info / "RECORD").write_text(f"_nasoseg.pth,,\n{info.name}/RECORD,,\n")
        code = f"sys.path.append({str(sources)!r}); "
        why, todo = "an editable installation", 'slicer.util.pip_uninstall("nasoseg")'
    else:
        (info / "RECORD").unlink()
        why, todo = "RECORD is missing", "--ignore-installed --no-deps WHEEL"
    found = slicer_python.run(f"{code}slicer_512(fails); {ENSURE}")
    (said,) = found.said
    assert said.startswith(
        f"{package}: found nasoseg 0.1.0 without a list of its files ({why}), so that its files "
        f"cannot be checked; {EXPECTED}"
    )
    assert "Remove or rename" not in said and todo in said and found.asked == []


def test_a_file_that_hides_our_distribution_is_named(slicer_python):
    make(slicer_python.site)
    folder = slicer_python.more / "scripts"
    folder.mkdir()
    (folder / "nasoseg.py").write_text("print('ran')")
    code = f"sys.path.insert(0, {str(folder)!r}); slicer_512(fails); {ENSURE}"
    (said,) = slicer_python.run(code).said
    assert said.startswith(f"{folder / 'nasoseg.py'}: found a module nasoseg that no installed")


@pytest.mark.parametrize(("version", "word"), [("0.0.9", "old"), ("0.2.0", "new"), ("1.1", "new")])
def test_a_version_that_does_not_fit_is_named(slicer_python, version, word):
    make(slicer_python.site, version=version)
    (said,) = slicer_python.run(f"older_slicer(True, lambda: None); {ENSURE}").said
    found = f"{slicer_python.site / 'nasoseg'}: found nasoseg {version}, which is too {word}"
    assert said.startswith(f"{found}; pip did not change that. ") and WHEEL in said
    (said,) = slicer_python.run(f"older_slicer(False, fails); {ENSURE}").said
    assert said.startswith(f"{found}, and you declined to install {slicer_python.wheel}")


def test_an_unreadable_version_is_named(slicer_python):
    make(slicer_python.site, version="unknown")
    (said,) = slicer_python.run(f"older_slicer(False, fails); {ENSURE}").said
    place = slicer_python.site / "nasoseg"
    assert said.startswith(f"{place}: found nasoseg unknown, whose version is unreadable, and you")


def test_two_installations_are_both_named(slicer_python):
    make(slicer_python.site, version="0.0.9")
    other = make(slicer_python.more / "other", version="0.1.2")
    code = f"sys.path.append({str(other)!r}); older_slicer(False, fails); {ENSURE}"
    (said,) = slicer_python.run(code).said
    assert said.startswith(
        f"{slicer_python.site / 'nasoseg'}: found nasoseg 0.0.9, which is too old (it comes before "
        f"nasoseg 0.1.2 in {other} in sys.path), and you declined"
    )


def test_a_version_that_pip_replaces_is_taken(slicer_python):
    make(slicer_python.site, version="0.0.9")
    make(slicer_python.more / "index", version="0.1.7")
    code = f"""
import shutil
def replaces():
    for one in Path(site).glob("nasoseg*"):
        shutil.rmtree(one)
    moves("index")()
slicer_512(fails)
older_slicer(True, replaces)
{ENSURE}
"""
    found = slicer_python.run(code)
    assert found.said == ["nasoseg"]
    # pip_ensure takes any installed version for a wheel's path.
    assert found.asked == ["asked", f"{slicer_python.wheel}[cpu]"]


def test_another_abi_is_named_before_the_import(slicer_python):
    make(slicer_python.site, abi=2)
    found = slicer_python.run(f"slicer_512(fails); {ENSURE}; said.append('nasoseg' in sys.modules)")
    said, imported = found.said
    place = slicer_python.site / "nasoseg"
    assert said.startswith(f"{place}: found nasoseg 0.1.0 with ABI 2; {EXPECTED}")
    assert "the wheel of the same release" in said
    assert found.asked == [] and imported is False


def test_an_abi_file_that_is_not_utf8_is_named(slicer_python):
    make(slicer_python.site)
    file = slicer_python.site / "nasoseg" / "_abi.py"
    file.write_bytes(b"# \xff\xfe\n")
    (said,) = slicer_python.run(f"slicer_512(fails); {ENSURE}").said
    assert said.startswith(f"{file.parent}: found nasoseg 0.1.0 with ABI unknown; {EXPECTED}")


def test_another_abi_of_the_library_is_named_after_the_import(slicer_python):
    make(slicer_python.site, abi=1, library=7)
    (said,) = slicer_python.run(ENSURE).said
    assert f"{slicer_python.site}/nasoseg/__init__.py: found nasoseg 0.1.0 with ABI 7; " in said


@pytest.mark.parametrize("file", ["nasoseg/_native/libnasoseg.so", "nasoseg/_abi.py"])
def test_a_missing_file_is_damage(slicer_python, file):
    make(slicer_python.site)
    (slicer_python.site / file).unlink()
    (said,) = slicer_python.run(f"slicer_512(fails); {ENSURE}").said
    assert (
        f"{slicer_python.site}: found a damaged installation of nasoseg 0.1.0: {file} is missing; "
    ) in said
    assert "install it again" in said and WHEEL in said


def test_metadata_without_a_package_is_damage(slicer_python):
    describe(slicer_python.site, "0.1.0", "")
    (said,) = slicer_python.run(f"slicer_512(fails); {ENSURE}").said
    assert "damaged installation of nasoseg 0.1.0: there is nothing to import" in said


def test_an_import_that_fails_is_damage_and_leaves_nothing_behind(slicer_python):
    make(slicer_python.site)
    file = slicer_python.site / "nasoseg" / "__init__.py"
    good = file.read_text()
    file.write_text("from . import _abi\nraise ImportError('libnasoseg.so: invalid ELF header')")
    repair = f"Path({str(file)!r}).write_text({good!r})"
    said, again = slicer_python.run(f"{ENSURE}; {repair}; {ENSURE}").said
    assert "importing it failed: libnasoseg.so: invalid ELF header; " in said
    assert "damaged installation of nasoseg 0.1.0" in said and WHEEL in said
    assert again == "nasoseg"


def test_a_version_installed_after_the_import_requires_a_restart(slicer_python):
    make(slicer_python.site)
    make(slicer_python.more / "index", version="0.1.1")
    code = f"""
import shutil
{ENSURE}
for one in Path(site).glob("nasoseg*"):
    shutil.rmtree(one)
moves("index")()
{ENSURE}
"""
    first, said = slicer_python.run(code).said
    assert first == "nasoseg"
    assert "found nasoseg 0.1.0, which this session has imported, and nasoseg 0.1.1 (" in said
    assert "Restart Slicer to use the installed one." in said


def test_a_stranger_that_was_imported_is_named(slicer_python):
    make(slicer_python.site)
    code = f"sys.modules['nasoseg'] = types.ModuleType('nasoseg'); {ENSURE}"
    (said,) = slicer_python.run(code).said
    assert "found another project's module nasoseg, which this session has imported; " in said
    assert "restart Slicer" in said


@pytest.mark.parametrize(
    ("abi", "file"), [("True", "__init__.py"), ("1", "_abi.py"), ("1", "keyword")]
)
def test_an_imported_module_that_only_resembles_ours_is_named(slicer_python, abi, file):
    """A bool is an int; a package without our file, and one without our keyword."""
    make(slicer_python.site, keyword=file != "keyword")
    package = slicer_python.site / "nasoseg"
    if abi == "True":
        source = (package / "__init__.py").read_text()
        (package / "__init__.py").write_text(
            source.replace("abi_version = 1", "abi_version = True")
        )
    if file == "_abi.py":
        (package / "_abi.py").unlink()
        describe(slicer_python.site, "0.1.0", "Nose")
    (said,) = slicer_python.run(f"import nasoseg; slicer_512(fails); {ENSURE}").said
    assert "found another project's module nasoseg, which this session has imported; " in said


def test_an_imported_module_that_nobody_owns_requires_a_restart(slicer_python):
    folder = make(slicer_python.more / "offline")
    code = f"""
(Path({str(folder)!r}) / "onnxruntime").mkdir()
said.append(run({str(folder)!r}))
{ENSURE}
"""
    first, said = slicer_python.run(code).said
    assert first == "nasoseg"
    assert "which this session has imported and no installed distribution owns; " in said
    assert "Restart Slicer and try again." in said


def test_a_missing_onnx_runtime_is_asked_for(slicer_python):
    make(slicer_python.site)
    (slicer_python.site / "onnxruntime").rename(slicer_python.more / "taken")
    found = slicer_python.run(f"older_slicer(True, lambda: None); {ENSURE}")
    (said,) = found.said
    assert "found nasoseg 0.1.0, without the package onnxruntime; pip did not change that" in said
    assert found.asked == ["asked", f"{slicer_python.wheel}[cpu]"]


def test_an_offline_folder_is_examined_too(slicer_python):
    folder = slicer_python.more / "offline"
    (folder / "onnxruntime").mkdir(parents=True)
    offline = f"said.append(run({str(folder)!r}))"
    (said,) = slicer_python.run(offline).said
    expected = "expected the packages `nasoseg` and `onnxruntime`"
    assert said.startswith(f"{folder}: found no folder `nasoseg`, {expected}")
    (folder / "nasoseg").mkdir()
    (said,) = slicer_python.run(offline).said
    assert said.startswith(f"{folder}: found no file `nasoseg/__init__.py`, {expected}")
    (folder / "nasoseg").rmdir()
    make_stranger(folder)
    (said,) = slicer_python.run(offline).said
    assert f"{folder / 'nasoseg'}: found another project's package nasoseg, {EXPECTED}" in said
    assert not (folder / "ran").exists()
    (folder / "nasoseg").rename(slicer_python.more / "stranger")
    make(folder, abi=3)
    (said,) = slicer_python.run(offline).said
    assert f"{folder / 'nasoseg'}: found nasoseg with ABI 3, {EXPECTED}" in said
    (folder / "nasoseg" / "_abi.py").write_text("ABI_VERSION = 1\n")
    (said,) = slicer_python.run(offline).said
    assert "nasoseg 0.1.0 with ABI 3; " in said
    (folder / "nasoseg" / "__init__.py").write_text("raise OSError('disk')")
    (said,) = slicer_python.run(offline).said
    assert (
        f"{folder / 'nasoseg'}: found a damaged package nasoseg: importing it failed: disk" in said
    )


def test_the_real_wheel_is_ours():
    """What `make test-slicer` installed."""
    from NasoSegLib import distribution

    state = distribution.inspect()
    assert state.usable, state.message
