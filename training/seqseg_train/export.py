"""Networks and a preset in, a model bundle out: the graphs, the golden case and the manifest of docs/bundle.md.

    python -m seqseg_train.export --preset paper --untrained --out DIR
"""

from __future__ import annotations

import hashlib
import json
import logging
import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import torch
from torch import Tensor, nn

from . import boxes as bx
from .networks import QNetwork, Segmenter
from .presets import PRESETS, Preset

Array = np.ndarray
OPSET = 18


class _Trunk(nn.Module):
    """The trunk under the names of the contract."""

    def __init__(self, net: QNetwork) -> None:
        super().__init__()
        self.trunk = net.trunk

    def forward(self, images: Tensor, boxes: Tensor, image_index: Tensor) -> Tensor:
        return self.trunk(images, boxes, image_index)


def _export(module: nn.Module, example: tuple[Tensor, ...], inputs: list[str], output: str, dynamic: list[dict], path: Path) -> None:
    """One graph in one file; weights inside."""
    module = module.eval().to(memory_format=torch.contiguous_format)
    # The exporter reports every optimisation it leaves out; nothing there concerns the caller.
    logging.getLogger("torch.onnx").setLevel(logging.ERROR)
    with warnings.catch_warnings(), torch.no_grad():
        warnings.simplefilter("ignore")
        torch.onnx.export(
            module, example, str(path), dynamo=True, opset_version=OPSET, external_data=False, input_names=inputs,
            output_names=[output], dynamic_shapes=tuple(dynamic), optimize=True, verbose=False,
        )  # fmt: skip
    graph = onnx.load(path)
    # Names of source files and stack frames do not belong in a bundle.
    for node in graph.graph.node:
        del node.metadata_props[:]
        node.doc_string = ""
    for value in (*graph.graph.value_info, *graph.graph.input, *graph.graph.output, *graph.graph.initializer):
        del value.metadata_props[:]
    del graph.graph.metadata_props[:]
    del graph.metadata_props[:]
    onnx.checker.check_model(graph)
    onnx.save(graph, path)


def export_graphs(net: QNetwork, segmenter: Segmenter, preset: Preset, out: Path) -> None:
    """trunk.onnx, q_head.onnx and segmenter.onnx with dynamic S and N."""
    g, f = preset.input.grid, preset.trunk.feature_size
    s, n = torch.export.Dim("S", min=1), torch.export.Dim("N", min=1)
    images = torch.rand(2, 3, g, g)
    boxes = torch.tensor([[0.0, 0.0, g, g], [g * 0.3, g * 0.3, g * 0.7, g * 0.6], [g * 0.2, g * 0.3, g * 0.6, g * 0.8]])
    index = torch.tensor([0, 1, 1])
    rows = [{0: s}, {0: n}, {0: n}]
    names = ["images", "boxes", "image_index"]
    _export(_Trunk(net), (images, boxes, index), names, "features", rows, out / "trunk.onnx")
    head = (torch.rand(3, f), torch.rand(3, f), torch.rand(3, preset.history * bx.N_ACTIONS))
    _export(net.head, head, ["global", "local", "history"], "q", [{0: n}] * 3, out / "q_head.onnx")
    _export(segmenter, (images, boxes, index), names, "probability", rows, out / "segmenter.onnx")


@torch.no_grad()
def golden_case(net: QNetwork, segmenter: Segmenter, images: Array, preset: Preset) -> dict[str, Array]:
    """uint8 slices [S, 3, G, G] -> the arrays of golden.npz, all computed by PyTorch."""
    net, segmenter = net.eval(), segmenter.eval()
    s, g, steps = len(images), preset.input.grid, preset.max_steps
    x, index = torch.from_numpy(images).float() / 255, torch.arange(s)
    whole = torch.tensor([[0.0, 0.0, g, g]]).repeat(s, 1)
    features = net.trunk(x, whole, index)
    boxes = np.zeros((s, steps + 1, 4))
    boxes[:] = bx.initial_box(g, preset.initial_share)
    actions = np.full((s, steps), -1, dtype=np.int64)
    q = np.full((s, steps, bx.N_ACTIONS), np.nan, dtype=np.float32)
    past = np.full((s, preset.history), -1, dtype=np.int64)
    running = np.ones(s, dtype=bool)
    for t in range(steps):
        rows = np.flatnonzero(running)
        if len(rows):
            local = net.trunk(x, torch.from_numpy(boxes[rows, t]).float(), index[rows])
            q[rows, t] = net.head(features[rows], local, net.encode_history(torch.from_numpy(past[rows]))).numpy()
            actions[rows, t] = q[rows, t].argmax(1)
            boxes[rows, t + 1 :] = bx.apply_actions(boxes[rows, t], actions[rows, t], g, preset.min_side)[:, None]
            past[rows] = np.concatenate([actions[rows, t : t + 1], past[rows, :-1]], axis=1)
            running[rows] &= actions[rows, t] != bx.TERMINAL
    wide = bx.enlarge(boxes[:, -1], preset.ranet.context_factor, g)
    probability = segmenter(x, torch.from_numpy(wide).float(), index)
    return {
        "images": images, "features": features.numpy(), "actions": actions, "q": q, "boxes": boxes,
        "probability": probability.numpy(),
    }  # fmt: skip


