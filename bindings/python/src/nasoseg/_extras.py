"""Optional packages: imported when a function needs them, named when they are missing."""

from __future__ import annotations

import importlib


def require(package: str, function: str, extra: str | None = None) -> None:
    """Imports a package that `function` needs. If it is not installed, the ModuleNotFoundError
    names the extra that provides it, or the package itself, and the pip command.
    """
    try:
        importlib.import_module(package)
    except ModuleNotFoundError as error:
        if error.name != package:
            raise
        provided = f", which comes with the extra `{extra}`," if extra else ""
        wanted = f"'nasoseg[{extra}]'" if extra else package
        raise ModuleNotFoundError(
            f"{function}: the package {package}{provided} is not installed. "
            f"Run: pip install {wanted}",
            name=package,
        ) from None
