"""The table of claims, theirs beside ours."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from dctnet.findings.claims import NOT_REPRODUCED, NOT_TESTED, REPRODUCED, UNDECIDED, Judged
from dctnet.findings.provenance import command
from dctnet.report.html import Markup, element, join
from dctnet.report.html_table import Cell, html_table

CLASSES = {REPRODUCED: "yes", NOT_REPRODUCED: "no", UNDECIDED: "few", NOT_TESTED: "open"}
HEADS = ("no.", "claim", "verdict", "theirs", "ours")


def claims_part(judged: Sequence[Judged]) -> Markup:
    """How verdicts come about, and a row for each claim."""
    text = (
        "The claims are those of the thesis that this project implements, in our words; one with parts has a row for each. "
        "No verdict is written down: a function reads the result files and decides by the rule that is folded beside our figure. "
        "Not reproduced is what is for sure the other way, or gains less than 2 points. It is not decided where a 95 % interval "
        "holds both answers; that of the best of several is as much wider, and seeds that differ make it wider, too. Budgets "
        "here are small, so a claim that is not reproduced is not refuted, and one that is holds for these networks and data."
    )
    table = html_table(
        HEADS, [_row(one) for one in judged], "Claims, what was published and what was found here", class_="claims"
    )
    return join(element("p", text), table)


def _row(one: Judged) -> list[Any]:
    claim = one.claim
    number = "".join(c for c in claim.id if c.isdigit())
    return [
        Cell(element("span", claim.id), float(number) if number else claim.id),
        claim.claim,
        Cell(element("span", one.verdict, class_=f"verdict {CLASSES[one.verdict]}"), one.verdict),
        claim.theirs,
        Cell([one.ours, _how(one)], one.ours),
    ]


def _how(one: Judged) -> Markup | None:
    """The rule, the files that were read, and the commands that write them; or what would make them."""
    claim = one.claim
    rule = element("p", f"Reproduced if: {claim.holds_if}.") if claim.holds_if else None
    commands = [command(result) or claim.make or "not told" for result in one.files]
    if not one.files and claim.make:
        commands = [claim.make]
    shown = [element("pre", element("code", told), tabindex=0) for told in commands]
    if rule is None and not shown:
        return None
    read = [[element("code", result.path), " "] for result in one.files]
    words = ["from ", read] if read else ["how to decide it" if one.verdict == NOT_TESTED else "how it is decided"]
    return element("details", element("summary", words), rule, shown, class_="small")
