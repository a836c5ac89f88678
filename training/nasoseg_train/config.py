"""The typed settings of a training run: every number that it depends on, with its meaning and unit.

`presets` gives them values; the command line, a file of settings and a run's config.json know the
same names (settings.py).
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import Any, Literal

from .exploration import Schedule
from .reward import Thresholds


@dataclass(frozen=True)
class InputConfig:
    """How slices are prepared (docs/bundle.md, "input")."""

    grid: int = 384
    """Side of the square grid, pixels."""
    fit: Literal["mm", "pad", "stretch"] = "mm"
    """How a slice is laid on the grid: mm (a fixed pixel size), pad (to a square in mm) or stretch
    (the paper).
    """
    pixel_mm: float = 0.74
    """Pixel of the grid, mm, for fit mm."""
    scaling: Literal["study_percentile", "dataset_max"] = "study_percentile"
    """What a channel is divided by: a percentile of the study's own voxels above 0, or the training
    set's largest value (the paper).
    """
    percentile: float = 99.5
    """For study_percentile."""
    dataset_max: tuple[float, float, float] = (0.0, 0.0, 0.0)
    """For dataset_max: the three channels' largest values in the training set; zeros are filled in
    from the data set.
    """


@dataclass(frozen=True)
class TrunkConfig:
    """The agent's convolutional trunk."""

    kind: Literal["resnet50", "small"] = "resnet50"
    """The paper's ResNet-50, or a small network of the same levels."""
    crop: int = 224
    """Side to which the slice and the box are resampled, pixels."""
    sampling_ratio: int = 2
    """RoIAlign's samples per crop pixel and side."""
    context: float = 1.0
    """How much more than the box the crop shows; 1 is the paper. The whole slice stays as it is."""
    widths: tuple[int, ...] = ()
    """Channels of conv1, layer1, layer2, layer3 (kind small)."""
    blocks: tuple[int, ...] = ()
    """Residual blocks of layer1, layer2, layer3 (kind small)."""
    pool: int = 1
    """Side of the pooled map; 1 is global average pooling. Larger ones keep where a thing is,
    through linear layers.
    """
    project_hidden: tuple[int, ...] = ()
    """Hidden sizes of those linear layers."""
    mask: bool = False
    """Whether the trunk draws the tumour in the crop and its features see the drawing (kind small).
    """
    feature_size: int = 2048
    """Length of a feature vector."""


@dataclass(frozen=True)
class SegmenterConfig:
    """A network on crops: RANet (paper 3.2) or one that it is compared with (networks/, 4.4, 5).

    What `widths`, `decoder` and `blocks` mean is the network's own: `ranet` has the widths of full
    resolution, conv1, layer1, layer2 and layer3, and four decoder widths, shallowest first; `unet`,
    `attention_unet`, `ddnn` and `da_dsunet` have one width per level, full resolution first;
    `densenet` has the first convolution's. `blocks` counts the layers of each level, `growth` the
    channels that a layer of a dense block adds. `box` has no weights: its mask is the box.
    """

    encoder: Literal["resnet18", "resnet50", "resnet101", "small"] = "resnet50"
    """RANet's encoder."""
    crop: int = 256
    """Side of the crop, and of the probability, pixels."""
    sampling_ratio: int = 2
    """RoIAlign's samples per crop pixel and side."""
    widths: tuple[int, ...] = (32, 64, 256, 512, 1024)
    """Channels of the levels, as the class says."""
    decoder: tuple[int, ...] = (32, 64, 128, 256)
    """Channels of RANet's four decoder levels, shallowest first."""
    lstm_hidden: int = 128
    """Hidden size of the cRAM's LSTM."""
    regions: int = 8
    """S: the rRAM pools to S x S regions; must divide the maps."""
    fused: int = 32
    """Channels in which RANet's attended levels are added up."""
    cram: bool = True
    """Channel attention (3.2.2)."""
    rram: bool = True
    """Region attention (3.2.3)."""
    rram_deep_first: bool = True
    """The rRAM's order: deepest level first, or shallowest as the paper's text has it."""
    context_factor: float = 1.5
    """How much larger than the detector's box the crop is (4.2.3); 1 for detector kind whole."""
    threshold: float = 0.5
    """Probability from which a pixel belongs to the mask."""
    network: Literal[
        "ranet", "unet", "densenet", "ddnn", "attention_unet", "da_dsunet", "mask_rcnn", "box"
    ] = "ranet"
    """Which network."""
    squeeze_excitation: bool = False
    """Squeeze-and-excitation in the places of the cRAM (unet)."""
    blocks: tuple[int, ...] = ()
    """Layers of each level."""
    growth: int = 0
    """Channels that a layer of a dense block adds."""
    dropout: float = 0.0
    """Share of channels dropped in dense blocks."""


