"""Slices, masks and boxes in, a trained crop segmenter out (paper 3.2, 4.2.3).

A segmenter that follows an agent is trained on the crop of the box after every action, enlarged by
the context factor. Those boxes come from one of three policies: the exploring one of Algorithm 3
(the prior and chance; it needs no trained agent), a trained agent's greedy one, or the agent that
is being trained beside it (`joint`). A segmenter without an agent sees the whole slice (the rows of
Tables 3 to 5). Any network that `Segmenter` builds is trained the same way.
"""

from __future__ import annotations

import copy
import time
from pathlib import Path
from typing import Literal

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from tqdm import tqdm

from ..agent.deep_q_learning import follow
from ..agent.environment import Episodes, Views
from ..agent.exploration import prior_actions
from ..agent.observation import CPU, load_images, load_masks, whole_boxes
from ..agent.trajectories import run_agent
from ..data.draws import check_sets, draw_slices, identity, name_slices, pick_validation
from ..data.slice_set import SliceSet
from ..geometry import boxes as bx
from ..networks import QNetwork, Segmenter
from ..networks.crop_segmenter import last_convolution
from ..run import checkpoint, machine, pictures
from ..run.logs import Log
from ..run.options import RunOptions
from ..run.presets import Preset, SegmenterTraining
from .losses import segmentation_loss

Array = np.ndarray
Stage = Literal["explore", "agent", "whole"]
# Each stage has a random stream of its own.
STREAMS = {"explore": 3, "agent": 4, "whole": 6, "joint": 7}


def exploring_boxes(
    data: SliceSet, slices: Array, preset: Preset, rng: np.random.Generator, chance: float = 0.2
) -> Array:
    """Boxes after every action of an exploring episode on each slice: [n, T + 1, 4], padded by
    repeating.
    """
    n = len(slices)
    episodes = Episodes(data, preset, n)
    episodes.start(np.arange(n), slices, Views.plain(n))
    boxes, running = [episodes.boxes.copy()], np.ones(n, dtype=bool)
    for _ in range(preset.max_steps):
        prior = prior_actions(
            episodes.boxes,
            episodes.target,
            episodes.tumour,
            data.grid,
            preset.min_side,
            rng,
            preset.thresholds,
        )
        actions = np.where(rng.random(n) < chance, rng.integers(bx.TERMINAL, size=n), prior)
        # On a tumour-free slice the prior stops at once; walk on by chance, as the agent might.
        walk = ~episodes.tumour & (rng.random(n) < 0.8)
        actions = np.where(walk, rng.integers(bx.TERMINAL, size=n), actions)
        actions = np.where(running, actions, bx.TERMINAL)
        episodes.step(actions)
        running &= actions != bx.TERMINAL
        boxes.append(episodes.boxes.copy())
    return np.stack(boxes, axis=1)


def sample_crops(
    images: Tensor,
    boxes: Array,
    size: int,
    rng: np.random.Generator,
    c: SegmenterTraining,
    ratio: int = 2,
) -> Tensor:
    """Channels [N, K, G, G] and enlarged boxes [N, 4] -> crops [N, K, size, size], rotated, flipped
    and resized at random.

    Without rotation and resizing this is RoIAlign with `ratio` samples per pixel and side: a grid
    `ratio` times finer, averaged.
    """
    n, grid = len(boxes), images.shape[-1]
    centre, half = (boxes[:, :2] + boxes[:, 2:]) / 2, (boxes[:, 2:] - boxes[:, :2]) / 2
    angle = np.deg2rad(rng.uniform(-c.rotation_degrees, c.rotation_degrees, n))
    half = half * np.exp(rng.uniform(-c.scale, c.scale, (n, 1)))
    mirror = np.where(rng.random(n) < c.flip, -1.0, 1.0)
    # Crop coordinates in [-1, 1] -> grid pixels -> grid_sample's [-1, 1], which is pixel edges over
    # G / 2 less 1.
    cos, sin = np.cos(angle), np.sin(angle)
    theta = np.zeros((n, 2, 3))
    theta[:, 0, 0], theta[:, 0, 1] = mirror * half[:, 0] * cos, -half[:, 1] * sin
    theta[:, 1, 0], theta[:, 1, 1] = mirror * half[:, 0] * sin, half[:, 1] * cos
    theta[:, :, 2] = centre - grid / 2
    theta = torch.from_numpy(theta / (grid / 2)).float().to(images.device)
    where = F.affine_grid(
        theta, [n, images.shape[1], size * ratio, size * ratio], align_corners=False
    )
    return F.avg_pool2d(F.grid_sample(images, where, align_corners=False), ratio)


