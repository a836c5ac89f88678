"""Slices with target boxes in, a trained agent out: deep Q-learning (paper 3.1.5, 4.2.2).

Read from top to bottom: states as crops, the update of eq. (1), validation, the loop of Algorithm 3.
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
from .replay import Crops, Replay
from .reward import good_stop

Array = np.ndarray


def load_images(data: SliceSet, slices: Array) -> Tensor:
    """uint8 slices [n] of a set -> float32 [n, 3, G, G] in [0, 1]."""
    return torch.from_numpy(np.ascontiguousarray(data.images[slices])).float().div_(255.0)


@torch.no_grad()
def crop_views(net: QNetwork, images: Tensor, index: Array, boxes: Array, views: Views, grid: int) -> Tensor:
    """Crops [N, 3, C, C] of boxes given in view coordinates; `index` [N] says which of `images`."""
    return _cut(net, net.trunk.crop, images, index, boxes, views, grid)


@torch.no_grad()
def mask_views(net: QNetwork, masks: Tensor, index: Array, boxes: Array, views: Views, grid: int) -> Tensor:
    """The share of tumour [N, 1, M, M] in the cells of what the trunk draws; `masks` [n, 1, G, G]."""
    cells = net.trunk.drawn_side
    return _cut(net, RoiCrop(cells, 2), masks, index, boxes, views, grid)


def _cut(net: QNetwork, cropper: RoiCrop, source: Tensor, index: Array, boxes: Array, views: Views, grid: int) -> Tensor:
    # The context is added in view coordinates, where the whole-slice box can be told from the others.
    wide = with_context(torch.from_numpy(boxes), net.trunk.crop.context, grid).numpy()
    image_boxes = torch.from_numpy(views.to_image(wide, grid)).float()
    crops = cropper.sample(source, image_boxes, torch.from_numpy(index))
    flip = torch.from_numpy(views.flip)[:, None, None, None]
    return torch.where(flip, crops.flip(-1), crops).contiguous(memory_format=torch.channels_last)


def whole_boxes(n: int, grid: int) -> Array:
    """The whole-slice box, n times [n, 4]: what the global feature looks at."""
    return np.tile([0.0, 0.0, grid, grid], (n, 1))


class Scene:
    """Running episodes and the crops that the agent sees in them."""

    def __init__(self, net: QNetwork, data: SliceSet, preset: Preset, n: int) -> None:
        self.net, self.data, self.episodes = net, data, Episodes(data, preset, n)
        crop, cells = net.trunk.crop.size, net.trunk.drawn_side
        self.images = torch.zeros(n, 3, data.grid, data.grid)
        self.masks = torch.zeros(n, 1, data.grid, data.grid)
        self.whole, self.local = Crops.empty(n, crop, cells), Crops.empty(n, crop, cells)
        self.number = np.zeros(n, dtype=np.int64)
        self._next = 0

    def start(self, rows: Array, slices: Array, views: Views) -> None:
        """Begin episodes of some slices in some rows."""
        if not len(rows):
            return
        self.episodes.start(rows, slices, views)
        self.number[rows] = self._next + np.arange(len(rows))
        self._next += len(rows)
        self.images[rows] = load_images(self.data, slices)
        self.masks[rows] = torch.from_numpy(self.data.masks[slices]).float().div_(255.0).unsqueeze(1)
        self.whole.put(rows, self.look(rows, whole_boxes(len(rows), self.data.grid)))
        self.local.put(rows, self.look(rows, self.episodes.boxes[rows]))

    def look(self, rows: Array, boxes: Array) -> Crops:
        """The crops of boxes [k, 4] in the slices of some rows."""
        views, grid = self.episodes.views.rows(rows), self.data.grid
        image = crop_views(self.net, self.images, rows, boxes, views, grid)
        mask = mask_views(self.net, self.masks, rows, boxes, views, grid)
        return Crops(_to_u8(image), _to_u8(mask)[:, 0])


def _to_u8(x: Tensor) -> Array:
    return x.mul(255).round_().clamp_(0, 255).to(torch.uint8).numpy()


def _from_u8(x: Array) -> Tensor:
    return torch.from_numpy(x).to(memory_format=torch.channels_last).float().div_(255.0)


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

    @torch.no_grad()
    def greedy(self, scene: Scene, rows: Array) -> Array:
        """Actions of the highest Q value for some rows of running episodes."""
        self.net.eval()
        crops = _from_u8(np.concatenate([scene.local.image[rows], scene.whole.image[rows]]))
        local, global_ = self.net.trunk.embed(crops).chunk(2)
        past = self.net.encode_history(torch.from_numpy(scene.episodes.past[rows]))
        return self.net.head(global_, local, past).argmax(1).numpy()

    def update(self, replay: Replay, share_left: float = 0.0) -> float:
        """One gradient step of eq. (1) on a random batch; returns its loss. `share_left` of the training is to come."""
        c = self.config
        batch = replay.sample(c.batch, c.per_episode, self.rng)
        before, whole, after = (_from_u8(x) for x in (batch.before.image, batch.whole.image, batch.after))
        if c.intensity:
            # One gain per episode and channel: the whole slice and all its boxes are the same picture.
            gain = self.rng.uniform(1 - c.intensity, 1 + c.intensity, (len(whole), 3, 1, 1))
            gain = torch.from_numpy(gain.astype(np.float32))
            each = gain.repeat_interleave(len(before) // len(whole), 0)
            before, whole, after = before * each, whole * gain, after * each

        actions = torch.from_numpy(batch.actions)
        next_past = np.concatenate([batch.actions[:, None], batch.past[:, :-1]], axis=1)
        encoded_next = self.net.encode_history(torch.from_numpy(next_past))
        with torch.no_grad():
            q_next = _q(self.target, after, whole, encoded_next, c.mixed_precision)[0]
            best = q_next.max(1).values
            if c.double:
                self.net.eval()
                choice = _q(self.net, after, whole, encoded_next, c.mixed_precision)[0].argmax(1, keepdim=True)
                best = q_next.gather(1, choice).squeeze(1)
            stopped = torch.from_numpy(batch.stopped)
            goal = torch.from_numpy(batch.rewards) + c.gamma * torch.where(stopped, torch.zeros_like(best), best)

        self.net.train()
        encoded = self.net.encode_history(torch.from_numpy(batch.past))
        q_all, drawn = _q(self.net, before, whole, encoded, c.mixed_precision)
        q = q_all.gather(1, actions[:, None]).squeeze(1)
        loss = F.smooth_l1_loss(q, goal) if c.loss == "huber" else F.l1_loss(q, goal)
        td_loss = float(loss.detach())
        auxiliary = c.auxiliary * share_left
        if auxiliary:
            loss = loss + auxiliary * F.smooth_l1_loss(q_all, torch.from_numpy(batch.returns))
        if c.auxiliary_mask and drawn is not None:
            # Tumour is rare in a crop of the whole slice: its cells weigh more.
            shares = _from_u8(np.concatenate([batch.before.mask, batch.whole.mask])[:, None])
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

    def _follow(self) -> None:
        """Move the averaged weights; statistics of batch normalisation are averaged as well, counters copied."""
        # Early averages would remember the random start, so the window grows with the updates.
        decay = min(self.config.ema, 1 - 1 / (1 + self.updates / 10)) if self.config.ema else 0.0
        for kept, now in zip(self.average.state_dict().values(), self.net.state_dict().values()):
            if kept.dtype.is_floating_point:
                kept.lerp_(now, 1 - decay)
            else:
                kept.copy_(now)


def _q(net: QNetwork, local: Tensor, whole: Tensor, history: Tensor, mixed: bool) -> tuple[Tensor, Tensor | None]:
    """Crops of n boxes and of m whole slices, each shared by n / m boxes -> Q values [n, A] and the n + m drawings."""
    n, m = len(local), len(whole)
    with torch.autocast("cpu", dtype=torch.bfloat16, enabled=mixed):
        features, drawn = net.trunk.embed_and_draw(torch.cat([local, whole]))
    of_box, of_whole = features.float().split([n, m])
    q = net.head(of_whole.repeat_interleave(n // m, 0), of_box, history)
    return q, None if drawn is None else drawn.float()


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
) -> Path:
    """Train, keep the best checkpoint by `validation_figures`' score as detector.pt, return its path."""
    c, rng = preset.detector, np.random.default_rng([seed, 2])
    learner = Learner(preset, train, seed, weights)
    trunk = learner.net.trunk
    replay = Replay(c.replay, preset.history, bx.N_ACTIONS, trunk.crop.size, trunk.drawn_side)
    chosen = pick_validation(validation, c.validation_slices)
    out.mkdir(parents=True, exist_ok=True)
    best_path, log, best = out / "detector.pt", out / "detector.jsonl", -np.inf
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
        scene = Scene(learner.net, train, preset, n)
        episodes = scene.episodes
        waiting, rows, losses, decisions, due = 0, np.arange(n), [], 0, 0.0
        active = np.ones(n, dtype=bool)
        while True:
            fresh = queue[waiting : waiting + len(rows)]
            waiting += len(fresh)
            views = Views.random(len(fresh), train.grid, c.shift, c.scale, c.flip, rng)
            scene.start(rows[: len(fresh)], fresh, views)
            active[rows[len(fresh) :]] = False
            if not active.any():
                break
            live = np.flatnonzero(active)
            before, past, target, tumour = (x[live] for x in (episodes.boxes, episodes.past, episodes.target, episodes.tumour))
            prior = prior_actions(before, target, tumour, train.grid, preset.min_side, rng, literal=c.literal_prior)
            actions = np.full(n, bx.TERMINAL)
            actions[live] = explore(lambda some: learner.greedy(scene, live[some]), prior, epsilon, priori, rng)
            rewards, stopped, over = episodes.step(actions)
            after = scene.look(live, episodes.boxes[live])
            returns = np.zeros((len(live), bx.N_ACTIONS))
            if c.auxiliary:
                returns = prior_returns(before, target, tumour, train.grid, preset.min_side, c.gamma)
            replay.add(
                scene.number[live] + epoch * per_epoch, scene.whole.rows(live), scene.local.rows(live), after.image, past,
                actions[live], rewards[live], stopped[live],
                returns,
            )  # fmt: skip
            scene.local.put(live, after)
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
