"""What a geometric transform can do to a picture, once its parameters are drawn."""

from __future__ import annotations

from functools import lru_cache
from typing import NamedTuple

from dctnet.coefficients import SPACING_420, Grid, grid_420
from dctnet.transforms.separable import Fill, Separable, box_to_size, on_canvas, turned


class Drawn(NamedTuple):
    """The box at (top, left) of (height, width) pixels resampled to ``size``, mirrored left to right, or upside down, or not."""

    top: int
    left: int
    height: int
    width: int
    size: tuple[int, int]
    mirror: bool = False
    flip: bool = False

    def on(self, grid: Grid) -> Separable:
        """The operators for a picture on ``grid``."""
        if grid.spacing is SPACING_420 and self[:5] == (0, 0, *grid.size, grid.size):
            return _in_place(grid.size, self.mirror, self.flip)
        return box_to_size(grid, *self)


@lru_cache(maxsize=16)
def _in_place(size: tuple[int, int], mirror: bool, flip: bool) -> Separable:
    """A flip after a crop to a fixed size, the same for all pictures."""
    return box_to_size(grid_420(size), 0, 0, *size, size, mirror=mirror, flip=flip)


class Placed(NamedTuple):
    """The picture with its corner at (top, left) of a canvas of ``size``, the rest by ``mode`` (see ``resampling.place``)."""

    top: int
    left: int
    size: tuple[int, int]
    mode: str
    fill: Fill

    def on(self, grid: Grid) -> Separable:
        """The operators for a picture on ``grid``."""
        return on_canvas(grid, *self)


class Turned(NamedTuple):
    """The picture turned by so many quarters counter-clockwise, to ``size``."""

    quarters: int
    size: tuple[int, int]

    def on(self, grid: Grid) -> Separable:
        """The operators for a picture on ``grid``."""
        return turned(grid, self.quarters)


class Warped(NamedTuple):
    """An affine map, which is not separable: ``matrix`` leads from places in the result to those in the picture (``affine``)."""

    matrix: tuple[float, float, float, float, float, float]
    size: tuple[int, int]
    fill: Fill


Step = Drawn | Placed | Turned | Warped
