"""Checks of what is claimed of adversarial pictures, lossy channels, and what tells pictures apart."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from statistics import mean, median

from dctnet.findings.result_files import Result, Row
from dctnet.findings.verdict import Found, span
from dctnet.robustness.recovery import recoveries

NEAREST = ("cw", "deepfool")  # attacks that look for the nearest picture
SAMPLES = 3 * 32 * 32  # of a picture of CIFAR-10
FLIPS = 0.05  # the share of pictures whose class noise changes, below which they bear it


def _channel(row: Row) -> str:
    return row["key"]["channel"] + (f" {row['key']['strength']:g}" if row["key"]["strength"] else "")


def recover(result: Result) -> Found:
    """Of the pictures that the nearest attack took, the share that some channel brings back: is it more than half?"""
    found = [one for one in recoveries(result.rows) if one.attack in NEAREST]
    told = ", ".join(f"{one.channel} {one.strength:g}: {100 * one.share:.0f} %" for one in found)
    holds = bool(found) and max(one.low for one in found) > 0.5
    return Found(holds, f"of {found[0].lost} pictures lost to {found[0].attack} at L2 {found[0].l2:.2f}: {told}")


def window_shrinks(result: Result) -> Found:
    """The share recovered, mean over all strengths of a channel, against the budget: no step up for any channel."""
    by_channel: dict[str, dict[float, list[float]]] = {}
    l2 = {}
    for one in recoveries(result.rows):
        if one.epsilon is not None:
            by_channel.setdefault(one.channel, {}).setdefault(one.epsilon, []).append(one.share)
            l2[one.epsilon] = one.l2
    falling = []
    for found in by_channel.values():
        shares = [mean(found[epsilon]) for epsilon in sorted(found)]
        falling.append(all(after <= before for before, after in pairwise(shares)))
    total = {
        epsilon: 100 * mean(share for found in by_channel.values() for share in found[epsilon])
        for epsilon in sorted(l2)
    }
    told = ", ".join(f"{share:.0f} % at L2 {l2[epsilon]:.2g}" for epsilon, share in total.items())
    settings = sum(len(next(iter(found.values()))) for found in by_channel.values())
    ours = f"mean of {settings} settings: {told}; it falls step by step for {sum(falling)} of {len(falling)} channels"
    return Found(len(total) > 1 and all(falling), ours)


def alike(result: Result, attack: str, channels: Sequence[str]) -> Found:
    """Accuracy behind channels under one oblivious attack: alike where no two intervals lie apart."""
    rows = [
        row
        for row in result.rows
        if row["key"]["kind"] == "oblivious" and row["key"]["attack"] == attack and row["key"]["channel"] in channels
    ]
    clean = next(r for r in result.rows if r["key"]["kind"] == "clean" and r["key"]["channel"] == "none")
    told = ", ".join(f"{_channel(row)}: {100 * row['accuracy']:.1f}" for row in rows)
    apart = max(row["low"] for row in rows) > min(row["high"] for row in rows)
    about = f"{rows[0]['key']['count']} pictures, L2 {rows[0]['l2']:.2f}"
    ours = f"{told} (without attack and channel {100 * clean['accuracy']:.1f}; {about})"
    return Found(not apart and min(row["accuracy"] for row in rows) > clean["accuracy"] / 2, ours)


def alike_fgsm(result: Result) -> Found:
    return alike(result, "fgsm_nearest", ("fft", "depth", "gaussian"))


def alike_pgd(result: Result) -> Found:
    return alike(result, "pgd_nearest", ("fft", "depth", "gaussian"))


def alike_cw(result: Result) -> Found:
    return alike(result, "cw", ("fft", "depth", "gaussian"))


def survive_the_adaptive(result: Result) -> Found:
    """Accuracy behind channels where the attack knows of them: the best lower bound above half of the clean accuracy."""
    adaptive = [row for row in result.rows if row["key"]["kind"] == "adaptive" and row["key"]["channel"] != "none"]
    worst: dict[str, float] = {}
    for row in adaptive:
        worst[_channel(row)] = min(row["accuracy"], worst.get(_channel(row), 1.0))
    clean = next(r for r in result.rows if r["key"]["kind"] == "clean" and r["key"]["channel"] == "none")
    told = ", ".join(f"{name}: {100 * share:.0f}" for name, share in worst.items())
    return Found(
        max(worst.values()) > clean["accuracy"] / 2, f"accuracy (%) under the strongest attack of the table, {told}"
    )


def _groups(result: Result, group: str) -> dict[str, Row]:
    return {row["run"]: row for row in result.rows if row["group"] == group}


def natural_bear_noise(result: Result) -> Found:
    """Weakest noise measured: the share of pictures whose class it changes, natural ones and adversarial ones."""
    flips = {
        group: [next(iter(row["noise"].values())) for row in _groups(result, group).values()]
        for group in ("natural", "adversarial")
    }
    sigma = next(iter(result.rows[0]["noise"]))
    told = ", ".join(f"{span([100 * x for x in found])} % of {group}" for group, found in flips.items())
    holds = max(flips["natural"]) < FLIPS and min(flips["adversarial"]) > 0.5
    return Found(holds, f"noise of {sigma} changes the class of {told} pictures; {len(flips['natural'])} networks")


def natural_are_near_boundaries(result: Result) -> Found:
    """The distance to the nearest adversarial picture that was found, beside that of a noise which natural ones bear."""
    natural, found = _groups(result, "natural"), _groups(result, "adversarial")
    distances = [row["distance"] for row in found.values()]
    sigma = float(next(iter(result.rows[0]["noise"])))
    noise = sigma * SAMPLES**0.5
    flips = max(row["noise"][f"{sigma:g}"] for row in natural.values())
    ours = f"another class at L2 {span(distances, '{:.2f}')}; noise of L2 {noise:.2f} changes that of {100 * flips:.0f} % at most"
    return Found(max(distances) < noise and flips < FLIPS, ours)


def _seen(row: Row, quantity: str) -> Row:
    """The median of a quantity with respect to the class that the network sees."""
    towards = "adversarial" if row["group"] == "adversarial" and quantity == "l2" else "original"
    return next(m for m in row["medians"] if m["quantity"] == quantity and m["towards"] == towards)


def _tell_apart(result: Result, quantity: str, words: str) -> Found:
    natural, attacked = _groups(result, "natural"), _groups(result, "adversarial")
    pairs = [(_seen(natural[run], quantity), _seen(attacked[run], quantity)) for run in natural if run in attacked]
    times = [after["median"] / before["median"] for before, after in pairs]
    apart = sum(after["low"] > before["high"] for before, after in pairs)
    ours = (
        f"{words} {span(times, '{:.1f}')} times as large at adversarial pictures; the intervals of the medians lie apart for "
        f"{apart} of {len(pairs)} networks"
    )
    return Found(apart == len(pairs) and median(times) > 1, ours)


def gradients_tell(result: Result) -> Found:
    """The gradient towards the class that is seen."""
    return _tell_apart(result, "l2", "median gradient")


def curvature_tells(result: Result) -> Found:
    """The greatest eigenvalue of the Hessian."""
    return _tell_apart(result, "eigenvalue 1", "median greatest eigenvalue")
