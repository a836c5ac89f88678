"""A wheel's file that the user chose: whether pip may install it.

In: the file. Out: what is wrong with it, in words that the user can act on. Only its metadata is
read.
"""

import importlib.metadata
import zipfile
from pathlib import Path

from slicer.i18n import tr as _

from NasoSegLib import distribution


def problem(file: Path) -> str:
    """Why a wheel's file cannot be installed; "" if it can. Read from its metadata, without
    unpacking it.
    """
    try:
        with zipfile.ZipFile(file) as archive:
            top = zipfile.Path(archive).iterdir()
            info = [folder for folder in top if folder.name.endswith(".dist-info")]
            found = (
                _problem_of(importlib.metadata.PathDistribution(info[0]))
                if file.suffix == ".whl" and len(info) == 1
                else _("a file that is not a wheel")
            )
    except (OSError, zipfile.BadZipFile) as error:
        found = _("a file that cannot be read ({error})").format(error=error)
    if not found:
        return ""
    return distribution.refused(
        _("{file}: found {what}"), distribution.how_to_install(), file=file, what=found
    ).message


def _problem_of(wheel: importlib.metadata.Distribution) -> str:
    name = wheel.metadata["Name"] or _("a package without a name")
    version = distribution.version_text(wheel)
    if name != distribution.NAME:
        return f"{name} {version}"
    if not distribution.is_marked(wheel):
        return _(
            'another project\'s package of the same name, nasoseg {version} ("{summary}")'
        ).format(version=version, summary=wheel.metadata["Summary"] or _("without a description"))
    why = distribution.version_problem(wheel.version)
    return f"nasoseg {version}, {why}" if why else ""
