"""VoxResNet, the 3D network on the atlas box (paper 5, Lin 2019)."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from ..run.presets import VolumeConfig


class VoxRes(nn.Module):
    """Two times (normalisation, ReLU, convolution), 1x3x3 then 3x3x3, added to the input."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.body = nn.Sequential(
            nn.BatchNorm3d(channels),
            nn.ReLU(),
            nn.Conv3d(channels, channels, (1, 3, 3), padding=(0, 1, 1)),
            nn.BatchNorm3d(channels),
            nn.ReLU(),
            nn.Conv3d(channels, channels, 3, padding=1),
        )

    def forward(self, x: Tensor) -> Tensor:
        return x + self.body(x)


def _halve(inputs: int, outputs: int) -> nn.Sequential:
    return nn.Sequential(nn.BatchNorm3d(inputs), nn.ReLU(), nn.Conv3d(inputs, outputs, 3, 2, 1))


class VoxResNet(nn.Module):
    """Patches [N, 3, D, H, W] -> logits [N, 1, D, H, W]; each side must be a multiple of 8.

    Chen, Dou, Yu, Qin, Heng: VoxResNet: Deep voxelwise residual networks for brain segmentation
    from 3D MR images, NeuroImage 170 (2018), which Lin et al.: Deep Learning for Automated
    Contouring of Primary Tumor Volumes by MRI for Nasopharyngeal Carcinoma, Radiology 291 (2019)
    build on. Six residual modules, three halvings by stride; each of the four resolutions is
    upsampled to full resolution by a deconvolution and classified (`every`, for deep supervision);
    the output is the sum of the four. A deconvolution's kernel is two larger than its stride, which
    the paper leaves open.
    """

    def __init__(self, config: VolumeConfig) -> None:
        super().__init__()
        first, width = config.widths
        if any(side % 8 for side in config.patch):
            raise ValueError(
                f"found patch {config.patch}, expected every side to be a multiple of 8. Choose "
                f"{tuple(-(-side // 8) * 8 for side in config.patch)}"
            )
        self.levels = nn.ModuleList(
            [
                nn.Sequential(
                    nn.Conv3d(3, first, 3, padding=1),
                    nn.BatchNorm3d(first),
                    nn.ReLU(),
                    nn.Conv3d(first, first, 3, padding=1),
                ),
                nn.Sequential(_halve(first, width), VoxRes(width), VoxRes(width)),
                nn.Sequential(_halve(width, width), VoxRes(width), VoxRes(width)),
                nn.Sequential(_halve(width, width), VoxRes(width), VoxRes(width)),
            ]
        )
        self.grow = nn.ModuleList([nn.Conv3d(first, first, 3, padding=1)])
        self.grow.extend(nn.ConvTranspose3d(width, width, 2**i + 2, 2**i, 1) for i in (1, 2, 3))
        self.classify = nn.ModuleList(
            nn.Sequential(nn.BatchNorm3d(c), nn.ReLU(), nn.Conv3d(c, 1, 1))
            for c in (first, width, width, width)
        )

    def every(self, patches: Tensor) -> list[Tensor]:
        """The logits of the four resolutions, finest first, each [N, 1, D, H, W]."""
        x, out = patches, []
        for level, grow, classify in zip(self.levels, self.grow, self.classify, strict=True):
            x = level(x)
            out.append(classify(grow(x)))
        return out

    def forward(self, patches: Tensor) -> Tensor:
        return torch.stack(self.every(patches)).sum(0)


class VolumeSegmenter(nn.Module):
    """volume [N, 3, D, H, W] -> probability [N, 1, D, H, W]: the graph of a `volume` segmenter
    (docs/reference/bundle.md).
    """

    def __init__(self, config: VolumeConfig) -> None:
        super().__init__()
        self.net = VoxResNet(config)

    def forward(self, volume: Tensor) -> Tensor:
        return torch.sigmoid(self.net(volume))
