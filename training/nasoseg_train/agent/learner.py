"""The agent's networks and their update: eq. (1) of the paper (3.1.5).

`Learner` holds the Q network, its target network, its running average and the optimiser.
"""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ..data.draws import name_slices
from ..data.slice_set import SliceSet
from ..networks import QNetwork
from ..run import machine
from ..run.options import RunOptions
from ..run.presets import Preset
from .observation import Scene, from_u8
from .replay import Replay, Transitions

if TYPE_CHECKING:
    from lightning_fabric import Fabric

Array = np.ndarray


class Values(nn.Module):
    """Crops of n boxes and of m whole slices, each shared by n / m boxes -> Q values [n, A] and the
    n + m drawings.

    The trunk runs in the surrounding autocast precision, the head in float32.
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

    Beyond the paper, with `auxiliary` above 0: the Q values of all eleven actions are also pulled
    towards the prior's returns after each of them (`prior_returns`), with a weight that falls to 0
    during training. A transition informs eq. (1) about one action only, and a bootstrapped value
    needs many updates to propagate; this loss avoids both. With `auxiliary_mask` the trunk's
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
        self.net = machine.placed(QNetwork(preset, weights), self.device)
        self.target = copy.deepcopy(self.net).eval().requires_grad_(False)
        self.average = copy.deepcopy(self.net).eval().requires_grad_(False)
        self.optimiser = machine.optimiser_of(self.net.parameters(), c)
        self.values, self.stepper = self.fabric.setup(Values(self.net), self.optimiser)
        self.updates = 0

    @torch.no_grad()
    def greedy(self, scene: Scene, rows: Array) -> Array:
        """The actions of highest Q value for some rows of running episodes."""
        self.net.eval()
        crops = from_u8(torch.cat([scene.local.rows(rows).image, scene.whole.rows(rows).image]))
        local, global_ = self.net.trunk.embed(crops).chunk(2)
        past = self.net.encode_history(self._here(scene.episodes.past[rows]))
        return self.net.head(global_, local, past).argmax(1).cpu().numpy()

    def update(self, replay: Replay, share_left: float = 0.0) -> float:
        """One gradient step of eq. (1) on a random batch; returns its loss. `share_left` is the
        remaining share of the training.
        """
        c = self.config
        batch = replay.sample(self.batch, c.per_episode, self.rng)
        seen = batch.seen
        before, whole, after = (
            from_u8(x) for x in (batch.before.image, batch.whole.image, batch.after)
        )
        if c.intensity:
            # One gain per episode and channel: the whole slice and all its boxes are the same
            # image.
            drawn_gain = self.rng.uniform(1 - c.intensity, 1 + c.intensity, (len(whole), 3, 1, 1))
            gain = self._here(drawn_gain.astype(np.float32))
            each = gain.repeat_interleave(len(before) // len(whole), 0)
            before, whole, after = before * each, whole * gain, after * each

        actions = self._here(seen.actions)
        goal = self._goal(seen, after, whole)
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
                f"the agent's loss is {value} in update {self.updates + 1}{where}. Lower "
                "detector.lr, or use --precision 32"
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

    @torch.no_grad()
    def _goal(self, seen: Transitions, after: Tensor, whole: Tensor) -> Tensor:
        """The target of eq. (1) [n]: the reward and the discounted value of the next state."""
        next_past = np.concatenate([seen.actions[:, None], seen.past[:, :-1]], axis=1)
        encoded_next = self.net.encode_history(self._here(next_past))
        with self.fabric.autocast():
            q_next = Values(self.target)(after, whole, encoded_next)[0]
            best = q_next.max(1).values
            if self.config.double:
                self.net.eval()
                choice = Values(self.net)(after, whole, encoded_next)[0].argmax(1, keepdim=True)
                best = q_next.gather(1, choice).squeeze(1)
            return self._here(seen.rewards) + self.config.gamma * torch.where(
                self._here(seen.stopped), torch.zeros_like(best), best
            )

    def _here(self, x: Array) -> Tensor:
        return torch.from_numpy(x).to(self.device)

    def _follow(self) -> None:
        """Update the averaged weights; statistics of batch normalisation are averaged too, counters
        copied.
        """
        follow(self.average, self.net, self.config.ema, self.updates)

    def state_dict(self) -> dict:
        """Weights, optimiser and counters."""
        machine.equalise(self.fabric, self.net, self.target, self.average)
        return {
            "net": self.net.state_dict(),
            "target": self.target.state_dict(),
            "average": self.average.state_dict(),
            "optimiser": self.optimiser.state_dict(),
            "updates": self.updates,
            "scaler": self.fabric.strategy.precision.state_dict(),
        }

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
    """Move averaged weights towards the network's after an update."""
    # Early averages would keep the random initial weights, so the window grows with the updates.
    decay = min(ema, 1 - 1 / (1 + updates / 10)) if ema else 0.0
    for kept, now in zip(average.state_dict().values(), net.state_dict().values(), strict=True):
        if kept.dtype.is_floating_point:
            kept.lerp_(now, 1 - decay)
        else:
            kept.copy_(now)
