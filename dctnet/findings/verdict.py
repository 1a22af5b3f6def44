"""What a check of a claim finds, and when so little data decides it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from math import sqrt
from statistics import NormalDist, mean
from typing import NamedTuple

from scipy.stats import binomtest

MARGIN = 2.0  # points of accuracy: a loss of less counts as none, and whoever gains less for sure gains nothing


class Found(NamedTuple):
    """Whether a claim holds in the results, None where they are too few to decide it, and our figure in words."""

    holds: bool | None
    ours: str


def spread(groups: Iterable[Sequence[float]]) -> float:
    """The deviation from seed to seed, pooled over groups of seeds; 0 where each has one.

    >>> round(spread([[50.0, 52.0], [60.0, 60.0], [70.0]]), 2)
    1.0
    """
    known = [group for group in groups if len(group) > 1]
    squares = sum((value - mean(group)) ** 2 for group in known for value in group)
    return sqrt(squares / sum(len(group) - 1 for group in known)) if known else 0.0


def standard_error(count: int | None, top: float, seeds: int = 1, between: float = 0.0) -> float:
    """Of a mean over ``seeds`` of shares in percent, each counted on ``count`` files, in points.

    The larger of what chance makes of so many files (with two more on either side, after Agresti and Coull, as shares of 0 and of
    100 have errors too) and of what lies ``between`` seeds. Of an unknown count the latter, or 1 point where that is unknown too.
    """
    share = (top / 100 * count + 2) / (count + 4) if count else 0.0
    counted = 100 * sqrt(share * (1 - share) / count) if count else 0.0
    return (max(counted, between) or 1.0) / sqrt(seeds)


def error_of(count: int | None, *groups: Sequence[float], between: float = 0.0) -> float:
    """The standard error of a difference (or sum) of the means of groups of seeds."""
    return sqrt(sum(standard_error(count, mean(tops), len(tops), between) ** 2 for tops in groups))


def deviations(of: int = 1) -> float:
    """How many standard errors a difference has to be from chance at 95 %, where the best ``of`` several is looked at.

    >>> round(deviations(), 2), round(deviations(of=10), 2)
    (1.96, 2.81)
    """
    return NormalDist().inv_cdf(1 - 0.025 / of)


def gains(gap: float, error: float, of: int = 1) -> bool | None:
    """Whether something gains: for sure more than nothing; no: for sure less than ``MARGIN``.

    >>> gains(3.0, 1.0), gains(0.5, 0.5), gains(1.5, 1.0)
    (True, False, None)
    """
    width = deviations(of) * error
    return True if gap - width > 0 else False if gap + width < MARGIN else None


def loses_nothing(gap: float, error: float, of: int = 1) -> bool | None:
    """Whether a gain of ``gap`` is no loss: for sure less than ``MARGIN`` below nothing; no: for sure below nothing.

    >>> loses_nothing(-0.5, 0.5), loses_nothing(-3.0, 1.0), loses_nothing(0.0, 2.0)
    (True, False, None)
    """
    width = deviations(of) * error
    return True if gap - width > -MARGIN else False if gap + width < 0 else None


def within(gap: float, error: float, margin: float = MARGIN, of: int = 1) -> bool | None:
    """Whether two are within a margin: for sure less than ``margin`` apart; no: for sure apart.

    >>> within(0.5, 0.5), within(-5.0, 1.0), within(1.0, 1.0)
    (True, False, None)
    """
    width = deviations(of) * error
    return True if abs(gap) + width < margin else False if abs(gap) - width > 0 else None


def sign_test(one: int, other: int) -> float:
    """The probability that of so many pictures which two ways tell apart, chance gives sides at least as uneven (both tails).

    >>> sign_test(17, 3) < 0.003, sign_test(1, 1)
    (True, 1.0)
    """
    return float(binomtest(one, one + other).pvalue) if one + other else 1.0


def all_of(parts: Iterable[bool | None]) -> bool | None:
    """Whether all hold: no where one does not, undecided where one is.

    >>> all_of([True, None]), all_of([None, False]), all_of([True])
    (None, False, True)
    """
    known = _some(parts)
    return False if False in known else None if None in known else True


def any_of(parts: Iterable[bool | None]) -> bool | None:
    """Whether one holds: undecided where none does for sure and one may."""
    known = _some(parts)
    return True if True in known else None if None in known else False


def _some(parts: Iterable[bool | None]) -> list[bool | None]:
    """At least one. ValueError for none: then nothing was tested."""
    known = list(parts)
    if not known:
        raise ValueError("there are no rows to decide by")
    return known


def span(values: list[float], pattern: str = "{:.0f}") -> str:
    """The least and the greatest of some values.

    >>> span([3.2, 1.0, 2.0], "{:.1f}"), span([2.0])
    ('1.0 to 3.2', '2')
    """
    low, high = pattern.format(min(values)), pattern.format(max(values))
    return low if low == high else f"{low} to {high}"
