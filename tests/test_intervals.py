"""Wilson's interval against SciPy's, and against what is known of it."""

import pytest
from scipy.stats import binomtest, norm

from dctnet.robustness.intervals import wilson


@pytest.mark.parametrize("level", [0.5, 0.9, 0.95, 0.999])
@pytest.mark.parametrize("count", [1, 2, 7, 40, 1000])
def test_it_is_scipys(count, level):
    for successes in {0, 1, count // 3, count // 2, count - 1, count}:
        expected = binomtest(successes, count).proportion_ci(level, method="wilson")
        assert wilson(successes, count, level) == pytest.approx((expected.low, expected.high), abs=1e-12)


def test_a_known_one():
    """10 of 20 at 95 %: 0.5 -+ z sqrt(1/80 + z^2/1600) / (1 + z^2/20)."""
    z = norm.ppf(0.975)
    half = z * (1 / 80 + z * z / 1600) ** 0.5 / (1 + z * z / 20)
    assert wilson(10, 20) == pytest.approx((0.5 - half, 0.5 + half), abs=1e-12)
    assert wilson(10, 20) == pytest.approx((0.2993, 0.7007), abs=5e-5)


def test_its_ends_pass_the_score_test_exactly():
    """At each end p the estimate is z deviations sqrt(p (1 - p) / n) away."""
    for successes, count in ((3, 10), (29, 40), (1, 200)):
        for end in wilson(successes, count):
            assert abs(successes / count - end) == pytest.approx(norm.ppf(0.975) * (end * (1 - end) / count) ** 0.5)


@pytest.mark.parametrize("arguments, says", [
    ((1, 0), "count"), ((5, 4), "successes"), ((-1, 4), "successes"), ((1.5, 4), "successes"), ((1, 4, 0), "level"),
    ((1, 4, 1.0), "level"),
])  # fmt: skip
def test_what_cannot_be_is_refused(arguments, says):
    with pytest.raises(ValueError, match=says):
        wilson(*arguments)
