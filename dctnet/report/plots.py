"""Plots of a page, one pair of axes each, from plain numbers: lines, accuracy against cost, intervals side by side, heat maps."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.colors import LogNorm, Normalize
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, MaxNLocator, NullFormatter
from matplotlib.transforms import Bbox

from dctnet.report.figures import Panel
from dctnet.report.html import Markup
from dctnet.report.svg import INK, MUTED, RULE, STYLE, series, step, themed_svg

SIZE = (4.3, 3.0)
NEAR = 28  # pixels within which two points are too near for the names of both
# Where a name goes from its point, in points: beside it, at its corners, above and below, and the same farther off.
FAR_OFF = [(6, 0), (-6, 0), (5, 6), (-5, 6), (5, -6), (-5, -6), (0, 9), (0, -9)]
FAR_OFF += [(8, 16), (-8, 16), (8, -16), (-8, -16), (0, 24), (0, -24), (12, -28), (-12, -28)]


class Point(NamedTuple):
    """What something costs and how good it is: ``values`` one for each seed, their mean within [``low``, ``high``]."""

    name: str
    cost: float
    values: Sequence[float]
    low: float | None = None
    high: float | None = None
    baseline: bool = False

    @property
    def mean(self) -> float:
        return sum(self.values) / len(self.values)


class Interval(NamedTuple):
    """A value within [``low``, ``high``] of the series ``number``."""

    number: int
    value: float
    low: float
    high: float


def line_plot(panel: Panel, label: str, prefix: str) -> Markup:
    """Lines of one panel; they are named outside, by `legend_of`."""
    with matplotlib.rc_context(STYLE):
        figure, axis = _axes()
        for line in panel.lines:
            axis.plot(line.x, line.y, line.style, marker=line.marker, color=line.color)
        axis.set_xscale(panel.scale[0])
        axis.set_yscale(panel.scale[1])
        _plain_numbers(axis, panel.scale)
        if panel.ticks is not None:
            axis.set_xticks(panel.ticks, [f"{tick:g}" for tick in panel.ticks])
            axis.set_xticks([], minor=True)
        _words(axis, panel.title, panel.x_label, panel.y_label)
        return themed_svg(figure, label, prefix)


def cost_plot(points: Sequence[Point], x_label: str, y_label: str, label: str, prefix: str) -> Markup:
    """Values against cost: dots are seeds, the bold mark their mean, the line its interval; what nothing beats is named.

    A point is not beaten where no other costs less and has a greater mean. Names that would cover another are left out: the table
    beside the plot has all of them.
    """
    best = {point.name for point in points if not any(beats(other, point) for other in points)}
    with matplotlib.rc_context(STYLE):
        figure, axis = _axes((SIZE[0], 3.5))
        costs = [point.cost for point in points]
        log = max(costs) > 8 * min(costs) > 0
        axis.set_xscale("log" if log else "linear")
        front = sorted((point for point in points if point.name in best), key=lambda point: point.cost)
        axis.plot(
            [p.cost for p in front], [p.mean for p in front], "-", color=series(0), linewidth=0.9, alpha=0.6, zorder=1
        )
        for point in points:
            color = series(1) if point.baseline else series(0) if point.name in best else MUTED
            if point.low is not None:
                axis.plot([point.cost] * 2, [point.low, point.high], "-", color=color, linewidth=1.1, zorder=2)
            axis.plot(
                [point.cost] * len(point.values), point.values, " ", marker="_", markersize=7, color=color, zorder=2
            )
            marker = "s" if point.baseline else "o"
            axis.plot([point.cost], [point.mean], " ", marker=marker, markersize=5, color=color, zorder=3)
        axis.margins(x=0.14, y=0.1)
        _plain_numbers(axis, ("log" if log else "linear", "linear"))
        _words(axis, "", x_label, y_label)
        order = sorted(points, key=lambda p: (not p.baseline, p.name not in best, -p.mean))
        spans = [(p.cost, min(p.low or p.mean, *p.values), max(p.high or p.mean, *p.values)) for p in points]
        _names(figure, axis, [(p.cost, p.mean, p.name, p.baseline or p.name in best) for p in order], spans)
        return themed_svg(figure, label, prefix)


def beats(one: Point, other: Point) -> bool:
    """Whether ``one`` costs no more and has a greater mean, or costs less and has the same.

    >>> beats(Point("a", 1, [70]), Point("b", 2, [69])), beats(Point("a", 1, [70]), Point("b", 0.5, [69]))
    (True, False)
    """
    return one.cost <= other.cost and one.mean >= other.mean and (one.cost, one.mean) != (other.cost, other.mean)


def interval_plot(
    rows: Sequence[tuple[str, Sequence[Interval]]],
    x_label: str,
    title: str,
    label: str,
    prefix: str,
    limits: tuple[float, float] | None = (-2, 102),
) -> Markup:
    """One line for each row, on it values of several series with their intervals; ``limits`` None: as wide as they are."""
    with matplotlib.rc_context(STYLE):
        figure, axis = _axes((SIZE[0], 0.75 + 0.36 * len(rows)))
        for at, (_, intervals) in enumerate(rows):
            for interval in intervals:
                y = at + 0.2 * (interval.number - 1)
                color, marker = series(interval.number), "osD^"[interval.number % 4]
                axis.plot([interval.low, interval.high], [y, y], "-", color=color, linewidth=1.3)
                axis.plot([interval.value], [y], " ", marker=marker, color=color)
        axis.set_ylim(len(rows) - 0.4, -0.6)
        axis.set_yticks(range(len(rows)), [name for name, _ in rows])
        if limits is not None:
            axis.set_xlim(*limits)
        axis.grid(visible=False, axis="y")
        _words(axis, title, x_label, "")
        return themed_svg(figure, label, prefix)


def heat_map(
    values: np.ndarray,
    rows: Sequence[str],
    columns: Sequence[str],
    words: tuple[str, str, str],
    label: str,
    prefix: str,
    *,
    pattern: str | None = "{:.1f}",
    limits: tuple[float, float] | None = None,
    log: bool = False,
) -> Markup:
    """A matrix as colours, with its numbers by ``pattern``; ``words``: title, name of the columns, name of the rows."""
    shown = np.asarray(values, dtype=np.float64)
    finite = shown[(shown > 0) & np.isfinite(shown)] if log else shown[np.isfinite(shown)]
    low, high = limits or ((float(finite.min()), float(finite.max())) if finite.size else (0.0, 1.0))
    high = high if high > low else low + 1
    norm = (LogNorm if log else Normalize)(low, high, clip=True)
    colors = matplotlib.colormaps["viridis"]
    with matplotlib.rc_context(STYLE | {"axes.grid": False}):
        side = min(0.62, 3.3 / max(len(columns), 1))
        height = min(0.46, side) if pattern else side
        figure, axis = _axes((1.0 + side * len(columns), 0.85 + height * len(rows)))
        for v, row in enumerate(shown):
            for u, value in enumerate(row):
                known = bool(np.isfinite(value))
                color = colors(norm(value)) if known else RULE
                square = [u - 0.48, u + 0.48, u + 0.48, u - 0.48], [v - 0.48, v - 0.48, v + 0.48, v + 0.48]
                axis.fill(*square, color=color, alpha=None if known else 0.35, linewidth=0)
                if pattern and known:
                    dark = np.dot(color[:3], (0.299, 0.587, 0.114)) < 0.55
                    text = pattern.format(value)
                    axis.text(u, v, text, ha="center", va="center", fontsize=8, color="#ffffff" if dark else "#111111")
        axis.set_xlim(-0.55, len(columns) - 0.45)
        axis.set_ylim(len(rows) - 0.45, -0.55)
        axis.set_xticks(range(len(columns)), columns)
        axis.set_yticks(range(len(rows)), rows)
        for spine in axis.spines.values():
            spine.set_visible(False)
        _words(axis, *words)
        return themed_svg(figure, label, prefix)


def _axes(size: tuple[float, float] = SIZE) -> tuple[Figure, Axes]:
    figure = Figure(figsize=size, layout="constrained")
    FigureCanvasAgg(figure)  # which measures text
    return figure, figure.subplots()


def _words(axis: Axes, title: str, x_label: str, y_label: str) -> None:
    axis.set_title(title, loc="left")
    axis.set_xlabel(x_label)
    axis.set_ylabel(y_label)


def _plain_numbers(axis: Axes, scale: tuple[str, str]) -> None:
    """Ticks as plain numbers, a few of them."""
    for one, kind in ((axis.xaxis, scale[0]), (axis.yaxis, scale[1])):
        if kind == "linear":
            one.set_major_locator(MaxNLocator(5, steps=[1, 2, 2.5, 5, 10]))
        else:
            one.set_minor_formatter(NullFormatter())
        one.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,g}"))


def _names(
    figure: Figure,
    axis: Axes,
    points: Sequence[tuple[float, float, str, bool]],
    spans: Sequence[tuple[float, float, float]],
) -> None:
    """Names beside points, in order, where they cover neither another nor a span (x, low, high).

    Important ones (True) go farther off where there is no room; others are named only where no other point is near.
    """
    figure.canvas.draw()
    frame = axis.get_window_extent()
    marks = axis.transData.transform([point[:2] for point in points])
    taken = []
    for x, low, high in spans:
        (left, bottom), (_, top) = axis.transData.transform([(x, low), (x, high)])
        taken.append(Bbox([(left - 4, bottom - 2), (left + 4, top + 2)]))
    for at, (x, y, name, important) in enumerate(points):
        away = np.hypot(*(marks - marks[at]).T)
        if not important and np.sort(away)[1:2].min(initial=np.inf) < NEAR:
            continue
        for shift in FAR_OFF if important else FAR_OFF[:8]:
            places = {
                "ha": ("center", "left", "right")[int(np.sign(shift[0]))],
                "va": ("center", "bottom", "top")[int(np.sign(shift[1]))],
            }
            text = axis.annotate(
                name,
                (x, y),
                shift,
                textcoords="offset points",
                fontsize=8.5,
                color=INK if important else MUTED,
                **places,
            )
            box = text.get_window_extent()
            inside = frame.x0 <= box.x0 and box.x1 <= frame.x1 and frame.y0 <= box.y0 and box.y1 <= frame.y1
            if inside and not any(box.overlaps(other) for other in taken):
                taken.append(box)
                break
            text.remove()


def themed(panel: Panel) -> Panel:
    """A panel in the colours of a page: those of a colour map become steps, in their order; C0, C1, ... series; grays text."""
    ramp = list(dict.fromkeys(line.color for line in panel.lines if isinstance(line.color, tuple)))

    def color(given: str | tuple[float, ...]) -> str:
        if isinstance(given, tuple):
            return step(ramp.index(given), len(ramp))
        if given[:1] == "C" and given[1:].isdigit():
            return series(int(given[1:]))
        return {"gray": MUTED, "black": INK}.get(given, given)

    return panel._replace(lines=[line._replace(color=color(line.color)) for line in panel.lines])
