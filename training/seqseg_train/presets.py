"""A preset's name in, every number a training run depends on out.

`paper` is section 4.2 as it stands, `demo` is small enough for two CPU cores and a few megabytes, `micro` is for tests of
the runtime. Checkpoints and reports hold the preset as a dictionary.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import Any, Literal

from .exploration import Schedule


@dataclass(frozen=True)
class InputConfig:
    """How slices are prepared (docs/bundle.md, "input")."""

    grid: int = 384
    fit: Literal["mm", "pad", "stretch"] = "mm"
    pixel_mm: float = 0.74
    scaling: Literal["study_percentile", "dataset_max"] = "study_percentile"
    percentile: float = 99.5
    # The three channels' largest values in the training set, for dataset_max.
    dataset_max: tuple[float, float, float] = (0.0, 0.0, 0.0)


@dataclass(frozen=True)
class TrunkConfig:
    """The agent's convolutional trunk."""

    kind: Literal["resnet50", "small"] = "resnet50"
    crop: int = 224
    sampling_ratio: int = 2
    # How much more than the box the crop shows; 1 is the paper. The whole slice stays as it is.
    context: float = 1.0
    widths: tuple[int, ...] = ()
    blocks: tuple[int, ...] = ()
    # Side of the pooled map; 1 is global average pooling. Larger ones keep where a thing is, through one linear layer.
    pool: int = 1
    project_hidden: tuple[int, ...] = ()
    # Whether the trunk draws the tumour in the crop and its features see the drawing (kind small).
    mask: bool = False
    feature_size: int = 2048


@dataclass(frozen=True)
class RanetConfig:
    """RANet (paper 3.2). `widths` are full resolution, conv1, layer1, layer2, layer3."""

    encoder: Literal["resnet18", "resnet50", "resnet101", "small"] = "resnet50"
    crop: int = 256
    sampling_ratio: int = 2
    widths: tuple[int, int, int, int, int] = (32, 64, 256, 512, 1024)
    decoder: tuple[int, int, int, int] = (32, 64, 128, 256)
    lstm_hidden: int = 128
    regions: int = 8
    fused: int = 32
    cram: bool = True
    rram: bool = True
    rram_deep_first: bool = True
    context_factor: float = 1.5
    threshold: float = 0.5


@dataclass(frozen=True)
class DetectorTraining:
    """Deep Q-learning (paper 4.2.2)."""

    epochs: int = 50
    # Episodes per epoch; 0 is one on every training slice, tumour-free ones in the share below.
    episodes_per_epoch: int = 0
    tumour_free_share: float = 0.0
    parallel: int = 32
    decisions_per_update: int = 32
    batch: int = 128
    # Transitions of a batch that come from one episode and share the whole slice's features.
    per_episode: int = 1
    optimiser: Literal["sgd", "adam"] = "sgd"
    loss: Literal["l1", "huber"] = "l1"
    lr: float = 5e-4
    cosine: bool = False
    weight_decay: float = 4e-4
    momentum: float = 0.9
    gamma: float = 0.6
    replay: int = 16384
    warmup: int = 1024
    target_update: int = 1000
    double: bool = False
    # Run the trunk in bfloat16 where a gradient is taken; weights, head and validation stay float32.
    mixed_precision: bool = False
    # Weights of the auxiliary losses: the prior's returns for all actions (falls over the epochs, not below the floor's
    # share), and the trunk's drawing of the tumour. 0 is the paper.
    auxiliary: float = 0.0
    auxiliary_floor: float = 0.0
    auxiliary_mask: float = 0.0
    # Weights are validated and kept as an exponential moving average; 0 turns it off.
    ema: float = 0.0
    schedule: Schedule = field(default_factory=Schedule)
    literal_prior: bool = False
    # Augmentation: largest shift (pixels of a 384 grid), relative change of size, share flipped, intensity change.
    shift: float = 0.0
    scale: float = 0.0
    flip: float = 0.5
    intensity: float = 0.0
    validate_every: int = 1
    validation_slices: int = 400


