"""The U-Net on which the attention modules are compared (paper 4.4.1), with and without them."""

from __future__ import annotations

import itertools

import torch
from torch import Tensor, nn
from torchvision.ops import SqueezeExcitation

from ..run.presets import SegmenterConfig
from .attention import ChannelAttention, RegionAttention
from .resnet import conv_bn_relu

# 64 channels squeezed by 16. Narrower networks keep as many: with a single hidden ReLU, its death
# would disable the block.
SQUEEZED = 4


def double_conv(inputs: int, outputs: int) -> nn.Sequential:
    """Two 3x3 convolutions."""
    return nn.Sequential(conv_bn_relu(inputs, outputs), conv_bn_relu(outputs, outputs))


class UNet(nn.Module):
    """Crops [N, 3, C, C] -> logits [N, 1, C, C]; C must be a multiple of 2 ** (levels - 1).

    Ronneberger, Fischer, Brox: U-Net: Convolutional Networks for Biomedical Image Segmentation,
    MICCAI 2015. Unlike there, convolutions are padded, so that the logits cover the crop, and
    normalised over the batch; there is no dropout.

    All attention modules work on the encoder's five levels, between encoder and decoder:
    `squeeze_excitation` (Hu 2018, reduction 16, at least 4) weighs each level's channels by that
    level alone, `cram` by that and all deeper levels. `rram` weighs each decoder level's regions,
    deepest first: the next level continues from the attended one, so the network stays a U-Net with
    one output.
    """

    def __init__(self, config: SegmenterConfig) -> None:
        super().__init__()
        widths = config.widths
        if config.cram and config.squeeze_excitation:
            raise ValueError("cram and squeeze_excitation use the same places. Choose one")
        if config.rram and not config.rram_deep_first:
            raise ValueError(
                "a U-Net attends its decoder levels deepest first: rram_deep_first must be true"
            )
        self.encoder = nn.ModuleList(
            double_conv(a, b) for a, b in zip((3, *widths), widths, strict=False)
        )
        self.pool = nn.MaxPool2d(2)
        deep_first = tuple(reversed(widths))
        self.cram = ChannelAttention(deep_first, config.lstm_hidden) if config.cram else None
        squeeze = (
            [SqueezeExcitation(c, max(c // 16, SQUEEZED)) for c in deep_first]
            if config.squeeze_excitation
            else []
        )
        self.squeeze = nn.ModuleList(squeeze)
        self.up = nn.ModuleList(
            nn.ConvTranspose2d(a, b, 2, 2) for a, b in itertools.pairwise(deep_first)
        )
        self.decoder = nn.ModuleList(double_conv(2 * b, b) for b in deep_first[1:])
        self.rram = RegionAttention(deep_first[1:], config.regions, True) if config.rram else None
        self.last = nn.Conv2d(widths[0], 1, 1)

    def forward(self, crops: Tensor) -> Tensor:
        x = crops
        levels: list[Tensor] = []
        for i, level in enumerate(self.encoder):
            x = level(self.pool(x) if i else x)
            levels.insert(0, x)
        if self.cram is not None:
            levels = self.cram(levels)
        elif self.squeeze:
            levels = [squeeze(x) for squeeze, x in zip(self.squeeze, levels, strict=True)]
        x, state = levels[0], None
        for i, (up, join, skip) in enumerate(zip(self.up, self.decoder, levels[1:], strict=True)):
            x = join(torch.cat([skip, up(x)], dim=1))
            if self.rram is not None:
                x, state = self.rram.attend(i, x, state)
        return self.last(x)
