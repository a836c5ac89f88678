"""Actions, the clipping rule and overlaps against numbers worked out by hand."""

import numpy as np
import pytest

from nasoseg_train.geometry import boxes as bx


def act(box, action, grid=384, min_side=16.0):
    return bx.apply_actions(np.array([box], dtype=float), np.array([action]), grid, min_side)[
        0
    ].tolist()


def test_table_is_six_zooms_four_shifts_and_stop():
    kinds = [a.kind for a in bx.ACTIONS]
    assert kinds == ["zoom"] * 6 + ["shift"] * 4 + ["stop"]
    assert bx.initial_box(384).tolist() == pytest.approx([111.36, 111.36, 272.64, 272.64])


@pytest.mark.parametrize(
    ("action", "expected"),
    [
        (0, [100, 100, 175, 130]),
        (1, [125, 100, 200, 130]),
        (2, [100, 110, 175, 140]),
        (3, [125, 110, 200, 140]),
        (4, [112.5, 100, 187.5, 140]),
        (5, [100, 105, 200, 135]),
        (6, [75, 100, 175, 140]),
        (7, [125, 100, 225, 140]),
        (8, [100, 90, 200, 130]),
        (9, [100, 110, 200, 150]),
        (10, [100, 100, 200, 140]),
    ],
)
def test_each_action(action, expected):
    assert act([100, 100, 200, 140], action) == expected


def test_a_short_side_grows_about_its_centre():
    assert act([100, 100, 120, 300], 0) == [99.5, 100, 115.5, 250]


def test_a_box_that_leaves_is_translated_back_not_squashed():
    assert act([10, 10, 110, 60], 6) == [0, 10, 100, 60]
    assert act([300, 10, 380, 60], 7) == [304, 10, 384, 60]


def test_growth_at_the_edge_comes_before_the_translation():
    assert act([0, 0, 20, 100], 0) == [0, 0, 16, 75]
    assert bx.clip_boxes(np.array([-3.0, 0, 5, 100]), 384, 16).tolist() == [0, 0, 16, 100]


def test_a_side_longer_than_the_grid_becomes_the_grid():
    assert bx.clip_boxes(np.array([-50.0, 10, 400, 20]), 384, 4).tolist() == [0, 10, 384, 20]


def test_enlarging():
    assert bx.enlarge(np.array([100.0, 100, 200, 140]), 1.5, 384).tolist() == [75, 90, 225, 150]
    # Capped at the grid, then translated inside.
    assert bx.enlarge(np.array([0.0, 0, 300, 40]), 1.5, 384).tolist() == [0, 0, 384, 60]


def test_overlaps():
    a, g = np.array([0.0, 0, 10, 10]), np.array([5.0, 0, 15, 10])
    assert bx.iou(a, g) == pytest.approx(1 / 3)
    assert bx.recall(a, g) == pytest.approx(0.5)
    assert bx.centre_distance(a, g) == pytest.approx(5)
    assert bx.iou(a, np.array([20.0, 20, 30, 30])) == 0
