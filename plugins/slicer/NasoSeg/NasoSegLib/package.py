"""The Python package `nasoseg`: installed if it is missing, loaded.

In: the folder that the user chose for offline use, or "". Out: `Package`: the module, the ONNX
Runtime and the bundle to use. Nothing is installed or imported before the user asks for a result,
and pip never looks for `nasoseg` on an index: anyone may register the name there. The user chooses
the wheel's file.
"""

import importlib
import importlib.util
import sys
from pathlib import Path
from typing import Any, Callable, NamedTuple, Optional

from slicer.i18n import tr as _

from NasoSegLib import distribution, wheelfile
from NasoSegLib.distribution import NAME
from NasoSegLib.errors import UserError

EXTRA = {"auto": "cpu", "cpu": "cpu", "cuda": "cuda"}


class Package(NamedTuple):
    module: Any
    runtime: Optional[Path]
    """ONNX Runtime's folder; None for the one of Slicer's Python."""
    bundle: Path


def ensure(folder: str, device: str) -> None:
    """Installs the package from the wheel that the user chooses if it is missing, and refuses one
    that the extension cannot use. On the main thread: it asks the user, and Slicer shows pip's
    progress.
    """
    if folder:
        offline(folder)
        return
    before = distribution.inspect()
    if before.usable:
        return
    if not before.installable:
        raise UserError(before.message)
    wheel = _chosen_wheel(before)
    _install(wheel, EXTRA[device], before)
    after = distribution.inspect()
    if after.usable:
        return
    if after == before:
        text = _("{found}; pip did not change that. {how}")
        how = distribution.how_to_install()
        raise UserError(text.format(found=after.found, how=how))
    raise UserError(
        _("pip has installed {wheel}. {message}").format(wheel=wheel, message=after.message)
    )


def _chosen_wheel(before: distribution.State) -> Path:
    """The wheel's file, examined before pip sees it."""
    import qt
    import slicer

    title = _("{found}. Choose nasoseg's wheel").format(found=before.found)
    file = qt.QFileDialog.getOpenFileName(
        slicer.util.mainWindow(), title, "", _("nasoseg's wheel (nasoseg-*.whl)")
    )
    if not file:
        raise UserError(
            _(
                "{found}; expected {expected}. No wheel was chosen, so nothing was installed. {how}"
            ).format(
                found=before.found,
                expected=distribution.expected(),
                how=distribution.how_to_install(),
            )
        )
    problem = wheelfile.problem(Path(file))
    if problem:
        raise UserError(problem)
    return Path(file).absolute()


def _install(wheel: Path, extra: str, before: distribution.State) -> None:
    how = distribution.how_to_install()
    try:
        if not _installer()(wheel, extra):
            raise UserError(
                _(
                    "{found}, and you declined to install {wheel}, so nothing was run. To "
                    "be asked again, press the button again. {how}"
                ).format(found=before.found, wheel=wheel, how=how)
            )
    except UserError:
        raise
    except Exception as error:
        raise UserError(
            _("{found}, and pip could not install {wheel}: {error}. {how}").format(
                found=before.found, wheel=wheel, error=error, how=how
            )
        ) from error


def _installer() -> Callable[[Path, str], bool]:
    """Asks the user, then installs a wheel with an extra; False if the user declined. Slicer 5.12
    does both itself, but not if another version is installed: for a wheel's path it does not
    compare versions.
    """
    import slicer

    for module in () if distribution.is_installed() else ("slicer.packaging", "slicer.pydeps"):
        try:
            pip_ensure = importlib.import_module(module).pip_ensure
        except ImportError:
            continue
        return lambda wheel, extra: _ensure(pip_ensure, wheel, extra)

    def ask_and_install(wheel: Path, extra: str) -> bool:
        question = _(
            "NasoSeg needs the Python package in {wheel}. Let pip install it, and the packages "
            "numpy and onnxruntime (about 100 MB) from the package index if they are missing?"
        ).format(wheel=wheel)
        if not slicer.util.confirmOkCancelDisplay(question, _("NasoSeg")):
            return False
        # As a list: a path may contain spaces.
        slicer.util.pip_install([f"{wheel}[{extra}]"])
        return True

    return ask_and_install


