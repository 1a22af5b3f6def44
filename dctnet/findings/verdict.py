"""What a check of a claim finds."""

from __future__ import annotations

from typing import NamedTuple


class Found(NamedTuple):
    """Whether a claim holds in the results, and our figure in words."""

    holds: bool
    ours: str


def span(values: list[float], pattern: str = "{:.0f}") -> str:
    """The least and the greatest of some values.

    >>> span([3.2, 1.0, 2.0], "{:.1f}"), span([2.0])
    ('1.0 to 3.2', '2')
    """
    low, high = pattern.format(min(values)), pattern.format(max(values))
    return low if low == high else f"{low} to {high}"
