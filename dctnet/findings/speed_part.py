"""Speed beside peers: reading, loading, transforms, networks, convolutions; with the machine and the ratios."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from dctnet.findings.provenance import machine, origin
from dctnet.findings.result_files import Result, Results, Row
from dctnet.report.figures import Line, Panel
from dctnet.report.html import Markup, element, join, slug
from dctnet.report.html_table import Cell, html_table, number
from dctnet.report.page import absent, figure_box, legend_of, table_box
from dctnet.report.plots import line_plot
from dctnet.report.svg import series

PAIRED = (
    "Ratios are medians of rounds in which each alternates with its baseline; in brackets the least and the greatest. Above 1: "
    "ours, or the network of the row, is faster."
)


def speed_part(results: Results) -> Markup:
    """Each kind of benchmark, each file a table."""
    parts: list[Any] = [element("p", PAIRED, class_="note")]
    for kind, (title, part, command) in PARTS.items():
        parts.append(element("h3", title))
        found = results.of(kind)
        parts += [part(result) for result in found] or [absent(title, command)]
    return join(parts)


def readers(result: Result) -> Markup:
    heads = ["reader", "images/s", "ours is faster by", "largest error"]
    rows = [
        [
            _reader(row),
            number(row["images_per_second"], "{:,.0f}"),
            _ratio(row) if row["reader"] != "dctnet" else Cell("", None),
            str(row.get("error", "")),
        ]
        for row in _present(result)
    ]
    files = f", {result.head['files']:,} files" if "files" in result.head else ""
    return _table(heads, rows, result, f"reading{files}")


def loaders(result: Result) -> Markup:
    heads = ["loader", "cores", "images/s", "ours is faster by", "peak MB"]
    rows = [
        [
            row["loader"],
            number(row["cores"]),
            number(row["images_per_second"], "{:,.0f}"),
            _ratio(row) if row["loader"] != "dctnet" else Cell("", None),
            number(row.get("memory"), "{:,.0f}"),
        ]
        for row in _present(result)
    ]
    return _table(heads, rows, result, "whole training batches")


def routes(result: Result) -> Markup:
    heads = ["route", "DALI carries", "threads", "images/s", "of the bare reader"]
    rows = [
        [
            row["route"],
            row.get("through_dali", ""),
            number(row["threads"]),
            number(row["images_per_second"], "{:,.0f}"),
            number(row.get("share"), "{:.2f}"),
        ]
        for row in _present(result)
    ]
    return _table(heads, rows, result, "coefficients through DALI")


def transforms(result: Result) -> Markup:
    heads = ["transform", "us a picture", "faster by", "error, float64", "float32", "mean error in RGB"]
    rows = [
        [
            row["transform"],
            number(row["us"], "{:,.0f}"),
            _ratio(row),
            number(row.get("float64"), "{:.0e}"),
            number(row.get("float32"), "{:.0e}"),
            number(row.get("rgb"), "{:.1f}"),
        ]
        for row in _present(result)
        if "us" in row and "ratio" in row
    ]
    return _table(heads, rows, result, "transforms beside torchvision's on decoded pixels")


def models(result: Result) -> Markup:
    heads = ["network", "parameters (M)", "GMAC", "forward faster by", "training faster by", "peak MB"]
    rows = [
        [
            row["label"],
            number(row["parameters"] / 1e6, "{:.2f}"),
            number(row["multiply_adds"] / 1e9, "{:.3f}"),
            _ratio(row["forward"]),
            _ratio(row["train"]),
            number(row["peak"] / 1e6 if row.get("peak") else None, "{:,.0f}"),
        ]
        for row in _present(result)
    ]
    size = result.head.get("size")
    return _table(heads, rows, result, f"networks at {size} px beside the one on pixels" if size else "networks")


def convolutions(result: Result) -> Markup:
    """Milliseconds against taps, a panel for each size of map; and ratios to the direct form."""
    rows = _present(result)
    ways = list(dict.fromkeys(row["way"] for row in rows))
    plots, panels = [], []
    for size in dict.fromkeys(row["size"] for row in rows):
        lines = []
        for number_, way in enumerate(ways):
            here = [row for row in rows if (row["size"], row["way"]) == (size, way)]
            taps, times = [row["kernel"] for row in here], [1e3 * row["train"]["seconds"] for row in here]
            lines.append(Line(taps, times, way, series(number_), "--" if number_ >= 8 else "-", "o"))
        ticks = sorted({row["kernel"] for row in rows})[::2]
        panels.append(Panel(f"{size} x {size} maps", "taps a side", "milliseconds", lines, ("log", "log"), ticks))
        plots.append(line_plot(panels[-1], f"{result.name}: {panels[-1].title}", f"{slug(result.path)}-{size}"))
    caption = "A forward and backward pass by the side of the filter; both axes are logarithmic."
    figure = figure_box(plots, caption, origin(result), legend_of(panels[0].lines))
    lines: dict[tuple[Any, ...], dict[str, Any]] = {}
    for row in rows:
        lines.setdefault((row["size"], row["kernel"]), {})[row["way"]] = row
    cells = [
        [
            Cell(f"{size} x {size}", size),
            number(kernel),
            *(number(line[way]["train"]["ratio"] if way in line else None, "{:.2g}") for way in ways),
        ]
        for (size, kernel), line in lines.items()
    ]
    table = _table(["map", "filter", *ways], cells, result, "time over that of the direct form, forward and backward")
    return join(figure, table)


def saved(result: Result) -> Markup:
    heads = ["kept as", "bands kept", "saved MB", "peak MB", "error of the gradient", "cosine"]
    rows = [
        [
            row["format"],
            number(row["keep"]),
            number(row["bytes"] / 1e6, "{:.1f}"),
            number(row["peak"] / 1e6 if row.get("peak") else None, "{:.0f}"),
            number(row["error"], "{:.3f}"),
            number(row.get("cosine"), "{:.3f}"),
        ]
        for row in _present(result)
    ]
    return _table(heads, rows, result, "what a training step saves, as spectra")


def imports(result: Result) -> Markup:
    heads = ["process", "beside", "seconds more", "seconds of processor time more"]
    rows = [
        [row["case"], row["reference"], *(number(row[clock]["more"], "{:.2f}") for clock in ("wall", "cpu"))]
        for row in _present(result)
    ]
    return _table(heads, rows, result, "starting a process: medians of what it takes more than the other")


def agreement(result: Result) -> Markup:
    heads = ["pictures", "same best class (%)", "accuracy (%)", "on pixels (%)", "logits differ by", "at most"]
    rows = [
        [
            row["pictures"],
            number(100 * row["agreement"], "{:.1f}"),
            number(100 * row["accuracy"], "{:.1f}"),
            number(100 * row["accuracy_pixels"], "{:.1f}"),
            number(row["mean_difference"], "{:.3f}"),
            number(row["largest_difference"], "{:.2f}"),
        ]
        for row in result.rows
        if "agreement" in row
    ]
    return _table(heads, rows, result, "a network trained on pixels, through coefficients and on pixels")


PARTS: dict[str, tuple[str, Callable[[Result], Markup], str]] = {
    "readers": ("Reading", readers, "dctnet bench read FOLDER --out benchmarks/read.json"),
    "loaders": ("Loading batches", loaders, "dctnet bench loaders FOLDER --out benchmarks/loaders.json"),
    "routes": ("Into DALI", routes, "dctnet bench dali FOLDER --out benchmarks/dali.json"),
    "transforms": ("Transforms", transforms, "dctnet bench transforms FOLDER --out benchmarks/transforms.json"),
    "models": ("Networks", models, "dctnet bench models --out benchmarks/models.json"),
    "convolutions": ("Convolutions", convolutions, "dctnet bench convolutions --out benchmarks/convolutions.json"),
    "saved spectra": ("Saved activations", saved, "dctnet bench activations --out benchmarks/activations.json"),
    "imports": ("Starting", imports, "dctnet bench imports --out benchmarks/imports.json"),
    "agreement": ("Trained on pixels", agreement, "dctnet bench pretrained FOLDER --out pretrained.json"),
}


def _table(heads: Sequence[str], rows: Sequence[Sequence[Any]], result: Result, what: str) -> Markup:
    caption = f"{result.name}: {what}; {machine(result)}"
    return table_box(html_table(heads, rows, caption), origin(result))


def _present(result: Result) -> list[Row]:
    """The rows of peers that were there."""
    return [row for row in result.rows if "missing" not in row]


def _reader(row: Row) -> str:
    return row["reader"] + (f", {row['speedup']:.2f}x one thread" if "speedup" in row else "")


def _ratio(row: Row) -> Cell:
    """A ratio with its spread."""
    if row.get("ratio") is None:
        return Cell("", None)
    spread = f" [{row['spread'][0]:.2f}, {row['spread'][1]:.2f}]" if "spread" in row else ""
    return Cell(f"{row['ratio']:.2f}x{spread}", row["ratio"], "number")
