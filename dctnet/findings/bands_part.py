"""Heat maps of the bands of JPEG blocks: where pictures have their power, and which bands networks keep, or learn to keep."""

from __future__ import annotations

from typing import Any

import numpy as np
import yaml

from dctnet.bands import bands_of
from dctnet.findings.provenance import origin
from dctnet.findings.result_files import Result, Results
from dctnet.packaged import packaged_file, packaged_names
from dctnet.report.html import Markup, element, join, slug
from dctnet.report.page import Origin, absent, figure_box
from dctnet.report.plots import heat_map
from dctnet.statistics import PLANES, read_statistics

NAMES = {"y": "Y", "cb": "Cb", "cr": "Cr"}
EIGHT = [str(k) for k in range(8)]


def bands_part(results: Results) -> Markup:
    """Power by band of the data sets with a card; the bands of each run that chooses some; those that gates learned."""
    parts = [element("h3", "Where pictures have their power")]
    for name in packaged_names("statistics"):
        if read_statistics(name).block_size == (8, 8):
            parts.append(power(name))
    parts.append(element("h3", "Which bands the networks read"))
    chosen = [result for result in results.of("runs", "grid") if any(_static(row) is not None for row in result.rows)]
    parts += [kept(result) for result in chosen]
    if not chosen:
        parts.append(absent("Runs on selected bands", "dctnet fit --config clothing_selected"))
    parts.append(element("h3", "Which bands gates learn to keep"))
    gates = [result for result in results.files if any(isinstance(row.get("gates"), dict) for row in result.rows)]
    parts += [learned(result) for result in gates]
    if not gates:
        command = "python experiments/gates.py RUN... --out experiments/cifar10_gates.json"
        parts.append(absent("How often each gate is open", command))
    return join(parts)


def power(name: str) -> Markup:
    """The standard deviation of each band in gray levels."""
    card = read_statistics(name)
    plots = [
        heat_map(
            np.reshape(std, (8, 8)),
            EIGHT,
            EIGHT,
            (f"{NAMES[plane]}: standard deviation", "horizontal frequency u", "vertical frequency v"),
            f"{name}, {NAMES[plane]}: standard deviation of each band, from {max(std):.3g} to {min(std):.2g} gray levels",
            f"power-{slug(name)}-{plane}",
            pattern="{:.3g}",
            log=True,
        )
        for plane, std in zip(PLANES, card.std, strict=True)
    ]
    caption = f"{name}: the deviation of each band of 8 x 8 blocks in gray levels; colours are logarithmic."
    file = packaged_file("statistics", name)
    made = yaml.safe_load(file.read_text(encoding="utf-8")).get("command")
    return figure_box(plots, caption, [Origin(f"data/statistics/{file.name}", made)])


def kept(result: Result) -> Markup:
    """Of each plane, which bands the runs of a result read: a band's share of the runs that choose some."""
    plots = []
    names = {}
    for row in result.rows:
        if (chosen := _static(row)) is not None:
            names.setdefault(str(chosen), (chosen, str(row.get("name", row.get("run")))))
    for number, (chosen, name) in enumerate(names.values()):
        for plane, channels in zip(PLANES, bands_of(chosen), strict=True):
            mask = np.full(64, np.nan)
            mask[list(channels)] = 1
            title = f"{name}, {NAMES[plane]}: {len(channels)} of 64"
            prefix = f"{slug(result.path)}-kept-{number}-{plane}"
            words = (title, "horizontal frequency u", "vertical frequency v")
            plots.append(heat_map(mask.reshape(8, 8), EIGHT, EIGHT, words, title, prefix, pattern=None, limits=(0, 2)))
    return figure_box(plots, f"{result.name}: the bands that are read are dark.", origin(result))


def learned(result: Result) -> Markup:
    """How often each gate is open, in percent."""
    plots = []
    for number, row in enumerate(row for row in result.rows if isinstance(row.get("gates"), dict)):
        for plane, shares in row["gates"].items():
            side = round(len(shares) ** 0.5)
            if side * side != len(shares):
                raise ValueError(
                    f"{result.path}: gates of {plane} are one number for each band of a block, b*b of them; got {len(shares)}"
                )
            title = f"{row.get('run', row.get('name', ''))}, {NAMES.get(plane, plane)}: open (%)"
            axis = [str(k) for k in range(side)]
            words = (title, "horizontal frequency u", "vertical frequency v")
            prefix = f"{slug(result.path)}-gates-{number}-{slug(plane)}"
            values = 100 * np.reshape(np.asarray(shares, dtype=np.float64), (side, side))
            plots.append(heat_map(values, axis, axis, words, title, prefix, pattern="{:.0f}", limits=(0, 100)))
    return figure_box(plots, f"{result.name}: how often the gate of each band is open.", origin(result))


def _static(row: dict[str, Any]) -> object:
    """The bands that a run reads, as it was told; None for all of them."""
    options = row.get("options")
    return options.get("bands") if isinstance(options, dict) else None
