"""The table of rows of ``evaluation``: attacks x channels, and a remark on each row whose checks did not pass."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from types import MappingProxyType
from typing import Any

from rich.table import Table

from dctnet.robustness.attacks import ATTACKS
from dctnet.robustness.budget import EPSILON
from dctnet.robustness.intervals import wilson
from dctnet.robustness.recovery import Recovery, agreement

Row = Mapping[str, Any]
FAILED, UNCHECKED, WEAK = "*", "?", "^"
STILL = 1e-6  # values of [0, 1] that differ by less are those of float32, rounded
TOLERANCE = 0.02  # what an attack without a budget may leave
FEWEST = 4  # pictures of a list of checks, whose tolerance is one of them


def attack_lines(rows: Iterable[Row]) -> list[dict[str, Any]]:
    """One dict for each attack and channel, of rows of one evaluation; several for one differentiated in several ways.

    ``attack``, ``epsilon``, ``channel``, ``strength``, ``backward`` (None: the default); the rows ``clean``, ``oblivious`` and
    ``adaptive``, and ``checks``, of which the last two may be None; ``mark``, of the adaptive figure: "" where the checks passed,
    "*" where not, "?" without any or on fewer pictures than ``FEWEST``, and "^" behind it where another attack within its budget
    did more: one that does not know of the channel, one that differentiates it in another way, another algorithm, or those of the
    list of checks, on the pictures that were checked (``outdone``). Also where it moved nothing, or had no budget and left some.
    """
    rows = list(rows)
    clean = {_channel(row): row for row in rows if row["key"]["kind"] == "clean"}
    oblivious = {(_attack(row), _channel(row)): row for row in rows if row["key"]["kind"] == "oblivious"}
    later: dict[tuple[Any, ...], dict[str | None, Row]] = {}
    for row in rows:
        if row["key"]["kind"] == "adaptive":
            later.setdefault((_attack(row), _channel(row)), {})[row["key"].get("backward")] = row
    checks = {
        (_budget(row), _channel(row), row["key"].get("backward")): row for row in rows if row["key"]["kind"] == "checks"
    }
    least: dict[tuple[Any, ...], float] = {}  # of all attacks of a budget; of those without one, of the same attack
    for row in rows:
        if row["key"]["kind"] in ("oblivious", "adaptive"):
            which = _rivals(row)
            least[which] = min(row["accuracy"], least.get(which, 1.0))
    lines = []
    for (attack, channel), row, backward in [
        (which, row, backward) for which, row in oblivious.items() for backward in later.get(which, [None])
    ]:
        adaptive = later.get((attack, channel), {}).get(backward)
        checked = checks.get((_budget(row), channel, backward))
        mark = "" if adaptive is None else _judged(checked)
        if adaptive is not None and (
            adaptive["accuracy"] > least[_rivals(adaptive)]
            or _idle(adaptive)
            or _stopped(adaptive)
            or outdone(adaptive, checked)
        ):
            mark += WEAK
        names = {name: row["key"][name] for name in ("attack", "epsilon", "channel", "strength")}
        names["backward"] = backward
        found = {"clean": clean[channel], "oblivious": row, "adaptive": adaptive, "checks": checked, "mark": mark}
        lines.append(names | found)
    return lines


def attack_table(
    rows: Iterable[Row], title: str, names: Mapping[str, str] = MappingProxyType({})
) -> tuple[Table, list[str]]:
    """The table, and the remarks to print below it; ``names`` are those of other networks by their digests."""
    rows = list(rows)
    lines = attack_lines(rows)
    adaptive = any(line["adaptive"] for line in lines)
    headings = ["attack", "epsilon", "channel", "clean %", "oblivious %", *(["adaptive %"] if adaptive else [])]
    table = Table(
        *headings, "L2", "Linf", "confidence", title=title, caption="L2, Linf, confidence: oblivious, adaptive"
    )
    for line in lines:
        pair = [line["oblivious"], *([line["adaptive"]] if line["adaptive"] else [])]
        table.add_row(
            line["attack"],
            "nearest" if line["epsilon"] is None else f"{line['epsilon']:.4g}",
            (f"{line['channel']} {line['strength']:g}" if line["strength"] else line["channel"])
            + (f", {line['backward']} backward" if line["backward"] else ""),
            share(line["clean"]),
            share(line["oblivious"]),
            *([share(line["adaptive"]) + line["mark"] if line["adaptive"] else ""] if adaptive else []),
            *(" ".join(f"{row[name]:.{digits}f}" for row in pair) for name, digits in (("l2", 2), ("linf", 3))),
            " ".join(f"{row['confidence']:.2f}" for row in pair),
        )
    remarks = []
    for row in rows:
        if row["key"]["kind"] == "checks" and not row["passed"]:
            key = row["key"]
            remarks.append(
                f"{FAILED} {key['channel']} {key['strength']:g} within {key['epsilon']:.4g} ({key['norm']}): "
                f"{', '.join(row['failed'])} failed on {row['checked']} pictures; its adaptive figure is no measure of robustness"
            )
    if any(UNCHECKED in line["mark"] for line in lines):
        remarks.append(f"{UNCHECKED} not checked, or on fewer than {FEWEST} pictures; --checks N does")
    if any(WEAK in line["mark"] for line in lines):
        remarks.append(
            f"{WEAK} the adaptive attack moved nothing, or had no budget and left pictures right, or another within its budget "
            "left less: the oblivious one, one of another name, one that differentiates the channel in another way, or those of "
            "its list of checks. The lowest figure counts; give it more steps, or more --samples"
        )
    targets = [row for row in rows if row["key"]["kind"] == "transfer"]
    remarks += [
        f"transfer to {names.get(_short(row['key']['target']), _short(row['key']['target']))}: {share(row)} % right"
        + (
            f" under {row['key']['attack']} {row['key']['epsilon'] or 'nearest'}"
            if "attack" in row["key"]
            else ", clean"
        )
        for row in targets
    ]
    return table, remarks


def check_lists(rows: Iterable[Row]) -> list[str]:
    """The lists of checks, each under the channel and the budget it is of."""
    lines = []
    for row in rows:
        key = row["key"]
        if key["kind"] == "checks":
            where = f"{key['channel']} {key['strength']:g}" if key["strength"] else key["channel"]
            where += f", {key['backward']} backward" if key.get("backward") else ""
            lines.append(f"checks of {where} within {key['epsilon']:.4g} ({key['norm']}), {row['checked']} pictures:")
            lines += [f"  {line}" for line in row["list"]]
    return lines


def _judged(checks: Row | None) -> str:
    """The mark of a list of checks: that of few pictures says as little as none."""
    if checks is None or 0 < checks["checked"] < FEWEST:
        return UNCHECKED
    return "" if checks["passed"] else FAILED


def _rivals(row: Row) -> tuple[Any, ...]:
    """What an attack has in common with those whose pictures may be as far away."""
    return (_attack(row) if row["key"]["epsilon"] is None else _budget(row), _channel(row))


def _idle(row: Row) -> bool:
    """Whether an attack left all pictures as they were, to rounding, while some are right."""
    return row["accuracy"] > 0 and row["linf"] < STILL


def _stopped(row: Row) -> bool:
    """Whether an attack without a budget left pictures right: any picture can become any other."""
    return row["key"]["epsilon"] is None and row["accuracy"] > TOLERANCE


def outdone(adaptive: Row, checks: Row | None) -> bool:
    """Whether the attacks of the list of checks left less of the pictures that were checked than the one of the row did.

    These are PGD in the norm and budget of the row, random search and noise; the pictures are the same, so what is more than
    the tolerance of the list is no chance. Behind a random channel it may be: there all of the 95 % interval has to lie above.
    Never for an attack without a budget, whose pictures lie at other distances, and for rows that do not say what was checked.

    >>> row = {"key": {"epsilon": 0.03}, "each": "111010"}
    >>> checks = {"which": [0, 1, 3, 4], "robust": 0.5, "black_box": 1.0, "tolerance": 0.25}
    >>> outdone(row, checks), outdone(row, checks | {"black_box": 0.25})
    (False, True)
    """
    if checks is None or not checks.get("which") or adaptive["key"]["epsilon"] is None:
        return False
    hits = sum(adaptive["each"][place] == "1" for place in checks["which"])
    count = len(checks["which"])
    left = wilson(hits, count).low if "samples" in adaptive["key"] else hits / count
    return left > min(checks["robust"], checks["black_box"]) + checks["tolerance"] + 1e-9


def agreement_table(found: Sequence[Recovery]) -> Table:
    """Channels against channels under one attack: the share of lost pictures of which both say the same, and Cohen's kappa."""
    alike = agreement(found)
    one = found[0]
    size = "nearest" if one.epsilon is None else f"{one.epsilon:.4g}"
    title = f"agreement (kappa) on the {one.lost} pictures lost to {one.attack} {size}, mean L2 {one.l2:.2f}"
    table = Table("channel", "recovered %", *alike.names, title=title)
    for recovery, name, equal, kappa in zip(found, alike.names, alike.equal, alike.kappa, strict=True):
        bounds = {"accuracy": recovery.share, "low": recovery.low, "high": recovery.high}
        cells = [f"{100 * e:.0f} ({k:.2f})" for e, k in zip(equal, kappa, strict=True)]
        table.add_row(name, share(bounds), *cells)
    return table


