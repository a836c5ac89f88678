"""nasoseg-train: the overview, settings by preset, file and option, and a run from data set to
bundle.
"""

import importlib
import json
import os
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from small import SMALL

from nasoseg_train import cli
from nasoseg_train.run import training_run as runs
from nasoseg_train.run.options import RunOptions
from nasoseg_train.run.presets import DEMO, MICRO, PAPER
from nasoseg_train.run.settings import as_arguments, overlaid, read_file


def test_the_overview_names_every_command_and_imports_no_pytorch():
    code = (
        "import sys; from nasoseg_train import cli; cli.main(['--help']);"
        " print('torch' in sys.modules, 'tyro' in sys.modules)"
    )
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parent.parent)}
    out = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, env=environment
    ).stdout
    assert (
        all(f"  {name} " in out for name in cli.COMMANDS) and out.splitlines()[-1] == "False False"
    )


def test_commands_that_are_not_there_are_refused(capsys):
    for words, name in (
        (["trian"], "'trian'"),
        (["train", "agent"], "'train agent'"),
        (["train", "--seed"], "'train --seed'"),
    ):
        with pytest.raises(SystemExit, match=f"found the command {name}, expected one"):
            cli.main(words)
    cli.main(["train", "--help"])
    out = capsys.readouterr().out
    assert "train joint" in out and "export" not in out


@pytest.mark.parametrize(
    "base, goal", [(PAPER, DEMO), (DEMO, PAPER), (MICRO, SMALL), (SMALL, MICRO)]
)
def test_a_whole_preset_survives_the_way_through_a_file(base, goal):
    assert overlaid(base, json.loads(json.dumps(goal.to_dict())), "file") == goal


def test_some_settings_of_a_toml_file(tmp_path):
    path = tmp_path / "mine.toml"
    path.write_text(
        "head_hidden = [64, 32]\n[detector]\nlr = 1e-3\ndouble = "
        "true\n[detector.schedule]\npriori = 0.4\n"
    )
    got = overlaid(PAPER, read_file(path), str(path))
    schedule = replace(PAPER.detector.schedule, priori=0.4)
    assert got == replace(
        PAPER,
        head_hidden=(64, 32),
        detector=replace(PAPER.detector, lr=1e-3, double=True, schedule=schedule),
    )


@pytest.mark.parametrize(
    "values, words",
    [
        ({"detector": {"lrr": 1}}, ["mine.toml", "Unrecognized", "--detector.lrr"]),
        ({"colour": "red"}, ["mine.toml", "--colour"]),
        ({"detector": {"lr": "fast"}}, ["mine.toml", "detector.lr", "'fast'"]),
        (
            {"detector": {"optimiser": "sgdd"}},
            ["mine.toml", "sgdd", "detector.optimiser", "'sgd', 'adam'"],
        ),
        ({"detector": {"double": 3}}, ["mine.toml", "detector.double", "'True', 'False'"]),
        ({"segmenter": {"loss": {"k": 3}}}, ["mine.toml", "--segmenter.loss.k"]),
    ],
)
def test_unknown_names_and_wrong_types_fail_by_name(values, words):
    with pytest.raises(SystemExit) as error:
        overlaid(PAPER, values, "mine.toml")
    assert all(word in str(error.value) for word in words)


def test_files_that_hold_no_settings_are_refused(tmp_path):
    for name, text in (("a.json", "{"), ("b.toml", "= 3"), ("c.json", "[1]")):
        (tmp_path / name).write_text(text)
        with pytest.raises(SystemExit, match=name):
            read_file(tmp_path / name)
    with pytest.raises(SystemExit, match=r"missing\.json"):
        read_file(tmp_path / "missing.json")
    assert as_arguments({"a": {"b": True, "c": []}}) == ["--a.b", "True", "--a.c"]


def test_a_run_keeps_what_it_was_begun_with(tmp_path):
    run = runs.TrainingRun(
        tmp_path / "r", "seqseg", "micro", 3, None, {"name": "d", "hash": "h"}, SMALL
    )
    run.record("train detector", RunOptions())
    run.record("train segmenter", RunOptions(precision="bf16"))
    held = json.loads((run.folder / "config.json").read_text())
    assert [c["command"] for c in held["commands"]] == ["train detector", "train segmenter"]
    assert (
        held["commands"][1]["options"]["precision"] == "bf16"
        and "torch" in held["commands"][0]["packages"]
    )
    assert runs.TrainingRun.open(run.folder) == run
    # A run's config.json is a file of settings as well.
    assert overlaid(PAPER, read_file(run.folder / "config.json"), "config.json") == SMALL
    for change, words in (
        ({"seed": 4}, "seed was 3 and is 4"),
        ({"settings": replace(SMALL, max_steps=9)}, "settings.max_steps was 15 and is 9"),
        ({"dataset": {"name": "d", "hash": "other"}}, "dataset.hash was 'h' and is 'other'"),
    ):
        with pytest.raises(SystemExit, match=words):
            replace(run, **change).record("train detector", RunOptions())
    with pytest.raises(SystemExit, match=r"config\.json: is missing"):
        runs.TrainingRun.open(tmp_path)


