"""The words that mark a demo model's results, as the library has them."""

from __future__ import annotations

from ._abi import DemoText
from ._native import lib, text


def demo_words(which: DemoText) -> str:
    """A text of the mark, for example `DemoText.NAME`, the name of every structure that a demo
    model contoured.
    """
    return text(lib.nasoseg_demo_words(which))


def is_demo(name: str = "", description: str = "") -> bool:
    """Whether a structure or a file says that a demo model made it, by its name or its description;
    either is enough.
    """
    return bool(lib.nasoseg_is_demo(name.encode(), description.encode()))
