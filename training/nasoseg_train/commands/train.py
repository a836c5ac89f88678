"""`nasoseg-train train ...`: trains the stages of a system and writes checkpoints and logs
(training_run.py).
"""

from __future__ import annotations

import argparse
import os
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Self

import tyro

from ..run.options import RunOptions
from ..run.presets import Preset
from ..run.settings import overlaid, preset_named, read_file
from ..run.training_run import TrainingRun

if TYPE_CHECKING:
    from ..data.dataset import Dataset
    from ..data.slice_set import SliceSet

# A flag takes its value as a word, as in a settings file.
STYLE = (tyro.conf.FlagConversionOff,)


def settings_of(preset: str, system: str) -> Preset:
    """A preset with a system's networks, losses and detector."""
    from ..run.systems import SYSTEMS

    if system not in SYSTEMS:
        raise SystemExit(f"system {system!r} is not known; expected one of {', '.join(SYSTEMS)}")
    return SYSTEMS[system].preset(preset_named(preset))


@dataclass
class Training:
    """The options of all training commands."""

    dataset: Path
    """Folder that `nasoseg-train prepare` wrote."""
    runs: Path = Path("runs")
    """The output folder is RUNS/SYSTEM/seedK; training resumes from its last checkpoint."""
    system: str = "seqseg"
    """A row of the paper's tables; nasoseg-train list-systems prints them."""
    preset: str = "paper"
    """The preset that the settings below change."""
    config: Path | None = None
    """JSON or TOML settings file: overrides the preset; the command line overrides both."""
    seed: int = 1
    """Seed of the weights, the exploration and the augmentation."""
    weights: str | None = None
    """Initial torchvision weights of a ResNet trunk and encoder, such as IMAGENET1K_V2; downloaded.
    """
    workers: int = 2
    """Processes that prepare slices."""
    threads: int | None = None
    """Threads of PyTorch in each process; PyTorch's choice unless given."""
    options: Annotated[RunOptions, tyro.conf.arg(name="")] = field(
        default_factory=lambda: RunOptions(device="auto", progress=True)
    )
    settings: Annotated[Preset, tyro.conf.arg(name="")] = field(
        default_factory=lambda: preset_named("paper")
    )

    @classmethod
    def parse(cls, arguments: list[str], prog: str) -> Self:
        """Parse the arguments: first the preset, the system and the file, whose settings are the
        others' defaults.
        """
        first = argparse.ArgumentParser(add_help=False, allow_abbrev=False)
        for name in ("preset", "system", "config"):
            first.add_argument(f"--{name}", default=None)
        given, _ = first.parse_known_args(arguments)
        base = settings_of(given.preset or cls.preset, given.system or cls.system)
        default = (
            overlaid(base, read_file(Path(given.config)), given.config) if given.config else base
        )
        command = tyro.cli(
            cls,
            args=arguments,
            prog=prog,
            default=cls(dataset=tyro.MISSING, settings=default),
            config=STYLE,
        )
        if command.settings.baselines != base.baselines:
            raise SystemExit(
                f"baselines: {command.system} has already taken its network from there. Change "
                "the settings of `ranet`"
            )
        return command

    def begin(self, command: str) -> TrainingRun:
        """Record the training run; its settings hold the data set's maxima if they are needed."""
        import torch

        if self.threads:
            torch.set_num_threads(self.threads)
        data = self.data()
        settings = replace(self.settings, input=data.input(self.settings.input))
        folder = self.runs / self.system / f"seed{self.seed}"
        source = {"name": data.name, "hash": data.hash}
        run = TrainingRun(
            folder, self.system, self.preset, self.seed, self.weights, source, settings
        )
        run.record(command, self.options)
        return run

    def data(self) -> Dataset:
        from ..data.dataset import Dataset

        try:
            return Dataset.open(self.dataset)
        except (OSError, ValueError) as error:
            raise SystemExit(str(error)) from error

    def slices(self, settings: Preset, tumour_free: int | None) -> tuple[SliceSet, SliceSet]:
        """Training and validation slices; under torchrun the first process of a machine makes them
        and the others read them.
        """
        from ..run.machine import first_on_this_machine

        data = self.data()
        try:
            with first_on_this_machine(self.options):
                train, validation = (
                    data.slices(split, settings.input, tumour_free, self.workers)
                    for split in ("train", "validation")
                )
        except ValueError as error:
            raise SystemExit(str(error)) from error
        return train, validation

    def stages(self) -> tuple[str, ...]:
        from ..run.systems import SYSTEMS

        return SYSTEMS[self.system].stages

    def run_stage(self, stage: str, run: TrainingRun) -> None:
        """Run one stage of the system; a finished one returns at once."""
        print(f"== {self.system}: {stage}", flush=True)
        STAGES[stage](self, run)


