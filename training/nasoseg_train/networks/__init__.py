"""The networks of a bundle, and those that the paper compares with. `parts` builds a preset's."""

from .crop_segmenter import Segmenter, crop_network
from .qnet import QHead, QNetwork, Trunk
from .ranet import RANet
from .roi_crop import RoiCrop

__all__ = ["QHead", "QNetwork", "RANet", "RoiCrop", "Segmenter", "Trunk", "crop_network"]
