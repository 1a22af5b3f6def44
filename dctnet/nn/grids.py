"""Feature maps on a grid of another size: how many ways there are to halve one and to double it.

    kind        smaller by a factor f                                  larger
    max         the greatest of f x f samples                          each sample f x f times
    average     the mean of f x f samples                              each sample f x f times
    strided     every f-th sample (of a convolution: its stride)       each sample f x f times
    dct         the low corner of the DCT of each block (DCTPool2d)    the DCT of each block, extended by zeros
    spectral    the low frequencies of the Fourier transform           the Fourier transform, extended by zeros

The last two lose nothing when they grow: shrinking gives back what was there. Spectral pooling is that of Rippel, Snoek and
Adams, "Spectral representations for convolutional neural networks", NeurIPS 2015; on both axes it is a pair of small matrices.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from torch import Tensor, nn

from dctnet.arguments import whole
from dctnet.nn.block_spectrum import constant
from dctnet.nn.pooling import DCTPool2d, shrinking
from dctnet.precision import full_precision

KINDS = ("max", "average", "strided", "dct", "spectral")
BLOCK = 8  # of DCTPool2d, and 8 / f of what grows by f


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
    if kind == "dct":
        return DCTPool2d(factor, block=BLOCK if BLOCK % factor == 0 else factor)
    return {"max": nn.MaxPool2d, "average": nn.AvgPool2d, "spectral": SpectralPool2d}[kind](factor)


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
    return ZeroExtension2d(factor, kind) if kind in ("dct", "spectral") else nn.Upsample(scale_factor=factor)


def check_kind(kind: str) -> str:
    """``kind``, if it is one of KINDS; ValueError else."""
    if kind not in KINDS:
        raise ValueError(f"pooling is one of {', '.join(KINDS)}; got {kind!r}")
    return kind


def low_pass(n: int, m: int) -> Tensor:
    """Real samples by their lowest Fourier frequencies, n to m <= n: ``(m, n)``, float64; means are kept.

    Frequencies |k| < m/2 are kept. Where m is even, k = m/2 and -m/2 share what one frequency of m samples can hold, their sum
    over sqrt(2): so the matrix has orthogonal rows of one length, and growing is both its adjoint and its inverse.

    >>> low_pass(4, 1)
    tensor([[0.2500, 0.2500, 0.2500, 0.2500]], dtype=torch.float64)
    """
    spectrum = torch.fft.rfft(torch.eye(n, dtype=torch.float64))[:, : m // 2 + 1].clone()
    if m % 2 == 0 and m < n:
        spectrum[:, m // 2] = math.sqrt(2) * spectrum[:, m // 2].real
    return (m / n) * torch.fft.irfft(spectrum, n=m).T


def extension(n: int, m: int) -> Tensor:
    """Samples with the DCT extended by zeros, n to m >= n: ``(m, n)``, float64; ``shrinking(m, n)`` takes them back."""
    return m / n * shrinking(m, n).T


def fourier_extension(n: int, m: int) -> Tensor:
    """Samples with the Fourier transform extended by zeros, n to m >= n: ``(m, n)``; ``low_pass(m, n)`` takes them back."""
    spectrum = torch.zeros(n, m // 2 + 1, dtype=torch.complex128)
    spectrum[:, : n // 2 + 1] = torch.fft.rfft(torch.eye(n, dtype=torch.float64))
    if n % 2 == 0 and n < m:
        spectrum[:, n // 2] /= math.sqrt(2)
    return (m / n) * torch.fft.irfft(spectrum, n=m).T


class Strided(nn.Module):
    """Every ``factor``-th sample of both axes."""

    def __init__(self, factor: int):
        super().__init__()
        self.factor = factor

    def forward(self, maps: Tensor) -> Tensor:
        return maps[..., :: self.factor, :: self.factor]

    def extra_repr(self) -> str:
        return str(self.factor)


class SpectralPool2d(nn.Module):
    """Maps ``(..., h, w)`` to ``(..., ceil(h/f), ceil(w/f))``: the low frequencies of the Fourier transform (``low_pass``)."""

    def __init__(self, stride: int = 2):
        super().__init__()
        self.stride = whole("stride", stride, 1)

    def forward(self, maps: Tensor) -> Tensor:
        return _both(low_pass, maps, [(side, math.ceil(side / self.stride)) for side in maps.shape[-2:]])

    def extra_repr(self) -> str:
        return str(self.stride)


class ZeroExtension2d(nn.Module):
    """Maps ``(..., h, w)`` to ``(..., f h, f w)``: spectra extended by zeros, of blocks (``kind="dct"``) or maps ("spectral").

    The blocks are those that ``DCTPool2d(f)`` makes of its own: 8 / f samples, or one where f is no part of 8. A side that is
    no multiple is one block.
    """

    def __init__(self, factor: int = 2, kind: str = "dct"):
        super().__init__()
        self.factor, self.kind = whole("factor", factor, 1), kind
        self.block = BLOCK // self.factor if BLOCK % self.factor == 0 else 1

    def forward(self, maps: Tensor) -> Tensor:
        if self.kind == "spectral":
            return _both(fourier_extension, maps, [(side, side * self.factor) for side in maps.shape[-2:]])
        blocks = [self.block if side % self.block == 0 else side for side in maps.shape[-2:]]
        return _both(extension, maps, [(block, block * self.factor) for block in blocks])

    def extra_repr(self) -> str:
        return f"{self.factor}, kind={self.kind!r}"


def _both(make: Callable[[int, int], Tensor], maps: Tensor, sizes: list[tuple[int, int]]) -> Tensor:
    """The matrices ``make(n, m)`` on every n rows and every n columns of the maps, one pair of sizes an axis."""
    rows, columns = (constant(make, *pair, like=maps) for pair in sizes)
    with full_precision(maps.device):
        maps = (rows @ maps.unflatten(-2, (-1, rows.shape[1]))).flatten(-3, -2)
        return (maps.unflatten(-1, (-1, columns.shape[1])) @ columns.T).flatten(-2)
