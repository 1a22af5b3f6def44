"""Tables and lines of band-limited networks against a plain loop over the rows."""

import io

import numpy as np
import pytest
from PIL import Image

from dctnet.findings.band_limits import PUBLISHED, of_pictures, of_series, same
from dctnet.report.figures import Line, Panel, line_panels
from experiments.bandlimited_figures import beside_published, crossed, sets

RATES = (0.0, 0.25, 0.5)


def top1(seed, trained, tested, noise=0.0):
    return 60 + seed - 8 * trained - 30 * max(0.0, tested - trained) - noise * (1 - trained)


PICTURES = [
    {"seed": seed, "trained": a, "tested": b, "noise": noise, "top1": top1(seed, a, b, noise)}
    for seed in (1, 0)
    for a in RATES
    for b in RATES
    for noise in ((0.0, 10.0, 5.0) if a == b else (0.0,))
]
SERIES = [
    {"set": name, "seed": seed, "trained": a, "tested": b, "top1": top1(seed, a, b) + more}
    for name, more in (("Trace", 20), ("Coffee", 10))
    for seed in (0, 1)
    for a in RATES
    for b in RATES
]


def cells(table):
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in table.splitlines()]


def test_a_crossed_table_has_means_and_seeds_in_order():
    quiet = [row for row in PICTURES if row["noise"] == 0]
    head, _, *lines = cells(crossed(quiet, "trained", "tested", "trained at", "tested at"))
    assert head == ["trained at", "tested at 0", "tested at 0.25", "tested at 0.5"]
    for line, trained in zip(lines, RATES, strict=True):
        expected = [[top1(seed, trained, tested) for seed in (0, 1)] for tested in RATES]
        assert line == [f"{trained:g}", *(f"{(a + b) / 2:.1f} ({a:.1f} / {b:.1f})" for a, b in expected)]


def test_sets_end_with_their_mean():
    _, _, *lines = cells(sets(SERIES))
    assert [line[0] for line in lines] == ["Coffee", "Trace", "mean"]
    assert lines[2][1] == "75.5 (75.0 / 76.0)"  # 60 + 15, and half a point for the seeds


def test_published_rates_are_the_nearest():
    head, _, *lines = cells(beside_published(PICTURES))
    assert [line[head.index("published for")] for line in lines] == ["0%", "24%", "49%"]
    assert lines[1] == ["25%", "58.5 (58.0 / 59.0)", "2.0", "24%", "93.2", f"{PUBLISHED[0] - PUBLISHED[24]:.1f}"]


def test_lines_are_means_and_dots_are_seeds():
    against, noisy, relative = of_pictures(PICTURES)
    line, dots = against.lines[2:4]  # trained at 25 %
    assert list(line.x) == [0, 25, 50] and line.name == "trained at 25%"
    assert line.y == pytest.approx([top1(0.5, 0.25, tested) for tested in RATES])
    found = sorted(zip(dots.x, dots.y, strict=True))
    assert found == sorted((100 * t, top1(seed, 0.25, t)) for t in RATES for seed in (0, 1))
    diamond = against.lines[7]
    assert list(diamond.x) == [25] and diamond.y == pytest.approx([58.5])
    assert list(noisy.lines[2].x) == [0, 5, 10]
    assert noisy.lines[2].y == pytest.approx([top1(0.5, 0.25, 0.25, sigma) for sigma in (0, 5, 10)])
    shares = [np.mean([100 * (1 - sigma * 0.75 / (58 + seed)) for seed in (0, 1)]) for sigma in (0, 5, 10)]
    assert relative.lines[2].y == pytest.approx(shares)


def test_lines_of_series_are_means_over_sets():
    against, each = of_series(SERIES)
    assert against.lines[0].y == pytest.approx([15 + top1(0.5, 0, tested) for tested in RATES])
    assert [line.name for line in each.lines[::2]] == ["Coffee", "Trace"]
    expected = [row["top1"] - 0.5 for row in same(SERIES) if row["set"] == "Coffee" and row["seed"] == 1]
    assert each.lines[0].y == pytest.approx(expected)


def test_a_line_is_drawn_where_its_points_are():
    red, blue = (1.0, 0.0, 0.0), (0.0, 0.0, 1.0)
    rising, falling = Line([1, 10, 100], [0, 1, 2], None, red), Line([0, 4], [2, 0], None, blue)
    png = io.BytesIO()
    line_panels([[Panel("", "x", "y", [rising], ("log", "linear")), Panel("", "x", "y", [falling])]], "two", png)
    pixels = np.asarray(Image.open(png).convert("RGB")).astype(int)
    places = []
    for channel, sign in ((0, -1), (2, 1)):
        others = [c for c in range(3) if c != channel]
        rows, columns = np.nonzero((pixels[..., channel] > 200) & (pixels[..., others] < 60).all(-1))
        assert len(rows) > 100 and sign * np.corrcoef(rows, columns)[0, 1] > 0.9999  # a straight line, rows downwards
        places.append((columns.min(), columns.max(), rows.min(), rows.max()))
    assert places[0][1] < places[1][0]  # side by side
    assert np.abs(np.subtract(places[0][2:], places[1][2:])).max() <= 2  # on one y axis
