"""What was compared with what: one line for each result file."""

from __future__ import annotations

from collections.abc import Sequence

from dctnet.findings.claims import NOT_REPRODUCED, NOT_TESTED, REPRODUCED, UNDECIDED, Judged
from dctnet.findings.provenance import commits, machine, question, seeds, subset, versions
from dctnet.findings.result_files import Result, Results
from dctnet.report.html import Markup, element, join
from dctnet.report.html_table import Cell, html_table, number

# The entry whose values are what a kind of result compares.
COMPARED = {
    "grid": "name",
    "runs": "run",
    "rates": "trained",
    "low frequencies": "form",
    "curvature": "run",
    "inside": "variant",
    "training with spectra": "format",
    "gates": "run",
    "scales": "run",
    "readers": "reader",
    "loaders": "loader",
    "routes": "route",
    "transforms": "transform",
    "models": "label",
    "convolutions": "way",
    "saved spectra": "format",
    "agreement": "pictures",
    "imports": "case",
}
FEW = 4


def lead(results: Results, judged: Sequence[Judged]) -> Markup:
    """What the page is, and its counts."""
    counts = [
        (len([j for j in judged if j.verdict == verdict]), verdict)
        for verdict in (REPRODUCED, NOT_REPRODUCED, UNDECIDED, NOT_TESTED)
    ]
    rows = sum(len(result.rows) for result in results.files)
    shown = [(len(results.files), "result files"), (rows, "rows"), *((n, f"claims {verdict}") for n, verdict in counts)]
    return join(
        element(
            "p",
            "Networks on the DCT coefficients inside JPEG files, beside networks on pixels, and what is claimed of both. "
            "Every figure on this page is read from the result file that is named beside it; verdicts are decided by functions.",
            class_="lead",
        ),
        element(
            "ul", [element("li", element("b", f"{n:,}"), element("span", words)) for n, words in shown], class_="counts"
        ),
    )


def compared_part(results: Results) -> Markup:
    """The table of all result files."""
    heads = ["file", "question", "compared", "rows", "seeds", "subset", "machine", "versions", "commit"]
    rows = [
        [
            Cell(element("code", result.path), result.path),
            question(result),
            compared(result),
            number(len(result.rows), "{:,}"),
            seeds(result),
            subset(result),
            machine(result),
            ", ".join(versions(result)),
            Cell([element("code", one, class_="small") for one in commits(result)], commits(result)[0]),
        ]
        for result in results.files
    ]
    note = (
        "A commit that ends in -dirty was measured with changes that were not committed yet. Speeds of training itself were "
        "taken while other work shared the machine, unless a benchmark is named; benchmarks alternate with their baseline."
    )
    table = html_table(heads, rows, "What was compared with what, and under which conditions", class_="wide")
    return join(element("p", note, class_="note"), table)


def compared(result: Result) -> str:
    """What stands side by side in a result: the first of its names, and how many more."""
    if result.kind == "attacks":
        keys = [row["key"] for row in result.rows]
        attacks = dict.fromkeys(key["attack"] for key in keys if "attack" in key)
        channels = dict.fromkeys(key["channel"] for key in keys if "channel" in key)
        networks = {str(key["network"]) for key in keys}
        parts = (f"{len(networks)} network{'s' * (len(networks) > 1)}", ", ".join(attacks), ", ".join(channels))
        return "; ".join(part for part in parts if part)
    entry = COMPARED.get(result.kind or "")
    names = list(dict.fromkeys(str(row[entry]) for row in result.rows if entry in row)) if entry else []
    if result.kind == "rates":
        return f"rates {', '.join(names)} in training and testing"
    more = f" and {len(names) - FEW} more" if len(names) > FEW else ""
    return "; ".join(names[:FEW]) + more
