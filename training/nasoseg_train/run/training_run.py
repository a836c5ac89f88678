"""The folder of one run: what it was made from in, config.json and the places of its files out.

RUNS/<system>/seed<k>/config.json   everything that the run depends on, and every command that worked on it
                      detector.pt, segmenter.pt, ...   best checkpoints of stages that are over (NAME_best.pt until then)
                      NAME_last.pt   what a cut-off stage goes on from
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

from .lock import locked
from .options import RunOptions
from .presets import Preset

FORMAT = 1
PACKAGES = ("nasoseg-train", "torch", "torchvision", "numpy", "scikit-image", "lightning-fabric")


@dataclass
class TrainingRun:
    """One run, as config.json holds it."""

    folder: Path
    system: str
    base: str
    seed: int
    weights: str | None
    dataset: dict[str, str]
    settings: Preset

    def content(self) -> dict[str, Any]:
        """What must stay the same for as long as the run lives."""
        plain = {
            "format": FORMAT, "system": self.system, "preset": self.base, "seed": self.seed, "weights": self.weights,
            "dataset": self.dataset, "settings": self.settings.to_dict(),
        }  # fmt: skip
        return json.loads(json.dumps(plain))

    def record(self, command: str, options: RunOptions) -> None:
        """Write config.json, or add this command to it; another configuration is refused by the
        name of what differs.
        """
        self.folder.mkdir(parents=True, exist_ok=True)
        # Two stages may begin side by side.
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
                    f"{path}: this run was begun with other settings: {different}. Choose another --runs, or the old settings"
                )
        if int(os.environ.get("RANK", 0)):
            return
        commands.append({
            "command": command, "options": asdict(options), "processes": int(os.environ.get("WORLD_SIZE", 1)),
            "python": platform.python_version(), "packages": versions(),
        })  # fmt: skip
        partial = path.with_suffix(".part")
        partial.write_text(json.dumps({**content, "commands": commands}, indent=1) + "\n")
        partial.replace(path)

    @classmethod
    def open(cls, folder: Path) -> TrainingRun:
        """A run from its config.json."""
        from .settings import overlaid, preset_named

        path = folder / "config.json"
        if not path.is_file():
            raise SystemExit(
                f"{path}: is missing; give a folder that nasoseg-train train wrote, such as runs/seqseg/seed1"
            )
        c = json.loads(path.read_text())
        if c.get("format") != FORMAT:
            raise SystemExit(f"{path}: format {c.get('format')!r}; {FORMAT} was expected")
        settings = overlaid(preset_named(c["preset"]), c["settings"], str(path))
        return cls(
            folder, c["system"], c["preset"], c["seed"], c["weights"], c["dataset"], settings
        )


def difference(there: Any, here: Any, name: str = "") -> str:
    """The first value that differs, with its name; empty where none does."""
    if isinstance(there, dict) and isinstance(here, dict):
        for key in dict.fromkeys([*there, *here]):
            found = difference(there.get(key), here.get(key), f"{name}.{key}" if name else key)
            if found:
                return found
        return ""
    return "" if there == here else f"{name} was {there!r} and is {here!r}"


def versions() -> dict[str, str]:
    """Versions of the packages that a result may depend on."""
    out = {}
    for name in PACKAGES:
        try:
            out[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            out[name] = "not installed"
    return out
