"""Writes a model bundle (docs/reference/bundle.md): graphs, golden case and manifest."""

from __future__ import annotations

import hashlib
import json
import logging
import warnings
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import torch
from torch import Tensor, nn

from ..data.atlas_box import FixedBox, GridMm
from ..geometry import boxes as bx
from ..networks import QNetwork
from ..networks.parts import AnySegmenter, Detector, parts
from ..networks.rcnn import RCNN
from ..networks.voxresnet import VolumeSegmenter
from ..run.files import write_text
from ..run.presets import Preset
from .golden import golden_case

Array = np.ndarray
OPSET = 18


class _Trunk(nn.Module):
    """The trunk under the input names of docs/reference/bundle.md."""

    def __init__(self, net: QNetwork) -> None:
        super().__init__()
        self.trunk = net.trunk

    def forward(self, images: Tensor, boxes: Tensor, image_index: Tensor) -> Tensor:
        return self.trunk(images, boxes, image_index)


def _export(
    module: nn.Module,
    example: tuple[Tensor, ...],
    inputs: list[str],
    outputs: list[str],
    dynamic: list[dict],
    path: Path,
) -> None:
    """Export one graph to one file that contains the weights."""
    module = module.eval().to(memory_format=torch.contiguous_format)
    # The exporter reports every optimisation it leaves out, which does not concern the caller.
    logging.getLogger("torch.onnx").setLevel(logging.ERROR)
    with warnings.catch_warnings(), torch.no_grad():
        warnings.simplefilter("ignore")
        torch.onnx.export(
            module,
            example,
            str(path),
            dynamo=True,
            opset_version=OPSET,
            external_data=False,
            input_names=inputs,
            output_names=outputs,
            dynamic_shapes=tuple(dynamic),
            optimize=True,
            verbose=False,
        )
    graph = onnx.load(path)
    # Names of source files and stack frames do not belong in a bundle.
    for node in graph.graph.node:
        del node.metadata_props[:]
        node.doc_string = ""
    for value in (
        *graph.graph.value_info,
        *graph.graph.input,
        *graph.graph.output,
        *graph.graph.initializer,
    ):
        del value.metadata_props[:]
    del graph.graph.metadata_props[:]
    del graph.metadata_props[:]
    onnx.checker.check_model(graph)
    onnx.save(graph, path)


def export_graphs(detector: Detector, segmenter: AnySegmenter, preset: Preset, out: Path) -> None:
    """Export the graphs of a bundle, with dynamic S and N: the detector's (trunk.onnx and
    q_head.onnx, or detector.onnx) and segmenter.onnx.
    """
    g, f = preset.input.grid, preset.trunk.feature_size
    s, n = torch.export.Dim("S", min=1), torch.export.Dim("N", min=1)
    images = torch.rand(2, 3, g, g)
    boxes = torch.tensor(
        [
            [0.0, 0.0, g, g],
            [g * 0.3, g * 0.3, g * 0.7, g * 0.6],
            [g * 0.2, g * 0.3, g * 0.6, g * 0.8],
        ]
    )
    index = torch.tensor([0, 1, 1])
    rows = [{0: s}, {0: n}, {0: n}]
    names = ["images", "boxes", "image_index"]
    if isinstance(detector, QNetwork):
        _export(
            _Trunk(detector), (images, boxes, index), names, ["features"], rows, out / "trunk.onnx"
        )
        head = (torch.rand(3, f), torch.rand(3, f), torch.rand(3, preset.history * bx.N_ACTIONS))
        _export(
            detector.head,
            head,
            ["global", "local", "history"],
            ["q"],
            [{0: n}] * 3,
            out / "q_head.onnx",
        )
    elif isinstance(detector, RCNN):
        _export(
            detector, (images,), ["images"], ["boxes", "scores"], [{0: s}], out / "detector.onnx"
        )
    if isinstance(segmenter, VolumeSegmenter):
        patch = torch.rand(2, 3, *preset.volume.patch)
        _export(segmenter, (patch,), ["volume"], ["probability"], [{0: n}], out / "segmenter.onnx")
    else:
        _export(
            segmenter, (images, boxes, index), names, ["probability"], rows, out / "segmenter.onnx"
        )


@dataclass
class BundleText:
    """The texts of a manifest."""

    name: str
    version: str
    licence: str
    demo: bool
    statement: str
    negatives_trained: bool
    training: dict[str, Any]
    slice_spacing_mm: tuple[float, float] | None = None


