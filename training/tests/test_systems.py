"""Every row of the paper's tables: the registry, exports of every kind, R-CNN, the atlas box and
volumes.
"""

import dataclasses
import json
import os

import numpy as np
import onnxruntime as ort
import pytest
import torch

from nasoseg_train.bundle.golden import golden_case
from nasoseg_train.bundle.graph_parity import check_golden, check_graphs
from nasoseg_train.bundle.reference_parity import ParityError, check_bundle
from nasoseg_train.bundle.writer import untrained_bundle, write_manifest
from nasoseg_train.commands.list_systems import weights_of, weights_table
from nasoseg_train.data.atlas_box import FixedBox, atlas_box, boxes_in_mm, grid_mm
from nasoseg_train.data.slice_set import SliceSet, Stacked, patient_slices
from nasoseg_train.data.standin import StandIn, standin_patient
from nasoseg_train.geometry import boxes as bx
from nasoseg_train.networks.parts import parts
from nasoseg_train.networks.rcnn import RCNN
from nasoseg_train.run.presets import MICRO, PRESETS, SMALL, TINY, InputConfig, VolumeConfig
from nasoseg_train.run.systems import SYSTEMS, TABLES
from nasoseg_train.segmenter.rcnn_training import choose, load_proposals, train_proposals
from nasoseg_train.segmenter.sliding_window import Line, Lines, Stack, gaussian, predict, starts
from nasoseg_train.segmenter.volume_training import (
    Patients,
    load_volume,
    train_volume,
    training_patch,
)


def every_slice(seeds):
    """Stand-in patients with all their slices."""
    made = [patient_slices(seed, TINY.input, 99, standin_patient) for seed in seeds]
    joined = {key: np.concatenate([one[key] for one in made]) for key in made[0]}
    return SliceSet(
        images=Stacked([joined.pop("images")]), masks=Stacked([joined.pop("masks")]), **joined
    )


@pytest.fixture(scope="module")
def sets():
    return every_slice(range(4)), every_slice([50])


@pytest.fixture(scope="module")
def voxel_mm(sets):
    patient = StandIn(0)
    size = grid_mm(patient.shape[1:], patient.spacing_mm, TINY.input)
    return {int(p): size for one in sets for p in np.unique(one.patient)}


# --- the registry ---


def test_rows_of_every_table():
    for table, rows in TABLES.items():
        assert {name for name, system in SYSTEMS.items() if table in system.tables} == set(rows)
    named = ("unet", "unet_weighted", "unet_dice", "unet_dbw", "tang")
    losses = {name: SYSTEMS[name].preset(SMALL).segmenter.loss for name in named}
    assert losses == {
        "unet": "ce",
        "unet_weighted": "weighted",
        "unet_dice": "dice",
        "unet_dbw": "dbw",
        "tang": "dice_ce",
    }


@pytest.mark.parametrize("base", ["paper", "small", "tiny"])
def test_a_system_changes_what_it_names(base):
    base = PRESETS[base]
    for name, system in SYSTEMS.items():
        preset = system.preset(base)
        assert preset.name == f"{base.name}/{name}" and preset.input == base.input
        if preset.detector_kind == "whole":
            assert (
                preset.ranet.context_factor == 1 and preset.ranet.crop == base.baselines.whole_crop
            )
            assert (
                preset.segmenter.agent_steps == 0
                and preset.ranet.crop // 8 % preset.ranet.regions == 0
            )
        if name in TABLES[1]:
            unlike = dataclasses.replace(preset.detector, schedule=base.detector.schedule)
            assert unlike == base.detector
        json.dumps(preset.to_dict())
    priors = [SYSTEMS[name].preset(base).detector.schedule.at(0)[1] for name in TABLES[1]]
    assert priors == [0.8, 0.4, 0.0]
    assert SYSTEMS["agent_priori_00"].preset(base).detector.schedule.at(3)[1] == 0
    only = [name for name, system in SYSTEMS.items() if system.detects_only]
    assert only == ["faster_rcnn", "agent_priori_04", "agent_priori_00"]


def test_small_compares_networks_of_like_sizes():
    # What an attention module adds is part of it; nothing else may differ in a table of U-Nets.
    counts = {name: weights_of(SYSTEMS[name], SMALL)["segmenter"] for name in TABLES[3]}
    assert max(counts.values()) < 1.35 * min(counts.values())
    assert SMALL.detector.auxiliary == 0  # the prior must not reach agents that explore without it
    table = weights_table(TINY)
    assert all(f"| {name} |" in table for name in SYSTEMS)


# --- exports ---