def jittered(boxes: Array, grid: int, preset: Preset, rng: np.random.Generator) -> Array:
    """Boxes [n, 4] moved and resized at random by up to the preset's `jitter` of their sides."""
    jitter = preset.segmenter.jitter
    sides = boxes[:, 2:] - boxes[:, :2]
    moves = rng.uniform(-jitter, jitter, (2, len(boxes), 2))
    centre = (boxes[:, :2] + boxes[:, 2:]) / 2 + moves[0] * sides
    sides = sides * np.exp(moves[1])
    return bx.clip_boxes(
        np.concatenate([centre - sides / 2, centre + sides / 2], axis=1), grid, preset.min_side
    )


def training_batch(
    data: SliceSet,
    slices: Array,
    boxes: Array,
    preset: Preset,
    rng: np.random.Generator,
    device: torch.device = CPU,
) -> tuple[Tensor, Tensor]:
    """Slices [n] and boxes [n, 4] -> crops [n, 3, C, C] and masks [n, 1, C, C], cut on the device."""
    c, grid = preset.segmenter, data.grid
    # Where everything is seen, a box has nothing to be moved about.
    if not (boxes == whole_boxes(1, grid)).all():
        boxes = jittered(boxes, grid, preset, rng)
    boxes = bx.enlarge(boxes, preset.ranet.context_factor, grid)
    stacked = torch.cat(
        [load_images(data, slices, device), load_masks(data, slices, device)], dim=1
    )
    crops = sample_crops(stacked, boxes, preset.ranet.crop, rng, c, preset.ranet.sampling_ratio)
    images, masks = crops[:, :3], (crops[:, 3:] >= 0.5).float()
    if c.intensity:
        gain = rng.uniform(1 - c.intensity, 1 + c.intensity, (len(boxes), 3, 1, 1)).astype(
            np.float32
        )
        images = images * torch.from_numpy(gain).to(device)
    return images.contiguous(memory_format=torch.channels_last), masks


@torch.no_grad()
def predict(
    net: Segmenter, data: SliceSet, slices: Array, boxes: Array, preset: Preset, chunk: int = 16
) -> tuple[Array, Array, Array]:
    """Fixed boxes [n, 4] -> T1C's crops uint8, predicted and true masks bool, each [n, C, C], on
    the crop's grid.
    """
    net.eval()
    device = next(net.parameters()).device
    wide = (
        torch.from_numpy(bx.enlarge(boxes, preset.ranet.context_factor, data.grid))
        .float()
        .to(device)
    )
    out: list[list[Array]] = [[], [], []]
    for start in range(0, len(slices), chunk):
        part = slices[start : start + chunk]
        index, here = torch.arange(len(part), device=device), wide[start : start + chunk]
        images = load_images(data, part, device)
        masks = (
            torch.from_numpy(np.ascontiguousarray(data.masks[part])).to(device).float().unsqueeze(1)
        )
        out[0].append(
            net.crop(images[:, 1:2], here, index)[:, 0].mul(255).cpu().numpy().astype(np.uint8)
        )
        out[1].append(net(images, here, index)[:, 0].cpu().numpy() >= preset.ranet.threshold)
        out[2].append(net.crop(masks, here, index)[:, 0].cpu().numpy() >= 127.5)
    return tuple(np.concatenate(one) for one in out)


def validation_figures(
    net: Segmenter, data: SliceSet, slices: Array, boxes: Array, preset: Preset
) -> dict[str, float]:
    """Dice on the crop's grid for fixed boxes [n, 4] and the share of tumour-free slices with any
    pixel.

    A tumour slice whose crop holds no tumour counts as Dice 0. `score` chooses the checkpoint: mean
    Dice less the share of misses and half the share of tumour-free slices with any pixel.
    """
    dice, any_pixel = [], []
    _, guesses, truths = predict(net, data, slices, boxes, preset)
    for guess, true, tumour in zip(guesses, truths, data.tumour[slices]):
        if tumour:
            dice.append(2 * (guess & true).sum() / max(guess.sum() + true.sum(), 1))
        else:
            any_pixel.append(guess.any())
    figures = {
        "dice": float(np.mean(dice)),
        "misses": float(np.mean(np.array(dice) == 0)),
        "tumour_free_any": float(np.mean(any_pixel)) if any_pixel else 0.0,
    }
    figures["score"] = figures["dice"] - figures["misses"] - figures["tumour_free_any"] / 2
    return figures


