"""The typed settings of a training run: every number it depends on, with its meaning and unit.

`presets` gives them values; the command line, a settings file and a training run's config.json use
the same names (settings.py).
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import Any, Literal

from .network_config import ProposalConfig, SegmenterConfig, TrunkConfig, VolumeConfig
from .training_config import DetectorTraining, SegmenterTraining, Thresholds


@dataclass(frozen=True)
class InputConfig:
    """How slices are prepared (docs/reference/bundle.md, "input")."""

    grid: int = 384
    """Side of the square grid, pixels."""
    fit: Literal["mm", "pad", "stretch"] = "mm"
    """How a slice is placed on the grid: mm (a fixed pixel size), pad (to a square in mm) or
    stretch (the paper).
    """
    pixel_mm: float = 0.74
    """Pixel of the grid, mm, for fit mm."""
    scaling: Literal["study_percentile", "dataset_max"] = "study_percentile"
    """What a channel is divided by: a percentile of the study's own voxels above 0, or the training
    set's maximum (the paper).
    """
    percentile: float = 99.5
    """For study_percentile."""
    dataset_max: tuple[float, float, float] = (0.0, 0.0, 0.0)
    """For dataset_max: the three channels' maxima in the training set; zeros are filled in from the
    data set.
    """


# The sizes of the cited papers.
UNET = SegmenterConfig(network="unet", widths=(64, 128, 256, 512, 1024))
DENSENET = SegmenterConfig(
    network="densenet", widths=(48,), blocks=(4, 5, 7, 10, 12, 15), growth=16, dropout=0.2
)
DDNN = SegmenterConfig(network="ddnn", widths=(64, 128, 256, 512, 512), blocks=(2, 2, 3, 3, 3))
ATTENTION_UNET = SegmenterConfig(network="attention_unet", widths=(64, 128, 256, 512, 1024))
DA_DSUNET = SegmenterConfig(
    network="da_dsunet", widths=(64, 128, 256, 512, 512), blocks=(4, 4, 4, 4, 4), growth=32
)


@dataclass(frozen=True)
class Baselines:
    """Sizes of the systems that the paper compares with (systems.py). The defaults are those of the
    cited papers.
    """

    whole_crop: int = 384
    """Side to which a whole slice is resampled, pixels."""
    whole_regions: int = 8
    """RANet's regions on whole slices."""
    whole_border_k: int = 10
    """DBW's k on whole slices."""
    unet: SegmenterConfig = UNET
    """U-Net (Ronneberger 2015)."""
    densenet: SegmenterConfig = DENSENET
    """Fully convolutional DenseNet (Jegou 2017)."""
    ddnn: SegmenterConfig = DDNN
    """Deep deconvolutional network (Men 2017)."""
    attention_unet: SegmenterConfig = ATTENTION_UNET
    """Attention U-Net (Oktay 2018)."""
    da_dsunet: SegmenterConfig = DA_DSUNET
    """DA-DSUnet (Tang 2021)."""


@dataclass(frozen=True)
class Preset:
    """Everything that a training run depends on except its seed and data."""

    name: str
    """Shown in reports."""
    input: InputConfig = field(default_factory=InputConfig)
    """How slices are prepared."""
    trunk: TrunkConfig = field(default_factory=TrunkConfig)
    """The agent's trunk."""
    head_hidden: tuple[int, ...] = ()
    """Hidden layers of the Q head; none is the paper's one fully connected layer."""
    history: int = 10
    """h: past actions in the state."""
    max_steps: int = 15
    """Largest number of actions, the terminal one included."""
    initial_share: float = 0.42
    """Sides of the initial box as a share of the slice's."""
    min_side: float = 16.0
    """Shortest side of a box, pixels of the grid."""
    thresholds: Thresholds = field(default_factory=Thresholds)
    """Of Algorithm 1's reward and Algorithm 2's prior. Evaluations always count rewarded stops by
    the paper's thresholds.
    """
    tumour_free_per_patient: int = 6
    """Tumour-free slices kept of each training and validation patient, if a loop uses any."""
    ranet: SegmenterConfig = field(default_factory=SegmenterConfig)
    """The segmenter on crops: RANet or another network."""
    detector: DetectorTraining = field(default_factory=DetectorTraining)
    """Deep Q-learning."""
    segmenter: SegmenterTraining = field(default_factory=SegmenterTraining)
    """Training of the segmenter on crops."""
    patients_train: int = 301
    """Synthetic patients, if no data set is given."""
    patients_validation: int = 129
    """The same for choosing checkpoints."""
    patients_test: int = 166
    """The same for the report."""
    detector_kind: Literal["agent", "whole", "fixed", "proposals"] = "agent"
    """Detector of the bundle (docs/reference/bundle.md)."""
    segmenter_kind: Literal["crop", "volume"] = "crop"
    """Segmenter of the bundle (docs/reference/bundle.md)."""
    baselines: Baselines = field(default_factory=Baselines)
    """Networks of the systems that the paper compares with."""
    proposals: ProposalConfig = field(default_factory=ProposalConfig)
    """Faster R-CNN and Mask R-CNN."""
    volume: VolumeConfig = field(default_factory=VolumeConfig)
    """VoxResNet on the atlas box."""

    def to_dict(self) -> dict[str, Any]:
        """The preset as plain dictionaries and lists."""
        return asdict(self)
