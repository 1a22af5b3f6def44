"""Rows and medians of groups of pictures, and the interval of a median against counts of outcomes and printed tables."""

import itertools
import math
import statistics

import numpy as np
import pytest
import torch
from torch import nn

from dctnet.robustness.curvature import input_gradients, norms, top_eigenvalues
from dctnet.robustness.curvature_groups import compare, measure, median_interval, summarise

N = 7
LABELS, ADVERSARIAL = torch.tensor([0, 1, 2, 0, 1, 2, 0]), torch.tensor([1, 2, 0, 2, 0, 1, 1])


def network():
    torch.manual_seed(0)
    return nn.Sequential(nn.Conv2d(1, 4, 3), nn.Tanh(), nn.Flatten(), nn.Linear(16, 3)).double().eval()


def groups():
    pixels = torch.rand(N, 1, 4, 4, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    return {"natural": pixels, "adversarial": (pixels + 0.1).clamp(max=1), "recovered": (pixels * 16).round() / 16}


def test_rows_hold_what_the_functions_say():
    rows = measure(network(), groups(), LABELS, ADVERSARIAL, count=2, which="LM", of="logit")
    assert len(rows) == len(groups()) * 2 * N
    place = iter(rows)
    for group, pixels in groups().items():
        for towards, classes in (("original", LABELS), ("adversarial", ADVERSARIAL)):
            values, gradients = input_gradients(network(), pixels, classes, "logit")
            found = top_eigenvalues(network(), pixels, classes, 2, "LM")
            for picture in range(N):
                row = next(place)
                assert row[:4] == (group, picture, towards, classes[picture].item())
                sizes = [norm[picture].item() for norm in norms(gradients)]
                assert row[4:8] == (values[picture].item(), *sizes)
                assert row.eigenvalues == tuple(found.values[picture].tolist())
                assert row.residuals == tuple(found.residuals[picture].tolist())


def test_medians_are_those_of_each_group():
    rows = measure(network(), groups(), LABELS, ADVERSARIAL, count=1)
    medians = compare(network(), groups(), LABELS, ADVERSARIAL, count=1)
    assert medians == summarise(rows)
    names = ["value", "l1", "l2", "linf", "eigenvalue 1"]
    keys = list(itertools.product(groups(), ("original", "adversarial"), names))
    assert [row[:3] for row in medians] == keys
    for row in medians:
        of_group = [r for r in rows if (r.group, r.towards) == (row.group, row.towards)]
        sample = [r.eigenvalues[0] if "eigen" in row.quantity else getattr(r, row.quantity) for r in of_group]
        assert row[3:] == (
            statistics.median(sample),
            min(sample),
            max(sample),
            N,
            0,
        )  # of 7, 0.95 takes the first and last


def test_the_hessian_may_be_left_out_or_taken_towards_one_class():
    assert all(row.eigenvalues == () for row in measure(network(), groups(), LABELS, ADVERSARIAL, count=0))
    rows = measure(network(), groups(), LABELS, ADVERSARIAL, hessian_towards=["adversarial"])
    assert all(len(row.eigenvalues) == (row.towards == "adversarial") for row in rows)


def test_what_did_not_converge_is_counted_and_left_out():
    rows = measure(network(), {"natural": groups()["natural"]}, LABELS, ADVERSARIAL)
    rows = [row._replace(eigenvalues=(math.nan,)) if row.picture == 2 else row for row in rows]
    (median,) = [row for row in summarise(rows) if row.quantity == "eigenvalue 1" and row.towards == "original"]
    known = [row.eigenvalues[0] for row in rows if row.towards == "original" and row.picture != 2]
    assert median[3:] == (statistics.median(known), min(known), max(known), N - 1, 1)


# n and the rank of the lower end, from the tables of nonparametric statistics (sign test, two-sided 5 and 1 %).
TABLE = {
    0.95: {5: 0, 6: 1, 8: 1, 9: 2, 10: 2, 12: 3, 15: 4, 20: 6, 25: 8, 30: 10, 40: 14, 50: 18},
    0.99: {7: 0, 8: 1, 20: 4},
}


@pytest.mark.parametrize(("level", "n", "k"), [(level, *row) for level, rows in TABLE.items() for row in rows.items()])
def test_ranks_are_those_of_the_tables(level, n, k):
    values = np.random.default_rng(0).permutation(n)
    median, low, high = median_interval(values, level)
    assert median == np.median(values)
    assert (low, high) == (k - 1, n - k) if k else math.isnan(low) and math.isnan(high)


@pytest.mark.parametrize("n", [6, 9, 12])
def test_coverage_is_what_counting_says(n):
    """Each value is below the median or above it with the same chance: of all 2^n ways the interval misses 5 % at most."""
    missed = 0
    for signs in itertools.product((-1.0, 1.0), repeat=n):
        _, low, high = median_interval(signs)
        missed += low > 0 or high < 0
    assert missed <= 0.05 * 2**n


def test_samples_of_any_size():
    assert all(math.isnan(value) for value in median_interval([]))
    assert median_interval([3.0])[0] == 3.0
    _, low, high = median_interval(np.arange(5000))
    # The normal approximation, n/2 -+ 1.96 sqrt(n)/2.
    assert abs(low - (2500 - 1.96 * math.sqrt(5000) / 2)) < 2 and low + high == 4999


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"groups": {}}, "one group at least"),
        (
            {"groups": {"natural": groups()["natural"], "recovered": groups()["recovered"][:3]}},
            "group 'recovered'.*one class",
        ),
        ({"adversarial_labels": ADVERSARIAL[:3]}, "towards the adversarial classes"),
        ({"hessian_towards": ["natural"]}, "hessian_towards is one of"),
        ({"count": -1}, "count is a whole number"),
        ({"which": "SM"}, "which is one of"),
        ({"of": "margin"}, "of is one of"),
        ({"level": 0}, "level is a finite number|level is a number"),
    ],
    ids=str,
)
def test_what_does_not_fit_is_refused(change, message):
    arguments = {"network": network(), "groups": groups(), "labels": LABELS, "adversarial_labels": ADVERSARIAL}
    with pytest.raises(ValueError, match=message):
        compare(**(arguments | change))
