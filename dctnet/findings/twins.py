"""Augmentations on coefficients beside their twins on pixels: what each adds to the network that has none."""

from __future__ import annotations

from collections.abc import Sequence
from math import hypot, sqrt
from typing import NamedTuple

from dctnet.findings.grids import Line, grid_lines
from dctnet.findings.provenance import origin, validation_files
from dctnet.findings.result_files import Result, Row
from dctnet.findings.verdict import spread, standard_error
from dctnet.report.html import Markup, join, slug
from dctnet.report.html_table import Cell, html_table, number
from dctnet.report.page import figure_box, legend, table_box
from dctnet.report.plots import Interval, interval_plot
from dctnet.report.svg import series

SIDES = ("dct", "rgb")
NONE = "none"


class Twins(NamedTuple):
    """An augmentation: top-1 on coefficients and on pixels less that of ``none`` there, in points; None without such a row.

    ``errors`` are standard errors of these gains, as if the seeds were drawn anew and the files too.
    """

    name: str
    lines: tuple[Line | None, Line | None]
    gains: tuple[float | None, float | None]
    errors: tuple[float | None, float | None]

    @property
    def apart(self) -> float | None:
        """How far the gains lie from each other, in standard errors of their difference."""
        (a, b), (c, d) = self.gains, self.errors
        return None if a is None or b is None or c is None or d is None else (a - b) / sqrt(c * c + d * d)


def is_of_twins(result: Result) -> bool:
    """Whether a grid holds networks without augmentation on both sides."""
    return {f"{NONE}_{side}" for side in SIDES} <= {row.get("name") for row in result.rows}


def twins(rows: Sequence[Row], count: int | None) -> list[Twins]:
    """All augmentations of a grid whose rows are ``NAME_dct`` and ``NAME_rgb``, validated on ``count`` files.

    Standard errors are those of ``verdict.standard_error``.
    """
    lines = grid_lines(rows)
    between = spread(line.tops for line in lines.values())
    found = []
    for name in dict.fromkeys(name.rpartition("_")[0] for name in lines):
        both = [lines.get(f"{name}_{side}") for side in SIDES]
        plain = [lines[f"{NONE}_{side}"] for side in SIDES]
        pairs = list(zip(both, plain, strict=True))
        gains = [None if line is None else line.mean - base.mean for line, base in pairs]
        errors = [
            None if line is None else hypot(*(_error(one, count, between) for one in (line, base)))
            for line, base in pairs
        ]
        found.append(Twins(name, (both[0], both[1]), (gains[0], gains[1]), (errors[0], errors[1])))
    return [twin for twin in found if twin.name != NONE]


def _error(line: Line, count: int | None, between: float) -> float:
    return standard_error(count, line.mean, len(line.tops), between)


def twins_part(result: Result) -> Markup:
    """The gains of both sides, and where they differ."""
    count = validation_files(result)
    found = twins(result.rows, count)
    between = spread(line.tops for line in grid_lines(result.rows).values())
    rows = [
        [
            twin.name.replace("_", " "),
            *(_tops(line) for line in twin.lines),
            *(number(gain, "{:+.1f}") for gain in twin.gains),
            number(twin.apart, "{:+.1f}"),
        ]
        for twin in found
    ]
    base = grid_lines(result.rows)
    words = {"dct": "on coefficients", "rgb": "on pixels"}
    told = ", ".join(f"{words[side]} {base[f'{NONE}_{side}'].mean:.1f} %" for side in SIDES)
    heads = ["augmentation", "on coefficients (%)", "on pixels (%)", "gain on coefficients", "gain on pixels", "apart"]
    table = html_table(heads, rows, f"{result.name}: what each augmentation adds; without any: {told}")
    plotted = [
        (name, [_interval(at, line, count, between) for at, line in enumerate(lines) if line is not None])
        for name, lines in [("none", [base[f"{NONE}_{side}"] for side in SIDES])]
        + [(twin.name.replace("_", " "), twin.lines) for twin in found]
    ]
    plot = interval_plot(
        plotted, "top-1 (%)", "", f"{result.name}: top-1 with each augmentation", f"{slug(result.path)}-twins", None
    )
    caption = (
        "Means over seeds, and two standard errors of them. Gains are in points over the network without; apart: the difference "
        "of the two gains in its standard errors. In few steps no augmentation gains; what is compared is the twins."
    )
    colors = [("on coefficients", series(0)), ("on pixels", series(1))]
    return join(figure_box([plot], caption, origin(result), legend(colors)), table_box(table, []))


def _interval(at: int, line: Line, count: int | None, between: float) -> Interval:
    width = 2 * _error(line, count, between)
    return Interval(at, line.mean, line.mean - width, line.mean + width)


def _tops(line: Line | None) -> Cell:
    if line is None:
        return Cell("no twin", None)
    return Cell(" / ".join(f"{top:.1f}" for top in line.tops), line.mean, "number")
