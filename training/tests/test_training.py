"""The training loops: exact resumption, several processes, refusals, logs and pictures, the paper's
numbers.
"""

import csv
import dataclasses
import json
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from small import SMALL, slice_sets

from nasoseg_train.agent import deep_q_learning as dqn
from nasoseg_train.agent.environment import Episodes, Views
from nasoseg_train.agent.observation import Looker, load_images, whole_boxes
from nasoseg_train.agent.replay import Replay, Transitions
from nasoseg_train.agent.trajectories import run_agent
from nasoseg_train.data.draws import check_sets, draw_slices
from nasoseg_train.geometry import boxes as bx
from nasoseg_train.networks import QNetwork
from nasoseg_train.networks.crop_segmenter import crop_network, last_convolution
from nasoseg_train.run import pictures
from nasoseg_train.run.options import RunOptions
from nasoseg_train.run.presets import DEMO, MICRO, PAPER, TINY
from nasoseg_train.run.step_loop import StepLoop
from nasoseg_train.run.systems import SYSTEMS
from nasoseg_train.run.training_config import Schedule, Thresholds
from nasoseg_train.segmenter import crop_batches
from nasoseg_train.segmenter import crop_training as segmenter
from nasoseg_train.segmenter.joint_training import train_joint


@pytest.fixture(scope="module")
def sets(tmp_path_factory):
    return slice_sets(tmp_path_factory.mktemp("slices"))


# Section 4.2.2, 4.2.3 and 4.3.1 of the paper, as printed.
PRINTED = {
    "trunk.kind": "resnet50",
    "trunk.crop": 224,
    "trunk.context": 1.0,
    "head_hidden": (),
    "max_steps": 15,
    "initial_share": 0.42,
    "input.grid": 384,
    "input.scaling": "dataset_max",
    "detector.loss": "l1",
    "detector.weight_decay": 0.0004,
    "detector.optimiser": "sgd",
    "detector.momentum": 0.9,
    "detector.lr": 0.0005,
    "detector.batch": 128,
    "detector.schedule.epsilon": 1.0,
    "detector.schedule.epsilon_min": 0.1,
    "detector.schedule.epsilon_decay": 0.1,
    "detector.gamma": 0.6,
    "detector.replay": 16384,
    "detector.target_update": 1000,
    "detector.epochs": 50,
    "detector.schedule.priori": 0.8,
    "detector.schedule.priori_decay": 0.2,
    "detector.schedule.priori_min": 0.0,
    "detector.tumour_free_share": 0.0,
    "detector.auxiliary": 0.0,
    "detector.auxiliary_mask": 0.0,
    "detector.ema": 0.0,
    "detector.double": False,
    "detector.cosine": False,
    "segmenter.lr": 0.001,
    "segmenter.lr_late": 0.0001,
    "segmenter.late_after": 25 / 50,
    "segmenter.loss": "dbw",
    "segmenter.border_k": 10,
    "segmenter.border_weight": 20.0,
    "segmenter.tumour_free_share": 0.0,
    "ranet.context_factor": 1.5,
}


@pytest.mark.parametrize("name", PRINTED)
def test_the_paper_preset_holds_what_the_paper_prints(name):
    value = PAPER
    for part in name.split("."):
        value = getattr(value, part)
    assert value == PRINTED[name]


def test_thresholds_and_decays_are_the_papers():
    t = Thresholds()
    assert (t.tau_h, t.tau_w, t.tau_recall, t.tau_iou, t.tau_distance) == (
        0.9,
        0.9,
        0.95,
        0.5,
        1 / 8,
    )
    assert np.diff(bx.initial_box(384)[[0, 2]]) == pytest.approx(0.42 * 384)
    epsilons, prioris = zip(
        *(PAPER.detector.schedule.at(epoch) for epoch in range(12)), strict=True
    )
    assert np.allclose(epsilons, [1.0, 0.9, 0.8, 0.7, 0.6, 0.5, 0.4, 0.3, 0.2, 0.1, 0.1, 0.1])
    assert np.allclose(prioris[:6], [0.8, 0.6, 0.4, 0.2, 0.0, 0.0])
    assert np.allclose([Schedule(priori=0.4).at(e)[1] for e in range(3)], [0.4, 0.2, 0.0])
    assert [Schedule(priori=0.0).at(e)[1] for e in range(2)] == [0.0, 0.0]


