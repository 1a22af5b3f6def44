"""The sets of bands are the published ones."""

import pytest

from dctnet.bands import BAND_SETS, bands_of

# Written out as Xu et al. (2020) list them: ranges of channels of Y, then of Cb and Cr.
PUBLISHED = {
    6: ("0-1 8-9", "0"),
    24: ("0-3 8-11 16-19 24-27", "0-1 8-9"),
    32: ("0-4 8-12 16-20 24-27 32-34", "0-2 8-9"),
    48: ("0-5 8-13 16-21 24-29 32-35 40-43", "0-2 8-10 16-17"),
    64: ("0-6 8-14 16-21 24-29 32-37 40-45 48-53", "0-2 8-10 16-17 24-25"),
    192: ("0-63", "0-63"),
}


def channels(text: str) -> tuple[int, ...]:
    ends = [[int(end) for end in part.split("-")] for part in text.split()]
    return tuple(k for part in ends for k in range(part[0], part[-1] + 1))


@pytest.mark.parametrize("size", PUBLISHED)
def test_static_sets(size):
    luma, chroma = map(channels, PUBLISHED[size])
    assert bands_of(size) == (luma, chroma, chroma)
    assert sum(map(len, bands_of(size))) == size
    assert set(BAND_SETS) == set(PUBLISHED)


def test_all_by_default():
    assert bands_of(None) == bands_of(192)


@pytest.mark.parametrize(
    "wrong", [7, [[0], [0]], [[0], [], [0]], [[0, 0], [0], [0]], [[64], [0], [0]], [[-1], [0], [0]]]
)
def test_refused(wrong):
    with pytest.raises(ValueError, match=r"bands|sets"):
        bands_of(wrong)
