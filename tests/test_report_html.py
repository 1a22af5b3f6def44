"""The small parts of a page: elements, tables, themed plots."""

import re
from html.parser import HTMLParser

import matplotlib
import numpy as np
import pytest
from matplotlib.figure import Figure

from dctnet.report.figures import Line, Panel
from dctnet.report.html import Markup, element, slug
from dctnet.report.html_table import html_table, number
from dctnet.report.page import _HERE, Section, page
from dctnet.report.plots import Point, beats, cost_plot, heat_map, interval_plot, line_plot, themed
from dctnet.report.svg import INK, STYLE, series, themed_svg


class Read(HTMLParser):
    """Text, and attributes by element."""

    def __init__(self, text):
        super().__init__()
        self.texts, self.found = [], []
        self.feed(text)

    def handle_starttag(self, tag, attributes):
        self.found.append((tag, dict(attributes)))

    def handle_data(self, data):
        self.texts.append(data)


def test_text_and_attributes_come_back_as_they_went_in():
    text, value = '<b> & "quotes" </b>', "\"a\" < 'b' & c"
    read = Read(element("p", text, title=value, data_key=3, hidden=True, id=None))
    assert "".join(read.texts) == text
    assert read.found == [("p", {"title": value, "data-key": "3", "hidden": None})]


def test_a_table_keeps_its_keys_and_refuses_uneven_rows():
    read = Read(html_table(["a", "b"], [["x", number(1234.5, "{:,.1f}")], ["y", number(None)]], "all <of> it"))
    cells = [attributes for tag, attributes in read.found if tag == "td"]
    assert [cell["data-key"] for cell in cells] == ["1234.5", ""]
    assert sum(tag == "button" for tag, _ in read.found) == 2
    with pytest.raises(ValueError, match="1 cells under 2 heads"):
        html_table(["a", "b"], [["x"]], "")


def drawn(label="a plot", prefix="p"):
    with matplotlib.rc_context(STYLE):
        figure = Figure(figsize=(3, 2))
        axis = figure.subplots()
        axis.plot([0, 1], [0, 1], color=series(2), marker="o")
        axis.text(0.5, 0.5, "0.123456 <$x$>", color=INK)
        return themed_svg(figure, label, prefix)


def test_colours_of_a_plot_are_variables_and_its_text_is_text():
    svg = drawn()
    assert "var(--series-2)" in svg and "var(--ink)" in svg and not re.search(r"#0[0-9ab]0", svg)
    assert "0.123456 <$x$>" in Read(svg).texts
    assert "xmlns" not in svg and "http" not in svg


def test_ids_of_two_plots_differ_and_every_reference_has_one():
    ids = [set(re.findall(r' id="([^"]+)"', drawn(prefix=prefix))) for prefix in "pq"]
    assert ids[0] and not ids[0] & ids[1]
    both = drawn(prefix="p")
    assert set(re.findall(r'href="#([^"]+)"|url\(#([^)]+)\)', both)[0]) - {""} <= ids[0]
    assert {a or b for a, b in re.findall(r'href="#([^"]+)"|url\(#([^)]+)\)', both)} <= ids[0]


def path_points(svg, color):
    """The ends of the lines of a colour."""
    found = re.findall(rf'<path d="M ([\d.]+) ([\d.]+) L ([\d.]+) ([\d.]+) "[^>]*stroke: {re.escape(color)}', svg)
    return [tuple(map(float, ends)) for ends in found]


def test_an_interval_is_as_long_as_it_says():
    points = [Point("a", 1.0, [60.0, 62.0], 50.0, 70.0), Point("b", 2.0, [40.0], 35.0, 45.0)]
    svg = cost_plot(points, "cost", "top-1", "label", "p")
    spans = [abs(y1 - y0) for x0, y0, x1, y1 in path_points(svg, "var(--series-0)") if x0 == x1]
    spans += [abs(y1 - y0) for x0, y0, x1, y1 in path_points(svg, "var(--muted)") if x0 == x1]
    assert sorted(spans) == pytest.approx([sorted(spans)[0], 2 * sorted(spans)[0]], rel=0.01)


