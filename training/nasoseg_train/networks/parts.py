"""Builds a preset's untrained detector and segmenter, of every kind (docs/reference/bundle.md)."""

from __future__ import annotations

from ..data.atlas_box import FixedBox
from ..run.presets import Preset
from . import QNetwork, Segmenter
from .rcnn import RCNN, MaskSegmenter
from .voxresnet import VolumeSegmenter

# None: the whole slice.
Detector = QNetwork | RCNN | FixedBox | None
AnySegmenter = Segmenter | MaskSegmenter | VolumeSegmenter

# Where the nasopharynx is in most heads. A trained system has the atlas box of its training set
# (atlas_box.py).
UNTRAINED_BOX_MM = (-45.0, -60.0, 45.0, 30.0)


def parts(preset: Preset, weights: str | None = None) -> tuple[Detector, AnySegmenter]:
    """The detector and segmenter that a preset names; `weights` starts torchvision's networks from
    ImageNet.
    """
    detector: Detector = None
    if preset.detector_kind == "agent":
        detector = QNetwork(preset, weights)
    elif preset.detector_kind == "fixed":
        detector = FixedBox(UNTRAINED_BOX_MM)
    elif preset.detector_kind == "proposals":
        detector = RCNN(preset, weights)
    if preset.segmenter_kind == "volume":
        return detector, VolumeSegmenter(preset.volume)
    if preset.ranet.network == "mask_rcnn":
        if not isinstance(detector, RCNN):
            raise ValueError(
                "Mask R-CNN's masks come from its own detector. The preset's detector_kind must "
                "be proposals"
            )
        return detector, MaskSegmenter(detector)
    return detector, Segmenter(preset.ranet, weights)