@dataclass(frozen=True)
class ProposalConfig:
    """Faster R-CNN and Mask R-CNN with a feature pyramid (networks/rcnn.py), and their training on
    whole slices.
    """

    backbone: Literal["resnet18", "resnet50", "resnet101", "small"] = "resnet50"
    """torchvision's ResNet, or a small one."""
    widths: tuple[int, ...] = ()
    """conv1, layer1, layer2, layer3 of the small backbone; its pyramid stands on the last three."""
    image_size: int = 384
    """Side to which slices are resampled, pixels; a multiple of 32."""
    pyramid: int = 256
    """Channels of the feature pyramid."""
    anchors: tuple[int, ...] = (16, 32, 64, 128, 256)
    """One anchor side per pyramid level and the pooled one on top, in pixels of the resampled
    slice. Half of the pyramid paper's (Lin 2017), whose images are about twice as wide.
    """
    head: int = 1024
    """Size of the box head's two linear layers."""
    mask_head: tuple[int, ...] = (256, 256, 256, 256)
    """Channels of Mask R-CNN's mask head."""
    pre_nms: int = 1000
    """Proposals per level before suppression."""
    post_nms: int = 256
    """Proposals per slice after it."""
    rpn_batch: int = 256
    """Anchors per slice in the proposal network's loss."""
    box_batch: int = 512
    """Proposals per slice in the box head's loss."""
    box_nms: float = 0.5
    """IoU above which the lower of two boxes is dropped."""
    detections: int = 16
    """Boxes per slice that the graph gives."""
    score_threshold: float = 0.05
    """Score below which the runtime says no lesion."""
    steps: int = 20000
    """Batches in all."""
    batch: int = 8
    """Slices of a batch."""
    lr: float = 0.01
    """Learning rate."""
    warmup: int = 100
    """Batches over which the learning rate rises to its value."""
    momentum: float = 0.9
    """Of SGD."""
    weight_decay: float = 1e-4
    """L2 regularisation."""
    optimiser: Literal["sgd", "adam"] = "sgd"
    """SGD (torchvision's recipe) or Adam."""
    late_after: float = 0.7
    """Share of the steps after which the learning rate falls to a tenth."""
    validate_every: int = 1000
    """Steps between validations."""
    validation_slices: int = 300
    """At most so many slices, evenly spaced."""


@dataclass(frozen=True)
class VolumeConfig:
    """VoxResNet on the atlas box (networks/voxresnet.py), and its training on patches (Lin 2019)."""

    patch: tuple[int, int, int] = (32, 128, 128)
    """Voxels of a patch (k, j, i)."""
    spacing_mm: tuple[float, float, float] = (3.0, 1.0, 1.0)
    """Voxel size at which the network sees the patient (k, j, i), mm."""
    widths: tuple[int, int] = (32, 64)
    """Channels of the first two convolutions and of all others."""
    overlap: float = 0.5
    """Share of a patch that the next one overlaps."""
    mirror: bool = False
    """Average over the 8 flips of a patch, in the runtime too."""
    threshold: float = 0.5
    """Probability from which a voxel belongs to the mask."""
    context_factor: float = 1.0
    """How much larger than the atlas box the region is."""
    atlas_share: float = 0.99
    """The atlas box holds this share of the training set's target boxes whole."""
    atlas_margin_mm: float = 10.0
    """Margin about them, mm."""
    steps: int = 20000
    """Batches in all."""
    batch: int = 2
    """Patches of a batch."""
    lr: float = 1e-3
    """Learning rate."""
    weight_decay: float = 1e-4
    """L2 regularisation."""
    tumour_share: float = 0.7
    """Share of patches that are centred on a tumour voxel along k; the others lie anywhere."""
    auxiliary: float = 1.0
    """Weight of the auxiliary classifiers at the start; it falls to a thousandth of it."""
    flip: float = 0.5
    """Share of patches flipped left to right."""
    scale: float = 0.1
    """Largest relative change of size."""
    intensity: float = 0.1
    """Largest relative change of each channel's brightness."""
    validate_every: int = 1000
    """Steps between validations."""
    validation_patients: int = 40
    """At most so many patients."""


@dataclass(frozen=True)
class DetectorTraining:
    """Deep Q-learning (paper 4.2.2)."""

    epochs: int = 50
    """Epochs in all."""
    episodes_per_epoch: int = 0
    """Episodes of an epoch; 0 is one on every training slice, tumour-free ones in their share."""
    tumour_free_share: float = 0.0
    """Share of episodes on slices without tumour; 0 is the paper."""
    parallel: int = 32
    """Episodes in step."""
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
    """Let the learning rate fall to 0 over the epochs along a cosine."""
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
    """Run the trunk in bfloat16 where a gradient is taken; weights, head and validation stay
    float32.
    """
    auxiliary: float = 0.0
    """Weight of the loss that draws all Q values towards what the prior would earn; falls over the
    epochs. 0 is the paper.
    """
    auxiliary_floor: float = 0.0
    """Share of that weight that stays at the end."""
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
    """The checkpoint's score counts the recall of a box so much larger than the agent's: what a
    segmenter behind it will see. Agents that are compared must be chosen with the same.
    """
    validate_every: int = 1
    """Epochs between validations."""
    validation_slices: int = 400
    """At most so many slices, evenly spaced."""


