"""The settings of the two training loops of SeqSeg: the agent's and the crop segmenter's."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal


@dataclass(frozen=True)
class Thresholds:
    """Thresholds of Algorithms 1 and 2 (paper 4.2.2)."""

    tau_h: float = 0.9
    """Share of the target box's height above which a box that misses it counts as large."""
    tau_w: float = 0.9
    """Share of the target box's width above which a box that misses it counts as large."""
    tau_recall: float = 0.95
    """Recall above which a stop is rewarded, together with tau_iou."""
    tau_iou: float = 0.5
    """IoU above which a stop is rewarded."""
    tau_distance: float = 1 / 8
    """Distance of the centres, as a share of the target box's diagonal, up to which the printed
    Algorithm 2 does not shift.
    """
    terminal_reward: float = 3.0
    """Reward of a good stop; a bad one costs as much."""


@dataclass(frozen=True)
class Schedule:
    """Algorithm 3's probabilities: epsilon of a random action, priori of Algorithm 2's action
    (paper 4.2.2, 4.3.1).
    """

    epsilon: float = 1.0
    """Probability of a random action in the first epoch."""
    epsilon_decay: float = 0.1
    """Decrease per epoch."""
    epsilon_min: float = 0.1
    """Lower limit."""
    priori: float = 0.8
    """Probability of the prior's action in the first epoch (Fig. 5: 0, 0.4, 0.8)."""
    priori_decay: float = 0.2
    """Decrease per epoch."""
    priori_min: float = 0.0
    """Lower limit; 0 is the paper."""

    def at(self, epoch: int) -> tuple[float, float]:
        """(epsilon, priori) during `epoch`, counted from 0."""
        epsilon = max(self.epsilon - epoch * self.epsilon_decay, self.epsilon_min)
        return epsilon, max(self.priori - epoch * self.priori_decay, self.priori_min)


@dataclass(frozen=True)
class DetectorTraining:
    """Deep Q-learning (paper 4.2.2)."""

    epochs: int = 50
    """Number of epochs."""
    episodes_per_epoch: int = 0
    """Episodes of an epoch; 0 is the number of tumour slices in the training set."""
    tumour_free_share: float = 0.0
    """Share of episodes on slices without tumour; 0 is the paper."""
    parallel: int = 32
    """Episodes that advance together."""
    decisions_per_update: int = 32
    """Actions taken between two gradient steps."""
    batch: int = 128
    """Transitions of a gradient step."""
    per_episode: int = 1
    """Transitions of a batch that come from one episode and share the whole slice's features."""
    optimiser: Literal["sgd", "adam"] = "sgd"
    """SGD with momentum (the paper) or Adam."""
    loss: Literal["l1", "huber"] = "l1"
    """L1 (the paper) or Huber, of eq. (1)'s difference."""
    lr: float = 5e-4
    """Learning rate."""
    cosine: bool = False
    """Decay the learning rate to 0 over the epochs along a cosine."""
    weight_decay: float = 4e-4
    """L2 regularisation."""
    momentum: float = 0.9
    """Of SGD."""
    gamma: float = 0.6
    """Discount of later rewards."""
    replay: int = 16384
    """Transitions in the experience pool."""
    warmup: int = 1024
    """Transitions that the pool must hold before the first gradient step."""
    target_update: int = 1000
    """Gradient steps between two updates of the target network."""
    double: bool = False
    """Double Q-learning: the action by the network, its value by the target network."""
    mixed_precision: bool = False
    """Run the trunk in bfloat16 during gradient steps; weights, head and validation stay float32.
    """
    auxiliary: float = 0.0
    """Weight of the loss that pulls all Q values towards the prior's returns; falls over the
    epochs. 0 is the paper.
    """
    auxiliary_floor: float = 0.0
    """Share of that weight that remains at the end."""
    auxiliary_mask: float = 0.0
    """Weight of the loss of the trunk's drawing of the tumour. 0 is the paper."""
    ema: float = 0.0
    """Weights are validated and kept as an exponential moving average with this factor; 0 turns it
    off.
    """
    schedule: Schedule = field(default_factory=Schedule)
    """Algorithm 3's probabilities per epoch."""
    literal_prior: bool = False
    """Algorithm 2 as printed, without the guards (exploration.prior_actions)."""
    shift: float = 0.0
    """Augmentation: largest shift, pixels of a 384 grid."""
    scale: float = 0.0
    """Augmentation: largest relative change of size."""
    flip: float = 0.5
    """Augmentation: share of episodes flipped left to right."""
    intensity: float = 0.0
    """Augmentation: largest relative change of each channel's brightness."""
    calibrate: bool = False
    """Let `nasoseg-train export` choose the Q head's two biases on validation slices
    (calibration.py). False is the paper.
    """
    score_context: float = 1.5
    """The checkpoint's score counts the recall of the agent's box enlarged by this factor, which is
    what the segmenter will see. Compared agents must use the same value.
    """
    validate_every: int = 1
    """Epochs between validations."""
    validation_slices: int = 400
    """Largest number of slices, evenly spaced."""


@dataclass(frozen=True)
class SegmenterTraining:
    """A crop network on the boxes of the agent (paper 4.2.3), or on whole slices. A step is one
    batch.
    """

    steps: int = 60000
    """Number of batches."""
    agent_steps: int = 0
    """Number of final batches on the trained agent's boxes; the earlier ones are on the exploring
    policy's. 0 with an agent: all are on the agent's.
    """
    batch: int = 16
    """Crops of a batch."""
    lr: float = 1e-3
    """Learning rate."""
    lr_late: float = 1e-4
    """Learning rate after the drop."""
    late_after: float = 0.5
    """Share of the steps after which the learning rate drops (25 of 50 epochs)."""
    weight_decay: float = 1e-4
    """L2 regularisation."""
    loss: Literal["dbw", "ce", "weighted", "dice", "dice_ce"] = "dbw"
    """Dilated border weighted, cross entropy, category weighted, Dice, or Dice plus cross entropy.
    """
    border_k: int = 10
    """DBW's k: the border is dilated by a cross of 2k + 1, in pixels of the crop."""
    border_weight: float = 20.0
    """DBW's w_b."""
    positive_weight: float = 20.0
    """Weight of tumour pixels in the loss `weighted`; other pixels weigh 1."""
    tumour_free_share: float = 0.0
    """Share of crops of slices without tumour; 0 is the paper."""
    rotation_degrees: float = 15.0
    """Augmentation: largest rotation."""
    flip: float = 0.5
    """Augmentation: share of crops flipped left to right."""
    scale: float = 0.0
    """Augmentation: largest relative change of size."""
    intensity: float = 0.0
    """Augmentation: largest relative change of each channel's brightness."""
    jitter: float = 0.0
    """Augmentation: boxes are moved and resized at random by up to this share of their sides."""
    warmup: int = 100
    """Batches over which the learning rate rises to its value."""
    joint_pool: int = 4096
    """Joint training: number of the agent's latest boxes from which batches are drawn."""
    start_at_share: bool = False
    """Start the last layer's bias at the log odds of the tumour's share of the first batch, not at
    0 (Lin 2017, focal loss, section 4.1): no steps are spent on learning that tumour is rare. False
    is the paper.
    """
    ema: float = 0.0
    """Weights are validated and kept as an exponential moving average with this factor; 0 turns it
    off.
    """
    validate_every: int = 1000
    """Steps between validations."""
    validation_slices: int = 300
    """Largest number of slices, evenly spaced."""
