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
# Only this project's package has this file; it holds the ABI that the package was built for.
MARK = "nasoseg/_abi.py"


class State(NamedTuple):
    """What is installed. `message` is complete; `found` is its first part."""

    usable: bool
    installable: bool
    """Whether pip can mend it without removing anything of another project."""
    found: str
    message: str = ""


def expected() -> str:
    return _("nasoseg {versions} with ABI {abi}").format(versions=VERSIONS, abi=ABI_VERSION)


def how_to_install() -> str:
    """No package index is known to have the wheel, so its path is what can be installed."""
    return _(
        "To install the wheel that nasoseg's repository builds (`make wheel`), run "
        'slicer.util.pip_install("WHEEL[cpu]") in the Python Console, with the path of the wheel '
        "for WHEEL. Without a connection: run `pip install --no-deps --target FOLDER WHEEL "
        "onnxruntime` on another computer with the same system, copy FOLDER here and choose it "
        "under Settings, Offline folder."
    )


def inspect() -> State:
    """Slicer's Python as it is now. Imports nothing."""
    importlib.invalidate_caches()
    file = _importable()
    owner = _owner(file) if file is not None else None
    loaded = sys.modules.get(NAME)
    if loaded is not None:
        state = _of_loaded(loaded, file, owner)
    elif file is None:
        state = _of_nothing()
    elif owner is None:
        state = _refused(
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


def _refused(found: str, todo: str, installable: bool = False, **values: Any) -> State:
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


def _has_runtime() -> bool:
    return "onnxruntime" in sys.modules or importlib.util.find_spec("onnxruntime") is not None


def _owner(file: Path) -> Optional[importlib.metadata.Distribution]:
    """The distribution of this name that installed a file."""
    for found in importlib.metadata.distributions(name=NAME):
        if file.resolve() in {path.resolve() for path in _files(found).values()}:
            return found
    return None


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


def _of_distribution(owner: importlib.metadata.Distribution, file: Path) -> State:
    files = _files(owner)
    if MARK not in files:
        return _refused(
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
            version=owner.version,
            summary=owner.metadata["Summary"] or _("without a description"),
        )
    missing = [
        name for name, path in files.items() if not name.endswith(".pyc") and not path.exists()
    ]
    if missing:
        return _damaged(owner, _("{file} is missing").format(file=missing[0]))
    numbers = version_of(owner.version)
    if not FIRST <= numbers < END:
        return _refused(
            _("{folder}: found nasoseg {version}, which is too {old}"),
            how_to_install(),
            installable=True,
            folder=file.parent,
            version=owner.version,
            old=_("old") if numbers < FIRST else _("new"),
        )
    abi = abi_of(files[MARK])
    if abi != ABI_VERSION:
        return _refused(
            _("{folder}: found nasoseg {version} with ABI {abi}"),
            _("Install the extension and the wheel of the same release. ") + how_to_install(),
            folder=file.parent,
            version=owner.version,
            abi=_("unknown") if abi is None else abi,
        )
    found = _("{folder}: found nasoseg {version}").format(folder=file.parent, version=owner.version)
    return State(True, False, found)


def _of_loaded(
    module: Any, file: Optional[Path], owner: Optional[importlib.metadata.Distribution]
) -> State:
    """This process keeps the module that it imported, whatever was installed since."""
    place = Path(getattr(module, "__file__", None) or NAME)
    if not _is_ours(module):
        return _refused(
            _("{file}: found another project's module nasoseg, which this session has imported"),
            _("Remove the other module, restart Slicer and try again."),
            file=place,
        )
    version = module.__version__
    installed = owner is not None and _of_distribution(owner, file).usable
    if owner is not None and (owner.version != version or file.resolve() != place.resolve()):
        return _refused(
            _(
                "{file}: found nasoseg {version}, which this session has imported, and nasoseg "
                "{other} ({folder}), which was installed since"
            ),
            _("Restart Slicer to use the installed one.") if installed else how_to_install(),
            file=place,
            version=version,
            other=owner.version,
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
    return _refused(
        _("{folder}: found a damaged installation of nasoseg {version}: {why}"),
        _(
            'Run slicer.util.pip_uninstall("nasoseg") in the Python Console, restart Slicer and '
            "install it again. "
        )
        + how_to_install(),
        folder=owner.locate_file(""),
        version=owner.version,
        why=why,
    )


def cannot_be_imported(error: BaseException, place: Optional[Path] = None) -> UserError:
    """For an installation that `inspect` took for usable, or for an offline folder's package."""
    why = _("importing it failed: {error}").format(error=error)
    if place is None:
        for owner in importlib.metadata.distributions(name=NAME):
            return UserError(_damaged(owner, why).message)
    found = _("{place}: found a damaged package nasoseg: {why}")
    state = _refused(found, how_to_install(), place=place or NAME, why=why)
    return UserError(state.message)


def _is_ours(module: Any) -> bool:
    return (
        isinstance(getattr(module, "abi_version", None), int)
        and isinstance(getattr(module, "__version__", None), str)
        and callable(getattr(module, "runtime_info", None))
    )


def verify(module: Any) -> None:
    """Refuses an imported module that is not ours, or whose library is of another version."""
    place = getattr(module, "__file__", None) or NAME
    if not _is_ours(module):
        raise UserError(
            _refused(
                _("{file}: found another project's module nasoseg"),
                _("Remove it, restart Slicer and try again."),
                file=place,
            ).message
        )
    if FIRST <= version_of(module.__version__) < END and module.abi_version == ABI_VERSION:
        return
    raise UserError(
        _refused(
            _("{file}: found nasoseg {version} with ABI {abi}"),
            how_to_install() + _(" Then restart Slicer."),
            file=place,
            version=module.__version__,
            abi=module.abi_version,
        ).message
    )


def version_of(text: str) -> tuple:
    """Major and minor number."""
    numbers = [int(number) for number in re.findall(r"\d+", text.partition("+")[0])[:2]]
    return (*numbers, 0, 0)[:2]


def abi_of(file: Path) -> Optional[int]:
    """The ABI that a package was built for, read without running it."""
    found = re.search(r"^ABI_VERSION = (\d+)$", file.read_text(encoding="utf-8"), re.MULTILINE)
    return int(found.group(1)) if found else None
