"""The interval of a share that was counted."""

from __future__ import annotations

from typing import NamedTuple

from scipy.special import ndtri

from dctnet.arguments import finite, whole


class Interval(NamedTuple):
    """From ``low`` to ``high``, both in [0, 1]."""

    low: float
    high: float


def wilson(successes: int, count: int, level: float = 0.95) -> Interval:
    """Wilson's score interval of a probability of which ``successes`` of ``count`` trials were seen.

        (p + z^2 / 2n -+ z sqrt(p (1 - p) / n + z^2 / 4n^2)) / (1 + z^2 / n),    p = successes / n,  n = count,

    z the quantile of the normal distribution at (1 + ``level``) / 2. It stays within [0, 1], and has a width at 0 and at n, where
    p -+ z sqrt(p (1 - p) / n) has none. ValueError for counts that cannot be, and a level out of (0, 1).

    Source: E. B. Wilson, "Probable inference, the law of succession, and statistical inference", JASA 22, 1927.

    >>> [round(bound, 4) for bound in wilson(0, 20)]
    [0.0, 0.1611]
    """
    n = whole("count", count, 1)
    p = whole("successes", successes, 0, n) / n
    if finite("level", level, 0, 1, open_low=True) == 1:
        raise ValueError("level is below 1: at 1 the interval is [0, 1] whatever was counted")
    square = ndtri((1 + level) / 2) ** 2
    middle = p + square / (2 * n)
    half = (square * (p * (1 - p) / n + square / (4 * n * n))) ** 0.5
    bounds = [float((middle + sign * half) / (1 + square / n)) for sign in (-1, 1)]
    return Interval(0.0 if successes == 0 else bounds[0], 1.0 if successes == n else bounds[1])
