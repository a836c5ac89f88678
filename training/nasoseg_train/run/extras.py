"""Names the extra of this package that a missing import comes with."""

from __future__ import annotations

import shlex
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

# Extra -> module -> the distribution that has it (pyproject.toml).
EXTRAS: dict[str, dict[str, str]] = {
    "train": {
        "torch": "torch",
        "torchvision": "torchvision",
        "onnx": "onnx",
        "onnxscript": "onnxscript",
        "onnxruntime": "onnxruntime",
        "tyro": "tyro",
        "tqdm": "tqdm",
        "matplotlib": "matplotlib",
        "skimage": "scikit-image",
        "monai": "monai",
        "lightning_fabric": "lightning-fabric",
        "gymnasium": "gymnasium",
        "PIL": "pillow",
    },
    "tensorboard": {"tensorboardX": "tensorboardX"},
}


def install_command(extra: str, folder: Path = Path(__file__).parents[2]) -> str:
    """How to install an extra: from `folder` if the package runs from its source there, as in an
    editable install; otherwise from a clone of the repository.

    The requirement holds a slash: pip looks up a name without one on the index, where `training`
    is another project.
    """
    if (folder / "pyproject.toml").is_file():
        return f"pip install -e {shlex.quote(f'{folder}[{extra}]')}"
    return f"pip install './training[{extra}]' in the root of the nasoseg repository"


def advice(module: str | None) -> str | None:
    """What to install for a module that is missing; None if no extra has it."""
    root = (module or "").partition(".")[0]
    for extra, modules in EXTRAS.items():
        if root in modules:
            return (
                f"the package {modules[root]} is missing, which comes with the extra `{extra}`:"
                f" run {install_command(extra)} (nasoseg-train is not on PyPI)"
            )
    return None


@contextmanager
def extras_named(command: str) -> Iterator[None]:
    """End with one sentence instead of a traceback if a package of an extra is missing."""
    try:
        yield
    except ModuleNotFoundError as error:
        said = advice(error.name)
        if said is None:
            raise
        raise SystemExit(f"{command}: {said}") from None
