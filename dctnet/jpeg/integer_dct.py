"""The DCT of blocks of 8 as JPEG files are written and shown with it: libjpeg's accurate integer method, to the last bit.

The 1-D transform of Loeffler, Ligtenberg and Moschytz ("Practical fast 1-D DCT algorithms with 11 multiplications", ICASSP
1989) needs twelve constants, which libjpeg rounds to 13 fractional bits. Everything between two roundings is linear in
integers, so a pass over columns or over rows is one integer matrix M and one rounding shift. The forward passes have the
transposed matrix M', since the flow graph is run backwards, and the rows come first.

Here coefficient (v, u) of block (i, j) is at row 8i + v, column 8j + u, in the place of the block's samples. Integers are
held in float64, where all of these sums are exact.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import lru_cache

import torch
from torch import Tensor

_FRACTION = 13  # bits of the constants
_BETWEEN = 2  # further bits kept between the passes

Floor = Callable[[Tensor], Tensor]


@lru_cache(maxsize=1)
def _flow_graph() -> Tensor:
    """The integer matrix (8, 8), float64, of one inverse pass: the flow graph run on the unit vectors."""
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


def forward_dct(samples: Tensor, floor: Floor = torch.floor) -> Tensor:
    """Eight times the DCT of the blocks of ``samples - 128``, whole numbers in float64: what libjpeg divides by 8 q.

    Samples ``(..., H, W)`` are whole numbers of 0..255 in float64, H and W multiples of 8. ``floor`` takes the place of
    ``torch.floor`` where the rounding is to have a gradient.

    >>> forward_dct(torch.full((8, 8), 130.0, dtype=torch.float64))[0, :2].tolist()     # DC is 8 times the mean
    [128.0, 0.0]
    """
    matrix = _flow_graph().T.to(samples.device)
    rows = _descaled(_along_rows(matrix, samples - 128), _FRACTION - _BETWEEN, floor)
    return _descaled(_along_columns(matrix, rows), _FRACTION + _BETWEEN, floor)


def inverse_dct(coefficients: Tensor, floor: Floor = torch.floor) -> Tensor:
    """Samples minus 128, not yet clipped, of whole coefficients ``(..., H, W)`` in float64: the inverse of the DCT."""
    matrix = _flow_graph().to(coefficients.device)
    columns = _descaled(_along_columns(matrix, coefficients), _FRACTION - _BETWEEN, floor)
    return _descaled(_along_rows(matrix, columns), _FRACTION + _BETWEEN + 3, floor)


def integer_idct(plane: Tensor) -> Tensor:
    """Integer coefficients ``(..., 64, H/8, W/8)`` to samples 0..255, int32 ``(..., H, W)``, equal to libjpeg's.

    >>> plane = torch.zeros(64, 1, 1, dtype=torch.int16)
    >>> plane[0] = 80                   # DC is 8 times the mean
    >>> integer_idct(plane).unique()
    tensor([138], dtype=torch.int32)
    """
    if plane.is_floating_point() or plane.shape[-3] != 64:
        raise ValueError(f"needs integer planes (..., 64, H/8, W/8); got {plane.dtype} {tuple(plane.shape)}")
    blocks = plane.movedim(-3, -1).to(torch.float64).unflatten(-1, (8, 8))
    samples = inverse_dct(blocks.transpose(-3, -2).flatten(-2).flatten(-3, -2))
    return (samples + 128).clamp(0, 255).to(torch.int32)


def _along_columns(matrix: Tensor, values: Tensor) -> Tensor:
    return (matrix @ values.unflatten(-2, (-1, 8))).flatten(-3, -2)


def _along_rows(matrix: Tensor, values: Tensor) -> Tensor:
    return (values.unflatten(-1, (-1, 8)) @ matrix.T).flatten(-2)


def _descaled(values: Tensor, bits: int, floor: Floor) -> Tensor:
    return floor((values + 2 ** (bits - 1)) / 2**bits)
