"""The sizes that belong to a convolution: what its arguments mean for each side of the maps."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from dctnet.arguments import several, whole

Sizes = int | Sequence[int]


class Geometry(NamedTuple):
    """One side of a convolution: samples of the map, taps, stride, dilation, padding before and behind."""

    side: int
    taps: int
    stride: int
    dilation: int
    before: int
    after: int

    @property
    def reach(self) -> int:
        """How many samples a filter spans, less one."""
        return self.dilation * (self.taps - 1)

    @property
    def outputs(self) -> int:
        return (self.side + self.before + self.after - self.reach - 1) // self.stride + 1

    @property
    def circle(self) -> int:
        return fast_size(self.side + max(self.before, self.after))


def geometry(
    shape: Sequence[int],
    filters: Sequence[int],
    stride: Sizes = 1,
    padding: Sizes | str = 0,
    dilation: Sizes = 1,
    groups: int = 1,
) -> tuple[Geometry, ...]:
    """Each side of the convolution of maps and filters of these shapes; ValueError where they do not fit."""
    groups = whole("groups", groups, 1)
    if shape[1] != filters[1] * groups or filters[0] % groups:
        raise ValueError(
            f"filters (out, in / groups, ...) = {tuple(filters)} in {groups} groups read {filters[1] * groups} channels, and "
            f"out is a multiple of groups; got maps {tuple(shape)}"
        )
    dimensions = len(filters) - 2
    strides, dilations = (each(name, n, dimensions, 1) for name, n in (("stride", stride), ("dilation", dilation)))
    spans = [d * (k - 1) for d, k in zip(dilations, filters[2:], strict=True)]
    if isinstance(padding, str):
        if padding not in ("same", "valid") or (padding == "same" and set(strides) != {1}):
            raise ValueError(
                f"padding is numbers, 'valid', or, at stride 1, 'same'; got {padding!r} at stride {stride}"
            )
        same = padding == "same"
        pads = [(span // 2, span - span // 2) if same else (0, 0) for span in spans]
    else:
        pads = [(p, p) for p in each("padding", padding, dimensions, 0)]
    sides = tuple(
        Geometry(int(side), int(taps), s, d, *pad)  # whole numbers in a trace, too
        for side, taps, s, d, pad in zip(shape[2:], filters[2:], strides, dilations, pads, strict=True)
    )
    if any(side.outputs < 1 or side.taps < 1 for side in sides):
        raise ValueError(
            f"a filter fits into the padded map; got maps {tuple(shape)}, filters {tuple(filters)}: {sides}"
        )
    return sides


def each(name: str, value: Sizes, dimensions: int, low: int) -> tuple[int, ...]:
    """A whole number of at least ``low`` for each dimension, of as many or of one."""
    values = several(name, value, (1, dimensions) if dimensions > 1 else (1,), low, of_whole=True)
    return values * (dimensions // len(values))


def fast_size(n: int) -> int:
    """The smallest number of at least n that has no prime factor above 7.

    >>> [fast_size(n) for n in (11, 13, 23, 97)]
    [12, 14, 24, 98]
    """
    while True:
        rest = n
        for prime in (2, 3, 5, 7):
            while rest % prime == 0:
                rest //= prime
        if rest == 1:
            return n
        n += 1
