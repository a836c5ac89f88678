"""The experience pool (paper 4.2.2).

A state is stored as the crops that the trunk sees, uint8 on the training device: cutting a crop
costs as much as the small trunk itself, and a transition is sampled many times. 16,384 transitions
of 64-pixel crops take 0.5 GB, of the paper's 224-pixel crops 7.4 GB. The place of each crop is
stored too, so that a checkpoint holds places and not images.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Any

import numpy as np
import torch
from torch import Tensor

from .environment import Views
from .observation import CPU, Crops, Looker, whole_boxes

Array = np.ndarray


@dataclass
class Transitions:
    """n transitions without their crops: where they happened and their results."""

    episode: Array  # int64 [n], which belong together
    slices: Array  # int64 [n], rows of the training set
    flip: Array  # bool [n], the view, with the next two
    scale: Array  # [n, 2]
    shift: Array  # [n, 2]
    before: Array  # [n, 4], boxes in the view's coordinates
    after: Array  # [n, 4]
    past: Array  # int64 [n, h]
    actions: Array  # int64 [n]
    rewards: Array  # float32 [n]
    stopped: Array  # bool [n]
    returns: Array  # float32 [n, A], what every action is worth under the prior

    @classmethod
    def empty(cls, n: int, history: int, actions: int) -> Transitions:
        return cls(
            episode=np.full(n, -1, dtype=np.int64),
            slices=np.zeros(n, dtype=np.int64),
            flip=np.zeros(n, dtype=bool),
            scale=np.ones((n, 2)),
            shift=np.zeros((n, 2)),
            before=np.zeros((n, 4)),
            after=np.zeros((n, 4)),
            past=np.full((n, history), -1, dtype=np.int64),
            actions=np.zeros(n, dtype=np.int64),
            rewards=np.zeros(n, dtype=np.float32),
            stopped=np.zeros(n, dtype=bool),
            returns=np.zeros((n, actions), dtype=np.float32),
        )

    def rows(self, index: Array) -> Transitions:
        return Transitions(*(getattr(self, f.name)[index] for f in fields(self)))

    def put(self, index: Array, other: Transitions) -> None:
        for f in fields(self):
            getattr(self, f.name)[index] = getattr(other, f.name)

    @property
    def views(self) -> Views:
        return Views(self.flip, self.scale, self.shift)

    def __len__(self) -> int:
        return len(self.episode)


@dataclass
class Batch:
    """k transitions from each of m episodes, n = m k rows; `whole` has one row per episode."""

    whole: Crops  # [m]
    before: Crops  # [n]
    after: Tensor  # uint8 [n, 3, C, C]
    seen: Transitions  # [n]


class Replay:
    """A ring of `size` transitions, the oldest overwritten."""

    def __init__(
        self,
        size: int,
        history: int,
        actions: int,
        crop: int,
        mask: int,
        device: torch.device = CPU,
    ) -> None:
        self.size, self.filled, self.next, self.device = size, 0, 0, device
        self.seen = Transitions.empty(size, history, actions)
        self.whole, self.before = (
            Crops.empty(size, crop, mask, device),
            Crops.empty(size, crop, mask, device),
        )
        self.after = torch.zeros_like(self.before.image)

    def add(self, seen: Transitions, whole: Crops, before: Crops, after: Tensor) -> None:
        """Store n transitions with their crops: the whole slice's, and the boxes' before and after
        the action.
        """
        rows = (self.next + np.arange(len(seen))) % self.size
        self.seen.put(rows, seen)
        self._put(rows, whole, before, after)
        self.next = (self.next + len(rows)) % self.size
        self.filled = min(self.filled + len(rows), self.size)

    def _put(self, rows: Array, whole: Crops, before: Crops, after: Tensor) -> None:
        self.whole.put(rows, whole)
        self.before.put(rows, before)
        self.after[torch.from_numpy(rows).to(self.device)] = after

    def sample(self, batch: int, per_episode: int, rng: np.random.Generator) -> Batch:
        """`batch` transitions, `per_episode` of the episode of each transition drawn, so that they
        share a whole slice.
        """
        episode = self.seen.episode[: self.filled]
        order = np.argsort(episode, kind="stable")
        ordered = episode[order]
        drawn = episode[rng.integers(self.filled, size=batch // per_episode)]
        first, last = np.searchsorted(ordered, drawn), np.searchsorted(ordered, drawn, side="right")
        picks = first[:, None] + (
            rng.random((len(drawn), per_episode)) * (last - first)[:, None]
        ).astype(int)
        rows = order[picks]
        flat = rows.ravel()
        after = self.after[torch.from_numpy(flat).to(self.device)]
        return Batch(
            self.whole.rows(rows[:, 0]), self.before.rows(flat), after, self.seen.rows(flat)
        )

    def state_dict(self) -> dict[str, Any]:
        """Places and numbers, no images."""
        kept = self.seen.rows(np.arange(self.filled))
        return {
            "next": self.next,
            **{f.name: torch.from_numpy(getattr(kept, f.name)) for f in fields(kept)},
        }

    def load_state_dict(self, state: dict[str, Any], looker: Looker, chunk: int = 256) -> None:
        """Restore the ring; crops are cut again, which gives the same bytes."""
        kept = Transitions(*(state[f.name].numpy() for f in fields(Transitions)))
        self.filled, self.next = len(kept), state["next"]
        self.seen.put(np.arange(len(kept)), kept)
        for start in range(0, len(kept), chunk):
            rows = np.arange(start, min(start + chunk, len(kept)))
            part = kept.rows(rows)
            slices, index = np.unique(part.slices, return_inverse=True)
            images, masks = looker.load(slices)
            whole, before, after = (
                looker.look(images, masks, index, boxes, part.views)
                for boxes in (whole_boxes(len(rows), looker.grid), part.before, part.after)
            )
            self._put(rows, whole, before, after.image)
