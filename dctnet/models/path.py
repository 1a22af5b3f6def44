"""A path of a multigrid network: the stages of a ResNet on the grid of its own plane, what stands before and behind them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from torch import Tensor, nn

from dctnet.models.blocks import BasicBlock, Bottleneck
from dctnet.models.stages import scaled
from dctnet.nn.grids import grow, shrink

FIRST, LAST = 2, 5  # the stages of a ResNet that have residual blocks


class Style(NamedTuple):
    """How the residual blocks of a path look.

    ``target``: the pixels between the samples of stage 2 in the pixel network, doubled at each stage after it; ``pooling``: how
    the path gets to a coarser grid, a kind of ``dctnet.nn.grids``, where "strided" is the stride of a convolution.
    """

    bottleneck: bool
    width: float
    target: int
    kernel: int = 3
    pooling: str = "strided"

    def outputs(self, stage: int) -> int:
        """Channels that come out of a stage."""
        return scaled(64 * 2 ** (stage - FIRST) * (4 if self.bottleneck else 1), self.width)

    def block(self, inputs: int, stage: int, first: bool, factor: int) -> nn.Module:
        """A residual block; the first of a stage projects, and brings the map to a grid that is coarser by ``factor``."""
        stride = factor if self.pooling == "strided" else 1
        if self.bottleneck:
            middle = scaled(64 * 2 ** (stage - FIRST), self.width)
            block = Bottleneck(inputs, middle, self.outputs(stage), self.kernel, stride, first)
        else:
            block = BasicBlock(inputs, self.outputs(stage), self.kernel, stride, first)
        return block if factor == stride else nn.Sequential(shrink(self.pooling, factor), block)


class Path(nn.Module):
    """The stages ``first``, ``first`` + 1, ... with ``counts`` blocks each, on maps ``(n, inputs, h, w)``.

    ``spacing`` is the number of pixels between the samples of the maps that come in. A stage runs on the grid of the pixel
    network, or on that of the maps, if it is coarser; one of no blocks changes nothing. After each stage the maps have
    ``channels[i]`` channels, and their samples are ``spacings[i]`` pixels apart.
    """

    def __init__(self, inputs: int, spacing: int, first: int, counts: Sequence[int], style: Style):
        super().__init__()
        self.spacings, self.channels = [], []
        self.stages = nn.ModuleList()
        for stage, count in enumerate(counts, start=first):
            blocks = nn.ModuleList()
            for index in range(count):
                goal = max(spacing, style.target * 2 ** (stage - FIRST))
                blocks.append(style.block(inputs, stage, index == 0, goal // spacing))
                inputs, spacing = style.outputs(stage), goal
            self.stages.append(blocks)
            self.spacings.append(spacing)
            self.channels.append(inputs)

    def forward(self, x: Tensor) -> Tensor:
        for stage in self.stages:
            for block in stage:
                x = block(x)
        return x


def stem(inputs: int, outputs: int, stride: int) -> nn.Sequential:
    """What stands before the stages, on raw coefficients: BN, k x k convolution, BN, ReLU; k = 3, or 2 stride - 1 if greater."""
    kernel = max(3, 2 * stride - 1)
    convolution = nn.Conv2d(inputs, outputs, kernel, stride, kernel // 2, bias=False)
    return nn.Sequential(nn.BatchNorm2d(inputs), convolution, nn.BatchNorm2d(outputs), nn.ReLU(inplace=True))


def joint(channels: int, spacing: int, together: int, pooling: str) -> nn.Module:
    """What brings the end of a path to the grid of ``together`` pixels a sample, on which all paths are concatenated."""
    if spacing > together:
        return grow(pooling, spacing // together)
    if pooling != "strided" or spacing == together:
        return shrink(pooling, together // spacing)
    convolution = nn.Conv2d(channels, channels, 3, together // spacing, 1, bias=False)
    return nn.Sequential(convolution, nn.BatchNorm2d(channels), nn.ReLU(inplace=True))