def window_panels(found: Iterable[Recovery]) -> dict[str, dict[str, list[tuple[float, float, float, float]]]]:
    """For each channel, for each attack and budget, (strength, share, low, high) by strength: for the figure of windows."""
    found = list(found)
    panels: dict[str, dict[str, list[tuple[float, float, float, float]]]] = {one.channel: {} for one in found}
    for one in sorted(found, key=lambda one: one.strength):
        size = "nearest" if one.epsilon is None else f"{one.epsilon:.3g}"
        line = panels[one.channel].setdefault(f"{one.attack} {size}, L2 {one.l2:.2g}", [])
        line.append((one.strength, one.share, one.low, one.high))
    return panels


def share(row: Row) -> str:
    """The accuracy of a row in per cent with its interval.

    >>> share({"accuracy": 0.5, "low": 0.25, "high": 0.75})
    '50.0 [25.0, 75.0]'
    """
    return f"{100 * row['accuracy']:.1f} [{100 * row['low']:.1f}, {100 * row['high']:.1f}]"


def _channel(row: Row) -> tuple[Any, ...]:
    key = row["key"]
    return key["channel"], key["strength"], str(sorted(key["channel_options"].items()))


def _attack(row: Row) -> tuple[Any, ...]:
    key = row["key"]
    return key["attack"], key["epsilon"], str(sorted(key["options"].items()))


def _budget(row: Row) -> tuple[str, float]:
    """The norm and radius of the checks of a row; see ``AttackSpec.budget``."""
    key = row["key"]
    if "norm" in key:
        return key["norm"], key["epsilon"]
    norm = ATTACKS[key["attack"]].norm
    return norm, EPSILON["imagenet"][norm] if key["epsilon"] is None else key["epsilon"]


def _short(identity: Mapping[str, Any]) -> str:
    return str(next(iter(identity.values())))
