"""What a crop segmenter predicts for fixed boxes, and its validation figures."""

from __future__ import annotations

import numpy as np
import torch

from ..agent.observation import load_images
from ..data.slice_set import SliceSet
from ..geometry import boxes as bx
from ..geometry import metrics
from ..networks import Segmenter
from ..run.presets import Preset

Array = np.ndarray


@torch.no_grad()
def predict(
    net: Segmenter, data: SliceSet, slices: Array, boxes: Array, preset: Preset, chunk: int = 16
) -> tuple[Array, Array, Array]:
    """Fixed boxes [n, 4] -> T1C's crops uint8, predicted and true masks bool, each [n, C, C], on
    the crop's grid.
    """
    net.eval()
    device = next(net.parameters()).device
    wide = (
        torch.from_numpy(bx.enlarge(boxes, preset.ranet.context_factor, data.grid))
        .float()
        .to(device)
    )
    out: list[list[Array]] = [[], [], []]
    for start in range(0, len(slices), chunk):
        part = slices[start : start + chunk]
        index, here = torch.arange(len(part), device=device), wide[start : start + chunk]
        images = load_images(data, part, device)
        masks = (
            torch.from_numpy(np.ascontiguousarray(data.masks[part])).to(device).float().unsqueeze(1)
        )
        out[0].append(
            net.crop(images[:, 1:2], here, index)[:, 0].mul(255).cpu().numpy().astype(np.uint8)
        )
        out[1].append(net(images, here, index)[:, 0].cpu().numpy() >= preset.ranet.threshold)
        out[2].append(net.crop(masks, here, index)[:, 0].cpu().numpy() >= 127.5)
    shown, guesses, truths = (np.concatenate(one) for one in out)
    return shown, guesses, truths


def validation_figures(
    net: Segmenter, data: SliceSet, slices: Array, boxes: Array, preset: Preset
) -> dict[str, float]:
    """Dice on the crop's grid for fixed boxes [n, 4] and the share of tumour-free slices with any
    pixel.

    A tumour slice whose crop holds no tumour counts as Dice 0. `score` chooses the checkpoint: mean
    Dice less the share of misses and half the share of tumour-free slices with any pixel.
    """
    dice, any_pixel = [], []
    _, guesses, truths = predict(net, data, slices, boxes, preset)
    for guess, true, tumour in zip(guesses, truths, data.tumour[slices], strict=True):
        if tumour:
            dice.append(np.nan_to_num(metrics.dice(*metrics.counts(guess, true))))
        else:
            any_pixel.append(guess.any())
    figures = {
        "dice": float(np.mean(dice)),
        "misses": float(np.mean(np.array(dice) == 0)),
        "tumour_free_any": float(np.mean(any_pixel)) if any_pixel else 0.0,
    }
    figures["score"] = figures["dice"] - figures["misses"] - figures["tumour_free_any"] / 2
    return figures
