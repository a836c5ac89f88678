"""Rewards, the prior, the schedule, the views and the replay."""

import dataclasses

import numpy as np
import pytest
import torch

from nasoseg_train.agent.environment import Views
from nasoseg_train.agent.exploration import explore, prior_actions, prior_returns
from nasoseg_train.agent.learner import Learner
from nasoseg_train.agent.observation import Crops
from nasoseg_train.agent.replay import Replay, Transitions
from nasoseg_train.agent.reward import good_stop, reward
from nasoseg_train.geometry import boxes as bx
from nasoseg_train.run.presets import DEMO, MICRO, PAPER
from nasoseg_train.run.training_config import Schedule

TARGET = np.array([100.0, 100, 200, 200])


def one_reward(box, action, target=TARGET, tumour=True):
    before = np.array([box], dtype=float)
    actions = np.array([action])
    after = bx.apply_actions(before, actions, 384, 16)
    return float(reward(before, after, actions, target[None], np.array([tumour]))[0])


def test_shifts_are_rewarded_for_coming_closer():
    assert one_reward([200, 100, 300, 200], 6) == 1
    assert one_reward([200, 100, 300, 200], 7) == -1


def test_a_shift_that_the_edge_swallows_is_no_improvement():
    assert one_reward([0, 100, 100, 200], 6) == -1


def test_zooms_are_rewarded_for_iou():
    # 160 x 160 about the target: its top left corner zoom keeps 90..210.
    assert one_reward([90, 90, 250, 250], 0) == 1
    assert one_reward([100, 100, 200, 200], 0) == -1


def test_a_blind_zoom_is_rewarded_for_the_centre():
    far = [220, 220, 380, 380]  # no overlap before or after, 120 px after: larger than 0.9 x 100
    assert one_reward(far, 0) == 1
    assert one_reward(far, 3) == -1
    # 90 px after is not larger than 0.9 x 100: the unchanged IoU of 0 is no improvement.
    assert one_reward([220, 220, 340, 340], 0) == -1


def test_stop_needs_recall_and_iou():
    assert one_reward([95, 95, 205, 205], 10) == 3
    assert one_reward([60, 60, 240, 240], 10) == -3  # IoU 0.31
    assert one_reward([106, 100, 206, 200], 10) == -3  # recall 0.94


def test_tumour_free_slices_reward_stopping_alone():
    assert [one_reward([95, 95, 205, 205], a, tumour=False) for a in range(11)] == [-1.0] * 10 + [
        3.0
    ]


def explored(literal, n=1000, min_side=16.0):
    rng = np.random.default_rng(0)
    size, centre = rng.uniform(24, 150, (n, 2)), rng.normal(192, 25, (n, 2))
    target = bx.clip_boxes(
        np.concatenate([centre - size / 2, centre + size / 2], axis=1), 384, min_side
    )
    boxes, stopped = np.tile(bx.initial_box(384), (n, 1)), np.zeros(n, dtype=bool)
    for _ in range(40):
        actions = prior_actions(
            boxes, target, np.ones(n, dtype=bool), 384, min_side, rng, literal=literal
        )
        actions = np.where(stopped, bx.TERMINAL, actions)
        stopped |= actions == bx.TERMINAL
        boxes = bx.apply_actions(boxes, actions, 384, min_side)
    return stopped, good_stop(boxes, target)


def test_the_guarded_prior_stops_everywhere_and_nearly_always_well():
    stopped, good = explored(literal=False)
    assert stopped.all()
    assert good.mean() > 0.9


def test_the_literal_prior_seldom_comes_to_a_rewarded_stop():
    stopped, good = explored(literal=True)
    assert stopped.mean() < 0.6
    assert good.mean() < 0.3


def test_the_prior_stops_on_tumour_free_slices():
    box, target = np.array([[200.0, 100, 300, 200]]), TARGET[None]
    rng = np.random.default_rng(0)
    for literal in (False, True):
        assert (
            prior_actions(box, target, np.array([False]), 384, 16, rng, literal=literal)[0]
            == bx.TERMINAL
        )


def test_decay_of_both_probabilities():
    got = [Schedule().at(epoch) for epoch in (0, 1, 4, 9, 30)]
    assert got == [
        pytest.approx(e) for e in [(1.0, 0.8), (0.9, 0.6), (0.6, 0.0), (0.1, 0.0), (0.1, 0.0)]
    ]


def test_exploration_asks_greedy_only_where_it_is_used():
    rng = np.random.default_rng(0)
    prior = np.full(50, 3)
    assert (explore(None, prior, 1.0, 1.0, rng) == 3).all()
    asked = []

    def greedy(rows):
        asked.append(len(rows))
        return np.full(len(rows), 7)

    assert (explore(greedy, prior, 0.0, 0.0, rng) == 7).all()
    assert asked == [50]


