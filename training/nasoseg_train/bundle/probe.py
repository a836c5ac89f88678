"""The probe bundle: a segmenter that returns its own input crop of T1C.

Its detector is `whole` and its "probability" is T1C itself, so a known shape must come back where
it was. That proves the pixel convention (edges, centres, crops) of a runtime, which a comparison of
ONNX with PyTorch cannot see.
"""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import onnx
from onnx import TensorProto, helper

from ..run.files import replacing, write_text

GRID, CROP = 96, 64


def graph() -> onnx.ModelProto:
    """RoiAlign of T1C (`half_pixel`, one sample per bin), as probability [N, 1, C, C]."""
    nodes = [
        helper.make_node(
            "RoiAlign",
            ["images", "boxes", "image_index"],
            ["crop"],
            output_height=CROP,
            output_width=CROP,
            sampling_ratio=1,
            spatial_scale=1.0,
            mode="avg",
            coordinate_transformation_mode="half_pixel",
        ),
        helper.make_node("Slice", ["crop", "from", "to", "axis"], ["t1c"]),
        helper.make_node("Clip", ["t1c", "low", "high"], ["probability"]),
    ]
    constants = [
        helper.make_tensor(name, TensorProto.INT64, [1], [value])
        for name, value in (("from", 1), ("to", 2), ("axis", 1))
    ] + [
        helper.make_tensor(name, TensorProto.FLOAT, [], [value])
        for name, value in (("low", 0.0), ("high", 1.0))
    ]
    inputs = [
        helper.make_tensor_value_info("images", TensorProto.FLOAT, ["S", 3, GRID, GRID]),
        helper.make_tensor_value_info("boxes", TensorProto.FLOAT, ["N", 4]),
        helper.make_tensor_value_info("image_index", TensorProto.INT64, ["N"]),
    ]
    outputs = [
        helper.make_tensor_value_info("probability", TensorProto.FLOAT, ["N", 1, CROP, CROP])
    ]
    model = helper.make_model(
        helper.make_graph(nodes, "probe", inputs, outputs, constants),
        opset_imports=[helper.make_opsetid("", 17)],
        ir_version=9,
    )
    onnx.checker.check_model(model, full_check=True)
    return model


def write_probe(out: Path) -> None:
    """The graph and its manifest."""
    out.mkdir(parents=True, exist_ok=True)
    data = graph().SerializeToString()
    with replacing(out / "segmenter.onnx") as partial:
        partial.write_bytes(data)
    manifest = {
        "format_version": 1,
        "name": "nasoseg-probe",
        "version": "1",
        "licence": "Apache-2.0",
        "intended_use": {"demo": True, "statement": "Returns its input. For tests of geometry."},
        "negatives_trained": True,
        "input": {
            "channels": [
                {"sequence": s, "scaling": {"kind": "dataset_max", "value": 1.0}}
                for s in ("T1", "T1C", "T2")
            ],
            "grid": GRID,
            "fit": {"kind": "mm", "pixel_mm": 2.0},
        },
        "detector": {"kind": "whole"},
        "segmenter": {
            "kind": "crop",
            "graph": "segmenter.onnx",
            "context_factor": 1.0,
            "crop": CROP,
            "threshold": 0.5,
        },
        "files": {"segmenter.onnx": hashlib.sha256(data).hexdigest()},
    }
    write_text(out / "bundle.json", json.dumps(manifest, indent=2) + "\n")
