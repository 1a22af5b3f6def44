"""Geometric transforms that move the picture over a canvas: padding, crops of padded pictures, translation."""

from __future__ import annotations

from collections.abc import Sequence

import torch

from dctnet.arguments import flag, several, whole
from dctnet.resampling import PADDING_MODES
from dctnet.transforms.boxes import Size, pair
from dctnet.transforms.geometric import Geometric
from dctnet.transforms.separable import fill_of
from dctnet.transforms.steps import Drawn, Placed, Step


def padding_of(value: int | Sequence[int]) -> tuple[int, int, int, int]:
    """(left, top, right, bottom) from one number, from (left and right, top and bottom), or from four; ValueError otherwise.

    >>> padding_of(4), padding_of((1, 2))
    ((4, 4, 4, 4), (1, 2, 1, 2))
    """
    sides = several("padding (left, top, right, bottom)", value, (1, 2, 4), of_whole=True)
    return sides * (4 // len(sides))


def _check_mode(mode: str) -> str:
    if mode not in PADDING_MODES:
        raise ValueError(f"padding_mode is one of {PADDING_MODES}; got {mode!r}")
    return mode


class Pad(Geometric):
    """The picture with ``padding`` pixels (see ``padding_of``) added around it; negative ones are taken away.

    The arguments are those of ``torchvision.transforms.v2.Pad``: ``fill`` in gray levels, one or (red, green, blue), for
    "constant"; see ``resampling.place`` for the other modes. Padding of an odd number of pixels interpolates 4:2:0 chroma.
    """

    steps = Placed

    def __init__(self, padding: int | Sequence[int], fill: float | Sequence[float] = 0, padding_mode: str = "constant"):
        self.padding, self.fill, self.padding_mode = padding_of(padding), fill, _check_mode(padding_mode)
        self._fill = fill_of(fill)
        self.filling = self._fill if padding_mode == "constant" else None

    def draw(self, size: tuple[int, int], generator: torch.Generator | None) -> Placed:
        left, top, right, bottom = self.padding
        canvas = (size[0] + top + bottom, size[1] + left + right)
        if min(canvas) < 1:
            raise ValueError(
                f"padding={self.padding} leaves {canvas[0]}x{canvas[1]} of a picture of {size[0]}x{size[1]} pixels"
            )
        return Placed(top, left, canvas, self.padding_mode, self._fill)

    def __repr__(self) -> str:
        return f"Pad(padding={self.padding}, fill={self.fill}, padding_mode={self.padding_mode})"


class RandomCrop(Geometric):
    """A box of ``size`` at a random place of the picture, which is padded first where ``padding`` or ``pad_if_needed`` say so.

    The arguments and the distribution are those of ``torchvision.transforms.v2.RandomCrop``: from one state of a generator
    both draw the same box. ValueError where the padded picture is smaller than ``size``.
    """

    steps = Placed

    def __init__(
        self,
        size: Size,
        padding: int | Sequence[int] | None = None,
        pad_if_needed: bool = False,
        fill: float | Sequence[float] = 0,
        padding_mode: str = "constant",
    ):
        self.size = pair(size)
        self.padding = None if padding is None else padding_of(padding)
        self.pad_if_needed = flag("pad_if_needed", pad_if_needed)
        self.fill, self.padding_mode = fill, _check_mode(padding_mode)
        self._fill = fill_of(fill)
        if self.padding is None and not self.pad_if_needed:
            self.steps = Drawn
        elif padding_mode == "constant":
            self.filling = self._fill

    def draw(self, size: tuple[int, int], generator: torch.Generator | None) -> Drawn | Placed:
        left, top, right, bottom = self.padding or (0, 0, 0, 0)
        starts = []
        for length, before, behind, wanted in (
            (size[0], top, bottom, self.size[0]),
            (size[1], left, right, self.size[1]),
        ):
            padded = length + before + behind
            if self.pad_if_needed and padded < wanted:
                before, padded = before + wanted - padded, 2 * wanted - padded
            if padded < wanted:
                raise ValueError(
                    f"a crop of {self.size[0]}x{self.size[1]} does not fit a picture of {size[0]}x{size[1]}"
                    f"{'' if self.padding is None else ' and its padding'}; pad more, or set pad_if_needed"
                )
            start = 0
            if padded > wanted:
                start = int(torch.randint(0, padded - wanted + 1, (), generator=generator))
            starts.append(start - before)
        if self.steps is Drawn:
            return Drawn(*starts, *self.size, self.size)
        return Placed(-starts[0], -starts[1], self.size, self.padding_mode, self._fill)

    def __repr__(self) -> str:
        return (
            f"RandomCrop(size={self.size}, padding={self.padding}, pad_if_needed={self.pad_if_needed}, "
            f"fill={self.fill}, padding_mode={self.padding_mode})"
        )


class Translate(Geometric):
    """The picture moved down by ``y`` and to the right by ``x`` whole pixels, its size kept; ``fill`` shows behind it."""

    steps = Placed

    def __init__(self, y: int, x: int, fill: float | Sequence[float] = 0):
        self.y, self.x, self.fill = whole("y", y), whole("x", x), fill
        self.filling = fill_of(fill)

    def draw(self, size: tuple[int, int], generator: torch.Generator | None) -> Step:
        return Placed(self.y, self.x, size, "constant", self.filling)

    def __repr__(self) -> str:
        return f"Translate(y={self.y}, x={self.x}, fill={self.fill})"