# From here on: the data set of `prepare`, the systems of the tables and their bundles.


@pytest.fixture(scope="module")
def dataset(tmp_path_factory):
    """A data set of stand-in patients, with slices as the real one makes them."""
    module = pytest.importorskip("nasoseg_train.data.dataset")
    pytest.importorskip("nasoseg_train.run.systems")
    import nibabel

    from nasoseg_train.data.standin import StandIn

    folder = tmp_path_factory.mktemp("dataset")
    cases, top = [], np.zeros(3)
    for number, split in enumerate(
        ("train", "train", "train", "train", "validation", "validation", "test")
    ):
        one, name = StandIn(number), f"p{number}"
        images, mask = one.images(), one.mask()
        (folder / "cases" / name).mkdir(parents=True)
        for sequence, volume in zip(
            (*module.SEQUENCES, "truth"), (*images, mask.astype(np.uint8)), strict=True
        ):
            # Files are x, y, slice; arrays here are slice, row, column.
            image = nibabel.Nifti1Image(
                np.ascontiguousarray(volume.T), np.diag([-2.2, -2.2, 6.0, 1.0])
            )
            nibabel.save(image, folder / "cases" / name / f"{sequence}.nii.gz")
        top = np.maximum(top, images.reshape(3, -1).max(axis=1)) if split == "train" else top
        tables = {
            s: {"percentiles_above_zero": {"99.5": float(np.percentile(v[v > 0], 99.5))}}
            for s, v in zip(module.SEQUENCES, images, strict=True)
        }
        cases.append(
            {
                # As NIfTI's float32 affines give it back.
                "id": name,
                "split": split,
                "covariates": {},
                "spacing_mm": (one.spacing_mm[0] + 2e-7 * len(cases), *one.spacing_mm[1:]),
                "shape": one.shape,
                "sequences": tables,
                "key": name,
            }
        )
    record = {
        "format": module.FORMAT,
        "format_version": module.FORMAT_VERSION,
        "name": "stand-ins",
        "hash": "0" * 64,
        "cases": cases,
        "source": {"kind": "stand-ins", "patients": len(cases)},
        "fingerprint": {"channel_max": top.tolist()},
        "split": {"by": "phantom"},
    }
    (folder / "dataset.json").write_text(json.dumps(record))
    return folder


COMMON = [
    "--preset",
    "tiny",
    "--device",
    "cpu",
    "--threads",
    "1",
    "--workers",
    "1",
    "--progress",
    "False",
]


def call(*words):
    cli.main([*map(str, words)])


def test_from_data_set_to_bundle(dataset, tmp_path, capsys):
    """SeqSeg, stage by stage, with a file and an option; then its bundle."""
    file = tmp_path / "mine.json"
    file.write_text(
        json.dumps(
            {"detector": {"epochs": 1, "warmup": 16}, "segmenter": {"steps": 6, "agent_steps": 2}}
        )
    )
    common = ["--dataset", dataset, "--runs", tmp_path / "runs", "--config", file, *COMMON]
    with pytest.raises(
        SystemExit, match=r"detector\.pt: is missing\. Run nasoseg-train train detector"
    ):
        call("train", "segmenter", *common, "--detector.episodes-per-epoch", 24)
    call(
        "train", "segmenter", *common, "--detector.episodes-per-epoch", 24, "--before-agent", "True"
    )
    assert not (tmp_path / "runs" / "seqseg" / "seed1" / "segmenter.pt").exists()
    call("train", "detector", *common, "--detector.episodes-per-epoch", 24)
    call("train", "segmenter", *common, "--detector.episodes-per-epoch", 24)
    folder = tmp_path / "runs" / "seqseg" / "seed1"
    held = json.loads((folder / "config.json").read_text())
    settings = held["settings"]
    assert (
        settings["detector"]["episodes_per_epoch"],
        settings["detector"]["warmup"],
        settings["segmenter"]["steps"],
    ) == (24, 16, 6)
    assert held["dataset"] == {"name": "stand-ins", "hash": "0" * 64}
    assert {
        "detector.pt",
        "detector.csv",
        "segmenter_explore.pt",
        "segmenter.pt",
        "segmenter.csv",
    } <= {p.name for p in folder.iterdir()}
    with pytest.raises(SystemExit, match="episodes_per_epoch was 24 and is 64"):
        call("train", "detector", *common)
    with pytest.raises(SystemExit, match="holds networks of train detector"):
        call("train", "joint", *common, "--detector.episodes-per-epoch", 24)

    export = (
        "export",
        "--run",
        folder,
        "--dataset",
        dataset,
        "--workers",
        1,
        "--choose-threshold",
        "--calibrate",
        "True",
    )
    # Another agent than the one that RANet followed.
    trained = (folder / "detector.pt").read_bytes()
    state = torch.load(folder / "detector.pt", weights_only=True)
    next(iter(state["net"].values())).add_(1)
    torch.save(state, folder / "detector.pt")
    with pytest.raises(SystemExit, match=r"segmenter\.pt: follows another agent"):
        call(*export)
    (folder / "detector.pt").write_bytes(trained)
    assert not (folder / "bundle").exists()
    (folder / "bundle").mkdir()
    (folder / "bundle" / "mine.txt").write_text("stays")
    call(*export)
    assert sorted(p.name for p in (folder / "bundle").iterdir()) == [
        "bundle.json",
        "golden",
        "mine.txt",
        "q_head.onnx",
        "segmenter.onnx",
        "trunk.onnx",
    ]
    manifest = json.loads((folder / "bundle" / "bundle.json").read_text())
    assert (
        manifest["segmenter"]["threshold"] == manifest["metrics"]["threshold"]["chosen"]
        and manifest["metrics"]["threshold"]["patients"] == 2
    )
    assert manifest["input"]["slice_spacing_mm"] == [6.0, 6.0]
    assert "stop_bias" in manifest["metrics"]["validation"]["detector"]["calibration"]
    assert manifest["detector"]["kind"] == "agent" and manifest["intended_use"]["demo"]
    assert (
        "synthetic" in manifest["intended_use"]["statement"]
        and manifest["training"]["system"] == "seqseg"
    )
    assert "networks" in capsys.readouterr().out


