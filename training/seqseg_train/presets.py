"""A preset's name in, every number a training run depends on out.

`paper` is section 4.2 as it stands, `demo` is small enough for two CPU cores and a few megabytes, `small` trains every system
of the paper's tables in minutes each, `micro` is for tests of the runtime, `tiny` for tests of the training. A system of
the tables is a base preset with its own networks (systems.py). Checkpoints and reports hold the preset as a dictionary.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, field, replace
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
class SegmenterConfig:
    """A network on crops: RANet (paper 3.2) or one that it is compared with (networks/, 4.4, 5).

    What `widths`, `decoder` and `blocks` mean is the network's own: `ranet` has the widths of full resolution, conv1,
    layer1, layer2 and layer3, and four decoder widths, shallowest first; `unet`, `attention_unet`, `ddnn` and `da_dsunet`
    have one width per level, full resolution first; `densenet` has the first convolution's. `blocks` counts the layers of
    each level, `growth` the channels that a layer of a dense block adds. `box` has no weights: its mask is the box.
    """

    encoder: Literal["resnet18", "resnet50", "resnet101", "small"] = "resnet50"
    crop: int = 256
    sampling_ratio: int = 2
    widths: tuple[int, ...] = (32, 64, 256, 512, 1024)
    decoder: tuple[int, ...] = (32, 64, 128, 256)
    lstm_hidden: int = 128
    regions: int = 8
    fused: int = 32
    cram: bool = True
    rram: bool = True
    rram_deep_first: bool = True
    context_factor: float = 1.5
    threshold: float = 0.5
    network: Literal["ranet", "unet", "densenet", "ddnn", "attention_unet", "da_dsunet", "mask_rcnn", "box"] = "ranet"
    # Squeeze-and-excitation in the places of the cRAM (unet).
    squeeze_excitation: bool = False
    blocks: tuple[int, ...] = ()
    growth: int = 0
    dropout: float = 0.0


# The name that checkpoints and callers knew while RANet was the only network.
RanetConfig = SegmenterConfig


@dataclass(frozen=True)
class ProposalConfig:
    """Faster R-CNN and Mask R-CNN with a feature pyramid (networks/rcnn.py), and their training on whole slices."""

    backbone: Literal["resnet18", "resnet50", "resnet101", "small"] = "resnet50"
    # conv1, layer1, layer2, layer3 of the small backbone; its pyramid stands on the last three.
    widths: tuple[int, ...] = ()
    # Side to which slices are resampled; a multiple of 32.
    image_size: int = 384
    pyramid: int = 256
    # One anchor side per pyramid level and the pooled one on top, in pixels of the resampled slice. Half of the pyramid
    # paper's (Lin 2017), whose images are about twice as wide.
    anchors: tuple[int, ...] = (16, 32, 64, 128, 256)
    head: int = 1024
    mask_head: tuple[int, ...] = (256, 256, 256, 256)
    pre_nms: int = 1000
    post_nms: int = 256
    rpn_batch: int = 256
    box_batch: int = 512
    box_nms: float = 0.5
    # Boxes per slice that the graph gives, and the score below which the runtime says no lesion.
    detections: int = 16
    score_threshold: float = 0.05
    steps: int = 20000
    batch: int = 8
    lr: float = 0.01
    momentum: float = 0.9
    weight_decay: float = 1e-4
    optimiser: Literal["sgd", "adam"] = "sgd"
    late_after: float = 0.7
    validate_every: int = 1000
    validation_slices: int = 300


@dataclass(frozen=True)
class VolumeConfig:
    """VoxResNet on the atlas box (networks/voxresnet.py), and its training on patches (Lin 2019)."""

    patch: tuple[int, int, int] = (32, 128, 128)
    spacing_mm: tuple[float, float, float] = (3.0, 1.0, 1.0)
    # Channels of the first two convolutions and of all others.
    widths: tuple[int, int] = (32, 64)
    overlap: float = 0.5
    mirror: bool = False
    threshold: float = 0.5
    context_factor: float = 1.0
    # The atlas box holds this share of the training set's target boxes whole, and a margin about them.
    atlas_share: float = 0.99
    atlas_margin_mm: float = 10.0
    steps: int = 20000
    batch: int = 2
    lr: float = 1e-3
    weight_decay: float = 1e-4
    # Share of patches that are centred on a tumour voxel along k; the others lie anywhere.
    tumour_share: float = 0.7
    # Weight of the auxiliary classifiers at the start; it falls to a thousandth of it.
    auxiliary: float = 1.0
    flip: float = 0.5
    scale: float = 0.1
    intensity: float = 0.1
    validate_every: int = 1000
    validation_patients: int = 40


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
    """A crop network on the boxes of the agent (paper 4.2.3), or on whole slices. A step is one batch."""

    steps: int = 60000
    agent_steps: int = 0
    batch: int = 16
    lr: float = 1e-3
    lr_late: float = 1e-4
    # Share of the steps after which the learning rate drops (25 of 50 epochs).
    late_after: float = 0.5
    weight_decay: float = 1e-4
    loss: Literal["dbw", "ce", "weighted", "dice", "dice_ce"] = "dbw"
    border_k: int = 10
    border_weight: float = 20.0
    # Weight of tumour pixels in the loss `weighted`; other pixels weigh 1.
    positive_weight: float = 20.0
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
class Baselines:
    """Sizes of the systems that the paper compares with (systems.py). The defaults are the cited papers' own."""

    # Side to which a whole slice is resampled, RANet's regions there, and the border of the DBW loss in its pixels.
    whole_crop: int = 384
    whole_regions: int = 8
    whole_border_k: int = 10
    unet: SegmenterConfig = SegmenterConfig(network="unet", widths=(64, 128, 256, 512, 1024))
    densenet: SegmenterConfig = SegmenterConfig(
        network="densenet", widths=(48,), blocks=(4, 5, 7, 10, 12, 15), growth=16, dropout=0.2
    )
    ddnn: SegmenterConfig = SegmenterConfig(network="ddnn", widths=(64, 128, 256, 512, 512), blocks=(2, 2, 3, 3, 3))
    attention_unet: SegmenterConfig = SegmenterConfig(network="attention_unet", widths=(64, 128, 256, 512, 1024))
    da_dsunet: SegmenterConfig = SegmenterConfig(
        network="da_dsunet", widths=(64, 128, 256, 512, 512), blocks=(4, 4, 4, 4, 4), growth=32
    )


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
    # The segmenter on crops, whatever network it names.
    ranet: SegmenterConfig = field(default_factory=SegmenterConfig)
    detector: DetectorTraining = field(default_factory=DetectorTraining)
    segmenter: SegmenterTraining = field(default_factory=SegmenterTraining)
    patients_train: int = 301
    patients_validation: int = 129
    patients_test: int = 166
    # Which kinds of detector and segmenter the bundle holds (docs/bundle.md).
    detector_kind: Literal["agent", "whole", "fixed", "proposals"] = "agent"
    segmenter_kind: Literal["crop", "volume"] = "crop"
    baselines: Baselines = field(default_factory=Baselines)
    proposals: ProposalConfig = field(default_factory=ProposalConfig)
    volume: VolumeConfig = field(default_factory=VolumeConfig)

    def to_dict(self) -> dict[str, Any]:
        """The preset as plain dictionaries and lists."""
        return asdict(self)


