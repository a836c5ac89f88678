"""Slices with target boxes in, a trained agent out: deep Q-learning (paper 3.1.5, 4.2.2).

Read from top to bottom: running episodes as crops, the update of eq. (1), the loop of Algorithm 3,
its checkpoints. `walks` holds the greedy agent and its validation figures.
"""

from __future__ import annotations

import copy
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from tqdm import tqdm

from ..data.draws import check_sets, draw_slices, identity, name_slices, pick_validation
from ..data.slice_set import SliceSet
from ..geometry import boxes as bx
from ..networks import QNetwork
from ..run import checkpoint, machine, pictures
from ..run.logs import Log
from ..run.options import RunOptions
from ..run.presets import Preset
from .environment import Episodes, Views
from .exploration import explore, prior_actions, prior_returns
from .observation import Crops, Looker, from_u8, whole_boxes
from .replay import Replay, Transitions
from .trajectories import run_agent, validation_figures

if TYPE_CHECKING:
    from lightning_fabric import Fabric

Array = np.ndarray


class Scene:
    """Running episodes and the crops that the agent sees in them."""

    def __init__(self, looker: Looker, preset: Preset, n: int) -> None:
        self.looker, self.episodes = looker, Episodes(looker.data, preset, n)
        grid, crop, device = looker.grid, looker.crop.size, looker.device
        self.images = torch.zeros(n, 3, grid, grid, device=device)
        self.masks = torch.zeros(n, 1, grid, grid, device=device)
        self.whole, self.local = (Crops.empty(n, crop, looker.cells, device) for _ in range(2))
        self.number = np.zeros(n, dtype=np.int64)
        self._next = 0

    def start(self, rows: Array, slices: Array, views: Views) -> None:
        """Begin episodes of some slices in some rows."""
        if not len(rows):
            return
        self.episodes.start(rows, slices, views)
        self.number[rows] = self._next + np.arange(len(rows))
        self._next += len(rows)
        where = torch.from_numpy(rows).to(self.looker.device)
        self.images[where], self.masks[where] = self.looker.load(slices)
        self.whole.put(rows, self.look(rows, whole_boxes(len(rows), self.looker.grid)))
        self.local.put(rows, self.look(rows, self.episodes.boxes[rows]))

    def look(self, rows: Array, boxes: Array) -> Crops:
        """The crops of boxes [k, 4] in the slices of some rows."""
        return self.looker.look(
            self.images, self.masks, rows, boxes, self.episodes.views.rows(rows)
        )


