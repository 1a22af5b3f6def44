"""What the paths of a multigrid network read of a file's planes: a pyramid of grids, without interpolation."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from dctnet.coefficients import Coefficients
from dctnet.nn.plane_resample import PlaneResample

KINDS = ("none", "coarser", "finer", "both")


class PlanePyramid(nn.Module):
    """Coefficients to one tensor a path, the finest first: luma; Cb and Cr; then all planes at ever half the resolution.

    ``sizes`` are the block sizes (luma, chroma), ``grids`` is the number of paths, 1 for luma alone, ``channels`` says how many
    channels luma and both chroma planes come with. ``kind`` "coarser" gives the second path luma, too, its DCT truncated to the
    resolution of chroma; "finer" gives the first one chroma, its DCT extended by zeros; "both"; or "none".

    Afterwards ``channels`` and ``spacings`` (pixels between samples) are those of each path.
    """

    def __init__(self, sizes: tuple[int, int], grids: int, kind: str, channels: tuple[int, int]):
        super().__init__()
        luma, chroma = sizes
        coarse, fine = kind in ("coarser", "both"), kind in ("finer", "both")
        self.coarse, self.grids = coarse, grids
        self.finer = PlaneResample(chroma, luma, 2) if fine else None
        self.coarser = PlaneResample(luma, chroma, 0.5) if coarse or grids > 2 else None
        self.halving = PlaneResample(chroma, chroma, 0.5) if grids > 2 else None
        own = [channels[0] + fine * 2 * luma**2, channels[1] + coarse * chroma**2]
        self.channels = [*own[:grids], *max(0, grids - 2) * [3 * chroma**2]]
        self.spacings = [luma, *(chroma * 2**i for i in range(1, grids))]

    def forward(self, coefficients: Coefficients) -> list[Tensor]:
        y, cb, cr = coefficients
        paths = [[y] if self.finer is None else [y, self.finer(cb), self.finer(cr)]]
        low = [cb, cr] if self.coarser is None else [self.coarser(y), cb, cr]
        if self.grids > 1:
            paths.append(low if self.coarse else [cb, cr])
        for _ in range(self.grids - 2):
            low = [self.halving(plane) for plane in low]
            paths.append(low)
        return [torch.cat(path, 1) for path in paths]
