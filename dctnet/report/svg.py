"""A matplotlib figure as SVG inside a page: its colours follow the theme of the page, its text is text.

Colours are placeholders that no colour map contains; in the page they are variables of CSS, one value for light and one for dark.
"""

from __future__ import annotations

import io
import re

import matplotlib
from matplotlib.figure import Figure

from dctnet.report.html import Markup, element

INK, MUTED, RULE = "#010101", "#020202", "#030303"
SERIES, STEPS = 8, 8
NAMED = {INK: "var(--ink)", MUTED: "var(--muted)", RULE: "var(--rule)"}
STYLE = {
    "svg.fonttype": "none",
    "svg.hashsalt": "dctnet",
    "font.size": 10,
    "axes.edgecolor": RULE,
    "axes.labelcolor": MUTED,
    "axes.titlecolor": INK,
    "axes.titlesize": 10.5,
    "axes.grid": True,
    "axes.axisbelow": True,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.linewidth": 0.8,
    "axes.formatter.useoffset": False,
    "grid.color": RULE,
    "grid.linewidth": 0.5,
    "text.color": INK,
    "xtick.color": RULE,
    "ytick.color": RULE,
    "xtick.labelcolor": MUTED,
    "ytick.labelcolor": MUTED,
    "xtick.major.size": 0,
    "ytick.major.size": 0,
    "xtick.minor.size": 0,
    "ytick.minor.size": 0,
    "lines.linewidth": 1.6,
    "lines.markersize": 4,
    "text.parse_math": False,
}


def series(number: int) -> str:
    """The placeholder of a colour that is told from its neighbours."""
    return f"#0a00{number % SERIES:02x}"


def step(number: int, count: int) -> str:
    """The placeholder of the colour of step ``number`` of ``count`` that follow one another."""
    return f"#0b00{round(number * (STEPS - 1) / max(1, count - 1)):02x}"


def css_color(color: str) -> str:
    """What a placeholder is in the page.

    >>> css_color(series(2)), css_color(step(3, 4)), css_color(INK), css_color("#ffffff")
    ('var(--series-2)', 'var(--step-7)', 'var(--ink)', '#ffffff')
    """
    if color in NAMED:
        return NAMED[color]
    kind = {"#0a00": "series", "#0b00": "step"}.get(color[:5])
    return f"var(--{kind}-{int(color[5:], 16)})" if kind else color


def themed_svg(figure: Figure, label: str, prefix: str) -> Markup:
    """The figure as an ``svg`` element called ``label``; ``prefix`` stands before its ids, which a page may have only once."""
    file = io.StringIO()
    with matplotlib.rc_context(STYLE):
        figure.savefig(file, format="svg", transparent=True, metadata={"Date": None, "Creator": None})
    text = file.getvalue()
    view = re.search(r'viewBox="([^"]+)"', text)[1]
    inner = text[text.index(">", text.index("<svg")) + 1 : text.rindex("</svg>")]
    inner = re.sub(r"<metadata>.*?</metadata>|<style.*?</style>|<!--.*?-->", "", inner, flags=re.DOTALL)
    inner = re.sub(r"<defs>\s*</defs>", "", inner).replace("xlink:href", "href")
    used = set(re.findall(r'href="#([^"]+)"|url\(#([^)]+)\)', inner))
    used = {name for pair in used for name in pair if name}
    inner = re.sub(r' id="([^"]+)"', lambda found: found[0] if found[1] in used else "", inner)
    inner = re.sub(r'( id="|url\(#|href="#)', rf"\g<1>{prefix}-", inner)
    inner = re.sub(r"#0[0-9ab]0[0-9]0[0-9]", lambda found: css_color(found[0]), inner)
    inner = re.sub(r"<[^>]*>", lambda tag: re.sub(r"-?\d+\.\d{3,}", _rounded, tag[0]), inner)  # text stays
    inner = re.sub(r" font-family: [^;\"]+;| transform=\"rotate\(-?0 [^)]*\)\"", "", inner)
    inner = re.sub(r"\s*\n\s*", " ", inner).replace("> <", "><").replace(" />", "/>")
    return element("svg", Markup(inner), viewBox=view, role="img", aria_label=label)


def _rounded(found: re.Match[str]) -> str:
    """A coordinate to a hundredth of a point."""
    return f"{float(found[0]):.2f}".rstrip("0").rstrip(".")
