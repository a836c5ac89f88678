"""Compares a bundle in the reference implementation with PyTorch's results.

`check_bundle` compares ONNX Runtime on the CPU with the golden case that PyTorch wrote;
`check_networks` compares graphs and networks on random input for N in {1, 2, 5} and S in {1, 3}.
Both raise if a tolerance is exceeded and return the largest differences.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import torch

from ..geometry import boxes as bx
from ..networks import QNetwork, Segmenter
from ..run.presets import Preset
from .reference import Bundle

ABSOLUTE = 1e-4  # Q values and probabilities
RELATIVE = 1e-4  # features, relative to their largest magnitude
MARGIN = 2e-4  # actions may differ only below this margin between the two highest Q values


class ParityError(AssertionError):
    """A bundle's results differ from PyTorch's."""


def _require(name: str, value: float, limit: float) -> float:
    # A NaN must not pass.
    if not value <= limit:
        raise ParityError(f"{name}: {value:.3g} is above {limit:.3g}")
    return float(value)


def check_bundle(folder: Path) -> dict[str, Any]:
    """Run the golden case in ONNX Runtime."""
    bundle = Bundle(folder)
    with np.load(Path(folder) / bundle.manifest["golden"]) as f:
        golden = {k: f[k] for k in f.files}
    images = golden["images"].astype(np.float32) / 255
    out: dict[str, Any] = {}
    if bundle.agent:
        got = bundle.detect(images)
        scale = np.abs(golden["features"]).max()
        out["features"] = _require(
            "features", np.abs(got.features - golden["features"]).max() / scale, RELATIVE
        )
        worst, compared = 0.0, 0
        for s in range(len(images)):
            for t in range(golden["actions"].shape[1]):
                if golden["actions"][s, t] < 0:
                    break
                expected = golden["q"][s, t]
                worst = max(worst, float(np.abs(got.q[s, t] - expected).max()))
                compared += 1
                if got.actions[s, t] != golden["actions"][s, t]:
                    top = np.sort(expected)
                    _require("action margin", float(top[-1] - top[-2]), MARGIN)
                    break
                if not np.allclose(
                    got.boxes[s, t + 1], golden["boxes"][s, t + 1], rtol=0, atol=1e-9
                ):
                    raise ParityError(f"boxes of slice {s} differ after step {t}")
        out["q"] = _require("q", worst, ABSOLUTE)
        out["steps_compared"] = compared
    probability, _ = bundle.segment(
        images, golden["boxes"][:, -1] if bundle.agent else _whole(bundle, len(images))
    )
    out["probability"] = _require(
        "probability", np.abs(probability - golden["probability"]).max(), ABSOLUTE
    )
    return out


def _whole(bundle: Bundle, n: int) -> np.ndarray:
    return np.tile([0.0, 0.0, bundle.grid, bundle.grid], (n, 1))


@torch.no_grad()
def check_networks(
    folder: Path, net: QNetwork, segmenter: Segmenter, preset: Preset, seed: int = 0
) -> dict[str, float]:
    """Compare graphs with networks on random slices and boxes."""
    bundle, rng = Bundle(folder), np.random.default_rng(seed)
    net, segmenter = net.eval(), segmenter.eval()
    g, worst = preset.input.grid, {"features": 0.0, "q": 0.0, "probability": 0.0}
    for s in (1, 3):
        images = np.kron(rng.random((s, 3, 16, 16)), np.ones((g // 16, g // 16))).astype(np.float32)
        x = torch.from_numpy(images)
        for n in (1, 2, 5):
            index = rng.integers(s, size=n)
            size, centre = rng.uniform(0.1, 0.9, (n, 2)) * g, rng.uniform(0.2, 0.8, (n, 2)) * g
            boxes = bx.clip_boxes(
                np.concatenate([centre - size / 2, centre + size / 2], 1), g, preset.min_side
            )
            b, i = torch.from_numpy(boxes).float(), torch.from_numpy(index)
            features = net.trunk(x, b, i).numpy()
            got = bundle._run(bundle.trunk, images, boxes, index, n)
            worst["features"] = max(
                worst["features"], float(np.abs(got - features).max() / np.abs(features).max())
            )
            past = torch.from_numpy(rng.integers(-1, bx.N_ACTIONS, (n, preset.history)))
            history = net.encode_history(past)
            q = net.head(torch.from_numpy(features), torch.from_numpy(features), history).numpy()
            got = bundle.head.run(
                None, {"global": features, "local": features, "history": history.numpy()}
            )[0]
            worst["q"] = max(worst["q"], float(np.abs(got - q).max()))
            p = segmenter(x, b, i).numpy()
            got = bundle._run(bundle.segmenter, images, boxes, index, n)
            worst["probability"] = max(worst["probability"], float(np.abs(got - p).max()))
    _require("features", worst["features"], RELATIVE)
    _require("q", worst["q"], ABSOLUTE)
    _require("probability", worst["probability"], ABSOLUTE)
    return worst