@dataclass(frozen=True)
class SegmenterTraining:
    """A crop network on the boxes of the agent (paper 4.2.3), or on whole slices. A step is one
    batch.
    """

    steps: int = 60000
    """Batches in all."""
    agent_steps: int = 0
    """The last so many of them are on the trained agent's boxes, the first on the exploring
    policy's; 0 with an agent: all on the agent's.
    """
    batch: int = 16
    """Crops of a batch."""
    lr: float = 1e-3
    """Learning rate."""
    lr_late: float = 1e-4
    """Learning rate later on."""
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
    """Augmentation: boxes are moved and resized at random by up to this part of their sides."""
    warmup: int = 100
    """Batches over which the learning rate rises to its value."""
    joint_pool: int = 4096
    """Joint training: how many of the agent's latest boxes batches are drawn from."""
    start_at_share: bool = False
    """Start the last layer's bias at the log odds of the tumour's share of the first batch, not at
    0 (Lin 2017, focal loss, section 4.1): the first hundred steps are not spent on learning that
    tumour is rare. False is the paper.
    """
    ema: float = 0.0
    """Weights are validated and kept as an exponential moving average with this factor; 0 turns it
    off.
    """
    validate_every: int = 1000
    """Steps between validations."""
    validation_slices: int = 300
    """At most so many slices, evenly spaced."""


@dataclass(frozen=True)
class Baselines:
    """Sizes of the systems that the paper compares with (systems.py). The defaults are the cited
    papers' own.
    """

    whole_crop: int = 384
    """Side to which a whole slice is resampled, pixels."""
    whole_regions: int = 8
    """RANet's regions there."""
    whole_border_k: int = 10
    """DBW's k there."""
    unet: SegmenterConfig = SegmenterConfig(network="unet", widths=(64, 128, 256, 512, 1024))
    """U-Net (Ronneberger 2015)."""
    densenet: SegmenterConfig = SegmenterConfig(
        network="densenet", widths=(48,), blocks=(4, 5, 7, 10, 12, 15), growth=16, dropout=0.2
    )
    """Fully convolutional DenseNet (Jegou 2017)."""
    ddnn: SegmenterConfig = SegmenterConfig(
        network="ddnn", widths=(64, 128, 256, 512, 512), blocks=(2, 2, 3, 3, 3)
    )
    """Deep deconvolutional network (Men 2017)."""
    attention_unet: SegmenterConfig = SegmenterConfig(
        network="attention_unet", widths=(64, 128, 256, 512, 1024)
    )
    """Attention U-Net (Oktay 2018)."""
    da_dsunet: SegmenterConfig = SegmenterConfig(
        network="da_dsunet", widths=(64, 128, 256, 512, 512), blocks=(4, 4, 4, 4, 4), growth=32
    )
    """DA-DSUnet (Tang 2021)."""


@dataclass(frozen=True)
class Preset:
    """Everything a run depends on but its seed and data."""

    name: str
    """Shown in reports."""
    input: InputConfig = field(default_factory=InputConfig)
    """How slices are prepared."""
    trunk: TrunkConfig = field(default_factory=TrunkConfig)
    """The agent's trunk."""
    head_hidden: tuple[int, ...] = ()
    """Hidden layers of the Q head; none is the paper's one fully connected layer."""
    history: int = 10
    """h: past actions in the state."""
    max_steps: int = 15
    """Largest number of actions, the terminal one included."""
    initial_share: float = 0.42
    """Sides of the initial box as a share of the slice's."""
    min_side: float = 16.0
    """Shortest side of a box, pixels of the grid."""
    thresholds: Thresholds = field(default_factory=Thresholds)
    """Of Algorithm 1's reward and Algorithm 2's prior. Evaluations count rewarded stops by the
    paper's, whatever stands here.
    """
    tumour_free_per_patient: int = 6
    """Slices without tumour that are kept of each training and validation patient, where a loop
    asks for any.
    """
    ranet: SegmenterConfig = field(default_factory=SegmenterConfig)
    """The segmenter on crops, whatever network it names."""
    detector: DetectorTraining = field(default_factory=DetectorTraining)
    """Deep Q-learning."""
    segmenter: SegmenterTraining = field(default_factory=SegmenterTraining)
    """Training of the segmenter on crops."""
    patients_train: int = 301
    """Synthetic patients, where the preset makes its own."""
    patients_validation: int = 129
    """The same for choosing checkpoints."""
    patients_test: int = 166
    """The same for the report."""
    detector_kind: Literal["agent", "whole", "fixed", "proposals"] = "agent"
    """Detector of the bundle (docs/bundle.md)."""
    segmenter_kind: Literal["crop", "volume"] = "crop"
    """Segmenter of the bundle (docs/bundle.md)."""
    baselines: Baselines = field(default_factory=Baselines)
    """Networks of the systems that the paper compares with."""
    proposals: ProposalConfig = field(default_factory=ProposalConfig)
    """Faster R-CNN and Mask R-CNN."""
    volume: VolumeConfig = field(default_factory=VolumeConfig)
    """VoxResNet on the atlas box."""

    def to_dict(self) -> dict[str, Any]:
        """The preset as plain dictionaries and lists."""
        return asdict(self)
