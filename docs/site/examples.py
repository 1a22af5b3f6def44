"""An extension of griffe: the examples of a docstring, lines after ``>>>``, become code blocks."""

from __future__ import annotations

from typing import Any

import griffe


def fenced(text: str) -> str:
    """``text`` with a fence around each run of lines from ``>>>`` to the next empty one.

    >>> print(fenced("Sums.\\n\\n>>> 1 + 1\\n2\\n\\nMore."))
    Sums.
    <BLANKLINE>
    ```pycon
    >>> 1 + 1
    2
    ```
    <BLANKLINE>
    More.
    """
    lines: list[str] = []
    inside = False
    for line in [*text.splitlines(), ""]:
        if not inside and line.startswith(">>>"):
            lines.append("```pycon")
            inside = True
        elif inside and not line:
            lines.append("```")
            inside = False
        lines.append("" if line == "<BLANKLINE>" else line)
    return "\n".join(lines[:-1])


class Examples(griffe.Extension):
    """Applies ``fenced`` to every docstring."""

    def on_object(self, *, obj: griffe.Object, **kwargs: Any) -> None:
        if obj.docstring is not None:
            obj.docstring.value = fenced(obj.docstring.value)
