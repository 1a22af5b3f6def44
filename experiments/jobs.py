"""Many calls, each in a process of its own, as many at a time as there are places; one that fails stops no other.

The processes are forked from one that has imported torch, Lightning and dctnet and done nothing else. So a run starts in a
fraction of a second where a new interpreter takes several, and shares nothing with those before it. A process ends when the one
that asked for it does, however that ends.
"""

from __future__ import annotations

import multiprocessing
import os
import sys
import threading
from collections.abc import Callable, Iterator
from multiprocessing.connection import wait
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import NamedTuple

CONTEXT = multiprocessing.get_context("forkserver")
IMPORTED = ["dctnet.training.commands", "dctnet.cli", "torchvision.transforms.v2", "collect"]


class Job(NamedTuple):
    """``function(*arguments)``, of a module, gives an exit status; ``log`` gets all that it prints."""

    function: Callable[..., int]
    arguments: tuple
    log: Path


def run_jobs(jobs: list[Job], places: list[dict[str, str]]) -> Iterator[tuple[int, str | None]]:
    """The number of each job as it ends, and None, or what went wrong. ``places``: the environment of those at a time."""
    CONTEXT.set_forkserver_preload(IMPORTED)
    free, left = list(places), list(enumerate(jobs))[::-1]
    running: dict[int, tuple[int, BaseProcess, dict[str, str]]] = {}  # by what tells that it ended
    try:
        while left or running:
            while left and free:
                number, job = left.pop()
                place = free.pop()
                process = _started(job, place)
                running[process.sentinel] = number, process, place
            ended = [running.pop(sentinel) for sentinel in wait(list(running))]
            free += [place for _, _, place in ended]
            for number, process, _ in ended:
                process.join()
                yield number, _failure(process, jobs[number].log)
    finally:
        for _, process, _ in running.values():
            process.terminate()


def devices_of(names: list[str], jobs: int) -> list[dict[str, str]]:
    """``jobs`` places on each device, "cpu" or "cuda:N", N among the devices that this process sees. ValueError for others."""
    seen = [name for name in os.environ.get("CUDA_VISIBLE_DEVICES", "").split(",") if name]
    places = []
    for name in names:
        kind, _, number = name.partition(":")
        if name != "cpu" and (kind != "cuda" or not number.isdigit()):
            raise ValueError(f"a device is cpu or cuda:N, such as cuda:0; got {name!r}")
        if seen and number and int(number) >= len(seen):
            raise ValueError(f"there is no {name}: CUDA_VISIBLE_DEVICES is {','.join(seen)}")
        places.append({"CUDA_VISIBLE_DEVICES": seen[int(number)] if seen and number else number})
    return places * jobs


def _started(job: Job, place: dict[str, str]) -> BaseProcess:
    job.log.parent.mkdir(parents=True, exist_ok=True)
    process = CONTEXT.Process(target=_child, args=(job, place), daemon=False)
    process.start()
    return process


def _failure(process: BaseProcess, log: Path) -> str | None:
    if process.exitcode == 0:
        return None
    said = (
        [line.strip() for line in log.read_text(errors="replace").splitlines() if line.strip()] if log.exists() else []
    )
    return f"exit status {process.exitcode}: {said[-1] if said else 'it said nothing'} ({log})"


def _child(job: Job, place: dict[str, str]) -> None:
    threading.Thread(target=_end_with_parent, daemon=True).start()
    os.environ.update(place)
    log = os.open(job.log, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o644)
    os.dup2(log, 1)
    os.dup2(log, 2)
    sys.exit(job.function(*job.arguments))


def _end_with_parent() -> None:
    multiprocessing.parent_process().join()
    os._exit(1)
