"""The one value that flows through dctnet: the DCT coefficients of a picture, or of a batch of pictures.

A plane is a tensor ``(..., C, H/b, W/b)``: b the block size, channel ``b*v + u`` the coefficient of vertical frequency v
and horizontal frequency u, channel 0 the mean (DC). The scale is that of the orthonormal 2-D DCT-II of samples shifted
by -128, so coefficients are measured in gray levels of 0..255 and Parseval's identity holds. Blocks are contiguous in
memory (channels-last strides).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from fractions import Fraction
from numbers import Integral
from typing import Any, NamedTuple, Protocol

import torch
from torch import Tensor

BLOCK_SIZES = (1, 2, 4, 8, 16, 32)


class Coefficients(NamedTuple):
    """Luma and chroma coefficient planes ``(..., C, H/b, W/b)``; Cb and Cr have one shape, Y may be on a finer grid."""

    y: Tensor
    cb: Tensor
    cr: Tensor

    def map(self, function: Callable[[Tensor], Tensor]) -> Coefficients:
        """The three planes, each passed through ``function``."""
        return type(self)(function(self.y), function(self.cb), function(self.cr))

    def to(self, *args: Any, **kwargs: Any) -> Coefficients:
        """``torch.Tensor.to`` on each plane."""
        return self.map(lambda plane: plane.to(*args, **kwargs))


class SelectedBands(Coefficients):
    """Planes that hold some bands of their blocks only. What needs them all refuses this type.

    The shape does not tell: 16 chosen bands of 8x8 blocks look like all the bands of 4x4 blocks. Neither do tensors that were
    taken out of it, nor ``Coefficients`` made of them anew.
    """

    __slots__ = ()


def check_kind(coefficients: Coefficients) -> None:
    """ValueError for what are no ``Coefficients``."""
    if not isinstance(coefficients, Coefficients):
        raise ValueError(
            f"this needs Coefficients; got a {type(coefficients).__name__}. Of an image, pass image.coefficients and "
            "grid=image.grid."
        )


def check_all_bands(coefficients: Coefficients) -> None:
    """ValueError for ``SelectedBands``, and for what are no ``Coefficients``."""
    check_kind(coefficients)
    if isinstance(coefficients, SelectedBands):
        raise ValueError(
            f"this needs all the bands of each block; got {', '.join(str(plane.shape[-3]) for plane in coefficients)} chosen "
            "bands of Y, Cb and Cr. Apply this before bands are selected."
        )


class Grid(NamedTuple):
    """Where the samples behind the planes lie in the picture.

    ``size`` is the picture's (height, width) in pixels; the planes may hold more, up to whole blocks. ``spacing`` gives
    for Y, Cb and Cr the (vertical, horizontal) distance of two samples in pixels: 1 for full resolution, 2 where the
    plane has half. Sample k of a plane covers the pixels [k*spacing, (k+1)*spacing), the centred siting of JFIF.
    """

    size: tuple[int, int]
    spacing: tuple[tuple[Fraction, Fraction], tuple[Fraction, Fraction], tuple[Fraction, Fraction]]

    def samples(self, plane: int) -> tuple[int, int]:
        """(rows, columns) of samples of plane 0, 1 or 2 that hold picture: ``ceil(size / spacing)``."""
        (height, width), (vertical, horizontal) = self.size, self.spacing[plane]
        (a, b), (c, d) = vertical.as_integer_ratio(), horizontal.as_integer_ratio()
        return -(-height * b // a), -(-width * d // c)


class Pictured(Protocol):
    """What holds planes and knows where their samples lie: a ``JPEGImage``, a ``StoredImage``."""

    @property
    def coefficients(self) -> Coefficients:
        """The planes."""

    @property
    def grid(self) -> Grid:
        """Where their samples lie in the picture."""


SPACING_420 = ((Fraction(1),) * 2, (Fraction(2),) * 2, (Fraction(2),) * 2)


def grid_420(size: tuple[int, int]) -> Grid:
    """The grid that every transform writes: chroma at half the resolution of luma on both axes (4:2:0)."""
    return Grid((int(size[0]), int(size[1])), SPACING_420)


def block_sizes(value: int | tuple[int, int]) -> tuple[int, int]:
    """The pair (luma, chroma) that a ``block_size`` option means: one number, or two; ValueError for any other value.

    >>> block_sizes(8), block_sizes((4, 2))
    ((8, 8), (4, 2))
    """
    pair = tuple(value) if isinstance(value, Sequence) else (value, value)
    if len(pair) != 2 or any(
        isinstance(size, bool) or not isinstance(size, Integral) or size not in BLOCK_SIZES for size in pair
    ):
        raise ValueError(f"the block size is one of {BLOCK_SIZES}, or a pair (luma, chroma) of them; got {value!r}")
    return int(pair[0]), int(pair[1])


def zigzag_order(b: int) -> list[int]:
    """The channels ``b*v + u`` of a block from low to high frequency, as JPEG files store them: along v + u = 0, 1, ...

    >>> zigzag_order(8)[:6]
    [0, 1, 8, 16, 9, 2]
    """
    cells = [(v, u) for v in range(b) for u in range(b)]
    # Along an odd diagonal v grows, along an even one u does.
    cells.sort(key=lambda c: (c[0] + c[1], c[0] if (c[0] + c[1]) % 2 else c[1]))
    return [b * v + u for v, u in cells]


def block_size(plane: Tensor) -> int:
    """The block size b of a plane ``(..., b*b, H/b, W/b)``; ValueError where the channels are not b*b."""
    if plane.ndim < 3:
        raise ValueError(f"a plane has shape (..., b*b, H/b, W/b); got {tuple(plane.shape)}")
    size = math.isqrt(plane.shape[-3])
    if size * size != plane.shape[-3] or size not in BLOCK_SIZES:
        raise ValueError(
            f"a plane with all its bands has b*b channels, b one of {BLOCK_SIZES}; got {plane.shape[-3]} channels "
            f"in {tuple(plane.shape)}. Apply this before bands are selected."
        )
    return size


def infer_grid(coefficients: Coefficients, size: tuple[int, int] | None = None) -> Grid:
    """The grid of planes that come without one: picture ``size`` (default: the whole luma plane), spacing read off the shapes.

    Along each axis the chroma spacing is the first of the factors 2, 1, 4 and 3 that explains the number of chroma blocks.
    On an axis of few blocks several may: of a picture up to 8 pixels high, 4:4:4 and 4:2:0 look alike, and 4:1:1 needs 17
    pixels of width to be told from 4:2:0. ``JPEGImage.grid`` knows. ValueError where no factor explains the shapes, and for
    ``SelectedBands``.
    """
    check_all_bands(coefficients)
    luma = block_size(coefficients.y)
    rows, columns = coefficients.y.shape[-2] * luma, coefficients.y.shape[-1] * luma
    height, width = (rows, columns) if size is None else (int(size[0]), int(size[1]))
    if not (rows - luma < height <= rows and columns - luma < width <= columns):
        raise ValueError(
            f"size {(height, width)} does not fit a luma plane of {coefficients.y.shape[-2]}x{coefficients.y.shape[-1]} "
            f"blocks of {luma}: it holds heights {rows - luma + 1}..{rows} and widths {columns - luma + 1}..{columns}. "
            "Where luma itself is subsampled, pass the grid of the image."
        )

    def spacing(plane: Tensor) -> tuple[Fraction, Fraction]:
        chroma = block_size(plane)
        found = []
        for length, blocks in ((height, plane.shape[-2]), (width, plane.shape[-1])):
            fits = [f for f in (2, 1, 4, 3) if math.ceil(math.ceil(length / f) / chroma) == blocks]
            if not fits:
                raise ValueError(
                    f"a chroma plane of {plane.shape[-2]}x{plane.shape[-1]} blocks of {chroma} does not belong to a "
                    f"picture of {height}x{width}; pass the picture's size, or the grid of the image it came from"
                )
            found.append(Fraction(fits[0]))
        return found[0], found[1]

    return Grid((height, width), ((Fraction(1), Fraction(1)), spacing(coefficients.cb), spacing(coefficients.cr)))


def stack(samples: Sequence[Coefficients]) -> Coefficients:
    """A batch ``(n, C, H/b, W/b)`` of samples of one shape, in channels-last memory.

    ValueError where the shapes differ: resize or crop the pictures to one size first.
    """
    shapes = {tuple(tuple(plane.shape) for plane in sample) for sample in samples}
    if len(shapes) != 1:
        raise ValueError(
            f"a batch needs samples of one shape; got {len(shapes)} different ones, such as "
            f"{sorted(shapes)[:2]}. Resize or crop the pictures to one size first."
        )
    # Stacking (H/b, W/b, C) views keeps each block contiguous, so the batch is born channels-last.
    return type(samples[0])(*(torch.stack([s[i].movedim(-3, -1) for s in samples]).movedim(-1, -3) for i in range(3)))
