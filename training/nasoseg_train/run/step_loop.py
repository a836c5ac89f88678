"""The training loop of stages that are batches only, in one process.

Used by rcnn_training.py and volume_training.py. An interrupted loop resumes from NAME_last.pt with
the same result.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from tqdm import tqdm

from . import checkpoint
from .logs import Log
from .options import RunOptions
from .resume import Best, Resumable


@dataclass
class StepLoop:
    """One stage: its network, its state and its files."""

    name: str
    out: Path
    net: nn.Module
    optimiser: torch.optim.Optimizer
    rng: np.random.Generator
    # What a checkpoint must agree on to be resumed.
    made_from: dict[str, Any]
    options: RunOptions
    # Largest norm of a gradient.
    clip: float
    # The next slices, for losses that draw from a shuffled order.
    queue: np.ndarray = field(default_factory=lambda: np.zeros(0, dtype=np.int64))

    def run(
        self,
        steps: int,
        validate_every: int,
        lr_of: Callable[[int], float],
        loss_of: Callable[[int], tuple[Tensor, str]],
        figures_of: Callable[[], dict[str, float]],
        save: Callable[[Path, dict[str, float]], None],
    ) -> Path:
        """Run all batches; returns NAME.pt. `loss_of` gives a batch's loss and a description of its
        slices, `figures_of` the validation figures, with a `score`.
        """
        self.out.mkdir(parents=True, exist_ok=True)
        log = Log(
            self.out / f"{self.name}.csv",
            "step",
            self.out / "tensorboard" if self.options.tensorboard else None,
        )
        files = Resumable(
            self.out, self.name, (self.name,), self.made_from, self.options.checkpoint_every
        )
        best = Best(self.out, self.name, save)
        first, seconds, validations = 0, 0.0, 0
        losses: list[float] = []
        state = files.resume()
        if state is not None:
            first, best.score, seconds = state["step"], state["best"], state["seconds"]
            log.rows = list(state["rows"])
            self.load(state)
        begun = time.time()
        bar = tqdm(
            range(first, steps),
            self.name,
            steps,
            initial=first,
            unit="batch",
            disable=None if self.options.progress else True,
        )
        for step in bar:
            lr = lr_of(step)
            losses.append(self._update(step, lr, loss_of))
            if (step + 1) % validate_every and step < steps - 1:
                continue
            seconds += time.time() - begun
            line = {
                "step": step + 1,
                "lr": lr,
                "loss": float(np.mean(losses)),
                "seconds": round(seconds, 1),
                **figures_of(),
            }
            losses, validations = [], validations + 1
            best.keep(line)
            log.add(line)
            counters = {
                "step": step + 1,
                "best": best.score,
                "seconds": seconds,
                "rows": log.rows,
            }
            over = step == steps - 1
            files.save(validations, over, partial(self._whole_state, counters))
            # Time spent on validation is not counted.
            begun = time.time()
        return files.finish()[0]

    def _update(self, step: int, lr: float, loss_of: Callable[[int], tuple[Tensor, str]]) -> float:
        """One gradient step; returns its loss."""
        for group in self.optimiser.param_groups:
            group["lr"] = lr
        self.net.train()
        loss, named = loss_of(step)
        value = float(loss.detach())
        if not np.isfinite(value):
            raise FloatingPointError(
                f"the loss of {self.name} is {value} in batch {step + 1}; it holds {named}. Lower"
                " the learning rate"
            )
        self.optimiser.zero_grad(set_to_none=True)
        loss.backward()
        nn.utils.clip_grad_norm_(self.net.parameters(), self.clip)
        self.optimiser.step()
        return value

    def _whole_state(self, counters: dict[str, Any]) -> dict[str, Any]:
        return {**counters, **self.state()}

    def state(self) -> dict[str, Any]:
        return {
            "net": self.net.state_dict(),
            "optimiser": self.optimiser.state_dict(),
            "queue": torch.from_numpy(self.queue),
            "random": checkpoint.random_state(loop=self.rng),
        }

    def load(self, state: dict[str, Any]) -> None:
        """The inverse of `state`."""
        self.net.load_state_dict(state["net"])
        self.optimiser.load_state_dict(state["optimiser"])
        self.queue = state["queue"].numpy()
        checkpoint.restore_random(state["random"], loop=self.rng)
