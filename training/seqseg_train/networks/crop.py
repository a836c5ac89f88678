"""Slices [S, 3, H, W] and boxes [N, 4] in, crops [N, 3, C, C] out, inside the graph.

RoIAlign with half-pixel coordinates: crop pixel u is centred at x0 + (u + 0.5)(x1 - x0) / C in pixel edges.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torchvision.ops import roi_align


class RoiCrop(nn.Module):
    """The crop of a box, resampled to `size` x `size` with a fixed number of samples per pixel and side."""

    def __init__(self, size: int, sampling_ratio: int) -> None:
        super().__init__()
        self.size = size
        self.sampling_ratio = sampling_ratio

    def forward(self, images: Tensor, boxes: Tensor, image_index: Tensor) -> Tensor:
        """images [S, 3, H, W] float32, boxes [N, 4] float32 in pixel edges, image_index [N] int64."""
        rois = torch.cat([image_index.to(boxes.dtype).unsqueeze(1), boxes], dim=1)
        return roi_align(
            images, rois, (self.size, self.size), spatial_scale=1.0, sampling_ratio=self.sampling_ratio, aligned=True
        )
