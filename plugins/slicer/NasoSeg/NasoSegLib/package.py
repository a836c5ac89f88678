"""The Python package `nasoseg`: found, installed where it is missing, loaded.

In: the folder that the user chose for offline use, or "". Out: `Package`: the module, the ONNX
Runtime and the bundle to use. Nothing is installed or imported before the user asks for a result.
"""

import importlib
import importlib.util
import sys
from pathlib import Path
from typing import Any, NamedTuple, Optional

from slicer.i18n import tr as _

from NasoSegLib.errors import UserError

REQUIREMENT = {
    "auto": "nasoseg[cpu]>=0.1,<0.2",
    "cpu": "nasoseg[cpu]>=0.1,<0.2",
    "cuda": "nasoseg[cuda]>=0.1,<0.2",
}


class Package(NamedTuple):
    module: Any
    runtime: Optional[Path]
    """ONNX Runtime's folder; None for the one of Slicer's Python."""
    bundle: Path


def installed() -> bool:
    """Whether Slicer's Python has the package and an ONNX Runtime."""
    importlib.invalidate_caches()
    return all(
        name in sys.modules or importlib.util.find_spec(name) is not None
        for name in ("nasoseg", "onnxruntime")
    )


def ensure(folder: str, device: str) -> None:
    """Installs the package where it is missing. On the main thread: Slicer asks the user and shows
    pip's progress.
    """
    if folder:
        offline(folder)
        return
    if installed():
        return
    import slicer

    requirement = REQUIREMENT[device]
    hint = _(
        "Check the connection and try again, or install without one: on another computer run `pip install --no-deps --target FOLDER nasoseg onnxruntime`, "
        "copy FOLDER here and choose it under Settings, Offline folder."
    )
    try:
        try:
            from slicer.packaging import pip_ensure
        except ImportError:
            question = _(
                "NasoSeg needs the Python package {requirement} (about 100 MB). Install it now?"
            ).format(requirement=requirement)
            if not slicer.util.confirmOkCancelDisplay(question, _("NasoSeg")):
                raise UserError(
                    _(
                        "The package {requirement} was not installed, so nothing was run. {hint}"
                    ).format(requirement=requirement, hint=hint)
                ) from None
            slicer.util.pip_install(requirement)
        else:
            pip_ensure([requirement], requester="NasoSeg")
    except UserError:
        raise
    except Exception as error:
        raise UserError(
            _("The package {requirement} could not be installed: {error}. {hint}").format(
                requirement=requirement, error=error, hint=hint
            )
        ) from error
    if not installed():
        raise UserError(
            _("The package {requirement} was not installed, so nothing was run. {hint}").format(
                requirement=requirement, hint=hint
            )
        )


def offline(folder: str) -> tuple:
    """(package, ONNX Runtime) of an offline folder, checked."""
    root = Path(folder)
    package, runtime = root / "nasoseg", root / "onnxruntime"
    for place, file in ((package, package / "__init__.py"), (runtime, runtime)):
        if not file.exists():
            raise UserError(
                _(
                    "{folder}: there is no folder `{name}` in it. Make the offline folder with `pip install --no-deps --target FOLDER nasoseg onnxruntime`, or leave Offline folder empty."
                ).format(folder=folder, name=place.name)
            )
    return package, runtime / "capi" if (runtime / "capi").is_dir() else runtime


def offline_bundle(folder: str) -> Optional[Path]:
    """The one model that lies in an offline folder; None where there is none."""
    bundles = sorted(path.parent for path in Path(folder).glob("*/bundle.json"))
    if len(bundles) > 1:
        raise UserError(
            _("{folder}: several models ({names}). Choose one under Model.").format(
                folder=folder, names=", ".join(b.name for b in bundles)
            )
        )
    return bundles[0] if bundles else None


def load(folder: str, bundle: str) -> Package:
    """Imports the package. Any thread."""
    loaded, runtime, found = sys.modules.get("nasoseg"), None, None
    if folder:
        package, runtime = offline(folder)
        found = None if bundle else offline_bundle(folder)
        if loaded is None:
            loaded = _load_from(package)
        elif Path(loaded.__file__).resolve().parent != package.resolve():
            raise UserError(
                _(
                    "nasoseg was already loaded from {place}; restart Slicer to use the one in {folder}."
                ).format(place=Path(loaded.__file__).parent, folder=folder)
            )
    elif loaded is None:
        loaded = importlib.import_module("nasoseg")
    return Package(loaded, runtime, Path(bundle) if bundle else found or loaded.demo_bundle())


def _load_from(package: Path) -> Any:
    """The package of this folder, whatever else Python's path holds; nothing beside it becomes
    importable.
    """
    spec = importlib.util.spec_from_file_location(
        "nasoseg", package / "__init__.py", submodule_search_locations=[str(package)]
    )
    module = importlib.util.module_from_spec(spec)
    sys.modules["nasoseg"] = module
    try:
        spec.loader.exec_module(module)
    except BaseException:
        for name in [
            name for name in sys.modules if name == "nasoseg" or name.startswith("nasoseg.")
        ]:
            del sys.modules[name]
        raise
    return module
