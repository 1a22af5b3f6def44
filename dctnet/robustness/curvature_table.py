"""The table of the rows "curvature" of ``evaluation``: natural, adversarial and recovered pictures of each attack."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from rich.table import Table


def curvature_table(rows: Iterable[Mapping[str, Any]], title: str) -> Table:
    """A line for each group of each attack: medians over its pictures, with their 95 % interval."""
    table = Table(
        "attack", "epsilon", "pictures", "moved, L2", "gradient, right class", "gradient, other", "eigenvalue",
        title=f"gradients and curvature of the loss: {title}",
        caption="medians [95 % interval]; norms of input gradients towards two classes, greatest eigenvalue of the input Hessian",
    )  # fmt: skip
    for row in rows:
        key = row["key"]
        if key["kind"] != "curvature":
            continue
        for group in row["groups"]:
            behind = f", {key['channel']} {key['strength']:g}" if group["group"] == "recovered" else ""
            cells = {(one["quantity"], one["towards"]): median_text(one) for one in group["medians"]}
            table.add_row(
                key["attack"],
                "nearest" if key["epsilon"] is None else f"{key['epsilon']:.4g}",
                f"{group['group']}{behind} ({group['pictures']})",
                "" if group["distance"] is None else f"{group['distance']:.2f}",
                *(cells.get(which, "") for which in (("l2", "original"), ("l2", "adversarial"))),
                cells.get(("eigenvalue 1", "original"), ""),
            )
    return table


def median_text(one: Mapping[str, Any]) -> str:
    """A median with its interval, which fewer than six pictures do not have.

    >>> median_text({"median": 1.874, "low": 1.1, "high": 3.0}), median_text({"median": 2.0, "low": None, "high": None})
    ('1.87 [1.1, 3]', '2')
    """
    if one["median"] is None:
        return "not found"
    interval = "" if one["low"] is None else f" [{one['low']:.2g}, {one['high']:.2g}]"
    return f"{one['median']:.3g}{interval}"
