"""Short convolutions with few multiplications: the matrices of F(m, r), made of points where polynomials are evaluated.

F(m, r) gives m outputs of a filter g of r taps on n = m + r - 1 inputs d, y_i = sum_j g_j d_(i+j), with n multiplications
instead of m r:

    y = A' [(G g) * (B' d)]        A' (m, n), G (n, r), B' (n, n); * goes number by number

Let g(x) and q(x) be polynomials with r and m coefficients. Their product s(x) has n, and is known from its values at
n - 1 different points a_i and its leading coefficient, "the value at infinity". Each of these is one multiplication,
s(a_i) = g(a_i) q(a_i). With V_k the (n, k) matrix whose row i holds 1, a_i, a_i^2, ..., and whose last row is 0, ..., 0, 1,

    V_n s = (V_r g) * (V_m q),     so     s = V_n^-1 diag(V_r g) V_m q

This is a matrix M(g) times q with M_ki = g_(k-i). Its transpose gives sum_k g_(k-i) d_k = y_i, the correlation:

    y = V_m' [(V_r g) * (V_n^-T d)]

Row i of V_n^-T are the coefficients of Lagrange's polynomial, prod_(j != i) (x - a_j) / f_i with f_i = prod_(j != i) (a_i - a_j);
its last row those of prod_j (x - a_j). Dividing row i of G by |f_i| instead leaves whole numbers in B' as long as the points
are whole. In two dimensions the construction is applied to the rows and the columns: n^2 multiplications in place of (m r)^2,
16 for 36 with F(2x2, 3x3).

The method is that of A. L. Toom (1963) and S. A. Cook (1966); with the transposition S. Winograd, "Arithmetic complexity of
computations", SIAM 1980; for networks A. Lavin and S. Gray, "Fast algorithms for convolutional neural networks", CVPR 2016.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from fractions import Fraction
from itertools import count, islice
from typing import Any, NamedTuple

from dctnet.arguments import whole

Matrix = tuple[tuple[Fraction, ...], ...]


class CookToom(NamedTuple):
    """The rational matrices of F(m, r): ``output`` A' (m, n), ``filter`` G (n, r), ``input`` B' (n, n), as rows."""

    output: Matrix
    filter: Matrix
    input: Matrix


def cook_toom(m: int, r: int, points: Sequence[Fraction | int] | None = None) -> CookToom:
    """The matrices of F(m, r) for m outputs and r taps; ``points`` are the m + r - 2 finite ones (default: ``usual_points``).

    ValueError for m or r below 1 and for points that are not as many different rationals as are needed.

    >>> [[str(number) for number in row] for row in cook_toom(2, 3).filter]
    [['1', '0', '0'], ['1/2', '1/2', '1/2'], ['1/2', '-1/2', '1/2'], ['0', '0', '1']]
    >>> [[int(number) for number in row] for row in cook_toom(2, 3).input]
    [[1, 0, -1, 0], [0, 1, 1, 0], [0, -1, 1, 0], [0, -1, 0, 1]]
    """
    n = whole("m", m, 1) + whole("r", r, 1) - 1
    a = tuple(map(Fraction, islice(usual_points(), n - 1) if points is None else points))
    if len(a) != n - 1 or len(set(a)) != n - 1:
        raise ValueError(f"F({m}, {r}) takes {n - 1} different points; got {', '.join(map(str, a)) or 'none'}")
    evaluated, inputs = [], []
    for i, at in enumerate(a):
        others = a[:i] + a[i + 1 :]
        f = _product([at - other for other in others])
        evaluated.append([at**j / abs(f) for j in range(r)])
        inputs.append([c if f > 0 else -c for c in (*_monic(others), Fraction(0))])
    infinity = [[Fraction(j == k - 1) for j in range(k)] for k in (r, m)]
    values = [[at**j for j in range(m)] for at in a] + [infinity[1]]
    return CookToom(
        output=_rows(zip(*values, strict=True)),
        filter=_rows([*evaluated, infinity[0]]),
        input=_rows([*inputs, list(_monic(a))]),
    )


def usual_points() -> Iterator[Fraction]:
    """0, 1, -1, 2, -2, 1/2, -1/2, 3/4, -3/4, 4/3, -4/3, then all other rationals p/q by p + q, with opposites and inverses.

    Small numbers whose inverses are there, too, keep the matrices near each other in size, and with them the rounding errors.
    Where 3/4 stands, larger or smaller numbers would crowd the ends: of 3/4, 3/2, 3, 4, 1/4 and their inverses it left the
    least error of F(4, 7), F(6, 5) and F(6, 7) in float32.

    >>> [str(point) for point in islice(usual_points(), 13)]
    ['0', '1', '-1', '2', '-2', '1/2', '-1/2', '3/4', '-3/4', '4/3', '-4/3', '3', '-3']
    """
    first = [Fraction(number) for number in ("0", "1", "-1", "2", "-2", "1/2", "-1/2", "3/4", "-3/4", "4/3", "-4/3")]
    yield from first
    for height in count(2):
        for q in range(1, height // 2 + 1):
            point = Fraction(height - q, q)
            if point.denominator == q:  # else it came before, in lowest terms
                yield from (v for v in (point, -point, 1 / point, -1 / point) if v not in first)


def _product(numbers: Sequence[Fraction]) -> Fraction:
    result = Fraction(1)
    for number in numbers:
        result *= number
    return result


def _monic(roots: Sequence[Fraction]) -> tuple[Fraction, ...]:
    """The coefficients of prod (x - root), from the constant up."""
    coefficients = [Fraction(1)]
    for root in roots:
        shifted = [Fraction(0), *coefficients]
        coefficients = [high - root * low for high, low in zip(shifted, [*coefficients, Fraction(0)], strict=True)]
    return tuple(coefficients)


def _rows(rows: Sequence[Any]) -> Matrix:
    return tuple(tuple(row) for row in rows)
