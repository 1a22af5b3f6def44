"""Tables of a page: sorted by a click on their heads, scrolled inside their box where they are wide."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any, NamedTuple

from dctnet.report.html import Markup, element

SHORT = 24  # letters that stay on one line


class Cell(NamedTuple):
    """What is shown, what the column is sorted by (None: last, whichever way), and a CSS class."""

    shown: Any
    key: float | str | None
    class_: str | None = None


def number(value: float | None, pattern: str = "{:g}") -> Cell:
    """A number in its format; an empty cell for None.

    >>> number(1234.5, "{:,.0f}").shown, number(None).shown
    ('1,234', '')
    """
    return Cell("", None, "number") if value is None else Cell(pattern.format(value), float(value), "number")


def html_table(heads: Sequence[str], rows: Sequence[Sequence[Any]], caption: str, *, class_: str = "") -> Markup:
    """A table in a box of its own. Rows hold `Cell`s or text; the first column names the row."""
    for row in rows:
        if len(row) != len(heads):
            raise ValueError(f"a row has {len(row)} cells under {len(heads)} heads: {list(row)!r}")
    body = [[value if isinstance(value, Cell) else Cell(value, str(value)) for value in row] for row in rows]
    numeric = [any(row[at].class_ == "number" for row in body) for at in range(len(heads))]
    head = [
        element(
            "th",
            element("button", text, type="button", title=f"sort by {text}" if text else "sort"),
            scope="col",
            class_="number" if numeric[at] else None,
        )
        for at, text in enumerate(heads)
    ]
    lines = [element("tr", [_cell(at, cell) for at, cell in enumerate(row)]) for row in body]
    table = element(
        "table",
        element("caption", caption),
        element("thead", element("tr", head)),
        element("tbody", lines),
        class_=f"sortable {class_}".strip(),
    )
    return element("div", table, class_="scroll", role="region", tabindex=0, aria_label=caption)


def _cell(column: int, cell: Cell) -> Markup:
    attributes = {"class_": cell.class_, "data_key": "" if cell.key is None else cell.key}
    if (
        attributes["class_"] is None
        and isinstance(cell.shown, str)
        and len(re.sub(r"<[^>]*>", "", cell.shown)) <= SHORT
    ):
        attributes["class_"] = "short"
    if column == 0:
        return element("th", cell.shown, scope="row", **attributes)
    return element("td", cell.shown, **attributes)
