"""Crops [N, 3, C, C] of slices [S, 3, H, W] at boxes [N, 4], as part of the graph.

RoIAlign with half-pixel coordinates: crop pixel u is centred at x0 + (u + 0.5)(x1 - x0) / C in
pixel edges.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torchvision.ops import roi_align


class RoiCrop(nn.Module):
    """The crop of a box, resampled to `size` x `size` with a fixed number of samples per pixel and
    side.

    With `context` above 1 the crop shows a box enlarged by that factor (0 outside the slice), so
    that the box's own edges are always at the same crop pixels. The whole-slice box is not
    enlarged.
    """

    def __init__(self, size: int, sampling_ratio: int, context: float = 1.0) -> None:
        super().__init__()
        self.size = size
        self.sampling_ratio = sampling_ratio
        self.context = context

    def forward(self, images: Tensor, boxes: Tensor, image_index: Tensor) -> Tensor:
        """images [S, 3, H, W] float32, boxes [N, 4] float32 in pixel edges, image_index [N]
        int64.
        """
        if self.context > 1:
            boxes = with_context(boxes, self.context, images.shape[3])
        return self.sample(images, boxes, image_index)

    def sample(self, images: Tensor, boxes: Tensor, image_index: Tensor) -> Tensor:
        """The crop of exactly these boxes."""
        rois = torch.cat([image_index.to(boxes.dtype).unsqueeze(1), boxes], dim=1)
        return roi_align(
            images,
            rois,
            (self.size, self.size),
            spatial_scale=1.0,
            sampling_ratio=self.sampling_ratio,
            aligned=True,
        )


def with_context(boxes: Tensor, context: float, grid: int) -> Tensor:
    """Boxes [N, 4] enlarged about their centres, not clipped; the whole-slice box unchanged."""
    size = boxes[:, 2:] - boxes[:, :2]
    margin = size * ((context - 1) / 2)
    margin = torch.where(size.amin(1, keepdim=True) > grid - 0.5, torch.zeros_like(margin), margin)
    return torch.cat([boxes[:, :2] - margin, boxes[:, 2:] + margin], dim=1)
