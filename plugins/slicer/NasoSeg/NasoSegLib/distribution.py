"""The distribution `nasoseg` of Slicer's Python: whether it is this project's, undamaged, and of a
version that the extension can use.

In: what importlib.metadata and the import system find on sys.path. Out: `State`, in words that the
user can act on. Nothing is imported here, so that code of another project with this name never
runs; `verify` examines the module after it was imported.
"""

import csv
import importlib
import importlib.machinery
import importlib.metadata
import importlib.util
import json
import re
import sys
from pathlib import Path
from typing import Any, NamedTuple, Optional

from slicer.i18n import tr as _

from NasoSegLib.errors import UserError

NAME = "nasoseg"
# What this extension was written for: the library's ABI, and the first version and the end of the
# range of versions.
ABI_VERSION = 1
FIRST, END = (0, 1), (0, 2)
VERSIONS = f">={FIRST[0]}.{FIRST[1]},<{END[0]}.{END[1]}"
# This project's wheels have both: a file that holds the ABI that the package was built for, and a
# keyword that names it. They tell a stranger of the same name apart, not a forgery.
MARK = "nasoseg/_abi.py"
KEYWORD = re.compile(r"nasoseg-abi-\d+")


class State(NamedTuple):
    """What is installed. `message` is complete; `found` is its first part."""

    usable: bool
    installable: bool
    """Whether pip can fix it without removing anything of another project."""
    found: str
    message: str = ""


def expected() -> str:
    return _("nasoseg {versions} with ABI {abi}").format(versions=VERSIONS, abi=ABI_VERSION)


def how_to_install() -> str:
    """No package index is known to have the wheel, so its file is what can be installed."""
    return _(
        "To install the wheel that nasoseg's repository builds (`make wheel`), press the button "
        'again and choose its file, or run slicer.util.pip_install("WHEEL[cpu]") in the Python '
        "Console, with the path of the wheel for WHEEL. Without a connection: run "
        "`pip install --no-deps --target FOLDER WHEEL onnxruntime` on another computer with the "
        "same system, copy FOLDER here and choose it under Settings, Offline folder."
    )


def inspect() -> State:
    """Slicer's Python as it is now. Imports nothing."""
    importlib.invalidate_caches()
    file = _importable()
    owner = _owner(file) if file is not None else None
    unlisted = _unlisted() if file is not None and owner is None else None
    loaded = sys.modules.get(NAME)
    if unlisted is not None:
        state = _of_unlisted(unlisted, file)
    elif loaded is not None:
        state = _of_loaded(loaded, file, owner)
    elif file is None:
        state = _of_nothing()
    elif owner is None:
        state = refused(
            _("{file}: found a module nasoseg that no installed distribution nasoseg owns"),
            _("Remove or rename this file, restart Slicer and try again."),
            file=file,
        )
    else:
        state = _of_distribution(owner, file)
    if state.usable and not _has_runtime():
        found = _("{found}, without the package onnxruntime").format(found=state.found)
        return State(False, True, found, f"{found}. {how_to_install()}")
    return state


def refused(found: str, todo: str, installable: bool = False, **values: Any) -> State:
    found = found.format(**values)
    message = _("{found}; expected {expected}. {todo}").format(
        found=found, expected=expected(), todo=todo.format(**values)
    )
    return State(False, installable, found, message)


def _importable() -> Optional[Path]:
    """The file that `import nasoseg` would run in a new process; None if there is none."""
    # For a module that is already imported, find_spec returns the spec of that one.
    find = importlib.machinery.PathFinder.find_spec
    spec = find(NAME) if NAME in sys.modules else importlib.util.find_spec(NAME)
    # Without an origin it is a folder without code, which any installed package precedes.
    return Path(spec.origin) if spec is not None and spec.origin else None


def is_installed() -> bool:
    """Whether any distribution of this name is installed, of whatever version."""
    return next(iter(importlib.metadata.distributions(name=NAME)), None) is not None


def _has_runtime() -> bool:
    return "onnxruntime" in sys.modules or importlib.util.find_spec("onnxruntime") is not None


def _owner(file: Path) -> Optional[importlib.metadata.Distribution]:
    """The distribution of this name that installed a file."""
    for found in importlib.metadata.distributions(name=NAME):
        if file.resolve() in {path.resolve() for path in _files(found).values()}:
            return found
    return None


def _unlisted() -> Optional[importlib.metadata.Distribution]:
    """A distribution of this name whose RECORD does not list the package's files: one in editable
    mode, whose files are the user's sources, or one without RECORD.
    """
    for found in importlib.metadata.distributions(name=NAME):
        if not _files(found) or _is_editable(found):
            return found
    return None


