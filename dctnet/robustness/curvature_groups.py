"""Natural, adversarial and recovered pictures side by side: gradients and curvature of each, then medians of each group.

Towards two classes: the original one, which a picture shows, and the adversarial one, which an attack made of it.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from fractions import Fraction
from typing import Any, NamedTuple

from torch import Tensor, nn

from dctnet.arguments import choice, finite, whole
from dctnet.robustness.curvature import check, input_gradients, norms, top_eigenvalues
from dctnet.robustness.lanczos import MOST_PRODUCTS, WHICH

TOWARDS = ("original", "adversarial")
GRADIENTS = ("l1", "l2", "linf")


class Curvature(NamedTuple):
    """One picture of a group towards one class.

    ``value`` is what the gradient is of, ``l1``, ``l2`` and ``linf`` are the norms of that gradient; ``eigenvalues`` those of
    the Hessian of the loss, nan where one did not converge, and ``residuals`` theirs (``curvature.Eigenvalues``); both are empty
    where no Hessian was asked for.
    """

    group: str
    picture: int
    towards: str
    label: int
    value: float
    l1: float
    l2: float
    linf: float
    eigenvalues: tuple[float, ...] = ()
    residuals: tuple[float, ...] = ()


class Median(NamedTuple):
    """Of one quantity of one group towards one class: the median over pictures and the interval ``median_interval`` has for it.

    ``quantity`` is "value", "l1", "l2", "linf", or "eigenvalue 1" for the outermost, "eigenvalue 2", ... ``pictures`` is the
    number that the median is of, ``missing`` that of those without a value, whose eigenvalue did not converge.
    """

    group: str
    towards: str
    quantity: str
    median: float
    low: float
    high: float
    pictures: int
    missing: int


def measure(
    network: nn.Module,
    groups: Mapping[str, Tensor],
    labels: Tensor,
    adversarial_labels: Tensor,
    count: int = 1,
    which: str = "LA",
    of: str = "loss",
    hessian_towards: Sequence[str] = TOWARDS,
    tolerance: float = 1e-4,
    seed: int = 0,
    most_products: int = MOST_PRODUCTS,
    batch_size: int = 64,
) -> list[Curvature]:
    """A row for each picture of each group towards each class: ``len(groups) * 2 * n`` of them.

    ``groups`` maps names to pixels ``(n, c, h, w)`` of the same n pictures; ``labels`` and ``adversarial_labels`` ``(n,)`` are
    the two classes of each. ``of`` names what gradients are of, as in ``curvature.input_gradients``. ``count`` eigenvalues are
    those of the Hessian of the loss (``curvature.top_eigenvalues`` says what the other arguments mean); 0 leaves them out.
    ``hessian_towards`` says towards which of the two: the Hessian of a piecewise linear network is the same for both, and one
    is half the work. Gradients are computed of ``batch_size`` pictures at a time. ValueError as in these functions, for no group,
    and for groups that differ in their number of pictures.
    """
    count = whole("count", count, 0)
    choice("which", which, WHICH)
    hessian_towards = {choice("hessian_towards", name, TOWARDS) for name in hessian_towards}
    classes = dict(zip(TOWARDS, (labels, adversarial_labels), strict=True))
    if not groups:
        raise ValueError("groups maps names to pictures, one group at least; got none")
    for group, pixels in groups.items():  # before the work begins
        for name, of_pictures in classes.items():
            try:
                check(network, pixels, of_pictures)
            except ValueError as error:
                raise ValueError(f"group {group!r} towards the {name} classes: {error}") from error
    rows = []
    for group, pixels in groups.items():
        for name, of_pictures in classes.items():
            values, gradients = input_gradients(network, pixels, of_pictures, of, batch_size)
            sizes = norms(gradients)
            eigenvalues = residuals = [()] * len(pixels)
            if count and name in hessian_towards:
                found = top_eigenvalues(network, pixels, of_pictures, count, which, tolerance, seed, most_products)
                eigenvalues, residuals = (map(tuple, each.tolist()) for each in found[:2])
            numbers = (column.tolist() for column in (of_pictures, values, *sizes))
            for picture, row in enumerate(zip(*numbers, eigenvalues, residuals, strict=True)):
                rows.append(Curvature(group, picture, name, *row))
    return rows


def summarise(rows: Sequence[Curvature], level: float = 0.95) -> list[Median]:
    """Medians of the rows of ``measure``, for each group, class and quantity, in the order of the rows.

    >>> rows = [Curvature("natural", i, "original", 3, 0.0, 0.0, float(i), 0.0, (math.nan,)) for i in range(7)]
    >>> [row[2:] for row in summarise(rows) if row.quantity in ("l2", "eigenvalue 1")]
    [('l2', 3.0, 0.0, 6.0, 7, 0), ('eigenvalue 1', nan, nan, nan, 0, 7)]
    """
    columns: dict[tuple[str, str, str], list[float]] = {}
    for row in rows:
        quantities = {name: getattr(row, name) for name in ("value", *GRADIENTS)}
        quantities |= {f"eigenvalue {place + 1}": value for place, value in enumerate(row.eigenvalues)}
        for name, value in quantities.items():
            columns.setdefault((row.group, row.towards, name), []).append(value)
    medians = []
    for key, values in columns.items():
        known = [value for value in values if not math.isnan(value)]
        medians.append(Median(*key, *median_interval(known, level), len(known), len(values) - len(known)))
    return medians


def compare(
    network: nn.Module,
    groups: Mapping[str, Tensor],
    labels: Tensor,
    adversarial_labels: Tensor,
    level: float = 0.95,
    **options: Any,
) -> list[Median]:
    """Medians of gradients and eigenvalues of each group of pictures: ``summarise(measure(...), level)``.

    The usual groups are ``{"natural": ..., "adversarial": ..., "recovered": ...}``, pixels of the same pictures as they came,
    after an attack, and after the lossy channel that is to recover them. ``options`` are those of ``measure``.
    """
    level = finite("level", level, 0, 1, open_low=True)
    return summarise(measure(network, groups, labels, adversarial_labels, **options), level)


def median_interval(values: Sequence[float], level: float = 0.95) -> tuple[float, float, float]:
    """The median of a sample, and an interval that holds the median of what it was drawn from in a share ``level`` of samples.

    Of x_1 <= ... <= x_n the interval is [x_k, x_(n+1-k)], k the greatest for which 2 P(B < k) <= 1 - level, B binomial of n
    draws of 1/2: whatever the distribution, its median lies outside no more often than that. Too few values have none (fewer
    than 6 at 0.95), and it is nan; of no values so is the median. ValueError for a level outside (0, 1].

    Source: W. R. Thompson, "On confidence ranges for the median and other expectation distributions for populations of unknown
    distribution form", The Annals of Mathematical Statistics, 1936.

    >>> median_interval(range(1, 26))
    (13.0, 8.0, 18.0)
    """
    level = finite("level", level, 0, 1, open_low=True)
    values = sorted(map(float, values))
    n = len(values)
    if not n:
        return math.nan, math.nan, math.nan
    median = (values[(n - 1) // 2] + values[n // 2]) / 2
    outside, k = Fraction(1 - level) * 2**n, 0
    below = 1  # of the 2^n outcomes those with at most k draws
    while 2 * below <= outside:
        k += 1
        below += math.comb(n, k)
    return (median, values[k - 1], values[n - k]) if k else (median, math.nan, math.nan)
