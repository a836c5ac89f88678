"""Prepared slices and boxes in, features, Q values and probabilities out: the networks of a bundle."""

from .crop_segmenter import Segmenter, crop_network
from .qnet import QHead, QNetwork, Trunk
from .ranet import RANet
from .roi_crop import RoiCrop

__all__ = ["QHead", "QNetwork", "RANet", "RoiCrop", "Segmenter", "Trunk", "crop_network"]
