"""The inverse DCT as JPEG decoders round it: libjpeg's accurate integer method, to the last bit.

The 1-D transform of Loeffler, Ligtenberg and Moschytz ("Practical fast 1-D DCT algorithms with 11 multiplications", ICASSP
1989) needs twelve constants, which libjpeg rounds to 13 fractional bits. Everything between two roundings is linear in
integers, so a pass over columns, and then over rows, is one integer matrix and one rounding shift.
"""

from __future__ import annotations

import math
from functools import lru_cache

import torch
from torch import Tensor

_FRACTION = 13  # bits of the constants
_BETWEEN = 2  # further bits kept between the passes


@lru_cache(maxsize=1)
def _flow_graph() -> Tensor:
    """The integer matrix (8, 8), float64, of one pass: the flow graph run on the unit vectors."""
    c = [math.sqrt(2) * math.cos(k * math.pi / 16) for k in range(8)]

    def fixed(value: float) -> int:
        return round(value * 2**_FRACTION)

    x = torch.eye(8, dtype=torch.float64)  # x[k]: the k-th coefficient as a function of all eight
    # Even coefficients: one rotation by 6 pi / 16.
    z = (x[2] + x[6]) * fixed(c[6])
    low, high = z + x[2] * fixed(c[2] - c[6]), z - x[6] * fixed(c[2] + c[6])
    plus, minus = (x[0] + x[4]) * 2**_FRACTION, (x[0] - x[4]) * 2**_FRACTION
    even = [plus + low, minus + high, minus - high, plus - low]
    # Odd coefficients: sums of pairs, rotated with a common factor.
    common = (x[7] + x[3] + x[5] + x[1]) * fixed(c[3])
    z1, z2 = (x[7] + x[1]) * -fixed(c[3] - c[7]), (x[5] + x[3]) * -fixed(c[1] + c[3])
    z3, z4 = common - (x[7] + x[3]) * fixed(c[3] + c[5]), common - (x[5] + x[1]) * fixed(c[3] - c[5])
    odd = [
        x[1] * fixed(c[1] + c[3] - c[5] - c[7]) + z1 + z4,
        x[3] * fixed(c[1] + c[3] + c[5] - c[7]) + z2 + z3,
        x[5] * fixed(c[1] + c[3] - c[5] + c[7]) + z2 + z4,
        x[7] * fixed(-c[1] + c[3] + c[5] - c[7]) + z1 + z3,
    ]
    return torch.stack([even[i] + odd[i] for i in range(4)] + [even[i] - odd[i] for i in (3, 2, 1, 0)])


def integer_idct(plane: Tensor) -> Tensor:
    """Integer coefficients ``(..., 64, H/8, W/8)`` to samples 0..255, int32 ``(..., H, W)``, equal to libjpeg's.

    Each pass is (M x + half) >> shift, computed in float64, where these integers are exact.

    >>> plane = torch.zeros(64, 1, 1, dtype=torch.int16)
    >>> plane[0] = 80                   # DC is 8 times the mean
    >>> integer_idct(plane).unique()
    tensor([138], dtype=torch.int32)
    """
    if plane.is_floating_point() or plane.shape[-3] != 64:
        raise ValueError(f"needs integer planes (..., 64, H/8, W/8); got {plane.dtype} {tuple(plane.shape)}")
    matrix = _flow_graph().to(plane.device)
    blocks = plane.movedim(-3, -1).to(torch.float64).unflatten(-1, (8, 8))
    columns = _descale(matrix @ blocks, _FRACTION - _BETWEEN)
    samples = _descale(columns @ matrix.T, _FRACTION + _BETWEEN + 3)
    levels = (samples + 128).clamp(0, 255).to(torch.int32)
    return levels.transpose(-3, -2).flatten(-2).flatten(-3, -2)


def _descale(values: Tensor, bits: int) -> Tensor:
    return torch.floor((values + 2 ** (bits - 1)) / 2**bits)