class SegmenterRun:
    """A segmenter, its average, its optimiser and its log; `update` takes one batch of boxes."""

    def __init__(
        self,
        preset: Preset,
        train: SliceSet,
        validation: SliceSet,
        out: Path,
        seed: int,
        stage: str,
        weights: str | None,
        options: RunOptions,
        start: Path | None = None,
        agent: str = "",
    ) -> None:
        c = preset.segmenter
        self.preset, self.train, self.validation, self.seed, self.out, self.options = (
            preset,
            train,
            validation,
            seed,
            out,
            options,
        )
        # `agent`: a hash of the agent whose boxes the stage is trained on.
        self.stage, self.agent = stage, agent
        self.fabric = machine.launch(options, False)
        self.rank, self.world, self.device = (
            self.fabric.global_rank,
            self.fabric.world_size,
            self.fabric.device,
        )
        check_sets(preset, train, validation, c.tumour_free_share, self.world)
        self.batch = machine.share_of(c.batch, self.fabric, "segmenter.batch")
        self.rng = np.random.default_rng(machine.seeds(self.fabric, seed, STREAMS[stage]))
        torch.manual_seed(seed)
        net = Segmenter(preset.ranet, weights)
        # The step of the checkpoint that this stage goes on from, which another stage left.
        self.before = 0
        if start is not None:
            state = checkpoint.read(start)
            net.load_state_dict(state["net"])
            self.before = state["validation"]["step"]
        if self.rank:
            torch.manual_seed(seed + 1_000_003 * self.rank)
        self.net = net.to(self.device, memory_format=torch.channels_last)
        self.average = copy.deepcopy(self.net).eval().requires_grad_(False)
        self.optimiser = torch.optim.Adam(self.net.parameters(), c.lr, weight_decay=c.weight_decay)
        self.crop_net, self.stepper = self.fabric.setup(self.net.net, self.optimiser)
        self.chosen = pick_validation(validation, c.validation_slices)
        self.updates, self.best, self.validations, self.seconds = 0, -np.inf, 0, 0.0
        self.losses: list[float] = []
        self.queue = np.zeros(0, dtype=np.int64)
        out.mkdir(parents=True, exist_ok=True)
        writes = options.tensorboard and self.rank == 0
        self.log = Log(out / f"{self.name}.csv", "step", out / "tensorboard" if writes else None)

    @property
    def name(self) -> str:
        return "segmenter_explore" if self.stage == "explore" else "segmenter"

    def next_slices(self) -> Array:
        """The slices of this process's next batch, in the order of the set."""
        if len(self.queue) < self.batch:
            c, part = self.preset.segmenter, (self.rank, self.world)
            self.queue = draw_slices(
                self.train, max(1024, self.batch), c.tumour_free_share, self.rng, part
            )
        slices, self.queue = np.sort(self.queue[: self.batch]), self.queue[self.batch :]
        return slices

    def update(self, slices: Array, boxes: Array, lr: float) -> None:
        """One gradient step on the crops of boxes [n, 4]."""
        c = self.preset.segmenter
        # The first batches run warm: Adam's steps on a fresh network are too long otherwise.
        lr *= min(1.0, (self.updates + 1) / max(c.warmup, 1))
        for group in self.optimiser.param_groups:
            group["lr"] = lr
        begun = time.time()
        images, masks = training_batch(
            self.train, slices, boxes, self.preset, self.rng, self.device
        )
        if c.start_at_share and not self.before and not self.updates:
            self._start_at(masks)
        self.crop_net.train()
        loss = segmentation_loss(
            self.crop_net(images), masks, c.loss, c.border_k, c.border_weight, c.positive_weight
        )
        value = float(loss.detach())
        if not np.isfinite(value):
            raise FloatingPointError(
                f"the segmenter's loss is {value} in update {self.updates + 1}; the batch holds {name_slices(self.train, slices)}."
                " Lower segmenter.lr, or use --precision 32"
            )
        self.stepper.zero_grad(set_to_none=True)
        self.fabric.backward(loss)
        self.fabric.clip_gradients(
            self.crop_net, self.stepper, max_norm=5.0, error_if_nonfinite=False
        )
        self.stepper.step()
        self.losses.append(value)
        self.updates += 1
        follow(self.average, self.net, c.ema, self.updates)
        self.seconds += time.time() - begun

    def _start_at(self, masks: Tensor) -> None:
        """Before the first step: the networks say everywhere what share of the pixels [N, 1, C, C]
        is tumour.
        """
        # A logit below -7 would take long to come back from.
        share = (
            float(self.fabric.all_reduce(masks.mean(), reduce_op="mean"))
            if self.world > 1
            else float(masks.mean())
        )
        share = min(max(share, 1e-3), 0.5)
        for net in (self.net, self.average):
            nn.init.constant_(last_convolution(net.net).bias, np.log(share / (1 - share)))

    def finish(self, line: dict[str, float], boxes: Array) -> dict[str, float]:
        """`line` with the loss since the last call and the figures of validation on `boxes`, one
        per chosen slice.
        """
        line = {
            **line,
            "lr": self.optimiser.param_groups[0]["lr"],
            "loss": float(np.mean(self.losses)) if self.losses else float("nan"),
        }
        line["seconds"] = round(self.seconds, 1)
        self.losses = []
        self.validations += 1
        if self.rank == 0:
            line |= validation_figures(
                self.average, self.validation, self.chosen, boxes, self.preset
            )
            if self.options.pictures_every and self.validations % self.options.pictures_every == 0:
                self._picture(int(line["step"]), boxes)
        return line

    def keep_if_best(self, line: dict[str, float], score: float | None = None) -> bool:
        """Write the best checkpoint where a validated line is better than all before."""
        score = line.get("score", -np.inf) if score is None else score
        if self.rank == 0 and score > self.best:
            self.best = score
            save_segmenter(
                checkpoint.best_path(self.out, self.name),
                self.average,
                self.preset,
                self.seed,
                line,
                self.agent,
            )
            return True
        return False

    def begin(self) -> None:
        """No batch of this stage was kept: nothing of an earlier training must stand in its place."""
        if self.rank == 0:
            checkpoint.begin(self.out, self.name)
        self.fabric.barrier()

    def end(self) -> Path:
        """The stage is over: its best checkpoint becomes NAME.pt."""
        if self.rank == 0:
            checkpoint.finish(self.out, self.name)
        self.fabric.barrier()
        return self.out / f"{self.name}.pt"

    def _picture(self, step: int, boxes: Array) -> None:
        some = np.flatnonzero(self.validation.tumour[self.chosen])[:8]
        images, guesses, truths = predict(
            self.average, self.validation, self.chosen[some], boxes[some], self.preset
        )
        sheet = [
            pictures.overlay(image, true, guess)
            for image, guess, true in zip(images, guesses, truths)
        ]
        pictures.save_sheet(self.out / "pictures" / f"{self.name}_{step:06d}.png", sheet)

    def state_dict(self) -> dict:
        """All that the next update depends on. Every process must ask for it; the first gets the
        parts of all.
        """
        machine.equalise(self.fabric, self.net, self.average)
        own = {
            "random": checkpoint.random_state(loop=self.rng),
            "queue": torch.from_numpy(self.queue),
            "losses": self.losses,
        }
        return {
            "net": self.net.state_dict(), "average": self.average.state_dict(), "optimiser": self.optimiser.state_dict(),
            "scaler": self.fabric.strategy.precision.state_dict(), "rows": self.log.rows,
            **{name: getattr(self, name) for name in ("updates", "best", "validations", "seconds", "before")},
            "processes": machine.gather(self.fabric, own),
        }  # fmt: skip

    def load_state_dict(self, state: dict) -> None:
        """The inverse of `state_dict`."""
        for name in ("updates", "best", "validations", "seconds", "before"):
            setattr(self, name, state[name])
        self.log.rows = list(state["rows"])
        self.net.load_state_dict(state["net"])
        self.average.load_state_dict(state["average"])
        self.optimiser.load_state_dict(state["optimiser"])
        self.fabric.strategy.precision.load_state_dict(state["scaler"])
        own = state["processes"][self.rank]
        self.queue, self.losses = own["queue"].numpy(), list(own["losses"])
        checkpoint.restore_random(own["random"], loop=self.rng)

    def made_from(self) -> dict:
        """What a checkpoint must agree on to be gone on from."""
        return {
            "stage": self.stage, "agent": self.agent, "preset": checkpoint.plain(self.preset), "seed": self.seed,
            "slices": identity(self.train, self.validation), "number of processes": self.world,
        }  # fmt: skip


