"""The command line `nasoseg-train`: finds the command and runs its typed dataclass.

A command's module is imported when it is called, so the overview needs no PyTorch.
"""

from __future__ import annotations

import importlib
import sys
from collections.abc import Sequence

from .run.extras import extras_named

# Name, where its class is, and what it does.
COMMANDS: dict[str, tuple[str, str]] = {
    "prepare": ("prepare:Prepare", "build a data set of patients: aligned, checked, split"),
    "train detector": ("train:TrainDetector", "train the agent, or a system's other detector"),
    "train segmenter": ("train:TrainSegmenter", "train RANet, or a system's other segmenter"),
    "train joint": ("train:TrainJoint", "train the agent and RANet together"),
    "train all": ("train:TrainAll", "train every stage of a system, in order"),
    "export": ("export:Export", "write the bundle of a training run"),
    "evaluate": ("evaluate:Evaluate", "measure a bundle on a data set, per slice and patient"),
    "tables": ("tables:Tables", "print the paper's Tables 1 to 8 with our figures beside its own"),
    "reproduce": ("reproduce:Reproduce", "do all of the above for every system of the tables"),
    "demo": ("demo:Demo", "make the demo bundle and its report"),
    "micro": ("micro:Micro", "make the small bundle of the runtime's tests"),
    "list-systems": ("list_systems:ListSystems", "print the systems and their numbers of weights"),
    "export-untrained": ("export_untrained:ExportUntrained", "write a bundle with random weights"),
    "check-bundle": ("check_bundle:CheckBundle", "compare a bundle with its golden case"),
    "write-probe": ("write_probe:WriteProbe", "write the bundle that proves the pixel convention"),
}


def overview(only: str = "") -> str:
    """The commands, one on each line; `only` keeps those that begin with it."""
    shown = {name: text for name, (_, text) in COMMANDS.items() if name.startswith(only)}
    width = max(map(len, shown))
    lines = [f"  {name:<{width}}  {text}" for name, text in shown.items()]
    return "\n".join(
        [
            "usage: nasoseg-train COMMAND [options]; nasoseg-train COMMAND --help lists the "
            "options",
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
            f"{overview(f'{first} ' if group else '')}\n\nnasoseg-train: found the command "
            f"{wrong!r}, expected one of those above. Check its spelling"
        )
    name, rest = found
    with extras_named(f"nasoseg-train {name}"):
        run_command(name, rest)


def run_command(name: str, arguments: list[str]) -> None:
    """Import one command, parse its arguments and run it."""
    module, _, kind = COMMANDS[name][0].partition(":")
    command = getattr(importlib.import_module(f"{__package__}.commands.{module}"), kind)
    # A command that needs more than one look at its arguments reads them itself.
    if hasattr(command, "parse"):
        parsed = command.parse(arguments, f"nasoseg-train {name}")
    else:
        import tyro

        parsed = tyro.cli(command, args=arguments, prog=f"nasoseg-train {name}")
    parsed.main()


if __name__ == "__main__":
    main()
