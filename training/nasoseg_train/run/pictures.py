"""Pictures of what a network predicts while it is trained.

Truth is red, prediction green, their overlap yellow, as in the paper's Fig. 6. The agent's
trajectory is white at first, then blue, and yellow at the end; the target box is red.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw

from .files import replacing

Array = np.ndarray
RED, GREEN, YELLOW = (230, 40, 40), (40, 200, 60), (245, 220, 40)
WHITE, BLUE = (255, 255, 255), (90, 150, 255)


def grey(image: Array) -> Array:
    """[H, W] in [0, 1] or uint8 -> uint8 [H, W, 3]."""
    if image.dtype != np.uint8:
        image = np.rint(np.clip(image, 0, 1) * 255).astype(np.uint8)
    return np.repeat(image[..., None], 3, axis=2)


def overlay(image: Array, truth: Array, guess: Array, strength: float = 0.5) -> Array:
    """A slice with its true and its predicted mask [H, W] -> uint8 [H, W, 3]."""
    out = grey(image).astype(np.float32)
    for where, colour in ((truth & ~guess, RED), (guess & ~truth, GREEN), (truth & guess, YELLOW)):
        out[where] = (1 - strength) * out[where] + strength * np.array(colour)
    return np.rint(out).astype(np.uint8)


def draw_boxes(picture: Array, boxes: Array, colours: list[tuple[int, int, int]]) -> Array:
    """Outlines of boxes [n, 4] in pixel edges, one colour each, the last on top."""
    canvas = Image.fromarray(picture)
    pen = ImageDraw.Draw(canvas)
    for box, colour in zip(boxes, colours, strict=True):
        x0, y0, x1, y1 = (float(v) for v in box)
        pen.rectangle((x0, y0, max(x1 - 1, x0), max(y1 - 1, y0)), outline=colour)
    return np.asarray(canvas)


def trajectory(image: Array, boxes: Array, target: Array | None) -> Array:
    """A slice with the boxes of one episode [T, 4] from first to last, and the target box if there
    is a tumour.
    """
    outlines, colours = list(boxes), [WHITE] + [BLUE] * (len(boxes) - 1)
    colours[-1] = YELLOW if len(boxes) > 1 else WHITE
    if target is not None:
        outlines, colours = [target, *outlines], [RED, *colours]
    return draw_boxes(grey(image), np.array(outlines), colours)


def save_sheet(path: Path, pictures: list[Array], columns: int = 4) -> None:
    """Write pictures of one size side by side into one PNG."""
    h, w = pictures[0].shape[:2]
    rows = -(-len(pictures) // columns)
    sheet = np.zeros((rows * h, min(columns, len(pictures)) * w, 3), dtype=np.uint8)
    for i, picture in enumerate(pictures):
        y, x = divmod(i, columns)
        sheet[y * h : (y + 1) * h, x * w : (x + 1) * w] = picture
    path.parent.mkdir(parents=True, exist_ok=True)
    with replacing(path) as partial:
        Image.fromarray(sheet).save(partial, format="PNG")