@dataclass(frozen=True)
class SegmenterTraining:
    """RANet on the boxes of the agent (paper 4.2.3). A step is one batch."""

    steps: int = 60000
    agent_steps: int = 0
    batch: int = 16
    lr: float = 1e-3
    lr_late: float = 1e-4
    # Share of the steps after which the learning rate drops (25 of 50 epochs).
    late_after: float = 0.5
    weight_decay: float = 1e-4
    loss: Literal["dbw", "ce", "weighted", "dice"] = "dbw"
    border_k: int = 10
    border_weight: float = 20.0
    tumour_free_share: float = 0.0
    rotation_degrees: float = 15.0
    flip: float = 0.5
    scale: float = 0.0
    intensity: float = 0.0
    # Share of crops whose box is moved and resized at random by up to this part of its sides.
    jitter: float = 0.0
    ema: float = 0.0
    validate_every: int = 1000
    validation_slices: int = 300


@dataclass(frozen=True)
class Preset:
    """Everything a run depends on but its seed and data."""

    name: str
    input: InputConfig = field(default_factory=InputConfig)
    trunk: TrunkConfig = field(default_factory=TrunkConfig)
    head_hidden: tuple[int, ...] = ()
    history: int = 10
    max_steps: int = 15
    initial_share: float = 0.42
    min_side: float = 16.0
    ranet: RanetConfig = field(default_factory=RanetConfig)
    detector: DetectorTraining = field(default_factory=DetectorTraining)
    segmenter: SegmenterTraining = field(default_factory=SegmenterTraining)
    patients_train: int = 301
    patients_validation: int = 129
    patients_test: int = 166

    def to_dict(self) -> dict[str, Any]:
        """The preset as plain dictionaries and lists."""
        return asdict(self)


PAPER = Preset(name="paper", input=InputConfig(fit="stretch", scaling="dataset_max"))

DEMO = Preset(
    name="demo",
    trunk=TrunkConfig(
        kind="small", crop=64, context=1.5, widths=(16, 32, 64, 128), blocks=(1, 1, 1), pool=4,
        project_hidden=(256,), mask=True, feature_size=128,
    ),
    ranet=RanetConfig(
        encoder="small", crop=96, widths=(8, 16, 24, 40, 80), decoder=(8, 12, 20, 32), lstm_hidden=128, regions=6, fused=8
    ),
    detector=DetectorTraining(
        epochs=22,
        episodes_per_epoch=2000,
        tumour_free_share=0.2,
        parallel=64,
        decisions_per_update=24,
        batch=128,
        per_episode=4,
        optimiser="adam",
        loss="huber",
        lr=1e-3,
        cosine=True,
        weight_decay=1e-5,
        target_update=200,
        schedule=Schedule(priori_min=0.2),
        auxiliary=1.0,
        auxiliary_floor=0.3,
        auxiliary_mask=2.0,
        ema=0.998,
        mixed_precision=True,
        shift=24.0,
        scale=0.12,
        intensity=0.1,
        validate_every=2,
        validation_slices=240,
    ),
    segmenter=SegmenterTraining(
        steps=9000,
        agent_steps=3000,
        late_after=0.7,
        border_k=4,
        tumour_free_share=0.45,
        scale=0.1,
        intensity=0.1,
        jitter=0.15,
        ema=0.995,
        validate_every=500,
    ),
    patients_train=200,
    patients_validation=20,
    patients_test=104,
)

MICRO = Preset(
    name="micro",
    input=InputConfig(grid=96, pixel_mm=2.96),
    trunk=TrunkConfig(kind="small", crop=32, widths=(6, 8, 12, 16), blocks=(1, 1, 1), pool=2, feature_size=16),
    min_side=4.0,
    ranet=RanetConfig(
        encoder="small", crop=32, widths=(4, 6, 8, 10, 12), decoder=(4, 6, 8, 8), lstm_hidden=8, regions=4, fused=4
    ),
    detector=DetectorTraining(
        epochs=12,
        episodes_per_epoch=512,
        tumour_free_share=0.2,
        parallel=64,
        batch=64,
        optimiser="adam",
        loss="huber",
        lr=2e-3,
        cosine=True,
        weight_decay=1e-5,
        target_update=200,
        ema=0.99,
        shift=24.0,
        scale=0.1,
        validate_every=4,
        validation_slices=200,
    ),
    segmenter=SegmenterTraining(
        steps=500,
        agent_steps=200,
        border_k=2,
        tumour_free_share=0.3,
        jitter=0.15,
        ema=0.99,
        validate_every=350,
        validation_slices=100,
    ),
    patients_train=60,
    patients_validation=12,
    patients_test=10,
)

PRESETS: dict[str, Preset] = {p.name: p for p in (PAPER, DEMO, MICRO)}
