"""Checks of what is claimed of networks whose convolutions drop a share of the spectrum."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import pairwise
from math import hypot
from statistics import mean
from typing import NamedTuple

from dctnet.findings.band_limits import Rows, clean, same, seeds_of, values
from dctnet.findings.provenance import validation_files
from dctnet.findings.result_files import Result
from dctnet.findings.verdict import Found, all_of, deviations, gains, span, spread, standard_error

TIE = 0.5  # points of top-1 within which two means are taken to be the same


class Mean(NamedTuple):
    """A top-1 over seeds (and sets), and its standard error."""

    top: float
    error: float


def _means(rows: Rows, by: str, count: int | None) -> dict[float, Mean]:
    """The mean over seeds (and sets) at each value of an entry, of tops that are counted on ``count`` files."""
    found = {at: seeds_of([row for row in rows if row[by] == at]) for at in values(rows, by)}
    between = spread(found.values())
    return {at: Mean(mean(tops), standard_error(count, mean(tops), len(tops), between)) for at, tops in found.items()}


def _gap(one: Mean, other: Mean) -> tuple[float, float]:
    """How far ``one`` lies above the other, and the error of that."""
    return one.top - other.top, hypot(one.error, other.error)


def _told(means: Mapping[float, Mean]) -> str:
    return ", ".join(f"{one.top:.1f} at {100 * rate:.0f} %" for rate, one in means.items())


def falls_smoothly(result: Result) -> Found:
    """Top-1 at the same rate in training and testing: no step that is for sure up, and for sure less in the end."""
    means = _means(same(clean(result.rows)), "trained", validation_files(result))
    steps = [_gap(after, before) for before, after in pairwise(means.values())]
    first, *_, last = means.values()
    ups = [gap > deviations(len(steps)) * error for gap, error in steps]
    errors = [error for _, error in steps]
    ours = f"{_told(means)} (error of a difference {span(errors, '{:.1f}')})"
    return Found(all_of([not any(ups), gains(*_gap(first, last))]), ours)


def same_rate_is_best(result: Result) -> Found:
    """Whether each network is best at the rate of its training and each rate is served best by the network trained at it."""
    rows, count = clean(result.rows), validation_files(result)
    rates = values(rows, "trained")
    if len(rates) < 2:
        raise ValueError("one rate has no other to be compared with")
    table = {a: _means([row for row in rows if row["trained"] == a], "tested", count) for a in rates}
    own, served, costs = [], [], []
    for a in rates:
        by_testing, by_training = list(table[a].values()), [table[b][a] for b in rates]
        own.append(_best(table[a][a], by_testing))
        served.append(_best(table[a][a], by_training))
        costs.append(_gap(table[a][a], min(by_testing)))
    ours = (
        f"the same rate is best, to half a point, for {own.count(True)} of {len(own)} networks and {served.count(True)} of "
        f"{len(served)} rates of testing; the worst other rate costs {span([gap for gap, _ in costs], '{:.1f}')} points (error "
        f"of a difference {span([error for _, error in costs], '{:.1f}')})"
    )
    return Found(all_of([*own, *served, *(gains(gap, error, len(rates)) for gap, error in costs)]), ours)


def _best(one: Mean, among: Sequence[Mean]) -> bool | None:
    """Whether it is the greatest, to ``TIE``; no: for sure below another."""
    gap, error = _gap(max(among), one)
    return True if gap <= TIE else False if gap > deviations(len(among)) * error else None


def bears_noise(result: Result) -> Found:
    """The share of its own accuracy that a network keeps under the strongest noise: for sure more at every rate than at 0."""
    rows, count = same(result.rows), validation_files(result)
    noise = max(values(rows, "noise"))
    quiet, loud = (_means([row for row in rows if row["noise"] == at], "trained", count) for at in (0.0, noise))
    kept = {}
    for rate in quiet:
        share = 100 * loud[rate].top / quiet[rate].top
        kept[rate] = Mean(share, share * hypot(loud[rate].error / loud[rate].top, quiet[rate].error / quiet[rate].top))
    whole, *limited = kept.values()
    told = ", ".join(f"{one.top:.0f} % at {100 * rate:.0f} %" for rate, one in kept.items())
    errors = [_gap(one, whole)[1] for one in limited]
    ours = f"kept under noise of {noise:g} gray levels: {told} dropped (error of a difference {span(errors, '{:.1f}')})"
    return Found(all_of(gains(*_gap(one, whole), len(limited)) for one in limited), ours)


def robust_to_attacks(result: Result) -> Found:
    """Accuracy under each attack by the share that is dropped: no step that is for sure down, and for sure more in the end.

    Without a channel an attack on the network is the adaptive one.
    """
    accuracy: dict[str, dict[float, list[float]]] = {}
    count = max(row["key"].get("count", 1) for row in result.rows)
    for row in result.rows:
        if row["key"]["kind"] == "oblivious" and row["key"]["channel"] == "none":
            rate = row["network_options"].get("compression", 0.0)
            accuracy.setdefault(row["key"]["attack"], {}).setdefault(rate, []).append(100 * row["accuracy"])
    rises, told = [], []
    for attack, found in accuracy.items():
        means = {r: Mean(mean(found[r]), standard_error(count, mean(found[r]), len(found[r]))) for r in sorted(found)}
        first, *_, last = means.values()
        steps = [_gap(before, after) for before, after in pairwise(means.values())]
        rises.append(
            all_of([not any(gap > deviations(len(steps)) * error for gap, error in steps), gains(*_gap(last, first))])
        )
        told.append(f"{attack}: {_told(means)}")
    return Found(all_of(rises), f"accuracy (%), {'; '.join(told)}; {count} pictures a network")
