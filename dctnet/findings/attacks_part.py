"""Attacks and lossy channels: the defence table with its intervals and marks, recovery windows, transfer, curvature."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from dctnet.findings.provenance import origin, question
from dctnet.findings.result_files import Result, Results, Row
from dctnet.report.figures import Line, Panel
from dctnet.report.html import Markup, element, join, slug
from dctnet.report.html_table import Cell, html_table, number
from dctnet.report.page import absent, figure_box, legend, legend_of, table_box
from dctnet.report.plots import Interval, heat_map, interval_plot, line_plot
from dctnet.report.svg import series, step
from dctnet.robustness.attack_table import attack_lines
from dctnet.robustness.recovery import Recovery, recoveries, transfer

MAKE = (
    "dctnet attack CHECKPOINT FOLDER --attacks fgsm pgd cw --channels fft jpeg gaussian --adaptive --out attacks.jsonl"
)
COLUMNS = ("clean", "oblivious", "adaptive")
MARKS = (
    "Shares of all pictures, with Wilson's 95 % interval. Oblivious: the attack does not know of the channel; adaptive: it does. "
    "* marks rows whose list of checks did not pass, so that their adaptive figure is no measure of robustness; ? rows without "
    "such a list; ^ those whose adaptive attack moved nothing or did less than the oblivious one."
)


def attacks_part(results: Results) -> Markup:
    """Each file of attacks, then curvature."""
    parts: list[Any] = []
    found = results.of("attacks")
    if not found:
        parts.append(absent("Attacks and channels", MAKE))
    for result in found:
        parts += [element("h3", f"{question(result)} ({result.name})"), one(result)]
    curves = results.of("curvature")
    for result in curves:
        parts += [element("h3", question(result)), curvature(result)]
    if not curves:
        command = "python experiments/curvature.py data/cifar10 RUNS --limit 40 --out experiments/curvature.json"
        parts.append(absent("Gradients and curvature", command))
    return join(parts)


def one(result: Result) -> Markup:
    """The rows of one file."""
    groups = by_network(result.rows)
    labels = labels_of(groups)
    lines = [(labels[key], line) for key, rows in groups.items() for line in attack_lines(rows)]
    parts: list[Any] = []
    windows = [found for found in _windows(result.rows) if len({one.strength for one in found}) > 2]
    several = len(groups) > 1
    if lines and not windows:
        parts.append(defence_figure(result, lines, several))
    if windows:
        parts += [window_figure(result, windows), window_table(result, windows)]
    if lines:
        table = table_box(defence_table(result, lines, several), [], MARKS)
        folded = element("details", element("summary", f"all {len(lines)} lines, attack by attack"), table)
        parts.append(folded if windows else table)
    moved = transfer(result.rows)
    if moved:
        parts.append(transfer_figure(result, moved, labels))
    return join(parts)


def by_network(rows: Sequence[Row]) -> dict[str, list[Row]]:
    """Rows by the network, pictures and seed they are of: one evaluation each."""
    groups: dict[str, list[Row]] = {}
    for row in rows:
        key = row["key"]
        groups.setdefault(str((sorted(key["network"].items()), key["pictures"], key["seed"])), []).append(row)
    return groups


def labels_of(groups: dict[str, list[Row]]) -> dict[str, str]:
    """A short name for each network: what it is, the options that differ from others', and a number where that is not enough."""
    first = {key: rows[0] for key, rows in groups.items()}
    options = [row.get("network_options") or {} for row in first.values()]
    differ = [
        name for name in dict.fromkeys(n for o in options for n in o) if len({str(o.get(name)) for o in options}) > 1
    ]
    networks = {row["network"] for row in first.values()}
    names: dict[str, str] = {}
    for key, row in first.items():
        told = row.get("network_options") or {}
        words = [f"{name} {told[name]}" for name in differ if name in told and len(networks) == 1]
        names[key] = ", ".join(words) if words else row["network"]
    again = {name: [key for key in names if names[key] == name] for name in names.values()}
    return {
        key: name + (f" ({again[name].index(key) + 1})" if len(again[name]) > 1 else "") for key, name in names.items()
    }


