"""Trains a crop segmenter: RANet or another network on crops (paper 3.2, 4.2.3).

A segmenter that follows an agent is trained on the crop of the box after every action, enlarged by
the context factor. Those boxes come from one of three policies: the exploring one of Algorithm 3
(the prior and random actions; it needs no trained agent), a trained agent's greedy one, or the
agent that is being trained jointly (`joint`). A segmenter without an agent sees the whole slice
(the rows of Tables 3 to 5). Any network that `Segmenter` builds is trained the same way.
"""

from __future__ import annotations

import copy
import time
from pathlib import Path
from typing import Literal

import numpy as np
import torch
from torch import Tensor, nn
from tqdm import tqdm

from ..agent.learner import follow
from ..agent.observation import whole_boxes
from ..agent.trajectories import run_agent
from ..data.draws import check_sets, draw_slices, identity, name_slices, pick_validation
from ..data.slice_set import SliceSet
from ..networks import QNetwork, Segmenter
from ..networks.crop_segmenter import last_convolution
from ..run import checkpoint, machine, pictures
from ..run.logs import Log
from ..run.options import RunOptions
from ..run.presets import Preset
from ..run.resume import Best, Resumable
from .crop_batches import exploring_boxes, training_batch
from .crop_validation import predict, validation_figures
from .losses import segmentation_loss

Array = np.ndarray
Stage = Literal["explore", "agent", "whole"]
# Each stage has a random stream of its own.
STREAMS = {"explore": 3, "agent": 4, "whole": 6, "joint": 7}


