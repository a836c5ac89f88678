"""Makes one bundle of each kind for the tests, and the expected results on a study by a direct
implementation of docs/reference/bundle.md.

In: nothing. Out: tests/data/{fixed,proposals,volume}, each a bundle with its golden case; in
tests/data/kinds the study, the expected results, and a network of volumes for windows of any size.
The graphs are written by hand, so that their results are known: T1C itself as probability, a bright
spot's bounds as box.

    PYTHONPATH=training python tests/data/kinds.py
"""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from nasoseg_train.bundle.probe import CROP, GRID
from nasoseg_train.bundle.probe import graph as crop_graph
from nasoseg_train.bundle.reference import Bundle, run
from nasoseg_train.data.slice_grid import SliceGrid
from onnx import TensorProto, helper
from onnx import numpy_helper as nh

HERE = Path(__file__).resolve().parent
Array = np.ndarray

PIXEL_MM = 2.0
BOX_MM = [-36.0, -30.5, 41.25, 28.0]
PATCH = [3, 20, 16]


def model(
    name: str, nodes: list[Any], inputs: list[Any], outputs: list[Any], constants: dict[str, Array]
) -> bytes:
    tensors = [nh.from_array(value, key) for key, value in constants.items()]
    made = helper.make_model(
        helper.make_graph(nodes, name, inputs, outputs, tensors),
        opset_imports=[helper.make_opsetid("", 18)],
        ir_version=9,
    )
    onnx.checker.check_model(made, full_check=True)
    return made.SerializeToString()


def tensor(name: str, shape: list[Any]) -> Any:
    return helper.make_tensor_value_info(name, TensorProto.FLOAT, shape)


def proposals_graph() -> bytes:
    """Three entries per slice: the bounds of the pixels brighter than 0.3 on T1C, of those brighter
    than 0.6, one not used.

    The first scores 0.9 of the brightest pixel, the second the brightest pixel where there is
    anything, so that it wins.
    """
    node = helper.make_node
    nodes = [node("Slice", ["images", "one", "two", "one"], ["t1c"])]
    boxes, scores = [], []
    for n in ("0", "1"):
        nodes += [
            node("Greater", ["t1c", f"level{n}"], [f"over{n}"]),
            node("Cast", [f"over{n}"], [f"lit{n}"], to=TensorProto.FLOAT),
        ]
        edges = []
        # x from the columns that hold anything, y from the rows; first from both ends.
        for axis, across in (("x", "rows"), ("y", "columns")):
            name = axis + n
            nodes += [
                node("ReduceMax", [f"lit{n}", across], [f"any{name}"], keepdims=0),
                node("ArgMax", [f"any{name}"], [f"low{name}"], axis=-1, keepdims=1),
                node(
                    "ArgMax",
                    [f"any{name}"],
                    [f"last{name}"],
                    axis=-1,
                    keepdims=1,
                    select_last_index=1,
                ),
                node("Add", [f"last{name}", "one"], [f"high{name}"]),
            ]
            edges.append((f"low{name}", f"high{name}"))
        (x0, x1), (y0, y1) = edges
        nodes += [
            node("Concat", [x0, y0, x1, y1], [f"whole{n}"], axis=-1),
            node("Cast", [f"whole{n}"], [f"box{n}"], to=TensorProto.FLOAT),
        ]
        boxes.append(f"box{n}")
        nodes += [
            node("Where", [f"over{n}", "t1c", "nothing"], [f"bright{n}"]),
            node("ReduceMax", [f"bright{n}", "plane"], [f"top{n}"], keepdims=0),
            node("Mul", [f"top{n}", f"share{n}"], [f"score{n}"]),
        ]
        scores.append(f"score{n}")
    nodes += [
        node("Mul", ["box0", "nothing"], ["box2"]),
        node("Mul", ["score0", "nothing"], ["score2"]),
        node("Concat", [*boxes, "box2"], ["boxes"], axis=1),
        node("Concat", [*scores, "score2"], ["scores"], axis=1),
    ]
    integers = {"one": [1], "two": [2], "rows": [2], "columns": [3], "plane": [2, 3]}
    floats = {"level0": 0.3, "level1": 0.6, "share0": 0.9, "share1": 1.0, "nothing": 0.0}
    constants = {k: np.array(v, dtype=np.int64) for k, v in integers.items()}
    constants |= {k: np.array(v, dtype=np.float32) for k, v in floats.items()}
    outputs = [tensor("boxes", ["S", 3, 4]), tensor("scores", ["S", 3])]
    return model("proposals", nodes, [tensor("images", ["S", 3, GRID, GRID])], outputs, constants)


