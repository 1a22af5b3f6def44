"""How much memory a step takes: the growth of a process in which no other has run."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

STATUS = Path("/proc/self/status")


def peak_in_process(module: str, *settings: dict[str, Any]) -> int | None:
    """What ``module.print_peak(*settings)`` prints in a process of its own; OSError with what it said if it fails.

    The settings go there as JSON. Freed blocks of 64 KB or more are given back to the system at once, else the peak would be
    that of the allocator's habits.
    """
    code = f"import json, sys; from {module} import print_peak; print_peak(*map(json.loads, sys.argv[1:]))"
    environment = os.environ | {"MALLOC_MMAP_THRESHOLD_": "65536", "MALLOC_TRIM_THRESHOLD_": "65536"}
    environment["OMP_NUM_THREADS"] = str(torch.get_num_threads())
    words = [sys.executable, "-c", code, *map(json.dumps, settings)]
    done = subprocess.run(words, env=environment, capture_output=True, text=True, check=False)
    if done.returncode:
        raise OSError(f"the process that measures the peak ended with {done.returncode}: {done.stderr[-500:]}")
    return json.loads(done.stdout)


def growth(step: Callable[[], object], device: torch.device) -> int | None:
    """By how many bytes one step raises the memory of this process; None where the system does not tell.

    On Linux ``VmHWM`` behind it less ``VmRSS`` before, on CUDA ``max_memory_allocated`` less what was allocated.
    """
    if device.type == "cuda":
        torch.cuda.reset_peak_memory_stats()
        before = torch.cuda.memory_allocated()
        step()
        return torch.cuda.max_memory_allocated() - before
    before = _line("VmRSS")
    step()
    return None if before is None else _line("VmHWM") - before


def _line(name: str) -> int | None:
    lines = STATUS.read_text().splitlines() if STATUS.is_file() else []
    found = [line.split()[1] for line in lines if line.startswith(f"{name}:")]
    return 1024 * int(found[0]) if found else None
