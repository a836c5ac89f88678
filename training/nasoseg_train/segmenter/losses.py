"""The dilated border weighted loss (paper 3.2.4) and the losses that it is compared with."""

from __future__ import annotations

import numpy as np
import torch
import torch.nn.functional as F
from skimage.feature import canny
from torch import Tensor


def border_weights(masks: Tensor, k: int, border_weight: float) -> Tensor:
    """Masks [N, 1, C, C] in {0, 1} -> weights [N, 1, C, C]: `border_weight` on the dilated border,
    else 1.

    The border is Canny's edge of the mask, dilated by a cross of (2k + 1) x (2k + 1). k counts
    pixels of the network's output.
    """
    edges = np.stack(
        [canny(m) if m.any() else np.zeros_like(m) for m in masks[:, 0].cpu().numpy() > 0.5]
    )
    edge = torch.from_numpy(edges).to(masks.device).float().unsqueeze(1)
    # Dilating by a cross is the union of dilating by its two lines.
    across = F.max_pool2d(edge, (1, 2 * k + 1), 1, (0, k))
    down = F.max_pool2d(edge, (2 * k + 1, 1), 1, (k, 0))
    return 1 + (border_weight - 1) * torch.maximum(across, down)


def soft_dice_loss(logits: Tensor, masks: Tensor) -> Tensor:
    """1 - Dice of the probabilities, mean over the batch; 1 is added above and below, so that two
    empty masks agree.
    """
    p, axes = torch.sigmoid(logits), tuple(range(1, logits.ndim))
    shared, total = (p * masks).sum(axes), (p + masks).sum(axes)
    return (1 - (2 * shared + 1) / (total + 1)).mean()


def segmentation_loss(
    logits: Tensor,
    masks: Tensor,
    kind: str,
    k: int,
    border_weight: float,
    positive_weight: float | None = None,
) -> Tensor:
    """Mean over the batch of one image's loss; logits and masks [N, 1, C, C].

    `dbw` is eq. (4): each image's weighted cross entropy, normalised by the sum of its weights.
    `ce` is the same without a border, `weighted` weighs tumour pixels by `positive_weight`
    (`border_weight` unless given), `dice` is soft Dice alone (paper, Table 4), `dice_ce` soft Dice
    plus cross entropy, which keeps a gradient where a mask is empty.
    """
    if kind == "dice":
        return soft_dice_loss(logits, masks)
    entropy = F.binary_cross_entropy_with_logits(logits, masks, reduction="none")
    if kind == "dice_ce":
        return soft_dice_loss(logits, masks) + entropy.mean()
    if kind == "dbw":
        weights = border_weights(masks, k, border_weight)
    elif kind == "weighted":
        weights = 1 + ((border_weight if positive_weight is None else positive_weight) - 1) * masks
    elif kind == "ce":
        weights = torch.ones_like(masks)
    else:
        raise ValueError(f"loss {kind!r} is not known; expected ce, weighted, dice, dice_ce or dbw")
    return ((weights * entropy).sum((1, 2, 3)) / weights.sum((1, 2, 3))).mean()
