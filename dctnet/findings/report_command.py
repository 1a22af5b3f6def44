"""The command report: result files in, one HTML page out."""

from __future__ import annotations

import argparse
import shlex
from collections.abc import Callable, Sequence
from pathlib import Path

from dctnet import __version__
from dctnet.findings.attacks_part import attacks_part
from dctnet.findings.band_limits_part import band_limits_part
from dctnet.findings.bands_part import bands_part
from dctnet.findings.claims import claims, judge
from dctnet.findings.claims_part import claims_part
from dctnet.findings.cost_part import cost_part
from dctnet.findings.low_frequencies_part import low_frequencies_part
from dctnet.findings.other_part import other_part
from dctnet.findings.overview import compared_part, lead
from dctnet.findings.result_files import Results, read_results
from dctnet.findings.speed_part import speed_part
from dctnet.report.html import Markup, element
from dctnet.report.page import Section, page
from dctnet.source_tree import commit
from dctnet.whole_file import write_whole

TITLE = "dctnet: what was measured"

# The parts below the claims and the table of what was compared: an id, a heading, the function from results to HTML.
PARTS: tuple[tuple[str, str, Callable[[Results], Markup]], ...] = (
    ("cost", "Accuracy against cost", cost_part),
    ("bands", "Bands: where the power is, what is kept", bands_part),
    ("band-limits", "Band-limited convolutions, and noise", band_limits_part),
    ("low-frequencies", "Low frequencies first", low_frequencies_part),
    ("attacks", "Attacks and lossy channels", attacks_part),
    ("speed", "Speed beside peers", speed_part),
    ("others", "Other results", other_part),
)


def main(arguments: Sequence[str]) -> int:
    """`dctnet report RESULTS... OUT`."""
    parser = argparse.ArgumentParser(
        prog="dctnet report",
        description="One HTML page of all result files below some folders: what was compared, accuracy against cost, bands, "
        "attacks, speeds, and each claim of the thesis beside what was found. The page needs nothing beside itself.",
        epilog="In a checkout: dctnet report experiments benchmarks report.html",
    )
    parser.add_argument(
        "results", metavar="RESULTS", nargs="+", help="folders of result files (.json, .jsonl), or single files"
    )
    parser.add_argument("out", metavar="OUT", help="the page to write; in a folder that exists: report.html")
    options = parser.parse_args(arguments)
    results = read_results(options.results)
    out = Path(options.out)
    out = out / "report.html" if out.is_dir() else out
    if out.suffix not in (".html", ".htm"):
        raise ValueError(f"OUT is a page, a name that ends in .html, or a folder that exists; got {options.out!r}")
    write_whole(out, report(results, command_line(options.results, options.out)).encode())
    print(f"{out}: {len(results.files)} result files, {out.stat().st_size / 1e6:.1f} MB")
    return 0


def command_line(sources: Sequence[str], out: str) -> str:
    """The command as it was given; of a path from the root its last part, as the rest is one machine's.

    >>> command_line(["/home/me/results", "benchmarks"], "/tmp/page.html")
    'dctnet report results benchmarks page.html'
    """
    given = (Path(word).name if Path(word).is_absolute() else word for word in (*sources, out))
    return shlex.join(["dctnet", "report", *given])


def report(results: Results, command: str = "dctnet report RESULTS OUT") -> str:
    """The page of ``results``; the same for the same files, commit and version."""
    judged = [judge(claim, results) for claim in claims()]
    sections = [
        Section("claims", "The claims", claims_part(judged)),
        Section("compared", "What was compared with what", compared_part(results)),
        *(Section(id, title, part(results)) for id, title, part in PARTS),
    ]
    made = f"dctnet {__version__}" + (f", {state}" if (state := commit()) else "")
    foot = element("p", "Made by ", element("code", command), f", {made}.")
    return page(TITLE, lead(results, judged), sections, foot)