def test_views_there_and_back():
    rng = np.random.default_rng(0)
    views = Views.random(20, 384, 24, 0.2, 0.5, rng)
    boxes = np.concatenate([rng.uniform(0, 190, (20, 2)), rng.uniform(200, 384, (20, 2))], axis=1)
    assert np.allclose(views.to_image(views.to_view(boxes, 384), 384), boxes)
    mirrored = Views(np.array([True]), np.ones((1, 2)), np.zeros((1, 2)))
    assert mirrored.to_view(np.array([[10.0, 20, 30, 50]]), 384).tolist() == [[354, 20, 374, 50]]


def replay_of(size, rounds):
    replay = Replay(size, 10, 11, 8, 4)
    for start in rounds:
        ids = np.arange(start, start + 3)
        pixels = torch.from_numpy(np.repeat(ids, 3 * 64).reshape(3, 3, 8, 8).astype(np.uint8))
        crops = Crops(pixels, torch.zeros(3, 4, 4, dtype=torch.uint8))
        seen = Transitions.empty(3, 10, 11)
        seen.episode, seen.actions, seen.rewards = ids // 4, ids, ids.astype(np.float32)
        seen.returns = np.repeat(ids[:, None], 11, axis=1).astype(np.float32)
        replay.add(seen, crops, crops, crops.image)
    return replay


def test_replay_overwrites_the_oldest():
    replay = replay_of(5, (0, 3, 6))
    assert replay.filled == 5
    assert sorted(replay.seen.actions.tolist()) == [4, 5, 6, 7, 8]


def test_a_batch_holds_whole_transitions_of_few_episodes():
    batch = replay_of(12, (0, 3, 6, 9)).sample(8, 4, np.random.default_rng(0))
    actions = batch.seen.actions
    assert len(actions) == 8 and len(batch.whole.image) == 2
    # Every field of a row is the same transition's, and four rows in turn are of one episode.
    assert (batch.before.image[:, 0, 0, 0].numpy() == actions).all() and (
        batch.after[:, 0, 0, 0].numpy() == actions
    ).all()
    assert (batch.seen.rewards == actions).all() and (batch.seen.returns[:, 10] == actions).all()
    assert (actions // 4 == np.repeat(batch.whole.image[:, 0, 0, 0].numpy() // 4, 4)).all()


def test_history_is_one_hot_newest_first_and_zero_padded():
    net = Learner(MICRO, None, 0).net
    past = torch.full((1, 10), -1)
    past[0, 0], past[0, 1] = 10, 4
    encoded = net.encode_history(past)[0]
    assert encoded.shape == (110,)
    assert encoded.nonzero().flatten().tolist() == [10, 11 + 4]


def test_paper_preset_is_section_4_2_2():
    d = PAPER.detector
    assert (d.optimiser, d.lr, d.momentum, d.weight_decay, d.loss, d.batch) == (
        "sgd",
        5e-4,
        0.9,
        4e-4,
        "l1",
        128,
    )
    assert (d.gamma, d.replay, d.target_update, d.epochs, PAPER.max_steps) == (
        0.6,
        16384,
        1000,
        50,
        15,
    )
    assert (PAPER.trunk.crop, PAPER.trunk.feature_size, PAPER.head_hidden) == (224, 2048, ())
    assert dataclasses.asdict(DEMO)["detector"]["target_update"] == 200


def test_the_priors_returns_see_beyond_one_step():
    # Two corner zooms from a good stop: stop costs 3 now; the guarded zoom earns 1 and then the
    # stop's 3.
    box = np.array([[60.0, 60, 220, 220]])
    q = prior_returns(box, TARGET[None], np.array([True]), 384, 16, 0.6)[0]
    assert q[10] == -3
    after = bx.apply_all_actions(box, 384, 16)[0]
    for action in range(6):
        if good_stop(after[action], TARGET):
            assert q[action] == pytest.approx(1 + 0.6 * 3)
    assert q[3] > q[0] and q[3] > q[10]
    # A good box: stopping is best, and a tumour-free slice is worth 3 now or -1 and then 3.
    assert (
        prior_returns(
            np.array([[95.0, 95, 205, 205]]), TARGET[None], np.array([True]), 384, 16, 0.6
        )[0].argmax()
        == 10
    )
    free = prior_returns(box, TARGET[None], np.array([False]), 384, 16, 0.6)[0]
    assert free.tolist() == [pytest.approx(-1 + 0.6 * 3)] * 10 + [3.0]
