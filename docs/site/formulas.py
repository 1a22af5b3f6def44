"""A hook of MkDocs: formulas, $x$ and $$x$$, become MathML, which browsers draw by themselves, without a script."""

from __future__ import annotations

import html
import re

from latex2mathml.converter import convert

FORMULA = re.compile(r'<(span|div) class="arithmatex">(?:\\\(|\\\[)(.*?)(?:\\\)|\\\])</\1>', re.DOTALL)


def on_page_content(content: str, **_: object) -> str:
    """The page with each formula that arithmatex has marked as MathML."""
    return FORMULA.sub(mathml, content)


def mathml(match: re.Match) -> str:
    """One formula; a displayed one in a box that scrolls where the page is narrow."""
    display = "block" if match[1] == "div" else "inline"
    formula = convert(html.unescape(match[2]).strip(), display=display)
    return f'<div class="formula">{formula}</div>' if display == "block" else formula
