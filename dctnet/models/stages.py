"""Layer tables: a network's residual part written as the published tables write it, and built for any depth and width.

A table is a list of ``CB(m, o)`` (projection shortcut) and ``IB(m, o)`` (identity shortcut), the blocks ``B(k; m/o)`` of
ResNet-50. Two rules make the other sizes of it:

- **depth** 18 and 34: a bottleneck ``B(k; m/o)`` becomes a basic block of ``o / 4`` channels with the same k and stride, and
  stage i has as many blocks as in ResNet-18 and -34. So stages 2 to 5 have their 64, 128, 256 and 512 channels, and
  streams that are concatenated still add up.
- **width** multiplies m and o (rounded to a multiple of 8, at least 8). Identity blocks keep the channels that come in,
  so rounding never breaks a sum. What stands before the blocks reads coefficients and is not multiplied.
"""

from __future__ import annotations

from typing import NamedTuple

from torch import nn

from dctnet.arguments import choice, finite
from dctnet.models.blocks import BasicBlock, Bottleneck

BLOCKS_OF_STAGE = {
    18: {2: 2, 3: 2, 4: 2, 5: 2},
    34: {2: 3, 3: 4, 4: 6, 5: 3},
    50: {2: 3, 3: 4, 4: 6, 5: 3},
}


class Block(NamedTuple):
    """One row of a table: ``B(kernel; middle/outputs)``, its stride, and whether the shortcut is a projection."""

    middle: int
    outputs: int
    kernel: int
    stride: int
    project: bool


def CB(middle: int, outputs: int, kernel: int = 3, stride: int = 1) -> Block:
    """``B(kernel; middle/outputs)`` with a projection shortcut."""
    return Block(middle, outputs, kernel, stride, True)


def IB(middle: int, outputs: int, kernel: int = 3) -> Block:
    """``B(kernel; middle/outputs)`` with an identity shortcut."""
    return Block(middle, outputs, kernel, 1, False)


def stage(number: int, depth: int, stride: int = 2) -> list[Block]:
    """Stage ``number`` (2 to 5) of the ResNet of this depth: a CB with the stride, then IBs, 64 * 2**(number - 2) wide.

    >>> len(stage(3, 50)), stage(3, 50)[0]
    (4, Block(middle=128, outputs=512, kernel=3, stride=2, project=True))
    """
    choice("depth", depth, BLOCKS_OF_STAGE)
    middle = 64 * 2 ** (number - 2)
    return [CB(middle, 4 * middle, stride=stride)] + (BLOCKS_OF_STAGE[depth][number] - 1) * [IB(middle, 4 * middle)]


def receptive_field_aware(middle: int, outputs: int) -> list[Block]:
    """The three blocks CB(k=1), IB(k=2), IB(k=3), whose receptive field grows as slowly as that of a pixel network."""
    return [CB(middle, outputs, kernel=1), IB(middle, outputs, kernel=2), IB(middle, outputs, kernel=3)]


def scaled(channels: int, width: float) -> int:
    """``channels * width`` to the nearest multiple of 8, at least 8.

    >>> scaled(64, 1.0), scaled(64, 0.3), scaled(64, 0.01)
    (64, 16, 8)
    """
    return max(8, 8 * round(channels * finite("width", width, 0, open_low=True) / 8))


def residual(channels: int, table: list[Block], depth: int, width: float) -> tuple[nn.Sequential, int]:
    """The blocks of a table on ``channels`` channels, and the number of channels that come out."""
    modules = []
    for block in table:
        if depth == 50:
            outputs = scaled(block.outputs, width) if block.project else channels
            module = Bottleneck(
                channels, scaled(block.middle, width), outputs, block.kernel, block.stride, block.project
            )
        else:
            outputs = scaled(block.outputs // 4, width) if block.project else channels
            module = BasicBlock(channels, outputs, block.kernel, block.stride, block.project)
        modules.append(module)
        channels = outputs
    return nn.Sequential(*modules), channels