def volume_graph(ramp: bool) -> bytes:
    """T1C itself; with `ramp` weaker towards the patch's first row and column, so that weights and
    mirrors show.

    Without, the patch's sides are left open: a test's manifest may name any. With it, one patch at
    a time is all it takes.
    """
    node = helper.make_node
    nodes = [node("Slice", ["volume", "one", "two", "one"], ["t1c"])]
    constants = {"one": np.array([1], dtype=np.int64), "two": np.array([2], dtype=np.int64)}
    n, sides = (1, PATCH) if ramp else ("N", ["D", "H", "W"])
    if ramp:
        z, y, x = np.meshgrid(*[(np.arange(n) + 0.5) / n for n in PATCH], indexing="ij")
        constants["ramp"] = (0.6 + 0.1 * z + 0.1 * y + 0.2 * x)[None, None].astype(np.float32)
        nodes.append(node("Mul", ["t1c", "ramp"], ["weaker"]))
    nodes.append(node("Clip", ["weaker" if ramp else "t1c", "low", "high"], ["probability"]))
    constants |= {"low": np.array(0.0, dtype=np.float32), "high": np.array(1.0, dtype=np.float32)}
    return model(
        "volume",
        nodes,
        [tensor("volume", [n, 3, *sides])],
        [tensor("probability", [n, 1, *sides])],
        constants,
    )


def ball(x: Array, y: Array, z: Array) -> Array:
    """A bright, smooth, long ball on a dim ground."""
    r = np.sqrt(((x - 7.3) / 1.4) ** 2 + (y + 11.7) ** 2 + ((z - 19.0) / 1.2) ** 2)
    return 0.1 + 0.8 / (1 + np.exp((r - 14) / 2.5))


def study() -> dict[str, Array]:
    """Nine slices, unevenly spaced, of 61 x 53 pixels that are longer than wide."""
    places = np.array([0.0, 5.0, 10.0, 14.0, 19.0, 24.0, 31.0, 36.0, 41.0])
    spacing = np.array([2.6, 2.2])
    j, i = np.indices((61, 53))
    x, y = (i - 26) * spacing[1], (j - 30) * spacing[0]
    t1c = np.stack([ball(x, y, z) for z in places])
    texture = np.stack([0.2 + 0.1 * np.sin(x / 9 + z / 7) * np.cos(y / 11) for z in places])
    volumes = np.rint(np.stack([texture, t1c, 1.5 * texture]) * 250).astype(np.int16)
    return {"volumes": volumes, "spacing_mm": spacing, "places_mm": places}


