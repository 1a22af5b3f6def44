"""Geometric transforms that turn, shear, scale and move the picture by drawn amounts."""

from __future__ import annotations

from collections.abc import Sequence

import torch

from dctnet.arguments import finite, flag, interval, several
from dctnet.transforms.affine import expanded_size, inverse_matrix
from dctnet.transforms.geometric import Geometric
from dctnet.transforms.separable import Fill, fill_of
from dctnet.transforms.steps import Drawn, Placed, Step, Turned, Warped


def rotated(
    size: tuple[int, int],
    angle: float,
    expand: bool = False,
    center: Sequence[float] | None = None,
    fill: Fill = (0, 0, 0),
) -> Step:
    """A picture of ``size`` turned by ``angle`` degrees counter-clockwise about ``center`` (x, y), exactly if that is possible.

    Quarter turns about the middle are exact where the picture is square or the canvas may ``expand`` (half turns always).
    Otherwise the canvas stays, or grows to hold the turned picture, and what is outside of the picture shows ``fill``.
    """
    angle, expand = finite("angle", angle) % 360, flag("expand", expand)
    if center is None and (angle % 180 == 0 or (angle % 90 == 0 and (expand or size[0] == size[1]))):
        quarters = round(angle / 90)
        return Turned(quarters, size[::-1] if quarters % 2 else size)
    matrix = inverse_matrix(-angle, (0, 0), 1, (0, 0), centered(center, size))
    return Warped(matrix, expanded_size(matrix, size) if expand else size, fill)


def affined(
    size: tuple[int, int],
    angle: float,
    translate: Sequence[float],
    scale: float,
    shear: Sequence[float],
    center: Sequence[float] | None = None,
    fill: Fill = (0, 0, 0),
) -> Step:
    """A picture of ``size`` under the map of ``affine.inverse_matrix``; a move alone by whole pixels is separable."""
    (x, y), shear = several("translate", translate, (2,)), several("shear", shear, (2,))
    if angle == 0 and scale == 1 and not any(shear) and x == int(x) and y == int(y):
        return Placed(int(y), int(x), size, "constant", fill) if x or y else Drawn(0, 0, *size, size)
    return Warped(inverse_matrix(angle, translate, scale, shear, centered(center, size)), size, fill)


def centered(center: Sequence[float] | None, size: tuple[int, int]) -> tuple[float, float]:
    """A point (x, y) counted from the corner of the picture (None: its middle), counted from its middle."""
    center = _center(center)
    return (0.0, 0.0) if center is None else (center[0] - size[1] / 2, center[1] - size[0] / 2)


def _either_way(name: str, value: float | Sequence[float], counts: tuple[int, ...] = (1, 2)) -> tuple[float, ...]:
    """Ranges (from, to) of degrees; one number is the largest amount either way."""
    values = several(f"{name}, as the largest amount either way or from and to,", value, counts)
    if len(values) == 1:
        most = finite(f"{name} either way", value, 0)
        return -most, most
    for start in range(0, len(values), 2):
        interval(name, values[start : start + 2])
    return values


class RandomRotation(Geometric):
    """The picture turned by a random angle from the range ``degrees`` (one number: either way), counter-clockwise.

    The arguments are those of ``torchvision.transforms.v2.RandomRotation``, and the same angle is drawn; the interpolation is
    bilinear. ``expand`` enlarges the canvas to hold the whole; ``center`` is (x, y) from the upper left corner, in pixels.
    """

    def __init__(
        self,
        degrees: float | Sequence[float],
        expand: bool = False,
        center: Sequence[float] | None = None,
        fill: float | Sequence[float] = 0,
    ):
        self.degrees, self.expand, self.fill = _either_way("degrees", degrees), flag("expand", expand), fill
        self.center, self._fill = _center(center), fill_of(fill)

    def draw(self, size: tuple[int, int], generator: torch.Generator | None) -> Step:
        angle = torch.empty(1).uniform_(*self.degrees, generator=generator).item()
        return rotated(size, angle, self.expand, self.center, self._fill)

    def __repr__(self) -> str:
        return f"RandomRotation(degrees={self.degrees}, expand={self.expand}, center={self.center}, fill={self.fill})"


