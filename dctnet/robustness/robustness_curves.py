"""Accuracy against how much is dropped: by a channel in front of a network, or by the convolutions of networks.

    strength      one channel at several strengths: clean, and under adaptive attacks; from weak to strong, "none" before them
    compression   networks that are alike but for the option ``compression``, the share of the spectrum that their band-limited
                  convolutions drop: clean, and attacked without a channel, which is adaptive by itself; a point a checkpoint

Rows are compared where pictures, seed and settings are the same.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from typing import Any

from rich.table import Table

from dctnet.report.figures import SharePanel, SharePoint
from dctnet.robustness.attack_table import FAILED, UNCHECKED, attack_lines
from dctnet.robustness.attacks import options_of
from dctnet.robustness.channels import CHANNELS
from dctnet.robustness.recovery import DETERMINES

Row = Mapping[str, Any]
Shown = dict[str, dict[str, SharePoint]]  # by the name of a line, then by the key of the row


def by_strength(rows: Iterable[Row]) -> list[SharePanel]:
    """A panel for each channel that adaptive rows of one evaluation have at two strengths or more.

    Lines are "clean" and the attacks with their budgets. Points of adaptive rows whose list of checks did not pass, or was
    not made, are doubtful.
    """
    lines = [line for line in attack_lines(rows) if line["adaptive"] is not None]
    without = {_attack(line): line for line in lines if line["channel"] == "none"}
    channels: dict[tuple[Any, ...], list[dict[str, Any]]] = {}
    for line in lines:
        options = line["oblivious"]["key"]["channel_options"]
        words = [line["channel"], *(f"{name} {value}" for name, value in sorted(options.items()))]
        words += [f"{line['backward']} backward"] if line["backward"] else []
        if line["channel"] != "none":
            channels.setdefault((line["channel"], ", ".join(words)), []).append(line)
    panels = []
    for (channel, title), found in channels.items():
        upwards = math.isfinite(CHANNELS[channel].lossless)
        strengths = sorted({line["strength"] for line in found}, reverse=not upwards)
        if len(strengths) < 2:
            continue
        shown: Shown = {}
        for line in [*(without[which] for which in dict.fromkeys(map(_attack, found)) if which in without), *found]:
            place = 0 if line["channel"] == "none" else 1 + strengths.index(line["strength"])
            _add(shown, line, place)
        ticks = ["none", *(f"{strength:g}" for strength in strengths)]
        panels.append(SharePanel(title, "strength", ticks, _sorted(shown)))
    return panels


def by_compression(rows: Iterable[Row]) -> list[SharePanel]:
    """A panel for each kind of network of which rows hold two rates of compression or more; see ``by_strength``."""
    evaluations: dict[tuple[Any, ...], list[Row]] = {}
    for row in rows:
        if row["key"].get("channel", "none") == "none" and "compression" in (row.get("network_options") or {}):
            evaluations.setdefault(tuple(str(row["key"][name]) for name in DETERMINES), []).append(row)
    kinds: dict[tuple[Any, ...], list[tuple[float, dict[str, Any]]]] = {}
    for (_, *settings), found in evaluations.items():
        about = found[0]["network_options"]
        others = ", ".join(f"{name} {value}" for name, value in sorted(about.items()) if name != "compression")
        lines = [line for line in attack_lines(found) if line["adaptive"] is not None]
        kind = kinds.setdefault((found[0]["network"], others, *settings), [])
        kind += [(float(about["compression"]), line) for line in lines]
    panels = []
    for (network, others, *_), found in kinds.items():
        rates = sorted({rate for rate, _ in found})
        if len(rates) < 2:
            continue
        shown: Shown = {}
        for rate, line in found:
            _add(shown, line, rates.index(rate))
        title = network + (f"\n{others}" if others else "")
        ticks = [f"{100 * rate:g}" for rate in rates]
        panels.append(SharePanel(title, "dropped by its convolutions (%)", ticks, _sorted(shown)))
    return panels


def curves_table(panel: SharePanel) -> Table:
    """The panel as figures: a line for each of its lines, a column for each tick, of several checkpoints one after the other."""
    doubtful = any(point.doubtful for points in panel.lines.values() for point in points)
    table = Table(
        panel.x_label,
        *panel.ticks,
        title=f"right (%): {panel.title}".replace("\n", ", "),
        caption=f"{FAILED} the list of checks did not pass, or was not made" if doubtful else None,
    )
    for name, points in panel.lines.items():
        cells: list[list[str]] = [[] for _ in panel.ticks]
        for point in points:
            cells[point.place].append(f"{100 * point.share:.1f}{FAILED if point.doubtful else ''}")
        table.add_row(name, *(" / ".join(cell) for cell in cells))
    return table


def _attack(line: Mapping[str, Any]) -> str:
    """The name of a line: attack, budget, options that are not its defaults."""
    options, usual = line["oblivious"]["key"]["options"], options_of(line["attack"])
    words = [f"{line['attack']} {'nearest' if line['epsilon'] is None else format(line['epsilon'], '.3g')}"]
    return ", ".join([*words, *(f"{name} {value}" for name, value in sorted(options.items()) if value != usual[name])])


def _add(shown: Shown, line: Mapping[str, Any], place: int) -> None:
    """The clean and the adaptive figure of a line, at a place; the clean one of several attacks once."""
    doubtful = FAILED in line["mark"] or UNCHECKED in line["mark"]
    for name, row, doubt in (("clean", line["clean"], False), (_attack(line), line["adaptive"], doubtful)):
        point = SharePoint(place, row["accuracy"], row["low"], row["high"], doubt)
        shown.setdefault(name, {})[str(sorted(row["key"].items()))] = point


def _sorted(shown: Shown) -> dict[str, list[SharePoint]]:
    return {name: sorted(points.values(), key=lambda point: point.place) for name, points in shown.items()}
