"""Prepared slices and boxes in, features, Q values and probabilities out: the three networks of a bundle."""

from .crop import RoiCrop
from .qnet import QHead, QNetwork, Trunk
from .ranet import RANet, Segmenter

__all__ = ["QHead", "QNetwork", "RANet", "RoiCrop", "Segmenter", "Trunk"]
