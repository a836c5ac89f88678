"""Run by torchrun in test_training.py: train the agent and a segmenter in several processes and say
what each ended with.

    torchrun --nproc-per-node 2 two_processes.py SLICES OUT
"""

from __future__ import annotations

import json
import os
import sys
from dataclasses import replace
from pathlib import Path

import torch
from small import SMALL, slice_sets

from nasoseg_train.run import checkpoint
from nasoseg_train.segmenter.crop_training import CropTraining, train_segmenter
from nasoseg_train.segmenter.joint_training import train_joint

torch.set_num_threads(1)
slices, out = Path(sys.argv[1]), Path(sys.argv[2])
rank = int(os.environ["RANK"])
sets = slice_sets(slices)
# Every file that this process writes, wherever it is written.
written: list[str] = []
checkpoint_write = checkpoint.write


def noted(path: Path, state: dict) -> None:
    written.append(path.name)
    checkpoint_write(path, state)


checkpoint.write = noted
ends: dict[str, list[float]] = {}
state_dict = CropTraining.state_dict


def kept(run: CropTraining) -> dict:
    state = state_dict(run)
    ends[run.stage] = [float(x.double().sum()) for x in run.net.state_dict().values()]
    return state


CropTraining.state_dict = kept
preset = replace(SMALL, segmenter=replace(SMALL.segmenter, steps=40, validate_every=20))
train_segmenter(preset, *sets, out, 1, None, "whole")
train_joint(SMALL, *sets, out / "joint", 1)
(out / f"rank{rank}.json").write_text(json.dumps({"ends": ends, "written": written}))
