"""The graph of a `crop` segmenter (docs/reference/bundle.md): a crop, then any crop network."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from ..run.presets import SegmenterConfig
from .da_dsunet import DADSUNet
from .ddnn import DDNN
from .densenet import FCDenseNet
from .ranet import RANet
from .roi_crop import RoiCrop
from .unet import UNet


class BoxFill(nn.Module):
    """Crops [N, 3, C, C] -> logits that say tumour everywhere: the segmenter of a bundle that only
    detects.

    Its mask is the box, so a detector can be run and measured alone.
    """

    LOGIT = 20.0

    def forward(self, crops: Tensor) -> Tensor:
        # The crop is used so that the graph keeps its inputs.
        return (crops[:, :1] * 0).add(self.LOGIT)


def attention_unet(config: SegmenterConfig) -> nn.Module:
    """MONAI's attention U-Net: Oktay et al.: Attention U-Net, arXiv 1804.03999 (2018), with one
    width per level.

    MONAI's form differs from the paper's in halving by strided convolutions instead of pooling, one
    convolution where the decoder joins a skip, and instance normalisation there.
    """
    # MONAI takes a second to import, and only this network needs it.
    from monai.networks.nets import AttentionUnet

    return AttentionUnet(
        2,
        3,
        1,
        channels=config.widths,
        strides=[2] * (len(config.widths) - 1),
        dropout=config.dropout,
    )


def crop_network(config: SegmenterConfig, weights: str | None = None) -> nn.Module:
    """The network that a configuration names: crops [N, 3, C, C] -> logits [N, 1, C, C]."""
    match config.network:
        case "ranet":
            return RANet(config, weights)
        case "unet":
            return UNet(config)
        case "densenet":
            return FCDenseNet(config)
        case "ddnn":
            return DDNN(config)
        case "attention_unet":
            return attention_unet(config)
        case "da_dsunet":
            return DADSUNet(config)
        case "box":
            return BoxFill()
    raise ValueError(
        f"{config.network} is not a network on crops; Mask R-CNN's masks come from networks.rcnn"
    )


def last_convolution(net: nn.Module) -> nn.Conv2d:
    """The convolution that gives the logits: the last one in the network."""
    last = [module for module in net.modules() if isinstance(module, nn.Conv2d)][-1]
    if last.out_channels != 1 or last.bias is None:
        raise ValueError(
            f"{type(net).__name__} does not end in a convolution to one logit, so start_at_share "
            "cannot be used"
        )
    return last


class Segmenter(nn.Module):
    """images [S, 3, H, W], boxes [N, 4] (already enlarged), image_index [N] -> probability [N, 1,
    C, C].
    """

    def __init__(self, config: SegmenterConfig, weights: str | None = None) -> None:
        super().__init__()
        self.crop = RoiCrop(config.crop, config.sampling_ratio)
        self.net = crop_network(config, weights)

    def forward(self, images: Tensor, boxes: Tensor, image_index: Tensor) -> Tensor:
        return torch.sigmoid(self.net(self.crop(images, boxes, image_index)))