def tumour_free_of(settings: Preset) -> int:
    """Number of tumour-free slices of each patient that the loops on slices need."""
    shares = (settings.detector.tumour_free_share, settings.segmenter.tumour_free_share)
    return settings.tumour_free_per_patient if any(shares) else 0


def agent_stage(command: Training, run: TrainingRun) -> None:
    """The agent (deep_q_learning.py)."""
    from ..agent.deep_q_learning import train_agent

    apart(run, "joint")
    sets = command.slices(run.settings, tumour_free_of(run.settings))
    train_agent(run.settings, *sets, run.folder, run.seed, run.weights, command.options)


def crop_stage(command: Training, run: TrainingRun) -> None:
    """A network on crops (crop_training.py): of the whole slice, or of the exploring policy's boxes
    and then of the agent's.
    """
    from ..agent.deep_q_learning import load_agent
    from ..segmenter.crop_training import train_segmenter

    apart(run, "joint")
    p, out = run.settings, run.folder
    weights, options = run.weights, command.options
    if p.detector_kind == "agent" and not (out / "detector.pt").exists():
        raise SystemExit(
            f"{out / 'detector.pt'}: is missing. Run nasoseg-train train detector, or train all, "
            "with the same options first"
        )
    sets = command.slices(p, tumour_free_of(p))
    if p.detector_kind == "whole":
        train_segmenter(p, *sets, out, run.seed, None, "whole", None, weights, options)
        return
    agent, _ = load_agent(out / "detector.pt", p)
    start = before_agent(command, run, sets) if explores(p) else None
    train_segmenter(p, *sets, out, run.seed, agent, "agent", start, weights, options)


def explores(settings: Preset) -> bool:
    """Whether RANet's first batches are on the exploring policy's boxes, which need no agent."""
    return (
        settings.detector_kind == "agent"
        and 0 < settings.segmenter.agent_steps < settings.segmenter.steps
    )


def before_agent(command: Training, run: TrainingRun, sets: tuple[SliceSet, SliceSet]) -> Path:
    """Train RANet's first batches."""
    from ..segmenter.crop_training import train_segmenter

    return train_segmenter(
        run.settings,
        *sets,
        run.folder,
        run.seed,
        None,
        "explore",
        None,
        run.weights,
        command.options,
    )


def proposals_stage(command: Training, run: TrainingRun) -> None:
    """Faster R-CNN or Mask R-CNN (rcnn_training.py), in one process."""
    from ..segmenter import rcnn_training as proposals

    alone("proposals", command.options)
    sets = command.slices(run.settings, tumour_free_of(run.settings))
    device = device_of(command.options)
    proposals.train_proposals(
        run.settings, *sets, run.folder, run.seed, run.weights, device, command.options
    )


def volume_stage(command: Training, run: TrainingRun) -> None:
    """The atlas box (atlas_box.py) and the network on its patches (volume_training.py), in one
    process.
    """
    from ..data import atlas_box as atlas
    from ..segmenter import volume_training

    alone("volume", command.options)
    p, cases = run.settings, command.data().cases()
    train, validation = command.slices(p, None)
    mm = {
        n: atlas.grid_mm(case.shape[1:], case.spacing_mm, p.input) for n, case in enumerate(cases)
    }
    box = atlas.atlas_box(
        atlas.boxes_in_mm(train, mm), p.volume.atlas_share, p.volume.atlas_margin_mm
    )
    device = device_of(command.options)
    volume_training.train_volume(
        p, train, validation, mm, mm, box, run.folder, run.seed, device, command.options
    )


