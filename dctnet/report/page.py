"""One HTML page that needs nothing beside itself: style, script and plots are inside."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from dctnet.report.figures import Line
from dctnet.report.html import Markup, element, join
from dctnet.report.svg import css_color

_HERE = Path(__file__).resolve().parent
# Before the first paint, so that a page whose reader chose dark does not flash.
_THEME = 'try{var t=localStorage.getItem("theme");if(t)document.documentElement.dataset.theme=t}catch(e){}'


class Section(NamedTuple):
    """A part of a page with its place in the table of contents."""

    id: str
    title: str
    body: Markup


class Origin(NamedTuple):
    """Where figures come from: the file that was read, and the command that writes it (None: not told)."""

    file: str
    command: str | None


def page(title: str, lead: Markup, sections: Sequence[Section], foot: Markup) -> str:
    """The whole document."""
    contents = element("ul", [element("li", element("a", s.title, href=f"#{s.id}")) for s in sections])
    head = element(
        "head",
        element("meta", charset="utf-8"),
        element("meta", name="viewport", content="width=device-width, initial-scale=1"),
        element("meta", name="color-scheme", content="light dark"),
        element("title", title),
        element("link", rel="icon", href="data:,"),
        element("style", Markup((_HERE / "page.css").read_text(encoding="utf-8"))),
        element("script", Markup(_THEME)),
    )
    toggle = element("button", "theme: auto", type="button", id="theme", aria_live="polite")
    body = element(
        "body",
        element("a", "to the text", class_="skip", href="#text"),
        element("header", element("h1", title), toggle),
        element(
            "nav",
            element("details", element("summary", "Contents"), contents, id="contents", open=True),
            aria_label="contents",
        ),
        element("main", lead, [_section(one) for one in sections], id="text", tabindex=-1),
        element("footer", foot),
        element("script", Markup((_HERE / "page.js").read_text(encoding="utf-8"))),
    )
    return f"<!doctype html>\n{element('html', head, body, lang='en')}\n"


def _section(section: Section) -> Markup:
    return element("section", element("h2", section.title), section.body, id=section.id)


def figure_box(plots: Sequence[Markup], caption: str, origin: Sequence[Origin], legend: Markup | None = None) -> Markup:
    """Plots side by side as far as there is room, what they show, and where that comes from."""
    panels = [element("div", plot, class_="plot") for plot in plots]
    text = element("figcaption", element("p", caption), origin_line(origin))
    return element("figure", legend, element("div", panels, class_="plots"), text)


def table_box(table: Markup, origin: Sequence[Origin], *notes: str) -> Markup:
    """A table, remarks, and where it comes from."""
    return element(
        "div", table, [element("p", note, class_="note") for note in notes], origin_line(origin), class_="tabled"
    )


def origin_line(origin: Sequence[Origin]) -> Markup:
    """The file of each, its command folded below."""
    lines = []
    for one in origin:
        told = one.command or "The file does not tell its command."
        summary = element("summary", "read from ", element("code", one.file), "; how it was made")
        lines.append(element("details", summary, element("pre", element("code", told), tabindex=0), class_="origin"))
    return join(lines)


def legend_of(lines: Sequence[Line]) -> Markup:
    """The names of lines beside their colours."""
    named = {line.name: line for line in lines if line.name}
    items = [
        element("li", _swatch(css_color(str(line.color)), "dashed" if line.style == "--" else ""), name)
        for name, line in named.items()
    ]
    return element("ul", items, class_="legend")


def legend(colors: Sequence[tuple[str, str]]) -> Markup:
    """Names beside colours, which are placeholders of `report.svg`."""
    return element("ul", [element("li", _swatch(css_color(c)), name) for name, c in colors], class_="legend")


def _swatch(color: str, class_: str = "") -> Markup:
    return element("span", class_=f"swatch {class_}".strip(), style=f"color: {color}", aria_hidden="true")


def absent(what: str, command: str) -> Markup:
    """A remark that results are not there, with the command that makes them."""
    return element("p", f"{what}: not in these results; make it with ", element("code", command), class_="absent")