def test_joint_training_scales_by_the_data_sets_maxima(dataset, tmp_path):
    changes = [
        "--input.scaling",
        "dataset_max",
        "--detector.episodes-per-epoch",
        12,
        "--detector.warmup",
        16,
    ]
    call("train", "joint", "--dataset", dataset, "--runs", tmp_path, *COMMON, *changes)
    folder = tmp_path / "seqseg" / "seed1"
    top = json.loads((dataset / "dataset.json").read_text())["fingerprint"]["channel_max"]
    assert json.loads((folder / "config.json").read_text())["settings"]["input"][
        "dataset_max"
    ] == pytest.approx(top)
    assert runs.TrainingRun.open(folder).settings.input.dataset_max == pytest.approx(tuple(top))
    assert {"detector.pt", "segmenter.pt", "joint_last.pt", "detector.csv", "segmenter.csv"} <= {
        p.name for p in folder.iterdir()
    }


@pytest.mark.parametrize("system", ["unet_dbw", "mask_rcnn", "lin"])
def test_systems_of_other_kinds_train_and_export(dataset, tmp_path, system):
    call(
        "train",
        "all",
        "--system",
        system,
        "--dataset",
        dataset,
        "--runs",
        tmp_path,
        *COMMON,
        "--detector.episodes-per-epoch",
        12,
        "--segmenter.tumour-free-share",
        0.0,
    )
    folder = tmp_path / system / "seed1"
    call("export", "--run", folder, "--dataset", dataset, "--workers", 1)
    kinds = {"unet_dbw": "whole", "mask_rcnn": "proposals", "lin": "fixed"}
    manifest = json.loads((folder / "bundle" / "bundle.json").read_text())
    assert manifest["detector"]["kind"] == kinds[system]
    # Patches of whole patients, but slices with tumour alone where no share of others is asked for.
    assert manifest["negatives_trained"] == (system == "lin")


def test_what_cannot_be_trained_is_refused(dataset, tmp_path):
    common = ["--dataset", dataset, "--runs", tmp_path, *COMMON]
    with pytest.raises(SystemExit, match="system 'vnet' is not known; expected one of unet"):
        call("train", "all", *common, "--system", "vnet")
    with pytest.raises(SystemExit, match="preset 'huge' is not known"):
        call("train", "all", "--dataset", dataset, "--preset", "huge")
    with pytest.raises(SystemExit, match="system unet has no detector to train"):
        call("train", "detector", *common, "--system", "unet")
    with pytest.raises(SystemExit, match="is not an agent with a segmenter"):
        call("train", "joint", *common, "--system", "unet")
    with pytest.raises(SystemExit, match=r"dataset\.json: is missing"):
        call("train", "all", "--dataset", tmp_path, "--preset", "tiny")
    with pytest.raises(
        SystemExit, match="--before-agent: the segmenter of unet has no batches without an agent"
    ):
        call("train", "segmenter", *common, "--system", "unet", "--before-agent", "True")
    with pytest.raises(SystemExit, match="Change the settings of `ranet`"):
        call("train", "all", *common, "--system", "unet", "--baselines.whole-crop", 32)
    assert not list(tmp_path.iterdir())