def train_segmenter(
    preset: Preset,
    train: SliceSet,
    validation: SliceSet,
    out: Path,
    seed: int,
    agent: QNetwork | None,
    stage: Stage,
    start: Path | None = None,
    weights: str | None = None,
    options: RunOptions = RunOptions(),
) -> Path:
    """One stage: `explore` (no agent, `steps` - `agent_steps` batches), `agent` (the last
    `agent_steps`) or `whole` (`steps`).

    `start` is the checkpoint of the stage before. NAME_last.pt in `out` is gone on from; one of
    another preset, seed or data is refused. Where `agent_steps` is 0, stage `agent` without a
    `start` takes all steps. `weights` names torchvision's weights that the encoder starts from.
    """
    c = preset.segmenter
    if (agent is None) == (stage == "agent"):
        raise ValueError(f"stage {stage} and agent {agent is not None} do not fit each other")
    named = checkpoint.weights_hash(agent) if agent is not None else ""
    run = SegmenterRun(preset, train, validation, out, seed, stage, weights, options, start, named)
    last_path, last = out / f"{run.name}_last.pt", c.steps
    if last_path.exists():
        run.load_state_dict(checkpoint.read(last_path, **run.made_from())["state"])
    else:
        run.begin()
    first = 0
    if stage == "explore":
        last = c.steps - c.agent_steps
    elif stage == "agent" and (start is not None or c.agent_steps):
        first = max(run.before, c.steps - c.agent_steps)
    step = first + run.updates
    if step >= last:
        return run.end()

    walks = None
    if stage == "whole":
        validation_boxes = whole_boxes(len(run.chosen), validation.grid)
    elif agent is None:
        validation_boxes = exploring_boxes(
            validation, run.chosen, preset, np.random.default_rng([seed, 5]), 0.0
        )[:, -1]
    else:
        agent = agent.to(run.device)
        validation_boxes = run_agent(agent, validation, run.chosen, preset).last
        walks = run_agent(agent, train, np.arange(len(train)), preset).boxes
    show = options.progress and run.rank == 0
    for step in tqdm(
        range(step, last),
        desc=run.name,
        unit="batch",
        initial=step,
        total=last,
        disable=None if show else True,
    ):
        slices, rng = run.next_slices(), run.rng
        n = len(slices)
        if stage == "whole":
            boxes = whole_boxes(n, train.grid)
        else:
            path = exploring_boxes(train, slices, preset, rng) if walks is None else walks[slices]
            # Half of the crops are of the box where the agent stopped, the rest of any box on its
            # way.
            moment = np.where(
                rng.random(n) < 0.5, preset.max_steps, rng.integers(0, preset.max_steps + 1, n)
            )
            boxes = path[np.arange(n), moment]
        run.update(slices, boxes, c.lr if step < c.late_after * c.steps else c.lr_late)
        if (step + 1) % c.validate_every == 0 or step == last - 1:
            line = run.finish({"step": step + 1}, validation_boxes)
            run.keep_if_best(line)
            if run.rank == 0:
                run.log.add(line)
            if step == last - 1 or run.validations % options.checkpoint_every == 0:
                state = run.state_dict()
                if run.rank == 0:
                    checkpoint.write(last_path, {**run.made_from(), "state": state})
            run.fabric.barrier()
    return run.end()


