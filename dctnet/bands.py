"""Sets of bands: which of the 64 frequencies of an 8x8 block are kept, for Y, Cb and Cr.

What ``bands_of`` takes, in Python and in YAML alike:

    24                            a static set of Xu et al., by its number of bands over all planes
    all                           every band (None, too)
    zigzag-16                     of each plane the first 16 bands of JPEG's zigzag order
    triangle-4                    of each plane the bands with v + u < 4
    square-4                      of each plane the bands with v < 4 and u < 4
    [square-4, square-2, [0]]     for Y, Cb and Cr one of the shapes, "all", or a list of channels 8*v + u
    {energy: CARD, count: 24}     the 24 bands of most energy in a card of `dctnet stats`, a path or a name
    {energy: CARD, count: [16, 4, 4]}                             the same plane by plane

Energy is the mean square of a coefficient, so the bands that hold most of it for the numbers they cost. Each plane keeps
one band at least.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import yaml

from dctnet.arguments import several, whole
from dctnet.coefficients import zigzag_order
from dctnet.statistics import PLANES, read_statistics

CHANNELS = 64  # of a JPEG block

PlaneBands = str | Sequence[int]
BandSet = int | str | Sequence[PlaneBands] | Mapping[str, object] | None


class Bands(NamedTuple):
    """Row-major channel indices ``8*v + u``, ascending, of the bands kept of Y, Cb and Cr."""

    y: tuple[int, ...]
    cb: tuple[int, ...]
    cr: tuple[int, ...]


def _rows(*lengths: int) -> tuple[int, ...]:
    """The first so many horizontal frequencies of the vertical frequencies 0, 1, 2, ..."""
    return tuple(8 * v + u for v, length in enumerate(lengths) for u in range(length))


def _set(luma: tuple[int, ...], chroma: tuple[int, ...]) -> Bands:
    return Bands(luma, chroma, chroma)


# The static sets of Xu et al., "Learning in the frequency domain" (CVPR 2020), by the number of bands over all planes.
BAND_SETS: dict[int, Bands] = {
    6: _set(_rows(2, 2), _rows(1)),
    24: _set(_rows(4, 4, 4, 4), _rows(2, 2)),
    32: _set(_rows(5, 5, 5, 4, 3), _rows(3, 2)),
    48: _set(_rows(6, 6, 6, 6, 4, 4), _rows(3, 3, 2)),
    64: _set(_rows(7, 7, 6, 6, 6, 6, 6), _rows(3, 3, 2, 2)),
    192: _set(_rows(*(8,) * 8), _rows(*(8,) * 8)),
}

# Shapes by name: the greatest number each takes, and the bands it means.
SHAPES = {
    "zigzag": (CHANNELS, lambda count: tuple(sorted(zigzag_order(8)[:count]))),
    "triangle": (15, lambda side: tuple(k for k in range(CHANNELS) if k // 8 + k % 8 < side)),
    "square": (8, lambda side: _rows(*(side,) * side)),
}


def bands_of(value: BandSet) -> Bands:
    """The bands that an option means, in one of the forms at the top of this file.

    ValueError for anything else, with what is allowed; so also for a card of other blocks than 8x8.

    >>> bands_of(6)
    Bands(y=(0, 1, 8, 9), cb=(0,), cr=(0,))
    >>> bands_of(("zigzag-3", "square-1", [8, 0]))
    Bands(y=(0, 1, 8), cb=(0,), cr=(0, 8))
    """
    if value is None or value == "all":
        return BAND_SETS[192]
    if isinstance(value, int) and not isinstance(value, bool):
        if value not in BAND_SETS:
            raise ValueError(
                f"the static sets hold {sorted(BAND_SETS)} bands; got {value}. Or name a shape for each plane, such as "
                "zigzag-16, or three lists of channels."
            )
        return BAND_SETS[value]
    if isinstance(value, str):
        shape = _plane_bands(value)
        return Bands(shape, shape, shape)
    if isinstance(value, Mapping):
        return _most_energetic(value)
    if not isinstance(value, Sequence) or len(value) != 3:
        raise ValueError(
            f"bands are a number of {sorted(BAND_SETS)}, a shape such as zigzag-16, three of them or three lists of channels "
            f"for Y, Cb and Cr, or a mapping of energy and count; got {value!r}"
        )
    return Bands(*(_plane_bands(plane, name) for name, plane in zip(PLANES, value, strict=True)))


def values_of(values: Sequence[Sequence[float]], bands: BandSet) -> list[list[float]]:
    """The values of the chosen bands out of three lists of one value a band; None chooses all, in blocks of any size.

    >>> values_of([list(range(64))] * 3, 6)
    [[0, 1, 8, 9], [0], [0]]
    """
    if bands is None:
        return [list(plane) for plane in values]
    if any(len(plane) != CHANNELS for plane in values):
        raise ValueError(f"bands are those of blocks of 8; got figures of {[len(plane) for plane in values]} bands")
    return [[plane[k] for k in kept] for plane, kept in zip(values, bands_of(bands), strict=True)]


def parse_bands(text: str) -> Bands:
    """The bands that an option of the command line means: its text is what YAML would hold.

    >>> parse_bands("[square-2, [0], [0]]") == bands_of(6)
    True
    """
    try:
        value = yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise ValueError(
            f"bands are written as in YAML, such as 24 or [square-4, square-2, square-2]; got {text!r}"
        ) from error
    return bands_of(value)


def _plane_bands(value: PlaneBands, plane: str | None = None) -> tuple[int, ...]:
    """The bands of one plane: a shape or a list of channels."""
    if isinstance(value, str):
        if value == "all":
            return BAND_SETS[192].y
        shape, _, number = value.partition("-")
        if shape not in SHAPES or not re.fullmatch("[0-9]{1,2}", number) or not 1 <= int(number) <= SHAPES[shape][0]:
            allowed = ", ".join(f"{name}-1 to {name}-{greatest}" for name, (greatest, _) in SHAPES.items())
            raise ValueError(f"a shape of bands is {allowed}, or all; got {value!r}")
        return SHAPES[shape][1](int(number))
    try:
        channels = sorted(whole(f"one of the bands of plane {plane}", channel, 0, CHANNELS - 1) for channel in value)
    except TypeError as error:
        raise ValueError(
            f"the bands of plane {plane} are a shape such as square-4 or a list of channels; got {value!r}"
        ) from error
    if not channels or len(set(channels)) != len(channels):
        raise ValueError(
            f"the bands of plane {plane} are different channels of 0..{CHANNELS - 1}, one at least; got {channels}"
        )
    return tuple(channels)


def _most_energetic(value: Mapping[str, object]) -> Bands:
    """The bands of ``{"energy": CARD, "count": K}``."""
    if set(value) != {"energy", "count"} or not isinstance(value["energy"], (str, os.PathLike)):
        raise ValueError(f"bands by energy are {{energy: CARD, count: NUMBER or three}}; got {dict(value)!r}")
    statistics = read_statistics(value["energy"])
    if statistics.block_size != (8, 8):
        raise ValueError(
            f"bands are those of blocks of 8; the card {value['energy']} was measured with {statistics.block_size}. "
            "Measure one with dctnet stats FOLDER --block_size 8."
        )
    count = value["count"]
    if isinstance(count, Sequence) and not isinstance(count, str):
        count = several("count, for Y, Cb and Cr,", count, (3,), 1, CHANNELS, of_whole=True)
        ranked = [_by_energy(energy)[:k] for energy, k in zip(statistics.energy, count, strict=True)]
        return Bands(*(tuple(sorted(plane)) for plane in ranked))
    count = whole("count, unless one each for Y, Cb and Cr,", count, 3, 3 * CHANNELS)
    return top_bands(statistics.energy, count)


def top_bands(values: Sequence[Sequence[float]], count: int) -> Bands:
    """The ``count`` bands of the greatest of three times 64 ``values``, one of each plane at least.

    >>> top_bands([[9, 8, 7, 6] + [0] * 60, [5] + [0] * 63, [1] + [0] * 63], 4)
    Bands(y=(0, 1), cb=(0,), cr=(0,))
    """
    first = {(plane, _by_energy(energy)[0]) for plane, energy in enumerate(values)}
    rest = [(plane, k) for plane in range(3) for k in range(CHANNELS) if (plane, k) not in first]
    rest.sort(key=lambda place: -values[place[0]][place[1]])
    kept = [*first, *rest[: count - 3]]
    return Bands(*(tuple(sorted(k for plane, k in kept if plane == number)) for number in range(3)))


def _by_energy(values: Sequence[float]) -> list[int]:
    """The channels, that of the greatest value first."""
    return sorted(range(CHANNELS), key=lambda k: -values[k])