def weights_of(path):
    return torch.load(path, weights_only=True)["state"]


def same(a, b):
    """Whether two states are equal to the last bit, but for the time that was spent."""
    if isinstance(a, dict):
        return a.keys() == b.keys() and all(
            same(a[k], b[k]) for k in a if k not in ("seconds", "rows")
        )
    if isinstance(a, (list, tuple)):
        return len(a) == len(b) and all(same(x, y) for x, y in zip(a, b, strict=True))
    if isinstance(a, torch.Tensor):
        return a.dtype == b.dtype and torch.equal(a, b)
    return a == b or (a != a and b != b)


def rows_of(path):
    with path.open() as f:
        return [{k: v for k, v in row.items() if k != "seconds"} for row in csv.DictReader(f)]


class Cut(Exception):
    pass


def cut_after(monkeypatch, owner, name, count):
    """Make a method fail on its `count`-th call, as a machine that goes down would."""
    method, calls = getattr(owner, name), []

    def failing(*args, **kwargs):
        calls.append(1)
        if len(calls) == count:
            raise Cut
        return method(*args, **kwargs)

    monkeypatch.setattr(owner, name, failing)


def test_a_cut_off_agent_goes_on_to_the_same_bits(sets, tmp_path, monkeypatch):
    dqn.train_agent(SMALL, *sets, tmp_path / "whole", 1)
    with monkeypatch.context() as m:
        cut_after(m, dqn.Learner, "update", 9)
        with pytest.raises(Cut):
            dqn.train_agent(SMALL, *sets, tmp_path / "cut", 1)
    assert 0 < weights_of(tmp_path / "cut" / "detector_last.pt")["epoch"] < SMALL.detector.epochs
    # Half a training has no checkpoint of the name that the next stages look for.
    assert (tmp_path / "cut" / "detector_best.pt").exists() and not (
        tmp_path / "cut" / "detector.pt"
    ).exists()
    # Whatever ran in this process since must not matter.
    torch.rand(5)
    dqn.train_agent(SMALL, *sets, tmp_path / "cut", 1)
    one, two = (weights_of(tmp_path / name / "detector_last.pt") for name in ("whole", "cut"))
    assert one["learner"]["updates"] > 9 and same(one, two)
    assert rows_of(tmp_path / "whole" / "detector.csv") == rows_of(
        tmp_path / "cut" / "detector.csv"
    )
    # And a run that is over is left alone.
    before = (tmp_path / "cut" / "detector_last.pt").stat().st_mtime_ns
    dqn.train_agent(SMALL, *sets, tmp_path / "cut", 1)
    assert (tmp_path / "cut" / "detector_last.pt").stat().st_mtime_ns == before


def test_a_cut_off_segmenter_goes_on_to_the_same_bits(sets, tmp_path, monkeypatch):
    # The queue of slices outlives several checkpoints, so its rest is part of the state.
    for stage, cut in (("explore", 7), ("whole", 10)):
        a, b = tmp_path / stage / "whole", tmp_path / stage / "cut"
        segmenter.train_segmenter(SMALL, *sets, a, 1, None, stage)
        with monkeypatch.context() as m:
            cut_after(m, segmenter.CropTraining, "update", cut)
            with pytest.raises(Cut):
                segmenter.train_segmenter(SMALL, *sets, b, 1, None, stage)
        segmenter.train_segmenter(SMALL, *sets, b, 1, None, stage)
        name = "segmenter_explore" if stage == "explore" else "segmenter"
        one, two = (weights_of(folder / f"{name}_last.pt") for folder in (a, b))
        assert one["updates"] == 12 and same(one, two)
        assert rows_of(a / f"{name}.csv") == rows_of(b / f"{name}.csv")


def count_to(target, out, options=RunOptions()):
    """A loop that fits one number to draws about `target`."""
    net, rng = torch.nn.Linear(1, 1, bias=False), np.random.default_rng(3)
    torch.nn.init.zeros_(net.weight)
    optimiser = torch.optim.SGD(net.parameters(), 0.1, momentum=0.5)
    loop = StepLoop("count", out, net, optimiser, rng, {"target": target}, options, clip=1.0)

    def loss_of(step):
        if not len(loop.queue):
            loop.queue = rng.permutation(5)
        drawn, loop.queue = loop.queue[0], loop.queue[1:]
        noise = torch.rand(1) + (np.nan if target < 0 and step == 7 else 0)
        return (
            (net.weight - target - 0.01 * int(drawn) - 0.01 * noise) ** 2
        ).sum(), f"draw {drawn}"

    saved = {}

    def save(path, line):
        saved.update(line)
        path.write_text(str(line["step"]))

    return loop.run(
        12,
        4,
        lambda step: 0.1,
        loss_of,
        lambda: {"score": -abs(float(net.weight.detach()) - target)},
        save,
    )


