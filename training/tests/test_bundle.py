"""Preparation, caches, export with parity, the reference runtime and the metrics."""

import json

import numpy as np
import pytest
import torch

from nasoseg_train.bundle.reference import Bundle, run
from nasoseg_train.bundle.reference_parity import ParityError, check_bundle, check_networks
from nasoseg_train.bundle.reference_sampling import sample_probability
from nasoseg_train.bundle.writer import BundleText, untrained_bundle, write_bundle
from nasoseg_train.data import slice_set as data
from nasoseg_train.data.slice_grid import SliceGrid, mask_boxes, prepare_slices, scale_volume
from nasoseg_train.data.standin import StandIn, standin_patient
from nasoseg_train.geometry import metrics
from nasoseg_train.networks import QNetwork, Segmenter
from nasoseg_train.run.presets import MICRO, InputConfig

TEXT = BundleText("nasoseg-micro", "0", "Apache-2.0", True, "test", True, {"seed": 0})


@pytest.fixture(scope="module")
def bundle(tmp_path_factory):
    """An untrained micro bundle with the networks it came from."""
    torch.manual_seed(3)
    net, segmenter = QNetwork(MICRO), Segmenter(MICRO.ranet)
    out = tmp_path_factory.mktemp("micro")
    images, _ = prepare_slices(StandIn(0).images(), (2.2, 2.2), MICRO.input)
    write_bundle(out, net, segmenter, MICRO, np.rint(images[4:6] * 255).astype(np.uint8), TEXT)
    return out, net, segmenter


def test_scaling_by_the_percentile_of_voxels_above_zero():
    volume = (
        np.concatenate([np.zeros(1000), np.arange(1, 201)]).reshape(3, 20, 20).astype(np.float32)
    )
    top = np.percentile(np.arange(1, 201), 99.5)
    scaled = scale_volume(volume, 0, InputConfig())
    assert scaled.max() == 1
    assert scaled.ravel()[1099] == pytest.approx(100 / top)
    fixed = InputConfig(scaling="dataset_max", dataset_max=(400.0, 1.0, 1.0))
    assert scale_volume(volume, 0, fixed).max() == pytest.approx(0.5)


def test_fit_mm_is_centred_and_zero_outside():
    grid = SliceGrid.fit((10, 20), (0.74, 0.74), InputConfig(grid=32, pixel_mm=0.74))
    out = grid.sample(np.ones((10, 20)))
    assert out.sum() == pytest.approx(200)
    assert out[11:21, 6:26].min() == 1
    coarse = SliceGrid.fit((10, 20), (0.74, 1.48), InputConfig(grid=32, pixel_mm=0.74))
    assert coarse.boxes_to_grid(np.array([0.0, 0, 20, 10])).tolist() == pytest.approx(
        [-4, 11, 36, 21]
    )


def test_stretch_covers_the_whole_grid():
    grid = SliceGrid.fit((10, 20), (1, 1), InputConfig(grid=40, fit="stretch"))
    assert grid.boxes_to_grid(np.array([0.0, 0, 20, 10])).tolist() == [0, 0, 40, 40]


def test_mask_boxes_are_pixel_edges():
    mask = np.zeros((2, 8, 8), dtype=bool)
    mask[1, 2:5, 3:7] = True
    boxes = mask_boxes(mask)
    assert np.isnan(boxes[0]).all()
    assert boxes[1].tolist() == [3, 2, 7, 5]


def test_cache_and_split(tmp_path):
    seeds = data.patient_seeds("train", 1, 2)
    made = data.build_cache(
        tmp_path / "c", seeds, MICRO.input, 3, workers=1, source=standin_patient
    )
    again = data.build_cache(
        tmp_path / "c", seeds, MICRO.input, 3, workers=1, source=standin_patient
    )
    assert len(made) == len(again) and made.images.shape[1:] == (3, 96, 96)
    assert (~made.tumour).sum() == 6 and set(made.patient) == set(seeds)
    masks = made.masks[np.arange(len(made))]
    for row in np.flatnonzero(made.tumour):
        x0, y0, x1, y1 = made.target[row]
        ys, xs = np.nonzero(masks[row] >= 128)
        if len(xs):
            assert (
                x0 - 1 <= xs.min()
                and xs.max() + 1 <= x1 + 1
                and y0 - 1 <= ys.min()
                and ys.max() + 1 <= y1 + 1
            )
    assert (
        not set(seeds)
        & set(data.patient_seeds("test", 1, 200))
        & set(data.patient_seeds("validation", 1, 200))
    )