def test_every_setting_says_what_it_is():
    import ast

    from nasoseg_train.run import config, network_config, training_config

    for module in (config, network_config, training_config):
        body = ast.parse(Path(module.__file__).read_text()).body
        for kind in [node for node in body if isinstance(node, ast.ClassDef)]:
            for field, after in zip(kind.body, [*kind.body[1:], None], strict=True):
                if isinstance(field, ast.AnnAssign):
                    explained = (
                        isinstance(after, ast.Expr)
                        and isinstance(after.value, ast.Constant)
                        and isinstance(after.value.value, str)
                    )
                    assert explained, f"{kind.name}.{ast.unparse(field.target)} has no help"


def test_the_demos_commands_can_be_said(tmp_path, monkeypatch):
    """Every command that makes the demo bundle is one that the command line takes."""
    import tyro

    from nasoseg_train.commands import demo

    said = []

    def take(words):
        words = [str(word) for word in words]
        name, rest = cli.split_command(words)
        module, _, kind = cli.COMMANDS[name][0].partition(":")
        command = getattr(importlib.import_module(f"nasoseg_train.commands.{module}"), kind)
        said.append(
            (
                name,
                command.parse(rest, name)
                if hasattr(command, "parse")
                else tyro.cli(command, args=rest),
            )
        )

    monkeypatch.setattr(demo, "start", take)
    monkeypatch.setattr(demo, "wait", lambda *commands: None)
    monkeypatch.setattr(demo, "report", lambda found, out: None)
    demo.Demo(tmp_path / "bundle", tmp_path / "work", seed=5).main()
    assert [name for name, _ in said] == [
        "prepare",
        "train detector",
        "train segmenter",
        "train all",
        "export",
        "prepare",
        "evaluate",
    ]
    prepare, detector, segmenter, everything, export, unseen, evaluate = (
        command for _, command in said
    )
    assert (
        unseen.phantoms == (0, 0, 104)
        and unseen.phantom_seed == 5
        and evaluate.dataset == unseen.out != prepare.out
    )
    assert prepare.phantoms == (200, 40, 0) and prepare.phantom_seed == 5 and segmenter.before_agent
    assert (
        detector.settings == segmenter.settings == everything.settings
        and detector.settings.detector.calibrate
    )
    assert (
        export.run == everything.runs / "seqseg" / "seed5"
        and export.dataset == prepare.out
        and export.choose_threshold
    )


def test_the_tables_by_one_command(dataset, tmp_path):
    """Two systems from a data set to the tables; the same words again do nothing, other settings
    are refused, a failed run is reported.
    """
    from nasoseg_train.commands.reproduce import Reproduce

    asked = {
        "preset": "tiny",
        "systems": ("unet", "unet_se"),
        "seeds": 1,
        "work": tmp_path / "work",
        "jobs": 2,
        "device": "cpu",
    }
    Reproduce(out=tmp_path / "out", dataset=dataset, **asked).main()
    tables = (tmp_path / "out" / "tables.md").read_text()
    assert "Table 3" in tables and "not run" in tables
    record = json.loads((tmp_path / "out" / "reproduce.json").read_text())
    assert record["failed"] == [] and set(record["seconds"]["unet/seed1"]) == {
        "train",
        "export",
        "evaluate",
    }
    assert record["dataset"]["cases"] == {"train": 4, "validation": 2, "test": 1}
    before = (tmp_path / "work" / "runs" / "unet" / "seed1" / "log.txt").read_text()
    Reproduce(out=tmp_path / "out", dataset=dataset, **asked).main()
    assert (tmp_path / "work" / "runs" / "unet" / "seed1" / "log.txt").read_text() == before
    with pytest.raises(SystemExit, match="started with other settings"):
        Reproduce(out=tmp_path / "out", dataset=dataset, **{**asked, "preset": "micro"}).main()
    (tmp_path / "work" / "runs" / "unet_se" / "seed1" / "evaluation" / "evaluation.json").unlink()
    shutil.rmtree(tmp_path / "work" / "runs" / "unet_se" / "seed1" / "bundle")
    (tmp_path / "work" / "runs" / "unet_se" / "seed1" / "segmenter.pt").write_text("damaged")
    with pytest.raises(SystemExit, match=r"1 of 2 runs failed(.|\n)*unet_se seed 1"):
        Reproduce(out=tmp_path / "out", dataset=dataset, **asked).main()
    assert not (tmp_path / "out" / "runs" / "unet_se").exists()
    assert "unet_se" in json.loads((tmp_path / "out" / "reproduce.json").read_text())["failed"][0]
