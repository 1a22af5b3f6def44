"""Which frequencies a network learns when: rows of experiments/low_frequencies_first.py to panels and to a summary.

A row is one run on pictures of a ``form``: their power by ring of the frequency plane, and at some steps of training the
accuracy on low-passed and high-passed pictures, and the spectra of the first filters' change and of the error.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import matplotlib
import numpy as np

from dctnet.report.figures import Line, Panel

CHANCE = 10.0  # top-1 in percent of ten classes
LEAST = 4.0  # points of top-1 that are told from nothing on 1000 files
ENDS = {"first": 0, "last": -1}
TICKS = (0, 4, 8, 12, 16)
NYQUIST = 16  # beyond it the rings are corners of the frequency plane


def columns_of(found: dict[str, Any]) -> list[list[Panel]]:
    """A column of panels for each form of the pictures, the mean over seeds."""
    columns = []
    for form in dict.fromkeys(row["form"] for row in found["rows"]):
        runs = [row for row in found["rows"] if row["form"] == form]
        columns.append([*accuracies(runs, found["radii"]), *spectra(runs, np.array(found["counts"]))])
        columns[-1][0] = columns[-1][0]._replace(title=f"pictures {form}")
    return columns


def accuracies(runs: list[dict[str, Any]], radii: list[int]) -> list[Panel]:
    """Top-1 on low-passed and on high-passed pictures against the step."""
    steps = [point["step"] for point in runs[0]["points"]][1:]
    whole = Line(steps, of_points(runs, lambda point: point["top1"])[1:], "all rings", "black", "--")
    panels = []
    for kind, words in (("low", "up to"), ("high", "above")):
        lines = [whole]
        for number, radius in enumerate(radii):
            top1 = of_points(runs, lambda point, kind=kind, number=number: point[kind][number]["top1"])[1:]
            color = matplotlib.colormaps["viridis"](0.95 * number / (len(radii) - 1))
            lines.append(Line(steps, top1, f"{words} {radius}", color, marker="."))
        panels.append(Panel("", "step", f"top-1 (%), rings {words} r", lines, ("log", "linear")))
    return panels


def spectra(runs: list[dict[str, Any]], counts: np.ndarray) -> list[Panel]:
    """The filters' change and the error by ring at some of the steps."""
    steps = [point["step"] for point in runs[0]["points"]]
    last = len(steps) - 1
    shown = [0, 1, last // 3, 2 * last // 3, last]
    seen, given = (share(np.mean([run[name] for run in runs], 0), counts) for name in ("patches", "input"))
    change, error = (of_points(runs, lambda point, name=name: point[name]) for name in ("change", "error"))
    panels = []
    for words, places, scale, values in (
        ("filters' change / seen", shown[1:], "linear", lambda place: share(change[place], counts) / seen),
        ("error", shown, "log", lambda place: share(error[place], counts)),
        ("error x picture", shown, "log", lambda place: share(error[place] * given, counts)),
    ):
        lines = []
        for place in places:
            color = matplotlib.colormaps["plasma"](0.85 * shown.index(place) / (len(shown) - 1))
            lines.append(Line(range(NYQUIST + 1), values(place)[: NYQUIST + 1], f"step {steps[place]}", color))
        panels.append(Panel("", "cycles a picture", words, lines, ("linear", scale), TICKS))
    return panels


def of_points(runs: list[dict[str, Any]], value: Callable[[dict[str, Any]], float]) -> np.ndarray:
    """A value of each point, the mean over the runs."""
    return np.mean([[value(point) for point in run["points"]] for run in runs], 0)


def share(spectrum: np.ndarray, counts: np.ndarray) -> np.ndarray:
    """The power of a coefficient of each ring over the power of all coefficients."""
    return spectrum / (counts * spectrum).sum()


def mean_ring(spectrum: np.ndarray, counts: np.ndarray) -> float:
    """The ring at which the power lies in the mean.

    >>> mean_ring(np.array([1.0, 0.5, 0.0]), np.array([1, 2, 4]))
    0.5
    """
    return float(np.arange(len(counts)) @ (counts * share(spectrum, counts)))


def reached(steps: Sequence[int], values: Sequence[float], start: float, part: float = 0.9) -> float | None:
    """The step at which ``values`` first are ``part`` of the way from ``start`` to their last, between steps by their logarithm.

    None where the way is less than ``LEAST``.

    >>> reached([10, 100, 1000], [10, 55, 60], start=10)
    100.0
    """
    goal = start + part * (values[-1] - start)
    if values[-1] - start < LEAST:
        return None
    after = int(np.argmax(np.asarray(values) >= goal))
    if after == 0:
        return float(steps[0])
    log = np.interp(goal, values[after - 1 : after + 1], np.log(steps[after - 1 : after + 1]))
    return round(float(np.exp(log)), 6)


def summary(found: dict[str, Any]) -> list[dict[str, object]]:
    """For each form and seed, when accuracies are reached and where in the spectrum the filters changed and errors lie."""
    counts = np.array(found["counts"])
    rows = []
    for run in found["rows"]:
        points = run["points"][1:]
        steps, whole = [point["step"] for point in points], [point["top1"] for point in points]
        row = {"form": run["form"], "seed": run["seed"], "top1": whole[-1], "all": reached(steps, whole, CHANCE)}
        for number, radius in enumerate(found["radii"]):
            for kind in ("low", "high"):
                kept = [point[kind][number]["top1"] for point in points]
                row |= {f"{kind}{radius}_top1": kept[-1], f"{kind}{radius}": reached(steps, kept, CHANCE)}
        row["seen"] = mean_ring(np.array(run["patches"]), counts)
        row |= {f"change_{when}": mean_ring(np.array(points[at]["change"]), counts) for when, at in ENDS.items()}
        row |= {f"error_{when}": mean_ring(np.array(points[at]["error"]), counts) for when, at in ENDS.items()}
        rows.append(row)
    return rows
