"""The systems of the paper's tables: every row as a change to a base preset.

    nasoseg-train list-systems --preset small

prints the rows with their numbers of weights. A system is a base preset (how large, how long, which
input) with its own detector, network and loss; everything else is the base's, so two rows differ
only in what their names say.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Literal

from .presets import Preset, SegmenterConfig

Loss = Literal["dbw", "ce", "weighted", "dice", "dice_ce"]
Stage = Literal["agent", "segmenter", "proposals", "atlas", "volume"]


@dataclass(frozen=True)
class System:
    """One row of one or several tables (paper 4.3, 4.4, 5)."""

    name: str
    title: str
    tables: tuple[int, ...]
    # What is trained, in order: `agent` (deep_q_learning.py), `segmenter` (crop_training.py),
    # `proposals` (rcnn_training.py), `atlas` (atlas_box.py) and `volume` (volume_training.py).
    stages: tuple[Stage, ...]
    change: Callable[[Preset], Preset]
    note: str = ""

    def preset(self, base: Preset) -> Preset:
        """The base with this system's detector, networks and losses, named `<base>/<system>`."""
        return replace(self.change(base), name=f"{base.name}/{self.name}")

    @property
    def detects_only(self) -> bool:
        """Whether the system only detects: the bundle's mask is then the box."""
        return (
            "segmenter" not in self.stages
            and "volume" not in self.stages
            and self.name != "mask_rcnn"
        )


def _whole(base: Preset, network: SegmenterConfig, loss: Loss) -> Preset:
    """A network on whole slices: the crop is the grid, resampled."""
    b = base.baselines
    return replace(
        base,
        detector_kind="whole",
        ranet=replace(network, crop=b.whole_crop, regions=b.whole_regions, context_factor=1.0),
        # There is no detector whose boxes could be off, or that is trained first.
        segmenter=replace(
            base.segmenter, loss=loss, border_k=b.whole_border_k, agent_steps=0, jitter=0.0
        ),
    )


def _unet(
    loss: Loss = "ce", cram: bool = False, rram: bool = False, squeeze: bool = False
) -> Callable[[Preset], Preset]:
    def change(base: Preset) -> Preset:
        unet = replace(base.baselines.unet, cram=cram, rram=rram, squeeze_excitation=squeeze)
        return _whole(base, unet, loss)

    return change


def _baseline(name: str, loss: Loss = "ce") -> Callable[[Preset], Preset]:
    return lambda base: _whole(base, getattr(base.baselines, name), loss)


def _box_only(base: Preset) -> Preset:
    box = SegmenterConfig(network="box", crop=8, context_factor=1.0)
    return replace(base, ranet=box, segmenter=replace(base.segmenter, steps=0, agent_steps=0))


def _prior(start: float) -> Callable[[Preset], Preset]:
    """The agent with another share of prior actions at the start; 0 stays 0.

    This comparison is invalid for a base whose `auxiliary` loss teaches the agent the prior's
    returns.
    """

    def change(base: Preset) -> Preset:
        schedule = base.detector.schedule
        schedule = replace(schedule, priori=start, priori_min=min(schedule.priori_min, start))
        return replace(_box_only(base), detector=replace(base.detector, schedule=schedule))

    return change


def _faster_rcnn(base: Preset) -> Preset:
    return replace(_box_only(base), detector_kind="proposals")


def _mask_rcnn(base: Preset) -> Preset:
    masks = SegmenterConfig(network="mask_rcnn", crop=28, context_factor=1.0)
    return replace(base, detector_kind="proposals", ranet=masks)


def _lin(base: Preset) -> Preset:
    return replace(base, detector_kind="fixed", segmenter_kind="volume")


_ROWS = (
    System("unet", "U-Net", (3, 4, 5), ("segmenter",), _unet(), "cross entropy"),
    System("unet_se", "U-Net + SE", (3,), ("segmenter",), _unet(squeeze=True)),
    System("unet_cram", "U-Net + cRAM", (3,), ("segmenter",), _unet(cram=True)),
    System("unet_rram", "U-Net + rRAM", (3,), ("segmenter",), _unet(rram=True)),
    System(
        "unet_cram_rram", "U-Net + cRAM + rRAM", (3,), ("segmenter",), _unet(cram=True, rram=True)
    ),
    System("unet_weighted", "U-Net, category weighted", (4,), ("segmenter",), _unet("weighted")),
    System("unet_dice", "U-Net, Dice loss", (4,), ("segmenter",), _unet("dice")),
    System("unet_dbw", "U-Net, dilated border weighted", (4,), ("segmenter",), _unet("dbw")),
    System(
        "densenet",
        "DenseNet",
        (5,),
        ("segmenter",),
        _baseline("densenet"),
        "fully convolutional, Jegou 2017",
    ),
    System("ddnn", "DDNN", (5,), ("segmenter",), _baseline("ddnn"), "Men 2017"),
    System(
        "attention_unet",
        "Att U-Net",
        (5,),
        ("segmenter",),
        _baseline("attention_unet"),
        "Oktay 2018",
    ),
    System(
        "ranet",
        "RANet",
        (5,),
        ("segmenter",),
        lambda base: _whole(base, base.ranet, "ce"),
        "cross entropy",
    ),
    System(
        "ranet_weighted",
        "RANet (weighted loss), RANet-S",
        (5, 6),
        ("segmenter",),
        lambda base: _whole(base, base.ranet, "dbw"),
        "dilated border weighted",
    ),
    System("mask_rcnn", "Mask R-CNN", (6,), ("proposals",), _mask_rcnn, "He 2017, feature pyramid"),
    System("lin", "Lin et al.", (6,), ("atlas", "volume"), _lin, "VoxResNet on the atlas box"),
    System(
        "tang", "Tang et al.", (6,), ("segmenter",), _baseline("da_dsunet", "dice_ce"), "DA-DSUnet"
    ),
    System(
        "seqseg", "SeqSeg", (1, 2, 6), ("agent", "segmenter"), lambda base: base, "prior share 0.8"
    ),
    System("faster_rcnn", "Faster R-CNN", (2,), ("proposals",), _faster_rcnn, "feature pyramid"),
    System("agent_priori_04", "Agent, prior share 0.4", (1,), ("agent",), _prior(0.4)),
    System("agent_priori_00", "Agent, epsilon-greedy", (1,), ("agent",), _prior(0.0)),
)

SYSTEMS: dict[str, System] = {row.name: row for row in _ROWS}

# Rows of each table, in the paper's order.
TABLES: dict[int, tuple[str, ...]] = {
    1: ("seqseg", "agent_priori_04", "agent_priori_00"),
    2: ("seqseg", "faster_rcnn"),
    3: ("unet", "unet_se", "unet_cram", "unet_rram", "unet_cram_rram"),
    4: ("unet", "unet_weighted", "unet_dice", "unet_dbw"),
    5: ("unet", "densenet", "ddnn", "attention_unet", "ranet", "ranet_weighted"),
    6: ("ranet_weighted", "mask_rcnn", "lin", "tang", "seqseg"),
}