def _is_editable(owner: importlib.metadata.Distribution) -> bool:
    try:
        origin = json.loads(owner.read_text("direct_url.json") or "{}")
    except ValueError:
        origin = {}
    info = origin.get("dir_info") if isinstance(origin, dict) else None
    editable = isinstance(info, dict) and info.get("editable") is True
    return editable or any(name.endswith(".pth") for name in _files(owner))


def is_marked(owner: importlib.metadata.Distribution) -> bool:
    """Whether a distribution is this project's."""
    return MARK in _files(owner) and _has_keyword(owner)


def _has_keyword(owner: importlib.metadata.Distribution) -> bool:
    words = re.split(r"[,\s]+", owner.metadata["Keywords"] or "")
    return any(KEYWORD.fullmatch(word) for word in words)


def _files(owner: importlib.metadata.Distribution) -> dict:
    """{name: path} of everything that a distribution installed. `Distribution.files` leaves out
    missing files from Python 3.12 on.
    """
    rows = csv.reader((owner.read_text("RECORD") or "").splitlines())
    return {row[0]: Path(str(owner.locate_file(row[0]))) for row in rows if row}


def _of_nothing() -> State:
    for found in importlib.metadata.distributions(name=NAME):
        return _damaged(found, _("there is nothing to import"))
    return State(
        False,
        True,
        _("The Python package nasoseg is not installed in Slicer"),
        _(
            "The Python package nasoseg is not installed in Slicer; expected {expected}. {how}"
        ).format(expected=expected(), how=how_to_install()),
    )


def _of_unlisted(owner: importlib.metadata.Distribution, file: Path) -> State:
    editable = _is_editable(owner)
    # pip uninstalls nothing without RECORD.
    todo = (
        _(
            'Run slicer.util.pip_uninstall("nasoseg") in the Python Console, restart Slicer and '
            "install the wheel. "
        )
        + how_to_install()
        if editable
        else _(
            'Run slicer.util.pip_install("--ignore-installed --no-deps WHEEL") in the Python '
            "Console, with the path of nasoseg's wheel for WHEEL, and restart Slicer."
        )
    )
    return refused(
        _(
            "{folder}: found nasoseg {version} without a list of its files ({why}), so that its "
            "files cannot be checked"
        ),
        todo,
        folder=file.parent,
        version=version_text(owner),
        why=_("an editable installation") if editable else _("RECORD is missing"),
    )


def _of_distribution(owner: importlib.metadata.Distribution, file: Path) -> State:
    files = _files(owner)
    if not is_marked(owner):
        return refused(
            _(
                "{folder}: found another project's package of the same name, nasoseg {version} "
                '("{summary}")'
            ),
            _(
                "If nothing else in Slicer uses it, run "
                'slicer.util.pip_uninstall("nasoseg") in the Python Console, restart Slicer and '
                "try again."
            ),
            folder=file.parent,
            version=version_text(owner),
            summary=owner.metadata["Summary"] or _("without a description"),
        )
    missing = [
        name for name, path in files.items() if not name.endswith(".pyc") and not path.exists()
    ]
    if missing:
        return _damaged(owner, _("{file} is missing").format(file=missing[0]))
    problem = version_problem(owner.version)
    if problem:
        return refused(
            _("{folder}: found nasoseg {version}, {problem}{hidden}"),
            how_to_install(),
            installable=True,
            folder=file.parent,
            version=version_text(owner),
            problem=problem,
            hidden=_hidden_by(owner),
        )
    abi = abi_of(files[MARK])
    if abi != ABI_VERSION:
        return refused(
            _("{folder}: found nasoseg {version} with ABI {abi}{hidden}"),
            _("Install the extension and the wheel of the same release. ") + how_to_install(),
            folder=file.parent,
            version=owner.version,
            abi=_("unknown") if abi is None else abi,
            hidden=_hidden_by(owner),
        )
    found = _("{folder}: found nasoseg {version}").format(folder=file.parent, version=owner.version)
    return State(True, False, found)


def _hidden_by(owner: importlib.metadata.Distribution) -> str:
    """Names the other installations on sys.path, which Python finds after this one."""
    place = Path(str(owner.locate_file(""))).resolve()
    others = [
        _("nasoseg {version} in {folder}").format(version=version_text(one), folder=folder)
        for one in importlib.metadata.distributions(name=NAME)
        for folder in [Path(str(one.locate_file(""))).resolve()]
        if folder != place
    ]
    text = _(" (it comes before {others} in sys.path)")
    return text.format(others=", ".join(others)) if others else ""


