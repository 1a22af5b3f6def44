"""``dctnet bench imports``: what ``import dctnet`` costs beyond ``import torch``, and how soon ``dctnet --help`` answers.

Each alternative is a fresh interpreter beside another one that does ``import torch`` alone (``python -c pass`` for the command's
help); the two alternate, and the difference of each round is taken, after one untimed run of each, which brings the files
into memory. Names are imported when they are first used; those of networks bring torch's compiler with them, most of their time.
"""

from __future__ import annotations

import argparse
import statistics
import subprocess
import sys
import time
from collections.abc import Sequence
from typing import Any

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


def seconds(code: str) -> float:
    """How long a fresh interpreter takes for ``code``; OSError with what it said where it fails."""
    start = time.perf_counter()
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    took = time.perf_counter() - start
    if done.returncode:
        raise OSError(f"python -c {code!r} ended with {done.returncode}: {done.stderr[-500:]}")
    return took


def imports(rounds: int = 7) -> list[dict[str, Any]]:
    """A row for each case: median seconds of it and of its reference, and of their differences with the extremes.

    ValueError for fewer than 3 rounds.
    """
    whole("rounds", rounds, 3)
    rows = []
    for name, codes in CASES.items():
        for code in codes:
            seconds(code)
        pairs = []
        for number in range(rounds):
            took = dict.fromkeys(codes, 0.0)
            for code in codes if number % 2 else reversed(codes):
                took[code] = seconds(code)
            pairs.append(tuple(took.values()))
        more = [case - reference for case, reference in pairs]
        rows.append(
            {
                "case": name,
                "reference": codes[1],
                "seconds": statistics.median(case for case, _ in pairs),
                "reference_seconds": statistics.median(reference for _, reference in pairs),
                "more": statistics.median(more),
                "spread": [min(more), max(more)],
            }
        )
    return rows


def show(rows: list[dict[str, Any]], rounds: int) -> None:
    """Prints the rows."""
    table = Table(title=f"Fresh interpreters, medians of {rounds} alternating rounds, seconds")
    for head in ("what", "takes", "beside", "takes ", "more", "least to most"):
        table.add_column(head, justify="left" if head in ("what", "beside") else "right")
    for row in rows:
        least, most = row["spread"]
        figures = (f"{row[key]:.3f}" for key in ("seconds", "reference_seconds", "more"))
        takes, reference, more = figures
        table.add_row(row["case"], takes, row["reference"], reference, more, f"{least:.3f} to {most:.3f}")
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
