"""Compares a bundle's graphs, of every kind, with their networks (docs/reference/bundle.md).

`check_graphs`: random slices, boxes and patches for S in {1, 3} and N in {1, 2, 5}, ONNX Runtime on
the CPU against PyTorch. `check_golden`: the golden case of the kinds without an agent;
`reference_parity.check_bundle` does those with one.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnxruntime as ort
import torch
from torch import Tensor, nn

from ..geometry import boxes as bx
from ..networks import QNetwork
from ..networks.parts import AnySegmenter, Detector
from ..networks.rcnn import RCNN
from ..networks.voxresnet import VolumeSegmenter
from ..run.presets import Preset
from ..segmenter.rcnn_training import choose
from ..segmenter.sliding_window import Stack, predict
from .reference_parity import ABSOLUTE, RELATIVE, ParityError

Array = np.ndarray
BOX = 0.05  # pixels of the grid


_REMEDY = "Export the bundle again, or use the onnxruntime that pyproject.toml pins"


def _session(path: Path) -> ort.InferenceSession:
    options = ort.SessionOptions()
    options.intra_op_num_threads = 1
    return ort.InferenceSession(path, options, providers=["CPUExecutionProvider"])


def _run(session: ort.InferenceSession, inputs: dict[str, Tensor]) -> list[Array]:
    return session.run(None, {name: value.numpy() for name, value in inputs.items()})


def _worst(found: Array, module: nn.Module, inputs: dict[str, Tensor]) -> float:
    expected = module(*inputs.values()).numpy()
    if found.shape != expected.shape:
        raise ParityError(
            f"found the graph's output of shape {found.shape}, expected PyTorch's "
            f"{expected.shape}. {_REMEDY}"
        )
    return float(np.abs(found - expected).max())


def _note(worst: dict[str, float], name: str, value: float, limit: float) -> None:
    # A NaN must not pass.
    if not value <= limit:
        raise ParityError(
            f"{name}: found a difference of {value:.3g}, expected at most {limit:.3g}. {_REMEDY}"
        )
    worst[name] = max(worst.get(name, 0.0), value)


def check_golden(folder: Path, preset: Preset) -> dict[str, float]:
    """The golden case of a bundle with detector `whole`, `fixed` or `proposals` through ONNX
    Runtime.
    """
    folder = Path(folder)
    worst: dict[str, float] = {}
    with np.load(folder / "golden" / "golden.npz") as f:
        golden = {key: f[key] for key in f.files}
    images = golden["images"].astype(np.float32) / 255
    s, g = len(images), preset.input.grid
    segmenter = _session(folder / "segmenter.onnx")
    boxes = golden.get("boxes", np.tile([0.0, 0.0, g, g], (s, 1)))
    if preset.detector_kind == "proposals":
        proposed, scores = _session(folder / "detector.onnx").run(
            ["boxes", "scores"], {"images": images}
        )
        _note(worst, "scores", float(np.abs(scores - golden["scores"]).max()), ABSOLUTE)
        found = choose(proposed, golden["scores"], preset)
        if (differ := (np.isnan(found) != np.isnan(boxes)).any(axis=1)).any():
            raise ParityError(
                f"found {differ.sum()} slices on which only one of graph and golden case has a "
                f"box, expected none. {_REMEDY}"
            )
        apart = np.sort(golden["scores"], axis=1)
        clear = ~np.isnan(boxes[:, 0])
        if scores.shape[1] > 1:
            clear &= apart[:, -1] - apart[:, -2] > 2 * ABSOLUTE
        if clear.any():
            _note(worst, "boxes", float(np.abs(found - boxes)[clear].max()), BOX)
    rows = np.flatnonzero(~np.isnan(boxes).any(axis=1))
    if preset.segmenter_kind == "volume":
        stack = Stack(images, golden["places_mm"], tuple(golden["pixel_mm"]))

        def network(patch: Array) -> Array:
            return segmenter.run(None, {"volume": patch})[0]

        wide = bx.enlarge(boxes[rows], preset.volume.context_factor, g)
        difference = (
            predict(network, preset.volume, stack, rows, wide)[:, None] - golden["probability"]
        )
        _note(worst, "probability", float(np.abs(difference).max()), ABSOLUTE)
    elif len(rows):
        wide = bx.enlarge(boxes[rows], preset.ranet.context_factor, g).astype(np.float32)
        found = segmenter.run(
            None, {"images": images, "boxes": wide, "image_index": rows.astype(np.int64)}
        )[0]
        _note(
            worst, "probability", float(np.abs(found - golden["probability"][rows]).max()), ABSOLUTE
        )
    return worst


@torch.no_grad()
def check_graphs(
    folder: Path, detector: Detector, segmenter: AnySegmenter, preset: Preset, seed: int = 0
) -> dict[str, float]:
    """The largest differences of each graph; raises `ParityError` if a tolerance is exceeded."""
    rng, g = np.random.default_rng(seed), preset.input.grid
    worst: dict[str, float] = {}

    def note(name: str, value: float, limit: float) -> None:
        _note(worst, name, value, limit)

    graphs = {path.stem: _session(path) for path in Path(folder).glob("*.onnx")}
    for module in (detector, segmenter):
        if isinstance(module, nn.Module):
            module.eval()
    for s in (1, 3):
        images = torch.from_numpy(
            np.kron(rng.random((s, 3, 12, 12)), np.ones((g // 12, g // 12))).astype(np.float32)
        )
        if isinstance(detector, RCNN):
            _check_proposals(worst, graphs["detector"], detector, images)
        for n in (1, 2, 5):
            if isinstance(segmenter, VolumeSegmenter):
                inputs = {
                    "volume": torch.from_numpy(
                        rng.random((n, 3, *preset.volume.patch)).astype(np.float32)
                    )
                }
                note(
                    "probability",
                    _worst(_run(graphs["segmenter"], inputs)[0], segmenter, inputs),
                    ABSOLUTE,
                )
                continue
            size, centre = rng.uniform(0.1, 0.9, (n, 2)) * g, rng.uniform(0.2, 0.8, (n, 2)) * g
            some = bx.clip_boxes(
                np.concatenate([centre - size / 2, centre + size / 2], 1), g, preset.min_side
            )
            index = torch.from_numpy(rng.integers(s, size=n))
            inputs = {
                "images": images,
                "boxes": torch.from_numpy(some).float(),
                "image_index": index,
            }
            note(
                "probability",
                _worst(_run(graphs["segmenter"], inputs)[0], segmenter, inputs),
                ABSOLUTE,
            )
            if isinstance(detector, QNetwork):
                features = detector.trunk(*inputs.values())
                found = _run(graphs["trunk"], inputs)[0]
                note(
                    "features",
                    float((torch.from_numpy(found) - features).abs().max() / features.abs().max()),
                    RELATIVE,
                )
                past = torch.from_numpy(rng.integers(-1, bx.N_ACTIONS, (n, preset.history)))
                head = {
                    "global": features,
                    "local": features,
                    "history": detector.encode_history(past),
                }
                note("q", _worst(_run(graphs["q_head"], head)[0], detector.head, head), ABSOLUTE)
    return worst


def _check_proposals(
    worst: dict[str, float], graph: ort.InferenceSession, detector: RCNN, images: Tensor
) -> None:
    """Compare the boxes and scores of a `proposals` detector on slices [S, 3, G, G]."""
    boxes, scores = _run(graph, {"images": images})
    expected_boxes, expected_scores = (x.numpy() for x in detector(images))
    if boxes.shape != expected_boxes.shape or scores.shape != expected_scores.shape:
        raise ParityError(
            f"found boxes and scores of shapes {boxes.shape} and {scores.shape}, expected "
            f"PyTorch's {expected_boxes.shape} and {expected_scores.shape}. {_REMEDY}"
        )
    _note(worst, "scores", float(np.abs(scores - expected_scores).max()), ABSOLUTE)
    # Entries of equal score may be swapped; the runtime takes the best box.
    apart = np.sort(expected_scores, axis=1)
    clear = apart[:, -1] - (apart[:, -2] if apart.shape[1] > 1 else 0) > 2 * ABSOLUTE
    if clear.any():
        _note(worst, "boxes", float(np.abs(boxes - expected_boxes)[clear, 0].max()), BOX)
