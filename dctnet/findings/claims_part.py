"""The table of claims, theirs beside ours."""

from __future__ import annotations

from collections.abc import Sequence

from dctnet.findings.claims import NOT_REPRODUCED, NOT_TESTED, REPRODUCED, Judged
from dctnet.findings.provenance import command
from dctnet.report.html import Markup, element, join
from dctnet.report.html_table import Cell, html_table

CLASSES = {REPRODUCED: "yes", NOT_REPRODUCED: "no", NOT_TESTED: "open"}
HEADS = ("no.", "claim", "verdict", "theirs", "ours", "where")


def claims_part(judged: Sequence[Judged]) -> Markup:
    """How verdicts come about, and a row for each claim."""
    text = (
        "The claims are those of the thesis that this project implements, in our words; one with parts has a row for each. "
        "No verdict is written down: a function reads the result files and decides by the rule that stands below the claim. "
        "Budgets here are small, so a claim that is not reproduced is not refuted, and one that is reproduced is so for these "
        "networks and data."
    )
    table = html_table(
        HEADS, [_row(one) for one in judged], "Claims, what was published and what was found here", class_="claims"
    )
    return join(element("p", text), table)


def _row(one: Judged) -> list:
    claim = one.claim
    rule = element("span", f"Reproduced if: {claim.holds_if}.", class_="small") if claim.holds_if else None
    number = "".join(c for c in claim.id if c.isdigit())
    return [
        Cell(element("span", claim.id), float(number) if number else claim.id),
        Cell([claim.claim, rule], claim.claim),
        Cell(element("span", one.verdict, class_=f"verdict {CLASSES[one.verdict]}"), one.verdict),
        claim.theirs,
        one.ours,
        Cell(_where(one), one.files[0].path if one.files else ""),
    ]


def _where(one: Judged) -> list[Markup]:
    """The files that were read, with their commands; else how to make them."""
    if one.files:
        return [
            element(
                "details",
                element("summary", element("code", result.path)),
                element("pre", element("code", command(result) or one.claim.make or "not told"), tabindex=0),
            )
            for result in one.files
        ]
    if one.claim.make is None:
        return [element("span", "no command", class_="small")] if one.claim.check is None else []
    return [
        element(
            "details", element("summary", "make it with"), element("pre", element("code", one.claim.make), tabindex=0)
        )
    ]
