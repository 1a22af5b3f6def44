"""Sets of bands: which of the 64 frequencies of an 8x8 block are kept, for Y, Cb and Cr."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

CHANNELS = 64  # of a JPEG block


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


def bands_of(value: int | Sequence[Sequence[int]] | None) -> Bands:
    """The bands that an option means: the size of a static set, three lists of channel indices, or None for all.

    Lists are sorted. ValueError for another number, an empty or repeated list, or an index outside of 0..63.

    >>> bands_of(6)
    Bands(y=(0, 1, 8, 9), cb=(0,), cr=(0,))
    >>> bands_of([[8, 0], [0], [0]]).y
    (0, 8)
    """
    if value is None:
        return BAND_SETS[192]
    if isinstance(value, int):
        if value not in BAND_SETS:
            raise ValueError(
                f"the static sets hold {sorted(BAND_SETS)} bands; got {value}. Or name three lists of channels."
            )
        return BAND_SETS[value]
    planes = [sorted(int(channel) for channel in plane) for plane in value]
    if len(planes) != 3:
        raise ValueError(f"bands are three lists of channels, for Y, Cb and Cr; got {len(planes)}")
    for name, plane in zip(Bands._fields, planes, strict=True):
        if not plane or len(set(plane)) != len(plane) or plane[0] < 0 or plane[-1] >= CHANNELS:
            raise ValueError(
                f"the bands of plane {name} are different channels of 0..{CHANNELS - 1}, one at least; got {plane}"
            )
    return Bands(*map(tuple, planes))
