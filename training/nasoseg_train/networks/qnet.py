"""The agent's Q network: trunk and head (paper 3.1.2, 3.1.5)."""

from __future__ import annotations

import itertools

import torch
import torch.nn.functional as F
import torchvision
from torch import Tensor, nn

from ..geometry.boxes import N_ACTIONS
from ..run.presets import Preset, TrunkConfig
from .resnet import SmallEncoder
from .roi_crop import RoiCrop


class Trunk(nn.Module):
    """images [S, 3, H, W], boxes [N, 4], image_index [N] -> features [N, F].

    Kind `resnet50` is the paper's: a 224 crop, torchvision's ResNet-50 up to global average
    pooling, F = 2048. Kind `small` ends in a `pool` x `pool` map and linear layers, because a small
    network loses too much if positions are averaged away; with `mask` it also draws the tumour in
    the crop, C / 2 x C / 2, and the linear layers see that drawing, halved, and its maximum in
    every row and column, which shows where the tumour's box begins and ends.
    """

    def __init__(self, config: TrunkConfig, weights: str | None = None) -> None:
        super().__init__()
        self.crop = RoiCrop(config.crop, config.sampling_ratio, config.context)
        self.pool = config.pool
        self.mask: MaskHead | None = None
        if config.kind == "resnet50":
            net = torchvision.models.resnet50(weights=weights)
            self.body: nn.Module = nn.Sequential(*list(net.children())[:-2])
            channels = 2048
        else:
            self.body = SmallEncoder(config.widths, config.blocks)
            channels = config.widths[3]
            self.mask = MaskHead(config) if config.mask else None
        # Side of the drawing; a trunk without one has a single unused cell.
        self.drawn_side = config.crop // 2 if self.mask else 1
        flat = channels * config.pool**2
        if self.mask:
            flat += (self.drawn_side // 2) ** 2 + 2 * self.drawn_side
        self.project: nn.Module = nn.Identity()
        if config.pool > 1 or flat != config.feature_size:
            sizes = [flat, *config.project_hidden, config.feature_size]
            layers = [
                layer
                for a, b in itertools.pairwise(sizes)
                for layer in (nn.Linear(a, b), nn.ReLU())
            ]
            self.project = nn.Sequential(*layers)

    def embed_and_draw(self, crops: Tensor) -> tuple[Tensor, Tensor | None]:
        """Crops [N, 3, C, C] -> features [N, F] and mask logits [N, 1, C / 2, C / 2], None without
        a mask head.
        """
        levels = self.body(crops)
        last = levels[-1] if isinstance(levels, list) else levels
        x = last.mean((2, 3)) if self.pool == 1 else _pool(last, self.pool).flatten(1)
        if self.mask is None:
            return self.project(x), None
        drawn = self.mask(levels)
        p = torch.sigmoid(drawn)
        seen = [x, F.avg_pool2d(p, 2).flatten(1), p.amax(2).flatten(1), p.amax(3).flatten(1)]
        return self.project(torch.cat(seen, dim=1)), drawn

    def embed(self, crops: Tensor) -> Tensor:
        """Crops [N, 3, C, C] -> features [N, F]."""
        return self.embed_and_draw(crops)[0]

    def forward(self, images: Tensor, boxes: Tensor, image_index: Tensor) -> Tensor:
        return self.embed(self.crop(images, boxes, image_index))


class MaskHead(nn.Module):
    """conv1, layer1, layer2, layer3 of a small trunk -> mask logits [N, 1, C / 2, C / 2]."""

    def __init__(self, config: TrunkConfig, width: int = 24, fine: int = 8) -> None:
        super().__init__()
        self.lateral = nn.ModuleList(nn.Conv2d(c, width, 1) for c in config.widths[1:4])
        self.join = nn.Sequential(
            nn.ReLU(), nn.Conv2d(width, width, 3, padding=1), nn.ReLU(), nn.Conv2d(width, fine, 1)
        )
        self.fine = nn.Conv2d(config.widths[0], fine, 1)
        self.last = nn.Sequential(nn.ReLU(), nn.Conv2d(fine, 1, 3, padding=1))

    def forward(self, levels: list[Tensor]) -> Tensor:
        layer1, layer2, x = (
            lateral(level) for lateral, level in zip(self.lateral, levels[1:], strict=True)
        )
        x = layer1 + _up(layer2 + _up(x, layer2), layer1)
        fine = self.fine(levels[0])
        return self.last(fine + _up(self.join(x), fine))


def _up(x: Tensor, like: Tensor) -> Tensor:
    return F.interpolate(x, size=like.shape[2:], mode="bilinear", align_corners=False)


def _pool(x: Tensor, side: int) -> Tensor:
    """Average to side x side; a map whose side is not a multiple is returned unchanged."""
    kernel = x.shape[-1] // side
    return F.avg_pool2d(x, kernel) if kernel > 1 else x


class QHead(nn.Module):
    """global [N, F], local [N, F], history [N, h * A] -> q [N, A]; one fully connected layer unless
    `hidden` is given.
    """

    def __init__(self, feature_size: int, history: int, hidden: tuple[int, ...] = ()) -> None:
        super().__init__()
        sizes = [2 * feature_size + history * N_ACTIONS, *hidden]
        layers: list[nn.Module] = []
        for a, b in itertools.pairwise(sizes):
            layers += [nn.Linear(a, b), nn.ReLU()]
        self.layers = nn.Sequential(*layers, nn.Linear(sizes[-1], N_ACTIONS))

    def forward(self, global_: Tensor, local: Tensor, history: Tensor) -> Tensor:
        return self.layers(torch.cat([global_, local, history], dim=1))


class QNetwork(nn.Module):
    """Trunk and head: the network that is trained and that the target network copies."""

    def __init__(self, preset: Preset, weights: str | None = None) -> None:
        super().__init__()
        self.trunk = Trunk(preset.trunk, weights)
        self.head = QHead(preset.trunk.feature_size, preset.history, preset.head_hidden)
        self.history = preset.history

    def encode_history(self, past: Tensor) -> Tensor:
        """Past actions [N, h] int64, newest first, -1 for none -> one-hot [N, h * A],
        zero-padded.
        """
        return F.one_hot(past + 1, N_ACTIONS + 1)[..., 1:].flatten(1).float()
