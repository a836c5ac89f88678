"""A bundle and slices in, boxes, probabilities and masks out: docs/bundle.md in numpy and ONNX Runtime.

This is the plain reading of the contract, slow and short, that evaluation uses and other runtimes can be compared with.
It imports nothing of PyTorch and takes every number from the manifest.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime as ort

from . import boxes as bx
from .prepare import SliceGrid, prepare
from .presets import InputConfig

Array = np.ndarray


@dataclass
class Detection:
    """Trajectories of S slices in the arrays of golden.npz."""

    features: Array  # float32 [S, F], global
    actions: Array  # int64 [S, T], padded with -1
    q: Array  # float32 [S, T, A], padded with NaN
    boxes: Array  # float64 [S, T + 1, 4], padded by repeating

    @property
    def last(self) -> Array:
        """The final boxes [S, 4]."""
        return self.boxes[:, -1]

    def stopped(self, terminal: int) -> Array:
        """Which slices ended by the terminal action [S]."""
        return (self.actions == terminal).any(axis=1)

    @property
    def steps(self) -> Array:
        """Actions taken, the terminal one included [S]."""
        return (self.actions >= 0).sum(axis=1)


class Bundle:
    """An opened bundle; checks the digests of its files."""

    def __init__(self, folder: Path, threads: int = 0) -> None:
        self.folder = Path(folder)
        self.manifest: dict[str, Any] = json.loads((self.folder / "bundle.json").read_text())
        for name, digest in self.manifest["files"].items():
            if hashlib.sha256((self.folder / name).read_bytes()).hexdigest() != digest:
                raise ValueError(f"{name} is not the file that bundle.json names")
        options = ort.SessionOptions()
        options.intra_op_num_threads = threads
        # Waiting threads sleep: spinning costs more than it gains beside other work.
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        detector, segmenter = self.manifest["detector"], self.manifest["segmenter"]

        def session(name: str) -> ort.InferenceSession:
            return ort.InferenceSession(self.folder / name, options, providers=["CPUExecutionProvider"])

        self.agent = detector["kind"] == "agent"
        if self.agent:
            self.trunk, self.head = session(detector["trunk"]), session(detector["q_head"])
            self.table = np.array([a["box"] or [0.0, 0.0, 1.0, 1.0] for a in detector["actions"]])
        self.segmenter = session(segmenter["graph"])
        self.grid: int = self.manifest["input"]["grid"]
        self.threshold: float = segmenter["threshold"]

    @property
    def input_config(self) -> InputConfig:
        """The manifest's `input` as training knows it."""
        i = self.manifest["input"]
        scalings = [c["scaling"] for c in i["channels"]]
        return InputConfig(
            grid=i["grid"],
            fit=i["fit"]["kind"],
            pixel_mm=i["fit"].get("pixel_mm", 0.0),
            scaling=scalings[0]["kind"],
            percentile=scalings[0].get("percentile", 0.0),
            dataset_max=tuple(s.get("value", 0.0) for s in scalings),
        )

    def prepare(self, volumes: Array, spacing_mm: tuple[float, float]) -> tuple[Array, SliceGrid]:
        """Volumes [3, k, j, i] on T1C's grid -> slices float32 [k, 3, G, G] and the affine."""
        return prepare(volumes, spacing_mm, self.input_config)

    def _run(self, session: ort.InferenceSession, images: Array, boxes: Array, index: Array, chunk: int) -> Array:
        """A graph on N boxes, `chunk` rows at a time."""
        parts = []
        for start in range(0, len(boxes), chunk):
            rows = slice(start, start + chunk)
            feed = {
                "images": images,
                "boxes": boxes[rows].astype(np.float32),
                "image_index": index[rows].astype(np.int64),
            }
            parts.append(session.run(None, feed)[0])
        return np.concatenate(parts)

    def detect(self, images: Array, chunk: int = 8) -> Detection:
        """Slices float32 [S, 3, G, G] -> one trajectory each."""
        d = self.manifest["detector"]
        s, steps, n_actions, h = len(images), d["max_steps"], len(d["actions"]), d["history"]
        index = np.arange(s)
        whole = np.tile([0.0, 0.0, self.grid, self.grid], (s, 1))
        features = self._run(self.trunk, images, whole, index, chunk)
        boxes = np.zeros((s, steps + 1, 4))
        boxes[:] = d["initial_box"]
        actions = np.full((s, steps), -1, dtype=np.int64)
        q = np.full((s, steps, n_actions), np.nan, dtype=np.float32)
        history = np.zeros((s, h, n_actions), dtype=np.float32)
        rows = index
        for t in range(steps):
            if not len(rows):
                break
            local = self._run(self.trunk, images, boxes[rows, t], rows, chunk)
            feed = {"global": features[rows], "local": local, "history": history[rows].reshape(len(rows), -1)}
            q[rows, t] = self.head.run(None, feed)[0]
            chosen = q[rows, t].argmax(axis=1)  # ties go to the lowest index
            actions[rows, t] = chosen
            moved = bx.apply_actions(boxes[rows, t], chosen, self.grid, d["min_side"], self.table)
            boxes[rows, t + 1 :] = moved[:, None]
            history[rows, 1:] = history[rows, :-1]
            history[rows, 0] = np.eye(n_actions, dtype=np.float32)[chosen]
            rows = rows[chosen != d["terminal"]]
        return Detection(features, actions, q, boxes)

    def segment(self, images: Array, boxes: Array, chunk: int = 2) -> tuple[Array, Array]:
        """Slices [S, 3, G, G] and detection boxes [S, 4] -> probability [S, 1, C, C] and the enlarged boxes [S, 4]."""
        wide = bx.enlarge(boxes, self.manifest["segmenter"]["context_factor"], self.grid)
        return self._run(self.segmenter, images, wide, np.arange(len(images)), chunk), wide


