"""Separable pixel operators on all three planes: built from the geometry of a crop, composed, lifted once, applied once."""

from __future__ import annotations

from typing import NamedTuple

from dctnet.coefficients import SPACING_420, Coefficients, Grid, block_size, block_sizes
from dctnet.dct import apply, lift
from dctnet.resampling import Banded, Resampling, compose, extend, resampling

Axis = Banded | Resampling


class Separable(NamedTuple):
    """For Y, Cb and Cr the operator down the rows and along the columns, and the size of the picture that they make.

    The planes they make lie on the 4:2:0 grid of that size.
    """

    vertical: tuple[Axis, Axis, Axis]
    horizontal: tuple[Axis, Axis, Axis]
    size: tuple[int, int]


def box_to_size(
    grid: Grid, top: float, left: float, height: float, width: float, size: tuple[int, int], mirror: bool = False
) -> Separable:
    """Resample the box of the picture at (top, left) of (height, width) pixels to ``size``, optionally mirrored.

    Luma and chroma stay registered: sample k of a plane is centred on pixel coordinate (k + 1/2) * spacing, on the way
    in and on the way out, so a box off the chroma grid interpolates chroma between its samples. ``box_to_size`` uses no
    sample outside of the box. ValueError where the box leaves the picture or a length is not positive.
    """
    rows, columns = grid.size
    if not (height > 0 and width > 0 and top >= 0 and left >= 0 and top + height <= rows and left + width <= columns):
        raise ValueError(
            f"the box at (top {top}, left {left}) of {height}x{width} is not inside the picture of {rows}x{columns} pixels"
        )
    if not (size[0] >= 1 and size[1] >= 1):
        raise ValueError(f"the output size is at least 1x1 pixel; got {size[0]}x{size[1]}")
    return Separable(
        _axes(grid, 0, top, height, size[0], False),
        _axes(grid, 1, left, width, size[1], mirror),
        (int(size[0]), int(size[1])),
    )


def _axes(grid: Grid, number: int, start: float, length: float, size: int, backwards: bool) -> tuple[Axis, Axis, Axis]:
    """The operators along one axis of the picture; planes of one spacing share theirs."""
    axes: list[Axis] = []
    for plane, spacings in enumerate(grid.spacing):
        if plane == 2 and spacings == grid.spacing[1]:
            axes.append(axes[1])
            continue
        # In the whole numbers of the fractions: the quotients are rounded once, and Fraction costs ten times as much.
        n, d = spacings[number].as_integer_ratio()
        step = SPACING_420[plane][number].numerator
        low, high = start * d / n, (start + length) * d / n
        scale = length * step * d / (n * size)
        origin, scale = (high, -scale) if backwards else (low, scale)
        axes.append(resampling(-(-grid.size[number] * d // n), -(-size // step), origin, scale, low, high))
    return tuple(axes)


def whole(grid: Grid) -> Separable:
    """The picture as it is, chroma brought to the 4:2:0 grid."""
    return box_to_size(grid, 0, 0, *grid.size, grid.size)


def after(outer: Separable, inner: Separable) -> Separable:
    """The product: first ``inner``, then ``outer``."""

    def products(second: tuple[Axis, ...], first: tuple[Axis, ...]) -> tuple[Axis, ...]:
        luma, cb = compose(second[0], first[0]), compose(second[1], first[1])
        shared = second[1] is second[2] and first[1] is first[2]  # Cb and Cr mostly have one operator
        return luma, cb, cb if shared else compose(second[2], first[2])

    return Separable(products(outer.vertical, inner.vertical), products(outer.horizontal, inner.horizontal), outer.size)


def lifted(coefficients: Coefficients, operators: Separable, block_out: int | tuple[int, int]) -> Coefficients:
    """Apply the operators to coefficients, block sizes in and out free; what does not fill a block repeats the edge."""
    luma, chroma = block_sizes(block_out)
    made = {}

    def operator(axis: Axis, b: int, c: int):
        key = (id(axis), b, c)
        if key not in made:
            banded = axis.rows() if isinstance(axis, Resampling) else axis
            outputs = -(-len(banded.start) // c) * c
            made[key] = lift(extend(banded, outputs), b, c)
        return made[key]

    planes = []
    for plane, vertical, horizontal, c in zip(
        coefficients, operators.vertical, operators.horizontal, (luma, chroma, chroma), strict=True
    ):
        b = block_size(plane)
        planes.append(apply(plane, operator(vertical, b, c), operator(horizontal, b, c)))
    return Coefficients(*planes)
