"""``dctnet bench imports``: what ``import dctnet`` costs beyond ``import torch``, and how soon ``dctnet --help`` answers.

Each alternative is a fresh interpreter beside another one that does ``import torch`` alone (``python -c pass`` for the command's
help); the two alternate, and the difference of each round is taken, after one untimed run of each, which brings the files
into memory. Names are imported when they are first used; those of networks bring torch's compiler with them, most of their time.
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Sequence
from typing import Any, NamedTuple

from rich.console import Console
from rich.table import Table

from dctnet import __all__ as public_names
from dctnet.arguments import whole
from dctnet.benchmarks.result_file import command_line, write_result

TORCH = "import torch"
READING = "; dctnet.read_jpeg, dctnet.write_jpeg, dctnet.to_pixels, dctnet.transforms"
NAMES = "".join(f"; dctnet.{name}" for name in public_names)
CASES = {
    "import dctnet": (f"{TORCH}; import dctnet", TORCH),
    "the same, and what reads, writes and transforms": (f"{TORCH}; import dctnet{READING}", TORCH),
    "import dctnet, and each public name": (f"{TORCH}; import dctnet{NAMES}", TORCH),
    "dctnet --help": ("import dctnet.cli; dctnet.cli.main(['--help'])", "pass"),
}


class Took(NamedTuple):
    """Seconds by the clock, and of the processor: on a machine with other work the second say more."""

    wall: float
    cpu: float


def took(code: str) -> Took:
    """What a fresh interpreter takes for ``code``; OSError with what it said where it fails."""
    start, before = time.perf_counter(), os.times()
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    wall, after = time.perf_counter() - start, os.times()
    if done.returncode:
        raise OSError(f"python -c {code!r} ended with {done.returncode}: {done.stderr[-500:]}")
    cpu = after.children_user + after.children_system - before.children_user - before.children_system
    return Took(wall, cpu)


def imports(rounds: int = 7) -> list[dict[str, Any]]:
    """A row for each case: median seconds of it and of its reference, by the clock (``wall``) and of the processor (``cpu``),
    and for both the median of their differences (``more``) with the extremes (``spread``).

    ValueError for fewer than 3 rounds.
    """
    whole("rounds", rounds, 3)
    rows = []
    for name, (code, reference) in CASES.items():
        took(code), took(reference)
        pairs = []
        for number in range(rounds):
            first = took(code) if number % 2 else None
            beside = took(reference)
            pairs.append((first or took(code), beside))
        row: dict[str, Any] = {"case": name, "reference": reference}
        for clock in Took._fields:
            both = [(getattr(case, clock), getattr(other, clock)) for case, other in pairs]
            more = [case - other for case, other in both]
            case, other = (statistics.median(column) for column in zip(*both, strict=True))
            row[clock] = {
                "seconds": case,
                "reference_seconds": other,
                "more": statistics.median(more),
                "spread": [min(more), max(more)],
            }
        rows.append(row)
    return rows


def show(rows: list[dict[str, Any]], rounds: int) -> None:
    """Prints the rows."""
    table = Table(title=f"Fresh interpreters, medians of {rounds} alternating rounds, seconds")
    for head in ("what", "beside"):
        table.add_column(head)
    for head in ("takes", "beside it", "more", "least to most", "more, of the processor", "least to most"):
        table.add_column(head, justify="right")
    for row in rows:
        wall, cpu = row["wall"], row["cpu"]
        more = [
            f for one in (wall, cpu) for f in (f"{one['more']:.3f}", " to ".join(f"{s:.3f}" for s in one["spread"]))
        ]
        table.add_row(
            row["case"], row["reference"], f"{wall['seconds']:.3f}", f"{wall['reference_seconds']:.3f}", *more
        )
    Console().print(table)


def main(arguments: Sequence[str]) -> None:
    """``dctnet bench imports`` with these arguments."""
    parser = argparse.ArgumentParser(
        prog="dctnet bench imports",
        description="What importing dctnet costs beyond importing torch, in fresh interpreters.",
    )
    parser.add_argument("--rounds", type=int, default=7, metavar="N", help="of pairs, 3 at least (default 7)")
    parser.add_argument("--out", metavar="RESULT.json", help="write the rows here as well")
    options = parser.parse_args(arguments)
    rows = imports(options.rounds)
    show(rows, options.rounds)
    if options.out:
        write_result(options.out, rows, command_line("imports", arguments), rounds=options.rounds)