def detector_section(preset: Preset, detector: Detector) -> dict[str, Any]:
    """The manifest's `detector`."""
    if preset.detector_kind == "whole":
        return {"kind": "whole"}
    if preset.detector_kind == "fixed":
        if not isinstance(detector, FixedBox):
            raise ValueError(
                "a `fixed` detector must be a FixedBox (atlas_box.py), found "
                f"{type(detector).__name__}"
            )
        return {"kind": "fixed", "box_mm": list(detector.box_mm)}
    if preset.detector_kind == "proposals":
        threshold = preset.proposals.score_threshold
        return {
            "kind": "proposals",
            "graph": "detector.onnx",
            "score_threshold": threshold,
            "min_side": preset.min_side,
        }
    return {
        "kind": "agent",
        "features": "crop",
        "trunk": "trunk.onnx",
        "q_head": "q_head.onnx",
        "feature_size": preset.trunk.feature_size,
        "initial_box": bx.initial_box(preset.input.grid, preset.initial_share).tolist(),
        "actions": [{"name": a.name, "box": list(a.box) if a.box else None} for a in bx.ACTIONS],
        "terminal": bx.TERMINAL,
        "history": preset.history,
        "max_steps": preset.max_steps,
        "min_side": preset.min_side,
    }


def segmenter_section(preset: Preset) -> dict[str, Any]:
    """The manifest's `segmenter`."""
    if preset.segmenter_kind == "volume":
        v = preset.volume
        return {
            "kind": "volume",
            "graph": "segmenter.onnx",
            "patch": list(v.patch),
            "spacing_mm": list(v.spacing_mm),
            "overlap": v.overlap,
            "mirror": v.mirror,
            "threshold": v.threshold,
            "context_factor": v.context_factor,
        }
    return {
        "kind": "crop",
        "graph": "segmenter.onnx",
        "context_factor": preset.ranet.context_factor,
        "crop": preset.ranet.crop,
        "threshold": preset.ranet.threshold,
    }


def manifest(
    preset: Preset, text: BundleText, metrics: dict[str, Any], detector: Detector = None
) -> dict[str, Any]:
    """bundle.json without its `files`; `detector` is needed if it is the atlas box."""
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
        "channels": [
            {"sequence": name, "scaling": scaling}
            for name, scaling in zip(("T1", "T1C", "T2"), scalings, strict=True)
        ],
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
        "detector": detector_section(preset, detector),
        "segmenter": segmenter_section(preset),
        "golden": "golden/golden.npz",
    }


def write_manifest(out: Path, content: dict[str, Any]) -> None:
    """Write bundle.json with the SHA-256 of every other file of the bundle."""
    detector = content["detector"]
    graphs = [detector[key] for key in ("trunk", "q_head", "graph") if key in detector]
    files = (*graphs, content["segmenter"]["graph"], content["golden"])
    content = {k: v for k, v in content.items() if k != "files"}
    content["files"] = {
        name: hashlib.sha256((out / name).read_bytes()).hexdigest() for name in files
    }
    write_text(out / "bundle.json", json.dumps(content, indent=2) + "\n")


def write_bundle(
    out: Path,
    net: Detector,
    segmenter: AnySegmenter,
    preset: Preset,
    golden_images: Array,
    text: BundleText,
    metrics: dict[str, Any] | None = None,
    golden_mm: GridMm = (6.0, 0.74, 0.74),
) -> None:
    """Write a whole bundle; `golden_images` is uint8 [S, 3, G, G], neighbouring slices from
    inferior to superior if the segmenter is a volume's.

    `net` is the detector: a QNetwork, an RCNN, a FixedBox, or None if the preset's kind is `whole`.
    `golden_mm` is the voxel size of the golden slices, which the atlas box and a volume's segmenter
    use.
    """
    (out / "golden").mkdir(parents=True, exist_ok=True)
    export_graphs(net, segmenter, preset, out)
    arrays: dict[str, Any] = golden_case(net, segmenter, golden_images, preset, golden_mm)
    np.savez_compressed(out / "golden" / "golden.npz", **arrays)
    write_manifest(out, manifest(preset, text, metrics or {}, net))


def untrained_bundle(
    preset: Preset, out: Path, seed: int, golden_images: Array | None = None
) -> tuple[Detector, AnySegmenter]:
    """Write random weights with a complete manifest, for timing and for tests of a runtime; returns
    the networks.
    """
    torch.manual_seed(seed)
    detector, segmenter = parts(preset)
    if preset.input.scaling == "dataset_max":
        preset = replace(preset, input=replace(preset.input, dataset_max=(4095.0, 4095.0, 4095.0)))
    if golden_images is None:
        g = preset.input.grid
        noise = np.random.default_rng(seed).random((2, 3, 8, 8))
        golden_images = np.rint(np.kron(noise, np.ones((g // 8, g // 8))) * 255).astype(np.uint8)
    name = preset.name.replace("/", "-").replace("_", "-")
    text = BundleText(
        f"nasoseg-{name}-untrained",
        "0.0.0",
        "Apache-2.0",
        True,
        "Random weights. Nothing it says means anything.",
        False,
        {"data": "none", "seed": seed},
    )
    write_bundle(out, detector, segmenter, preset, golden_images, text)
    return detector, segmenter
