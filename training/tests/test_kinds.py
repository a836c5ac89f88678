"""The plain reading of bundles of other kinds: fixed boxes, proposed boxes, volumes by a sliding
window.

The bundles and what was made of them lie in tests/data (written by tests/data/kinds.py); the
library's own tests compare it with the same files.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from nasoseg_train.bundle.reference import Bundle, run
from nasoseg_train.bundle.reference_sampling import (
    Crop,
    Line,
    between,
    sample_probability,
    starts,
)
from nasoseg_train.data.slice_grid import SliceGrid

DATA = Path(__file__).resolve().parents[2] / "tests" / "data"
KINDS = ("fixed", "proposals", "volume")
IDENTITY = SliceGrid((1.0, 1.0), (0.0, 0.0), (96, 96), 96)


def arrays(path):
    with np.load(path) as f:
        return {k: f[k] for k in f.files}


@pytest.fixture(scope="module")
def study():
    return arrays(DATA / "kinds" / "study.npz")


@pytest.mark.parametrize("kind", KINDS)
def test_boxes_and_probabilities_are_those_that_the_library_is_compared_with(kind, study):
    expected = arrays(DATA / "kinds" / f"{kind}.npz")
    found = run(
        Bundle(DATA / kind),
        study["volumes"].astype(np.float32),
        tuple(study["spacing_mm"]),
        study["places_mm"],
    )
    assert np.allclose(found.detection.last, expected["boxes"], rtol=0, atol=1e-9, equal_nan=True)
    assert np.abs(found.probability - expected["probability"]).max() < 1e-5
    assert found.mask.sum() > 300 and not found.mask[~found.detection.found].any()
    assert (found.detection.steps == 0).all() and not found.detection.stopped(0).any()


@pytest.mark.parametrize("kind", KINDS)
def test_golden_cases_come_out(kind):
    bundle, golden = Bundle(DATA / kind), arrays(DATA / kind / "golden" / "golden.npz")
    images = golden["images"].astype(np.float32) / 255
    found = bundle.detect(images, pixel_mm=(2.0, 2.0))
    assert np.allclose(found.last, golden["boxes"], rtol=0, atol=1e-6, equal_nan=True)
    if found.scores is not None:
        assert np.allclose(found.scores, golden["scores"].max(axis=1), atol=1e-6)
    crops = bundle.crops(images, golden["boxes"], (2.0, 2.0), golden.get("places_mm"))
    for crop, expected in zip(crops, golden["probability"][:, 0], strict=True):
        if crop is not None:
            assert (
                np.abs(
                    (crop.sample(IDENTITY) if kind == "volume" else crop.probability) - expected
                ).max()
                < 1e-5
            )


def test_what_a_kind_needs_is_asked_for(study):
    images = np.zeros((2, 3, 96, 96), dtype=np.float32)
    with pytest.raises(ValueError, match="pixel_mm"):
        Bundle(DATA / "fixed").detect(images)
    with pytest.raises(ValueError, match="places_mm"):
        Bundle(DATA / "volume").crops(images, np.full((2, 4), [0.0, 0, 96, 96]))
    # Without a box there is nothing to ask for.
    assert Bundle(DATA / "volume").crops(images, np.full((2, 4), np.nan)) == [None, None]


def test_one_slice_is_enough(study):
    k = slice(4, 5)
    volumes = study["volumes"][:, k].astype(np.float32)
    found = run(Bundle(DATA / "volume"), volumes, tuple(study["spacing_mm"]), study["places_mm"][k])
    assert found.probability.shape == (1, 61, 53) and found.mask.sum() > 20


def test_lines_and_patches():
    assert (
        Line.filling(2.0, 8.5, 2.0) == Line(2.25, 2.0, 4) and Line.filling(2.0, 2.5, 2.0).count == 1
    )
    assert (
        Line.reaching(10.0, 23.0, 3.0) == Line(9.0, 3.0, 6)
        and Line.reaching(10.0, 10.0, 3.0).count == 1
    )
    assert Line.filling(2.0, 8.5, 2.0).edges == (1.25, 9.25)
    assert (
        starts(11, 4, 0.5) == [0, 2, 4, 5, 7]
        and starts(11, 4, 0.0) == [0, 4, 7]
        and starts(3, 8, 0.5) == [-2]
    )
    slices = np.array([1.0, 3.0, 7.0], dtype=np.float32).reshape(3, 1, 1, 1)
    line = Line(-2.0, 3.0, 5)  # -2, 1, 4, 7, 10
    assert between(slices, np.array([0.0, 4.0, 8.0]), line).ravel().tolist() == [1, 1.5, 3, 6, 7]
    assert between(slices[:1], np.array([5.0]), line).ravel().tolist() == [1] * 5


def test_a_crop_ends_at_its_box():
    extent, box = np.array([10.0, 10, 30, 30]), np.array([12.0, 14, 20, 30])
    out = Crop(np.ones((5, 4), dtype=np.float32), extent, box).sample(IDENTITY)
    assert out.sum() == 8 * 16 and out[14:30, 12:20].all()
    # One pixel is enough.
    assert sample_probability(np.ones((1, 1), dtype=np.float32), extent, IDENTITY).sum() == 400
