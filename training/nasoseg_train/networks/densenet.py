"""The fully convolutional DenseNet (paper 4.4.3)."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from ..run.presets import SegmenterConfig


class DenseLayer(nn.Sequential):
    """Normalisation, ReLU, 3x3 convolution to `growth` channels, dropout."""

    def __init__(self, inputs: int, growth: int, dropout: float) -> None:
        super().__init__(
            nn.BatchNorm2d(inputs),
            nn.ReLU(),
            nn.Conv2d(inputs, growth, 3, padding=1),
            nn.Dropout2d(dropout),
        )


class DenseBlock(nn.Module):
    """Each layer sees the input and all earlier layers; returns what the layers added, [N, layers *
    growth, H, W].
    """

    def __init__(self, inputs: int, layers: int, growth: int, dropout: float) -> None:
        super().__init__()
        self.layers = nn.ModuleList(
            DenseLayer(inputs + i * growth, growth, dropout) for i in range(layers)
        )

    def forward(self, x: Tensor) -> Tensor:
        added: list[Tensor] = []
        for layer in self.layers:
            added.append(layer(torch.cat([x, *added], dim=1)))
        return torch.cat(added, dim=1)


class FCDenseNet(nn.Module):
    """Crops [N, 3, C, C] -> logits [N, 1, C, C]; C must be a multiple of 2 ** (blocks - 1).

    Jegou, Drozdzal, Vazquez, Romero, Bengio: The One Hundred Layers Tiramisu: Fully Convolutional
    DenseNets for Semantic Segmentation, CVPR workshops 2017. `blocks` are the dense blocks' layers
    on the way down and at the bottom; the way up mirrors them. (4, 5, 7, 10, 12, 15) with growth 16
    after 48 channels is FC-DenseNet103. Going up, only what a block added is upsampled, not its
    input.
    """

    def __init__(self, config: SegmenterConfig) -> None:
        super().__init__()
        growth, dropout = config.growth, config.dropout
        *down, bottom = config.blocks
        channels = config.widths[0]
        self.first = nn.Conv2d(3, channels, 3, padding=1)
        self.down, self.shrink = nn.ModuleList(), nn.ModuleList()
        skips: list[int] = []
        for layers in down:
            self.down.append(DenseBlock(channels, layers, growth, dropout))
            channels += layers * growth
            skips.append(channels)
            self.shrink.append(
                nn.Sequential(
                    nn.BatchNorm2d(channels),
                    nn.ReLU(),
                    nn.Conv2d(channels, channels, 1),
                    nn.Dropout2d(dropout),
                    nn.MaxPool2d(2),
                )
            )
        self.bottom = DenseBlock(channels, bottom, growth, dropout)
        self.grow, self.up = nn.ModuleList(), nn.ModuleList()
        added = bottom * growth
        for layers, skip in zip(reversed(down), reversed(skips), strict=True):
            self.grow.append(nn.ConvTranspose2d(added, added, 3, 2, 1, output_padding=1))
            self.up.append(DenseBlock(added + skip, layers, growth, dropout))
            channels, added = added + skip + layers * growth, layers * growth
        self.last = nn.Conv2d(channels, 1, 1)

    def forward(self, crops: Tensor) -> Tensor:
        x, skips = self.first(crops), []
        for block, shrink in zip(self.down, self.shrink, strict=True):
            x = torch.cat([x, block(x)], dim=1)
            skips.append(x)
            x = shrink(x)
        added = self.bottom(x)
        for grow, block in zip(self.grow, self.up, strict=True):
            x = torch.cat([grow(added), skips.pop()], dim=1)
            added = block(x)
        return self.last(torch.cat([x, added], dim=1))