def save_segmenter(
    path: Path,
    net: Segmenter,
    preset: Preset,
    seed: int,
    figures: dict[str, float],
    agent: str = "",
) -> None:
    """A checkpoint holds its preset, seed, validation figures and, where there is one, a hash of
    the agent that it follows.
    """
    checkpoint.write(path, {**checkpoint.best_state(net, preset, seed, figures), "agent": agent})


def check_pair(path: Path, state: dict, agent: QNetwork, epoch: float | None) -> None:
    """Refuse a RANet that was trained for another agent; of a joint training both are of one epoch."""
    if state.get("agent") not in (None, "", checkpoint.weights_hash(agent)):
        raise SystemExit(
            f"{path}: follows another agent than the detector.pt beside it; run nasoseg-train train segmenter again in an empty folder"
        )
    if "epoch" in state["validation"] and state["validation"]["epoch"] != epoch:
        raise SystemExit(
            f"{path}: is of epoch {state['validation']['epoch']:g}, the detector.pt beside it of epoch {epoch}; run the same train joint to its end"
        )


def load_segmenter(
    path: Path, preset: Preset, agent: QNetwork | None = None, epoch: float | None = None
) -> tuple[Segmenter, dict]:
    """The network of a checkpoint whose RANet is the preset's, and its validation figures; with
    `agent`, as it was trained, and the epoch that it is of, only that agent's own.
    """
    state = checkpoint.read(path)
    if agent is not None:
        check_pair(path, state, agent, epoch)
    net = Segmenter(preset.ranet)
    net.load_state_dict(state["net"])
    return net.eval(), state["validation"]