# One system of every graph that is new here; the others differ in weights alone.
EXPORTED = ["unet_cram_rram", "densenet", "ddnn", "attention_unet", "tang", "mask_rcnn", "lin"]
if os.environ.get("NASOSEG_EVERY_SYSTEM"):
    EXPORTED = list(SYSTEMS)
GOLDEN = {
    "agent": {"images", "features", "actions", "q", "boxes", "probability"},
    "whole": {"images", "probability"},
    "fixed": {"images", "boxes", "places_mm", "pixel_mm", "probability"},
    "proposals": {"images", "boxes", "scores", "probability"},
}


@pytest.fixture(scope="module")
def bundles(tmp_path_factory):
    """Untrained bundles, made once."""
    made = {}

    def bundle(name):
        if name not in made:
            preset, out = SYSTEMS[name].preset(TINY), tmp_path_factory.mktemp(name)
            made[name] = (out, *untrained_bundle(preset, out, 3), preset)
        return made[name]

    return bundle


@pytest.mark.parametrize("name", EXPORTED)
def test_a_bundle_of_every_kind(name, bundles):
    out, detector, segmenter, preset = bundles(name)
    figures = check_graphs(out, detector, segmenter, preset)
    assert max(value for key, value in figures.items() if key != "boxes") < 1e-4
    if preset.detector_kind == "agent":
        assert check_bundle(out)["steps_compared"] >= 2
    else:
        assert check_golden(out, preset)["probability"] < 1e-4
    content = json.loads((out / "bundle.json").read_text())
    assert (
        content["detector"]["kind"] == preset.detector_kind
        and content["segmenter"]["kind"] == preset.segmenter_kind
    )
    files = {str(p.relative_to(out)) for p in out.rglob("*") if p.is_file()}
    assert files == {"bundle.json", *content["files"]}
    with np.load(out / "golden" / "golden.npz") as golden:
        assert set(golden.files) == GOLDEN[preset.detector_kind]
        s, side = (
            len(golden["images"]),
            preset.input.grid if preset.segmenter_kind == "volume" else preset.ranet.crop,
        )
        assert golden["probability"].shape == (s, 1, side, side)
        if preset.ranet.network != "box":
            assert golden["probability"].std() > 0


def test_a_detector_alone_draws_its_box(tmp_path):
    box = SYSTEMS["faster_rcnn"].preset(TINY).ranet
    preset = dataclasses.replace(TINY, detector_kind="whole", ranet=box)
    check_graphs(tmp_path, *untrained_bundle(preset, tmp_path, 0), preset)
    session = ort.InferenceSession(tmp_path / "segmenter.onnx", providers=["CPUExecutionProvider"])
    assert [i.name for i in session.get_inputs()] == ["images", "boxes", "image_index"]
    with np.load(tmp_path / "golden" / "golden.npz") as golden:
        assert golden["probability"].shape == (2, 1, 8, 8) and golden["probability"].min() > 0.999


def test_parity_sees_other_weights(bundles):
    out, _, _, preset = bundles("ddnn")
    torch.manual_seed(77)
    with pytest.raises(ParityError):
        check_graphs(out, *parts(preset), preset)


def test_a_fixed_bundle_carries_its_box(bundles, tmp_path):
    out, detector, _, preset = bundles("lin")
    content = json.loads((out / "bundle.json").read_text())
    assert content["detector"] == {"kind": "fixed", "box_mm": list(detector.box_mm)}
    assert content["segmenter"]["patch"] == list(preset.volume.patch)
    content["segmenter"]["threshold"] = 0.3
    write_manifest(
        out, content
    )  # the digests are made again from the files that the manifest names
    assert json.loads((out / "bundle.json").read_text())["files"] == content["files"]


# --- R-CNN ---


def test_the_graphs_boxes_are_torchvisions():
    torch.manual_seed(1)
    net = RCNN(SYSTEMS["faster_rcnn"].preset(TINY)).eval()
    net.model.roi_heads.score_thresh = 0.0
    images = torch.rand(2, 3, 96, 96)
    whole = torch.tensor([[0.0, 0, 96, 96]]).repeat(2, 1)
    with torch.no_grad():
        boxes, scores = net(images)
        expected = net.model(list(net.crop(images, whole, torch.arange(2))))
    for i in range(2):
        n = len(expected[i]["scores"])
        assert torch.allclose(scores[i, :n], expected[i]["scores"], atol=1e-5)
        assert torch.allclose(boxes[i, :n], (expected[i]["boxes"] + 0.5).clamp(0, 96), atol=1e-3)