def no_stage(command: Training, run: TrainingRun) -> None:
    """Nothing: the atlas box is made in the stage `volume`."""


STAGES: dict[str, Callable[[Training, TrainingRun], None]] = {
    "agent": agent_stage,
    "segmenter": crop_stage,
    "proposals": proposals_stage,
    "atlas": no_stage,
    "volume": volume_stage,
}


def apart(run: TrainingRun, *others: str) -> None:
    """Reject a folder in which the same networks were trained in another way."""
    for other in others:
        if (run.folder / f"{other}_last.pt").exists():
            raise SystemExit(
                f"{run.folder}: holds networks of train {other}, which would be overwritten. "
                "Choose another --runs"
            )


def alone(stage: str, options: RunOptions) -> None:
    """Reject several processes and other precisions for a loop that supports neither."""
    if int(os.environ.get("WORLD_SIZE", 1)) > 1:
        raise SystemExit(f"stage {stage} trains in one process. Start it without torchrun")
    if options.precision not in ("preset", "32"):
        raise SystemExit(f"--precision {options.precision}: stage {stage} trains in 32 bits only")


def device_of(options: RunOptions) -> str:
    from ..run.machine import device_named

    return device_named(options.device)


class TrainDetector(Training):
    """Train the detector: the agent by deep Q-learning (paper 3.1, 4.2.2), or a system's own
    detector.
    """

    def main(self) -> None:
        wanted = [stage for stage in self.stages() if stage in ("agent", "proposals")]
        if not wanted:
            raise SystemExit(
                f"system {self.system} has no detector to train; its stages are "
                f"{', '.join(self.stages())}"
            )
        self.run_stage(wanted[0], self.begin("train detector"))


@dataclass
class TrainSegmenter(Training):
    """Train the segmenter: RANet on the agent's boxes (paper 3.2, 4.2.3), or a system's own
    segmenter.
    """

    before_agent: bool = False
    """Train only the batches on the exploring policy's boxes, which need no agent and can run in
    parallel with `train detector`.
    """

    def main(self) -> None:
        wanted = [stage for stage in self.stages() if stage in ("segmenter", "volume")]
        if not wanted:
            raise SystemExit(
                f"system {self.system} has no segmenter of its own; its stages are "
                f"{', '.join(self.stages())}"
            )
        if self.before_agent and not explores(self.settings):
            raise SystemExit(
                f"--before-agent: the segmenter of {self.system} has no batches without an agent "
                "(segmenter.agent_steps)"
            )
        run = self.begin("train segmenter")
        if self.before_agent:
            apart(run, "joint")
            before_agent(self, run, self.slices(run.settings, tumour_free_of(run.settings)))
        else:
            self.run_stage(wanted[0], run)


class TrainJoint(Training):
    """Train the agent and RANet together: every box that the agent reaches is a crop for RANet
    (paper 4.2.3).
    """

    def main(self) -> None:
        if self.stages() != ("agent", "segmenter"):
            raise SystemExit(
                f"system {self.system} is not an agent with a segmenter; its stages are "
                f"{', '.join(self.stages())}"
            )
        run = self.begin("train joint")
        apart(run, "detector", "segmenter_explore", "segmenter")
        from ..segmenter.joint_training import train_joint

        sets = self.slices(run.settings, tumour_free_of(run.settings))
        train_joint(run.settings, *sets, run.folder, run.seed, run.weights, self.options)


class TrainAll(Training):
    """Train every stage of a system, in order."""

    def main(self) -> None:
        run = self.begin("train all")
        for stage in self.stages():
            self.run_stage(stage, run)