class RandomAffine(Geometric):
    """The picture turned, moved, scaled and sheared by random amounts about its middle or ``center``, its size kept.

    The arguments are those of ``torchvision.transforms.v2.RandomAffine``, and the same amounts are drawn; the interpolation
    is bilinear. ``translate``: the largest shares of width and height; ``scale``: a range; ``shear``: degrees, along x, or
    (x from, x to), or with those of y.
    """

    def __init__(
        self,
        degrees: float | Sequence[float],
        translate: Sequence[float] | None = None,
        scale: Sequence[float] | None = None,
        shear: float | Sequence[float] | None = None,
        fill: float | Sequence[float] = 0,
        center: Sequence[float] | None = None,
    ):
        self.degrees = _either_way("degrees", degrees)
        self.translate = None
        if translate is not None:
            self.translate = several("translate, as shares of width and height,", translate, (2,), 0, 1)
        self.scale = None if scale is None else interval("scale", scale, 0, open_low=True)
        self.shear = None if shear is None else _either_way("shear", shear, (1, 2, 4))
        self.center, self.fill, self._fill = _center(center), fill, fill_of(fill)

    def draw(self, size: tuple[int, int], generator: torch.Generator | None) -> Step:
        def uniform(low: float, high: float) -> float:
            return torch.empty(1).uniform_(low, high, generator=generator).item()

        angle = uniform(*self.degrees)
        x = y = 0
        if self.translate is not None:
            across, down = self.translate[0] * size[1], self.translate[1] * size[0]
            x, y = round(uniform(-across, across)), round(uniform(-down, down))
        scale = 1.0 if self.scale is None else uniform(*self.scale)
        shear = (0.0, 0.0)
        if self.shear is not None:
            shear = (uniform(*self.shear[:2]), uniform(*self.shear[2:]) if len(self.shear) == 4 else 0.0)
        return affined(size, angle, (x, y), scale, shear, self.center, self._fill)

    def __repr__(self) -> str:
        return (
            f"RandomAffine(degrees={self.degrees}, translate={self.translate}, scale={self.scale}, shear={self.shear}, "
            f"fill={self.fill}, center={self.center})"
        )


def _center(center: Sequence[float] | None) -> tuple[float, float] | None:
    return None if center is None else several("center, as (x, y) from the upper left corner,", center, (2,))


class Rotate(Geometric):
    """The picture turned by ``angle`` degrees counter-clockwise: ``RandomRotation`` without the draw; 90, 180, 270 are exact."""

    def __init__(
        self,
        angle: float,
        expand: bool = False,
        center: Sequence[float] | None = None,
        fill: float | Sequence[float] = 0,
    ):
        self.angle, self.expand, self.fill = finite("angle", angle), flag("expand", expand), fill
        self.center, self._fill = _center(center), fill_of(fill)

    def draw(self, size: tuple[int, int], generator: torch.Generator | None) -> Step:
        return rotated(size, self.angle, self.expand, self.center, self._fill)

    def __repr__(self) -> str:
        return f"Rotate(angle={self.angle}, expand={self.expand}, center={self.center}, fill={self.fill})"


class Affine(Geometric):
    """The picture turned, moved, scaled and sheared by given amounts: ``RandomAffine`` without the draws."""

    def __init__(
        self,
        angle: float = 0.0,
        translate: Sequence[int] = (0, 0),
        scale: float = 1.0,
        shear: Sequence[float] = (0.0, 0.0),
        fill: float | Sequence[float] = 0,
        center: Sequence[float] | None = None,
    ):
        inverse_matrix(angle, translate, scale, shear, (0, 0))  # refuses what has no inverse
        self.angle, self.translate, self.scale, self.shear = float(angle), tuple(translate), float(scale), tuple(shear)
        self.center, self.fill, self._fill = _center(center), fill, fill_of(fill)

    def draw(self, size: tuple[int, int], generator: torch.Generator | None) -> Step:
        return affined(size, self.angle, self.translate, self.scale, self.shear, self.center, self._fill)

    def __repr__(self) -> str:
        return (
            f"Affine(angle={self.angle}, translate={self.translate}, scale={self.scale}, shear={self.shear}, "
            f"fill={self.fill}, center={self.center})"
        )