def golden_case(bundle: Bundle, made: dict[str, Array]) -> dict[str, Array]:
    """Three prepared slices: two through the ball, not alike, one beside it."""
    spacing = tuple(made["spacing_mm"])
    images, _ = bundle.prepare(made["volumes"], spacing)
    rows = [0, 3, 6]
    stored = np.rint(images[rows] * 255).astype(np.uint8)
    images = stored.astype(np.float32) / 255
    pixel_mm = (PIXEL_MM, PIXEL_MM)
    found = bundle.detect(images, pixel_mm=pixel_mm)
    out = {"images": stored, "boxes": found.last}
    if found.scores is not None:
        out["scores"] = bundle.detector.run(["scores"], {"images": images})[0]
    crops = bundle.crops(images, found.last, pixel_mm, made["places_mm"][rows])
    side = GRID
    if bundle.kind == "volume":
        out |= {"places_mm": made["places_mm"][rows], "pixel_mm": np.array(pixel_mm)}
        own = SliceGrid((1.0, 1.0), (0.0, 0.0), (GRID, GRID), GRID)
        parts = [None if crop is None else crop.sample(own) for crop in crops]
    else:
        side = CROP
        parts = [None if crop is None else crop.probability for crop in crops]
    out["probability"] = np.stack(
        [np.zeros((side, side), np.float32) if p is None else p for p in parts]
    )[:, None]
    return out


def write(
    name: str,
    graphs: dict[str, bytes],
    detector: dict[str, Any],
    segmenter: dict[str, Any],
    made: dict[str, Array],
) -> None:
    out = HERE / name
    (out / "golden").mkdir(parents=True, exist_ok=True)
    for file, data in graphs.items():
        (out / file).write_bytes(data)
    content: dict[str, Any] = {
        "format_version": 1,
        "name": f"nasoseg-test-{name}",
        "version": "1",
        "licence": "Apache-2.0",
        "intended_use": {"demo": True, "statement": "Returns its input. For tests of the library."},
        "negatives_trained": True,
        "input": {
            "channels": [
                {"sequence": s, "scaling": {"kind": "dataset_max", "value": 250.0}}
                for s in ("T1", "T1C", "T2")
            ],
            "grid": GRID,
            "fit": {"kind": "mm", "pixel_mm": PIXEL_MM},
        },
        "detector": detector,
        "segmenter": segmenter,
        "files": {},
    }

    def manifest(files: list[str]) -> None:
        content["files"] = {f: hashlib.sha256((out / f).read_bytes()).hexdigest() for f in files}
        (out / "bundle.json").write_text(json.dumps(content, indent=2) + "\n")

    manifest(list(graphs))
    np.savez_compressed(out / "golden" / "golden.npz", **golden_case(Bundle(out, threads=1), made))
    content["golden"] = "golden/golden.npz"
    manifest([*graphs, "golden/golden.npz"])
    volumes = made["volumes"].astype(np.float32)
    result = run(Bundle(out, threads=1), volumes, tuple(made["spacing_mm"]), made["places_mm"])
    np.savez_compressed(
        HERE / "kinds" / f"{name}.npz", boxes=result.detection.last, probability=result.probability
    )


def main() -> None:
    made = study()
    (HERE / "kinds").mkdir(exist_ok=True)
    np.savez_compressed(HERE / "kinds" / "study.npz", **made)
    crop = {
        "kind": "crop",
        "graph": "segmenter.onnx",
        "context_factor": 1.3,
        "crop": CROP,
        "threshold": 0.5,
    }
    by_crop = crop_graph().SerializeToString()
    found = {"kind": "proposals", "graph": "detector.onnx", "score_threshold": 0.7, "min_side": 6.0}
    write("fixed", {"segmenter.onnx": by_crop}, {"kind": "fixed", "box_mm": BOX_MM}, crop, made)
    write(
        "proposals",
        {"detector.onnx": proposals_graph(), "segmenter.onnx": by_crop},
        found,
        crop,
        made,
    )
    window = {
        "kind": "volume",
        "graph": "segmenter.onnx",
        "patch": PATCH,
        "spacing_mm": [4.0, 1.9, 2.3],
        "overlap": 0.5,
        "mirror": True,
        "threshold": 0.4,
        "context_factor": 1.3,
    }
    write(
        "volume",
        {"detector.onnx": proposals_graph(), "segmenter.onnx": volume_graph(ramp=True)},
        found,
        window,
        made,
    )
    (HERE / "kinds" / "window.onnx").write_bytes(volume_graph(ramp=False))


if __name__ == "__main__":
    main()