PAPER = Preset(name="paper", input=InputConfig(fit="stretch", scaling="dataset_max"))

# The widths of every U-Net-like network below are the U-Net's, so that a comparison compares forms and not sizes; the
# numbers of weights are printed by `python -m seqseg_train.systems`.
_SMALL_BASELINES = Baselines(
    whole_crop=96,
    whole_regions=6,
    whole_border_k=3,
    unet=SegmenterConfig(network="unet", widths=(8, 16, 32, 64, 96), lstm_hidden=64),
    densenet=SegmenterConfig(network="densenet", widths=(8,), blocks=(1, 2, 3, 6, 10), growth=8, dropout=0.1),
    ddnn=SegmenterConfig(network="ddnn", widths=(8, 16, 32, 64, 96), blocks=(2, 2, 2, 2, 2)),
    attention_unet=SegmenterConfig(network="attention_unet", widths=(8, 16, 32, 64, 96)),
    da_dsunet=SegmenterConfig(network="da_dsunet", widths=(8, 16, 32, 64, 96), blocks=(1, 1, 2, 2, 2), growth=8),
)

_SMALL_PROPOSALS = ProposalConfig(
    backbone="small", widths=(16, 24, 48, 96), image_size=192, pyramid=32, anchors=(12, 24, 48, 96), head=128,
    mask_head=(32, 32), pre_nms=200, post_nms=64, rpn_batch=64, box_batch=64, detections=8, steps=450, batch=8, lr=1e-3,
    optimiser="adam", validate_every=75, validation_slices=120,
)  # fmt: skip
_SMALL_VOLUME = VolumeConfig(
    patch=(16, 64, 64), spacing_mm=(6.0, 2.0, 2.0), widths=(8, 16), steps=450, batch=2, validate_every=75,
    validation_patients=12,
)  # fmt: skip

