"""RANet, the recurrent attention network (paper 3.2.1).

Levels are counted from the deepest: layer3, layer2, layer1, conv1, full resolution.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ..run.presets import SegmenterConfig
from .attention import ChannelAttention, RegionAttention
from .resnet import SmallEncoder, TorchvisionEncoder, conv_bn_relu


class DecoderLevel(nn.Module):
    """Bilinear x2, 3x3 convolution, concatenation with the attended skip, two (3x3 convolution, BN,
    ReLU).
    """

    def __init__(self, below: int, skip: int, outputs: int) -> None:
        super().__init__()
        self.up = nn.Conv2d(below, outputs, 3, padding=1)
        self.join = nn.Sequential(
            conv_bn_relu(outputs + skip, outputs), conv_bn_relu(outputs, outputs)
        )

    def forward(self, below: Tensor, skip: Tensor) -> Tensor:
        up = F.interpolate(
            below, size=(skip.shape[2], skip.shape[3]), mode="bilinear", align_corners=False
        )
        return self.join(torch.cat([self.up(up), skip], dim=1))


class RANet(nn.Module):
    """Crops [N, 3, C, C] -> logits [N, 1, C, C].

    The encoder's five levels pass the cRAM, deepest first. The decoder starts from the deepest
    attended level; its four levels pass the rRAM. Each attended level is projected to `fused`
    channels at full resolution and added to the projected global context (the average of the
    attended deepest level), which equals a 1x1 convolution of their concatenation; a last 3x3
    convolution gives the logit.
    """

    def __init__(self, config: SegmenterConfig, weights: str | None = None) -> None:
        super().__init__()
        full = config.widths[0]
        if config.encoder == "small":
            self.encoder: nn.Module = SmallEncoder(config.widths[1:])
        else:
            self.encoder = TorchvisionEncoder(config.encoder, weights)
        self.stem = nn.Sequential(conv_bn_relu(3, full), conv_bn_relu(full, full))
        c1, c2, c3, c4 = self.encoder.channels
        self.cram = (
            ChannelAttention((c4, c3, c2, c1, full), config.lstm_hidden) if config.cram else None
        )
        d0, d1, d2, d3 = config.decoder
        self.decoder = nn.ModuleList(
            DecoderLevel(below, skip, out)
            for below, skip, out in ((c4, c3, d3), (d3, c2, d2), (d2, c1, d1), (d1, full, d0))
        )
        self.rram = (
            RegionAttention((d3, d2, d1, d0), config.regions, config.rram_deep_first)
            if config.rram
            else None
        )
        self.fuse = nn.ModuleList(
            nn.Conv2d(d, config.fused, 1, bias=False) for d in (d3, d2, d1, d0)
        )
        self.context = nn.Linear(c4, config.fused)
        self.last = nn.Sequential(nn.ReLU(), nn.Conv2d(config.fused, 1, 3, padding=1))

    def forward(self, crops: Tensor) -> Tensor:
        conv1, layer1, layer2, layer3 = self.encoder(crops)
        levels = [layer3, layer2, layer1, conv1, self.stem(crops)]
        if self.cram is not None:
            levels = self.cram(levels)
        x, decoded = levels[0], []
        for level, skip in zip(self.decoder, levels[1:], strict=True):
            x = level(x, skip)
            decoded.append(x)
        if self.rram is not None:
            decoded = self.rram(decoded)
        fused = self.context(levels[0].mean((2, 3)))[:, :, None, None]
        size = (crops.shape[2], crops.shape[3])
        for project, x in zip(self.fuse, decoded, strict=True):
            fused = fused + F.interpolate(
                project(x), size=size, mode="bilinear", align_corners=False
            )
        return self.last(fused)
