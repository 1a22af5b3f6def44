"""Tables of grids of runs on planes: accuracy beside cost, of all networks and of those that no other one beats."""

from __future__ import annotations

import json
from pathlib import Path

from dctnet.report.tables import markdown

ROOT = Path(__file__).resolve().parents[1]
COLUMNS = {"run": "`{name}`", "network": "{network}", "blocks": "{blocks}", "parameters (M)": "{parameters_m:.2f}"}
COLUMNS |= {"MMAC": "{mmac:.1f}", "training time": "{time:.2f}", "top-1 (%)": "{mean:.1f}", "seeds": "{each}"}


def rows_of(name: str) -> list[dict]:
    """A row for each network of a grid, in the order of the grid: all its seeds with their mean, its cost and its speed."""
    lines = (ROOT / "experiments" / f"{name}.jsonl").read_text().splitlines()
    timed = json.loads((ROOT / "benchmarks" / f"{name}.json").read_text())["rows"]
    time = {row["label"]: 1 / row["train"]["ratio"] for row in timed}
    rows: dict[str, dict] = {name: {} for name in time}
    for run in map(json.loads, lines):
        row = rows[run["name"]]
        row.update(run | {"seeds": [*row.get("seeds", []), run["top1"]], "time": time[run["name"]]})
    for row in filter(None, rows.values()):
        block = row["block_size"]
        row["blocks"] = "pixels" if block == 1 else f"{block}" if isinstance(block, int) else f"{block[0]}, {block[1]}"
        row["each"] = " / ".join(f"{top1:.1f}" for top1 in row["seeds"])
        row |= {"mean": sum(row["seeds"]) / len(row["seeds"]), "mmac": 1e3 * row["gmac"]}
    return [row for row in rows.values() if row]


def planes(name: str) -> str:
    """All networks of a grid."""
    return markdown(rows_of(name), COLUMNS)


def unbeaten(rows: list[dict]) -> list[dict]:
    """Of rows with a ``time`` and a ``mean`` those that no other one beats in one and equals in the other, the quickest first.

    >>> a, b, c = {"time": 1, "mean": 70}, {"time": 2, "mean": 69}, {"time": 3, "mean": 71}
    >>> unbeaten([c, b, a]) == [a, c]
    True
    """
    found: list[dict] = []
    for row in sorted(rows, key=lambda row: (row["time"], -row["mean"])):
        if not found or row["mean"] > found[-1]["mean"]:
            found.append(row)
    return found


def frontier(name: str) -> str:
    """Those that are quicker than any network as accurate, and below them the options that make them."""
    rows = [row | {"set": json.dumps(row["options"]).replace('"', "")} for row in unbeaten(rows_of(name))]
    made = markdown(rows, {"run": "`{name}`", "`--model.options`": "`{set}`"}).replace("|---|---:|", "|---|---|")
    return f"{markdown(rows, COLUMNS)}\n\n{made}"
