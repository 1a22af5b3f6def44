"""Separable pixel operators on all three planes: built from the geometry of a crop, composed, lifted once, applied once."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from dctnet.arguments import several
from dctnet.coefficients import SPACING_420, Coefficients, Grid, block_size, block_sizes, check_all_bands
from dctnet.dct import Lifted, apply, block_dct, block_dct_ended, block_idct, lift
from dctnet.kernels import _native
from dctnet.kernels.tensors import as_array, is_plain, is_tracked, is_watched
from dctnet.resampling import Banded, Resampling, compose, extend, place, resampling

Axis = Banded | Resampling


Fill = tuple[float, float, float]  # a colour as Y - 128, Cb - 128, Cr - 128


def fill_of(value: float | Sequence[float]) -> Fill:
    """The colour that an option means, as planes have it. ValueError for any other value.

    An option is a gray level from 0 to 255, or three (red, green, blue).

    >>> fill_of(0), [round(v) for v in fill_of((255, 0, 0))]
    ((-128.0, 0.0, 0.0), [-52, -43, 128])
    """
    levels = several("a color, as a gray level or as (red, green, blue),", value, (1, 3), 0, 255)
    if len(set(levels)) == 1:
        return levels[0] - 128, 0.0, 0.0
    red, green, blue = levels
    luma = 0.299 * red + 0.587 * green + 0.114 * blue  # JFIF
    return luma - 128, (blue - luma) / 1.772, (red - luma) / 1.402


class Separable(NamedTuple):
    """For Y, Cb and Cr the operator down the rows and along the columns, and the size of the picture that they make.

    The planes they make lie on the 4:2:0 grid of that size. ``transposed``: the planes are transposed first, so that
    ``vertical`` acts on what were columns. ``fill``: the colour that shows where the weights of a row do not sum to one;
    None where all do.
    """

    vertical: tuple[Axis, Axis, Axis]
    horizontal: tuple[Axis, Axis, Axis]
    size: tuple[int, int]
    transposed: bool = False
    fill: Fill | None = None


def box_to_size(
    grid: Grid,
    top: float,
    left: float,
    height: float,
    width: float,
    size: tuple[int, int],
    mirror: bool = False,
    flip: bool = False,
) -> Separable:
    """Resample the box of the picture at (top, left) of (height, width) pixels to ``size``, optionally
    mirrored left to right (``mirror``) or upside down (``flip``).

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
        _axes(grid, 0, top, height, size[0], flip),
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


