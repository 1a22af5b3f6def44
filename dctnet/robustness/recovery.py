"""What rows say together: the window in which a channel recovers pictures, whether channels recover the same ones, transfer.

A picture counts here where the network has it right when clean and wrong under the oblivious attack, both without a channel. It
is recovered where it is right behind the channel.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

import numpy as np

from dctnet.robustness.intervals import wilson

Row = Mapping[str, Any]
DETERMINES = ("network", "pictures", "count", "seed", "batch", "trials")


class Recovery(NamedTuple):
    """Of ``lost`` pictures ``recovered`` are right again, with the 95 % interval of the share; ``each`` (lost,) says which."""

    attack: str
    epsilon: float | None
    l2: float
    channel: str
    strength: float
    lost: int
    recovered: int
    low: float
    high: float
    each: np.ndarray

    @property
    def share(self) -> float:
        return self.recovered / self.lost


class Agreement(NamedTuple):
    """How alike channels are: ``names``, and matrices (k, k).

    ``equal``: the share of lost pictures of which two channels say the same, recovered or not; ``kappa``: Cohen's, that share
    less the one of chance over one less chance, 0 for channels that have nothing to do with each other; nan where both
    recover all, or none.
    """

    names: list[str]
    equal: np.ndarray
    kappa: np.ndarray


def recoveries(rows: Iterable[Row]) -> list[Recovery]:
    """The recovery of each oblivious row behind a channel; not of those whose rows without channel are absent, or lost none.

    >>> key = {"network": {"checkpoint": "a"}, "pictures": "b", "count": 4, "seed": 0, "batch": 4, "trials": 1}
    >>> none, fft = ({"channel": name, "strength": strength} for name, strength in (("none", 0), ("fft", 0.5)))
    >>> pgd = {"attack": "pgd", "epsilon": 0.03, "options": {}}
    >>> found = recoveries([
    ...     {"key": {"kind": "clean"} | key | none, "each": "1110"},
    ...     {"key": {"kind": "oblivious"} | key | pgd | none, "each": "1000", "l2": 3.0},
    ...     {"key": {"kind": "oblivious"} | key | pgd | fft, "each": "1010", "l2": 3.0},
    ... ])
    >>> found[0].channel, found[0].lost, found[0].recovered
    ('fft', 2, 1)
    """
    rows = list(rows)
    clean = {_of(row): row for row in rows if _is(row, "clean") and row["key"]["channel"] == "none"}
    attacked = {
        (_of(row), _attack(row)): row for row in rows if _is(row, "oblivious") and row["key"]["channel"] == "none"
    }
    found = []
    for row in rows:
        key = row["key"]
        if not _is(row, "oblivious") or key["channel"] == "none":
            continue
        before, without = clean.get(_of(row)), attacked.get((_of(row), _attack(row)))
        if before is None or without is None:
            continue
        lost = _each(before) & ~_each(without)
        if lost.any():
            each = _each(row)[lost]
            count, again = int(lost.sum()), int(each.sum())
            sizes = (key["attack"], key["epsilon"], row["l2"], key["channel"], key["strength"], count, again)
            found.append(Recovery(*sizes, *wilson(again, count), each))
    return found


def recovery_window(rows: Iterable[Row], channel: str) -> dict[tuple[str, float | None], list[Recovery]]:
    """For each attack and distortion, the recoveries of ``channel`` by its strength: where they are high is the window."""
    window: dict[tuple[str, float | None], list[Recovery]] = {}
    for one in recoveries(rows):
        if one.channel == channel:
            window.setdefault((one.attack, one.epsilon), []).append(one)
    return {name: sorted(found, key=lambda one: one.strength) for name, found in window.items()}


def agreement(found: Iterable[Recovery]) -> Agreement:
    """The agreement of the channels of recoveries of one attack, each at one strength. ValueError for others."""
    found = list(found)
    if len({(one.attack, one.epsilon, one.lost) for one in found}) != 1:
        raise ValueError("agreement is between channels under one attack of one budget, on the same pictures")
    each = np.stack([one.each for one in found])
    equal = (each[:, None] == each[None]).mean(2)
    share = each.mean(1)
    chance = share[:, None] * share + (1 - share[:, None]) * (1 - share)
    with np.errstate(invalid="ignore", divide="ignore"):
        kappa = np.where(chance < 1, (equal - chance) / (1 - chance), np.nan)
    return Agreement([f"{one.channel} {one.strength:g}" for one in found], equal, kappa)


def transfer(rows: Iterable[Row]) -> list[dict[str, Any]]:
    """Of each transfer row under attack: how many pictures that the target has right when clean it loses to another's attack.

    Dicts with ``source``, ``target`` (identities), ``attack``, ``epsilon``, ``held`` (right when clean), ``lost``.
    """
    rows = [row for row in rows if _is(row, "transfer")]
    clean = {(_of(row), _named(row["key"]["target"])): row for row in rows if "attack" not in row["key"]}
    found = []
    for row in rows:
        key = row["key"]
        before = clean.get((_of(row), _named(key["target"])))
        if "attack" in key and before is not None:
            held = _each(before)
            lost = held & ~_each(row)
            sizes = {"held": int(held.sum()), "lost": int(lost.sum())}
            about = {
                "source": key["network"],
                "target": key["target"],
                "attack": key["attack"],
                "epsilon": key["epsilon"],
            }
            found.append(about | sizes)
    return found


def _is(row: Row, kind: str) -> bool:
    return row["key"]["kind"] == kind


def _named(identity: Mapping[str, Any]) -> tuple[Any, ...]:
    return tuple(sorted(identity.items()))


def _of(row: Row) -> tuple[Any, ...]:
    """The network, pictures and settings of a row."""
    return tuple(_named(row["key"][name]) if name == "network" else row["key"][name] for name in DETERMINES)


def _attack(row: Row) -> tuple[Any, ...]:
    key = row["key"]
    return key["attack"], key["epsilon"], str(sorted(key["options"].items()))


def _each(row: Row) -> np.ndarray:
    """Which pictures are right."""
    return np.array([digit == "1" for digit in row["each"]])