def defence_figure(result: Result, lines: Sequence[tuple[str, dict[str, Any]]], several: bool) -> Markup:
    """Accuracy clean, under the oblivious and under the adaptive attack, a panel for each attack."""
    attacks = list(dict.fromkeys(_attack(line) for _, line in lines))
    plots = []
    for attack in attacks:
        rows = []
        for label, line in lines:
            if _attack(line) == attack:
                words = [label] if several else []
                words += [_channel(line)] if line["channel"] != "none" or not several else []
                known = [(at, line[column]) for at, column in enumerate(COLUMNS) if line[column]]
                rows.append(
                    (
                        ", ".join(words),
                        [Interval(at, *(100 * row[k] for k in ("accuracy", "low", "high"))) for at, row in known],
                    )
                )
        prefix = f"{slug(result.path)}-{slug(attack)}"
        plots.append(interval_plot(rows, "accuracy (%)", attack, f"{result.name}: accuracy under {attack}", prefix))
    colors = [(name, series(at)) for at, name in enumerate(COLUMNS)]
    caption = "Accuracy with Wilson's 95 % interval." + (
        " Numbers in brackets tell networks of one kind apart." if several else ""
    )
    return figure_box(plots, caption, origin(result), legend(colors))


def defence_table(result: Result, lines: Sequence[tuple[str, dict[str, Any]]], several: bool) -> Markup:
    """Attack x channel: clean, oblivious, adaptive with its mark; how far pictures were moved."""
    adaptive = any(line["adaptive"] for _, line in lines)
    heads = [*(["network"] if several else []), "attack", "channel", "clean (%)", "oblivious (%)"]
    heads += ["adaptive (%)", "mark"] if adaptive else []
    heads += ["L2 oblivious", *(["L2 adaptive"] if adaptive else []), "confidence"]
    rows = []
    for label, line in lines:
        row: list[Any] = [label] if several else []
        row += [_attack(line), Cell(_channel(line), _channel(line)), _share(line["clean"]), _share(line["oblivious"])]
        far = line["adaptive"]
        if adaptive:
            row += [_share(far), line["mark"]]
        row.append(number(line["oblivious"]["l2"], "{:.2f}"))
        row += [number(far["l2"] if far else None, "{:.2f}")] if adaptive else []
        row.append(number((far or line["oblivious"])["confidence"], "{:.2f}"))
        rows.append(row)
    return html_table(heads, rows, f"{result.name}: attack x channel")


def _windows(rows: Sequence[Row]) -> list[list[Recovery]]:
    """The recoveries of each channel, if there are any."""
    found: dict[str, list[Recovery]] = {}
    for one in recoveries(rows):
        found.setdefault(one.channel, []).append(one)
    return list(found.values())


def window_figure(result: Result, windows: Sequence[Sequence[Recovery]]) -> Markup:
    """The share recovered against the strength of the channel, a panel for each channel, a line for each budget."""
    budgets = sorted({(one.attack, one.epsilon or 0.0) for found in windows for one in found})
    panels = []
    for found in windows:
        lines = []
        for at, budget in enumerate(budgets):
            here = sorted(
                (one for one in found if (one.attack, one.epsilon or 0.0) == budget), key=lambda one: one.strength
            )
            if here:
                name, color = f"{here[0].attack}, L2 {here[0].l2:.2g}", step(at, len(budgets))
                strengths = [one.strength for one in here]
                lines.append(Line(strengths, [100 * one.share for one in here], name, color, marker="o"))
                for one in here:
                    lines.append(Line([one.strength] * 2, [100 * one.low, 100 * one.high], None, color))
        panels.append(Panel(found[0].channel, "strength", "recovered (%)", lines))
    prefix = slug(result.path)
    plots = [
        line_plot(panel, f"{result.name}: recovery by {panel.title}", f"{prefix}-{panel.title}") for panel in panels
    ]
    caption = (
        "Of the pictures that the attack took, the share that the channel brings back, with Wilson's 95 % intervals."
    )
    return figure_box(plots, caption, origin(result), legend_of(panels[0].lines))


def window_table(result: Result, windows: Sequence[Sequence[Recovery]]) -> Markup:
    """Recovered pictures in percent by channel, strength and budget."""
    budgets = sorted({(one.attack, one.epsilon or 0.0) for found in windows for one in found})
    heads = []
    for budget in budgets:
        some = next(one for found in windows for one in found if (one.attack, one.epsilon or 0.0) == budget)
        heads.append(f"{some.attack}, {_budget(some.epsilon)}: L2 {some.l2:.2g}, {some.lost} lost")
    rows = []
    for found in windows:
        for strength in sorted({one.strength for one in found}):
            here = {(one.attack, one.epsilon or 0.0): one for one in found if one.strength == strength}
            shares = [100 * here[b].share if b in here else None for b in budgets]
            rows.append([f"{found[0].channel} {strength:g}", *(number(share, "{:.0f}") for share in shares)])
    table = html_table(["recovered (%) by", *heads], rows, f"{result.name}: recovery by the budget of the attack")
    return table_box(table, [])