def test_slices_without_a_proposal(bundles):
    out, net, segmenter, preset = bundles("mask_rcnn")
    session = ort.InferenceSession(out / "detector.onnx", providers=["CPUExecutionProvider"])
    for s in (1, 3):
        boxes, scores = session.run(None, {"images": np.zeros((s, 3, 96, 96), np.float32)})
        assert boxes.shape == (s, 4, 4) and scores.shape == (s, 4)
        assert (boxes[scores == 0] == 0).all() and (np.diff(scores) <= 0).all()
    # A network that is sure of background everywhere.
    torch.nn.init.zeros_(net.model.roi_heads.box_predictor.cls_score.weight)
    bias = net.model.roi_heads.box_predictor.cls_score.bias.data
    kept = bias.clone()
    bias.copy_(torch.tensor([8.0, -8.0]))
    golden = golden_case(net, segmenter, np.zeros((2, 3, 96, 96), np.uint8), preset)
    bias.copy_(kept)
    assert np.isnan(golden["boxes"]).all() and (golden["probability"] == 0).all()
    assert 0 <= golden["scores"].max() < preset.proposals.score_threshold


def test_the_best_proposal_as_the_runtime_takes_it():
    preset = SYSTEMS["faster_rcnn"].preset(TINY)
    boxes = np.array(
        [[[0, 0, 9, 9], [90, 50, 99, 70]], [[40, 40, 41, 60], [0, 0, 0, 0]]], dtype=np.float32
    )
    scores = np.array([[0.3, 0.6], [0.9, 0.0]], dtype=np.float32)
    assert choose(boxes, scores, preset).tolist() == [[90, 50, 96, 70], [38.5, 40, 42.5, 60]]
    assert np.isnan(choose(boxes, scores * 0.01, preset)).all()


def squares(n, seed):
    """Slices with one bright square each on a dim head."""
    rng = np.random.default_rng(seed)
    images, masks = (
        rng.integers(20, 60, (n, 3, 96, 96), dtype=np.uint8),
        np.zeros((n, 96, 96), np.uint8),
    )
    target = np.zeros((n, 4))
    for i in range(n):
        w, h = rng.integers(14, 26, 2)
        x, y = rng.integers(12, 56, 2)
        images[i, :, y : y + h, x : x + w] = 230
        masks[i, y : y + h, x : x + w] = 255
        target[i] = x, y, x + w, y + h
    number = np.arange(n) + 1000 * seed  # other patients in every set
    return SliceSet(
        Stacked([images]), Stacked([masks]), number, np.zeros(n, int), np.ones(n, bool), target
    )


def test_faster_rcnn_finds_a_bright_square(tmp_path):
    preset = SYSTEMS["faster_rcnn"].preset(TINY)
    preset = dataclasses.replace(
        preset,
        proposals=dataclasses.replace(
            preset.proposals, steps=90, batch=4, lr=5e-3, validate_every=90
        ),
        segmenter=dataclasses.replace(
            preset.segmenter, rotation_degrees=0.0, tumour_free_share=0.0
        ),
    )
    path = train_proposals(preset, squares(64, 0), squares(12, 1), tmp_path, 1)
    _, figures = load_proposals(path, preset)
    assert figures["recall"] > 0.6 and figures["iou"] > 0.4, figures


# --- the atlas box and volumes ---


def test_atlas_box(sets, voxel_mm):
    boxes = np.array([[-i, -2.0 * i, i, 3.0 * i] for i in range(1, 101)], dtype=float)
    assert atlas_box(boxes, 1.0, 0.0).box_mm == (-100, -200, 100, 300)
    assert atlas_box(boxes, 0.9, 5.0).box_mm == (-95, -185, 95, 275)
    with pytest.raises(ValueError, match="tumour slices"):
        atlas_box(boxes[:0], 0.9, 0.0)
    train = sets[0]
    found = atlas_box(boxes_in_mm(train, voxel_mm), 1.0, 3.0)
    size = next(iter(voxel_mm.values()))
    on_grid = found.on_grid(size, 96)
    target = train.target[train.tumour]
    assert (bx.recall(np.tile(on_grid, (len(target), 1)), target) == 1).all()
    assert on_grid[0] == pytest.approx(target[:, 0].min() - 3 / size[2])


def test_voxels_of_the_grid_in_mm():
    config = InputConfig(grid=96, fit="stretch")
    assert grid_mm((48, 192), (5.0, 1.0, 0.5), config) == pytest.approx((5.0, 0.5, 1.0))
    assert grid_mm((48, 192), (5.0, 1.0, 0.5), MICRO.input) == pytest.approx((5.0, 2.96, 2.96))
    box = FixedBox((-10.0, -20.0, 10.0, 40.0))
    assert box.on_grid((5.0, 2.0, 1.0), 96).tolist() == [38, 38, 58, 68]


