"""Logits and masks in, a loss out: the dilated border weighted loss (paper 3.2.4) and what it is compared with."""

from __future__ import annotations

import numpy as np
import torch
import torch.nn.functional as F
from skimage.feature import canny
from torch import Tensor


def border_weights(masks: Tensor, k: int, border_weight: float) -> Tensor:
    """Masks [N, 1, C, C] in {0, 1} -> weights [N, 1, C, C]: `border_weight` on the dilated border, else 1.

    The border is Canny's edge of the mask, dilated by a cross of (2k + 1) x (2k + 1). k counts pixels of the grid that
    the network outputs on.
    """
    edges = np.stack([canny(m) if m.any() else np.zeros_like(m) for m in masks[:, 0].numpy() > 0.5])
    edge = torch.from_numpy(edges).float().unsqueeze(1)
    # Dilating by a cross is the union of dilating by its two lines.
    across = F.max_pool2d(edge, (1, 2 * k + 1), 1, (0, k))
    down = F.max_pool2d(edge, (2 * k + 1, 1), 1, (k, 0))
    return 1 + (border_weight - 1) * torch.maximum(across, down)


def segmentation_loss(logits: Tensor, masks: Tensor, kind: str, k: int, border_weight: float) -> Tensor:
    """Mean over the batch of one image's loss; logits and masks [N, 1, C, C].

    `dbw` is eq. (4): each image's weighted cross entropy, normalised by the sum of its weights. `ce` is the same
    without a border, `weighted` weighs tumour pixels by `border_weight`, `dice` is soft Dice plus cross entropy (the
    cross entropy keeps a gradient where a mask is empty).
    """
    entropy = F.binary_cross_entropy_with_logits(logits, masks, reduction="none")
    if kind == "dice":
        p = torch.sigmoid(logits)
        shared, total = (p * masks).sum((1, 2, 3)), (p + masks).sum((1, 2, 3))
        return (1 - (2 * shared + 1) / (total + 1)).mean() + entropy.mean()
    if kind == "dbw":
        weights = border_weights(masks, k, border_weight)
    elif kind == "weighted":
        weights = 1 + (border_weight - 1) * masks
    else:
        weights = torch.ones_like(masks)
    return ((weights * entropy).sum((1, 2, 3)) / weights.sum((1, 2, 3))).mean()
