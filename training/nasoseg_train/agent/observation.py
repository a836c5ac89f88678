"""Crops as the networks see them, cut from slices at boxes and views, on the CPU or a GPU.

Images are float32 [n, 3, G, G] in [0, 1] on some device; boxes are numpy arrays in pixel edges of
the grid, as in the episodes. Stored crops are uint8.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from ..data.slice_set import SliceSet
from ..networks import QNetwork, RoiCrop
from ..networks.roi_crop import with_context
from ..run.presets import Preset
from .environment import Episodes, Views

Array = np.ndarray
CPU = torch.device("cpu")


def load_images(data: SliceSet, slices: Array, device: torch.device = CPU) -> Tensor:
    """uint8 slices [n] of a set -> float32 [n, 3, G, G] in [0, 1]."""
    return (
        torch.from_numpy(np.ascontiguousarray(data.images[slices])).to(device).float().div_(255.0)
    )


def load_masks(data: SliceSet, slices: Array, device: torch.device = CPU) -> Tensor:
    """The tumour's share [n, 1, G, G] in the pixels of slices [n]."""
    return (
        torch.from_numpy(np.ascontiguousarray(data.masks[slices]))
        .to(device)
        .float()
        .div_(255.0)
        .unsqueeze(1)
    )


def whole_boxes(n: int, grid: int) -> Array:
    """The whole-slice box, n times [n, 4], for the global feature."""
    return np.tile([0.0, 0.0, grid, grid], (n, 1))


@torch.no_grad()
def crop_views(
    net: QNetwork, images: Tensor, index: Array, boxes: Array, views: Views, grid: int
) -> Tensor:
    """Crops [N, 3, C, C] of boxes given in view coordinates; `index` [N] selects from `images`."""
    return cut(net.trunk.crop, net.trunk.crop.context, images, index, boxes, views, grid)


@torch.no_grad()
def cut(
    cropper: RoiCrop,
    context: float,
    source: Tensor,
    index: Array,
    boxes: Array,
    views: Views,
    grid: int,
) -> Tensor:
    """Crops of `source` [n, K, G, G] at boxes [N, 4] enlarged by the trunk's `context`, mirrored as
    their views are.
    """
    # The context is added in view coordinates, where the whole-slice box can be recognised.
    wide = with_context(torch.from_numpy(boxes), context, grid).numpy()
    image_boxes = torch.from_numpy(views.to_image(wide, grid)).float().to(source.device)
    crops = cropper.sample(source, image_boxes, torch.from_numpy(index).to(source.device))
    flip = torch.from_numpy(views.flip)[:, None, None, None].to(source.device)
    return torch.where(flip, crops.flip(-1), crops).contiguous(memory_format=torch.channels_last)


def to_u8(x: Tensor) -> Tensor:
    """[0, 1] -> uint8, as crops are stored."""
    return x.mul(255).round_().clamp_(0, 255).to(torch.uint8)


def from_u8(x: Tensor) -> Tensor:
    """Stored crops -> [0, 1]."""
    return x.to(memory_format=torch.channels_last).float().div_(255.0)


@dataclass
class Crops:
    """What the trunk sees of n boxes: `image` uint8 [n, 3, C, C]; `mask` uint8 [n, M, M], the
    tumour's share x 255.
    """

    image: Tensor
    mask: Tensor

    @classmethod
    def empty(cls, n: int, crop: int, mask: int, device: torch.device = CPU) -> Crops:
        image = torch.zeros(n, 3, crop, crop, dtype=torch.uint8, device=device)
        return cls(image, torch.zeros(n, mask, mask, dtype=torch.uint8, device=device))

    def rows(self, index: Array) -> Crops:
        where = torch.from_numpy(index).to(self.image.device)
        return Crops(self.image[where], self.mask[where])

    def put(self, index: Array, other: Crops) -> None:
        where = torch.from_numpy(index).to(self.image.device)
        self.image[where], self.mask[where] = other.image, other.mask


class Looker:
    """Cuts the trunk's crops, and the true masks that its drawing is compared with, from slices on
    a device.
    """

    def __init__(self, net: QNetwork, data: SliceSet, device: torch.device) -> None:
        self.crop, self.grid, self.data, self.device = net.trunk.crop, data.grid, data, device
        self.cells = net.trunk.drawn_side
        self.mask_crop = RoiCrop(self.cells, 2)

    def load(self, slices: Array) -> tuple[Tensor, Tensor]:
        """Images and masks of slices [n]."""
        return load_images(self.data, slices, self.device), load_masks(
            self.data, slices, self.device
        )

    def look(
        self, images: Tensor, masks: Tensor, index: Array, boxes: Array, views: Views
    ) -> Crops:
        """Crops of boxes [N, 4] in view coordinates; `index` [N] selects the image, `views` has N
        rows.
        """
        context, grid = self.crop.context, self.grid
        image = cut(self.crop, context, images, index, boxes, views, grid)
        mask = cut(self.mask_crop, context, masks, index, boxes, views, grid)
        return Crops(to_u8(image), to_u8(mask)[:, 0])


class Scene:
    """Running episodes and the crops that the agent sees in them."""

    def __init__(self, looker: Looker, preset: Preset, n: int) -> None:
        self.looker, self.episodes = looker, Episodes(looker.data, preset, n)
        grid, crop, device = looker.grid, looker.crop.size, looker.device
        self.images = torch.zeros(n, 3, grid, grid, device=device)
        self.masks = torch.zeros(n, 1, grid, grid, device=device)
        self.whole, self.local = (Crops.empty(n, crop, looker.cells, device) for _ in range(2))
        self.number = np.zeros(n, dtype=np.int64)
        self._next = 0

    def start(self, rows: Array, slices: Array, views: Views) -> None:
        """Begin episodes of some slices in some rows."""
        if not len(rows):
            return
        self.episodes.start(rows, slices, views)
        self.number[rows] = self._next + np.arange(len(rows))
        self._next += len(rows)
        where = torch.from_numpy(rows).to(self.looker.device)
        self.images[where], self.masks[where] = self.looker.load(slices)
        self.whole.put(rows, self.look(rows, whole_boxes(len(rows), self.looker.grid)))
        self.local.put(rows, self.look(rows, self.episodes.boxes[rows]))

    def look(self, rows: Array, boxes: Array) -> Crops:
        """The crops of boxes [k, 4] in the slices of some rows."""
        return self.looker.look(
            self.images, self.masks, rows, boxes, self.episodes.views.rows(rows)
        )
