"""Trains the agent and RANet together (paper 4.2.3, "joint training").

The paper: "During the training process of the detection model, a bounding box was obtained once
every action was taken. The MR image was cropped according to the bounding box output by the agent.
[...] In the joint training of the two scales, the initial learning rate was 0.001 and declined to
0.0001 after 25 epochs." What it leaves open, and what is done here:

- How the two alternate. One loop: after every step of the running episodes the agent learns as in
  `deep_q_learning`, the boxes that its episodes reached go into a pool of the latest boxes, and
  RANet takes batches from that pool, one crop for every action taken. RANet thus starts on boxes of
  the prior and of random actions and ends on the agent's own, as Algorithm 3's probabilities fall.
- Whether gradients pass from RANet to the agent. They do not: a crop's place is a choice among
  eleven actions.
- Whose learning rate it is. RANet's: 4.2.2 gives the agent one of its own (0.0005), and the same
  page cannot mean both. It falls after the share `segmenter.late_after` of the agent's epochs: half
  of 50 is 25.
- Which weights are kept. Those of both networks at the same epoch, the one whose two validation
  scores have the largest sum; RANet is validated on the boxes where the agent of that epoch stops.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import torch

from ..agent.deep_q_learning import AgentTraining
from ..agent.trajectories import run_agent
from ..data.slice_set import SliceSet
from ..run import machine
from ..run.options import RunOptions
from ..run.presets import Preset
from ..run.resume import Resumable
from .crop_training import CropTraining

Array = np.ndarray


class BoxPool:
    """The agent's latest boxes, on the stored slices: from a few hundred episodes, so that a batch
    mixes slices and the agent has changed little since.
    """

    def __init__(self, size: int) -> None:
        self.size = size
        self.slices, self.boxes = np.zeros(0, dtype=np.int64), np.zeros((0, 4))

    def add(self, slices: Array, boxes: Array) -> None:
        self.slices = np.concatenate([self.slices, slices])[-self.size :]
        self.boxes = np.concatenate([self.boxes, boxes])[-self.size :]

    def draw(self, count: int, rng: np.random.Generator) -> tuple[Array, Array]:
        """Slices [count] and boxes [count, 4], in the order of the set, which is faster to read
        from disk.
        """
        rows = rng.choice(len(self.slices), count, replace=len(self.slices) < count)
        rows = rows[np.argsort(self.slices[rows], kind="stable")]
        return self.slices[rows], self.boxes[rows]

    def state_dict(self) -> dict[str, torch.Tensor]:
        return {"slices": torch.from_numpy(self.slices), "boxes": torch.from_numpy(self.boxes)}

    def load_state_dict(self, state: dict[str, torch.Tensor]) -> None:
        self.slices, self.boxes = state["slices"].numpy(), state["boxes"].numpy()


def train_joint(
    preset: Preset,
    train: SliceSet,
    validation: SliceSet,
    out: Path,
    seed: int,
    weights: str | None = None,
    options: RunOptions = RunOptions(),
) -> tuple[Path, Path]:
    """Train both and keep detector.pt and segmenter.pt of the same epoch; returns their paths.

    `detector.epochs` sets the length; `segmenter.steps` and `agent_steps` are not used. Resumes
    from joint_last.pt in `out`.
    """
    c = preset.segmenter
    agent = AgentTraining(preset, train, validation, out, seed, weights, options)
    ranet = CropTraining(preset, train, validation, out, seed, "joint", weights, options)
    pool, due = BoxPool(c.joint_pool), 0
    made_from = {**ranet.made_from(), **agent.made_from()}
    files = Resumable(
        out,
        "joint",
        ("detector", "segmenter"),
        made_from,
        options.checkpoint_every,
        agent.fabric,
    )

    def state_of() -> dict[str, Any]:
        return {
            "agent": agent.state_dict(),
            "segmenter": ranet.state_dict(),
            "due": due,
            "pools": machine.gather(agent.fabric, pool.state_dict()),
        }

    state = files.resume()
    if state is not None:
        agent.load_state_dict(state["agent"])
        ranet.load_state_dict(state["segmenter"])
        pool.load_state_dict(state["pools"][agent.rank])
        due = state["due"]
    while not agent.over:
        lr = c.lr if agent.epoch < c.late_after * preset.detector.epochs else c.lr_late
        for visited in agent.run_epoch():
            pool.add(visited.slices, visited.boxes)
            due += visited.everywhere
            while due >= c.batch:
                due -= c.batch
                ranet.update(*pool.draw(ranet.batch, ranet.rng), lr)
        line = agent.finish_epoch()
        epoch = agent.epoch
        if epoch % preset.detector.validate_every == 0 or agent.over:
            _validate(agent, ranet, line)
        if agent.rank == 0:
            agent.log.add(line)
        files.save(epoch, agent.over, state_of)
    detector, segmenter = files.finish()
    return detector, segmenter


def _validate(agent: AgentTraining, ranet: CropTraining, line: dict[str, float]) -> None:
    """Validate RANet where the agent stops, and keep both networks if the sum of their scores is
    the best so far.
    """
    boxes = np.zeros((0, 4))
    if agent.rank == 0:
        net, chosen = agent.learner.average, ranet.chosen
        boxes = run_agent(net, ranet.validation, chosen, ranet.preset).last
    of_ranet = ranet.finish({"step": ranet.updates, "epoch": agent.epoch - 1}, boxes)
    score = line.get("score", -np.inf) + of_ranet.get("score", -np.inf)
    if agent.rank == 0:
        agent.best.keep(line, score)
        ranet.best.keep(of_ranet, score)
        ranet.log.add(of_ranet)
