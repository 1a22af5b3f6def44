"""Checks of what is claimed of networks whose convolutions drop a share of the spectrum."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import pairwise
from statistics import mean

from dctnet.findings.band_limits import Rows, clean, same, seeds_of, values
from dctnet.findings.result_files import Result
from dctnet.findings.verdict import Found

TIE = 0.5  # points of top-1 within which two means are taken to be the same


def _means(rows: Rows, by: str) -> dict[float, float]:
    """The mean over seeds (and sets) at each value of an entry."""
    return {at: mean(seeds_of([row for row in rows if row[by] == at])) for at in values(rows, by)}


def _told(means: Mapping[float, float]) -> str:
    return ", ".join(f"{top1:.1f} at {100 * rate:.0f} %" for rate, top1 in means.items())


def falls_smoothly(result: Result) -> Found:
    """Top-1 at the same rate in training and testing: no step up, to ``TIE``, and less in the end than in the beginning."""
    means = _means(same(clean(result.rows)), "trained")
    tops = list(means.values())
    falls = all(after <= before + TIE for before, after in pairwise(tops))
    return Found(falls and tops[-1] < tops[0], _told(means))


def same_rate_is_best(result: Result) -> Found:
    """Whether each network is best at the rate of its training and each rate is served best by the network trained at it."""
    rows = clean(result.rows)
    rates = values(rows, "trained")
    table = {a: _means([row for row in rows if row["trained"] == a], "tested") for a in rates}
    own = [table[a][a] >= max(table[a].values()) - TIE for a in rates]
    served = [table[a][a] >= max(table[b][a] for b in rates) - TIE for a in rates]
    costs = [table[a][a] - min(table[a].values()) for a in rates]
    ours = (
        f"the same rate is best, to half a point, for {sum(own)} of {len(own)} networks and {sum(served)} of {len(served)} "
        f"rates of testing; the worst other rate costs {min(costs):.1f} to {max(costs):.1f} points"
    )
    return Found(all(own + served), ours)


def bears_noise(result: Result) -> Found:
    """The share of its own accuracy that a network keeps under the strongest noise: more at every rate than at 0."""
    rows = same(result.rows)
    noise = max(values(rows, "noise"))
    quiet, loud = (_means([row for row in rows if row["noise"] == at], "trained") for at in (0.0, noise))
    kept = {rate: 100 * loud[rate] / quiet[rate] for rate in quiet}
    whole, *limited = kept.values()
    told = ", ".join(f"{share:.0f} % at {100 * rate:.0f} %" for rate, share in kept.items())
    return Found(all(share > whole for share in limited), f"kept under noise of {noise:g} gray levels: {told} dropped")


def robust_to_attacks(result: Result) -> Found:
    """Accuracy under each attack by the share that is dropped: no step down, and more in the end. Without a channel an attack
    on the network is the adaptive one."""
    accuracy: dict[str, dict[float, list[float]]] = {}
    for row in result.rows:
        if row["key"]["kind"] == "oblivious" and row["key"]["channel"] == "none":
            rate = row["network_options"].get("compression", 0.0)
            accuracy.setdefault(row["key"]["attack"], {}).setdefault(rate, []).append(100 * row["accuracy"])
    means = {attack: {rate: mean(found[rate]) for rate in sorted(found)} for attack, found in accuracy.items()}
    rises = [
        list(found.values()) == sorted(found.values()) and min(found.values()) < max(found.values())
        for found in means.values()
    ]
    told = "; ".join(f"{attack}: {_told(found)}" for attack, found in means.items())
    return Found(bool(rises) and all(rises), f"accuracy (%), {told}")
