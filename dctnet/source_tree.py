"""Which state of the source runs."""

from __future__ import annotations

import subprocess
from pathlib import Path


def commit() -> str | None:
    """The state of the source tree that runs, ``git describe --always --dirty``; None where it is no git checkout."""
    root = Path(__file__).resolve().parents[1]
    if not (root / ".git").exists():
        return None
    try:
        described = subprocess.run(
            ["git", "-C", str(root), "describe", "--always", "--dirty"], capture_output=True, text=True, check=True
        )
    except (OSError, subprocess.CalledProcessError):
        return None
    return described.stdout.strip()
