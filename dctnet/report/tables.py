"""Tables from plain rows: Markdown for the README, with nothing rounded by hand."""

from __future__ import annotations

from collections.abc import Mapping, Sequence


def markdown(rows: Sequence[Mapping[str, object]], columns: Mapping[str, str]) -> str:
    """A Markdown table of ``rows``; ``columns`` maps a heading to the format string of its cells over the row's values.

    The first column is aligned left, the others right; a cell whose values a row lacks stays empty.

    >>> print(markdown([{"name": "a", "rate": 1234.5}, {"name": "b"}], {"reader": "{name}", "images/s": "{rate:,.0f}"}))
    | reader | images/s |
    |---|---:|
    | a | 1,234 |
    | b |  |
    """
    lines = ["| " + " | ".join(columns) + " |", "|---" + "|---:" * (len(columns) - 1) + "|"]
    for row in rows:
        cells = []
        for pattern in columns.values():
            try:
                cells.append(pattern.format_map(row))
            except (KeyError, TypeError):  # absent, or None under a number's format
                cells.append("")
        lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines)