def test_a_cut_off_loop_of_batches_goes_on_to_the_same_bits(tmp_path, monkeypatch):
    torch.manual_seed(5)
    assert count_to(1.0, tmp_path / "whole").read_text() in ("4", "8", "12")
    torch.manual_seed(5)
    with monkeypatch.context() as m:
        cut_after(m, torch.optim.SGD, "step", 7)
        with pytest.raises(Cut):
            count_to(1.0, tmp_path / "cut")
    assert not (tmp_path / "cut" / "count.pt").exists()
    torch.rand(5)
    path = count_to(1.0, tmp_path / "cut")
    assert (
        path == tmp_path / "cut" / "count.pt" and not (tmp_path / "cut" / "count_best.pt").exists()
    )
    one, two = (weights_of(tmp_path / name / "count_last.pt") for name in ("whole", "cut"))
    assert one["step"] == 12 and len(one["queue"]) == 3 and same(one, two)
    assert rows_of(tmp_path / "whole" / "count.csv") == rows_of(tmp_path / "cut" / "count.csv")
    assert count_to(1.0, tmp_path / "cut") == path
    with pytest.raises(SystemExit, match=r"target was 1\.0 and is 2\.0"):
        count_to(2.0, tmp_path / "cut")
    with pytest.raises(
        FloatingPointError, match=r"the loss of count is nan in batch 8; it holds draw \d"
    ):
        count_to(-1.0, tmp_path / "nan")
    # A finished network is neither lost nor taken for that of another training; half of one is no
    # hindrance.
    (tmp_path / "cut" / "count_last.pt").rename(tmp_path / "last.pt")
    with pytest.raises(SystemExit, match=r"count\.pt: exists without count_last\.pt"):
        count_to(1.0, tmp_path / "cut")
    path.rename(tmp_path / "cut" / "count_best.pt")
    with monkeypatch.context() as m:
        cut_after(m, torch.optim.SGD, "step", 1)
        with pytest.raises(Cut):
            count_to(1.0, tmp_path / "cut")
    assert not list((tmp_path / "cut").glob("*.pt"))
    (tmp_path / "last.pt").rename(tmp_path / "cut" / "count_last.pt")
    with pytest.raises(
        SystemExit, match=r"count\.pt: is missing, though count has taken all its steps"
    ):
        count_to(1.0, tmp_path / "cut")


def test_ranet_is_not_gone_on_with_for_another_agent(sets, tmp_path):
    agents = []
    for seed in (1, 2):
        torch.manual_seed(seed)
        agents.append(QNetwork(SMALL).eval())
    segmenter.train_segmenter(SMALL, *sets, tmp_path, 1, agents[0], "agent")
    with pytest.raises(
        SystemExit, match=r"segmenter_last\.pt: was made with other inputs: agent was"
    ):
        segmenter.train_segmenter(SMALL, *sets, tmp_path, 1, agents[1], "agent")


