"""Encoders with feature maps at five resolutions: torchvision's ResNets, and a small one of the
same form.
"""

from __future__ import annotations

import torchvision
from torch import Tensor, nn
from torchvision.models.resnet import BasicBlock


def conv_bn_relu(inputs: int, outputs: int, kernel: int = 3, stride: int = 1) -> nn.Sequential:
    """Convolution without bias, batch normalisation, ReLU."""
    return nn.Sequential(
        nn.Conv2d(inputs, outputs, kernel, stride, kernel // 2, bias=False),
        nn.BatchNorm2d(outputs),
        nn.ReLU(inplace=True),
    )


def basic_stage(inputs: int, outputs: int, blocks: int, stride: int) -> nn.Sequential:
    """`blocks` residual blocks, the first with `stride`."""
    shortcut = nn.Sequential(
        nn.Conv2d(inputs, outputs, 1, stride, bias=False), nn.BatchNorm2d(outputs)
    )
    layers = [
        BasicBlock(inputs, outputs, stride, shortcut if stride != 1 or inputs != outputs else None)
    ]
    layers += [BasicBlock(outputs, outputs) for _ in range(blocks - 1)]
    return nn.Sequential(*layers)


class SmallEncoder(nn.Module):
    """conv1 at 1/2, layer1 at 1/4, layer2 at 1/8, layer3 at 1/16: the levels of a ResNet, few
    channels.
    """

    def __init__(self, widths: tuple[int, ...], blocks: tuple[int, ...] = (1, 1, 1)) -> None:
        super().__init__()
        self.conv1 = conv_bn_relu(3, widths[0], 3, 2)
        self.layer1 = basic_stage(widths[0], widths[1], blocks[0], 2)
        self.layer2 = basic_stage(widths[1], widths[2], blocks[1], 2)
        self.layer3 = basic_stage(widths[2], widths[3], blocks[2], 2)
        self.channels = tuple(widths[:4])

    def forward(self, x: Tensor) -> list[Tensor]:
        """[N, 3, C, C] -> conv1, layer1, layer2, layer3."""
        out = [self.conv1(x)]
        for layer in (self.layer1, self.layer2, self.layer3):
            out.append(layer(out[-1]))
        return out


class TorchvisionEncoder(nn.Module):
    """conv1 .. layer3 of a torchvision ResNet; `weights` such as "IMAGENET1K_V2" starts it from
    ImageNet.
    """

    def __init__(self, name: str, weights: str | None = None) -> None:
        super().__init__()
        net = torchvision.models.get_model(name, weights=weights)
        self.conv1 = nn.Sequential(net.conv1, net.bn1, net.relu)
        self.pool = net.maxpool
        self.layer1, self.layer2, self.layer3 = net.layer1, net.layer2, net.layer3
        expansion = 1 if name in ("resnet18", "resnet34") else 4
        self.channels = (64, 64 * expansion, 128 * expansion, 256 * expansion)

    def forward(self, x: Tensor) -> list[Tensor]:
        """[N, 3, C, C] -> conv1 at 1/2, layer1 at 1/4, layer2 at 1/8, layer3 at 1/16."""
        conv1 = self.conv1(x)
        layer1 = self.layer1(self.pool(conv1))
        layer2 = self.layer2(layer1)
        return [conv1, layer1, layer2, self.layer3(layer2)]
