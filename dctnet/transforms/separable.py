"""Separable pixel operators on all three planes: built from the geometry of a crop, composed, lifted once, applied once."""

from __future__ import annotations

from typing import NamedTuple

from dctnet.coefficients import Coefficients, Grid, block_size, block_sizes, grid_420
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
    target = grid_420(size)
    vertical, horizontal = [], []
    for axes, number, start, length, backwards in (
        (vertical, 0, top, height, False),
        (horizontal, 1, left, width, mirror),
    ):
        made: dict[tuple, Axis] = {}
        for plane in range(3):
            spacing, spacing_out = grid.spacing[plane][number], target.spacing[plane][number]
            # In the whole numbers of the fractions: the quotients are rounded once, and Fraction costs ten times as much.
            n, d, n_out, d_out = *spacing.as_integer_ratio(), *spacing_out.as_integer_ratio()
            key = (n, d, n_out, d_out)
            if key not in made:
                low, high = start * d / n, (start + length) * d / n
                scale = length * n_out * d / (d_out * n * size[number])
                origin, scale = (high, -scale) if backwards else (low, scale)
                samples, outputs = -(-grid.size[number] * d // n), -(-size[number] * d_out // n_out)
                made[key] = resampling(samples, outputs, origin, scale, low, high)
            axes.append(made[key])
    return Separable(tuple(vertical), tuple(horizontal), (int(size[0]), int(size[1])))


def whole(grid: Grid) -> Separable:
    """The picture as it is, chroma brought to the 4:2:0 grid."""
    return box_to_size(grid, 0, 0, *grid.size, grid.size)


def after(outer: Separable, inner: Separable) -> Separable:
    """The product: first ``inner``, then ``outer``."""
    made: dict[tuple[int, int], Axis] = {}  # Cb and Cr mostly share one operator; their product is one too

    def product(second: Axis, first: Axis) -> Axis:
        key = (id(second), id(first))
        if key not in made:
            made[key] = compose(second, first)
        return made[key]

    return Separable(
        tuple(product(o, i) for o, i in zip(outer.vertical, inner.vertical, strict=True)),
        tuple(product(o, i) for o, i in zip(outer.horizontal, inner.horizontal, strict=True)),
        outer.size,
    )


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