def test_the_logits_start_at_the_tumours_share(sets, tmp_path, monkeypatch):
    """Before the first step, and for every network on crops; the stage behind another one keeps
    what that has learnt.
    """
    share = 0.02
    for name in ("unet", "unet_cram_rram", "ranet", "attention_unet", "densenet", "ddnn", "tang"):
        # What is moved is all of the logits and nothing else.
        preset = SYSTEMS[name].preset(TINY)
        net, crops = (
            crop_network(preset.ranet).eval(),
            torch.rand(2, 3, preset.ranet.crop, preset.ranet.crop),
        )
        with torch.no_grad():
            before = net(crops)
            last_convolution(net).bias.add_(3)
            assert torch.allclose(net(crops), before + 3, atol=1e-4), name
    preset = replace(
        SMALL, segmenter=replace(SMALL.segmenter, start_at_share=True, steps=1, validate_every=1)
    )
    run = segmenter.CropTraining(preset, *sets, tmp_path / "new", 1, "whole", None, RunOptions())
    masks = torch.zeros(4, 1, 10, 10)
    masks[0, 0, :2, :4] = 1
    run._start_at(masks)
    for net in (run.net, run.average):
        assert last_convolution(net.net).bias.item() == pytest.approx(
            np.log(share / (1 - share)), rel=1e-5
        )
    started = []
    monkeypatch.setattr(
        segmenter.CropTraining, "_start_at", lambda self, masks: started.append(self.stage)
    )
    first = segmenter.train_segmenter(
        replace(preset, segmenter=replace(preset.segmenter, steps=2, agent_steps=1)),
        *sets,
        tmp_path,
        1,
        None,
        "explore",
    )
    assert started == ["explore"]
    agent = QNetwork(SMALL).eval()
    segmenter.train_segmenter(
        replace(preset, segmenter=replace(preset.segmenter, steps=2, agent_steps=1)),
        *sets,
        tmp_path,
        1,
        agent,
        "agent",
        first,
    )
    assert started == ["explore"]


def test_algorithm_1s_thresholds_are_settings(sets):
    """An episode is rewarded by the preset's."""
    data = sets[1]
    row = np.flatnonzero(data.tumour)[:1]
    rewards = []
    for wanted in (Thresholds(), Thresholds(tau_recall=-1.0, tau_iou=-1.0, terminal_reward=5.0)):
        episodes = Episodes(data, replace(SMALL, thresholds=wanted), 1)
        episodes.start(np.array([0]), row, Views.plain(1))
        rewards.append(float(episodes.step(np.array([bx.TERMINAL]))[0][0]))
    assert rewards == [-3.0, 5.0]


def test_a_cut_off_joint_run_goes_on_to_the_same_bits(sets, tmp_path, monkeypatch):
    preset = replace(
        SMALL, detector=replace(SMALL.detector, epochs=2, episodes_per_epoch=12, warmup=16)
    )
    train_joint(preset, *sets, tmp_path / "whole", 1)
    with monkeypatch.context() as m:
        cut_after(m, segmenter.CropTraining, "update", 30)
        with pytest.raises(Cut):
            train_joint(preset, *sets, tmp_path / "cut", 1)
    agent, ranet = train_joint(preset, *sets, tmp_path / "cut", 1)
    one, two = (weights_of(tmp_path / name / "joint_last.pt") for name in ("whole", "cut"))
    assert (
        one["segmenter"]["updates"] > 30
        and one["agent"]["learner"]["updates"] > 2
        and same(one["agent"], two["agent"])
        and same(one["segmenter"], two["segmenter"])
    )
    # One crop for every action, and both networks of one epoch.
    rows = rows_of(tmp_path / "whole" / "detector.csv")
    decisions = sum(int(row["decisions"]) for row in rows)
    assert one["segmenter"]["updates"] == decisions // SMALL.segmenter.batch
    kept = [torch.load(path, weights_only=True)["validation"]["epoch"] for path in (agent, ranet)]
    assert kept[0] == kept[1]


def test_joint_training_lowers_ranets_rate_half_way_and_uses_the_agents_boxes(
    sets, tmp_path, monkeypatch
):
    preset = replace(
        SMALL, detector=replace(SMALL.detector, epochs=4, episodes_per_epoch=12, validate_every=4)
    )
    seen = []

    def update(run, slices, boxes, lr):
        run.losses.append(0.5)
        run.updates += 1
        seen.append((lr, slices, boxes))

    monkeypatch.setattr(segmenter.CropTraining, "update", update)
    train_joint(preset, *sets, tmp_path, 1)
    rates = np.array([lr for lr, _, _ in seen])
    assert (
        set(rates) == {1e-3, 1e-4}
        and (np.diff(rates) <= 0).all()
        and 0.3 < (rates == 1e-3).mean() < 0.7
    )
    boxes = np.concatenate([boxes for _, _, boxes in seen])
    assert (
        all(len(slices) == SMALL.segmenter.batch for _, slices, _ in seen)
        and len(np.unique(boxes.round(3), axis=0)) > 100
    )


