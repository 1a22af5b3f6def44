"""Grids of runs: each network's accuracy, seed by seed, beside what it costs."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from statistics import mean, median
from typing import Any, NamedTuple

from dctnet.findings.provenance import origin, validation_files
from dctnet.findings.result_files import Result, Results, Row
from dctnet.report.html import Markup, element, join, slug
from dctnet.report.html_table import Cell, html_table, number
from dctnet.report.page import figure_box, legend, table_box
from dctnet.report.plots import Point, cost_plot
from dctnet.report.svg import MUTED, series
from dctnet.robustness.intervals import wilson

MAKE = "python experiments/run.py experiments/cifar10_planes.yaml data/cifar10 experiments/cifar10_planes.jsonl"


SPEEDS = ("images_per_second", "series_per_second")


class Line(NamedTuple):
    """The runs of one name: a row of them, and top-1 of each seed."""

    row: Row
    tops: list[float]

    @property
    def mean(self) -> float:
        return mean(self.tops)


class Cost(NamedTuple):
    """A way to count cost: words for an axis, a heading, the value of a row, and the format of its cells."""

    axis: str
    heading: str
    of: Callable[[Row], float | None]
    pattern: str


def grid_lines(rows: Sequence[Row]) -> dict[str, Line]:
    """The runs by their names; of two rows with one name and seed the later counts.

    >>> rows = [{"name": "a", "seed": s, "top1": t} for s, t in ((1, 70.0), (0, 60.0), (0, 61.0))]
    >>> grid_lines(rows)["a"].tops
    [61.0, 70.0]
    """
    found: dict[str, dict[int, Row]] = {}
    for row in rows:
        found.setdefault(str(row.get("name", row.get("run", ""))), {})[row.get("seed", 0)] = row
    return {
        name: Line(_middle(list(seeds.values())), [seeds[s]["top1"] for s in sorted(seeds)])
        for name, seeds in found.items()
    }


def _middle(rows: Sequence[Row]) -> Row:
    """The first row of several seeds, with the median of their speeds."""
    speeds = {key: median(row[key] for row in rows) for key in SPEEDS if all(key in row for row in rows)}
    return rows[0] | speeds


def costs(result: Result, results: Results) -> list[Cost]:
    """What cost is known of all rows of a result, and differs among them."""
    timed = _timed(result, results)
    time = {row["label"]: 1 / row["train"]["ratio"] for row in timed.rows} if timed else {}
    known = [
        Cost("million multiply-adds a picture", "MMAC", lambda row: _times(1e3, row.get("gmac")), "{:.1f}"),
        Cost("parameters (M)", "parameters (M)", lambda row: row.get("parameters_m"), "{:.2f}"),
        Cost(
            "time of a training step over that on pixels",
            "training time",
            lambda row: time.get(row.get("name")),
            "{:.2f}",
        ),
        Cost(
            "milliseconds a picture, in the training itself",
            "ms a picture",
            lambda row: _times(1e3, _inverse(row.get("images_per_second", row.get("series_per_second")))),
            "{:.1f}",
        ),
    ]
    lines = grid_lines(result.rows).values()
    return [cost for cost in known if all(cost.of(line.row) is not None for line in lines)]


def _timed(result: Result, results: Results) -> Result | None:
    """The benchmark of the networks of a grid: of its name, or bench_NAME in its folder, as the suite calls it."""
    found = [r for r in results.of("models") if r.name in (result.name, f"bench_{result.name}")]
    return next((r for r in found if r.folder == result.folder), next((r for r in found if not r.quick), None))


def plotted(found: Sequence[Cost], lines: Sequence[Line]) -> list[Cost]:
    """The costs that a plot is made of: those that differ; the time of training itself where no benchmark timed it."""
    vary = [cost for cost in found if len({cost.of(line.row) for line in lines}) > 1]
    timed = any(cost.heading == "training time" for cost in vary)
    return [
        cost for cost in vary if cost.heading != "parameters (M)" and not (timed and cost.heading == "ms a picture")
    ]


def grid_part(result: Result, results: Results, title: str) -> Markup:
    """The plots and the table of a grid."""
    lines = grid_lines(result.rows)
    count = validation_files(result)
    found = costs(result, results)
    shown = plotted(found, list(lines.values())) if not _of_sets(result) else []
    timed = [one] if (one := _timed(result, results)) is not None else []
    plots = [
        cost_plot(
            [_point(name, line, cost.of(line.row), count) for name, line in lines.items()],
            cost.axis,
            "top-1 (%)",
            f"{title}: top-1 against {cost.axis}",
            f"{slug(result.path)}-{at}",
        )
        for at, cost in enumerate(shown)
        if len(lines) > 1
    ]
    interval = f", the vertical line Wilson's 95 % interval of their mean on {count:,} files" if count else ""
    colors = [("not beaten: nothing costs less and is better", series(0)), ("beaten", MUTED)]
    if any(_baseline(line.row) for line in lines.values()):
        colors.insert(1, ("on pixels", series(1)))
    shared = " Speeds of the training itself: other work may have shared the machine." if _untimed(shown) else ""
    figure = None
    if plots:
        caption = f"Bold marks are means over seeds, ticks the seeds{interval}. Farther up and left is better.{shared}"
        figure = figure_box(plots, caption, origin(result, *timed), legend(colors))
    return join(figure, table_box(grid_table(result, lines, found, count), [] if plots else origin(result)))


def grid_table(result: Result, lines: dict[str, Line], found: Sequence[Cost], count: int | None) -> Markup:
    """All names, with the entries in which they differ, costs, accuracy and its interval."""
    extra = [
        key
        for key in ("network", "set", "block_size", "epochs", "train_per_class")
        if len({str(line.row.get(key)) for line in lines.values()}) > 1
    ]
    heads = ["run", *(_HEADS.get(key, key) for key in extra), *(cost.heading for cost in found)]
    heads += ["top-1 (%)", "seeds", *(["95 % interval"] if count else [])]
    rows = []
    for name, line in lines.items():
        row: list[Any] = [element("code", name), *(_extra(key, line.row) for key in extra)]
        row += [number(cost.of(line.row), cost.pattern) for cost in found]
        row += [number(line.mean, "{:.1f}"), Cell(" / ".join(f"{top:.1f}" for top in line.tops), line.mean, "number")]
        if count:
            low, high = _interval(line.mean, count)
            row.append(Cell(f"{low:.1f} to {high:.1f}", low, "number"))
        rows.append(row)
    return html_table(heads, rows, f"{result.name}: accuracy and cost of each run")


_HEADS = {"block_size": "blocks", "train_per_class": "training files a class"}


def _extra(key: str, row: Row) -> Cell:
    value = row.get(key)
    if key == "block_size":
        shown = "pixels" if value == 1 else str(value) if isinstance(value, int) else ", ".join(map(str, value or []))
        return Cell(shown, str(value))
    return Cell("" if value is None else str(value), None if value is None else str(value))


def _interval(top1: float, count: int) -> tuple[float, float]:
    """Wilson's interval of a top-1 in percent on so many files, in percent."""
    low, high = wilson(min(count, max(0, round(top1 * count / 100))), count)
    return 100 * low, 100 * high


def _point(name: str, line: Line, cost: float | None, count: int | None) -> Point:
    bounds = _interval(line.mean, count) if count else (None, None)
    return Point(name, float(cost or 0.0), line.tops, *bounds, baseline=_baseline(line.row))


def _untimed(shown: Sequence[Cost]) -> bool:
    return any(cost.heading == "ms a picture" for cost in shown)


def _baseline(row: Row) -> bool:
    return str(row.get("network", "")).startswith("rgb_")


def _of_sets(result: Result) -> bool:
    return any("set" in row for row in result.rows)


def _times(factor: float, value: float | None) -> float | None:
    return None if value is None else factor * value


def _inverse(value: float | None) -> float | None:
    return 1 / value if value else None
