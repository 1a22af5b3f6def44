"""The claims of the thesis, each decided by a function on result files: nothing here is a verdict written down.

`claims.yaml` holds the claims in words, and names the check and the files of each. Without those files, or without a check, a
claim is not tested here; where they are too few to tell, it is not decided.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

import yaml

from dctnet.findings import (
    verdicts_ablations,
    verdicts_band_limits,
    verdicts_convolutions,
    verdicts_planes,
    verdicts_robustness,
    verdicts_spectra,
)
from dctnet.findings.result_files import Result, Results
from dctnet.findings.verdict import Found

REPRODUCED, NOT_REPRODUCED, UNDECIDED, NOT_TESTED = "reproduced", "not reproduced", "not decided", "not tested here"

CHECKS: dict[str, Callable[..., Found]] = {
    check.__name__: check
    for check in (
        verdicts_spectra.concentrated,
        verdicts_spectra.half_is_little_loss,
        verdicts_spectra.low_come_first,
        verdicts_spectra.low_come_first_because_low,
        verdicts_convolutions.cost_by_filter,
        verdicts_convolutions.fft_wins_when_large,
        verdicts_convolutions.winograd_wins_at_three,
        verdicts_convolutions.winograd_multiplies_less,
        verdicts_convolutions.correlation_by_fft,
        verdicts_convolutions.half_is_stored,
        verdicts_convolutions.compression_controls_time,
        verdicts_convolutions.compression_controls_memory,
        verdicts_convolutions.coefficients_come_free,
        verdicts_convolutions.product_is_no_convolution,
        verdicts_band_limits.falls_smoothly,
        verdicts_band_limits.same_rate_is_best,
        verdicts_band_limits.bears_noise,
        verdicts_band_limits.robust_to_attacks,
        verdicts_robustness.recover,
        verdicts_robustness.window_shrinks,
        verdicts_robustness.alike_fgsm,
        verdicts_robustness.alike_pgd,
        verdicts_robustness.alike_cw,
        verdicts_robustness.survive_the_adaptive,
        verdicts_robustness.natural_bear_noise,
        verdicts_robustness.natural_are_near_boundaries,
        verdicts_robustness.gradients_tell,
        verdicts_robustness.curvature_tells,
        verdicts_planes.planes_pay,
        verdicts_planes.exchange_pays,
        verdicts_planes.small_blocks_pay,
        verdicts_planes.multigrids_pay,
        verdicts_planes.compression_inside_pays,
        verdicts_planes.spectra_save_memory,
        verdicts_planes.augmentation_is_fast,
        verdicts_ablations.better_at_equal_cost,
        verdicts_ablations.better_at_equal_time,
        verdicts_ablations.blocks_of_the_file_are_not_best,
        verdicts_ablations.augmentations_gain_alike,
    )
}


class Claim(NamedTuple):
    """A claim in words and where it is decided; see claims.yaml."""

    id: str
    claim: str
    theirs: str = ""
    check: str | None = None
    results: Sequence[str] = ()
    holds_if: str = ""
    reason: str = ""
    make: str | None = None


class Judged(NamedTuple):
    """A claim with its verdict, our figure (or why there is none), and the files that were read."""

    claim: Claim
    verdict: str
    ours: str
    files: tuple[Result, ...] = ()


def claims() -> list[Claim]:
    """All claims, in the order of the file."""
    text = Path(__file__).with_name("claims.yaml").read_text(encoding="utf-8")
    return [Claim(**entry) for entry in yaml.safe_load(text)]


def judge(claim: Claim, results: Results) -> Judged:
    """The verdict on a claim by its check; not tested where the files that it reads are absent or lack the rows it needs."""
    if claim.check is None:
        return Judged(claim, NOT_TESTED, claim.reason)
    found = {name: _first(results, name.split(" | ")) for name in claim.results}
    if absent := [name for name, result in found.items() if result is None]:
        return Judged(claim, NOT_TESTED, f"{', '.join(absent).replace('|', 'or')} is not in these results")
    files = tuple(result for result in found.values() if result is not None)
    try:
        decided = CHECKS[claim.check](*files)
    except (KeyError, StopIteration, IndexError, ZeroDivisionError, ValueError, TypeError, AttributeError) as error:
        names = ", ".join(result.path for result in files)
        return Judged(
            claim, NOT_TESTED, f"{names} has not all the rows that decide this ({type(error).__name__}: {error})", files
        )
    verdict = UNDECIDED if decided.holds is None else REPRODUCED if decided.holds else NOT_REPRODUCED
    return Judged(claim, verdict, decided.ours, files)


def _first(results: Results, names: Sequence[str]) -> Result | None:
    """The first of these files that is there."""
    return next((result for name in names if (result := results.named(name)) is not None), None)
