"""Feature maps on a grid of another size: how many ways there are to halve one and to double it.

    kind        smaller by a factor f                                  larger
    max         the greatest of f x f samples                          each sample f x f times
    average     the mean of f x f samples                              each sample f x f times
    strided     every f-th sample (of a convolution: its stride)       each sample f x f times
    dct         the low corner of the DCT of each block                the DCT of each block, extended by zeros
    spectral    the low frequencies of the Fourier transform           the Fourier transform, extended by zeros

The last two lose nothing when they grow: shrinking gives back what was there. Spectral pooling is that of Rippel, Snoek and
Adams, "Spectral representations for convolutional neural networks", NeurIPS 2015; on both axes it is a pair of small matrices.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from torch import Tensor, nn

from dctnet.arguments import choice, whole
from dctnet.nn.block_spectrum import check_maps, constant
from dctnet.nn.pooling import shrinking
from dctnet.precision import full_precision

KINDS = ("max", "average", "strided", "dct", "spectral")
BLOCK = 8
Matrix = Callable[[int, int], Tensor]  # (n, m) to the matrix (m, n) that makes m samples of n


def shrink(kind: str, factor: int) -> nn.Module:
    """A layer from maps ``(n, c, h, w)`` to ``(n, c, h/f, w/f)``, h and w multiples of f.

    >>> shrink("spectral", 2)(torch.ones(1, 1, 6, 4)).shape
    torch.Size([1, 1, 3, 2])
    """
    check_kind(kind)
    factor = whole("factor", factor, 1)
    if factor == 1:
        return nn.Identity()
    if kind == "strided":
        return Strided(factor)
    if kind in SHRINKING:
        return Resized(factor, kind, grows=False)
    return {"max": nn.MaxPool2d, "average": nn.AvgPool2d}[kind](factor)


def grow(kind: str, factor: int) -> nn.Module:
    """A layer from maps ``(n, c, h, w)`` to ``(n, c, f h, f w)``.

    >>> grow("average", 2)(torch.tensor([[[[1.0, 2.0]]]]))
    tensor([[[[1., 1., 2., 2.],
              [1., 1., 2., 2.]]]])
    """
    check_kind(kind)
    factor = whole("factor", factor, 1)
    if factor == 1:
        return nn.Identity()
    return Resized(factor, kind, grows=True) if kind in GROWING else nn.Upsample(scale_factor=factor)


def check_kind(kind: str) -> str:
    """``kind``, if it is one of KINDS; ValueError else."""
    return choice("pooling", kind, KINDS)


def low_pass(n: int, m: int) -> Tensor:
    """Real samples by their lowest Fourier frequencies, n to m <= n: ``(m, n)``, float64; means are kept.

    Frequencies |k| < m/2 are kept. Where m is even, k = m/2 and -m/2 share what one frequency of m samples can hold, their sum
    over sqrt(2): so the matrix has orthogonal rows of one length, and growing is both its adjoint and its inverse.

    >>> low_pass(4, 1)
    tensor([[0.2500, 0.2500, 0.2500, 0.2500]], dtype=torch.float64)
    """
    here, there = torch.arange(m, dtype=torch.float64)[:, None] / m, torch.arange(n, dtype=torch.float64) / n
    matrix = torch.ones(m, n, dtype=torch.float64)
    for k in range(1, (m + 1) // 2):
        matrix += 2 * torch.cos(2 * math.pi * k * (here - there))
    if m % 2 == 0:
        last = torch.cos(math.pi * m * here) * torch.cos(math.pi * m * there)
        matrix += last if m == n else math.sqrt(2) * last
    return matrix / n


def adjoint(make: Matrix) -> Matrix:
    """Of a way to make n samples of m, the way back: m of n, means kept."""

    def back(n: int, m: int) -> Tensor:
        return m / n * make(m, n).T

    return back


SHRINKING: dict[str, Matrix] = {"dct": shrinking, "spectral": low_pass}
GROWING = {kind: adjoint(make) for kind, make in SHRINKING.items()}


class Strided(nn.Module):
    """Every ``factor``-th sample of both axes."""

    def __init__(self, factor: int):
        super().__init__()
        self.factor = factor

    def forward(self, maps: Tensor) -> Tensor:
        return maps[..., :: self.factor, :: self.factor]

    def extra_repr(self) -> str:
        return str(self.factor)


class Resized(nn.Module):
    """Maps ``(..., h, w)`` to ``factor`` times fewer or, if it ``grows``, more samples a side, by their spectra.

    ``kind="dct"``: of blocks, 8 samples of the larger grid, where that fits both sides and the factor, else of the whole side;
    ``kind="spectral"``: of whole maps. Growing extends the spectra by zeros, shrinking truncates them, so a map that has
    grown and is shrunk is what it was.
    """

    def __init__(self, factor: int, kind: str, grows: bool):
        super().__init__()
        self.factor, self.kind, self.grows = factor, kind, grows

    def forward(self, maps: Tensor) -> Tensor:
        return _both((GROWING if self.grows else SHRINKING)[self.kind], maps, [self._sizes(n) for n in maps.shape[-2:]])

    def _sizes(self, side: int) -> tuple[int, int]:
        """Samples that are transformed together, before and after."""
        small = side if self.grows else -(-side // self.factor)
        block = BLOCK // self.factor
        if self.kind == "dct" and BLOCK % self.factor == 0 and small % block == 0 and (self.grows or side % BLOCK == 0):
            small = block
            side = block if self.grows else BLOCK
        return (side, side * self.factor) if self.grows else (side, small)

    def extra_repr(self) -> str:
        return f"{self.factor}, kind={self.kind!r}, grows={self.grows}"


class SpectralPool2d(Resized):
    """Maps ``(..., h, w)`` to ``(..., ceil(h/s), ceil(w/s))``: the low frequencies of the Fourier transform (``low_pass``)."""

    def __init__(self, stride: int = 2):
        super().__init__(whole("stride", stride, 1), "spectral", grows=False)


def _both(make: Matrix, maps: Tensor, sizes: list[tuple[int, int]]) -> Tensor:
    """The matrices ``make(n, m)`` on every n rows and every n columns of the maps, one pair of sizes an axis."""
    check_maps(maps)
    rows, columns = (constant(make, *pair, like=maps) for pair in sizes)
    with full_precision(maps.device):
        maps = (rows @ maps.unflatten(-2, (-1, rows.shape[1]))).flatten(-3, -2)
        return (maps.unflatten(-1, (-1, columns.shape[1])) @ columns.T).flatten(-2)