def _ensure(pip_ensure: Callable, wheel: Path, extra: str) -> bool:
    from packaging.requirements import Requirement

    try:
        requirement = Requirement(f"{NAME}[{extra}] @ {wheel.as_uri()}")
        pip_ensure([requirement], requester="NasoSeg")
    except RuntimeError:
        # This is how pip_ensure reports that the user declined; pip's own failure is a
        # CalledProcessError, which is not one.
        return False
    return True


def offline(folder: str) -> tuple:
    """(package, ONNX Runtime) of an offline folder, checked."""
    root = Path(folder)
    package, runtime = root / NAME, root / "onnxruntime"
    for missing in (package, package / "__init__.py", runtime):
        if not missing.exists():
            found = (
                _("no file `{name}`") if missing.suffix == ".py" else _("no folder `{name}`")
            ).format(name=missing.relative_to(root).as_posix())
            raise UserError(
                _(
                    "{folder}: found {found}, expected the packages `nasoseg` and `onnxruntime`. "
                    "Make the folder with `pip install --no-deps --target FOLDER WHEEL "
                    "onnxruntime`, with the path of nasoseg's wheel for WHEEL, or leave Offline "
                    "folder empty."
                ).format(folder=folder, found=found)
            )
    mark = root / distribution.MARK
    abi = distribution.abi_of(mark)
    if abi != distribution.ABI_VERSION:
        found = (
            _("another project's package nasoseg")
            if abi is None
            else _("nasoseg with ABI {abi}").format(abi=abi)
        )
        raise UserError(
            _("{folder}: found {found}, expected {expected}. {how}").format(
                folder=package,
                found=found,
                expected=distribution.expected(),
                how=distribution.how_to_install(),
            )
        )
    return package, runtime / "capi" if (runtime / "capi").is_dir() else runtime


def offline_bundle(folder: str) -> Optional[Path]:
    """The only model in an offline folder; None if there is none."""
    bundles = sorted(path.parent for path in Path(folder).glob("*/bundle.json"))
    if len(bundles) > 1:
        raise UserError(
            _(
                "{folder}: found several models ({names}), expected one. Choose one under Model."
            ).format(folder=folder, names=", ".join(b.name for b in bundles))
        )
    return bundles[0] if bundles else None


def load(folder: str, bundle: str) -> Package:
    """Imports the package, and verifies what was imported. Any thread."""
    loaded, runtime, found = sys.modules.get(NAME), None, None
    if folder:
        package, runtime = offline(folder)
        found = None if bundle else offline_bundle(folder)
        if loaded is None:
            loaded = _import(lambda: _from_folder(package), package)
        elif Path(loaded.__file__).resolve().parent != package.resolve():
            raise UserError(
                _(
                    "{place}: found nasoseg, which this session has imported; expected the one in "
                    "{folder}. Restart Slicer to use that."
                ).format(place=Path(loaded.__file__).parent, folder=folder)
            )
    elif loaded is None:
        loaded = _import(lambda: importlib.import_module(NAME))
    distribution.verify(loaded)
    return Package(loaded, runtime, Path(bundle) if bundle else found or loaded.demo_bundle())


def _import(make: Callable[[], Any], place: Optional[Path] = None) -> Any:
    """A failed import leaves nothing behind, so that a repaired package can be imported."""
    try:
        return make()
    except Exception as error:
        for name in [name for name in sys.modules if name.partition(".")[0] == NAME]:
            del sys.modules[name]
        raise distribution.cannot_be_imported(error, place) from error


def _from_folder(package: Path) -> Any:
    """The package of this folder, whatever else Python's path holds; nothing beside it becomes
    importable.
    """
    spec = importlib.util.spec_from_file_location(
        NAME, package / "__init__.py", submodule_search_locations=[str(package)]
    )
    module = importlib.util.module_from_spec(spec)
    sys.modules[NAME] = module
    spec.loader.exec_module(module)
    return module