def test_another_preset_seed_or_data_is_refused_by_name(sets, tmp_path):
    one = replace(SMALL, segmenter=replace(SMALL.segmenter, steps=4))
    segmenter.train_segmenter(one, *sets, tmp_path, 1, None, "whole")
    other = replace(one, segmenter=replace(one.segmenter, lr=0.5))
    with pytest.raises(SystemExit, match=r"preset\.segmenter\.lr was 0\.001 and is 0\.5"):
        segmenter.train_segmenter(other, *sets, tmp_path, 1, None, "whole")
    with pytest.raises(SystemExit, match="seed was 1 and is 2"):
        segmenter.train_segmenter(one, *sets, tmp_path, 2, None, "whole")
    with pytest.raises(SystemExit, match="slices was"):
        segmenter.train_segmenter(one, sets[1], sets[0], tmp_path, 1, None, "whole")
    (tmp_path / "segmenter_last.pt").write_bytes(b"half a file")
    with pytest.raises(SystemExit, match="cannot be read as a checkpoint"):
        segmenter.train_segmenter(one, *sets, tmp_path, 1, None, "whole")


def test_the_pools_crops_are_cut_anew_to_the_same_bytes(sets):
    preset = replace(SMALL, trunk=replace(SMALL.trunk, mask=True, context=1.5))
    net = QNetwork(preset)
    looker = Looker(net, sets[0], torch.device("cpu"))
    pool, again = (
        Replay(40, preset.history, bx.N_ACTIONS, looker.crop.size, looker.cells) for _ in range(2)
    )
    scene = dqn.Scene(looker, preset, 6)
    rng = np.random.default_rng(0)
    for _ in range(3):
        rows = np.arange(6)
        views = dqn.Views.random(6, sets[0].grid, 24, 0.2, 0.5, rng)
        scene.start(rows, rng.integers(len(sets[0]), size=6), views)
        for _ in range(3):
            e = scene.episodes
            before, past, actions = e.boxes.copy(), e.past.copy(), rng.integers(10, size=6)
            rewards, stopped, _ = e.step(actions)
            after = scene.look(rows, e.boxes)
            v = e.views.rows(rows)
            seen = Transitions(
                scene.number.copy(),
                e.slices.copy(),
                v.flip,
                v.scale,
                v.shift,
                before,
                e.boxes.copy(),
                past,
                actions,
                rewards.astype(np.float32),
                stopped,
                np.zeros((6, 11), np.float32),
            )
            pool.add(seen, scene.whole.rows(rows), scene.local.rows(rows), after.image)
            scene.local.put(rows, after)
    again.load_state_dict(pool.state_dict(), looker)
    assert pool.filled == again.filled == 40 and pool.next == again.next == 54 % 40
    for a, b in ((pool.whole, again.whole), (pool.before, again.before)):
        assert torch.equal(a.image, b.image) and torch.equal(a.mask, b.mask)
    assert torch.equal(pool.after, again.after) and pool.before.image.float().std() > 1