def version_text(owner: importlib.metadata.Distribution) -> str:
    return owner.version or _("without a version")


def version_problem(text: Optional[str]) -> str:
    """Why a version does not fit; "" if it fits."""
    numbers = version_of(text)
    if numbers is None:
        return _("whose version is unreadable")
    if FIRST <= numbers < END:
        return ""
    return _("which is too old") if numbers < FIRST else _("which is too new")


def _of_loaded(
    module: Any, file: Optional[Path], owner: Optional[importlib.metadata.Distribution]
) -> State:
    """This process keeps the module that it imported, whatever was installed since."""
    place = Path(getattr(module, "__file__", None) or NAME)
    if not _is_ours(module):
        return refused(
            _("{file}: found another project's module nasoseg, which this session has imported"),
            _("Remove the other module, restart Slicer and try again."),
            file=place,
        )
    version = module.__version__
    if _owner(place) is None and owner is None:
        return refused(
            _(
                "{file}: found nasoseg {version}, which this session has imported and no installed "
                "distribution owns"
            ),
            _("Restart Slicer and try again."),
            file=place,
            version=version,
        )
    installed = owner is not None and _of_distribution(owner, file).usable
    if owner is not None and (owner.version != version or file.resolve() != place.resolve()):
        return refused(
            _(
                "{file}: found nasoseg {version}, which this session has imported, and nasoseg "
                "{other} ({folder}), which was installed since"
            ),
            _("Restart Slicer to use the installed one.") if installed else how_to_install(),
            file=place,
            version=version,
            other=version_text(owner),
            folder=file.parent,
        )
    try:
        verify(module)
    except UserError as error:
        return State(False, False, str(error), str(error))
    return State(
        True, False, _("{file}: found nasoseg {version}").format(file=place, version=version)
    )


def _damaged(owner: importlib.metadata.Distribution, why: str) -> State:
    return refused(
        _("{folder}: found a damaged installation of nasoseg {version}: {why}"),
        _(
            'Run slicer.util.pip_uninstall("nasoseg") in the Python Console, restart Slicer and '
            "install it again. "
        )
        + how_to_install(),
        folder=owner.locate_file(""),
        version=version_text(owner),
        why=why,
    )


def cannot_be_imported(error: BaseException, place: Optional[Path] = None) -> UserError:
    """For an installation that `inspect` took for usable, or for an offline folder's package."""
    why = _("importing it failed: {error}").format(error=error)
    if place is None:
        for owner in importlib.metadata.distributions(name=NAME):
            return UserError(_damaged(owner, why).message)
    found = _("{place}: found a damaged package nasoseg: {why}")
    state = refused(found, how_to_install(), place=place or NAME, why=why)
    return UserError(state.message)


def _is_ours(module: Any) -> bool:
    """By what the module holds, and by its file's owner if a distribution installed it: an offline
    folder's package, which `package.offline` examines, has none.
    """
    file = getattr(module, "__file__", None)
    owner = _owner(Path(file)) if file else None
    return (
        # A bool is an int.
        type(getattr(module, "abi_version", None)) is int
        and file is not None
        and (
            is_marked(owner)
            if owner is not None
            else abi_of(Path(file).parent / "_abi.py") is not None
        )
        and isinstance(getattr(module, "__version__", None), str)
        and callable(getattr(module, "runtime_info", None))
    )


def verify(module: Any) -> None:
    """Refuses an imported module that is not ours, or whose library is of another version."""
    place = getattr(module, "__file__", None) or NAME
    if not _is_ours(module):
        raise UserError(
            refused(
                _("{file}: found another project's module nasoseg"),
                _("Remove it, restart Slicer and try again."),
                file=place,
            ).message
        )
    if not version_problem(module.__version__) and module.abi_version == ABI_VERSION:
        return
    raise UserError(
        refused(
            _("{file}: found nasoseg {version} with ABI {abi}"),
            how_to_install() + _(" Then restart Slicer."),
            file=place,
            version=module.__version__,
            abi=module.abi_version,
        ).message
    )


def version_of(text: Optional[str]) -> Optional[tuple]:
    """Major and minor number; None if there is no number to read."""
    numbers = re.match(r"\s*v?(\d+)(?:\.(\d+))?", text or "")
    return None if numbers is None else (int(numbers[1]), int(numbers[2] or 0))


def abi_of(file: Path) -> Optional[int]:
    """The ABI that a package was built for, read without running it; None if there is none."""
    if not file.is_file():
        return None
    text = file.read_text(encoding="utf-8", errors="replace")
    found = re.search(r"^ABI_VERSION = (\d+)$", text, re.MULTILINE)
    return int(found.group(1)) if found else None
