"""Pixel networks whose convolutions are band-limited: what networks on coefficients are compared with.

    bandlimited_resnet18      torchvision's ResNet-18, 3x3 stem of stride 1 and no max-pool with ``stem="cifar"``
    bandlimited_densenet121   torchvision's DenseNet-121, the same stem
    bandlimited_vgg16         torchvision's VGG-16 with BatchNorm; behind its convolutions one linear layer with "cifar"
    bandlimited_lenet         two 5x5 convolutions of 6 and 16 channels with max-pools, linear layers of 120 and 84

Every convolution is a ``BandLimitedConv2d`` with the state dict of torch's, so weights go both ways and ``nn.set_compression``
changes what a trained network drops. Source: A. Dziedzic, J. Paparrizos, S. Krishnan, A. Elmore and M. Franklin, "Band-limited
training and inference for convolutional neural networks", ICML 2019, with ResNet-18 and DenseNet-121 on CIFAR. VGG-16: K.
Simonyan and A. Zisserman, ICLR 2015. LeNet: Y. LeCun, L. Bottou, Y. Bengio and P. Haffner, Proc. IEEE 86, 1998.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import torch.nn.functional as F
from torch import Tensor, nn

from dctnet.arguments import choice
from dctnet.models.blocks import initialise
from dctnet.models.from_rgb import PixelNetwork
from dctnet.models.rgb import MEAN, STD, torchvision_resnet
from dctnet.models.stages import scaled
from dctnet.nn.band_limited import set_compression
from dctnet.nn.convert import convert
from dctnet.nn.pixel_frontend import PixelFrontend

STEMS = ("cifar", "imagenet")


def bandlimited(
    network: Callable[..., nn.Module],
    num_classes: int = 1000,
    block_size: int | tuple[int, int] = 8,
    width: float = 1.0,
    stem: str = "cifar",
    compression: float | Mapping[str, float] = 0.0,
    energy: float | None = None,
    mask: str = "square",
    planes: str = "ycc",
) -> PixelNetwork:
    """``network(num_classes, width, stem)`` on RGB pixels from planes of ``block_size``, its convolutions band-limited.

    ``compression``: the share of each layer's spectrum that is dropped, one number, or numbers for some layers by their names;
    ``energy``: instead, the share of the energy that is kept; ``mask``: the shape of what is kept (``nn.BandLimitedConv2d``).
    ``width`` multiplies the channels. ``stem="cifar"`` is for pictures of 32 to 64 pixels. ``planes="y"`` shows gray pictures.

    >>> model = bandlimited(resnet18, 10, block_size=1, width=0.25, compression=0.5)
    >>> model.model.conv1.compression
    0.5
    """
    choice("stem", stem, STEMS)
    model = network(num_classes, width, stem)
    each = isinstance(compression, Mapping)
    convert(model, "bandlimited", compression=0.0 if each else compression, energy=energy, mask=mask)
    if each:
        set_compression(model, compression)
    return PixelNetwork(PixelFrontend(block_size, MEAN, STD), model, planes)


def resnet18(num_classes: int, width: float, stem: str) -> nn.Module:
    """torchvision's ResNet-18."""
    resnet = torchvision_resnet(18, num_classes, width, zero_init_residual=False)
    if stem == "cifar":
        resnet.conv1 = nn.Conv2d(3, resnet.conv1.out_channels, 3, padding=1, bias=False)
        resnet.maxpool = nn.Identity()
        initialise(resnet.conv1)
    return resnet


def densenet121(num_classes: int, width: float, stem: str) -> nn.Module:
    """torchvision's DenseNet-121, growth 32."""
    from torchvision.models.densenet import DenseNet

    growth, first = scaled(32, width), scaled(64, width)
    densenet = DenseNet(growth, (6, 12, 24, 16), first, num_classes=num_classes)
    if stem == "cifar":
        densenet.features.conv0 = nn.Conv2d(3, first, 3, padding=1, bias=False)
        densenet.features.pool0 = nn.Identity()
        initialise(densenet.features.conv0)
    return densenet


class VGG16(nn.Module):
    """Logits ``(n, num_classes)`` from pixels: torchvision's VGG-16 with BatchNorm, for any width and for small pictures.

    With ``stem="imagenet"`` the classifier is that of the paper, two linear layers of 4096 with dropout on 7x7 means; with
    "cifar" one linear layer on the mean.
    """

    def __init__(self, num_classes: int, width: float, stem: str):
        super().__init__()
        from torchvision.models.vgg import make_layers

        stages = ((2, 64), (2, 128), (3, 256), (3, 512), (3, 512))
        table = [entry for count, channels in stages for entry in (*count * [scaled(channels, width)], "M")]
        self.features = make_layers(table, batch_norm=True)
        outputs, hidden = scaled(512, width), scaled(4096, width)
        self.avgpool = nn.AdaptiveAvgPool2d(7 if stem == "imagenet" else 1)
        self.classifier: nn.Module = nn.Linear(outputs, num_classes)
        if stem == "imagenet":
            self.classifier = nn.Sequential(
                nn.Linear(49 * outputs, hidden), nn.ReLU(), nn.Dropout(),
                nn.Linear(hidden, hidden), nn.ReLU(), nn.Dropout(), nn.Linear(hidden, num_classes),
            )  # fmt: skip
        initialise(self)

    def forward(self, x: Tensor) -> Tensor:
        return self.classifier(self.avgpool(self.features(x)).flatten(1))


class LeNet(nn.Module):
    """Logits ``(n, num_classes)`` from pixels, 32 a side; the maps of others are averaged to 5x5 before the linear layers."""

    def __init__(self, num_classes: int, width: float, stem: str):
        super().__init__()
        first, second = (max(1, round(channels * width)) for channels in (6, 16))
        self.conv1, self.conv2 = nn.Conv2d(3, first, 5), nn.Conv2d(first, second, 5)
        self.pool = nn.AdaptiveAvgPool2d(5)
        self.fc1, self.fc2 = nn.Linear(25 * second, 120), nn.Linear(120, 84)
        self.fc = nn.Linear(84, num_classes)

    def forward(self, x: Tensor) -> Tensor:
        for convolution in (self.conv1, self.conv2):
            x = F.max_pool2d(F.relu(convolution(x)), 2)
        return self.fc(F.relu(self.fc2(F.relu(self.fc1(self.pool(x).flatten(1))))))