def sample_probability(probability: Array, box: Array, grid: SliceGrid) -> Array:
    """Probability [C, C] of an enlarged box [4], at the centres of T1C's pixels: float32 [rows, columns].

    Bilinear, clamped to the crop's border pixels; 0 outside the box.
    """
    c = probability.shape[-1]
    axes = []
    for axis, n in ((0, grid.shape[1]), (1, grid.shape[0])):
        centre = (np.arange(n) + 0.5) * grid.scale[axis] + grid.offset[axis]
        low, high = box[axis], box[axis + 2]
        u = np.clip((centre - low) * c / (high - low) - 0.5, 0, c - 1)
        first = np.minimum(u.astype(int), c - 2)
        axes.append((first, (u - first).astype(np.float32), (centre >= low) & (centre <= high)))
    (x, fx, in_x), (y, fy, in_y) = axes
    top = probability[y][:, x] * (1 - fx) + probability[y][:, x + 1] * fx
    bottom = probability[y + 1][:, x] * (1 - fx) + probability[y + 1][:, x + 1] * fx
    return (top * (1 - fy)[:, None] + bottom * fy[:, None]) * (in_y[:, None] & in_x[None])


@dataclass
class Result:
    """One patient through a bundle."""

    detection: Detection
    grid: SliceGrid
    probability: Array  # float32 [k, rows, columns], on T1C's grid
    mask: Array  # bool [k, rows, columns]


def run(bundle: Bundle, volumes: Array, spacing_mm: tuple[float, float]) -> Result:
    """Volumes [3, k, j, i] on T1C's grid, in-plane spacing (j, i) in mm -> detection, probability and mask."""
    images, grid = bundle.prepare(volumes, spacing_mm)
    detection = bundle.detect(images)
    crops, boxes = bundle.segment(images, detection.last)
    probability = np.stack([sample_probability(p[0], b, grid) for p, b in zip(crops, boxes)])
    return Result(detection, grid, probability, probability >= bundle.threshold)
