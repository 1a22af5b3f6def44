"""Checks of what is claimed of adversarial pictures, lossy channels, and what tells pictures apart."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations, pairwise
from math import hypot
from statistics import mean

from dctnet.findings.result_files import Result, Row
from dctnet.findings.verdict import Found, all_of, any_of, deviations, gains, sign_test, span, standard_error
from dctnet.robustness.intervals import Interval, wilson
from dctnet.robustness.recovery import recoveries

NEAREST = ("cw", "deepfool")  # attacks that look for the nearest picture
SAMPLES = 3 * 32 * 32  # of a picture of CIFAR-10
APART = 0.15  # of the pictures: channels that differ by less are alike
TIMES = 1.5  # what is for sure less than so many times as large tells nothing apart
FLIPS = 0.25  # the share of pictures whose class noise changes, below which they bear it


def _channel(row: Row) -> str:
    return row["key"]["channel"] + (f" {row['key']['strength']:g}" if row["key"]["strength"] else "")


def recover(result: Result) -> Found:
    """Of the pictures that the nearest attack took, the share that some channel brings back: is it more than half?"""
    found = [one for one in recoveries(result.rows) if one.attack in NEAREST]
    told = ", ".join(f"{one.channel} {one.strength:g}: {100 * one.share:.0f} %" for one in found)
    parts = [True if one.low > 0.5 else False if one.high < 0.5 else None for one in found]
    return Found(
        any_of(parts), f"of {found[0].lost} pictures lost to {found[0].attack} at L2 {found[0].l2:.2f}: {told}"
    )


def window_shrinks(result: Result) -> Found:
    """The share recovered, mean over all strengths of a channel, by the budget: no step for sure up, for sure less in the end."""
    by_channel: dict[str, dict[float, list[float]]] = {}
    l2, lost = {}, {}
    for one in recoveries(result.rows):
        if one.epsilon is not None:
            by_channel.setdefault(one.channel, {}).setdefault(one.epsilon, []).append(100 * one.share)
            l2[one.epsilon], lost[one.epsilon] = one.l2, one.lost
    parts, falling = [], 0
    for found in by_channel.values():
        shares = {epsilon: mean(found[epsilon]) for epsilon in sorted(found)}
        errors = {epsilon: standard_error(lost[epsilon], share) for epsilon, share in shares.items()}
        if len(shares) < 2:
            raise ValueError("one budget has no other to be compared with")
        steps = [(shares[b] - shares[a], hypot(errors[a], errors[b])) for a, b in pairwise(shares)]
        first, last = min(shares), max(shares)
        falls = gains(shares[first] - shares[last], hypot(errors[first], errors[last]))
        parts.append(all_of([not any(gap > deviations(len(steps)) * error for gap, error in steps), falls]))
        falling += all(gap <= 0 for gap, _ in steps)
    total = {
        epsilon: mean(share for found in by_channel.values() for share in found[epsilon]) for epsilon in sorted(l2)
    }
    told = ", ".join(f"{share:.0f} % at L2 {l2[epsilon]:.2g}" for epsilon, share in total.items())
    settings = sum(len(next(iter(found.values()))) for found in by_channel.values())
    ours = (
        f"mean of {settings} settings: {told}; it falls step by step for {falling} of {len(parts)} channels, for sure from the "
        f"first to the last for {parts.count(True)}"
    )
    return Found(all_of(parts), ours)


def alike_behind(result: Result, attack: str, channels: Sequence[str]) -> Found:
    """Accuracy behind channels under one oblivious attack: no two within ``APART`` of each other on the same pictures.

    No: two for sure apart, by a sign test of the pictures that one has right and the other not; or less than half is recovered.
    """
    rows = [
        row
        for row in result.rows
        if row["key"]["kind"] == "oblivious" and row["key"]["attack"] == attack and row["key"]["channel"] in channels
    ]
    clean = next(r for r in result.rows if r["key"]["kind"] == "clean" and r["key"]["channel"] == "none")
    told = ", ".join(f"{_channel(row)}: {100 * row['accuracy']:.1f}" for row in rows)
    pairs = list(combinations(rows, 2))
    parts, chances = [], []
    for one, other in pairs:
        sides = [sum(a > b for a, b in zip(x["each"], y["each"], strict=True)) for x, y in ((one, other), (other, one))]
        chances.append(sign_test(*sides))
        width = deviations(len(pairs)) * sum(sides) ** 0.5 / len(one["each"])
        near = abs(sides[0] - sides[1]) / len(one["each"]) + width < APART
        parts.append(False if chances[-1] < 0.05 / len(pairs) else True if near else None)
    half = [
        True if row["low"] > clean["accuracy"] / 2 else False if row["high"] < clean["accuracy"] / 2 else None
        for row in rows
    ]
    about = f"{rows[0]['key']['count']} pictures, L2 {rows[0]['l2']:.2f}; of chance {span(chances, '{:.2g}')}"
    ours = f"{told} (without attack and channel {100 * clean['accuracy']:.1f}; {about})"
    return Found(all_of([*parts, *half]), ours)


def alike_fgsm(result: Result) -> Found:
    return alike_behind(result, "fgsm_nearest", ("fft", "depth", "gaussian"))


def alike_pgd(result: Result) -> Found:
    return alike_behind(result, "pgd_nearest", ("fft", "depth", "gaussian"))


def alike_cw(result: Result) -> Found:
    return alike_behind(result, "cw", ("fft", "depth", "gaussian"))


def survive_the_adaptive(result: Result) -> Found:
    """Accuracy behind channels where the attack knows of them: of the best one for sure more than half of the clean accuracy."""
    adaptive = [row for row in result.rows if row["key"]["kind"] == "adaptive" and row["key"]["channel"] != "none"]
    worst: dict[str, Row] = {}
    for row in adaptive:
        worst[_channel(row)] = min(row, worst.get(_channel(row), row), key=lambda one: one["accuracy"])
    half = next(r for r in result.rows if r["key"]["kind"] == "clean" and r["key"]["channel"] == "none")["accuracy"] / 2
    told = ", ".join(f"{name}: {100 * row['accuracy']:.0f}" for name, row in worst.items())
    parts = [True if row["low"] > half else False if row["high"] < half else None for row in worst.values()]
    return Found(any_of(parts), f"accuracy (%) under the strongest attack of the table, {told}")


def _groups(result: Result, group: str) -> dict[str, Row]:
    return {row["run"]: row for row in result.rows if row["group"] == group}


def natural_bear_noise(result: Result) -> Found:
    """Weakest noise measured: it changes the class of for sure fewer natural than adversarial pictures, in each network."""
    natural, attacked = _groups(result, "natural"), _groups(result, "adversarial")
    sigma = next(iter(result.rows[0]["noise"]))
    parts = []
    for run, row in natural.items():
        before, after = _flipped(row), _flipped(attacked[run])
        parts.append(True if before.high < after.low else False if before.low > min(after.high, FLIPS) else None)
    told = ", ".join(
        f"{span([100 * row['noise'][sigma] for row in rows.values()])} % of {group}"
        for group, rows in (("natural", natural), ("adversarial", attacked))
    )
    few = min(row["pictures"] for row in natural.values())
    ours = f"noise of {sigma} changes the class of {told} pictures; {len(natural)} networks, {few} pictures at least"
    return Found(all_of(parts), ours)


def _flipped(row: Row) -> Interval:
    """The share of the pictures whose class the weakest noise changes, by their number."""
    share = next(iter(row["noise"].values()))
    return wilson(round(share * row["pictures"]), row["pictures"])


def natural_are_near_boundaries(result: Result) -> Found:
    """The distance to the nearest adversarial picture that was found, beside that of a noise which natural ones bear."""
    natural, found = _groups(result, "natural"), _groups(result, "adversarial")
    distances = [row["distance"] for row in found.values()]
    sigma = float(next(iter(result.rows[0]["noise"])))
    noise = sigma * SAMPLES**0.5
    flips = max(row["noise"][f"{sigma:g}"] for row in natural.values())
    few = min(row["pictures"] for row in natural.values())
    ours = (
        f"another class at L2 {span(distances, '{:.2f}')}; noise of L2 {noise:.2f} changes that of {100 * flips:.0f} % at most, "
        f"of {few} pictures a network at least"
    )
    return Found(all_of([max(distances) < noise, *(_bears(row) for row in natural.values())]), ours)


def _bears(row: Row) -> bool | None:
    """Whether the weakest noise changes for sure fewer than ``FLIPS`` of the pictures; no: for sure more."""
    share = _flipped(row)
    return True if share.high < FLIPS else False if share.low > FLIPS else None


def _seen(row: Row, quantity: str) -> Row:
    """The median of a quantity with respect to the class that the network sees."""
    towards = "adversarial" if row["group"] == "adversarial" and quantity == "l2" else "original"
    return next(m for m in row["medians"] if m["quantity"] == quantity and m["towards"] == towards)


def _tell_apart(result: Result, quantity: str, words: str) -> Found:
    """Whether the intervals of the medians lie apart for all networks; no: for sure less than ``TIMES`` as large for one."""
    natural, attacked = _groups(result, "natural"), _groups(result, "adversarial")
    pairs = [(_seen(natural[run], quantity), _seen(attacked[run], quantity)) for run in natural if run in attacked]
    times = [after["median"] / before["median"] for before, after in pairs]
    parts = [
        True if after["low"] > before["high"] else False if after["high"] < TIMES * before["low"] else None
        for before, after in pairs
    ]
    ours = (
        f"{words} {span(times, '{:.1f}')} times as large at adversarial pictures; the intervals of the medians lie apart for "
        f"{parts.count(True)} of {len(pairs)} networks"
    )
    return Found(all_of(parts), ours)


def gradients_tell(result: Result) -> Found:
    """The gradient towards the class that is seen."""
    return _tell_apart(result, "l2", "median gradient")


def curvature_tells(result: Result) -> Found:
    """The greatest eigenvalue of the Hessian."""
    return _tell_apart(result, "eigenvalue 1", "median greatest eigenvalue")
