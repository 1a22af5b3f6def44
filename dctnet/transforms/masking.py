"""What a picture holds inside of a box of pixels at any offset, in coefficients: the lifted mask.

Of the samples P of a plane a box takes D_v P D_h', D the diagonal of the share of each sample that lies in the box along one
axis: 0, 1, or a fraction where the box cuts a sample that covers several pixels (4:2:0 chroma, at an odd edge). Lifted,

    X -> M_v X M_h',    M = T_b D T_b'

M is block diagonal, the identity of blocks inside and zero outside. Only the blocks that a box reaches are touched. What
fills the last blocks repeats the edge of the picture, so a box that reaches that edge reaches on to the end of the plane.

A box is (top, left, height, width) in pixels, each a number for all pictures or a tensor with one for each; pictures of a
batch are masked together, with as many tensor operations as one.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from dctnet.arguments import finite
from dctnet.coefficients import Coefficients, Grid, block_size, check_all_bands, infer_grid
from dctnet.dct import basis
from dctnet.precision import full_precision
from dctnet.transforms.per_sample import Number
from dctnet.transforms.separable import fill_of

Color = float | Sequence[float]


class Cut(NamedTuple):
    """M of n pictures along one axis, on the B blocks from ``low`` to ``high``, outside of which no box reaches.

    ``inside`` (n, B) bool: the blocks that lie wholly in the box. ``operators`` (n, B, b, b): the blocks of M.
    """

    low: int
    high: int
    inside: Tensor
    operators: Tensor


def box_mask(
    coefficients: Coefficients, top: Number, left: Number, height: Number, width: Number, *, grid: Grid | None = None
) -> Coefficients:
    """M_v X M_h': the picture inside of the box, zero (mid-gray) outside.

    Planes ``(..., b*b, H/b, W/b)`` of any block size, on any device, with gradient; bfloat16 is computed in float32 and
    rounded once, integers become float32. ``grid`` says where the samples lie (default: all of the planes is picture).
    ValueError where the box is not inside the picture.

    >>> planes = Coefficients(*(torch.ones(1, 4, 4) for _ in range(3)))
    >>> box_mask(planes, 1, 0, 2, 3).y[0].tolist()
    [[0.0, 0.0, 0.0, 0.0], [1.0, 1.0, 1.0, 0.0], [1.0, 1.0, 1.0, 0.0], [0.0, 0.0, 0.0, 0.0]]
    """
    cuts = _cuts(coefficients, (top, left, height, width), grid)
    masked = []
    for plane, (vertical, horizontal) in zip(coefficients, cuts, strict=True):
        window = _window(plane, vertical, horizontal)
        result = torch.zeros_like(_floats(plane))
        _window(result, vertical, horizontal).copy_(
            _plane(_masked(_blocks(window), vertical, horizontal), window.shape)
        )
        masked.append(result)
    return Coefficients(*masked)


def paste(
    coefficients: Coefficients,
    other: Coefficients,
    top: Number,
    left: Number,
    height: Number,
    width: Number,
    *,
    grid: Grid | None = None,
) -> Coefficients:
    """``other`` inside of the box, the picture outside: X + M_v (other - X) M_h', whole blocks to the bit.

    The planes of ``other`` broadcast to those of the picture. Otherwise as ``box_mask``.
    """
    cuts = _cuts(coefficients, (top, left, height, width), grid)
    pasted = []
    for plane, second, (vertical, horizontal) in zip(coefficients, other, cuts, strict=True):
        window = _window(plane, vertical, horizontal)
        first = _blocks(window)
        second = _blocks(_window(second.to(plane.device).expand_as(plane), vertical, horizontal)).to(first.dtype)
        mixed = first + _masked(second - first, vertical, horizontal)
        whole = vertical.inside[:, :, None] & horizontal.inside[:, None]
        mixed = torch.where(whole[..., None, None], second, mixed)
        result = plane.clone() if plane.is_floating_point() else _floats(plane)
        _window(result, vertical, horizontal).copy_(_plane(mixed, window.shape))
        pasted.append(result)
    return Coefficients(*pasted)


def erase(
    coefficients: Coefficients,
    top: Number,
    left: Number,
    height: Number,
    width: Number,
    value: Color | Coefficients = 0.0,
    *,
    grid: Grid | None = None,
) -> Coefficients:
    """The picture with ``value`` inside of the box: X - M_v (X - value) M_h', torchvision's ``erase``.

    ``value`` is a gray level from 0 to 255, three of them (red, green, blue), or coefficients that broadcast to the planes.
    Otherwise as ``box_mask``.

    >>> planes = Coefficients(*(torch.zeros(1, 4, 4) for _ in range(3)))      # mid-gray
    >>> erase(planes, 0, 0, 1, 2, value=255).y[0, 0].tolist()
    [127.0, 127.0, 0.0, 0.0]
    """
    if not isinstance(value, Coefficients):
        value = constant(coefficients, value)
    return paste(coefficients, value, top, left, height, width, grid=grid)


def constant(coefficients: Coefficients, color: Color) -> Coefficients:
    """One color in blocks like those of the planes: float64 ``(b*b, 1, 1)`` each.

    ValueError for other than a gray level from 0 to 255 or three of them (red, green, blue).
    """
    check_all_bands(coefficients)
    planes = []
    for plane, level in zip(coefficients, fill_of(color), strict=True):
        b = block_size(plane)
        block = torch.zeros(b * b, 1, 1, dtype=torch.float64)
        block[0] = b * level
        planes.append(block)
    return Coefficients(*planes)


def _floats(plane: Tensor) -> Tensor:
    return plane if plane.is_floating_point() else plane.to(torch.float32)


def _window(plane: Tensor, vertical: Cut, horizontal: Cut) -> Tensor:
    return plane[..., vertical.low : vertical.high, horizontal.low : horizontal.high]


def _blocks(plane: Tensor) -> Tensor:
    """The plane as ``(n, H/b, W/b, b, b)``, float32 at least."""
    b = block_size(plane)
    x = plane.to(torch.promote_types(plane.dtype, torch.float32)).movedim(-3, -1)
    return x.reshape(-1, *x.shape[-3:]).unflatten(-1, (b, b))


def _plane(blocks: Tensor, shape: torch.Size) -> Tensor:
    """Back to a plane of ``shape``."""
    return blocks.reshape(*shape[:-3], *shape[-2:], shape[-3]).movedim(-1, -3)


def _cuts(
    coefficients: Coefficients, box: tuple[Number, Number, Number, Number], grid: Grid | None
) -> list[tuple[Cut, Cut]]:
    """M_v and M_h of each plane, made on the host, where the numbers of a box come from, in float64."""
    check_all_bands(coefficients)
    grid = grid or infer_grid(coefficients)
    boxes = checked_boxes(box, coefficients.y.shape[:-3], grid.size).numpy()
    made: dict[tuple[Any, ...], Cut] = {}

    def cut(plane: Tensor, axis: int, spacing: tuple[int, int]) -> Cut:
        b, key = block_size(plane), (axis, spacing, plane.shape)
        if key not in made:
            start, length = boxes[:, axis], boxes[:, 2 + axis]
            reaches = (length > 0) & (start + length == grid.size[axis])
            end = np.where(reaches, np.inf, start + length)
            made[key] = _cut(start, end, spacing, plane.shape[axis - 2], b)
        low, high, inside, operators = made[key]
        dtype = torch.promote_types(plane.dtype, torch.float32)
        return Cut(low, high, inside.to(plane.device), operators.to(plane.device, dtype))

    return [
        tuple(cut(plane, axis, spacings[axis].as_integer_ratio()) for axis in (0, 1))
        for plane, spacings in zip(coefficients, grid.spacing, strict=True)
    ]


def checked_boxes(box: tuple[Number, Number, Number, Number], batch: torch.Size, size: tuple[int, int]) -> Tensor:
    """The boxes (top, left, height, width) of n pictures, ``(n, 4)`` float64; ValueError where one leaves the picture."""
    for name, number in zip(("top", "left", "height", "width"), box, strict=True):
        if not isinstance(number, Tensor):
            finite(f"the {name} of a box", number)
    numbers = [torch.as_tensor(number).detach().cpu().to(torch.float64) for number in box]
    for number in numbers:
        if number.ndim and number.shape != batch:
            raise ValueError(
                f"a box has one number for all pictures or one for each of a batch {tuple(batch)}; "
                f"got numbers of shape {tuple(number.shape)}"
            )
    boxes = torch.stack([number.expand(batch) for number in numbers], -1).reshape(-1, 4)
    ends = boxes[:, :2] + boxes[:, 2:]
    bad = ~((boxes >= 0).all(1) & (ends <= torch.tensor(size)).all(1))
    if bad.any():
        top, left, height, width = (f"{number:g}" for number in boxes[bad][0].tolist())
        raise ValueError(
            f"the box at (top {top}, left {left}) of {height}x{width} is not inside the picture of "
            f"{size[0]}x{size[1]} pixels"
        )
    return boxes


def _cut(start: np.ndarray, end: np.ndarray, spacing: tuple[int, int], blocks: int, b: int) -> Cut:
    """M along one axis for boxes from ``start`` to ``end`` ``(n,)`` pixels; a sample covers p/q of them, ``spacing`` = (p, q).

    In numpy: the arrays are small.
    """
    p, q = spacing
    edge = np.arange(blocks * b) * float(p)  # in q-ths of a pixel: whole numbers, so the shares are exact
    share = np.minimum(edge + p, end[:, None] * q) - np.maximum(edge, start[:, None] * q)
    share = (share.clip(min=0) / p).reshape(-1, blocks, b)
    reached = np.flatnonzero(share.any((0, 2)))
    low, high = (int(reached[0]), int(reached[-1]) + 1) if len(reached) else (0, 1)
    share = share[:, low:high]
    inside = (share == 1).all(2)
    matrix = basis(b).numpy()
    operators = matrix @ (share[..., None] * matrix.T)
    operators[inside] = np.eye(b)  # to the bit
    return Cut(low, high, torch.from_numpy(inside), torch.from_numpy(operators))


def _masked(x: Tensor, vertical: Cut, horizontal: Cut) -> Tensor:
    """M_v X M_h' of blocks ``(n, rows, columns, b, b)``."""
    with full_precision(x.device):
        x = torch.einsum("npiv,npqvu->npqiu", vertical.operators, x)
        return torch.einsum("nqju,npqiu->npqij", horizontal.operators, x)
