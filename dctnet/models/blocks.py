"""The two residual blocks: ``B(k; m/o)`` of the ResNets on JPEG coefficients, and its basic sibling.

    Bottleneck   1x1 (m, stride)  -  k x k (m)  -  1x1 (o)      each convolution with BatchNorm, ReLU after the first two
    BasicBlock   k x k (o, stride)  -  k x k (o)                ReLU after the first

and ``ReLU(residual + shortcut)``, the shortcut the identity (IB) or a strided 1x1 projection with BatchNorm (CB). The
stride sits on the first convolution, as in the original ResNet and in Gueguen et al. (NeurIPS 2018); torchvision's
Bottleneck has it on the k x k convolution. A k x k convolution pads (k-1)//2 zeros above and left and k//2 below and
right: the grid keeps its size, and k = 2 looks right and down.
"""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor, nn

from dctnet.arguments import flag


class Bottleneck(nn.Module):
    """``B(k; m/o)``: 1x1 (m, stride) - k x k (m) - 1x1 (o), on ``inputs`` channels.

    >>> import torch
    >>> Bottleneck(64, 16, 96, kernel=2, stride=2, project=True)(torch.zeros(1, 64, 8, 8)).shape
    torch.Size([1, 96, 4, 4])
    """

    def __init__(self, inputs: int, middle: int, outputs: int, kernel: int = 3, stride: int = 1, project: bool = False):
        super().__init__()
        self.residual = nn.Sequential(
            *_convolution(inputs, middle, 1, stride),
            nn.ReLU(inplace=True),
            *_convolution(middle, middle, kernel),
            nn.ReLU(inplace=True),
            *_convolution(middle, outputs, 1),
        )
        self.shortcut = _shortcut(inputs, outputs, stride, project)

    def forward(self, x: Tensor) -> Tensor:
        return F.relu(self.residual(x) + self.shortcut(x))


class BasicBlock(nn.Module):
    """k x k (o, stride) - k x k (o), on ``inputs`` channels: the block of ResNet-18 and -34."""

    def __init__(self, inputs: int, outputs: int, kernel: int = 3, stride: int = 1, project: bool = False):
        super().__init__()
        self.residual = nn.Sequential(
            *_convolution(inputs, outputs, kernel, stride),
            nn.ReLU(inplace=True),
            *_convolution(outputs, outputs, kernel),
        )
        self.shortcut = _shortcut(inputs, outputs, stride, project)

    def forward(self, x: Tensor) -> Tensor:
        return F.relu(self.residual(x) + self.shortcut(x))


def initialise(model: nn.Module, zero_init_residual: bool = False) -> None:
    """torchvision's initialisation: Kaiming-normal (fan out, ReLU) for convolutions, BatchNorm 1 and 0.

    ``zero_init_residual`` starts the last BatchNorm of every residual branch at 0, so that each block starts as its
    shortcut (Goyal et al., 2017).
    """
    flag("zero_init_residual", zero_init_residual)
    for module in model.modules():
        if isinstance(module, nn.Conv2d):
            nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")
        elif isinstance(module, nn.BatchNorm2d):
            nn.init.ones_(module.weight)
            nn.init.zeros_(module.bias)
    if zero_init_residual:
        for module in model.modules():
            if isinstance(module, (Bottleneck, BasicBlock)):
                nn.init.zeros_(module.residual[-1].weight)


def _convolution(inputs: int, outputs: int, kernel: int, stride: int = 1) -> list[nn.Module]:
    before, after = (kernel - 1) // 2, kernel // 2
    padding = [nn.ZeroPad2d((before, after, before, after))] if before != after else []
    symmetric = before if before == after else 0
    return [
        *padding,
        nn.Conv2d(inputs, outputs, kernel, stride, padding=symmetric, bias=False),
        nn.BatchNorm2d(outputs),
    ]


def _shortcut(inputs: int, outputs: int, stride: int, project: bool) -> nn.Module:
    if project:
        return nn.Sequential(*_convolution(inputs, outputs, 1, stride))
    if inputs != outputs or stride != 1:
        raise ValueError(
            f"an identity shortcut keeps channels and grid; got {inputs} -> {outputs} channels at stride {stride}. "
            "Pass project=True."
        )
    return nn.Identity()
