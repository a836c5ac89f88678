"""The deep deconvolutional network (paper 4.4.3)."""

from __future__ import annotations

from torch import Tensor, nn

from ..run.presets import SegmenterConfig
from .resnet import conv_bn_relu


class DDNN(nn.Module):
    """Crops [N, 3, C, C] -> logits [N, 1, C, C]; C must be a multiple of 2 ** stages.

    Men et al.: Deep Deconvolutional Neural Network for Target Segmentation of Nasopharyngeal Cancer
    in Planning Computed Tomography Images, Frontiers in Oncology 7:315 (2017): VGG-16's
    convolutions (Simonyan 2015) with a pooling after each stage, 1/32 at the bottom, as the
    encoder, without its fully connected layers; deconvolutions back to the original resolution as
    the decoder. There are no skip connections.

    Our own choices, where the paper is not specific: the fully connected layers are replaced by one
    3x3 convolution; every deconvolution doubles the side (4x4, stride 2) and is followed by one 3x3
    convolution; all layers are normalised over the batch, since there are no ImageNet weights to
    start from.
    """

    def __init__(self, config: SegmenterConfig) -> None:
        super().__init__()
        encoder: list[nn.Module] = []
        below = 3
        for width, layers in zip(config.widths, config.blocks, strict=True):
            for _ in range(layers):
                encoder.append(conv_bn_relu(below, width))
                below = width
            encoder.append(nn.MaxPool2d(2))
        self.encoder = nn.Sequential(*encoder)
        self.bottom = conv_bn_relu(below, below)
        decoder: list[nn.Module] = []
        for width in reversed(config.widths):
            grow = nn.ConvTranspose2d(below, width, 4, 2, 1, bias=False)
            decoder += [
                grow,
                nn.BatchNorm2d(width),
                nn.ReLU(inplace=True),
                conv_bn_relu(width, width),
            ]
            below = width
        self.decoder = nn.Sequential(*decoder)
        self.last = nn.Conv2d(below, 1, 1)

    def forward(self, crops: Tensor) -> Tensor:
        return self.last(self.decoder(self.bottom(self.encoder(crops))))
