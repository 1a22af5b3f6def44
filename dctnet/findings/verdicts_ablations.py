"""Checks of the research plan: coefficients at equal cost, block sizes, and augmentations beside their twins on pixels."""

from __future__ import annotations

from math import sqrt
from statistics import mean

from dctnet.findings.provenance import validation_files
from dctnet.findings.result_files import Result
from dctnet.findings.twins import twins
from dctnet.findings.verdict import Found
from dctnet.findings.verdicts_planes import standard_error, tops

ALIKE = 0.9  # the share of twins that have to agree: one in twenty differs by two errors by chance


def better_at_equal_cost(result: Result) -> Found:
    """Networks on coefficients beside the one on pixels that costs as much: the best is more accurate by two errors."""
    top = tops(result)
    count = validation_files(result)
    on_pixels = ("rgb", "bandlimited")
    best = max((name for name in top if name not in on_pixels), key=lambda name: mean(top[name]))
    errors = [standard_error(count, mean(top[name])) / sqrt(len(top[name])) for name in (best, "rgb")]
    error = sqrt(sum(error**2 for error in errors))
    told = ", ".join(f"{name} {mean(values):.1f}" for name, values in top.items())
    gained = mean(top[best]) - mean(top["rgb"])
    return Found(gained > 2 * error, f"{told} % (two standard errors of a difference: {2 * error:.1f})")


def blocks_of_the_file_are_not_best(result: Result) -> Found:
    """The same planes in blocks of 1 to 32: each seed of some other size above each of blocks of 8."""
    top = tops(result)
    told = ", ".join(f"{name.removeprefix('block_')}: {mean(values):.1f}" for name, values in top.items())
    others = [values for name, values in top.items() if name not in ("block_1", "block_8")]
    return Found(max(min(values) for values in others) > max(top["block_8"]), f"blocks of {told} %")


def augmentations_gain_alike(result: Result) -> Found:
    """Augmentations on coefficients and on pixels: gains that differ by less than two errors, but for one twin in ten."""
    pairs = [twin for twin in twins(result.rows, validation_files(result)) if twin.apart is not None]
    far = [twin for twin in pairs if abs(twin.apart or 0.0) >= 2]
    told = "; ".join(f"{twin.name} {twin.gains[0]:+.1f} and {twin.gains[1]:+.1f}" for twin in far)
    within = len(pairs) - len(far)
    ours = f"{within} of {len(pairs)} twins gain alike" + (f"; not {told} points" if far else "")
    return Found(within >= ALIKE * len(pairs), ours)
