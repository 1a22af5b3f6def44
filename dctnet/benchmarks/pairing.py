"""Timing of alternatives side by side, so that a machine's changing mood touches all of them alike."""

from __future__ import annotations

import gc
import os
import statistics
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import NamedTuple

import torch


class Pair(NamedTuple):
    """One alternative beside its reference: median seconds of each, and the median over rounds of their ratio.

    ``ratio`` is the alternative's time over the reference's in the same round: above 1 the reference is faster.
    ``spread`` holds the smallest and the largest of these ratios.
    """

    seconds: float
    reference_seconds: float
    ratio: float
    spread: tuple[float, float]


def paired(
    alternatives: Mapping[str, tuple[Callable[[], object], Callable[[], object]]],
    rounds: int = 7,
    clock: Callable[[], float] = time.perf_counter,
    pause: float = 0.0,
    once: bool = False,
    seconds: float = 0.0,
) -> dict[str, Pair]:
    """Times each alternative against its reference: ``{name: (alternative, reference)}``.

    After one untimed call of each function, every round runs all alternatives once, each next to its reference; which of the
    two goes first changes from round to round. Results are dropped as soon as they are made, as a consumer would, and the
    garbage collector is off; between rounds it goes through what they left, not what was there before. ``pause`` seconds pass
    before each timed call, for what works on in its own threads after the call that started it: it would take the other's time.
    ``once``: a reference that several have in common is called once a round, for one that takes long. ``seconds``: rounds go on
    until so many have passed, ten times as many at most: what takes milliseconds is otherwise measured in a single moment of
    the machine's. ValueError for fewer than 3 rounds, which have no median worth the name.

    >>> ticks = iter(range(1000))
    >>> paired({"idle": (lambda: None, lambda: None)}, rounds=3, clock=lambda: float(next(ticks)))["idle"].ratio
    1.0
    """
    if rounds < 3:
        raise ValueError(f"a median needs 3 rounds or more; got {rounds}")
    times: dict[str, list[tuple[float, float]]] = {name: [] for name in alternatives}
    for run in dict.fromkeys(run for pair in alternatives.values() for run in pair):
        run()
    collecting = gc.isenabled()
    gc.disable()
    gc.freeze()
    try:
        begun = clock()
        for number in range(10 * rounds):
            if number >= rounds and clock() - begun >= seconds:
                break
            known: dict[Callable[[], object], float] = {}
            for name, pair in alternatives.items():
                took = [0.0, 0.0]
                for which in (0, 1) if number % 2 else (1, 0):
                    if which and pair[1] in known:
                        took[1] = known[pair[1]]
                        continue
                    time.sleep(pause)
                    start = clock()
                    pair[which]()
                    took[which] = clock() - start
                if once:
                    known[pair[1]] = took[1]
                times[name].append((took[0], took[1]))
            gc.collect()
    finally:
        gc.unfreeze()
        if collecting:
            gc.enable()
    return {name: _summary(measured) for name, measured in times.items()}


def _summary(measured: list[tuple[float, float]]) -> Pair:
    ratios = [alternative / reference for alternative, reference in measured]
    return Pair(
        statistics.median(alternative for alternative, _ in measured),
        statistics.median(reference for _, reference in measured),
        statistics.median(ratios),
        (min(ratios), max(ratios)),
    )


@contextmanager
def bound(cores: int) -> Iterator[None]:
    """Binds this process to one of its cores where ``cores`` is 1 and the system can; torch gets ``cores`` threads."""
    threads = torch.get_num_threads()
    before = os.sched_getaffinity(0) if hasattr(os, "sched_getaffinity") else None
    try:
        torch.set_num_threads(cores)
        if before and cores == 1:
            os.sched_setaffinity(0, {max(before)})
        yield
    finally:
        torch.set_num_threads(threads)
        if before:
            os.sched_setaffinity(0, before)
