"""Counts, means and squared deviations of columns of numbers, in one pass and in parts that are put together.

For a set of n vectors x: ``mean`` = sum(x) / n, ``squares`` = sum((x - mean)**2), ``peak`` = max|x|, all float64. Two
disjoint sets a and b, d = mean_b - mean_a, make (T. Chan, G. Golub and R. LeVeque, "Updating formulae and a pairwise
algorithm for computing sample variances", 1979)

    n = n_a + n_b,   mean = mean_a + d * n_b / n,   squares = squares_a + squares_b + d**2 * n_a * n_b / n

which, unlike sums of x and x**2, loses nothing to a mean that is great beside the deviation.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np


class Moments(NamedTuple):
    """What is known of ``count`` vectors: arrays of as many float64 as a vector has numbers."""

    count: int
    mean: np.ndarray
    squares: np.ndarray
    peak: np.ndarray

    @property
    def std(self) -> np.ndarray:
        """The root of the average of (x - mean)**2."""
        return np.sqrt(self.squares / self.count)

    @property
    def energy(self) -> np.ndarray:
        """The average of x**2."""
        return self.mean**2 + self.squares / self.count


def moments_of(vectors: np.ndarray) -> Moments:
    """Of the rows of an array (n, k), n at least 1.

    >>> moments = moments_of(np.array([[1.0, -5.0], [3.0, -5.0]]))
    >>> moments.mean.tolist(), moments.std.tolist(), moments.energy.tolist(), moments.peak.tolist()
    ([2.0, -5.0], [1.0, 0.0], [5.0, 25.0], [3.0, 5.0])
    """
    x = vectors.astype(np.float64)
    mean = x.mean(0)
    peak = np.maximum(x.max(0), -x.min(0))
    x -= mean
    mean += (rest := x.mean(0))  # what rounding left, of numbers far from 0
    return Moments(len(x), mean, np.maximum(np.square(x).sum(0) - len(x) * rest**2, 0.0), peak)


def merge(a: Moments | None, b: Moments | None) -> Moments | None:
    """Of two sets together; None stands for the empty set."""
    if a is None or b is None:
        return b if a is None else a
    count, distance = a.count + b.count, b.mean - a.mean
    return Moments(
        count,
        a.mean + distance * (b.count / count),
        a.squares + b.squares + distance**2 * (a.count * b.count / count),
        np.maximum(a.peak, b.peak),
    )
