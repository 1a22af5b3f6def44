"""Accuracy against cost: plane paths, block sizes, band limits, and layers that compress inside."""

from __future__ import annotations

from statistics import mean
from typing import Any

from dctnet.findings.grids import MAKE, grid_part
from dctnet.findings.provenance import origin, question
from dctnet.findings.result_files import Result, Results
from dctnet.findings.twins import is_of_twins, twins_part
from dctnet.report.html import Markup, element, join, slug
from dctnet.report.html_table import Cell, html_table, number
from dctnet.report.page import absent, figure_box, legend, table_box
from dctnet.report.plots import Point, cost_plot
from dctnet.report.svg import MUTED, series


def cost_part(results: Results) -> Markup:
    """All grids and single runs, each with its question."""
    timed = {result.name for result in results.of("models")}
    found = sorted(results.of("grid", "runs"), key=lambda result: result.name not in timed)
    parts: list[Any] = [absent("Grids of networks", MAKE)] if not found else []
    for result in found:
        part = twins_part(result) if is_of_twins(result) else grid_part(result, results, result.name)
        parts += [element("h3", question(result)), part]
    for kind, (part, what, command) in OTHERS.items():
        some = results.of(kind)
        parts += [] if some else [absent(what, command)]
        for result in some:
            parts += [element("h3", question(result)), part(result)]
    return join(parts)


def inside(result: Result) -> Markup:
    """Variants of a small network: accuracy against time and multiply-adds."""
    plots = []
    for at, (words, cost) in enumerate(
        (("training time over that of the plain network", "time"), ("million multiply-adds", "multiply_adds"))
    ):
        scale = 1e-6 if cost == "multiply_adds" else 1
        points = [
            Point(row["variant"], scale * row[cost], row["top1"], baseline=row["variant"] == "plain")
            for row in result.rows
        ]
        label = f"{result.name}: top-1 against {words}"
        plots.append(cost_plot(points, words, "top-1 (%)", label, f"{slug(result.path)}-{at}"))
    rows = [
        [
            row["variant"],
            number(row.get("parameters"), "{:,}"),
            number(row["multiply_adds"] / 1e6, "{:.1f}"),
            number(row["time"], "{:.2f}"),
            _spread(row.get("spread")),
            number(mean(row["top1"]), "{:.1f}"),
            Cell(" / ".join(f"{top:.1f}" for top in row["top1"]), mean(row["top1"]), "number"),
        ]
        for row in result.rows
    ]
    heads = ["network", "parameters", "MMAC", "training time", "spread", "top-1 (%)", "seeds"]
    colors = [("not beaten", series(0)), ("the plain network", series(1)), ("beaten", MUTED)]
    caption = "Bold marks are means over seeds, ticks the seeds."
    return join(
        figure_box(plots, caption, origin(result), legend(colors)),
        table_box(html_table(heads, rows, f"{result.name}: what layers that compress keep, and cost"), []),
    )


def training_with_spectra(result: Result) -> Markup:
    """Top-1 by the form in which activations are kept for the backward pass."""
    found: dict[tuple[Any, ...], list[Any]] = {}
    for row in result.rows:
        found.setdefault((row["format"], row["keep"]), []).append(row)
    rows = [
        [
            form,
            number(keep),
            number(100 * same[0]["share"], "{:.0f}"),
            number(mean(row["top1"] for row in same), "{:.1f}"),
            " / ".join(f"{row['top1']:.1f}" for row in sorted(same, key=lambda row: row["seed"])),
        ]
        for (form, keep), same in found.items()
    ]
    heads = ["kept as", "bands kept", "memory (%)", "top-1 (%)", "seeds"]
    return table_box(html_table(heads, rows, f"{result.name}: activations kept as spectra"), origin(result))


def scales(result: Result) -> Markup:
    """Top-1 by the size to which validation files are resized."""
    sizes = list(result.head["finest_band"])
    rows = [["finest band over that of training", *(number(result.head["finest_band"][s], "{:.2f}") for s in sizes)]]
    rows += [
        [f"{row['run']}, top-1 (%)", *(number(row["top1"].get(s), "{:.1f}") for s in sizes)] for row in result.rows
    ]
    table = html_table(
        ["resized to", *(f"{s} px" for s in sizes)], rows, f"{result.name}: accuracy by the scale of validation"
    )
    return table_box(table, origin(result))


def _spread(pair: list[float] | None) -> Cell:
    return Cell("", None) if pair is None else Cell(f"{pair[0]:.2f} to {pair[1]:.2f}", pair[0], "number")


OTHERS = {
    "inside": (
        inside,
        "Layers that compress inside",
        "python experiments/inside.py data/digits --out experiments/inside.json",
    ),
    "training with spectra": (
        training_with_spectra,
        "Training with packed activations",
        "python experiments/compressed_activations.py data/digits --out experiments/compressed_activations.json",
    ),
    "scales": (
        scales,
        "Scales of validation",
        "python experiments/validation_scale.py data/cifar10 RUNS --out experiments/validation_scale.json",
    ),
}
