"""Planes of coefficients at another block size, half the resolution or twice, as a layer of a network.

A block of b samples on each axis is what T_b says (``dct.basis``). On the samples of one axis the layer does R, the identity
(scale 1), the DCT of 2c samples cut off to c (scale 1/2), or that of b samples extended by zeros to 2b (scale 2), means kept. On
coefficients it is

    A = T_c R T_b'

on both axes, which is a convolution without overlap: the least number of input blocks that fill whole output blocks. Nothing is
interpolated: scale 1 and 2 lose nothing, and scale 1/2 after scale 2 gives back the plane.
"""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from dctnet.dct import basis
from dctnet.nn.pooling import shrinking
from dctnet.precision import full_precision


class PlaneResample(nn.Module):
    """Planes ``(n, b*b, h, w)`` to ``(n, c*c, scale h b / c, scale w b / c)``, b and c the block sizes.

    ``scale`` is 1/2, 1 or 2 (ValueError otherwise). The grids must consist of whole periods: sides of multiples of
    ``self.period`` blocks. Arithmetic is done in the dtype of the planes, whatever autocast says.

    >>> coarse, fine = PlaneResample(4, 4, 0.5), PlaneResample(4, 4, 2)
    >>> plane = torch.randn(1, 16, 6, 2, generator=torch.Generator().manual_seed(0))
    >>> torch.allclose(coarse(fine(plane)), plane, atol=1e-5)
    True
    """

    def __init__(self, block_in: int, block_out: int, scale: float = 1):
        super().__init__()
        if scale not in (0.5, 1, 2):
            raise ValueError(f"planes are resampled by 1/2, 1 or 2; got {scale!r}")
        unit = {0.5: 2 * block_out, 1: 1, 2: block_in}[scale]  # samples of the input that R takes together
        once = {0.5: shrinking(2 * block_out, block_out), 1: torch.eye(1, dtype=torch.float64)}
        R = once[scale] if scale != 2 else 2 * shrinking(2 * block_in, block_in).T
        samples = math.lcm(block_in, unit, max(1, int(block_out / scale)))  # whole blocks of both
        self.period, self.made = samples // block_in, int(samples * scale) // block_out
        R = torch.block_diag(*[R] * (samples // unit))
        one = (
            torch.block_diag(*[basis(block_out)] * self.made) @ R @ torch.block_diag(*[basis(block_in)] * self.period).T
        )
        axis = one.view(self.made, block_out, self.period, block_in)
        weight = torch.einsum("avpk,buql->vuabklpq", axis, axis)
        weight = weight.reshape(block_out**2 * self.made**2, block_in**2, self.period, self.period)
        self.register_buffer("weight", weight.to(torch.get_default_dtype()), persistent=False)
        self.sizes, self.scale = (block_in, block_out), scale

    def forward(self, planes: Tensor) -> Tensor:
        if any(side % self.period for side in planes.shape[-2:]):
            raise ValueError(
                f"blocks of {self.sizes[0]} become blocks of {self.sizes[1]} at scale {self.scale} in groups of {self.period} "
                f"a side; got a grid of {tuple(planes.shape[-2:])}. Resize or crop the pictures."
            )
        with full_precision(planes.device):
            made = F.conv2d(planes, self.weight.to(planes.dtype), stride=self.period)
        return F.pixel_shuffle(made, self.made)

    def extra_repr(self) -> str:
        return f"{self.sizes[0]}, {self.sizes[1]}, scale={self.scale}"