def test_two_processes_end_with_equal_weights(tmp_path):
    here = Path(__file__).parent
    slices = tmp_path / "slices"
    slice_sets(slices)
    command = [
        sys.executable,
        "-m",
        "torch.distributed.run",
        "--standalone",
        "--nproc-per-node",
        "2",
        str(here / "two_processes.py"),
    ]
    environment = {**os.environ, "PYTHONPATH": str(here.parent)}
    done = subprocess.run(
        [*command, str(slices), str(tmp_path)],
        env=environment,
        capture_output=True,
        text=True,
        timeout=240,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    one, two = (json.loads((tmp_path / f"rank{rank}.json").read_text()) for rank in (0, 1))
    assert one["ends"].keys() == {"whole", "joint"} and one["ends"] == two["ends"]
    assert {"segmenter.pt", "joint"} <= {p.name for p in tmp_path.iterdir()} and not list(
        tmp_path.glob("**/*_best.pt")
    )
    assert {"segmenter_best.pt", "segmenter_last.pt", "detector_best.pt", "joint_last.pt"} <= set(
        one["written"]
    ) and two["written"] == []
    losses = [float(row["loss"]) for row in rows_of(tmp_path / "segmenter.csv")]
    assert losses[-1] < losses[0]
    # A run of two processes has the random states, queues and pools of both.
    state = weights_of(tmp_path / "joint" / "joint_last.pt")
    assert (
        len(state["pools"])
        == len(state["agent"]["processes"])
        == len(state["segmenter"]["processes"])
        == 2
    )
    assert not torch.equal(state["pools"][0]["slices"][:20], state["pools"][1]["slices"][:20])


def test_a_part_of_a_set_is_drawn_by_each_process(sets):
    parts = [
        draw_slices(sets[0], 40, 0.25, np.random.default_rng(rank), (rank, 2)) for rank in (0, 1)
    ]
    assert all(len(p) == 40 and (~sets[0].tumour[p]).sum() == 10 for p in parts)
    assert not set(parts[0]) & set(parts[1]) and len(set(parts[0]) | set(parts[1])) == len(sets[0])


def test_a_loss_that_is_not_finite_names_its_batch(sets, tmp_path):
    wild = replace(SMALL, segmenter=replace(SMALL.segmenter, lr=1e32, steps=400))
    with pytest.raises(
        FloatingPointError,
        match=r"segmenter's loss is nan in update \d+; the batch holds patient 1\d slice",
    ):
        segmenter.train_segmenter(wild, *sets, tmp_path, 1, None, "whole")
    wild = replace(SMALL, detector=replace(SMALL.detector, lr=1e32, optimiser="adam"))
    with pytest.raises(
        FloatingPointError,
        match=r"agent's loss is \w+ in update \d+; the batch holds patient 1\d slice",
    ):
        dqn.train_agent(wild, *sets, tmp_path, 1)


@pytest.mark.parametrize(
    "spoil, message",
    [
        (
            lambda t, v: (replace(t, tumour=t.tumour & False), v),
            "training set holds no tumour slice",
        ),
        (
            lambda t, v: (t, replace(v, tumour=v.tumour & False)),
            "validation set holds no tumour slice",
        ),
        (
            lambda t, v: (t, replace(v, patient=np.full_like(v.patient, t.patient[0]))),
            "patient 10 is in the training and",
        ),
        (lambda t, v: (replace(t, target=t.target + 500), v), "is not on the grid"),
        (lambda t, v: (replace(t, target=t.target * np.nan), v), "is not on the grid"),
    ],
)
def test_unfit_data_is_refused_before_the_first_step(sets, tmp_path, spoil, message):
    with pytest.raises(SystemExit, match=message):
        dqn.train_agent(SMALL, *spoil(*sets), tmp_path, 1)
    assert not list(tmp_path.iterdir())


def test_data_of_another_input_or_without_tumour_free_slices_are_refused(sets):
    with pytest.raises(SystemExit, match="96 pixels wide, preset demo requires 384"):
        check_sets(DEMO, *sets, 0.0)
    t = sets[0]
    rows = np.flatnonzero(t.tumour)
    only = replace(
        t,
        patient=t.patient[rows],
        slice_index=t.slice_index[rows],
        tumour=t.tumour[rows],
        target=t.target[rows],
    )
    with pytest.raises(SystemExit, match=r"tumour_free_share 0\.2"):
        check_sets(SMALL, only, sets[1], 0.2)
    check_sets(SMALL, only, sets[1], 0.0)


def test_a_batch_that_processes_cannot_share_is_refused():
    from types import SimpleNamespace

    from nasoseg_train.run.machine import share_of

    with pytest.raises(SystemExit, match=r"detector\.batch is 16, which 3 processes do not share"):
        share_of(16, SimpleNamespace(world_size=3), "detector.batch")


def test_half_precision_and_devices_are_refused_where_they_are_missing(sets, tmp_path):
    with pytest.raises(SystemExit, match="fp16 needs a GPU"):
        dqn.train_agent(SMALL, *sets, tmp_path, 1, options=RunOptions(precision="fp16"))
    if not torch.cuda.is_available():
        with pytest.raises(SystemExit, match="finds no GPU"):
            dqn.train_agent(SMALL, *sets, tmp_path, 1, options=RunOptions(device="cuda"))


def test_bfloat16_trains_and_keeps_float32_weights(sets, tmp_path):
    path = segmenter.train_segmenter(
        SMALL, *sets, tmp_path, 1, None, "whole", options=RunOptions(precision="bf16")
    )
    plain = segmenter.train_segmenter(SMALL, *sets, tmp_path / "plain", 1, None, "whole")
    one, two = (torch.load(p, weights_only=True)["net"] for p in (path, plain))
    assert all(v.dtype == torch.float32 for v in one.values() if v.dtype.is_floating_point)
    assert any(not torch.equal(one[k], two[k]) for k in one)
    losses = [
        [float(r["loss"]) for r in rows_of(p.parent / "segmenter.csv")] for p in (path, plain)
    ]
    assert np.allclose(*losses, rtol=0.1)


def test_logs_tensorboard_and_pictures(sets, tmp_path):
    options = RunOptions(tensorboard=True, pictures_every=1)
    path = dqn.train_agent(SMALL, *sets, tmp_path, 1, options=options)
    net, figures = dqn.load_agent(path, SMALL)
    rows = rows_of(tmp_path / "detector.csv")
    assert [int(r["epoch"]) for r in rows] == [0, 1, 2]
    assert float(rows[-1]["loss"]) > 0 and float(rows[-1]["priori"]) == pytest.approx(0.4)
    assert figures["score"] == pytest.approx(max(float(r["score"]) for r in rows), abs=1e-6)
    segmenter.train_segmenter(SMALL, *sets, tmp_path, 1, net, "agent", options=options)
    assert len(rows_of(tmp_path / "segmenter.csv")) == 3
    for name in ("detector", "segmenter"):
        assert list((tmp_path / "tensorboard" / name).glob("events*"))
    drawn = sorted(p.name for p in (tmp_path / "pictures").iterdir())
    assert drawn == [f"segmenter_{s:06d}.png" for s in (4, 8, 12)] + [
        f"trajectories_{e:03d}.png" for e in (1, 2, 3)
    ]
    trajectories = np.asarray(Image.open(tmp_path / "pictures" / "trajectories_003.png"))
    assert trajectories.shape[1] % 96 == 0 and (trajectories == (230, 40, 40)).all(axis=2).any()


def test_overlays_have_the_papers_colours():
    truth, guess = np.zeros((2, 4, 4), dtype=bool)
    truth[:2], guess[:, :2] = True, True
    out = pictures.overlay(np.zeros((4, 4), dtype=np.uint8), truth, guess, strength=1.0)
    assert (
        tuple(out[0, 3]) == pictures.RED
        and tuple(out[3, 0]) == pictures.GREEN
        and tuple(out[0, 0]) == pictures.YELLOW
    )
    assert tuple(out[3, 3]) == (0, 0, 0)


def test_a_whole_slice_segmenter_sees_the_whole_slice(sets):
    preset = replace(
        SMALL,
        ranet=replace(SMALL.ranet, context_factor=1.0, crop=96, regions=4),
        segmenter=replace(
            SMALL.segmenter, rotation_degrees=0.0, flip=0.0, scale=0.0, intensity=0.0, jitter=0.3
        ),
    )
    rows = np.arange(3)
    images, masks = crop_batches.training_batch(
        sets[0], rows, whole_boxes(3, 96), preset, np.random.default_rng(0)
    )
    assert torch.allclose(images, load_images(sets[0], rows), atol=0.2)
    assert (images - load_images(sets[0], rows)).abs().mean() < 0.02
    # A box of the agent is moved about instead.
    box = np.tile(bx.initial_box(96), (3, 1))
    assert not (crop_batches.jittered(box, 96, preset, np.random.default_rng(0)) == box).all()
    assert masks.shape == (3, 1, 96, 96)


def test_the_agent_learns_what_brightness_shows(sets, tmp_path):
    """Some 400 updates on slices whose tumour is the brightest thing: boxes far better than the
    initial one (seeds 1 to 3: IoU 0.42 to 0.58).
    """
    training = replace(
        MICRO.detector,
        epochs=6,
        episodes_per_epoch=96,
        validate_every=6,
        validation_slices=24,
        tumour_free_share=0.0,
        batch=32,
        warmup=256,
        decisions_per_update=12,
        schedule=Schedule(priori_min=0.4),
    )
    preset = replace(MICRO, detector=training)
    path = dqn.train_agent(preset, *sets, tmp_path, 1)
    net, figures = dqn.load_agent(path, preset)
    rows = np.flatnonzero(sets[1].tumour)
    start = bx.iou(bx.initial_box(96)[None], sets[1].target[rows]).mean()
    assert figures["iou"] > start + 0.1
    assert run_agent(net, sets[1], rows, preset).steps.mean() > 1


def test_every_field_of_the_options_can_be_said():
    assert {f.name for f in dataclasses.fields(RunOptions)} == {
        "device",
        "precision",
        "tensorboard",
        "pictures_every",
        "checkpoint_every",
        "progress",
    }
