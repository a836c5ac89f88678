"""The dual attention dense SegU-net (paper 5)."""

from __future__ import annotations

import itertools

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ..run.presets import SegmenterConfig
from .densenet import DenseBlock
from .resnet import conv_bn_relu

NEAR = 1e-4


def pool_with_places(x: Tensor) -> tuple[Tensor, Tensor]:
    """[N, C, H, W] -> 2x2 maxima [N, C, H / 2, W / 2] and which of the four each was, one-hot [N,
    C, 4, H / 2, W / 2].

    These are the indices of max_pool2d in operations that can be exported. If several of the four
    are within `NEAR` of the maximum, the first is taken: in a flat background the choice would
    otherwise depend on each runtime's rounding.
    """
    n, c, h, w = x.shape
    quads = F.pixel_unshuffle(x, 2).reshape(n, c, 4, h // 2, w // 2)
    value = quads.amax(dim=2, keepdim=True)
    near = (quads >= value - NEAR).to(x.dtype)
    return value.squeeze(2), near * (near.cumsum(2) < 1.5).to(x.dtype)


def unpool(x: Tensor, places: Tensor) -> Tensor:
    """[N, C, H, W] -> [N, C, 2 H, 2 W]: each value back at its maximum's place, 0 elsewhere."""
    n, c, h, w = x.shape
    return F.pixel_shuffle((x.unsqueeze(2) * places).reshape(n, 4 * c, h, w), 2)


class PositionAttention(nn.Module):
    """Every position weighs all positions by how alike they are (Fu 2019); queries and keys have an
    eighth of the channels.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        small = max(channels // 8, 1)
        self.query, self.key = nn.Conv2d(channels, small, 1), nn.Conv2d(channels, small, 1)
        self.value = nn.Conv2d(channels, channels, 1)
        self.gain = nn.Parameter(torch.zeros(1))

    def forward(self, x: Tensor) -> Tensor:
        query, key, value = (f(x).flatten(2) for f in (self.query, self.key, self.value))
        alike = torch.softmax(torch.matmul(query.transpose(1, 2), key), dim=-1)
        return x + self.gain * torch.matmul(value, alike.transpose(1, 2)).reshape(x.shape)


class ChannelLikeness(nn.Module):
    """Every channel weighs all channels by how alike they are (the channel attention of Fu
    2019).
    """

    def __init__(self) -> None:
        super().__init__()
        self.gain = nn.Parameter(torch.zeros(1))

    def forward(self, x: Tensor) -> Tensor:
        flat = x.flatten(2)
        energy = torch.matmul(flat, flat.transpose(1, 2))
        alike = torch.softmax(energy.amax(-1, keepdim=True) - energy, dim=-1)
        return x + self.gain * torch.matmul(alike, flat).reshape(x.shape)


class DualAttention(nn.Module):
    """Position and channel attention side by side, each between two convolutions, added (Fu
    2019).
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.position = nn.Sequential(
            conv_bn_relu(channels, channels),
            PositionAttention(channels),
            conv_bn_relu(channels, channels),
        )
        self.channel = nn.Sequential(
            conv_bn_relu(channels, channels), ChannelLikeness(), conv_bn_relu(channels, channels)
        )

    def forward(self, x: Tensor) -> Tensor:
        return self.position(x) + self.channel(x)


class DenseLevel(nn.Module):
    """A dense block, then a 1x1 convolution of its input and output to `outputs` channels."""

    def __init__(self, inputs: int, layers: int, growth: int, outputs: int, dropout: float) -> None:
        super().__init__()
        self.block = DenseBlock(inputs, layers, growth, dropout)
        self.join = conv_bn_relu(inputs + layers * growth, outputs, 1)

    def forward(self, x: Tensor) -> Tensor:
        return self.join(torch.cat([x, self.block(x)], dim=1))


class DADSUNet(nn.Module):
    """Crops [N, 3, C, C] -> logits [N, 1, C, C]; C must be a multiple of 2 ** (levels - 1).

    Tang et al.: DA-DSUnet: Dual attention-based dense SU-net for automatic head-and-neck tumor
    segmentation in MRI images, Neurocomputing 435:103 (2021). Its SegU-net, which DSU-net (Tang et
    al., arXiv 2006.06278) describes, is a U-Net whose decoder goes up by unpooling to the places of
    the encoder's maxima and joins the encoder's level; its levels are dense blocks; position and
    channel attention are those of Fu et al.: Dual Attention Network for Scene Segmentation, CVPR
    2019. It is trained with cross entropy plus Dice.

    Written from the papers' descriptions, not from code. Layers per block, growth and widths are
    our choice (the configuration's); so is the place of the dual attention at the bottom of the U,
    where comparing all positions with each other is affordable.
    """

    def __init__(self, config: SegmenterConfig) -> None:
        super().__init__()
        widths, blocks = config.widths, config.blocks
        self.first = conv_bn_relu(3, widths[0])
        inputs = (widths[0], *widths[:-1])
        self.down = nn.ModuleList(
            DenseLevel(a, layers, config.growth, b, config.dropout)
            for a, b, layers in zip(inputs, widths, blocks, strict=True)
        )
        self.attention = DualAttention(widths[-1])
        # Unpooling needs the channels of the level whose maxima it restores.
        self.narrow = nn.ModuleList(conv_bn_relu(b, a, 1) for a, b in itertools.pairwise(widths))
        self.up = nn.ModuleList(
            DenseLevel(2 * width, layers, config.growth, width, config.dropout)
            for width, layers in zip(widths[:-1], blocks[:-1], strict=True)
        )
        self.last = nn.Conv2d(widths[0], 1, 1)

    def forward(self, crops: Tensor) -> Tensor:
        x = self.first(crops)
        skips: list[tuple[Tensor, Tensor]] = []
        for i, level in enumerate(self.down):
            x = level(x)
            if i < len(self.down) - 1:
                skip = x
                x, places = pool_with_places(x)
                skips.append((skip, places))
        x = self.attention(x)
        for narrow, level, (skip, places) in zip(
            reversed(self.narrow), reversed(self.up), reversed(skips), strict=True
        ):
            x = level(torch.cat([skip, unpool(narrow(x), places)], dim=1))
        return self.last(x)