def test_windows():
    assert (
        starts(10, 4, 0.5) == [0, 2, 4, 6]
        and starts(11, 4, 0.0) == [0, 4, 7]
        and starts(3, 8, 0.5) == [-2]
    )
    assert Line.filling(2.0, 8.5, 2.0) == Line(2.25, 2.0, 4) and Line.reaching(
        10.0, 23.0, 3.0
    ) == Line(9.0, 3.0, 6)
    assert gaussian(5)[2] == 1 and gaussian(4)[0] == gaussian(4)[3]


@pytest.mark.parametrize("mirror", [False, True])
def test_a_linear_field_comes_back_from_the_sliding_window(mirror):
    config = VolumeConfig(patch=(4, 8, 8), spacing_mm=(2.0, 2.0, 1.0), mirror=mirror)
    z, y, x = np.meshgrid(
        np.arange(5) * 4.0, np.arange(40) + 0.5, np.arange(40) + 0.5, indexing="ij"
    )
    field = (0.1 + 0.01 * z + 0.005 * y + 0.006 * x).astype(np.float32)
    stack = Stack(np.stack([field * 0, field, field * 0], axis=1), np.arange(5) * 4.0, (0.8, 1.5))
    rows, boxes = (
        np.array([1, 2, 3]),
        np.array([[10.2, 8, 30, 25.5], [9, 9, 28, 25], [12, 10, 30, 30]]),
    )
    out = predict(lambda patch: patch[:, 1:2], config, stack, rows, boxes)
    assert (out[[0, 4]] == 0).all()
    for row, box in zip(rows, boxes, strict=True):
        inside = (
            (x[0] > box[0] + 1) & (x[0] < box[2] - 1) & (y[0] > box[1] + 1) & (y[0] < box[3] - 1)
        )
        assert np.allclose(out[row][inside], field[row][inside], atol=1e-4)
        outside = (x[0] < box[0]) | (x[0] > box[2]) | (y[0] < box[1]) | (y[0] > box[3])
        assert (out[row][outside] == 0).all()


def test_training_patches_are_the_windows_patches(sets, voxel_mm):
    # Without augmentation, and with room for the whole region, a patch is what the sliding window
    # would see.
    config = dataclasses.replace(
        TINY.volume, patch=(16, 48, 48), flip=0.0, scale=0.0, intensity=0.0, tumour_share=0.0
    )
    patients = Patients(sets[1], voxel_mm)
    box = FixedBox((-60.0, -60.0, 60.0, 60.0))
    stack, size = patients.stack(0)
    lines = Lines.around(
        config, stack, np.array([0, 11]), np.stack([box.on_grid(tuple(size), 96)] * 2)
    )
    whole = lines.patch(stack.images, stack, (-2, -9, -9), config.patch) / np.float32(255)
    assert (lines.z.count, lines.y.count) == (12, 30)

    class Never(np.random.Generator):
        def random(self):
            return 1.0

    image, mask = training_patch(patients, 0, box, config, Never(np.random.PCG64(0)))
    assert (
        image.shape == (3, 16, 48, 48)
        and np.array_equal(image, whole[:3])
        and np.array_equal(mask, whole[3:] >= 0.5)
    )
    assert mask.any() and not mask[:, :2].any()


def test_gaps_between_slices_are_refused(sets, voxel_mm):
    one = sets[1]
    kept = np.array([0, 1, 3])
    gappy = SliceSet(
        Stacked([one.images[kept]]),
        Stacked([one.masks[kept]]),
        one.patient[kept],
        one.slice_index[kept],
        one.tumour[kept],
        one.target[kept],
    )
    with pytest.raises(ValueError, match="gaps"):
        Patients(gappy, voxel_mm)


def test_voxresnet_learns(sets, voxel_mm, tmp_path):
    preset = SYSTEMS["lin"].preset(TINY)
    preset = dataclasses.replace(
        preset, volume=dataclasses.replace(preset.volume, steps=50, lr=8e-3, validate_every=50)
    )
    train, validation = sets
    box = atlas_box(boxes_in_mm(train, voxel_mm), 1.0, 10.0)
    path = train_volume(preset, train, validation, voxel_mm, voxel_mm, box, tmp_path, 1)
    found, _, figures = load_volume(path, preset)
    assert found == box and figures["dice"] > 0.5, figures