DEMO = Preset(
    name="demo",
    trunk=TrunkConfig(
        kind="small", crop=64, context=1.5, widths=(16, 32, 64, 128), blocks=(1, 1, 1), pool=4,
        project_hidden=(256,), mask=True, feature_size=128,
    ),
    ranet=SegmenterConfig(
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
    baselines=_SMALL_BASELINES,
    proposals=_SMALL_PROPOSALS,
    volume=_SMALL_VOLUME,
)

_TINY_BASELINES = Baselines(
    whole_crop=64,
    whole_regions=4,
    whole_border_k=2,
    unet=SegmenterConfig(network="unet", widths=(4, 6, 8, 10), lstm_hidden=8, regions=4),
    densenet=SegmenterConfig(network="densenet", widths=(6,), blocks=(1, 2, 2), growth=4, dropout=0.1),
    ddnn=SegmenterConfig(network="ddnn", widths=(4, 6, 8), blocks=(1, 1, 2)),
    attention_unet=SegmenterConfig(network="attention_unet", widths=(4, 6, 8, 10)),
    da_dsunet=SegmenterConfig(network="da_dsunet", widths=(4, 6, 8), blocks=(1, 2, 2), growth=4),
)
_TINY_PROPOSALS = ProposalConfig(
    backbone="small", widths=(8, 12, 16, 24), image_size=96, pyramid=16, anchors=(8, 16, 24, 32), head=32,
    mask_head=(8,), pre_nms=50, post_nms=16, rpn_batch=32, box_batch=16, detections=4, steps=8, batch=4, lr=2e-3,
    optimiser="adam", validate_every=4, validation_slices=20,
)  # fmt: skip
_TINY_VOLUME = VolumeConfig(
    patch=(8, 16, 16), spacing_mm=(6.0, 4.0, 4.0), widths=(4, 6), steps=6, batch=2, validate_every=3,
    validation_patients=2,
)  # fmt: skip

MICRO = Preset(
    name="micro",
    input=InputConfig(grid=96, pixel_mm=2.96),
    trunk=TrunkConfig(kind="small", crop=32, widths=(6, 8, 12, 16), blocks=(1, 1, 1), pool=2, feature_size=16),
    min_side=4.0,
    ranet=SegmenterConfig(
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
    baselines=_TINY_BASELINES,
    proposals=_TINY_PROPOSALS,
    volume=_TINY_VOLUME,
)

# A few CPU minutes per system: every table can be filled on two cores in an hour. Nothing is trained until it stops to gain.
SMALL = replace(
    DEMO,
    name="small",
    # The paper's exploration as it stands: what the prior would earn must not reach the agents that explore without it.
    detector=replace(
        DEMO.detector, schedule=Schedule(), auxiliary=0.0, auxiliary_floor=0.0, epochs=10, episodes_per_epoch=320,
        tumour_free_share=0.0, validate_every=1, validation_slices=120,
    ),  # fmt: skip
    # Slices with tumour alone, as in the paper.
    segmenter=replace(
        DEMO.segmenter, steps=450, agent_steps=150, tumour_free_share=0.0, validate_every=75, validation_slices=120
    ),
    patients_train=60,
    patients_validation=12,
    patients_test=24,
)

# For tests: seconds.
TINY = replace(
    MICRO,
    name="tiny",
    detector=replace(MICRO.detector, epochs=1, episodes_per_epoch=64, parallel=32, warmup=64, validation_slices=20),
    segmenter=replace(MICRO.segmenter, steps=8, agent_steps=4, batch=4, validate_every=4, validation_slices=20),
    patients_train=4,
    patients_validation=2,
    patients_test=2,
)

PRESETS: dict[str, Preset] = {p.name: p for p in (PAPER, DEMO, MICRO, SMALL, TINY)}
