"""What the suite ran, results of no known kind as plain tables, and what was left aside."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from dctnet.findings.provenance import origin, question
from dctnet.findings.result_files import Result, Results, Row
from dctnet.report.html import Markup, element, join
from dctnet.report.html_table import Cell, html_table, number
from dctnet.report.page import table_box

MOST = 200  # rows of a plain table


def other_part(results: Results) -> Markup:
    """What each suite ran; each other such file: its entries that are numbers or words."""
    parts: list[Any] = []
    for result in results.of("steps"):
        parts += [element("h3", question(result)), steps(result)]
    for result in results.of(None):
        parts += [element("h3", result.name), element("p", question(result)), plain(result)]
    if not parts:
        parts.append(element("p", "All result files are of known kinds, and shown above."))
    if results.aside:
        names = [element("li", element("code", name)) for name in results.aside]
        parts.append(
            element(
                "details",
                element("summary", f"JSON files without rows, left aside: {len(names)}"),
                element("ul", names),
            )
        )
    return join(parts)


def steps(result: Result) -> Markup:
    """The steps of a suite: how long each took, and its commands."""
    rows = [
        [
            row["question"],
            Cell(element("code", row["result"]), row["result"]),
            number(row["minutes"], "{:.1f}"),
            Cell(element("pre", row["command"], class_="small"), row["command"]),
        ]
        for row in result.rows
    ]
    total = sum(row["minutes"] for row in result.rows)
    words = f"{result.path}: {len(rows)} steps in {total:.0f} minutes"
    return table_box(html_table(["question", "result", "minutes", "commands"], rows, words), origin(result))


def plain(result: Result) -> Markup:
    """The rows as they are."""
    if not result.rows:
        return element("p", "No rows.", class_="absent")
    entries = [key for key in dict.fromkeys(key for row in result.rows for key in row) if _simple(key, result.rows)]
    rows = [[_cell(row.get(key)) for key in entries] for row in result.rows[:MOST]]
    more = [f"The first {MOST} of {len(result.rows):,} rows."] if len(result.rows) > MOST else []
    return table_box(html_table(entries or ["rows"], rows if entries else [], result.name), origin(result), *more)


def _simple(key: str, rows: Sequence[Row]) -> bool:
    return all(row.get(key) is None or isinstance(row[key], (str, int, float)) for row in rows)


def _cell(value: object) -> Cell:
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return Cell("" if value is None else str(value), None if value is None else str(value))
    return number(value, "{:.6g}")
