"""Multigrid layers: feature maps on several grids, each half of the one before, that see their neighbours at every layer.

With x_1 .. x_G the features from the finest grid to the coarsest,

    in_i = [ maxpool(x_{i-1}), x_i, up(x_{i+1}) ],    y_i = ReLU(BN(conv_i(in_i)))

where maxpool halves a grid, up repeats each sample 2 x 2, and what lies beyond the ends is left out. Each grid has its own
convolution, with a bias. A receptive field thereby grows exponentially with depth instead of linearly.

Source: Ke, Maire and Yu, "Multigrid neural architectures", CVPR 2017.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import torch
import torch.nn.functional as F
from torch import Tensor, nn


class MultigridConv(nn.Module):
    """The layer above, from channels ``inputs`` to channels ``outputs``, one number a grid, the finest first.

    ``kernels``: the odd side of each grid's convolution, one for all or one a grid (1 suits a grid of one sample). ``relu=False``
    leaves the ReLU out. ``forward`` takes and gives a list of ``(n, C_i, H_i, W_i)``, H_i = 2 H_{i+1}; ValueError for
    other sizes, and where the three sequences are not of one length.

    >>> layer = MultigridConv((3, 2), (8, 4))
    >>> [tuple(y.shape) for y in layer([torch.zeros(1, 3, 8, 8), torch.zeros(1, 2, 4, 4)])]
    [(1, 8, 8, 8), (1, 4, 4, 4)]
    """

    def __init__(
        self, inputs: Sequence[int], outputs: Sequence[int], kernels: int | Sequence[int] = 3, relu: bool = True
    ):
        super().__init__()
        kernels = (kernels,) * len(outputs) if isinstance(kernels, int) else tuple(kernels)
        if not 0 < len(inputs) == len(outputs) == len(kernels):
            raise ValueError(
                f"each grid has its inputs, outputs and kernel; got {len(inputs)}, {len(outputs)} and {len(kernels)} of them"
            )
        if any(kernel < 1 or kernel % 2 == 0 for kernel in kernels):
            raise ValueError(f"kernels have odd sides, at least 1; got {kernels}")
        self.relu = relu
        self.grids = nn.ModuleList(
            nn.Sequential(
                nn.Conv2d(sum(inputs[max(i - 1, 0) : i + 2]), outputs[i], kernel, padding=kernel // 2),
                nn.BatchNorm2d(outputs[i]),
            )
            for i, kernel in enumerate(kernels)
        )

    def forward(self, grids: Sequence[Tensor]) -> list[Tensor]:
        check_grids(grids, len(self.grids))
        made = []
        for i, layer in enumerate(self.grids):
            seen = [F.max_pool2d(grids[i - 1], 2)] if i else []
            seen.append(grids[i])
            if i + 1 < len(grids):
                seen.append(F.interpolate(grids[i + 1], scale_factor=2, mode="nearest"))
            y = layer(torch.cat(seen, 1))
            made.append(F.relu(y) if self.relu else y)
        return made


class MultigridBlock(nn.Module):
    """Two multigrid layers with a shortcut: y_i = ReLU(layer2(layer1(x))_i + x_i), no ReLU on the second layer.

    Where a grid has more channels after than before, zeros fill the shortcut up; fewer are a ValueError.
    """

    def __init__(self, inputs: Sequence[int], outputs: Sequence[int], kernels: int | Sequence[int] = 3):
        super().__init__()
        if any(before > after for before, after in zip(inputs, outputs, strict=False)):
            raise ValueError(
                f"a shortcut is filled up, not cut; got channels {tuple(inputs)} before, {tuple(outputs)} after"
            )
        self.residual = nn.Sequential(
            MultigridConv(inputs, outputs, kernels), MultigridConv(outputs, outputs, kernels, relu=False)
        )

    def forward(self, grids: Sequence[Tensor]) -> list[Tensor]:
        return [
            F.relu(y + F.pad(x, (0, 0, 0, 0, 0, y.shape[1] - x.shape[1])))
            for x, y in zip(grids, self.residual(grids), strict=True)
        ]


def check_grids(grids: Sequence[Tensor], count: int) -> None:
    """ValueError where there are not ``count`` grids, or one is not half of the one before."""
    sizes = [tuple(grid.shape[-2:]) for grid in grids]
    halves = all(fine == (2 * h, 2 * w) for fine, (h, w) in pairwise(sizes))
    if len(sizes) != count or not halves:
        raise ValueError(f"this layer reads {count} grids, each half of the one before; got sizes {sizes}")
