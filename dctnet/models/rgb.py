"""Pixel networks to compare with: torchvision's ResNets behind a PixelFrontend, so that they read the same Coefficients."""

from __future__ import annotations

from torch import Tensor, nn

from dctnet.arguments import choice, finite, flag
from dctnet.coefficients import Coefficients
from dctnet.models.blocks import initialise
from dctnet.models.stages import BLOCKS_OF_STAGE, scaled
from dctnet.nn.pixel_frontend import PixelFrontend
from dctnet.nn.planes import check_planes, reads_chroma, without_chroma

# What torchvision's weights were trained with: mean and standard deviation of ImageNet's RGB values in 0..1.
MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)


class PixelResNet(nn.Module):
    """Logits ``(n, num_classes)`` from Coefficients: ``resnet(frontend(coefficients))``.

    ``frontend`` gives RGB pixels in 0..1, normalised; ``resnet`` is a ``torchvision.models.ResNet``, so torchvision's weights
    load into it as they are. With ``planes="y"`` it sees the gray picture, R = G = B = Y.
    """

    def __init__(self, frontend: PixelFrontend, resnet: nn.Module, planes: str = "ycc"):
        super().__init__()
        self.reads_chroma = reads_chroma(planes)
        self.block_size = frontend.block_size
        self.frontend = frontend
        self.resnet = resnet

    def forward(self, coefficients: Coefficients) -> Tensor:
        if not self.reads_chroma:
            check_planes(coefficients, self.block_size, chroma=False)
            coefficients = without_chroma(coefficients.y, self.block_size)
        return self.resnet(self.frontend(coefficients).to(self.resnet.fc.weight.dtype))


def rgb_resnet(
    depth: int,
    num_classes: int = 1000,
    block_size: int | tuple[int, int] = 8,
    width: float = 1.0,
    zero_init_residual: bool = False,
    mean: tuple[float, float, float] = MEAN,
    std: tuple[float, float, float] = STD,
    clamp: bool = False,
    stem: str = "imagenet",
    planes: str = "ycc",
) -> PixelResNet:
    """torchvision's ResNet of depth 18, 34 or 50 on RGB pixels from planes of ``block_size``.

    In its bottlenecks the stride sits on the 3x3 convolution (4.09 G multiply-adds at 224 px for depth 50); the original
    ResNet, and the published figure of 3.86 G, have it on the first 1x1. The parameters are the same. ``width`` multiplies
    the channels 64, 128, 256 and 512 (rounded to multiples of 8). ``stem="imagenet"`` is torchvision's 7x7 convolution of
    stride 2 with a max-pool, which reduces the picture fourfold; ``stem="cifar"`` a 3x3 convolution of stride 1, for pictures
    of 32 to 64 pixels. ``planes="y"`` shows it gray pictures.

    >>> from dctnet.models.cost import parameters
    >>> parameters(rgb_resnet(18))
    11689512
    """
    choice("stem", stem, ("imagenet", "cifar"))
    resnet = torchvision_resnet(depth, num_classes, width, zero_init_residual)
    if stem == "cifar":
        resnet.conv1 = nn.Conv2d(3, resnet.conv1.out_channels, 3, padding=1, bias=False)
        resnet.maxpool = nn.Identity()
        initialise(resnet.conv1)
    return PixelResNet(PixelFrontend(block_size, mean, std, clamp=clamp), resnet, planes)


def torchvision_resnet(depth: int, num_classes: int, width: float, zero_init_residual: bool) -> nn.Module:
    """A ``torchvision.models.ResNet`` of depth 18, 34 or 50 with ``width`` times the channels."""
    from torchvision.models.resnet import BasicBlock, Bottleneck, ResNet

    choice("depth", depth, BLOCKS_OF_STAGE)
    block = Bottleneck if depth == 50 else BasicBlock
    counts = list(BLOCKS_OF_STAGE[depth].values())
    resnet = ResNet(block, counts, num_classes=num_classes, zero_init_residual=zero_init_residual)
    flag("zero_init_residual", zero_init_residual)
    if finite("width", width, 0, open_low=True) != 1:
        _set_width(resnet, block, counts, width, zero_init_residual)
    return resnet


def _set_width(resnet: nn.Module, block: type, counts: list[int], width: float, zero_init_residual: bool) -> None:
    """Replace the layers of a torchvision ResNet by ``width`` times as wide ones, with the names and structure kept."""
    channels = scaled(64, width)
    resnet.conv1 = nn.Conv2d(3, channels, 7, stride=2, padding=3, bias=False)
    resnet.bn1 = nn.BatchNorm2d(channels)
    for number, count in enumerate(counts, start=1):
        planes, stride = scaled(64 * 2 ** (number - 1), width), 1 if number == 1 else 2
        outputs = planes * block.expansion
        shortcut = None
        if stride != 1 or channels != outputs:
            shortcut = nn.Sequential(nn.Conv2d(channels, outputs, 1, stride, bias=False), nn.BatchNorm2d(outputs))
        blocks = [block(channels, planes, stride, shortcut), *(block(outputs, planes) for _ in range(count - 1))]
        setattr(resnet, f"layer{number}", nn.Sequential(*blocks))
        channels = outputs
    resnet.fc = nn.Linear(channels, resnet.fc.out_features)
    initialise(resnet)
    if zero_init_residual:
        last = "bn3" if block.expansion == 4 else "bn2"
        for module in resnet.modules():
            if isinstance(module, block):
                nn.init.zeros_(getattr(module, last).weight)
