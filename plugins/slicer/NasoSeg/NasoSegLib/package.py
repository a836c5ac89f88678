"""The Python package `nasoseg`: installed if it is missing, loaded.

In: the folder that the user chose for offline use, or "". Out: `Package`: the module, the ONNX
Runtime and the bundle to use. Nothing is installed or imported before the user asks for a result.
"""

import importlib
import importlib.util
import sys
from pathlib import Path
from typing import Any, Callable, NamedTuple, Optional

from slicer.i18n import tr as _

from NasoSegLib import distribution
from NasoSegLib.distribution import NAME, VERSIONS
from NasoSegLib.errors import UserError

REQUIREMENT = {
    "auto": f"{NAME}[cpu]{VERSIONS}",
    "cpu": f"{NAME}[cpu]{VERSIONS}",
    "cuda": f"{NAME}[cuda]{VERSIONS}",
}


class Package(NamedTuple):
    module: Any
    runtime: Optional[Path]
    """ONNX Runtime's folder; None for the one of Slicer's Python."""
    bundle: Path


def ensure(folder: str, device: str) -> None:
    """Installs the package if it is missing, and refuses one that the extension cannot use. On the
    main thread: Slicer asks the user and shows pip's progress.
    """
    if folder:
        offline(folder)
        return
    before = distribution.inspect()
    if before.usable:
        return
    if not before.installable:
        raise UserError(before.message)
    _install(REQUIREMENT[device], before)
    after = distribution.inspect()
    if after.usable:
        return
    if after == before:
        text = _("{found}; pip did not change that. {how}")
        how = distribution.how_to_install()
        raise UserError(text.format(found=after.found, how=how))
    raise UserError(
        _("pip has installed what it found for {requirement}. {message}").format(
            requirement=REQUIREMENT[device], message=after.message
        )
    )


def _install(requirement: str, before: distribution.State) -> None:
    how = distribution.how_to_install()
    try:
        if not _installer()(requirement):
            raise UserError(
                _(
                    "{found}, and you declined to install {requirement}, so nothing was run. To "
                    "be asked again, press the button again. {how}"
                ).format(found=before.found, requirement=requirement, how=how)
            )
    except UserError:
        raise
    except Exception as error:
        raise UserError(
            _("{found}, and pip could not install {requirement}: {error}. {how}").format(
                found=before.found, requirement=requirement, error=error, how=how
            )
        ) from error


def _installer() -> Callable[[str], bool]:
    """Asks the user, then installs a requirement; False if the user declined. Slicer 5.12 does both
    itself.
    """
    import slicer

    for module in ("slicer.packaging", "slicer.pydeps"):
        try:
            pip_ensure = importlib.import_module(module).pip_ensure
        except ImportError:
            continue
        return lambda requirement: _ensure(pip_ensure, requirement)

    def ask_and_install(requirement: str) -> bool:
        question = _(
            "NasoSeg needs the Python package {requirement} (about 100 MB). Let pip look for it on "
            "the package index and install it?"
        ).format(requirement=requirement)
        if not slicer.util.confirmOkCancelDisplay(question, _("NasoSeg")):
            return False
        slicer.util.pip_install(requirement)
        return True

    return ask_and_install


def _ensure(pip_ensure: Callable, requirement: str) -> bool:
    from packaging.requirements import Requirement

    try:
        pip_ensure([Requirement(requirement)], requester="NasoSeg")
    except RuntimeError:
        # This is how pip_ensure reports that the user declined; pip's own failure is a
        # CalledProcessError, which is none.
        return False
    return True


def offline(folder: str) -> tuple:
    """(package, ONNX Runtime) of an offline folder, checked."""
    root = Path(folder)
    package, runtime = root / NAME, root / "onnxruntime"
    for place, file in ((package, package / "__init__.py"), (runtime, runtime)):
        if not file.exists():
            raise UserError(
                _(
                    "{folder}: found no folder `{name}`, expected `nasoseg` and `onnxruntime`. "
                    "Make the folder with `pip install --no-deps --target FOLDER WHEEL "
                    "onnxruntime`, with the path of nasoseg's wheel for WHEEL, or leave Offline "
                    "folder empty."
                ).format(folder=folder, name=place.name)
            )
    mark = root / distribution.MARK
    abi = distribution.abi_of(mark) if mark.exists() else None
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