def transfer_figure(result: Result, moved: Sequence[dict[str, Any]], labels: dict[str, str]) -> Markup:
    """Of the pictures that a target has right, the share that it loses to those made against a source, in the mean of seeds."""
    names = {str(row["key"]["network"]): labels[key] for key, rows in by_network(result.rows).items() for row in rows}
    plots = []
    for attack in dict.fromkeys((one["attack"], one["epsilon"]) for one in moved):
        here = [one for one in moved if (one["attack"], one["epsilon"]) == attack]
        axis = list(dict.fromkeys(names[str(one["source"])] for one in here))
        targets = [names.get(str(one["target"]), "another") for one in here]
        matrix = np.full((len(axis), len(axis)), np.nan)
        for one, target in zip(here, targets, strict=True):
            if target in axis and one["held"]:
                matrix[axis.index(names[str(one["source"])]), axis.index(target)] = 100 * one["lost"] / one["held"]
        short = [str(at + 1) for at in range(len(axis))]
        numbered = [f"{at + 1}  {name}" for at, name in enumerate(axis)]
        title = f"{attack[0]}: lost (%)"
        words = (title, "shown to", "made against")
        prefix = f"{slug(result.path)}-transfer-{slug(attack[0])}"
        plots.append(
            heat_map(
                matrix, numbered, short, words, f"{result.name}, {title}", prefix, pattern="{:.0f}", limits=(0, 100)
            )
        )
    caption = (
        "Transfer: of the pictures that a network has right, the share that it loses to those made against another."
    )
    return figure_box(plots, caption, origin(result))


def curvature(result: Result) -> Markup:
    """Natural, adversarial and recovered pictures: gradients, curvature, and how often noise changes the class."""
    sigmas = list(result.rows[0]["noise"])
    heads = [
        "network",
        "pictures",
        "count",
        "moved, L2",
        "gradient, right class",
        "gradient, other class",
        "eigenvalue",
    ]
    heads += [f"noise {sigma} (%)" for sigma in sigmas]
    rows = []
    for row in result.rows:
        medians = {(m["quantity"], m["towards"]): m for m in row["medians"]}
        cells = [medians.get(k) for k in (("l2", "original"), ("l2", "adversarial"), ("eigenvalue 1", "original"))]
        rows.append(
            [
                Cell(element("code", row["run"]), row["run"]),
                row["group"],
                number(row["pictures"]),
                number(row["distance"], "{:.2f}"),
                *(
                    Cell("", None)
                    if m is None
                    else Cell(f"{m['median']:.3g} [{m['low']:.2g}, {m['high']:.2g}]", m["median"], "number")
                    for m in cells
                ),
                *(number(100 * row["noise"][sigma], "{:.0f}") for sigma in sigmas),
            ]
        )
    plots = []
    for at, group in enumerate(("natural", "adversarial", "recovered")):
        here = [row for row in result.rows if row["group"] == group]
        lines = []
        for order, row in enumerate(here):
            sigma, share = zip(*row["noise"].items(), strict=True)
            points = [float(s) for s in sigma], [100 * s for s in share]
            lines.append(Line(*points, row["run"], series(order), marker="o"))
        panel = Panel(f"{group} pictures", "noise, sigma", "class changed (%)", lines)
        plots.append(line_plot(panel, f"{result.name}: {panel.title} under noise", f"{slug(result.path)}-{at}"))
    note = "Medians over pictures with their 95 % interval; noise is Gaussian, on pixels of [0, 1]."
    return join(
        figure_box(plots, "How often Gaussian noise changes the class.", origin(result), legend_of(lines)),
        table_box(html_table(heads, rows, f"{result.name}: what tells pictures apart"), [], note),
    )


def _attack(line: dict[str, Any]) -> str:
    return f"{line['attack']}, {_budget(line['epsilon'])}"


def _channel(line: dict[str, Any]) -> str:
    return f"{line['channel']} {line['strength']:g}" if line["strength"] else line["channel"]


def _share(row: Row | None) -> Cell:
    if row is None:
        return Cell("", None)
    return Cell(
        f"{100 * row['accuracy']:.1f} [{100 * row['low']:.1f}, {100 * row['high']:.1f}]", row["accuracy"], "number"
    )


def _budget(epsilon: float | None) -> str:
    """A radius, in 255ths where that is a plain number.

    >>> _budget(8 / 255), _budget(0.5), _budget(None)
    ('8/255', '0.5', 'nearest')
    """
    if epsilon is None:
        return "nearest"
    levels = round(255 * epsilon, 6)
    return f"{levels:g}/255" if levels * 4 == int(levels * 4) and epsilon < 0.2 else f"{epsilon:.3g}"
