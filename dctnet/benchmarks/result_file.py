"""The JSON file of a benchmark: its rows, and what they were measured with."""

from __future__ import annotations

import json
import shlex
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from dctnet.machine import measured_with


def command_line(name: str, arguments: Sequence[str]) -> str:
    """``dctnet bench NAME`` as it was given; of a path from the root its last part, as the rest is one machine's.

    >>> command_line("read", ["/mnt/my files", "--limit", "20"])
    "dctnet bench read 'my files' --limit 20"
    """
    given = (Path(argument).name if Path(argument).is_absolute() else argument for argument in arguments)
    return shlex.join(["dctnet", "bench", name, *given])


def write_result(out: str | Path, rows: list[dict[str, Any]], command: str, **about: object) -> None:
    """The file ``out``: the command, machine and versions, what else is to be said about the measurement, the rows."""
    head = {"command": command} | measured_with()
    Path(out).write_text(json.dumps(head | about | {"rows": rows}, indent=1) + "\n")
