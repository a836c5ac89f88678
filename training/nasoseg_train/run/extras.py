"""Names the extra of this package that a missing import comes with."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

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


def advice(module: str | None) -> str | None:
    """What to install for a module that is missing; None if no extra has it."""
    root = (module or "").partition(".")[0]
    for extra, modules in EXTRAS.items():
        if root in modules:
            return (
                f"the package {modules[root]} is missing, which comes with the extra `{extra}`:"
                f" run pip install 'training[{extra}]' in the root of the nasoseg repository"
                " (nasoseg-train is not on PyPI)"
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
