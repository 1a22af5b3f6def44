"""Overlap-save: a large map is convolved in tiles of a size at which the transforms are cheap.

A filter that spans r + 1 samples needs r samples beside those that a result is at. From a tile of N samples come
m = floor((N - r - 1) / s) + 1 results of stride s, so tiles begin every m s samples, overlap by r + 1 - s, and the results of
one after the other are those of the whole map, exactly. The transforms of N samples a tile cost less than those of the whole
side, the overlap costs more; the tile is the one that is estimated to be cheapest, if that is a tenth cheaper than the whole.
"""

from __future__ import annotations

from functools import lru_cache
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from dctnet.nn.convolution_geometry import Geometry, fast_size
from dctnet.nn.fast_dft import Side
from dctnet.nn.partial_dft import matrix_cost, transform_cost

SIZES = (
    8,
    10,
    12,
    14,
    16,
    20,
    24,
    28,
    32,
    40,
    48,
    56,
    64,
    80,
    96,
    128,
    160,
    192,
    256,
    384,
    512,
    768,
    1024,
    2048,
    4096,
    8192,
)
WORTH = 0.9  # of the cost of the whole
COPY = 35  # of a sample into a tile and its gradient back, in multiply-adds of a matrix


class Tile(NamedTuple):
    """``count`` tiles of one side of ``whole``, ``step`` samples from one to the next; ``inside`` is the convolution of one."""

    whole: Geometry
    inside: Geometry
    count: int
    step: int


@lru_cache(maxsize=1024)
def tiling(sides: tuple[Geometry, ...], batch: int, inputs: int, outputs: int, groups: int) -> tuple[Tile, Tile] | None:
    """The tiles, rows by columns, of a convolution of so many maps and channels; None where the whole is as cheap.

    >>> tiling((Geometry(512, 7, 1, 1, 3, 3),) * 2, 1, 8, 8, 1)[0].inside.side
    24
    >>> tiling((Geometry(64, 31, 1, 1, 15, 15),) * 2, 8, 16, 16, 1) is None
    True
    """
    sides = (Geometry(1, 1, 1, 1, 0, 0), *sides)[-2:]
    best, lowest = None, WORTH * _cost(tuple(_tile(side, None) for side in sides), batch, inputs, outputs, groups)
    for size in SIZES:
        cut = tuple(_tile(side, size) for side in sides)
        if all(tile.count == 1 for tile in cut):
            continue
        if (cost := _cost(cut, batch, inputs, outputs, groups)) < lowest:
            best, lowest = cut, cost
    return best


def tiles(x: Tensor, cut: tuple[Tile, Tile]) -> Tensor:
    """Maps ``(n, c, h, w)`` to their tiles ``(n * rows * columns, c, ., .)``; differentiable, like all here."""
    rows, columns = cut
    x = F.pad(x, (*_margins(columns), *_margins(rows)))
    x = _cut(_cut(x, columns, 3), rows, 2)  # (n, c, rows, height, columns, width)
    return x.permute(0, 2, 4, 1, 3, 5).reshape(-1, x.shape[1], x.shape[3], x.shape[5])


def joined(y: Tensor, cut: tuple[Tile, Tile], batch: int) -> Tensor:
    """The results of all tiles as those of the maps, ``(n, out, h, w)``."""
    rows, columns = cut
    y = y.view(batch, rows.count, columns.count, *y.shape[1:]).permute(0, 3, 1, 4, 2, 5).flatten(4).flatten(2, 3)
    return y[:, :, : rows.whole.outputs, : columns.whole.outputs]


def _tile(side: Geometry, size: int | None) -> Tile:
    """Tiles of ``size`` samples, or the whole side as one where that is not larger or the tiles would overlap more than half."""
    results = 0 if size is None else (size - side.reach - 1) // side.stride + 1
    step = results * side.stride
    if results < 1 or size >= side.circle or side.reach + 1 - side.stride > step:
        return Tile(side, side, 1, 0)
    inside = Geometry(max(size, step), side.taps, side.stride, side.dilation, 0, 0)
    return Tile(side, inside, -(-side.outputs // results), step)


def _margins(tile: Tile) -> tuple[int, int]:
    """Zeros before and behind the map, so that it is a step more than the tiles; what is not needed is cut off."""
    if not tile.step:
        return 0, 0
    return tile.whole.before, (tile.count + 1) * tile.step - tile.whole.before - tile.whole.side


def _cut(x: Tensor, tile: Tile, axis: int) -> Tensor:
    """One axis as two, tiles by samples: each step, and of the next one what overlaps."""
    if not tile.step:
        return x.unsqueeze(axis)
    steps = x.unflatten(axis, (tile.count + 1, tile.step))
    overlap = tile.inside.side - tile.step
    own = steps.narrow(axis, 0, tile.count)
    return (
        torch.cat([own, steps.narrow(axis, 1, tile.count).narrow(axis + 1, 0, overlap)], axis + 1) if overlap else own
    )


def _cost(cut: tuple[Tile, ...], batch: int, inputs: int, outputs: int, groups: int) -> float:
    """Multiply-adds, or what takes as long, of the forward pass."""
    count = batch * cut[0].count * cut[1].count
    sides = [tile.inside for tile in cut]
    circles = [fast_size(side.circle) for side in sides]
    halves = [circle // 2 for circle in circles]
    maps, filters, results = (
        [Side(n, half, samples) for n, half, samples in zip(circles, halves, those, strict=True)]
        for those in ([s.side for s in sides], [s.taps for s in sides], [s.outputs for s in sides])
    )
    cost = sum(
        planes * min(matrix_cost(*pair), transform_cost(*pair))
        for planes, pair in (
            (count * inputs, maps),
            (outputs * inputs // groups, filters),
            (count * outputs, results),
        )
    )
    kept = circles[0] * (halves[1] + 1)
    copied = COPY * count * (inputs + outputs) * sides[0].side * sides[1].side if count > batch else 0
    return cost + 4 * kept * count * inputs * outputs // groups + copied
