"""Transitions in, random batches out: the experience pool (paper 4.2.2).

A state is kept as the crops that the trunk sees, uint8, not as a slice and a box: cutting a crop out of a slice costs as
much as the small trunk itself, and a transition is looked at many times. 16,384 transitions of a 64 crop take 0.5 GB.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

Array = np.ndarray


@dataclass
class Crops:
    """What the trunk sees of n boxes: `image` uint8 [n, 3, C, C]; `mask` uint8 [n, M, M], the tumour's share x 255."""

    image: Array
    mask: Array

    @classmethod
    def empty(cls, n: int, crop: int, mask: int) -> Crops:
        return cls(np.zeros((n, 3, crop, crop), dtype=np.uint8), np.zeros((n, mask, mask), dtype=np.uint8))

    def rows(self, index: Array) -> Crops:
        return Crops(self.image[index], self.mask[index])

    def put(self, index: Array, other: Crops) -> None:
        self.image[index], self.mask[index] = other.image, other.mask


@dataclass
class Batch:
    """k transitions of each of m episodes, n = m k rows; `whole` has one row per episode."""

    whole: Crops  # [m]
    before: Crops  # [n]
    after: Array  # uint8 [n, 3, C, C]
    past: Array  # int64 [n, h]
    actions: Array  # int64 [n]
    rewards: Array  # float32 [n]
    stopped: Array  # bool [n]
    returns: Array  # float32 [n, A], what every action is worth under the prior


class Replay:
    """A ring of `size` transitions, the oldest overwritten."""

    def __init__(self, size: int, history: int, actions: int, crop: int, mask: int) -> None:
        self.size, self.filled, self.next = size, 0, 0
        self.episode = np.full(size, -1, dtype=np.int64)
        self.whole, self.before = Crops.empty(size, crop, mask), Crops.empty(size, crop, mask)
        self.after = np.zeros_like(self.before.image)
        self.past = np.full((size, history), -1, dtype=np.int64)
        self.actions = np.zeros(size, dtype=np.int64)
        self.rewards = np.zeros(size, dtype=np.float32)
        self.stopped = np.zeros(size, dtype=bool)
        self.returns = np.zeros((size, actions), dtype=np.float32)

    def add(self, episode: Array, whole: Crops, before: Crops, after: Array, past: Array, actions: Array, rewards: Array,
            stopped: Array, returns: Array) -> None:  # fmt: skip
        """Store n transitions; `episode` [n] tells which belong together."""
        rows = (self.next + np.arange(len(episode))) % self.size
        self.episode[rows] = episode
        self.whole.put(rows, whole)
        self.before.put(rows, before)
        self.after[rows], self.past[rows], self.actions[rows] = after, past, actions
        self.rewards[rows], self.stopped[rows], self.returns[rows] = rewards, stopped, returns
        self.next = (self.next + len(rows)) % self.size
        self.filled = min(self.filled + len(rows), self.size)

    def sample(self, batch: int, per_episode: int, rng: np.random.Generator) -> Batch:
        """`batch` transitions, `per_episode` of the episode of each transition drawn, so that they share a whole slice."""
        order = np.argsort(self.episode[: self.filled], kind="stable")
        ordered = self.episode[order]
        drawn = self.episode[rng.integers(self.filled, size=batch // per_episode)]
        first, last = np.searchsorted(ordered, drawn), np.searchsorted(ordered, drawn, side="right")
        picks = first[:, None] + (rng.random((len(drawn), per_episode)) * (last - first)[:, None]).astype(int)
        rows = order[picks]
        return Batch(
            whole=self.whole.rows(rows[:, 0]), before=self.before.rows(rows.ravel()), after=self.after[rows.ravel()],
            past=self.past[rows.ravel()], actions=self.actions[rows.ravel()], rewards=self.rewards[rows.ravel()],
            stopped=self.stopped[rows.ravel()], returns=self.returns[rows.ravel()],
        )  # fmt: skip
