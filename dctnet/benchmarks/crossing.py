"""At which filter size one way to convolve overtakes another, by what theory says of both.

With k taps a side and N samples a side of the circle, of which the padded map needs s + k // 2,

    direct      t = a + b k^2                O(n k^2): the taps of each output
    fft         t = c + d N^2 log N          O(n log n): the transforms; the filter only lengthens the circle

with numbers a, b, c, d >= 0 that make the sum of squares of the relative errors least. Beside where these cross stands where
the measured times do, with straight lines between them on logarithmic axes: theory knows nothing of a library that takes
another loop for larger filters.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np
from scipy.optimize import nnls

FAR = 4  # crossings are looked for up to so many times the largest filter measured


class Crossing(NamedTuple):
    """From which filter on the second way is quicker, by the measured times and by the fits; None where it is not.

    ``errors``: the median relative error of the two fits.
    """

    measured: float | None
    fitted: float | None
    errors: tuple[float, float]


def direct_cost(kernel: np.ndarray, size: int) -> np.ndarray:
    """k^2."""
    return kernel**2.0


def fft_cost(kernel: np.ndarray, size: int) -> np.ndarray:
    """N^2 log2 N of the padded map."""
    side = size + kernel / 2
    return side**2 * np.log2(side)


def crossing(size: int, kernels: Sequence[int], direct: Sequence[float], fft: Sequence[float]) -> Crossing:
    """Where the two cross, for seconds measured with these kernels, in order, on maps of ``size``; two kernels at least.

    >>> kernels = [3, 5, 7, 11, 15]
    >>> crossing(32, kernels, [2 + k**2 / 8 for k in kernels], [10.0] * 5).fitted
    8.0
    """
    fits, errors = [], []
    kernels, direct, fft = (np.asarray(numbers, dtype=float) for numbers in (kernels, direct, fft))
    for cost, seconds in ((direct_cost, direct), (fft_cost, fft)):
        fit, error = _fitted(cost, size, kernels, seconds)
        fits.append(fit)
        errors.append(error)
    at = np.linspace(1, FAR * max(kernels), round(100 * (FAR * max(kernels) - 1)) + 1)
    measured = np.exp(np.interp(np.log(at), np.log(kernels), np.log(direct / fft)))
    within = (at >= min(kernels)) & (at <= max(kernels))
    fitted = _last_change(at, fits[0](at) >= fits[1](at))
    return Crossing(_last_change(at[within], measured[within] >= 1), fitted, (errors[0], errors[1]))


def _last_change(at: np.ndarray, quicker: np.ndarray) -> float | None:
    """From where on ``quicker`` holds to the end; None where it does not at the end."""
    first = 1 + np.flatnonzero(~quicker)[-1] if not quicker.all() else 0
    return round(float(at[first]), 1) if first < len(at) else None


def _fitted(
    cost: Callable[[np.ndarray, int], np.ndarray], size: int, kernels: np.ndarray, seconds: np.ndarray
) -> tuple[Callable[[np.ndarray], np.ndarray], float]:
    """The fit as a function of the kernel, and its median relative error."""
    terms = np.stack([np.ones_like(kernels), cost(kernels, size)], 1)
    scale = terms.max(0)
    numbers = nnls(terms / scale / seconds[:, None], np.ones_like(seconds))[0] / scale
    error = float(np.median(np.abs(terms @ numbers / seconds - 1)))
    return lambda at: numbers[0] + numbers[1] * cost(at, size), error
