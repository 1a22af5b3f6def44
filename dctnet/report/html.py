"""HTML from Python values: text is escaped, tags are closed, nothing is a template."""

from __future__ import annotations

from html import escape
from typing import Any

VOID = {"br", "hr", "input", "link", "meta"}


class Markup(str):
    """Text that is HTML already."""

    __slots__ = ()


def element(name: str, /, *children: Any, **attributes: Any) -> Markup:
    """The element ``name``. Strings among ``children`` are escaped, `Markup` is not, None is left out, lists are flattened.

    Attributes: a trailing underscore goes, other underscores become hyphens; True is an attribute without a value, None and
    False are none at all.

    >>> element("p", "1 < 2 ", element("b", 3), class_="note", hidden=False)
    '<p class="note">1 &lt; 2 <b>3</b></p>'
    """
    written = "".join(
        f" {key.rstrip('_').replace('_', '-')}" + ("" if value is True else f'="{escape(str(value))}"')
        for key, value in attributes.items()
        if value is not None and value is not False
    )
    if name in VOID:
        return Markup(f"<{name}{written}>")
    return Markup(f"<{name}{written}>{join(*children)}</{name}>")


def join(*children: Any) -> Markup:
    """Children of an element, one after another.

    >>> join("a & b", None, [element("br"), "c"])
    'a &amp; b<br>c'
    """
    parts = []
    for child in children:
        if child is None:
            continue
        if isinstance(child, Markup):
            parts.append(str(child))
        elif isinstance(child, (list, tuple)):
            parts.append(str(join(*child)))
        else:
            parts.append(escape(str(child), quote=False))
    return Markup("".join(parts))


def slug(text: str) -> str:
    """An id of letters, digits and hyphens.

    >>> slug("Attacks & lossy channels: ImageNet")
    'attacks-lossy-channels-imagenet'
    """
    plain = "".join(c if c.isascii() and c.isalnum() else " " for c in text.lower())
    return "-".join(plain.split()) or "x"
