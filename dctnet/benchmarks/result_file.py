"""The JSON file of a benchmark: its rows, and what they were measured with."""

from __future__ import annotations

import json
import platform
import shlex
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch

from dctnet.source_tree import commit


def command_line(name: str, arguments: Sequence[str]) -> str:
    """``dctnet bench NAME`` as it was given; of a path from the root its last part, as the rest is one machine's.

    >>> command_line("read", ["/mnt/my files", "--limit", "20"])
    "dctnet bench read 'my files' --limit 20"
    """
    given = (Path(argument).name if Path(argument).is_absolute() else argument for argument in arguments)
    return shlex.join(["dctnet", "bench", name, *given])


def write_result(out: str | Path, rows: list[dict[str, Any]], command: str, **about: object) -> None:
    """The file ``out``: the command, machine and versions, what else is to be said about the measurement, the rows."""
    head = {"command": command, "cpu": cpu_model(), "torch": torch.__version__, "commit": commit()}
    Path(out).write_text(json.dumps(head | about | {"rows": rows}, indent=1) + "\n")


def cpu_model() -> str:
    """The name of the processor, as far as the system tells it."""
    told = Path("/proc/cpuinfo")
    lines = told.read_text().splitlines() if told.is_file() else []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor() or platform.machine()
