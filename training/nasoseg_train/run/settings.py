"""Applies the settings of a file to a preset; unknown names and wrong types are rejected.

A file is JSON or TOML with the preset's own nesting, for example

    [detector]
    epochs = 30
    [detector.schedule]
    priori = 0.4

tyro parses it like a command line, so both accept the same names and types. The config.json of a
training run is such a file too: its `settings` are read.
"""

from __future__ import annotations

import contextlib
import io
import json
import re
import tomllib
from pathlib import Path
from typing import Any

from .presets import PRESETS, Preset


def preset_named(name: str) -> Preset:
    """The preset of that name."""
    if name not in PRESETS:
        raise SystemExit(f"preset {name!r} is not known; expected one of {', '.join(PRESETS)}")
    return PRESETS[name]


def read_file(path: Path) -> dict[str, Any]:
    """The settings of a JSON or TOML file."""
    try:
        text = path.read_text()
        values = tomllib.loads(text) if path.suffix == ".toml" else json.loads(text)
    except (OSError, ValueError) as error:
        raise SystemExit(
            f"{path}: cannot be read as settings ({error}); expected a JSON or TOML file"
        ) from error
    if not isinstance(values, dict):
        raise SystemExit(f"{path}: expected a table of settings")
    # The config.json of a training run holds more than settings.
    return values["settings"] if isinstance(values.get("settings"), dict) else values


def as_arguments(values: dict[str, Any], prefix: str = "") -> list[str]:
    """Nested settings as command-line arguments."""
    out: list[str] = []
    for key, value in values.items():
        name = f"{prefix}{key}"
        if isinstance(value, dict):
            out += as_arguments(value, f"{name}.")
        else:
            out += [f"--{name}", *map(str, value if isinstance(value, (list, tuple)) else [value])]
    return out


def overlaid(preset: Preset, values: dict[str, Any], where: str) -> Preset:
    """The preset with some values changed; `where` names their source in messages."""
    import tyro

    said = io.StringIO()
    try:
        with contextlib.redirect_stderr(said), contextlib.redirect_stdout(said):
            return tyro.cli(
                Preset,
                default=preset,
                args=as_arguments(values),
                prog=where,
                config=(tyro.conf.FlagConversionOff,),
            )
    except SystemExit as error:
        # tyro frames its message for a terminal, with a title above and a hint at --help below,
        # which a file does not have.
        parts = re.split(r"[─-]{8,}", re.sub(r"[╭╮╰╯│]", " ", said.getvalue()))
        text = "; ".join(
            " ".join(part.split()) for part in parts[1:-1] if "Argument helptext" not in part
        )
        raise SystemExit(f"{where}: {text}") from error
