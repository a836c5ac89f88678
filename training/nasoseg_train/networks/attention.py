"""The two recurrent attention modules over a network's levels (paper 3.2.2, 3.2.3)."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn


class ChannelAttention(nn.Module):
    """cRAM: an LSTM runs over the levels, deepest first, and weighs each level's channels.

    Per level: global average pooling -> 1x1 convolution to `hidden` -> LSTM (2 layers, state
    carried from level to level) -> 1x1 convolution to C_i -> sigmoid. Convolutions of a 1 x 1 map
    are written as linear layers.
    """

    def __init__(self, channels: tuple[int, ...], hidden: int) -> None:
        super().__init__()
        self.squeeze = nn.ModuleList(nn.Linear(c, hidden) for c in channels)
        self.lstm = nn.LSTM(hidden, hidden, num_layers=2)
        self.expand = nn.ModuleList(nn.Linear(hidden, c) for c in channels)

    def forward(self, levels: list[Tensor]) -> list[Tensor]:
        """Levels [N, C_i, H_i, W_i], deepest first -> the same, scaled (eq. 2)."""
        v = torch.stack(
            [squeeze(x.mean((2, 3))) for squeeze, x in zip(self.squeeze, levels, strict=True)]
        )
        out, _ = self.lstm(v)
        weights = [torch.sigmoid(expand(out[i])) for i, expand in enumerate(self.expand)]
        return [x * w[:, :, None, None] for x, w in zip(levels, weights, strict=True)]


class RegionAttention(nn.Module):
    """rRAM: an LSTM runs over the decoder's levels and weighs each level's regions.

    Per level: average pooling to S x S (S must divide the map) -> 1x1 convolution to one channel ->
    LSTM of S * S -> 1 x S x S -> bilinear up -> 3x3 convolution -> sigmoid (eq. 3). `deep_first`
    false starts with the shallowest level.
    """

    def __init__(self, channels: tuple[int, ...], regions: int, deep_first: bool) -> None:
        super().__init__()
        self.regions = regions
        self.deep_first = deep_first
        self.squeeze = nn.ModuleList(nn.Conv2d(c, 1, 1) for c in channels)
        self.lstm = nn.LSTM(regions**2, regions**2)
        self.smooth = nn.ModuleList(nn.Conv2d(1, 1, 3, padding=1) for _ in channels)

    def forward(self, levels: list[Tensor]) -> list[Tensor]:
        """Levels [N, C_i, H_i, W_i], deepest first -> the same, scaled."""
        v = [self._pooled(i, x) for i, x in enumerate(levels)]
        if not self.deep_first:
            v.reverse()
        out, _ = self.lstm(torch.stack(v))
        maps = [out[i] for i in range(len(levels))]
        if not self.deep_first:
            maps.reverse()
        return [self._scaled(i, x, a) for i, (x, a) in enumerate(zip(levels, maps, strict=True))]

    def attend(
        self, i: int, x: Tensor, state: tuple[Tensor, Tensor] | None
    ) -> tuple[Tensor, tuple[Tensor, Tensor]]:
        """One step of the LSTM, for decoders that continue from attended levels: level i, scaled,
        and the LSTM's state.
        """
        out, state = self.lstm(self._pooled(i, x).unsqueeze(0), state)
        return self._scaled(i, x, out[0]), state

    def _pooled(self, i: int, x: Tensor) -> Tensor:
        """Level i -> its regions [N, S * S]."""
        s = self.regions
        if x.shape[-1] % s:
            raise ValueError(f"{s} x {s} regions do not divide a map of {x.shape[-1]}")
        kernel = x.shape[-1] // s
        pooled = F.avg_pool2d(x, kernel) if kernel > 1 else x
        return self.squeeze[i](pooled).flatten(1)

    def _scaled(self, i: int, x: Tensor, a: Tensor) -> Tensor:
        """Level i times the attention that the LSTM gave for its regions."""
        a = a.reshape(a.shape[0], 1, self.regions, self.regions)
        a = F.interpolate(a, size=(x.shape[2], x.shape[3]), mode="bilinear", align_corners=False)
        return x * torch.sigmoid(self.smooth[i](a))
