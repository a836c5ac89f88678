"""The reference implementation of docs/reference/bundle.md, in numpy and ONNX Runtime.

It is slow and short, so that other runtimes can be compared with it. It knows every kind of
detector and segmenter, does not import PyTorch and takes every number from the manifest.
"""

from __future__ import annotations

import hashlib
import itertools
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime as ort

from ..data.slice_grid import SliceGrid, prepare_slices
from ..geometry import boxes as bx
from ..run.presets import InputConfig
from .reference_sampling import (
    Crop,
    Line,
    Region,
    between,
    starts,
    weights_inside,
)

Array = np.ndarray


@dataclass
class Detection:
    """Boxes of S slices in the arrays of golden.npz; without an agent F, T and A are 0."""

    features: Array  # float32 [S, F], global
    actions: Array  # int64 [S, T], padded with -1
    q: Array  # float32 [S, T, A], padded with NaN
    boxes: Array  # float64 [S, T + 1, 4], padded by repeating; NaN where a slice has no box
    scores: Array | None = None  # float32 [S], the highest, of detector `proposals`

    @classmethod
    def without_agent(cls, boxes: Array, scores: Array | None = None) -> Detection:
        """One box [S, 4] per slice."""
        s = len(boxes)
        features, actions, q = (
            np.zeros((s, 0), np.float32),
            np.zeros((s, 0), np.int64),
            np.zeros((s, 0, 0), np.float32),
        )
        return cls(features, actions, q, boxes[:, None], scores)

    @property
    def last(self) -> Array:
        """The final boxes [S, 4]."""
        return self.boxes[:, -1]

    @property
    def found(self) -> Array:
        """Which slices have a box [S]."""
        return ~np.isnan(self.last).any(axis=1)

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
        # Waiting threads sleep: spinning costs more than it gains if other work is running.
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        detector, segmenter = self.manifest["detector"], self.manifest["segmenter"]

        def session(name: str) -> ort.InferenceSession:
            return ort.InferenceSession(
                self.folder / name, options, providers=["CPUExecutionProvider"]
            )

        self.agent = detector["kind"] == "agent"
        self.kind: str = segmenter["kind"]
        if detector["kind"] == "proposals":
            self.detector = session(detector["graph"])
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
        return prepare_slices(volumes, spacing_mm, self.input_config)

    def _run(
        self, session: ort.InferenceSession, images: Array, boxes: Array, index: Array, chunk: int
    ) -> Array:
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

    def detect(
        self, images: Array, chunk: int = 8, pixel_mm: tuple[float, float] | None = None
    ) -> Detection:
        """Slices float32 [S, 3, G, G] -> one box each; detector `fixed` requires the size of a grid
        pixel along x and y in mm.
        """
        d = self.manifest["detector"]
        if d["kind"] == "agent":
            return self._trajectories(images, chunk)
        if d["kind"] == "proposals":
            return self._propose(images)
        box = np.array([0.0, 0.0, self.grid, self.grid])
        if d["kind"] == "fixed":
            if pixel_mm is None:
                raise ValueError("a fixed box requires pixel_mm")
            box = bx.clip_boxes(
                self.grid / 2 + np.array(d["box_mm"]) / np.tile(pixel_mm, 2), self.grid, 0.0
            )
        return Detection.without_agent(np.tile(box, (len(images), 1)))

    def _propose(self, images: Array) -> Detection:
        """The box of the highest score on every slice, if the score is high enough."""
        d = self.manifest["detector"]
        boxes, highest = np.full((len(images), 4), np.nan), np.zeros(len(images), dtype=np.float32)
        for s in range(len(images)):
            proposed, scores = self.detector.run(["boxes", "scores"], {"images": images[s : s + 1]})
            if not (
                scores.size
                and np.isfinite(proposed).all()
                and ((scores >= 0) & (scores <= 1)).all()
            ):
                raise ValueError(
                    f"slice {s}: the detector gave no box, a value that is no number, or a score "
                    "outside 0 .. 1"
                )
            at = int(scores[0].argmax())  # ties go to the lowest index
            highest[s] = scores[0, at]
            if float(highest[s]) >= d["score_threshold"]:
                inside = np.clip(proposed[0, at].astype(np.float64), 0, self.grid)
                if not (inside[:2] < inside[2:]).all():
                    raise ValueError(
                        f"slice {s}: the box {proposed[0, at]} has no size inside the grid"
                    )
                boxes[s] = bx.clip_boxes(inside, self.grid, d["min_side"])
        return Detection.without_agent(boxes, highest)

    def _trajectories(self, images: Array, chunk: int) -> Detection:
        """One trajectory per slice."""
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
            feed = {
                "global": features[rows],
                "local": local,
                "history": history[rows].reshape(len(rows), -1),
            }
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
        """Segmenter `crop`: slices [S, 3, G, G], detection boxes [S, 4] -> probability [S, 1, C,
        C], enlarged boxes [S, 4].
        """
        wide = bx.enlarge(boxes, self.manifest["segmenter"]["context_factor"], self.grid)
        return self._run(self.segmenter, images, wide, np.arange(len(images)), chunk), wide

    def crops(
        self,
        images: Array,
        boxes: Array,
        pixel_mm: tuple[float, float] | None = None,
        places_mm: Array | None = None,
    ) -> list[Crop | None]:
        """Slices [S, 3, G, G] and detection boxes [S, 4], NaN if there is none -> the output of a
        segmenter of any kind for each.

        Segmenter `volume` requires the size of a grid pixel along x and y and the slices' positions
        along their normal, in mm.
        """
        rows = np.flatnonzero(~np.isnan(boxes).any(axis=1))
        out: list[Crop | None] = [None] * len(images)
        if not len(rows):
            return out
        if self.kind == "volume":
            if pixel_mm is None or places_mm is None:
                raise ValueError("a segmenter of volumes requires pixel_mm and places_mm")
            wide = bx.enlarge(boxes[rows], self.manifest["segmenter"]["context_factor"], self.grid)
            region = self._region(
                images, rows, wide, pixel_mm, np.asarray(places_mm, dtype=np.float64)
            )
            for row, box in zip(rows, wide, strict=True):
                out[row] = region.crop(float(places_mm[row]), box)
        else:
            probability, wide = self.segment(images[rows], boxes[rows])
            for row, p, box in zip(rows, probability, wide, strict=True):
                out[row] = Crop(p[0], box, box)
        return out

    def _region(
        self, images: Array, rows: Array, wide: Array, pixel_mm: tuple[float, float], places: Array
    ) -> Region:
        """The probability around all enlarged boxes, by a sliding window."""
        m = self.manifest["segmenter"]
        first, last = rows[0], rows[-1]
        low, high = wide[:, :2].min(axis=0), wide[:, 2:].max(axis=0)
        z = Line.reaching(places[first], places[last], m["spacing_mm"][0])
        y = Line.filling(low[1], high[1], m["spacing_mm"][1] / pixel_mm[1])
        x = Line.filling(low[0], high[0], m["spacing_mm"][2] / pixel_mm[0])
        volume = between(images[first : last + 1], places[first : last + 1], z)
        volume = np.einsum("yh,zchw->zcyw", weights_inside(y, self.grid), volume)
        volume = np.einsum("xw,zcyw->czyx", weights_inside(x, self.grid), volume)
        lines, patch = (z, y, x), m["patch"]
        firsts = [
            starts(line.count, side, m["overlap"]) for line, side in zip(lines, patch, strict=True)
        ]
        weight = np.ones((1, 1, 1))
        for axis, side in enumerate(patch):
            v = (np.arange(side) - (side - 1) / 2) / (side / 8)
            weight = weight * np.exp(-(v**2) / 2).reshape(
                [-1 if a == axis else 1 for a in range(3)]
            )
        total, weights = np.zeros(volume.shape[1:]), np.zeros(volume.shape[1:])
        for start in itertools.product(*firsts):
            # The overlap of the patch and the region, in the indices of each.
            inside: tuple[slice, ...] = tuple(
                slice(max(s, 0), min(s + side, n))
                for s, side, n in zip(start, patch, total.shape, strict=True)
            )
            within = tuple(
                slice(i.start - s, i.stop - s) for i, s in zip(inside, start, strict=True)
            )
            piece = np.zeros((1, 3, *patch), dtype=np.float32)
            at: Any = (0, slice(None), *within)
            piece[at] = volume[(slice(None), *inside)]
            total[inside] += (weight * self._mirrored(piece, m["mirror"]))[within]
            weights[inside] += weight[within]
        return Region((total / weights).astype(np.float32), z, y, x)

    def _mirrored(self, piece: Array, mirror: bool) -> Array:
        """The probability [D, H, W] of a patch [1, 3, D, H, W], averaged over mirrored patches if
        the manifest says so.
        """
        mirrors = [
            axes for n in range(4 if mirror else 1) for axes in itertools.combinations((2, 3, 4), n)
        ]
        parts = []
        for axes in mirrors:
            out = self.segmenter.run(
                ["probability"], {"volume": np.ascontiguousarray(np.flip(piece, axes))}
            )[0]
            parts.append(np.flip(out, axes)[0, 0])
        return np.mean(parts, axis=0)


@dataclass
class Result:
    """The results of a bundle on one patient."""

    detection: Detection
    grid: SliceGrid
    probability: Array  # float32 [k, rows, columns], on T1C's grid; 0 where a slice has no box
    mask: Array  # bool [k, rows, columns]


def run(
    bundle: Bundle, volumes: Array, spacing_mm: tuple[float, float], places_mm: Array | None = None
) -> Result:
    """Volumes [3, k, j, i] on T1C's grid, in-plane spacing (j, i) in mm -> detection, probability
    and mask.

    Segmenter `volume` also requires `places_mm` [k], the slices' positions along their normal,
    ascending.
    """
    images, grid = bundle.prepare(volumes, spacing_mm)
    pixel_mm = (spacing_mm[1] / grid.scale[0], spacing_mm[0] / grid.scale[1])
    detection = bundle.detect(images, pixel_mm=pixel_mm)
    crops = bundle.crops(images, detection.last, pixel_mm, places_mm)
    empty = np.zeros(volumes.shape[2:], dtype=np.float32)
    probability = np.stack([empty if c is None else c.sample(grid) for c in crops])
    return Result(detection, grid, probability, probability >= bundle.threshold)
