"""Slices with target boxes in, a trained agent out: deep Q-learning (paper 3.1.5, 4.2.2).

One file, read from top to bottom: states as crops, replay, the update of eq. (1), validation, the loop of Algorithm 3.
"""

from __future__ import annotations

import copy
import json
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from . import boxes as bx
from .data import SliceSet
from .environment import Episodes, Views
from .exploration import explore, prior_actions, prior_returns
from .networks import QNetwork, RoiCrop
from .networks.crop import with_context
from .presets import Preset
from .reward import good_stop

Array = np.ndarray


def load_images(data: SliceSet, slices: Array) -> Tensor:
    """uint8 slices [n] of a set -> float32 [n, 3, G, G] in [0, 1]."""
    return torch.from_numpy(np.ascontiguousarray(data.images[slices])).float().div_(255.0)


def crop_views(
    net: QNetwork, images: Tensor, index: Array, boxes: Array, views: Views, grid: int, masks: Tensor | None = None
) -> Tensor | tuple[Tensor, Tensor]:
    """Crops [N, 3, C, C] of boxes given in view coordinates; `index` [N] says which of `images`.

    With `masks` [n, 1, G, G] also the share of tumour in each of C / 4 x C / 4 cells of the crops.
    """
    # The context is added in view coordinates, where the whole-slice box can be told from the others.
    wide = with_context(torch.from_numpy(boxes), net.trunk.crop.context, grid).numpy()
    image_boxes = torch.from_numpy(views.to_image(wide, grid)).float()
    rows = torch.from_numpy(index)
    flip = torch.from_numpy(views.flip)[:, None, None, None]

    def crop(source: Tensor, cropper: RoiCrop) -> Tensor:
        with torch.no_grad():
            crops = cropper.sample(source, image_boxes, rows)
            return torch.where(flip, crops.flip(-1), crops).contiguous(memory_format=torch.channels_last)

    crops = crop(images, net.trunk.crop)
    return crops if masks is None else (crops, crop(masks, RoiCrop(net.trunk.crop.size // 4, 4)))


def whole_boxes(n: int, grid: int) -> Array:
    """The whole-slice box, n times [n, 4]: what the global feature looks at."""
    return np.tile([0.0, 0.0, grid, grid], (n, 1))


@dataclass
class Replay:
    """The experience pool: a ring of (slice, view, box, past actions, action, reward, next box, stopped)."""

    size: int
    history: int

    def __post_init__(self) -> None:
        n = self.size
        self.slices = np.zeros(n, dtype=np.int64)
        self.views = Views.plain(n)
        self.before, self.after = np.zeros((n, 4)), np.zeros((n, 4))
        self.past = np.full((n, self.history), -1, dtype=np.int64)
        self.actions = np.zeros(n, dtype=np.int64)
        self.rewards = np.zeros(n, dtype=np.float32)
        self.stopped = np.zeros(n, dtype=bool)
        self.filled = self.next = 0

    def add(self, slices: Array, views: Views, before: Array, past: Array, actions: Array, rewards: Array,
            after: Array, stopped: Array) -> None:  # fmt: skip
        """Store n transitions, overwriting the oldest."""
        rows = (self.next + np.arange(len(slices))) % self.size
        self.slices[rows], self.before[rows], self.past[rows], self.actions[rows] = slices, before, past, actions
        self.rewards[rows], self.after[rows], self.stopped[rows] = rewards, after, stopped
        self.views.put(rows, views)
        self.next = (self.next + len(rows)) % self.size
        self.filled = min(self.filled + len(rows), self.size)


class Learner:
    """The Q network, its target network, its average and the optimiser.

    Beyond the paper, with `auxiliary` above 0: the Q values of all eleven actions are also drawn towards what the prior
    would earn after each of them (`prior_returns`), with a weight that falls to 0 over the training. One transition
    teaches eq. (1) about one action, and a bootstrapped value needs many updates to travel; this needs neither. With
    `auxiliary_mask` the trunk's drawing of the tumour in the crop is compared with the true mask.
    """

    def __init__(self, preset: Preset, data: SliceSet, seed: int, weights: str | None = None) -> None:
        self.preset, self.data, self.config = preset, data, preset.detector
        torch.manual_seed(seed)
        self.rng = np.random.default_rng([seed, 1])
        self.net = QNetwork(preset, weights).to(memory_format=torch.channels_last)
        self.target = copy.deepcopy(self.net).eval().requires_grad_(False)
        self.average = copy.deepcopy(self.net).eval().requires_grad_(False)
        c = self.config
        if c.optimiser == "sgd":
            self.optimiser: torch.optim.Optimizer = torch.optim.SGD(
                self.net.parameters(), c.lr, momentum=c.momentum, weight_decay=c.weight_decay
            )
        else:
            self.optimiser = torch.optim.Adam(self.net.parameters(), c.lr, weight_decay=c.weight_decay)
        self.updates = 0

    def greedy(self, episodes: Episodes, rows: Array) -> Array:
        """Actions of the highest Q value for some rows of running episodes."""
        self.net.eval()
        with torch.no_grad():
            images = load_images(self.data, episodes.slices[rows])
            n, grid = len(rows), episodes.grid
            views = episodes.views.rows(np.concatenate([rows, rows]))
            boxes = np.concatenate([episodes.boxes[rows], whole_boxes(n, grid)])
            crops = crop_views(self.net, images, np.tile(np.arange(n), 2), boxes, views, grid)
            local, global_ = self.net.trunk.embed(crops).chunk(2)
            past = self.net.encode_history(torch.from_numpy(episodes.past[rows]))
            return self.net.head(global_, local, past).argmax(1).numpy()

    def update(self, replay: Replay, share_left: float = 0.0) -> float:
        """One gradient step of eq. (1) on a random batch; returns its loss. `share_left` of the training is to come."""
        c, grid = self.config, self.data.grid
        rows = np.sort(self.rng.integers(replay.filled, size=c.batch))
        n = len(rows)
        images = load_images(self.data, replay.slices[rows])
        views = replay.views.rows(np.tile(rows, 3))
        boxes = np.concatenate([replay.before[rows], whole_boxes(n, grid), replay.after[rows]])
        masks = None
        if c.auxiliary_mask:
            masks = torch.from_numpy(self.data.masks[replay.slices[rows]]).float().div_(255.0).unsqueeze(1)
        crops = crop_views(self.net, images, np.tile(np.arange(n), 3), boxes, views, grid, masks)
        if masks is not None:
            crops, masks = crops
        if c.intensity:
            # One gain per transition and channel, the same for all three crops of a transition.
            gain = torch.from_numpy(self.rng.uniform(1 - c.intensity, 1 + c.intensity, (n, 3, 1, 1)).astype(np.float32))
            crops = crops * gain.repeat(3, 1, 1, 1)

        past = replay.past[rows]
        actions = torch.from_numpy(replay.actions[rows])
        next_past = np.concatenate([replay.actions[rows][:, None], past[:, :-1]], axis=1)
        with torch.no_grad():
            global_next, local_next = self.target.trunk.embed(crops[n:]).chunk(2)
            encoded_next = self.net.encode_history(torch.from_numpy(next_past))
            q_next = self.target.head(global_next, local_next, encoded_next)
            best = q_next.max(1).values
            if c.double:
                self.net.eval()
                global_now, local_now = self.net.trunk.embed(crops[n:]).chunk(2)
                choice = self.net.head(global_now, local_now, encoded_next).argmax(1, keepdim=True)
                best = q_next.gather(1, choice).squeeze(1)
            stopped = torch.from_numpy(replay.stopped[rows])
            goal = torch.from_numpy(replay.rewards[rows]) + c.gamma * torch.where(stopped, torch.zeros_like(best), best)

        self.net.train()
        features, drawn = self.net.trunk.embed_and_draw(crops[: 2 * n])
        local, global_ = features.chunk(2)
        encoded = self.net.encode_history(torch.from_numpy(past))
        q_all = self.net.head(global_, local, encoded)
        q = q_all.gather(1, actions[:, None]).squeeze(1)
        loss = F.smooth_l1_loss(q, goal) if c.loss == "huber" else F.l1_loss(q, goal)
        td_loss = float(loss.detach())
        auxiliary = c.auxiliary * share_left
        if auxiliary:
            returns = torch.from_numpy(self.prior_returns(replay, rows)).float()
            loss = loss + auxiliary * F.smooth_l1_loss(q_all, returns)
        if masks is not None:
            # Tumour is rare in a crop of the whole slice: its cells weigh more.
            shares = masks[: 2 * n]
            entropy = F.binary_cross_entropy_with_logits(drawn, shares, weight=1 + 3 * shares)
            loss = loss + c.auxiliary_mask * entropy
        self.optimiser.zero_grad(set_to_none=True)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(self.net.parameters(), 10.0)
        self.optimiser.step()
        self.updates += 1
        if self.updates % c.target_update == 0:
            self.target.load_state_dict(self.net.state_dict())
        self._follow()
        return td_loss

    def prior_returns(self, replay: Replay, rows: Array) -> Array:
        """What each action [n, A] is worth under the prior, in the states of some transitions."""
        slices, grid = replay.slices[rows], self.data.grid
        tumour = self.data.tumour[slices]
        target = replay.views.rows(rows).to_view(self.data.target[slices], grid)
        target = np.where(tumour[:, None], target, [0.0, 0.0, grid, grid])
        return prior_returns(replay.before[rows], target, tumour, grid, self.preset.min_side, self.config.gamma)

    def _follow(self) -> None:
        """Move the averaged weights; statistics of batch normalisation are averaged as well, counters copied."""
        # Early averages would remember the random start, so the window grows with the updates.
        decay = min(self.config.ema, 1 - 1 / (1 + self.updates / 10)) if self.config.ema else 0.0
        for kept, now in zip(self.average.state_dict().values(), self.net.state_dict().values()):
            if kept.dtype.is_floating_point:
                kept.lerp_(now, 1 - decay)
            else:
                kept.copy_(now)


@dataclass
class Trajectories:
    """Greedy episodes of some slices: boxes [n, T + 1, 4] (padded by repeating), steps [n], stopped [n]."""

    boxes: Array
    steps: Array
    stopped: Array

    @property
    def last(self) -> Array:
        return self.boxes[:, -1]


@torch.no_grad()
def run_agent(net: QNetwork, data: SliceSet, slices: Array, preset: Preset, chunk: int = 64) -> Trajectories:
    """The greedy agent on stored slices, in the plain view."""
    net.eval()
    grid, steps_max = data.grid, preset.max_steps
    out = Trajectories(np.zeros((len(slices), steps_max + 1, 4)), np.zeros(len(slices), int), np.zeros(len(slices), bool))
    for start in range(0, len(slices), chunk):
        part = slices[start : start + chunk]
        n = len(part)
        images = load_images(data, part)
        everyone = np.arange(n)
        global_ = net.trunk.embed(crop_views(net, images, everyone, whole_boxes(n, grid), Views.plain(n), grid))
        episodes = Episodes(data, preset, n)
        episodes.start(everyone, part, Views.plain(n))
        boxes, running = [episodes.boxes.copy()], np.ones(n, dtype=bool)
        for _ in range(steps_max):
            rows = np.flatnonzero(running)
            if len(rows):
                crops = crop_views(net, images, rows, episodes.boxes[rows], Views.plain(len(rows)), grid)
                past = net.encode_history(torch.from_numpy(episodes.past[rows]))
                actions = np.full(n, bx.TERMINAL)
                actions[rows] = net.head(global_[rows], net.trunk.embed(crops), past).argmax(1).numpy()
                # Rows that are over get the terminal action, which moves nothing.
                _, stopped, _ = episodes.step(actions)
                out.steps[start + rows] += 1
                out.stopped[start + rows] |= stopped[rows]
                running &= ~stopped
            boxes.append(episodes.boxes.copy())
        out.boxes[start : start + n] = np.stack(boxes, axis=1)
    return out


def validation_figures(net: QNetwork, data: SliceSet, slices: Array, preset: Preset) -> dict[str, float]:
    """Greedy episodes on validation slices: recall, IoU, stops. `score` chooses the checkpoint.

    Recall by itself is high for an untouched box, so the score is the sum of recall at the x 1.5 box, IoU and the share
    of stops that Algorithm 1 rewards, less the share of tumour-free slices that never stop.
    """
    t = run_agent(net, data, slices, preset)
    tumour = data.tumour[slices]
    last, target = t.last[tumour], data.target[slices][tumour]
    rewarded = t.stopped[tumour] & good_stop(last, target)
    raw = bx.recall(last, target)
    wide = bx.recall(bx.enlarge(last, preset.ranet.context_factor, data.grid), target)
    idle = ~t.stopped[~tumour]
    figures = {
        "recall": float(raw.mean()),
        "recall_min": float(raw.min()),
        "recall_x1.5": float(wide.mean()),
        "iou": float(bx.iou(last, target).mean()),
        "stopped": float(t.stopped[tumour].mean()),
        "rewarded": float(rewarded.mean()),
        "steps": float(t.steps[tumour].mean()),
        "tumour_free_stopped": float(1 - idle.mean()) if len(idle) else 1.0,
    }
    figures["score"] = figures["recall_x1.5"] + figures["iou"] + figures["rewarded"] + figures["tumour_free_stopped"] - 1
    return figures


def pick_validation(data: SliceSet, count: int) -> Array:
    """At most `count` slices, evenly spaced, so that every patient is seen."""
    return np.unique(np.linspace(0, len(data) - 1, min(count, len(data))).astype(int))


def draw_slices(data: SliceSet, count: int, tumour_free_share: float, rng: np.random.Generator) -> Array:
    """`count` slices in random order, the given share tumour-free, each kind as evenly as it goes."""
    free = round(count * tumour_free_share)
    parts = []
    for rows, n in ((np.flatnonzero(data.tumour), count - free), (np.flatnonzero(~data.tumour), free)):
        if n and len(rows):
            parts.append(np.concatenate([rng.permutation(rows) for _ in range(-(-n // len(rows)))])[:n])
    return rng.permutation(np.concatenate(parts))


def train_detector(
    preset: Preset,
    train: SliceSet,
    validation: SliceSet,
    out: Path,
    seed: int,
    weights: str | None = None,
    name: str = "detector",
    start: Path | None = None,
) -> Path:
    """Train, keep the best checkpoint by `validation_figures`' score as `name`.pt, return its path.

    `start` is a checkpoint to go on from, with an empty experience pool.
    """
    c, rng = preset.detector, np.random.default_rng([seed, 2])
    learner = Learner(preset, train, seed, weights)
    if start is not None:
        state = torch.load(start, weights_only=True)["net"]
        for net in (learner.net, learner.target, learner.average):
            net.load_state_dict(state)
    replay = Replay(c.replay, preset.history)
    chosen = pick_validation(validation, c.validation_slices)
    out.mkdir(parents=True, exist_ok=True)
    best_path, log, best = out / f"{name}.pt", out / f"{name}.jsonl", -np.inf
    log.write_text("")
    per_epoch = c.episodes_per_epoch or int(train.tumour.sum())
    begun = time.time()

    for epoch in range(c.epochs):
        epsilon, priori = c.schedule.at(epoch)
        lr = float(c.lr * (0.5 + 0.5 * np.cos(np.pi * epoch / c.epochs))) if c.cosine else c.lr
        for group in learner.optimiser.param_groups:
            group["lr"] = lr
        queue = draw_slices(train, per_epoch, c.tumour_free_share, rng)
        n = min(c.parallel, len(queue))
        episodes = Episodes(train, preset, n)
        waiting, rows, losses, decisions, due = 0, np.arange(n), [], 0, 0.0
        active = np.ones(n, dtype=bool)
        while True:
            fresh = queue[waiting : waiting + len(rows)]
            waiting += len(fresh)
            views = Views.random(len(fresh), train.grid, c.shift, c.scale, c.flip, rng)
            episodes.start(rows[: len(fresh)], fresh, views)
            active[rows[len(fresh) :]] = False
            if not active.any():
                break
            before, past = episodes.boxes.copy(), episodes.past.copy()
            prior = prior_actions(
                before, episodes.target, episodes.tumour, train.grid, preset.min_side, rng, literal=c.literal_prior
            )
            live = np.flatnonzero(active)
            actions = np.full(n, bx.TERMINAL)
            actions[live] = explore(
                lambda some: learner.greedy(episodes, live[some]), prior[live], epsilon, priori, rng
            )
            rewards, stopped, over = episodes.step(actions)
            replay.add(
                episodes.slices[live], episodes.views.rows(live), before[live], past[live], actions[live], rewards[live],
                episodes.boxes[live], stopped[live],
            )  # fmt: skip
            rows = np.flatnonzero(over & active)
            decisions += len(live)
            due += len(live) / c.decisions_per_update
            while due >= 1:
                due -= 1
                if replay.filled >= min(c.warmup, c.replay):
                    losses.append(learner.update(replay, max(1 - epoch / c.epochs, c.auxiliary_floor)))

        line: dict[str, float] = {
            "epoch": epoch, "epsilon": epsilon, "priori": priori, "lr": lr, "decisions": decisions,
            "updates": learner.updates, "loss": float(np.mean(losses)) if losses else float("nan"),
            "seconds": round(time.time() - begun, 1),
        }  # fmt: skip
        if (epoch + 1) % c.validate_every == 0 or epoch == c.epochs - 1:
            line |= validation_figures(learner.average, validation, chosen, preset)
            if line["score"] > best:
                best = line["score"]
                save_detector(best_path, learner.average, preset, seed, line)
        with log.open("a") as f:
            f.write(json.dumps(line) + "\n")
        print(" ".join(f"{k}={v:.4g}" for k, v in line.items()), flush=True)
    return best_path


def save_detector(path: Path, net: QNetwork, preset: Preset, seed: int, figures: dict[str, float]) -> None:
    """A checkpoint holds its preset, seed and validation figures."""
    state = {"net": net.state_dict(), "preset": preset.to_dict(), "seed": seed, "validation": figures}
    partial = path.with_suffix(".part")
    torch.save(state, partial)
    partial.replace(path)


def load_detector(path: Path, preset: Preset) -> tuple[QNetwork, dict]:
    """The network of a checkpoint whose networks are the preset's, and its validation figures."""
    state = torch.load(path, weights_only=True)
    net = QNetwork(preset)
    net.load_state_dict(state["net"])
    return net.eval(), state["validation"]
