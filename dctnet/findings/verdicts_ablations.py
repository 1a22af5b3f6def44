"""Checks of the research plan: coefficients at equal cost, block sizes, and augmentations beside their twins on pixels."""

from __future__ import annotations

from math import hypot
from statistics import mean

from dctnet.findings.provenance import validation_files
from dctnet.findings.result_files import Result
from dctnet.findings.twins import twins
from dctnet.findings.verdict import MARGIN, Found, error_of, gains, span, spread, within
from dctnet.findings.verdicts_planes import tops

ALIKE = 0.9  # the share of twins that have to agree: one in twenty is apart by chance
SAME = 0.1  # of the time on pixels, by which equal times may differ


def better_at_equal_cost(result: Result) -> Found:
    """Networks on coefficients beside the one on pixels that costs as much: the best gains."""
    top = tops(result)
    others = _on_coefficients(result)
    best = max(others, key=lambda name: mean(top[name]))
    error = error_of(validation_files(result), top[best], top["rgb"], between=spread(top.values()))
    told = ", ".join(f"{name} {mean(values):.1f}" for name, values in top.items())
    gap = mean(top[best]) - mean(top["rgb"])
    return Found(gains(gap, error, len(others)), f"{told} % (error of a difference {error:.1f})")


def better_at_equal_time(result: Result) -> Found:
    """The same, where the runs did take the same time: to ``SAME`` of it, as they say themselves."""
    found = better_at_equal_cost(result)
    minutes: dict[str, list[float]] = {}
    for row in result.rows:
        minutes.setdefault(row["name"], []).append(row["minutes"])
    taken = {name: mean(values) for name, values in minutes.items()}
    over = {name: taken[name] / taken["rgb"] for name in _on_coefficients(result)}
    told = ", ".join(f"{name} {share:.2f}" for name, share in over.items())
    equal = all(share < 1 + SAME for share in over.values())  # who took less has no advantage by it
    return Found(found.holds if equal else None, f"{found.ours}; training took, of the time on pixels: {told}")


def _on_coefficients(result: Result) -> list[str]:
    return [name for name in tops(result) if name not in ("rgb", "bandlimited")]


def blocks_of_the_file_are_not_best(result: Result) -> Found:
    """The same planes in blocks of 2 to 32: the best gains over blocks of 8. Blocks of 1, pixels, stand beside it."""
    top = tops(result)
    others = [name for name in top if name not in ("block_1", "block_8")]
    best = max(others, key=lambda name: mean(top[name]))
    error = error_of(validation_files(result), top[best], top["block_8"], between=spread(top.values()))
    told = ", ".join(f"{name.removeprefix('block_')}: {mean(values):.1f}" for name, values in top.items())
    ours = f"blocks of {told} % (error of a difference {error:.1f})"
    return Found(gains(mean(top[best]) - mean(top["block_8"]), error, len(others)), ours)


def augmentations_gain_alike(result: Result) -> Found:
    """The gains of augmentations on coefficients and on pixels: alike for nine twins in ten; no: for sure apart for more."""
    pairs = [twin for twin in twins(result.rows, validation_files(result)) if twin.apart is not None]
    gaps = [(twin.gains[0] - twin.gains[1], hypot(*twin.errors)) for twin in pairs]
    errors = [error for _, error in gaps]
    each = [within(gap, error) for gap, error in gaps]
    apart = sum(within(gap, error, of=len(pairs)) is False for gap, error in gaps)
    few = (1 - ALIKE) * len(pairs) + 1e-9
    holds = False if apart > few else True if sum(one is not True for one in each) <= few else None
    ours = (
        f"of {len(pairs)} twins the gains of {apart} are for sure apart, those of {sum(one is True for one in each)} for sure "
        f"within {MARGIN:g} points (error of a difference {span(errors, '{:.1f}')})"
    )
    return Found(holds, ours)
