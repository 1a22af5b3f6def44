"""The matrices of F(m, r) in exact rationals against the definition of the correlation."""

import random
from fractions import Fraction
from itertools import islice

import pytest

from dctnet.nn.cook_toom import cook_toom, usual_points

SIZES = [(2, 3), (4, 3), (6, 3), (2, 5), (1, 1), (1, 4), (5, 1), (3, 2), (4, 7), (8, 7)]


def times(matrix, vector):
    return [sum(a * b for a, b in zip(row, vector, strict=True)) for row in matrix]


def correlation(d, g):
    return [sum(d[i + j] * g[j] for j in range(len(g))) for i in range(len(d) - len(g) + 1)]


@pytest.mark.parametrize(("m", "r"), SIZES)
@pytest.mark.parametrize("own", [False, True], ids=["usual points", "own points"])
def test_they_give_the_correlation_exactly(m, r, own):
    draw = random.Random(100 * m + r)
    points = draw.sample([Fraction(p, q) for p in range(-9, 10) for q in (1, 5)], m + r - 2) if own else None
    if own and len(set(points)) < len(points):
        points = list(range(3, m + r + 1))
    matrices = cook_toom(m, r, points)
    for _ in range(5):
        d, g = ([draw.randint(-99, 99) for _ in range(n)] for n in (m + r - 1, r))
        products = [a * b for a, b in zip(times(matrices.filter, g), times(matrices.input, d), strict=True)]
        assert len(products) == m + r - 1
        assert times(matrices.output, products) == correlation(d, g)


def test_in_two_dimensions_16_multiplications_do_what_36_did():
    draw, (a, g, b) = random.Random(0), cook_toom(2, 3)
    d, w = ([[draw.randint(-99, 99) for _ in range(n)] for _ in range(n)] for n in (4, 3))
    made, seen = (
        [times(m, row) for row in zip(*(times(m, row) for row in x), strict=True)] for m, x in ((g, w), (b, d))
    )
    products = [[u * v for u, v in zip(*rows, strict=True)] for rows in zip(made, seen, strict=True)]
    outputs = [times(a, row) for row in zip(*(times(a, row) for row in products), strict=True)]
    direct = [[sum(d[y + v][x + u] * w[v][u] for v in range(3) for u in range(3)) for x in range(2)] for y in range(2)]
    # Rows and columns changed places twice in each transform.
    assert outputs == direct
    assert sum(len(row) for row in products) == 16 and 2 * 2 * 3 * 3 == 36


def test_f_2_3_is_the_published_one_up_to_order_and_sign():
    half = Fraction(1, 2)
    inputs = [[1, 0, -1, 0], [0, 1, 1, 0], [0, -1, 1, 0], [0, 1, 0, -1]]
    filters = [[1, 0, 0], [half, half, half], [half, -half, half], [0, 0, 1]]
    outputs = [[1, 1, 1, 0], [0, 1, -1, -1]]
    ours = cook_toom(2, 3)
    products = [ours.filter, ours.input, list(zip(*ours.output, strict=True))]
    published = [filters, inputs, list(zip(*outputs, strict=True))]

    def terms(matrices):
        """Of each multiplication its three rows, the first number of each made positive, and the product of the signs."""
        found = set()
        for rows in zip(*matrices, strict=True):
            signs = [next(1 if number > 0 else -1 for number in row if number) for row in rows]
            plain = tuple(tuple(Fraction(s * number) for number in row) for s, row in zip(signs, rows, strict=True))
            found.add((plain, signs[0] * signs[1] * signs[2]))
        return found

    assert terms(products) == terms(published)


def test_whole_points_leave_whole_numbers_in_the_transform_of_the_input():
    for m, r in ((2, 3), (4, 3), (2, 5)):
        matrices = cook_toom(m, r)
        assert all(number.denominator == 1 for row in (*matrices.input, *matrices.output) for number in row) == (
            m + r <= 7
        )


def test_the_usual_points_are_different_and_come_with_opposite_and_inverse():
    points = list(islice(usual_points(), 47))
    assert points[:7] == [0, 1, -1, 2, -2, Fraction(1, 2), Fraction(-1, 2)]
    assert len(set(points)) == len(points)
    assert all(-p in points and 1 / p in points for p in points if p)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((0, 3), "m is a whole number at least 1; got 0"),
        ((2, 1.5), "r is a whole number at least 1; got 1.5"),
        ((2, 3, [0, 1]), r"F\(2, 3\) takes 3 different points; got 0, 1"),
        ((2, 3, [0, 1, 1]), "3 different points; got 0, 1, 1"),
    ],
)
def test_what_does_not_fit_is_refused(arguments, message):
    with pytest.raises(ValueError, match=message):
        cook_toom(*arguments)
