"""`nasoseg-train`: the command's name in, its typed dataclass run.

A command's module is imported when it is called: help comes at once, and PyTorch only where it is
used.
"""

from __future__ import annotations

import importlib
import sys
from collections.abc import Sequence

# Name, where its class is, and what it is for.
COMMANDS: dict[str, tuple[str, str]] = {
    "prepare": (
        "prepare:Prepare",
        "patients, the public set or phantoms -> a data set: aligned, checked, split",
    ),
    "train detector": (
        "train:TrainDetector",
        "a data set -> the agent (or a system's other detector)",
    ),
    "train segmenter": (
        "train:TrainSegmenter",
        "a data set and the agent -> RANet (or a system's other segmenter)",
    ),
    "train joint": ("train:TrainJoint", "a data set -> agent and RANet that grow up together"),
    "train all": ("train:TrainAll", "a data set -> every stage of a system, in order"),
    "export": ("export:Export", "a run -> a bundle that nasoseg runs"),
    "evaluate": ("evaluate:Evaluate", "a bundle and a data set -> figures per slice and patient"),
    "tables": (
        "tables:Tables",
        "evaluations -> the paper's Tables 1 to 8, its figures beside ours",
    ),
    "reproduce": (
        "reproduce:Reproduce",
        "nothing -> all of the above for every system of the tables",
    ),
}


def overview(only: str = "") -> str:
    """The commands, one a line; with `only`, those that begin with that word."""
    shown = {name: text for name, (_, text) in COMMANDS.items() if name.startswith(only)}
    width = max(map(len, shown))
    lines = [f"  {name:<{width}}  {text}" for name, text in shown.items()]
    return "\n".join(
        [
            "usage: nasoseg-train COMMAND [options]; nasoseg-train COMMAND --help says which",
            "",
            *lines,
        ]
    )


def split_command(arguments: Sequence[str]) -> tuple[str, list[str]] | None:
    """The command of one or two words and the arguments after it."""
    for words in (2, 1):
        name = " ".join(arguments[:words])
        if name in COMMANDS:
            return name, list(arguments[words:])
    return None


def main(arguments: Sequence[str] | None = None) -> None:
    """Entry point."""
    arguments = sys.argv[1:] if arguments is None else arguments
    found = split_command(arguments)
    if found is None:
        first = arguments[0] if arguments else ""
        if first in ("", "-h", "--help"):
            print(overview())
            return
        group = [name for name in COMMANDS if name.startswith(f"{first} ")]
        if group and arguments[1:2] in ([], ["-h"], ["--help"]):
            print(overview(f"{first} "))
            return
        wrong = " ".join(arguments[:2]) if group else first
        raise SystemExit(
            f"{overview(f'{first} ' if group else '')}\n\nnasoseg-train: there is no command {wrong!r}"
        )
    name, rest = found
    module, _, kind = COMMANDS[name][0].partition(":")
    command = getattr(importlib.import_module(f"{__package__}.commands.{module}"), kind)
    # A command that needs more than one look at its arguments reads them itself.
    if hasattr(command, "parse"):
        parsed = command.parse(rest, f"nasoseg-train {name}")
    else:
        import tyro

        parsed = tyro.cli(command, args=rest, prog=f"nasoseg-train {name}")
    parsed.main()


if __name__ == "__main__":
    main()
