"""Trains the agent by deep Q-learning: the loop of Algorithm 3 (paper 3.1.5, 4.2.2).

`learner` has the update of eq. (1), `observation` the running episodes as crops, `trajectories` the
greedy agent and its validation figures.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from tqdm import tqdm

from ..data.draws import check_sets, draw_slices, identity, pick_validation
from ..data.slice_set import SliceSet
from ..geometry import boxes as bx
from ..networks import QNetwork
from ..run import checkpoint, machine, pictures
from ..run.logs import Log
from ..run.options import RunOptions
from ..run.presets import Preset
from ..run.resume import Best, Resumable
from .environment import Views
from .exploration import explore, prior_actions, prior_returns
from .learner import Learner
from .observation import Looker, Scene
from .replay import Replay, Transitions
from .trajectories import run_agent, validation_figures

if TYPE_CHECKING:
    pass

Array = np.ndarray


@dataclass
class Visited:
    """The boxes that one step of all running episodes reached, on the stored slices, and their
    number over all processes.
    """

    slices: Array  # [n]
    boxes: Array  # [n, 4]
    everywhere: int


class AgentTraining:
    """Algorithm 3 epoch by epoch; the caller of `run_epoch` sees every box that the agent
    reaches.
    """

    def __init__(
        self,
        preset: Preset,
        train: SliceSet,
        validation: SliceSet,
        out: Path,
        seed: int,
        weights: str | None,
        options: RunOptions,
    ) -> None:
        c = preset.detector
        self.preset, self.train, self.validation, self.seed, self.out, self.options = (
            preset,
            train,
            validation,
            seed,
            out,
            options,
        )
        self.fabric = machine.launch(options, c.mixed_precision)
        self.rank, self.world = self.fabric.global_rank, self.fabric.world_size
        check_sets(preset, train, validation, c.tumour_free_share, self.world)
        self.per_epoch = (c.episodes_per_epoch or int(train.tumour.sum())) // self.world
        self.learner = Learner(preset, train, seed, weights, self.fabric)
        self.rng = np.random.default_rng(machine.seeds(self.fabric, seed, 2))
        if self.rank:
            torch.manual_seed(seed + 1_000_003 * self.rank)
        self.looker = Looker(self.learner.net, train, self.fabric.device)
        size = machine.share_of(c.replay, self.fabric, "detector.replay")
        self.replay = Replay(
            size,
            preset.history,
            bx.N_ACTIONS,
            self.looker.crop.size,
            self.looker.cells,
            self.fabric.device,
        )
        self.warm = False
        self.chosen = pick_validation(validation, c.validation_slices)
        self.best = Best(out, "detector", self._save)
        self.epoch, self.validations, self.seconds = 0, 0, 0.0
        self.losses: list[float] = []
        self.decisions = 0
        out.mkdir(parents=True, exist_ok=True)
        writes = options.tensorboard and self.rank == 0
        self.log = Log(out / "detector.csv", "epoch", out / "tensorboard" if writes else None)

    @property
    def over(self) -> bool:
        return self.epoch >= self.preset.detector.epochs

    def run_epoch(self) -> Iterator[Visited]:
        """One epoch of episodes and updates, step by step."""
        preset, train, learner, rng, c = (
            self.preset,
            self.train,
            self.learner,
            self.rng,
            self.preset.detector,
        )
        epsilon, priori = c.schedule.at(self.epoch)
        lr = float(c.lr * (0.5 + 0.5 * np.cos(np.pi * self.epoch / c.epochs))) if c.cosine else c.lr
        for group in learner.optimiser.param_groups:
            group["lr"] = lr
        begun = time.time()
        queue = draw_slices(
            train, self.per_epoch, c.tumour_free_share, rng, (self.rank, self.world)
        )
        n = min(max(c.parallel // self.world, 1), len(queue))
        scene = Scene(self.looker, preset, n)
        episodes = scene.episodes
        waiting, rows, due = 0, np.arange(n), 0.0
        self.losses, self.decisions = [], 0
        active = np.ones(n, dtype=bool)
        show = self.options.progress and self.rank == 0
        bar = tqdm(
            total=len(queue),
            desc=f"agent epoch {self.epoch + 1}/{c.epochs}",
            unit="episode",
            disable=None if show else True,
        )
        while True:
            fresh = queue[waiting : waiting + len(rows)]
            waiting += len(fresh)
            views = Views.random(len(fresh), train.grid, c.shift, c.scale, c.flip, rng)
            scene.start(rows[: len(fresh)], fresh, views)
            active[rows[len(fresh) :]] = False
            live = np.flatnonzero(active)
            everywhere = machine.total(self.fabric, len(live))[0]
            if not everywhere:
                break
            visited = Visited(np.zeros(0, dtype=np.int64), np.zeros((0, 4)), everywhere)
            rows = live
            if len(live):
                over = self._step(scene, live, epsilon, priori)
                visited.slices = episodes.slices[live]
                visited.boxes = episodes.views.rows(live).to_image(episodes.boxes[live], train.grid)
                rows = live[over]
            bar.update(len(rows))
            self.decisions += everywhere
            due += everywhere / c.decisions_per_update
            self.warm = self.warm or machine.total(self.fabric, self.replay.filled)[0] >= min(
                c.warmup, c.replay
            )
            due = self._learn(due)
            # The time that the caller spends on the boxes is not counted.
            self.seconds += time.time() - begun
            yield visited
            begun = time.time()
        bar.close()

    def _learn(self, due: float) -> float:
        """Take the gradient steps that are due, once the pool is filled; returns the remainder."""
        c = self.preset.detector
        while due >= 1:
            due -= 1
            if self.warm:
                share_left = max(1 - self.epoch / c.epochs, c.auxiliary_floor)
                self.losses.append(self.learner.update(self.replay, share_left))
        return due

    def _step(self, scene: Scene, live: Array, epsilon: float, priori: float) -> Array:
        """Take one action in every running episode and store it in the pool; returns which episodes
        are over.
        """
        preset, c, train, rng, episodes = (
            self.preset,
            self.preset.detector,
            self.train,
            self.rng,
            scene.episodes,
        )
        before, past, target, tumour = (
            x[live] for x in (episodes.boxes, episodes.past, episodes.target, episodes.tumour)
        )
        prior = prior_actions(
            before,
            target,
            tumour,
            train.grid,
            preset.min_side,
            rng,
            preset.thresholds,
            c.literal_prior,
        )
        actions = np.full(len(episodes.boxes), bx.TERMINAL)
        actions[live] = explore(
            lambda some: self.learner.greedy(scene, live[some]), prior, epsilon, priori, rng
        )
        rewards, stopped, over = episodes.step(actions)
        after = scene.look(live, episodes.boxes[live])
        returns = np.zeros((len(live), bx.N_ACTIONS))
        if c.auxiliary:
            returns = prior_returns(
                before, target, tumour, train.grid, preset.min_side, c.gamma, t=preset.thresholds
            )
        views = episodes.views.rows(live)
        seen = Transitions(
            scene.number[live] + self.epoch * self.per_epoch,
            episodes.slices[live],
            views.flip,
            views.scale,
            views.shift,
            before,
            episodes.boxes[live],
            past,
            actions[live],
            rewards[live],
            stopped[live],
            returns,
        )
        self.replay.add(seen, scene.whole.rows(live), scene.local.rows(live), after.image)
        scene.local.put(live, after)
        return over[live]

    def finish_epoch(self) -> dict[str, float]:
        """Count the epoch; returns its figures, with those of validation if one is due."""
        c, learner = self.preset.detector, self.learner
        epsilon, priori = c.schedule.at(self.epoch)
        line: dict[str, float] = {
            "epoch": self.epoch,
            "epsilon": epsilon,
            "priori": priori,
            "lr": learner.optimiser.param_groups[0]["lr"],
            "decisions": self.decisions,
            "updates": learner.updates,
            "loss": float(np.mean(self.losses)) if self.losses else float("nan"),
            "seconds": round(self.seconds, 1),
        }
        self.epoch += 1
        if self.rank == 0 and (self.epoch % c.validate_every == 0 or self.over):
            line |= validation_figures(learner.average, self.validation, self.chosen, self.preset)
            self.validations += 1
            if self.options.pictures_every and self.validations % self.options.pictures_every == 0:
                self._picture()
        return line

    def _save(self, path: Path, line: dict[str, float]) -> None:
        save_agent(path, self.learner.average, self.preset, self.seed, line)

    def _picture(self) -> None:
        rows = self.chosen[self.validation.tumour[self.chosen]][:8]
        t = run_agent(self.learner.average, self.validation, rows, self.preset)
        images = self.validation.images[rows][:, 1]
        sheet = [
            pictures.trajectory(image, boxes[: steps + 1], target)
            for image, boxes, steps, target in zip(
                images, t.boxes, t.steps, self.validation.target[rows], strict=True
            )
        ]
        pictures.save_sheet(self.out / "pictures" / f"trajectories_{self.epoch:03d}.png", sheet)

    def state_dict(self) -> dict:
        """All that the next epoch depends on. Every process must call this; the first one gets the
        parts of all.
        """
        # Finished training is never resumed, so its pool is not needed.
        own: dict[str, Any] = {
            "random": checkpoint.random_state(learner=self.learner.rng, loop=self.rng)
        }
        own["replay"] = None if self.over else self.replay.state_dict()
        return {
            "epoch": self.epoch,
            "best": self.best.score,
            "validations": self.validations,
            "seconds": self.seconds,
            "warm": self.warm,
            "rows": self.log.rows,
            "learner": self.learner.state_dict(),
            "processes": machine.gather(self.fabric, own),
        }

    def load_state_dict(self, state: dict) -> None:
        """The inverse of `state_dict`."""
        for name in ("epoch", "validations", "seconds", "warm"):
            setattr(self, name, state[name])
        self.best.score = state["best"]
        self.log.rows = list(state["rows"])
        self.learner.load_state_dict(state["learner"])
        own = state["processes"][self.rank]
        if own["replay"] is not None:
            self.replay.load_state_dict(own["replay"], self.looker)
        checkpoint.restore_random(own["random"], learner=self.learner.rng, loop=self.rng)

    def made_from(self) -> dict:
        """What a checkpoint must agree on to be resumed."""
        return {
            "preset": checkpoint.plain(self.preset),
            "seed": self.seed,
            "slices": identity(self.train, self.validation),
            "number of processes": self.world,
        }


def train_agent(
    preset: Preset,
    train: SliceSet,
    validation: SliceSet,
    out: Path,
    seed: int,
    weights: str | None = None,
    options: RunOptions = RunOptions(),
) -> Path:
    """Train and keep the best checkpoint by `validation_figures`' score; returns its path,
    detector.pt, which exists once training has finished.

    Resumes from detector_last.pt in `out`; one of another preset, seed or data is rejected.
    `weights` names torchvision weights for the trunk.
    """
    run = AgentTraining(preset, train, validation, out, seed, weights, options)
    files = Resumable(
        out, "detector", ("detector",), run.made_from(), options.checkpoint_every, run.fabric
    )
    state = files.resume()
    if state is not None:
        run.load_state_dict(state)
    while not run.over:
        for _ in run.run_epoch():
            pass
        line = run.finish_epoch()
        if run.rank == 0:
            run.best.keep(line)
            run.log.add(line)
        files.save(run.epoch, run.over, run.state_dict)
    return files.finish()[0]


def save_agent(
    path: Path, net: QNetwork, preset: Preset, seed: int, figures: dict[str, float]
) -> None:
    """Write a checkpoint with its preset, seed and validation figures."""
    checkpoint.write(path, checkpoint.best_state(net, preset, seed, figures))


def load_agent(path: Path, preset: Preset) -> tuple[QNetwork, dict]:
    """Load the network of a checkpoint of this preset, and its validation figures."""
    state = checkpoint.read(path)
    net = QNetwork(preset)
    net.load_state_dict(state["net"])
    return net.eval(), state["validation"]
