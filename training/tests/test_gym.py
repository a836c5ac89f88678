"""The gymnasium environment: its own checker, and step by step the training's episodes and
crops.
"""

import dataclasses
import warnings

import gymnasium
import numpy as np
import pytest
from gymnasium.utils.env_checker import check_env

from nasoseg_train.agent import gym
from nasoseg_train.agent.environment import Episodes, Views
from nasoseg_train.agent.observation import Looker, whole_boxes
from nasoseg_train.agent.reward import good_stop
from nasoseg_train.data.slice_set import build_cache
from nasoseg_train.data.standin import standin_patient
from nasoseg_train.geometry import boxes as bx
from nasoseg_train.networks import QNetwork
from nasoseg_train.run.presets import MICRO


@pytest.fixture(scope="module")
def slices(tmp_path_factory):
    return build_cache(tmp_path_factory.mktemp("gym"), [1, 2], MICRO.input, 2, 1, standin_patient)


@pytest.mark.parametrize("augment", [False, True])
def test_gymnasiums_checker_finds_nothing(slices, augment):
    env = gymnasium.make(
        f"nasoseg_train.agent.gym:{gym.ID}",
        data=slices,
        preset=MICRO,
        augment=augment,
        render_mode="rgb_array",
    )
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        # A set of slices has no textual form that a specification could hold.
        check_env(env.unwrapped, skip_render_check=False)


def test_it_agrees_with_the_episodes_in_step(slices):
    """Many rows of `Episodes` and one environment per row: boxes, rewards, ends and crops are the
    same.
    """
    rng = np.random.default_rng(0)
    rows = np.arange(len(slices))
    n = len(rows)
    episodes = Episodes(slices, MICRO, n)
    episodes.start(rows, rows, Views.plain(n))
    looker = Looker(QNetwork(MICRO), slices, gym.torch.device("cpu"))
    images, masks = looker.load(rows)
    envs = [gym.DetectionEnv(slices, MICRO, tumour_free=True) for _ in rows]
    seen = [env.reset(options={"slice": int(row)})[0] for env, row in zip(envs, rows, strict=True)]
    whole = looker.look(
        images, masks, rows, whole_boxes(n, slices.grid), Views.plain(n)
    ).image.numpy()
    assert all((one["whole"] == w).all() for one, w in zip(seen, whole, strict=True))
    running, ends = np.ones(n, dtype=bool), 0
    for _ in range(MICRO.max_steps):
        actions = np.where(
            running, rng.choice(bx.N_ACTIONS, n, p=[0.095] * 10 + [0.05]), bx.TERMINAL
        )
        rewards, stopped, over = episodes.step(actions)
        crops = looker.look(images, masks, rows, episodes.boxes, Views.plain(n)).image.numpy()
        for i in np.flatnonzero(running):
            observation, reward, terminated, truncated, info = envs[i].step(actions[i])
            assert (reward, terminated, truncated) == (
                rewards[i],
                stopped[i],
                over[i] and not stopped[i],
            )
            assert (info["box"] == episodes.boxes[i]).all() and (
                observation["crop"] == crops[i]
            ).all()
            past = [int(h.argmax()) if h.any() else -1 for h in observation["history"]]
            assert past == episodes.past[i].tolist()
            ends += terminated or truncated
        running &= ~over
    assert ends == n


def test_a_reset_with_a_seed_repeats_itself(slices):
    env = gym.DetectionEnv(slices, MICRO, augment=True)
    one, two = (env.reset(seed=5)[0] for _ in range(2))
    assert all((one[key] == two[key]).all() for key in one)
    assert any((one["crop"] != env.reset()[0]["crop"]).any() for _ in range(5))


def test_a_mirrored_view_shows_the_mirrored_slice(slices):
    preset = dataclasses.replace(
        MICRO, detector=dataclasses.replace(MICRO.detector, shift=0.0, scale=0.0, flip=1.0)
    )
    plain, mirrored = (
        gym.DetectionEnv(slices, MICRO),
        gym.DetectionEnv(slices, preset, augment=True),
    )
    (a, _), (b, _) = (env.reset(options={"slice": 0}) for env in (plain, mirrored))
    assert (a["whole"][..., ::-1] == b["whole"]).mean() > 0.99


def test_the_picture_shows_the_boxes(slices):
    row = int(np.flatnonzero(slices.tumour)[0])
    env = gym.DetectionEnv(slices, MICRO, render_mode="rgb_array")
    env.reset(options={"slice": row})
    picture = env.render()
    box = np.round(env.episodes.boxes[0]).astype(int)
    assert picture.shape == (96, 96, 3) and picture.dtype == np.uint8
    assert (picture == (255, 255, 255)).all(axis=2).sum() > 100
    env.step(4)
    assert ((env.render() == (245, 220, 40)).all(axis=2)).sum() > 50
    assert box[2] > box[0]


def test_wrong_requests_are_refused_by_name(slices):
    env = gym.DetectionEnv(slices, MICRO)
    with pytest.raises(RuntimeError, match="reset"):
        env.step(0)
    with pytest.raises(ValueError, match="'rows'"):
        env.reset(options={"rows": 1})
    with pytest.raises(ValueError, match="slice 999"):
        env.reset(options={"slice": 999})
    with pytest.raises(ValueError, match="96 pixels wide"):
        gym.DetectionEnv(
            slices, dataclasses.replace(MICRO, input=dataclasses.replace(MICRO.input, grid=64))
        )


def test_the_prior_earns_its_rewards_here_too(slices):
    """Walking the guarded prior through the environment ends in the terminal reward of 3."""
    from nasoseg_train.agent.exploration import prior_actions

    env, rng = gym.DetectionEnv(slices, MICRO), np.random.default_rng(0)
    for row in np.flatnonzero(slices.tumour)[:4]:
        _, info = env.reset(options={"slice": int(row)})
        target, over = slices.target[row][None], False
        while not over:
            action = prior_actions(
                info["box"][None], target, np.array([True]), 96, MICRO.min_side, rng
            )[0]
            _, reward, terminated, truncated, info = env.step(action)
            over = terminated or truncated
        if terminated:
            assert reward == (3.0 if good_stop(info["box"][None], target)[0] else -3.0)
