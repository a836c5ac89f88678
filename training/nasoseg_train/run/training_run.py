"""The output folder of a training run and its config.json.

RUNS/<system>/seed<k>/
    config.json                      all that the training run depends on, and its commands
    detector.pt, segmenter.pt, ...   best checkpoints of finished stages (NAME_best.pt until then)
    NAME_last.pt                     what an interrupted stage resumes from
    NAME.csv, tensorboard/, pictures/, bundle/, evaluation/
"""

from __future__ import annotations

import json
import os
import platform
from dataclasses import asdict, dataclass
from importlib import metadata
from pathlib import Path
from typing import Any

from .files import write_text
from .lock import locked
from .options import RunOptions
from .presets import Preset

FORMAT = 1
PACKAGES = ("nasoseg-train", "torch", "torchvision", "numpy", "scikit-image", "lightning-fabric")


@dataclass
class TrainingRun:
    """One training run, as config.json holds it."""

    folder: Path
    system: str
    base: str
    seed: int
    weights: str | None
    dataset: dict[str, str]
    settings: Preset

    def content(self) -> dict[str, Any]:
        """The part of config.json that must not change between commands."""
        plain = {
            "format": FORMAT,
            "system": self.system,
            "preset": self.base,
            "seed": self.seed,
            "weights": self.weights,
            "dataset": self.dataset,
            "settings": self.settings.to_dict(),
        }
        return json.loads(json.dumps(plain))

    def record(self, command: str, options: RunOptions) -> None:
        """Write config.json, or add this command to it; a different configuration is rejected,
        naming what differs.
        """
        self.folder.mkdir(parents=True, exist_ok=True)
        # Two stages may start at the same time.
        with locked(self.folder, wait=True):
            self._record(command, options)

    def _record(self, command: str, options: RunOptions) -> None:
        path, content = self.folder / "config.json", self.content()
        commands: list[dict[str, Any]] = []
        if path.exists():
            there = json.loads(path.read_text())
            commands = there.pop("commands", [])
            different = difference(there, content)
            if different:
                raise SystemExit(
                    f"{path}: this training run was started with other settings: {different}. "
                    "Choose another --runs, or the old settings"
                )
        if int(os.environ.get("RANK", 0)):
            return
        commands.append(
            {
                "command": command,
                "options": asdict(options),
                "processes": int(os.environ.get("WORLD_SIZE", 1)),
                "python": platform.python_version(),
                "packages": versions(),
            }
        )
        write_text(path, json.dumps({**content, "commands": commands}, indent=1) + "\n")

    @classmethod
    def open(cls, folder: Path) -> TrainingRun:
        """Read a training run from its config.json."""
        from .settings import overlaid, preset_named

        path = folder / "config.json"
        if not path.is_file():
            raise SystemExit(
                f"{path}: is missing. Give a folder that nasoseg-train train wrote, such as "
                "runs/seqseg/seed1"
            )
        c = json.loads(path.read_text())
        if c.get("format") != FORMAT:
            raise SystemExit(f"{path}: found format {c.get('format')!r}, expected {FORMAT}")
        settings = overlaid(preset_named(c["preset"]), c["settings"], str(path))
        return cls(
            folder, c["system"], c["preset"], c["seed"], c["weights"], c["dataset"], settings
        )


def difference(there: Any, here: Any, name: str = "") -> str:
    """The first value that differs, with its name; empty if none does."""
    if isinstance(there, dict) and isinstance(here, dict):
        for key in dict.fromkeys([*there, *here]):
            found = difference(there.get(key), here.get(key), f"{name}.{key}" if name else key)
            if found:
                return found
        return ""
    return "" if there == here else f"{name} was {there!r} and is {here!r}"


def versions() -> dict[str, str]:
    """Versions of the packages on which a result may depend."""
    out = {}
    for name in PACKAGES:
        try:
            out[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            out[name] = "not installed"
    return out
