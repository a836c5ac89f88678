"""Prepared slices and boxes in, features, Q values and probabilities out: the networks of a bundle."""

from .crop import RoiCrop
from .qnet import QHead, QNetwork, Trunk
from .ranet import RANet
from .segmenter import Segmenter, crop_network

__all__ = ["QHead", "QNetwork", "RANet", "RoiCrop", "Segmenter", "Trunk", "crop_network"]