@pytest.mark.parametrize(
    ("one", "other", "expected"),
    [
        ((1.0, 60.0), (2.0, 50.0), True),
        ((1.0, 60.0), (1.0, 50.0), True),
        ((1.0, 60.0), (1.0, 60.0), False),
        ((1.0, 60.0), (0.5, 50.0), False),
    ],
)
def test_what_beats_what(one, other, expected):
    first, second = (Point(name, cost, [top]) for name, (cost, top) in zip("ab", (one, other), strict=True))
    assert beats(first, second) == expected


def test_a_heat_map_shows_its_numbers_and_leaves_out_what_is_unknown():
    values = np.array([[1.0, 2.0], [np.nan, 1000.0]])
    texts = Read(
        heat_map(values, ["r0", "r1"], ["c0", "c1"], ("t", "x", "y"), "label", "p", log=True, pattern="{:.1f}")
    ).texts
    assert {"1.0", "2.0", "1000.0", "r0", "c1", "t"} <= set(texts) and "nan" not in "".join(texts)


def test_logarithmic_axes_have_plain_numbers():
    panel = Panel("t", "x", "y", [Line([1, 10, 100], [0.001, 0.1, 10], "a", series(0))], ("log", "log"))
    texts = Read(line_plot(panel, "label", "p")).texts
    assert {"1", "10", "100", "0.001"} <= set(texts) and not any("$" in text for text in texts)


def test_colours_of_a_map_become_steps_in_order():
    lines = [Line([0], [0], None, color) for color in ((0.1, 0.2, 0.3), "gray", (0.9, 0.9, 0.1), (0.1, 0.2, 0.3), "C1")]
    shown = [line.color for line in themed(Panel("", "", "", lines)).lines]
    assert shown[0] == shown[3] != shown[2] and shown[4] == series(1) and shown[1].startswith("#02")


def test_intervals_of_several_series_stand_on_the_lines_of_their_rows():
    from dctnet.report.plots import Interval

    rows = [("first", [Interval(0, 50, 40, 60), Interval(1, 20, 10, 30)]), ("second", [Interval(0, 80, 70, 90)])]
    svg = interval_plot(rows, "accuracy", "title", "label", "p")
    assert {"first", "second", "title"} <= set(Read(svg).texts)
    widths = sorted(
        x1 - x0 for x0, _, x1, _ in path_points(svg, "var(--series-0)") + path_points(svg, "var(--series-1)")
    )
    assert widths == pytest.approx([widths[0]] * 3, abs=0.05)


@pytest.mark.parametrize("selector", [":root {", ':root[data-theme="dark"] {'])
def test_text_stands_out_from_the_paper(selector):
    """WCAG 2: 4.5 for text, 3 for lines of plots."""
    css = (_HERE / "page.css").read_text()
    block = css[css.index(selector) : css.index("}", css.index(selector))]
    colors = dict(re.findall(r"--([\w-]+): (#[0-9a-f]{6})", block))

    def luminance(color):
        parts = [int(color[k : k + 2], 16) / 255 for k in (1, 3, 5)]
        linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in parts]
        return np.dot(linear, (0.2126, 0.7152, 0.0722))

    def contrast(one, other):
        low, high = sorted((luminance(colors[one]), luminance(colors[other])))
        return (high + 0.05) / (low + 0.05)

    for ink, paper in (
        ("ink", "paper"),
        ("muted", "paper"),
        ("accent", "paper"),
        ("muted", "raised"),
        ("ink", "raised"),
    ):
        assert contrast(ink, paper) >= 4.5, (ink, paper)
    for ink in ("yes", "no", "open"):
        assert contrast(ink, f"{ink}-paper") >= 4.5, ink
    for kind in ("series", "step"):
        for number_ in range(8):
            assert contrast(f"{kind}-{number_}", "paper") >= (4.5 if kind == "series" else 3), (kind, number_)


def test_the_dark_colours_are_the_same_by_choice_and_by_the_system():
    css = (_HERE / "page.css").read_text()
    first, second = re.findall(r'theme="(?:light|dark)"\]\)? \{(.*?)\}', css, flags=re.DOTALL)
    assert first.split() == second.split() and "--step-7" in first


def test_a_page_has_its_sections_in_its_contents():
    text = page("t", Markup(""), [Section("a", "A & B", element("p", "x"))], Markup(""))
    assert '<a href="#a">A &amp; B</a>' in text and '<section id="a">' in text
    assert slug("A & B") == "a-b"