@dataclass
class BundleText:
    """The words of a manifest."""

    name: str
    version: str
    licence: str
    demo: bool
    statement: str
    negatives_trained: bool
    training: dict[str, Any]
    slice_spacing_mm: tuple[float, float] | None = None


def manifest(preset: Preset, text: BundleText, metrics: dict[str, Any]) -> dict[str, Any]:
    """bundle.json without its `files`."""
    i = preset.input
    scalings = [
        {"kind": "study_percentile", "percentile": i.percentile}
        if i.scaling == "study_percentile"
        else {"kind": "dataset_max", "value": i.dataset_max[channel]}
        for channel in range(3)
    ]
    fit: dict[str, Any] = {"kind": i.fit}
    if i.fit == "mm":
        fit["pixel_mm"] = i.pixel_mm
    inputs: dict[str, Any] = {
        "channels": [{"sequence": name, "scaling": scaling} for name, scaling in zip(("T1", "T1C", "T2"), scalings)],
        "grid": i.grid,
        "fit": fit,
    }
    if text.slice_spacing_mm:
        inputs["slice_spacing_mm"] = list(text.slice_spacing_mm)
    return {
        "format_version": 1,
        "name": text.name,
        "version": text.version,
        "licence": text.licence,
        "intended_use": {"demo": text.demo, "statement": text.statement},
        "negatives_trained": text.negatives_trained,
        "training": text.training,
        "metrics": metrics,
        "input": inputs,
        "detector": {
            "kind": "agent",
            "features": "crop",
            "trunk": "trunk.onnx",
            "q_head": "q_head.onnx",
            "feature_size": preset.trunk.feature_size,
            "initial_box": bx.initial_box(i.grid, preset.initial_share).tolist(),
            "actions": [{"name": a.name, "box": list(a.box) if a.box else None} for a in bx.ACTIONS],
            "terminal": bx.TERMINAL,
            "history": preset.history,
            "max_steps": preset.max_steps,
            "min_side": preset.min_side,
        },
        "segmenter": {
            "kind": "crop",
            "graph": "segmenter.onnx",
            "context_factor": preset.ranet.context_factor,
            "crop": preset.ranet.crop,
            "threshold": preset.ranet.threshold,
        },
        "golden": "golden/golden.npz",
    }


def write_manifest(out: Path, content: dict[str, Any]) -> None:
    """bundle.json with the SHA-256 of every other file of the bundle."""
    files = ("trunk.onnx", "q_head.onnx", "segmenter.onnx", "golden/golden.npz")
    content = {k: v for k, v in content.items() if k != "files"}
    content["files"] = {name: hashlib.sha256((out / name).read_bytes()).hexdigest() for name in files}
    (out / "bundle.json").write_text(json.dumps(content, indent=2) + "\n")


def write_bundle(
    out: Path, net: QNetwork, segmenter: Segmenter, preset: Preset, golden_images: Array, text: BundleText,
    metrics: dict[str, Any] | None = None,
) -> None:  # fmt: skip
    """A whole bundle; `golden_images` is uint8 [S, 3, G, G]."""
    (out / "golden").mkdir(parents=True, exist_ok=True)
    export_graphs(net, segmenter, preset, out)
    np.savez_compressed(out / "golden" / "golden.npz", **golden_case(net, segmenter, golden_images, preset))
    write_manifest(out, manifest(preset, text, metrics or {}))


def untrained_bundle(preset: Preset, out: Path, seed: int, golden_images: Array | None = None) -> None:
    """Random weights under a real manifest: for timing and for tests of a runtime."""
    torch.manual_seed(seed)
    net, segmenter = QNetwork(preset), Segmenter(preset.ranet)
    if preset.input.scaling == "dataset_max":
        from dataclasses import replace

        preset = replace(preset, input=replace(preset.input, dataset_max=(4095.0, 4095.0, 4095.0)))
    if golden_images is None:
        g = preset.input.grid
        noise = np.random.default_rng(seed).random((2, 3, 8, 8))
        golden_images = np.rint(np.kron(noise, np.ones((g // 8, g // 8))) * 255).astype(np.uint8)
    text = BundleText(
        f"seqseg-{preset.name}-untrained", "0.0.0", "Apache-2.0", True, "Random weights. Nothing it says means anything.",
        False, {"data": "none", "seed": seed},
    )  # fmt: skip
    write_bundle(out, net, segmenter, preset, golden_images, text)


@dataclass
class Export:
    """Write a bundle of an untrained preset (trained ones are written by seqseg_train.demo)."""

    out: Path
    """Folder of the bundle."""
    preset: str = "paper"
    """paper, demo or micro."""
    untrained: bool = False
    """Required: says that the weights are random."""
    seed: int = 1

    def main(self) -> None:
        from .parity import check_bundle

        if not self.untrained:
            raise SystemExit("only --untrained bundles are written here; seqseg_train.demo trains one")
        preset = PRESETS[self.preset]
        untrained_bundle(preset, self.out, self.seed)
        print(json.dumps(check_bundle(self.out), indent=2))


if __name__ == "__main__":
    import tyro

    tyro.cli(Export).main()
