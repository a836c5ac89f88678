"""The settings of the networks, and of the training of those that are not on crops."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal


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
    """Side of the crop as a multiple of the box's; 1 is the paper. The whole slice is not enlarged.
    """
    widths: tuple[int, ...] = ()
    """Channels of conv1, layer1, layer2, layer3 (kind small)."""
    blocks: tuple[int, ...] = ()
    """Residual blocks of layer1, layer2, layer3 (kind small)."""
    pool: int = 1
    """Side of the pooled map; 1 is global average pooling. Larger maps keep positions, through
    linear layers.
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

    `widths`, `decoder` and `blocks` depend on the network: `ranet` has the widths of full
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
    """Channels of the levels, as described for the class."""
    decoder: tuple[int, ...] = (32, 64, 128, 256)
    """Channels of RANet's four decoder levels, shallowest first."""
    lstm_hidden: int = 128
    """Hidden size of the cRAM's LSTM."""
    regions: int = 8
    """S: the rRAM pools to S x S regions; S must divide the side of the maps."""
    fused: int = 32
    """Channels to which RANet's attended levels are projected before they are added."""
    cram: bool = True
    """Channel attention (3.2.2)."""
    rram: bool = True
    """Region attention (3.2.3)."""
    rram_deep_first: bool = True
    """The rRAM's order: deepest level first, or shallowest first as in the paper's text."""
    context_factor: float = 1.5
    """How much larger than the detector's box the crop is (4.2.3); 1 for detector kind whole."""
    threshold: float = 0.5
    """Probability from which a pixel belongs to the mask."""
    network: Literal[
        "ranet", "unet", "densenet", "ddnn", "attention_unet", "da_dsunet", "mask_rcnn", "box"
    ] = "ranet"
    """The network on crops."""
    squeeze_excitation: bool = False
    """Squeeze-and-excitation in place of the cRAM (unet)."""
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
    """conv1, layer1, layer2, layer3 of the small backbone; its pyramid uses the last three."""
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
    """Number of batches."""
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
    """Largest number of slices, evenly spaced."""


@dataclass(frozen=True)
class VolumeConfig:
    """VoxResNet on the atlas box (networks/voxresnet.py), and its training on patches (Lin
    2019).
    """

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
    """Side of the region as a multiple of the atlas box's."""
    atlas_share: float = 0.99
    """Share of the training set's target boxes that the atlas box contains entirely."""
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
    """Share of patches that are centred on a tumour voxel along k; the others are anywhere."""
    auxiliary: float = 1.0
    """Weight of the auxiliary classifiers at the start; it falls to a thousandth."""
    flip: float = 0.5
    """Share of patches flipped left to right."""
    scale: float = 0.1
    """Largest relative change of size."""
    intensity: float = 0.1
    """Largest relative change of each channel's brightness."""
    validate_every: int = 1000
    """Steps between validations."""
    validation_patients: int = 40
    """Largest number of patients."""
