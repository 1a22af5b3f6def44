"""What networks lose that were trained at one compression of their convolutions and tested at another: rows to panels.

A row has ``trained`` and ``tested``, the shares of the spectrum that are dropped, ``top1`` in percent and its ``seed``; of
pictures ``noise`` in gray levels as well, of time series their ``set``. Lines are means over seeds (and sets), dots the seeds.
``PUBLISHED`` are the accuracies of A. Dziedzic et al., "Band-limited training and inference for convolutional neural networks",
ICML 2019: ResNet-18 on CIFAR-10, the same rate in both.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from statistics import mean
from typing import Any

import matplotlib

from dctnet.report.figures import Line, Panel

# Percent of the spectrum dropped, in training and in testing, to top-1 in percent.
PUBLISHED = {
    0: 93.69,
    8.4: 93.42,
    17.8: 93.06,
    24: 93.16,
    29.3: 92.89,
    39.2: 92.61,
    49: 91.95,
    53.5: 91.64,
    67.5: 89.71,
}
PUBLISHED |= {77.8: 87.97}

Rows = Sequence[dict[str, Any]]


def seeds_of(rows: Rows) -> list[float]:
    """Top-1 of each seed, in their order: the mean over what rows there are of it, of several sets."""
    return [mean(row["top1"] for row in rows if row["seed"] == seed) for seed in sorted({row["seed"] for row in rows})]


def clean(rows: Rows) -> list[dict[str, Any]]:
    """The rows without noise."""
    return [row for row in rows if row.get("noise", 0) == 0]


def same(rows: Rows) -> list[dict[str, Any]]:
    """The rows that are tested at the rate of their training."""
    return [row for row in rows if row["trained"] == row["tested"]]


def values(rows: Rows, name: str) -> list[Any]:
    return list(dict.fromkeys(sorted(row[name] for row in rows)))


def of_pictures(rows: Rows) -> list[Panel]:
    """Accuracy against the compression of testing; accuracy, and its share of that without noise, against the noise."""
    rates, quiet = values(rows, "trained"), clean(rows)
    noisy = same(rows)
    percent = [100 * rate for rate in rates]
    published = Line(list(PUBLISHED), list(PUBLISHED.values()), "published, the same in both", "gray", "--")
    against = [*rate_lines(quiet, rates, "tested", lambda tops, _: tops, 100), *diagonals(quiet, rates), published]
    sigma = {"x_label": "noise, sigma in gray levels", "ticks": values(noisy, "noise")}
    return [
        Panel("diamonds: tested as trained", "dropped in testing (%)", "top-1 (%)", against, ticks=percent),
        Panel(
            "under noise, tested as trained",
            y_label="top-1 (%)",
            lines=rate_lines(noisy, rates, "noise", lambda tops, _: tops),
            **sigma,
        ),
        Panel(
            "the same, over what it is without noise",
            y_label="top-1 (% of that without noise)",
            lines=rate_lines(noisy, rates, "noise", lambda t, of: [100 * a / b for a, b in zip(t, of, strict=True)]),
            **sigma,
        ),
    ]


def of_series(rows: Rows) -> list[Panel]:
    """Accuracy against the compression of testing, over all sets; and that of each set, the same in training and testing."""
    rates = values(rows, "trained")
    percent = [100 * rate for rate in rates]
    lines = [*rate_lines(rows, rates, "tested", lambda tops, _: tops, 100), *diagonals(rows, rates)]
    each = []
    for number, name in enumerate(values(rows, "set")):
        kept = [row for row in same(rows) if row["set"] == name]
        each += with_seeds(
            {100 * rate: seeds_of([r for r in kept if r["tested"] == rate]) for rate in rates}, name, f"C{number}"
        )
    return [
        Panel(
            "mean of the sets; diamonds: tested as trained", "dropped in testing (%)", "top-1 (%)", lines, ticks=percent
        ),
        Panel("the same in both", "dropped in training and testing (%)", "top-1 (%)", each, ticks=percent),
    ]


def rate_lines(
    rows: Rows,
    rates: Sequence[float],
    by: str,
    change: Callable[[list[float], list[float]], list[float]],
    times: float = 1,
) -> list[Line]:
    """A line for each rate of training against ``times`` the entry ``by``; ``change`` has the seeds there and at its lowest."""
    lines = []
    for number, rate in enumerate(rates):
        held = [row for row in rows if row["trained"] == rate]
        tops = {times * at: seeds_of([row for row in held if row[by] == at]) for at in values(held, by)}
        first = tops[min(tops)]
        lines += with_seeds(
            {at: change(found, first) for at, found in tops.items()}, f"trained at {rate:.0%}", shade(number, rates)
        )
    return lines


def with_seeds(tops: dict[float, list[float]], name: str, color: Any) -> list[Line]:
    """The line of the means, and dots of the seeds."""
    dots = [(at, top1) for at, found in tops.items() for top1 in found]
    line = Line(list(tops), [mean(found) for found in tops.values()], name, color)
    return [line, Line(*zip(*dots, strict=True), None, color, " ", ".")]


def diagonals(rows: Rows, rates: Sequence[float]) -> list[Line]:
    """A diamond where networks are tested at the rate of their training."""
    lines = []
    for number, rate in enumerate(rates):
        tops = seeds_of([row for row in same(rows) if row["trained"] == rate])
        lines.append(Line([100 * rate], [mean(tops)], None, shade(number, rates), " ", "D"))
    return lines


def shade(number: int, rates: Sequence[float]) -> tuple[float, ...]:
    return matplotlib.colormaps["viridis"](0.9 * number / max(1, len(rates) - 1))
