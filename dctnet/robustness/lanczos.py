"""The outermost eigenvalues of a symmetric operator of which only products with vectors are known."""

from __future__ import annotations

import inspect
from collections.abc import Callable

import numpy as np
from scipy.sparse.linalg import ArpackError, ArpackNoConvergence, LinearOperator, eigsh

from dctnet.arguments import choice, finite, whole

WHICH = ("LA", "SA", "LM")
MOST_PRODUCTS = 300

# From 1.17 on scipy draws with this generator where the start vector leads no further; versions before have their own.
_SEEDED = "rng" in inspect.signature(eigsh).parameters


class _Spent(Exception):
    """There are no more products."""


def outermost_eigenvalues(
    product: Callable[[np.ndarray], np.ndarray],
    size: int,
    count: int = 1,
    which: str = "LA",
    tolerance: float = 1e-4,
    seed: int = 0,
    most_products: int = MOST_PRODUCTS,
) -> tuple[np.ndarray, np.ndarray, int]:
    """``count`` eigenvalues of a symmetric operator, their residuals, and the number of products that they took.

    ``product`` gives, of a vector of ``size`` values of float64, that with the operator. The method is scipy's ``eigsh``,
    ARPACK's Lanczos with restarts, from a normal vector drawn with ``seed``. A value has converged when the estimate of its
    residual is at most ``tolerance`` (0 for the precision of float64) times |value + 2 s| for "LA", |value - 2 s| for "SA",
    |value| for "LM". Here s is |H v| / |v| of the start vector, about the root mean square of all eigenvalues, so that zero can
    be found, too; where s is zero, the operator counts as zero. There are at most ``most_products`` products; what has not
    converged then is nan. Copies of a multiple eigenvalue are found by rounding and restarts alone, so they may be missed.

    ValueError for wrong arguments, also fewer than 2 count + 4 products, and for a product that is not finite.

    >>> values, residuals, products = outermost_eigenvalues(lambda v: np.arange(50.0) * v, 50, count=2)
    >>> values.round(4).tolist(), bool((residuals < 0.01).all())
    ([49.0, 48.0], True)
    """
    count = whole("count", count, 1)
    if count >= size:
        raise ValueError(f"count is less than the number of values, {size}; got {count}")
    choice("which", which, WHICH)
    tolerance, seed = finite("tolerance", tolerance, 0, 1), whole("seed", seed, 0)
    most_products = whole("most_products", most_products, 2 * count + 4)
    products = 0

    def checked(vector: np.ndarray) -> np.ndarray:
        nonlocal products
        products += 1
        result = product(np.ascontiguousarray(vector).reshape(size))
        if not np.isfinite(result).all():
            raise ValueError("a product with the operator is not finite: a network overflows or has an infinite slope")
        return result

    def moved(vector: np.ndarray) -> np.ndarray:
        if products == most_products - count:
            raise _Spent
        return checked(vector) / scale + shift * vector

    start = np.random.default_rng(seed).standard_normal(size)
    scale = np.linalg.norm(checked(start)) / np.linalg.norm(start)
    if scale == 0:
        return np.zeros(count), np.zeros(count), products
    # Zero eigenvalues converge relatively to nothing: the operator moves up or down, so that those wanted lie away from zero.
    shift = {"LA": 2.0, "SA": -2.0, "LM": 0.0}[which]
    # One product was that for the scale, `count` are those for the residuals. Of the rest ARPACK takes one to begin with, a
    # whole basis, and for each restart basis - count at most.
    spare = most_products - count - 2
    basis = min(size, max(2 * count + 1, 20), (spare + count) // 2)
    try:
        values, vectors = eigsh(
            LinearOperator((size, size), matvec=moved, dtype=np.float64),
            count,
            which=which,
            v0=start,
            ncv=basis,
            maxiter=(spare - basis) // (basis - count),
            tol=tolerance,
            **({"rng": np.random.default_rng(seed)} if _SEEDED else {}),
        )
    except ArpackNoConvergence as unfinished:
        values, vectors = unfinished.eigenvalues, unfinished.eigenvectors
    except (ArpackError, _Spent):  # no restart from where it is, or a cycle that was longer than they are
        values, vectors = np.zeros(0), np.zeros((size, 0))
    values = (values - shift) * scale
    order = np.argsort({"LA": -values, "SA": values, "LM": -abs(values)}[which], kind="stable")
    found, residuals = np.full(count, np.nan), np.full(count, np.nan)
    for place, which_one in enumerate(order):
        found[place], vector = values[which_one], vectors[:, which_one]
        residuals[place] = np.linalg.norm(checked(vector) - found[place] * vector)
    return found, residuals, products
