"""What is lost where convolutions drop a part of the spectrum: curves, the crossed table as a heat map, noise."""

from __future__ import annotations

from statistics import mean

import numpy as np

from dctnet.findings.band_limits import PUBLISHED, clean, of_pictures, of_series, same, seeds_of, values
from dctnet.findings.provenance import origin, question, validation_files
from dctnet.findings.result_files import Result, Results
from dctnet.report.html import Markup, element, join, slug
from dctnet.report.html_table import Cell, html_table, number
from dctnet.report.page import absent, figure_box, legend_of, table_box
from dctnet.report.plots import heat_map, line_plot, themed
from dctnet.robustness.intervals import wilson

MAKE = (
    "python experiments/bandlimited_rates.py data/cifar10 runs/bandlimited --every 4 "
    "--out experiments/cifar10_bandlimited_rates.json"
)


def band_limits_part(results: Results) -> Markup:
    """Each result of rates."""
    found = results.of("rates")
    if not found:
        return absent("Networks with band-limited convolutions", MAKE)
    return join([[element("h3", question(result)), element("p", _what(result)), rates(result)] for result in found])


def _what(result: Result) -> str:
    if _of_series(result):
        names = ", ".join(values(result.rows, "set"))
        return f"Time series of the UCR archive: {names}. Means over sets weigh each set the same."
    count = validation_files(result)
    counted = f" Accuracy is counted on {count:,} validation files." if count else ""
    return (
        "Pictures; with noise where a row has some. The dashed line is the published network, trained for far longer: what can "
        f"be compared is how much is lost at which rate, not the level.{counted}"
    )


def rates(result: Result) -> Markup:
    """Curves, the crossed heat map, the table of each rate."""
    rows = result.rows
    prefix = slug(result.path)
    panels = [themed(panel) for panel in (of_series(rows) if _of_series(result) else of_pictures(rows))]
    if not _of_series(result) and not any(row.get("noise", 0) for row in rows):
        panels = panels[:1]
    plots = [line_plot(panel, f"{result.name}: {panel.title}", f"{prefix}-{at}") for at, panel in enumerate(panels)]
    names = [panel.lines for panel in panels]
    legends = legend_of([line for lines in (names[:1] if not _of_series(result) else names) for line in lines])
    quiet = clean(rows)
    trained, tested = values(quiet, "trained"), values(quiet, "tested")
    matrix = np.full((len(trained), len(tested)), np.nan)
    for v, a in enumerate(trained):
        for u, b in enumerate(tested):
            tops = seeds_of([row for row in quiet if (row["trained"], row["tested"]) == (a, b)])
            matrix[v, u] = mean(tops) if tops else np.nan
    words = ("top-1 (%), mean of the seeds", "dropped in testing (%)", "dropped in training (%)")
    marks = [[f"{100 * rate:.0f}" for rate in some] for some in (trained, tested)]
    heat = heat_map(matrix, *marks, words, f"{result.name}: top-1 by both rates", f"{prefix}-crossed")
    caption = "Lines are means over seeds, dots the seeds. The heat map crosses the rates of training and of testing."
    return join(figure_box([*plots, heat], caption, origin(result), legends), table_box(rate_table(result), []))


def rate_table(result: Result) -> Markup:
    """Each rate, the same in training and testing, beside the nearest published one, with Wilson's interval; and under noise."""
    rows = same(result.rows)
    count = None if _of_series(result) else validation_files(result)
    noises = [noise for noise in values(rows, "noise") if noise] if all("noise" in row for row in rows) else []
    heads = ["dropped", "top-1 (%)", "seeds", *(["95 % interval"] if count else [])]
    heads += [f"under noise {noise:g}" for noise in noises]
    heads += [] if _of_series(result) else ["published at", "published top-1 (%)"]
    lines = []
    for rate in values(rows, "trained"):
        here = [row for row in rows if row["trained"] == rate]
        tops = seeds_of(clean(here))
        top = mean(tops)
        line = [Cell(f"{100 * rate:.0f} %", rate), number(top, "{:.1f}"), " / ".join(f"{t:.1f}" for t in tops)]
        if count:
            low, high = wilson(round(top * count / 100), count)
            line.append(Cell(f"{100 * low:.1f} to {100 * high:.1f}", low, "number"))
        for noise in noises:
            loud = seeds_of([row for row in here if row["noise"] == noise])
            line.append(number(mean(loud) if loud else None, "{:.1f}"))
        if not _of_series(result):
            near = min(PUBLISHED, key=lambda percent, rate=rate: abs(percent - 100 * rate))
            line += [number(near, "{:g} %"), number(PUBLISHED[near], "{:.1f}")]
        lines.append(line)
    return html_table(heads, lines, f"{result.name}: the same rate in training and testing")


def _of_series(result: Result) -> bool:
    return "set" in result.rows[0]
