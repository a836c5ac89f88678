"""What every training loop shares: it resumes from NAME_last.pt, keeps the best checkpoint and
finishes.

The state that a loop saves holds all that its next step depends on, so that a loop that was
interrupted gives the same bits as one that was not.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from . import checkpoint

if TYPE_CHECKING:
    from lightning_fabric import Fabric


@dataclass
class Best:
    """The best validation score of a stage, and the checkpoint that has it: NAME_best.pt."""

    out: Path
    name: str
    write: Callable[[Path, dict[str, float]], None]
    score: float = -np.inf

    def keep(self, line: dict[str, float], score: float | None = None) -> bool:
        """Write the checkpoint if a validated line scores above all earlier ones; `score` replaces
        the line's own.
        """
        score = line.get("score", -np.inf) if score is None else score
        if not score > self.score:  # a NaN is not better
            return False
        self.score = score
        self.write(checkpoint.best_path(self.out, self.name), line)
        return True


@dataclass
class Resumable:
    """The files of one training loop, which trains one stage or several together."""

    out: Path
    name: str
    """Of the loop: its state is NAME_last.pt."""
    stages: tuple[str, ...]
    """Whose best checkpoints the loop keeps."""
    made_from: dict[str, Any]
    """What a state must agree on to be resumed."""
    every: int
    """Counts (validations or epochs) between two saved states."""
    fabric: Fabric | None = None
    """The processes that train together; None is one process."""

    @property
    def first(self) -> bool:
        return self.fabric is None or self.fabric.global_rank == 0

    def resume(self) -> dict[str, Any] | None:
        """The saved state, or None for a fresh start; a state made from something else is
        refused.
        """
        last = self.out / f"{self.name}_last.pt"
        if last.exists():
            return checkpoint.read(last, **self.made_from)["state"]
        if self.first:
            for stage in self.stages:
                checkpoint.begin(self.out, stage)
        self._wait()
        return None

    def save(self, count: int, over: bool, state_of: Callable[[], dict[str, Any]]) -> None:
        """Save the state if `count` is due or the loop is over. Every process calls this, because
        `state_of` gathers from all; the first one writes.
        """
        if over or count % self.every == 0:
            state = state_of()
            if self.first:
                last = self.out / f"{self.name}_last.pt"
                checkpoint.write(last, {**self.made_from, "state": state})
        self._wait()

    def finish(self) -> tuple[Path, ...]:
        """The best checkpoints under their final names, one for each stage."""
        if self.first:
            for stage in self.stages:
                checkpoint.finish(self.out, stage)
        self._wait()
        return tuple(self.out / f"{stage}.pt" for stage in self.stages)

    def _wait(self) -> None:
        if self.fabric is not None:
            self.fabric.barrier()