def test_export_and_parity(bundle):
    out, net, segmenter = bundle
    assert check_bundle(out)["steps_compared"] >= 2
    check_networks(out, net, segmenter, MICRO)
    assert sorted(p.name for p in out.rglob("*") if p.is_file()) == [
        "bundle.json",
        "golden.npz",
        "q_head.onnx",
        "segmenter.onnx",
        "trunk.onnx",
    ]


def test_parity_sees_another_network(bundle):
    out, _, segmenter = bundle
    torch.manual_seed(99)
    with pytest.raises(ParityError):
        check_networks(out, QNetwork(MICRO), segmenter, MICRO)


def test_manifest_has_exactly_the_contracts_keys(bundle):
    content = json.loads((bundle[0] / "bundle.json").read_text())
    assert list(content) == [
        "format_version",
        "name",
        "version",
        "licence",
        "intended_use",
        "negatives_trained",
        "training",
        "metrics",
        "input",
        "detector",
        "segmenter",
        "golden",
        "files",
    ]
    assert set(content["detector"]) == {
        "kind",
        "features",
        "trunk",
        "q_head",
        "feature_size",
        "initial_box",
        "actions",
        "terminal",
        "history",
        "max_steps",
        "min_side",
    }
    assert set(content["segmenter"]) == {"kind", "graph", "context_factor", "crop", "threshold"}


def test_a_changed_file_is_refused(tmp_path):
    untrained_bundle(MICRO, tmp_path, 0)
    (tmp_path / "q_head.onnx").write_bytes(b"x")
    with pytest.raises(ValueError, match="q_head"):
        Bundle(tmp_path)


def test_reference_runs_a_patient(bundle):
    patient = StandIn(3)
    result = run(Bundle(bundle[0]), patient.images(), patient.spacing_mm[1:])
    assert result.mask.shape == patient.shape
    assert result.detection.boxes.shape == (12, MICRO.max_steps + 1, 4)
    assert ((result.probability >= 0) & (result.probability <= 1)).all()


def test_probability_is_sampled_at_pixel_centres():
    # A ramp in the crop is a ramp on T1C's grid, half a pixel exact; nothing outside the box.
    grid = SliceGrid.fit((40, 40), (1.48, 1.48), InputConfig(grid=96, pixel_mm=0.74))
    box = np.array([30.0, 30, 62, 62])
    ramp = np.tile(((np.arange(16) + 0.5) / 16).astype(np.float32), (16, 1))
    out = sample_probability(ramp, box, grid)
    centre = (np.arange(40) + 0.5) * 2 + 8
    inside = (centre > 31) & (centre < 61)
    assert np.allclose(out[20][inside], (centre[inside] - 30) / 32, atol=1e-6)
    assert (out[:, (centre < 30) | (centre > 62)] == 0).all()


def test_metrics():
    truth, guess = np.zeros((4, 4), dtype=bool), np.zeros((4, 4), dtype=bool)
    truth[:2], guess[1:3] = True, True
    assert metrics.counts(guess, truth) == (4, 4, 4)
    assert metrics.dice(4, 4, 4) == 0.5
    assert np.isnan(metrics.dice(0, 0, 0)) and metrics.dice(0, 3, 0) == 0
    assert metrics.conformity(0.8) == pytest.approx(0.5)
    assert metrics.describe(np.arange(11))["deciles"] == list(range(1, 10))
    assert metrics.terciles(np.arange(9)).tolist() == [0] * 3 + [1] * 3 + [2] * 3


def test_threshold_rule():
    from nasoseg_train.bundle.threshold import pick

    dice = np.array([0.87, 0.90, 0.89, 0.88, 0.8])
    assert pick(dice, np.array([0.3, 0.1, 0.04, 0.03, 0.0])) == 2
    # Nothing clean is affordable: the highest within 0.025 of the best.
    assert pick(dice, np.array([0.3, 0.2, 0.2, 0.2, 0.0])) == 3
