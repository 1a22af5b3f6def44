"""Sets of bands: the published ones, shapes, and those of most energy."""

from pathlib import Path

import pytest
import yaml

from dctnet.bands import BAND_SETS, bands_of, parse_bands
from dctnet.jpeg.reader import read_jpeg
from dctnet.statistics import Statistics, card_text
from dctnet.transforms import SelectBands
from tests.jpeg_writer import ZIGZAG
from tests.test_decoder import jpeg, picture

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


def test_zigzag_is_that_of_jpeg_files():
    for count in range(1, 65):
        assert bands_of(f"zigzag-{count}").y == tuple(sorted(ZIGZAG[:count].tolist()))


@pytest.mark.parametrize("side", range(1, 9))
def test_squares_and_triangles(side):
    square, triangle = bands_of(f"square-{side}"), bands_of(f"triangle-{side}")
    places = {(v, u): 8 * v + u for v in range(8) for u in range(8)}
    assert set(square.cb) == {k for (v, u), k in places.items() if max(v, u) < side}
    assert set(triangle.cr) == {k for (v, u), k in places.items() if v + u < side}
    assert triangle.y == bands_of(f"zigzag-{side * (side + 1) // 2}").y  # whole diagonals
    assert square.y == square.cb == square.cr
    assert bands_of("triangle-15") == bands_of("all") == bands_of("square-8") == bands_of(192)


FORMS = [24, "all", "zigzag-16", ["square-4", "square-2", [0]], [[8, 0], [0], "triangle-2"]]


@pytest.mark.parametrize("form", FORMS, ids=str)
def test_one_form_for_python_yaml_the_command_line_and_the_reader(form):
    bands = bands_of(form)
    assert parse_bands(yaml.safe_dump(form)) == bands == bands_of(bands)
    assert SelectBands(form).bands == bands
    file = jpeg(picture(40, 56))
    whole, part = read_jpeg(file).coefficients, read_jpeg(file, bands=form).coefficients
    for plane, kept, channels in zip(whole, part, bands, strict=True):
        assert kept.tolist() == plane[list(channels)].tolist()


@pytest.fixture
def card(tmp_path):
    """A card whose energies fall from channel to channel: luma 1000, 999, ..., Cb 100, 99, ..., Cr 10, 9.9, ..."""

    def write(block_size=8, name="card.yaml"):
        tops = [(1000, 1), (100, 1), (10, 0.1)]
        energy = tuple(tuple(top - step * k for k in range(block_size**2)) for top, step in tops)
        statistics = Statistics((block_size,) * 2, energy, energy, energy, energy)
        (tmp_path / name).write_text(card_text(statistics, "dctnet stats", {"pictures": 1}))
        return str(tmp_path / name)

    return write


def test_the_bands_of_most_energy(card):
    joint = bands_of({"energy": card(), "count": 70})
    assert joint == (tuple(range(64)), tuple(range(5)), (0,))  # each plane keeps one
    each = parse_bands(f"{{energy: {card()}, count: [16, 4, 2]}}")
    assert each == (tuple(range(16)), tuple(range(4)), (0, 1))
    assert bands_of({"energy": card(), "count": 192}) == bands_of(None)
    assert sum(map(len, bands_of({"energy": "cifar10", "count": 24}))) == 24


WRONG = [
    (7, "static sets"),
    *((number, rf"got {number}\. Or name a shape for each plane, such as zigzag-16") for number in (193, 0, -1)),
    (True, "bands are"),
    ("7", "shape"),
    ("zigzag-0", "zigzag-1 to zigzag-64"),
    ("zigzag-65", "zigzag-1 to zigzag-64"),
    ("square", "square-1 to square-8"),
    ("square-9", "square-1 to square-8"),
    ("triangle--1", "triangle-1 to triangle-15"),
    ("circle-3", "got 'circle-3'"),
    ([[0], [0]], "bands are"),
    ([[0], [], [0]], "bands of plane cb"),
    ([[0, 0], [0], [0]], "bands of plane y"),
    ([[64], [0], [0]], "bands of plane y"),
    ([[-1], [0], [0]], "bands of plane y"),
    ([16, 4, 4], "a list of channels; got 16"),
    ([["a"], [0], [0]], "bands of plane y"),
    ({"energy": "cifar10"}, "energy: CARD, count"),
    ({"energy": 3, "count": 24}, "energy: CARD, count"),
    ({"energy": "cifar10", "count": 2}, r"in \[3, 192\]; got 2"),
    ({"energy": "cifar10", "count": "24"}, r"in \[3, 192\]; got '24'"),
    ({"energy": "cifar10", "count": [64, 65, 1]}, r"3 whole numbers in \[1, 64\]"),
]


@pytest.mark.parametrize(("wrong", "says"), WRONG, ids=str)
def test_refused(wrong, says):
    with pytest.raises(ValueError, match=says):
        bands_of(wrong)


def test_cards_that_do_not_fit_are_refused(card, tmp_path):
    with pytest.raises(ValueError, match="blocks of 8"):
        bands_of({"energy": card(block_size=4), "count": 24})
    with pytest.raises(ValueError, match="one of cifar10, imagenet_samples; got 'nothing'"):
        bands_of({"energy": "nothing", "count": 24})
    with pytest.raises(ValueError, match="as in YAML"):
        parse_bands("[square-4, ")
    for text in ("nothing: 1", "- 3", "{", "\x00"):
        (tmp_path / "wrong.yaml").write_text(text)
        with pytest.raises(ValueError, match="no card of `dctnet stats`"):
            bands_of({"energy": str(tmp_path / "wrong.yaml"), "count": 24})
    for old, new, says in (
        (" 1000,", " .nan,", "finite"),
        ("1000, ", "", "got 63"),
        ("energy:\n  y: [\n    1000", "energy:\n  y: [\n    -1", "below 0"),
    ):
        text = Path(card()).read_text()
        assert old in text, old
        (tmp_path / "wrong.yaml").write_text(text.replace(old, new))
        with pytest.raises(ValueError, match=says):
            bands_of({"energy": str(tmp_path / "wrong.yaml"), "count": 24})