def on_canvas(grid: Grid, top: int, left: int, size: tuple[int, int], mode: str, fill: Fill) -> Separable:
    """The picture with its corner at (top, left) of a canvas of ``size``; what lies outside of the picture is given by ``mode``.

    ``mode``: see ``resampling.place``; ``fill`` is the colour of "constant". A move by an odd number of pixels interpolates
    4:2:0 chroma between its samples.
    """

    def axes(number: int, offset: int) -> tuple[Axis, Axis, Axis]:
        luma, chroma = (
            place(-(-grid.size[number] // step), -(-size[number] // step), offset / step, mode) for step in (1, 2)
        )
        return luma, chroma, chroma

    placed = Separable(axes(0, top), axes(1, left), size, fill=fill if mode == "constant" else None)
    return placed if grid.spacing == SPACING_420 else after(placed, whole(grid))


def turned(grid: Grid, quarters: int) -> Separable:
    """The picture turned by so many quarters, counter-clockwise."""
    quarters %= 4
    if quarters % 2:
        grid = Grid(grid.size[::-1], tuple(spacing[::-1] for spacing in grid.spacing))
    operators = box_to_size(grid, 0, 0, *grid.size, grid.size, mirror=quarters in (2, 3), flip=quarters in (1, 2))
    return operators._replace(transposed=quarters % 2 == 1)


def after(outer: Separable, inner: Separable) -> Separable:
    """The product: first ``inner``, then ``outer``. ValueError where both fill, in different colours."""
    if outer.fill and inner.fill and outer.fill != inner.fill:
        raise ValueError(f"one operator fills with one colour; got {inner.fill}, then {outer.fill}")

    def products(second: tuple[Axis, ...], first: tuple[Axis, ...]) -> tuple[Axis, ...]:
        luma, cb = compose(second[0], first[0]), compose(second[1], first[1])
        shared = second[1] is second[2] and first[1] is first[2]  # Cb and Cr mostly have one operator
        return luma, cb, cb if shared else compose(second[2], first[2])

    vertical, horizontal = (
        (inner.horizontal, inner.vertical) if outer.transposed else (inner.vertical, inner.horizontal)
    )
    return Separable(
        products(outer.vertical, vertical),
        products(outer.horizontal, horizontal),
        outer.size,
        outer.transposed != inner.transposed,
        outer.fill or inner.fill,
    )


def lifted(
    coefficients: Coefficients,
    operators: Separable,
    block_out: int | tuple[int, int],
    ending: Coefficients | None = None,
) -> Coefficients:
    """Apply the operators to coefficients, block sizes in and out free; what does not fill a block repeats the edge.

    ``ending``: for each plane a gain and a shift ``(2, c*c)`` float64 of its coefficients, applied last.
    """
    check_all_bands(coefficients)
    luma, chroma = block_sizes(block_out)
    made = {}

    def operator(axis: Axis, b: int, c: int) -> Lifted:
        key = (id(axis), b, c)
        if key not in made:
            banded = axis.rows() if isinstance(axis, Resampling) else axis
            outputs = -(-len(banded.start) // c) * c
            made[key] = lift(extend(banded, outputs), b, c)
        return made[key]

    planes = []
    if all(_taken(plane) for plane in coefficients):
        return _by_samples(coefficients, operators, (luma, chroma, chroma), ending)
    for plane, vertical, horizontal, c, fill in zip(
        coefficients,
        operators.vertical,
        operators.horizontal,
        (luma, chroma, chroma),
        operators.fill or (0.0, 0.0, 0.0),
        strict=True,
    ):
        b = block_size(plane)
        if operators.transposed:
            plane = transpose(plane)
        if fill:
            plane = raised(plane, -fill * b)
        plane = apply(plane, operator(vertical, b, c), operator(horizontal, b, c))
        planes.append(raised(plane, fill * c) if fill else plane)
    return Coefficients(*planes) if ending is None else Coefficients(*map(_ended, planes, ending))


def _taken(plane: Tensor) -> bool:
    """Whether the compiled loops take this plane: integers, which carry no gradient, after they became float32."""
    if plane.is_floating_point():
        return is_plain(plane) and not is_tracked(plane)
    return plane.device.type == "cpu" and not is_watched() and not torch.compiler.is_compiling()


def _ended(plane: Tensor, ending: Tensor) -> Tensor:
    gain, shift = ending.to(plane.device, plane.dtype)[..., None, None]
    return gain * plane + shift


def _by_samples(
    coefficients: Coefficients, operators: Separable, blocks: tuple[int, int, int], ending: Coefficients | None
) -> Coefficients:
    """The same in float32 by the compiled loops: T_c, R and T_b' of A = T_c R T_b' one after the other, as that costs least."""
    made: dict[tuple[int, int], Banded] = {}

    def rows(axis: Axis, c: int) -> Banded:
        if (id(axis), c) not in made:
            banded = axis.rows() if isinstance(axis, Resampling) else axis
            made[id(axis), c] = extend(banded, -(-len(banded.start) // c) * c)
        return made[id(axis), c]

    planes = []
    fills = operators.fill or (0.0, 0.0, 0.0)
    for plane, down, across, c, fill, last in zip(
        coefficients, operators.vertical, operators.horizontal, blocks, fills, ending or (None,) * 3, strict=True
    ):
        b, vertical, horizontal = block_size(plane), rows(down, c), rows(across, c)
        plane = transpose(plane) if operators.transposed else plane
        (top, height, vertical), (left, width, horizontal) = (_blocks_read(R, b) for R in (vertical, horizontal))
        read = plane[..., top : top + height, left : left + width].to(torch.float32)
        samples = block_idct(read)
        samples = samples - fill if fill else samples
        result = torch.empty(*samples.shape[:-2], len(vertical.start), len(horizontal.start))
        bands = (
            array for R in (vertical, horizontal) for array in (R.start.numpy(), R.weights.to(torch.float32).numpy())
        )
        _native.separable(as_array(samples, 2), *bands, as_array(result, 2), torch.get_num_threads())
        result = result.add_(fill) if fill else result
        planes.append(block_dct(result, c) if last is None else block_dct_ended(result, c, last))
    return Coefficients(*planes)


def _blocks_read(R: Banded, b: int) -> tuple[int, int, Banded]:
    """The first block that the rows of R read, how many there are, and R on these alone."""
    start = R.start.numpy()
    first, last = int(start.min()) // b, -(-(int(start.max()) + R.weights.shape[1]) // b)
    return first, last - first, Banded(R.start - first * b, R.weights, (last - first) * b)


def transpose(plane: Tensor) -> Tensor:
    """The plane of the transposed samples: rows become columns, and each block is transposed."""
    b = block_size(plane)
    return plane.unflatten(-3, (b, b)).transpose(-4, -3).flatten(-4, -3).transpose(-2, -1)


def raised(plane: Tensor, value: float | Tensor) -> Tensor:
    """The plane with ``value`` added to each DC coefficient: to each sample ``value`` over the block size. Never in place."""
    plane = plane if plane.is_floating_point() else plane.to(torch.float32)
    blocks = plane.movedim(-3, -1)
    return torch.cat([blocks[..., :1] + value, blocks[..., 1:]], -1).movedim(-1, -3)
