"""What is learned when, by frequency."""

from __future__ import annotations

from typing import Any

from dctnet.findings.low_frequencies import columns_of, summary
from dctnet.findings.provenance import origin, question
from dctnet.findings.result_files import Result, Results
from dctnet.report.html import Markup, element, join, slug
from dctnet.report.html_table import Cell, html_table
from dctnet.report.page import absent, figure_box, legend_of, table_box
from dctnet.report.plots import line_plot, themed

MAKE = "python experiments/low_frequencies_first.py data/cifar10 --out experiments/low_frequencies_first.json"
CAPTIONS = (
    "Accuracy where of each validation picture only the rings up to r are left, against the step of training.",
    "Accuracy where only the rings above r are left.",
    "The power of the first filters' change by ring, over that of what they see.",
    "The power of the error (the gradient with respect to the picture) by ring.",
    "The same times the power of the pictures.",
)


def low_frequencies_part(results: Results) -> Markup:
    """Each result on low frequencies."""
    found = results.of("low frequencies")
    if not found:
        return absent("Accuracy by frequency during training", MAKE)
    return join([[element("h3", question(result)), one(result)] for result in found])


def one(result: Result) -> Markup:
    """A row of panels for each quantity, a panel for each form of the pictures; when accuracy is reached."""
    whole = result.head | {"rows": list(result.rows)}
    columns = columns_of(whole)
    forms = list(dict.fromkeys(row["form"] for row in result.rows))
    figures = []
    for at, (caption, row) in enumerate(zip(CAPTIONS, zip(*columns, strict=True), strict=True)):
        panels = [themed(panel)._replace(title=f"pictures {form}") for form, panel in zip(forms, row, strict=True)]
        plots = [
            line_plot(panel, f"{caption} {panel.title}", f"{slug(result.path)}-{at}-{slug(panel.title)}")
            for panel in panels
        ]
        figures.append(figure_box(plots, f"{caption} Means over seeds.", origin(result), legend_of(panels[0].lines)))
    return join(figures, table_box(when_table(result, forms), [], _NOTE))


_NOTE = (
    "The step at which accuracy came to nine tenths of what it is at the end, above chance; a dash where it stays within 4 "
    "points of chance. Two numbers are two seeds."
)


def when_table(result: Result, forms: list[str]) -> Markup:
    """Top-1 in the end, and the step at which it was nearly there, for each part of the spectrum and form of the pictures."""
    runs = summary(result.head | {"rows": list(result.rows)})
    radii = result.head["radii"]
    parts = [(f"rings up to {r}", f"low{r}_top1", f"low{r}") for r in radii] + [("all", "top1", "all")]
    parts += [(f"rings above {r}", f"high{r}_top1", f"high{r}") for r in radii]
    rows = []
    for place, (name, top, step) in enumerate(parts):
        row: list[Any] = [Cell(name, place)]
        for form in forms:
            of_form = [run for run in runs if run["form"] == form]
            tops, steps = [run[top] for run in of_form], [run[step] for run in of_form]
            row.append(Cell(" / ".join(f"{value:.1f}" for value in tops), sum(tops), "number"))
            known = [value for value in steps if value is not None]
            shown = " / ".join("-" if value is None else f"{value:.0f}" for value in steps)
            row.append(Cell(shown, sum(known) / len(known) if known else None, "number"))
        rows.append(row)
    heads = ["left of the picture", *(f"{form}: {what}" for form in forms for what in ("top-1 (%)", "at step"))]
    return html_table(heads, rows, f"{result.name}: when accuracy on a part of the spectrum is reached")