class CropTraining:
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
        # `agent` is a hash of the agent on whose boxes the stage is trained.
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
        # The step of the earlier stage's checkpoint that this stage starts from.
        self.before = 0
        if start is not None:
            state = checkpoint.read(start)
            net.load_state_dict(state["net"])
            self.before = state["validation"]["step"]
        if self.rank:
            torch.manual_seed(seed + 1_000_003 * self.rank)
        self.net = machine.placed(net, self.device)
        self.average = copy.deepcopy(self.net).eval().requires_grad_(False)
        self.optimiser = torch.optim.Adam(self.net.parameters(), c.lr, weight_decay=c.weight_decay)
        self.crop_net, self.stepper = self.fabric.setup(self.net.net, self.optimiser)
        self.chosen = pick_validation(validation, c.validation_slices)
        self.best = Best(out, self.name, self._save)
        self.updates, self.validations, self.seconds = 0, 0, 0.0
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
        # The learning rate rises over the first batches: Adam's steps on a fresh network would be
        # too large.
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
                f"the segmenter's loss is {value} in update {self.updates + 1}; the batch holds "
                f"{name_slices(self.train, slices)}."
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
        """Before the first step, set the networks' output everywhere to the share of the pixels [N,
        1, C, C] that is tumour.
        """
        # Training would recover slowly from a logit below -7.
        mean = masks.mean()
        if self.world > 1:
            mean = torch.as_tensor(self.fabric.all_reduce(mean, reduce_op="mean"))
        share = float(mean)
        share = min(max(share, 1e-3), 0.5)
        for net in (self.net, self.average):
            bias = last_convolution(net.net).bias
            assert bias is not None
            nn.init.constant_(bias, np.log(share / (1 - share)))

    def finish(self, line: dict[str, float], boxes: Array) -> dict[str, float]:
        """`line` with the loss since the last call and the validation figures on `boxes`, one per
        chosen slice.
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

    def _save(self, path: Path, line: dict[str, float]) -> None:
        save_segmenter(path, self.average, self.preset, self.seed, line, self.agent)

    def _picture(self, step: int, boxes: Array) -> None:
        some = np.flatnonzero(self.validation.tumour[self.chosen])[:8]
        images, guesses, truths = predict(
            self.average, self.validation, self.chosen[some], boxes[some], self.preset
        )
        sheet = [
            pictures.overlay(image, true, guess)
            for image, guess, true in zip(images, guesses, truths, strict=True)
        ]
        pictures.save_sheet(self.out / "pictures" / f"{self.name}_{step:06d}.png", sheet)

    def state_dict(self) -> dict:
        """All that the next update depends on. Every process must call this; the first one gets the
        parts of all.
        """
        machine.equalise(self.fabric, self.net, self.average)
        own = {
            "random": checkpoint.random_state(loop=self.rng),
            "queue": torch.from_numpy(self.queue),
            "losses": self.losses,
        }
        return {
            "net": self.net.state_dict(),
            "average": self.average.state_dict(),
            "optimiser": self.optimiser.state_dict(),
            "scaler": self.fabric.strategy.precision.state_dict(),
            "rows": self.log.rows,
            "best": self.best.score,
            **{
                name: getattr(self, name)
                for name in ("updates", "validations", "seconds", "before")
            },
            "processes": machine.gather(self.fabric, own),
        }

    def load_state_dict(self, state: dict) -> None:
        """The inverse of `state_dict`."""
        for name in ("updates", "validations", "seconds", "before"):
            setattr(self, name, state[name])
        self.best.score = state["best"]
        self.log.rows = list(state["rows"])
        self.net.load_state_dict(state["net"])
        self.average.load_state_dict(state["average"])
        self.optimiser.load_state_dict(state["optimiser"])
        self.fabric.strategy.precision.load_state_dict(state["scaler"])
        own = state["processes"][self.rank]
        self.queue, self.losses = own["queue"].numpy(), list(own["losses"])
        checkpoint.restore_random(own["random"], loop=self.rng)

    def made_from(self) -> dict:
        """What a checkpoint must agree on to be resumed."""
        return {
            "stage": self.stage,
            "agent": self.agent,
            "preset": checkpoint.plain(self.preset),
            "seed": self.seed,
            "slices": identity(self.train, self.validation),
            "number of processes": self.world,
        }


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
    """Train one stage: `explore` (no agent, `steps` - `agent_steps` batches), `agent` (the last
    `agent_steps`) or `whole` (`steps`).

    `start` is the checkpoint of the stage before. Resumes from NAME_last.pt in `out`; one of
    another preset, seed or data is rejected. If `agent_steps` is 0, stage `agent` without a `start`
    takes all steps. `weights` names torchvision weights for the encoder.
    """
    c = preset.segmenter
    if (agent is None) == (stage == "agent"):
        raise ValueError(f"stage {stage} {'requires an' if stage == 'agent' else 'takes no'} agent")
    named = checkpoint.weights_hash(agent) if agent is not None else ""
    run = CropTraining(preset, train, validation, out, seed, stage, weights, options, start, named)
    files = Resumable(
        out, run.name, (run.name,), run.made_from(), options.checkpoint_every, run.fabric
    )
    state = files.resume()
    if state is not None:
        run.load_state_dict(state)
    first, last = 0, c.steps
    if stage == "explore":
        last = c.steps - c.agent_steps
    elif stage == "agent" and (start is not None or c.agent_steps):
        first = max(run.before, c.steps - c.agent_steps)
    step = first + run.updates
    if step < last:
        _train_steps(run, files, agent, step, last)
    return files.finish()[0]


def _train_steps(
    run: CropTraining, files: Resumable, agent: QNetwork | None, first: int, last: int
) -> None:
    """Batches `first` .. `last` - 1 of a stage."""
    c, preset, train, validation = run.preset.segmenter, run.preset, run.train, run.validation
    stage, options = run.stage, run.options
    trajectories = None
    if stage == "whole":
        validation_boxes = whole_boxes(len(run.chosen), validation.grid)
    elif agent is None:
        validation_boxes = exploring_boxes(
            validation, run.chosen, preset, np.random.default_rng([run.seed, 5]), 0.0
        )[:, -1]
    else:
        agent = agent.to(run.device)
        validation_boxes = run_agent(agent, validation, run.chosen, preset).last
        trajectories = run_agent(agent, train, np.arange(len(train)), preset).boxes
    show = options.progress and run.rank == 0
    for step in tqdm(
        range(first, last),
        desc=run.name,
        unit="batch",
        initial=first,
        total=last,
        disable=None if show else True,
    ):
        slices, rng = run.next_slices(), run.rng
        n = len(slices)
        if stage == "whole":
            boxes = whole_boxes(n, train.grid)
        else:
            path = (
                exploring_boxes(train, slices, preset, rng)
                if trajectories is None
                else trajectories[slices]
            )
            # Half of the crops are of the agent's final box, the others of any box of the
            # trajectory.
            moment = np.where(
                rng.random(n) < 0.5, preset.max_steps, rng.integers(0, preset.max_steps + 1, n)
            )
            boxes = path[np.arange(n), moment]
        run.update(slices, boxes, c.lr if step < c.late_after * c.steps else c.lr_late)
        if (step + 1) % c.validate_every == 0 or step == last - 1:
            line = run.finish({"step": step + 1}, validation_boxes)
            if run.rank == 0:
                run.best.keep(line)
                run.log.add(line)
            files.save(run.validations, step == last - 1, run.state_dict)


def save_segmenter(
    path: Path,
    net: Segmenter,
    preset: Preset,
    seed: int,
    figures: dict[str, float],
    agent: str = "",
) -> None:
    """Write a checkpoint with its preset, seed, validation figures and, if there is one, a hash of
    the agent that it follows.
    """
    checkpoint.write(path, {**checkpoint.best_state(net, preset, seed, figures), "agent": agent})


def check_pair(path: Path, state: dict, agent: QNetwork, epoch: float | None) -> None:
    """Reject a RANet that was trained for another agent; after joint training both must be of the
    same epoch.
    """
    if state.get("agent") not in (None, "", checkpoint.weights_hash(agent)):
        raise SystemExit(
            f"{path}: follows another agent than the detector.pt beside it. Run nasoseg-train "
            "train segmenter again in an empty folder"
        )
    if "epoch" in state["validation"] and state["validation"]["epoch"] != epoch:
        raise SystemExit(
            f"{path}: is of epoch {state['validation']['epoch']:g}, the detector.pt beside it of "
            f"epoch {epoch}. Run the same train joint to its end"
        )


def load_segmenter(
    path: Path, preset: Preset, agent: QNetwork | None = None, epoch: float | None = None
) -> tuple[Segmenter, dict]:
    """Load the network of a checkpoint of this preset, and its validation figures. With `agent`
    (uncalibrated) and its epoch, a segmenter of another agent is rejected.
    """
    state = checkpoint.read(path)
    if agent is not None:
        check_pair(path, state, agent, epoch)
    net = Segmenter(preset.ranet)
    net.load_state_dict(state["net"])
    return net.eval(), state["validation"]