class Values(nn.Module):
    """Crops of n boxes and of m whole slices, each shared by n / m boxes -> Q values [n, A] and the
    n + m drawings.

    The trunk runs in the precision that surrounds it, the head in float32.
    """

    def __init__(self, net: QNetwork) -> None:
        super().__init__()
        self.net = net

    def forward(
        self, local: Tensor, whole: Tensor, history: Tensor
    ) -> tuple[Tensor, Tensor | None]:
        n, m = len(local), len(whole)
        features, drawn = self.net.trunk.embed_and_draw(torch.cat([local, whole]))
        of_box, of_whole = features.float().split([n, m])
        with torch.autocast(local.device.type, enabled=False):
            q = self.net.head(of_whole.repeat_interleave(n // m, 0), of_box, history)
        return q, None if drawn is None else drawn.float()


class Learner:
    """The Q network, its target network, its average and the optimiser.

    Beyond the paper, with `auxiliary` above 0: the Q values of all eleven actions are also drawn
    towards what the prior would earn after each of them (`prior_returns`), with a weight that falls
    to 0 over the training. One transition teaches eq. (1) about one action, and a bootstrapped
    value needs many updates to travel; this needs neither. With `auxiliary_mask` the trunk's
    drawing of the tumour in the crop is compared with the true mask.
    """

    def __init__(
        self,
        preset: Preset,
        data: SliceSet,
        seed: int,
        weights: str | None = None,
        fabric: Fabric | None = None,
    ) -> None:
        c = preset.detector
        self.preset, self.data, self.config = preset, data, c
        self.fabric = fabric or machine.launch(RunOptions(), c.mixed_precision)
        self.batch = machine.share_of(c.batch, self.fabric, "detector.batch")
        torch.manual_seed(seed)
        self.rng = np.random.default_rng(machine.seeds(self.fabric, seed, 1))
        self.device = self.fabric.device
        self.net = QNetwork(preset, weights).to(self.device, memory_format=torch.channels_last)
        self.target = copy.deepcopy(self.net).eval().requires_grad_(False)
        self.average = copy.deepcopy(self.net).eval().requires_grad_(False)
        if c.optimiser == "sgd":
            self.optimiser: torch.optim.Optimizer = torch.optim.SGD(
                self.net.parameters(), c.lr, momentum=c.momentum, weight_decay=c.weight_decay
            )
        else:
            self.optimiser = torch.optim.Adam(
                self.net.parameters(), c.lr, weight_decay=c.weight_decay
            )
        self.values, self.stepper = self.fabric.setup(Values(self.net), self.optimiser)
        self.updates = 0

    @torch.no_grad()
    def greedy(self, scene: Scene, rows: Array) -> Array:
        """Actions of the highest Q value for some rows of running episodes."""
        self.net.eval()
        crops = from_u8(torch.cat([scene.local.rows(rows).image, scene.whole.rows(rows).image]))
        local, global_ = self.net.trunk.embed(crops).chunk(2)
        past = self.net.encode_history(self._here(scene.episodes.past[rows]))
        return self.net.head(global_, local, past).argmax(1).cpu().numpy()

    def update(self, replay: Replay, share_left: float = 0.0) -> float:
        """One gradient step of eq. (1) on a random batch; returns its loss. `share_left` of the
        training is to come.
        """
        c = self.config
        batch = replay.sample(self.batch, c.per_episode, self.rng)
        seen = batch.seen
        before, whole, after = (
            from_u8(x) for x in (batch.before.image, batch.whole.image, batch.after)
        )
        if c.intensity:
            # One gain per episode and channel: the whole slice and all its boxes are the same
            # picture.
            gain = self.rng.uniform(1 - c.intensity, 1 + c.intensity, (len(whole), 3, 1, 1))
            gain = self._here(gain.astype(np.float32))
            each = gain.repeat_interleave(len(before) // len(whole), 0)
            before, whole, after = before * each, whole * gain, after * each

        actions = self._here(seen.actions)
        next_past = np.concatenate([seen.actions[:, None], seen.past[:, :-1]], axis=1)
        encoded_next = self.net.encode_history(self._here(next_past))
        with torch.no_grad(), self.fabric.autocast():
            q_next = Values(self.target)(after, whole, encoded_next)[0]
            best = q_next.max(1).values
            if c.double:
                self.net.eval()
                choice = Values(self.net)(after, whole, encoded_next)[0].argmax(1, keepdim=True)
                best = q_next.gather(1, choice).squeeze(1)
            goal = self._here(seen.rewards) + c.gamma * torch.where(
                self._here(seen.stopped), torch.zeros_like(best), best
            )

        self.values.train()
        encoded = self.net.encode_history(self._here(seen.past))
        q_all, drawn = self.values(before, whole, encoded)
        q = q_all.gather(1, actions[:, None]).squeeze(1)
        td_loss = F.smooth_l1_loss(q, goal) if c.loss == "huber" else F.l1_loss(q, goal)
        loss = td_loss
        auxiliary = c.auxiliary * share_left
        if auxiliary:
            loss = loss + auxiliary * F.smooth_l1_loss(q_all, self._here(seen.returns))
        if c.auxiliary_mask and drawn is not None:
            # Tumour is rare in a crop of the whole slice: its cells weigh more.
            shares = from_u8(torch.cat([batch.before.mask, batch.whole.mask])[:, None])
            entropy = F.binary_cross_entropy_with_logits(drawn, shares, weight=1 + 3 * shares)
            loss = loss + c.auxiliary_mask * entropy
        td_value, value = torch.stack([td_loss.detach(), loss.detach()]).tolist()
        if not np.isfinite(value):
            where = (
                ""
                if self.data is None
                else f"; the batch holds {name_slices(self.data, seen.slices)}"
            )
            raise FloatingPointError(
                f"the agent's loss is {value} in update {self.updates + 1}{where}. Lower detector.lr, or use --precision 32"
            )
        self.stepper.zero_grad(set_to_none=True)
        self.fabric.backward(loss)
        self.fabric.clip_gradients(
            self.values, self.stepper, max_norm=10.0, error_if_nonfinite=False
        )
        self.stepper.step()
        self.updates += 1
        if self.updates % c.target_update == 0:
            self.target.load_state_dict(self.net.state_dict())
        self._follow()
        return td_value

    def _here(self, x: Array) -> Tensor:
        return torch.from_numpy(x).to(self.device)

    def _follow(self) -> None:
        """Move the averaged weights; statistics of batch normalisation are averaged as well,
        counters copied.
        """
        follow(self.average, self.net, self.config.ema, self.updates)

    def state_dict(self) -> dict:
        """Weights, optimiser and counters."""
        machine.equalise(self.fabric, self.net, self.target, self.average)
        return {
            "net": self.net.state_dict(), "target": self.target.state_dict(), "average": self.average.state_dict(),
            "optimiser": self.optimiser.state_dict(), "updates": self.updates,
            "scaler": self.fabric.strategy.precision.state_dict(),
        }  # fmt: skip

    def load_state_dict(self, state: dict) -> None:
        """The inverse of `state_dict`."""
        self.net.load_state_dict(state["net"])
        self.target.load_state_dict(state["target"])
        self.average.load_state_dict(state["average"])
        self.optimiser.load_state_dict(state["optimiser"])
        self.fabric.strategy.precision.load_state_dict(state["scaler"])
        self.updates = state["updates"]


@torch.no_grad()
def follow(average: nn.Module, net: nn.Module, ema: float, updates: int) -> None:
    """Move averaged weights after an update."""
    # Early averages would remember the random start, so the window grows with the updates.
    decay = min(ema, 1 - 1 / (1 + updates / 10)) if ema else 0.0
    for kept, now in zip(average.state_dict().values(), net.state_dict().values()):
        if kept.dtype.is_floating_point:
            kept.lerp_(now, 1 - decay)
        else:
            kept.copy_(now)


@dataclass
class Visited:
    """The boxes that one step of all running episodes came to, on the stored slices, and how many
    there were in all processes.
    """

    slices: Array  # [n]
    boxes: Array  # [n, 4]
    everywhere: int


class DetectorRun:
    """Algorithm 3 epoch by epoch; whoever runs an epoch sees every box that the agent comes to."""

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
        self.epoch, self.best, self.validations, self.seconds = 0, -np.inf, 0, 0.0
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
            while due >= 1:
                due -= 1
                if self.warm:
                    self.losses.append(
                        learner.update(
                            self.replay, max(1 - self.epoch / c.epochs, c.auxiliary_floor)
                        )
                    )
            # What the listener does with the boxes is not this loop's time.
            self.seconds += time.time() - begun
            yield visited
            begun = time.time()
        bar.close()

    def _step(self, scene: Scene, live: Array, epsilon: float, priori: float) -> Array:
        """One action in every running episode, kept in the pool; which of them are over."""
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
            scene.number[live] + self.epoch * self.per_epoch, episodes.slices[live], views.flip, views.scale, views.shift, before,
            episodes.boxes[live], past, actions[live], rewards[live], stopped[live], returns,
        )  # fmt: skip
        self.replay.add(seen, scene.whole.rows(live), scene.local.rows(live), after.image)
        scene.local.put(live, after)
        return over[live]

    def finish_epoch(self) -> dict[str, float]:
        """Count the epoch; its figures, with those of validation where it is time for one."""
        c, learner = self.preset.detector, self.learner
        epsilon, priori = c.schedule.at(self.epoch)
        line: dict[str, float] = {
            "epoch": self.epoch, "epsilon": epsilon, "priori": priori, "lr": learner.optimiser.param_groups[0]["lr"],
            "decisions": self.decisions, "updates": learner.updates,
            "loss": float(np.mean(self.losses)) if self.losses else float("nan"), "seconds": round(self.seconds, 1),
        }  # fmt: skip
        self.epoch += 1
        if self.rank == 0 and (self.epoch % c.validate_every == 0 or self.over):
            line |= validation_figures(learner.average, self.validation, self.chosen, self.preset)
            self.validations += 1
            if self.options.pictures_every and self.validations % self.options.pictures_every == 0:
                self._picture()
        return line

    def keep_if_best(self, line: dict[str, float], score: float | None = None) -> bool:
        """Write the best checkpoint where a validated line is better than all before."""
        score = line.get("score", -np.inf) if score is None else score
        if self.rank == 0 and score > self.best:
            self.best = score
            save_detector(
                checkpoint.best_path(self.out, "detector"),
                self.learner.average,
                self.preset,
                self.seed,
                line,
            )
            return True
        return False

    def begin(self) -> None:
        """No epoch of this run was kept: nothing of an earlier one must stand in its place."""
        if self.rank == 0:
            checkpoint.begin(self.out, "detector")
        self.fabric.barrier()

    def end(self) -> Path:
        """The run is over: its best checkpoint becomes detector.pt."""
        if self.rank == 0:
            checkpoint.finish(self.out, "detector")
        self.fabric.barrier()
        return self.out / "detector.pt"

    def _picture(self) -> None:
        rows = self.chosen[self.validation.tumour[self.chosen]][:8]
        t = run_agent(self.learner.average, self.validation, rows, self.preset)
        images = self.validation.images[rows][:, 1]
        sheet = [
            pictures.walk(image, boxes[: steps + 1], target)
            for image, boxes, steps, target in zip(
                images, t.boxes, t.steps, self.validation.target[rows]
            )
        ]
        pictures.save_sheet(self.out / "pictures" / f"walks_{self.epoch:03d}.png", sheet)

    def state_dict(self) -> dict:
        """All that the next epoch depends on. Every process must ask for it; the first gets the
        parts of all.
        """
        # A run that is over is never gone on with: its pool is not needed.
        own = {"random": checkpoint.random_state(learner=self.learner.rng, loop=self.rng)}
        own["replay"] = None if self.over else self.replay.state_dict()
        return {
            "epoch": self.epoch, "best": self.best, "validations": self.validations, "seconds": self.seconds, "warm": self.warm,
            "rows": self.log.rows, "learner": self.learner.state_dict(), "processes": machine.gather(self.fabric, own),
        }  # fmt: skip

    def load_state_dict(self, state: dict) -> None:
        """The inverse of `state_dict`."""
        for name in ("epoch", "best", "validations", "seconds", "warm"):
            setattr(self, name, state[name])
        self.log.rows = list(state["rows"])
        self.learner.load_state_dict(state["learner"])
        own = state["processes"][self.rank]
        if own["replay"] is not None:
            self.replay.load_state_dict(own["replay"], self.looker)
        checkpoint.restore_random(own["random"], learner=self.learner.rng, loop=self.rng)

    def made_from(self) -> dict:
        """What a checkpoint must agree on to be gone on from."""
        return {
            "preset": checkpoint.plain(self.preset), "seed": self.seed, "slices": identity(self.train, self.validation),
            "number of processes": self.world,
        }  # fmt: skip


def train_detector(
    preset: Preset,
    train: SliceSet,
    validation: SliceSet,
    out: Path,
    seed: int,
    weights: str | None = None,
    options: RunOptions = RunOptions(),
) -> Path:
    """Train, keep the best checkpoint by `validation_figures`' score, return its path: detector.pt,
    there when all is done.

    detector_last.pt in `out` is gone on from; one of another preset, seed or data is refused.
    `weights` names torchvision's weights that the trunk starts from.
    """
    run = DetectorRun(preset, train, validation, out, seed, weights, options)
    last = out / "detector_last.pt"
    if last.exists():
        run.load_state_dict(checkpoint.read(last, **run.made_from())["state"])
    else:
        run.begin()
    while not run.over:
        for _ in run.run_epoch():
            pass
        line = run.finish_epoch()
        run.keep_if_best(line)
        if run.rank == 0:
            run.log.add(line)
        if run.over or run.epoch % options.checkpoint_every == 0:
            state = run.state_dict()
            if run.rank == 0:
                checkpoint.write(last, {**run.made_from(), "state": state})
        run.fabric.barrier()
    return run.end()


def save_detector(
    path: Path, net: QNetwork, preset: Preset, seed: int, figures: dict[str, float]
) -> None:
    """A checkpoint holds its preset, seed and validation figures."""
    checkpoint.write(path, checkpoint.best_state(net, preset, seed, figures))


def load_detector(path: Path, preset: Preset) -> tuple[QNetwork, dict]:
    """The network of a checkpoint whose networks are the preset's, and its validation figures."""
    state = checkpoint.read(path)
    net = QNetwork(preset)
    net.load_state_dict(state["net"])
    return net.eval(), state["validation"]
