"""The table of docs/measured.md: with what each benchmark was measured, as its result file says."""

from __future__ import annotations

import json
import re
from pathlib import Path

from dctnet.report.tables import markdown

ROOT = Path(__file__).resolve().parents[1]


def measured() -> str:
    """A row for each result file of benchmarks/: command, rounds, threads, processor, torch, commit, as far as it tells."""
    rows = []
    for path in sorted((ROOT / "benchmarks").glob("*.json")):
        found = json.loads(path.read_text())
        command = re.sub(r" --(?:out|plot) \S+", "", found["command"])
        cpu = found.get("cpu") or found.get("machine")
        rows.append(found | {"file": path.name, "what": command, "processor": cpu})
    columns = {"result file": "`{file}`", "command": "`{what}`", "rounds": "{rounds}", "threads": "{threads}"}
    return markdown(rows, columns | {"processor": "{processor}", "torch": "{torch}", "commit": "{commit}"})
