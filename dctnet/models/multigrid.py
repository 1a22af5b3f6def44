"""The multigrid networks of Ke, Maire and Yu (CVPR 2017), on pixels behind a PixelFrontend.

    MG-n      every stage k MultigridConv; the first one reads the pictures
    R-MG-n    a 3x3 convolution a grid, then every stage k MultigridBlock
    PR-MG-n   R-MG whose first stage starts on the coarsest grid alone and takes in the finer ones one by one

The picture comes in at the resolution of each grid, halved by averages. Between stages every grid is max-pooled; where the
coarsest has come to its end (at 224 px, half of seven samples), it stays as it is, and the one before it,
pooled, is joined to it:

    CIFAR      32, 16, 8: {64, 32, 16} {128, 64, 32} {256, 128, 64} {512, 256, 128} {512, 384}      classifier on 896
    ImageNet   56, 28, 14: {64, 32, 16} {128, 64, 32} {256, 128} {512}                              classifier on 512

With k blocks a stage, n = 5 k + 1 for MG, 10 k + 2 for R-MG, 14 k + 2 for PR-MG (k for each of 1, 2 and 3 grids in its first
stage). R-MG-34 has the 3, 4, 6 and 3 blocks of ResNet-34, and 7x7 convolutions of stride 2 with a max-pool in front.
Convolutions have biases in front of the BatchNorm: with them the parameters are those published. The classifier reads the
averages of all grids.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from dctnet.arguments import whole
from dctnet.coefficients import Coefficients
from dctnet.models.blocks import initialise
from dctnet.models.rgb import MEAN, STD
from dctnet.models.stages import scaled
from dctnet.nn.multigrid import MultigridBlock, MultigridConv
from dctnet.nn.pixel_frontend import PixelFrontend
from dctnet.nn.planes import check_planes, reads_chroma, without_chroma

MULTIPLE = 32  # pixels: no grid ends on half a sample


class Grids(NamedTuple):
    """A stage: channels and kernel of each grid, the finest first; ``joined``: the two coarsest grids became one before it."""

    channels: tuple[int, ...]
    kernels: tuple[int, ...]
    joined: bool = False


CIFAR = (
    Grids((64, 32, 16), (3, 3, 3)),
    Grids((128, 64, 32), (3, 3, 3)),
    Grids((256, 128, 64), (3, 3, 3)),
    Grids((512, 256, 128), (3, 3, 1)),
    Grids((512, 384), (3, 1), joined=True),
)
IMAGENET = (
    Grids((64, 32, 16), (3, 3, 3)),
    Grids((128, 64, 32), (3, 3, 3)),
    Grids((256, 128), (3, 3), joined=True),
    Grids((512,), (3,), joined=True),
)


class MultigridNet(nn.Module):
    """Logits ``(n, num_classes)`` from Coefficients, by way of RGB pixels on three grids.

    ``blocks``: how many a stage, one number for the five of CIFAR or four for ImageNet; ``residual=False`` makes MG,
    ``progressive`` PR-MG.
    ``width`` multiplies the channels (rounded to multiples of 8). Pictures have sides that are multiples of 32 pixels,
    anything else raises ValueError: no grid ends on half a sample. ``planes="y"`` shows the network gray pictures.

    >>> from dctnet.models.cost import parameters
    >>> parameters(MultigridNet(1, num_classes=100))                # published: 20.555 M
    20555748
    """

    def __init__(
        self,
        blocks: int | Sequence[int],
        residual: bool = True,
        progressive: bool = False,
        num_classes: int = 1000,
        block_size: int | tuple[int, int] = 8,
        width: float = 1.0,
        mean: tuple[float, float, float] = MEAN,
        std: tuple[float, float, float] = STD,
        clamp: bool = False,
        planes: str = "ycc",
    ):
        super().__init__()
        table = CIFAR if isinstance(blocks, int) else IMAGENET
        counts = [
            whole("blocks", count, 1) for count in (len(CIFAR) * (blocks,) if isinstance(blocks, int) else blocks)
        ]
        if len(counts) != len(table):
            raise ValueError(f"blocks is one number for all stages of CIFAR, or four for ImageNet; got {blocks!r}")
        if progressive and not residual:
            raise ValueError("a progressive network has residual blocks; got residual=False")
        self.reads_chroma = reads_chroma(planes)
        self.frontend = PixelFrontend(block_size, mean, std, clamp=clamp)
        self.block_size = self.frontend.block_size
        self.joined = [row.joined for row in table]
        channels = [3, 3, 3]
        self.stems = nn.ModuleList()
        if residual:
            channels = [scaled(c, width) for c in table[0].channels]
            self.stems.extend(_stem(c, table is IMAGENET) for c in channels)
        self.stages = nn.ModuleList()
        for number, (row, count) in enumerate(zip(table, counts, strict=True)):
            outputs = [scaled(c, width) for c in row.channels]
            if row.joined:
                channels = [*channels[:-2], channels[-2] + channels[-1]]
                outputs = [max(c, before) for c, before in zip(outputs, channels, strict=True)]  # of rounded widths
            make = MultigridBlock if residual else MultigridConv
            first = len(channels) - 1 if progressive and number == 0 else 0
            phases = nn.ModuleList()
            for start in range(first, -1, -1):
                layers = nn.Sequential()
                inputs = channels[start:] if start == first else outputs[start:]
                for _ in range(count):
                    layers.append(make(inputs, outputs[start:], row.kernels[start:]))
                    inputs = outputs[start:]
                phases.append(layers)
            self.stages.append(phases)
            channels = outputs
        self.fc = nn.Linear(sum(channels), num_classes)
        initialise(self)

    def forward(self, coefficients: Coefficients) -> Tensor:
        if not self.reads_chroma:
            check_planes(coefficients, self.block_size, chroma=False)
            coefficients = without_chroma(coefficients.y, self.block_size)
        grids = self._pyramid(self.frontend(coefficients).to(self.fc.weight.dtype))
        if len(self.stems):
            grids = [stem(grid) for stem, grid in zip(self.stems, grids, strict=True)]
        for number, (phases, joined) in enumerate(zip(self.stages, self.joined, strict=True)):
            if number:
                grids = _pooled(grids, joined)
            made: list[Tensor] = []
            for phase in phases:
                start = len(grids) - len(made) - 1 if len(phases) > 1 else 0
                made = phase([*grids[start : len(grids) - len(made)], *made])
            grids = made
        return self.fc(torch.cat([grid.mean((2, 3)) for grid in grids], 1))

    def _pyramid(self, pixels: Tensor) -> list[Tensor]:
        height, width = pixels.shape[-2:]
        if height % MULTIPLE or width % MULTIPLE:
            raise ValueError(
                f"this network reads pictures whose sides are multiples of {MULTIPLE} pixels; got {height} x {width}. "
                "Resize or crop them."
            )
        half = F.avg_pool2d(pixels, 2)
        return [pixels, half, F.avg_pool2d(half, 2)]


def _stem(channels: int, large: bool) -> nn.Module:
    """What a grid's picture goes through first: 3x3, or 7x7 of stride 2 and a max-pool."""
    convolution = nn.Conv2d(3, channels, 7, 2, 3) if large else nn.Conv2d(3, channels, 3, padding=1)
    pool = [nn.MaxPool2d(3, 2, 1)] if large else []
    return nn.Sequential(convolution, nn.BatchNorm2d(channels), nn.ReLU(inplace=True), *pool)


def _pooled(grids: list[Tensor], joined: bool) -> list[Tensor]:
    """All grids halved; ``joined``: the coarsest stays, and the one before it, halved, stands in front of its channels."""
    if not joined:
        return [F.max_pool2d(grid, 2) for grid in grids]
    *finer, coarsest = [F.max_pool2d(grid, 2) for grid in grids[:-1]] + [grids[-1]]
    return [*finer[:-1], torch.cat([finer[-1], coarsest], 1)]
